import H2Client
import H2Measure
import H2ClientTesting
import HTTPTypes
import H2TestSupport
import Testing

/// The engine itself, against an origin in this process.
@Suite(.measuring, .timeLimit(.minutes(5))) struct CompareEngineTests {
    private func plan(
        _ servers: [OriginServer], path: String = "/bytes/3", _ change: (inout ComparePlan) -> Void = { _ in }
    ) throws -> ComparePlan {
        var plan = ComparePlan(
            targets: try servers.map {
                ComparePlan.Target(
                    origin: try Origin($0.url),
                    requests: [.init(HTTPRequest(method: .get, scheme: nil, authority: nil, path: path))])
            })
        plan.configuration.tls.verifiesPeer = false
        plan.requests = 12
        plan.streams = 6
        plan.connections = 2
        plan.rounds = 1
        change(&plan)
        return plan
    }

    private func server(
        tls: Bool = true, _ change: (inout OriginServer.Configuration) -> Void = { _ in }
    ) throws -> OriginServer {
        var configuration = OriginServer.Configuration()
        if !tls { configuration.security = .cleartext }
        change(&configuration)
        return try OriginServer.start(configuration)
    }

    private func median(_ result: CompareResult, _ way: CompareWay, _ figure: KeyPath<CompareFigures, Double>) -> Double
    {
        result.cell(way, result.securities[0])?.spread(figure)?.median ?? -1
    }

    @Test func `Each way opens the connections that it is meant to`() async throws {
        let server = try server()
        defer { server.stopNow() }
        let result = try await Compare(try plan([server])).run()
        for cell in result.cells { #expect(cell.reason == nil, "\(cell.way)") }
        let ways: [(CompareWay, connections: Double, resumed: Double)] = [
            (.newConnections(resuming: false), 12, 0), (.newConnections(resuming: true), 12, 11), (.keepAlive, 1, 0),
            (.pool(2), 2, 0), (.http2(connections: 1), 1, 0), (.http2(connections: 2), 2, 0),
        ]
        for (way, connections, resumed) in ways {
            #expect(median(result, way, \.connections) == connections, "\(way)")
            #expect(median(result, way, \.handshakes) == connections, "\(way)")
            #expect(median(result, way, \.seconds) > 0 && median(result, way, \.rate) > 0, "\(way)")
            #expect(median(result, way, \.p99) >= median(result, way, \.p50), "\(way)")
            #expect(median(result, way, \.bytesReceived) > 12 * 3 && median(result, way, \.bytesSent) > 0, "\(way)")
            #expect(median(result, way, \.cpuSeconds) > 0, "\(way)")
            if way != .pool(2) { #expect(median(result, way, \.resumed) == resumed, "\(way)") }
        }
        // TCP 1, TLS 1, and the requests one after another; six at once on HTTP/2.
        #expect(median(result, .keepAlive, \.roundTrips) == 14)
        #expect(median(result, .newConnections(resuming: false), \.roundTrips) == 36)
        #expect(median(result, .http2(connections: 1), \.roundTrips) == 4)
        #expect(median(result, .http2(connections: 1), \.held) == 1)
        #expect(result.verdict(.tls).hasPrefix("HTTP/2 on one connection: "))
        #expect(CompareTable(result).lines().allSatisfy { $0.count <= 100 })
    }

    @Test func `Both TLS and cleartext are compared`() async throws {
        let (secure, plain) = (try server(), try server(tls: false))
        defer {
            secure.stopNow()
            plain.stopNow()
        }
        let result = try await Compare(try plan([secure, plain])).run()
        #expect(result.securities == [.tls, .cleartext])
        #expect(result.cells.count == 11)
        for cell in result.cells { #expect(cell.reason == nil, "\(cell.way) \(cell.security)") }
        #expect(result.cell(.keepAlive, .cleartext)?.spread(\.handshakes)?.median == 0)
    }

    @Test(arguments: [true, false]) func `A server of HTTP/1.1 alone is told from`(isTLS: Bool) async throws {
        let server = try server(tls: isTLS) { $0.versions = .http1 }
        defer { server.stopNow() }
        let result = try await Compare(try plan([server])).run()
        let security: CompareSecurity = isTLS ? .tls : .cleartext
        let reason = try #require(result.cell(.http2(connections: 1), security)?.reason)
        #expect(isTLS ? reason.contains("ALPN") : reason.hasPrefix("no HTTP/2 in cleartext"), "\(reason)")
        #expect(result.cell(.keepAlive, security)?.reason == nil)
    }

    @Test func `A server of HTTP/2 alone is told from`() async throws {
        let server = try server { $0.versions = .http2 }
        defer { server.stopNow() }
        let result = try await Compare(try plan([server])).run()
        #expect(result.cell(.keepAlive, .tls)?.reason != nil)
        let new = try #require(result.cell(.newConnections(resuming: false), .tls))
        #expect(new.spread(\.connections)?.median == 12, "\(new)")
        #expect(new.notes == ["over HTTP/2, since the server has no HTTP/1.1"])
        #expect(result.cell(.http2(connections: 1), .tls)?.reason == nil)
    }

    @Test func `A server that closes after each response has no keep-alive`() async throws {
        let server = try server(tls: false) {
            $0.versions = .http1
            $0.faults.goAwayAfterRequests = 1
        }
        defer { server.stopNow() }
        let result = try await Compare(try plan([server])).run()
        #expect(try #require(result.cell(.keepAlive, .cleartext)?.reason).contains("closes the connection after each"))
        let new = try #require(result.cell(.newConnections(resuming: false), .cleartext))
        #expect(new.spread(\.connections)?.median == 12, "\(new)")
    }

    @Test func `A server that refuses under load makes the way incomplete`() async throws {
        let server = try server {
            var workers = OriginServer.Workers(count: 1)
            workers.serviceTime = .milliseconds(5)
            $0.limits.workers = workers
        }
        defer { server.stopNow() }
        let result = try await Compare(try plan([server])).run()
        #expect(result.cell(.keepAlive, .tls)?.reason == nil)
        let reason = try #require(result.cell(.http2(connections: 1), .tls)?.reason)
        #expect(reason.hasPrefix("incomplete: ") && reason.hasSuffix("answered with 503"), "\(reason)")
    }

    @Test func `Nobody there is an error`() async throws {
        let server = try server()
        let plan = try plan([server])
        await server.stop(grace: .zero)
        await #expect(throws: H2Error.self) { try await Compare(plan).run() }
    }

    @Test func `Distance shows what reuse is worth`() async throws {
        let server = try server()
        defer { server.stopNow() }
        let result = try await Compare(
            try plan([server]) { $0.conditions = LinkConditions(roundTrip: 20_000_000) }
        ).run()
        for cell in result.cells { #expect(cell.reason == nil, "\(cell.way)") }
        // Three round trips each: TCP, TLS 1.3, the request.
        #expect(median(result, .newConnections(resuming: false), \.seconds) >= 12 * 0.060)
        #expect(median(result, .newConnections(resuming: false), \.p50) >= 60e6)
        #expect(median(result, .newConnections(resuming: false), \.firstByte) >= 60e6)
        #expect(median(result, .keepAlive, \.seconds) >= 14 * 0.020)
        #expect(median(result, .http2(connections: 1), \.seconds) >= 4 * 0.020)
        let new = median(result, .newConnections(resuming: false), \.seconds)
        #expect(new > median(result, .keepAlive, \.seconds))
        #expect(median(result, .keepAlive, \.seconds) > median(result, .http2(connections: 1), \.seconds))
        #expect(CompareTable(result).work.hasSuffix("20.0 ms round trip"))
    }

    @Test func `Losses are survived`() async throws {
        let server = try server()
        defer { server.stopNow() }
        let result = try await Compare(
            try plan([server], path: "/bytes/20000") {
                $0.conditions = LinkConditions(roundTrip: 2_000_000, loss: 0.02)
                $0.requests = 6
                // The handshakes would lose their SYNs, which costs a second each.
                $0.seed = 3
            }
        ).run()
        for cell in result.cells { #expect(cell.reason == nil, "\(cell.way)") }
    }
}
