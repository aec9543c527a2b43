import CNghttp2
import H2Platform
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Client

/// Requests sent as TLS 1.3 early data (RFC 8446 section 2.3, RFC 8470), against a server that distinguishes early from
/// late.
@Suite(.inTurn, .ownThreads, .timeLimit(.minutes(5))) struct EarlyDataTests {
    private typealias Request = EarlyDataPeer.Request

    /// A client with a session from its first connection to the peer, which the peer has closed.
    private func withVisitor(
        _ peer: EarlyDataPeer, _ change: (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: nonisolated(nonsending) (HTTPClient) async throws -> Void
    ) async throws {
        defer { peer.stop() }
        var configuration = HTTPClient.Configuration()
        configuration.connection.tls.roots = [.pem(peer.caPEM)]
        configuration.connection.tls.sendsEarlyData = true
        configuration.retry = .never
        change(&configuration)
        try await withHTTPClient(configuration: configuration) { client in
            let first = try await client.get(peer.url + "first")
            #expect(first.response.connectionInfo.earlyData == .notSent)
            #expect(peer.requests == [Request(connection: 1, line: "GET /first HTTP/1.1", isEarly: false)])
            try await eventually("the first connection is closed") { await client.statistics().connectionsOpen == 0 }
            try await body(client)
        }
    }

    @Test func `A GET goes with the ClientHello of a resumed session`() async throws {
        let peer = try EarlyDataPeer { try $0.serve() }
        try await withVisitor(peer) { client in
            let second = try await client.get(peer.url)
            #expect(second.text == "ok")
            #expect(peer.requests(on: 2) == [Request(connection: 2, line: "GET / HTTP/1.1", isEarly: true)])
            let info = second.response.connectionInfo
            #expect(info.earlyData == .accepted && info.isTLSResumed && info.isPeerVerified)
            #expect(info.tlsVersion == "TLSv1.3" && info.certificateSubject != nil && info.tls != nil)
            let statistics = await client.statistics()
            #expect(statistics.earlyDataAccepted == 1 && statistics.earlyDataRejected == 0)
            #expect(statistics.handshakes == 2 && statistics.handshakesResumed == 1)
        }
    }

    @Test func `Nothing goes early unless it is turned on`() async throws {
        let peer = try EarlyDataPeer { try $0.serve() }
        try await withVisitor(peer, { $0.connection.tls.sendsEarlyData = false }) { client in
            let info = try await client.get(peer.url).response.connectionInfo
            #expect(info.isTLSResumed && info.earlyData == .notSent)
            #expect(peer.requests(on: 2).map(\.isEarly) == [false])
        }
    }

    @Test func `What the server rejects is sent again after the handshake, once`() async throws {
        let peer = try EarlyDataPeer { try $0.serve(takesEarlyData: $0.number != 2) }
        try await withVisitor(peer) { client in
            let second = try await client.get(peer.url)
            #expect(second.text == "ok" && second.response.failedAttempts.isEmpty)
            #expect(second.response.connectionInfo.earlyData == .rejected)
            #expect(peer.requests(on: 2) == [Request(connection: 2, line: "GET / HTTP/1.1", isEarly: false)])
            #expect(await client.statistics().earlyDataRejected == 1)
        }
    }

    @Test func `A server that does not know the session gets the request after a full handshake`() async throws {
        let other = Mutex<TLSContext?>(nil)
        let peer = try EarlyDataPeer { visitor in
            try visitor.serve(with: visitor.number == 2 ? other.withLock { $0 } : nil)
        }
        let (context, pem) = try EarlyDataPeer.makeContext(["http/1.1"], limit: 16_384)
        other.withLock { $0 = context }
        try await withVisitor(peer, { $0.connection.tls.roots.append(.pem(pem)) }) { client in
            let info = try await client.get(peer.url).response.connectionInfo
            #expect(info.earlyData == .rejected && !info.isTLSResumed && info.isPeerVerified)
            #expect(peer.requests(on: 2).map(\.isEarly) == [false])
        }
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "PURGE"])
    func `An unsafe request waits for the end of the handshake`(method: String) async throws {
        let peer = try EarlyDataPeer { try $0.serve() }
        try await withVisitor(peer) { client in
            let method = try #require(HTTPRequest.Method(method))
            let request = try RequestTarget(peer.url).request(method)
            let response = try await client.collect(request)
            #expect(response.text == "ok" && response.response.failedAttempts.isEmpty)
            #expect(peer.requests(on: 2) == [Request(connection: 2, line: "\(method) / HTTP/1.1", isEarly: false)])
        }
    }

    @Test func `The options of a request decide whether it goes early`() async throws {
        let peer = try EarlyDataPeer { try $0.serve() }
        try await withVisitor(peer) { client in
            _ = try await client.get(peer.url, options: RequestOptions(allowsEarlyData: false))
            _ = try await client.delete(peer.url, options: RequestOptions(allowsEarlyData: true))
            // A body is never sent early.
            let target = try RequestTarget(peer.url)
            let options = RequestOptions(allowsEarlyData: true)
            _ = try await client.collect(target.request(.get), body: .bytes([1]), options: options)
            #expect(peer.requests.dropFirst().map(\.isEarly) == [false, true, false])
        }
    }

    @Test func `A request that exceeds the server's limit waits as a whole`() async throws {
        let peer = try EarlyDataPeer(limit: 300) { try $0.serve() }
        try await withVisitor(peer) { client in
            let long = try await client.get(peer.url, headerFields: [.userAgent: String(repeating: "x", count: 1_000)])
            #expect(long.text == "ok" && long.response.connectionInfo.earlyData == .notSent)
            let short = try await client.get(peer.url)
            #expect(short.response.connectionInfo.earlyData == .accepted)
            #expect(peer.requests.dropFirst().map(\.isEarly) == [false, true])
        }
    }

    // MARK: - 425

    @Test(arguments: [HTTPClient.RetryPolicy.never, HTTPClient.RetryPolicy()])
    func `425 to early data is answered by the same request after the handshake`(
        policy: HTTPClient.RetryPolicy
    ) async throws {
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number > 1 else { return try visitor.serve() }
            try visitor.begin()
            try visitor.finish()
            visitor.respond("425 Too Early", closes: false)
            try visitor.readRequest()
            visitor.respond()
        }
        try await withVisitor(peer, { $0.retry = policy }) { client in
            let response = try await client.get(peer.url)
            #expect(response.text == "ok" && response.response.isConnectionReused)
            #expect(response.response.failedAttempts.map(\.status?.code) == [425])
            #expect(peer.requests(on: 2).map(\.isEarly) == [true, false])
        }
    }

    @Test func `A second 425 goes to the caller`() async throws {
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number > 1 else { return try visitor.serve() }
            try visitor.begin()
            try visitor.finish()
            if visitor.number > 2 { try visitor.readRequest() }
            visitor.respond("425 Too Early")
        }
        try await withVisitor(peer) { client in
            let response = try await client.get(peer.url)
            #expect(response.status.code == 425)
            #expect(peer.requests.dropFirst().map(\.isEarly) == [true, false])
        }
    }

    @Test func `425 to a request that was not sent early goes to the caller`() async throws {
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number > 1 else { return try visitor.serve() }
            try visitor.begin(takesEarlyData: visitor.number != 3)
            try visitor.finish()
            try visitor.readRequest()
            visitor.respond("425 Too Early")
        }
        try await withVisitor(peer) { client in
            let late = RequestOptions(allowsEarlyData: false)
            let first = try await client.get(peer.url, options: late)
            #expect(first.status.code == 425)
            #expect(peer.requests.count == 2)
            // Rejected as early data, so the server saw it only after the handshake.
            let second = try await client.get(peer.url)
            #expect(second.status.code == 425)
            #expect(peer.requests.count == 3)
        }
    }

    // MARK: - Faults

    @Test(arguments: [HTTPRequest.Method.get, .post])
    func `A connection that breaks in the handshake costs no request`(method: HTTPRequest.Method) async throws {
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number == 2 else { return try visitor.serve() }
            visitor.awaitHello()
            visitor.socket.reset()
        }
        try await withVisitor(peer) { client in
            let response = try await client.collect(RequestTarget(peer.url).request(method))
            #expect(response.text == "ok")
            #expect(response.response.failedAttempts.count == 1)
            // Each of the two requests has needed a handshake.
            let statistics = await client.statistics()
            #expect(statistics.handshakes == 2 && statistics.handshakesSaved == 0)
            // The sessions that failed are not tried again.
            #expect(response.response.connectionInfo.isTLSResumed == false)
            #expect(peer.requests(on: 3).map(\.isEarly) == [false])
        }
    }

    @Test func `A server that now speaks another protocol gets the request on a new connection`() async throws {
        let other = Mutex<TLSContext?>(nil)
        let peer = try EarlyDataPeer { visitor in
            try visitor.serve(with: visitor.number == 1 ? nil : other.withLock { $0 })
        }
        let (context, pem) = try EarlyDataPeer.makeContext([], limit: 16_384)
        other.withLock { $0 = context }
        try await withVisitor(peer, { $0.connection.tls.roots.append(.pem(pem)) }) { client in
            let response = try await client.get(peer.url)
            #expect(response.text == "ok" && response.response.failedAttempts.count == 1)
            #expect(peer.requests.dropFirst() == [Request(connection: 3, line: "GET / HTTP/1.1", isEarly: false)])
        }
    }

    @Test func `A certificate that is not trusted ends the connection before a request is read`() async throws {
        let other = Mutex<TLSContext?>(nil)
        let peer = try EarlyDataPeer { visitor in
            try visitor.serve(with: visitor.number == 1 ? nil : other.withLock { $0 })
        }
        let (context, _) = try EarlyDataPeer.makeContext(["http/1.1"], limit: 16_384)
        other.withLock { $0 = context }
        try await withVisitor(peer) { client in
            let error = await #expect(throws: H2Error.self) { try await client.get(peer.url) }
            #expect(error?.code == .certificateRejected)
            #expect(peer.requests.count == 1)
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 1 && statistics.connectionsOpen == 0)
        }
    }

    @Test(arguments: [true, false])
    func `A response that is there before the verifier has decided waits for it`(accepts: Bool) async throws {
        struct Refused: Error {}
        let isAnswered = Atomic<Bool>(false)
        let isDecided = Atomic<Bool>(false)
        let calls = Atomic<Int>(0)
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number == 2 else { return try visitor.serve() }
            try visitor.begin()
            // Together with the server's part of the handshake.
            visitor.respond()
            isAnswered.store(true, ordering: .releasing)
            try visitor.finish()
            _ = try? visitor.readRequest()
        }
        try await withVisitor(
            peer,
            {
                $0.connection.tls.verifier = { _ in
                    guard calls.add(1, ordering: .relaxed).newValue > 1 else { return }
                    waitUntil { isAnswered.load(ordering: .acquiring) }
                    letTimePass(.milliseconds(100))
                    isDecided.store(true, ordering: .releasing)
                    if !accepts { throw Refused() }
                }
            }
        ) { client in
            let result = await Result { try await client.get(peer.url) }
            #expect(isDecided.load(ordering: .acquiring) && calls.load(ordering: .relaxed) == 2)
            #expect(peer.requests(on: 2).map(\.isEarly) == [true])
            switch result {
            case .success(let response): #expect(accepts && response.text == "ok")
            case .failure(let error): #expect(!accepts && (error as? H2Error)?.code == .certificateRejected)
            }
        }
    }

    @Test func `A request cancelled while it is early ends at once, and the next one is served`() async throws {
        let isHere = Atomic<Bool>(false)
        let isOver = Atomic<Bool>(false)
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number == 2 else { return try visitor.serve() }
            // The handshake is not answered.
            visitor.awaitHello()
            isHere.store(true, ordering: .releasing)
            waitUntil { isOver.load(ordering: .acquiring) }
        }
        try await withVisitor(peer) { client in
            defer { isOver.store(true, ordering: .releasing) }
            let url = peer.url
            let task = Task { try await client.get(url) }
            try await eventually("the ClientHello has come") { isHere.load(ordering: .acquiring) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try await client.get(url).text == "ok")
            #expect(peer.requests.dropFirst().map(\.connection) == [3])
        }
    }

    @Test func `A request that waits for a slow handshake is sent on another connection`() async throws {
        let isOver = Atomic<Bool>(false)
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number == 2 else { return try visitor.serve() }
            waitUntil { isOver.load(ordering: .acquiring) }
        }
        try await withVisitor(peer) { client in
            defer { isOver.store(true, ordering: .releasing) }
            let events = client.events()
            let response = try await client.post(peer.url, body: .bytes([]))
            #expect(response.text == "ok" && response.response.failedAttempts.count == 1)
            #expect(peer.requests.dropFirst().map(\.connection) == [3])
            isOver.store(true, ordering: .releasing)
            await client.shutdown(gracePeriod: .seconds(5))
            await expectOrder(of: events)
        }
    }

    /// Each connection is opened before anything else is said of it, and each attempt to open one has an end.
    private func expectOrder(of events: AsyncStream<HTTPClient.Event>) async {
        var open: Set<ConnectionID> = []
        var attempts = 0
        for await event in events {
            switch event.kind {
            case .connecting: attempts += 1
            case .connectFailed, .connectCancelled: attempts -= 1
            case .connectionOpened:
                attempts -= 1
                if let id = event.connectionID { open.insert(id) }
            case .connectionDraining, .connectionClosed:
                #expect(event.connectionID.map { open.contains($0) } == true, "\(event)")
            default: break
            }
        }
        #expect(attempts == 0)
    }

    @Test func `A handshake that never ends fails at its time limit, and the request is sent without early data`()
        async throws
    {
        let isOver = Atomic<Bool>(false)
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number == 2 else { return try visitor.serve() }
            waitUntil { isOver.load(ordering: .acquiring) }
        }
        try await withVisitor(peer, { $0.connection.timeouts.tls = .seconds(3) }) { client in
            defer { isOver.store(true, ordering: .releasing) }
            let response = try await client.get(peer.url)
            #expect(response.response.failedAttempts.map(\.error?.code) == [.timeout])
            #expect(peer.requests(on: 3).map(\.isEarly) == [false])
        }
    }

    @Test func `A client that is shut down in the handshake fails its request`() async throws {
        let isHere = Atomic<Bool>(false)
        let isOver = Atomic<Bool>(false)
        let peer = try EarlyDataPeer { visitor in
            guard visitor.number == 2 else { return try visitor.serve() }
            isHere.store(true, ordering: .releasing)
            waitUntil { isOver.load(ordering: .acquiring) }
        }
        try await withVisitor(peer) { client in
            defer { isOver.store(true, ordering: .releasing) }
            let url = peer.url
            let events = client.events()
            let task = Task { try await client.get(url) }
            try await eventually("the connection is there") { isHere.load(ordering: .acquiring) }
            await client.shutdown(gracePeriod: .zero)
            await #expect(throws: H2Error.self) { try await task.value }
            #expect(peer.requests.count == 1)
            await expectOrder(of: events)
        }
    }

    @Test func `The option needs resumption and TLS 1.3`() async throws {
        for change in [
            { $0.resumesSessions = false }, { $0.maximumVersion = .tls12 },
        ] as [(inout ConnectionConfiguration.TLS) -> Void] {
            var configuration = HTTPClient.Configuration()
            configuration.connection.tls.sendsEarlyData = true
            change(&configuration.connection.tls)
            try await withHTTPClient(configuration: configuration) { client in
                let error = await #expect(throws: H2Error.self) { try await client.get("https://127.0.0.1:1/") }
                #expect(error?.code == .invalidConfiguration && error?.message.contains("sendsEarlyData") == true)
            }
        }
    }
}

extension Result where Failure == any Error {
    /// The outcome of `body`.
    fileprivate init(_ body: nonisolated(nonsending) () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
