/// Decides whether a connection may be dead on which requests are given up while its peer says nothing. `HTTP2Control` sends
/// the frames, and `KeepAlivePing` has the time by which an answer must come.
///
/// A request with a short time limit is over before any PING of `KeepAlivePing` is due, and the next one begins anew. So
/// silence is counted across requests: from the peer's last byte, or the sending of the first request that was given up
/// after it.
///
/// 1. Once that is longer than the peer may well take to say anything, the connection is set aside, and a PING asks whether
///    the peer is there. Any byte puts the connection into service again: the peer was slow with an answer, and no more.
/// 2. Servers of gRPC end a connection that pings too often with nothing of theirs in between. So after `pingLimit` PINGs that
///    brought nothing but their acknowledgements the peer is not asked again, and a connection on which further requests are
///    given up in silence is left for another. So it is where PINGs are turned off.
struct PeerDoubt {
    enum Step: Equatable {
        /// Go on.
        case trust
        /// Set the connection aside, and send a PING.
        case ask
        /// Set the connection aside; a PING is on its way.
        case wait
        /// Begin no more requests on it.
        case leave
    }

    /// What a live peer may take at least before it says anything: 250 ms, and 4 round trips.
    static let shortestSilence: UInt64 = 250_000_000
    static let pingLimit = 2
    /// So many requests given up in one silence, where the peer cannot be asked.
    static let givenUpLimit = 3

    private let silence: UInt64
    private let mayAsk: Bool
    /// The last byte before the silence that is counted here, and when it began to count.
    private var lastByteAt: UInt64 = .max
    private var silentSince: UInt64 = 0
    private var givenUp = 0
    /// PINGs, and what had come when the last of them was sent.
    private var pings = 0
    private var before = KeepAlivePing.Traffic()

    /// - Parameters:
    ///   - roundTrip: how long one takes, as far as is known, in nanoseconds.
    ///   - mayAsk: false where PINGs are turned off.
    init(roundTrip: UInt64, mayAsk: Bool) {
        silence = max(Self.shortestSilence, min(roundTrip, 10_000_000_000) * 4)
        self.mayAsk = mayAsk
    }

    /// A request was given up that had been sent at a time.
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
