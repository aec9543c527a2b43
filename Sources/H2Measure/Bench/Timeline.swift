internal import H2Client

/// What all loops of a measurement have seen, by intervals: each loop reports its part at the end of each.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock, which is taken a few times a second.
final class Timeline: @unchecked Sendable {
    /// One loop's part of an interval.
    struct Part {
        var index: Int
        /// Seconds since the measurement began.
        var start: Double
        var end: Double
        var sent = 0
        var done = 0
        var failed = 0
        var bytesReceived = 0
        var inFlightMean = 0.0
        var inFlightMost = 0
        var connections = 0
        var backlog = 0
        /// Of the time after the deadline.
        var isDrain = false
        /// Whose it is, from 0.
        var loop = 0
    }

    private struct Open {
        var interval: BenchResult.Interval
        var latencies: LatencyCounts
        /// The loops that have reported.
        var loops: [Int] = []
    }

    private let lock = PthreadLock()
    private let loops: Int
    private let keepsHistograms: Bool
    /// How many intervals are kept. When there are more, each two become one: so memory does not grow with the time that a
    /// number of requests takes.
    static let most = 1_200

    private struct Closed {
        /// Of the intervals as they are kept.
        var index: Int
        var interval: BenchResult.Interval
        var counts: SparseCounts
    }

    private var open: [Int: Open] = [:]
    /// The last part of each loop.
    private var latest: [Int: Part] = [:]
    private var closed: [Closed] = []
    /// How many of the loops' intervals one of those that are kept has.
    private var span = 1
    /// The last ones, for the rate.
    private var recent = Ring<(done: Int, length: Double)>(capacity: 16)
    private var last = Bench.Progress()
    /// Of intervals that are over.
    private var spare: [LatencyCounts] = []

    init(loops: Int, keepsHistograms: Bool) {
        self.loops = loops
        self.keepsHistograms = keepsHistograms
    }

    func add(_ part: Part, _ recorder: Recorder) {
        lock.withLock {
            var entry =
                open.removeValue(forKey: part.index)
                ?? Open(
                    interval: BenchResult.Interval(start: part.start, length: part.end - part.start),
                    latencies: spare.popLast() ?? LatencyCounts())
            entry.interval.length = max(entry.interval.length, part.end - entry.interval.start)
            entry.interval.sent += part.sent
            entry.interval.done += part.done
            entry.interval.failed += part.failed
            entry.interval.bytesReceived += part.bytesReceived
            entry.interval.inFlightMean += part.inFlightMean
            entry.interval.inFlightMost += part.inFlightMost
            entry.interval.connections += part.connections
            entry.interval.backlog += part.backlog
            recorder.addLatencies(to: entry.latencies)
            entry.loops.append(part.loop)
            entry.interval.isDrain = part.isDrain
            open[part.index] = entry
            latest[part.loop] = part
            last.elapsed = max(last.elapsed, part.end)
            last.done += part.done
            last.failed += part.failed
            if entry.loops.count == loops { close(part.index) }
            // A loop that was held up for long leaves intervals out: nobody waits for those.
            while open.count > 4, let oldest = open.keys.min() { close(oldest) }
        }
    }

    private func close(_ index: Int) {
        guard let entry = open.removeValue(forKey: index) else { return }
        var interval = entry.interval
        interval.note(entry.latencies)
        // A loop that was late left this interval out, and had its connections and requests all the same.
        for (loop, part) in latest where part.index > index && !part.isDrain && !entry.loops.contains(loop) {
            interval.inFlightMean += part.inFlightMean
            interval.inFlightMost += part.inFlightMost
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
        keep(Closed(index: index / span, interval: interval, counts: entry.latencies.sparse()))
        entry.latencies.reset()
        spare.append(entry.latencies)
    }

    private func keep(_ part: Closed) {
        // They end about in order.
        if let place = closed.suffix(8).lastIndex(where: { $0.index == part.index }) {
            closed[place] = joined(closed[place], part)
        } else {
            closed.append(part)
        }
        guard closed.count > Self.most else { return }
        span *= 2
        let parts = closed.sorted { $0.index < $1.index }
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

    /// Two parts of one interval, whichever was first.
    private func joined(_ one: Closed, _ other: Closed) -> Closed {
        let (first, second) = one.interval.start <= other.interval.start ? (one, other) : (other, one)
        let latencies = spare.popLast() ?? LatencyCounts()
        latencies.add(one.counts)
        latencies.add(other.counts)
        var joined = first
        joined.interval.append(second.interval)
        joined.interval.note(latencies)
        joined.counts = latencies.sparse()
        latencies.reset()
        spare.append(latencies)
        return joined
    }

    var progress: Bench.Progress { lock.withLock { last } }

    /// All intervals in order.
    func finish() -> [BenchResult.Interval] {
        lock.withLock {
            for index in open.keys.sorted() { close(index) }
            return closed.sorted { $0.interval.start < $1.interval.start }.map { part in
                var interval = part.interval
                if keepsHistograms, !part.counts.isEmpty { interval.counts = part.counts }
                return interval
            }
        }
    }
}

extension BenchResult.Interval {
    fileprivate mutating func note(_ latencies: LatencyCounts) {
        guard latencies.total > 0 else { return }
        (p50, p99, longest) = (latencies.percentile(50), latencies.percentile(99), latencies.most)
    }

    /// Adds the next one, but for its latencies.
    fileprivate mutating func append(_ next: Self) {
        let (weight, end) = (length + next.length, max(start + length, next.start + next.length))
        if weight > 0 { inFlightMean = (inFlightMean * length + next.inFlightMean * next.length) / weight }
        length = end - start
        inFlightMost = max(inFlightMost, next.inFlightMost)
        done += next.done
        failed += next.failed
        sent += next.sent
        bytesReceived += next.bytesReceived
        connections = next.connections
        backlog = next.backlog
    }
}
