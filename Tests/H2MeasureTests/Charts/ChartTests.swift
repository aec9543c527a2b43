import H2Measure
import Histogram
import H2TestSupport
import Testing

@Suite(.inTurn) struct ChartTests {
    private func chart(
        _ points: [LineChart.Point], scale: Axis.Scale = .linear, stroke: LineChart.Stroke = .line
    ) -> LineChart {
        LineChart(
            "A chart", x: ("time", .seconds, .linear), y: ("latency", .nanoseconds, scale),
            series: [.init("p99", points, stroke: stroke)])
    }

    private func lines(_ svg: String) -> [Substring] {
        svg.split(separator: "<path").filter { $0.hasPrefix(" class=\"series") }
    }

    // MARK: Lines

    @Test(arguments: [Axis.Scale.linear, .logarithmic(base: 10)], [LineChart.Stroke.line, .dashed, .area, .dotted])
    func `A chart of nothing says so`(_ scale: Axis.Scale, _ stroke: LineChart.Stroke) {
        for points in [[], [LineChart.Point(1, nil)], [.init(1, .nan)], [.init(.infinity, 3)]] {
            let svg = chart(points, scale: scale, stroke: stroke).svg()
            #expect(svg.contains(">no data<"))
            MarkupCheck.expectWellFormed(svg)
        }
    }

    @Test func `One point is a dot`() {
        let svg = chart([.init(1, 5e6)]).svg()
        #expect(svg.contains("<circle"))
        #expect(lines(svg).isEmpty)
        MarkupCheck.expectWellFormed(svg)
    }

    @Test func `Zeros are a line on the ground`() throws {
        let svg = chart([.init(0, 0), .init(1, 0), .init(2, 0)]).svg()
        #expect(lines(svg).count == 1)
        MarkupCheck.expectWellFormed(svg)
    }

    @Test func `A line is broken where nothing is known`() {
        let svg = chart([.init(0, 1), .init(1, 2), .init(2, nil), .init(3, 3), .init(4, 1)]).svg()
        #expect(lines(svg).count == 2)
    }

    @Test func `A logarithmic line is broken at zero`() {
        let points = [LineChart.Point(0, 1), .init(1, 2), .init(2, 0), .init(3, 3), .init(4, 1)]
        #expect(lines(chart(points, scale: .logarithmic(base: 10)).svg()).count == 2)
    }

    @Test func `A long line is thinned and keeps its peak`() {
        var points = (0..<50_000).map { LineChart.Point(Double($0), 1e6) }
        points[31_234].y = 9e6
        let thinned = chart(points).svg()
        points[31_234].y = 1e6
        #expect(thinned.utf8.count < 40_000)
        #expect(thinned != chart(points).svg())
        #expect(thinned.contains(">10 ms<") || thinned.contains(">8 ms<"))
    }

    @Test func `Names and figures stand in the tips`() {
        let svg = chart([.init(0, 1.5e6), .init(1, 2.5e6)]).svg()
        #expect(svg.contains("<title>1.00 s\np99: 2.50 ms</title>"))
        #expect(svg.contains("role=\"img\" aria-label=\"A chart\""))
    }

    @Test func `Marks, notes and levels are named`() {
        var chart = chart([.init(0, 1e6), .init(10, 2e6)])
        chart.marks = [(5, "<stall>")]
        chart.notes = [.init(x: 4, y: 1.5e6, label: "<knee>")]
        chart.levels = [.init(y: 3e6, label: "<limit>")]
        let svg = chart.svg()
        for name in ["stall", "knee", "limit"] { #expect(svg.contains(">&lt;\(name)&gt;</text>")) }
        // The level is beyond all points, and still within the drawing.
        #expect(svg.contains(">3 ms<"))
        MarkupCheck.expectWellFormed(svg)
    }

    // MARK: Bars

    @Test func `Bars have their values and spread`() {
        let svg = BarChart(
            "Bars", unit: .nanoseconds,
            rows: [.init("one", [.bar(.init(2e6, spread: 1e6...3e6))]), .init("two", [.bar(.init(0))])]
        ).svg()
        #expect(svg.contains(">2.00 ms</text>"))
        #expect(svg.contains("<title>one: 2.00 ms (1.00 ms to 3.00 ms)</title>"))
        #expect(svg.contains("class=\"whisker\""))
        MarkupCheck.expectWellFormed(svg)
    }

    @Test func `A bar that is missing says why once`() {
        let svg = BarChart(
            "Bars", unit: .count, scale: .logarithmic(base: 10), series: ["a", "b"],
            rows: [
                .init("one", [.missing("no <h2>"), .missing("no <h2>")]),
                .init("two", [.bar(.init(.nan)), .bar(.init(3))]),
            ]
        ).svg()
        #expect(svg.ranges(of: ">no &lt;h2&gt;</text>").count == 1)
        MarkupCheck.expectWellFormed(svg)
    }

    /// On a logarithmic axis a bar a quarter as long is not a quarter as much.
    @Test func `A logarithmic axis has dots instead of bars`() {
        let rows = [
            BarChart.Row("one", [.bar(.init(306e6, spread: 300e6...400e6))]), .init("two", [.bar(.init(9.18e9))]),
        ]
        let logarithmic = BarChart("Bars", unit: .nanoseconds, scale: .logarithmic(base: 10), rows: rows).svg()
        #expect(logarithmic.ranges(of: "<circle class=\"fill").count == 2)
        #expect(!logarithmic.contains("<rect class=\"fill"))
        let linear = BarChart("Bars", unit: .nanoseconds, rows: rows).svg()
        #expect(linear.ranges(of: "<rect class=\"fill").count == 2)
        #expect(!linear.contains("<circle"))
        MarkupCheck.expectWellFormed(logarithmic)
    }

    @Test func `A few slow responses do not squeeze the distribution`() {
        var histogram = TimeHistogram.nanoseconds()
        for index in 0..<20_000 { histogram.record(UInt64(1_000_000 + index * 50)) }
        for _ in 0..<7 { histogram.record(60_000_000_000) }
        let chart = DistributionChart("corrected", histogram)
        // Those above p99.9 but for such as share its count.
        #expect((7...20).contains(chart.beyond))
        let svg = chart.svg()
        #expect(svg.contains(">\(chart.beyond) beyond →</text>"))
        #expect(!svg.contains(">1 s<") && !svg.contains(">10 s<"))
        // Where the slowest belong to the others, all is drawn.
        var even = TimeHistogram.nanoseconds()
        for index in 0..<20_000 { even.record(UInt64(1_000_000 + index * 50)) }
        #expect(DistributionChart("corrected", even).beyond == 0)
    }

    @Test func `No bars at all are borne`() {
        for rows in [
            [], [BarChart.Row("x", [.missing("why")])], [BarChart.Row("x", [])], [.init("x", [.bar(.init(0))])],
        ] {
            MarkupCheck.expectWellFormed(BarChart("Bars", unit: .count, rows: rows).svg())
            MarkupCheck.expectWellFormed(
                BarChart("Bars", unit: .count, scale: .logarithmic(base: 10), series: ["a", "b"], rows: rows).svg())
        }
    }

    // MARK: Latency

    @Test func `Buckets hold each response once`() {
        let result = Sample.result(intervals: 1)
        let buckets = DistributionChart.buckets(of: [result.latency, result.corrected])
        #expect(buckets[0].reduce(0) { $0 + $1.count } == UInt64(result.latency.totalCount))
        #expect(buckets[1].reduce(0) { $0 + $1.count } == UInt64(result.corrected.totalCount))
        #expect(buckets[0].map(\.upper) == buckets[0].map(\.upper).sorted())
    }

    @Test func `A bucket holds what its edges say`() throws {
        var histogram = TimeHistogram.nanoseconds()
        histogram.record(1_000_000, count: 3)
        histogram.record(40_000_000, count: 2)
        let buckets = DistributionChart.buckets(of: [histogram])[0]
        let filled = buckets.filter { $0.count > 0 }
        #expect(filled.map(\.count) == [3, 2])
        #expect(filled[0].lower <= 1_000_000 && filled[0].upper >= 1_000_000)
        #expect(filled[1].lower <= 40_000_000 && filled[1].upper >= 40_000_000 * 0.999)
    }

    @Test(arguments: [[], [0], [1], [5_000_000], [TimeHistogram.longest], [1, TimeHistogram.longest]])
    func `Few latencies are drawn too`(_ values: [UInt64]) {
        var histogram = TimeHistogram.nanoseconds()
        for value in values { histogram.record(value) }
        let distribution = DistributionChart("raw", histogram, other: ("corrected", histogram)).svg()
        let percentiles = PercentileChart([("raw", histogram), ("none", .nanoseconds())]).svg()
        #expect(distribution.contains(">no data<") == values.isEmpty)
        #expect(percentiles.contains(">no data<") == values.isEmpty)
        MarkupCheck.expectWellFormed(distribution)
        MarkupCheck.expectWellFormed(percentiles)
    }

    @Test func `The curve by percentile has the histogram's figures`() throws {
        let result = Sample.result(intervals: 1)
        let series = try #require(PercentileChart([("raw", result.latency)]).chart().series.first)
        for percentile in [50, 90, 99, 99.9] {
            let point = try #require(series.points.first { $0.x == percentile })
            #expect(point.y == Double(result.latency.valueAtPercentile(percentile)))
        }
        // So many values say nothing of a percentile beyond all but one of them.
        #expect(try #require(series.points.last).x < 100)
        #expect(series.points.map(\.x) == series.points.map(\.x).sorted())
    }
}
