import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .ownThreads) struct RetryBudgetTests {
    private static let second: UInt64 = 1_000_000_000

    private func policy(_ share: Double, _ perSecond: Int) -> HTTPClient.RetryPolicy {
        var policy = HTTPClient.RetryPolicy()
        policy.budget = share
        policy.minimumRetriesPerSecond = perSecond
        return policy
    }

    /// How many retries there are.
    private func taken(_ budget: inout RetryBudget, _ now: UInt64) -> Int {
        var count = 0
        while budget.takeRetry(now: now) { count += 1 }
        return count
    }

    @Test func `A client that has sent nothing yet may retry so many times a second`() {
        var budget = RetryBudget(policy(0.2, 10), now: 0)
        for second in 0..<20 as Range<UInt64> {
            #expect(taken(&budget, second * Self.second) == 10)
            #expect(taken(&budget, (second + 1) * Self.second - 1) == 0)
        }
    }

    @Test func `A share of what was sent comes on top, and is there once`() {
        var budget = RetryBudget(policy(0.2, 10), now: 3)
        for _ in 0..<1_000 { budget.sent(now: 4) }
        #expect(taken(&budget, 5) == 210)
        #expect(taken(&budget, 3 + Self.second) == 10)
        for _ in 0..<50 { budget.sent(now: 4 + Self.second) }
        #expect(taken(&budget, 5 + Self.second) == 10)
    }

    @Test func `Requests of more than ten seconds ago count for nothing`() {
        var budget = RetryBudget(policy(0.5, 0), now: 0)
        for _ in 0..<10 { budget.sent(now: 0) }
        var atNine = budget
        #expect(taken(&atNine, 10 * Self.second - 1) == 5)
        #expect(taken(&budget, 10 * Self.second) == 0)
    }

    @Test func `What was drawn is forgotten with the requests that it was drawn from`() {
        var budget = RetryBudget(policy(0.5, 0), now: 0)
        for second in 0..<100 as Range<UInt64> {
            for _ in 0..<10 { budget.sent(now: second * Self.second) }
            #expect(taken(&budget, second * Self.second) == 5)
        }
    }

    @Test func `A policy without a budget allows no retry, and an odd one does not crash`() {
        var none = RetryBudget(policy(0, 0), now: 0)
        for _ in 0..<100 { none.sent(now: 0) }
        #expect(none.takeRetry(now: 0) == false)
        for share in [-1, Double.nan] {
            var odd = RetryBudget(policy(share, -3), now: .max)
            odd.sent(now: .max)
            odd.sent(now: 0)
            #expect(odd.takeRetry(now: .max) == false)
        }
        var endless = RetryBudget(policy(.infinity, 0), now: 0)
        #expect(endless.takeRetry(now: 0) == false)
        endless.sent(now: 0)
        #expect(endless.takeRetry(now: 0) == true)
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `It agrees with a plain list of all that was sent and drawn`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let share = Double(Int.random(in: 0...8, using: &random)) / 8
        let perSecond = Int.random(in: 0...3, using: &random)
        let start = UInt64.random(in: 0..<(100 * Self.second), using: &random)
        var budget = RetryBudget(policy(share, perSecond), now: start)
        var now = start
        var sent: [UInt64] = []
        var drawn: [UInt64] = []
        var free: [UInt64] = []
        for _ in 0..<3_000 {
            let pause = [0, 0, 1_000_000, 100_000_000, 900_000_000, 12 * Self.second].randomElement(using: &random)!
            now += pause == 12 * Self.second && UInt8.random(in: 0..<50, using: &random) > 0 ? 0 : pause
            let second = (now - start) / Self.second
            if Bool.random(using: &random) {
                budget.sent(now: now)
                sent.append(second)
                continue
            }
            let isRecent = { (other: UInt64) in other + 10 > second }
            let isFree = free.filter { $0 == second }.count < perSecond
            let isInShare =
                Double(drawn.filter(isRecent).count + 1) <= share * Double(sent.filter(isRecent).count)
            #expect(budget.takeRetry(now: now) == (isFree || isInShare), "seed \(seed)")
            if isFree { free.append(second) } else if isInShare { drawn.append(second) }
        }
    }
}

@Suite(.inTurn) struct RetryBackoffTests {
    private func waits(_ attempt: Int, _ policy: HTTPClient.RetryPolicy) -> ClosedRange<UInt64> {
        var random = SeededGenerator(seed: UInt64(bitPattern: Int64(attempt)))
        let waits = (0..<500).map { _ in RetryBackoff.wait(before: attempt, policy, using: &random) }
        return waits.min()!...waits.max()!
    }

    @Test func `The wait doubles with each attempt, and lies between half and all of that`() {
        let policy = HTTPClient.RetryPolicy()
        for (attempt, milliseconds) in [(2, 50), (3, 100), (4, 200), (9, 6_400)] as [(Int, UInt64)] {
            let whole = milliseconds * 1_000_000
            let waits = waits(attempt, policy)
            #expect(waits.lowerBound >= whole / 2 && waits.upperBound <= whole)
            // Spread over the whole stretch.
            #expect(waits.lowerBound < whole / 100 * 52 && waits.upperBound > whole / 100 * 98)
        }
    }

    @Test func `The jitter is the share that is left to chance`() {
        var policy = HTTPClient.RetryPolicy()
        policy.jitter = 0
        #expect(waits(3, policy) == 100_000_000...100_000_000)
        policy.jitter = 1
        let all = waits(3, policy)
        #expect(all.lowerBound < 2_000_000 && all.upperBound > 98_000_000 && all.upperBound <= 100_000_000)
        for (odd, share) in [(-1, 0), (.nan, 0), (5, 1), (.infinity, 1)] as [(Double, Double)] {
            policy.jitter = odd
            #expect(Double(waits(3, policy).lowerBound) >= 100_000_000 * (1 - share))
        }
        policy.jitter = 0.999
        (policy.backoff, policy.maximumBackoff) = (.seconds(Int64.max), .seconds(Int64.max))
        _ = waits(Int.max, policy)
    }

    @Test func `No wait is longer than the longest, which is spread like the others`() {
        let policy = HTTPClient.RetryPolicy()
        for attempt in [10, 20, 66, 1_000, Int.max] {
            let waits = waits(attempt, policy)
            #expect(waits.lowerBound >= 5_000_000_000 && waits.upperBound <= 10_000_000_000)
            #expect(waits.upperBound - waits.lowerBound > 4_500_000_000)
        }
    }

    @Test func `A policy without backoff waits for nothing, and an odd attempt counts as the second`() {
        var policy = HTTPClient.RetryPolicy()
        #expect(waits(Int.min, policy).upperBound <= 50_000_000)
        policy.backoff = .zero
        #expect(waits(50, policy) == 0...0)
        policy.backoff = .seconds(-1)
        #expect(waits(2, policy) == 0...0)
        policy.backoff = .seconds(Int64.max)
        policy.maximumBackoff = .seconds(Int64.max)
        #expect(waits(60, policy).upperBound <= UInt64.max / 4)
    }
}
