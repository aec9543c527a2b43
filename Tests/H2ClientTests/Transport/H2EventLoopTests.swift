import Foundation
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct H2EventLoopTests {
    // MARK: - Calls and timers

    @Test func `A call from another thread runs on the loop's thread`() async {
        let loop = H2EventLoop()
        let wasCurrent = await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: loop.isCurrent) }
        }
        #expect(wasCurrent)
        #expect(!loop.isCurrent)
        loop.shutdown()
    }

    @Test func `Calls from many threads all run, those of one thread in their order`() async {
        let loop = H2EventLoop()
        let log = LoopBound(Log())
        await withTaskGroup(of: Void.self) { group in
            for source in 0..<8 {
                group.addTask {
                    for number in 0..<1_000 { loop.execute { log.value.entries.append((source, number)) } }
                }
            }
        }
        let entries = await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: log.value.entries) }
        }
        #expect(entries.count == 8_000)
        for source in 0..<8 {
            #expect(entries.filter { $0.0 == source }.map(\.1) == Array(0..<1_000))
        }
        loop.shutdown()
    }

    private final class Log { var entries: [(Int, Int)] = [] }

    @Test func `What was posted before shutdown still runs`() async {
        for _ in 0..<50 {
            let loop = H2EventLoop()
            await withCheckedContinuation { continuation in
                loop.execute { continuation.resume() }
                loop.shutdown()
            }
        }
    }

    @Test func `A timer fires not before its time, and a cancelled one never`() async {
        let loop = H2EventLoop()
        let (elapsed, cancelledFired) = await withCheckedContinuation { continuation in
            loop.execute {
                let flag = Flag()
                let cancelled = loop.schedule(after: 5_000_000) { flag.isSet = true }
                let start = loop.preciseNow
                _ = loop.schedule(after: 30_000_000) {
                    continuation.resume(returning: (loop.preciseNow - start, flag.isSet))
                }
                loop.cancel(cancelled)
            }
        }
        #expect(elapsed >= 29_000_000)
        #expect(!cancelledFired)
        loop.shutdown()
    }

    private final class Flag { var isSet = false }

    /// The loop looks at the clock after a wait too: otherwise such a timer would count from before the wait.
    @Test func `A timer that is set by a readiness handler after a long wait counts from then`() async throws {
        let loop = H2EventLoop()
        let pipe = try PipeEnds()
        let elapsed = await withCheckedContinuation { continuation in
            loop.execute {
                let handler = ClosureHandler { handler in
                    loop.deregister(pipe.reading)
                    let start = H2EventLoop.monotonicNanoseconds()
                    _ = loop.schedule(after: 100_000_000) {
                        continuation.resume(returning: H2EventLoop.monotonicNanoseconds() - start)
                    }
                }
                loop.register(pipe.reading, handler: handler)
            }
            // Another loop's timer is what ends the long wait.
            let other = H2EventLoop()
            other.execute {
                _ = other.schedule(after: 300_000_000) {
                    pipe.write()
                    other.shutdown()
                }
            }
        }
        #expect(elapsed >= 90_000_000)
        loop.shutdown()
        pipe.close()
    }

    // MARK: - Descriptors

    @Test func `A handler hears of input, and nothing more once it is deregistered`() async throws {
        let loop = H2EventLoop()
        let pipe = try PipeEnds()
        let count = await withCheckedContinuation { continuation in
            loop.execute {
                let handler = ClosureHandler { handler in
                    // Level-triggered: nothing is read, so it is told again until it is deregistered.
                    handler.count += 1
                    guard handler.count == 2 else { return }
                    loop.deregister(pipe.reading)
                    _ = loop.schedule(after: 30_000_000) { continuation.resume(returning: handler.count) }
                }
                loop.register(pipe.reading, handler: handler)
                pipe.write()
            }
        }
        #expect(count == 2)
        loop.shutdown()
        pipe.close()
    }

    @Test func `An event of a descriptor that was closed and opened anew does not reach the new owner`() {
        var table = DescriptorTable()
        let first = ClosureHandler { _ in }
        let second = ClosureHandler { _ in }
        let stale = table.insert(7, first)
        #expect(table.handler(for: stale) === first)
        table.remove(7)
        #expect(table.handler(for: stale) == nil)
        let fresh = table.insert(7, second)
        #expect(table.handler(for: stale) == nil)
        #expect(table.handler(for: fresh) === second)
        #expect(table.handler(for: fresh &+ 1) == nil)
    }

    // MARK: - Executors

    private actor Resident {
        let loop: H2EventLoop
        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
        var calls = 0
        init(loop: H2EventLoop) { self.loop = loop }
        func call() -> Bool {
            calls += 1
            return loop.isCurrent
        }
    }

    @Test func `An actor on the loop runs on its thread`() async {
        let loop = H2EventLoop()
        let resident = Resident(loop: loop)
        for _ in 0..<100 { #expect(await resident.call()) }
        #expect(await resident.calls == 100)
        loop.shutdown()
    }

    @Test func `A task that prefers the loop runs on its thread, before and after a suspension`() async {
        let loop = H2EventLoop()
        let resident = Resident(loop: loop)
        await withTaskExecutorPreference(loop.taskExecutor) {
            #expect(loop.isCurrent)
            #expect(await resident.call())
            #expect(loop.isCurrent)
            await Task.yield()
            #expect(loop.isCurrent)
        }
        loop.shutdown()
    }

    @Test func `An actor is found isolated in a callback of its loop`() async {
        let loop = H2EventLoop()
        let resident = Resident(loop: loop)
        let calls = await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: resident.assumeIsolated { $0.calls }) }
        }
        #expect(calls == 0)
        loop.shutdown()
    }

    @Test func `A loop that was shut down goes with its last user, though its executor stays`() async throws {
        weak var observed: H2EventLoop?
        var executor: (any TaskExecutor)?
        do {
            let loop = H2EventLoop()
            observed = loop
            executor = loop.taskExecutor
            await withCheckedContinuation { continuation in loop.execute { continuation.resume() } }
            loop.shutdown()
        }
        // Its thread is in its last turn.
        try await eventually("the loop is gone") { observed == nil }
        #expect(executor != nil)
    }

    // MARK: - Simulation

    private final class Flusher: Flushable {
        let loop: H2EventLoop
        var flushes = 0
        var again = 0
        init(_ loop: H2EventLoop) { self.loop = loop }
        func flush() {
            flushes += 1
            if again > 0 {
                again -= 1
                loop.markDirty(self)
            }
        }
    }

    @Test func `What is dirty is flushed at the end of the turn, after its calls and timers`() {
        let loop = H2EventLoop(simulatedClock: { 0 })
        let flusher = LoopBound(Flusher(loop))
        loop.execute {
            loop.markDirty(flusher.value)
            loop.execute { #expect(flusher.value.flushes == 0) }
            _ = loop.schedule(after: 0) { #expect(flusher.value.flushes == 0) }
        }
        #expect(loop.hasWork)
        loop.turn()
        #expect(flusher.value.flushes == 1)
        #expect(!loop.hasWork)
    }

    @Test func `What makes itself dirty while it is flushed is flushed in the next turn`() {
        let loop = H2EventLoop(simulatedClock: { 0 })
        let flusher = LoopBound(Flusher(loop))
        flusher.value.again = 2
        loop.execute { loop.markDirty(flusher.value) }
        for expected in 1...3 {
            #expect(loop.hasWork)
            loop.turn()
            #expect(flusher.value.flushes == expected)
        }
        #expect(!loop.hasWork)
    }

    /// Writes to a carrier when it is flushed.
    private final class Rider: Flushable {
        let carrier: Flusher
        init(_ carrier: Flusher) { self.carrier = carrier }
        func flush() { carrier.loop.markCarrierDirty(carrier) }
    }

    @Test func `A carrier is flushed in the same turn as those that write to it, and after them`() {
        let loop = H2EventLoop(simulatedClock: { 0 })
        let carrier = LoopBound(Flusher(loop))
        let rider = LoopBound(Rider(carrier.value))
        loop.execute { loop.markDirty(rider.value) }
        loop.turn()
        #expect(carrier.value.flushes == 1)
        #expect(!loop.hasWork)
        // On its own it waits for a turn, like any other.
        carrier.value.again = 1
        loop.execute { loop.markDirty(rider.value) }
        loop.turn()
        #expect(carrier.value.flushes == 2)
        loop.turn()
        #expect(carrier.value.flushes == 3)
        // Outside a flush it is also like any other.
        loop.execute { loop.markCarrierDirty(carrier.value) }
        loop.turn()
        #expect(carrier.value.flushes == 4)
        #expect(!loop.hasWork)
    }

    @Test func `A simulated loop's timers follow its clock alone`() {
        final class Clock { var time: UInt64 = 1_000 }
        let clock = Clock()
        let loop = H2EventLoop(simulatedClock: { clock.time })
        let flag = LoopBound(Flag())
        loop.execute { _ = loop.schedule(after: 50) { flag.value.isSet = true } }
        loop.turn()
        #expect(loop.nextTimer == 1_050)
        clock.time = 1_049
        loop.turn()
        #expect(!flag.value.isSet)
        clock.time = 1_050
        loop.turn()
        #expect(flag.value.isSet)
        #expect(loop.nextTimer == nil)
    }
}

/// Tells a closure that its descriptor is ready.
private final class ClosureHandler: ReadinessHandler {
    var count = 0
    private let action: (ClosureHandler) -> Void
    init(_ action: @escaping (ClosureHandler) -> Void) { self.action = action }
    func ready(readable: Bool, writable: Bool) { action(self) }
}

private struct PipeEnds: Sendable {
    let reading: CInt
    private let writing: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        try #require(pipe(&ends) == 0)
        (reading, writing) = (ends[0], ends[1])
    }

    func write() {
        var byte: UInt8 = 1
        #expect(Foundation.write(writing, &byte, 1) == 1)
    }

    func close() {
        Foundation.close(reading)
        Foundation.close(writing)
    }
}
