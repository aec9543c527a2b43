import CNghttp2
import H2Platform
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct PollerTests {
    /// CPU time that the loop's thread uses within `milliseconds`, in milliseconds.
    private func cpuTime(of loop: H2EventLoop, during milliseconds: UInt64) async -> Double {
        await withCheckedContinuation { continuation in
            loop.execute {
                let before = ProcessClocks.threadNanoseconds
                _ = loop.schedule(after: milliseconds * 1_000_000) {
                    continuation.resume(returning: Double(ProcessClocks.threadNanoseconds - before) / 1e6)
                }
            }
        }
    }

    /// A connected pair of TCP sockets on loopback.
    private func pair() throws -> (ours: CInt, theirs: CInt) {
        let listener = ch2_listen("127.0.0.1", 0, 8)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = UInt16(ch2_socket_port(listener)).bigEndian
        let theirs = socket(AF_INET, streamSocketType, 0)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(theirs, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(status == 0)
        var accepted: CInt = -1
        waitUntil {
            accepted = ch2_accept(listener)
            return accepted >= 0
        }
        return (accepted, theirs)
    }

    /// Counts what it is told, and does nothing about it.
    private final class Counter: ReadinessHandler, Sendable {
        private let state = Mutex<(told: Int, failure: H2Error?)>((0, nil))
        var told: Int { state.withLock { $0.told } }
        var failure: H2Error? { state.withLock { $0.failure } }
        func ready(readable: Bool, writable: Bool) { state.withLock { $0.told += 1 } }
        func unwatched(_ error: H2Error) { state.withLock { $0.failure = error } }
    }

    @Test(arguments: [true, false])
    func `A handler that wants nothing is told of a reset once, and again as soon as it wants something`(
        isReset: Bool
    ) async throws {
        let loop = H2EventLoop()
        defer { loop.shutdown() }
        let (ours, theirs) = try pair()
        let counter = Counter()
        await loop.run {
            loop.register(ours, handler: counter)
            loop.update(ours, readable: false, writable: false)
        }
        // A hang-up needs both directions closed.
        if isReset { ch2_break_connection(theirs, true) } else { shutdown(ours, CInt(SHUT_WR)) }
        close(theirs)
        let cpu = await cpuTime(of: loop, during: 300)
        #expect(cpu < 150, "the loop was busy for \(cpu) of 300 ms")
        #expect(await loop.run { counter.told } == 1)
        await loop.run { loop.update(ours, readable: true, writable: false) }
        _ = await cpuTime(of: loop, during: 20)
        let told = await loop.run {
            loop.deregister(ours)
            close(ours)
            return counter.told
        }
        #expect(told > 1)
    }

    @Test func `A reader that pauses over HTTP/1.1 costs nothing after a reset, and still gets what had come`()
        async throws
    {
        let loop = H2EventLoop()
        defer { loop.shutdown() }
        // No more than a socket's buffer takes beside one window: the rest would not have left the server.
        let bodyBytes = 100_000
        try await ScriptedHTTP1Server.run(script: { _ in
            [
                .send(Array("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".utf8)),
                .send([UInt8](repeating: 7, count: bodyBytes)), .hold, .reset,
            ]
        }) { server in
            var configuration = ConnectionConfiguration()
            configuration.windows.stream = 65_535
            configuration.windows.maximum = 65_535
            let connection = try await HTTP1Connection.connect(
                to: server.origin, configuration: configuration, on: loop)
            let response = try await connection.send(HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/"))
            // The reader pauses: the driver stops reading at its window.
            _ = await cpuTime(of: loop, during: 50)
            server.release()
            let cpu = await cpuTime(of: loop, during: 400)
            #expect(cpu < 200, "the loop was busy for \(cpu) of 400 ms")
            var received = 0
            do {
                for try await chunk in response.body { received += chunk.count }
                Issue.record("the body is cut off")
            } catch { #expect((error as? H2Error)?.code == .connectionClosed) }
            // What had been read is not lost; what waits in the system at a reset is the system's to keep or drop.
            #expect((65_535...bodyBytes).contains(received))
        }
    }

    // MARK: - Waiting

    /// A poller whose first waits the kernel refuses.
    ///
    /// Invariant behind `@unchecked Sendable`: touched on its loop's thread alone, but for the counts, which are atomic, and
    /// `wake`, which does nothing.
    private final class RefusedPoller: Poller, @unchecked Sendable {
        private var handlers: [any ReadinessHandler] = []
        private var isAbandoned = false
        let waits = Atomic(0)
        let opens = Atomic(0)

        var isEmpty: Bool { handlers.isEmpty }
        func open() -> CInt {
            opens.add(1, ordering: .relaxed)
            isAbandoned = false
            return 0
        }
        func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) -> CInt {
            handlers.append(handler)
            return 0
        }
        func update(
            _ descriptor: CInt, readable: Bool, writable: Bool
        ) -> (handler: any ReadinessHandler, error: CInt)? { nil }
        func deregister(_ descriptor: CInt) {}
        func removeAll() -> [any ReadinessHandler] {
            defer { handlers = [] }
            return handlers
        }
        func wait(nanoseconds: UInt64?) -> CInt {
            waits.add(1, ordering: .relaxed)
            if !isAbandoned && nanoseconds == nil { return EBADF }
            if nanoseconds != 0 { letTimePass(.milliseconds(1)) }
            return 0
        }
        func abandon() { isAbandoned = true }
        func tellHandlers() {}
        func wake() {}
    }

    @Test func `A wait that the kernel refuses ends what the loop watches with an error, and its thread does not spin`()
    {
        let poller = RefusedPoller()
        let loop = H2EventLoop(LoopThread(poller: poller, clock: nil))
        let counter = Counter()
        let told = LoopBound(counter)
        loop.execute { loop.register(0, handler: told.value) }
        waitUntil { counter.failure != nil }
        #expect(counter.failure?.code == .localIO)
        #expect(counter.failure?.cause == .errno(EBADF))
        // The thread has nothing left to do and ends; the next call makes new descriptors.
        waitUntil {
            loop.execute {}
            return poller.opens.load(ordering: .relaxed) > 1
        }
        #expect(poller.waits.load(ordering: .relaxed) < 1_000)
    }

    @Test func `A wait in nanoseconds falls back on epoll_wait whatever the kernel answers`() {
        let epoll = epoll_create1(0)
        defer { close(epoll) }
        var events = [epoll_event](repeating: epoll_event(), count: 4)
        // Either way a wait of 3 ms takes 3 ms: what a filter of system calls makes of it is tested with h2get.
        let start = H2EventLoop.monotonicNanoseconds()
        #expect(ch2_epoll_wait(epoll, &events, 4, 3_000_000) == 0)
        #expect(H2EventLoop.monotonicNanoseconds() - start >= 2_900_000)
    }
}
