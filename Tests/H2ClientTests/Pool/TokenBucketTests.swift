import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct TokenBucketTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func `A new bucket is full, and then gives one token at a time`() {
        var bucket = TokenBucket(perSecond: 10, burst: 3, now: 5)
        for _ in 0..<3 { #expect(bucket.take(now: 5) == nil) }
        #expect(bucket.take(now: 5) == 100_000_005)
        #expect(bucket.take(now: 100_000_004) == 100_000_005)
        #expect(bucket.take(now: 100_000_005) == nil)
        #expect(bucket.take(now: 100_000_005) == 200_000_005)
    }

    @Test func `A pause fills the bucket up to its burst and no further`() {
        var bucket = TokenBucket(perSecond: 1_000, burst: 5, now: 0)
        for round in 1...3 as ClosedRange<UInt64> {
            let now = round * 3_600 * Self.second
            for _ in 0..<5 { #expect(bucket.take(now: now) == nil) }
            #expect(bucket.take(now: now) == now + 1_000_000)
        }
    }

    @Test func `A clock that goes back gives nothing away and breaks nothing`() {
        var bucket = TokenBucket(perSecond: 1, burst: 1, now: 10 * Self.second)
        #expect(bucket.take(now: 10 * Self.second) == nil)
        #expect(bucket.take(now: 0) == 11 * Self.second)
        #expect(bucket.take(now: 11 * Self.second) == nil)
    }

    @Test(arguments: [1.0 / 3, 3, 7, 0.7, 9_999.999])
    func `Who takes as fast as he may gets exactly what the rate says`(rate: Double) {
        var bucket = TokenBucket(perSecond: rate, burst: 1, now: 0)
        var now: UInt64 = 0
        var taken = 0
        while taken < 20_000 {
            if let next = bucket.take(now: now) { now = next } else { taken += 1 }
        }
        // The first one is there at once; the n-th after it at the first whole nanosecond from n / rate on.
        #expect(isEarliest(now, tokens: UInt64(taken - 1), rate))
    }

    /// Whether at `time`, and not a nanosecond before, so many tokens have come: in whole numbers.
    private func isEarliest(_ time: UInt64, tokens: UInt64, _ rate: Double) -> Bool {
        func have(_ time: UInt64) -> Bool {
            let units = UInt128(time) * UInt128(rate.significandBitPattern | 1 << 52)
            return units >= UInt128(tokens) * (1_000_000_000 << UInt128(52 - Int(rate.exponent)))
        }
        return have(time) && !have(time - 1)
    }

    @Test(arguments: [0.001, 3, 10_000_000])
    func `After a century the rate is still exact`(rate: Double) {
        let century: UInt64 = 100 * 365 * 86_400 * Self.second
        var bucket = TokenBucket(perSecond: rate, burst: 1, now: 7)
        // Steps of odd length, at each of which the bucket is emptied, and a last one at which its remainder shows.
        #expect(bucket.take(now: 7) == nil)
        let next = bucket.take(now: 7)
        #expect(next != nil && isEarliest(next! - 7, tokens: 1, rate))
        #expect(bucket.take(now: century) == nil)
        let after = bucket.take(now: century)
        // What came within the last nanosecond counts towards it.
        let wait = after.map { $0 - century } ?? 0
        #expect(isEarliest(wait, tokens: 1, rate) || isEarliest(wait + 1, tokens: 1, rate))
        // The end of time is no crash.
        _ = bucket.take(now: .max)
        #expect(bucket.take(now: .max) == .max)
    }

    @Test(arguments: [-1, 0, .nan, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1e-5, 1e9])
    func `A rate that makes no sense is taken for the nearest that does`(rate: Double) {
        for burst in [Int.min, 0, 1, Int.max] {
            var bucket = TokenBucket(perSecond: rate, burst: burst, now: 0)
            #expect(bucket.take(now: 0) == nil)
            if burst <= 1 {
                let isFast = rate >= 1e9
                #expect(bucket.take(now: 0) == (isFast ? 1 : 100_000 * Self.second))
            }
            _ = bucket.take(now: .max)
        }
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `In no stretch of time are there more than the burst and the rate, and waiting as told never fails`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        // From 0.001 to 10 million a second, evenly by order of magnitude.
        let rate =
            [1e-3, 1e-2, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6].randomElement(using: &random)!
            * Double.random(in: 1...10, using: &random)
        let burst = Int.random(in: 1...20, using: &random)
        var now = UInt64.random(in: 0..<(1 << 60), using: &random)
        var bucket = TokenBucket(perSecond: rate, burst: burst, now: now)
        var taken: [UInt64] = []
        let interval = 1e9 / rate
        while taken.count < 400 {
            if let next = bucket.take(now: now) {
                #expect(next > now, "seed \(seed)")
                // Now and then look too early, or at once as told, or much later.
                switch Int.random(in: 0..<4, using: &random) {
                case 0: #expect(bucket.take(now: next - 1) == next, "seed \(seed)"); now = next
                case 1: now += UInt64(Double.random(in: 0...(interval * 30), using: &random))
                default: now = next
                }
            } else {
                taken.append(now)
            }
        }
        let units = UInt128(rate.significandBitPattern | 1 << 52)
        let token = UInt128(1_000_000_000) << UInt128(52 - Int(rate.exponent))
        for first in stride(from: 0, to: taken.count, by: 7) {
            for last in first..<taken.count {
                let came = UInt128(taken[last] - taken[first]) * units
                let isWithin = UInt128(last - first + 1) * token <= came + UInt128(burst) * token + units
                #expect(isWithin, "seed \(seed): \(first)...\(last)")
            }
        }
    }
}
