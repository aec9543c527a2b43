import H2Client
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

extension RealServers {
    /// Early data with common servers.
    @Suite(.timeLimit(.minutes(5)))
    struct EarlyDataServerTests {
        /// nginx with `ssl_early_data`: one port speaks HTTP/2, the other HTTP/1.1. Each response is `early` or `late`;
        /// `/careful` is refused with 425 while it is early.
        private static func nginx() throws -> TLSNginx {
            try TLSNginx(
                listening: ["ssl http2", "ssl"],
                settings: """
                    ssl_protocols TLSv1.2 TLSv1.3;
                    ssl_session_cache shared:early:1m;
                    ssl_early_data on;
                    keepalive_requests 1000;
                    map $ssl_early_data $when { "1" early; default late; }
                    """,
                server: """
                    location / { return 200 $when; }
                    location /careful {
                        if ($ssl_early_data) { return 425; }
                        return 200 $when;
                    }
                    """)
        }

        private static var configuration: HTTPClient.Configuration {
            get throws {
                var configuration = HTTPClient.Configuration()
                configuration.connection.tls.roots = [.file(try TestCertificates.shared.caFile)]
                configuration.connection.tls.sendsEarlyData = true
                configuration.retry = .never
                return configuration
            }
        }

        @Test(arguments: [0, 1])
        func `nginx takes the first request of a resumed session as early data`(port: Int) async throws {
            try await Self.nginx().run { nginx in
                let url = nginx.urls[port]
                try await withHTTPClient(configuration: Self.configuration) { client in
                    #expect(try await client.get("\(url)/").text == "late")
                    try await client.closeAllIdle()
                    var early = try await client.get("\(url)/")
                    // On a busy machine the first connection may have had no ticket yet.
                    for _ in 0..<3 where early.response.connectionInfo.earlyData == .notSent {
                        try await client.closeAllIdle()
                        early = try await client.get("\(url)/")
                    }
                    #expect(early.version == (port == 0 ? .http2 : .http1))
                    #expect(early.response.connectionInfo.earlyData == .accepted)
                    // nginx reports the state at the time when it handles a request, which may be after the end of the
                    // handshake.
                    #expect(["early", "late"].contains(early.text))
                    // The connection goes on as any other.
                    for _ in 0..<3 {
                        let next = try await client.get("\(url)/")
                        #expect(next.text == "late" && next.response.isConnectionReused)
                    }
                    #expect(await client.statistics().earlyDataAccepted == 1)
                    try await client.closeAllIdle()
                    let post = try await client.post("\(url)/", body: .bytes([1, 2, 3]))
                    #expect(post.text == "late")
                }
            }
        }

        @Test(arguments: [0, 1])
        func `425 of nginx is followed by the request after the handshake`(port: Int) async throws {
            try await Self.nginx().run { nginx in
                let url = nginx.urls[port]
                try await withHTTPClient(configuration: Self.configuration) { client in
                    _ = try await client.get("\(url)/")
                    try await client.closeAllIdle()
                    let response = try await client.get("\(url)/careful")
                    #expect(response.status == .ok && response.text == "late")
                    let failed = response.response.failedAttempts.map(\.status?.code)
                    #expect(failed == [425] || failed == [])
                    #expect(response.response.connectionInfo.earlyData == .accepted)
                }
            }
        }

        @Test(arguments: [0, 1])
        func `nginx with new keys rejects the early data and gets the request after the handshake`(
            port: Int
        ) async throws {
            try await Self.nginx().run { nginx in
                let url = nginx.urls[port]
                try await withHTTPClient(configuration: Self.configuration) { client in
                    _ = try await client.get("\(url)/")
                    try await client.closeAllIdle()
                    try await nginx.process.restart()
                    let requests = try await withThrowingTaskGroup(of: CollectedResponse.self) { group in
                        for _ in 0..<(port == 0 ? 20 : 1) { group.addTask { try await client.get("\(url)/") } }
                        var all: [CollectedResponse] = []
                        for try await response in group { all.append(response) }
                        return all
                    }
                    #expect(requests.allSatisfy { $0.text == "late" && $0.response.failedAttempts.isEmpty })
                    #expect(requests.contains { $0.response.connectionInfo.earlyData == .rejected })
                    #expect(requests.allSatisfy { !$0.response.connectionInfo.isTLSResumed })
                    #expect(await client.statistics().earlyDataRejected == 1)
                }
            }
        }

        @Test func `Many requests at once share the early data of one connection`() async throws {
            try await Self.nginx().run { nginx in
                let url = nginx.urls[0]
                try await withHTTPClient(configuration: Self.configuration) { client in
                    _ = try await client.get("\(url)/")
                    for _ in 0..<5 {
                        try await client.closeAllIdle()
                        // More than the early data can hold.
                        let field = String(repeating: "x", count: 500)
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for number in 0..<100 {
                                group.addTask {
                                    let response =
                                        number % 10 == 0
                                        ? try await client.post("\(url)/", body: .bytes([1]))
                                        : try await client.get(
                                            "\(url)/", headerFields: [.userAgent: "\(number)\(field)"])
                                    #expect(response.status == .ok && response.response.failedAttempts.isEmpty)
                                    if number % 10 == 0 { #expect(response.text == "late") }
                                }
                            }
                            try await group.waitForAll()
                        }
                    }
                    #expect(await client.statistics().earlyDataAccepted == 5)
                }
            }
        }

        @Test func `A connection that is lent has made its handshake`() async throws {
            try await Self.nginx().run { nginx in
                let url = nginx.urls[0]
                let origin = try Origin(url)
                try await withHTTPClient(configuration: Self.configuration) { client in
                    _ = try await client.get("\(url)/")
                    for _ in 0..<20 {
                        try await client.closeAllIdle()
                        // The loan may get the connection that was dialled for the request.
                        async let early = client.get("\(url)/").status
                        let isVerified = try await client.withConnection(to: origin) { connection in
                            let response = try await connection.send(.get("/careful"))
                            #expect(response.status == .ok)
                            return connection.info.isPeerVerified && connection.info.tlsVersion != nil
                        }
                        #expect(isVerified)
                        let status = try await early
                        #expect(status == .ok)
                        try await client.closeAllIdle()
                        async let other = client.get("\(url)/").status
                        try await client.preconnect(to: origin)
                        let second = try await other
                        #expect(second == .ok)
                    }
                }
            }
        }

        @Test func `A stored session's early data is sent by the next client`() async throws {
            let file = try TemporaryDirectory.shared.newFolder("stored-early") + "/sessions"
            try await Self.nginx().run { nginx in
                var configuration = try Self.configuration
                configuration.connection.tls.sessionFile = file
                for expected in [ConnectionInfo.EarlyData.notSent, .accepted, .accepted] {
                    try await withHTTPClient(configuration: configuration) { client in
                        let response = try await client.get("\(nginx.urls[0])/")
                        #expect(response.response.connectionInfo.earlyData == expected)
                    }
                }
            }
        }
    }
}
