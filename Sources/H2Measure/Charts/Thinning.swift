/// Reduces the points of a long run, so that its page stays small and its lines readable.
enum Thinning {
    /// The most points of a line.
    static let maximumPoints = 600

    /// Joins just enough neighbouring intervals to keep their number within the limit.
    ///
    /// Counts are added, and means are weighted by time. p50 is weighted by the responses, while p99 and the longest time are
    /// the worst of the joined intervals, so that no spike is lost.
    static func joined(_ intervals: [BenchResult.Interval], to maximum: Int = maximumPoints) -> [BenchResult.Interval] {
        guard intervals.count > maximum, maximum > 0 else { return intervals }
        let each = (intervals.count + maximum - 1) / maximum
        return stride(from: 0, to: intervals.count, by: each).map { begin in
            join(intervals[begin..<min(begin + each, intervals.count)])
        }
    }

    private static func join(_ parts: ArraySlice<BenchResult.Interval>) -> BenchResult.Interval {
        var whole = BenchResult.Interval(start: parts.first?.start ?? 0, length: 0)
        var (middle, weights) = (0.0, 0.0)
        for part in parts {
            whole.length += part.length
            whole.done += part.done
            whole.failed += part.failed
            whole.sent += part.sent
            whole.bytesReceived += part.bytesReceived
            whole.inFlightMean += part.inFlightMean * part.length
            whole.peakInFlight = max(whole.peakInFlight, part.peakInFlight)
            whole.connections = max(whole.connections, part.connections)
            whole.backlog = max(whole.backlog, part.backlog)
            whole.p99 = max(whole.p99, part.p99)
            whole.longest = max(whole.longest, part.longest)
            guard part.hasLatencies else { continue }
            // Drained responses have latencies, but do not count as done.
            let weight = Double(max(part.done, 1))
            middle += Double(part.p50) * weight
            weights += weight
        }
        if whole.length > 0 { whole.inFlightMean /= whole.length }
        if weights > 0 { whole.p50 = UInt64(middle / weights) }
        return whole
    }

    /// The lowest and the highest point of each run of neighbours, in their order, so that the line keeps its outline.
    static func outline(_ points: [LineChart.Point], to maximum: Int = maximumPoints) -> [LineChart.Point] {
        guard points.count > maximum, maximum >= 2 else { return points }
        let runs = maximum / 2
        var result: [LineChart.Point] = []
        for run in 0..<runs {
            let part = points[(run * points.count / runs)..<((run + 1) * points.count / runs)]
            let known = part.indices.filter { points[$0].y != nil }
            guard let low = known.min(by: { points[$0].y! < points[$1].y! }),
                let high = known.max(by: { points[$0].y! < points[$1].y! })
            else {
                // All values are unknown: the gap stays.
                if let first = part.first { result.append(first) }
                continue
            }
            result.append(points[min(low, high)])
            if low != high { result.append(points[max(low, high)]) }
        }
        return result
    }
}
