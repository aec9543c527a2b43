import Foundation
import H2Client
import H2Platform
import HTTPTypes
import Histogram
import Synchronization
import H2TestSupport
import Testing

@testable import H2Measure

/// A server made up of a time for each request and a highest throughput.
private struct MadeUpServer: Sendable {
    /// Seconds without load.
    var time = 0.010
    /// Requests a second.
    var capacity = 2000.0
    /// Above so many requests at once each further one takes so much of the capacity away.
    var breaksAt = Int.max
    /// Changes what comes of a number of requests at once.
    var change: @Sendable (BenchPlan, inout BenchResult) throws -> Void = { _, _ in }

    func run(_ plan: BenchPlan) throws -> BenchResult {
        guard case .time(let time) = plan.extent else { preconditionFailure("a sweep has times") }
        let seconds = Double(time / .nanoseconds(1)) / 1e9
        let concurrency = plan.connections * plan.streams
        var rate = min(Double(concurrency) / self.time, capacity)
        if concurrency > breaksAt { rate *= Double(breaksAt) / Double(concurrency) }
        var result = BenchResult()
        result.startedAt = 1_000_000
        result.elapsed = seconds
        result.requests.sent = Int(rate * seconds)
        result.requests.done = result.requests.sent
        result.requests.answeredInTime = result.requests.sent
        result.statuses[200] = result.requests.done
        let latency = UInt64(Double(concurrency) / rate * 1e9)
        // One in fifty takes three times as long.
        result.corrected.record(latency, count: UInt64(max(0, result.requests.done * 49 / 50)))
        result.corrected.record(latency * 3, count: UInt64(max(1, result.requests.done / 50)))
        result.firstByte.record(latency / 2)
        var interval = BenchResult.Interval(start: 0, length: seconds)
        interval.inFlightMean = Double(concurrency)
        result.intervals = [interval]
        result.connections.opened = plan.connections
        result.client.loopBusy = [0.5]
        try change(plan, &result)
        return result
    }
}

@Suite(.inTurn) struct SweepTests {
    private func plan(_ change: (inout SweepPlan) -> Void = { _ in }) throws -> SweepPlan {
        var plan = SweepPlan(
            origin: try Origin("https://127.0.0.1:8443/"),
            requests: [.init(HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/"))])
        change(&plan)
        return plan
    }

    private func result(
        _ server: MadeUpServer = MadeUpServer(), _ change: (inout SweepPlan) -> Void = { _ in }
    ) async throws -> SweepResult {
        try await Sweep(try plan(change)) { try server.run($0) }.run()
    }

    private func setting(_ connections: Int, _ streams: Int) -> SweepSetting {
        SweepSetting(connections: connections, streams: streams)
    }

    // MARK: - What is run

    @Test func `Each point is a time with its connections and streams`() async throws {
        let plans = Mutex<[BenchPlan]>([])
        let server = MadeUpServer()
        let sweep = Sweep(
            try plan {
                $0.streams = [1, 4]
                $0.connections = [1, 3]
                $0.threads = 2
                $0.time = .milliseconds(300)
            }
        ) { plan in
            plans.withLock { $0.append(plan) }
            return try server.run(plan)
        }
        let result = try await sweep.run()
        let all = plans.withLock { $0 }
        #expect(
            all.map { [$0.connections, $0.streams, $0.threads] } == [[1, 1, 1], [1, 4, 1], [3, 1, 2], [3, 4, 2]])
        #expect(all.allSatisfy { $0.extent == .time(.milliseconds(300)) && $0.warmUp == .milliseconds(200) })
        #expect(result.curves.map(\.connections) == [1, 3])
        #expect(result.curves.allSatisfy { $0.stop == .top && $0.points.count == 2 })
        #expect(result.time == 0.3 && result.startedAt == 1_000_000)
        let point = try #require(result.point(setting(3, 4)))
        #expect(abs(point.rate - 1200) < 10 && point.inFlight == 12)
    }

    @Test func `Progress tells the setting and what the last one did`() async throws {
        let seen = Mutex<[String]>([])
        let server = MadeUpServer()
        var sweep = Sweep(try plan { $0.streams = [1, 2, 4] }) { try server.run($0) }
        sweep.onProgress = { progress in
            seen.withLock {
                $0.append("\(progress.done)/\(progress.all) \(progress.setting) \(Int(progress.last?.rate ?? 0))")
            }
        }
        _ = try await sweep.run()
        #expect(
            seen.withLock { $0 } == [
                "0/3 1 connection × 1 stream 0", "1/3 1 connection × 2 streams 100", "2/3 1 connection × 4 streams 200",
            ])
    }

    // MARK: - The knee

    @Test(arguments: [(500.0, 5), (2000, 20), (10_000, 100)])
    func `The knee is where the capacity is reached`(capacity: Double, concurrency: Int) async throws {
        let result = try await result(MadeUpServer(capacity: capacity)) {
            $0.streams = [1, 5, 10, 20, 50, 100, 500, 1000]
        }
        #expect(result.knee == .at(setting(1, concurrency)))
        #expect(result.saturation?.setting == setting(1, concurrency))
    }

    @Test func `Noise does not move the knee`() async throws {
        for seed in 0..<50 as Range<UInt64> {
            let random = Mutex(SplitMix64(seed: seed))
            let server = MadeUpServer(
                capacity: 1600,
                change: { _, result in
                    let factor = random.withLock { Double.random(in: 0.92...1.08, using: &$0) }
                    result.requests.answeredInTime = Int(Double(result.requests.answeredInTime) * factor)
                })
            let result = try await result(server) { $0.streams = [1, 2, 4, 8, 16, 32, 64, 128] }
            #expect(result.knee == .at(setting(1, 16)), "seed \(seed)")
        }
    }

    @Test func `Of two settings with as many requests the one with fewer connections is the knee`() async throws {
        let result = try await result {
            $0.streams = [1, 5, 10, 20, 40]; $0.connections = [1, 2, 4]
        }
        #expect(result.knee == .at(setting(1, 20)))
        #expect(result.knee(connections: 4) == .at(setting(4, 5)))
    }

    @Test func `Throughput that still grows has no knee yet`() async throws {
        let result = try await result { $0.streams = [1, 2, 4, 8] }
        #expect(result.knee == .beyond(setting(1, 8)))
        #expect(result.verdicts[0].contains("still grew up to 1 connection × 8 streams: 800 requests/s"))
        #expect(result.verdicts[0].hasSuffix("Try more streams or connections."))
    }

    @Test func `A knee at the least that was tried may be below it`() async throws {
        let result = try await result(MadeUpServer(capacity: 800)) { $0.streams = [32, 64, 128] }
        #expect(result.knee == .atOrBelow(setting(1, 32)))
        #expect(result.verdicts[0].hasPrefix("The knee is at or below 1 connection × 32 streams: 800 requests/s"))
        #expect(result.verdicts[0].hasSuffix("Try fewer streams or connections."))
        #expect(SweepTable(result).lines().contains { $0.hasPrefix("1 × 32  knee ≤") })
        #expect(SweepJSON.document(result).text.contains("at_or_below"))
        // Fewer than one at once there are not.
        let single = try await self.result(MadeUpServer(capacity: 100)) { $0.streams = [1, 2, 4] }
        #expect(single.knee == .at(setting(1, 1)))
    }

    @Test func `What is in flight does not count the drain`() async throws {
        let server = MadeUpServer(change: { _, result in
            var drain = BenchResult.Interval(start: result.elapsed, length: 1)
            drain.inFlightMean = 1
            result.intervals.append(drain)
        })
        let result = try await result(server) { $0.streams = [1, 200] }
        #expect(result.point(setting(1, 200))?.inFlight == 200)
    }

    @Test(arguments: [(404, "check the URL"), (302, "redirects (most often 302)")])
    func `Pages that are not the resource are warned of`(_ status: Int, _ words: String) async throws {
        let server = MadeUpServer(change: { _, result in
            result.statuses[status] = result.statuses[200]
            result.statuses[200] = 0
        })
        let result = try await result(server) { $0.streams = [1, 2, 4] }
        #expect(result.warnings.count == 1 && result.warnings[0].contains(words), "\(result.warnings)")
        #expect(SweepTable(result).lines().contains { $0.hasPrefix("Warning: 100.0 % of the responses") })
    }

    @Test func `The reports name what was asked for and how`() async throws {
        let server = MadeUpServer(change: { _, result in
            result.connections.http2 = 1
            result.connections.tlsVersion = "TLSv1.3"
        })
        let result = try await result(server) { $0.streams = [1, 2, 4] }
        let context = ReportContext(program: "h2get 1.2.3", commandLine: "h2get sweep x")
        let table = SweepTable(result, context: context).lines().joined(separator: "\n")
        let json = SweepJSON.document(result, context: context).text
        for text in ["GET https://127.0.0.1:8443/", "none simulated", "HTTP/2 over TLSv1.3"] {
            #expect(table.contains(text), "\(table)")
        }
        for text in [
            #""url": "https://127.0.0.1:8443/""#, #""command_line": "h2get sweep x""#, #""program": "h2get 1.2.3""#,
            #""distance": "none simulated""#, #""versions": "HTTP/2 over TLSv1.3""#,
        ] {
            #expect(json.contains(text), "\(json)")
        }
        #expect(table.contains("h2get sweep x") && table.contains("1970-01-12"))
    }

    @Test func `Two points tell no knee`() async throws {
        let result = try await result { $0.streams = [1, 100] }
        #expect(result.knee == .unknown)
    }

    @Test func `Points with errors are neither knee nor best`() async throws {
        let server = MadeUpServer(change: { plan, result in
            guard plan.streams >= 20 else { return }
            result.statuses[200] -= 100
            result.statuses[503] = 100
        })
        let result = try await result(server) {
            $0.streams = [1, 5, 10, 20, 40]
            $0.limits = [LatencyLimit(percentile: 50, nanoseconds: 1_000_000_000)]
        }
        #expect(result.best?.setting == setting(1, 10))
        #expect(result.knee == .at(setting(1, 10)))
    }

    /// 503 comes 50 times as fast as an answer.
    @Test func `Refusals are no throughput`() async throws {
        let server = MadeUpServer(change: { plan, result in
            guard plan.streams >= 8 else { return }
            result.requests.done *= 50
            result.requests.answeredInTime = result.requests.done
            result.statuses[200] = result.requests.done / 50
            result.statuses[503] = result.requests.done - result.statuses[200]
        })
        let result = try await result(server) { $0.streams = [1, 2, 4, 8] }
        let point = try #require(result.point(setting(1, 8)))
        #expect(point.rate == 40_000 && abs(point.goodput - 800) < 1)
        #expect(result.fastest?.setting == setting(1, 4))
        #expect(
            result.remarks.contains { $0.hasPrefix("1 connection × 8 streams: more than one request in a thousand") })
        let lines = SweepTable(result).lines()
        #expect(lines.contains { $0.contains("req/s good/s") })
        #expect(lines.contains { $0.hasPrefix("1 × 8  errors") && $0.contains(" 40,000 ") && $0.contains(" 800 ") })
        let json = SweepJSON.document(result).text
        #expect(json.contains("\"good_per_second\"") && json.contains("\"has_errors\": true"))
        // One of them without errors has no need of the column.
        #expect(!SweepTable(try await self.result { $0.streams = [1, 2] }).lines().joined().contains("good/s"))
    }

    @Test func `The table fits any terminal`() async throws {
        let result = try await result { $0.streams = [1, 2, 4, 8] }
        for width in [20, 30, 40, 60] {
            let lines = SweepTable(result, context: ReportContext(program: "h2get 1.2.3", commandLine: "h2get sweep x"))
                .lines(width: width)
            #expect(lines.allSatisfy { $0.count <= width }, "\(lines.filter { $0.count > width })")
        }
    }

    // MARK: - The best setting under limits

    @Test func `The best setting is the fastest that keeps all limits`() async throws {
        let streams = [1, 5, 10, 20, 40, 80]
        let loose = try await result {
            $0.streams = streams
            $0.limits = [LatencyLimit(percentile: 50, nanoseconds: 25_000_000)]
        }
        // 20 and 40 are as fast; with 40 the median is 20 ms.
        #expect(loose.best?.setting == setting(1, 20))
        let tight = try await result {
            $0.streams = streams
            $0.limits = [
                LatencyLimit(percentile: 50, nanoseconds: 25_000_000),
                LatencyLimit(percentile: 99, nanoseconds: 31_000_000),
            ]
        }
        #expect(tight.best?.setting == setting(1, 20))
        #expect(tight.best?.atLimits.map { $0 / 1_000_000 } == [10, 30])
        #expect(tight.verdicts[1].hasPrefix("Best with p50 ≤ 25.0 ms and p99 ≤ 31.0 ms: 1 connection × 20 streams: "))
    }

    @Test func `Where no setting keeps the limits the nearest is named`() async throws {
        let result = try await result {
            $0.streams = [1, 5, 10, 40]
            $0.limits = [LatencyLimit(percentile: 50, nanoseconds: 1_000_000)]
        }
        #expect(result.best == nil)
        #expect(
            result.verdicts[1].hasPrefix(
                "No setting keeps p50 ≤ 1.00 ms; the nearest is 1 connection × 1 stream with p50 10.0 ms"))
    }

    @Test func `A percentile of too few responses is remarked`() async throws {
        let result = try await result {
            $0.streams = [1, 5, 10]
            $0.limits = [LatencyLimit(percentile: 99.99, nanoseconds: 1_000_000_000)]
        }
        #expect(
            result.remarks.contains {
                $0.hasPrefix("p99.99 takes 100,000 responses, and 1 connection × 1 stream has 100")
            })
        #expect(result.verdicts[1].contains("on too few responses to be sure"))
    }

    // MARK: - When it stops

    @Test func `Refusals end a climb and the next begins`() async throws {
        let server = MadeUpServer(change: { plan, result in
            guard plan.connections * plan.streams >= 8 else { return }
            result.requests.done -= 60
            result.requests.failed = 60
            result.statuses[200] -= 60
            result.errors = ["stream reset by the server: REFUSED_STREAM": 60]
        })
        let result = try await result(server) {
            $0.streams = [1, 2, 4, 8, 16]; $0.connections = [1, 4]
        }
        #expect(result.curves.map { $0.points.count } == [4, 2])
        #expect(result.curves[0].stop == .refusals("60 streams refused of 800 requests"))
        #expect(result.server.refusedStreams == 120)
        #expect(result.server.firstRefusal == setting(1, 8))
        let point = try #require(result.point(setting(1, 8)))
        #expect(point.refused == 60 && point.failed == 0 && !point.isClean)
    }

    @Test func `Refusals by status are named`() async throws {
        let server = MadeUpServer(change: { plan, result in
            guard plan.streams >= 4 else { return }
            result.statuses[200] -= 10
            (result.statuses[429], result.statuses[503]) = (3, 7)
        })
        let result = try await result(server) { $0.streams = [1, 2, 4, 8] }
        #expect(result.curves[0].stop == .refusals("3 answered with 429, 7 answered with 503 of 400 requests"))
        #expect(result.server.refusedByStatus == [429: 3, 503: 7])
        #expect(result.serverLimits.map(\.name) == ["answered with 429", "answered with 503", "began to refuse at"])
    }

    @Test func `Errors end a climb`() async throws {
        let broken = MadeUpServer(change: { plan, result in
            guard plan.streams >= 4 else { return }
            result.requests.done -= 5
            result.requests.failed = 5
            result.errors = ["connection closed by the server": 4, "timeout": 1]
        })
        let first = try await result(broken) { $0.streams = [1, 2, 4, 8] }
        #expect(first.curves[0].points.count == 3)
        #expect(first.curves[0].stop == .errors("5 requests failed, 4 with: connection closed by the server"))
        let failing = MadeUpServer(change: { _, result in
            result.statuses[200] -= 9
            result.statuses[500] = 9
        })
        let second = try await result(failing) { $0.streams = [1, 2, 4, 8] }
        #expect(second.curves[0].stop == .errors("9 requests answered with 500"))
        #expect(second.curves[0].points.count == 1)
    }

    @Test func `One failure in thousands is no reason to stop`() async throws {
        let server = MadeUpServer(change: { _, result in
            guard result.requests.done >= 1000 else { return }
            result.requests.done -= 1
            result.requests.failed = 1
            result.errors = ["connection closed by the server": 1]
        })
        let result = try await result(server) { $0.streams = [1, 10, 20, 40] }
        #expect(result.curves[0].stop == .top)
        #expect(result.points.map(\.failed) == [0, 1, 1, 1])
    }

    @Test func `Connections that are refused end a climb`() async throws {
        let server = MadeUpServer(change: { plan, result in
            if plan.connections > 2 {
                result.connections.failed = ["cannot connect: Connection refused (errno 111)": 2]
            }
        })
        let result = try await result(server) {
            $0.streams = [1, 2]; $0.connections = [1, 4]
        }
        #expect(
            result.curves[1].stop
                == .refusals("2 connections could not be established (cannot connect: Connection refused (errno 111))"))
        #expect(result.server.connectionsRefused.values.reduce(0, +) == 2)
    }

    @Test func `The server's limit of streams is tried and not passed`() async throws {
        let server = MadeUpServer(change: { plan, result in result.connections.maxConcurrentStreams = 100 })
        let result = try await result(server)
        #expect(result.points.last?.setting == setting(1, 128))
        #expect(result.curves[0].stop == .streamLimit(100))
        #expect(result.serverLimits.first?.value == "100 (SETTINGS_MAX_CONCURRENT_STREAMS)")
        #expect(result.remarks.contains { $0.contains("allows 100 at once") })
    }

    @Test func `Throughput that falls three times while latency doubles ends a climb`() async throws {
        let result = try await result(MadeUpServer(breaksAt: 32))
        // The best is 32; 64, 128 and 256 fall.
        #expect(result.curves[0].points.last?.setting == setting(1, 256))
        #expect(result.curves[0].stop == .overloaded)
        #expect(result.knee == .at(setting(1, 16)) || result.knee == .at(setting(1, 32)))
    }

    @Test func `A point that cannot be measured ends a climb and the first one all`() async throws {
        let later = MadeUpServer(change: { plan, _ in
            if plan.streams > 2 { throw H2Error(.connectFailed, message: "nobody there any more") }
        })
        let result = try await result(later)
        #expect(result.curves[0].stop == .couldNot("nobody there any more"))
        #expect(result.curves[0].points.count == 2)
        let never = MadeUpServer(change: { _, _ in throw H2Error(.connectFailed, message: "nobody there") })
        await #expect(throws: H2Error.self) { try await self.result(never) }
    }

    @Test func `Who stops it keeps the points that were whole`() async throws {
        let server = MadeUpServer(change: { plan, result in if plan.streams == 8 { result.end = .interrupted } })
        let result = try await result(server) { $0.connections = [1, 2] }
        #expect(result.curves.count == 1)
        #expect(result.curves[0].stop == .interrupted)
        #expect(result.points.map(\.setting.streams) == [1, 2, 4])
        #expect(result.remarks == ["1 connection: stopped by the user."])
    }

    @Test func `GOAWAYs and other losses are the server's limits`() async throws {
        let server = MadeUpServer(change: { _, result in
            result.connections.lost = ["GOAWAY NO_ERROR": 2, "connection closed by the server": 1]
        })
        let result = try await result(server) { $0.streams = [1, 2] }
        #expect(result.server.goAways == ["GOAWAY NO_ERROR": 4])
        #expect(result.server.closed == ["connection closed by the server": 2])
        #expect(result.serverLimits.map(\.value) == ["4 × GOAWAY NO_ERROR", "2 × connection closed by the server"])
    }

    // MARK: - What it says

    @Test func `A client that is the limit is remarked`() async throws {
        let server = MadeUpServer(change: { plan, result in result.client.loopBusy = [plan.streams >= 16 ? 0.99 : 0.3] }
        )
        let result = try await result(server)
        #expect(result.remarks.contains { $0.hasPrefix("From 1 connection × 16 streams on this client was busy") })
    }

    @Test func `Slow requests that are missing are remarked`() async throws {
        let server = MadeUpServer(change: { plan, result in if plan.streams >= 8 { result.requests.aborted = 30 } })
        let result = try await result(server) { $0.streams = [1, 2, 4, 8] }
        #expect(result.remarks.contains { $0.hasPrefix("At 1 connection × 8 streams more than 1 %") })
    }

    @Test func `The table fits and marks knee and best`() async throws {
        let server = MadeUpServer(change: { _, result in
            result.connections.lost = ["GOAWAY \u{1b}[31m": 2]
        })
        let result = try await result(server) {
            $0.streams = [1, 5, 10, 20, 40, 80]
            $0.limits = [
                LatencyLimit(percentile: 95, nanoseconds: 11_000_000),
                LatencyLimit(percentile: 50, nanoseconds: 9_000_000_000),
            ]
        }
        let lines = SweepTable(result).lines(width: 100)
        #expect(lines.allSatisfy { $0.count <= 100 }, "\(lines.joined(separator: "\n"))")
        #expect(!lines.joined().unicodeScalars.contains { $0.value == 0x1b })
        let row = lines.first { $0.hasPrefix("1 × 20  knee, best") }
        #expect(
            row?.split(separator: " ").dropFirst(5).map(String.init) == [
                "2,000", "10.0ms", "10.0ms", "30.0ms", "30.0ms", "10.0ms", "5.00ms", "20.0", "0", "50%",
            ], "\(lines.joined(separator: "\n"))")
        #expect(lines.contains { $0.contains("p95") })
        #expect(lines.contains("The server's limits"))
    }

    @Test func `JSON has the points and what they come to`() async throws {
        let server = MadeUpServer(change: { _, result in result.connections.maxConcurrentStreams = 40 })
        let result = try await result(server) {
            $0.streams = [1, 5, 10, 20, 40, 80]
            $0.limits = [LatencyLimit(percentile: 99, nanoseconds: 100_000_000)]
        }
        let text = SweepJSON.document(result).text
        let document = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(document["schema"] as? String == "h2get-sweep")
        let knee = try #require(document["knee"] as? [String: Any])
        #expect(knee["state"] as? String == "found")
        #expect((knee["setting"] as? [String: Int]) == ["connections": 1, "streams": 20])
        let curve = try #require((document["curves"] as? [[String: Any]])?.first)
        #expect((curve["stop"] as? [String: Any])?["kind"] as? String == "stream_limit")
        let points = try #require(curve["points"] as? [[String: Any]])
        #expect(points.map { $0["streams"] as? Int } == [1, 5, 10, 20, 40])
        #expect(points[3]["requests_per_second"] as? Double == 2000)
        #expect((document["server"] as? [String: Any])?["max_concurrent_streams"] as? Int == 40)
        #expect((document["best"] as? [String: Int])?["streams"] == 20)
    }
}
