/// Decides whether a connection may be dead because requests are abandoned while its peer is silent. `HTTP2Control` sends the
/// frames, and `KeepAlivePing` has the time by which an answer must arrive.
///
/// A request with a short time limit is over before any PING of `KeepAlivePing` is due, and the next one starts over. So
/// silence is counted across requests: from the peer's last byte or, if later, from sending the first request that was then
/// abandoned.
///
/// 1. Once that exceeds the time a live peer may take, the connection is set aside, and a PING asks whether the peer is alive.
///    Any byte puts the connection back into service: the peer was merely slow to respond.
/// 2. gRPC servers end a connection that pings too often with nothing of theirs in between. So after `pingLimit` PINGs that
///    brought only acknowledgements, the peer is not asked again, and a connection on which further requests are abandoned in
///    silence is replaced. The same applies if PINGs are turned off.
struct PeerDoubt {
    enum Step: Equatable {
        /// Continue.
        case trust
        /// Set the connection aside, and send a PING.
        case ask
        /// Set the connection aside; a PING is already on its way.
        case wait
        /// Start no more requests on it.
        case leave
    }

    /// Shortest silence that casts doubt on a peer: 250 ms or 4 round trips, whichever is longer.
    static let shortestSilence: UInt64 = 250_000_000
    static let pingLimit = 2
    /// Number of requests abandoned in one silence, if the peer cannot be asked.
    static let givenUpLimit = 3

    private let silence: UInt64
    private let mayAsk: Bool
    /// When the last byte before the current silence arrived, and when counting began.
    private var lastByteAt: UInt64 = .max
    private var silentSince: UInt64 = 0
    private var givenUp = 0
    /// PINGs sent, and the traffic at the last of them.
    private var pings = 0
    private var before = KeepAlivePing.Traffic()

    /// - Parameters:
    ///   - roundTrip: the known round trip time in nanoseconds.
    ///   - mayAsk: false if PINGs are turned off.
    init(roundTrip: UInt64, mayAsk: Bool) {
        silence = max(Self.shortestSilence, min(roundTrip, 10_000_000_000) * 4)
        self.mayAsk = mayAsk
    }

    /// A request sent at this time was abandoned.
    /// - Parameter isAsked: whether a PING is on its way.
    mutating func gaveUp(
        sentAt: UInt64, now: UInt64, lastByteAt: UInt64, traffic: KeepAlivePing.Traffic, isAsked: Bool
    ) -> Step {
        if lastByteAt != self.lastByteAt {
            self.lastByteAt = lastByteAt
            silentSince = .max
            givenUp = 0
        }
        silentSince = min(silentSince, max(sentAt, lastByteAt))
        givenUp += 1
        guard now >= silentSince.saturatingSum(silence) else { return .trust }
        if isAsked { return .wait }
        if !traffic.isOnlyAcknowledgements(since: before) { pings = 0 }
        if mayAsk, pings < Self.pingLimit {
            pings += 1
            before = traffic
            return .ask
        }
        return givenUp >= Self.givenUpLimit ? .leave : .trust
    }
}
