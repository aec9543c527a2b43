import H2Platform
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct RequestTargetTests {
    struct Good: Sendable, CustomTestStringConvertible {
        let url: String
        let origin: String
        let path: String
        var userInfo: String?
        var testDescription: String { url }

        init(_ url: String, _ origin: String, _ path: String, userInfo: String? = nil) {
            self.url = url
            self.origin = origin
            self.path = path
            self.userInfo = userInfo
        }
    }

    @Test(
        arguments: [
            Good("https://example.org", "https://example.org", "/"),
            Good("https://example.org/", "https://example.org", "/"),
            Good("HTTPS://Example.ORG/A", "https://example.org", "/A"),
            Good("http://example.org:8080/a/b?c=d#e", "http://example.org:8080", "/a/b?c=d"),
            Good("https://example.org:443/", "https://example.org", "/"),
            Good("http://example.org:443/", "http://example.org:443", "/"),
            Good("https://example.org:/x", "https://example.org", "/x"),
            Good("https://example.org?q=1", "https://example.org", "/?q=1"),
            Good("https://example.org#f", "https://example.org", "/"),
            Good("https://example.org/a?b?c", "https://example.org", "/a?b?c"),
            Good("https://[::1]:8443/x", "https://[::1]:8443", "/x"),
            Good("https://[2001:db8::1]", "https://[2001:db8::1]", "/"),
            Good("https://127.0.0.1:1/", "https://127.0.0.1:1", "/"),
            Good("https://user:pa%40ss@example.org/x", "https://example.org", "/x", userInfo: "user:pa%40ss"),
            Good("https://a@b@example.org/", "https://example.org", "/", userInfo: "a@b"),
            Good("https://example.org/caf\u{e9}", "https://example.org", "/caf%C3%A9"),
            Good("https://example.org/%20", "https://example.org", "/%20"),
            Good("https://example.org/a://b", "https://example.org", "/a://b"),
            // Bytes are looked at, not Characters: a combining mark makes one Character of itself and what is before it.
            Good("https://example.org/a#\u{301}secret", "https://example.org", "/a"),
            Good("https://example.org/\u{301}a", "https://example.org", "/%CC%81a"),
            Good("https://example.org?\u{301}a", "https://example.org", "/?%CC%81a"),
            Good("https://example.org#\u{301}a", "https://example.org", "/"),
            Good("https://example.org/a?b#\u{200d}c", "https://example.org", "/a?b"),
            Good("https://example.org/e\u{301}", "https://example.org", "/e%CC%81"),
            Good("https://exa%6Dple.org/", "https://example.org", "/"),
            Good("https://user:a%40b:c@example.org:8080", "https://example.org:8080", "/", userInfo: "user:a%40b:c"),
            Good("http://[FE80::1%25Eth0]:81/x", "http://[fe80::1%25Eth0]:81", "/x"),
            Good("http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]", "/"),
            Good("http://[fe80::1%25eth%2D0]/", "http://[fe80::1%25eth-0]", "/"),
            // Dot segments (RFC 3986 section 5.2.4).
            Good("https://example.org/a/b/c/./../../g", "https://example.org", "/a/g"),
            Good("https://example.org/../a", "https://example.org", "/a"),
            Good("https://example.org/..", "https://example.org", "/"),
            Good("https://example.org/.", "https://example.org", "/"),
            Good("https://example.org/a/..", "https://example.org", "/"),
            Good("https://example.org/a/b/..", "https://example.org", "/a/"),
            Good("https://example.org/a/b/.", "https://example.org", "/a/b/"),
            Good("https://example.org/a/%2e%2E/b", "https://example.org", "/b"),
            Good("https://example.org/a/.%2e/b/%2E/c", "https://example.org", "/b/c"),
            Good("https://example.org/a/.../..b/c../.d/%2ee", "https://example.org", "/a/.../..b/c../.d/%2ee"),
            Good("https://example.org/a?b/../c", "https://example.org", "/a?b/../c"),
            Good("https://example.org/a//../b", "https://example.org", "/a/b"),
            Good("https://example.org/a/..?x=/../y#/../z", "https://example.org", "/?x=/../y"),
            Good("https://example.org?/../x", "https://example.org", "/?/../x"),
        ]) func `A URL is split into what a request needs`(_ good: Good) throws
    {
        let target = try RequestTarget(good.url)
        #expect(target.origin.description == good.origin)
        #expect(target.path == good.path)
        #expect(target.userInfo == good.userInfo)
        #expect(try Origin(good.url) == target.origin)
    }

    @Test(
        arguments: [
            "", "example.org", "/path", "ftp://example.org", "://example.org", "https://", "https:///path",
            "https://:443/", "https://example.org:0/", "https://example.org:65536/", "https://example.org:abc/",
            "https://example.org:-1/", "https://example.org:+5/", "https://exa mple.org/", "https://example.org/a b",
            "https://example.org/a\nb", "https://example.org/\u{7f}", "https://[::1/", "https://[::1]x/",
            "https://::1/",
            "https://example.org\\@evil/", "https://exa\0mple.org/",
            "https://exa%2fmple.org/", "https://exa%00mple.org/", "https://exa%mple.org/", "https://exa%2/",
            "https://%/",
            "https://%25/", "https://a%3ab/", "https://a%40b/", "https://[a]/", "https://[127.0.0.1]/",
            "https://[::1%25]/", "https://[::1%]/", "https://[::1%25a%2fb]/", "https://[fe80::1%25eth0%]/",
            "https://[::1%25a b]/", "https://[::1%2]x/", "https://[:::1]/", "https://[v1.x]/", "https://exa!mple.org/",
            "https://\u{ff0f}evil/", "https://a\u{2100}b/", "https://xn--\u{fc}/", "https://\u{301}/",
            "https://example.org:99999999999999999999/",
        ]) func `A bad URL is refused with what to write instead`(_ url: String)
    {
        let error = #expect(throws: H2Error.self) { try RequestTarget(url) }
        #expect(error?.code == .invalidURL)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func `Dot segments stay where the path is wanted as it is`() throws {
        for path in ["/a/../b", "/./a", "/%2e%2e/a", "/..", "/a/."] {
            #expect(try RequestTarget("https://example.org" + path + "#f", pathAsIs: true).path == path)
        }
    }

    @Test(arguments: [
        ("B\u{fc}cher.example", "xn--bcher-kva.example"), ("stra\u{df}e.example", "xn--strae-oqa.example"),
        ("\u{4f8b}\u{3048}.jp", "xn--r8jz45g.jp"), ("\u{ff45}xample\u{3002}org", "example.org"),
        ("bu\u{308}cher.example", "xn--bcher-kva.example"), ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ])
    func `An internationalised host is sent in its ASCII form`(_ name: String, _ ascii: String) throws {
        #expect(try RequestTarget("https://\(name)/x").origin.host == ascii)
        #expect(try Origin(scheme: .https, host: name).authority == ascii)
        let encoded = name.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(try RequestTarget("https://\(encoded)/x").origin.host == ascii)
    }

    @Test(arguments: [
        "https://user:s3cret@", "https://user:s3cret@exa mple.org/", "https://user:s3cret@example.org:port/",
        "https://user:s3/cret@example.org:x/", "https://user:s3cret@[::1/", "user:s3cret@example.org",
        "ftp://user:s3cret@example.org/", "https://user:s3cr et@example.org/", "https://user:s3#cret@exa mple/",
        "https://user:s3cret/@example.org/ ", "https://u:s3cret@b\u{301}@exa mple/",
        "https://user:s3?cret@example.org", "https://u:s3:cret/x@h/",
    ])
    func `A password is in no message about a bad URL`(_ url: String) {
        let error = #expect(throws: H2Error.self) { try RequestTarget(url) }
        let text = error.map { "\($0)" } ?? ""
        #expect(!text.contains("s3"), "\(text)")
        #expect(!text.contains("cret"), "\(text)")
    }

    @Test func `A zone leads to its interface, and goes into no authority`() throws {
        let target = try RequestTarget("http://[fe80::1%25lo]:8080/x")
        #expect(target.origin.host == "fe80::1%lo")
        #expect(target.origin.authority == "[fe80::1]:8080")
        #expect(target.origin != (try RequestTarget("http://[fe80::1]:8080/x").origin))
        #expect(try Origin(target.origin.description) == target.origin)
        let addresses = try Resolver.addresses(host: target.origin.host, port: 8080, flags: 0).get()
        let address = try #require(addresses.first)
        // sin6_scope_id.
        let scope = address.bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 24, as: UInt32.self) }
        #expect(scope == if_nametoindex("lo"))
        // What is sent.
        let request = try HTTPRequest(.get, url: "http://[fe80::1%25lo]:8080/x")
        let rig = HTTP1Rig()
        _ = try rig.submit(HTTPRequest(method: .get, scheme: nil, authority: request.authority, path: request.path))
        #expect(rig.sent().contains("\r\nHost: [fe80::1]:8080\r\n"))
    }

    @Test func `A request for a URL with so many fields that none fits any more is refused, and does not trap`() throws
    {
        var fields = HTTPFields()
        fields.reserveCapacity(65_000)
        for _ in 0..<65_000 { fields.append(HTTPField(name: .accept, value: "")) }
        let error = #expect(throws: H2Error.self) {
            try HTTPRequest(.get, url: "http://user:password@example.org/", headerFields: fields)
        }
        #expect(error?.code == .invalidRequest)
    }

    @Test func `Origins are equal by scheme, host without case, and port`() throws {
        #expect(try Origin(scheme: .https, host: "A.example") == Origin(scheme: .https, host: "a.EXAMPLE", port: 443))
        #expect(try Origin(scheme: .https, host: "a") != Origin(scheme: .http, host: "a", port: 443))
        #expect(try Origin(scheme: .http, host: "::1", port: 81).authority == "[::1]:81")
        #expect(throws: H2Error.self) { try Origin(scheme: .http, host: "a", port: 0) }
        #expect(throws: H2Error.self) { try Origin(scheme: .http, host: "a/b") }
    }
}
