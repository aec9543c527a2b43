import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Client

/// Copies of slow requests on other connections, against servers that are scripted for each connection.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct HedgingTests {
    static let versions: [HTTPProtocolVersion] = [.http1, .http2]

    /// The requests that the servers of both connections saw, in order.
    private final class Log: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
        func count(_ line: String) -> Int { all.count { $0 == line } }
        func has(_ line: String) -> Bool { all.contains(line) }
    }

    /// A complete request that a server has received.
    private struct Asked {
        let peer: RawPeer
        let stream: UInt32
        /// The number of the request on its connection, counted from 1.
        let number: Int

        func answer(_ status: String = "200", _ fields: [(String, String)] = []) {
            guard stream == 0 else { return peer.head(stream, status, fields, ends: true) }
            let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
            peer.send(Array("HTTP/1.1 \(status) Status\r\nContent-Length: 0\r\n\(lines)\r\n".utf8))
        }

        func reset(_ code: UInt32) { peer.send(RawPeer.frame(3, stream: stream, RawPeer.bytes(code))) }
    }

    /// What a server does with a request; false ends the connection.
    private typealias Reply = @Sendable (Asked, Log) -> Bool

    /// Answers each request with 200, after `mayAnswer` has become true.
    private static func answering(after mayAnswer: @escaping @Sendable (Log) -> Bool = { _ in true }) -> Reply {
        { asked, log in
            waitUntil { mayAnswer(log) }
            asked.answer()
            return true
        }
    }

    /// Lets the next connection answer its requests with `reply`, which returns false to end the connection.
    private func play(
        _ server: PuppetServer, _ version: HTTPProtocolVersion, _ name: String, _ log: Log,
        _ reply: @escaping @Sendable (Asked) -> Bool
    ) {
        if version == .http2 {
            server.play { peer in
                var number = 0
                while let frame = peer.next() {
                    if frame.type == 3 { log.add("\(name) reset \(frame.number(at: 0))") }
                    guard frame.type <= 1, frame.flags & 1 != 0 else { continue }
                    number += 1
                    log.add("\(name) asked \(number)")
                    if !reply(Asked(peer: peer, stream: frame.stream, number: number)) { break }
                }
                log.add("\(name) ended")
            }
        } else {
            server.playHTTP1 { peer in
                var number = 0
                while peer.nextHead() != nil {
                    number += 1
                    log.add("\(name) asked \(number)")
                    if !reply(Asked(peer: peer, stream: 0, number: number)) { break }
                }
                log.add("\(name) ended")
            }
        }
    }

    /// A client, and a server with two connections: A answers its first request, and later ones with `first`; B is
    /// opened by a hedge.
    private func withServers(
        _ version: HTTPProtocolVersion, _ change: (inout HTTPClient.Configuration) -> Void = { _ in },
        first: @escaping Reply, second: @escaping Reply,
        _ body: (HTTPClient, String, Log) async throws -> Void
    ) async throws {
        let server = try PuppetServer()
        let log = Log()
        play(server, version, "A", log) { asked in
            guard asked.number == 1 else { return first(asked, log) }
            asked.answer()
            return true
        }
        play(server, version, "B", log) { second($0, log) }
        var configuration = HTTPClient.Configuration()
        configuration.versions = version == .http1 ? .http1Only : .http2PriorKnowledge
        // The server's thread may be scheduled late when all tests start at the same time.
        configuration.connection.timeouts.settings = .seconds(300)
        configuration.requestOptions.hedging = .init(delay: .milliseconds(1), minimumHedgesPerSecond: 100)
        change(&configuration)
        try await withHTTPClient(configuration: configuration) { client in
            let url = "http://127.0.0.1:\(server.port)"
            var once = RequestOptions()
            once.hedging = .never
            _ = try await client.get("\(url)/first", options: once)
            try await body(client, url, log)
            try await eventually("nothing is under way") {
                await client.statistics().origins.allSatisfy { $0.openStreams == 0 && $0.waitingRequests == 0 }
            }
        }
    }

    /// Waits until a connection's request was given up.
    private func givenUp(_ name: String, _ version: HTTPProtocolVersion, _ log: Log) async throws {
        let line = version == .http2 ? "\(name) reset 8" : "\(name) ended"
        try await eventually("\(line), not \(log.all)") { log.has(line) }
    }

    // MARK: - Who wins

    @Test(arguments: versions) func `A copy on another connection answers for a slow one, which is given up`(
        _ version: HTTPProtocolVersion
    ) async throws {
        try await withServers(
            version, first: { _, _ in true },
            second: Self.answering(after: { $0.has("A asked 2") })
        ) { client, url, log in
            let whole = try await client.get("\(url)/")
            #expect(whole.status == .ok && whole.response.isHedge && whole.response.failedAttempts.isEmpty)
            #expect(await whole.response.metrics().attemptStart > .zero)
            try await givenUp("A", version, log)
            let statistics = await client.statistics()
            #expect(statistics.hedges == 1 && statistics.hedgesWon == 1 && statistics.hedgesRefused == 0)
            #expect(statistics.retries == 0 && statistics.requests == 3 && statistics.connectionsOpened == 2)
        }
    }

    @Test(arguments: versions) func `A first copy that answers in the end wins, and the hedge is given up`(
        _ version: HTTPProtocolVersion
    ) async throws {
        try await withServers(
            version,
            first: Self.answering { $0.has("B asked 1") }, second: { _, _ in true }
        ) { client, url, log in
            let whole = try await client.get("\(url)/")
            #expect(whole.status == .ok && !whole.response.isHedge)
            try await givenUp("B", version, log)
            let statistics = await client.statistics()
            #expect(statistics.hedges == 1 && statistics.hedgesWon == 0)
        }
    }

    @Test(arguments: versions) func `A failure of the first copy does not end the hedge`(
        _ version: HTTPProtocolVersion
    ) async throws {
        let gate = Mailbox<Bool>()
        try await withServers(
            version,
            first: { _, log in
                waitUntil { log.has("B asked 1") }
                return false
            },
            second: Self.answering { _ in gate.isFull }
        ) { client, url, log in
            async let whole = client.get("\(url)/")
            try await eventually("the first one failed") { await client.statistics().connectionsOpen == 1 }
            gate.put(true)
            let answered = try await whole
            #expect(answered.response.isHedge)
            #expect(await client.statistics().retries == 0)
        }
    }

    @Test(arguments: versions) func `A status to be retried waits for the other copy, and loses to its answer`(
        _ version: HTTPProtocolVersion
    ) async throws {
        let gate = Mailbox<Bool>()
        try await withServers(
            version, { $0.retry.statuses = [.serviceUnavailable] },
            first: { asked, log in
                waitUntil { log.has("B asked 1") }
                asked.answer("503", [("retry-after", "0")])
                gate.put(true)
                return true
            },
            second: Self.answering { _ in gate.isFull }
        ) { client, url, _ in
            let whole = try await client.get("\(url)/")
            // The answer may overtake the refusal; it then wins as well.
            #expect(whole.status == .ok && whole.response.isHedge)
            #expect(await client.statistics().retries == 0)
        }
    }

    @Test(arguments: [false, true]) func `If all copies fail, the error is that of the first`(
        _ isHedgeFirst: Bool
    ) async throws {
        try await withServers(
            .http2, { $0.retry = .never },
            first: { asked, log in
                waitUntil { log.has(isHedgeFirst ? "B was reset" : "B asked 1") }
                asked.reset(2)
                log.add("A was reset")
                return true
            },
            second: { asked, log in
                waitUntil { isHedgeFirst || log.has("A was reset") }
                asked.reset(10)
                log.add("B was reset")
                return true
            }
        ) { client, url, _ in
            let error = await #expect(throws: H2Error.self) { _ = try await client.get("\(url)/") }
            #expect(error?.http2Code == .internalError)
        }
    }

    @Test(arguments: versions) func `Hedges are few over all attempts, and all copies are one attempt`(
        _ version: HTTPProtocolVersion
    ) async throws {
        try await withServers(
            version, { $0.retry = .init(backoff: .zero, statuses: [.badGateway]) },
            first: { asked, log in
                if asked.number == 2 { waitUntil { log.has("B asked 1") } }
                asked.answer(asked.number == 2 ? "502" : "200")
                return true
            },
            second: { asked, log in
                asked.answer(log.count("B asked 1") == 1 && asked.number == 1 ? "502" : "200")
                return true
            }
        ) { client, url, _ in
            let whole = try await client.get("\(url)/")
            #expect(whole.status == .ok && whole.response.failedAttempts.map(\.status) == [.badGateway])
            let statistics = await client.statistics()
            #expect(statistics.hedges == 1 && statistics.retries == 1)
        }
    }

    /// Without a delay, both copies wait for one connection, which may carry only one of them.
    @Test(arguments: versions, [Duration.zero, .milliseconds(1)])
    func `Two further copies use two further connections`(
        _ version: HTTPProtocolVersion, _ delay: Duration
    ) async throws {
        let server = try PuppetServer()
        let log = Log()
        for name in ["A", "B"] {
            play(server, version, name, log) { asked in
                if name == "A", asked.number == 1 { asked.answer() }
                return true
            }
        }
        play(server, version, "C", log) { asked in
            waitUntil { log.has("A asked 2") && log.has("B asked 1") }
            asked.answer()
            return true
        }
        var configuration = HTTPClient.Configuration()
        configuration.versions = version == .http1 ? .http1Only : .http2PriorKnowledge
        configuration.pool.whenSaturated = .openConnection(upTo: 3)
        configuration.connection.timeouts.settings = .seconds(300)
        try await withHTTPClient(configuration: configuration) { client in
            let url = "http://127.0.0.1:\(server.port)/"
            _ = try await client.get(url)
            var options = RequestOptions()
            options.hedging = .init(delay: delay, maximumHedges: 2, minimumHedgesPerSecond: 100)
            options.firstByteTimeout = .seconds(20)
            let whole = try await client.get(url, options: options)
            #expect(whole.response.isHedge)
            for name in ["A", "B"] { try await givenUp(name, version, log) }
            let statistics = await client.statistics()
            #expect(statistics.hedges == 2 && statistics.hedgesWon == 1 && statistics.connectionsOpened == 3)
        }
    }

    // MARK: - What is sent again

    @Test(arguments: versions) func `What cannot be sent twice is sent once`(
        _ version: HTTPProtocolVersion
    ) async throws {
        try await withOriginAndClient(
            version == .http1 ? .http1 : .http2,
            { $0.requestOptions.hedging = .init(delay: .zero, minimumHedgesPerSecond: 100) }
        ) { client, server in
            for _ in 0..<10 {
                let text = try await client.post("\(server.url)/echo", body: .string("a body")).text
                #expect(text == "a body")
                let body = HTTPRequestBody.writer { try await $0.write("a body".utf8) }
                let stored = try await client.put("\(server.url)/upload", body: body)
                #expect(stored.status == .ok)
                _ = try await client.get(
                    "\(server.url)/delay/1", headerFields: [.authorization: "Digest username=\"a\""])
                var options = RequestOptions()
                options.hedging = .never
                _ = try await client.get("\(server.url)/delay/1", options: options)
            }
            let statistics = await client.statistics()
            #expect(statistics.hedges == 0 && statistics.hedgesRefused == 0)
        }
    }

    @Test(arguments: 0..<2) func `A body that can be sent again goes with each copy`(_ kind: Int) async throws {
        try await withServers(
            .http2, first: { _, _ in true },
            second: Self.answering(after: { $0.has("A asked 2") })
        ) { client, url, log in
            let body =
                kind == 0
                ? HTTPRequestBody.string("a body") : .writer(isReplayable: true) { try await $0.write("a body".utf8) }
            let whole = try await client.put("\(url)/", body: body)
            #expect(whole.response.isHedge)
            // The servers count a request once its body has arrived.
            #expect(log.has("B asked 1"))
            try await givenUp("A", .http2, log)
        }
    }

    @Test(arguments: versions) func `Without another connection, or a budget, none is sent`(
        _ version: HTTPProtocolVersion
    ) async throws {
        for kind in 0..<3 {
            let gate = Mailbox<Bool>()
            try await withServers(
                version,
                {
                    $0.requestOptions.hedging?.delay = .zero
                    switch kind {
                    case 0: $0.pool.connections = 1
                    case 1:
                        $0.pool.http1ConnectionsPerOrigin = 1
                        $0.pool.whenSaturated = .openConnection(upTo: 1)
                    default: $0.requestOptions.hedging = .init(delay: .zero, budget: 0, minimumHedgesPerSecond: 0)
                    }
                },
                first: { asked, _ in
                    if kind == 2, asked.number == 2 { waitUntil { gate.isFull } }
                    asked.answer()
                    return true
                }, second: { _, _ in true }
            ) { client, url, _ in
                async let first = client.get("\(url)/")
                if kind == 2 {
                    try await eventually("one is refused") { await client.statistics().hedgesRefused == 1 }
                    gate.put(true)
                }
                _ = try await first
                for _ in 0..<10 { _ = try await client.get("\(url)/") }
                let statistics = await client.statistics()
                #expect(statistics.hedges == 0 && statistics.connectionsOpened == 1)
            }
        }
    }

    @Test(arguments: versions) func `A server that says when to come back gets no hedges until then`(
        _ version: HTTPProtocolVersion
    ) async throws {
        try await withServers(
            version,
            first: { asked, _ in
                if asked.number == 2 { asked.answer("429", [("retry-after", "30")]) } else { asked.answer() }
                return true
            }, second: { _, _ in true }
        ) { client, url, _ in
            var options = RequestOptions()
            options.hedging = .init(delay: .seconds(60))
            let first = try await client.get("\(url)/", options: options)
            #expect(first.status == .tooManyRequests)
            options.hedging = .init(delay: .zero, minimumHedgesPerSecond: 100)
            for _ in 0..<10 {
                let next = try await client.get("\(url)/", options: options)
                #expect(next.status == .ok)
            }
            let statistics = await client.statistics()
            #expect(statistics.hedges == 0 && statistics.hedgesRefused == 0 && statistics.connectionsOpened == 1)
        }
    }

    // MARK: - The end

    @Test(arguments: versions) func `Cancelling gives up all copies`(_ version: HTTPProtocolVersion) async throws {
        try await withServers(version, first: { _, _ in true }, second: { _, _ in true }) { client, url, log in
            let task = Task { try await client.get("\(url)/") }
            try await eventually("both are asked") { log.has("A asked 2") && log.has("B asked 1") }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await givenUp("A", version, log)
            try await givenUp("B", version, log)
        }
    }

    @Test(arguments: versions) func `The time limit holds for all copies`(_ version: HTTPProtocolVersion) async throws {
        try await withServers(version, first: { _, _ in true }, second: { _, _ in true }) { client, url, log in
            var options = RequestOptions()
            options.timeout = .milliseconds(500)
            let error = await #expect(throws: H2Error.self) { _ = try await client.get("\(url)/", options: options) }
            #expect(error?.cause == .timeout(.wholeRequest, after: .milliseconds(500)))
            try await givenUp("A", version, log)
        }
    }

    @Test(arguments: versions) func `A shutdown ends all copies`(_ version: HTTPProtocolVersion) async throws {
        try await withServers(version, first: { _, _ in true }, second: { _, _ in true }) { client, url, log in
            let task = Task { try await client.get("\(url)/") }
            try await eventually("both are asked") { log.has("A asked 2") && log.has("B asked 1") }
            client.shutdownNow()
            let error = await #expect(throws: H2Error.self) { try await task.value }
            #expect(error?.code == .clientShutDown)
        }
    }

    // MARK: - Around it

    @Test func `A redirect begins anew`() async throws {
        try await withServers(
            .http2, first: { _, _ in true },
            second: { asked, _ in
                if asked.number == 1 { asked.answer("307", [("location", "/end")]) } else { asked.answer() }
                return true
            }
        ) { client, url, log in
            let whole = try await client.put("\(url)/", body: .string("a body"))
            #expect(whole.status == .ok && whole.response.redirects.map(\.target) == ["\(url)/end"])
            let statistics = await client.statistics()
            // The first copy on the second hop goes to either connection.
            #expect(statistics.hedges >= 1 && statistics.hedgesWon == (whole.response.isHedge ? 2 : 1))
        }
    }

    @Test(arguments: versions) func `Interceptors see one request and one attempt`(
        _ version: HTTPProtocolVersion
    ) async throws {
        let seen = Mutex<[String]>([])
        let interceptors = [HTTPClient.Interceptor.Scope.request, .attempt].map { scope in
            HTTPClient.Interceptor(scope) { request, body, next in
                let response = try await next(request, body)
                seen.withLock { $0.append("\(scope) \(next.attempt) \(response.isHedge)") }
                return response
            }
        }
        try await withServers(
            version, first: { _, _ in true },
            second: Self.answering(after: { $0.has("A asked 2") })
        ) { client, url, log in
            var options = RequestOptions()
            options.interceptors = interceptors
            let whole = try await client.get("\(url)/", options: options)
            #expect(whole.response.isHedge)
            let words = seen.withLock { $0 }
            #expect(words == ["attempt 1 true", "request 1 true"])
            try await givenUp("A", version, log)
        }
    }

    @Test func `Events tell of a hedge, and of the end of each copy`() async throws {
        try await withServers(
            .http2, first: { _, _ in true },
            second: Self.answering(after: { $0.has("A asked 2") })
        ) { client, url, log in
            let events = client.events()
            let whole = try await client.get("\(url)/")
            try await givenUp("A", .http2, log)
            await client.shutdown()
            var words: [String] = []
            for await event in events where event.requestID == whole.response.requestID {
                switch event.kind {
                case .requestHedged(let time):
                    #expect(time > .zero && event.connectionID == whole.response.connectionID)
                    words.append("hedged")
                case .requestSent: words.append("sent")
                case .attemptFinished(.success): words.append("answered")
                case .attemptFinished(.failure(let error)):
                    #expect((error as? H2Error)?.message == "another copy of the request was answered first")
                    words.append("given up")
                default: words.append("\(event.kind)")
                }
            }
            #expect(words.prefix(3) == ["sent", "hedged", "sent"])
            #expect(words.dropFirst(3).sorted() == ["answered", "given up"])
        }
    }

    @Test func `Policies that make no sense are refused`() async throws {
        for (change, word) in [
            ({ $0.delay = .milliseconds(-1) }, "delay"), ({ $0.maximumHedges = 5 }, "maximumHedges"),
            ({ $0.maximumHedges = -1 }, "maximumHedges"), ({ $0.budget = .nan }, "budget"),
            ({ $0.budget = -0.1 }, "budget"), ({ $0.minimumHedgesPerSecond = -1 }, "minimumHedgesPerSecond"),
        ] as [((inout HTTPClient.HedgingPolicy) -> Void, String)] {
            var policy = HTTPClient.HedgingPolicy(delay: .seconds(1))
            change(&policy)
            let error = #expect(throws: H2Error.self) { try RequestOptions(hedging: policy).validate() }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.message.contains("hedging.\(word)") == true)
        }
        try RequestOptions(hedging: .never).validate()
        try RequestOptions(hedging: .init(delay: .seconds(Int64.max), maximumHedges: 4)).validate()
    }

    @Test func `An endless delay and the largest number of copies cost a request nothing but time`() async throws {
        try await withOriginAndClient(.http2) { client, server in
            for delay in [Duration.seconds(Int64.max), .nanoseconds(1), .zero] {
                let options = RequestOptions(
                    hedging: .init(delay: delay, maximumHedges: 4, minimumHedgesPerSecond: .max))
                for _ in 0..<20 {
                    let whole = try await client.get("\(server.url)/bytes/3", options: options)
                    #expect(whole.body.count == 3)
                }
            }
            try await eventually("nothing is under way") {
                await client.statistics().origins.allSatisfy { $0.openStreams == 0 && $0.waitingRequests == 0 }
            }
        }
    }
}
