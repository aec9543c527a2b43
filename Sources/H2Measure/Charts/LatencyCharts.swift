import H2Platform
import Histogram

/// The values recorded by a histogram, in ascending order: extracted once, since each access to a histogram scans its tens of
/// thousands of counters.
struct RecordedValues {
    private(set) var values: [UInt64] = []
    private(set) var counts: [UInt64] = []
    /// The number of recorded values up to each value.
    private(set) var sums: [UInt64] = []
    private(set) var total: UInt64 = 0

    init(_ histogram: TimeHistogram) {
        guard histogram.totalCount > 0 else { return }
        for step in histogram.recorded() {
            total += step.count
            values.append(min(step.value, histogram.maxRecorded))
            counts.append(step.count)
            sums.append(total)
        }
    }

    /// The value at a percentile, 0 to 100; nil if nothing was recorded.
    func value(at percentile: Double) -> UInt64? {
        guard total > 0 else { return nil }
        let wanted = max(1, UInt64((Double(total) * percentile / 100).nextDown.rounded(.up)))
        var (low, high) = (0, sums.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] >= wanted { high = middle } else { low = middle + 1 }
        }
        return values[low]
    }

    /// The value at a percentile, if there are enough values to support it.
    func reliableValue(at percentile: Double) -> UInt64? {
        percentile <= highestPercentile || percentile == 100 ? value(at: percentile) : nil
    }

    /// The highest percentile that this number of values can support.
    var highestPercentile: Double { total == 0 ? 0 : min(100 * (1 - 1 / Double(total)), 99.9999) }
}

/// Latency by percentile, on an axis that gives each further nine the same length.
package struct PercentileChart: Sendable {
    package var histograms: [(name: String, histogram: TimeHistogram)]

    package init(_ histograms: [(name: String, histogram: TimeHistogram)]) { self.histograms = histograms }

    /// The chart as inline SVG.
    package func svg() -> String { chart().svg() }

    package func chart() -> LineChart {
        var series: [LineChart.Series] = []
        for (name, histogram) in histograms {
            let recorded = RecordedValues(histogram)
            guard recorded.total > 0 else { continue }
            let points = Self.percentiles(upTo: recorded.highestPercentile).map {
                LineChart.Point($0, recorded.value(at: $0).map { Double($0) })
            }
            // If two lines coincide, the gaps of the upper one show the lower one.
            series.append(.init(name, points, stroke: series.isEmpty ? .line : .dashed))
        }
        let values = series.flatMap { $0.points.compactMap(\.y) }
        return LineChart(
            "Latency by percentile", x: ("percentile of requests", .percentile, .percentile),
            y: ("latency", .nanoseconds, .suiting(values)), series: series)
    }

    /// The percentiles to draw: even on the axis, including the round ones.
    static func percentiles(upTo highest: Double) -> [Double] {
        let end = Axis.nines(highest)
        var result = (0...Int(max(end, 0) * 24)).map { 100 * (1 - pow(10, -Double($0) / 24)) }
        result += [50, 75, 90, 95, 99, 99.9, 99.99, 99.999].filter { $0 <= highest }
        if highest > 0 { result.append(highest) }
        result.sort()
        // The power yields round percentiles only approximately, so skip near duplicates.
        return result.reduce(into: []) { if $1 - ($0.last ?? -1) > 1e-7 { $0.append($1) } }
    }
}

/// The distribution of latencies, in buckets that grow with the latency.
package struct DistributionChart: Sendable {
    /// Drawn as bars.
    package var histogram: TimeHistogram
    package var name: String
    /// Drawn as an outline over them.
    package var other: (name: String, histogram: TimeHistogram)?

    package init(
        _ name: String, _ histogram: TimeHistogram, other: (name: String, histogram: TimeHistogram)? = nil
    ) {
        self.name = name
        self.histogram = histogram
        self.other = other
    }

    /// A bucket: values above `lower`, up to `upper`.
    package struct Bucket: Sendable, Equatable {
        package var lower: Double
        package var upper: Double
        package var count: UInt64 = 0
    }

    /// The value up to which it is drawn: p99.9 of the bars, if enough values lie beyond to hide the shape of the others; nil
    /// for all of them.
    var end: UInt64? {
        let recorded = RecordedValues(histogram)
        guard recorded.total >= 1000, let end = recorded.value(at: 99.9), let most = recorded.values.last,
            Double(most) > 1.5 * Double(max(end, 1))
        else { return nil }
        return end
    }

    /// The number of the bars' values that are not drawn.
    package var beyond: Int {
        guard let end else { return 0 }
        let recorded = RecordedValues(histogram)
        return Int(clamping: zip(recorded.values, recorded.counts).reduce(UInt64(0)) { $0 + ($1.0 > end ? $1.1 : 0) })
    }

    /// The buckets that hold all of these values, or those up to `end`: about 90, but none narrower than the histogram's
    /// resolution.
    package static func buckets(of histograms: [TimeHistogram], upTo end: UInt64? = nil) -> [[Bucket]] {
        let recorded = histograms.map(RecordedValues.init)
        let known = recorded.filter { $0.total > 0 }
        guard let least = known.compactMap(\.values.first).min(),
            let most = end ?? known.compactMap(\.values.last).max()
        else {
            return histograms.map { _ in [] }
        }
        let lowest = Double(max(least, 1)) / 1.01
        let highest = max(Double(most) * 1.001, lowest * 1.1)
        let count = max(1, min(90, Int(log(highest / lowest) / log(1.02))))
        let ratio = pow(highest / lowest, 1 / Double(count))
        return recorded.map { recorded in
            var buckets = (0..<count).map {
                Bucket(lower: lowest * pow(ratio, Double($0)), upper: lowest * pow(ratio, Double($0 + 1)))
            }
            for (value, number) in zip(recorded.values, recorded.counts) where value <= end ?? .max {
                let bucket = Int(log(Double(max(value, 1)) / lowest) / log(ratio))
                buckets[min(max(bucket, 0), count - 1)].count += number
            }
            return buckets
        }
    }

    /// The chart as inline SVG.
    package func svg() -> String {
        let all = [histogram] + (other.map { [$0.histogram] } ?? [])
        let buckets = Self.buckets(of: all, upTo: end)
        let bars = buckets[0]
        let edges = bars.isEmpty ? [] : [bars[0].lower * 1.000001, bars[bars.count - 1].upper]
        let x = Axis(
            "latency (log scale)", unit: .nanoseconds, scale: .logarithmic(base: 10), covering: edges, ticks: 5)
        let y = Axis(
            "responses", unit: .count, covering: buckets.joined().map { Double($0.count) }, ticks: 4)
        var legend: [ChartFrame.LegendEntry] = []
        if let other {
            legend = [
                .init(name: name, colour: "c1", sign: .square), .init(name: other.name, colour: "c2", sign: .line),
            ]
        }
        let values = RecordedValues(histogram)
        let marks = [50.0, 99, 99.9].filter { $0 == 50 || $0 <= values.highestPercentile }.compactMap { percentile in
            values.value(at: percentile).map {
                ChartFrame.Mark(
                    value: Double($0),
                    label: "p\(ChartUnit.plain(percentile)) \(ChartUnit.nanoseconds.text(Double($0)))")
            }
        }
        let frame = ChartFrame(.half, x: x, y: y, legend: legend, marks: marks)
        var content = ""
        for (index, bucket) in bars.enumerated() {
            content += bar(bucket, other: buckets.count > 1 ? buckets[1][index] : nil, in: frame)
        }
        if buckets.count > 1 { content += outline(buckets[1], in: frame) }
        content += frame.lines(of: marks)
        if beyond > 0 {
            content += ChartFrame.text(
                "\(grouped(beyond)) beyond →", x: frame.right, y: frame.top + 12, "end halo")
        }
        return frame.drawing(label: "Distribution of latency", isEmpty: bars.isEmpty, content)
    }

    private func bar(_ bucket: Bucket, other: Bucket?, in frame: ChartFrame) -> String {
        guard bucket.count > 0 || (other?.count ?? 0) > 0, let begin = frame.px(bucket.lower),
            let end = frame.px(bucket.upper), let top = frame.py(Double(bucket.count))
        else { return "" }
        let unit = ChartUnit.nanoseconds
        var tip = "\(unit.text(bucket.lower)) to \(unit.text(bucket.upper))\n"
        tip += "\(self.other == nil ? "" : name + ": ")\(grouped(Int(bucket.count))) responses"
        if let other, let name = self.other?.name { tip += "\n\(name): \(grouped(Int(other.count)))" }
        // One response must be visible beside a million.
        let height = max(frame.bottom - top, bucket.count > 0 ? 1.5 : 0)
        let left = Markup.coordinate(begin)
        let width = Markup.coordinate(max(end - begin - 0.8, 1))
        return "<g><rect class=\"fill c1\" x=\"\(left)\" y=\"\(Markup.coordinate(frame.bottom - height))\" "
            + "width=\"\(width)\" height=\"\(Markup.coordinate(height))\"/>"
            + "<rect class=\"hover\" x=\"\(left)\" y=\"\(Markup.coordinate(frame.top))\" width=\"\(width)\" "
            + "height=\"\(Markup.coordinate(frame.bottom - frame.top))\"/><title>\(Markup.escaped(tip))</title></g>"
    }

    private func outline(_ buckets: [Bucket], in frame: ChartFrame) -> String {
        guard let first = buckets.first, let begin = frame.px(first.lower) else { return "" }
        var path = "M\(Markup.coordinate(begin)) \(Markup.coordinate(frame.bottom))"
        for bucket in buckets {
            guard let end = frame.px(bucket.upper), let top = frame.py(Double(bucket.count)) else { continue }
            path += "V\(Markup.coordinate(top))H\(Markup.coordinate(end))"
        }
        return "<path class=\"series c2\" d=\"\(path)V\(Markup.coordinate(frame.bottom))\"/>"
    }
}
