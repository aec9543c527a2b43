import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// The client against proxies that follow a test's script.
@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ProxyTests {
    private typealias Script = @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step]

    /// Runs a scripted HTTP proxy, and a client that sends everything there.
    private func withProxy(
        user: String = "me:top-secret@", greeting: [ScriptedHTTP1Server.Step] = [], scheme: String = "http",
        _ change: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in }, script: @escaping Script,
        _ body: @Sendable (HTTPClient, ScriptedHTTP1Server) async throws -> Void
    ) async throws {
        try await ScriptedHTTP1Server.run(greeting: { _ in greeting }, script: script) { proxy in
            var configuration = HTTPClient.Configuration()
            configuration.proxies = .all(
                try HTTPClient.Proxy("\(scheme)://\(user)127.0.0.1:\(proxy.port)"), except: "direct.test, 127.0.0.1")
            configuration.retry = .never
            change(&configuration)
            try await withHTTPClient(configuration: configuration) { try await body($0, proxy) }
        }
    }

    @Test func `A request for http names its whole URL, and the connection is reused`() async throws {
        try await withProxy(script: { _ in [.respond()] }) { client, proxy in
            let got1 = try await client.get("http://origin.test:81/a?b").text
            #expect(got1 == "abc")
            let got2 = try await client.post("http://origin.test:81/c", body: .string("d")).text
            #expect(got2 == "abc")
            let options = HTTPRequest(method: .options, scheme: "http", authority: "origin.test:81", path: "*")
            _ = try await client.collect(options)
            #expect(proxy.connections.count == 1)
            let requests = proxy.requests
            #expect(
                requests.map(\.requestLine) == [
                    "GET http://origin.test:81/a?b HTTP/1.1", "POST http://origin.test:81/c HTTP/1.1",
                    "OPTIONS http://origin.test:81 HTTP/1.1",
                ])
            for request in requests {
                #expect(request.values(of: "Host") == ["origin.test:81"])
                #expect(request.values(of: "Proxy-Authorization") == ["Basic bWU6dG9wLXNlY3JldA=="])
                #expect(request.values(of: "Authorization").isEmpty)
            }
        }
    }

    @Test func `A request's own proxy-authorization takes precedence`() async throws {
        try await withProxy(script: { _ in [.respond()] }) { client, proxy in
            _ = try await client.get("http://origin.test/", headerFields: [.proxyAuthorization: "Bearer x"])
            #expect(proxy.requests[0].values(of: "Proxy-Authorization") == ["Bearer x"])
        }
    }

    @Test func `An answer of the proxy to a forwarded request is the response`() async throws {
        try await withProxy(user: "", script: { _ in [.respond("407 Proxy Authentication Required")] }) { client, _ in
            let got3 = try await client.get("http://origin.test/").status.code
            #expect(got3 == 407)
        }
    }

    @Test func `Exceptions are reached directly`() async throws {
        try await withProxy(script: { _ in [.respond("502 Bad Gateway")] }) { client, proxy in
            try await OriginServer.withServer(OriginServer.Configuration(security: .cleartext)) { server in
                let response = try await client.get("http://127.0.0.1:\(server.port)/bytes/3")
                #expect(response.body.count == 3)
                #expect(response.response.connectionInfo.proxy == nil)
            }
            #expect(proxy.connections.isEmpty)
        }
    }

    @Test func `With connectTo the proxy is asked for a tunnel to the other endpoint`() async throws {
        try await withProxy(
            { $0.connectTo = { _ in ConnectionConfiguration.Endpoint(host: "other.test", port: 8080) } },
            script: { $0.method == "CONNECT" ? [.send("HTTP/1.1 200 OK\r\n\r\n")] : [.respond()] }
        ) { client, proxy in
            let got4 = try await client.get("http://origin.test/").text
            #expect(got4 == "abc")
            #expect(proxy.requests.map(\.requestLine) == ["CONNECT other.test:8080 HTTP/1.1", "GET / HTTP/1.1"])
            #expect(proxy.requests[0].values(of: "Proxy-Authorization").count == 1)
            #expect(proxy.requests[1].values(of: "Proxy-Authorization").isEmpty)
        }
    }

    @Test(arguments: [
        (407, "check the user name"), (403, "does not allow"), (502, "cannot reach the host"), (302, "log"),
    ])
    func `A refused tunnel tells the status, once`(_ status: Int, _ advice: String) async throws {
        try await withProxy(script: { _ in [.respond("\(status) No", ["Proxy-Authenticate: Basic realm=\"x\""])] }) {
            client, proxy in
            let error = try await h2Error { try await client.get("https://origin.test/") }
            #expect(error.code == .proxyFailed)
            #expect("\(error)".contains("\(status) No") && "\(error)".contains(advice), "\(error)")
            #expect(!"\(error)".contains("secret"))
            #expect(proxy.requests.map(\.requestLine) == ["CONNECT origin.test:443 HTTP/1.1"])
        }
    }

    @Test(arguments: [
        "", "H", "HTTP/1.1", "HTTP/1.1 200", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r",
        "garbage\r\n\r\n", "\u{15}\u{3}\u{3}",
    ])
    func `A proxy that closes or talks nonsense is a clear error`(_ answer: String) async throws {
        try await withProxy(script: { _ in [.send(answer), .close] }) { client, _ in
            let error = try await h2Error { try await client.get("https://origin.test/") }
            #expect(error.code == .proxyFailed, "\(error)")
        }
    }

    @Test func `A huge head is refused`() async throws {
        let head =
            "HTTP/1.1 200 OK\r\n" + (0..<3_000).map { "X-\($0): \(String(repeating: "y", count: 100))\r\n" }.joined()
        try await withProxy(script: { _ in [.send(head), .hold] }) { client, _ in
            let error = try await h2Error { try await client.get("https://origin.test/") }
            #expect(error.code == .proxyFailed, "\(error)")
        }
    }

    @Test(arguments: [false, true])
    func `A silent proxy is given up after the limits for connecting`(_ isWhole: Bool) async throws {
        let limit = Duration.milliseconds(isWhole ? 150 : 100)
        try await withProxy(
            {
                if isWhole {
                    $0.connection.timeouts.establish = limit
                } else {
                    $0.connection.timeouts.connect = limit
                }
            }, script: { _ in [.hold] }
        ) { client, proxy in
            let error = try await h2Error { try await client.get("https://origin.test/") }
            #expect(error.code == .timeout)
            #expect(error.cause == .timeout(.connect, after: limit))
            #expect(error.message.contains("a tunnel to origin.test:443 through the proxy"))
            try await eventually("the proxy sees the end") { proxy.connections.allSatisfy { $0.end == .byClient } }
        }
    }

    @Test func `A cancelled request leaves nothing open`() async throws {
        try await withProxy({ $0.connection.timeouts.connect = .seconds(60) }, script: { _ in [.hold] }) {
            client, proxy in
            let request = Task { try await client.get("https://origin.test/") }
            try await eventually("the proxy is asked") { proxy.requests.count == 1 }
            request.cancel()
            await #expect(throws: CancellationError.self) { try await request.value }
            await client.shutdown(gracePeriod: .zero)
            try await eventually("the proxy sees the end") { proxy.connections.allSatisfy { $0.end == .byClient } }
        }
    }

    @Test func `TLS with the origin is verified inside the tunnel`() async throws {
        // The bytes after the head are not TLS.
        try await withProxy(script: { _ in [.send("HTTP/1.1 200 OK\r\n\r\nnot TLS at all"), .hold] }) { client, _ in
            let error = try await h2Error { try await client.get("https://origin.test/") }
            #expect(error.code == .tlsFailed, "\(error)")
        }
    }

    @Test func `A proxy that is not there is named`() async throws {
        let port = try LoopbackPort.unused()
        var configuration = HTTPClient.Configuration()
        configuration.proxies = .all(try HTTPClient.Proxy("http://me:top-secret@127.0.0.1:\(port)"))
        configuration.retry = .never
        try await withHTTPClient(configuration: configuration) { client in
            for url in ["http://origin.test/", "https://origin.test/"] {
                let error = try await h2Error { try await client.get(url) }
                #expect(error.code == .connectFailed)
                #expect(error.message.contains("the proxy http://127.0.0.1:\(port)"))
                #expect(!"\(error)".contains("secret"))
            }
        }
    }

    @Test(
        arguments: [
            ("socks5h", [5, 0xff], "wants a user name"),
            ("socks5h", Array("HTTP/1.1 400".utf8), "does not speak SOCKS"),
            ("socks5h", [5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], "refused"),
            ("socks4a", [0, 91, 0, 0, 0, 0, 0, 0], "rejected"),
            ("socks4a", [], "left before"), ("socks5h", [5], "left before"),
        ] as [(String, [UInt8], String)])
    func `A SOCKS server that refuses is told in words`(
        _ scheme: String, _ bytes: [UInt8], _ words: String
    ) async throws {
        try await withProxy(user: "", greeting: [.send(bytes), .finishWriting], scheme: scheme, script: { _ in [] }) {
            client, _ in
            let error = try await h2Error { try await client.get("http://origin.test/") }
            #expect(error.code == .proxyFailed)
            #expect(error.message.contains(words), "\(error)")
        }
    }

    @Test func `The closure is asked for each request to an http origin, and may say no proxy`() async throws {
        let asked = Counter()
        try await withProxy(script: { _ in [.respond()] }) { _, proxy in
            var configuration = HTTPClient.Configuration()
            let used = try HTTPClient.Proxy("127.0.0.1:\(proxy.port)")
            configuration.proxies = .choosing { origin in
                asked.increment()
                return origin.host.hasSuffix(".test") ? used : nil
            }
            try await OriginServer.withServer(OriginServer.Configuration(security: .cleartext)) { server in
                try await withHTTPClient(configuration: configuration) { client in
                    for _ in 0..<3 {
                        let got5 = try await client.get("http://a.test/").text
                        #expect(got5 == "abc")
                        let got6 = try await client.get("http://127.0.0.1:\(server.port)/bytes/2").body.count
                        #expect(got6 == 2)
                    }
                }
            }
            // For each request, and for the connection to the origin itself.
            #expect(asked.value == 7)
            #expect(proxy.requests.count == 3)
        }
    }
}
