import H2Client
import H2Platform
import H2TestSupport
import Testing

extension RealServers {
    /// The client against a server that ends its connections after some requests, reloads and restarts.
    @Suite(.timeLimit(.minutes(5)))
    struct NginxClientTests {
        /// More of it where H2_LONG is set.
        private static let isLong = getenv("H2_LONG") != nil

        @Test
        func `100 requests a connection and no request fails over HTTP 2, and the limit is learned`() async throws {
            let count = Self.isLong ? 100_000 : 20_000
            var options = RealServer.Options()
            options.requestsPerConnection = 100
            try await RealServer.nginx.run(options) { running in
                let url = "\(try running.origin)/small.txt"
                try await withClient(of: running) { client in
                    let start = ContinuousClock.now
                    expectAllServed(await client.burst(count, url), count)
                    let learned = await client.statistics()
                    #expect(learned.connectionsOpened >= count / 100)
                    #expect(learned.connectionsOpened <= count / 100 + 10)
                    // Two connections have to end before the client knows, with as many requests under way as they allow;
                    // now and then one more, whose last requests crossed the end of the one before.
                    #expect(learned.retries <= 500, "\(learned)")
                    expectAllServed(await client.burst(2_000, url), 2_000)
                    let after = await client.statistics()
                    #expect(after.retries - learned.retries <= 100, "\(learned.retries) then \(after.retries)")
                    print(
                        "nginx: \(count) requests in \(ContinuousClock.now - start), \(after.retries) retries,"
                            + " \(after.connectionsOpened) connections, \(after.handshakesResumed) resumed")
                }
            }
        }

        @Test
        func `100 requests a connection and no request fails or is repeated over HTTP 1.1`() async throws {
            let count = Self.isLong ? 20_000 : 2_000
            var options = RealServer.Options()
            options.requestsPerConnection = 100
            try await RealServer.nginx.run(options) { running in
                let url = "\(try running.http1Origin)/small.txt"
                try await withClient(of: running) { client in
                    expectAllServed(await client.burst(count, url), count)
                    let statistics = await client.statistics()
                    #expect(statistics.connectionsOpened >= count / 100)
                    #expect(statistics.connectionsOpened <= count / 100 + 8)
                    // The last response on each connection says that it is the last.
                    #expect(statistics.retries == 0)
                    #expect(statistics.reuseRatio > 0.98)
                }
            }
        }

        @Test(arguments: [HTTPProtocolVersion.http2, .http1])
        func `Hedged requests are served once each, and leave nothing`(_ version: HTTPProtocolVersion) async throws {
            try await RealServer.nginx.run { running in
                let url = "\(version == .http2 ? try running.origin : try running.http1Origin)/small.txt"
                try await withClient(
                    of: running,
                    { $0.requestOptions.hedging = .init(delay: .zero, budget: 1, minimumHedgesPerSecond: 1_000) }
                ) { client in
                    for _ in 0..<20 { expectAllServed(await client.burst(20, url), 20) }
                    let statistics = await client.statistics()
                    #expect(statistics.hedges > 0 && statistics.hedges <= 400)
                    #expect(statistics.requests == 400 + statistics.hedges + statistics.retries)
                    try await eventually("nothing is under way") {
                        await client.statistics().origins.allSatisfy { $0.openStreams == 0 && $0.waitingRequests == 0 }
                    }
                }
            }
        }

        @Test(arguments: [HTTPProtocolVersion.http2, .http1])
        func `A reload in the middle of load loses no request`(_ version: HTTPProtocolVersion) async throws {
            try await RealServer.nginx.run { running in
                let origin = version == .http2 ? try running.origin : try running.http1Origin
                try await withClient(of: running) { client in
                    let load = try await Load.run(client, "\(origin)/small.txt", workers: 16) { load in
                        try await load.goesOn(200)
                        for _ in 0..<2 {
                            try await running.reload()
                            try await load.goesOn(100)
                        }
                    }
                    #expect(load.failures.isEmpty, "\(load.failures.prefix(3))")
                    let statistics = await client.statistics()
                    #expect(statistics.connectionsOpened >= 2)
                }
            }
        }

        @Test(arguments: [HTTPProtocolVersion.http2, .http1])
        func `A restart in the middle of load fails GET requests only for want of a connection`(
            _ version: HTTPProtocolVersion
        ) async throws {
            try await RealServer.nginx.run { running in
                let origin = version == .http2 ? try running.origin : try running.http1Origin
                try await withClient(of: running) { client in
                    let load = try await Load.run(client, "\(origin)/small.txt", workers: 16) { load in
                        try await load.goesOn(200)
                        try await running.restart(after: .stop)
                        try await load.goesOn(200)
                    }
                    // Requests lost with the old connections are sent again, and fail, like later ones, while nobody
                    // listens. A connection that the system had accepted for the old server ends before its TLS
                    // handshake.
                    for error in load.failures {
                        #expect([.connectFailed, .tlsFailed].contains(error.code), "\(error.code): \(error)")
                    }
                    expectAllServed(await client.burst(50, "\(origin)/small.txt"), 50)
                }
            }
        }
    }
}
