import H2Client
import H2TestSupport
import Testing

@Suite(.inTurn)
struct ProxyTests {
    struct Good: Sendable, CustomTestStringConvertible {
        var url: String
        var name: String
        var user: String?
        var password: String?

        init(_ url: String, _ name: String, user: String? = nil, password: String? = nil) {
            (self.url, self.name, self.user, self.password) = (url, name, user, password)
        }

        var testDescription: String { url }
    }

    @Test(arguments: [
        Good("http://proxy.example", "http://proxy.example:80"),
        Good("http://proxy.example/", "http://proxy.example:80"),
        Good("https://proxy.example", "https://proxy.example:443"),
        Good("socks4a://proxy.example", "socks4a://proxy.example:1080"),
        Good("socks5://proxy.example", "socks5://proxy.example:1080"),
        Good("SOCKS5H://Proxy.Example", "socks5h://proxy.example:1080"),
        Good("proxy.example:3128", "http://proxy.example:3128"),
        Good("10.0.0.1", "http://10.0.0.1:80"),
        Good("http://[::1]:3128/", "http://[::1]:3128"),
        Good("[fd00::1]", "http://[fd00::1]:80"),
        Good("http://proxy.example:", "http://proxy.example:80"),
        Good(
            "http://Aladdin:open%20sesame@proxy.example:1", "http://proxy.example:1", user: "Aladdin",
            password: "open sesame"),
        Good("http://a@b:c@proxy.example", "http://proxy.example:80", user: "a@b", password: "c"),
        Good("http://user@proxy.example", "http://proxy.example:80", user: "user"),
        Good("http://user:@proxy.example", "http://proxy.example:80", user: "user", password: ""),
        Good("http://us%2Fer:p%3Aw%40d@proxy.example", "http://proxy.example:80", user: "us/er", password: "p:w@d"),
        Good("http://user:a:b@proxy.example", "http://proxy.example:80", user: "user", password: "a:b"),
        Good("http://@proxy.example", "http://proxy.example:80"),
        Good("socks5://user:pass@[::1]:9050", "socks5://[::1]:9050", user: "user", password: "pass"),
    ])
    func `A proxy's URL is read`(_ good: Good) throws {
        let proxy = try HTTPClient.Proxy(good.url)
        #expect(proxy.description == good.name)
        #expect(proxy.user == good.user)
        #expect(proxy.password == good.password)
    }

    @Test(arguments: [
        "", "http://", "ftp://proxy.example", "socks://proxy.example", "socks6://proxy.example", "://proxy.example",
        "http://proxy.example:0", "http://proxy.example:65536", "http://proxy.example:-1", "http://proxy.example:3128x",
        "http://proxy.example:99999999999999999999", "http://::1", "http://[::1", "http://[::1]x",
        "http://[proxy.example]",
        "http://proxy example", "http://proxy.example/path", "http://proxy.example?query", "http://%zz.example",
        "http://user%zz:top-secret@proxy.example", "http://us%3Aer:top-secret@proxy.example",
        "http://user:top-secret%0d%0aX:%20y@proxy.example", "http://user:top-secret/more@proxy.example",
        "http://:top-secret%00@proxy.example", "socks4a://user:top-secret@proxy.example",
        "socks5://:top-secret@proxy.example", "socks5://user%00:top-secret@proxy.example",
        "http://user:%ff@proxy.example",
    ])
    func `A bad proxy URL is refused without telling the password`(_ url: String) throws {
        let error = #expect(throws: H2Error.self) { try HTTPClient.Proxy(url) }
        #expect(error?.code == .invalidURL)
        #expect(error?.message.contains("secret") == false)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func `Credentials that SOCKS 5 cannot carry are refused`() throws {
        let long = String(repeating: "x", count: 256)
        #expect(throws: H2Error.self) { try HTTPClient.Proxy(.socks5, host: "a", user: long, password: "") }
        #expect(throws: H2Error.self) { try HTTPClient.Proxy(.socks5h, host: "a", user: "u", password: long) }
        #expect(throws: H2Error.self) { try HTTPClient.Proxy(.http, host: "a", password: "p") }
        _ = try HTTPClient.Proxy(.socks5, host: "a", user: String(long.dropLast()), password: String(long.dropLast()))
        _ = try HTTPClient.Proxy(.http, host: "a", user: "u", password: long)
    }

    @Test func `No description of a proxy has its password`() throws {
        let proxy = try HTTPClient.Proxy("http://user:top-secret@proxy.example:3128")
        var dumped = ""
        dump(proxy, to: &dumped)
        for text in ["\(proxy)", String(reflecting: proxy), "\(Optional(proxy) as Any)", "\([proxy])", dumped] {
            #expect(!text.contains("secret") && text.contains("proxy.example:3128"), "\(text)")
        }
    }
}
