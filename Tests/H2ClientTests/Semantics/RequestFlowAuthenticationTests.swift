import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Client

/// Credentials in a request's flow, with a handler in place of servers.
@Suite(.inTurn, .timeLimit(.minutes(2))) struct RequestFlowAuthenticationTests {
    /// The requests that the handler got: `authority path credentials`.
    private final class Log: Sendable {
        private let storage = Mutex<[String]>([])
        func add(_ request: HTTPRequest) {
            let credentials = request.headerFields[.authorization] ?? "-"
            storage.withLock { $0.append("\(request.authority ?? "") \(request.path ?? "") \(credentials)") }
        }
        var lines: [String] { storage.withLock { $0 } }
    }

    /// A client whose servers redirect `/to/URL` there, and answer anything else.
    private func client(
        _ log: Log, _ authentication: HTTPAuthentication?,
        _ change: (inout HTTPClient.Configuration) -> Void = { _ in }
    ) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.authentication = authentication
        change(&configuration)
        return HTTPClient(configuration: configuration) { request, _ in
            log.add(request)
            let path = request.path ?? "/"
            guard path.hasPrefix("/to/") else { return StreamedResponse(status: .ok, body: "here") }
            return StreamedResponse(status: .found, headerFields: [.location: String(path.dropFirst(4))])
        }
    }

    // `u:p` in base 64.
    private let basic = HTTPAuthentication.basic(user: "u", password: "p")
    private let field = "Basic dTpw"

    @Test func `A redirect to another origin gets no credentials`() async throws {
        for authentication in [basic, .bearer("t"), .bearer { HTTPAuthentication.Token("t") }] {
            let log = Log()
            let client = client(log, authentication)
            for target in ["https://b.test/x", "https://a.test:8443/x", "https://sub.a.test/x"] {
                _ = try await client.get("https://a.test/to/\(target)")
                #expect(log.lines.last?.hasSuffix("/x -") == true)
                #expect(log.lines.dropLast().last?.hasSuffix(" -") == false)
            }
        }
    }

    @Test func `A redirect within the origin, and back to it, gets them`() async throws {
        let log = Log()
        _ = try await client(log, basic).get("https://a.test/to//x")
        _ = try await client(log, basic).get("https://a.test/to/https://b.test/to/https://a.test/y")
        #expect(
            log.lines == [
                "a.test /to//x \(field)", "a.test /x \(field)",
                "a.test /to/https://b.test/to/https://a.test/y \(field)", "b.test /to/https://a.test/y -",
                "a.test /y \(field)",
            ])
    }

    @Test func `A redirect gets the credentials that are listed for its origin`() async throws {
        let log = Log()
        let list = HTTPAuthentication.origins([
            try Origin("https://a.test"): basic, try Origin("https://b.test"): .bearer("b"),
        ])
        _ = try await client(log, list).get("https://a.test/to/https://b.test/to/https://c.test/x")
        #expect(
            log.lines == [
                "a.test /to/https://b.test/to/https://c.test/x \(field)", "b.test /to/https://c.test/x Bearer b",
                "c.test /x -",
            ])
    }

    @Test func `A policy that sends credentials elsewhere sends these too`() async throws {
        let log = Log()
        let client = client(log, basic) { $0.redirects.sendsCredentialsElsewhere = true }
        _ = try await client.get("https://a.test/to/https://b.test/x")
        #expect(log.lines.last == "b.test /x \(field)")
    }

    @Test func `A request's own credentials take precedence, and can be none`() async throws {
        let log = Log()
        let client = client(log, basic)
        _ = try await client.get("https://a.test/1", options: RequestOptions(authentication: .bearer("mine")))
        _ = try await client.get("https://a.test/2", options: RequestOptions(authentication: .off))
        _ = try await client.get("https://a.test/3", headerFields: [.authorization: "own"])
        _ = try await client.get("https://x:y@a.test/4")
        _ = try await client.get("https://a.test/5")
        #expect(
            log.lines == [
                "a.test /1 Bearer mine", "a.test /2 -", "a.test /3 own", "a.test /4 Basic eDp5", "a.test /5 \(field)",
            ])
    }

    @Test func `Credentials among a client's default options are used`() async throws {
        let log = Log()
        let basic = basic
        let client = client(log, nil) { $0.requestOptions.authentication = basic }
        _ = try await client.get("https://a.test/1")
        #expect(log.lines == ["a.test /1 \(field)"])
    }

    @Test func `A file has the password of the user that the URL names`() async throws {
        let path = try TemporaryDirectory.shared.newFolder("netrc") + "/netrc"
        try writeText(
            "machine a.test login u password p\nmachine a.test login v password q\ndefault login d password e",
            to: path)
        let log = Log()
        let client = client(log, .netrc(path))
        for url in ["https://a.test/1", "https://v@a.test/2", "https://w@a.test/3", "https://v:x@a.test/4"] {
            _ = try await client.get(url)
        }
        _ = try await client.get("https://b.test/to/https://a.test/5")
        _ = try await client.get("https://a.test/to/https://b.test/6")
        #expect(
            log.lines == [
                "a.test /1 \(field)", "a.test /2 Basic djpx", "a.test /3 Basic dzo=", "a.test /4 Basic djp4",
                "b.test /to/https://a.test/5 Basic ZDpl", "a.test /5 \(field)",
                "a.test /to/https://b.test/6 \(field)", "b.test /6 -",
            ])
    }

    @Test func `Interceptors of attempts see credentials, those of requests do not`() async throws {
        let (gate, seen) = (DigestGate(), Log())
        var configuration = HTTPClient.Configuration()
        configuration.authentication = .digest(user: "ada", password: "s3cret: päss")
        configuration.interceptors = [
            HTTPClient.Interceptor { request, body, next in
                seen.add(request)
                return try await next(request, body)
            },
            HTTPClient.Interceptor(.attempt) { request, body, next in
                seen.add(request)
                return try await next(request, body)
            },
        ]
        let client = HTTPClient(configuration: configuration) { request, _ in
            StreamedResponse(gate.answer(to: request))
        }
        #expect(try await client.get("https://a.test/x").status == .ok)
        #expect(seen.lines.count == 3)
        #expect(seen.lines.prefix(2) == ["a.test /x -", "a.test /x -"])
        #expect(seen.lines.last?.hasPrefix("a.test /x Digest ") == true)
    }

    @Test func `An error of the closure that fetches tokens is thrown`() async throws {
        struct Refusal: Error {}
        let client = client(Log(), .bearer { throw Refusal() })
        await #expect(throws: Refusal.self) { _ = try await client.get("https://a.test/") }
    }

    @Test func `A closure that never returns is waited for within the request's time limit`() async throws {
        let client = client(
            Log(),
            .bearer {
                try await Task.sleep(for: .seconds(1_000))
                return HTTPAuthentication.Token("late")
            })
        let error = await #expect(throws: H2Error.self) {
            _ = try await client.get("https://a.test/", options: RequestOptions(timeout: .milliseconds(20)))
        }
        #expect(error?.code == .timeout)
    }

    @Test func `A configuration with credentials that cannot be sent is invalid`() throws {
        let origin = try Origin("https://a.test")
        for wrong in [HTTPAuthentication.basic(user: "a:b", password: "c"), .bearer("")] {
            for authentication in [wrong, .origins([origin: wrong])] {
                var configuration = HTTPClient.Configuration()
                configuration.authentication = authentication
                #expect(throws: H2Error.self) { try configuration.validate() }
            }
        }
    }
}

extension DigestGate {
    fileprivate func answer(to request: HTTPRequest) -> Answer {
        answer(
            method: request.method.rawValue, target: request.path ?? "/",
            credentials: request.headerFields[.authorization])
    }
}

extension StreamedResponse {
    fileprivate init(_ answer: DigestGate.Answer) {
        var fields = HTTPFields()
        for field in answer.fields {
            guard let name = HTTPField.Name(String(decoding: field.name, as: UTF8.self)) else { continue }
            fields.append(HTTPField(name: name, lenientValue: field.value))
        }
        self.init(status: HTTPResponse.Status(code: answer.status), headerFields: fields)
    }
}
