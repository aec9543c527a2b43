import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Connections of your own through scripted proxies. Those through real ones are in `RealProxyTests`.
@Suite(.inTurn, .timeLimit(.minutes(2)))
struct OwnProxyTests {
    private func configuration(
        _ proxy: ScriptedHTTP1Server, except exceptions: HTTPClient.NoProxy = ""
    ) throws -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.proxies = .all(
            try HTTPClient.Proxy("http://me:top-secret@127.0.0.1:\(proxy.port)"), except: exceptions)
        return configuration
    }

    @Test func `An HTTP 1 connection to an http origin sends requests that name the whole URL`() async throws {
        try await ScriptedHTTP1Server.run(script: { _ in [.respond()] }) { proxy in
            let origin = try Origin("http://a.test:81")
            try await HTTP1Connection.withConnection(to: origin, configuration: try configuration(proxy)) {
                connection in
                #expect(connection.info.origin == origin)
                #expect(connection.info.proxy == "http://127.0.0.1:\(proxy.port)")
                for path in ["/1", "/2"] {
                    let text = try await connection.send(.get(path)).text()
                    #expect(text == "abc")
                }
            }
            #expect(proxy.connections.count == 1)
            #expect(proxy.requests.map(\.target) == ["http://a.test:81/1", "http://a.test:81/2"])
            for request in proxy.requests {
                #expect(request.values(of: "Proxy-Authorization") == ["Basic bWU6dG9wLXNlY3JldA=="])
            }
        }
    }

    @Test func `A refused tunnel is an error that names the proxy and no password`() async throws {
        try await ScriptedHTTP1Server.run(script: { _ in [.respond("403 Forbidden")] }) { proxy in
            let configuration = try configuration(proxy)
            for url in ["https://a.test", "http://a.test"] {
                let error = try await h2Error {
                    try await HTTP2Connection.connect(to: try Origin(url), configuration: configuration)
                }
                #expect(error.code == .proxyFailed && error.message.contains("403"), "\(error)")
                #expect(!"\(error)".contains("secret"))
            }
            #expect(proxy.requests.map(\.target) == ["a.test:443", "a.test:80"])
        }
    }

    @Test func `A cancelled connect leaves nothing open`() async throws {
        try await ScriptedHTTP1Server.run(script: { _ in [.hold] }) { proxy in
            let configuration = try configuration(proxy)
            let connecting = Task {
                try await HTTP2Connection.connect(to: try Origin("https://a.test"), configuration: configuration)
            }
            try await eventually("the proxy is asked") { proxy.requests.count == 1 }
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await connecting.value }
            try await eventually("the proxy sees the end") { proxy.connections.allSatisfy { $0.end == .byClient } }
        }
    }

    @Test func `Exceptions are reached directly, and a closure is asked once`() async throws {
        try await ScriptedHTTP1Server.run(script: { _ in [.respond("502 Bad Gateway")] }) { proxy in
            try await OriginServer.withServer(OriginServer.Configuration(security: .cleartext)) { server in
                let asked = Counter()
                var choosing = ConnectionConfiguration()
                choosing.proxies = .choosing { _ in
                    asked.increment()
                    return nil
                }
                for configuration in [try configuration(proxy, except: "127.0.0.1"), choosing] {
                    let count = try await HTTP2Connection.withConnection(
                        to: server.origin, configuration: configuration
                    ) { connection in
                        #expect(connection.info.proxy == nil)
                        return try await connection.send(.get("/bytes/3")).text().utf8.count
                    }
                    #expect(count == 3)
                }
                #expect(asked.value == 1)
            }
            #expect(proxy.connections.isEmpty)
        }
    }

    @Test func `A client without proxies of its own takes those of its connections`() async throws {
        try await ScriptedHTTP1Server.run(script: { _ in [.respond()] }) { proxy in
            var client = HTTPClient.Configuration()
            client.connection = try configuration(proxy)
            try await withHTTPClient(configuration: client) { client in
                let text = try await client.get("http://a.test/").text
                #expect(text == "abc")
            }
            #expect(proxy.requests.map(\.target) == ["http://a.test/"])
        }
    }
}
