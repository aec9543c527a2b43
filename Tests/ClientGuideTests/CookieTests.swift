import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct CookieTests {
    private static let routes: [String: OriginServer.Handler] = [
        "/login": { _ in
            .init(status: .noContent, headerFields: [.setCookie: "session=1; Secure; HttpOnly; Max-Age=3600"])
        },
        "/account": { .init(text: $0.headerFields[.cookie] ?? "no cookie") },
    ]

    @Test func `A jar keeps cookies`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: cookies
            let jar = CookieJar()
            configuration.cookies = jar
            let client = HTTPClient(configuration: configuration)
            _ = try await client.post("https://example.com/login", body: .form(["user": "ada"]))
            _ = try await client.get("https://example.com/account")  // with the cookies that the first one set
            for cookie in try jar.cookies(for: "https://example.com/account") {
                print(cookie.name, cookie.domain, cookie.isSecure)
            }
            // end
            #expect(guide.printed == ["session example.com true"])
            #expect(guide.requests[1].headerFields[.cookie] == "session=1")
        }
    }

    @Test func `A jar is read from a file, and written to it`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            let file = "\(guide.folder)/cookies.txt"
            try writeText(
                "# Netscape HTTP Cookie File\n.example.com\tTRUE\t/\tTRUE\t2147483647\ttheme\tdark\n", to: file)
            // example: cookies-file
            let jar = CookieJar()
            try await jar.load(from: file)  // of `curl --cookie-jar`, `wget --save-cookies` or a browser's export
            try jar.insert(CookieJar.Cookie("consent", "yes", domain: "example.com"))
            configuration.cookies = jar
            let client = HTTPClient(configuration: configuration)
            _ = try await client.get("https://example.com/account")
            try await jar.save(to: file, includingSessionCookies: false)
            // end
            let sent = guide.requests[0].headerFields[.cookie]
            #expect(sent?.contains("theme=dark") == true && sent?.contains("consent=yes") == true)
            #expect(try readText(file).contains("theme") && !readText(file).contains("consent"))
        }
    }
}
