import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct CookieTests {
    /// `/set` sets the cookies in its query, separated by `&`. `/login` does the same and redirects to `/show`, which
    /// answers with the request's cookies.
    private static var origin: OriginServer.Configuration {
        var configuration = OriginServer.Configuration()
        @Sendable func fields(_ request: OriginServer.Request) -> HTTPFields {
            var fields = HTTPFields()
            for cookie in (request.query ?? "").split(separator: "&") {
                fields.append(HTTPField(name: .setCookie, value: String(cookie.replacing("+", with: " "))))
            }
            return fields
        }
        configuration.routes["/set"] = { OriginServer.Response(headerFields: fields($0)) }
        configuration.routes["/login"] = { request in
            var fields = fields(request)
            fields[.location] = "/show"
            return OriginServer.Response(status: .found, headerFields: fields)
        }
        configuration.routes["/show"] = { OriginServer.Response(text: $0.headerFields[.cookie] ?? "none") }
        configuration.routes["/sts"] = { _ in
            OriginServer.Response(headerFields: [.strictTransportSecurity: "max-age=1000"])
        }
        return configuration
    }

    @Test(arguments: [HTTPClient.Versions.http1Only, .http2Only])
    func `A redirect that sets cookies gets them, and so do later requests`(versions: HTTPClient.Versions) async throws
    {
        let jar = CookieJar()
        try await withOriginAndClient(Self.origin) {
            $0.cookies = jar
            $0.versions = versions
        } _: { client, server in
            #expect(try await client.get("\(server.url)/show").text == "none")
            let page = try await client.get("\(server.url)/login?sid=1;+Secure;+HttpOnly&theme=dark;+Path=/show")
            #expect(page.text == "theme=dark; sid=1")
            #expect(page.response.redirects.count == 1)
            _ = try await client.get("\(server.url)/set?sid=;+Max-Age=0")
            #expect(
                try await client.get("\(server.url)/show", headerFields: [.cookie: "own=1"]).text == "own=1; theme=dark"
            )
        }
        #expect(jar.cookies.map(\.name) == ["theme"])
    }

    @Test func `Cookies of a response that is followed by a retry are kept`() async throws {
        let jar = CookieJar()
        var origin = Self.origin
        origin.routes["/busy"] = { request in
            guard request.headerFields[.cookie] == nil else { return OriginServer.Response(text: "here") }
            return OriginServer.Response(status: .serviceUnavailable, headerFields: [.setCookie: "seat=7"])
        }
        try await withOriginAndClient(origin) {
            $0.cookies = jar
            $0.retry = .withStatuses
            $0.retry.maximumAttempts = 2
            $0.retry.backoff = .milliseconds(1)
        } _: { client, server in
            let response = try await client.get("\(server.url)/busy").response
            #expect(response.failedAttempts.count == 1)
            #expect(jar.cookies.map(\.name) == ["seat"])
            #expect(try await client.get("\(server.url)/busy").text == "here")
        }
    }

    @Test func `A host that asks for TLS is asked by TLS`() async throws {
        let store = StrictTransportStore()
        try await withOriginAndClient(Self.origin) {
            $0.strictTransport = store
        } _: { client, server in
            let target = try RequestTarget(server.url)
            let port = target.origin.port
            // The certificate is for localhost too; an address is never learned.
            _ = try await client.get("https://127.0.0.1:\(port)/sts")
            #expect(store.hosts.isEmpty)
            _ = try await client.get("https://localhost:\(port)/sts")
            #expect(store.hosts.map(\.name) == ["localhost"])
            let page = try await client.get("http://localhost:\(port)/show")
            #expect(page.status == .ok && page.response.connectionInfo.origin.scheme == .https)
        }
    }

    // MARK: - curl

    private func curl(_ arguments: [String]) async throws -> String {
        let outcome = try await Program.finish("curl", ["-sS"] + arguments)
        #expect(outcome.exitCode == 0, "\(outcome.output)")
        return outcome.output
    }

    @Test
    func `Cookies go to curl and come back by its file`() async throws {
        if Program.path(of: "curl") == nil {
            try RealServer.skip("curl is not installed (Scripts/setup test installs it)")
        }
        let file = try TemporaryDirectory.shared.newFolder("cookie-files") + "/cookies.txt"
        let jar = CookieJar()
        try await withOriginAndClient(Self.origin) {
            $0.cookies = jar
        } _: { client, server in
            let caFile = try #require(client.configuration.connection.tls.caFile)
            _ = try await client.get(
                "\(server.url)/set?session=1&kept=2;+Max-Age=1000;+Secure;+HttpOnly&deep=3;+Path=/show&empty=")
            #expect(try await jar.save(to: file) == 4)
            let sent = try await curl([
                "--cacert", caFile, "-b", file, "-c", file,
                "\(server.url)/login?fromcurl=4;+Max-Age=500&deep=5;+Path=/show", "-L",
            ])
            #expect(Set(sent.split(separator: "; ")) == ["deep=5", "session=1", "kept=2", "empty=", "fromcurl=4"])
            let copy = CookieJar()
            let report = try await copy.load(from: file)
            #expect(report == CookieJar.LoadReport(cookies: 5))
            let kept = try #require(copy.cookies.first { $0.name == "kept" })
            #expect(kept.isSecure && kept.isHTTPOnly && kept.isHostOnly && kept.value == "2" && kept.path == "/")
            #expect(kept.expires == jar.cookies.first { $0.name == "kept" }?.expires)
            #expect(copy.cookies.first { $0.name == "deep" }?.value == "5")
            // And a client sends the cookies that curl wrote.
            var configuration = client.configuration
            configuration.cookies = copy
            let text = try await withHTTPClient(configuration: configuration) {
                try await $0.get("\(server.url)/show").text
            }
            #expect(Set(text.split(separator: "; ")) == ["deep=5", "session=1", "kept=2", "empty=", "fromcurl=4"])
        }
    }

    @Test
    func `Hosts go to curl and come back by its file`() async throws {
        if Program.path(of: "curl") == nil {
            try RealServer.skip("curl is not installed (Scripts/setup test installs it)")
        }
        let file = try TemporaryDirectory.shared.newFolder("hsts-files") + "/hsts.txt"
        let store = StrictTransportStore()
        try await withOriginAndClient(Self.origin) {
            $0.strictTransport = store
        } _: { client, server in
            let caFile = try #require(client.configuration.connection.tls.caFile)
            let port = try RequestTarget(server.url).origin.port
            let resolve = [
                "--resolve", "known.test:\(port):127.0.0.1", "--resolve", "sub.wide.test:\(port):127.0.0.1", "-k",
            ]
            store.insert(try #require(StrictTransportStore.Host("known.test", expires: 4_000_000_000)))
            store.insert(try #require(StrictTransportStore.Host("wide.test", includesSubdomains: true)))
            try await store.save(to: file)
            for host in ["known.test", "sub.wide.test"] {
                let url = "http://\(host):\(port)/show"
                #expect(
                    try await curl(resolve + ["--hsts", file, "-w", "%{scheme}", "-o", "/dev/null", url]) == "HTTPS")
            }
            // curl adds its own.
            _ = try await curl(["--cacert", caFile, "--hsts", file, "https://localhost:\(port)/sts"])
            let copy = StrictTransportStore()
            #expect(try await copy.load(from: file) == StrictTransportStore.LoadReport(hosts: 3))
            #expect(Set(copy.hosts).isSuperset(of: store.hosts))
            #expect(copy.contains("localhost"))
        }
    }
}
