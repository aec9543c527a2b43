import H2Measure
import Histogram
import H2TestSupport
import Testing

@Suite(.inTurn) struct PageTests {
    private static let hostile = "</td><script>alert('x')</script><img src=\"a\" onerror=\"b\">&\u{1B}[31m"

    @Test func `The benchmark page tells its figures`() throws {
        let page = try BenchPage(
            plan: Sample.plan(), result: Sample.result(errors: Sample.errors), verdict: Sample.verdict,
            context: Sample.context
        ).html()
        for text in [
            "<h1>Benchmark of https://shop.example:8443</h1>", ">16,996<", ">TLSv1.3, TLS_AES_256_GCM_SHA384<",
            ">GOAWAY NO_ERROR<", ">503<", ">timeout: no response within 5 s<", "2,000 to 20,000 requests/s within 20 s",
            "<li class=\"bad\"><b>Problem:</b>", "<li class=\"fine\"><b>Result:</b>",
            "<li class=\"quiet\"><b>Note:</b> 40,000 samples", "2025-11-24 16:00:00 UTC", ">87.4 %<",
            "<dt>Requests</dt><dd>GET https://shop.example:8443/items?page=1</dd>",
            "<dt>Distance</dt><dd>none simulated</dd>",
            "<dt>Versions</dt><dd>h2get 1.2.3, HTTP/2 over TLSv1.3 (TLS_AES_256_GCM_SHA384)</dd>",
            "<dt>Command</dt><dd>h2get bench -D 60s",
        ] {
            #expect(page.contains(text), "\(text)")
        }
        for label in [
            "Distribution of latency", "Latency by percentile", "Latency over time", "Throughput over time",
            "Streams in flight over time", "Requests waiting to be sent over time", "Bytes received over time",
            "Connections over time", "Mean wait of a request by cause",
        ] {
            #expect(page.contains("aria-label=\"\(label)\""), "\(label)")
        }
        MarkupCheck.expectWellFormed(page)
        MarkupCheck.expectSelfContained(page)
    }

    @Test func `Percentiles of which so few responses cannot tell are dashes`() throws {
        var result = BenchResult()
        for value in 1...50 { result.corrected.record(UInt64(value) * 1_000_000) }
        let page = try BenchPage(plan: Sample.plan(), result: result).html()
        #expect(page.contains("<dt>p99</dt><dd>–</dd><dd class=\"small\">takes 100 responses</dd>"))
        // p95, and then p99, p99.9 and p99.99, and the longest.
        let dash = "<td class=\"n\">–</td>"
        #expect(page.contains("<td class=\"n\">48.0 ms</td>\(dash)\(dash)\(dash)<td class=\"n\">50.0 ms</td>"))
    }

    @Test func `Percentiles are of the corrected latency unless they say otherwise`() throws {
        var result = Sample.result(intervals: 4)
        (result.latency, result.corrected) = (.nanoseconds(), .nanoseconds())
        for _ in 0..<1_000 {
            result.latency.record(3_000_000)
            result.corrected.record(700_000_000)
        }
        let page = try BenchPage(plan: Sample.plan(), result: result).html()
        #expect(page.contains("<dt>p99</dt><dd>700 ms</dd><dd class=\"small\">corrected</dd>"))
        #expect(page.contains("<dt>Median</dt><dd>700 ms</dd><dd class=\"small\">corrected</dd>"))
        for series in ["p99 from sending", "median from sending", "longest from sending"] {
            #expect(page.contains(series), "\(series)")
        }
    }

    @Test func `A long run's page stays small`() throws {
        let page = try BenchPage(plan: Sample.plan(), result: Sample.result(intervals: 36_000, errors: Sample.errors))
            .html()
        #expect(page.utf8.count < 300_000)
    }

    @Test func `A measurement of nothing has a page`() throws {
        let page = try BenchPage(plan: Sample.plan(), result: BenchResult()).html()
        #expect(page.contains("no connection"))
        #expect(page.contains("No response came."))
        MarkupCheck.expectWellFormed(page)
        MarkupCheck.expectSelfContained(page)
    }

    @Test(arguments: [
        (BenchResult.End.interrupted, "stopped by the user after 60 s"),
        (.gaveUp("connection <refused>"), "gave up after 60 s: connection &lt;refused&gt;"),
    ])
    func `An early end is told`(_ end: BenchResult.End, _ text: String) throws {
        var result = Sample.result(intervals: 2)
        result.end = end
        #expect(try BenchPage(plan: Sample.plan(), result: result).html().contains(text))
    }

    @Test func `What the server says is text`() throws {
        var result = Sample.result(intervals: 3, errors: [Self.hostile: 4])
        result.connections.lost = [Self.hostile: 1]
        result.connections.failed = [Self.hostile: 1]
        result.connections.cipher = Self.hostile
        result.end = .gaveUp(Self.hostile)
        let page = try BenchPage(
            plan: Sample.plan(path: "/" + "%3Cscript%3E<script>"), result: result,
            verdict: [.init(.problem, Self.hostile)],
            context: ReportContext(program: Self.hostile, commandLine: Self.hostile)
        ).html()
        MarkupCheck.expectWellFormed(page)
        #expect(!page.contains("<script"))
        #expect(!page.contains("<img"))
        #expect(!page.contains("\u{1B}"))
        #expect(page.contains("&lt;script&gt;alert(&#39;x&#39;)"))
    }

    @Test func `A thousand causes are summed up`() throws {
        let errors = Dictionary(uniqueKeysWithValues: (1...1000).map { ("cause \($0)", $0) })
        let page = try BenchPage(plan: Sample.plan(), result: Sample.result(intervals: 2, errors: errors)).html()
        #expect(page.contains(">cause 1000<"))
        #expect(page.contains(">950 other causes<"))
    }

    @Test func `Nearly all is not all`() throws {
        var result = Sample.result(intervals: 2)
        result.requests.done = 1_000_000
        result.requests.aborted = 0
        result.statuses[200] = 999_999
        result.statuses[503] = 1
        let page = try BenchPage(plan: Sample.plan(), result: result).html()
        #expect(page.contains("&gt; 99.99 %"))
        #expect(page.contains("&lt; 0.01 %"))
    }

    // MARK: Comparison

    @Test(arguments: [[0.03], [0, 0.01, 0.05, 0.15]])
    func `The comparison has all figures and reasons`(_ distances: [Double]) {
        let page = ComparePage(Sample.comparison(distances: distances)).html()
        for text in [
            ">new connection, session resumed</th>", "it closed the connection</td>", "3.1 × faster than keep-alive",
            "aria-label=\"Total time by way of reuse\"", "<tr class=\"best\" style=",
            "<dt>Distance</dt><dd>30.0 ms round trip and 1.0 % loss, simulated</dd>",
        ] {
            #expect(page.contains(text), "\(text)")
        }
        // The distances are told apart only where there are several.
        #expect(page.contains(">\(Int(distances[0] * 1000)) ms round trip</text>") == (distances.count > 1))
        MarkupCheck.expectWellFormed(page)
        MarkupCheck.expectSelfContained(page)
    }

    @Test func `A comparison in which nothing ran says why`() {
        let rows = [ComparePage.Row(["HTTP/2"], .couldNot(Self.hostile)), .init([], .couldNot("refused"))]
        for groups in [[], [.init("0 ms", rows)], [.init("0 ms", rows), ComparePage.Group("10 ms", [])]] {
            let page = ComparePage(.init(title: Self.hostile, labelTitles: ["way"], groups: groups)).html()
            MarkupCheck.expectWellFormed(page)
            #expect(!page.contains("<script"))
        }
    }

    @Test func `The picture stands alone`() {
        let picture = ComparePage(Sample.comparison(distances: [0, 0.05])).picture()
        #expect(picture.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\" width="))
        #expect(picture.contains("prefers-color-scheme:dark"))
        #expect(picture.contains(">HTTP/2, TLS, 4 connections</text>"))
        #expect(picture.contains(">50 ms round trip</text>"))
        #expect(picture.contains(">Distance: 30.0 ms round trip and 1.0 % loss, simulated</text>"))
        MarkupCheck.expectWellFormed(picture)
        MarkupCheck.expectSelfContained(picture)
    }

    /// Browsers break lines behind hyphens.
    @Test func `An option in a sentence is not broken`() throws {
        let page = try BenchPage(
            plan: Sample.plan(), result: Sample.result(intervals: 2),
            verdict: [.init(.problem, "Too short: measure longer (-D 10s --warm-up-time 2s) & <well>.")]
        ).html()
        #expect(
            page.contains(
                "<span class=\"option\">(-D</span> 10s <span class=\"option\">--warm-up-time</span> 2s) &amp; &lt;well&gt;."
            ))
    }

    @Test func `Ways that are as fast as the fastest are marked with it`() {
        func row(_ name: String, _ median: Double, _ low: Double, _ high: Double) -> ComparePage.Row {
            let one = ComparePage.Figure(1)
            return .init(
                [name],
                .ran(
                    .init(
                        total: .init(median, from: low, to: high), rate: one, p50: one, p99: one, firstByte: one,
                        connections: one, handshakes: one, roundTrips: one, bytesReceived: one, bytesSent: one,
                        cpuSeconds: one, held: one)))
        }
        let rows = [row("a", 1, 0.9, 3), row("b", 2, 1.9, 2.1), row("c", 9, 8, 10)]
        let page = ComparePage(.init(title: "x", labelTitles: ["way"], groups: [.init("", rows)])).html()
        let marked = page.split(separator: "\n").filter { $0.hasPrefix("<tr class=\"best\"") }
        // In both tables.
        #expect(marked.count == 4 && !marked.contains { $0.contains(">c<") })
    }

    /// One way has one request in flight and another a hundred, so that their latencies say nothing beside each other.
    @Test func `Latencies of different queues are not drawn beside each other`() {
        let page = ComparePage(Sample.comparison(distances: [0.03])).html()
        #expect(!page.contains("aria-label=\"Latency"))
        #expect(page.contains("Compare the total times"))
    }

    @Test func `Tables sort by any column without a script`() throws {
        let page = SweepPage(Sample.sweep()).html()
        #expect(page.contains("#sort-settings:has(#sort-settings-2:checked) tbody tr{order:var(--o2)}"))
        // 4 × 1,024 is the fastest of all, and comes first where requests/s decide.
        let row = try #require(
            page.split(separator: "\n").first {
                $0.contains("<td class=\"n\">4</td><td class=\"n\">1,024</td>")
            })
        #expect(row.contains("--o2:1;") && row.contains("--o0:33;"))
        MarkupCheck.expectSelfContained(page)
    }

    @Test func `Figures that are no numbers are dashes`() {
        #expect(ComparePage.Figure(.nan).spread == 0...0)
        #expect(ComparePage.Figure(2, from: 3, to: 1).spread == 1...3)
    }

    // MARK: Sweep

    @Test func `The sweep marks the knee and the best`() {
        let page = SweepPage(Sample.sweep()).html()
        for text in [
            ">knee</text>", ">limit 50 ms</text>", "4 connections × 32 streams", ">Best with p99 within 50 ms<",
            "SETTINGS_MAX_CONCURRENT_STREAMS", "errors began at 4 connections", ">4 connections</text>",
        ] {
            #expect(page.contains(text), "\(text)")
        }
        MarkupCheck.expectWellFormed(page)
        MarkupCheck.expectSelfContained(page)
    }

    @Test func `With one stream each the connections are the axis`() {
        let points = [1, 2, 4, 8].map {
            SweepPage.Point(.init(connections: $0, streams: 1), rate: 100 * Double($0), p50: 1e7, p99: 2e7)
        }
        let page = SweepPage(.init(title: "x", points: points)).html()
        #expect(page.contains("aria-label=\"Throughput over connections\""))
        #expect(page.contains(">connections (log scale)</text>"))
        // One line, which needs no legend.
        #expect(!page.contains(">8 connections</text>"))
        MarkupCheck.expectWellFormed(page)
    }

    @Test func `Settings that are refused are neither fastest nor drawn`() {
        func point(_ streams: Int, _ rate: Double, good: Double, p99: Double, isFlawed: Bool = false) -> SweepPage.Point
        {
            .init(
                .init(connections: 1, streams: streams), rate: rate, goodput: good, p50: p99 / 2, p99: p99,
                errors: isFlawed ? 8166 : 0, isFlawed: isFlawed)
        }
        let points = [
            point(2, 340, good: 340, p99: 10e6), point(4, 688, good: 688, p99: 10e6),
            point(8, 17_047, good: 720, p99: 5e6, isFlawed: true),
        ]
        let page = SweepPage(.init(title: "x", points: points)).html()
        #expect(page.contains("<dt>Fastest</dt><dd>688/s</dd>"))
        #expect(page.contains("1 setting with errors is left out; see the table."))
        #expect(page.contains("Responses with 429 or 5xx do not count."))
        #expect(page.contains("<td class=\"n\">17,047</td><td class=\"n\">720</td>"))
        // No axis goes up to what was refused.
        #expect(!page.contains(">20k</text>"))
        MarkupCheck.expectWellFormed(page)
        let all = SweepPage(.init(title: "x", points: [points[2]])).html()
        #expect(all.contains("<dd>–</dd><dd class=\"small\">every setting has errors</dd>"))
    }

    @Test func `Refusals are no throughput of a benchmark either`() throws {
        var result = Sample.result(intervals: 2)
        let done = result.requests.done
        result.statuses = [Int](repeating: 0, count: 1000)
        (result.statuses[200], result.statuses[503]) = (done / 4, done - done / 4)
        var plan = try Sample.plan()
        #expect(BenchPage(plan: plan, result: result).html().contains(" of them with 2xx or 3xx</dd>"))
        plan.expectation = BenchPlan.Expectation(statuses: [200, 503])
        let page = BenchPage(plan: plan, result: result).html()
        #expect(!page.contains("of them with 2xx") && page.contains("<dt>As expected</dt>"))
    }

    @Test func `A sweep without points has a page`() {
        var input = SweepPage.Input(title: "x", points: [])
        input.knee = .init(connections: 1, streams: 1)
        input.limit = 5e6
        let page = SweepPage(input).html()
        #expect(page.contains("no setting keeps it"))
        MarkupCheck.expectWellFormed(page)
    }
}
