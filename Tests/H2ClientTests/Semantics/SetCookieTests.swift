import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct SetCookieTests {
    private static let now = 1_700_000_000
    private static let longestLife = now + 34_560_000

    private func parse(_ field: String) -> SetCookie? { SetCookie(Array(field.utf8), now: Self.now) }

    struct Pair: Sendable, CustomTestStringConvertible {
        let field, name, value: String
        var testDescription: String { field }
        init(_ field: String, _ name: String, _ value: String) {
            (self.field, self.name, self.value) = (field, name, value)
        }
    }

    @Test(arguments: [
        Pair("a=b", "a", "b"), Pair(" a\t=  b  ;Path=/", "a", "b"), Pair("a=b=c", "a", "b=c"), Pair("a=", "a", ""),
        Pair("a=\"b c\"", "a", "\"b c\""), Pair("a", "", "a"), Pair("=a", "", "a"), Pair("a b=c,d", "a b", "c,d"),
        Pair("é=ü", "é", "ü"), Pair("a=b\tc", "a", "b\tc"), Pair("a=;b=c", "a", ""), Pair("a;=b", "", "a"),
    ])
    func `Name and value`(pair: Pair) throws {
        let cookie = try #require(parse(pair.field))
        #expect(cookie.name == Array(pair.name.utf8))
        #expect(cookie.value == Array(pair.value.utf8))
    }

    @Test(arguments: [
        "", "=", ";", " = ; Path=/", "; a=b", "a=b\0", "a=b\n", "a\r=b", "a=b; Path=/\u{1}", "a=\u{7f}",
        "a\u{1b}[31m=b",
        // A cookie without a name, but sent such that a server would see another cookie.
        "=a=b", "=__Host-a", "__Secure-a", "=__host-a=b",
    ])
    func `What is no cookie`(field: String) { #expect(parse(field) == nil) }

    @Test func `Name and value have 4096 bytes at most`() {
        #expect(parse("a=" + String(repeating: "b", count: 4_095)) != nil)
        #expect(parse("a=" + String(repeating: "b", count: 4_096)) == nil)
        #expect(parse(String(repeating: "a", count: 4_096) + "=") != nil)
        #expect(parse(String(repeating: "a", count: 4_097)) == nil)
    }

    @Test func `An attribute longer than 1024 bytes is ignored`() {
        #expect(parse("a=b; Path=/" + String(repeating: "p", count: 1_023))?.path?.count == 1_024)
        #expect(parse("a=b; Path=/" + String(repeating: "p", count: 1_024))?.path == nil)
        #expect(parse("a=b; Path=/x; Path=/" + String(repeating: "p", count: 1_024))?.path == Array("/x".utf8))
    }

    @Test(arguments: [
        ("a=b", nil), ("a=b; Path", nil), ("a=b; Path=", nil), ("a=b; Path=x", nil), ("a=b; path = /x ", "/x"),
        ("a=b; PATH=/x; Path=/y", "/y"), ("a=b; Path=/x; Path=y", nil), ("a=b; Path=\"/\"", nil),
    ])
    func `The attribute Path`(field: String, path: String?) {
        #expect(parse(field)?.path == path.map { Array($0.utf8) })
    }

    @Test(arguments: [
        ("a=b", ""), ("a=b; Domain=", ""), ("a=b; Domain", ""), ("a=b; Domain=.", ""),
        ("a=b; domain=Example.COM", "example.com"),
        ("a=b; Domain=.example.com", "example.com"), ("a=b; Domain=..example.com", ".example.com"),
        ("a=b; Domain=a.example; Domain=b.example", "b.example"), ("a=b; Domain=a.example; Domain=", ""),
    ])
    func `The attribute Domain`(field: String, domain: String) { #expect(parse(field)?.domain == Array(domain.utf8)) }

    @Test(arguments: [
        ("a=b", false, false), ("a=b; Secure", true, false), ("a=b; secure=no; HTTPONLY", true, true),
        ("a=b;HttpOnly ;\tSecure", true, true), ("a=b; Securely; HttpOnlyX", false, false), ("a=Secure", false, false),
    ])
    func `The attributes Secure and HttpOnly`(field: String, isSecure: Bool, isHTTPOnly: Bool) {
        #expect(parse(field)?.isSecure == isSecure)
        #expect(parse(field)?.isHTTPOnly == isHTTPOnly)
    }

    @Test(
        arguments: [
            ("a=b", nil), ("a=b; SameSite=Strict", .strict), ("a=b; samesite=LAX", .lax),
            ("a=b; SameSite=None", .some(.none)),
            ("a=b; SameSite", nil), ("a=b; SameSite=Maybe", nil), ("a=b; SameSite=Lax; SameSite=Strict", .strict),
        ] as [(String, CookieJar.SameSite?)])
    func `The attribute SameSite`(field: String, sameSite: CookieJar.SameSite?) {
        #expect(parse(field)?.sameSite == sameSite)
    }

    @Test(
        arguments: [
            ("a=b", .session), ("a=b; Max-Age=60", .at(now + 60)), ("a=b; Max-Age=0", .at(Int.min)),
            ("a=b; Max-Age=-5", .at(Int.min)),
            ("a=b; Max-Age=", .session), ("a=b; Max-Age=-", .session), ("a=b; Max-Age=1h", .session),
            ("a=b; Max-Age=+5", .session),
            ("a=b; Max-Age=99999999999999999999999", .at(longestLife)),
            ("a=b; Max-Age=-99999999999999999999999", .at(Int.min)),
            ("a=b; Max-Age=34560001", .at(longestLife)), ("a=b; Max-Age=60; Max-Age=30", .at(now + 30)),
            ("a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT", .at(784_111_777)), ("a=b; Expires=tomorrow", .session),
            ("a=b; Expires=Fri, 31 Dec 9999 23:59:59 GMT", .at(longestLife)),
            ("a=b; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT", .at(now + 60)),
            ("a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60", .at(now + 60)),
            ("a=b; Max-Age=x; Expires=Sun, 06 Nov 1994 08:49:37 GMT", .at(784_111_777)),
        ] as [(String, SetCookie.Expiry)])
    func `The end of a cookie`(field: String, expiry: SetCookie.Expiry) { #expect(parse(field)?.expiry == expiry) }

    @Test func `Any bytes can be parsed`() {
        var generator = SplitMix64(seed: 7)
        let pieces = [
            "a", "=", ";", " ", "\t", "Path", "Domain", "Expires", "Max-Age", "-", "9", ":", "/", ".", "\u{e9}",
            "__Host-",
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...20, using: &generator)
            let field = (0..<count).map { _ in pieces.randomElement(using: &generator)! }.joined()
            guard let cookie = parse(field) else { continue }
            #expect(!(cookie.name.isEmpty && cookie.value.isEmpty))
            #expect(!cookie.value.contains(UInt8(ascii: ";")))
        }
    }
}
