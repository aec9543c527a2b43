import Histogram

/// A distribution in the format of HdrHistogram's plotters (`.hgrm`), in milliseconds: five lines for each halving of the
/// fraction above, and a last one for the largest value.
///
/// hdrhistogram-swift's own output is not used: it multiplies values by counts in 64 bits, and it never ends if one value has
/// nearly all of 2^63 counts, since its levels stop moving.
struct PercentileText {
    private static let linesEachHalf = 5

    private let histogram: TimeHistogram

    init(_ histogram: TimeHistogram) { self.histogram = histogram }

    var text: String {
        var text =
            rightAligned("Value", 12) + " " + rightAligned("Percentile", 14) + " " + rightAligned("TotalCount", 10)
            + " " + rightAligned("1/(1-Percentile)", 14) + "\n\n"
        let total = histogram.totalCount
        var seen: UInt64 = 0
        var level = Level()
        for (value, count) in histogram.recorded() {
            seen += count
            let rest = total - seen
            // The number above decides, since it is exact while a percentile near 1 is not. Once it is 0 all levels are
            // reached, and one line for them is enough.
            while Double(rest) <= level.above * Double(total) {
                text += line(value, level, seen)
                level.next(Self.linesEachHalf)
                if rest == 0 { break }
            }
            if rest == 0 { text += line(value, nil, seen) }
        }
        let distribution = Distribution(histogram)
        let layout = HistogramLayout.nanoseconds
        func ms(_ nanoseconds: Double) -> String { rightAligned(fixed(nanoseconds / 1e6, 3), 12) }
        text += "#[Mean    = \(ms(distribution.mean)), StdDeviation   = \(ms(distribution.deviation))]\n"
        text += "#[Max     = \(ms(Double(histogram.max))), Total count    = \(rightAligned(String(total), 12))]\n"
        text += "#[Buckets = \(rightAligned(String(layout.bucketCount), 12)), SubBuckets     = "
        text += "\(rightAligned(String(layout.subBucketCount), 12))]\n"
        return text
    }

    /// - Parameter level: nil for the last line, of all values.
    private func line(_ value: UInt64, _ level: Level?, _ count: UInt64) -> String {
        let begin =
            rightAligned(fixed(Double(value) / 1e6, 3), 12) + " " + fixed(1 - (level?.above ?? 0), 12) + " "
            + rightAligned(String(count), 10)
        return begin + (level.map { " " + rightAligned(Self.inverse($0.above), 14) } ?? "") + "\n"
    }

    /// With two decimals; above 10^15 a Double has none, so they are zeros.
    private static func inverse(_ part: Double) -> String {
        let value = 1 / part
        return value < 1e15 ? fixed(value, 2) : "\(UInt64(min(value, 1.8e19))).00"
    }

    /// A percentile that has a line, as the largest fraction of all values that may be above it.
    private struct Level {
        private var half = 1.0
        private var step = 0

        /// 1, 0.9, 0.8, 0.7, 0.6; 0.5, 0.45, 0.4, 0.35, 0.3; 0.25 …: never 0.
        var above: Double { half * (1 - Double(step) / 10) }

        mutating func next(_ steps: Int) {
            step += 1
            if step == steps { (half, step) = (half / 2, 0) }
        }
    }
}
