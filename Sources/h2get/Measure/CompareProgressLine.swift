import H2Measure

/// How a comparison is going, in one line: `2 of 3: 50.0 ms round trip  round 1 of 5  42/108 measured (38 %)  ETA 40 s  now:
/// keep-alive`. Counts, percent and ETA are of all distances.
struct CompareProgressLine: Sendable {
    private let conditions: LinkConditions
    private let hasBoth: Bool
    /// Which distance it is, from 1, and how many there are.
    private let number: Int
    private let distances: Int

    init(_ plan: ComparePlan, number: Int, of distances: Int) {
        conditions = plan.conditions
        hasBoth = plan.targets.count > 1
        (self.number, self.distances) = (number, distances)
    }

    /// - Parameter later: seconds that the distances after this one take.
    func text(_ progress: Compare.Progress, later: Double) -> String {
        var parts: [String] = []
        if distances > 1 { parts.append("\(number) of \(distances): \(CompareTable.distance(conditions))") }
        parts.append(progress.round == 0 ? "warm-up" : "round \(progress.round) of \(progress.rounds)")
        // All distances have the same work.
        let (done, all) = ((number - 1) * progress.all + progress.done, distances * progress.all)
        parts.append("\(done)/\(all) measured (\(done * 100 / max(all, 1)) %)")
        parts.append("ETA \(BenchProgressLine.length(progress.secondsLeft + later))")
        parts.append("now: \(progress.way.name)\(hasBoth ? " \(progress.security.phrase)" : "")")
        return parts.joined(separator: "  ")
    }
}
