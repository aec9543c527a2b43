internal import H2Client

/// The figures of all loops of a measurement by interval: each loop reports its part at the end of each.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock, which is taken a few times a second.
final class Timeline: @unchecked Sendable {
    /// One loop's figures between two clock reads: an interval, or several if the loop was held up.
    struct Part {
        /// The intervals that it covers, counted from 0.
        var indexes: Range<Int>
        /// Seconds since the measurement began.
        var start: Double
        var end: Double
        var sent = 0
        var done = 0
        var failed = 0
        var bytesReceived = 0
        var inFlightMean = 0.0
        var peakInFlight = 0
        var connections = 0
        var backlog = 0
        /// Whether it is of the time after the deadline.
        var isDrain = false
        /// The loop that it is of, from 0.
        var loop = 0

        /// The part of it that belongs to one of its intervals, assuming an even spread.
        func slice(_ index: Int) -> Part {
            let (count, offset) = (indexes.count, index - indexes.lowerBound)
            guard count > 1 else { return self }
            func share(of value: Int) -> Int {
                Int(Double(value) * Double(offset + 1) / Double(count))
                    - Int(Double(value) * Double(offset) / Double(count))
            }
            var slice = self
            slice.indexes = index..<index + 1
            slice.start = start + (end - start) * Double(offset) / Double(count)
            slice.end = start + (end - start) * Double(offset + 1) / Double(count)
            slice.sent = share(of: sent)
            slice.done = share(of: done)
            slice.failed = share(of: failed)
            slice.bytesReceived = share(of: bytesReceived)
            return slice
        }
    }

    private struct Open {
        var interval: BenchResult.Interval
        /// Nil while there are none.
        var latencies: LatencyCounts?
        /// The sum of the start times from the loops that have reported it.
        var starts = 0.0
        /// The loops that have reported it.
        var loops: [Int] = []
    }

    private let lock = PthreadLock()
    private let keepsHistograms: Bool
    /// The number of intervals kept. When there are more, each two become one, so memory does not grow with the time that a
    /// number of requests takes.
    static let maximumIntervals = 1_200

    private struct Closed {
        /// The index among the intervals that are kept.
        var index: Int
        var interval: BenchResult.Interval
        var counts: SparseCounts
    }

    private var open: [Int: Open] = [:]
    /// The last part of each loop, and the first interval that it has not reported.
    private var latest: [Int: Part] = [:]
    private var reached: [Int]
    /// In order.
    private var closed: [Closed] = []
    /// All intervals below this one are closed.
    private var closedEnd = 0
    /// The number that may wait for late loops. Each takes a quarter of a megabyte.
    private static let maximumOpen = 64
    /// The number of the loops' intervals in each one that is kept.
    private var span = 1
    /// The last ones, for the rate.
    private var recent = Ring<(done: Int, length: Double)>(capacity: 16)
    private var last = Bench.Progress()
    /// The time after the deadline, of all loops.
    private var drain: Open?
    /// Reused from intervals that are over.
    private var spare: [LatencyCounts] = []

    init(loops: Int, keepsHistograms: Bool) {
        reached = [Int](repeating: 0, count: loops)
        self.keepsHistograms = keepsHistograms
    }

    /// - Parameter recorder: the latencies of the part's last interval.
    func add(_ part: Part, _ recorder: Recorder) {
        lock.withLock {
            last.elapsed = max(last.elapsed, part.end)
            last.done += part.done
            last.failed += part.failed
            guard !part.isDrain else { return add(part, to: &drain, recorder) }
            latest[part.loop] = part
            for index in part.indexes {
                let isLast = index == part.indexes.upperBound - 1
                add(part.slice(index), to: &open[index], isLast ? recorder : nil)
                reached[part.loop] = index + 1
                closeReached()
            }
        }
    }

    /// The loop has nothing more to report.
    func end(loop: Int) {
        lock.withLock {
            reached[loop] = .max
            closeReached()
        }
    }

    private func add(_ part: Part, to open: inout Open?, _ recorder: Recorder?) {
        var entry =
            open ?? Open(interval: BenchResult.Interval(start: part.start, length: part.end - part.start))
        entry.starts += part.start
        entry.interval.length = max(entry.interval.length, part.end - entry.interval.start)
        entry.interval.sent += part.sent
        entry.interval.done += part.done
        entry.interval.failed += part.failed
        entry.interval.bytesReceived += part.bytesReceived
        entry.interval.inFlightMean += part.inFlightMean
        entry.interval.peakInFlight += part.peakInFlight
        entry.interval.connections += part.connections
        entry.interval.backlog += part.backlog
        if let recorder, !recorder.isEmpty {
            let latencies = entry.latencies ?? spare.popLast() ?? LatencyCounts()
            recorder.addLatencies(to: latencies)
            entry.latencies = latencies
        }
        entry.loops.append(part.loop)
        entry.interval.isDrain = part.isDrain
        open = entry
    }

    /// Closes the intervals that all loops have reported, and the oldest ones if too many are open.
    private func closeReached() {
        let end = reached.min() ?? 0
        while let oldest = open.keys.min(), oldest < end { close(oldest) }
        while open.count > Self.maximumOpen, let oldest = open.keys.min() { close(oldest) }
    }

    private func close(_ index: Int) {
        guard var entry = open.removeValue(forKey: index) else { return }
        let isLate = index < closedEnd
        closedEnd = max(closedEnd, index + 1)
        // If the loops' intervals differ, it starts at the mean of their starts.
        let end = entry.interval.start + entry.interval.length
        entry.interval.start = entry.starts / Double(entry.loops.count)
        entry.interval.length = end - entry.interval.start
        var interval = entry.interval
        if let latencies = entry.latencies { interval.note(latencies) }
        if !isLate {
            // A late loop still has its connections and requests.
            for (loop, part) in latest where reached[loop] <= index && !entry.loops.contains(loop) {
                interval.inFlightMean += part.inFlightMean
                interval.peakInFlight += part.peakInFlight
                interval.connections += part.connections
                interval.backlog += part.backlog
            }
            last.inFlight = Int(interval.inFlightMean.rounded())
            last.connections = interval.connections
            (last.p50, last.p99) = (interval.p50, interval.p99)
            recent.append((interval.done, interval.length))
            if recent.count > 10 { _ = recent.popFirst() }
            let time = recent.reduce(0) { $0 + $1.length }
            last.rate = time > 0 ? Double(recent.reduce(0) { $0 + $1.done }) / time : 0
        }
        keep(Closed(index: index / span, interval: interval, counts: counts(entry.latencies)), isLate: isLate)
    }

    /// The counts to keep; their memory is reused for the next interval.
    private func counts(_ latencies: LatencyCounts?) -> SparseCounts {
        guard let latencies else { return SparseCounts(minimum: .max, maximum: 0) }
        defer {
            latencies.reset()
            if spare.count < 4 { spare.append(latencies) }
        }
        return latencies.sparse()
    }

    /// - Parameter isLate: whether the other loops' part of the interval is kept already.
    private func keep(_ part: Closed, isLate: Bool) {
        // Nearly always the last one, or a new one after it.
        let index = (closed.lastIndex { $0.index <= part.index } ?? -1) + 1
        if index > 0, closed[index - 1].index == part.index {
            closed[index - 1] = joined(closed[index - 1], part, isLate: isLate)
        } else {
            closed.insert(part, at: index)
        }
        guard closed.count > Self.maximumIntervals else { return }
        span *= 2
        let parts = closed
        closed = []
        for var part in parts {
            part.index /= 2
            if let last = closed.last, last.index == part.index {
                closed[closed.count - 1] = joined(last, part)
            } else {
                closed.append(part)
            }
        }
    }

    /// An interval joined with the next one, or with a late part of it.
    private func joined(_ first: Closed, _ next: Closed, isLate: Bool = false) -> Closed {
        let latencies = spare.popLast() ?? LatencyCounts()
        latencies.add(first.counts)
        latencies.add(next.counts)
        var joined = first
        joined.interval.addCounts(next.interval)
        if !isLate { joined.interval.append(next.interval) }
        joined.interval.note(latencies)
        joined.counts = counts(latencies)
        return joined
    }

    var progress: Bench.Progress { lock.withLock { last } }

    /// All intervals in order, without overlap.
    func finish() -> [BenchResult.Interval] {
        lock.withLock {
            for index in open.keys.sorted() { close(index) }
            func whole(_ interval: BenchResult.Interval, _ counts: SparseCounts) -> BenchResult.Interval {
                var interval = interval
                if keepsHistograms, !counts.isEmpty { interval.counts = counts }
                return interval
            }
            var intervals = closed.map { whole($0.interval, $0.counts) }
            for index in intervals.indices.dropLast() {
                let next = max(intervals[index + 1].start, intervals[index].start)
                let (nextEnd, end) = (intervals[index + 1].end, min(intervals[index].end, next))
                intervals[index].length = end - intervals[index].start
                intervals[index + 1].start = next
                intervals[index + 1].length = max(nextEnd - next, 0)
            }
            if var drained = drain?.interval {
                drain?.latencies.map { drained.note($0) }
                intervals.append(whole(drained, counts(drain?.latencies)))
                drain = nil
            }
            return intervals
        }
    }
}

extension BenchResult.Interval {
    fileprivate mutating func note(_ latencies: LatencyCounts) {
        guard latencies.total > 0 else { return }
        (p50, p99, longest) = (latencies.percentile(50), latencies.percentile(99), latencies.maximum)
    }

    fileprivate var end: Double { start + length }

    fileprivate mutating func addCounts(_ other: Self) {
        done += other.done
        failed += other.failed
        sent += other.sent
        bytesReceived += other.bytesReceived
    }

    /// Adds the next one's time, and the streams in flight in it.
    fileprivate mutating func append(_ next: Self) {
        let (weight, end) = (length + next.length, max(end, next.end))
        if weight > 0 { inFlightMean = (inFlightMean * length + next.inFlightMean * next.length) / weight }
        length = end - start
        peakInFlight = max(peakInFlight, next.peakInFlight)
        connections = next.connections
        backlog = next.backlog
    }
}
