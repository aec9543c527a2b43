import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct TerminalChartTests {
    private func chart(width: Int = 60, height: Int = 12) -> TerminalChart {
        let points = Sample.sweep().points
        let series = [1, 2, 4].map { count in
            TerminalChart.Series(
                "\(count) connections",
                points.filter { $0.setting.connections == count }.map { .init(Double($0.setting.streams), $0.rate) })
        }
        return TerminalChart(
            x: ("streams", .count, .logarithmic(base: 2)), y: ("requests/s", .count, .linear), series: series,
            width: width, height: height)
    }

    @Test(arguments: [(30, 6), (40, 10), (80, 16), (133, 40), (300, 100)])
    func `It fits its place`(_ width: Int, _ height: Int) {
        let lines = chart(width: width, height: height).lines()
        #expect(lines.allSatisfy { $0.count <= width })
        // A narrow one has its legend in several lines.
        #expect((height...height + 3).contains(lines.count))
    }

    @Test(arguments: [(0, 0), (-5, -5), (1, 1), (12, 3)])
    func `A place that is too small is borne`(_ width: Int, _ height: Int) {
        #expect(chart(width: width, height: height).lines().count >= 6)
    }

    @Test func `Axes, legend and signs are there`() {
        let text = chart().lines().joined(separator: "\n")
        for part in [
            "requests/s", "● 1 connections", "▲ 2 connections", "■ 4 connections", "40k ┤", "0 ┤", "└", "streams",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(text.unicodeScalars.contains { (0x2801...0x28FF).contains($0.value) })
        #expect(!text.contains("\u{1B}"))
    }

    @Test func `The knee has its own sign`() {
        var chart = chart()
        chart.highlight = chart.series[2].points[5]
        #expect(chart.lines().joined().contains("◉"))
    }

    @Test func `Colours end where they begin`() {
        var chart = chart()
        chart.hasColour = true
        for line in chart.lines() {
            #expect(line.ranges(of: "\u{1B}[0m").count * 2 == line.ranges(of: "\u{1B}[").count)
        }
        #expect(chart.lines().joined().contains("\u{1B}[34m"))
    }

    @Test func `A rising line ends above its beginning`() throws {
        let points = (0...100).map { LineChart.Point(Double($0), Double($0)) }
        let lines = TerminalChart(
            x: ("", .count, .linear), y: ("", .count, .linear), series: [.init("", points)], width: 40, height: 14
        ).lines()
        let rows = lines.filter { $0.contains("┤") || $0.contains("│") }
        let positions = try rows.map { row in
            try #require(row.lastIndex { ("\u{2801}"..."\u{28FF}").contains($0) }).utf16Offset(in: row)
        }
        #expect(positions == positions.sorted(by: >))
    }

    @Test func `A chart of nothing says so`() {
        var chart = chart()
        chart.series = [.init("x", [.init(1, nil)])]
        #expect(chart.lines() == ["requests/s", "  no data"])
    }

    @Test(arguments: [[0.0], [5], [0, 0, 0], [Double.nan, 3]])
    func `Few points are drawn`(_ values: [Double]) {
        var chart = chart()
        chart.series = [.init("x", values.enumerated().map { .init(Double($0.offset + 1), $0.element) })]
        #expect(chart.lines().joined().contains("●"))
    }
}
