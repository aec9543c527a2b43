import H2Client
import H2Measure
import H2ClientTesting
import HTTPTypes
import H2TestSupport
import Testing

/// The engine itself, against an origin in this process. What a busy machine can do to a figure is not asserted: where
/// the knee is of given figures, `SweepTests` tell.
@Suite(.measuring, .timeLimit(.minutes(5))) struct SweepEngineTests {
    private func sweep(
        _ path: String, _ change: (inout SweepPlan) -> Void = { _ in },
        server changeServer: (inout OriginServer.Configuration) -> Void = { _ in }
    ) async throws -> SweepResult {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        changeServer(&configuration)
        let server = try OriginServer.start(configuration)
        defer { server.stopNow() }
        var plan = SweepPlan(
            origin: try Origin(server.url),
            requests: [.init(HTTPRequest(method: .get, scheme: nil, authority: nil, path: path))])
        plan.protocols = .cleartextHTTP2
        plan.time = .milliseconds(700)
        plan.warmUp = .milliseconds(50)
        change(&plan)
        return try await Sweep(plan).run()
    }

    @Test func `A fixed delay bounds the throughput`() async throws {
        let result = try await sweep("/delay/20", { $0.streams = [1, 2, 4, 8] })
        #expect(result.curves.map(\.stop) == [.top])
        #expect(result.points.allSatisfy { $0.isClean && $0.p50 >= 20_000_000 })
        let rates = result.points.map(\.rate)
        // Never more than the delay allows.
        for (rate, streams) in zip(rates, [1, 2, 4, 8]) { #expect(rate <= Double(streams) / 0.020 * 1.1) }
    }

    @Test func `Few workers make a knee`() async throws {
        let result = try await sweep(
            "/bytes/3",
            {
                $0.streams = [1, 2, 4, 8, 16, 32]
                $0.limits = [LatencyLimit(percentile: 50, nanoseconds: 10_000_000_000)]
            },
            server: {
                var workers = OriginServer.Workers(count: 4)
                workers.serviceTime = .milliseconds(20)
                workers.queue = 1000
                $0.limits.workers = workers
            })
        guard case .at(let knee) = result.knee else {
            Issue.record("no knee in \(result)")
            return
        }
        #expect((2...8).contains(knee.streams), "\(result.points)")
        // Four at a time: with 32 in flight each waits for seven times 20 ms, and its own.
        #expect(try #require(result.point(SweepSetting(connections: 1, streams: 32))).p50 >= 150_000_000)
        #expect(result.points.allSatisfy { $0.rate <= 4 / 0.020 * 1.1 })
        #expect(result.best != nil)
    }

    @Test func `Refusals end the climb`() async throws {
        let result = try await sweep(
            "/bytes/3", { $0.streams = [1, 2, 4, 8, 16] },
            server: {
                var workers = OriginServer.Workers(count: 2)
                workers.serviceTime = .milliseconds(20)
                workers.refusal = .refusedStream
                $0.limits.workers = workers
            })
        guard case .refusals(let cause) = result.curves[0].stop else {
            Issue.record("stopped because of \(result.curves[0].stop)")
            return
        }
        #expect(cause.contains("refused"))
        #expect(result.server.firstRefusal == SweepSetting(connections: 1, streams: 4))
        #expect(result.server.refusedStreams > 0)
    }

    @Test func `The limit of streams is the server's own`() async throws {
        let result = try await sweep(
            "/delay/5", { $0.streams = [1, 4, 16, 64] }, server: { $0.settings.maxConcurrentStreams = 10 })
        #expect(result.curves[0].stop == .streamLimit(10))
        #expect(result.points.map(\.setting.streams) == [1, 4, 16])
        #expect(result.server.maxConcurrentStreams == 10)
    }

    @Test func `Connections of HTTP/1.1 are swept too`() async throws {
        let result = try await sweep(
            "/delay/5",
            {
                $0.protocols = .cleartextHTTP1
                $0.streams = [1]
                $0.connections = [1, 2, 4]
            })
        #expect(result.curves.map(\.connections) == [1, 2, 4])
        #expect(result.points.allSatisfy { $0.isClean && $0.maxConcurrentStreams == nil })
        for point in result.points { #expect(point.rate <= Double(point.setting.connections) / 0.005 * 1.1) }
    }
}
