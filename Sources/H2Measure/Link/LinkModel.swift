package import H2Platform

/// One direction of a TCP connection over a link: it computes when bytes arrive at the other end.
///
/// It handles neither bytes nor sockets, and is given the time, which never goes back. Everything happens at its own exact
/// time, however late `advance` is called.
///
/// 1. Bytes are sent in segments of at most `segmentSize`. A segment arrives half a round trip later, and is acknowledged
///    another half later.
/// 2. The window limits the number of segments under way. It begins with `initialWindow` and grows by one per acknowledged
///    segment up to the slow-start threshold, and by one per round trip above it (RFC 5681 section 3.1), as long as the window
///    is what limits the sender (RFC 7661). So a connection that has carried much is faster than a new one.
/// 3. Each segment is lost with a probability. Everything after it waits at the other end. It is retransmitted when the
///    acknowledgements of three later segments arrive, which delays it by a round trip if they followed at once. Otherwise it
///    is retransmitted when the retransmission timeout expires, which doubles each time.
/// 4. A loss halves the window, once for all segments then under way (RFC 6675), but not below 2.
/// 5. An idle connection halves its window for each retransmission timeout, down to the initial window (RFC 2861, as Linux
///    does).
package struct LinkModel: Sendable {
    private struct Segment {
        enum Fate {
            case underway
            /// Lost; `followers` counts the later segments that have arrived.
            case missing(followers: Int)
            case arrived
        }

        var bytes: Int
        var isEnd: Bool
        /// The number of retransmissions.
        var repeats = 0
        var fate = Fate.underway
    }

    private struct Event {
        var time: UInt64
        var sequence: Int
    }

    /// The time of a lost segment's next retransmission: obsolete if it has been retransmitted since.
    private struct Repair {
        var time: UInt64
        var sequence: Int
        var repeats: Int
    }

    package let conditions: LinkConditions
    /// Bytes that have arrived, in order, and have not been taken.
    package private(set) var arrived = 0
    /// Whether the other end has been told that no more bytes will come.
    package private(set) var hasEnded = false
    /// Segments that may be under way.
    package private(set) var window: Int
    /// The number of segments lost so far.
    package private(set) var lost = 0
    /// Bytes that have not arrived yet.
    package private(set) var queued = 0

    private let opensAt: UInt64
    private let transit: UInt64
    private let acknowledgement: UInt64
    private var random: SplitMix64
    private var clock: UInt64 = 0

    private var unsent = 0
    private var isEndUnsent = false
    /// Segments from the first that has not been handed over, whose sequence number is `base`.
    private var segments = Ring<Segment>()
    private var base = 0
    private var underway = 0
    private var missing: [Int] = []

    // Each in order of time, since the delay before them is constant.
    private var arrivals = Ring<Event>()
    private var acknowledgements = Ring<Event>()
    /// Few, and sorted by time.
    private var repairs: [Repair] = []

    private var threshold: Int
    private var acknowledgedSinceGrowth = 0
    /// Losses of segments before this one belong to a reduction already made.
    private var recoveryEnd = 0
    /// The most under way in this round trip and in the last; a round ends when the segments sent at its beginning are
    /// acknowledged.
    private var most = (round: 0, last: 0)
    private var roundEnd = 0
    private var lastSent: UInt64?

    private var next: Int { base + segments.count }

    /// - Parameters:
    ///   - opensAt: when the first byte may be sent.
    ///   - isForth: whether it runs from the client to the server; matters for a round trip of an odd number of nanoseconds.
    package init(_ conditions: LinkConditions, opensAt: UInt64 = 0, isForth: Bool = true, random: SplitMix64) {
        self.conditions = conditions
        self.opensAt = opensAt
        self.random = random
        transit = isForth ? conditions.forth : conditions.back
        acknowledgement = isForth ? conditions.back : conditions.forth
        window = max(1, min(conditions.initialWindow, conditions.maximumWindow))
        threshold = conditions.slowStartThreshold
    }

    // MARK: - What goes in and out

    /// The sender has `bytes` more bytes.
    package mutating func append(_ bytes: Int, at now: UInt64) {
        precondition(bytes >= 0 && !isEndUnsent, "nothing comes behind the end")
        advance(to: now)
        unsent += bytes
        queued += bytes
        send(at: clock)
    }

    /// The sender has no more bytes.
    package mutating func finish(at now: UInt64) {
        advance(to: now)
        isEndUnsent = true
        send(at: clock)
    }

    /// The receiver takes the arrived bytes; returns their number.
    package mutating func takeArrived() -> Int {
        defer { arrived = 0 }
        return arrived
    }

    /// When `advance` next has something to do; nil if nothing is under way.
    package var nextEvent: UInt64? {
        var time: UInt64?
        func consider(_ other: UInt64?) {
            if let other { time = min(time ?? other, other) }
        }
        if clock < opensAt && (unsent > 0 || isEndUnsent) { consider(opensAt) }
        consider(arrivals.first?.time)
        consider(acknowledgements.first?.time)
        consider(repairs.first?.time)
        return time
    }

    /// Processes all events up to `now`.
    package mutating func advance(to now: UInt64) {
        while let time = nextEvent, time <= now {
            clock = max(clock, time)
            if let event = arrivals.first, event.time == time {
                arrivals.popFirst()
                arrive(event.sequence, at: time)
            } else if let event = acknowledgements.first, event.time == time {
                acknowledgements.popFirst()
                acknowledge(event.sequence, at: time)
            } else if let repair = repairs.first, repair.time == time {
                repairs.removeFirst()
                self.repair(repair, at: time)
            } else {
                send(at: time)
            }
        }
        clock = max(clock, now)
    }

    // MARK: - The sender

    private mutating func send(at time: UInt64) {
        guard time >= opensAt, unsent > 0 || isEndUnsent else { return }
        if underway == 0, let lastSent { restart(idle: time - lastSent) }
        while unsent > 0, underway < window {
            let bytes = min(unsent, conditions.segmentSize)
            unsent -= bytes
            emit(Segment(bytes: bytes, isEnd: false), at: time)
        }
        // The end has no bytes that would count against the window.
        if unsent == 0, isEndUnsent {
            isEndUnsent = false
            emit(Segment(bytes: 0, isEnd: true), at: time)
        }
        most.round = max(most.round, underway)
    }

    private mutating func emit(_ segment: Segment, at time: UInt64) {
        segments.append(segment)
        underway += 1
        transmit(next - 1, at: time)
    }

    private mutating func transmit(_ sequence: Int, at time: UInt64) {
        lastSent = time
        if random.happens(conditions.loss) {
            lost += 1
            segments[sequence - base].fate = .missing(followers: 0)
            missing.append(sequence)
            let repeats = segments[sequence - base].repeats
            let timeout = conditions.retransmissionTimeout << UInt64(min(repeats, 6))
            insert(Repair(time: time + timeout, sequence: sequence, repeats: repeats))
        } else {
            segments[sequence - base].fate = .underway
            arrivals.append(Event(time: time + transit, sequence: sequence))
        }
    }

    private mutating func acknowledge(_ sequence: Int, at time: UInt64) {
        underway -= 1
        if sequence >= roundEnd {
            roundEnd = next
            most = (round: underway, last: most.round)
        }
        // An acknowledgement beyond a gap is a sign of a loss, and no reason to send more.
        if sequence >= recoveryEnd, !missing.contains(where: { $0 < sequence }) { grow() }
        send(at: time)
    }

    private mutating func grow() {
        let used = max(most.round, most.last)
        if window < threshold {
            if window < 2 * used { window += 1 }
        } else if used >= window {
            acknowledgedSinceGrowth += 1
            if acknowledgedSinceGrowth >= window {
                acknowledgedSinceGrowth = 0
                window += 1
            }
        }
        window = min(window, conditions.maximumWindow)
    }

    private mutating func repair(_ repair: Repair, at time: UInt64) {
        guard let index = missing.firstIndex(of: repair.sequence),
            segments[repair.sequence - base].repeats == repair.repeats
        else { return }
        missing.remove(at: index)
        if repair.sequence >= recoveryEnd {
            recoveryEnd = next
            window = max(2, window / 2)
            threshold = window
            acknowledgedSinceGrowth = 0
        }
        segments[repair.sequence - base].repeats += 1
        transmit(repair.sequence, at: time)
    }

    private mutating func restart(idle: UInt64) {
        var left = idle
        while left > conditions.retransmissionTimeout, window > conditions.initialWindow {
            left -= conditions.retransmissionTimeout
            if threshold != .max { threshold = max(threshold, window * 3 / 4) }
            window = max(window / 2, conditions.initialWindow)
        }
    }

    private mutating func insert(_ repair: Repair) {
        let index = repairs.firstIndex { $0.time > repair.time } ?? repairs.endIndex
        repairs.insert(repair, at: index)
    }

    // MARK: - The receiver

    private mutating func arrive(_ sequence: Int, at time: UInt64) {
        segments[sequence - base].fate = .arrived
        acknowledgements.append(Event(time: time + acknowledgement, sequence: sequence))
        for earlier in missing where earlier < sequence {
            // Skip retransmitted segments: acknowledgements of segments sent before the retransmission say nothing about it.
            guard case .missing(let followers) = segments[earlier - base].fate, segments[earlier - base].repeats == 0
            else { continue }
            segments[earlier - base].fate = .missing(followers: followers + 1)
            if followers + 1 == 3 {
                insert(Repair(time: time + acknowledgement, sequence: earlier, repeats: 0))
            }
        }
        while let first = segments.first, case .arrived = first.fate {
            arrived += first.bytes
            queued -= first.bytes
            if first.isEnd { hasEnded = true }
            segments.popFirst()
            base += 1
        }
    }
}
