/// The knee: where throughput stops growing and latency takes over.
///
/// In a closed loop N requests are always in flight, so the mean latency is R = N / X for a throughput of X (Little's law).
/// Below the knee more requests in flight bring more throughput at the same latency; above it they only wait, and latency grows
/// with N. The knee is where Kleinrock's power X / R = X² / N is highest: one step before it throughput grows more than latency
/// in proportion, one step after it latency grows more than throughput.
///
/// The calculation needs only throughput, the steadiest figure of a point. Between doublings of N the power of an ideal server
/// changes by a factor of 2, so a few per cent of noise do not move the knee. Of the settings whose power is within 5 % of the
/// highest, it chooses the one with the fewest requests in flight, then the one with the fewest connections.
extension SweepResult {
    package enum Knee: Sendable, Equatable {
        case at(SweepSetting)
        /// At the lowest setting tried, or below it: no growth was seen.
        case atOrBelow(SweepSetting)
        /// Throughput still grew at the most streams and connections that were tried.
        case beyond(SweepSetting)
        /// There are fewer than three points without errors.
        case unknown

        /// The setting at the knee, if found.
        package var setting: SweepSetting? {
            switch self {
            case .at(let setting), .atOrBelow(let setting), .beyond(let setting): setting
            case .unknown: nil
            }
        }

        /// The setting to mark in a table or a picture; nil if throughput did not stop growing.
        package var marked: SweepSetting? {
            if case .beyond = self { nil } else { setting }
        }

        /// The name of the mark.
        package var name: String {
            if case .atOrBelow = self { "knee ≤" } else { "knee" }
        }
    }

    /// Smaller relative differences are taken as equal.
    package static let tolerance = 0.05

    private var cleanPoints: [SweepPoint] { points.filter { $0.isClean && $0.rate > 0 } }

    private static func power(_ point: SweepPoint) -> Double {
        point.rate * point.rate / Double(point.setting.concurrency)
    }

    /// The smallest setting among those nearly as good as the best.
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
        // At the very top the knee was not seen. If there were only errors, nothing was seen at all.
        let isAtTop = curves.filter { $0.points.contains(where: \.isClean) }.allSatisfy { curve in
            switch curve.stop {
            case .top, .interrupted:
                (curve.points.last?.setting.concurrency ?? 0) <= point.setting.concurrency
            case .errors, .refusals, .overloaded, .streamLimit, .couldNot: false
            }
        }
        if isAtTop { return .beyond(point.setting) }
        // There is nothing below a single request.
        let least = curves.flatMap(\.points).map(\.setting.concurrency).min() ?? 1
        let isLeast = point.setting.concurrency <= least && point.setting.concurrency > 1
        return isLeast ? .atOrBelow(point.setting) : .at(point.setting)
    }

    /// The smallest setting with nearly the highest throughput: beyond it, more requests in flight gain almost nothing.
    package var saturation: SweepPoint? { Self.least(cleanPoints, by: \.rate) }

    /// Whether a point meets all limits.
    package func keepsLimits(_ point: SweepPoint) -> Bool {
        point.responses > 0 && zip(limits, point.atLimits).allSatisfy { $1 <= $0.nanoseconds }
            && point.atLimits.count == limits.count
    }

    /// The smallest setting among those nearly as fast as the fastest one that meets all limits; nil if there are no limits or
    /// none meets them.
    package var best: SweepPoint? {
        limits.isEmpty ? nil : Self.least(cleanPoints.filter(keepsLimits), by: \.rate)
    }

    /// Whether a limit's percentile at this point rests on fewer than ten responses above it.
    package func isThin(_ point: SweepPoint) -> Bool { limits.contains { point.responses < $0.needed } }
}
