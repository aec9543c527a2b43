import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Responses that nobody reads hold back themselves and nothing else.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct UnreadResponseTests {
    private static let size = 3 << 20

    /// Responses whose heads have come, and whose bodies nobody reads.
    private nonisolated(nonsending) func unread(
        _ count: Int, _ client: HTTPClient, _ base: String
    ) async throws -> [StreamedResponse] {
        var responses: [StreamedResponse] = []
        for _ in 0..<count {
            responses.append(try await client.send(HTTPRequest(url: "\(base)/bytes/\(Self.size)")))
        }
        return responses
    }

    private nonisolated(nonsending) func withOrigin(
        unreadLimit: Int? = nil, stream: Int? = nil,
        _ body: nonisolated(nonsending) (HTTPClient, String) async throws -> Void
    ) async throws {
        try await withOriginAndClient(
            OriginServer.Configuration(),
            {
                $0.versions = .http2Only
                if let unreadLimit { $0.connection.windows.unreadLimit = unreadLimit }
                if let stream { $0.connection.windows.stream = stream }
            }
        ) { client, server in
            try await body(client, "https://localhost:\(server.port)")
        }
    }

    @Test(arguments: [nil, 4 << 20]) func `A GET beside 24 unread responses is answered`(_ window: Int?) async throws {
        try await withOrigin(stream: window) { client, base in
            let responses = try await unread(24, client, base)
            for _ in 0..<10 {
                #expect(try await client.get("\(base)/bytes/100000").body.count == 100_000)
            }
            for response in responses { #expect(try await response.body.discard() == Self.size) }
            #expect(await client.statistics().connectionsOpen == 1)
        }
    }

    @Test(arguments: [nil, 4 << 20, 16 << 20])
    func `The newest of 30 unread responses can be read first`(_ window: Int?) async throws {
        try await withOrigin(stream: window) { client, base in
            for response in try await unread(30, client, base).reversed() {
                #expect(try await response.body.collect(upTo: Self.size).count == Self.size)
            }
        }
    }

    @Test func `What unread responses hold is bounded`() async throws {
        try await withOrigin(unreadLimit: 2 << 20, stream: 4 << 20) { client, base in
            let responses = try await unread(24, client, base)
            #expect(try await client.get("\(base)/bytes/1000000").body.count == 1_000_000)
            try await client.withConnection(to: Origin(base)) { connection in
                let held = await connection.snapshot().unreadBytes
                #expect(held <= 2 << 20 + 8 << 20 + 24 * 65_535, "\(held)")
            }
            for response in responses { #expect(try await response.body.discard() == Self.size) }
        }
    }
}
