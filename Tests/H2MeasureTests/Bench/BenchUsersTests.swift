import Foundation
import H2Client
import H2ClientTesting
import H2Measure
import H2TestSupport
import HTTPTypes
import Testing

/// Users that come and go while a measurement runs.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchUsersTests {
    /// Runs a measurement with users, and `body` beside it; the measurement ends after that.
    private func run(
        _ origin: MeasuredOrigin, _ path: String = "/bytes/100", perConnection: Int = 10, threads: Int = 1,
        _ change: (inout BenchPlan) -> Void = { _ in }, _ body: (BenchControl) async throws -> Void
    ) async throws -> BenchResult {
        let control = BenchControl()
        let plan = try origin.plan(path, .untilStopped, connections: threads) {
            $0.threads = threads
            $0.users = BenchPlan.Users(perConnection: perConnection)
            $0.collectsFigures = true
            $0.countsSeconds = true
            change(&$0)
        }
        var bench = Bench(plan)
        bench.control = control
        let measuring = bench
        let running = Task { try await measuring.run() }
        do { try await body(control) } catch {
            control.stop()
            _ = try? await running.value
            throw error
        }
        control.stop()
        return try await running.value
    }

    private func waitForUsers(_ count: Int, _ control: BenchControl, _ sum: inout LiveFigures) async throws {
        for _ in 0..<2_000 {
            let figures = control.takeFigures()
            sum.addCounts(figures)
            if figures.users == count, count > 0 || figures.inFlight == 0 { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("not \(count) users in time")
    }

    @Test(arguments: [1, 3])
    func `Users come and go with their connections, and each of their requests is counted once`(
        _ threads: Int
    ) async throws {
        try await MeasuredOrigin.run { origin in
            var sum = LiveFigures()
            let result = try await run(origin, threads: threads) { control in
                for (users, connections) in [(60, 6), (15, threads == 1 ? 2 : 3), (35, threads == 1 ? 4 : 6), (0, 0)] {
                    control.setUsers(users)
                    try await waitForUsers(users, control, &sum)
                    try await eventually("\(connections) connections", within: .seconds(30)) {
                        origin.server.statistics.connectionsOpen == connections
                    }
                }
                sum.addCounts(control.takeFigures())
            }
            let counted = sum.parts.values.reduce(0) { $0 + $1.ended }
            #expect(result.end == .complete)
            #expect(result.requests.failed == 0)
            #expect(counted >= 60)
            #expect(counted == result.requests.sent)
            #expect(origin.server.statistics.requests == counted)
            #expect(sum.parts.values.reduce(0) { $0 + $1.milliseconds.all.reduce(0) { $0 + $1.count } } == counted)
            #expect(sum.parts.values.reduce(0) { $0 + $1.counts.reduce(0, +) } == counted)
            #expect(sum.parts.values.reduce(0) { $0 + $1.endedBySecond.values.reduce(0, +) } == counted)
            #expect(sum.parts.values.reduce(0) { $0 + $1.bytes } == counted * 100)
            expectBalance(result)
        }
    }

    @Test func `Users that change a thousand times lose no request`() async throws {
        try await MeasuredOrigin.run { origin in
            var sum = LiveFigures()
            let result = try await run(origin, "/bytes/1", perConnection: 3, threads: 2) { control in
                for round in 0..<1_000 {
                    control.setUsers(round * 7 % 23)
                    if round % 10 == 0 { try await Task.sleep(for: .milliseconds(1)) }
                }
                control.setUsers(0)
                try await waitForUsers(0, control, &sum)
                sum.addCounts(control.takeFigures())
            }
            #expect(result.requests.failed == 0)
            #expect(sum.parts.values.reduce(0) { $0 + $1.ended } == result.requests.done)
            #expect(origin.server.statistics.requests == result.requests.done)
            expectBalance(result)
        }
    }

    @Test func `A user with a period begins one request in each`() async throws {
        try await MeasuredOrigin.run { origin in
            var sum = LiveFigures()
            let result = try await run(
                origin, "/bytes/1",
                {
                    $0.users = BenchPlan.Users(perConnection: 10, period: .milliseconds(50))
                }
            ) { control in
                control.setUsers(10)
                try await Task.sleep(for: .seconds(2))
                control.setUsers(0)
                try await waitForUsers(0, control, &sum)
            }
            // 10 users begin 20 requests a second each; a busy machine may have them begin fewer.
            #expect(result.requests.done >= 200)
            #expect(result.requests.done <= 10 * (2 * 20 + 2) + 100)
            #expect(result.connections.opened == 1)
        }
    }

    @Test func `Users of a server that is away have failed requests, and find it when it comes`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let holder = try OriginServer.start(MeasuredOrigin.cleartext())
            let port = holder.port
            await holder.stop(grace: .zero)
            var sum = LiveFigures()
            var server: OriginServer?
            let result = try await run(
                origin, "/bytes/1", perConnection: 4,
                {
                    $0.configuration.connectTo = .init(host: "127.0.0.1", port: port)
                }
            ) { control in
                control.setUsers(4)
                try await eventually("failures", within: .seconds(30)) {
                    sum.addCounts(control.takeFigures())
                    return sum.failures.values.reduce(0, +) >= 8
                }
                server = try OriginServer.start(MeasuredOrigin.cleartext { $0.port = port })
                try await eventually("answers", within: .seconds(30)) {
                    sum.addCounts(control.takeFigures())
                    return sum.parts.contains { $0.key.status == 200 && $0.value.ended > 10 }
                }
                control.setUsers(0)
                try await waitForUsers(0, control, &sum)
            }
            server?.stopNow()
            #expect(sum.failures.keys.allSatisfy { $0.cause.hasPrefix("cannot connect") })
            #expect(result.requests.failed >= 8)
            #expect(result.requests.done > 10)
            #expect(result.connections.abandoned == 0)
        }
    }

    @Test func `Requests of users who leave are cut off, and count as aborted`() async throws {
        try await MeasuredOrigin.run { origin in
            var sum = LiveFigures()
            let result = try await run(origin, "/stall", perConnection: 3) { control in
                control.setUsers(5)
                try await eventually("requests", within: .seconds(30)) { origin.server.statistics.streamsOpen == 5 }
                control.setUsers(0)
                control.abandon()
                try await waitForUsers(0, control, &sum)
                try await eventually("no connection", within: .seconds(30)) {
                    origin.server.statistics.connectionsOpen == 0
                }
                // Those who come later are served.
                control.setUsers(2)
                try await eventually("requests", within: .seconds(30)) { origin.server.statistics.streamsOpen == 2 }
                control.setUsers(0)
                control.abandon()
                try await waitForUsers(0, control, &sum)
            }
            #expect(result.requests.aborted == 7)
            #expect(result.requests.failed == 0)
            expectBalance(result)
        }
    }

    @Test func `A measurement without users is over at once when it is stopped`() async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await run(origin) { _ in try await Task.sleep(for: .milliseconds(100)) }
            #expect(result.end == .complete)
            #expect(result.requests.sent == 0)
            #expect(result.connections.opened == 0)
        }
    }

    @Test func `The server's clock is found by its Date to a tenth of a second`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.routes["/"] = { request in
            #expect(request.method == .head)
            // 7.4 s behind.
            var time = time_t(Date().timeIntervalSince1970 - 7.4)
            var parts = tm()
            gmtime_r(&time, &parts)
            var text = [CChar](repeating: 0, count: 64)
            strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            return .init(headerFields: [.date: String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)]
            )
        }
        try await MeasuredOrigin.run(configuration) { origin in
            let clock = try await ServerClock.measure(try origin.plan("/", .requests(1))).notes
            #expect(abs(clock.offset - 7.4) < 0.1, "\(clock)")
            #expect(clock.uncertainty < 0.1, "\(clock)")
            #expect(origin.server.statistics.requests <= 32)
        }
        _ = try await MeasuredOrigin.run { origin in
            await #expect(throws: H2Error.self) {
                try await ServerClock.measure(try origin.plan("/bytes/1", .requests(1)))
            }
        }
    }

    @Test func `Two readers get all figures each`() async throws {
        try await MeasuredOrigin.run { origin in
            let control = BenchControl(readers: 2)
            var bench = Bench(try origin.plan("/bytes/1", .requests(500), streams: 5) { $0.collectsFigures = true })
            bench.control = control
            let result = try await bench.run()
            for reader in 0..<2 {
                let figures = control.takeFigures(for: reader)
                #expect(figures.parts.values.reduce(0) { $0 + $1.ended } == result.requests.done)
                #expect(control.takeFigures(for: reader).parts.isEmpty)
            }
        }
    }
}
