import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(2))) struct ReflectionTests {
    /// Classes of the library whose stored properties reflection reaches from `value`.
    private static func reachable(from value: Any, depth: Int = 0) -> Set<String> {
        guard depth < 30 else { return ["more than 30 levels deep"] }
        let mirror = Mirror(reflecting: value)
        var names: Set<String> = []
        let type = String(reflecting: Swift.type(of: value))
        // Storage and Extras are values that are allocated once: nothing of them changes while they are shared.
        let isConstant =
            type.hasPrefix("H2Client.RequestOptions.") && type.hasSuffix(".Storage")
            || type == "H2Client.HTTPRequestBody.Extras"
        if mirror.displayStyle == .class, type.hasPrefix("H2Client"), !isConstant,
            !mirror.children.isEmpty || mirror.superclassMirror != nil
        {
            return [type]
        }
        for child in mirror.children { names.formUnion(reachable(from: child.value, depth: depth + 1)) }
        return names
    }

    /// Values as a user has them: of a client and connections in use, with responses that are not read.
    private static func withValues(_ body: (inout [(name: String, value: Any)]) async throws -> Void) async throws {
        try await withOriginAndClient(.both) { configuration in
            configuration.cookies = CookieJar()
            configuration.strictTransport = StrictTransportStore()
            configuration.authentication = .any(user: "user", password: "password")
            configuration.interceptors = [
                HTTPClient.Interceptor { request, body, next in try await next(request, body) }
            ]
        } _: { client, server in
            let url = server.url
            let response = try await client.send(HTTPRequest(url: "\(url)/bytes/1000000"))
            let iterator = response.body.makeAsyncIterator()
            let collected = try await client.get("\(url)/bytes/3")
            var options = RequestOptions(hedging: HTTPClient.HedgingPolicy(delay: .seconds(1)))
            options.authentication = .bearer { HTTPAuthentication.Token("token") }
            let origin = try Origin(scheme: .http, host: "127.0.0.1", port: server.port)
            let one = try await HTTP1Connection.connect(to: origin)
            let two = try await HTTP2Connection.connect(to: origin)
            let own = try await two.send(HTTPRequest(method: .get, scheme: "http", authority: "a", path: "/bytes/3"))
            let streamed = HTTPRequestBody.writer { writer in try await writer.write([1]) }
            var values: [(name: String, value: Any)] = [
                ("client", client), ("configuration", client.configuration), ("default", HTTPClient.Configuration()),
                ("response", response), ("iterator", iterator), ("collected", collected),
                ("options", options), ("HTTP/1.1 connection", one), ("HTTP/2 connection", two), ("own response", own),
                ("streamed body", streamed), ("bytes", HTTPRequestBody.bytes([1, 2])), ("server", server),
                ("statistics", client.statistics), ("loop", H2EventLoop.shared),
            ]
            try await body(&values)
            withExtendedLifetime(values) {}
        }
    }

    @Test func `Reflection reads nothing of what other threads change`() async throws {
        try await Self.withValues { values in
            for (name, value) in values {
                let found = Self.reachable(from: value)
                #expect(found.isEmpty, "\(name) leads to \(found.sorted().joined(separator: ", "))")
            }
        }
    }

    @Test func `A client in use can be dumped`() async throws {
        try await Self.withValues { values in
            let task = Task.detached {
                try await withOriginAndClient(.http2) { client, server in
                    while !Task.isCancelled { _ = try? await client.get("\(server.url)/bytes/10") }
                }
            }
            for _ in 0..<200 {
                for (_, value) in values {
                    var text = ""
                    dump(value, to: &text)
                    #expect(!text.isEmpty)
                }
            }
            task.cancel()
            _ = try? await task.value
        }
    }
}
