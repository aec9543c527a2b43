import H2Measure

/// The progress of a comparison, in one line. Counts, percent and ETA cover all distances.
///
/// For example `2 of 3: 50.0 ms round trip  round 1 of 5  42/108 measured (38 %)  ETA 40 s  now: keep-alive`.
struct CompareProgressLine: Sendable {
    private let conditions: LinkConditions
    private let hasBoth: Bool
    /// The number of the current distance, from 1.
    private let number: Int
    private let distances: Int

    init(_ plan: ComparePlan, number: Int, of distances: Int) {
        conditions = plan.conditions
        hasBoth = plan.targets.count > 1
        (self.number, self.distances) = (number, distances)
    }

    /// - Parameter later: the estimated time of the remaining distances, in seconds.
    func text(_ progress: Compare.Progress, later: Double) -> String {
        var parts: [String] = []
        if distances > 1 { parts.append("\(number) of \(distances): \(CompareTable.distance(conditions))") }
        parts.append(progress.round == 0 ? "warm-up" : "round \(progress.round) of \(progress.rounds)")
        // Each distance takes the same number of measurements.
        let (done, all) = ((number - 1) * progress.all + progress.done, distances * progress.all)
        parts.append("\(done)/\(all) measured (\(done * 100 / max(all, 1)) %)")
        parts.append("ETA \(BenchProgressLine.length(progress.secondsLeft + later))")
        parts.append("now: \(progress.way.name)\(hasBoth ? " \(progress.security.phrase)" : "")")
        return parts.joined(separator: "  ")
    }
}
