import H2Client
import H2ClientTesting
import H2Platform
import HTTPTypes
import H2TestSupport
import Testing

/// A server as a user's tests start and configure it, through the public API.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ScopedServerTests {
    private static let versions: [OriginServer.Versions] = [.both, .http2, .http1]

    /// A server and a client that trusts it.
    private func with(
        _ configuration: OriginServer.Configuration = OriginServer.Configuration(),
        _ body: (HTTPClient, OriginServer) async throws -> Void
    ) async throws {
        try await OriginServer.withServer(configuration) { server in
            try await withHTTPClient(configuration: server.clientConfiguration()) { try await body($0, server) }
        }
    }

    // MARK: - Scope

    @Test func `It stops with its scope`() async throws {
        let url = try await OriginServer.withServer { server in
            #expect(server.url == "\(server.origin)")
            return server.url
        }
        var configuration = HTTPClient.Configuration()
        configuration.connection.tls.verifiesPeer = false
        try await withHTTPClient(configuration: configuration) { client in
            let error = await #expect(throws: H2Error.self) { _ = try await client.get(url) }
            #expect(error?.code == .connectFailed)
        }
    }

    @Test func `An error of the scope stops it too, and is thrown`() async throws {
        struct Expected: Error {}
        nonisolated(unsafe) var kept: OriginServer?
        await #expect(throws: Expected.self) {
            try await OriginServer.withServer { server in
                kept = server
                throw Expected()
            }
        }
        let server = try #require(kept)
        let again = try OriginServer.start(.init(port: server.port))
        await again.stop()
    }

    @Test func `Several servers can share a loop`() async throws {
        let loop = H2EventLoop()
        defer { loop.shutdown() }
        try await OriginServer.withServer(on: loop) { first in
            try await OriginServer.withServer(on: loop) { second in
                #expect(first.port != second.port)
                try await withHTTPClient(configuration: second.clientConfiguration()) { client in
                    let bytes = try await client.get("\(second.url)/bytes/3")
                    #expect(bytes.body == [0, 1, 2])
                }
            }
            try await withHTTPClient(configuration: first.clientConfiguration()) { client in
                let bytes = try await client.get("\(first.url)/bytes/3")
                #expect(bytes.body == [0, 1, 2])
            }
        }
    }

    // MARK: - Clients

    @Test(arguments: versions, [true, false])
    func `A client's configuration fits the server`(versions: OriginServer.Versions, isSecure: Bool) async throws {
        var configuration = OriginServer.Configuration(versions: versions)
        if !isSecure { configuration.security = .cleartext }
        try await with(configuration) { client, server in
            let answer = try await client.get("\(server.url)/bytes/3")
            let isHTTP2: Bool =
                switch versions {
                case .http2: true
                case .both: isSecure
                default: false
                }
            #expect(answer.version == (isHTTP2 ? .http2 : .http1))
        }
    }

    @Test func `A connection of one's own can use it`() async throws {
        try await OriginServer.withServer { server in
            let configuration = server.clientConfiguration().connection
            try await HTTP2Connection.withConnection(to: server.origin, configuration: configuration) { connection in
                let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/status/503")
                let response = try await connection.send(request)
                #expect(response.status == .serviceUnavailable)
                try await response.body.discard()
            }
        }
    }

    // MARK: - Routes of one's own

    @Test(arguments: versions)
    func `A route gets the whole request`(versions: OriginServer.Versions) async throws {
        var configuration = OriginServer.Configuration(versions: versions)
        configuration.routes["/orders"] = { request in
            .init(
                status: .created,
                headerFields: [
                    .contentType: request.headerFields[.contentType] ?? "none",
                    .location: "\(request.method) \(request.path) \(request.query ?? "-")",
                    .server: "\(request.version.rawValue) \(request.authority ?? "-") \(request.headerFields.count)",
                ], body: request.body.reversed())
        }
        try await with(configuration) { client, server in
            let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0) }
            let answer = try await client.post(
                "\(server.url)/orders?a=b%20c", body: .bytes(body), headerFields: [.contentType: "x/y"])
            #expect(answer.status == .created && answer.body == body.reversed())
            #expect(answer.headerFields[.contentType] == "x/y")
            #expect(answer.headerFields[.location] == "POST /orders a=b%20c")
            #expect(answer.headerFields[.contentLength] == "3000000")
            let server = try #require(answer.headerFields[.server])
            #expect(server.hasPrefix("\(answer.version.rawValue) 127.0.0.1:"), "\(server)")
            #expect(!answer.headerFields.contains { $0.name.canonicalName.hasPrefix(":") })
        }
    }

    @Test(arguments: [OriginServer.Versions.http2, .http1])
    func `Trailers go both ways`(versions: OriginServer.Versions) async throws {
        let name = try #require(HTTPField.Name("x-checksum"))
        var configuration = OriginServer.Configuration(versions: versions)
        configuration.routes["/"] = { .init(body: $0.body, trailerFields: $0.trailerFields) }
        try await with(configuration) { client, server in
            let answer = try await client.post(
                "\(server.url)/", body: .bytes([1, 2, 3], trailers: [name: "6"]))
            #expect(answer.body == [1, 2, 3])
            #expect(await answer.response.trailerFields() == [name: "6"])
        }
    }

    @Test func `The longest path wins, and others are answered as ever`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.routes["/orders"] = { _ in .init(text: "all") }
        configuration.routes["/orders/"] = { .init(text: "below \($0.path)") }
        configuration.routes["/orders/17"] = { _ in .init(text: "seventeen") }
        configuration.routes["/status/200"] = { _ in .init(text: "ours") }
        try await with(configuration) { client, server in
            for (path, text) in [
                ("/orders", "all"), ("/orders?x", "all"), ("/orders/", "below /orders/"),
                ("/orders/18/a", "below /orders/18/a"), ("/orders/17", "seventeen"), ("/status/200", "ours"),
                ("/status/201", "status 201\n"), ("/orderly", "not found\n"),
            ] {
                let answer = try await client.get("\(server.url)\(path)")
                #expect(answer.text == text)
            }
        }
    }

    @Test(arguments: [OriginServer.Versions.http2, .http1])
    func `Responses without content are sent without`(versions: OriginServer.Versions) async throws {
        var configuration = OriginServer.Configuration(versions: versions)
        configuration.routes["/none"] = { _ in
            .init(status: .noContent, body: [1], trailerFields: [HTTPField.Name("x-sum")!: "1"])
        }
        configuration.routes["/long"] = { _ in .init(headerFields: [.contentLength: "99"], body: [1]) }
        configuration.routes["/framing"] = { _ in .init(headerFields: [.transferEncoding: "chunked"], body: [1]) }
        configuration.routes["/empty"] = { _ in .init() }
        configuration.routes["/early"] = { _ in .init(status: .earlyHints) }
        try await with(configuration) { client, server in
            let none = try await client.get("\(server.url)/none")
            #expect(none.status == .noContent && none.body.isEmpty && none.headerFields[.contentLength] == nil)
            let empty = try await client.get("\(server.url)/empty")
            #expect(empty.status == .ok && empty.headerFields[.contentLength] == "0")
            let head = try await client.send(.head, "\(server.url)/empty")
            #expect(head.status == .ok)
            let early = try await client.get("\(server.url)/early")
            #expect(early.status == .internalServerError)
            let long = try await client.get("\(server.url)/long")
            #expect(long.status == .internalServerError && long.text.contains("content-length is 99"))
            let framing = try await client.get("\(server.url)/framing")
            #expect(framing.status == .internalServerError && framing.text.contains("Transfer-Encoding"))
        }
    }

    @Test func `A delayed response is late, and others are not`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.routes["/slow"] = { _ in .init(delay: .milliseconds(100)) }
        try await with(configuration) { client, server in
            let start = ContinuousClock.now
            _ = try await client.get("\(server.url)/slow")
            #expect(ContinuousClock.now - start >= .milliseconds(100))
            let options = RequestOptions(timeout: .milliseconds(1))
            let error = await #expect(throws: H2Error.self) {
                _ = try await client.get("\(server.url)/slow", options: options)
            }
            #expect(error?.code == .timeout)
        }
    }

    // MARK: - Faults

    @Test(arguments: [OriginServer.Versions.http2, .http1], [0, 5, 10, 100])
    func `A response breaks off where its fault says`(versions: OriginServer.Versions, after: Int) async throws {
        let text = Array("0123456789".utf8)
        var configuration = OriginServer.Configuration(versions: versions)
        configuration.routes["/reset"] = { _ in
            .init(body: text, fault: .reset(.enhanceYourCalm, afterBytes: after))
        }
        configuration.routes["/close"] = { _ in .init(body: text, fault: .close(afterBytes: after)) }
        configuration.routes["/bare"] = { _ in .init(fault: .reset(.internalError, afterBytes: after)) }
        try await with(configuration) { client, server in
            for path in ["reset", "close"] {
                let response = try await client.send(.get, "\(server.url)/\(path)")
                var count = 0
                do {
                    for try await chunk in response.body { count += chunk.count }
                    Issue.record("/\(path) did not break off")
                } catch let error as H2Error {
                    #expect(error.initiator == .remote)
                    if path == "reset", versions == .http2 { #expect(error.http2Code == .enhanceYourCalm) }
                }
                // A reader that waits when bytes and failure arrive together gets the failure.
                #expect(count == min(after, 10) || count == 0)
            }
            let error = await #expect(throws: H2Error.self) { _ = try await client.get("\(server.url)/bare") }
            #expect(error?.http2Code == (versions == .http2 ? .internalError : nil))
        }
    }

    @Test func `A response stalls where its fault says`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.routes["/stall"] = { _ in .init(body: [1, 2, 3], fault: .stall(afterBytes: 2)) }
        try await with(configuration) { client, server in
            let options = RequestOptions(bodyProgressTimeout: .milliseconds(50))
            let response = try await client.send(.get, "\(server.url)/stall", options: options)
            var bytes: [UInt8] = []
            let error = await #expect(throws: H2Error.self) { for try await chunk in response.body { bytes += chunk } }
            #expect(bytes == [1, 2] && error?.code == .timeout)
        }
    }

    @Test func `Faults of the connection meet routes of one's own too`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.faults.refuseEvery = 2
        configuration.routes["/ours"] = { _ in .init() }
        try await with(configuration) { client, server in
            let first = try await client.get("\(server.url)/ours")
            #expect(first.response.failedAttempts.isEmpty)
            let second = try await client.get("\(server.url)/ours")
            #expect(second.response.failedAttempts.count == 1)
        }
    }

    @Test func `A body over what the server holds is refused`() async throws {
        var configuration = OriginServer.Configuration(versions: .http2)
        configuration.limits.heldBytes = 100_000
        configuration.routes["/"] = { .init(body: $0.body) }
        try await with(configuration) { client, server in
            let error = await #expect(throws: H2Error.self) {
                _ = try await client.post("\(server.url)/", body: .bytes([UInt8](repeating: 1, count: 200_000)))
            }
            #expect(error?.http2Code == .enhanceYourCalm)
            let small = try await client.post("\(server.url)/", body: .bytes([1]))
            #expect(small.body == [1])
        }
    }
}
