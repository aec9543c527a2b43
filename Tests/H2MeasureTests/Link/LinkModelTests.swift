import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct LinkModelTests {
    private static let millisecond: UInt64 = 1_000_000
    private let segment = 1460

    private struct Arrival: Equatable {
        var milliseconds: Double
        var bytes: Int
    }

    private func link(_ milliseconds: UInt64, loss: Double = 0) -> LinkConditions {
        LinkConditions(roundTrip: milliseconds * Self.millisecond, loss: loss)
    }

    private func model(_ conditions: LinkConditions, opensAt: UInt64 = 0, seed: UInt64 = 1) -> LinkModel {
        LinkModel(conditions, opensAt: opensAt, random: SplitMix64(seed: seed))
    }

    /// Everything that arrives from now on.
    private func arrivals(_ model: inout LinkModel) -> [Arrival] {
        var found: [Arrival] = []
        func take(_ time: UInt64) {
            let bytes = model.takeArrived()
            if bytes > 0 { found.append(Arrival(milliseconds: Double(time) / 1e6, bytes: bytes)) }
        }
        take(0)
        while let time = model.nextEvent {
            model.advance(to: time)
            take(time)
        }
        return found
    }

    /// A seed whose first draws are these.
    private func seed(drawing wanted: [Bool], loss: Double) -> UInt64 {
        for seed in 0..<1_000_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            if wanted.allSatisfy({ random.happens(loss) == $0 }) { return seed }
        }
        preconditionFailure("no seed draws \(wanted)")
    }

    // MARK: - Distance

    @Test func `A link of no length passes bytes on at once`() {
        var model = model(LinkConditions())
        model.append(100, at: 7)
        model.advance(to: 7)
        #expect(model.takeArrived() == 100)
        model.append(segment * 100, at: 8)
        model.advance(to: 8)
        #expect(model.takeArrived() == segment * 100)
        #expect(model.nextEvent == nil)
    }

    @Test func `Bytes arrive half a round trip later`() {
        var model = model(link(30))
        model.append(100, at: 5 * Self.millisecond)
        model.advance(to: 20 * Self.millisecond - 1)
        #expect(model.takeArrived() == 0)
        #expect(model.queued == 100)
        model.advance(to: 20 * Self.millisecond)
        #expect(model.takeArrived() == 100)
        #expect(model.queued == 0)
    }

    @Test func `Both halves of an odd round trip make it whole`() {
        let conditions = LinkConditions(roundTrip: 7)
        var forth = LinkModel(conditions, isForth: true, random: SplitMix64(seed: 1))
        var back = LinkModel(conditions, isForth: false, random: SplitMix64(seed: 1))
        forth.append(1, at: 0)
        back.append(1, at: 0)
        #expect(forth.nextEvent == 3)
        #expect(back.nextEvent == 4)
    }

    @Test func `Nothing leaves before the connection is open`() {
        var model = model(link(100), opensAt: 100 * Self.millisecond)
        model.append(10, at: 3)
        model.append(20, at: 4)
        #expect(model.nextEvent == 100 * Self.millisecond)
        #expect(arrivals(&model) == [Arrival(milliseconds: 150, bytes: 30)])
    }

    // MARK: - The window

    @Test func `Slow start doubles the window each round trip`() {
        var model = model(link(100))
        model.append(100 * segment, at: 0)
        #expect(
            arrivals(&model) == [
                Arrival(milliseconds: 50, bytes: 10 * segment), Arrival(milliseconds: 150, bytes: 20 * segment),
                Arrival(milliseconds: 250, bytes: 40 * segment), Arrival(milliseconds: 350, bytes: 30 * segment),
            ])
    }

    @Test func `A warm connection is faster than a new one`() {
        var model = model(link(100))
        model.append(100 * segment, at: 0)
        _ = arrivals(&model)
        #expect(model.window > 60)
        model.append(60 * segment, at: 500 * Self.millisecond)
        #expect(arrivals(&model) == [Arrival(milliseconds: 550, bytes: 60 * segment)])
    }

    @Test func `Above the threshold the window grows by one a round trip`() {
        var conditions = link(100)
        conditions.slowStartThreshold = 20
        var model = model(conditions)
        model.append(200 * segment, at: 0)
        #expect(arrivals(&model).prefix(5).map { $0.bytes / segment } == [10, 20, 21, 22, 23])
    }

    @Test func `The window stops at its maximum`() {
        var conditions = link(100)
        conditions.maximumWindow = 25
        var model = model(conditions)
        model.append(200 * segment, at: 0)
        #expect(arrivals(&model).prefix(4).map { $0.bytes / segment } == [10, 20, 25, 25])
        #expect(model.window == 25)
    }

    @Test func `A window that is not used does not grow`() {
        var model = model(link(100))
        for round in 0..<20 {
            model.append(3 * segment, at: UInt64(round) * 100 * Self.millisecond)
        }
        _ = arrivals(&model)
        #expect(model.window == 10)
    }

    @Test func `Silence halves the window down to the initial one`() {
        var model = model(link(100))
        model.append(150 * segment, at: 0)
        _ = arrivals(&model)
        let warm = model.window
        #expect(warm > 80)
        // A little more than one timeout of 200 ms after the last segment.
        var once = model
        once.append(1, at: 600 * Self.millisecond)
        #expect(once.window == warm / 2)
        model.append(1, at: 60_000 * Self.millisecond)
        #expect(model.window == 10)
    }

    @Test func `Small pieces that wait for the window become whole segments`() {
        var model = model(link(100))
        model.append(10 * segment, at: 0)
        for _ in 0..<1000 { model.append(10, at: 0) }
        #expect(
            arrivals(&model) == [
                Arrival(milliseconds: 50, bytes: 10 * segment), Arrival(milliseconds: 150, bytes: 10_000),
            ])
    }

    // MARK: - Losses

    @Test func `A loss that three segments follow costs a round trip and halves the window`() {
        let draws = [false, true] + [Bool](repeating: false, count: 8)
        var model = model(link(100, loss: 0.1), seed: seed(drawing: draws, loss: 0.1))
        model.append(5 * segment, at: 0)
        #expect(
            arrivals(&model) == [
                Arrival(milliseconds: 50, bytes: segment), Arrival(milliseconds: 150, bytes: 4 * segment),
            ])
        #expect(model.lost == 1)
        #expect(model.window == 5)
    }

    @Test func `A loss that too little follows costs the timeout`() {
        for (roundTrip, timeout) in [(10 as UInt64, 200.0), (100, 200), (150, 300)] {
            let draws = [false, true, false, false, false]
            var model = model(link(roundTrip, loss: 0.1), seed: seed(drawing: draws, loss: 0.1))
            model.append(4 * segment, at: 0)
            let half = Double(roundTrip) / 2
            #expect(
                arrivals(&model) == [
                    Arrival(milliseconds: half, bytes: segment),
                    Arrival(milliseconds: timeout + half, bytes: 3 * segment),
                ])
        }
    }

    @Test func `The timeout doubles where the repetition gets lost too`() {
        let draws = [true, true, false]
        var model = model(link(100, loss: 0.2), seed: seed(drawing: draws, loss: 0.2))
        model.append(10, at: 0)
        #expect(arrivals(&model) == [Arrival(milliseconds: 200 + 400 + 50, bytes: 10)])
        #expect(model.lost == 2)
    }

    @Test func `Losses of one flight halve the window once`() {
        let draws = [true, false, true] + [Bool](repeating: false, count: 12)
        var model = model(link(100, loss: 0.1), seed: seed(drawing: draws, loss: 0.1))
        model.append(10 * segment, at: 0)
        #expect(arrivals(&model) == [Arrival(milliseconds: 150, bytes: 10 * segment)])
        #expect(model.lost == 2)
        #expect(model.window == 5)
    }

    @Test(arguments: 1...40) func `Whatever is lost everything arrives once and in time`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let conditions = link(UInt64.random(in: 0...80, using: &random), loss: Double(seed % 5) / 20)
        let opensAt = conditions.roundTrip
        var model = model(conditions, opensAt: opensAt, seed: random.next())
        var (now, sent, arrived) = (0 as UInt64, 0, 0)
        for _ in 0..<60 {
            now += UInt64.random(in: 0...40 * Self.millisecond, using: &random)
            let bytes = Int.random(in: 0...100_000, using: &random)
            model.append(bytes, at: now)
            sent += bytes
            let new = model.takeArrived()
            #expect(new == 0 || now >= opensAt + conditions.forth, "seed \(seed)")
            arrived += new
            #expect(arrived + model.queued == sent, "seed \(seed)")
        }
        model.finish(at: now)
        arrived += arrivals(&model).reduce(0) { $0 + $1.bytes }
        #expect(arrived == sent, "seed \(seed)")
        #expect(model.queued == 0 && model.hasEnded, "seed \(seed)")
        #expect((conditions.loss > 0) == (model.lost > 0), "seed \(seed)")
    }

    // MARK: - The ends

    @Test func `The end arrives behind all bytes`() {
        var model = model(link(100))
        model.append(12 * segment, at: 0)
        model.finish(at: 0)
        model.advance(to: 50 * Self.millisecond)
        #expect(model.takeArrived() == 10 * segment && !model.hasEnded)
        model.advance(to: 150 * Self.millisecond)
        #expect(model.takeArrived() == 2 * segment && model.hasEnded)
    }

    @Test func `An end alone arrives too`() {
        var model = model(link(100))
        model.finish(at: 0)
        #expect(model.nextEvent == 50 * Self.millisecond)
        model.advance(to: 50 * Self.millisecond)
        #expect(model.hasEnded)
    }

    @Test func `Opening takes a round trip and the server half of one more`() {
        var random = SplitMix64(seed: 1)
        let opening = LinkOpening(link(100), at: 7 * Self.millisecond, using: &random)
        #expect(opening.reachesServer == 57 * Self.millisecond)
        #expect(opening.clientMaySend == 107 * Self.millisecond)
        #expect(opening.serverMaySend == 157 * Self.millisecond)
        #expect(opening.lost == 0)
    }

    @Test func `A lost SYN costs a second and a lost answer too`() {
        let conditions = link(100, loss: 0.2)
        var lostSYN = SplitMix64(seed: seed(drawing: [true, false, false], loss: 0.2))
        let first = LinkOpening(conditions, at: 0, using: &lostSYN)
        #expect(first.reachesServer == 1050 * Self.millisecond)
        #expect(first.clientMaySend == 1100 * Self.millisecond)
        #expect(first.lost == 1)

        var lostAnswer = SplitMix64(seed: seed(drawing: [false, true, true, false, false], loss: 0.2))
        let second = LinkOpening(conditions, at: 0, using: &lostAnswer)
        #expect(second.reachesServer == 50 * Self.millisecond)
        #expect(second.clientMaySend == 3100 * Self.millisecond)
        #expect(second.serverMaySend == 3150 * Self.millisecond)
        #expect(second.lost == 2)
    }

    @Test func `The seventh SYN is not lost`() {
        var random = SplitMix64(seed: 1)
        let opening = LinkOpening(link(100, loss: 1), at: 0, using: &random)
        #expect(opening.clientMaySend == (63_000 + 100) * Self.millisecond)
        #expect(opening.lost == 6)
    }
}
