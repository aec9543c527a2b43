import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ProxyDialerTests {
    /// Resolves some names, and counts the look-ups of each.
    private final class Names: NameResolver {
        private let addresses: [String: [String]]
        private let asked = Asked()

        /// Invariant behind `@unchecked Sendable`: `names` is accessed under `lock`.
        private final class Asked: @unchecked Sendable {
            let lock = PthreadLock()
            var names: [String] = []
        }

        init(_ addresses: [String: [String]]) { self.addresses = addresses }

        var names: [String] { asked.lock.withLock { asked.names } }

        func resolve(
            host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
            completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
        ) -> (any NameQuery)? {
            asked.lock.withLock { asked.names.append(host) }
            var found: [SocketAddress] = []
            for address in addresses[host] ?? [host] {
                if case .success(let more) = Resolver.addresses(host: address, port: port, flags: 0) { found += more }
            }
            let all = found
            loop.execute { completion(all.isEmpty ? .failure(H2Error(.resolveFailed, message: "no")) : .success(all)) }
            return nil
        }
    }

    private func configuration(_ proxy: HTTPClient.Proxy, _ names: Names) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.proxies = .all(proxy)
        configuration.connection.resolver = HostResolver(names)
        configuration.retry = .never
        return configuration
    }

    @Test func `SOCKS 5 looks names up here, and tries the next address if one is refused`() async throws {
        let names = Names(["dual.test": ["::1", "127.0.0.1"]])
        try await ScriptedHTTP1Server.run(
            greeting: { $0 == 0 ? [.send([5, 0, 5, 8])] : [.send([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0])] },
            script: { _ in [.respond()] }
        ) { server in
            let proxy = try HTTPClient.Proxy("socks5://127.0.0.1:\(server.port)")
            try await withHTTPClient(configuration: configuration(proxy, names)) { client in
                let text = try await client.get("http://dual.test:81/").text
                #expect(text == "abc")
            }
            #expect(server.connections.count == 2)
            let head = try #require(server.requests.first?.head)
            #expect(head.hasPrefix("\u{5}\u{1}\u{0}\u{5}\u{1}\u{0}\u{1}\u{7f}\u{0}\u{0}\u{1}\u{0}QGET / HTTP/1.1\r\n"))
        }
        #expect(names.names.filter { $0 == "dual.test" }.count == 1)
    }

    @Test func `SOCKS 4 looks names up here, and tries the next IPv4 address if one is rejected`() async throws {
        let names = Names(["dual.test": ["::1", "127.0.0.2", "127.0.0.1"], "six.test": ["::1"]])
        try await ScriptedHTTP1Server.run(
            greeting: { [.send([0, $0 == 0 ? 91 : 90, 0, 0, 0, 0, 0, 0])] }, script: { _ in [.respond()] }
        ) { server in
            let proxy = try HTTPClient.Proxy("socks4://127.0.0.1:\(server.port)")
            try await withHTTPClient(configuration: configuration(proxy, names)) { client in
                let text = try await client.get("http://dual.test:81/").text
                #expect(text == "abc")
                let error = await #expect(throws: H2Error.self) { try await client.get("http://six.test/") }
                #expect(error?.code == .resolveFailed)
                #expect(error?.message.contains("no IPv4 address was found for 'six.test'") == true, "\(error as Any)")
            }
            #expect(server.connections.count == 2)
            let head = try #require(server.requests.first?.head)
            #expect(head.hasPrefix("\u{4}\u{1}\u{0}Q\u{7f}\u{0}\u{0}\u{1}\u{0}GET / HTTP/1.1\r\n"))
        }
    }

    @Test func `A proxy that cannot be a first one is an invalid configuration`() async throws {
        var configuration = configuration(try HTTPClient.Proxy("http://127.0.0.1:9"), Names([:]))
        configuration.proxies.preproxy = try HTTPClient.Proxy("http://127.0.0.1:9")
        let client = HTTPClient(configuration: configuration)
        let error = await #expect(throws: H2Error.self) { try await client.get("http://a.test/") }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("proxies.preproxy") == true, "\(error as Any)")
        await client.shutdown()
    }

    @Test(arguments: ["socks5h", "http"])
    func `The limit on connecting counts for a chain of proxies as a whole`(_ second: String) async throws {
        // The first proxy opens the tunnel late, and the second one never answers.
        try await ScriptedHTTP1Server.run(
            greeting: { _ in [.wait(.milliseconds(150)), .send([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), .hold] },
            script: { _ in [.hold] }
        ) { server in
            var configuration = configuration(try HTTPClient.Proxy("\(second)://second.test:9"), Names([:]))
            configuration.proxies.preproxy = try HTTPClient.Proxy("socks5h://127.0.0.1:\(server.port)")
            configuration.connection.timeouts.establish = .milliseconds(300)
            try await withHTTPClient(configuration: configuration) { client in
                let error = await #expect(throws: H2Error.self) { try await client.get("https://a.test/") }
                #expect(error?.cause == .timeout(.connect, after: .milliseconds(300)), "\(error as Any)")
            }
        }
    }

    @Test(arguments: ["socks5h", "socks4a", "http"])
    func `Other proxies get the name, and nobody else`(_ scheme: String) async throws {
        let names = Names([:])
        let greeting: [ScriptedHTTP1Server.Step] =
            switch scheme {
            case "socks5h": [.send([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0])]
            case "socks4a": [.send([0, 90, 0, 0, 0, 0, 0, 0])]
            default: []
            }
        try await ScriptedHTTP1Server.run(greeting: { _ in greeting }, script: { _ in [.respond()] }) { server in
            let proxy = try HTTPClient.Proxy("\(scheme)://127.0.0.1:\(server.port)")
            try await withHTTPClient(configuration: configuration(proxy, names)) { client in
                let text = try await client.get("http://secret.test/").text
                #expect(text == "abc")
            }
            #expect(server.requests.first?.head.contains("secret.test") == true)
        }
        #expect(names.names == ["127.0.0.1"])
    }

    @Test func `A name that cannot be looked up for SOCKS 5 fails like any other`() async throws {
        let proxy = try HTTPClient.Proxy("socks5://127.0.0.1:9")
        let names = Names(["unknown.test": []])
        try await withHTTPClient(configuration: configuration(proxy, names)) { client in
            let error = await #expect(throws: H2Error.self) { try await client.get("http://unknown.test/") }
            #expect(error?.code == .resolveFailed)
        }
    }

    @Test func `A proxy is not asked for the name of another host by connectTo`() async throws {
        // The endpoint is the target of the tunnel, not the address of the proxy.
        let names = Names([:])
        try await ScriptedHTTP1Server.run(script: {
            $0.method == "CONNECT" ? [.send("HTTP/1.1 200 OK\r\n\r\n")] : [.respond()]
        }) { server in
            var configuration = configuration(try HTTPClient.Proxy("127.0.0.1:\(server.port)"), names)
            configuration.connection.connectTo = ConnectionConfiguration.Endpoint(host: "inner.test", port: 8)
            try await withHTTPClient(configuration: configuration) { client in
                _ = try await client.get("http://outer.test/")
            }
            #expect(server.requests.first?.target == "inner.test:8")
        }
        #expect(names.names == ["127.0.0.1"])
    }

    @Test(arguments: ["socks5", "socks5h", "http"])
    func `An address filter judges the server, where its address is known, and not the proxy`(
        _ scheme: String
    ) async throws {
        let names = Names(["private.test": ["10.0.0.1"]])
        let greeting: [ScriptedHTTP1Server.Step] =
            scheme == "http" ? [] : [.send([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0])]
        try await ScriptedHTTP1Server.run(greeting: { _ in greeting }, script: { _ in [.respond()] }) { server in
            let proxy = try HTTPClient.Proxy("\(scheme)://127.0.0.1:\(server.port)")
            var configuration = configuration(proxy, names)
            configuration.connection.addressFilter = .publicInternet
            try await withHTTPClient(configuration: configuration) { client in
                let refused =
                    ["http://10.0.0.1/", "http://[::1]/"] + (scheme == "socks5" ? ["http://private.test/"] : [])
                for url in refused {
                    let error = await #expect(throws: H2Error.self) { try await client.get(url) }
                    #expect(error?.code == .addressRefused, "\(url)")
                }
                let text = try await client.get("http://93.184.215.14/").text
                #expect(text == "abc")
            }
            #expect(server.connections.count == 1)
        }
    }

    @Test func `A burst to an HTTPS proxy without HTTP 2 gets a tunnel for each connection`() async throws {
        // TLS with the proxy, and cleartext inside.
        let leaf = try TestCertificates.shared.valid
        try await ScriptedHTTP1Server.run(
            tls: leaf,
            script: { $0.method == "CONNECT" ? [.send("HTTP/1.1 200 OK\r\n\r\n")] : [.respond(body: "tunnelled")] }
        ) { server in
            var settings = HTTPClient.ProxySettings.all(try HTTPClient.Proxy("https://localhost:\(server.port)"))
            settings.tls = ConnectionConfiguration.TLS()
            settings.tls?.caFile = try TestCertificates.shared.caFile
            var configuration = HTTPClient.Configuration()
            configuration.proxies = settings
            configuration.connectTo = { ConnectionConfiguration.Endpoint(host: $0.host, port: $0.port) }
            try await withHTTPClient(configuration: configuration) { client in
                try await withThrowingTaskGroup(of: String.self) { group in
                    for number in 0..<40 {
                        group.addTask { try await client.get("http://host\(number % 5).test/").text }
                    }
                    for try await text in group { #expect(text == "tunnelled") }
                }
            }
            #expect(server.requests.filter { $0.method == "CONNECT" }.count == server.connections.count)
        }
    }

    @Test func `A certificate of the proxy that is not trusted is refused, and not the origin's fault`() async throws {
        try await ScriptedHTTP1Server.run(tls: TestCertificates.shared.selfSigned, script: { _ in [.respond()] }) {
            server in
            var configuration = HTTPClient.Configuration()
            configuration.proxies = .all(try HTTPClient.Proxy("https://localhost:\(server.port)"))
            configuration.retry = .never
            try await withHTTPClient(configuration: configuration) { client in
                for url in ["http://origin.test/", "https://origin.test/"] {
                    let error = await #expect(throws: H2Error.self) { try await client.get(url) }
                    #expect(error?.code == .certificateRejected)
                    #expect(error?.message.contains("cannot reach the proxy https://localhost") == true)
                }
            }
        }
    }
}
