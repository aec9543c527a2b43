/// Decides when to send a PING on a quiet connection, and when the peer counts as gone. `Connection` has the timer, and
/// `HTTP2Control` sends the frames.
///
/// One timer is enough, however busy the connection is: requests and frames only record times and counts, which the timer's
/// owner checks when it fires (`look`). It is stopped while there is nothing to watch.
///
/// 1. A PING is sent after `interval` without any byte from the peer.
/// 2. Any byte proves that the peer is alive, not only the acknowledgement. If none arrives within `timeout`, the peer is gone.
/// 3. Without open streams nothing is sent, unless `whileIdle`.
/// 4. While only acknowledgements arrive and no request begins, the interval doubles with each PING, up to 5 minutes: gRPC
///    servers end a connection with ENHANCE_YOUR_CALM ("too_many_pings") after the third PING sent within 5 minutes of the
///    previous one, with no response of theirs in between.
struct KeepAlivePing {
    /// The next step, and when to check again.
    enum Step: Equatable {
        /// Nothing to watch: start again with the next request.
        case rest
        /// Check again at this time.
        case look(at: UInt64)
        /// Send a PING, after setting the timer, so that a connection that cannot write is detected as well.
        case ping(answerBy: UInt64)
        /// The peer is gone.
        case gone
    }

    /// The connection's totals so far.
    struct Traffic: Equatable {
        /// Bytes from the peer.
        var bytes = 0
        /// PING frames with ACK among them.
        var acknowledgements = 0
        /// Requests begun.
        var requests = 0

        /// Whether only acknowledgements of PINGs arrived after `before`.
        func isOnlyAcknowledgements(since before: Traffic) -> Bool {
            bytes - before.bytes == KeepAlivePing.pingBytes * (acknowledgements - before.acknowledgements)
        }
    }

    private enum State {
        case resting
        /// Silence before this time does not count.
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
    /// The traffic at the last PING.
    private var before = Traffic()

    /// nil if it is turned off.
    init?(_ configuration: ConnectionConfiguration.KeepAlive) {
        guard let interval = configuration.interval else { return nil }
        // A timer that keeps firing at once would occupy the loop completely.
        base = max(interval.clampedNanoseconds, 1_000_000)
        timeout = configuration.timeout.clampedNanoseconds
        whileIdle = configuration.whileIdle
        backsOff = configuration.backsOff
        self.interval = base
    }

    /// Starts watching. Returns when to check.
    mutating func begin(now: UInt64) -> UInt64 {
        state = .watching(since: now)
        interval = base
        return now &+ base
    }

    /// Whether a PING is still unanswered.
    func isAwaiting(_ traffic: Traffic) -> Bool {
        if case .awaiting = state { traffic.bytes == before.bytes } else { false }
    }

    /// Records an extra PING. Returns the time by which a byte must arrive.
    mutating func ask(now: UInt64, traffic: Traffic) -> UInt64 {
        before = traffic
        state = .awaiting(until: now &+ timeout)
        return now &+ timeout
    }

    /// The timer fired.
    /// - Parameter lastByteAt: when the last byte arrived from the peer.
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
        // Check no later than that, however long the interval has become: new traffic makes it short again.
        guard now >= due else { return .look(at: min(due, now &+ base)) }
        before = traffic
        if backsOff { interval = max(base, min(2 * interval, Self.longestInterval)) }
        state = .awaiting(until: now &+ timeout)
        return .ping(answerBy: now &+ timeout)
    }

    /// Whether nothing else has arrived since the last PING.
    private func isOnlyAcknowledgements(_ traffic: Traffic) -> Bool {
        traffic.requests == before.requests && traffic.isOnlyAcknowledgements(since: before)
    }
}
