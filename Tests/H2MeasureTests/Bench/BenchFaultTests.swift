import H2Client
import H2Measure
import H2ClientTesting
import H2TestSupport
import Testing

/// What the engine does where a server or its connections fail it: it ends, and every request is accounted for.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchFaultTests {
    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Slots that give up one after the other end a measurement of some time`(
        _ api: BenchPlan.API
    ) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/10", .time(.seconds(60)), connections: 3, streams: 2) {
                $0.activeTimeout = .seconds(1)
                $0.api = api
            }
            #expect(result.end == .expired("its connections were open for 1.00 s (-T)"))
            #expect(result.connections.rotated == 3)
            #expect(result.requests.failed == 0)
            #expect(result.requests.done > 0)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async], [BenchPlan.Protocols.cleartextHTTP2, .cleartextHTTP1])
    func `A server that ends connections without an answer is dialled five times, with pauses`(
        _ api: BenchPlan.API, _ protocols: BenchPlan.Protocols
    ) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.closeAfterRequests = 1
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(100)) {
                $0.api = api
                $0.protocols = protocols
            }
            guard case .gaveUp = result.end else {
                Issue.record("it ended with \(result.end)")
                return
            }
            #expect(result.requests.failed == 5)
            #expect(result.requests.dropped == 95)
            #expect(origin.server.statistics.connectionsAccepted == 5)
        }
    }

    @Test
    func `What ends in the warm-up has measured no time`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.closeAfterRequests = 1
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .time(.seconds(60))) { $0.warmUp = .seconds(60) }
            #expect(result.end != .complete)
            #expect(result.requests.sent == 0)
            #expect(result.elapsed < 60)
        }
    }

    @Test
    func `The drain is over with the last answer`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let began = ContinuousClock.now
            let result = try await origin.measure("/delay/50", .time(.seconds(1)), streams: 4) {
                $0.drain = .seconds(600)
            }
            #expect(result.end == .complete)
            #expect(result.requests.drained == 4)
            #expect(result.requests.aborted == 0)
            #expect(ContinuousClock.now - began < .seconds(300))
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `The log has a line for each request that was cut off at the end`(_ api: BenchPlan.API) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.isMute = true
        try await MeasuredOrigin.run(configuration) { origin in
            let path = try TemporaryDirectory.shared.newPath("aborted.csv")
            let result = try await origin.measure("/bytes/10", .time(.seconds(1)), streams: 3) {
                $0.drain = .zero
                $0.api = api
                $0.requestLog = path
            }
            #expect(result.requests.aborted == 3)
            let lines = try readText(path).split(separator: "\n").dropFirst()
            #expect(lines.count == 3)
            #expect(lines.allSatisfy { $0.contains(",aborted,1") })
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A connection that ended after GOAWAY was lost to that`(_ api: BenchPlan.API) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.goAwayAfterRequests = 20
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(100), streams: 4) { $0.api = api }
            #expect(result.requests.done == 100)
            #expect(Array(result.connections.lost.keys) == ["GOAWAY NO_ERROR"])
        }
    }

    @Test
    func `A connection that is closed is let go of`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let plan = try origin.plan("/bytes/10", .requests(1))
            let loop = H2EventLoop()
            defer { loop.shutdown() }
            let held = Held()
            let hasConnected = await withCheckedContinuation { continuation in
                loop.execute {
                    held.dial = DirectConnection.connect(
                        to: plan.origin, offering: .priorKnowledge, configuration: plan.configuration, tls: nil,
                        on: loop,
                        user: held
                    ) { result in
                        let connection = try? result.get()
                        held.connection = connection
                        connection?.closeNow(because: "it was only to be looked at")
                        continuation.resume(returning: connection != nil)
                    }
                }
            }
            #expect(hasConnected)
            // What the loop still held is gone after a turn or two.
            for _ in 0..<1_000 where held.connection != nil {
                await withCheckedContinuation { continuation in loop.execute { continuation.resume() } }
            }
            #expect(held.connection == nil)
        }
    }
}

/// Has a connection without keeping it.
///
/// Invariant behind `@unchecked Sendable`: it is looked at after the loop has done with it.
private final class Held: DirectConnectionUser, @unchecked Sendable {
    weak var connection: DirectConnection?
    var dial: Connector?

    func ended(_ stream: DirectStream, on connection: DirectConnection) {}
    func draining(_ connection: DirectConnection, why: H2Error) {}
    func streamLimitChanged(_ connection: DirectConnection) {}
    func closed(_ connection: DirectConnection, why: H2Error) {}
}
