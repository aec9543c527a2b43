/// The distribution of latencies, as bars for ranges that grow by a constant factor.
struct LatencyBars {
    private static let maximumSteps = 12
    private static let eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

    /// A range up to and including `limit`, in nanoseconds.
    struct Bar: Equatable {
        var limit: UInt64
        var count: Int
    }

    let bars: [Bar]
    private let total: Int

    init(_ distribution: Distribution) {
        total = distribution.count
        guard total > 0 else {
            bars = []
            return
        }
        let (lowest, highest) = (Double(max(distribution.min, 1)), Double(max(distribution.max, 1)))
        // Ranges narrower than a tenth of their value would show the histogram's own steps.
        let ratio = highest / lowest
        var steps = 1
        while steps < Self.maximumSteps, ratio > Self.power(1.1, steps) { steps += 1 }
        let factor = Self.root(ratio, steps)
        var limits: [UInt64] = []
        var limit = lowest
        for _ in 1..<max(steps, 1) {
            limit *= factor
            limits.append(UInt64(limit.rounded()))
        }
        limits.append(.max)
        var counts = [Int](repeating: 0, count: limits.count)
        for (value, count) in distribution.values { counts[limits.firstIndex { value <= $0 }!] += count }
        limits[limits.count - 1] = distribution.max
        bars = zip(limits, counts).map { Bar(limit: $0, count: $1) }
    }

    func lines(width: Int, style: TextStyle) -> [String] {
        guard let largest = bars.map(\.count).max(), largest > 0 else { return [] }
        let countWidth = max(grouped(largest).count, 5)
        // A narrow terminal omits first the shares, then the bars.
        let hasShares = width >= 30 + countWidth
        let room = width - 13 - countWidth - (hasShares ? 9 : 0)
        var seen = 0
        return bars.map { bar in
            seen += bar.count
            var line = "≤ " + rightAligned(timeText(bar.limit), 8)
            if room >= 4 {
                let cells = Self.cells(Double(bar.count) / Double(largest) * Double(room), isSomething: bar.count > 0)
                line += "  " + style.cyan(padded(cells, room))
            }
            line += " " + rightAligned(grouped(bar.count), countWidth)
            let share = fixed(Double(seen) / Double(total) * 100, 2)
            return hasShares ? line + style.dim(rightAligned(share, 7) + " %") : line
        }
    }

    /// A bar of the given length in characters, in steps of an eighth; the shortest one if it would vanish.
    private static func cells(_ length: Double, isSomething: Bool) -> String {
        let eighth = max(Int((length * 8).rounded()), isSomething ? 1 : 0)
        return String(repeating: "█", count: eighth / 8) + eighths[eighth % 8]
    }

    /// `value` to the power of 1/n, by bisection: the C library's pow is not worth an import.
    private static func root(_ value: Double, _ n: Int) -> Double {
        var (low, high) = (1.0, max(value, 1))
        for _ in 0..<100 {
            let middle = (low + high) / 2
            if power(middle, n) < value { low = middle } else { high = middle }
        }
        return high
    }

    private static func power(_ value: Double, _ n: Int) -> Double {
        (0..<n).reduce(1) { product, _ in product * value }
    }
}

/// A measurement's course as curves of block characters: the rate, the 99th percentile and the streams in flight.
struct TimeLine {
    private static let blocks = Array("▁▂▃▄▅▆▇█")
    private static let labelWidth = 11

    /// The content of one character: several intervals together.
    private struct Column {
        var length = 0.0
        var done = 0
        var failed = 0
        /// Nil if there was no response.
        var p99: UInt64?
        var inFlight = 0.0
        var most = 0
        var backlog = 0

        mutating func add(_ interval: BenchResult.Interval) {
            length += interval.length
            done += interval.done
            failed += interval.failed
            if interval.p99 > 0 { p99 = max(p99 ?? 0, interval.p99) }
            inFlight += interval.inFlightMean * interval.length
            most = max(most, interval.peakInFlight)
            backlog = max(backlog, interval.backlog)
        }

        var rate: Double { length > 0 ? Double(done) / length : 0 }
        var inFlightMean: Double { length > 0 ? inFlight / length : 0 }
    }

    private let intervals: [BenchResult.Interval]

    init(_ intervals: [BenchResult.Interval]) { self.intervals = intervals }

    /// Empty for fewer than two intervals, which show no course.
    func lines(width: Int, style: TextStyle) -> [String] {
        guard intervals.count >= 2, let first = intervals.first, let last = intervals.last else { return [] }
        // On a narrow terminal each range is below its curve.
        let isNarrow = width < 60
        let count = min(intervals.count, max(width - Self.labelWidth - (isNarrow ? 0 : 30), 8))
        var columns = [Column](repeating: Column(), count: count)
        for (index, interval) in intervals.enumerated() { columns[index * count / intervals.count].add(interval) }

        func line(_ label: String, _ values: [Double?], _ text: (Double) -> String) -> [String] {
            let known = values.compactMap { $0 }
            guard let low = known.min(), let high = known.max() else { return [] }
            let curve = padded(label, Self.labelWidth) + style.cyan(Self.curve(values, upTo: high))
            let range = "\(text(low)) to \(text(high))"
            guard isNarrow else { return [curve + style.dim("  " + range)] }
            return [curve] + wrapped(range, width: width - 2).map { style.dim("  " + $0) }
        }
        var lines =
            line("rate", columns.map(\.rate)) { "\(rateText($0))/s" }
            + line("raw p99", columns.map { $0.p99.map { Double($0) } }) { timeText(nanoseconds: $0) }
            + line("in flight", columns.map(\.inFlightMean)) { rateText($0) }
        if columns.contains(where: { $0.backlog > 0 }) {
            lines += line("backlog", columns.map { Double($0.backlog) }) { grouped(Int($0)) }
        }
        if columns.contains(where: { $0.failed > 0 }) {
            lines += line("failed", columns.map { Double($0.failed) }) { grouped(Int($0)) }
        }
        let span = timeText(seconds: last.start + last.length - first.start)
        let margin = padded("", isNarrow ? 2 : Self.labelWidth)
        lines += wrapped("\(span) from left to right", width: width - margin.count).map { style.dim(margin + $0) }
        return lines
    }

    /// From zero (the lowest block) to `most` (a full one); a space for an unknown value.
    static func curve(_ values: [Double?], upTo most: Double) -> String {
        String(
            values.map { value in
                guard let value else { return " " }
                guard most > 0, value.isFinite else { return blocks[0] }
                return blocks[min(max(Int((value / most * 7).rounded()), 0), 7)]
            })
    }
}
