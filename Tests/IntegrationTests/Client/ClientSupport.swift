import H2Client
import H2Origin
import H2TestSupport

/// Runs an origin on a loop of its own, and a client that trusts it. Both end on every exit.
nonisolated(nonsending) func withOriginAndClient<R>(
    _ origin: OriginServer.Configuration = OriginServer.Configuration(),
    _ client: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (HTTPClient, OriginServer) async throws -> R
) async throws -> R {
    let server = try OriginServer.start(origin)
    defer { server.stopNow() }
    var configuration = HTTPClient.Configuration()
    if let pem = server.caPEM {
        let file = try TemporaryDirectory.shared.newPath("origin-ca.pem")
        try writeText(pem, to: file)
        configuration.connection.tls.caFile = file
    }
    client(&configuration)
    return try await withHTTPClient(configuration: configuration) { try await body($0, server) }
}

/// A client that trusts the CA of the real servers' certificates.
nonisolated(nonsending) func withClient<R>(
    of server: RunningServer, _ change: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (HTTPClient) async throws -> R
) async throws -> R {
    var configuration = HTTPClient.Configuration()
    configuration.connection = try server.configuration
    change(&configuration)
    return try await withHTTPClient(configuration: configuration, body)
}
