import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// TLS options that keep hosts from sharing a connection.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct CoalescingTLSTests {
    /// Knows everybody, at one address.
    private final class OneAddress: NameResolver {
        struct Query: NameQuery { func cancel() {} }

        func resolve(
            host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
            completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
        ) -> (any NameQuery)? {
            loop.execute {
                began?()
                completion(Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST))
            }
            return Query()
        }
    }

    /// How many connections two hosts need.
    private func connections(
        _ change: (inout HTTPClient.Configuration, _ one: Origin, _ other: Origin) -> Void
    ) async throws -> Int {
        var serving = OriginServer.Configuration()
        serving.security = .selfSigned(names: ["one.test", "other.test"])
        return try await OriginServer.withServer(serving) { server in
            let origins = try ["one.test", "other.test"].map {
                try Origin(scheme: .https, host: $0, port: server.port)
            }
            var configuration = try server.clientConfiguration()
            configuration.connection.resolver = HostResolver(OneAddress())
            configuration.pool.coalesces = true
            change(&configuration, origins[0], origins[1])
            return try await withHTTPClient(configuration: configuration) { client in
                for origin in origins { _ = try await client.get("\(origin)/") }
                return await client.statistics().connectionsOpened
            }
        }
    }

    @Test func `Hosts share a connection, unless one has TLS options of its own or a verifier sees each`() async throws
    {
        #expect(try await connections { _, _, _ in } == 1)
        #expect(
            try await connections { configuration, one, _ in configuration.originTLS[one] = configuration.connection.tls
            } == 2)
        #expect(
            try await connections { configuration, _, other in
                configuration.originTLS[other] = configuration.connection.tls
            } == 2)
        #expect(try await connections { configuration, _, _ in configuration.connection.tls.verifier = { _ in } } == 2)
    }
}
