import H2Client
import H2Origin
import H2TestSupport
import Histogram
import Testing

@testable import H2Measure

/// How load arrives, and what is told of servers that come and go.
@Suite("The load of the benchmark engine", .serialized, .timeLimit(.minutes(5)))
struct BenchLoadTests {
    // MARK: - Arrivals

    @Test
    func `stages follow each other, and the last rate goes on`() {
        // 0 to 100 in 10 s (500), 100 for 5 s (500), none for 5 s, 200 to 0 in 2 s (200), and then nothing.
        let arrivals = Arrivals(
            stages: [(0, 100, 10), (100, 100, 5), (0, 0, 5), (200, 0, 2)], last: 0)
        #expect(arrivals.time(of: 0) == 0)
        #expect(arrivals.time(of: 125) == 5_000_000_000)
        #expect(arrivals.time(of: 500) == 10_000_000_000)
        #expect(arrivals.time(of: 999) == 14_990_000_000)
        #expect(arrivals.time(of: 1_000) == 20_000_000_000)
        #expect(arrivals.time(of: 1_150) == 21_000_000_000)
        #expect(arrivals.time(of: 1_200) >= 1 << 62)
        let going = Arrivals(stages: [(0, 100, 10)], last: 100)
        #expect(going.time(of: 600) == 11_000_000_000)
    }

    @Test
    func `arrivals at random have the rate as their mean, and gaps that are exponential`() {
        let arrivals = Arrivals(from: 1_000, to: 1_000, ramp: 0)
        // Two connections of three, and one of three.
        let parts = (0..<2).map { index in
            let part = Arrivals.Part(first: index, stride: 2, of: 3)
            var schedule = Schedule(part, of: arrivals, beganAt: 0, seed: UInt64(index))
            var times: [UInt64] = []
            while schedule.next < 20_000_000_000 {
                times.append(schedule.next)
                schedule.take(arrivals)
            }
            return times
        }
        #expect(abs(Double(parts[0].count) / 13_333 - 1) < 0.05)
        #expect(abs(Double(parts[1].count) / 6_667 - 1) < 0.05)
        let all = (parts[0] + parts[1]).sorted()
        let gaps = zip(all, all.dropFirst()).map { Double($1 - $0) / 1e6 }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let deviation = (gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)).squareRoot()
        #expect(abs(mean - 1) < 0.05)
        #expect(abs(deviation - 1) < 0.05)
        #expect(abs(Double(gaps.count { $0 > 1 }) / Double(gaps.count) - 0.3679) < 0.02)
    }

    @Test
    func `what is due of arrivals at random is what is to be expected`() {
        let arrivals = Arrivals(from: 1_000, to: 1_000, ramp: 0)
        let schedule = Schedule(
            Arrivals.Part(first: 0, stride: 1, of: 1), of: arrivals, beganAt: 0, length: 5_000_000_000, seed: 1)
        #expect((4_900...5_001).contains(schedule.due(.max, arrivals)))
        #expect((900...1_001).contains(schedule.due(1_000_000_000, arrivals)))
    }

    @Test
    func `an open loop goes through its stages`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(2)), connections: 2, streams: 100) {
                $0.pace = .stages([
                    .init(from: 0, to: 100, length: .seconds(1)), .init(from: 0, to: 0, length: .milliseconds(500)),
                    .init(from: 300, to: 300, length: .milliseconds(500)),
                ])
                $0.threads = 2
                $0.drain = .seconds(60)
            }
            #expect(result.requests.sent + result.requests.dropped == 200)
        }
    }

    @Test
    func `an open loop at random sends about as many as its rate`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(2)), connections: 2, streams: 100) {
                $0.pace = .arrivals(from: 500, to: 500, ramp: .zero)
                $0.arrivesAtRandom = true
                $0.drain = .seconds(60)
            }
            #expect((800...1_200).contains(result.requests.sent + result.requests.dropped))
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `streams of a closed loop rest between their requests`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(2)), streams: 5) {
                $0.thinkTime = .milliseconds(200)
                $0.api = api
            }
            // Each has 10 turns at most.
            #expect((5...50).contains(result.requests.sent))
            #expect(result.requests.failed == 0)
            #expect(result.waits.slotRequests == 0)
            let some = try await origin.measure("/bytes/3", .requests(20), streams: 5) {
                $0.thinkTime = .milliseconds(50)
                $0.api = api
            }
            #expect(some.requests.done == 20)
            #expect(some.elapsed >= 0.149)
        }
    }

    @Test
    func `a measurement begins at its time`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let start = ProcessClocks.wallSeconds + 1.5
            let result = try await origin.measure("/bytes/3", .time(.milliseconds(300))) {
                $0.startAt = start
                $0.warmUp = .milliseconds(500)
            }
            #expect(result.startedAt >= start - 0.01)
            #expect(result.requests.done > 0)
        }
    }

    @Test
    func `a connection comes from the address that was asked for`() async throws {
        try await MeasuredOrigin.run { origin in
            var configuration = origin.configuration
            configuration.sourceAddress = "127.0.0.5"
            let address = try await HTTP2Connection.withConnection(
                to: Origin(origin.server.url), configuration: configuration
            ) { $0.info.localAddress }
            #expect(address.hasPrefix("127.0.0.5:"))
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `places connect from several addresses in turn`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .requests(12), connections: 6) {
                $0.sourceAddresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
                $0.api = api
            }
            #expect(result.requests.done == 12)
            #expect(result.connections.opened == 6)
            // Not one of this machine for the protocol's family.
            let error = await #expect(throws: H2Error.self) {
                try await origin.measure("/bytes/3", .requests(1)) {
                    $0.sourceAddresses = ["::1"]
                    $0.api = api
                }
            }
            #expect(error?.code == .connectFailed)
        }
    }

    @Test(arguments: [
        ("", "TLS_AES_128_GCM_SHA256", "", "TLS_AES_128_GCM_SHA256"),
        ("", "TLS_CHACHA20_POLY1305_SHA256", "P-256:X25519", "TLS_CHACHA20_POLY1305_SHA256"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384", "", "", "AES256-GCM-SHA384"),
    ])
    func `suites and groups are those that were asked for`(_ choice: (String, String, String, String)) async throws {
        try await MeasuredOrigin.run { origin in
            let (old, new, groups, cipher) = choice
            let result = try await origin.measure("/bytes/3", .requests(2)) {
                if !old.isEmpty {
                    $0.configuration.tls.suites12 = old
                    $0.configuration.tls.maximumVersion = .tls12
                }
                if !new.isEmpty { $0.configuration.tls.suites13 = new }
                if !groups.isEmpty { $0.configuration.tls.groups = groups }
            }
            #expect(result.requests.done == 2)
            #expect(result.connections.cipher?.hasSuffix(cipher) == true)
        }
    }

    @Test(arguments: 0..<3)
    func `suites and groups that OpenSSL does not know are an error`(_ which: Int) async throws {
        try await MeasuredOrigin.run { origin in
            var plan = try origin.plan("/bytes/3", .requests(2))
            if which == 0 { plan.configuration.tls.suites12 = "nonsense" }
            if which == 1 { plan.configuration.tls.suites13 = "nonsense" }
            if which == 2 { plan.configuration.tls.groups = "nonsense" }
            let bench = Bench(plan)
            let error = await #expect(throws: H2Error.self) { try await bench.run() }
            #expect(error?.code == .tlsConfiguration)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `a server is reached by its Unix domain socket`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run { origin in
            let path = try TemporaryDirectory.shared.newPath("s")
            let relay = try UnixRelay(path: path, to: origin.server.port)
            defer { relay.stop() }
            let result = try await origin.measure("/bytes/3", .requests(20), streams: 4) {
                $0.configuration.socketPath = path
                $0.configuration.tls.serverName = $0.origin.host
                // Where nobody listens.
                $0.origin = (try? Origin("https://127.0.0.1:1")) ?? $0.origin
                $0.api = api
            }
            #expect(result.requests.done == 20)
            #expect(origin.server.statistics.requests == 20)
        }
    }

    @Test
    func `a socket that is not there cannot be connected to`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            for path in [try TemporaryDirectory.shared.newPath("absent"), String(repeating: "x", count: 200)] {
                var plan = try origin.plan("/bytes/3", .requests(1))
                plan.configuration.socketPath = path
                let bench = Bench(plan)
                let error = await #expect(throws: H2Error.self) { try await bench.run() }
                #expect(error?.code == .connectFailed)
                #expect(error?.message.contains(path) == true)
            }
        }
    }

    // MARK: - Parts

    @Test
    func `latency is told by status and by request where that is asked for`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            func plan(_ change: (inout BenchPlan) -> Void) throws -> BenchPlan {
                var plan = try origin.plan("/delay/50", .requests(20), connections: 2)
                plan.requests.append(try origin.plan("/status/404", .requests(1)).requests[0])
                plan.threads = 2
                change(&plan)
                return plan
            }
            let result = try await Bench(plan { $0.breaksDown = true }).run()
            expectBalance(result)
            #expect(result.byStatus.map(\.key) == [200, 404])
            #expect(result.byStatus.map(\.latency.totalCount) == [10, 10])
            #expect(result.byRequest.map(\.key) == [0, 1])
            #expect(result.byRequest.map(\.latency.totalCount) == [10, 10])
            #expect(result.byRequest[0].latency.min >= 49_000_000)
            #expect(result.byRequest[1].latency.min < result.byRequest[0].latency.min)
            let text = BenchSummary(result, try plan { _ in }, verdicts: [], width: 80, color: false).text
            #expect(text.contains("Latency by status"))
            #expect(text.contains("/status/404: 10, p50"))
            let without = try await Bench(plan { _ in }).run()
            #expect(without.byStatus.isEmpty && without.byRequest.isEmpty)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `a response that is not as expected has failed`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            func measure(_ expectation: BenchPlan.Expectation) async throws -> BenchResult {
                var plan = try origin.plan("/bytes/10", .requests(9))
                plan.requests.append(try origin.plan("/bytes/11", .requests(1)).requests[0])
                plan.requests.append(try origin.plan("/status/404", .requests(1)).requests[0])
                plan.expectation = expectation
                plan.api = api
                let result = try await Bench(plan).run()
                expectBalance(result)
                return result
            }
            let status = try await measure(.init(statuses: [200]))
            #expect(status.requests.done == 6)
            #expect(status.errors == ["unexpected status 404": 3])
            #expect(status.requests.answeredInTime == 6)
            #expect(status.statuses[404] == 3 && status.unexpected == 3)
            #expect(abs(status.perConnection.mean * status.elapsed - 6) < 0.01)
            let size = try await measure(.init(statuses: [200], bodyBytes: 10))
            #expect(size.requests.done == 3)
            #expect(size.errors["a body of 11 bytes"] == 3)
        }
    }

    @Test
    func `requests behind the first hundred are told together`() {
        let breakdown = Breakdown(requests: 1_000)
        for request in 0..<1_000 { breakdown.record(5, status: 200, request: request) }
        #expect(breakdown.byRequest.count == 101)
        #expect(breakdown.byRequest[99]?.total == 1)
        #expect(breakdown.byRequest[100]?.total == 900)
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `each place has its rate`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/10", .requests(120), connections: 4) {
                $0.threads = 2
                $0.api = api
            }
            #expect(result.perConnection.count == 4)
            #expect(abs(result.perConnection.mean * 4 / result.rate - 1) < 0.01)
            #expect(result.perConnection.least <= result.perConnection.mean)
            #expect(result.perConnection.most >= result.perConnection.mean)
        }
    }

    @Test
    func `a spread is what is known of few numbers`() {
        let spread = BenchResult.Spread([2, 4, 4, 4, 5, 5, 7, 9])
        #expect(spread.least == 2 && spread.most == 9 && spread.mean == 5 && spread.deviation == 2)
        #expect(spread.within == 0.75)
        #expect(BenchResult.Spread([]).count == 0)
    }

    // MARK: - Downtime

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `a measurement that keeps trying outlives a restart, and tells the downtime`(
        _ api: BenchPlan.API
    ) async throws {
        let loop = EventLoop()
        defer { loop.shutdown() }
        let first = try OriginServer.start(MeasuredOrigin.cleartext(), on: loop)
        let port = first.port
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            var plan = try origin.plan("/delay/1", .time(.seconds(9)), connections: 2)
            plan.origin = try Origin(first.url)
            plan.keepsTrying = true
            plan.api = api
            var bench = Bench(plan)
            let (begun, gone) = (Once(), Once())
            let second = Holder<OriginServer>()
            bench.onProgress = { progress in
                if progress.done > 10, begun.first() { first.stopNow() }
                if progress.elapsed > 4, gone.first() {
                    var configuration = MeasuredOrigin.cleartext()
                    configuration.port = port
                    second.value = try? OriginServer.start(configuration, on: loop)
                }
            }
            let result = try await bench.run()
            second.value?.stopNow()
            expectBalance(result)
            #expect(result.end == .complete)
            #expect(second.value?.statistics.requests ?? 0 > 0)
            #expect(result.downtime.count == 1)
            #expect(result.downtime.seconds >= 1)
            #expect(result.downtime.longest == result.downtime.seconds)
        }
    }

    @Test
    func `a connection of any loop is one that there was`() {
        let downtime = Downtime()
        #expect(!downtime.hasConnected)
        downtime.connected(5)
        downtime.gone(6)
        #expect(downtime.hasConnected)
    }

    @Test
    func `a connection that is replaced at once is no downtime`() {
        let downtime = Downtime()
        downtime.connected(0)
        downtime.measure(from: 100)
        downtime.answered()
        downtime.gone(1_000)
        downtime.connected(2_000)
        #expect(downtime.result(5_000) == BenchResult.Downtime())
    }

    @Test
    func `connections without an answer do not end a downtime, and what is before the measured part is cut off`() {
        let downtime = Downtime()
        downtime.connected(0)
        downtime.answered()
        downtime.gone(1_000_000_000)
        downtime.failed()
        downtime.measure(from: 2_000_000_000)
        downtime.connected(3_000_000_000)
        downtime.gone(3_100_000_000)
        downtime.connected(5_000_000_000)
        downtime.answered()
        downtime.gone(6_000_000_000)
        downtime.failed()
        let result = downtime.result(10_000_000_000)
        #expect(result.count == 2)
        #expect(result.seconds == 7)
        #expect(result.longest == 4)
    }
}

/// Invariant behind `@unchecked Sendable`: it is written by one call, and read when that is over.
private final class Holder<Value>: @unchecked Sendable {
    var value: Value?
}
