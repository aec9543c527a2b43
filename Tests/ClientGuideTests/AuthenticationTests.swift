import H2Client
import H2ClientJSON
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct AuthenticationTests {
    private let password = "open sesame"

    /// Challenges requests whose credentials do not begin with a scheme's name.
    private static func route(
        _ challenge: String, isEnough: @escaping @Sendable (String) -> Bool
    ) -> OriginServer.Handler {
        { request in
            isEnough(request.headerFields[.authorization] ?? "")
                ? .init(text: "welcome")
                : .init(status: .unauthorized, headerFields: [.wwwAuthenticate: challenge])
        }
    }

    @Test func `Credentials belong to origins`() async throws {
        let routes = [
            "/list": Self.route("Digest realm=\"files\", nonce=\"1\", qop=\"auth\", algorithm=SHA-256") {
                $0.hasPrefix("Digest username=\"ada\"")
            },
            "/me": Self.route("Bearer") { $0 == "Bearer 31d4d96e" },
        ]
        try await Guide.run(routes) { guide in
            var configuration = guide.configuration
            let token = "31d4d96e"
            // example: auth-origins
            configuration.authentication = .origins([
                try Origin("https://files.example.com"): .digest(user: "ada", password: password),
                try Origin("https://api.example.com"): .bearer(token),
            ])
            let client = HTTPClient(configuration: configuration)
            let list = try await client.get("https://files.example.com/list")  // 401, and again with the digest
            let me = try await client.get("https://api.example.com/me")
            print(list.status.code, me.status.code)
            // end
            #expect(guide.printed == ["200 200"])
        }
    }

    @Test func `A closure fetches bearer tokens`() async throws {
        let count = Mutex(0)
        let routes: [String: OriginServer.Handler] = [
            "/token": { _ in
                let number = count.withLock { count in
                    count += 1
                    return count
                }
                return .init(text: "{\"token\": \"t\(number)\", \"lifetime\": 3600}")
            },
            // The first token has been revoked.
            "/orders": Self.route("Bearer error=\"invalid_token\"") { $0 == "Bearer t2" },
        ]
        try await Guide.run(routes) { guide in
            var configuration = guide.configuration
            let login = guide.client
            // example: auth-bearer
            struct Grant: Decodable { var token: String, lifetime: Int }
            configuration.authentication = .origins([
                try Origin("https://api.example.com"): .bearer {
                    let form = HTTPRequestBody.form(["grant_type": "client_credentials", "client_id": "catalog"])
                    let grant: Grant = try await login.post("https://login.example.com/token", body: form).json()
                    return HTTPAuthentication.Token(grant.token, expiresIn: .seconds(grant.lifetime - 30))
                }
            ])
            let client = HTTPClient(configuration: configuration)
            let orders = try await client.get("https://api.example.com/orders")
            // end
            #expect(orders.status == .ok)
            #expect(guide.requests.count == 4)
        }
    }

    @Test func `A request has credentials of its own`() async throws {
        try await Guide.run(["/report": Self.route("Basic realm=\"r\"") { $0.hasPrefix("Basic ") }]) { guide in
            let client = guide.client
            // example: auth-request
            let options = RequestOptions(authentication: .basic(user: "ada", password: password))
            let report = try await client.get("https://example.com/report", options: options)
            let same = try await client.get("https://ada:open%20sesame@example.com/report")
            let refused = try await client.get("https://example.com/report")  // 401 is a response like others
            print(report.status.code, same.status.code, refused.status.code)
            // end
            #expect(guide.printed == ["200 200 401"])
        }
    }

    @Test func `A netrc file has the passwords`() async throws {
        try await Guide.run(["/report": Self.route("Basic realm=\"r\"") { $0.hasPrefix("Basic ") }]) { guide in
            var configuration = guide.configuration
            let file = "\(guide.folder)/netrc"
            try writeText("machine example.com login ada password secret\n", to: file)
            // example: auth-netrc
            configuration.authentication = .netrc(file)  // .netrc() reads the file of $NETRC, or ~/.netrc
            let client = HTTPClient(configuration: configuration)
            let report = try await client.get("https://example.com/report")
            // end
            #expect(report.status == .ok)
        }
    }
}
