internal import H2Client
import HTTPTypes
import Histogram

/// The parts of the page below its charts.
extension BenchPage {
    var requests: [String] {
        let requests = result.requests
        var rows = [
            ("Sent", grouped(requests.sent)), ("Answered whole", grouped(requests.done)),
            ("Failed", grouped(requests.failed)),
            ("Aborted, still in flight at the end", grouped(requests.aborted)),
        ]
        for (name, number) in [
            ("Of the answered, after the deadline", requests.drained), ("Never sent", requests.dropped),
            ("Sent again on another connection", requests.retries),
        ] where number > 0 {
            rows.append((name, grouped(number)))
        }
        let statuses = result.statuses.enumerated().filter { $0.element > 0 }
        let answered = statuses.reduce(0) { $0 + $1.element }
        let statusTable = Page.table(
            head: ["status", "responses", ""],
            statuses.map {
                Page.Row([
                    .text("\($0.offset)"), .number(grouped($0.element)),
                    .number(Self.percent($0.element, of: answered)),
                ])
            })
        var cards = [
            Page.card("What became of them", note: "Sent = answered + failed + aborted.", Page.list(rows)),
            Page.card(
                "Status", note: result.errors.isEmpty ? "No request failed." : "",
                statuses.isEmpty ? "<p class=\"note\">No response came.</p>\n" : statusTable),
        ]
        if !result.errors.isEmpty {
            cards.append(
                Page.card(
                    "Errors", isWide: true, Page.table(head: ["cause", "requests"], Self.byCount(result.errors))))
        }
        return cards + [waits]
    }

    /// The most frequent first; limited, since a server may produce a new cause each time.
    private static func byCount(_ causes: [String: Int], most: Int = 50) -> [Page.Row] {
        let sorted = causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        var rows = sorted.prefix(most).map {
            Page.Row([.text(String($0.key.prefix(500))), .number(grouped($0.value))])
        }
        if sorted.count > most {
            let rest = sorted.dropFirst(most)
            let sum = rest.reduce(0) { $0 + $1.value }
            rows.append(.init([.text("\(Page.many(rest.count, "other cause"))"), .number(grouped(sum))]))
        }
        return rows
    }

    /// Where the time of a request was spent, on average.
    private var waits: String {
        let waits = result.waits
        let number = Double(max(result.requests.sent, 1))
        let parts: [(String, Double)] = [
            ("a free stream", waits.stream), ("a connection", waits.connection), ("the client itself", waits.late),
            ("the socket to take more", waits.sendBlocked),
            ("upload: stream window", waits.uploadStreamWindow),
            ("upload: connection window", waits.uploadConnectionWindow),
            ("download: stream window", waits.downloadStreamWindow),
            ("download: connection window", waits.downloadConnectionWindow),
        ]
        let rows = parts.map { BarChart.Row($0.0, [.bar(.init(Double($0.1) / number))]) }
        let mean = result.latency.totalCount > 0 ? ChartUnit.nanoseconds.text(result.latency.average) : "–"
        var note = "Mean for each request sent, beside a mean latency from sending of \(mean)."
        if waits.streamRequests > 0 {
            note += " \(Page.many(waits.streamRequests, "request")) waited for a stream."
        }
        if parts.allSatisfy({ $0.1 == 0 }) {
            return Page.card(
                "Waits", isWide: true, "<p class=\"note\">No request waited for a stream, the socket or a window.</p>\n"
            )
        }
        var chart = BarChart("Mean wait of a request by cause", unit: .nanoseconds, rows: rows)
        chart.isWide = true
        return Page.card("What requests waited for", note: note, isWide: true, chart.svg())
    }

    var connectionsAndTraffic: [String] {
        let connections = result.connections
        var rows = [
            ("Opened", grouped(connections.opened)),
            ("Open at once, at most", grouped(connections.peakOpen)),
        ]
        for (name, number) in [
            ("Opened instead of a closed one", connections.reopened), ("Closed on purpose", connections.rotated),
            ("HTTP/2", connections.http2), ("HTTP/1.1", connections.http1),
        ] where number > 0 {
            rows.append((name, grouped(number)))
        }
        rows.append(("TLS handshakes", grouped(connections.handshakes)))
        if connections.handshakes > 0 {
            rows.append(("Of them resumed", grouped(connections.resumed)))
        }
        if let version = connections.tlsVersion {
            rows.append(("TLS", [version, connections.cipher].compactMap { $0 }.joined(separator: ", ")))
        }
        if connections.http2 > 0 {
            let limit = connections.maxConcurrentStreams.map(grouped) ?? "none told"
            rows.append(("Server's limit of streams", limit))
        }
        rows.append(("Round trips one after another", grouped(connections.roundTrips)))
        var cards = [Page.card("Connections", Page.list(rows)), Page.card("Traffic", Page.list(trafficRows))]
        for (title, causes) in [
            ("Connections that could not be established", connections.failed), ("Connections lost", connections.lost),
        ] where !causes.isEmpty {
            cards.append(Page.card(title, Page.table(head: ["cause", "connections"], Self.byCount(causes))))
        }
        return cards
    }

    private var trafficRows: [(String, String)] {
        let traffic = result.traffic
        func bytes(_ number: Int) -> String { ChartUnit.bytes.text(Double(number)) }
        var rows = [("Received, on the wire", bytes(traffic.received)), ("Sent, on the wire", bytes(traffic.sent))]
        if traffic.receivedHTTP > 0 || traffic.sentHTTP > 0 {
            rows += [
                ("Received, before TLS", bytes(traffic.receivedHTTP)), ("Sent, before TLS", bytes(traffic.sentHTTP)),
            ]
        }
        rows.append(("Response bodies", bytes(traffic.bodiesReceived)))
        if traffic.bodiesSent > 0 { rows.append(("Request bodies", bytes(traffic.bodiesSent))) }
        rows.append(("Response headers, as they came", bytes(traffic.headers)))
        if traffic.headersDecoded > 0 {
            rows.append(("Response headers, decoded", bytes(traffic.headersDecoded)))
            rows.append(("Saved by header compression", ChartUnit.part.text(traffic.headerSaving)))
        }
        if result.requests.done > 0 {
            rows.append(
                (
                    "Received for each response",
                    ChartUnit.bytes.text(Double(traffic.received) / Double(result.requests.done))
                ))
        }
        return rows
    }

    // MARK: The client

    var client: String {
        let client = result.client
        let time = ChartUnit.nanoseconds
        var rows = [
            ("CPU, user", ChartUnit.seconds.text(client.userSeconds)),
            ("CPU, system", ChartUnit.seconds.text(client.systemSeconds)),
        ]
        if result.requests.done > 0 {
            let each = result.cpuSeconds / Double(result.requests.done) * 1e9
            rows.append(("CPU for each response", time.text(each)))
        }
        if let most = client.loopBusy.max(), let least = client.loopBusy.min() {
            let text =
                client.loopBusy.count == 1
                ? ChartUnit.part.text(most) : "\(ChartUnit.part.text(least)) to \(ChartUnit.part.text(most))"
            rows.append(("Event loops busy", text))
        }
        rows.append(("Timers late, p99", time.text(Double(client.lagP99))))
        rows.append(("Timers late, at most", time.text(Double(client.maximumLag))))
        rows.append(("Memory", ChartUnit.bytes.text(Double(client.residentBytes))))
        rows.append(("Processors", grouped(client.processors)))
        return Page.card(
            "Client", note: "Where it is busy all the time, the figures are the client's rather than the server's.",
            Page.list(rows))
    }

    var work: String {
        var rows = [("Origin", "\(plan.origin)")]
        for request in plan.requests.prefix(5) {
            let body = request.body.isEmpty ? "" : ", body of \(ChartUnit.bytes.text(Double(request.body.count)))"
            rows.append(
                (
                    "Request",
                    "\(request.request.method.rawValue) \(String((request.request.path ?? "/").prefix(200)))\(body)"
                ))
        }
        if plan.requests.count > 5 { rows.append(("", "and \(grouped(plan.requests.count - 5)) more")) }
        switch plan.extent {
        case .requests(let number): rows.append(("Extent", Page.many(number, "request")))
        case .time(let time): rows.append(("Extent", ChartUnit.seconds.short(time.inSeconds)))
        case .untilStopped: rows.append(("Extent", "until it was stopped"))
        }
        rows.append(("Warm-up", plan.warmUp == .zero ? "none" : ChartUnit.seconds.short(plan.warmUp.inSeconds)))
        rows.append(("Threads", grouped(plan.threads)))
        if let users = plan.users {
            rows.append(("Users on a connection", "up to \(grouped(users.perConnection))"))
        } else {
            rows.append(("Connections", grouped(plan.connections)))
            rows.append(("Streams on each", grouped(plan.streams)))
        }
        if let number = plan.requestsPerConnection {
            rows.append(("Requests for each connection", grouped(number)))
        }
        if let ramp = plan.connectionRamp {
            rows.append(("Connections opened", "\(ramp.count) each \(ChartUnit.seconds.short(ramp.period.inSeconds))"))
        }
        rows.append(("Pace", pace))
        if plan.api == .async { rows.append(("API", "async")) }
        return Page.card("Work", Page.table(rows.map { Page.Row([.text($0.0), .text($0.1)]) }))
    }
}
