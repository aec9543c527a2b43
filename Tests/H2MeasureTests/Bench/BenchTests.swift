import H2Client
import H2Measure
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Histogram
import Testing

/// Each figure of the engine against an origin whose behaviour is known.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchTests {
    // MARK: - Counts

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Every request is answered, and the server has seen as many`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/bytes/100", .requests(1_000), connections: 3, streams: 7) {
                $0.api = api
            }
            #expect(result.end == .complete)
            #expect(result.requests.sent == 1_000)
            #expect(result.requests.done == 1_000)
            #expect(result.requests.answeredInTime == 1_000)
            #expect(result.requests.dropped == 0)
            #expect(result.statuses[200] == 1_000)
            #expect(result.traffic.bodiesReceived == 100_000)
            #expect(result.connections.opened == 3)
            #expect(result.connections.peakOpen == 3)
            #expect(result.connections.http2 == 3)
            #expect(result.connections.handshakes == 3)
            #expect(result.connections.tlsVersion == "TLSv1.3")
            #expect(result.connections.maxConcurrentStreams == 1_000)
            #expect(origin.server.statistics.requests == 1_000)
            #expect(origin.server.statistics.connectionsAccepted == 3)
            #expect(result.connect.totalCount == 3)
            #expect(result.handshake.totalCount == 3)
            #expect(result.client.loopBusy.count == 1)
            #expect(result.client.residentBytes > 1 << 20)
            #expect(result.elapsed > 0)
            // TLS adds to what HTTP is, and HTTP to bodies.
            #expect(result.traffic.received > result.traffic.receivedHTTP)
            #expect(result.traffic.receivedHTTP > result.traffic.bodiesReceived)
            #expect(result.traffic.sent > result.traffic.sentHTTP)
            #expect(result.traffic.sentHTTP > 0)
            #expect(result.traffic.headerSaving > 0.5)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async], ["h2", "http/1.1"])
    func `A connection that has used up its identifiers is replaced`(
        _ api: BenchPlan.API, _ version: String
    ) async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/bytes/10", .requests(300), connections: 2, streams: 2) {
                $0.protocols = .tls([version])
                $0.configuration.limits.lastIdentifier = 19
                $0.api = api
            }
            #expect(result.end == .complete)
            #expect(result.requests.done == 300)
            #expect(result.requests.failed == 0)
            #expect(result.connections.opened > 10)
            #expect(origin.server.statistics.requests == 300)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `HTTP/1.1 has one request at a time on each connection`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/bytes/10", .requests(200), connections: 4) {
                $0.protocols = .tls(["http/1.1"])
                $0.api = api
            }
            #expect(result.requests.done == 200)
            #expect(result.connections.http1 == 4)
            #expect(result.connections.opened == 4)
            #expect(result.connections.maxConcurrentStreams == nil)
        }
    }

    @Test(arguments: [BenchPlan.Protocols.cleartextHTTP2, .cleartextHTTP1])
    func `Cleartext has no handshakes`(_ protocols: BenchPlan.Protocols) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/10", .requests(50)) { $0.protocols = protocols }
            #expect(result.requests.done == 50)
            #expect(result.connections.handshakes == 0)
            #expect(result.connections.tlsVersion == nil)
            #expect(result.traffic.received == result.traffic.receivedHTTP)
            #expect(result.traffic.sent == result.traffic.sentHTTP)
        }
    }

    @Test
    func `Two threads share connections and requests`() async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/bytes/10", .requests(1_001), connections: 5, streams: 3) {
                $0.threads = 2
            }
            #expect(result.requests.done == 1_001)
            #expect(result.connections.opened == 5)
            #expect(result.client.loopBusy.count == 2)
        }
    }

    @Test
    func `Several requests are sent in turn, with their bodies`() async throws {
        try await MeasuredOrigin.run { origin in
            var plan = try origin.plan("/bytes/10", .requests(30))
            var upload = HTTPRequest(
                method: .post, scheme: "https", authority: plan.origin.authority, path: "/echo")
            upload.headerFields[.contentType] = "text/plain"
            plan.requests.append(.init(upload, body: [UInt8](repeating: 65, count: 1_000)))
            plan.requests.append(
                .init(
                    HTTPRequest(method: .head, scheme: "https", authority: plan.origin.authority, path: "/bytes/99")))
            let result = try await Bench(plan).run()
            expectBalance(result)
            #expect(result.requests.done == 30)
            #expect(result.traffic.bodiesReceived == 10 * 10 + 10 * 1_000)
            #expect(result.traffic.bodiesSent == 10 * 1_000)
        }
    }

    @Test
    func `Statuses are counted as they come, and are no failures`() async throws {
        try await MeasuredOrigin.run { origin in
            var plan = try origin.plan("/status/404", .requests(20))
            plan.requests.append(try origin.plan("/status/503", .requests(1)).requests[0])
            let result = try await Bench(plan).run()
            expectBalance(result)
            #expect(result.statuses[404] == 10)
            #expect(result.statuses[503] == 10)
            #expect(result.statusClass(4) == 10)
            #expect(result.requests.failed == 0)
        }
    }

    @Test
    func `Streams that the server resets are failures under their cause`() async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/reset/8", .requests(20), streams: 4)
            #expect(result.requests.failed == 20)
            #expect(result.errors == ["stream reset by the server: CANCEL": 20])
            #expect(result.connections.opened == 1)
        }
    }

    // MARK: - Reconnects

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `The load goes on over new connections where the server says GOAWAY`(_ api: BenchPlan.API) async throws {
        var configuration = OriginServer.Configuration()
        configuration.faults.goAwayAfterRequests = 50
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(500), streams: 10) { $0.api = api }
            #expect(result.requests.done == 500)
            #expect(result.connections.opened >= 10)
            #expect(result.connections.reopened == result.connections.opened - 1)
            #expect(result.connections.lost.values.reduce(0, +) >= 9)
        }
    }

    @Test
    func `HTTP/1.1 goes on where the server closes connections`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.faults.goAwayAfterRequests = 10
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(100)) { $0.protocols = .tls(["http/1.1"]) }
            #expect(result.requests.done == 100)
            #expect(result.connections.opened == 10)
        }
    }

    @Test
    func `Requests that a vanished connection takes with it are failures, and the load goes on`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.closeAfterResponses = 25
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(300), streams: 8)
            #expect(result.requests.done >= 200)
            #expect(result.connections.reopened > 5)
            #expect(result.connections.lost.values.reduce(0, +) >= result.connections.reopened)
        }
    }

    @Test(arguments: [["h2"], ["http/1.1"]], [BenchPlan.API.direct, .async])
    func `Connections are rotated after their number of requests`(
        _ protocols: [String], _ api: BenchPlan.API
    ) async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/bytes/10", .requests(100)) {
                $0.requestsPerConnection = 10
                $0.protocols = .tls(protocols)
                $0.api = api
            }
            #expect(result.requests.done == 100)
            #expect(result.connections.opened == 10)
            #expect(result.connections.rotated >= 9)
            #expect(result.connections.lost.isEmpty)
            #expect(origin.server.statistics.connectionsAccepted == 10)
        }
    }

    @Test
    func `A new connection for each request costs its round trips`() async throws {
        try await MeasuredOrigin.run { origin in
            func roundTrips(_ change: (inout BenchPlan) -> Void) async throws -> BenchResult {
                try await origin.measure("/bytes/10", .requests(20), change)
            }
            // Each: TCP 1, TLS 1.3 1, request 1.
            let new = try await roundTrips { $0.requestsPerConnection = 1 }
            #expect(new.connections.roundTrips == 60)
            #expect(new.connections.handshakes == 20)
            #expect(new.connections.resumed == 19)
            let without = try await roundTrips {
                $0.requestsPerConnection = 1
                $0.configuration.tls.resumesSessions = false
            }
            #expect(without.connections.resumed == 0)
            let kept = try await roundTrips { _ in }
            #expect(kept.connections.roundTrips == 22)
            let parallel = try await roundTrips { $0.streams = 20 }
            #expect(parallel.connections.roundTrips == 3)
        }
    }

    // MARK: - Times

    @Test
    func `Latency is the server's delay at least, and the first byte's time too`() async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/delay/5", .requests(20), streams: 2)
            #expect(result.latency.min >= 5_000_000 * 99 / 100)
            #expect(result.firstByte.min >= 5_000_000 * 99 / 100)
            #expect(result.latency.max >= result.firstByte.max)
        }
    }

    @Test
    func `The first byte comes before the last`() async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/drip?bytes=30&chunk=10&interval=20", .requests(5))
            #expect(result.latency.min >= 40_000_000 * 99 / 100)
            #expect(result.firstByte.min < result.latency.min)
            #expect(result.traffic.bodiesReceived == 150)
        }
    }

    @Test
    func `A server that freezes for a second shows in the corrected latency`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let plan = try origin.plan("/bytes/3", .time(.seconds(3)), streams: 1) {
                $0.pace = .arrivals(from: 200, to: 200, ramp: .zero)
                $0.drain = .seconds(20)
            }
            var bench = Bench(plan)
            let hasFrozen = Once()
            let loop = origin.loop
            bench.onProgress = { progress in
                if progress.elapsed > 0.5, hasFrozen.first() { loop.execute { letTimePass(.seconds(1)) } }
            }
            let result = try await bench.run()
            expectBalance(result)
            #expect(result.requests.failed == 0)
            // Of 600 requests 200 were to begin while the server stood still; one of them was in flight.
            #expect(result.corrected.valueAtPercentile(75) >= 50_000_000)
            #expect(result.corrected.valueAtPercentile(99) >= 500_000_000)
            #expect(result.corrected.max >= 900_000_000)
            #expect(result.waits.streamRequests >= 100)
            // What coordinated omission makes of it.
            #expect(result.latency.valueAtPercentile(95) < result.corrected.valueAtPercentile(95) / 2)
        }
    }

    @Test
    func `An open loop keeps its rate, and waits of its own are none of the server's`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .requests(300), connections: 2, streams: 10) {
                $0.pace = .arrivals(from: 500, to: 500, ramp: .zero)
            }
            #expect(result.requests.done == 300)
            // The last of 300 begins after 0.598 s.
            #expect(result.elapsed >= 0.59)
        }
    }

    @Test
    func `A rate for each connection is kept by each`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .requests(200), connections: 4, streams: 5) {
                $0.pace = .arrivalsPerConnection(100)
            }
            #expect(result.requests.done == 200)
            #expect(result.elapsed >= 0.49)
            #expect(result.connections.opened == 4)
        }
    }

    // MARK: - The deadline

    @Test
    func `What is in flight at the deadline is drained, or aborted, and counted`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let drained = try await origin.measure("/delay/1000", .time(.milliseconds(300)), streams: 10) {
                $0.drain = .seconds(30)
            }
            #expect(drained.requests.sent == 10)
            #expect(drained.requests.done == 10)
            #expect(drained.requests.drained == 10)
            #expect(drained.requests.answeredInTime == 0)
            let aborted = try await origin.measure("/stall", .time(.milliseconds(300)), streams: 10) {
                $0.drain = .milliseconds(50)
            }
            #expect(aborted.requests.sent == 10)
            #expect(aborted.requests.aborted == 10)
            #expect(aborted.rate == 0)
        }
    }

    @Test
    func `What an open loop's schedule had and nobody could send is dropped`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/stall", .time(.milliseconds(500)), streams: 2) {
                $0.pace = .arrivals(from: 100, to: 100, ramp: .zero)
                $0.drain = .zero
            }
            #expect(result.requests.sent == 2)
            #expect(result.requests.aborted == 2)
            #expect((40...50).contains(result.requests.dropped))
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Whoever stops it gets what was measured`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            var bench = Bench(
                try origin.plan("/delay/1", .time(.seconds(3_600)), streams: 5) { $0.api = api })
            let hasBegun = Gate()
            bench.onProgress = { if $0.done > 10 { hasBegun.open() } }
            let task = Task { [bench] in try await bench.run() }
            await hasBegun.wait()
            task.cancel()
            let result = try await task.value
            expectBalance(result)
            #expect(result.end == .interrupted)
            #expect(result.requests.done > 10)
            #expect(result.elapsed < 600)
        }
    }

    @Test
    func `The warm-up is not counted`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .requests(100), streams: 4) {
                $0.warmUp = .milliseconds(300)
            }
            #expect(result.requests.sent == 100)
            #expect(result.requests.done == 100)
            #expect(origin.server.statistics.requests > 100)
        }
    }

    // MARK: - Waits

    @Test
    func `Waiting for the server's stream limit is a wait for a slot`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.settings.maxConcurrentStreams = 2
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/delay/5", .requests(100), streams: 10)
            #expect(result.requests.done == 100)
            #expect(result.connections.maxConcurrentStreams == 2)
            #expect(result.waits.streamRequests >= 80)
            // Of ten who want two wait: four other pairs go before each, 5 ms for each.
            #expect(result.waits.stream > 80 * 10_000_000)
            #expect(result.corrected.valueAtPercentile(50) > result.latency.valueAtPercentile(50))
        }
    }

    @Test
    func `Uploads that wait for the server's window are told`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.settings.initialWindowSize = 16_384
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/upload", .requests(20), streams: 2) {
                $0.requests[0].request.method = .post
                $0.requests[0].body = [UInt8](repeating: 7, count: 500_000)
            }
            #expect(result.requests.done == 20)
            #expect(result.statuses[200] == 20)
            #expect(result.traffic.bodiesSent == 10_000_000)
            #expect(result.waits.uploadStreamWindow > 0)
        }
    }

    @Test
    func `Streams in flight are what the plan says`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/20", .time(.seconds(1)), connections: 2, streams: 5)
            let middle = try #require(result.intervals.dropFirst(2).first)
            #expect(middle.peakInFlight == 10)
            #expect(middle.connections == 2)
            #expect(result.intervals.reduce(0) { $0 + $1.done } == result.requests.answeredInTime)
            #expect(result.intervals.reduce(0) { $0 + $1.sent } == result.requests.sent)
            #expect(result.intervals.allSatisfy { $0.length > 0 && $0.bytesReceived >= 0 })
        }
    }

    // MARK: - What goes wrong

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Nothing is measured where nobody listens`(_ api: BenchPlan.API) async throws {
        var plan = BenchPlan(
            origin: try Origin("http://127.0.0.1:1"),
            requests: [.init(HTTPRequest(method: .get, scheme: "http", authority: "127.0.0.1:1", path: "/"))])
        plan.protocols = .cleartextHTTP2
        plan.api = api
        let error = await #expect(throws: H2Error.self) { try await Bench(plan).run() }
        #expect(error?.code == .connectFailed)
    }

    @Test
    func `A certificate that nobody vouches for is the error, at once`() async throws {
        try await MeasuredOrigin.run { origin in
            var plan = try origin.plan("/bytes/3", .requests(10))
            plan.configuration.tls.caFile = nil
            let error = await #expect(throws: H2Error.self) { try await Bench(plan).run() }
            #expect(error?.code == .certificateRejected)
        }
    }

    @Test
    func `A server that is gone for good ends the measurement with what there is`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            var bench = Bench(try origin.plan("/delay/1", .requests(1_000_000), streams: 5))
            let once = Once()
            let server = origin.server
            bench.onProgress = { if $0.done > 10, once.first() { server.stopNow() } }
            let result = try await bench.run()
            expectBalance(result)
            guard case .gaveUp(let why) = result.end else {
                Issue.record("it ended with \(result.end)")
                return
            }
            #expect(why.contains("cannot connect"))
            #expect(result.requests.done > 10)
            #expect(result.requests.dropped == 1_000_000 - result.requests.sent)
            #expect(result.connections.failed.values.reduce(0, +) == 5)
        }
    }

    @Test
    func `A request that no version can send is refused before anything is`() async throws {
        try await MeasuredOrigin.run { origin in
            var plan = try origin.plan("/bytes/3", .requests(10))
            plan.requests[0].request.headerFields[.upgrade] = "h3"
            let error = await #expect(throws: H2Error.self) { try await Bench(plan).run() }
            #expect(error?.code == .invalidRequest)
            #expect(origin.server.statistics.connectionsAccepted == 0)
        }
    }

    @Test
    func `A connection that is too old, or silent for too long, is closed and not replaced`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let old = try await origin.measure("/delay/5", .requests(1_000_000)) {
                $0.activeTimeout = .milliseconds(200)
            }
            #expect(old.connections.opened == 1)
            #expect(old.requests.done > 0)
            #expect(old.end != .complete)
            let silent = try await origin.measure("/stall", .requests(1_000), streams: 3) {
                $0.inactivityTimeout = .milliseconds(200)
            }
            #expect(silent.requests.failed == 3)
            #expect(silent.connections.rotated == 1)
            #expect(silent.end != .complete)
        }
    }

    @Test
    func `Connections can be opened at a rate`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/20", .time(.milliseconds(600)), connections: 6) {
                $0.connectionRamp = .init(count: 2, period: .milliseconds(200))
            }
            #expect(result.connections.opened == 6)
            #expect(result.intervals.first?.connections ?? 9 <= 2)
            #expect(result.intervals.last?.connections == 6)
        }
    }
}
