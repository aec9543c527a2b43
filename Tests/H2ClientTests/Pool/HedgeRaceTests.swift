import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct HedgeRaceTests {
    /// The result of a race of this many copies, all sent before the first ends, for each order and kind of endings.
    struct Case: Sendable, CustomTestStringConvertible {
        var copies: Int
        var ends: [(Int, HedgeRace.Ending)]
        var result: Int?
        var running: [Int]
        var testDescription: String { "\(copies) copies: \(ends)" }
    }

    static let cases: [Case] = [
        Case(copies: 1, ends: [], result: nil, running: [0]),
        Case(copies: 1, ends: [(0, .answer)], result: 0, running: []),
        Case(copies: 1, ends: [(0, .refusal)], result: 0, running: []),
        Case(copies: 1, ends: [(0, .failure)], result: 0, running: []),
        Case(copies: 2, ends: [(0, .answer)], result: 0, running: [1]),
        Case(copies: 2, ends: [(1, .answer)], result: 1, running: [0]),
        Case(copies: 2, ends: [(1, .answer), (0, .answer)], result: 1, running: [0]),
        Case(copies: 2, ends: [(0, .failure)], result: nil, running: [1]),
        Case(copies: 2, ends: [(0, .failure), (1, .answer)], result: 1, running: []),
        Case(copies: 2, ends: [(0, .refusal), (1, .answer)], result: 1, running: []),
        Case(copies: 2, ends: [(1, .failure), (0, .answer)], result: 0, running: []),
        Case(copies: 2, ends: [(0, .failure), (1, .failure)], result: 0, running: []),
        Case(copies: 2, ends: [(1, .failure), (0, .failure)], result: 0, running: []),
        Case(copies: 2, ends: [(0, .failure), (1, .refusal)], result: 1, running: []),
        Case(copies: 2, ends: [(1, .refusal), (0, .refusal)], result: 0, running: []),
        Case(copies: 3, ends: [(0, .failure), (2, .refusal)], result: nil, running: [1]),
        Case(copies: 3, ends: [(0, .failure), (2, .refusal), (1, .failure)], result: 2, running: []),
        Case(copies: 3, ends: [(2, .refusal), (1, .answer)], result: 1, running: [0]),
    ]

    @Test(arguments: cases) func `The first answer counts, then a refusal, then the failure of the first`(_ test: Case)
    {
        var race = HedgeRace()
        for copy in 1..<max(test.copies, 1) { #expect(race.begin() == copy) }
        for (copy, ending) in test.ends { race.end(copy, ending) }
        #expect(race.result == test.result)
        #expect(race.running == test.running)
        #expect(race.isOver == (test.result != nil))
        #expect(race.maySend == (test.result == nil))
        #expect(test.result == nil || race.begin() == nil)
    }

    @Test func `Nothing more is sent to a server that wants to be left alone, but what was sent may still win`() {
        var race = HedgeRace()
        #expect(race.begin() == 1)
        race.holdBack()
        race.end(0, .refusal)
        #expect(race.begin() == nil && !race.isOver)
        race.end(1, .answer)
        #expect(race.result == 1)
    }

    @Test func `Where nobody wants an answer, the first copy is the result`() {
        var race = HedgeRace()
        #expect(race.begin() == 1)
        race.giveUp()
        #expect(race.result == 0 && race.running == [0, 1])
        race.end(1, .answer)
        #expect(race.result == 0 && race.begin() == nil)
    }
}

@Suite(.inTurn) struct HedgeLimitsTests {
    private static let second: UInt64 = 1_000_000_000
    private let origin = OriginKey(index: 1, generation: 1)

    private func taken(_ limits: inout HedgeLimits, _ policy: HTTPClient.HedgingPolicy, _ now: UInt64) -> Int {
        var count = 0
        while count < 10_000, limits.hasLeft(policy, now: now) {
            limits.take(policy)
            count += 1
        }
        return count
    }

    @Test func `Hedges are a share of the requests that may have one, and a few each second besides`() {
        var limits = HedgeLimits(now: 0)
        let policy = HTTPClient.HedgingPolicy(delay: .zero)
        #expect(taken(&limits, policy, 0) == 1)
        for _ in 0..<1_000 { limits.sent(now: 1) }
        #expect(taken(&limits, policy, 1) == 100)
        #expect(taken(&limits, policy, Self.second) == 1)
        for _ in 0..<1_000 { limits.sent(now: 20 * Self.second) }
        #expect(taken(&limits, policy, 20 * Self.second) == 101)
    }

    @Test func `Policies with budgets of their own draw from the same requests`() {
        var limits = HedgeLimits(now: 0)
        for _ in 0..<100 { limits.sent(now: 0) }
        var policy = HTTPClient.HedgingPolicy(delay: .zero, budget: 0.05, minimumHedgesPerSecond: 0)
        #expect(taken(&limits, policy, 0) == 5)
        policy.budget = 0.2
        #expect(taken(&limits, policy, 0) == 15)
        for odd in [0, -1, .nan, 0.1] {
            policy.budget = odd
            #expect(taken(&limits, policy, 0) == 0)
        }
        policy.minimumHedgesPerSecond = -1
        #expect(taken(&limits, policy, 0) == 0)
    }

    @Test func `An origin that asks for it gets none for a while, a minute at most`() {
        var limits = HedgeLimits(now: 0)
        #expect(!limits.isPaused(origin, now: 0))
        limits.pause(origin, for: 2 * Self.second, now: 0)
        limits.pause(origin, for: Self.second, now: 0)
        #expect(limits.isPaused(origin, now: 2 * Self.second - 1))
        #expect(!limits.isPaused(origin, now: 2 * Self.second))
        #expect(!limits.isPaused(OriginKey(index: 1, generation: 2), now: 0))
        limits.pause(origin, for: .max, now: 3 * Self.second)
        #expect(limits.isPaused(origin, now: 63 * Self.second - 1) && !limits.isPaused(origin, now: 63 * Self.second))
        limits.pause(origin, for: 0, now: 100 * Self.second)
        #expect(!limits.isPaused(origin, now: 100 * Self.second))
    }

    @Test func `Pauses that are over make room for others`() {
        var limits = HedgeLimits(now: 0)
        let count = UInt32(HedgeLimits.rememberedPauses)
        for index in 0..<2 * count {
            limits.pause(OriginKey(index: index, generation: 1), for: 1, now: UInt64(index))
        }
        #expect(limits.isPaused(OriginKey(index: 2 * count - 1, generation: 1), now: UInt64(2 * count - 1)))
        for index in 0..<2 * count {
            limits.pause(OriginKey(index: index, generation: 2), for: Self.second, now: UInt64(3 * count))
        }
        #expect(limits.isPaused(OriginKey(index: 0, generation: 2), now: UInt64(3 * count)))
        #expect(!limits.isPaused(OriginKey(index: count, generation: 2), now: UInt64(3 * count)))
    }
}
