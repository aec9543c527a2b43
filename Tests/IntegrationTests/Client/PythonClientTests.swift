import H2Client
import H2TestSupport
import HTTPTypes
import Testing

extension RealServers {
    /// The client against a Flask application.
    @Suite(.timeLimit(.minutes(5)))
    struct PythonClientTests {
        /// A way to reach the application.
        struct Way: Sendable, CustomTestStringConvertible {
            var server: RealServer
            var scheme: Origin.Scheme
            var version: HTTPProtocolVersion
            var testDescription: String { "\(server.name), \(scheme), \(version.rawValue)" }

            static let all = [
                Way(server: .gunicorn, scheme: .https, version: .http1),
                Way(server: .gunicorn, scheme: .http, version: .http1),
                Way(server: .hypercorn, scheme: .https, version: .http2),
                Way(server: .hypercorn, scheme: .http, version: .http1),
            ]

            func run(
                _ retry: HTTPClient.RetryPolicy = .init(),
                _ body: @Sendable (HTTPClient, Origin) async throws -> Void
            ) async throws {
                try await server.run { running in
                    let origin = scheme == .https ? try running.origin : try running.http1CleartextOrigin
                    try await withClient(of: running, { $0.retry = retry }) { try await body($0, origin) }
                }
            }
        }

        @Test(arguments: Way.all)
        func `A client gets and posts bytes, files, streams and JSON`(_ way: Way) async throws {
            try await way.run { client, origin in
                let got = try await client.get("\(origin)/bytes/100000")
                #expect(got.body == PythonApplication.bytes(100_000))
                #expect(got.response.version == way.version)

                let bytes = PythonApplication.bytes(20_000)
                let echoed = try await client.post("\(origin)/echo", body: .bytes(bytes))
                #expect(echoed.body == bytes)

                let site = try StaticSite.shared
                let file = try await client.send(
                    HTTPRequest(.post, url: "\(origin)/echo"), body: .file("\(site.folder)/\(site.hundredKiB.name)"))
                #expect(try await file.hashed() == (site.hundredKiB.size, site.hundredKiB.sha256))

                // Without a length, so chunked over HTTP/1.1, where the server takes that: hypercorn's WSGI does not.
                let length = way.server.name == "hypercorn" ? bytes.count : nil
                let streamed = HTTPRequestBody.writer(length: length) { writer in
                    for start in stride(from: 0, to: bytes.count, by: 1_500) {
                        try await writer.write(Array(bytes[start..<min(start + 1_500, bytes.count)]))
                    }
                }
                #expect(try await client.post("\(origin)/echo", body: streamed).body == bytes)

                let json = try await client.post(
                    "\(origin)/json", body: .bytes(Array(#"{"name": "ü", "list": [1, 2]}"#.utf8)),
                    headerFields: [.contentType: "application/json"])
                #expect(json.headerFields[.contentType] == "application/json")
                #expect(json.text.contains(#""method":"POST""#), "\(json.text)")
                #expect(json.text.contains(#""list":[1,2]"#), "\(json.text)")
                #expect(try await client.get("\(origin)/status/404").status == .notFound)
                #expect(await client.statistics().connectionsOpened == 1)
            }
        }

        @Test(arguments: Way.all)
        func `A client uses connections again, one after another and at once`(_ way: Way) async throws {
            try await way.run { client, origin in
                var ports: Set<String> = []
                for _ in 0..<10 { ports.insert(try await client.get("\(origin)/connection").text) }
                #expect(ports.count == 1)
                let texts = try await withThrowingTaskGroup(of: String.self) { group in
                    for _ in 0..<60 { group.addTask { try await client.get("\(origin)/connection").text } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                ports.formUnion(texts)
                #expect(ports.count == (way.version == .http2 ? 1 : min(ports.count, 8)))
                let statistics = await client.statistics()
                #expect(statistics.connectionsOpened == ports.count)
                #expect(statistics.requestsOnReusedConnections == 70 - ports.count)
            }
        }

        @Test(arguments: [Way.all[1], Way.all[2]])
        func `A client sends again what was refused with 503, after the time that Retry-After says`(
            _ way: Way
        ) async throws {
            var retry = HTTPClient.RetryPolicy.withStatuses
            retry.maximumAttempts = 2
            try await way.run(retry) { client, origin in
                let start = ContinuousClock.now
                let refused = try await client.get("\(origin)/status/503?retry-after=1")
                #expect(ContinuousClock.now - start >= .seconds(1))
                #expect(refused.status == .serviceUnavailable)
                #expect(refused.response.failedAttempts.map(\.status) == [.serviceUnavailable])
                #expect(refused.response.failedAttempts.allSatisfy { $0.error == nil && $0.wait >= .seconds(1) })
                // A wait that is longer than the policy's is the caller's business, and so is a POST.
                let later = try await client.get("\(origin)/status/503?retry-after=60")
                #expect(later.response.failedAttempts.isEmpty)
                let posted = try await client.post("\(origin)/status/503", body: .empty)
                #expect(posted.status == .serviceUnavailable)
                #expect(posted.response.failedAttempts.isEmpty)
                let statistics = await client.statistics()
                #expect(statistics.retries == 1)
                #expect(statistics.connectionsOpened == 1)
            }
        }
    }
}
