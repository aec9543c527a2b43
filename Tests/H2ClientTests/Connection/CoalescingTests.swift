import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// Two hosts with one address and one certificate, which may share a connection.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct CoalescingTests {
    /// Resolves every name to the same address, and never answers for one of them.
    private final class OneAddress: NameResolver {
        struct Query: NameQuery { func cancel() {} }
        let silentFor: String?

        init(silentFor host: String? = nil) { silentFor = host }

        func resolve(
            host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
            completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
        ) -> (any NameQuery)? {
            let isSilent = host == silentFor
            loop.execute {
                began?()
                if isSilent { return }
                completion(Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST))
            }
            return Query()
        }
    }

    private static var serving: OriginServer.Configuration {
        var configuration = OriginServer.Configuration()
        configuration.security = .selfSigned(names: ["one.test", "other.test"])
        return configuration
    }

    /// The number of connections that two hosts need.
    private func connections(
        _ change: (inout HTTPClient.Configuration, _ one: Origin, _ other: Origin) -> Void
    ) async throws -> Int {
        try await OriginServer.withServer(Self.serving) { server in
            let origins = try ["one.test", "other.test"].map {
                try Origin(scheme: .https, host: $0, port: server.port)
            }
            var configuration = server.clientConfiguration()
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

    @Test func `The look-up that decides whether a connection is shared has the limit of any look-up`() async throws {
        try await OriginServer.withServer(Self.serving) { server in
            var configuration = server.clientConfiguration()
            configuration.connection.timeouts.resolve = .milliseconds(200)
            configuration.connection.resolver = HostResolver(OneAddress(silentFor: "other.test"))
            configuration.pool.coalesces = true
            try await withHTTPClient(configuration: configuration) { client in
                _ = try await client.get("https://one.test:\(server.port)/")
                let error = await #expect(throws: H2Error.self) {
                    _ = try await client.get("https://other.test:\(server.port)/")
                }
                #expect(error?.cause == .timeout(.resolve, after: .milliseconds(200)))
            }
        }
    }
}
