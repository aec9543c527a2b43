import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

/// What a request's limits bound, and when each figure begins, also where it is sent more than once.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct RequestTimeTests {
    typealias Server = ScriptedHTTP1Server

    private static func client(
        _ change: (inout HTTPClient.Configuration) -> Void = { _ in }
    ) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.retry = .withStatuses
        change(&configuration)
        return configuration
    }

    private static func options(_ change: (inout RequestOptions) -> Void) -> RequestOptions {
        var options = RequestOptions()
        change(&options)
        return options
    }

    // MARK: - Limits

    @Test
    func `A wait before a retry that does not fit into the time limit is not begun: the answer is returned at once`()
        async throws
    {
        try await Server.run(script: { _ in [.respond("503 Busy", ["Retry-After: 60"])] }) { server in
            try await withHTTPClient(configuration: Self.client { $0.retry.maximumRetryAfter = .seconds(600) }) {
                client in
                let start = ContinuousClock.now
                let whole = try await client.get(
                    "\(server.origin)/", options: Self.options { $0.timeout = .seconds(50) })
                #expect(whole.status == .serviceUnavailable)
                #expect(whole.text == "abc")
                #expect(ContinuousClock.now - start < .seconds(40))
                #expect(server.requests.count == 1)
                #expect(await client.statistics().retries == 0)
            }
        }
    }

    @Test
    func `A backoff that does not fit into the time limit is not begun: the error is thrown at once`() async throws {
        // The first connection serves one request, so that the next is one that may be sent again.
        let script: @Sendable (Server.Request) -> [Server.Step] = { $0.number == 0 ? [.respond()] : [.reset] }
        try await Server.run(script: { $0.connection == 0 ? script($0) : [.reset] }) { server in
            let configuration = Self.client {
                ($0.retry.backoff, $0.retry.maximumBackoff, $0.retry.jitter) = (.seconds(60), .seconds(60), 0)
            }
            try await withHTTPClient(configuration: configuration) { client in
                _ = try await client.get("\(server.origin)/")
                let start = ContinuousClock.now
                let error = try await h2Error {
                    try await client.get("\(server.origin)/", options: Self.options { $0.timeout = .seconds(50) })
                }
                #expect(error.code == .connectionClosed, "\(error)")
                #expect(ContinuousClock.now - start < .seconds(40))
            }
        }
    }

    @Test(arguments: [false, true])
    func `A response that is not wanted does not hold up the next attempt, however slowly its body comes`(
        _ isLimited: Bool
    ) async throws {
        let drip: [Server.Step] =
            [.send("HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")]
            + (0..<1_000).flatMap { _ in [Server.Step.send("x"), .wait(.milliseconds(100))] }
        try await Server.run(script: { $0.connection == 0 ? drip : [.respond()] }) { server in
            try await withHTTPClient(configuration: Self.client()) { client in
                let start = ContinuousClock.now
                let options = Self.options { if isLimited { $0.timeout = .seconds(60) } }
                let whole = try await client.get("\(server.origin)/", options: options)
                #expect(whole.text == "abc")
                #expect(whole.response.failedAttempts.map(\.status) == [.serviceUnavailable])
                #expect(ContinuousClock.now - start < .seconds(50))
                try await eventually("the connection that drips is closed") {
                    server.connections.first?.end == .byClient
                }
            }
        }
    }

    @Test
    func `A short response that is not wanted leaves its connection to the next attempt`() async throws {
        try await Server.run(script: { $0.number == 0 ? [.respond("503 Busy")] : [.respond()] }) { server in
            try await withHTTPClient(configuration: Self.client()) { client in
                let whole = try await client.get("\(server.origin)/")
                #expect(whole.text == "abc")
                #expect(server.connections.map(\.requests.count) == [2])
            }
        }
    }

    @Test
    func `A further attempt that has to wait is over with the time limit, and says what became of the first`()
        async throws
    {
        // The first answer ends its connection, and another request takes the only place that there is.
        let script: @Sendable (Server.Request) -> [Server.Step] = {
            switch $0.target {
            case "/hold": [.hold]
            default: [.respond("503 Busy", ["Connection: close", "Retry-After: 1"]), .close]
            }
        }
        try await Server.run(script: script) { server in
            let configuration = Self.client { $0.pool.http1ConnectionsPerOrigin = 1 }
            try await withHTTPClient(configuration: configuration) { client in
                let events = client.events()
                async let first = h2Error {
                    try await client.get("\(server.origin)/", options: Self.options { $0.timeout = .seconds(4) })
                }
                for await event in events { if case .requestRetried = event.kind { break } }
                async let holder = h2Error { try await client.get("\(server.origin)/hold") }
                let error = try await first
                #expect(error.cause == .timeout(.wholeRequest, after: .seconds(4)), "\(error)")
                #expect(error.message.contains("sent once, answered 503"), "\(error)")
                server.closeAll()
                _ = try await holder
            }
        }
    }

    @Test
    func `No attempt begins after the policy's time, also where it would have to wait in the queue`() async throws {
        let script: @Sendable (Server.Request) -> [Server.Step] = {
            $0.target == "/hold" ? [.hold] : [.respond("503 Busy", ["Connection: close", "Retry-After: 1"]), .close]
        }
        try await Server.run(script: script) { server in
            let configuration = Self.client {
                $0.pool.http1ConnectionsPerOrigin = 1
                $0.retry.maximumTime = .seconds(4)
            }
            try await withHTTPClient(configuration: configuration) { client in
                let events = client.events()
                async let first = h2Error { try await client.get("\(server.origin)/") }
                for await event in events { if case .requestRetried = event.kind { break } }
                async let holder = h2Error { try await client.get("\(server.origin)/hold") }
                let error = try await first
                #expect(error.cause == .timeout(.retrying, after: .seconds(4)), "\(error)")
                #expect(error.message.contains("answered 503"), "\(error)")
                server.closeAll()
                _ = try await holder
            }
        }
    }

    @Test
    func `The default limit of requests bounds the wait for a lent connection too`() async throws {
        try await Server.run(script: { _ in [.hold] }) { server in
            let configuration = Self.client {
                $0.pool.http1ConnectionsPerOrigin = 1
                $0.requestOptions.timeout = .milliseconds(500)
            }
            try await withHTTPClient(configuration: configuration) { client in
                try await client.withConnection(to: server.origin) { _ in
                    let error = try await h2Error { try await client.withConnection(to: server.origin) { _ in } }
                    #expect(error.cause == .timeout(.wholeRequest, after: .milliseconds(500)), "\(error)")
                }
            }
        }
    }

    // MARK: - Figures

    @Test
    func `Each figure begins at the event that its documentation names, after a retry too`() async throws {
        let arrivals = Mutex<[ContinuousClock.Instant]>([])
        let script: @Sendable (Server.Request) -> [Server.Step] = { request in
            arrivals.withLock { $0.append(.now) }
            return request.number == 0
                ? [.wait(.milliseconds(200)), .respond("503 Busy", ["Retry-After: 1"])]
                : [
                    .wait(.milliseconds(300)), .send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
                    .hold, .wait(.milliseconds(400)), .send("abc"),
                ]
        }
        try await Server.run(script: script) { server in
            try await withHTTPClient(configuration: Self.client()) { client in
                let events = client.events()
                let called = ContinuousClock.now
                let response = try await client.send(HTTPRequest(url: "\(server.origin)/"))
                let head = ContinuousClock.now - called
                server.release()
                #expect(try await response.body.collect(upTo: 3).count == 3)
                let all = ContinuousClock.now - called
                let metrics = await response.metrics()
                // Each figure lies between what must have come before it and what can only come after it, however long
                // either took. The server waits for 200 ms and the client for 1 s, then the server for 300 and 400 ms.
                let latest = arrivals.withLock { $0.last }
                let arrival = try #require(latest) - called
                let firstByte = try #require(metrics.firstByte)
                let table: [(String, Duration, atLeast: Duration, atMost: Duration)] = [
                    ("attemptStart", metrics.attemptStart, .milliseconds(1_190), arrival),
                    ("queued", metrics.queued, .zero, metrics.requestSent - metrics.attemptStart),
                    ("requestSent", metrics.requestSent, metrics.attemptStart + metrics.queued, arrival),
                    ("firstByte", firstByte, metrics.requestSent + .milliseconds(290), head),
                    ("lastByte", try #require(metrics.lastByte), firstByte + .milliseconds(390), all),
                    (
                        "the failed attempt's wait", try #require(response.failedAttempts.first).wait,
                        .seconds(1), .seconds(1)
                    ),
                ]
                for (name, figure, least, most) in table {
                    #expect(figure >= least && figure <= most, "\(name): \(figure), not \(least)...\(most)")
                }
                #expect(metrics.connect == nil)
                #expect(await client.statistics().retries == 1)
                #expect(await client.statistics().requests == 2)
                await client.shutdown()
                var kinds: [String] = []
                for await event in events {
                    switch event.kind {
                    case .requestSent(let isReused): kinds.append(isReused ? "sent again" : "sent")
                    case .requestRetried(let failed): kinds.append("retried after \(failed.status?.code ?? 0)")
                    case .attemptFinished(let result): kinds.append("finished \((try? result.get().code) ?? 0)")
                    default: break
                    }
                }
                #expect(
                    kinds == ["sent", "finished 503", "retried after 503", "sent again", "finished 200"]
                        || kinds == ["sent", "retried after 503", "finished 503", "sent again", "finished 200"],
                    "\(kinds)")
            }
        }
    }

    @Test
    func `A retry that was never begun is not counted`() async throws {
        try await Server.run(script: { _ in [.respond("503 Busy", ["Retry-After: 5"])] }) { server in
            try await withHTTPClient(configuration: Self.client()) { client in
                let events = client.events()
                let task = Task { try await client.get("\(server.origin)/") }
                for await event in events { if case .requestRetried = event.kind { break } }
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(await client.statistics().retries == 0)
                #expect(await client.statistics().requests == 1)
            }
        }
    }

    @Test
    func `Events, statistics and responses agree on which requests went over a connection that had one before`()
        async throws
    {
        try await withOriginAndClient { client, server in
            let events = client.events()
            expectAllServed(await client.burst(20, "\(server.url)/bytes/3"), 20)
            let statistics = await client.statistics()
            await client.shutdown()
            var reused = 0
            for await event in events { if case .requestSent(true) = event.kind { reused += 1 } }
            #expect(statistics.requests == 20)
            #expect(reused == statistics.requestsOnReusedConnections)
            #expect(reused == 20 - statistics.connectionsOpened)
        }
    }

    // MARK: - 417

    @Test(arguments: [0, 1])
    func `417 is answered by one repeat without Expect, over HTTP 1.1`(_ kind: Int) async throws {
        try await Server.run(
            script: {
                $0.values(of: "expect").isEmpty
                    ? [.readBody, .respond()] : [.leaveBody, .respond("417 Expectation Failed"), .close]
            }
        ) { server in
            try await withHTTPClient { client in
                let options = Self.options { $0.expectContinue = .seconds(60) }
                let body =
                    kind == 0
                    ? HTTPRequestBody.string("a body")
                    : .writer(length: 6, isReplayable: true) { try await $0.write(Array("a body".utf8)) }
                let whole = try await client.post("\(server.origin)/", body: body, options: options)
                #expect(whole.text == "abc")
                #expect(whole.response.failedAttempts.map(\.status) == [.expectationFailed])
                #expect(server.requests.map { $0.values(of: "expect") } == [["100-continue"], []])
                #expect(server.requests.last?.bodyText == "a body")
                #expect(server.requests.first?.bodyBytes == 0)
            }
        }
    }

    @Test
    func `417 to a request that expected nothing is its answer`() async throws {
        try await Server.run(script: { _ in [.respond("417 Expectation Failed")] }) { server in
            try await withHTTPClient { client in
                let options = Self.options { $0.expectContinue = .seconds(60) }
                let whole = try await client.get("\(server.origin)/", options: options)
                #expect(whole.status == .expectationFailed)
                #expect(server.requests.count == 1)
            }
        }
    }
}
