import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Callers on the loop, on the global pool and on actors, over real sockets and loops: the same results for all.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct CallerTests {
    private nonisolated(nonsending) func withConnection<R>(
        _ configuration: ConnectionConfiguration = ConnectionConfiguration(),
        _ body: nonisolated(nonsending) (HTTP2Connection, OriginServer) async throws -> R
    ) async throws -> R {
        var served = OriginServer.Configuration()
        served.security = .cleartext
        let server = try OriginServer.start(served)
        let loop = H2EventLoop()
        defer {
            server.stopNow()
            loop.shutdown()
        }
        let connection = try await HTTP2Connection.connect(
            to: Origin(scheme: .http, host: "127.0.0.1", port: server.port), configuration: configuration, on: loop)
        let result = try await body(connection, server)
        await connection.close()
        return result
    }

    /// What one caller sees of an exchange in both directions, of an error and of a dropped body.
    private nonisolated(nonsending) static func visit(_ connection: HTTP2Connection) async throws -> [String] {
        var seen: [String] = []
        let plain = try await connection.send(.to("/bytes/100000"))
        seen.append("\(plain.status.code) \(try await plain.body.collect(upTo: 1 << 20).count)")
        let echo = try await connection.send(.to("/echo", .post), body: .bytes([1, 2, 3]))
        seen.append("\(try await echo.body.collect(upTo: 10))")
        let streamed = try await connection.send(
            .to("/echo", .post), body: .writer { for number in 0..<5 { try await $0.write([UInt8(number)]) } })
        seen.append("\(try await streamed.body.collect(upTo: 10))")
        var count = 0
        for try await piece in try await connection.send(.to("/bytes/300000")).body { count += piece.count }
        seen.append("\(count)")
        _ = try await connection.send(.to("/bytes/10000000")).status
        do {
            _ = try await connection.send(.to("/bytes/50")).body.collect(upTo: 10)
        } catch let error as H2Error {
            seen.append("\(error.code)")
        }
        seen.append("\(try await connection.send(.to("/status/404")).status.code)")
        return seen
    }

    private static let expected = ["200 100000", "[1, 2, 3]", "[0, 1, 2, 3, 4]", "300000", "bodyTooLarge", "404"]

    @Test func `A caller on the global pool sees the same`() async throws {
        let seen = try await withConnection { connection, _ in
            try await Task.detached { try await Self.visit(connection) }.value
        }
        #expect(seen == Self.expected)
    }

    @Test func `A caller that prefers the loop sees the same`() async throws {
        let seen = try await withConnection { connection, _ in
            try await withTaskExecutorPreference(connection.executor) { try await Self.visit(connection) }
        }
        #expect(seen == Self.expected)
    }

    @Test func `A caller that is isolated to the connection sees the same`() async throws {
        let seen = try await withConnection { connection, _ in
            try await connection.isolated { try await Self.visit($0) }
        }
        #expect(seen == Self.expected)
    }

    @Test @MainActor func `A caller on the main actor sees the same`() async throws {
        let seen = try await withConnection { connection, _ in try await Self.visit(connection) }
        #expect(seen == Self.expected)
    }

    private actor Caller {
        func visit(_ connection: HTTP2Connection) async throws -> [String] { try await CallerTests.visit(connection) }
    }

    @Test func `A caller on an actor of its own, which is let go meanwhile, sees the same`() async throws {
        let seen = try await withConnection { connection, _ in
            let caller = Caller()
            async let first = caller.visit(connection)
            async let second = caller.visit(connection)
            return try await [first, second]
        }
        #expect(seen == [Self.expected, Self.expected])
    }

    @Test func `A thousand callers at once on the global pool each get their own answer over one connection`()
        async throws
    {
        try await withConnection { connection, server in
            let sizes = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1_000 {
                    group.addTask {
                        let response = try await connection.send(.to("/bytes/\(number)"))
                        return try await response.body.collect(upTo: 1 << 20).count == number
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(sizes == 1_000)
            let snapshot = await connection.snapshot()
            #expect(snapshot.requests == 1_000)
            #expect(snapshot.openStreams == 0)
            #expect(snapshot.unreadBytes == 0)
            #expect(server.statistics.connectionsAccepted == 1)
        }
    }

    @Test func `Callers that are cancelled at random leave the others and the connection whole`() async throws {
        try await withConnection { connection, _ in
            let served = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<400 {
                    group.addTask {
                        let task = Task {
                            let response = try await connection.send(.to("/bytes/\(number * 500)"))
                            return try await response.body.collect(upTo: 1 << 20).count
                        }
                        guard number % 2 == 0 else { return try await task.value == number * 500 }
                        for _ in 0..<(number % 20) { await Task.yield() }
                        task.cancel()
                        do {
                            return try await task.value == number * 500
                        } catch {
                            return error is CancellationError
                        }
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(served == 400)
            // What the resets left is over once a PING has come back.
            _ = try await connection.ping()
            let snapshot = await connection.snapshot()
            #expect(snapshot.state == .active)
            #expect(snapshot.openStreams == 0)
            #expect(snapshot.waitingRequests == 0)
            #expect(snapshot.unreadBytes == 0)
        }
    }

    @Test func `Tasks that are cancelled before they send all come back`() async throws {
        try await withConnection { connection, _ in
            let ended = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<2_000 {
                    group.addTask {
                        let task = Task {
                            // Cancelled for sure by the time it sends.
                            while !Task.isCancelled { await Task.yield() }
                            return try await connection.send(.to("/bytes/10")).status.code
                        }
                        task.cancel()
                        return (try? await task.value) == nil
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(ended == 2_000)
            let snapshot = await connection.snapshot()
            #expect(snapshot.openStreams == 0)
            #expect(snapshot.waitingRequests == 0)
        }
    }

    @Test func `closeNow from another thread ends callers everywhere, once each`() async throws {
        try await withConnection { connection, _ in
            let failed = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        do {
                            _ = try await connection.send(.to("/delay/60000")).status
                            return false
                        } catch {
                            return error is H2Error
                        }
                    }
                    if number == 150 {
                        group.addTask {
                            connection.closeNow(); return true
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(failed == 201)
            #expect(connection.isDraining)
        }
    }

    @Test func `withConnection closes on return, and at once on an error`() async throws {
        struct Mistake: Error {}
        var served = OriginServer.Configuration()
        served.security = .cleartext
        let server = try OriginServer.start(served)
        defer { server.stopNow() }
        let origin = try Origin(scheme: .http, host: "127.0.0.1", port: server.port)
        let kept = try await HTTP2Connection.withConnection(to: origin) { connection in
            let count = try await connection.send(.to("/bytes/3")).body.discard()
            #expect(count == 3)
            return connection
        }
        #expect(kept.isDraining)
        #expect(await kept.snapshot().state == .closed)
        let failing = Noted<HTTP2Connection>()
        await #expect(throws: Mistake.self) {
            try await HTTP2Connection.withConnection(to: origin) { connection in
                failing.value = connection
                throw Mistake()
            }
        }
        #expect(await failing.value?.snapshot().state == .closed)
    }
}
