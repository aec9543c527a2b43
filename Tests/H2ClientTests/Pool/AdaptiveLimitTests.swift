import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .ownThreads) struct AdaptiveLimitTests {
    private static let millisecond: UInt64 = 1_000_000

    private func limit(_ change: (inout HTTPClient.LoadLimits.Adaptive) -> Void = { _ in }) -> AdaptiveLimit {
        var options = HTTPClient.LoadLimits.Adaptive()
        change(&options)
        return AdaptiveLimit(options)
    }

    // MARK: - Answer by answer

    @Test func `A round of good answers raises the limit by one`() {
        var limit = limit { $0.initial = 4 }
        for expected in [4, 4, 4, 5, 5, 5, 5, 5, 6] {
            limit.answered(.good, latency: 10, inFlight: 6, now: 1_000)
            #expect(limit.limit == expected)
        }
    }

    @Test func `A limit that is not used does not grow beyond twice what is in flight`() {
        var limit = limit { $0.initial = 4 }
        for _ in 0..<1_000 { limit.answered(.good, latency: 10, inFlight: 10, now: 1_000) }
        #expect(limit.limit == 20)
        for _ in 0..<1_000 { limit.answered(.good, latency: 10, inFlight: 1, now: 1_000) }
        #expect(limit.limit == 20)
    }

    @Test func `A limit of one that is used grows`() {
        var limit = limit { $0.initial = 1 }
        limit.answered(.good, latency: 10, inFlight: 1, now: 1_000)
        #expect(limit.limit == 2)
    }

    @Test func `A refusal lowers the limit once a round trip`() {
        var limit = limit { $0.initial = 100 }
        limit.answered(.overloaded(retryAfter: nil), latency: 50, inFlight: 100, now: 1_000)
        #expect(limit.limit == 70)
        // All of these began before.
        for time in 1_000...1_050 as ClosedRange<UInt64> {
            limit.answered(.overloaded(retryAfter: nil), latency: 50, inFlight: 100, now: time)
        }
        #expect(limit.limit == 70)
        limit.answered(.overloaded(retryAfter: nil), latency: 50, inFlight: 70, now: 1_051)
        #expect(limit.limit == 49)
    }

    @Test func `A refusal lowers a limit that was not used from what was used`() {
        var limit = limit { $0.initial = 1_000 }
        limit.answered(.overloaded(retryAfter: nil), latency: 50, inFlight: 10, now: 1_000)
        #expect(limit.limit == 14)
    }

    @Test func `However gently it is to fall, it falls by one at least, and down to the minimum`() {
        var limit = limit {
            $0.initial = 5; $0.decreaseFactor = 1; $0.minimum = 2
        }
        for (turn, expected) in [4, 3, 2, 2].enumerated() {
            limit.answered(.overloaded(retryAfter: nil), latency: 1, inFlight: 9, now: UInt64(turn + 1) * 1_000)
            #expect(limit.limit == expected)
        }
    }

    @Test func `Other failures change nothing`() {
        var limit = limit()
        for turn in 1...100 as ClosedRange<UInt64> {
            limit.answered(.neutral, latency: turn * turn, inFlight: 8, now: turn * 100_000)
        }
        #expect(limit.limit == 8)
        #expect(limit.pausedUntil == 0)
    }

    @Test func `Retry-After pauses up to the longest pause, and never shortens one`() {
        var limit = limit { $0.maximumPause = .nanoseconds(500) }
        limit.answered(.overloaded(retryAfter: 100), latency: 5, inFlight: 8, now: 1_000)
        #expect(limit.pausedUntil == 1_100)
        // From before the decrease, and yet it says how long.
        limit.answered(.overloaded(retryAfter: 200), latency: 5, inFlight: 8, now: 1_001)
        limit.answered(.overloaded(retryAfter: 20), latency: 5, inFlight: 8, now: 1_002)
        limit.answered(.good, latency: 5, inFlight: 8, now: 1_003)
        #expect(limit.pausedUntil == 1_201)
        #expect(limit.limit == 5)
        limit.answered(.overloaded(retryAfter: .max), latency: 5, inFlight: 8, now: 1_100)
        #expect(limit.pausedUntil == 1_600)
        limit.answered(.neutral, latency: 5, inFlight: 8, now: 1_600)
        #expect(limit.pausedUntil == 0)
        limit.pause(for: 0, now: 2_000)
        #expect(limit.pausedUntil == 0)
        limit.pause(for: 7, now: 2_000)
        #expect(limit.pausedUntil == 2_007)
        limit.pause(for: 7, now: .max - 3)
        #expect(limit.pausedUntil == .max)
    }

    @Test func `Answers that take too long lower the limit without a pause`() {
        var limit = limit { $0.initial = 16 }
        for turn in 0..<16 as Range<UInt64> {
            limit.answered(.good, latency: 10, inFlight: 16, now: 1_000 + turn)
        }
        #expect(limit.limit == 17)
        for turn in 0..<17 as Range<UInt64> {
            limit.answered(.good, latency: 29, inFlight: 17, now: 2_000 + turn)
        }
        #expect(limit.limit == 18)
        for turn in 0..<18 as Range<UInt64> {
            limit.answered(.good, latency: 40, inFlight: 18, now: 3_000 + turn)
        }
        #expect(limit.limit == 12)
        // And further, for as long as they do.
        for turn in 0..<16 as Range<UInt64> {
            limit.answered(.good, latency: 40, inFlight: 12, now: 4_000 + turn)
        }
        #expect(limit.limit == 9)
        #expect(limit.pausedUntil == 0)
    }

    @Test func `A single answer that took for ever lowers nothing`() {
        var limit = limit { $0.initial = 16 }
        for turn in 0..<500 as Range<UInt64> {
            limit.answered(
                .good, latency: turn % 20 == 7 ? 1_000_000 : 1_000, inFlight: 16, now: (turn + 2) * 2_000_000)
            #expect(limit.limit >= 16)
        }
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `Whatever comes, the limit stays within its bounds`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let minimum = Int.random(in: -3...20, using: &random)
        let maximum = Int.random(in: -3...200, using: &random)
        var limit = limit {
            ($0.minimum, $0.maximum) = (minimum, maximum)
            $0.initial = [Int.min, 0, 10, 100, Int.max].randomElement(using: &random)!
            $0.decreaseFactor = [-1, 0, 0.1, 0.7, 1, 5, .nan, .infinity].randomElement(using: &random)!
            $0.latencyTolerance = [-1, 0, 1, 3, .nan, .infinity].randomElement(using: &random)!
            $0.maximumPause = [.seconds(-1), .zero, .seconds(60), .seconds(Int64.max)].randomElement(using: &random)!
        }
        let allowed = max(minimum, 1)...max(maximum, minimum, 1)
        var now: UInt64 = 0
        for _ in 0..<5_000 {
            let answer: AdaptiveLimit.Answer =
                switch UInt8.random(in: 0..<40, using: &random) {
                case 0: .overloaded(retryAfter: nil)
                case 1: .overloaded(retryAfter: [0, 5, .max].randomElement(using: &random)!)
                case 2: .neutral
                default: .good
                }
            limit.answered(
                answer, latency: [0, 1, 1_000, 1_000_000, .max].randomElement(using: &random)!,
                inFlight: [0, -1, 1, limit.limit, 1_000, Int.max, Int.min].randomElement(using: &random)!, now: now)
            #expect(allowed.contains(limit.limit), "seed \(seed)")
            let (next, isOver) = now.addingReportingOverflow([0, 1, 2_000_000, 1 << 53].randomElement(using: &random)!)
            now = isOver ? 0 : next
        }
    }

    // MARK: - Against a model server

    @Test(arguments: [(1, 3), (4, 4), (10, 5), (10, 20), (50, 25), (200, 50)], [1, 20, 300] as [Double])
    func `The limit settles at what the server takes, and few are refused`(
        shape: (workers: Int, queue: Int), milliseconds: Double
    ) {
        var model = ModelServer(
            workers: shape.workers, queue: shape.queue, limit: .adaptive(limit()),
            service: ModelServer.about(milliseconds: milliseconds))
        // Workers, the queue, and what is on its way there and back (1 ms) meanwhile.
        let room = shape.workers + shape.queue + Int(Double(shape.workers) / milliseconds)
        // Some 400 rounds, each of which adds one at most.
        _ = model.run(seconds: milliseconds * 0.4 + 1)
        let seconds = milliseconds * 0.3 + 1
        let tally = model.run(seconds: seconds)
        #expect(tally.meanLimit >= Double(shape.workers) * 0.8 && tally.meanLimit <= Double(room))
        #expect(tally.most <= room + 2 + room / 50)
        #expect(tally.refusedShare < 0.2 / Double(min(room, 10)) + 0.05, "\(tally)")
        let capacity = Double(shape.workers) * seconds * 1_000 / milliseconds
        #expect(Double(tally.completed) > (milliseconds == 1 ? 0.6 : 0.85) * capacity, "\(tally) of \(capacity)")
    }

    @Test(arguments: [5, 20]) func `A fixed limit that is too high completes no more, and has far more refused`(
        workers: Int
    ) {
        func tally(_ limit: ModelServer.Limit) -> ModelServer.Tally {
            var model = ModelServer(
                workers: workers, queue: workers, limit: limit, service: ModelServer.about(milliseconds: 20))
            return model.run(seconds: 10)
        }
        let adaptive = tally(.adaptive(limit()))
        let fixed = tally(.fixed(workers * 10))
        #expect(Double(adaptive.completed) >= 0.97 * Double(fixed.completed), "\(adaptive) \(fixed)")
        #expect(adaptive.refused * 100 < fixed.refused, "\(adaptive) \(fixed)")
    }

    @Test(arguments: [4, 20, 60], 1...2 as ClosedRange<UInt64>)
    func `A server that queues without end is known by its latency`(workers: Int, seed: UInt64) {
        var model = ModelServer(
            workers: workers, queue: 1_000_000, limit: .adaptive(limit { $0.initial = 4 }), seed: seed,
            service: ModelServer.about(milliseconds: 20))
        _ = model.run(seconds: 10)
        for _ in 0..<3 {
            let tally = model.run(seconds: 10)
            #expect(tally.least >= workers, "seed \(seed): \(tally)")
            #expect(tally.most <= workers * 5, "seed \(seed): \(tally)")
            #expect(tally.completed > workers * 10 * 50 * 9 / 10, "seed \(seed): \(tally)")
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `A server that loses workers gets less, and more again when they come back`(seed: UInt64) {
        var model = ModelServer(
            workers: 40, queue: 10, limit: .adaptive(limit()), seed: seed, service: ModelServer.about(milliseconds: 10))
        _ = model.run(seconds: 5)
        #expect(model.limit.now >= 30)
        model.workers = 5
        _ = model.run(seconds: 2)
        let few = model.run(seconds: 5)
        #expect(few.most <= 17 && few.refusedShare < 0.1, "seed \(seed): \(few)")
        model.workers = 40
        _ = model.run(seconds: 5)
        let many = model.run(seconds: 5)
        #expect(many.meanLimit >= 32 && many.refusedShare < 0.02, "seed \(seed): \(many)")
    }

    @Test(arguments: [(10, 25), (10, 100), (5, 500), (100, 5)], 1...3 as ClosedRange<UInt64>)
    func `A server that becomes slower or faster for good keeps all its workers busy`(
        change: (before: Double, after: Double), seed: UInt64
    ) {
        var model = ModelServer(
            workers: 20, queue: 1_000_000, limit: .adaptive(limit()), seed: seed,
            service: ModelServer.about(milliseconds: change.before))
        _ = model.run(seconds: change.before * 0.4)
        model.service = ModelServer.about(milliseconds: change.after)
        _ = model.run(seconds: change.after * 0.4)
        let tally = model.run(seconds: change.after * 0.4)
        #expect(tally.least >= 10 && tally.meanLimit >= 20 && tally.most <= 200, "seed \(seed): \(tally)")
        #expect(tally.completed > 20 * 400 * 8 / 10, "seed \(seed): \(tally)")
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `Noise, and resources that take fifty times as long as others, are no overload`(seed: UInt64) {
        for isMixed in [false, true] {
            var model = ModelServer(workers: 1_000, queue: 0, limit: .adaptive(limit()), seed: seed) { random in
                if isMixed { return UInt8.random(in: 0..<5, using: &random) == 0 ? 50_000_000 : 1_000_000 }
                // A long tail: a mean of 10 ms, a median of 5, and up to 125.
                return UInt64(2_500_000 / Double.random(in: 0.02..<1, using: &random))
            }
            model.demand = 50
            _ = model.run(seconds: 5)
            let tally = model.run(seconds: 20)
            #expect(tally.meanLimit > 60, "seed \(seed): \(tally)")
            #expect(tally.completed > 50 * 20 * 1_000 / 13 * 8 / 10, "seed \(seed): \(tally)")
        }
    }

    @Test func `An origin that asks for pauses is left alone in them`() {
        var model = ModelServer(
            workers: 2, queue: 0, limit: .adaptive(limit()), service: ModelServer.about(milliseconds: 10))
        model.retryAfter = 1_000_000_000
        let tally = model.run(seconds: 60)
        // Between two pauses there are some rounds, at whose end one or two requests too many are refused.
        #expect(tally.refused < 200 && tally.completed > 100, "\(tally)")
    }
}
