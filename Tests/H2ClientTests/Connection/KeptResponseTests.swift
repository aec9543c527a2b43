import H2ClientTesting
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// Responses that are kept for longer than their connection and client.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct KeptResponseTests {
    /// Whether a connection has let go of all that is large.
    private static func isReleased(_ connection: Connection) async -> Bool {
        await connection.loop.run {
            let isSessionReleased =
                connection.http2?.isReleased ?? connection.http1?.isReleased
            return isSessionReleased == true && (connection.wire as? TLSWire)?.isReleased == true
                && connection.owner == nil
        }
    }

    /// Until it is so, or ten seconds have passed.
    private static func becomesTrue(_ condition: () async -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if await condition() { return true }
            await Task.yield()
        }
        return false
    }

    private static func origin(_ versions: OriginServer.Versions) throws -> (OriginServer, HTTPClient.Configuration) {
        var served = OriginServer.Configuration()
        served.versions = versions
        served.security = .selfSigned(names: ["127.0.0.1"])
        var configuration = HTTPClient.Configuration()
        configuration.connection.tls.verifiesPeer = false
        configuration.retry.maximumAttempts = 1
        return (try OriginServer.start(served), configuration)
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A kept response holds neither session, TLS nor client once its connection was closed`(
        _ versions: OriginServer.Versions
    ) async throws {
        let (server, configuration) = try Self.origin(versions)
        defer { server.stopNow() }
        weak var pool: ConnectionPool?
        var responses: [StreamedResponse] = []
        do {
            let client = HTTPClient(configuration: configuration)
            pool = client.pool
            // Whole with its head, and read to its end after it.
            responses.append(try await client.send(HTTPRequest(url: "\(server.url)/bytes/10")))
            let large = try await client.send(HTTPRequest(url: "\(server.url)/bytes/1000000"))
            #expect(try await large.body.discard() == 1_000_000)
            responses.append(large)
            await client.shutdown()
        }
        for response in responses {
            let driver = response.body.exchange.connection
            #expect(await Self.becomesTrue { await Self.isReleased(driver) })
            // What is asked for afterwards has its answer.
            let figures = await driver.loop.run { (driver.snapshot(), driver.figures, driver.maxConcurrentStreams) }
            #expect(figures.0.state == .closed)
            #expect(figures.1.received > 1_000)
            #expect(figures.2 >= 1)
            #expect(await response.body.exchange.facts { $0.currentMetrics() }.bytesReceived > 0)
        }
        #expect(await Self.becomesTrue { pool == nil })
        let rest = try await responses[0].body.collect(upTo: 100)
        #expect(rest.isEmpty || rest.count == 10)
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A kept response holds no more after its connection broke, and still says what came`(
        _ versions: OriginServer.Versions
    ) async throws {
        let (server, configuration) = try Self.origin(versions)
        let client = HTTPClient(configuration: configuration)
        let response = try await client.send(HTTPRequest(url: "\(server.url)/bytes/20000000"))
        let driver = response.body.exchange.connection
        var iterator = response.body.makeAsyncIterator()
        #expect(try await iterator.next() != nil)
        #expect(await Self.isReleased(driver) == false)
        server.stopNow()
        // An unread part may be left; giving its window back comes to nothing.
        await #expect(throws: H2Error.self) { while try await iterator.next() != nil {} }
        #expect(await Self.becomesTrue { await Self.isReleased(driver) })
        await #expect(throws: H2Error.self) { while try await iterator.next() != nil {} }
        await client.shutdown()
    }
}
