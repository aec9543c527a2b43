import CNghttp2
import H2ClientTesting
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// Connections whose stream identifiers, or numbers of requests, come to their end: 2^31-1.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct IdentifierTests {
    private static func statuses(_ client: HTTPClient, _ url: String, tasks: Int, requests: Int) async throws -> [Int] {
        try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<tasks {
                group.addTask {
                    var statuses: [Int] = []
                    for _ in 0..<requests { statuses.append(try await client.get(url).status.code) }
                    return statuses
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A connection is replaced before its identifiers run out, and nothing is lost`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withOriginAndClient(versions, { $0.connection.limits.lastIdentifier = 19 }) { client, server in
            let events = client.events()
            let statuses = try await Self.statuses(client, "\(server.url)/bytes/3", tasks: 10, requests: 30)
            #expect(statuses == Array(repeating: 200, count: 300))
            #expect(server.statistics.requests == 300)
            let statistics = await client.statistics()
            #expect(statistics.retries == 0)
            #expect(statistics.connectionsOpened >= 300 / 30)
            await client.shutdown()
            var reasons: Set<String> = []
            for await event in events {
                if case .connectionDraining(let reason) = event.kind { reasons.insert(reason) }
            }
            #expect(reasons.contains { $0.contains("identifiers are used up") }, "\(reasons)")
        }
    }

    @Test func `A connection without a free identifier is taken out of service, and another takes over`() async throws {
        try await withOriginAndClient(.http2, { $0.connection.limits.lastIdentifier = .max }) { client, server in
            let url = "\(server.url)/bytes/3"
            _ = try await client.get(url)
            let connections = client.pool.lock.withLock {
                client.pool.members.compactMap { if case .open(let connection) = $0 { connection } else { nil } }
            }
            let connection = try #require(connections.first)
            // The last three there are.
            let status = await connection.loop.run {
                nghttp2_session_set_next_stream_id(connection.http2!.raw, Int32.max - 4)
            }
            #expect(status == 0)
            let statuses = try await Self.statuses(client, url, tasks: 20, requests: 5)
            #expect(statuses == Array(repeating: 200, count: 100))
            #expect(server.statistics.requests == 101)
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 2)
            #expect(statistics.requests < 200, "none is given the same connection again and again")
            #expect(connection.isDraining)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A connection of one's own says that it takes no more, and closes when all is over`(
        _ versions: OriginServer.Versions
    ) async throws {
        var origin = OriginServer.Configuration()
        origin.versions = versions
        origin.security = .cleartext
        let server = try OriginServer.start(origin)
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        configuration.limits.lastIdentifier = 5
        let driver = try await Connector.connect(
            versions == .http1 ? .http1 : .http2, to: Origin(server.url), configuration: configuration, on: .shared)
        let request = try HTTPRequest(url: "\(server.url)/bytes/3")
        let options = RequestOptions()
        var sent = 0
        do {
            while sent < 20 {
                let response = try await driver.exchange(.empty, options).perform(request, .empty)
                #expect(try await response.body.collect(upTo: 10).count == 3)
                sent += 1
            }
            Issue.record("it has no end")
        } catch let error as H2Error {
            #expect(error.code == .connectionDraining || error.code == .connectionClosed, "\(error)")
            #expect(error.isRetryable)
        }
        // HTTP/2 has odd identifiers alone.
        #expect(sent == (versions == .http1 ? 5 : 3))
        while server.statistics.connectionsOpen > 0 { await Task.yield() }
    }
}
