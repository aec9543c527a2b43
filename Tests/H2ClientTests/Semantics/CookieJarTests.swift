import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// A jar with a short list of public suffixes and its own clock.
private struct Rig {
    let jar: CookieJar
    var now = 1_700_000_000

    init(limits: CookieJar.Limits = CookieJar.Limits()) {
        jar = CookieJar(limits: limits) {
            ["com", "example", "co.uk", "github.example", "localhost"].contains($0) || !$0.contains(".")
        }
    }

    @discardableResult
    func set(_ field: String, _ url: String) throws -> Bool {
        let target = try RequestTarget(url)
        return jar.set(Array(field.utf8), from: CookieScope(target.origin, target: target.path), now: now)
    }

    /// The `cookie` field of a request; empty if it has none.
    func sent(_ url: String, own: String? = nil) throws -> String {
        let target = try RequestTarget(url)
        var request = try target.request()
        if let own { request.headerFields[.cookie] = own }
        jar.prepare(&request, for: target.origin, now: now)
        #expect(request.headerFields[fields: .cookie].count <= 1)
        return request.headerFields[.cookie] ?? ""
    }
}

@Suite(.inTurn) struct CookieJarTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let field, setBy, askedAt: String
        let isSent: Bool
        var testDescription: String { "\(field) of \(setBy) at \(askedAt)" }
        init(_ field: String, of setBy: String, at askedAt: String, _ isSent: Bool) {
            (self.field, self.setBy, self.askedAt, self.isSent) = (field, setBy, askedAt, isSent)
        }
    }

    @Test(arguments: [
        // Hosts and domains.
        Case("a=b", of: "https://www.example.com", at: "https://www.example.com", true),
        Case("a=b", of: "https://www.example.com", at: "https://WWW.example.com:8443/x?y", true),
        Case("a=b", of: "https://example.com", at: "https://www.example.com", false),
        Case("a=b; Domain=example.com", of: "https://example.com", at: "https://www.example.com", true),
        Case("a=b; Domain=example.com", of: "https://www.example.com", at: "https://example.com", true),
        Case("a=b; Domain=.Example.Com", of: "https://a.b.example.com", at: "https://c.example.com", true),
        Case("a=b; Domain=example.com", of: "https://www.example.com", at: "https://badexample.com", false),
        Case("a=b; Domain=other.com", of: "https://www.example.com", at: "https://other.com", false),
        Case("a=b; Domain=www.example.com", of: "https://example.com", at: "https://www.example.com", false),
        Case("a=b; Domain=", of: "https://www.example.com", at: "https://www.example.com", true),
        Case("a=b; Domain=", of: "https://www.example.com", at: "https://a.www.example.com", false),
        Case(
            "a=b; Domain=b\u{fc}cher.example", of: "https://xn--bcher-kva.example", at: "https://xn--bcher-kva.example",
            false),
        Case(
            "a=b; Domain=xn--bcher-kva.example", of: "https://b\u{fc}cher.example",
            at: "https://www.b\u{fc}cher.example", true),
        // Public suffixes.
        Case("a=b; Domain=com", of: "https://www.example.com", at: "https://www.example.com", false),
        Case("a=b; Domain=co.uk", of: "https://shop.co.uk", at: "https://bank.co.uk", false),
        Case("a=b; Domain=co.uk", of: "https://shop.co.uk", at: "https://shop.co.uk", false),
        Case("a=b; Domain=github.example", of: "https://github.example", at: "https://github.example", true),
        Case("a=b; Domain=github.example", of: "https://github.example", at: "https://me.github.example", false),
        Case("a=b; Domain=localhost", of: "http://localhost", at: "http://localhost:8080", true),
        Case("a=b; Domain=com.", of: "https://example.com.", at: "https://bank.com.", false),
        Case("a=b; Domain=example.com.", of: "https://www.example.com.", at: "https://www.example.com.", false),
        Case("a=b", of: "https://example.com.", at: "https://example.com", false),
        // Addresses.
        Case("a=b; Domain=192.0.2.1", of: "https://192.0.2.1", at: "https://192.0.2.1", true),
        Case("a=b; Domain=0.2.1", of: "https://192.0.2.1", at: "https://192.0.2.1", false),
        Case("a=b", of: "https://192.0.2.1", at: "https://1.192.0.2.1", false),
        Case("a=b; Domain=2001:db8::1", of: "https://[2001:db8::1]", at: "https://[2001:db8::1]", true),
        // Paths.
        Case("a=b", of: "https://a.example/x/y", at: "https://a.example/x/z", true),
        Case("a=b", of: "https://a.example/x/y", at: "https://a.example/x", true),
        Case("a=b", of: "https://a.example/x/y", at: "https://a.example/xy", false),
        Case("a=b; Path=/", of: "https://a.example/x/y", at: "https://a.example/", true),
        Case("a=b; Path=/z", of: "https://a.example/x", at: "https://a.example/z?q", true),
        Case("a=b; Path=/z", of: "https://a.example/x", at: "https://a.example/?/z", false),
        Case("a=b; Path=\"/\"", of: "https://a.example/x/y", at: "https://a.example/", false),
        // Secure.
        Case("a=b; Secure", of: "https://a.example", at: "https://a.example", true),
        Case("a=b; Secure", of: "https://a.example", at: "http://a.example", false),
        Case("a=b; Secure", of: "http://a.example", at: "https://a.example", false),
        Case("a=b", of: "http://a.example", at: "https://a.example", true),
        Case("a=b; Secure", of: "http://localhost:1", at: "http://localhost:2", true),
        Case("a=b; Secure", of: "http://127.0.0.1", at: "http://127.0.0.1", true),
        Case("a=b; Secure", of: "http://[::1]", at: "http://[::1]", true),
        Case("a=b; SameSite=None", of: "https://a.example", at: "https://a.example", false),
        Case("a=b; SameSite=None; Secure", of: "https://a.example", at: "https://a.example", true),
        Case("a=b; SameSite=Strict; HttpOnly", of: "https://a.example", at: "https://a.example", true),
        // Prefixes.
        Case("__Secure-a=b; Secure", of: "https://a.example", at: "https://a.example", true),
        Case("__Secure-a=b", of: "https://a.example", at: "https://a.example", false),
        Case("__sEcUrE-a=b", of: "https://a.example", at: "https://a.example", false),
        Case("__Secure-a=b; Secure", of: "http://a.example", at: "https://a.example", false),
        Case("__Host-a=b; Secure; Path=/", of: "https://a.example", at: "https://a.example", true),
        Case("__HOST-a=b; Secure", of: "https://a.example", at: "https://a.example", false),
        Case("__Host-a=b; Secure; Path=/x", of: "https://a.example/x", at: "https://a.example/x", false),
        Case("__Host-a=b; Path=/", of: "https://a.example", at: "https://a.example", false),
        Case("__Host-a=b; Secure; Path=/; Domain=a.example", of: "https://a.example", at: "https://a.example", false),
        // Time.
        Case("a=b; Max-Age=0", of: "https://a.example", at: "https://a.example", false),
        Case("a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT", of: "https://a.example", at: "https://a.example", false),
    ])
    func `Where a cookie is sent`(test: Case) throws {
        let rig = Rig()
        try rig.set(test.field, test.setBy)
        let pair = test.field.prefix { $0 != ";" }
        #expect(try rig.sent(test.askedAt) == (test.isSent ? String(pair) : ""))
    }

    @Test func `Longer paths come first, then older cookies`() throws {
        let rig = Rig()
        try rig.set("old=1; Path=/", "https://www.example.com")
        try rig.set("deep=1; Path=/a/b", "https://www.example.com")
        try rig.set("domain=1; Path=/a; Domain=example.com", "https://www.example.com")
        try rig.set("new=1; Path=/", "https://www.example.com")
        // A change does not make a cookie newer.
        try rig.set("old=2; Path=/", "https://www.example.com")
        #expect(try rig.sent("https://www.example.com/a/b/c") == "deep=1; domain=1; old=2; new=1")
        #expect(try rig.sent("https://example.com/a") == "domain=1")
    }

    @Test func `A request's own cookies come before those of the jar, in one field`() throws {
        let rig = Rig()
        #expect(try rig.sent("https://a.example", own: "x=y") == "x=y")
        try rig.set("a=b", "https://a.example")
        #expect(try rig.sent("https://a.example", own: "x=y; a=c") == "x=y; a=c; a=b")
        #expect(try rig.sent("https://a.example", own: "") == "a=b")
    }

    @Test func `Cookies differ by name, domain, path and whether they are for one host`() throws {
        let rig = Rig()
        for field in ["a=1", "a=2; Path=/x", "a=3; Domain=www.example.com", "A=4", "a=5; Domain=example.com"] {
            #expect(try rig.set(field, "https://www.example.com"))
        }
        #expect(try rig.sent("https://www.example.com/x") == "a=2; a=1; a=3; A=4; a=5")
        #expect(try rig.set("a=6", "https://www.example.com"))
        #expect(try rig.sent("https://www.example.com/") == "a=6; a=3; A=4; a=5")
        #expect(rig.jar.cookies(now: rig.now).count == 5)
    }

    @Test func `A cookie ends at its time, and is removed by one in the past`() throws {
        var rig = Rig()
        try rig.set("a=1; Max-Age=10", "https://a.example")
        try rig.set("b=1; Max-Age=20", "https://a.example")
        try rig.set("c=1", "https://a.example")
        rig.now += 9
        #expect(try rig.sent("https://a.example") == "a=1; b=1; c=1")
        rig.now += 1
        #expect(rig.jar.cookies(now: rig.now).count == 2)
        #expect(try rig.sent("https://a.example") == "b=1; c=1")
        #expect(try !rig.set("b=; Max-Age=0", "https://a.example"))
        #expect(try rig.sent("https://a.example") == "c=1")
        // Not the one with another path.
        try rig.set("c=; Max-Age=0; Path=/x", "https://a.example")
        #expect(try rig.sent("https://a.example") == "c=1")
    }

    @Test(arguments: [
        // The new cookie over http, and whether the existing secure one stays unchanged.
        ("sid=evil", "http://www.example.com/", true),
        ("sid=evil; Domain=example.com", "http://www.example.com/", true),
        ("sid=evil; Domain=example.com", "http://other.example.com/", true),
        ("sid=evil", "http://a.www.example.com/", true),
        ("sid=evil; Path=/login/deep", "http://www.example.com/", true),
        ("sid=evil; Path=/other", "http://www.example.com/", false),
        ("sid=evil; Path=/", "http://www.example.com/", false),
        ("sid=; Max-Age=0; Path=/login", "http://www.example.com/", true),
        ("SID=evil", "http://www.example.com/login/", false),
        ("sid=evil; Path=/login", "http://sibling.example.com/", false),
        ("sid=evil; Path=/login", "https://www.example.com/", false),
    ])
    func `Cookies over http do not shadow secure ones`(field: String, url: String, isRefused: Bool) throws {
        let rig = Rig()
        // From /login/, so that a default path is below it.
        try rig.set("sid=good; Secure; Path=/login; Domain=www.example.com", "https://www.example.com/")
        let before = try rig.sent("https://www.example.com/login")
        let path = field.contains("Path") ? url : url.contains("/login") ? url : url + "login/x"
        #expect(try rig.set(field, path) == !isRefused)
        if isRefused { #expect(try rig.sent("https://www.example.com/login") == before) }
    }

    @Test func `A domain has a limited number of cookies, and the least recently used makes room`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookiesPerDomain: 3))
        for name in ["a", "b", "c"] { try rig.set("\(name)=1; Path=/\(name)", "https://a.example") }
        _ = try rig.sent("https://a.example/a")
        try rig.set("d=1; Path=/d", "https://a.example")
        #expect(rig.jar.cookies(now: rig.now).map(\.name) == ["a", "c", "d"])
        // Another domain is not affected.
        try rig.set("e=1", "https://b.example")
        #expect(rig.jar.cookies(now: rig.now).count == 4)
    }

    @Test func `Expired cookies make room first`() throws {
        var rig = Rig(limits: CookieJar.Limits(cookiesPerDomain: 2))
        try rig.set("a=1", "https://a.example")
        try rig.set("b=1; Max-Age=5", "https://a.example")
        rig.now += 5
        try rig.set("c=1", "https://a.example")
        #expect(try rig.sent("https://a.example") == "a=1; c=1")
    }

    @Test func `All domains together have a limited number of cookies`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: 100, cookiesPerDomain: 50))
        for number in 0..<100 { try rig.set("n=1", "https://host\(number).example") }
        for number in 0..<10 { _ = try rig.sent("https://host\(number).example") }
        try rig.set("n=1", "https://host100.example")
        let domains = Set(rig.jar.cookies(now: rig.now).map(\.domain))
        #expect(domains.count == 90)
        #expect((0..<10).allSatisfy { domains.contains("host\($0).example") })
        #expect(domains.contains("host100.example") && !domains.contains("host10.example"))
    }

    @Test func `A site with many hosts evicts its own cookies, not those of others`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: 100, cookiesPerDomain: 20))
        try rig.set("session=1", "https://bank.com")
        for number in 0..<1_000 { try rig.set("n=1", "https://h\(number).evil.com") }
        #expect(try rig.sent("https://bank.com") == "session=1")
        #expect(rig.jar.cookies(now: rig.now).count <= 100)
    }

    @Test func `Cleartext cannot push out secure cookies`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: 40, cookiesPerDomain: 10))
        try rig.set("sid=1; Secure", "https://www.example.com")
        for number in 0..<50 { try rig.set("n\(number)=1; Path=/", "http://www.example.com/") }
        for number in 0..<500 { try rig.set("n\(number)=1; Path=/", "http://w\(number).example.com/") }
        #expect(try rig.sent("https://www.example.com/").hasPrefix("sid=1"))
    }

    @Test func `A domain full of secure cookies takes none from cleartext`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookiesPerDomain: 2))
        for name in ["a", "b"] { try rig.set("\(name)=1; Secure", "https://a.example") }
        #expect(try !rig.set("c=1", "http://a.example"))
        #expect(try rig.sent("https://a.example") == "a=1; b=1")
        #expect(try rig.set("c=1", "https://a.example"))
        #expect(rig.jar.cookies(now: rig.now).map(\.name).contains("c"))
    }

    @Test func `A cookie in the place of one that has expired is a new one`() throws {
        var rig = Rig()
        try rig.set("a=1; Max-Age=5", "https://a.example")
        try rig.set("b=1", "https://a.example")
        rig.now += 5
        try rig.set("a=2", "https://a.example")
        #expect(try rig.sent("https://a.example") == "b=1; a=2")
    }

    @Test func `Of one response 180 cookies are taken`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: 1_000, cookiesPerDomain: 1_000))
        let target = try RequestTarget("https://a.example/")
        rig.jar.learn(
            from: (0..<500).map { Array("n\($0)=1".utf8) }, request: try target.request(), origin: target.origin,
            now: rig.now)
        #expect(rig.jar.cookies(now: rig.now).count == 180)
    }

    @Test(arguments: [-1, 0])
    func `Limits of zero keep nothing`(limit: Int) throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: limit))
        #expect(try !rig.set("a=b", "https://a.example"))
        let other = Rig(limits: CookieJar.Limits(cookiesPerDomain: limit))
        #expect(try !other.set("a=b", "https://a.example"))
        let third = Rig(limits: CookieJar.Limits(fieldBytes: limit))
        try third.set("a=b", "https://a.example")
        #expect(try third.sent("https://a.example") == "")
    }

    @Test func `A limit of one keeps the last cookie`() throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: 1))
        for number in 0..<5 { try rig.set("a=\(number)", "https://a\(number).example") }
        #expect(rig.jar.cookies(now: rig.now).map(\.value) == ["4"])
    }

    @Test func `What is sent has a limited length, and the shortest paths are left out`() throws {
        let rig = Rig(limits: CookieJar.Limits(fieldBytes: 20))
        try rig.set("root=12345", "https://a.example/")
        try rig.set("deep=12345; Path=/a/b", "https://a.example/")
        try rig.set("middle=1; Path=/a", "https://a.example/")
        #expect(try rig.sent("https://a.example/a/b") == "deep=12345; middle=1")
        let wide = Rig()
        for number in 0..<20 {
            try wide.set("n\(number)=" + String(repeating: "v", count: 1_000), "https://a.example/")
        }
        #expect(try wide.sent("https://a.example/").utf8.count <= 8_190)
    }

    @Test func `Bytes that are not UTF-8 come back as they were sent`() throws {
        let rig = Rig()
        let origin = try Origin("https://a.example")
        let field = Array("a=caf".utf8) + [0xe9]
        #expect(rig.jar.set(field, from: CookieScope(origin, target: "/"), now: rig.now))
        var request = HTTPRequest(method: .get, scheme: "https", authority: "a.example", path: "/")
        rig.jar.prepare(&request, for: origin, now: rig.now)
        let sent = request.headerFields[fields: .cookie].first?.withUnsafeBytesOfValue { Array($0) }
        #expect(sent == field)
    }

    @Test func `Descriptions have neither name nor value`() throws {
        let rig = Rig()
        try rig.set("secretName=secretValue", "https://a.example/x/y")
        let cookie = try #require(rig.jar.cookies(now: rig.now).first)
        var dumped = ""
        dump(cookie, to: &dumped)
        dump([cookie], to: &dumped)
        for text in ["\(cookie)", String(reflecting: cookie), "\([cookie])", String(reflecting: rig.jar), dumped] {
            #expect(!text.contains("secret"))
        }
        #expect("\(cookie)" == "a cookie of a.example/x")
    }

    // MARK: - By program

    @Test func `A program sees, sets and removes cookies`() throws {
        let rig = Rig()
        try rig.jar.insert(CookieJar.Cookie("a", "1", domain: "A.example"))
        try rig.jar.insert(CookieJar.Cookie("b", "2", domain: ".shop.example", isHostOnly: false, path: "x"))
        #expect(try rig.jar.set("c=3; Secure", from: "https://www.shop.example/x/y"))
        #expect(try rig.jar.cookies(for: "https://www.shop.example/x/").map(\.name) == ["c", "b"])
        #expect(try rig.jar.cookies(for: "http://a.example/").map(\.name) == ["a"])
        #expect(rig.jar.cookies.map(\.path) == ["/", "/", "/x"])
        #expect(rig.jar.removeAll { $0.domain == "a.example" } == 1)
        #expect(rig.jar.cookies.map(\.name) == ["b", "c"])
        // An expired cookie removes the existing one.
        try rig.jar.insert(CookieJar.Cookie("b", "", domain: "shop.example", isHostOnly: false, expires: 1))
        #expect(rig.jar.cookies.map(\.name) == ["c"])
        rig.jar.removeAll()
        #expect(rig.jar.cookies.isEmpty)
    }

    @Test(arguments: [
        CookieJar.Cookie("a\n", "b", domain: "a.example"), CookieJar.Cookie("a", "b;c", domain: "a.example"),
        CookieJar.Cookie("a=b", "c", domain: "a.example"), CookieJar.Cookie("", "", domain: "a.example"),
        CookieJar.Cookie("", "a=b", domain: "a.example"), CookieJar.Cookie(" a", "b", domain: "a.example"),
        CookieJar.Cookie("a", "b\t", domain: "a.example"), CookieJar.Cookie("a", "b", domain: ""),
        CookieJar.Cookie("a", "b", domain: "b\u{fc}cher.example"), CookieJar.Cookie("a", "b", domain: "a.example/x"),
        CookieJar.Cookie("a", "b", domain: "com", isHostOnly: false),
        CookieJar.Cookie("a", "b", domain: "co.uk", isHostOnly: false),
        CookieJar.Cookie("a", "b", domain: "192.0.2.1", isHostOnly: false),
        CookieJar.Cookie("__Secure-a", "b", domain: "a.example"),
        CookieJar.Cookie("__Host-a", "b", domain: "a.example", path: "/x", isSecure: true),
        CookieJar.Cookie("a", String(repeating: "b", count: 5_000), domain: "a.example"),
        CookieJar.Cookie("a", "b", domain: "a.example", path: "/" + String(repeating: "x", count: 2_000)),
    ])
    func `A cookie that no server could set is refused`(cookie: CookieJar.Cookie) throws {
        let rig = Rig()
        let error = #expect(throws: H2Error.self) { try rig.jar.insert(cookie) }
        #expect(error?.code == .invalidConfiguration)
        #expect(rig.jar.cookies.isEmpty)
    }

    @Test func `Tasks may share a jar`() async throws {
        let rig = Rig(limits: CookieJar.Limits(cookies: 50))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<200 {
                        try rig.set("a=\(number)", "https://h\(number % 70).t\(task).example")
                        _ = try rig.sent("https://h\(number % 70).t\(task).example")
                        if number % 50 == 0 { rig.jar.removeAll { $0.domain.hasPrefix("h\(task)") } }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(rig.jar.cookies(now: rig.now).count <= 50)
    }

    #if PublicSuffixes
        @Test(arguments: [
            ("com", true), ("co.uk", true), ("github.io", true), ("example.com", false), ("example.co.uk", false),
            ("localhost", true),
            ("unlisted-tld", true), ("a.unlisted-tld", false), ("city.kawasaki.jp", false), ("x.kawasaki.jp", true),
            ("xn--85x722f.xn--55qx5d.cn", false), ("xn--55qx5d.cn", true),
        ])
        func `The list of libpsl`(domain: String, expected: Bool) { #expect(PublicSuffix.contains(domain) == expected) }
    #endif
}
