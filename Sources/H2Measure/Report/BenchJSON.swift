import H2Client
import HTTPTypes
import Histogram

/// A measurement as a JSON document: its whole result, its plan, and the verdicts. `docs/bench.schema.json` describes it; a
/// test keeps the two consistent.
///
/// Conventions: every time is in seconds, with a name that ends in `_seconds`; sizes are in bytes; rates are per second;
/// fractions are 0 to 1; inapplicable values are `null` and never left out; lists replace objects if the names would come from
/// a server.
package enum BenchJSON {
    /// Raised if readers of the previous version would misread the document, including for new members, which its schema does
    /// not allow.
    package static let version = 2

    package static func text(
        _ result: BenchResult, _ plan: BenchPlan, verdicts: [Verdict], outcomes: [FailCondition.Outcome] = [],
        context: ReportContext = ReportContext()
    ) -> String {
        document(result, plan, verdicts: verdicts, outcomes: outcomes, context: context).text
    }

    package static func document(
        _ result: BenchResult, _ plan: BenchPlan, verdicts: [Verdict], outcomes: [FailCondition.Outcome] = [],
        context: ReportContext = ReportContext()
    ) -> JSONText {
        [
            "schema": "h2get-bench",
            "version": .integer(version),
            "program": .string(context.program),
            "command_line": .string(context.commandLine),
            "plan": planned(plan),
            "end": end(result.end),
            "started_at_unix_seconds": .number(result.startedAt),
            "elapsed_seconds": .number(result.elapsed),
            "responses_per_second": .number(result.rate),
            "requests": requests(result.requests),
            "status_classes": .object((1...5).map { .init("\($0)xx", .integer(result.statusClass($0))) }),
            "statuses": .array(
                (0..<result.statuses.count).filter { result.statuses[$0] > 0 }
                    .map { ["status": .integer($0), "count": .integer(result.statuses[$0])] }),
            "errors": causes(result.errors),
            "traffic": traffic(result.traffic),
            "waits": waits(result.waits),
            "connections": connections(result.connections),
            "client": client(result),
            "latency": times(result.latency),
            "corrected": times(result.corrected),
            "first_byte": times(result.firstByte),
            "connect": times(result.connect),
            "tls": times(result.handshake),
            "downtime": [
                "count": .integer(result.downtime.count), "total_seconds": .number(result.downtime.seconds),
                "longest_seconds": .number(result.downtime.longest),
                "least_seconds": .number(result.downtime.leastSeconds),
            ],
            "per_connection": spread(result.perConnection),
            "by_status": .array(
                result.byStatus.map { ["status": JSONText($0.key), "latency": times($0.latency)] }),
            "by_request": .array(
                result.byRequest.map { ["request": JSONText($0.key), "latency": times($0.latency)] }),
            "time_line": .array(result.intervals.map(interval)),
            "verdicts": .array(
                verdicts.map {
                    [
                        "severity": .string($0.severity.rawValue), "topic": .string($0.topic.rawValue),
                        "text": .string($0.text),
                    ]
                }),
            "fail_if": .array(
                outcomes.map {
                    [
                        "condition": .string($0.condition), "failed": .bool($0.isBroken),
                        "measured": JSONText($0.measured), "text": .string($0.text),
                    ]
                }),
        ]
    }

    /// A distribution of times, also used by the documents of other commands.
    package static func times(_ histogram: TimeHistogram) -> JSONText {
        let distribution = Distribution(histogram)
        func time(_ nanoseconds: UInt64) -> JSONText { distribution.count > 0 ? seconds(nanoseconds) : .null }
        var members: [JSONText.Member] = [
            .init("count", .integer(distribution.count)), .init("min_seconds", time(distribution.min)),
            .init("max_seconds", time(distribution.max)),
            .init("mean_seconds", distribution.count > 0 ? .number(distribution.mean / 1e9) : .null),
            .init("stddev_seconds", distribution.count > 0 ? .number(distribution.deviation / 1e9) : .null),
        ]
        for percentile in Percentile.shown {
            let name = String(percentile.name.map { $0 == "." ? "_" : $0 })
            members.append(.init("\(name)_seconds", time(distribution.value(percentile))))
        }
        members.append(.init("hdr_histogram", encoded(histogram)))
        return .object(members)
    }

    // MARK: What was asked for

    private static func planned(_ plan: BenchPlan) -> JSONText {
        [
            "origin": .string(plan.origin.description),
            "requests": .array(
                plan.requests.map { request in
                    [
                        "method": .string(request.request.method.rawValue),
                        "path": JSONText(request.request.path),
                        "url": .string(request.url(plan.origin)),
                        // Values may be secrets.
                        "header_names": .array(request.request.headerFields.map { .string($0.name.canonicalName) }),
                        "body_bytes": .integer(request.body.count),
                    ]
                }),
            "extent": extent(plan.extent),
            "pace": pace(plan.pace),
            "warm_up_seconds": seconds(plan.warmUp),
            "drain_seconds": seconds(plan.drain),
            "threads": .integer(plan.threads),
            "connections": .integer(plan.connections),
            "streams": .integer(plan.streams),
            "requests_per_connection": JSONText(plan.requestsPerConnection),
            "connection_ramp": plan.connectionRamp.map {
                ["count": .integer($0.count), "period_seconds": seconds($0.period)]
            } ?? .null,
            "active_timeout_seconds": plan.activeTimeout.map(seconds) ?? .null,
            "inactivity_timeout_seconds": plan.inactivityTimeout.map(seconds) ?? .null,
            "protocols": protocols(plan.protocols),
            "api": .string(plan.api.rawValue),
            "arrives_at_random": .bool(plan.arrivesAtRandom),
            "think_time_seconds": seconds(plan.thinkTime),
            "users": plan.users.map(users) ?? .null,
            "start_at_unix_seconds": JSONText(plan.startAt),
            "keeps_trying": .bool(plan.keepsTrying),
            "arrival_seed": plan.arrivesAtRandom ? .integer(Int(clamping: plan.arrivalSeed)) : .null,
            "expectation": expectation(plan.expectation),
        ]
    }

    private static func expectation(_ expectation: BenchPlan.Expectation?) -> JSONText {
        guard let expectation else { return .null }
        return [
            "statuses": expectation.statuses.map { .array($0.sorted().map { .integer($0) }) } ?? .null,
            "body_bytes": JSONText(expectation.bodyBytes),
            "body_sha256": JSONText(expectation.sha256.map(hexadecimal)),
        ]
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private static func users(_ users: BenchPlan.Users) -> JSONText {
        [
            "per_connection": .integer(users.perConnection),
            "period_seconds": users.period.map(seconds) ?? .null,
        ]
    }

    private static func extent(_ extent: BenchPlan.Extent) -> JSONText {
        switch extent {
        case .requests(let count): ["kind": "requests", "requests": .integer(count), "seconds": .null]
        case .time(let time): ["kind": "time", "requests": .null, "seconds": seconds(time)]
        case .untilStopped: ["kind": "until stopped", "requests": .null, "seconds": .null]
        }
    }

    private static func pace(_ pace: BenchPlan.Pace) -> JSONText {
        let (kind, from, to, ramp): (String, Double?, Double?, Duration?) =
            switch pace {
            case .closed: ("closed", nil, nil, nil)
            case .arrivals(let from, let to, let ramp): ("arrivals", from, to, ramp)
            case .arrivalsPerConnection(let rate): ("arrivals_per_connection", rate, rate, .zero)
            case .stages(let stages): ("stages", stages.first?.from, stages.last?.to, nil)
            case .script: ("script", nil, nil, nil)
            }
        var stages: [JSONText] = []
        if case .stages(let parts) = pace {
            stages = parts.map {
                [
                    "from_per_second": .number($0.from), "to_per_second": .number($0.to),
                    "length_seconds": seconds($0.length),
                ]
            }
        }
        var script: [JSONText] = []
        if case .script(let times) = pace { script = times.map { seconds($0) } }
        return [
            "kind": .string(kind), "from_per_second": JSONText(from), "to_per_second": JSONText(to),
            "ramp_seconds": ramp.map(seconds) ?? .null, "stages": .array(stages), "script": .array(script),
        ]
    }

    private static func spread(_ spread: BenchResult.Spread) -> JSONText {
        [
            "count": .integer(spread.count), "min_per_second": .number(spread.minimum),
            "max_per_second": .number(spread.maximum), "mean_per_second": .number(spread.mean),
            "stddev_per_second": .number(spread.deviation), "within_stddev": .number(spread.within),
        ]
    }

    private static func protocols(_ protocols: BenchPlan.Protocols) -> JSONText {
        switch protocols {
        case .tls(let names): ["tls": true, "names": .array(names.map { .string($0) })]
        case .cleartextHTTP2: ["tls": false, "names": ["h2c"]]
        case .cleartextHTTP1: ["tls": false, "names": ["http/1.1"]]
        }
    }

    // MARK: What came of it

    private static func end(_ end: BenchResult.End) -> JSONText {
        switch end {
        case .complete: ["kind": "complete", "reason": .null]
        case .interrupted: ["kind": "interrupted", "reason": .null]
        case .expired(let reason): ["kind": "expired", "reason": .string(reason)]
        case .gaveUp(let reason): ["kind": "gave_up", "reason": .string(reason)]
        }
    }

    private static func requests(_ requests: BenchResult.Requests) -> JSONText {
        [
            "sent": .integer(requests.sent), "done": .integer(requests.done), "failed": .integer(requests.failed),
            "aborted": .integer(requests.aborted), "drained": .integer(requests.drained),
            "dropped": .integer(requests.dropped), "retries": .integer(requests.retries),
            "answered_in_time": .integer(requests.answeredInTime),
        ]
    }

    private static func traffic(_ traffic: BenchResult.Traffic) -> JSONText {
        [
            "received_bytes": .integer(traffic.received), "sent_bytes": .integer(traffic.sent),
            "received_in_time_bytes": .integer(traffic.receivedInTime),
            "sent_in_time_bytes": .integer(traffic.sentInTime),
            "received_http_bytes": .integer(traffic.receivedHTTP), "sent_http_bytes": .integer(traffic.sentHTTP),
            "header_bytes": .integer(traffic.headers), "header_decoded_bytes": .integer(traffic.headersDecoded),
            "header_saving": .number(traffic.headerSaving), "body_received_bytes": .integer(traffic.bodiesReceived),
            "body_sent_bytes": .integer(traffic.bodiesSent),
        ]
    }

    private static func waits(_ waits: BenchResult.Waits) -> JSONText {
        [
            "stream_seconds": seconds(waits.stream), "stream_requests": .integer(waits.streamRequests),
            "connection_seconds": seconds(waits.connection),
            "connection_requests": .integer(waits.connectionRequests),
            "late_seconds": seconds(waits.late), "late_max_seconds": seconds(waits.maximumLate),
            "send_blocked_seconds": seconds(waits.sendBlocked),
            "upload_stream_window_seconds": seconds(waits.uploadStreamWindow),
            "upload_connection_window_seconds": seconds(waits.uploadConnectionWindow),
            "download_stream_window_seconds": seconds(waits.downloadStreamWindow),
            "download_connection_window_seconds": seconds(waits.downloadConnectionWindow),
        ]
    }

    private static func connections(_ connections: BenchResult.Connections) -> JSONText {
        [
            "wanted": .integer(connections.wanted), "never_opened": .integer(connections.neverOpened),
            "opened": .integer(connections.opened), "reopened": .integer(connections.reopened),
            "rotated": .integer(connections.rotated), "open_max": .integer(connections.peakOpen),
            "http2": .integer(connections.http2), "http1": .integer(connections.http1),
            "handshakes": .integer(connections.handshakes), "resumed": .integer(connections.resumed),
            "tls_version": JSONText(connections.tlsVersion), "cipher": JSONText(connections.cipher),
            "max_concurrent_streams": JSONText(connections.maxConcurrentStreams),
            "round_trips": .integer(connections.roundTrips),
            "failed": causes(connections.failed), "lost": causes(connections.lost),
            "abandoned": .integer(connections.abandoned),
            "warm_up": [
                "failed": causes(connections.warmUp.failed), "lost": causes(connections.warmUp.lost),
                "reopened": .integer(connections.warmUp.reopened), "rotated": .integer(connections.warmUp.rotated),
            ],
        ]
    }

    private static func client(_ result: BenchResult) -> JSONText {
        let client = result.client
        return [
            "cpu_user_seconds": .number(client.userSeconds), "cpu_system_seconds": .number(client.systemSeconds),
            "loop_busy": .array(client.loopBusy.map { .number($0) }),
            "spin_seconds": .number(client.spinSeconds), "lag_p99_seconds": seconds(client.lagP99),
            "lag_max_seconds": seconds(client.maximumLag), "resident_bytes": .integer(client.residentBytes),
            "processors": .integer(client.processors),
        ]
    }

    private static func interval(_ interval: BenchResult.Interval) -> JSONText {
        // Without a measured response there is no latency.
        func time(_ nanoseconds: UInt64) -> JSONText { interval.hasLatencies ? seconds(nanoseconds) : .null }
        return [
            "start_seconds": .number(interval.start), "length_seconds": .number(interval.length),
            "drain": .bool(interval.isDrain), "sent": .integer(interval.sent), "done": .integer(interval.done),
            "failed": .integer(interval.failed),
            "received_bytes": .integer(interval.bytesReceived), "in_flight_mean": .number(interval.inFlightMean),
            "in_flight_max": .integer(interval.peakInFlight), "connections": .integer(interval.connections),
            "backlog": .integer(interval.backlog), "p50_seconds": time(interval.p50), "p99_seconds": time(interval.p99),
            "max_seconds": time(interval.longest), "hdr_histogram": interval.latency.map(encoded) ?? .null,
        ]
    }

    // MARK: Parts

    private static func causes(_ causes: [String: Int]) -> JSONText {
        .array(causes.byCount.map { ["cause": .string($0.cause), "count": .integer($0.count)] })
    }

    /// HdrHistogram's V2 compressed encoding, of nanoseconds.
    private static func encoded(_ histogram: TimeHistogram) -> JSONText {
        histogram.totalCount > 0 ? .string(HistogramPayload(histogram).encoded()) : .null
    }

    private static func seconds(_ nanoseconds: UInt64) -> JSONText { .number(Double(nanoseconds) / 1e9) }

    private static func seconds(_ nanoseconds: Double) -> JSONText { .number(nanoseconds / 1e9) }

    private static func seconds(_ duration: Duration) -> JSONText { .number(duration.inSeconds) }
}
