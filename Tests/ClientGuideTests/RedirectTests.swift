import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct RedirectTests {
    private static let routes: [String: OriginServer.Handler] = [
        "/old": { _ in .init(status: .movedPermanently, headerFields: [.location: "/new"]) },
        "/new": { _ in .init(text: "here") },
        "/account": { _ in .init(status: .found, headerFields: [.location: "https://login.example.com/"]) },
    ]

    @Test func `The response has the redirects that led to it`() async throws {
        try await Guide.run(Self.routes) { guide in
            let client = guide.client
            // example: redirects
            let page = try await client.get("https://example.com/old")
            for redirect in page.response.redirects {
                print(redirect.status.code, redirect.source, "→", redirect.target)
            }
            print(page.status.code, page.text)
            // end
            #expect(
                guide.printed == ["301 https://example.com/old → https://example.com/new", "200 here"])
        }
    }

    @Test func `A request does without redirects`() async throws {
        try await Guide.run(Self.routes) { guide in
            let client = guide.client
            // example: redirects-off
            let options = RequestOptions(redirects: .never)
            let moved = try await client.get("https://example.com/old", options: options)
            print(moved.status.code, moved.headerFields[.location] ?? "-")
            // end
            #expect(guide.printed == ["301 /new"])
        }
    }

    @Test func `A closure decides about each redirect`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: redirects-decide
            configuration.redirects = HTTPClient.RedirectPolicy(limit: 3) { redirect in
                redirect.request.authority == "example.com" ? .follow : .stop
            }
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/old")  // followed
            let login = try await client.get("https://example.com/account")  // leads elsewhere: not followed
            print(page.status.code, login.status.code, login.headerFields[.location] ?? "-")
            // end
            #expect(guide.printed == ["200 302 https://login.example.com/"])
        }
    }
}
