/// Where throughput stops growing and latency takes over.
///
/// In a closed loop N requests are always in flight, so the mean latency is R = N / X for a throughput of X (Little's law).
/// Below the knee more requests in flight bring more throughput at the same latency; above it they only wait, and latency
/// grows with N. The knee is where Kleinrock's power X / R = X² / N is highest: one step before it throughput grows more
/// than latency in proportion, one step after it latency more than throughput.
///
/// It takes throughput alone, the steadiest figure of a point, and between doublings of N the power of an ideal server
/// changes by 2, so that a few per cent of noise do not move it. Of settings whose power is within 5 % of the highest
/// the one with the fewest requests in flight is taken, then the one with the fewest connections.
extension SweepResult {
    package enum Knee: Sendable, Equatable {
        case at(SweepSetting)
        /// At the least that was tried, or below it: nothing was seen of how it grew.
        case atOrBelow(SweepSetting)
        /// Throughput still grew at the most streams and connections that were tried.
        case beyond(SweepSetting)
        /// There are fewer than three points without errors.
        case unknown

        /// Where it is, as far as that was found.
        package var setting: SweepSetting? {
            switch self {
            case .at(let setting), .atOrBelow(let setting), .beyond(let setting): setting
            case .unknown: nil
            }
        }

        /// What a table or a picture marks; nil where growth did not end.
        package var marked: SweepSetting? {
            if case .beyond = self { nil } else { setting }
        }

        /// How it is called there.
        package var name: String {
            if case .atOrBelow = self { "knee ≤" } else { "knee" }
        }
    }

    /// What differs by less is taken as equal.
    package static let tolerance = 0.05

    private var cleanPoints: [SweepPoint] { points.filter { $0.isClean && $0.rate > 0 } }

    private static func power(_ point: SweepPoint) -> Double {
        point.rate * point.rate / Double(point.setting.concurrency)
    }

    /// The least of those that are nearly as good as the best.
    private static func least(_ points: [SweepPoint], by quality: (SweepPoint) -> Double) -> SweepPoint? {
        guard let best = points.map(quality).max() else { return nil }
        return points.filter { quality($0) >= best * (1 - tolerance) }.min {
            ($0.setting.concurrency, $0.setting.connections) < ($1.setting.concurrency, $1.setting.connections)
        }
    }

    /// Over all settings.
    package var knee: Knee { Self.knee(curves) }

    /// With one number of connections.
    package func knee(connections: Int) -> Knee { Self.knee(curves.filter { $0.connections == connections }) }

    private static func knee(_ curves: [SweepCurve]) -> Knee {
        let clean = curves.flatMap(\.points).filter { $0.isClean && $0.rate > 0 }
        guard clean.count >= 3, let point = least(clean, by: power) else { return .unknown }
        // At the very top, nothing was seen to take over. Where nothing but errors came, nothing was seen at all.
        let isAtTop = curves.filter { $0.points.contains(where: \.isClean) }.allSatisfy { curve in
            switch curve.stop {
            case .top, .interrupted:
                (curve.points.last?.setting.concurrency ?? 0) <= point.setting.concurrency
            case .errors, .refusals, .overloaded, .streamLimit, .couldNot: false
            }
        }
        if isAtTop { return .beyond(point.setting) }
        // Below a single request there is nothing.
        let least = curves.flatMap(\.points).map(\.setting.concurrency).min() ?? 1
        let isLeast = point.setting.concurrency <= least && point.setting.concurrency > 1
        return isLeast ? .atOrBelow(point.setting) : .at(point.setting)
    }

    /// The least setting with nearly the highest throughput: from here on more requests in flight buy next to nothing.
    package var saturation: SweepPoint? { Self.least(cleanPoints, by: \.rate) }

    /// Whether a point keeps to all limits.
    package func keepsLimits(_ point: SweepPoint) -> Bool {
        point.responses > 0 && zip(limits, point.atLimits).allSatisfy { $1 <= $0.nanoseconds }
            && point.atLimits.count == limits.count
    }

    /// The fastest setting that keeps to all limits, and the least of those that are nearly as fast; nil where there are
    /// no limits or none keeps to them.
    package var best: SweepPoint? {
        limits.isEmpty ? nil : Self.least(cleanPoints.filter(keepsLimits), by: \.rate)
    }

    /// The percentiles of a point that rest on fewer than ten responses above them.
    package func isThin(_ point: SweepPoint) -> Bool { limits.contains { point.responses < $0.needed } }
}
