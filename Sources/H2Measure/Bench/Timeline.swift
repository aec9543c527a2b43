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
    }

    private struct Open {
        var interval: BenchResult.Interval
        var latencies: LatencyCounts
        var reports = 0
    }

    private let lock = PthreadLock()
    private let loops: Int
    private let keepsHistograms: Bool
    private var open: [Int: Open] = [:]
    private var closed: [(index: Int, interval: BenchResult.Interval)] = []
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
            entry.reports += 1
            open[part.index] = entry
            last.elapsed = max(last.elapsed, part.end)
            last.done += part.done
            last.failed += part.failed
            if entry.reports == loops { close(part.index) }
            // A loop that was held up for long leaves intervals out: nobody waits for those.
            while open.count > 4, let oldest = open.keys.min() { close(oldest) }
        }
    }

    private func close(_ index: Int) {
        guard var entry = open.removeValue(forKey: index) else { return }
        if entry.latencies.total > 0 {
            entry.interval.p50 = entry.latencies.percentile(50)
            entry.interval.p99 = entry.latencies.percentile(99)
            entry.interval.longest = entry.latencies.most
            if keepsHistograms { entry.interval.latency = entry.latencies.trimmedHistogram() }
            entry.latencies.reset()
        }
        spare.append(entry.latencies)
        closed.append((index, entry.interval))
        last.inFlight = Int(entry.interval.inFlightMean.rounded())
        last.connections = entry.interval.connections
        (last.p50, last.p99) = (entry.interval.p50, entry.interval.p99)
        let recent = closed.suffix(10).map(\.interval)
        let time = recent.reduce(0) { $0 + $1.length }
        last.rate = time > 0 ? Double(recent.reduce(0) { $0 + $1.done }) / time : 0
    }

    var progress: Bench.Progress { lock.withLock { last } }

    /// All intervals in order.
    func finish() -> [BenchResult.Interval] {
        lock.withLock {
            for index in open.keys.sorted() { close(index) }
            return closed.sorted { $0.index < $1.index }.map(\.interval)
        }
    }
}
