import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct NetscapeCookiesTests {
    private static let now = 1_700_000_000
    private static let later = "1800000000"

    private func jar() -> CookieJar { CookieJar { ["com", "co.uk"].contains($0) || !$0.contains(".") } }

    private func load(_ text: String) -> (jar: CookieJar, report: CookieJar.LoadReport) {
        let jar = jar()
        return (jar, jar.load(Array(text.utf8), now: Self.now))
    }

    @Test(arguments: [
        ("a.example\tFALSE\t/\tFALSE\t0\tn\tv", CookieJar.Cookie("n", "v", domain: "a.example")),
        (
            ".example.com\tTRUE\t/x\tTRUE\t\(later)\tn\tv",
            CookieJar.Cookie(
                "n", "v", domain: "example.com", isHostOnly: false, path: "/x", expires: 1_800_000_000, isSecure: true)
        ),
        ("example.com\tTRUE\t/\tFALSE\t0\tn\tv", CookieJar.Cookie("n", "v", domain: "example.com", isHostOnly: false)),
        (".a.example\tFALSE\t/\tfalse\t0\tn\tv", CookieJar.Cookie("n", "v", domain: "a.example")),
        (
            "#HttpOnly_a.example\tFALSE\t/\tFALSE\t0\tn\tv",
            CookieJar.Cookie("n", "v", domain: "a.example", isHTTPOnly: true)
        ),
        ("A.Example\tFALSE\t/\tFALSE\t0\tn\tv", CookieJar.Cookie("n", "v", domain: "a.example")),
        ("a.example\tFALSE\t/\tFALSE\t0\tn", CookieJar.Cookie("n", "", domain: "a.example")),
        ("a.example\tFALSE\t/\tFALSE\t0\tn\t", CookieJar.Cookie("n", "", domain: "a.example")),
        ("a.example\tFALSE\t/\tFALSE\t0\t\tv", CookieJar.Cookie("", "v", domain: "a.example")),
        ("a.example\tFALSE\t/\tFALSE\t0\tn\tv\tw", CookieJar.Cookie("n", "v\tw", domain: "a.example")),
        (
            "a.example\tFALSE\t/\tFALSE\t\(later).75\tn\tv",
            CookieJar.Cookie("n", "v", domain: "a.example", expires: 1_800_000_000)
        ),
        ("192.0.2.1\tTRUE\t/\tFALSE\t0\tn\tv", CookieJar.Cookie("n", "v", domain: "192.0.2.1")),
        ("a.example\tFALSE\t\tFALSE\t0\tn\tv", CookieJar.Cookie("n", "v", domain: "a.example")),
        (
            "a.example\tFALSE\t/\tFALSE\t99999999999999999999999\tn\tv",
            CookieJar.Cookie("n", "v", domain: "a.example", expires: Int.max)
        ),
    ])
    func `A line of a file`(line: String, cookie: CookieJar.Cookie) {
        for text in [line, line + "\n", line + "\r\n", "# comment\n\n" + line + "\n\n \t\n", "\u{feff}" + line] {
            let (jar, report) = load(text)
            #expect(jar.cookies(now: Self.now) == [cookie])
            #expect(report == CookieJar.LoadReport(cookies: 1))
        }
    }

    @Test(arguments: [
        "a.example", "a.example FALSE / FALSE 0 n v", "a.example\tFALSE\t/\tFALSE\t0",
        "a.example\t1\t/\tFALSE\t0\tn\tv",
        "a.example\tFALSE\t/\t\t0\tn\tv", "a.example\tFALSE\t/\tFALSE\t-1\tn\tv", "a.example\tFALSE\t/\tFALSE\t\tn\tv",
        "a.example\tFALSE\t/\tFALSE\t1.x\tn\tv", "a.example\tFALSE\t/\tFALSE\t.5\tn\tv",
        "a.example\tFALSE\t/\tFALSE\t0\t\t",
        "\tFALSE\t/\tFALSE\t0\tn\tv", "com\tTRUE\t/\tFALSE\t0\tn\tv", ".co.uk\tTRUE\t/\tFALSE\t0\tn\tv",
        "a.example\tFALSE\t/\tFALSE\t0\t__Host-n\tv", "a.example\tFALSE\t/\tFALSE\t0\tn\tv;w",
        "a.example\tFALSE\t/\tFALSE\t0\tn\tv\0",
        "..a.example\tTRUE\t/\tFALSE\t0\tn\tv", "a..example\tFALSE\t/\tFALSE\t0\tn\tv",
        "a.example\tFALSE\t/\tFALSE\t0\ta=b\tv", "Set-Cookie: a=b", "a\rb\tFALSE\t/\tFALSE\t0\tn\tv",
    ])
    func `A line that is not a cookie`(line: String) {
        let (jar, report) = load("# first\n" + line + "\nb.example\tFALSE\t/\tFALSE\t0\tn\tv\n" + line)
        #expect(jar.cookies(now: Self.now).map(\.domain) == ["b.example"])
        #expect(report == CookieJar.LoadReport(cookies: 1, skippedLines: 2, firstSkippedLine: 2))
    }

    @Test func `Cookies whose time has ended are left out`() {
        let (jar, report) = load(
            "a.example\tFALSE\t/\tFALSE\t1699999999\tn\tv\na.example\tFALSE\t/\tFALSE\t\(Self.later)\tm\tv\n")
        #expect(jar.cookies(now: Self.now).map(\.name) == ["m"])
        #expect(report == CookieJar.LoadReport(cookies: 1, expiredCookies: 1))
    }

    @Test func `A jar comes back from its file as it was`() throws {
        let jar = jar()
        let url = CookieScope(try Origin("https://www.example.com"), target: "/a/b")
        for field in [
            "plain=1", "wide=2; Domain=example.com; Path=/", "kept=3; Max-Age=1000; Secure; HttpOnly",
            "__Host-h=4; Secure; Path=/",
            "empty=", "nameless", "quoted=\"x y\"; Path=/ü",
        ] {
            #expect(jar.set(Array(field.utf8), from: url, now: Self.now))
        }
        jar.set(Array("latin=".utf8) + [0xe9], from: url, now: Self.now)
        let file = jar.netscapeFile(includingSessionCookies: true, now: Self.now)
        #expect(file.count == 8)
        let copy = self.jar()
        #expect(copy.load(file.bytes, now: Self.now) == CookieJar.LoadReport(cookies: 8))
        #expect(copy.cookies(now: Self.now) == jar.cookies(now: Self.now))
        #expect(jar.netscapeFile(includingSessionCookies: false, now: Self.now).count == 1)
    }

    @Test func `Cookies with a tab are not written`() throws {
        let jar = jar()
        let url = CookieScope(try Origin("https://www.example.com"), target: "/")
        for field in ["a=b\tc", "a\tb=c", "c=d; Path=/x\ty", "e=f"] {
            #expect(jar.set(Array(field.utf8), from: url, now: Self.now))
        }
        let file = jar.netscapeFile(includingSessionCookies: true, now: Self.now)
        #expect(file.count == 1)
        #expect(self.jar().load(file.bytes, now: Self.now) == CookieJar.LoadReport(cookies: 1))
    }

    @Test func `Any bytes can be read`() {
        var generator = SplitMix64(seed: 3)
        let pieces = [
            "\t", "\n", "\r", "TRUE", "FALSE", "0", "/", "a.example", "#", "#HttpOnly_", "\0", "n", "\u{feff}", "1e9",
            ";",
        ]
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...60, using: &generator)
            let text = (0..<count).map { _ in pieces.randomElement(using: &generator)! }.joined()
            let report = load(text).report
            #expect((report.skippedLines == 0) == (report.firstSkippedLine == nil))
        }
    }

    // MARK: - Files

    @Test func `A jar is saved and loaded`() async throws {
        let path = try TemporaryDirectory.shared.newFolder("cookies") + "/cookies.txt"
        let jar = CookieJar()
        try jar.insert(CookieJar.Cookie("a", "b", domain: "a.example"))
        try jar.insert(CookieJar.Cookie("c", "d", domain: "a.example", expires: 4_000_000_000))
        #expect(try await jar.save(to: path) == 2)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let copy = CookieJar()
        #expect(try await copy.load(from: path) == CookieJar.LoadReport(cookies: 2))
        #expect(copy.cookies == jar.cookies)
        // An open or group-readable file becomes private.
        chmod(path, 0o644)
        #expect(try await jar.save(to: path, includingSessionCookies: false) == 1)
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(try await CookieJar().load(from: path) == CookieJar.LoadReport(cookies: 1))
    }
}
