import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct TimeLimitTests {
    private static let routes: [String: OriginServer.Handler] = ["/new": { _ in .init(text: "here") }]

    @Test func `A client has time limits for all requests`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: time-limits
            configuration.requestOptions.timeout = .seconds(60)  // from the call to the last byte; default none
            configuration.requestOptions.firstByteTimeout = .seconds(20)  // default 60 s
            configuration.connection.timeouts.connect = .seconds(5)  // default 10 s
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/new")
            let unhurried = RequestOptions(timeout: RequestOptions.unlimited)
            let export = try await client.get("https://example.com/bytes/1000", options: unhurried)
            // end
            #expect(page.status == .ok && export.body.count == 1_000)
        }
    }

    @Test func `Several requests share a deadline`() async throws {
        try await Guide.run(Self.routes) { guide in
            let client = guide.client
            // example: deadline
            let options = RequestOptions(deadline: .now + .milliseconds(500))
            do {
                _ = try await client.get("https://example.com/new", options: options)
                _ = try await client.get("https://example.com/stall", options: options)  // gets what time is left
            } catch let error as H2Error where error.code == .timeout {
                print(error)
            }
            // end
            #expect(guide.printed.count == 1)
        }
    }
}
