import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// What becomes of responses whose client or connection ends before they do.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ClientEndTests {
    /// Longer than what a connection takes unread.
    private static let size = 60 << 20

    private func withServer(
        _ versions: OriginServer.Versions,
        _ body: @Sendable (HTTPClient.Configuration, OriginServer) async throws -> Void
    ) async throws {
        var origin = OriginServer.Configuration()
        origin.versions = versions
        let server = try OriginServer.start(origin)
        defer { server.stopNow() }
        var configuration = HTTPClient.Configuration()
        if let pem = server.caPEM {
            let file = try TemporaryDirectory.shared.newPath("origin-ca.pem")
            try writeText(pem, to: file)
            configuration.connection.tls.caFile = file
        }
        try await body(configuration, server)
    }

    private func request(_ server: OriginServer) throws -> HTTPRequest {
        try HTTPRequest(url: "\(server.url)/bytes/\(Self.size)")
    }

    /// Expects that the rest of a response can be read, and that its connection goes then.
    private func expectWhole(_ response: StreamedResponse, _ server: OriginServer) async throws {
        #expect(try await response.body.discard() == Self.size)
        try await eventually("the connection is closed") { server.statistics.connectionsOpen == 0 }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A response that withHTTPClient returns unread costs no wait, and can be read`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withServer(versions) { configuration, server in
            var start = ContinuousClock.now
            let response = try await withHTTPClient(configuration: configuration) {
                let response = try await $0.send(request(server))
                start = ContinuousClock.now
                return response
            }
            #expect(ContinuousClock.now - start < .seconds(25))
            try await expectWhole(response, server)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A response can be read after its client was dropped`(_ versions: OriginServer.Versions) async throws {
        try await withServer(versions) { configuration, server in
            let response = try await HTTPClient(configuration: configuration).send(request(server))
            try await expectWhole(response, server)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A response can be read while its client shuts down`(_ versions: OriginServer.Versions) async throws {
        try await withServer(versions) { configuration, server in
            let client = HTTPClient(configuration: configuration)
            let response = try await client.send(request(server))
            async let end: Void = client.shutdown()
            try await expectWhole(response, server)
            await end
            let error = try await h2Error { try await client.send(request(server)) }
            #expect(error.code == .clientShutDown)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A response that is cut off by its client's end says so`(_ versions: OriginServer.Versions) async throws {
        try await withServer(versions) { configuration, server in
            let client = HTTPClient(configuration: configuration)
            let (one, two) = (try await client.send(request(server)), try await client.send(request(server)))
            await client.shutdown(gracePeriod: .milliseconds(100))
            client.shutdownNow()
            for response in [one, two] {
                let error = try await h2Error { try await response.body.discard() }
                #expect(error.code == .clientShutDown, "\(error)")
                #expect(error.initiator == .user)
                #expect(error.message.contains("client was shut down"), "\(error)")
            }
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `Without a response under way all connections are closed when withHTTPClient returns`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withServer(versions) { configuration, server in
            var kept: HTTPClient?
            try await withHTTPClient(configuration: configuration) { client in
                kept = client
                expectAllServed(await client.burst(20, "\(server.url)/bytes/3"), 20)
                // Dropped unread at the last moment.
                _ = try await client.send(request(server))
            }
            #expect(await kept?.open == 0)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A response that outlives its own connection can be read too`(_ versions: OriginServer.Versions) async throws {
        try await withServer(versions) { configuration, server in
            let origin = try Origin(server.url)
            let request = HTTPRequest.get("/bytes/\(Self.size)")
            let start = ContinuousClock.now
            let connection = configuration.connection
            let scoped: StreamedResponse
            let dropped: StreamedResponse
            if versions == .http1 {
                scoped = try await HTTP1Connection.withConnection(to: origin, configuration: connection) {
                    try await $0.send(request)
                }
                dropped = try await HTTP1Connection.connect(to: origin, configuration: connection).send(request)
            } else {
                scoped = try await HTTP2Connection.withConnection(to: origin, configuration: connection) {
                    try await $0.send(request)
                }
                dropped = try await HTTP2Connection.connect(to: origin, configuration: connection).send(request)
            }
            #expect(ContinuousClock.now - start < .seconds(25))
            #expect(try await scoped.body.discard() == Self.size)
            try await expectWhole(dropped, server)
        }
    }
}
