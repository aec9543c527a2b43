import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// What a client makes of HTTP/1.1 servers that end connections where they should not, and of one that wants HTTP/1.1.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ScriptedServerClientTests {
    typealias Server = ScriptedHTTP1Server
    typealias Script = @Sendable (Server.Request) -> [Server.Step]

    /// Answers the first request of each connection, and ends the first connection on its second.
    private static func ends(_ ending: Server.Step) -> Script {
        { $0.connection == 0 && $0.number == 1 ? [ending] : [.respond()] }
    }

    @Test(arguments: [HTTPRequest.Method.get, .put, .delete], [false, true])
    func `An idempotent request on a kept connection that ends before the first byte is sent again, once`(
        _ method: HTTPRequest.Method, _ isReset: Bool
    ) async throws {
        try await Server.run(script: Self.ends(isReset ? .reset : .close)) { server in
            try await withHTTPClient { client in
                let first = try await client.get("\(server.origin)/")
                #expect(first.response.failedAttempts.isEmpty)
                let body = method == .put ? HTTPRequestBody.bytes(Array("a body".utf8)) : .empty
                let second = try await client.collect(HTTPRequest(method, url: "\(server.origin)/two"), body: body)
                #expect(second.text == "abc")
                #expect(second.response.connectionID != first.response.connectionID)
                let attempt = try #require(second.response.failedAttempts.first)
                #expect(second.response.failedAttempts.count == 1)
                #expect(attempt.connectionID == first.response.connectionID)
                #expect(attempt.error?.code == .connectionClosed)
                #expect(attempt.status == nil)
                #expect(server.connections.map(\.requests.count) == [2, 1])
                #expect(server.connections[1].requests.first?.target == "/two")
                if method == .put { #expect(server.connections[1].requests.first?.bodyText == "a body") }
                #expect(await client.statistics().retries == 1)
            }
        }
    }

    @Test
    func `No request is lost on a server that closes each connection instead of its second answer`() async throws {
        try await Server.run(script: { $0.number == 0 ? [.respond()] : [.close] }) { server in
            var configuration = HTTPClient.Configuration()
            configuration.retry.minimumRetriesPerSecond = 10_000
            try await withHTTPClient(configuration: configuration) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<20 {
                        group.addTask {
                            for _ in 0..<20 {
                                let text = try await client.get("\(server.origin)/").text
                                #expect(text == "abc")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let retries = await client.statistics().retries
                #expect(retries > 0)
            }
        }
    }

    @Test
    func `What may have been processed is not sent again, and says so`() async throws {
        try await Server.run(script: Self.ends(.close)) { server in
            try await withHTTPClient { client in
                _ = try await client.get("\(server.origin)/")
                let error = try await h2Error {
                    try await client.post("\(server.origin)/", body: .bytes(Array("pay".utf8)))
                }
                #expect(error.code == .connectionClosed, "\(error)")
                #expect(error.initiator == .remote)
                #expect(!error.isRetryable)
                #expect(!error.message.isEmpty)
                #expect(server.requests.map(\.method) == ["GET", "POST"])
                #expect(await client.statistics().retries == 0)
                // The client goes on.
                #expect(try await client.get("\(server.origin)/").text == "abc")
            }
        }
    }

    @Test
    func `A body that cannot be written twice is not sent again`() async throws {
        try await Server.run(script: Self.ends(.close)) { server in
            try await withHTTPClient { client in
                _ = try await client.get("\(server.origin)/")
                let body = HTTPRequestBody.writer(length: 3) { try await $0.write(Array("abc".utf8)) }
                let error = try await h2Error { try await client.put("\(server.origin)/", body: body) }
                #expect(error.code == .connectionClosed, "\(error)")
                #expect(server.requests.map(\.method) == ["GET", "PUT"])
                let again = HTTPRequestBody.writer(length: 3, isReplayable: true) {
                    try await $0.write(Array("abc".utf8))
                }
                #expect(try await client.put("\(server.origin)/", body: again).text == "abc")
            }
        }
    }

    @Test
    func `A new connection that ends on its first request is an error`() async throws {
        try await Server.run(script: { _ in [.close] }) { server in
            try await withHTTPClient { client in
                let error = try await h2Error { try await client.get("\(server.origin)/") }
                #expect(error.code == .connectionClosed, "\(error)")
                #expect(server.requests.count == 1)
            }
        }
    }

    @Test(arguments: [
        "Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ])
    func `An end within the body is an error, on a kept connection too`(_ rest: String) async throws {
        let script: Script = { $0.number == 0 ? [.respond()] : [.send("HTTP/1.1 200 OK\r\n\(rest)"), .close] }
        try await Server.run(script: script) { server in
            try await withHTTPClient { client in
                _ = try await client.get("\(server.origin)/")
                let error = try await h2Error { try await client.get("\(server.origin)/") }
                #expect([.connectionClosed, .protocolViolation].contains(error.code), "\(error)")
                #expect(server.requests.count == 2)
                #expect(await client.statistics().retries == 0)
                try await eventually("it is gone") { await client.open == 0 }
            }
        }
    }

    // MARK: - Keep-Alive

    @Test
    func `No connection is given more requests than Keep-Alive allows`() async throws {
        let script: Script = { [.respond("200 OK", ["Keep-Alive: timeout=30, max=\(2 - $0.number)"])] }
        try await Server.run(script: script) { server in
            try await withHTTPClient { client in
                for _ in 0..<7 { #expect(try await client.get("\(server.origin)/").text == "abc") }
                #expect(server.connections.map(\.requests.count) == [3, 3, 1])
                try await eventually("those that served all are closed") { await client.open == 1 }
                #expect(await client.statistics().retries == 0)
            }
        }
    }

    @Test
    func `A connection is closed before the time that Keep-Alive announces is over`() async throws {
        try await Server.run(script: { _ in [.respond("200 OK", ["Keep-Alive: timeout=1"])] }) { server in
            try await withHTTPClient { client in
                let start = ContinuousClock.now
                _ = try await client.get("\(server.origin)/")
                // 60 s by the client's own rule.
                try await eventually("the client closes it") { server.connections.first?.end == .byClient }
                #expect(ContinuousClock.now - start < .seconds(55))
                #expect(ContinuousClock.now - start >= .milliseconds(200))
            }
        }
    }

    @Test
    func `A connection that says close is not used again`() async throws {
        let script: Script = { _ in [.respond("200 OK", ["Connection: close"]), .wait(.seconds(30))] }
        try await Server.run(script: script) { server in
            try await withHTTPClient { client in
                for _ in 0..<3 { _ = try await client.get("\(server.origin)/") }
                #expect(server.connections.map(\.requests.count) == [1, 1, 1])
                try await eventually("the client closes them") { await client.open == 0 }
            }
        }
    }

    @Test
    func `Bytes that nobody asked for end an idle connection`() async throws {
        try await Server.run(script: { _ in [.respond()] }) { server in
            try await withHTTPClient { client in
                _ = try await client.get("\(server.origin)/")
                server.sendToAll("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
                try await eventually("the client closes it") { await client.open == 0 }
                let next = try await client.get("\(server.origin)/")
                #expect(next.text == "abc")
                #expect(next.response.failedAttempts.isEmpty)
            }
        }
    }

    // MARK: - HTTP_1_1_REQUIRED

    /// An empty SETTINGS frame, its acknowledgement, and GOAWAY (0, HTTP_1_1_REQUIRED).
    private static let wantsHTTP1: [UInt8] =
        [0, 0, 0, 4, 0, 0, 0, 0, 0] + [0, 0, 0, 4, 1, 0, 0, 0, 0]
        + [0, 0, 8, 7, 0, 0, 0, 0, 0] + [0, 0, 0, 0] + [0, 0, 0, 13]

    @Test(arguments: [HTTPRequest.Method.get, .post])
    func `A server that wants HTTP 1.1 gets it, and that is remembered`(_ method: HTTPRequest.Method) async throws {
        let greeting: @Sendable (Int) -> [Server.Step] = {
            $0 == 0 ? [.send(Self.wantsHTTP1), .wait(.seconds(30))] : []
        }
        try await Server.run(greeting: greeting, script: { _ in [.respond()] }) { server in
            var configuration = HTTPClient.Configuration()
            configuration.versions = .http2PriorKnowledge
            try await withHTTPClient(configuration: configuration) { client in
                let first = try await client.collect(HTTPRequest(method, url: "\(server.origin)/"))
                #expect(first.text == "abc")
                #expect(first.response.version == .http1)
                #expect(first.response.failedAttempts.count == 1)
                #expect(first.response.failedAttempts.first?.error?.http2Code == .http11Required)
                let second = try await client.get("\(server.origin)/")
                #expect(second.response.connectionID == first.response.connectionID)
                try await client.closeAllIdle()
                let third = try await client.get("\(server.origin)/")
                #expect(third.response.version == .http1)
                #expect(third.response.failedAttempts.isEmpty)
                #expect(server.connections.map(\.requests.count) == [0, 2, 1])
            }
        }
    }

    @Test
    func `A reset with HTTP_1_1_REQUIRED is followed by one attempt over HTTP 1.1`() async throws {
        try await withOriginAndClient { client, server in
            #expect(try await client.get("\(server.url)/bytes/3").response.version == .http2)
            // Over HTTP/1.1 the origin answers this by closing.
            let error = try await h2Error { try await client.get("\(server.url)/reset/13") }
            #expect(error.code == .connectionClosed, "\(error)")
            #expect(server.statistics.http2Requests == 2)
            #expect(server.statistics.http1Requests == 1)
            let after = try await client.get("\(server.url)/bytes/3")
            #expect(after.response.version == .http1)
            #expect(server.statistics.http2Connections == 1)
            #expect(await client.statistics().origins.map(\.version) == [.http1])
        }
    }

    @Test
    func `A client of HTTP 2 alone says why it cannot serve a server that wants HTTP 1.1`() async throws {
        try await withOriginAndClient(.init(), { $0.versions = .http2Only }) { client, server in
            let error = try await h2Error { try await client.get("\(server.url)/reset/13") }
            #expect([.http2NotNegotiated, .streamReset].contains(error.code), "\(error)")
            #expect(!error.remedy.isEmpty)
            #expect(server.statistics.connectionsAccepted == 1)
            #expect(try await client.get("\(server.url)/bytes/3").response.version == .http2)
        }
    }
}
