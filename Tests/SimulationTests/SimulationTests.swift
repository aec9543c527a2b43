import H2TestSupport
import Testing

@testable import H2Client

/// Requests over a simulated wire, in virtual time. `H2_SEEDS=from..to` runs other seeds than usual.
///
/// A run computes and never waits, so its thread is given up after each seed: other tests have time limits.
@Suite(.inTurn, .timeLimit(.minutes(30))) struct SimulationTests {
    private static func run(_ seed: UInt64) -> Simulation.Result {
        let simulation = Simulation(seed: seed)
        var result = simulation.run()
        if !result.problems.isEmpty { result.problems.insert("calamity: \(simulation.calamity)", at: 0) }
        if result.problems.isEmpty && !simulation.isConnectionReleased {
            result.problems.append("something still holds the connection")
        }
        return result
    }

    private static var seeds: ClosedRange<UInt64> { Seeds.chosen(usually: 1...300) }

    @Test func `Whatever happens on the wire, every request ends once, and nothing is left over`() async {
        var failures = 0
        for seed in Self.seeds where failures < 10 {
            await Task.yield()
            let problems = Self.run(seed).problems
            if problems.isEmpty { continue }
            failures += 1
            Issue.record("seed \(seed): \(problems.prefix(5).joined(separator: "\n    "))")
        }
    }

    @Test func `One seed has one outcome`() async {
        for seed in Self.seeds.prefix(30) {
            await Task.yield()
            let (first, second) = (Self.run(seed), Self.run(seed))
            #expect(first == second, "seed \(seed)")
        }
    }
}
