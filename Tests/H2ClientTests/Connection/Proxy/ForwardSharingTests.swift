import Testing

@testable import H2Client

struct ForwardSharingTests {
    private typealias Change = @Sendable (inout HTTPClient.Configuration) throws -> Void

    private struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var url = "http://a.test"
        let change: Change
        var testDescription: String { name }
    }

    private static func cases(_ all: [(String, String, Change)]) -> [Case] {
        all.map { Case(name: $0.0, url: $0.1, change: $0.2) }
    }

    private static let shared = cases([
        ("by default", "http://a.test", { _ in }),
        ("over HTTP/1.1 alone", "http://a.test", { $0.versions = .http1Only }),
        ("another port", "http://a.test:8080", { _ in }),
        ("an address", "http://10.0.0.1", { _ in }),
        ("a name that the proxy looks up", "http://a.test", { $0.connection.addressFilter = .publicInternet }),
        ("a limit on all requests", "http://a.test", { $0.loadLimits.concurrentRequests = 3 }),
        (
            "TLS options of another origin", "http://a.test",
            { $0.originTLS[try Origin("https://a.test")] = ConnectionConfiguration.TLS() }
        ),
    ])

    private static let separate = cases([
        ("https, which needs a tunnel", "https://a.test", { _ in }),
        ("HTTP/2 alone", "http://a.test", { $0.versions = .http2Only }),
        ("HTTP/2 by prior knowledge", "http://a.test", { $0.versions = .http2PriorKnowledge }),
        ("a limit on concurrent requests", "http://a.test", { $0.loadLimits.concurrentRequestsPerOrigin = 4 }),
        ("a rate", "http://a.test", { $0.loadLimits.requestsPerSecondPerOrigin = 10 }),
        ("an adaptive limit", "http://a.test", { $0.loadLimits.adaptive = .init() }),
        ("connectTo", "http://a.test", { $0.connectTo = { _ in nil } }),
        (
            "connectTo of connections", "http://a.test",
            { $0.connection.connectTo = ConnectionConfiguration.Endpoint(host: "b.test", port: 80) }
        ),
        ("a Unix domain socket", "http://a.test", { $0.connection.unixSocketPath = "socket" }),
        ("an address to judge", "http://10.0.0.1", { $0.connection.addressFilter = .publicInternet }),
        ("an IPv6 address to judge", "http://[::1]", { $0.connection.addressFilter = AddressFilter { _ in true } }),
    ])

    private func proxies(_ test: Case, _ proxy: String = "http://proxy.test") throws -> (Proxies, Origin) {
        var configuration = HTTPClient.Configuration()
        configuration.proxies = .all(try HTTPClient.Proxy(proxy), except: "direct.test")
        try test.change(&configuration)
        return (try #require(Proxies(configuration)), try Origin(test.url))
    }

    @Test(arguments: shared)
    private func `Requests share the connections to their proxy`(_ test: Case) throws {
        for proxy in ["http://proxy.test:3128", "https://proxy.test", "http://me:secret@proxy.test"] {
            let (proxies, origin) = try proxies(test, proxy)
            let forwarder = proxies.fixedForwarder(for: origin)
            #expect(forwarder == (try HTTPClient.Proxy(proxy)))
        }
    }

    @Test(arguments: separate)
    private func `Requests have connections of their origin`(_ test: Case) throws {
        let (proxies, origin) = try proxies(test)
        #expect(proxies.fixedForwarder(for: origin) == nil)
    }

    @Test(arguments: ["socks5://proxy.test", "socks5h://proxy.test", "socks4a://proxy.test"])
    func `A SOCKS server forwards no requests`(_ proxy: String) throws {
        let (proxies, origin) = try proxies(Case(name: "") { _ in }, proxy)
        #expect(proxies.fixedForwarder(for: origin) == nil)
    }

    @Test func `A proxy that wants Digest credentials forwards no requests`() throws {
        let test = Case(name: "") { $0.proxies.passwordScheme = .digest }
        let (proxies, origin) = try proxies(test, "http://me:secret@proxy.test")
        #expect(proxies.fixedForwarder(for: origin) == nil)
    }

    @Test func `Exceptions have connections of their own`() throws {
        let (proxies, origin) = try proxies(Case(name: "", url: "http://direct.test") { _ in })
        #expect(proxies.fixedForwarder(for: origin) == nil)
    }

    @Test func `Only a closure is asked each time, and only if its answer matters`() throws {
        let proxy = try HTTPClient.Proxy("http://proxy.test")
        var configuration = HTTPClient.Configuration()
        configuration.proxies = .choosing { $0.host == "a.test" ? proxy : nil }
        let proxies = try #require(Proxies(configuration))
        #expect(proxies.asks)
        #expect(proxies.fixedForwarder(for: try Origin("http://a.test")) == nil)
        #expect(proxies.chosenForwarder(for: try Origin("http://a.test")) == proxy)
        #expect(proxies.chosenForwarder(for: try Origin("http://b.test")) == nil)
        #expect(proxies.chosenForwarder(for: try Origin("https://a.test")) == nil)
        configuration.loadLimits.requestsPerSecondPerOrigin = 5
        #expect(try #require(Proxies(configuration)).asks == false)
    }

    @Test func `A client takes the proxies of its connections if it has none`() throws {
        let (own, others) = (try HTTPClient.Proxy("http://own.test"), try HTTPClient.Proxy("http://others.test"))
        var configuration = HTTPClient.Configuration()
        #expect(Proxies(configuration) == nil)
        configuration.connection.proxies = .all(others)
        #expect(Proxies(configuration)?.fixedForwarder(for: try Origin("http://a.test")) == others)
        configuration.proxies = .all(own)
        #expect(Proxies(configuration)?.fixedForwarder(for: try Origin("http://a.test")) == own)
    }
}
