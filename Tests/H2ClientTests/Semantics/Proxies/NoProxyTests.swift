import H2Client
import H2TestSupport
import Testing

@Suite(.inTurn)
struct NoProxyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var list: String
        var direct: [String]
        var proxied: [String]

        var testDescription: String { "'\(list)'" }
    }

    @Test(arguments: [
        Case(list: "", direct: [], proxied: ["http://example.com", "http://127.0.0.1"]),
        Case(list: "*", direct: ["http://example.com", "https://[::1]:8443"], proxied: []),
        Case(
            list: "example.com",
            direct: [
                "http://example.com", "https://EXAMPLE.com", "http://a.b.example.com:8080", "http://example.com.",
            ],
            proxied: ["http://badexample.com", "http://example.com.evil", "http://com"]),
        Case(
            list: ".example.com", direct: ["http://example.com", "http://www.example.com"],
            proxied: ["http://badexample.com"]),
        Case(list: "*.Example.com.", direct: ["http://www.example.com"], proxied: ["http://badexample.com"]),
        Case(
            list: " a.example ,\tb.example;c.example,,\n d.example ", direct: ["http://a.example", "http://d.example"],
            proxied: ["http://b.example", "http://e.example"]),
        Case(list: "a.example b.example", direct: ["http://a.example", "http://b.example"], proxied: []),
        Case(
            list: "example.com:8080", direct: ["http://example.com:8080", "https://www.example.com:8080"],
            proxied: ["http://example.com", "https://example.com"]),
        Case(list: "example.com:443", direct: ["https://example.com"], proxied: ["http://example.com"]),
        Case(list: "example.com:http,example.com:0,example.com:65536", direct: [], proxied: ["http://example.com"]),
        Case(
            list: "10.0.0.0/8", direct: ["http://10.1.2.3", "https://10.255.255.255:1", "http://[::ffff:10.1.2.3]"],
            proxied: ["http://11.0.0.1", "http://10.example", "http://[a00::]"]),
        Case(list: "192.168.16.0/20", direct: ["http://192.168.31.255"], proxied: ["http://192.168.32.0"]),
        Case(list: "10.0.0.0/33, 10.0.0.0/-1, 10.0.0.0/, 10/8, /8", direct: [], proxied: ["http://10.0.0.1"]),
        Case(list: "0.0.0.0/0", direct: ["http://1.2.3.4"], proxied: ["http://[::1]", "http://localhost"]),
        Case(list: "10.0.0.1/32", direct: ["http://10.0.0.1"], proxied: ["http://10.0.0.2"]),
        Case(list: "fd00::/8", direct: ["http://[fd12::1]"], proxied: ["http://[fe80::1]"]),
        Case(list: "[fd00::]/8", direct: ["http://[fd12::1]"], proxied: ["http://[fe80::1]"]),
        Case(list: "fe80::/10", direct: ["http://[fe80::1%25eth0]"], proxied: ["http://[::1]"]),
        Case(list: "127.0.0.1", direct: ["http://127.0.0.1:81"], proxied: ["http://127.0.0.2", "http://localhost"]),
        Case(list: "127.0.0.1:81", direct: ["http://127.0.0.1:81"], proxied: ["http://127.0.0.1"]),
        Case(list: "::1", direct: ["http://[::1]", "http://[0:0:0:0:0:0:0:1]:8080"], proxied: ["http://127.0.0.1"]),
        Case(list: "[::1]", direct: ["http://[::1]:8080"], proxied: ["http://[::2]"]),
        Case(list: "[::1]:8080", direct: ["http://[::1]:8080"], proxied: ["http://[::1]"]),
        Case(list: ".1", direct: [], proxied: ["http://127.0.0.1"]),
        Case(list: ".,*.,..,[],[,],:,::,:80,a:b:c", direct: [], proxied: ["http://example.com", "http://127.0.0.1"]),
        Case(list: "bücher.example", direct: ["http://www.bücher.example"], proxied: ["http://bucher.example"]),
        Case(list: "localhost", direct: ["http://localhost:1234"], proxied: ["http://127.0.0.1"]),
    ])
    func `Exceptions are matched`(_ test: Case) throws {
        let list = HTTPClient.NoProxy(test.list)
        for url in test.direct { #expect(try list.contains(Origin(url)), "\(url)") }
        for url in test.proxied { #expect(try !list.contains(Origin(url)), "\(url)") }
    }

    @Test func `A long list is matched`() throws {
        let list = HTTPClient.NoProxy((0..<10_000).map { "host\($0).example" }.joined(separator: ","))
        #expect(try list.contains(Origin("http://a.host9999.example")))
        #expect(try !list.contains(Origin("http://host10000.example")))
    }
}
