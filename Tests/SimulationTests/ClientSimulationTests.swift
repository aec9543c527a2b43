import H2TestSupport
import Testing

@testable import H2Client

/// Whole clients with faulty servers, in virtual time. `H2_SEEDS=from..to` runs other seeds than usual.
@Suite(.timeLimit(.minutes(60))) struct ClientSimulationTests {
    private static func run(_ seed: UInt64) -> ClientSimulation.Result {
        let simulation = ClientSimulation(seed: seed)
        var result = simulation.run()
        if result.problems.isEmpty, !simulation.isReleased {
            result.problems.append("something still holds the client: \(simulation.whatIsHeld)")
        }
        return result
    }

    @Test func `Whatever servers do, every request of a client ends once, and nothing is left over`() {
        var failures = 0
        for seed in Seeds.chosen(usually: 1...300) where failures < 10 {
            let problems = Self.run(seed).problems
            if problems.isEmpty { continue }
            failures += 1
            Issue.record("seed \(seed): \(problems.prefix(5).joined(separator: "\n    "))")
        }
    }

    @Test func `One seed of a client has one outcome`() {
        for seed in Seeds.chosen(usually: 1...300).prefix(30) {
            let (first, second) = (Self.run(seed), Self.run(seed))
            #expect(first == second, "seed \(seed)")
        }
    }
}
