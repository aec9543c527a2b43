import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Client

/// Cookies and HSTS in a request's flow, with a handler in place of servers.
@Suite(.inTurn, .timeLimit(.minutes(2))) struct RequestMemoryTests {
    /// The URLs and cookies that the handler got, such as `https://a.test/x [a=b]`.
    private final class Log: Sendable {
        private let storage = Mutex<[String]>([])

        func add(_ request: HTTPRequest) {
            let cookies = request.headerFields[fields: .cookie].map(\.value).joined(separator: "|")
            let url = "\(request.scheme ?? "")://\(request.authority ?? "")\(request.path ?? "")"
            storage.withLock { $0.append(cookies.isEmpty ? url : "\(url) [\(cookies)]") }
        }

        var lines: [String] { storage.withLock { $0 } }
    }

    private func client(
        _ log: Log, _ routes: [String: HTTPFields], _ change: (inout HTTPClient.Configuration) -> Void
    ) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        change(&configuration)
        return HTTPClient(configuration: configuration) { request, _ in
            log.add(request)
            let fields = routes[request.path ?? ""] ?? [:]
            return StreamedResponse(status: fields[.location] == nil ? .ok : .found, headerFields: fields)
        }
    }

    private func setting(_ cookies: String..., to location: String? = nil) -> HTTPFields {
        var fields = HTTPFields()
        for cookie in cookies { fields.append(HTTPField(name: .setCookie, value: cookie)) }
        if let location { fields[.location] = location }
        return fields
    }

    private func securing(_ value: String, to location: String? = nil) -> HTTPFields {
        var fields: HTTPFields = [.strictTransportSecurity: value]
        if let location { fields[.location] = location }
        return fields
    }

    // MARK: - Cookies

    @Test func `Without a jar there are no cookies`() async throws {
        let log = Log()
        let client = client(log, ["/set": setting("a=b")]) { _ in }
        _ = try await client.get("https://a.test/set")
        _ = try await client.get("https://a.test/")
        #expect(log.lines == ["https://a.test/set", "https://a.test/"])
    }

    @Test func `Cookies come back, and those of one response together`() async throws {
        let (log, jar) = (Log(), CookieJar())
        let client = client(log, ["/set": setting("a=b", "c=d; Path=/x", "__Host-bad=e")]) { $0.cookies = jar }
        _ = try await client.get("https://a.test/set")
        _ = try await client.get("https://a.test/x")
        _ = try await client.get("https://b.test/x")
        #expect(log.lines == ["https://a.test/set", "https://a.test/x [c=d; a=b]", "https://b.test/x"])
        #expect(jar.cookies.count == 2)
    }

    @Test func `A redirect that sets a cookie gets it at once, and its next host does not`() async throws {
        let log = Log()
        let routes = ["/login": setting("sid=1", to: "/home"), "/home": setting("sid=2", to: "https://b.test/end")]
        let client = client(log, routes) { $0.cookies = CookieJar() }
        _ = try await client.get("https://a.test/login")
        _ = try await client.get("https://a.test/")
        #expect(
            log.lines == [
                "https://a.test/login", "https://a.test/home [sid=1]", "https://b.test/end", "https://a.test/ [sid=2]",
            ])
    }

    @Test func `A redirect to the same URL with a new cookie is no circle`() async throws {
        let log = Log()
        let jar = CookieJar()
        var configuration = HTTPClient.Configuration()
        configuration.cookies = jar
        let client = HTTPClient(configuration: configuration) { request, _ in
            log.add(request)
            if request.headerFields[.cookie] != nil { return StreamedResponse(status: .ok) }
            return StreamedResponse(status: .found, headerFields: [.location: "/", .setCookie: "seen=1"])
        }
        #expect(try await client.get("https://a.test/").status == .ok)
        #expect(log.lines == ["https://a.test/", "https://a.test/ [seen=1]"])
    }

    @Test func `The caller's own cookies come first, stay for the origin, and give way to what a redirect sets`()
        async throws
    {
        let log = Log()
        let routes = [
            "/1": setting("mine=new", to: "/2"), "/2": setting("mine=; Max-Age=0", to: "/3"),
            "/3": setting(to: "https://b.test/"),
        ]
        let client = client(log, routes) { $0.cookies = CookieJar() }
        _ = try await client.get("https://a.test/1", headerFields: [.cookie: "mine=old; other=1"])
        #expect(
            log.lines == [
                "https://a.test/1 [mine=old; other=1]", "https://a.test/2 [other=1; mine=new]",
                "https://a.test/3 [other=1]",
                "https://b.test/",
            ])
    }

    @Test func `Two clients share a jar`() async throws {
        let (log, jar) = (Log(), CookieJar())
        let one = client(log, ["/set": setting("a=b")]) { $0.cookies = jar }
        let two = client(log, [:]) { $0.cookies = jar }
        _ = try await one.get("https://a.test/set")
        _ = try await two.get("https://a.test/")
        #expect(log.lines.last == "https://a.test/ [a=b]")
    }

    @Test func `An origin of the options changes where a request goes, not whose cookies it has`() async throws {
        let (log, jar) = (Log(), CookieJar())
        let client = client(log, ["/set": setting("a=b; Secure")]) { $0.cookies = jar }
        let options = RequestOptions(origin: try Origin("https://backend.test:8443"))
        _ = try await client.get("https://a.test/set", options: options)
        #expect(jar.cookies.map(\.domain) == ["a.test"])
        // Not over cleartext, whatever the URL says.
        _ = try await client.get("https://a.test/", options: RequestOptions(origin: try Origin("http://backend.test")))
        #expect(log.lines.last == "https://a.test/")
    }

    // MARK: - HSTS

    @Test func `Once a host has asked for it, its http URLs are not used`() async throws {
        let log = Log()
        let store = StrictTransportStore()
        let routes = [
            "/sts": securing("max-age=100; includeSubDomains"), "/to-http": setting(to: "http://www.a.test/x"),
        ]
        let client = client(log, routes) {
            $0.strictTransport = store
            $0.cookies = CookieJar()
        }
        _ = try await client.get("http://a.test/sts")
        _ = try await client.get("http://a.test/1")
        _ = try await client.get("https://a.test/sts")
        let whole = try await client.get("http://a.test:8080/2")
        _ = try await client.get("http://b.test/")
        // Without HSTS this would be refused, since it is not encrypted.
        let redirected = try await client.get("https://a.test/to-http")
        #expect(
            log.lines == [
                "http://a.test/sts", "http://a.test/1", "https://a.test/sts", "https://a.test:8080/2", "http://b.test/",
                "https://a.test/to-http", "https://www.a.test/x",
            ])
        #expect(whole.status == .ok)
        #expect(redirected.response.redirects.last?.target == "https://www.a.test/x")
        #expect(store.hosts.map(\.name) == ["a.test"])
    }

    @Test func `A relative redirect of an upgraded request stays on https`() async throws {
        let log = Log()
        let store = StrictTransportStore()
        store.insert(try #require(StrictTransportStore.Host("a.test")))
        let client = client(log, ["/": setting("s=1; Secure", to: "/next")]) {
            $0.strictTransport = store
            $0.cookies = CookieJar()
        }
        _ = try await client.get("http://a.test/")
        #expect(log.lines == ["https://a.test/", "https://a.test/next [s=1]"])
    }

    @Test func `Nothing is learnt without verification, or for an origin of the caller's own`() async throws {
        let log = Log()
        let store = StrictTransportStore()
        let routes = ["/sts": securing("max-age=100")]
        let unverified = client(log, routes) {
            $0.strictTransport = store
            $0.connection.tls.verifiesPeer = false
        }
        _ = try await unverified.get("https://a.test/sts")
        let verified = client(log, routes) { $0.strictTransport = store }
        _ = try await verified.get("https://a.test/sts", options: RequestOptions(origin: try Origin("https://b.test")))
        #expect(store.hosts.isEmpty)
    }
}
