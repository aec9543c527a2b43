import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// The tests that run proxies. They take as long as all of `RealServers`.
@Suite(.inTurnFirst)
enum RealProxies {}

extension RealProxies {
    /// The client through the proxies that Debian packages.
    @Suite(.timeLimit(.minutes(5)))
    struct RealProxyTests {
        /// Runs a proxy, an origin, and a client that uses both.
        private func withProxy(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme,
            origin: OriginServer.Configuration = OriginServer.Configuration(), password: String = RealProxy.password,
            _ change: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
            _ body: @Sendable (HTTPClient, OriginServer) async throws -> Void
        ) async throws {
            try await proxy.run { running in
                let used = try proxy.proxy(scheme, port: running.port, password: password)
                var tls = ConnectionConfiguration.TLS()
                tls.caFile = try TestCertificates.shared.caFile
                var settings = HTTPClient.ProxySettings.all(used)
                settings.tls = tls
                let proxies = settings
                try await withOriginAndClient(
                    origin,
                    {
                        $0.proxies = proxies
                        change(&$0)
                    }, body)
            }
        }

        private func cleartext(_ versions: OriginServer.Versions = .both) -> OriginServer.Configuration {
            OriginServer.Configuration(security: .cleartext, versions: versions)
        }

        @Test(arguments: RealProxy.all)
        func `HTTPS goes through a tunnel, and HTTP 2 is multiplexed in it`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            try await withProxy(proxy, scheme) { client, server in
                let burst = await client.burst(200, "\(server.url)/bytes/1000", bytes: 1_000)
                #expect(burst.served == 200 && burst.failures.isEmpty, "\(burst.failures.prefix(2))")
                #expect(burst.versions == [.http2])
                let statistics = await client.statistics()
                #expect(statistics.connectionsOpened == 1)
                let response = try await client.get("\(server.url)/bytes/1").response
                let info = response.connectionInfo
                #expect(info.proxy?.hasPrefix("\(scheme.rawValue)://localhost:") == true)
                #expect(info.tunnel != nil && info.isPeerVerified)
                #expect(!info.remoteAddress.hasSuffix(":\(server.port)"))
            }
        }

        @Test(arguments: RealProxy.all)
        func `HTTPS with HTTP 1 goes through a tunnel for each connection`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            try await withProxy(proxy, scheme, { $0.versions = .http1Only }) { client, server in
                let burst = await client.burst(50, "\(server.url)/bytes/1000", bytes: 1_000)
                #expect(burst.served == 50 && burst.failures.isEmpty, "\(burst.failures.prefix(2))")
                #expect(burst.versions == [.http1])
                let statistics = await client.statistics()
                #expect(statistics.connectionsOpened <= 8)
            }
        }

        @Test(arguments: RealProxy.all)
        func `HTTP goes through, and connections are reused`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            // HAProxy drops the origin on the way from HTTP/2 to squid.
            let forwardsOverHTTP2 = proxy.name != "haproxy"
            try await withProxy(
                proxy, scheme, origin: cleartext(), { $0.proxies.forwardsOverHTTP2 = forwardsOverHTTP2 }
            ) { client, server in
                for _ in 0..<20 {
                    let got1 = try await client.get("\(server.url)/bytes/10").body.count
                    #expect(got1 == 10)
                }
                let posted = try await client.put("\(server.url)/echo", body: .string("through the proxy"))
                #expect(posted.text == "through the proxy")
                let info = posted.response.connectionInfo
                #expect(info.proxy?.hasPrefix("\(scheme.rawValue)://localhost:") == true)
                #expect(info.tlsVersion == nil)
                // tinyproxy ends its connections after each request.
                if proxy.name != "tinyproxy" {
                    let statistics = await client.statistics()
                    #expect(statistics.connectionsOpened == 1)
                }
            }
        }

        @Test(arguments: [
            (RealProxy.squid, HTTPClient.Proxy.Scheme.http), (.nghttpx, .https), (.haproxyHTTP1, .https),
            (.ssh, .socks5h),
        ])
        func `A proxy can be reached through a SOCKS proxy`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            try await RealProxy.microsocks.run { first in
                let preproxy = try RealProxy.microsocks.proxy(.socks5h, port: first.port)
                try await withProxy(proxy, scheme, { $0.proxies.preproxy = preproxy }) { client, server in
                    let burst = await client.burst(50, "\(server.url)/bytes/1000", bytes: 1_000)
                    #expect(burst.served == 50 && burst.failures.isEmpty, "\(burst.failures.prefix(2))")
                    let info = try await client.get("\(server.url)/bytes/1").response.connectionInfo
                    #expect(info.proxy?.hasPrefix("\(scheme.rawValue)://localhost:") == true)
                    #expect(info.remoteAddress.hasSuffix(":\(first.port)"))
                    let other = try OriginServer.start(cleartext())
                    defer { other.stopNow() }
                    let count = try await client.get("\(other.url)/bytes/7").body.count
                    #expect(count == 7)
                }
                await first.crash()
                try await withProxy(proxy, scheme, { $0.proxies.preproxy = preproxy }) { client, server in
                    let error = await #expect(throws: H2Error.self) { try await client.get("\(server.url)/bytes/1") }
                    #expect(error?.code == .connectFailed)
                    #expect(error?.message.contains("the proxy \(preproxy)") == true, "\(error as Any)")
                }
            }
        }

        @Test(arguments: [
            (RealProxy.squid, HTTPClient.Proxy.Scheme.http), (.nghttpx, .https), (.haproxyHTTP1, .https),
        ])
        func `Many http origins share one connection to a proxy that forwards`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            try await withProxy(proxy, scheme, origin: cleartext()) { client, server in
                let others = try (0..<4).map { _ in try OriginServer.start(cleartext()) }
                defer { for other in others { other.stopNow() } }
                for number in 0..<20 {
                    let answer = try await client.get("\(others[number % 4].url)/bytes/\(number)")
                    #expect(answer.body.count == number)
                    #expect(answer.response.version == (proxy.name == "nghttpx" ? .http2 : .http1))
                }
                let fields = try await client.get("\(server.url)/headers").text
                #expect(!fields.lowercased().contains("proxy-authorization"), "\(fields)")
                let statistics = await client.statistics()
                #expect(statistics.connectionsOpened == 1 && statistics.requestsOnReusedConnections == 20)
                #expect(statistics.proxies.map(\.connectionsOpened) == [1])
            }
        }

        @Test
        func `Requests to many http origins are multiplexed by an HTTP 2 proxy`() async throws {
            try await withProxy(.nghttpx, .https) { client, _ in
                let others = try (0..<4).map { _ in try OriginServer.start(cleartext()) }
                defer { for other in others { other.stopNow() } }
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<80 {
                        let url = others[number % 4].url
                        group.addTask { try await client.post("\(url)/echo", body: .string("\(number)")).body.count }
                    }
                    let total = try await group.reduce(0, +)
                    #expect(total == 150)
                }
                let statistics = await client.statistics()
                #expect(statistics.connectionsOpened == 1)
            }
        }

        @Test
        func `Connections to an HTTP 2 proxy and their tunnels are in figures and events`() async throws {
            try await withProxy(.nghttpx, .https, { $0.versions = .http2PriorKnowledge }) { client, _ in
                let events = client.events()
                let others = try (0..<3).map { _ in try OriginServer.start(cleartext()) }
                defer { for other in others { other.stopNow() } }
                for other in others { _ = try await client.get("\(other.url)/bytes/1") }
                let statistics = await client.statistics()
                let figures = try #require(statistics.proxies.first)
                #expect(statistics.proxies.count == 1 && statistics.connectionsOpened == 3)
                #expect(figures.proxy.hasPrefix("https://localhost:") && figures.version == .http2)
                #expect(figures.active == 1 && figures.idle == 0 && figures.connectionsOpened == 1)
                #expect(figures.tunnels == 3 && figures.tunnelsOpened == 3)
                client.closeIdle()
                try await eventually("the tunnels are closed") {
                    let figures = await client.statistics().proxies.first
                    return figures?.tunnels == 0 && figures?.idle == 1 && figures?.active == 0
                }
                await client.shutdown()
                var tunnels: [Bool] = []
                var carriers: [ConnectionID: Int] = [:]
                for await event in events {
                    switch event.kind {
                    case .tunnelOpened(let isReused):
                        tunnels.append(isReused)
                        #expect(others.contains { $0.origin == event.origin })
                        carriers[try #require(event.connectionID), default: 0] += 1
                    case .connectionOpened(let info, _, _) where info.proxy == nil:
                        #expect(event.origin?.description == figures.proxy && event.connectionID == info.id)
                    default: break
                    }
                }
                #expect(tunnels == [false, true, true] && carriers.values.map { $0 } == [3])
            }
        }

        @Test(arguments: RealProxy.all)
        func `Connections of one's own go through`(_ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme) async throws {
            try await withProxy(proxy, scheme) { client, server in
                var configuration = client.configuration.connection
                configuration.proxies = client.configuration.proxies
                let plain = try OriginServer.start(cleartext())
                defer { plain.stopNow() }
                for origin in [server.origin, plain.origin] {
                    let (name, tunnel) = try await HTTP2Connection.withConnection(
                        to: origin, configuration: configuration
                    ) { connection in
                        let body = try await connection.send(.get("/bytes/1000")).body.collect(upTo: 1 << 20)
                        #expect(body.count == 1_000)
                        _ = try await connection.ping()
                        return (connection.info.proxy, connection.info.tunnel)
                    }
                    #expect(name?.hasPrefix("\(scheme.rawValue)://localhost:") == true && tunnel != nil)
                    try await HTTP1Connection.withConnection(to: origin, configuration: configuration) { connection in
                        for size in [10, 100_000] {
                            let body = try await connection.send(.get("/bytes/\(size)")).body.collect(upTo: 1 << 20)
                            #expect(body.count == size)
                            // tinyproxy ends its connections after each request that it forwards.
                            if proxy.name == "tinyproxy", origin == plain.origin { break }
                        }
                    }
                }
                // A proxy may keep the connections that it uses for forwarding.
                try await eventually("no tunnel is open") { server.statistics.connectionsOpen == 0 }
            }
        }

        @Test(arguments: RealProxy.all)
        func `Cleartext HTTP 2 goes through a tunnel`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            try await withProxy(proxy, scheme, origin: cleartext(), { $0.versions = .http2PriorKnowledge }) {
                client, server in
                let burst = await client.burst(100, "\(server.url)/bytes/1000", bytes: 1_000)
                #expect(burst.served == 100 && burst.failures.isEmpty, "\(burst.failures.prefix(2))")
                #expect(burst.versions == [.http2])
            }
        }

        @Test(arguments: RealProxy.all)
        func `Large bodies go through both ways`(_ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme) async throws {
            try await withProxy(proxy, scheme) { client, server in
                let size = 2 << 20
                let got2 = try await client.get("\(server.url)/bytes/\(size)").body.count
                #expect(got2 == size)
                let sent = [UInt8]((0..<size).lazy.map { UInt8(truncatingIfNeeded: $0 &* 31) })
                let echoed = try await client.post("\(server.url)/echo", body: .bytes(sent))
                #expect(echoed.body == sent)
            }
        }

        @Test(arguments: RealProxy.all)
        func `A port where nobody listens is an error of the proxy`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            let closed = try LoopbackPort.unused()
            try await withProxy(proxy, scheme, { $0.retry = .never }) { client, _ in
                let error = try await h2Error { try await client.get("https://localhost:\(closed)/") }
                #expect(error.code == .proxyFailed || proxy.name == "ssh" && error.code == .tlsFailed, "\(error)")
                #expect(!"\(error)".contains(RealProxy.password))
            }
        }

        @Test(arguments: RealProxy.all.filter(\.0.wantsPassword))
        func `A wrong password is a clear error, without the password`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            try await withProxy(proxy, scheme, password: "top-secret", { $0.retry = .never }) { client, server in
                let error = try await h2Error { try await client.get("\(server.url)/bytes/1") }
                #expect(error.code == .proxyFailed)
                #expect("\(error)".contains("check the user name and the password"), "\(error)")
                #expect(!"\(error)".contains("secret"))
            }
        }

        @Test
        func `Many origins share one connection to an HTTP 2 proxy`() async throws {
            try await withProxy(.nghttpx, .https, { $0.versions = .http2PriorKnowledge }) { client, _ in
                let others = try (0..<8).map { _ in try OriginServer.start(cleartext()) }
                defer { for other in others { other.stopNow() } }
                // Cleartext HTTP/2 uses a tunnel, too.
                try await withThrowingTaskGroup(of: String.self) { group in
                    for number in 0..<80 {
                        let url = others[number % others.count].url
                        group.addTask { try await client.get("\(url)/bytes/100").response.connectionInfo.localAddress }
                    }
                    let sockets = try await group.reduce(into: Set()) { $0.insert($1) }
                    #expect(sockets.count == 1)
                }
            }
        }

        @Test
        func `A reader that takes nothing holds up no other tunnel of an HTTP 2 proxy`() async throws {
            try await withProxy(.nghttpx, .https) { client, server in
                let size = 24 << 20
                let unread = try await client.send(.get, "\(server.url)/bytes/\(size)")
                // Another origin, and so another tunnel on the same connection.
                let other = try OriginServer.start(OriginServer.Configuration(security: .cleartext))
                defer { other.stopNow() }
                let second = try await client.get("http://localhost:\(other.port)/bytes/10")
                #expect(second.body.count == 10)
                let third = try await client.get("\(server.url)/bytes/100000")
                #expect(third.body.count == 100_000)
                let whole = try await unread.body.discard()
                #expect(whole == size)
            }
        }

        @Test(arguments: [
            (RealProxy.nghttpx, HTTPClient.Proxy.Scheme.https), (.haproxyHTTP1, .https), (.microsocks, .socks5h),
        ])
        func `A storm of cancellations leaves nothing open and nothing broken`(
            _ proxy: RealProxy, _ scheme: HTTPClient.Proxy.Scheme
        ) async throws {
            for versions in [HTTPClient.Versions.http1Only, .http2Only] {
                try await withProxy(
                    proxy, scheme,
                    {
                        $0.versions = versions
                        $0.eventLoops = .own(count: 2)
                        $0.pool.requestsPerConnection = 3
                    }
                ) { client, server in
                    var random = SystemRandomNumberGenerator()
                    for _ in 0..<20 {
                        let requests = (0..<10).map { number in
                            Task { try await client.get("\(server.url)/bytes/\(number * 10_000)").body.count }
                        }
                        try await letTimePass(.microseconds(Int.random(in: 0..<20_000, using: &random)))
                        for request in requests.shuffled().dropFirst(2) { request.cancel() }
                        for request in requests { _ = await request.result }
                    }
                    let count = try await client.get("\(server.url)/bytes/12345").body.count
                    #expect(count == 12_345)
                    await client.shutdown(gracePeriod: .seconds(1))
                    try await eventually("nothing is open") { server.statistics.connectionsOpen == 0 }
                }
            }
        }

        @Test
        func `The end of an HTTP 2 proxy ends what goes through it, and a new one serves`() async throws {
            try await RealProxy.nghttpx.run { running in
                var configuration = HTTPClient.Configuration()
                configuration.proxies = .all(try RealProxy.nghttpx.proxy(.https, port: running.port))
                configuration.connection.tls.caFile = try TestCertificates.shared.caFile
                configuration.retry = .never
                var origin = OriginServer.Configuration()
                let leaf = try TestCertificates.shared.valid
                origin.security = .identity(certificateFile: leaf.certificateFile, keyFile: leaf.keyFile)
                try await OriginServer.withServer(origin) { server in
                    try await withHTTPClient(configuration: configuration) { client in
                        let response = try await client.send(.get, "https://localhost:\(server.port)/bytes/50000000")
                        // A slow reader over HTTP/1.1, whose connection outlives the proxy's.
                        var slow = configuration
                        slow.versions = .http1Only
                        let other = HTTPClient(configuration: slow)
                        let kept = try await other.send(.get, "https://localhost:\(server.port)/bytes/50000000")
                        await running.crash()
                        let cut = try await h2Error { try await response.body.discard() }
                        #expect(cut.code == .connectionClosed, "\(cut)")
                        try await letTimePass(.milliseconds(50))
                        let keptCut = try await h2Error { try await kept.body.discard() }
                        #expect(keptCut.code == .connectionClosed, "\(keptCut)")
                        other.shutdownNow()
                        let refused = try await h2Error {
                            try await client.get("https://localhost:\(server.port)/bytes/1")
                        }
                        #expect(refused.message.contains("cannot reach the proxy"), "\(refused)")
                    }
                }
            }
        }

        @Test
        func `Credentials for the proxy never get into the tunnel`() async throws {
            let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = { _ in [.respond()] }
            try await ScriptedHTTP1Server.run(tls: TestCertificates.shared.valid, script: script) { origin in
                try await withProxy(
                    .squid, .http, { $0.connection.tls.caFile = try? TestCertificates.shared.caFile }
                ) { client, _ in
                    let got3 = try await client.get("\(origin.origin)/").text
                    #expect(got3 == "abc")
                }
                let request = try #require(origin.requests.first)
                #expect(request.target == "/")
                #expect(request.values(of: "Proxy-Authorization").isEmpty)
            }
        }
    }
}
