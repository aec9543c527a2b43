import H2Client
import H2Measure

/// The progress of a measurement, in one line.
///
/// For example `12.3 s  45,678/100,000 (46 %)  9,876 req/s  p50 1.20 ms  p99 3.40 ms  100 in flight  0 errors  ETA 5 s`.
struct BenchProgressLine: Sendable {
    let extent: BenchPlan.Extent
    let hasWarmUp: Bool

    init(_ plan: BenchPlan) {
        extent = plan.extent
        hasWarmUp = plan.warmUp > .zero
    }

    func text(_ progress: Bench.Progress) -> String {
        if let left = progress.beginsIn { return "begins in \(Self.length(left))" }
        guard progress.elapsed > 0 || progress.done + progress.failed > 0 else {
            return hasWarmUp ? "warming up" : "connecting"
        }
        var parts = ["\(fixed(progress.elapsed, 1)) s"]
        let ended = progress.done + progress.failed
        switch extent {
        case .requests(let count):
            parts.append("\(grouped(ended))/\(grouped(count)) (\(part(Double(ended), of: Double(count))))")
        case .time(let time):
            let isWhole = time.components.attoseconds == 0
            parts[0] +=
                " of \(fixed(time.inSeconds, isWhole ? 0 : 1)) s (\(part(progress.elapsed, of: time.inSeconds)))"
            parts.append("\(grouped(progress.done)) done")
        case .untilStopped: parts.append("\(grouped(progress.done)) done")
        }
        parts.append("\(grouped(Int(min(progress.rate, 1e12).rounded()))) req/s")
        if progress.p99 > 0 { parts += ["p50 \(timeText(progress.p50))", "p99 \(timeText(progress.p99))"] }
        parts.append("\(grouped(progress.inFlight)) in flight")
        parts.append(counted(progress.failed, "error"))
        if let left = secondsLeft(progress) { parts.append("ETA \(left)") }
        return parts.joined(separator: "  ")
    }

    /// The share in whole percent, never 100 before the end.
    private func part(_ value: Double, of whole: Double) -> String {
        let percent = whole > 0 ? value / whole * 100 : 0
        return "\(fixed(percent >= 100 ? 100 : percent.rounded(.down), 0)) %"
    }

    private func secondsLeft(_ progress: Bench.Progress) -> String? {
        let seconds: Double
        switch extent {
        case .untilStopped: return nil
        case .time(let time): seconds = max(0, time.inSeconds - progress.elapsed)
        case .requests(let count):
            // Based on the last second's rate, which reflects a ramp or a slower server.
            guard progress.rate > 0 else { return nil }
            seconds = Double(max(0, count - progress.done - progress.failed)) / progress.rate
        }
        guard seconds < 86_400 * 100 else { return nil }
        return Self.length(seconds)
    }

    /// A length such as `5 s`, `2 min 10 s` or `2 h 46 min`, up to 100 days.
    static func length(_ seconds: Double) -> String {
        let whole = Int(min(max(seconds, 0), 8_640_000).rounded(.up))
        if whole < 120 { return "\(whole) s" }
        if whole < 7_200 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3_600) h \(whole % 3_600 / 60) min"
    }
}
