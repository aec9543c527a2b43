internal import H2Client
import HTTPTypes
import Histogram

/// A measurement as one self-contained page of HTML, without network access or scripts.
package struct BenchPage: Sendable {
    package let plan: BenchPlan
    package let result: BenchResult
    /// The conclusions from the figures, and their limits.
    package var verdict: [PageSentence]
    package var context: ReportContext

    package init(
        plan: BenchPlan, result: BenchResult, verdict: [PageSentence] = [], context: ReportContext = ReportContext()
    ) {
        self.plan = plan
        self.result = result
        self.verdict = verdict
        self.context = context
    }

    package func html() -> String {
        let body =
            Page.tiles(tiles) + Page.section("Latency", latency) + Page.section("Over time", overTime)
            + Page.section("Requests", requests) + Page.section("Connections and traffic", connectionsAndTraffic)
            + Page.section("The client, and what it was told to do", [client, work])
        let began = Page.date(result.startedAt)
        return Page.document(
            title: "Benchmark of \(plan.origin)", subtitle: [summary],
            facts: context.facts(
                [RequestList(origin: plan.origin, requests: plan.requests)], spoken: result.connections.spoken,
                startedAt: result.startedAt),
            verdict: verdict, body: body,
            footer: "h2get bench\(began.isEmpty ? "" : ", \(began)")")
    }

    private static let time = ChartUnit.nanoseconds

    private var summary: String {
        var parts: [String] = []
        if let first = plan.requests.first {
            let others = plan.requests.count - 1
            parts.append(
                "\(first.request.method.rawValue) \(first.request.path ?? "/")\(others > 0 ? " and \(others) more" : "")"
            )
        }
        parts.append(protocols)
        if let users = plan.users {
            parts.append("users that come and go, up to \(grouped(users.perConnection)) on a connection")
        } else {
            parts.append(
                "\(Page.many(plan.connections, "connection")) × \(Page.many(plan.streams, "stream"))")
        }
        parts.append(pace)
        switch result.end {
        case .complete: parts.append("ran \(ChartUnit.seconds.short(result.elapsed))")
        case .interrupted: parts.append("stopped by the user after \(ChartUnit.seconds.short(result.elapsed))")
        case .expired(let why): parts.append("ran \(ChartUnit.seconds.short(result.elapsed)): \(why)")
        case .gaveUp(let why): parts.append("gave up after \(ChartUnit.seconds.short(result.elapsed)): \(why)")
        }
        return parts.joined(separator: " · ")
    }

    private var protocols: String {
        let versions = [(result.connections.http2, "HTTP/2"), (result.connections.http1, "HTTP/1.1")]
            .filter { $0.0 > 0 }.map(\.1)
        guard !versions.isEmpty else { return "no connection" }
        let spoken = versions.joined(separator: " and ")
        guard let version = result.connections.tlsVersion else { return "\(spoken) in cleartext" }
        return "\(spoken) over \(version)"
    }

    var pace: String {
        switch plan.pace {
        case .closed: return "closed loop"
        case .arrivals(let from, let to, let ramp):
            if from == to || ramp == .zero { return "\(ChartUnit.number(to)) requests/s (open loop)" }
            let time = ChartUnit.seconds.short(ramp.inSeconds)
            return "\(ChartUnit.number(from)) to \(ChartUnit.number(to)) requests/s within \(time) (open loop)"
        case .stages(let stages):
            let most = stages.reduce(0) { max($0, $1.from, $1.to) }
            return "\(stages.count) stages of up to \(ChartUnit.number(most)) requests/s (open loop)"
        case .script(let times): return "a script of \(times.count) lines on each connection (open loop)"
        case .arrivalsPerConnection(let rate):
            return "\(ChartUnit.number(rate)) requests/s on each connection (open loop)"
        }
    }

    private var tiles: [(name: String, figure: String, remark: String)] {
        let time = ChartUnit.nanoseconds
        let requests = result.requests
        let corrected = RecordedValues(result.corrected)
        let isCorrected = corrected.total > 0
        let latency = isCorrected ? corrected : RecordedValues(result.latency)
        func figure(_ percentile: Double) -> String {
            latency.reliableValue(at: percentile).map { time.text(Double($0)) } ?? "–"
        }
        let meaning = isCorrected ? "corrected" : "from sending"
        let whole = requests.done + requests.failed
        let hasExpectation = plan.expectation != nil
        let good = hasExpectation ? requests.done : result.statusClass(2) + result.statusClass(3)
        // Refusals may be many times as fast as the rest. Unexpected responses are not in the rate.
        let isDoubtful = !hasExpectation && Double(requests.done - good) > 0.01 * Double(requests.done)
        let goodRate = requests.done > 0 ? result.rate * Double(good) / Double(requests.done) : 0
        let seconds = result.elapsed > 0 ? result.elapsed : .nan
        return [
            (
                "Requests/s", ChartUnit.number(result.rate),
                isDoubtful
                    ? "only \(ChartUnit.number(goodRate)) of them with 2xx or 3xx"
                    : Page.many(requests.answeredInTime, "response")
            ),
            ("Median", figure(50), meaning),
            ("p99", figure(99), latency.total > 0 && latency.total < 100 ? "takes 100 responses" : meaning),
            ("Longest", figure(100), meaning),
            (
                hasExpectation ? "As expected" : "2xx and 3xx", whole == 0 ? "–" : Self.percent(good, of: whole),
                others(requests.done + requests.failed - good, aborted: requests.aborted)
            ),
            (
                "Received/s", ChartUnit.bytes.text(Double(result.traffic.receivedInTime) / seconds),
                "\(ChartUnit.bytes.text(Double(result.traffic.received))) in all"
            ),
        ]
    }

    /// The responses and failures that were not good, and the requests still unanswered.
    private func others(_ others: Int, aborted: Int) -> String {
        aborted == 0
            ? Page.many(others, "other")
            : "\(Page.many(others, "other")), \(grouped(aborted)) still in flight at the end"
    }

    /// A fraction just below the whole is never written as 100 %.
    static func percent(_ part: Int, of whole: Int) -> String {
        guard whole > 0 else { return "–" }
        let percent = 100 * Double(part) / Double(whole)
        if part < whole, percent > 99.99 { return "> 99.99 %" }
        if part > 0, percent < 0.01 { return "< 0.01 %" }
        return "\(ChartUnit.plain((percent * 100).rounded() / 100)) %"
    }

    // MARK: Latency

    private var hasCorrected: Bool { result.corrected.totalCount > 0 }

    private var latency: [String] {
        let raw = "from sending"
        let corrected = "corrected"
        // All percentiles of the page have the same basis: the corrected latency, if there is one.
        let distribution =
            hasCorrected
            ? DistributionChart(corrected, result.corrected, other: (raw, result.latency))
            : DistributionChart(raw, result.latency)
        var lines: [(name: String, histogram: TimeHistogram)] = [(corrected, result.corrected)]
        lines.append((raw, result.latency))
        lines.append(("first byte", result.firstByte))
        let beyond = distribution.beyond
        let cut = beyond == 0 ? "" : " Drawn up to p99.9; \(grouped(beyond)) are beyond."
        var cards = [
            Page.card("Distribution", note: "How many responses took how long.\(cut)", distribution.svg()),
            Page.card(
                "By percentile", note: "How many of the requests were at least as fast.", PercentileChart(lines).svg()),
        ]
        if result.latency.totalCount > 0 || hasCorrected {
            cards.append(
                Page.card(
                    "",
                    note: "Corrected latency counts from when a request was to begin, so that a stall shows in all the "
                        + "requests that it held up; latency from sending counts from when it did begin.",
                    isWide: true, latencyTable))
        }
        return cards
    }

    private var latencyTable: String {
        let rows: [(String, TimeHistogram)] = [
            ("Corrected", result.corrected), ("From sending", result.latency),
            ("To the first byte", result.firstByte), ("TCP connect", result.connect),
            ("TLS handshake", result.handshake),
        ]
        let percentiles = [50, 90, 95, 99, 99.9, 99.99]
        let head = ["", "number", "mean", "least"] + percentiles.map { "p\(ChartUnit.plain($0))" } + ["longest"]
        return Page.table(
            head: head,
            rows.filter { $0.1.totalCount > 0 }.map { name, histogram in
                let recorded = RecordedValues(histogram)
                let values = ([0] + percentiles + [100]).map {
                    Page.Cell.number(recorded.reliableValue(at: $0).map { Self.time.text(Double($0)) } ?? "–")
                }
                return Page.Row(
                    [
                        .text(name), .number(grouped(Int(histogram.totalCount))),
                        .number(Self.time.text(histogram.average)),
                    ] + values)
            })
    }

    // MARK: Over time

    private var overTime: [String] {
        let intervals = Thinning.joined(result.timeLine)
        typealias Point = LineChart.Point
        // In the middle of its interval, so that curves are not early.
        func points(_ value: (BenchResult.Interval) -> Double?) -> [Point] {
            intervals.map { Point($0.start + $0.length / 2, value($0)) }
        }
        func rate(_ number: Int, _ interval: BenchResult.Interval) -> Double? {
            interval.length > 0 ? Double(number) / interval.length : nil
        }
        let x = (title: "", unit: ChartUnit.seconds, scale: Axis.Scale.linear)
        func time(_ value: UInt64) -> Double? { value > 0 ? Double(value) : nil }

        let latencySeries: [LineChart.Series] = [
            .init("longest from sending", points { time($0.longest) }, colour: 6),
            .init("p99 from sending", points { time($0.p99) }, colour: 2),
            .init("median from sending", points { time($0.p50) }, colour: 1),
        ]
        let values = latencySeries.flatMap { $0.points.compactMap(\.y) }
        var latency = LineChart(
            "Latency over time", x: x, y: ("latency from sending", .nanoseconds, .suiting(values)),
            series: latencySeries)
        latency.isWide = true

        var throughputSeries: [LineChart.Series] = [
            .init("answered", points { rate($0.done, $0) }, stroke: .area)
        ]
        if plan.pace != .closed {
            throughputSeries.append(.init("sent", points { rate($0.sent, $0) }, stroke: .dashed, colour: 6))
        }
        if intervals.contains(where: { $0.failed > 0 }) {
            throughputSeries.append(.init("failed", points { rate($0.failed, $0) }, colour: 2))
        }
        let throughput = LineChart(
            "Throughput over time", x: x, y: ("requests per second", .count, .linear), series: throughputSeries)
        let received = LineChart(
            "Bytes received over time", x: x, y: ("bytes per second", .bytes, .linear),
            series: [.init("received", points { rate($0.bytesReceived, $0) }, stroke: .area, colour: 3)])
        let inFlight = LineChart(
            "Streams in flight over time", x: x, y: ("streams", .count, .linear),
            series: [
                .init("mean", points { $0.inFlightMean }, stroke: .area, colour: 4),
                .init("most", points { Double($0.peakInFlight) }, stroke: .dashed, colour: 6),
            ])
        let backlog = LineChart(
            "Requests waiting to be sent over time", x: x, y: ("requests", .count, .linear),
            series: [.init("waiting", points { Double($0.backlog) }, stroke: .area, colour: 2)])
        var connections = LineChart(
            "Connections over time", x: x, y: ("connections", .count, .linear),
            series: [.init("open", points { Double($0.connections) }, stroke: .area, colour: 5)])
        var cards = [
            Page.card("Latency", isWide: true, latency.svg()), Page.card("Throughput", throughput.svg()),
            Page.card("Streams in flight", inFlight.svg()),
        ]
        if intervals.contains(where: { $0.backlog > 0 }) {
            let note = "Their time had come, but no stream was free."
            cards.append(Page.card("Late", note: note, backlog.svg()))
            connections.isWide = true
        }
        cards.append(Page.card("Bytes received", received.svg()))
        cards.append(Page.card("Connections open", isWide: connections.isWide, connections.svg()))
        return cards
    }
}
