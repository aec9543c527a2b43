import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct StrictTransportTests {
    @Test func `An http URL of a known host is sent over TLS`() async throws {
        let routes: [String: OriginServer.Handler] = [
            "/": { _ in
                .init(headerFields: [.strictTransportSecurity: "max-age=31536000"], body: Array("hello".utf8))
            }
        ]
        try await Guide.run(routes) { guide in
            var configuration = guide.configuration
            let file = "\(guide.folder)/hsts.txt"
            try writeText("# hosts\n", to: file)
            // example: hsts
            let store = StrictTransportStore()
            try await store.load(from: file)  // that of `curl --hsts`, too
            if let host = StrictTransportStore.Host("example.com", includesSubdomains: true) { store.insert(host) }
            configuration.strictTransport = store
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("http://www.example.com/")  // is sent to https://www.example.com/
            try await store.save(to: file)
            // end
            #expect(page.response.connectionInfo.tlsVersion != nil)
            #expect(try readText(file).contains("www.example.com"))
        }
    }
}
