import H2Client
import HTTPTypes
import Histogram
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct BenchSummaryTests {
    private func summary(
        _ result: BenchResult, _ plan: BenchPlan = samplePlan(), width: Int = 80, color: Bool = false
    ) -> String {
        BenchSummary(result, plan, verdicts: Verdict.all(result, plan), width: width, color: color).text
    }

    @Test func `It says what ran and what came of it`() {
        let text = summary(sampleResult())
        for part in [
            "h2get bench: GET https://127.0.0.1:8443/3\n  200,000 requests · 4 connections × 10 streams · 2 threads",
            "HTTP/2 over TLSv1.3 (TLS_AES_256_GCM_SHA384)", "the server allows 128",
            "Requests     200,000 sent = 200,000 done + 0 failed + 0 aborted\n",
            "Rate         20,000 responses/s over 10.0 s\n", "Status       200,000 2xx\n",
            "1.0 MB of headers for 20.0 MB: 95.0 % saved", "4 opened, at most 4 at once; 4 TLS handshakes, 0 resumed",
            "5.00 s of CPU (50.0 % of one processor), 25.0 µs a response", "ok: These figures can be trusted",
        ] { #expect(text.contains(part), "\(part) is not in \(text)") }
        #expect(!text.contains("Errors") && !text.contains("Waits"))
    }

    @Test func `The last line has the figures that are looked for first`() {
        let last = summary(sampleResult()).split(separator: "\n").last
        #expect(last == "Result: 20,000 responses/s · p50 1.49 ms · p99 1.98 ms (corrected) · 0 errors")
        #expect(summary(BenchResult()).hasSuffix("Result: 0.00 responses/s · 0 errors\n"))
    }

    @Test func `It says who measured and when`() {
        let context = ReportContext(program: "h2get 1.2.3", commandLine: "h2get bench x")
        let text = BenchSummary(
            sampleResult(), samplePlan(), verdicts: [], context: context, width: 80, color: false
        ).text
        #expect(text.contains("  h2get 1.2.3 · 2015-09-09 15:24:39 UTC\n  h2get bench x\n"))
    }

    @Test func `Conditions are said`() throws {
        let outcomes = try [FailCondition("p99>1ms"), FailCondition("errors>0.1%")].judge(sampleResult())
        let text = BenchSummary(
            sampleResult(), samplePlan(), verdicts: [], outcomes: outcomes, width: 120, color: false
        ).text
        #expect(text.contains("failed: p99 is 1.98 ms (--fail-if p99>1ms)\n"))
        #expect(text.contains("ok: errors: 0 of 200,000 requests, which is 0.000 % (--fail-if errors>0.1%)\n"))
    }

    @Test func `An error page's share is in the last line`() {
        var result = sampleResult()
        (result.statuses[200], result.statuses[503]) = (50_000, 150_000)
        #expect(summary(result).hasSuffix("· 0 errors ·\n  150,000 with status 4xx or 5xx\n"), "\(summary(result))")
        var plan = samplePlan()
        plan.expectation = BenchPlan.Expectation(statuses: [200, 503])
        #expect(summary(result, plan).hasSuffix("· 0 errors\n"))
        // Nor is it red then.
        #expect(summary(result, color: true).contains("\u{1b}[31m50,000 2xx"))
        #expect(!summary(result, plan, color: true).contains("\u{1b}[31m50,000 2xx"))
    }

    @Test func `An interval without a response has no latency`() {
        var intervals = sampleResult().intervals
        for index in [3, 4] { intervals[index] = BenchResult.Interval(start: Double(index), length: 1) }
        let style = TextStyle(color: false)
        let p99 = TimeLine(intervals).lines(width: 80, style: style).first { $0.hasPrefix("raw p99") }
        #expect(p99 == "raw p99    ███  █████  1.98 ms to 1.98 ms")
        let none = (0..<4).map { BenchResult.Interval(start: Double($0), length: 1) }
        #expect(!TimeLine(none).lines(width: 80, style: style).joined().contains("p99"))
    }

    @Test func `It says everything that went wrong`() {
        var result = fullResult()
        result.end = .complete
        let text = summary(result, width: 120)
        for part in [
            "200,012 sent = 200,000 done + 7 failed + 5 aborted (3 done after the end, 2",
            "5 × stream reset by the server: REFUSED_STREAM",
            "2 × GOAWAY: \\x1b]0;x\\x07\\u{202e}\\x0a\\", "200: 199,950, 503: 30, 404: 20",
            "  lost       3 × GOAWAY NO_ERROR",
            "  failed     1 × timed out",
            "Waits        2.00 s for a stream (100 requests) (0.7 % of all requests' time)",
            "backlog", "failed  ", "warning: ", "note: ",
        ] { #expect(text.contains(part), "\(part) is not in \(text)") }
    }

    /// With hostile text, whatever the width.
    @Test(arguments: [20, 30, 40, 50, 60, 72, 80, 100, 120, 200])
    func `No line is wider than the terminal`(_ width: Int) {
        var plan = samplePlan()
        plan.requests[0].request.path = "/" + String(repeating: "long", count: 100)
        plan.pace = .arrivals(from: 1, to: 100_000, ramp: .seconds(5))
        for line in summary(fullResult(), plan, width: width).split(separator: "\n") {
            #expect(line.count <= width, "\(line)")
        }
    }

    @Test func `Without colours there is no escape`() {
        let plain = summary(fullResult())
        #expect(!plain.contains("\u{1b}"))
        let coloured = summary(fullResult(), color: true)
        #expect(coloured.contains("\u{1b}[1m"))
        // Nothing but colours differs.
        var stripped = coloured
        for code in ["0", "1", "2", "31", "32", "33", "36"] { stripped.replace("\u{1b}[\(code)m", with: "") }
        #expect(stripped == plain)
    }

    @Test func `A result of nothing is no trouble`() {
        let text = summary(BenchResult())
        #expect(text.contains("0 sent = 0 done + 0 failed + 0 aborted"))
        #expect(text.contains("no connection"))
        #expect(text.contains("warning: No request was answered"))
        #expect(!text.contains("p50"))
    }

    // MARK: Percentiles

    @Test func `Percentiles above which few samples lie are marked`() {
        let table = PercentileTable([("latency", sampleResult().latency), ("connect", sampleResult().connect)])
        let lines = table.lines(width: 80, style: TextStyle(color: false))
        #expect(lines[0] == "             latency     connect ")
        #expect(lines.contains("p50          1.49 ms      110 µs*"))
        #expect(lines.contains("p99.99       1.99 ms      130 µs*"))
        #expect(lines.contains("max          1.99 ms      130 µs "))
        #expect(lines.contains("samples      200,000           4 "))
        #expect(lines.last == "* fewer than 10 samples lie above it")
    }

    @Test func `Columns that do not fit follow below`() {
        let histogram = sampleResult().latency
        let table = PercentileTable((1...7).map { ("series \($0)", histogram) })
        let lines = table.lines(width: 60, style: TextStyle(color: false))
        #expect(lines.allSatisfy { $0.count <= 60 })
        #expect(lines.filter { $0.hasPrefix("p99.9 ") }.count == 2)
        #expect(lines.joined().contains("series 7"))
    }

    @Test func `A distribution says what the histogram does`() {
        let histogram = fullResult().corrected
        let distribution = Distribution(histogram)
        #expect(distribution.count == Int(histogram.totalCount))
        #expect(distribution.min == histogram.min)
        #expect(distribution.max == histogram.maxRecorded)
        #expect(abs(distribution.mean - histogram.mean) < 1)
        #expect(abs(distribution.deviation - histogram.stdDeviation) < 1)
        for (percentile, value) in zip(Percentile.shown, [50, 75, 90, 95, 99, 99.9, 99.99]) {
            #expect(distribution.value(percentile) == histogram.valueAtPercentile(value), "\(percentile.name)")
        }
    }

    @Test(arguments: [(9, 0), (10_000, 1), (99_999, 9), (100_000, 10), (Int.max, Int.max / 10_000)])
    func `The samples above a percentile are counted without rounding`(_ count: Int, _ expected: Int) {
        #expect(Percentile.shown.last!.above(of: count) == expected)
    }

    // MARK: Pictures

    @Test func `Bars are as long as their counts`() {
        var histogram = TimeHistogram.nanoseconds()
        histogram.record(1_000_000, count: 1000)
        histogram.record(100_000_000, count: 500)
        histogram.record(1_000_000_000, count: 1)
        let bars = LatencyBars(Distribution(histogram))
        #expect(bars.bars.count == 12)
        #expect(bars.bars.map(\.count).reduce(0, +) == 1501)
        #expect(bars.bars[0].count == 1000)
        #expect(bars.bars.last == .init(limit: 1_000_000_000, count: 1))
        let lines = bars.lines(width: 80, style: TextStyle(color: false))
        func length(_ line: String) -> Int { line.filter { $0 == "█" }.count }
        #expect(length(lines[0]) > 40)
        let half = lines.map(length).sorted().suffix(2).first!
        #expect(abs(half * 2 - length(lines[0])) <= 2)
        // One of 1,501 is still to be seen, and nothing is nothing.
        #expect(lines.last!.contains("▏"))
        #expect(lines.last!.hasSuffix(" 100.00 %"))
        #expect(lines.filter { $0.contains("▏") }.count == 1)
    }

    @Test func `One value is one bar`() {
        var histogram = TimeHistogram.nanoseconds()
        histogram.record(5_000_000, count: 3)
        #expect(LatencyBars(Distribution(histogram)).bars == [.init(limit: 5_000_000, count: 3)])
        histogram = .nanoseconds()
        histogram.record(0, count: 3)
        #expect(LatencyBars(Distribution(histogram)).bars.map(\.count) == [3])
    }

    @Test func `Curves go from nothing to the most`() {
        #expect(TimeLine.curve([0, 1, 2, 3, 4, 5, 6, 7], upTo: 7) == "▁▂▃▄▅▆▇█")
        #expect(TimeLine.curve([0, 0], upTo: 0) == "▁▁")
        #expect(TimeLine.curve([.nan, 9], upTo: 7) == "▁█")
    }

    @Test func `A long time line is drawn together`() {
        var intervals: [BenchResult.Interval] = []
        for second in 0..<1000 {
            var interval = BenchResult.Interval(start: Double(second), length: 1)
            interval.done = second < 500 ? 100 : 200
            interval.p99 = second == 777 ? 50_000_000 : 1_000_000
            interval.inFlightMean = 10
            intervals.append(interval)
        }
        let lines = TimeLine(intervals).lines(width: 80, style: TextStyle(color: false))
        #expect(lines.allSatisfy { $0.count <= 80 })
        #expect(lines[0].hasPrefix("rate       ▅") && lines[0].hasSuffix("█  100/s to 200/s"))
        // One bad second is not averaged away.
        #expect(lines[1].filter { $0 == "█" }.count == 1)
        #expect(lines[1].hasSuffix("1.00 ms to 50.0 ms"))
        #expect(lines[3].contains("16.7 min"))
    }
}
