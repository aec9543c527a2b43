/// Decides when a PING is due on a quiet connection, and when the peer counts as gone. `Connection` has the timer, and
/// `HTTP2Control` sends the frames.
///
/// One timer is enough, however much happens on the connection: requests and frames only leave their time and count, and
/// the timer's owner looks at those when it fires (`look`). It rests while there is nothing to watch.
///
/// 1. After `interval` without any byte from the peer a PING is sent.
/// 2. Any byte shows that the peer is there, not only the acknowledgement; none within `timeout`, and it is gone.
/// 3. Without open streams nothing is sent, unless `whileIdle`.
/// 4. While nothing but acknowledgements comes, and no request begins, the interval doubles with each PING, up to 5 minutes:
///    gRPC servers end a connection with ENHANCE_YOUR_CALM ("too_many_pings") after a third PING that came sooner than 5
///    minutes after the one before, with no response of theirs in between.
struct KeepAlivePing {
    /// What to do, and when to look again.
    enum Step: Equatable {
        /// Nothing to watch: begin anew with the next request.
        case rest
        /// At this time.
        case look(at: UInt64)
        /// Send a PING, after setting the timer: also a connection that cannot write is found out.
        case ping(answerBy: UInt64)
        /// The peer is gone.
        case gone
    }

    /// What the connection has seen so far, in all.
    struct Traffic: Equatable {
        /// Bytes from the peer.
        var bytes = 0
        /// PING frames with ACK among them.
        var acknowledgements = 0
        /// Requests that began.
        var requests = 0

        /// Whether nothing but acknowledgements of PINGs came after `before`.
        func isOnlyAcknowledgements(since before: Traffic) -> Bool {
            bytes - before.bytes == KeepAlivePing.pingBytes * (acknowledgements - before.acknowledgements)
        }
    }

    private enum State {
        case resting
        /// Quiet before this does not count.
        case watching(since: UInt64)
        case awaiting(until: UInt64)
    }

    /// Opaque data of these PINGs, above a counter; a caller's PINGs count from 1.
    static let mark: UInt64 = 0x4241_0000_0000_0000
    /// A PING frame.
    fileprivate static let pingBytes = 17
    private static let longestInterval: UInt64 = 300_000_000_000

    private let base: UInt64
    private let timeout: UInt64
    let whileIdle: Bool
    private let backsOff: Bool
    private var interval: UInt64
    private var state = State.resting
    /// As it was at the last PING.
    private var before = Traffic()

    /// nil where it is turned off.
    init?(_ configuration: Configuration.KeepAlive) {
        guard let interval = configuration.interval else { return nil }
        // A timer that fires at once, for ever, would be all that the loop does.
        base = max(interval.clampedNanoseconds, 1_000_000)
        timeout = configuration.timeout.clampedNanoseconds
        whileIdle = configuration.whileIdle
        backsOff = configuration.backsOff
        self.interval = base
    }

    /// Begins to watch. Returns when to look.
    mutating func begin(now: UInt64) -> UInt64 {
        state = .watching(since: now)
        interval = base
        return now &+ base
    }

    /// Whether a PING is on its way that nothing has answered yet.
    func isAwaiting(_ traffic: Traffic) -> Bool {
        if case .awaiting = state { traffic.bytes == before.bytes } else { false }
    }

    /// A PING is sent out of turn. Returns by when something must have come.
    mutating func ask(now: UInt64, traffic: Traffic) -> UInt64 {
        before = traffic
        state = .awaiting(until: now &+ timeout)
        return now &+ timeout
    }

    /// The timer fired.
    /// - Parameter lastByteAt: when the last byte came from the peer.
    mutating func look(now: UInt64, lastByteAt: UInt64, traffic: Traffic, hasOpenStreams: Bool) -> Step {
        var quietSince = lastByteAt
        switch state {
        case .resting: return .rest
        case .watching(let since): quietSince = max(since, lastByteAt)
        case .awaiting(let until):
            if traffic.bytes == before.bytes { return now < until ? .look(at: until) : .gone }
            state = .watching(since: lastByteAt)
        }
        guard hasOpenStreams || whileIdle else {
            state = .resting
            return .rest
        }
        if !isOnlyAcknowledgements(traffic) { interval = base }
        let due = quietSince &+ interval
        // Looking no later than that, however long the interval has become: what happens meanwhile makes it short again.
        guard now >= due else { return .look(at: min(due, now &+ base)) }
        before = traffic
        if backsOff { interval = max(base, min(2 * interval, Self.longestInterval)) }
        state = .awaiting(until: now &+ timeout)
        return .ping(answerBy: now &+ timeout)
    }

    /// Whether nothing else has happened since the last PING.
    private func isOnlyAcknowledgements(_ traffic: Traffic) -> Bool {
        traffic.requests == before.requests && traffic.isOnlyAcknowledgements(since: before)
    }
}
