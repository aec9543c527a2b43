import H2Client
import H2TestSupport
import HTTPTypes
import Testing

extension RealServers {
    /// The client against the servers that Debian packages, and which version it speaks with them.
    @Suite(.timeLimit(.minutes(5)))
    struct RealServerClientTests {
        static let servers = [RealServer.nginx, .apache2, .h2o, .haproxy, .caddy]

        @Test(arguments: servers)
        func `200 requests at once share one HTTP 2 connection`(_ server: RealServer) async throws {
            try await server.run { running in
                let url = "\(try running.origin)/small.txt"
                try await withClient(of: running) { client in
                    let burst = await client.burst(200, url)
                    expectAllServed(burst, 200)
                    #expect(burst.versions == [.http2])
                    #expect(burst.connections.count == 1)
                    #expect(await client.statistics().connectionsOpened == 1)
                }
            }
        }

        @Test(arguments: servers, [Origin.Scheme.https, .http])
        func `200 requests at once keep to 8 HTTP 1.1 connections, and use each again`(
            _ server: RealServer, _ scheme: Origin.Scheme
        ) async throws {
            try await server.run { running in
                let origin = scheme == .https ? try running.origin : try running.http1CleartextOrigin
                try await withClient(
                    of: running,
                    {
                        $0.versions = .http1Only
                        $0.pool.http1ConnectionsPerOrigin = 8
                    }
                ) { client in
                    var connections: [ConnectionID: Int] = [:]
                    for _ in 0..<2 {
                        let burst = await client.burst(200, "\(origin)/small.txt")
                        expectAllServed(burst, 200)
                        #expect(burst.versions == [.http1])
                        connections.merge(burst.connections, uniquingKeysWith: +)
                    }
                    #expect(connections.count <= 8)
                    #expect(connections.values.allSatisfy { $0 > 1 }, "\(connections)")
                    let statistics = await client.statistics()
                    #expect(statistics.connectionsOpened <= 8)
                    #expect(statistics.requestsOnReusedConnections == 400 - connections.count)
                    #expect(statistics.handshakes == (scheme == .https ? statistics.connectionsOpened : 0))
                }
            }
        }

        @Test
        func `Apache ends connections as they are used again, and no request fails`() async throws {
            var options = RealServer.Options()
            options.requestsPerConnection = 50
            options.keepAliveSeconds = 1
            try await RealServer.apache2.run(options) { running in
                let origins = [try running.http1Origin, try running.http1CleartextOrigin]
                try await withClient(of: running) { client in
                    // About the second after which it closes what is idle, so that some requests cross that.
                    for pause in [990, 1_003, 1_100, 0] {
                        for origin in origins {
                            expectAllServed(await client.burst(80, "\(origin)/small.txt"), 80)
                        }
                        try await letTimePass(.milliseconds(pause))
                    }
                    let statistics = await client.statistics()
                    #expect(statistics.connectionsOpened > 16)
                    #expect(statistics.requests == 640 + statistics.retries)
                }
            }
        }

        // MARK: - Versions

        @Test(arguments: [RealServer.nginx, .apache2, .haproxy, .caddy, .gunicorn])
        func `A server of HTTP 1.1 alone is served where either will do, and refused where HTTP 2 has to be`(
            _ server: RealServer
        ) async throws {
            try await server.run { running in
                let url = "\(try running.http1Origin)/small.txt"
                try await withClient(of: running) { client in
                    let burst = await client.burst(20, url)
                    expectAllServed(burst, 20)
                    #expect(burst.versions == [.http1])
                }
                try await withClient(of: running, { $0.versions = .http2Only }) { client in
                    let error = try await h2Error { try await client.get(url) }
                    #expect(error.code == .http2NotNegotiated, "\(error)")
                    #expect(!error.remedy.isEmpty)
                }
            }
        }

        @Test(arguments: [RealServer.nghttpd, .haproxy], [HTTPClient.Versions.automatic, .http2Only])
        func `A server of HTTP 2 alone is served`(_ server: RealServer, _ versions: HTTPClient.Versions) async throws {
            try await server.run { running in
                try await withClient(of: running, { $0.versions = versions }) { client in
                    let burst = await client.burst(20, "\(try running.http2OnlyOrigin)/small.txt")
                    expectAllServed(burst, 20)
                    #expect(burst.versions == [.http2])
                    #expect(burst.connections.count == 1)
                }
            }
        }

        @Test(arguments: [RealServer.nginx, .haproxy, .hypercorn])
        func `Cleartext is HTTP 1.1, or HTTP 2 by prior knowledge where that is asked for`(
            _ server: RealServer
        ) async throws {
            try await server.run { running in
                let http2 = "\(try running.cleartextOrigin)/small.txt"
                let http1 = "\(try running.http1CleartextOrigin)/small.txt"
                try await withClient(of: running) { client in
                    let whole = try await client.get(http1)
                    #expect(whole.response.version == .http1)
                }
                for versions in [HTTPClient.Versions.http2PriorKnowledge, .http2Only] {
                    try await withClient(of: running, { $0.versions = versions }) { client in
                        let burst = await client.burst(20, http2)
                        expectAllServed(burst, 20)
                        #expect(burst.versions == [.http2])
                        #expect(burst.connections.count == 1)
                    }
                }
            }
        }
    }
}
