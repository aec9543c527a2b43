import H2ClientTesting

@testable import H2Client

/// A cleartext origin and a client for it, both ended after `body`.
func withOriginAndClient(
    _ versions: OriginServer.Versions = .both, _ change: (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: (HTTPClient, OriginServer) async throws -> Void
) async throws {
    var origin = OriginServer.Configuration()
    origin.versions = versions
    origin.security = .cleartext
    let server = try OriginServer.start(origin)
    defer { server.stopNow() }
    var configuration = HTTPClient.Configuration()
    configuration.versions = versions == .http2 ? .http2PriorKnowledge : .automatic
    change(&configuration)
    let client = HTTPClient(configuration: configuration)
    try await body(client, server)
    await client.shutdown()
}
