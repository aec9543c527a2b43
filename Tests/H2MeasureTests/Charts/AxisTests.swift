import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct AxisTests {
    private func labels(_ axis: Axis) -> [String] { axis.ticks.map(\.label) }

    // MARK: Linear

    @Test func `Linear ticks are round and hold the values`() {
        let axis = Axis("", unit: .count, covering: [3, 44_500])
        #expect(labels(axis) == ["0", "10k", "20k", "30k", "40k", "50k"])
        #expect(axis.lower == 0)
        #expect(axis.upper == 50_000)
    }

    @Test func `Ticks of times share their unit`() {
        let axis = Axis("", unit: .nanoseconds, covering: [0, 2.2e6])
        #expect(labels(axis) == ["0", "0.5 ms", "1.0 ms", "1.5 ms", "2.0 ms", "2.5 ms"])
    }

    @Test func `Things that are counted have no ticks between them`() {
        #expect(labels(Axis("", unit: .count, covering: [0, 1, 2])) == ["0", "1", "2"])
    }

    @Test func `Long time lines have the steps of clocks`() {
        #expect(labels(Axis("", unit: .seconds, covering: [0, 60])) == ["0", "15 s", "30 s", "45 s", "60 s"])
        #expect(
            labels(Axis("", unit: .seconds, covering: [0, 300])) == ["0", "1 min", "2 min", "3 min", "4 min", "5 min"])
        #expect(
            labels(Axis("", unit: .seconds, covering: [0, 150])) == ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30"])
        #expect(labels(Axis("", unit: .seconds, covering: [0, 36_000])) == ["0", "2 h", "4 h", "6 h", "8 h", "10 h"])
    }

    @Test(arguments: [
        [], [0], [0, 0, 0], [Double.nan], [Double.infinity, -Double.infinity], [Double.leastNonzeroMagnitude],
    ])
    func `Without a size it goes from zero to one`(_ values: [Double]) {
        let axis = Axis("", unit: .count, covering: values)
        #expect(axis.lower == 0)
        #expect(axis.upper == 1)
        #expect(labels(axis) == ["0", "1"])
    }

    // MARK: Logarithmic

    @Test func `Logarithmic ticks are one, two and five`() {
        let axis = Axis("", unit: .nanoseconds, scale: .logarithmic(base: 10), covering: [230_000, 4_100_000])
        #expect(labels(axis) == ["200 µs", "500 µs", "1 ms", "2 ms", "5 ms"])
    }

    @Test func `Many decades have one tick each`() {
        let axis = Axis("", unit: .nanoseconds, scale: .logarithmic(base: 10), covering: [1e3, 1e9], ticks: 4)
        #expect(labels(axis) == ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"])
    }

    @Test func `Streams have ticks at powers of two`() {
        let axis = Axis("", unit: .count, scale: .logarithmic(base: 2), covering: [1, 8])
        #expect(labels(axis) == ["1", "2", "4", "8"])
        let long = Axis("", unit: .count, scale: .logarithmic(base: 2), covering: [1, 1024])
        #expect(labels(long) == ["1", "4", "16", "64", "256", "1024"])
    }

    @Test(arguments: [[], [0], [-3], [Double.nan], [7]])
    func `A logarithmic axis has a length whatever it is given`(_ values: [Double]) {
        let axis = Axis("", unit: .nanoseconds, scale: .logarithmic(base: 10), covering: values)
        #expect(axis.lower > 0)
        #expect(axis.upper > axis.lower)
        #expect(!axis.ticks.isEmpty)
    }

    @Test func `A time line of milliseconds has their unit`() {
        let short = labels(Axis("", unit: .seconds, covering: [0.001]))
        #expect(short == ["0", "0.2 ms", "0.4 ms", "0.6 ms", "0.8 ms", "1.0 ms"])
        #expect(labels(Axis("", unit: .seconds, covering: [0.02])).last == "20 ms")
        #expect(labels(Axis("", unit: .seconds, covering: [0.9])).last == "1.0 s")
    }

    @Test func `Scales suit the values`() {
        #expect(Axis.Scale.suiting([1, 20]) == .linear)
        #expect(Axis.Scale.suiting([1, 200]) == .logarithmic(base: 10))
        #expect(Axis.Scale.suiting([0, .nan]) == .linear)
    }

    // MARK: Percentiles

    @Test func `Each further nine has the same length`() throws {
        let axis = Axis("", unit: .percentile, scale: .percentile, covering: [0, 99.99])
        let positions = try [0, 90, 99, 99.9, 99.99].map { try #require(axis.position($0)) }
        #expect(zip(positions, [0, 0.25, 0.5, 0.75, 1]).allSatisfy { abs($0 - $1) < 1e-9 })
        #expect(labels(axis) == ["0%", "50%", "90%", "99%", "99.9%", "99.99%"])
    }

    @Test func `Hundred percent is at the end rather than beyond all numbers`() {
        let axis = Axis("", unit: .percentile, scale: .percentile, covering: [100])
        #expect(axis.position(100) == 1)
        #expect(axis.upper < 100)
    }

    // MARK: Positions

    @Test(arguments: [Axis.Scale.linear, .logarithmic(base: 10), .logarithmic(base: 2)])
    func `Positions grow with the value and stay within`(_ scale: Axis.Scale) throws {
        let values = [0.001, 0.3, 1, 2, 77, 1e4, 1e9]
        let axis = Axis("", unit: .count, scale: scale, covering: [1, 1e4])
        let positions = try values.map { try #require(axis.position($0)) }
        #expect(positions == positions.sorted())
        #expect(positions.allSatisfy { (0...1).contains($0) })
        #expect(axis.position(.nan) == nil)
        #expect(axis.position(.infinity) == nil)
    }

    @Test func `What is not above zero has no place on a logarithmic axis`() {
        let axis = Axis("", unit: .count, scale: .logarithmic(base: 10), covering: [1, 10])
        #expect(axis.position(0) == nil)
        #expect(axis.position(-1) == nil)
    }

    @Test(
        arguments: [ChartUnit.count, .nanoseconds, .seconds, .bytes, .part],
        [Axis.Scale.linear, .logarithmic(base: 10), .logarithmic(base: 2), .percentile])
    func `Extreme values are borne`(_ unit: ChartUnit, _ scale: Axis.Scale) {
        for values in [[1e299, 1e-299], [-1e299, 1e299], [1.7e308], [1e17, 1e17 + 64], [4e-290, 5e-290]] {
            let axis = Axis("", unit: unit, scale: scale, covering: values)
            #expect(axis.lower.isFinite && axis.upper.isFinite && axis.upper > axis.lower)
            #expect((1...40).contains(axis.ticks.count))
        }
    }
}
