import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ProxyTests {
    private static let routes: [String: OriginServer.Handler] = ["/": { _ in .init(text: "hello") }]

    /// Whether the environment names proxies, which the example would then use.
    private static let hasProxies = ["http", "https", "all"].contains { scheme in
        getenv("\(scheme)_proxy") != nil || getenv("\(scheme.uppercased())_PROXY") != nil
    }

    @Test(.disabled(if: hasProxies, "the environment names proxies"))
    func `The environment says which proxy to use`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: proxies-environment
            configuration.proxies = .environment  // http_proxy, https_proxy, all_proxy and no_proxy
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/")
            print(page.response.connectionInfo.proxy ?? "direct")
            // end
            #expect(guide.printed == ["direct"])
        }
    }

    @Test func `All requests but some go through a proxy`() async throws {
        try await RealProxy.tinyproxy.run { proxy in
            try await Guide.run(Self.routes) { guide in
                var configuration = guide.configuration
                let proxyURL = "http://user:secret@127.0.0.1:\(proxy.port)"
                // example: proxies
                let proxy = try HTTPClient.Proxy(proxyURL)  // such as http://user:secret@proxy.example.com:3128
                configuration.proxies = .all(proxy, except: "www.example.com, .internal, 10.0.0.0/8")
                configuration.proxies.passwordScheme = .any  // Digest where the proxy offers it
                let client = HTTPClient(configuration: configuration)
                let page = try await client.get("https://example.com/")
                let direct = try await client.get("https://www.example.com/")
                print(page.response.connectionInfo.proxy ?? "direct", direct.response.connectionInfo.proxy ?? "direct")
                // end
                #expect(guide.printed.count == 1 && guide.printed[0].hasSuffix(" direct"))
                #expect(page.response.connectionInfo.proxy != nil)
            }
        }
    }

    @Test func `A closure chooses a SOCKS proxy`() async throws {
        try await RealProxy.microsocks.run { proxy in
            try await Guide.run(Self.routes) { guide in
                var configuration = guide.configuration
                let (port, password) = (proxy.port, RealProxy.password)
                // example: proxies-choosing
                let socks = try HTTPClient.Proxy(
                    .socks5h, host: "127.0.0.1", port: port, user: "me", password: password)
                configuration.proxies = .choosing { origin in
                    origin.host.hasSuffix(".example.com") ? socks : nil
                }
                let client = HTTPClient(configuration: configuration)
                let page = try await client.get("https://api.example.com/")
                // end
                #expect(page.status == .ok)
                #expect(page.response.connectionInfo.proxy != nil)
            }
        }
    }
}
