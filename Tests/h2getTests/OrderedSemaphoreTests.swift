@testable import H2Client
import H2TestSupport
import Testing

@testable import h2get

/// What both touch belongs to one actor.
private actor Run {
    let permits: OrderedSemaphore<Origin>
    var entered: [Int] = []

    init(limit: Int) { permits = OrderedSemaphore { _ in limit } }

    func enter(_ origin: Origin, _ index: Int) async {
        guard (try? await permits.acquire(origin, order: index)) != nil else { return }
        entered.append(index)
    }

    func leave(_ origin: Origin) { permits.release(origin) }

    func allow(_ limit: Int, at origin: Origin) {
        permits.setLimit(limit, for: origin, reportedBy: ConnectionID(number: 1))
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct OrderedSemaphoreTests {
    /// Waits for permits that other tasks acquire.
    private func entered(_ run: Run, count: Int) async -> [Int] {
        for _ in 0..<100_000 {
            if await run.entered.count >= count { break }
            await Task.yield()
        }
        return await run.entered
    }

    @Test func `Permits for bodies are as many as the limit of the origin, and are taken in the order of the URLs`()
        async throws
    {
        let (origin, other) = (try Origin("https://a.test"), try Origin("https://b.test"))
        let run = Run(limit: 2)
        await run.enter(origin, 0)
        await run.enter(origin, 1)
        await run.enter(other, 10)
        await withTaskGroup(of: Void.self) { group in
            for index in [4, 2, 3] { group.addTask { await run.enter(origin, index) } }
            // All three come to wait.
            for _ in 0..<1000 { await Task.yield() }
            #expect(await run.entered == [0, 1, 10])
            await run.leave(origin)
            #expect(await entered(run, count: 4) == [0, 1, 10, 2])
            await run.leave(origin)
            #expect(await entered(run, count: 5) == [0, 1, 10, 2, 3])
            await run.leave(origin)
        }
        #expect(await run.entered == [0, 1, 10, 2, 3, 4])
    }

    @Test func `Places for bodies are not taken by who was cancelled, and not lost either`() async throws {
        let origin = try Origin("https://a.test")
        let run = Run(limit: 1)
        await run.enter(origin, 0)
        let cancelled = Task { await run.enter(origin, 1) }
        for _ in 0..<1000 { await Task.yield() }
        let next = Task { await run.enter(origin, 2) }
        for _ in 0..<1000 { await Task.yield() }
        cancelled.cancel()
        await cancelled.value
        #expect(await run.entered == [0])
        await run.leave(origin)
        await next.value
        #expect(await run.entered == [0, 2])
    }

    @Test func `Places for bodies become more when a connection says so`() async throws {
        let origin = try Origin("https://a.test")
        let run = Run(limit: 1)
        await run.enter(origin, 0)
        await withTaskGroup(of: Void.self) { group in
            for index in 1...3 { group.addTask { await run.enter(origin, index) } }
            for _ in 0..<1000 { await Task.yield() }
            #expect(await run.entered == [0])
            await run.allow(3, at: origin)
            #expect(await entered(run, count: 3).sorted() == [0, 1, 2])
            await run.leave(origin)
        }
        #expect(await run.entered.sorted() == [0, 1, 2, 3])
    }
}

@Suite(.inTurn) struct KnownOriginTests {
    @Test func `Known origins are given up when no connection can be made, or none serves anything`() throws {
        let origins = KnownOrigins(atOnce: 2)
        let (dead, fickle, slow) = (
            try Origin("https://dead.test"), try Origin("https://fickle.test"), try Origin("https://slow.test")
        )
        origins.failed(dead, H2Error(.connectFailed, message: "m"), isConnected: true)
        #expect(origins.failure(of: dead)?.code == .connectFailed)
        let ended = H2Error(.connectionClosed, scope: .connection, message: "m")
        for _ in 0..<5 { origins.failed(fickle, ended, isConnected: true) }
        #expect(origins.failure(of: fickle) == nil)
        origins.failed(fickle, ended, isConnected: true)
        #expect(origins.failure(of: fickle)?.code == .connectionClosed)
        let late = H2Error(.timeout, cause: .timeout(.wholeRequest, after: .seconds(1)), message: "m")
        origins.failed(slow, late, isConnected: true)
        #expect(origins.failure(of: slow) == nil)
        origins.failed(slow, late, isConnected: false)
        #expect(origins.failure(of: slow)?.code == .timeout)
    }

    @Test func `Known origins that have served are waited for, and given up when they are away for long`() throws {
        let clock = Clock()
        let origins = KnownOrigins(atOnce: 2) { clock.now }
        let origin = try Origin("https://mirror.test")
        let refused = H2Error(.connectFailed, message: "m")
        let untrusted = H2Error(.certificateRejected, message: "m")
        #expect(origins.pause(before: origin, after: refused, attempts: 1) == nil)
        origins.served(origin)
        #expect(origins.pause(before: origin, after: untrusted, attempts: 1) == nil)
        #expect(origins.pause(before: origin, after: refused, attempts: 1) == .milliseconds(100))
        #expect(origins.pause(before: origin, after: refused, attempts: 100) == .seconds(1))
        for _ in 0..<100 { origins.failed(origin, refused, isConnected: true) }
        #expect(origins.failure(of: origin) == nil)
        origins.served(origin)
        clock.now += .seconds(60)
        #expect(origins.pause(before: origin, after: refused, attempts: 1) != nil)
        clock.now += .seconds(31)
        #expect(origins.pause(before: origin, after: refused, attempts: 9) == nil)
        origins.failed(origin, refused, isConnected: true)
        #expect(origins.failure(of: origin)?.code == .connectFailed)
    }

    @Test func `Known origins are away only while somebody asks them`() throws {
        let clock = Clock()
        let origins = KnownOrigins(atOnce: 2) { clock.now }
        let origin = try Origin("https://mirror.test")
        let refused = H2Error(.connectFailed, message: "m")
        origins.served(origin)
        func attempt(lasting seconds: Int) {
            origins.began(origin)
            clock.now += .seconds(seconds)
            _ = origins.pause(before: origin, after: refused, attempts: 1)
            origins.failed(origin, refused, isConnected: true)
            origins.ended(origin)
        }
        attempt(lasting: 1)
        // Nobody asks for an hour.
        clock.now += .seconds(3600)
        attempt(lasting: 10)
        #expect(origins.failure(of: origin) == nil)
        // Two at once, which are asking from the first one's beginning to the last one's end.
        origins.began(origin)
        attempt(lasting: 10)
        clock.now += .seconds(15)
        origins.ended(origin)
        attempt(lasting: 1)
        #expect(origins.failure(of: origin)?.code == .connectFailed)
    }

    private final class Clock { var now = ContinuousClock.now }
}
