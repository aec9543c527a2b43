import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Histogram
import Testing

@testable import H2Measure

/// How load arrives, and what is told of servers that come and go.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchLoadTests {
    // MARK: - Arrivals

    @Test
    func `Stages follow each other, and the last rate goes on`() {
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
    func `Arrivals at random have the rate as their mean, and gaps that are exponential`() {
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
    func `What is due of arrivals at random is what is to be expected`() {
        let arrivals = Arrivals(from: 1_000, to: 1_000, ramp: 0)
        let schedule = Schedule(
            Arrivals.Part(first: 0, stride: 1, of: 1), of: arrivals, beganAt: 0, length: 5_000_000_000, seed: 1)
        #expect((4_900...5_001).contains(schedule.due(.max, arrivals)))
        #expect((900...1_001).contains(schedule.due(1_000_000_000, arrivals)))
    }

    @Test
    func `Once the time of a schedule is over all that it still has is due, whenever it began`() {
        let arrivals = Arrivals(from: 100, to: 100, ramp: 0)
        let part = Arrivals.Part(first: 1, stride: 2, of: 2)
        for began: UInt64 in [0, 7_000_000] {
            var schedule = Schedule(part, of: arrivals, beganAt: began, length: 4_000_000_000)
            #expect(schedule.due(schedule.end, arrivals) == 200)
            for _ in 0..<3 { schedule.take(arrivals) }
            #expect(schedule.due(schedule.end, arrivals) == 197)
        }
        // One without an end has nothing that is due at it.
        #expect(Schedule(part, of: arrivals, beganAt: 5).end == 5)
    }

    @Test
    func `An open loop goes through its stages`() async throws {
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
    func `An open loop at random sends about as many as its rate`() async throws {
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
    func `Streams of a closed loop rest between their requests`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(2)), streams: 5) {
                $0.thinkTime = .milliseconds(200)
                $0.api = api
            }
            // Each sends 10 times at most.
            #expect((5...50).contains(result.requests.sent))
            #expect(result.requests.failed == 0)
            #expect(result.waits.streamRequests == 0)
            let some = try await origin.measure("/bytes/3", .requests(20), streams: 5) {
                $0.thinkTime = .milliseconds(50)
                $0.api = api
            }
            #expect(some.requests.done == 20)
            #expect(some.elapsed >= 0.149)
        }
    }

    @Test
    func `A measurement begins at its time`() async throws {
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
    func `A connection comes from the address that was asked for`() async throws {
        try await MeasuredOrigin.run { origin in
            var configuration = origin.configuration
            configuration.local.address = "127.0.0.5"
            let address = try await HTTP2Connection.withConnection(
                to: Origin(origin.server.url), configuration: configuration
            ) { $0.info.localAddress }
            #expect(address.hasPrefix("127.0.0.5:"))
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Slots connect from several addresses in turn`(_ api: BenchPlan.API) async throws {
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
    func `Suites and groups are those that were asked for`(_ choice: (String, String, String, String)) async throws {
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
    func `Suites and groups that OpenSSL does not know are an error`(_ which: Int) async throws {
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
    func `A server is reached by its Unix domain socket`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run { origin in
            let path = try TemporaryDirectory.shared.newPath("s")
            let relay = try UnixRelay(path: path, to: origin.server.port)
            defer { relay.stop() }
            let result = try await origin.measure("/bytes/3", .requests(20), streams: 4) {
                $0.configuration.unixSocketPath = path
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
    func `A socket that is not there cannot be connected to`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            for path in [try TemporaryDirectory.shared.newPath("absent"), String(repeating: "x", count: 200)] {
                var plan = try origin.plan("/bytes/3", .requests(1))
                plan.configuration.unixSocketPath = path
                let bench = Bench(plan)
                let error = await #expect(throws: H2Error.self) { try await bench.run() }
                #expect(error?.code == .connectFailed)
                #expect(error?.message.contains(path) == true)
            }
        }
    }

    // MARK: - Parts

    @Test
    func `Latency is told by status and by request where that is asked for`() async throws {
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
    func `A response that is not as expected has failed`(_ api: BenchPlan.API) async throws {
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

    @Test(
        arguments: [BenchPlan.API.direct, .async],
        [BenchPlan.Protocols.cleartextHTTP2, .cleartextHTTP1])
    func `A response with a body of another hash has failed`(
        _ api: BenchPlan.API, _ protocols: BenchPlan.Protocols
    ) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            var plan = try origin.plan("/bytes/100000", .requests(40), connections: 2)
            plan.requests.append(try origin.plan("/bytes/100001", .requests(1)).requests[0])
            plan.api = api
            plan.protocols = protocols
            let body = try await withHTTPClient { try await $0.get("\(origin.server.url)/bytes/100000").body }
            #expect(body.count == 100_000)
            let digest = BodyDigest()
            digest.add(Array(body[..<7]))
            digest.add(Array(body[7...]))
            plan.expectation = .init(sha256: digest.finish())
            #expect(plan.expectation?.sha256?.count == 32)
            let result = try await Bench(plan).run()
            expectBalance(result)
            #expect(result.requests.done == 20 && result.requests.failed == 20)
            #expect(result.errors == ["a body of another SHA-256": 20])
            #expect(result.statuses[200] == 40)
        }
    }

    // MARK: - Scripts

    @Test
    func `A script has its lines at their times on each slot`() {
        let arrivals = Arrivals(script: [0, 5, 5, 70], slots: 3)
        #expect((0..<12).map { arrivals.time(of: $0) } == [0, 0, 0, 5, 5, 5, 5, 5, 5, 70, 70, 70])
        #expect(arrivals.time(of: 12) >= 1 << 62)
        // Two loops: the first has slots 0 and 2.
        let part = Arrivals.Part(first: 0, stride: 2, of: 3)
        var schedule = Schedule(part, of: arrivals, beganAt: 1_000)
        var lines: [String] = []
        for _ in 0..<8 {
            lines.append("\(schedule.round)@\(schedule.next)")
            schedule.take(arrivals)
        }
        #expect(lines == ["0@1000", "0@1000", "1@1005", "1@1005", "2@1005", "2@1005", "3@1070", "3@1070"])
        #expect(schedule.due(.max >> 4, arrivals) == 0)
    }

    @Test
    func `Each connection sends the lines of a script in order and at their times`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let path = try TemporaryDirectory.shared.newPath("script.csv")
            var plan = try origin.plan("/bytes/0", .requests(12), connections: 3, streams: 100)
            plan.requests += try (1...3).map { try origin.plan("/bytes/\($0)", .requests(1)).requests[0] }
            plan.pace = .script([0, 100_000_000, 100_000_000, 250_000_000])
            plan.threads = 2
            plan.requestLog = path
            let result = try await Bench(plan).run()
            expectBalance(result)
            #expect(result.end == .complete)
            #expect(result.requests.done == 12 && result.requests.dropped == 0)
            #expect(result.elapsed >= 0.25)
            var lines: [String: [(due: String, bytes: String)]] = [:]
            for line in try readText(path).split(separator: "\n").dropFirst() {
                let fields = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
                lines[fields[7], default: []].append((fields[1], fields[6]))
            }
            #expect(lines.count == 3)
            for sent in lines.values {
                let inOrder = sent.sorted { $0.bytes < $1.bytes }
                #expect(inOrder.map(\.bytes) == ["0", "1", "2", "3"])
                #expect(inOrder.map(\.due) == ["0.000000", "0.100000", "0.100000", "0.250000"])
            }
        }
    }

    // MARK: - Connections that never came

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Connections that were never established are counted`(_ api: BenchPlan.API) async throws {
        // It takes connections and says nothing, so that no handshake ends.
        let server = try RawServer { socket in _ = try? socket.readToEnd() }
        defer { server.stop() }
        var plan = BenchPlan(
            origin: try Origin("https://127.0.0.1:\(server.port)"),
            requests: [.init(HTTPRequest(method: .get, scheme: "https", authority: "127.0.0.1", path: "/"))])
        plan.extent = .time(.milliseconds(300))
        plan.connections = 20
        plan.api = api
        let result = try await Bench(plan).run()
        #expect(result.connections.wanted == 20 && result.connections.neverOpened == 20)
        #expect(result.connections.opened == 0 && result.requests.sent == 0)
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/bytes/1", .requests(2), connections: 3) { $0.api = api }
            // The third has nothing to send.
            #expect(result.connections.wanted == 2 && result.connections.neverOpened == 0)
            #expect(result.connections.opened == 2)
        }
    }

    @Test
    func `Requests behind the first hundred are told together`() {
        let breakdown = Breakdown(requests: 1_000)
        for request in 0..<1_000 { breakdown.record(5, status: 200, request: request) }
        #expect(breakdown.byRequest.count == 101)
        #expect(breakdown.byRequest[99]?.total == 1)
        #expect(breakdown.byRequest[100]?.total == 900)
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Each slot has its rate`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/10", .requests(120), connections: 4) {
                $0.threads = 2
                $0.api = api
            }
            #expect(result.perConnection.count == 4)
            #expect(abs(result.perConnection.mean * 4 / result.rate - 1) < 0.01)
            #expect(result.perConnection.minimum <= result.perConnection.mean)
            #expect(result.perConnection.maximum >= result.perConnection.mean)
        }
    }

    @Test
    func `A spread is what is known of few numbers`() {
        let spread = BenchResult.Spread([2, 4, 4, 4, 5, 5, 7, 9])
        #expect(spread.minimum == 2 && spread.maximum == 9 && spread.mean == 5 && spread.deviation == 2)
        #expect(spread.within == 0.75)
        #expect(BenchResult.Spread([]).count == 0)
    }

    // MARK: - Downtime

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A measurement that keeps trying outlives a restart, and tells the downtime`(
        _ api: BenchPlan.API
    ) async throws {
        let loop = H2EventLoop()
        defer { loop.shutdown() }
        // One that no client's socket takes while the server is away.
        let port = try LoopbackPort.unused()
        let first = try OriginServer.start(MeasuredOrigin.cleartext { $0.port = port }, on: loop)
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            var plan = try origin.plan("/delay/1", .time(.seconds(9)), connections: 2)
            plan.origin = try Origin(first.url)
            plan.keepsTrying = true
            plan.api = api
            var bench = Bench(plan)
            let (begun, gone) = (Once(), Once())
            let second = Holder<OriginServer>()
            // From when it may be away, and from when it is; and until when it is, and until when it may be.
            let (from, isGone, until, isBack) = (
                Holder<ContinuousClock.Instant>(), Holder<ContinuousClock.Instant>(), Holder<ContinuousClock.Instant>(),
                Holder<ContinuousClock.Instant>()
            )
            bench.onProgress = { progress in
                if progress.done > 10, begun.first() {
                    from.value = .now
                    first.stopNow()
                    isGone.value = .now
                }
                if progress.elapsed > 4, gone.first() {
                    var configuration = MeasuredOrigin.cleartext()
                    configuration.port = port
                    until.value = .now
                    second.value = try? OriginServer.start(configuration, on: loop)
                    isBack.value = .now
                }
            }
            let result = try await bench.run()
            second.value?.stopNow()
            expectBalance(result)
            #expect(result.end == .complete)
            #expect(second.value?.statistics.requests ?? 0 > 0)
            #expect(result.downtime.count == 1)
            #expect(result.downtime.longest == result.downtime.seconds)
            let most = try #require(isBack.value) - (try #require(from.value))
            let least = try #require(until.value) - (try #require(isGone.value))
            #expect(result.downtime.leastSeconds <= most.inSeconds && result.downtime.leastSeconds > 1)
            #expect(result.downtime.seconds >= least.inSeconds)
        }
    }

    @Test
    func `A connection of any loop is one that there was`() {
        let downtime = Downtime()
        #expect(!downtime.hasConnected)
        downtime.connected(5)
        downtime.gone(6)
        #expect(downtime.hasConnected)
    }

    @Test
    func `A connection that is replaced at once is no downtime`() {
        let downtime = Downtime()
        downtime.connected(0)
        downtime.measure(from: 100)
        downtime.answered()
        downtime.gone(1_000)
        downtime.connected(2_000)
        #expect(downtime.result(5_000) == BenchResult.Downtime())
    }

    @Test
    func `A connection that comes after the end ends no downtime before it`() {
        let downtime = Downtime()
        downtime.connected(0)
        downtime.answered()
        downtime.measure(from: 0)
        downtime.gone(1_000_000_000)
        downtime.failed(1_500_000_000)
        downtime.connected(9_000_000_000)
        let result = downtime.result(2_000_000_000)
        #expect(result.seconds == 1 && result.leastSeconds == 0.5)
    }

    @Test
    func `Connections without an answer do not end a downtime, and what is before the measured part is cut off`() {
        let downtime = Downtime()
        downtime.connected(0)
        downtime.answered()
        downtime.gone(1_000_000_000)
        downtime.failed(1_000_000_000)
        downtime.measure(from: 2_000_000_000)
        downtime.connected(3_000_000_000)
        downtime.gone(3_100_000_000)
        downtime.connected(5_000_000_000)
        downtime.answered()
        downtime.gone(6_000_000_000)
        downtime.failed(6_500_000_000)
        let result = downtime.result(10_000_000_000)
        #expect(result.count == 2)
        #expect(result.seconds == 7)
        #expect(result.longest == 4)
        // Of the first it is known until a connection ended without an answer, of the second until the last dial that failed.
        #expect(abs(result.leastSeconds - 1.6) < 1e-9)
    }

    @Test
    func `A server that was away for a moment is told with what is known of that`() {
        let downtime = Downtime()
        downtime.connected(0)
        downtime.measure(from: 0)
        downtime.answered()
        downtime.gone(1_000_000_000)
        #expect(downtime.lasts(1_050_000_000) == 50_000_000)
        for time in [1_000, 1_100, 1_180] as [UInt64] { downtime.failed(time * 1_000_000) }
        downtime.connected(1_280_000_000)
        #expect(downtime.lasts(1_300_000_000) == nil)
        downtime.answered()
        let result = downtime.result(5_000_000_000)
        #expect(result.count == 1)
        #expect(abs(result.leastSeconds - 0.18) < 1e-9 && abs(result.seconds - 0.28) < 1e-9)
    }

    @Test(arguments: [(0, 20), (200, 20), (1_500, 75), (10_000, 500), (3_600_000, 1_000)] as [(UInt64, UInt64)])
    func `A server that is away is looked at the less often the longer that lasts`(_ away: UInt64, _ pause: UInt64) {
        #expect(Downtime.pause(after: away * 1_000_000) == pause * 1_000_000)
    }
}

/// Invariant behind `@unchecked Sendable`: it is written by one call, and read when that is over.
private final class Holder<Value>: @unchecked Sendable {
    var value: Value?
}
