import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Connections to a proxy that forwards requests, which serve all `http` origins behind it.
@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ForwardingProxyTests {
    private typealias Script = @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step]

    /// Runs a scripted proxy, and a client that sends everything there.
    private func withProxy(
        _ change: @Sendable (inout HTTPClient.Configuration) throws -> Void = { _ in },
        script: @escaping Script = { _ in [.respond()] },
        _ body: @Sendable (HTTPClient, ScriptedHTTP1Server) async throws -> Void
    ) async throws {
        try await ScriptedHTTP1Server.run(script: script) { proxy in
            var configuration = HTTPClient.Configuration()
            configuration.proxies = .all(try HTTPClient.Proxy("http://me:top-secret@127.0.0.1:\(proxy.port)"))
            configuration.retry = .never
            try change(&configuration)
            try await withHTTPClient(configuration: configuration) { try await body($0, proxy) }
        }
    }

    /// Runs an HTTPS proxy that speaks HTTP/2 and answers the requests itself, and a client that sends everything
    /// there.
    private func withHTTP2Proxy(
        user: String = "me:top-secret@", versions: OriginServer.Versions = .both,
        _ change: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: @Sendable (HTTPClient, OriginServer) async throws -> Void
    ) async throws {
        try await withOriginAndClient(OriginServer.Configuration(versions: versions)) { _, server in
            var configuration = server.clientConfiguration()
            configuration.proxies = .all(try HTTPClient.Proxy("https://\(user)localhost:\(server.port)"))
            configuration.retry = .never
            change(&configuration)
            try await withHTTPClient(configuration: configuration) { try await body($0, server) }
        }
    }

    // MARK: - HTTP/1.1

    @Test func `Requests to many origins go over one connection, each with the credentials for the proxy`() async throws
    {
        try await withProxy { client, proxy in
            for number in 0..<12 {
                let answer = try await client.get("http://host\(number % 4).test:8\(number % 3 + 1)/\(number)")
                #expect(answer.text == "abc")
                #expect(answer.response.connectionInfo.proxy == "http://127.0.0.1:\(proxy.port)")
            }
            #expect(proxy.connections.count == 1)
            #expect(proxy.requests.map(\.target) == (0..<12).map { "http://host\($0 % 4).test:8\($0 % 3 + 1)/\($0)" })
            for (number, request) in proxy.requests.enumerated() {
                #expect(request.values(of: "Host") == ["host\(number % 4).test:8\(number % 3 + 1)"])
                #expect(request.values(of: "Proxy-Authorization") == ["Basic bWU6dG9wLXNlY3JldA=="])
            }
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 1 && statistics.connectionsOpen == 1)
            #expect(statistics.requestsOnReusedConnections == 11)
            #expect(statistics.origins.isEmpty)
            let figures = try #require(statistics.proxies.first)
            #expect(figures.proxy == "http://127.0.0.1:\(proxy.port)" && figures.version == .http1)
            #expect(figures.connectionsOpened == 1 && figures.idle == 1 && figures.active == 0)
        }
    }

    @Test func `Other spellings of an origin go the same way`() async throws {
        try await withProxy { client, proxy in
            for url in ["http://a.test/1", "HTTP://A.Test:80/2", "http://b.test/3", "http://A.TEST/4"] {
                let text = try await client.get(url).text
                #expect(text == "abc")
            }
            #expect(proxy.connections.count == 1)
        }
    }

    @Test func `A connection that was lent does not take an origin's requests away`() async throws {
        try await withProxy { client, proxy in
            try await client.withConnection(to: Origin("http://b.test")) { connection in
                let response = try await connection.send(.get("/lent"))
                try await response.body.discard()
            }
            for url in ["http://a.test/1", "http://b.test/2", "http://a.test/3", "http://b.test/4"] {
                let text = try await client.get(url).text
                #expect(text == "abc")
            }
            // One that was lent, and one for all other requests.
            #expect(proxy.connections.count == 2)
        }
    }

    @Test func `The limit on connections counts at the proxy`() async throws {
        try await withProxy({ $0.pool.http1ConnectionsPerOrigin = 2 }) { client, proxy in
            try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<60 {
                    group.addTask { try await client.get("http://host\(number % 20).test/").text }
                }
                for try await text in group { #expect(text == "abc") }
            }
            #expect((1...2).contains(proxy.connections.count))
        }
    }

    @Test func `Requests of other credentials, and direct ones, have connections of their own`() async throws {
        try await withProxy { _, proxy in
            let one = try HTTPClient.Proxy("http://one:1@127.0.0.1:\(proxy.port)")
            let two = try HTTPClient.Proxy("http://two:2@127.0.0.1:\(proxy.port)")
            var configuration = HTTPClient.Configuration()
            configuration.proxies = .choosing { origin in
                origin.host == "one.test" ? one : origin.host == "two.test" ? two : nil
            }
            try await OriginServer.withServer(OriginServer.Configuration(security: .cleartext)) { server in
                try await withHTTPClient(configuration: configuration) { client in
                    for _ in 0..<3 {
                        _ = try await client.get("http://one.test/")
                        _ = try await client.get("http://two.test/")
                        let fields = try await client.get("\(server.url)/headers").text
                        #expect(!fields.lowercased().contains("proxy-authorization"), "\(fields)")
                    }
                    let statistics = await client.statistics()
                    #expect(statistics.connectionsOpened == 3)
                    #expect(statistics.origins.map(\.origin) == [server.origin])
                    // Both users are known at the same proxy.
                    #expect(statistics.proxies.map(\.idle) == [2])
                }
            }
            #expect(proxy.connections.count == 2)
            for request in proxy.requests {
                let user = request.target == "http://one.test/" ? "Basic b25lOjE=" : "Basic dHdvOjI="
                #expect(request.values(of: "Proxy-Authorization") == [user])
            }
        }
    }

    @Test func `A closure that chooses another proxy is followed with the next request`() async throws {
        try await withProxy { _, first in
            try await withProxy { _, second in
                let ports = [first.port, second.port]
                let asked = Counter()
                var configuration = HTTPClient.Configuration()
                configuration.proxies = .choosing { _ in
                    asked.increment()
                    return try? HTTPClient.Proxy("127.0.0.1:\(ports[asked.value % 2])")
                }
                try await withHTTPClient(configuration: configuration) { client in
                    for number in 0..<6 { _ = try await client.get("http://host\(number % 2).test/") }
                }
                #expect(asked.value == 6)
                #expect(first.requests.count == 3 && first.connections.count == 1)
                #expect(second.requests.count == 3 && second.connections.count == 1)
            }
        }
    }

    @Test func `The next request asks the closure again, which may name a proxy that is there`() async throws {
        try await withProxy { _, proxy in
            let dead = try LoopbackPort.unused()
            let (port, asked) = (proxy.port, Counter())
            var configuration = HTTPClient.Configuration()
            configuration.proxies = .choosing { _ in
                asked.increment()
                return try? HTTPClient.Proxy("127.0.0.1:\(asked.value == 1 ? dead : port)")
            }
            try await withHTTPClient(configuration: configuration) { client in
                let failed = await #expect(throws: H2Error.self) { try await client.get("http://a.test/") }
                #expect(failed?.code == .connectFailed)
                let text = try await client.get("http://a.test/").text
                #expect(text == "abc")
            }
        }
    }

    @Test func `Connections opened before they are needed are used`() async throws {
        try await withProxy { client, proxy in
            try await client.preconnect(to: try Origin("http://a.test"), count: 3)
            // A connection is given back a moment later.
            try await eventually("they are idle") { await client.statistics().proxies.first?.idle == 3 }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<3 { group.addTask { _ = try await client.get("http://b\(number).test/") } }
                try await group.waitForAll()
            }
            #expect(proxy.connections.count == 3)
        }
    }

    @Test func `A lent connection is the origin's own, and fills its name in`() async throws {
        try await withProxy { client, proxy in
            _ = try await client.get("http://a.test/")
            try await client.withConnection(to: try Origin("http://b.test")) { connection in
                #expect(connection.info.origin.host == "b.test")
                let response = try await connection.send(.get("/path"))
                _ = try await response.text()
            }
            #expect(proxy.requests.last?.target == "http://b.test/path")
            #expect(proxy.requests.last?.values(of: "Proxy-Authorization").count == 1)
        }
    }

    @Test func `Limits on the load of each origin hold, on connections of their own`() async throws {
        try await withProxy({ $0.loadLimits.concurrentRequestsPerOrigin = 1 }) { client, proxy in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 { group.addTask { _ = try await client.get("http://host\(number % 2).test/") } }
                try await group.waitForAll()
            }
            #expect(proxy.connections.count == 2)
            let statistics = await client.statistics()
            #expect(statistics.origins.count == 2 && statistics.proxies.isEmpty)
        }
    }

    @Test func `An address that the filter refuses is not forwarded on an open connection`() async throws {
        try await withProxy({ $0.connection.addressFilter = .publicInternet }) { client, proxy in
            _ = try await client.get("http://a.test/")
            for url in ["http://127.0.0.1/", "http://[::1]:81/", "http://169.254.169.254/latest"] {
                let error = try await h2Error { try await client.get(url) }
                #expect(error.code == .addressRefused, "\(url)")
            }
            #expect(proxy.requests.count == 1)
        }
    }

    @Test func `A connection that the proxy closed is replaced, and the request sent again`() async throws {
        let script: Script = { $0.target.hasSuffix("/last") ? [.respond(), .close] : [.respond()] }
        try await withProxy({ $0.retry = HTTPClient.RetryPolicy() }, script: script) { client, proxy in
            for number in 0..<5 {
                _ = try await client.get("http://host\(number).test/first")
                _ = try await client.get("http://host\(number).test/last")
            }
            #expect(proxy.requests.count >= 10)
        }
    }

    @Test func `Events name the request's origin, and the proxy as that of the connection`() async throws {
        try await withProxy { client, proxy in
            let events = client.events()
            _ = try await client.get("http://a.test/")
            _ = try await client.get("http://b.test/")
            await client.shutdown()
            var (sent, finished, opened) = ([String?](), [String?](), [String?]())
            for await event in events {
                switch event.kind {
                case .requestSent: sent.append(event.origin?.host)
                case .attemptFinished: finished.append(event.origin?.host)
                case .connectionOpened: opened.append(event.origin?.description)
                default: break
                }
            }
            #expect(sent == ["a.test", "b.test"] && finished == ["a.test", "b.test"])
            #expect(opened == ["http://127.0.0.1:\(proxy.port)"])
        }
    }

    @Test func `More origins than are remembered take no more connections`() async throws {
        try await withProxy { client, proxy in
            for number in 0..<2_100 { _ = try await client.get("http://host\(number).test/") }
            #expect(proxy.connections.count == 1)
            let statistics = await client.statistics()
            #expect(statistics.requests == 2_100 && statistics.connectionsOpened == 1)
        }
    }

    // MARK: - HTTP/2

    @Test func `Requests to many origins are multiplexed over one connection to an HTTP 2 proxy`() async throws {
        try await withHTTP2Proxy { client, server in
            try await withThrowingTaskGroup(of: CollectedResponse.self) { group in
                for number in 0..<100 {
                    group.addTask { try await client.get("http://host\(number % 10).test/headers") }
                }
                for try await answer in group {
                    #expect(answer.response.version == .http2)
                    #expect(answer.text.contains("proxy-authorization: Basic bWU6dG9wLXNlY3JldA=="), "\(answer.text)")
                    #expect(answer.response.connectionInfo.proxy == "https://localhost:\(server.port)")
                }
            }
            #expect(server.statistics.connectionsAccepted == 1)
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 1)
            #expect(statistics.proxies.map(\.version) == [.http2] && statistics.proxies.map(\.idle) == [1])
        }
    }

    @Test func `The request names its URL, and its own credentials for the proxy take precedence`() async throws {
        try await withHTTP2Proxy { client, _ in
            let own = try await client.get(
                "http://a.test:81/headers?x", headerFields: [.proxyAuthorization: "Bearer x"])
            #expect(own.text.contains(":scheme: http\n") && own.text.contains(":authority: a.test:81\n"), "\(own.text)")
            #expect(own.text.contains("proxy-authorization: Bearer x") && !own.text.contains("Basic"), "\(own.text)")
        }
        try await withHTTP2Proxy(user: "") { client, _ in
            let without = try await client.get("http://a.test/headers").text
            #expect(!without.contains("proxy-authorization"), "\(without)")
        }
    }

    @Test func `An HTTPS proxy that speaks HTTP 1 forwards over one connection, too`() async throws {
        try await withHTTP2Proxy(versions: .http1) { client, server in
            for number in 0..<5 {
                let answer = try await client.get("http://host\(number).test/bytes/10")
                #expect(answer.body.count == 10 && answer.response.version == .http1)
            }
            #expect(server.statistics.connectionsAccepted == 1)
        }
    }

    @Test(arguments: [true, false])
    func `Where HTTP 1 alone is spoken, or wanted of the proxy, it forwards over HTTP 1`(
        _ isSpokenAlone: Bool
    ) async throws {
        let change: @Sendable (inout HTTPClient.Configuration) -> Void = {
            if isSpokenAlone { $0.versions = .http1Only } else { $0.proxies.forwardsOverHTTP2 = false }
        }
        try await withHTTP2Proxy(change) { client, server in
            for number in 0..<3 {
                let answer = try await client.get("http://host\(number).test/bytes/10")
                #expect(answer.response.version == .http1)
            }
            #expect(server.statistics.connectionsAccepted == 1 && server.statistics.http2Connections == 0)
        }
    }

    @Test func `Bodies go through an HTTP 2 proxy both ways, and GOAWAY moves on to another connection`() async throws {
        try await withHTTP2Proxy({ $0.retry = HTTPClient.RetryPolicy() }) { client, server in
            let sent = [UInt8](repeating: 7, count: 300_000)
            let echoed = try await client.post("http://a.test/echo", body: .bytes(sent))
            #expect(echoed.body == sent)
            _ = try await client.get("http://b.test/goaway")
            let answer = try await client.get("http://c.test/bytes/100")
            #expect(answer.body.count == 100)
            #expect(server.statistics.connectionsAccepted == 2)
        }
    }

    @Test func `A 421 of the proxy is the response`() async throws {
        try await withHTTP2Proxy { client, server in
            _ = try await client.get("http://a.test/bytes/1")
            let misdirected = try await client.get("http://b.test/status/421").status.code
            #expect(misdirected == 421)
            #expect(server.statistics.connectionsAccepted == 1)
        }
    }
}
