import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ScenarioWaitTests {
    @Test(arguments: [
        ("2s", ScenarioWait.constant(2_000_000_000)), ("0", .constant(0)), ("500ms", .constant(500_000_000)),
        ("0.5s", .constant(500_000_000)), ("1s..5s", .uniform(1_000_000_000...5_000_000_000)),
        ("0..100ms", .uniform(0...100_000_000)), ("1s .. 5s", .uniform(1_000_000_000...5_000_000_000)),
        ("exponential 2s", .exponential(mean: 2_000_000_000)), ("24h", .constant(86_400_000_000_000)),
    ])
    func `A wait has three forms`(_ text: String, _ expected: ScenarioWait) throws {
        #expect(try ScenarioWait(text) == expected)
    }

    @Test(arguments: [
        "", "1", "1s..", "..1s", "1s..2", "5s..1s", "1s..2s..3s", "exponential", "exponential 2", "normal 2s", "-1s",
        "25h", "1e3s", "nan",
    ])
    func `Anything else is refused`(_ text: String) {
        #expect(throws: TextProblem.self) { try ScenarioWait(text) }
    }

    @Test func `A uniform wait is within its range, and reaches all of it`() {
        var random = SplitMix64(seed: 1)
        let times = (0..<10_000).map { _ in ScenarioWait.uniform(1_000...2_000).draw(&random) }
        #expect(times.allSatisfy { (1_000...2_000).contains($0) })
        #expect(times.min()! < 1_010 && times.max()! > 1_990)
        let mean = times.reduce(0, +) / 10_000
        #expect((1_480...1_520).contains(mean), "\(mean)")
        #expect(ScenarioWait.uniform(5...5).draw(&random) == 5)
    }

    @Test func `An exponential wait has its mean, and more short times than long ones`() {
        var random = SplitMix64(seed: 2)
        let times = (0..<20_000).map { _ in ScenarioWait.exponential(mean: 1_000_000).draw(&random) }
        let mean = times.reduce(0, +) / 20_000
        #expect((970_000...1_030_000).contains(mean), "\(mean)")
        let below = times.count { $0 < 1_000_000 }
        // 1 - 1/e of 20,000.
        #expect((12_400...12_900).contains(below), "\(below)")
        #expect(times.max()! < 37_000_000)
    }

    @Test func `The same seed gives the same times`() {
        var (one, other) = (SplitMix64(seed: 3), SplitMix64(seed: 3))
        let wait = ScenarioWait.exponential(mean: 1_000_000)
        #expect((0..<100).map { _ in wait.draw(&one) } == (0..<100).map { _ in wait.draw(&other) })
    }
}
