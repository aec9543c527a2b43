import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct CookieScopeTests {
    @Test(arguments: [
        ("example.com", "example.com", true), ("www.example.com", "example.com", true),
        ("a.b.example.com", "example.com", true),
        ("example.com", "www.example.com", false), ("badexample.com", "example.com", false),
        ("example.com", "com", true),
        ("example.com", "", false), ("example.com", "e.com", false), ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "0.0.1", false), ("10.0.0.1", "1", false), ("0x7f.0.0.0x1", "0.0.0x1", false),
        ("::1", "1", false),
        ("fe80::1%eth0.example.com", "example.com", false), ("example.com.", "com.", true),
        ("1.2.3.4.example", "4.example", true),
    ])
    func `A host in a domain`(host: String, domain: String, expected: Bool) {
        #expect(CookieScope.matches(host: host[...], domain: domain[...]) == expected)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("1", true), ("127.1", true), ("0x7f.1", true), ("0x", true), ("1.2.3.4.", true),
        ("::1", true),
        ("fe80::1%eth0", true), ("example.com", false), ("1.example", false), ("example.1a", false), ("", false),
        (".", false),
        ("face.0xface", true), ("x0x1", false),
    ])
    func `Hosts that are addresses`(host: String, expected: Bool) { #expect(CookieScope.isAddress(host) == expected) }

    @Test(arguments: [
        ("/", "/", true), ("/a", "/", true), ("/a", "/a", true), ("/a/", "/a", true), ("/a/b", "/a", true),
        ("/a/b", "/a/", true),
        ("/ab", "/a", false), ("/a", "/a/", false), ("/", "/a", false), ("/A", "/a", false), ("*", "/", false),
        ("", "/", false),
        ("/a%2fb", "/a", false),
    ])
    func `A path below a cookie's path`(path: String, cookiePath: String, expected: Bool) {
        #expect(CookieScope.matches(path: path.utf8, cookiePath: cookiePath.utf8) == expected)
    }

    @Test(arguments: [
        ("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/", "/a/b"), ("/a?b/c", "/"), ("/a/b?c/d", "/a"),
        ("", "/"),
        ("*", "/"), ("?", "/"), ("//", "/"), ("/a/b#c/d", "/a"),
    ])
    func `The default path`(target: String, path: String) throws {
        #expect(CookieScope(try Origin("https://example.com"), target: target).defaultPath == path)
    }

    @Test(arguments: [
        ("https://example.com", true), ("http://example.com", false), ("http://localhost", true),
        ("http://localhost:8080", true),
        ("http://LOCALHOST", true), ("http://127.0.0.1", true), ("http://127.9.9.9", true), ("http://[::1]", true),
        ("http://127.0.0.1.example.com", false), ("http://127.example", false), ("http://127.1", false),
        ("http://localhost.example", false), ("http://a.localhost", false), ("http://10.0.0.1", false),
        ("http://[::2]", false),
    ])
    func `URLs that count as secure`(url: String, expected: Bool) throws {
        #expect(CookieScope(try Origin(url), target: "/").isSecure == expected)
    }
}
