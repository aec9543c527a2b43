import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct PoolTests {
    private static let routes: [String: OriginServer.Handler] = ["/": { _ in .init(text: "here") }]

    @Test func `A pool has limits, and requests priorities`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: pool
            configuration.pool.http1ConnectionsPerOrigin = 20
            configuration.pool.whenSaturated = .openConnection(upTo: 2)  // when all streams are taken
            configuration.pool.idleTimeout = .seconds(30)
            configuration.loadLimits.concurrentRequestsPerOrigin = 100
            let client = HTTPClient(configuration: configuration)
            let urgent = RequestOptions(priority: HTTPPriority(urgency: 1))  // RFC 9218
            let page = try await client.get("https://example.com/", options: urgent)
            // end
            #expect(page.status == .ok)
            #expect(guide.requests[0].headerFields[HTTPField.Name("priority")!] == "u=1")
        }
    }

    @Test func `A client tells what it does`() async throws {
        try await Guide.run(Self.routes) { guide in
            let client = guide.client
            // example: observe
            let events = client.events()
            let page = try await client.get("https://example.com/")
            print(page.response.connectionID, await page.response.metrics().firstByte ?? .zero)
            let statistics = await client.statistics()
            print(statistics.requests, statistics.connectionsOpened, statistics.handshakesSaved)
            client.shutdownNow()
            for await event in events { print(event.kind) }  // connecting, connectionOpened, requestSent, …
            // end
            #expect(guide.printed.count > 4)
        }
    }
}
