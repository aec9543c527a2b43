import H2Client
import H2Measure
import H2Platform
import HTTPTypes
import Histogram

/// Made-up measurements that look like real ones, the same in each run.
enum Sample {
    static func plan(path: String = "/items?page=1") throws -> BenchPlan {
        let request = HTTPRequest(method: .get, scheme: "https", authority: "shop.example:8443", path: path)
        var plan = try BenchPlan(
            origin: Origin(scheme: .https, host: "shop.example", port: 8443), requests: [.init(request)])
        plan.extent = .time(.seconds(60))
        plan.pace = .arrivals(from: 2000, to: 20000, ramp: .seconds(20))
        plan.warmUp = .seconds(5)
        plan.connections = 8
        plan.streams = 100
        plan.threads = 2
        return plan
    }

    /// A run of a minute, in which the server freezes for a second.
    static func result(intervals count: Int = 600, errors: [String: Int] = [:]) -> BenchResult {
        var random = SplitMix64(seed: 1)
        var result = counts(errors: errors)
        result.startedAt = 1_764_000_000
        result.elapsed = 60
        for index in 0..<count {
            let length = 60 / Double(count)
            var interval = BenchResult.Interval(start: Double(index) * length, length: length)
            let time = interval.start
            let isFrozen = time >= 41 && time < 42
            let rate = min(2000 + 900 * time, 20000)
            interval.sent = Int(rate * length)
            interval.done = isFrozen ? 0 : Int(rate * length * Double.random(in: 0.96...1.04, using: &random))
            if time >= 42, time < 43 { interval.done *= 2 }
            let middle = 1.1e6 * (1 + time / 120)
            if interval.done > 0 {
                interval.p50 = UInt64(random.latency(around: middle, spread: 0.03))
                interval.p99 = UInt64(random.latency(around: middle * 4, spread: 0.12))
                interval.longest = UInt64(random.latency(around: middle * 9, spread: 0.3))
            }
            if time >= 42, time < 42.2 {
                interval.p99 = 900_000_000
                interval.longest = 1_040_000_000
            }
            interval.inFlightMean = isFrozen ? 780 : rate * middle / 1e9
            interval.peakInFlight = isFrozen ? 800 : Int(interval.inFlightMean * 2.2)
            interval.backlog = isFrozen ? Int((time - 41) * 19200) : 0
            interval.connections = time < 4 ? 2 + Int(time * 1.5) : 8
            interval.bytesReceived = interval.done * 1480
            result.intervals.append(interval)
        }
        for index in 0..<40_000 {
            let raw = random.latency(around: 1.3e6, spread: index % 20 == 0 ? 0.9 : 0.35)
            // What the freeze held up: few of those that were sent, many of those that were to be sent.
            let held = index % 57 == 0
            result.latency.record(UInt64(index % 1500 == 0 ? 0.9e9 : raw))
            result.corrected.record(UInt64(held ? Double.random(in: 1e6...1.02e9, using: &random) : raw * 1.05))
            result.firstByte.record(UInt64(raw * 0.8))
        }
        for _ in 0..<9 {
            result.connect.record(UInt64(random.latency(around: 2.1e5, spread: 0.2)))
            result.handshake.record(UInt64(random.latency(around: 1.9e6, spread: 0.2)))
        }
        return result
    }

    /// A steady run's counts, and what went wrong in this one.
    private static func counts(errors: [String: Int]) -> BenchResult {
        let failed = errors.values.reduce(0, +)
        var result = sampleCounts(responses: 1_019_812)
        result.requests.failed = failed
        result.requests.aborted = 12
        result.requests.sent += 12 + failed
        result.requests.drained = 31
        result.requests.dropped = 4
        result.requests.retries = 96
        result.requests.answeredInTime -= 31
        result.statuses[200] -= 112
        result.statuses[503] = 112
        result.errors = errors
        result.traffic.headers = 24_000_000
        result.traffic.headersDecoded = 190_000_000
        result.waits.stream = 210_000_000_000
        result.waits.streamRequests = 20_400
        result.waits.sendBlocked = 8_000_000_000
        result.waits.downloadStreamWindow = 41_000_000_000
        result.waits.downloadConnectionWindow = 96_000_000_000
        result.connections.opened = 9
        result.connections.reopened = 1
        result.connections.lost = ["GOAWAY NO_ERROR": 1]
        result.connections.handshakes = 9
        result.connections.resumed = 8
        result.connections.peakOpen = 8
        result.connections.http2 = 9
        return result
    }

    static let errors = [
        "stream reset by the server: REFUSED_STREAM (0x7); it was not processed and the retries are used up": 21,
        "timeout: no response within 5 s": 3, "connection closed by the server before the response was whole": 7,
    ]

    static let verdict = [
        PageSentence(
            .finding, "20.0k requests/s were sent at the end of the ramp, and the server kept up but for one freeze."),
        PageSentence(
            .problem,
            "The server answered nothing for 1 s from 41 s on: p99 is 1.2 ms × 4 from sending, but 716 ms corrected."),
        PageSentence(.note, "40,000 samples are too few for p99.99."),
    ]

    static let context = ReportContext(
        program: "h2get 1.2.3",
        commandLine: "h2get bench -D 60s --request-rate 2K..20K https://shop.example:8443/items?page=1")

    static let facts = [
        ReportFact("Requests", "GET https://shop.example:8443/items"),
        ReportFact("Distance", "30.0 ms round trip and 1.0 % loss, simulated"),
        ReportFact("Versions", "h2get 1.2.3, HTTP/1.1 and HTTP/2 over TLSv1.3"),
        ReportFact("Date", "2025-11-24 16:00:00 UTC"),
        ReportFact("Command", "h2get compare --rtt 30ms --loss 1% https://shop.example:8443/items"),
    ]

    // MARK: Comparison

    static func comparison(distances: [Double]) -> ComparePage.Input {
        let ways: [(labels: [String], trips: Double, each: Double)] = [
            (["HTTP/1.1", "TLS", "new connection each time"], 1000 * 3, 0.0021),
            (["HTTP/1.1", "TLS", "new connection, session resumed"], 1000 * 3, 0.0011),
            (["HTTP/1.1", "TLS", "keep-alive"], 1003, 0.00021),
            (["HTTP/1.1", "TLS", "pool of 6"], 1000 / 6 + 3, 0.00009),
            (["HTTP/2", "TLS", "1 connection"], 12, 0.000051), (["HTTP/2", "TLS", "4 connections"], 6, 0.000043),
        ]
        var random = SplitMix64(seed: 2)
        let groups = distances.map { distance in
            var rows = ways.map { way in
                let total = (way.trips * distance + way.each * 1000) * Double.random(in: 0.97...1.03, using: &random)
                func figure(_ median: Double, _ part: Double = 0.06) -> ComparePage.Figure {
                    .init(median, from: median * (1 - part), to: median * (1 + part * 1.7))
                }
                let trip = distance * 1e9 + 200_000
                let connections = way.trips > 2000 ? 1000.0 : way.trips > 1000 ? 1 : way.trips > 100 ? 6 : 1
                return ComparePage.Row(
                    way.labels,
                    .ran(
                        .init(
                            total: figure(total), rate: figure(1000 / total), p50: figure(trip),
                            p99: figure(trip * 2.4),
                            firstByte: figure(trip * 0.9), connections: .init(connections),
                            handshakes: .init(connections),
                            roundTrips: .init(way.trips), bytesReceived: figure(1_240_000 + connections * 3400, 0.001),
                            bytesSent: figure(98_000 + connections * 900, 0.001),
                            cpuSeconds: figure(0.02 + connections * 0.0006), held: .init(min(connections, 6)))))
            }
            rows.append(
                .init(
                    ["HTTP/2", "cleartext", "1 connection"],
                    .couldNot("the server does not speak HTTP/2 in cleartext on port 8080: it closed the connection")))
            return ComparePage.Group("\(Int(distance * 1000)) ms round trip", rows)
        }
        var input = ComparePage.Input(
            title: "1,000 requests by way of reuse", labelTitles: ["protocol", "over", "way"], groups: groups)
        input.work = ["GET https://shop.example:8443/items · 5 rounds in random order · 100 at once"]
        input.verdict = [
            .init(
                .finding,
                "HTTP/2 on one connection: 3.1 × faster than keep-alive, 42 × fewer handshakes; p99 1.4 × worse than 4 connections."
            )
        ]
        input.facts = facts
        input.startedAt = 1_764_000_000
        return input
    }

    // MARK: Sweep

    static func sweep() -> SweepPage.Input {
        var points: [SweepPage.Point] = []
        for connections in [1, 2, 4] {
            for power in 0...10 {
                let streams = 1 << power
                let load = Double(streams * connections)
                let rate = 42000 * (1 - exp(-load / 70)) * (0.82 + 0.06 * Double(connections))
                let p50 = max(0.9e6, load / rate * 1e9)
                points.append(
                    .init(
                        .init(connections: connections, streams: streams), rate: rate, p50: p50,
                        p99: p50 * (2 + load / 400), errors: load > 2000 ? Int(load) / 40 : 0))
            }
        }
        var input = SweepPage.Input(title: "Sweep of https://shop.example:8443", points: points)
        input.work = ["GET /items · 5 s for each of 33 settings"]
        input.knee = .init(connections: 4, streams: 32)
        input.best = .init(connections: 4, streams: 64)
        input.limit = 50e6
        input.serverLimits = [
            .init("SETTINGS_MAX_CONCURRENT_STREAMS", "1,024"), .init("keepalive_requests", "not met"),
        ]
        input.stopped = "errors began at 4 connections × 1,024 streams: stream reset by the server: REFUSED_STREAM"
        input.verdict = [
            .init(.finding, "Beyond 4 × 32 streams throughput grows by less than 5 %, and p99 by 60 %.")
        ]
        input.facts = facts
        return input
    }
}

extension SplitMix64 {
    /// A latency around `middle`, with a tail to the right.
    fileprivate mutating func latency(around middle: Double, spread: Double) -> Double {
        let one = Double.random(in: 1e-12...1, using: &self)
        let other = Double.random(in: 0...1, using: &self)
        return middle * exp(spread * (-2 * log(one)).squareRoot() * cos(2 * .pi * other))
    }
}
