package import H2Client
import H2Platform

/// The same numbers for the same seed, and unrelated ones for neighbouring seeds.
package struct SeededGenerator: RandomNumberGenerator {
    private var generator: SplitMix64

    package init(seed: UInt64) {
        // Far apart: SplitMix64's streams of neighbouring states are one stream, shifted.
        generator = SplitMix64(seed: (seed ^ (seed >> 31)) &* 0xd6e8_feb8_6659_fd93)
        generator = SplitMix64(seed: generator.next() ^ (seed &* 0xff51_afd7_ed55_8ccd))
    }

    package mutating func next() -> UInt64 { generator.next() }

    /// True once in `count`.
    package mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }

    package mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    /// Small numbers as likely as large ones: uniform in the number of bits.
    package mutating func size(upTo limit: Int) -> Int {
        let bits = int(0...(Int.bitWidth - limit.leadingZeroBitCount))
        return min(limit, int(0...max(0, 1 << bits - 1)))
    }
}

/// Virtual time, an event loop without a thread, and what is to happen when.
///
/// Whoever calls `run` is the loop's thread for that long, and tasks that prefer `executor` run nowhere else: one seed has
/// one outcome. That is also the invariant behind `@unchecked Sendable`.
package final class SimulatedWorld: @unchecked Sendable {
    private final class Clock { var now: UInt64 = 1_000_000_000 }
    private struct Event {
        let time: UInt64
        let order: UInt64
        let action: () -> Void
    }

    package let loop: H2EventLoop
    /// A second one, which tasks may run on: to them `loop` is another thread's. It has its turn after `loop`.
    package let otherLoop: H2EventLoop
    private let clock: Clock
    // A binary heap by time, then order.
    private var events: [Event] = []
    private var lastOrder: UInt64 = 0

    package init() {
        let clock = Clock()
        self.clock = clock
        loop = H2EventLoop(simulatedClock: { clock.now })
        otherLoop = H2EventLoop(simulatedClock: { clock.now })
    }

    /// Nanoseconds.
    package var now: UInt64 { clock.now }
    package var executor: any TaskExecutor { loop.taskExecutor }

    // MARK: - What is to happen

    /// Runs `action` on the loop after so many nanoseconds.
    package func after(_ nanoseconds: UInt64, _ action: @escaping () -> Void) {
        at(clock.now &+ nanoseconds, action)
    }

    package func at(_ time: UInt64, _ action: @escaping () -> Void) {
        lastOrder += 1
        events.append(Event(time: max(time, clock.now), order: lastOrder, action: action))
        var child = events.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (events[a].time, events[a].order) < (events[b].time, events[b].order)
    }

    private func popEvent() -> Event {
        events.swapAt(0, events.count - 1)
        let event = events.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && isBefore(child, least) {
                least = child
            }
            if least == parent { return event }
            events.swapAt(parent, least)
            parent = least
        }
    }

    /// Suspends a task of this world.
    package func sleep(_ nanoseconds: UInt64) async {
        await withUnsafeContinuation { continuation in after(nanoseconds) { continuation.resume() } }
    }

    /// A task on the loop, or on the other one.
    @discardableResult
    package func task(onOtherLoop: Bool = false, _ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: onOtherLoop ? otherLoop.taskExecutor : executor) { await body() }
    }

    // MARK: - Running

    package enum Ending: Equatable {
        case done
        /// Nothing more will ever happen, or nothing before the limit.
        case idle
        /// Something goes on without end.
        case tooLong
    }

    /// Turns the loop, and time to what comes next, until `isDone` or nothing more happens before `limit` has passed.
    @discardableResult
    package func run(
        within limit: UInt64 = 86_400_000_000_000, turns: Int = 2_000_000, until isDone: () -> Bool = { false }
    ) -> Ending {
        let end = clock.now &+ limit
        for _ in 0..<turns {
            loop.turn()
            if otherLoop.hasWork { otherLoop.turn() }
            if isDone() { return .done }
            if loop.hasWork || otherLoop.hasWork { continue }
            guard let next = [events.first?.time, loop.nextTimer].compactMap(\.self).min(), next <= end else {
                return .idle
            }
            clock.now = max(clock.now, next)
            while let first = events.first, first.time <= clock.now {
                let action = LoopBound(popEvent().action)
                loop.execute { action.value() }
            }
        }
        return .tooLong
    }

    /// Lets time pass, and what it brings.
    package func advance(_ nanoseconds: UInt64) {
        var isOver = false
        after(nanoseconds) { isOver = true }
        run { isOver }
    }

    /// Runs one call on the loop.
    package func onLoop<R>(_ body: @escaping () -> R) -> R {
        var result: R?
        let call = LoopBound { result = body() }
        loop.execute { call.value() }
        loop.turn()
        return result!
    }
}

extension UInt64 {
    package static func milliseconds(_ count: Int) -> UInt64 { UInt64(count) * 1_000_000 }
    package static func microseconds(_ count: Int) -> UInt64 { UInt64(count) * 1_000 }
    package static func seconds(_ count: Int) -> UInt64 { UInt64(count) * 1_000_000_000 }
}

/// What a task of a simulated world leaves for whoever runs the world.
///
/// Invariant behind `@unchecked Sendable`: task and runner share the world's one thread.
package final class Noted<Value>: @unchecked Sendable {
    package var value: Value?
    package init() {}
}
