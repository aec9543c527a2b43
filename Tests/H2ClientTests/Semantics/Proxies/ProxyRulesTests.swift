@testable import H2Client
import H2TestSupport
import Testing

@Suite(.inTurn)
struct ProxyRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var environment: [String: String]
        var http: String?
        var https: String?

        var testDescription: String { "\(environment.sorted { $0.key < $1.key })" }
    }

    @Test(arguments: [
        Case(environment: [:]),
        Case(environment: ["http_proxy": "a:1"], http: "http://a:1"),
        Case(environment: ["https_proxy": "a:1"], https: "http://a:1"),
        Case(environment: ["HTTPS_PROXY": "https://a:1"], https: "https://a:1"),
        Case(environment: ["HTTP_PROXY": "a:1"], http: "http://a:1"),
        Case(environment: ["HTTP_PROXY": "a:1", "REQUEST_METHOD": "GET"]),
        Case(environment: ["HTTP_PROXY": "a:1", "http_proxy": "b:2", "REQUEST_METHOD": "GET"], http: "http://b:2"),
        Case(environment: ["HTTPS_PROXY": "a:1", "REQUEST_METHOD": "GET"], https: "http://a:1"),
        Case(environment: ["all_proxy": "socks5h://a"], http: "socks5h://a:1080", https: "socks5h://a:1080"),
        Case(environment: ["ALL_PROXY": "a:1", "https_proxy": "b:2"], http: "http://a:1", https: "http://b:2"),
        Case(environment: ["all_proxy": "a:1", "https_proxy": ""], http: "http://a:1"),
        Case(environment: ["all_proxy": "a:1", "ALL_PROXY": "b:2"], http: "http://a:1", https: "http://a:1"),
        Case(environment: ["all_proxy": "a:1", "no_proxy": "*"]),
        Case(environment: ["all_proxy": "a:1", "NO_PROXY": "origin.example"]),
        Case(
            environment: ["all_proxy": "a:1", "no_proxy": "", "NO_PROXY": "origin.example"], http: "http://a:1",
            https: "http://a:1"),
    ])
    func `The environment names proxies`(_ test: Case) throws {
        let rules = ProxyRules(.environment) { test.environment[$0] }
        #expect(try rules?.proxy(for: Origin("http://origin.example"))?.description == test.http)
        #expect(try rules?.proxy(for: Origin("https://origin.example"))?.description == test.https)
    }

    @Test func `A bad variable fails only the requests that it is meant for`() throws {
        let variables = ["http_proxy": "gopher://u:top-secret@a", "https_proxy": "b:2", "no_proxy": "direct.example"]
        let rules = try #require(ProxyRules(.environment) { variables[$0] })
        #expect(try rules.proxy(for: Origin("https://origin.example"))?.description == "http://b:2")
        #expect(try rules.proxy(for: Origin("http://direct.example")) == nil)
        let origin = try Origin("http://origin.example")
        let error = #expect(throws: H2Error.self) { try rules.proxy(for: origin) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("http_proxy") == true)
        #expect(error?.message.contains("secret") == false)
    }

    @Test func `Nothing is asked if there are no proxies`() throws {
        #expect(ProxyRules(.none) == nil)
        #expect(ProxyRules(.fixed(http: nil, https: nil)) == nil)
        #expect(ProxyRules(.environment) { _ in nil } == nil)
        #expect(ProxyRules(.environment) { $0 == "no_proxy" ? "*" : nil } == nil)
    }

    @Test func `Fixed proxies are chosen by scheme and exceptions`() throws {
        let (a, b) = (try HTTPClient.Proxy("a:1"), try HTTPClient.Proxy("socks5://b"))
        let rules = try #require(ProxyRules(.fixed(http: a, https: b, except: "direct.example:80")))
        #expect(try rules.proxy(for: Origin("http://x.example")) == a)
        #expect(try rules.proxy(for: Origin("https://direct.example")) == b)
        #expect(try rules.proxy(for: Origin("http://direct.example")) == nil)
    }

    @Test func `A closure is asked for each origin`() throws {
        let a = try HTTPClient.Proxy("a:1")
        let rules = try #require(ProxyRules(.choosing { $0.host.hasSuffix(".onion") ? a : nil }))
        #expect(try rules.proxy(for: Origin("http://x.onion")) == a)
        #expect(try rules.proxy(for: Origin("http://x.example")) == nil)
    }
}
