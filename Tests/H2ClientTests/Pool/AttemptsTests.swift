import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Requests of a client that are sent more than once over HTTP/2, to hand-written frames.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct AttemptsTests {
    private let headers: UInt8 = 1
    private let data: UInt8 = 0

    private func withClient<R>(
        _ change: (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: nonisolated(nonsending) (HTTPClient) async throws -> R
    ) async throws -> R {
        var configuration = HTTPClient.Configuration()
        configuration.versions = .http2PriorKnowledge
        // The server's thread may get its turn late where all tests begin at once.
        configuration.connection.timeouts.settings = .seconds(300)
        // It answers on one connection: no second one is dialled where the first is slow.
        configuration.pool.connections = 1
        change(&configuration)
        return try await withHTTPClient(configuration: configuration, body)
    }

    /// In memory, from a writer that may be called again, from one that may not: it was not called.
    @Test(arguments: 0..<3) func `417 is answered by one repeat without Expect, on the same connection`(
        _ kind: Int
    ) async throws {
        let server = try PuppetServer()
        let seen = Mailbox<[[UInt8]]>()
        server.play { [headers, data] server in
            guard let first = server.next(headers) else { return seen.put([]) }
            server.head(first.stream, "417", ends: true)
            guard let second = server.next(headers), let body = server.next(data) else { return seen.put([]) }
            seen.put([first.payload, second.payload, body.payload])
            server.head(second.stream, ends: true)
            while server.next() != nil {}
        }
        try await withClient { client in
            var options = RequestOptions()
            options.expectContinue = .seconds(60)
            let bytes = Array("a body".utf8)
            let body =
                kind == 0
                ? HTTPRequestBody.bytes(bytes)
                : .writer(length: 6, isReplayable: kind == 1) { try await $0.write(bytes) }
            let whole = try await client.post("http://127.0.0.1:\(server.port)/", body: body, options: options)
            #expect(whole.status == .ok)
            #expect(whole.response.failedAttempts.map(\.status) == [.expectationFailed])
            #expect(await client.statistics().connectionsOpened == 1)
        }
        let frames = try #require(await seen.take())
        try #require(frames.count == 3)
        #expect(frames[2] == Array("a body".utf8))
        // The repeat's fields are shorter by this one.
        #expect(frames[1].count < frames[0].count)
    }

    @Test func `A second 417 is the answer`() async throws {
        let server = try PuppetServer()
        server.play { [headers] server in
            while let head = server.next(headers) { server.head(head.stream, "417", ends: true) }
        }
        try await withClient { client in
            var options = RequestOptions()
            options.expectContinue = .seconds(60)
            let whole = try await client.post(
                "http://127.0.0.1:\(server.port)/", body: .string("a body"), options: options)
            #expect(whole.status == .expectationFailed)
            #expect(whole.response.failedAttempts.count == 1)
        }
    }

    @Test func `A body that was not asked for ends with the handler of the response`() async throws {
        let server = try PuppetServer()
        server.play { [headers] server in
            guard let first = server.next(headers) else { return }
            server.head(first.stream)
            while server.next() != nil {}
        }
        try await withClient { client in
            var options = RequestOptions()
            options.expectContinue = .seconds(200)
            let start = ContinuousClock.now
            let request = try HTTPRequest(.post, url: "http://127.0.0.1:\(server.port)/")
            // Kept, so that it does not end by itself.
            let response = try await client.send(
                request, body: .writer { _ in Issue.record("the writer was called") }, options: options,
                handlingResponse: { $0 })
            #expect(response.status == .ok)
            #expect(ContinuousClock.now - start < .seconds(100))
        }
    }

    @Test func `A response that is not wanted and drips holds up nothing, and is reset`() async throws {
        let server = try PuppetServer()
        let seen = Mailbox<Bool>()
        server.play { [headers] server in
            guard let first = server.next(headers) else { return }
            server.head(first.stream, "503")
            guard let second = server.next(headers) else { return }
            server.head(second.stream, ends: true)
            while let frame = server.next(), frame.type != 3 || frame.stream != first.stream {}
            seen.put(true)
        }
        try await withClient({ $0.retry = .withStatuses }) { client in
            let whole = try await client.get("http://127.0.0.1:\(server.port)/")
            #expect(whole.status == .ok)
            #expect(whole.response.failedAttempts.map(\.status) == [.serviceUnavailable])
            #expect(await seen.take() == true)
        }
    }
}
