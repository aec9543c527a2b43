import CNghttp2
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// What becomes of a loop, its thread and its users at its end, and where the system has nothing to give.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct H2EventLoopEndTests {
    /// Starts no thread, as a system that is out of them.
    ///
    /// Invariant behind `@unchecked Sendable`: what changes is touched under `lock` alone.
    private final class Threads: @unchecked Sendable {
        private let lock = PthreadLock()
        private var refusals: Int
        private var running = 0
        private var started = 0

        init(refusing refusals: Int = 0) { self.refusals = refusals }

        var counts: (running: Int, started: Int) { lock.withLock { (running, started) } }

        func start(_ body: @escaping @Sendable () -> Void) -> CInt {
            let isRefused = lock.withLock {
                defer { if refusals > 0 { refusals -= 1 } else { (running, started) = (running + 1, started + 1) } }
                return refusals > 0
            }
            if isRefused { return EAGAIN }
            return startDetachedThread {
                body()
                self.lock.withLock { self.running -= 1 }
            }
        }
    }

    private func makeLoop(_ threads: Threads, poller: any Poller = makePoller()) -> H2EventLoop {
        H2EventLoop(LoopThread(poller: poller, clock: nil, start: { threads.start($0) }))
    }

    private func cleartextOrigin() throws -> OriginServer {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        return try OriginServer.start(configuration)
    }

    private func code(_ body: () async throws -> Void) async -> H2Error.Code? {
        do {
            try await body()
            return nil
        } catch { return (error as? H2Error)?.code }
    }

    // MARK: - Threads

    @Test func `A loop has no thread before it is used, and none after it is dropped`() async {
        let threads = Threads()
        do {
            let loop = makeLoop(threads)
            #expect(threads.counts.started == 0)
            await loop.run {}
            #expect(threads.counts.running == 1)
        }
        waitUntil { threads.counts.running == 0 }
        #expect(threads.counts.started == 1)
    }

    @Test func `A loop that is dropped with a connection on it lives as long as the connection`() async throws {
        let origin = try cleartextOrigin()
        let threads = Threads()
        let url = try Origin(origin.url)
        var connection: HTTP2Connection? = try await HTTP2Connection.connect(to: url, on: makeLoop(threads))
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/")
        #expect(try await connection?.send(request).status == .ok)
        await connection?.close()
        connection = nil
        waitUntil { threads.counts.running == 0 }
        await origin.stop()
    }

    @Test func `A loop's thread ends after shutdown though everybody still holds the loop`() async {
        let threads = Threads()
        let loop = makeLoop(threads)
        await loop.run {}
        loop.shutdown()
        waitUntil { threads.counts.running == 0 }
        withExtendedLifetime(loop) {}
    }

    @Test func `Calls and timers after shutdown run all the same, and their thread ends`() async {
        let threads = Threads()
        let loop = makeLoop(threads)
        loop.shutdown()
        for _ in 0..<20 {
            let isCurrent = await loop.run { loop.isCurrent }
            #expect(isCurrent)
            await withCheckedContinuation { continuation in
                loop.execute { _ = loop.schedule(after: 1_000_000) { continuation.resume() } }
            }
        }
        waitUntil { threads.counts.running == 0 }
    }

    @Test func `Posts that race with the end of the thread are never lost`() async {
        for _ in 0..<50 {
            let loop = H2EventLoop()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { for _ in 0..<20 { await loop.run {} } }
                }
                group.addTask { loop.shutdown() }
            }
        }
    }

    @Test func `A task that prefers a loop goes on when that is shut down`() async {
        let loop = H2EventLoop()
        let task = Task(executorPreference: loop.taskExecutor) {
            loop.shutdown()
            for _ in 0..<100 { await Task.yield() }
            return loop.isCurrent
        }
        #expect(await task.value)
    }

    // MARK: - Requests

    @Test func `What is sent to a loop that was shut down fails rather than hang`() async throws {
        let origin = try cleartextOrigin()
        let url = try Origin(origin.url)
        let loop = H2EventLoop()
        var configuration = HTTPClient.Configuration()
        configuration.eventLoops = [loop]
        configuration.versions = .http2PriorKnowledge
        let client = HTTPClient(configuration: configuration)
        let request = try HTTPRequest(url: origin.url)
        #expect(try await client.send(request).status == .ok)
        let connection = try await HTTP2Connection.connect(to: url, on: loop)
        loop.shutdown()
        loop.shutdown()
        // The connection that was there may be in its last turn, or gone.
        #expect(await code { _ = try await client.send(request) } != nil)
        #expect(await code { _ = try await client.send(request) } == .clientShutDown)
        #expect(await code { try await client.withConnection(to: url) { _ in } } == .clientShutDown)
        #expect(await code { _ = try await HTTP2Connection.connect(to: url, on: loop) } == .clientShutDown)
        #expect(await code { _ = try await HTTP1Connection.connect(to: url, on: loop) } == .clientShutDown)
        #expect(await code { _ = try await connection.ping() } == .connectionClosed)
        #expect(await code { _ = try await connection.send(request) } == .connectionClosed)
        _ = await connection.snapshot()
        await connection.close()
        _ = await client.statistics()
        await client.shutdown()
        await origin.stop()
    }

    @Test func `Requests under way fail when their loop is shut down`() async throws {
        let origin = try cleartextOrigin()
        let loop = H2EventLoop()
        let connection = try await HTTP2Connection.connect(to: Origin(origin.url), on: loop)
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/delay/30000")
        async let outcome = code { _ = try await connection.send(request) }
        while await connection.snapshot().openStreams == 0 { await Task.yield() }
        loop.shutdown()
        #expect(await outcome == .connectionClosed)
        await origin.stop()
    }

    // MARK: - Exhaustion

    @Test func `Without a thread for the loop a request fails, and the next one finds the thread that is there again`()
        async throws
    {
        let origin = try cleartextOrigin()
        let threads = Threads(refusing: 1)
        let loop = makeLoop(threads)
        let url = try Origin(origin.url)
        let error = await #expect(throws: H2Error.self) { _ = try await HTTP2Connection.connect(to: url, on: loop) }
        #expect(error?.code == .localIO)
        #expect(error?.cause == .errno(EAGAIN))
        #expect(error?.description.contains("thread") == true)
        // The borrowed thread may still be at the end of its turn.
        while await code({ try await HTTP2Connection.withConnection(to: url, on: loop) { _ in } }) != nil {
            await Task.yield()
        }
        #expect(threads.counts.started == 1)
        await origin.stop()
    }

    /// Has a limit on what can be watched.
    private final class FullPoller: Poller {
        private let real = makePoller()
        private let openError: CInt
        private var refusals: Int
        private let registerError: CInt
        init(open: CInt = 0, times refusals: Int = .max, register: CInt = 0) {
            (openError, self.refusals, registerError) = (open, refusals, register)
        }

        var isEmpty: Bool { real.isEmpty }
        func open() -> CInt {
            if openError == 0 || refusals == 0 { return real.open() }
            refusals -= 1
            return openError
        }
        func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) -> CInt {
            registerError == 0
                ? real.register(descriptor, writable: writable, handler: handler) : registerError
        }
        func update(
            _ descriptor: CInt, readable: Bool, writable: Bool
        ) -> (handler: any ReadinessHandler, error: CInt)? {
            real.update(descriptor, readable: readable, writable: writable)
        }
        func deregister(_ descriptor: CInt) { real.deregister(descriptor) }
        func removeAll() -> [any ReadinessHandler] { real.removeAll() }
        func wait(nanoseconds: UInt64?) -> CInt { real.wait(nanoseconds: nanoseconds) }
        func abandon() { real.abandon() }
        func tellHandlers() { real.tellHandlers() }
        func wake() { real.wake() }
    }

    @Test func `Without descriptors for the loop a request fails with the reason`() async throws {
        let loop = makeLoop(Threads(), poller: FullPoller(open: EMFILE))
        var configuration = HTTPClient.Configuration()
        configuration.eventLoops = [loop]
        let client = HTTPClient(configuration: configuration)
        let request = try HTTPRequest(url: "http://127.0.0.1:1/")
        let error = await #expect(throws: H2Error.self) { _ = try await client.send(request) }
        #expect(error?.code == .localIO)
        #expect(error?.cause == .errno(EMFILE))
        #expect(error?.description.contains("ulimit -n") == true)
        await client.shutdown()
    }

    @Test func `A loop that found no descriptors works as soon as there are some, though its thread never ended`()
        async throws
    {
        let origin = try cleartextOrigin()
        let threads = Threads()
        let loop = makeLoop(threads, poller: FullPoller(open: EMFILE, times: 3))
        // A timer keeps the thread, as the pool's do.
        await loop.run { _ = loop.schedule(after: 300_000_000_000) {} }
        let url = try Origin(origin.url)
        var failures = 0
        while case let code = await code({ try await HTTP2Connection.withConnection(to: url, on: loop) { _ in } }),
            let code
        {
            #expect(code == .localIO)
            failures += 1
            try #require(failures < 3)
        }
        #expect(threads.counts.started == 1)
        loop.shutdown()
        await origin.stop()
    }

    @Test(arguments: [true, false])
    func `Where the system is out of watches a request fails with the reason`(isClient: Bool) async throws {
        let origin = try cleartextOrigin()
        let loop = makeLoop(Threads(), poller: FullPoller(register: ENOSPC))
        let error: H2Error?
        if isClient {
            var configuration = HTTPClient.Configuration()
            configuration.eventLoops = [loop]
            let client = HTTPClient(configuration: configuration)
            error = await #expect(throws: H2Error.self) {
                _ = try await client.send(HTTPRequest(url: origin.url))
            }
            await client.shutdown()
        } else {
            error = await #expect(throws: H2Error.self) {
                _ = try await HTTP2Connection.connect(to: Origin(origin.url), on: loop)
            }
        }
        #expect(error?.code == .localIO)
        #expect(error?.cause == .errno(ENOSPC))
        #expect(error?.description.contains("max_user_watches") == true)
        await origin.stop()
    }
}
