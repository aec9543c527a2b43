/// The unit of a figure, which determines how it is written.
package enum ChartUnit: Sendable, Equatable {
    /// Written as ns, µs, ms, s, min or h.
    case nanoseconds
    /// A time line: seconds, or minutes and hours if it is long.
    case seconds
    /// With k, M and G.
    case count
    /// With kB, MB and GB (powers of 1000).
    case bytes
    /// 0 to 1, written as a percentage.
    case part
    /// A percentile, 0 to 100.
    case percentile

    /// A divisor for numbers of one size, and the suffix written after them.
    package struct Step: Sendable, Equatable {
        package var divisor: Double
        package var suffix: String
    }

    private var steps: [Step] {
        switch self {
        case .nanoseconds:
            [
                Step(divisor: 1, suffix: " ns"), Step(divisor: 1e3, suffix: " µs"), Step(divisor: 1e6, suffix: " ms"),
                Step(divisor: 1e9, suffix: " s"),
            ]
        case .seconds: [Step(divisor: 1, suffix: " s")]
        case .count:
            [
                Step(divisor: 1, suffix: ""), Step(divisor: 1e3, suffix: "k"), Step(divisor: 1e6, suffix: "M"),
                Step(divisor: 1e9, suffix: "G"),
            ]
        case .bytes:
            [
                Step(divisor: 1, suffix: " B"), Step(divisor: 1e3, suffix: " kB"), Step(divisor: 1e6, suffix: " MB"),
                Step(divisor: 1e9, suffix: " GB"), Step(divisor: 1e12, suffix: " TB"),
            ]
        case .part: [Step(divisor: 0.01, suffix: " %")]
        case .percentile: [Step(divisor: 1, suffix: "%")]
        }
    }

    /// The step for numbers up to this size.
    package func step(upTo value: Double) -> Step {
        steps.last { abs(value) >= $0.divisor } ?? steps[0]
    }

    /// The value with three digits and its unit. A dash if it is not a number.
    package func text(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        if self == .seconds || self == .nanoseconds {
            let seconds = self == .seconds ? value : value / 1e9
            // Times of a time line below a second read better in the smaller units.
            if seconds >= (self == .seconds ? 120 : 600) { return Self.clock(seconds) }
            if self == .seconds { return value == 0 ? "0 s" : ChartUnit.nanoseconds.text((value * 1e9).rounded()) }
        }
        let rounded = Self.threeDigits(value)
        let step = step(upTo: rounded)
        let scaled = rounded / step.divisor
        let isWhole = scaled == scaled.rounded() && (step.divisor == 1 || scaled == 0)
        let decimals = isWhole || abs(scaled) >= 100 ? 0 : abs(scaled) >= 10 ? 1 : 2
        return Self.fixed(scaled, decimals: decimals) + (value == 0 && self == .nanoseconds ? "" : step.suffix)
    }

    /// Like `text`, without meaningless digits: for values that were chosen rather than measured.
    package func short(_ value: Double) -> String {
        let text = text(value)
        let number = text.prefix { $0.isNumber || $0 == "." || $0 == "-" }
        guard number.contains("."), var end = number.lastIndex(where: { $0 != "0" }) else { return text }
        if number[end] != "." { end = number.index(after: end) }
        return String(number[..<end] + text[number.endIndex...])
    }

    /// A number of things, or a rate, as in a table: with all its digits if it is large.
    package static func number(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        guard abs(value) >= 100, abs(value) < 1e15 else { return count.short(value) }
        return grouped(Int(value.rounded()))
    }

    /// Minutes and seconds, or hours and minutes.
    private static func clock(_ seconds: Double) -> String {
        guard seconds < 1e12 else { return "\(seconds) s" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return whole % 60 == 0 ? "\(whole / 60) min" : "\(whole / 60) min \(whole % 60) s" }
        let minutes = whole / 60
        return minutes % 60 == 0 ? "\(minutes / 60) h" : "\(minutes / 60) h \(minutes % 60) min"
    }

    /// Rounded to three digits, so that 999.7 µs is written as 1 ms.
    private static func threeDigits(_ value: Double) -> Double {
        guard value != 0 else { return 0 }
        var unit = 1.0
        while abs(value) / unit >= 1000, unit < 1e300 { unit *= 10 }
        guard unit == 1 else { return (value / unit).rounded() * unit }
        var parts = 1.0
        while abs(value) * parts < 100, parts < 1e12 { parts *= 10 }
        return (value * parts).rounded() / parts
    }

    /// With the given number of decimals (at most 9), and without a minus before a zero.
    package static func fixed(_ value: Double, decimals: Int) -> String {
        guard value.isFinite else { return "–" }
        var factor = 1
        for _ in 0..<min(max(decimals, 0), 9) { factor *= 10 }
        let scaled = (value * Double(factor)).rounded()
        guard abs(scaled) < 9e18 else { return "\(value)" }
        let whole = Int(abs(scaled))
        let sign = scaled < 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(whole)" }
        let rest = String(whole % factor)
        return "\(sign)\(whole / factor)." + String(repeating: "0", count: min(decimals, 9) - rest.count) + rest
    }

    /// With as many decimals as it has, up to five.
    package static func plain(_ value: Double) -> String {
        var text = fixed(value, decimals: 5)
        guard text.contains(".") else { return text }
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
