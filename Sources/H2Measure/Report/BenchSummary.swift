import H2Client
import HTTPTypes
import Histogram

/// A measurement's result for the terminal: what ran, what came of it, how long it took, and how far to trust it.
package struct BenchSummary {
    private static let labelWidth = 13

    private let result: BenchResult
    private let plan: BenchPlan
    private let verdicts: [Verdict]
    private let outcomes: [FailCondition.Outcome]
    private let context: ReportContext
    private let width: Int
    private let style: TextStyle

    /// - Parameters:
    ///   - outcomes: the outcomes of the `--fail-if` conditions.
    ///   - width: of the terminal, in characters. No line is longer if it is at least 20.
    ///   - color: whether the text may have colours. Without them it has no escape sequences at all.
    package init(
        _ result: BenchResult, _ plan: BenchPlan, verdicts: [Verdict], outcomes: [FailCondition.Outcome] = [],
        context: ReportContext = ReportContext(), width: Int, color: Bool
    ) {
        self.result = result
        self.plan = plan
        self.verdicts = verdicts
        self.outcomes = outcomes
        self.context = context
        self.width = min(max(width, 20), 160)
        style = TextStyle(color: color)
    }

    /// The lines, each with a line end.
    package var text: String {
        let parts = [
            header(), totals(), waits(), machinery(), percentiles(), parts(), histogram(), timeLine(), judgement(),
            closing(),
        ]
        return parts.filter { !$0.isEmpty }.map { $0.map { $0 + "\n" }.joined() }.joined(separator: "\n")
    }

    // MARK: What ran

    private func header() -> [String] {
        let first = plan.requests[0]
        var lines = wrapped(
            "h2get bench: \(first.method) \(printable(first.url(plan.origin)))", width: width, indent: 2
        ).map(style.bold)
        var what: [String] = []
        if plan.requests.count > 1 { what.append("\(grouped(plan.requests.count)) URLs in turn") }
        switch plan.extent {
        case .requests(let count): what.append(count == 1 ? "1 request" : "\(grouped(count)) requests")
        case .time(let time): what.append("for \(timeText(seconds: time.inSeconds))")
        case .untilStopped: what.append("for \(timeText(seconds: result.elapsed))")
        }
        if let users = plan.users {
            what.append("users that come and go, up to \(grouped(users.perConnection)) on a connection")
        } else {
            what.append(
                "\(grouped(plan.connections, "connection")) × \(grouped(plan.streams, "stream"))")
        }
        what.append(grouped(plan.threads, "thread"))
        switch plan.pace {
        case .closed where plan.users?.period != nil:
            what.append("a request each \(timeText(seconds: (plan.users?.period ?? .zero).inSeconds)) by each")
        case .closed: what.append("closed loop")
        case .arrivals(let from, let to, let ramp):
            what.append(
                from == to || ramp == .zero
                    ? "open loop, \(rateText(to)) requests/s"
                    : "open loop, \(rateText(from)) to \(rateText(to)) requests/s within \(timeText(seconds: ramp.inSeconds))"
            )
        case .arrivalsPerConnection(let rate): what.append("open loop, \(rateText(rate)) requests/s on each connection")
        case .script(let times): what.append("open loop, a script of \(grouped(times.count, "line"))")
        case .stages(let stages):
            let most = stages.reduce(0) { max($0, $1.from, $1.to) }
            what.append("open loop, \(grouped(stages.count, "stage")) of up to \(rateText(most)) requests/s")
        }
        if plan.arrivesAtRandom { what.append("at random times (--seed \(plan.arrivalSeed))") }
        if plan.thinkTime > .zero { what.append("\(timeText(seconds: plan.thinkTime.inSeconds)) of thinking between") }
        if plan.warmUp > .zero { what.append("after \(timeText(seconds: plan.warmUp.inSeconds)) of warm-up") }
        if let most = plan.requestsPerConnection { what.append("\(grouped(most)) requests a connection") }
        if plan.api == .async { what.append("async API") }
        let versions = [context.program, Page.date(result.startedAt)].filter { !$0.isEmpty }
        let about = [what.joined(separator: " · "), spoken, versions.joined(separator: " · "), context.commandLine]
        for text in about.map(printable) where !text.isEmpty {
            lines += wrapped(text, width: width - 2).map { "  " + $0 }
        }
        return lines
    }

    /// For example `HTTP/2 over TLSv1.3 (TLS_AES_256_GCM_SHA384) · the server allows 128 streams`.
    private var spoken: String {
        let connections = result.connections
        var text = printable(connections.spoken)
        if let limit = connections.maxConcurrentStreams {
            text += " · the server allows \(grouped(limit, "stream")) a connection"
        }
        return text
    }

    // MARK: What came of it

    private func totals() -> [String] {
        let requests = result.requests
        var lines: [String] = []
        var identity =
            "\(grouped(requests.sent)) sent = \(grouped(requests.done)) done + \(grouped(requests.failed)) failed + "
            + "\(grouped(requests.aborted)) aborted"
        let asides = [
            (requests.drained, "done after the end"), (requests.dropped, "never sent"),
            (requests.retries, requests.retries == 1 ? "retry" : "retries"),
        ].filter { $0.0 > 0 }.map { "\(grouped($0.0)) \($0.1)" }
        if !asides.isEmpty { identity += " (\(asides.joined(separator: ", ")))" }
        lines += row("Requests", identity)
        lines += row(
            "Rate", "\(rateText(result.rate)) responses/s over \(timeText(seconds: result.elapsed))", paint: style.bold)
        if case let rates = result.perConnection, rates.count > 1 {
            lines += row(
                "",
                "on each connection \(rateText(rates.minimum)) to \(rateText(rates.maximum)), mean "
                    + "\(rateText(rates.mean)), sd \(rateText(rates.deviation)) (\(percent(rates.within)) within)")
        }
        if result.downtime.count > 0 {
            let down = result.downtime
            lines += row(
                "Downtime",
                "no connection \(down.count == 1 ? "once, " : "\(grouped(down.count)) times, in all ")"
                    + "\(timeText(seconds: down.leastSeconds)) at least and \(timeText(seconds: down.seconds)) at most"
                    + (down.count > 1 ? ", the longest \(timeText(seconds: down.longest))" : ""),
                paint: style.red)
        }
        let classes = (1...9).map { (result.statusClass($0), "\($0)xx") }.filter { $0.0 > 0 }
        if !classes.isEmpty {
            let single = (100..<1000).filter { result.statuses[$0] > 0 }
            var text = classes.map { "\(grouped($0.0)) \($0.1)" }.joined(separator: ", ")
            if single != [200] {
                let shown = single.sorted { result.statuses[$0] > result.statuses[$1] }.prefix(6)
                text += " (\(shown.map { "\($0): \(grouped(result.statuses[$0]))" }.joined(separator: ", "))"
                text += single.count > shown.count ? " …)" : ")"
            }
            lines += row("Status", text, paint: result.badStatuses(plan) == 0 ? { $0 } : style.red)
        }
        lines += causes("Errors", result.errors)
        return lines + traffic()
    }

    private func traffic() -> [String] {
        let traffic = result.traffic
        guard traffic.received > 0 || traffic.sent > 0 else { return [] }
        var text = "\(byteCount(traffic.received)) received, \(byteCount(traffic.sent)) sent"
        if result.elapsed > 0 { text += " (\(byteCount(Int(Double(traffic.receivedInTime) / result.elapsed)))/s in)" }
        var lines = row("Traffic", text)
        if traffic.headersDecoded > 0 {
            lines += row(
                "",
                "\(byteCount(traffic.headers)) of headers for \(byteCount(traffic.headersDecoded)): "
                    + "\(percent(traffic.headerSaving)) saved")
        }
        if traffic.bodiesReceived > 0 || traffic.bodiesSent > 0 {
            let sent = traffic.bodiesSent > 0 ? ", \(byteCount(traffic.bodiesSent)) sent" : ""
            lines += row("", "\(byteCount(traffic.bodiesReceived)) of bodies received\(sent)")
        }
        if traffic.receivedHTTP > 0, traffic.received > traffic.receivedHTTP {
            let layers = traffic.received + traffic.sent - traffic.receivedHTTP - traffic.sentHTTP
            lines += row("", "\(byteCount(max(layers, 0))) of all that were TLS's own")
        }
        return lines
    }

    private func causes(_ label: String, _ counts: [String: Int]) -> [String] {
        let sorted = counts.byCount
        var lines: [String] = []
        for (index, cause) in sorted.prefix(8).enumerated() {
            let text = "\(grouped(cause.count)) × \(printable(cause.cause))"
            lines += row(index == 0 ? label : "", text, paint: style.red)
        }
        if sorted.count > 8 { lines += row("", "and \(grouped(sorted.count - 8, "other cause"))") }
        return lines
    }

    private func waits() -> [String] {
        let waits = result.waits
        let named = [
            (waits.stream, "for a stream (\(grouped(waits.streamRequests, "request")))"),
            (waits.connection, "for a connection (\(grouped(waits.connectionRequests, "request")))"),
            (waits.sendBlocked, "for the network to take what was sent"),
            (waits.uploadStreamWindow, "uploads for the server's stream window"),
            (waits.uploadConnectionWindow, "uploads for the server's connection window"),
            (waits.downloadStreamWindow, "the server for our stream window"),
            (waits.downloadConnectionWindow, "the server for our connection window"),
        ].filter { $0.0 > 0 }
        // Only the corrected latencies include the time that requests waited before they were sent.
        let total = result.corrected.average * Double(result.corrected.totalCount)
        return named.enumerated().flatMap { index, wait in
            let share = total > 0 ? " (\(percent(wait.0 / total)) of all requests' time)" : ""
            return row(index == 0 ? "Waits" : "", "\(timeText(nanoseconds: wait.0)) \(wait.1)\(share)")
        }
    }

    private func machinery() -> [String] {
        let connections = result.connections
        var text = "\(grouped(connections.opened)) opened, at most \(grouped(connections.peakOpen)) at once"
        if connections.neverOpened > 0 {
            text += "; \(grouped(connections.neverOpened)) of \(grouped(connections.wanted)) never opened"
        }
        if connections.handshakes > 0 {
            text += "; \(grouped(connections.handshakes, "TLS handshake")), \(grouped(connections.resumed)) resumed"
        }
        if connections.reopened > 0 { text += "; \(grouped(connections.reopened)) opened again" }
        if connections.rotated > 0 { text += "; \(grouped(connections.rotated)) closed on purpose" }
        var lines = row("Connections", text)
        lines += causes("  lost", connections.lost)
        lines += causes("  failed", connections.failed)

        let client = result.client
        var cost = "\(timeText(seconds: result.cpuSeconds)) of CPU"
        if result.elapsed > 0 { cost += " (\(percent(result.cpuSeconds / result.elapsed)) of one processor)" }
        let answered = result.requests.done
        if answered > 0 { cost += ", \(timeText(seconds: result.cpuSeconds / Double(answered))) a response" }
        lines += row("Client", cost)
        var state: [String] = []
        if let busiest = client.loopBusy.max() {
            let loops = client.loopBusy.count
            state.append("\(loops == 1 ? "event loop" : "busiest of \(loops) event loops") \(percent(busiest)) busy")
        }
        state.append("timers late by \(timeText(client.lagP99)) (p99), \(timeText(client.maximumLag)) (max)")
        if client.residentBytes > 0 { state.append("\(byteCount(client.residentBytes)) of memory") }
        return lines + row("", state.joined(separator: "; "))
    }

    // MARK: How long it took

    /// Latency by status and by URL, if asked for.
    private func parts() -> [String] {
        func lines(_ title: String, _ parts: [BenchResult.Part], _ name: (Int?) -> String) -> [String] {
            guard !parts.isEmpty else { return [] }
            return [style.bold(title)]
                + parts.flatMap { part in
                    let times = Distribution(part.latency)
                    guard times.count > 0 else { return [String]() }
                    return wrapped(
                        "\(name(part.key)): \(grouped(times.count)), p50 \(timeText(times.p50)), "
                            + "p99 \(timeText(times.p99)), max \(timeText(times.max))", width: width - 2, indent: 2
                    ).map { "  " + $0 }
                }
        }
        return lines("Latency by status", result.byStatus) { $0.map { "\($0)" } ?? "others" }
            + lines("Latency by URL", result.byRequest) { index in
                index.map { printable(plan.requests[$0].request.path ?? "/") } ?? "all others"
            }
    }

    private func percentiles() -> [String] {
        PercentileTable([
            ("latency", result.latency), ("corrected", result.corrected), ("first byte", result.firstByte),
            ("connect", result.connect), ("TLS", result.handshake),
        ]).lines(width: width, style: style)
    }

    private func histogram() -> [String] {
        let bars = LatencyBars(Distribution(result.latency)).lines(width: width, style: style)
        return bars.isEmpty ? [] : [style.bold("Latency distribution")] + bars
    }

    private func timeLine() -> [String] {
        let curves = TimeLine(result.timeLine).lines(width: width, style: style)
        return curves.isEmpty ? [] : [style.bold("Over time")] + curves
    }

    // MARK: What it is worth

    private func judgement() -> [String] {
        verdicts.flatMap { verdict in
            let (mark, paint): (String, (String) -> String) =
                switch verdict.severity {
                case .fine: ("ok: ", style.green)
                case .note: ("note: ", style.cyan)
                case .warning: ("warning: ", style.yellow)
                }
            return wrapped(mark + printable(verdict.text), width: width, indent: 2).map(paint)
        }
            + outcomes.flatMap { outcome in
                wrapped((outcome.isBroken ? "failed: " : "ok: ") + printable(outcome.text), width: width, indent: 2)
                    .map(outcome.isBroken ? style.red : style.green)
            }
    }

    /// The most wanted figures, at the end where they are easiest to find.
    private func closing() -> [String] {
        let corrected = Distribution(result.corrected)
        func time(_ percentile: Percentile) -> String {
            let isFew = percentile.above(of: corrected.count) < Percentile.fewest
            return "\(percentile.name) \(timeText(corrected.value(percentile)))\(isFew ? "*" : "")"
        }
        let times = corrected.count > 0 ? [time(.p50), time(.p99) + " (corrected)"] : []
        var parts = ["\(rateText(result.rate)) responses/s"] + times + [grouped(result.requests.failed, "error")]
        // With expected statuses, responses with any other have already failed.
        let bad = plan.expectation?.statuses == nil ? result.badStatuses(plan) : 0
        if bad > 0 { parts.append("\(grouped(bad)) with status 4xx or 5xx") }
        return wrapped("Result: " + parts.joined(separator: " · "), width: width, indent: 2).map(style.bold)
    }

    private func row(_ label: String, _ text: String, paint: (String) -> String = { $0 }) -> [String] {
        // A narrow terminal has no room beside a label.
        guard width >= 40 else {
            let lines = wrapped(text, width: width - 2).map { "  " + paint($0) }
            return label.isEmpty ? lines : [label] + lines
        }
        let lines = wrapped(text, width: width - Self.labelWidth)
        return lines.enumerated().map { index, line in
            padded(index == 0 ? label : "", Self.labelWidth) + paint(line)
        }
    }
}

extension BenchResult {
    /// Responses with an unwanted status: any not in `BenchPlan.expectation`, or else 4xx and 5xx.
    func badStatuses(_ plan: BenchPlan) -> Int {
        guard let expected = plan.expectation?.statuses else { return statusClass(4) + statusClass(5) }
        return statuses.enumerated().reduce(0) { $0 + (expected.contains($1.offset) ? 0 : $1.element) }
    }
}
