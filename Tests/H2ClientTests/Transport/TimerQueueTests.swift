import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct TimerQueueTests {
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    @Test(arguments: 1...20) func `Timers come due in the order of their deadlines, whichever were cancelled`(
        seed: UInt64
    ) {
        var random = Random(state: seed)
        var queue = TimerQueue()
        var fired: [UInt64] = []
        var timers: [LoopTimer] = []
        for _ in 0..<200 {
            let deadline = UInt64.random(in: 0..<50, using: &random)
            let timer = LoopTimer(deadline: deadline) { fired.append(deadline) }
            queue.insert(timer)
            timers.append(timer)
        }
        var expected: [UInt64] = []
        for timer in timers.shuffled(using: &random) {
            if Bool.random(using: &random) { queue.remove(timer) } else { expected.append(timer.deadline) }
        }
        #expect(queue.count == expected.count)
        #expect(queue.earliestDeadline == expected.min())
        while let action = queue.popDue(now: 100) { action() }
        #expect(fired == expected.sorted())
        #expect(queue.count == 0)
    }

    @Test func `A timer is not due before its deadline, and is at it`() {
        var queue = TimerQueue()
        queue.insert(LoopTimer(deadline: 10) {})
        #expect(queue.popDue(now: 9) == nil)
        #expect(queue.popDue(now: 10) != nil)
        #expect(queue.popDue(now: 10) == nil)
    }

    @Test func `A timer knows whether it is scheduled, and cancelling it twice is harmless`() {
        var queue = TimerQueue()
        let timer = LoopTimer(deadline: 1) {}
        let other = LoopTimer(deadline: 2) {}
        #expect(!timer.isScheduled)
        queue.insert(timer)
        queue.insert(other)
        #expect(timer.isScheduled)
        queue.remove(timer)
        queue.remove(timer)
        #expect(!timer.isScheduled)
        #expect(queue.count == 1)
        #expect(queue.earliestDeadline == 2)
    }

    @Test func `A cancelled timer lets go of what its action holds`() {
        final class Held {}
        var queue = TimerQueue()
        weak var observed: Held?
        let timer: LoopTimer
        do {
            let held = Held()
            observed = held
            timer = LoopTimer(deadline: 1) { _ = held }
        }
        queue.insert(timer)
        #expect(observed != nil)
        queue.remove(timer)
        #expect(observed == nil)
    }

    @Test func `Durations become nanoseconds, clamped to what a timer can take`() {
        #expect(Duration.milliseconds(2).clampedNanoseconds == 2_000_000)
        #expect(Duration.zero.clampedNanoseconds == 0)
        #expect(Duration.seconds(-5).clampedNanoseconds == 0)
        #expect(Duration.seconds(Int64.max).clampedNanoseconds == UInt64.max / 4)
    }
}
