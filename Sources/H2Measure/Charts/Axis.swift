import H2Platform

/// One direction of a chart: the range that it shows, the position of each value, and the ticks.
package struct Axis: Sendable, Equatable {
    package enum Scale: Sendable, Equatable {
        /// Starts at zero.
        case linear
        /// Ticks at powers of ten or two, and between them if they are few.
        case logarithmic(base: Int)
        /// Percentiles, from 0 to below 100, so that each further nine has the same length (as in HdrHistogram's plots).
        case percentile

        /// Logarithmic if the values differ greatly in size, so that the small ones remain visible.
        package static func suiting(_ values: [Double]) -> Scale {
            let positive = values.filter { $0.isFinite && $0 > 0 }
            guard let least = positive.min(), let most = positive.max() else { return .linear }
            return most / least > 25 ? .logarithmic(base: 10) : .linear
        }
    }

    package struct Tick: Sendable, Equatable {
        package var value: Double
        package var label: String
    }

    package var title: String
    package let unit: ChartUnit
    package let scale: Scale
    package private(set) var lower = 0.0
    package private(set) var upper = 1.0
    package private(set) var ticks: [Tick] = []

    /// An axis with about `count` ticks that shows all of the values. Values that are not finite, or not above zero on a
    /// logarithmic axis, are ignored.
    package init(
        _ title: String, unit: ChartUnit, scale: Scale = .linear, covering values: [Double], ticks count: Int = 5
    ) {
        self.title = title
        self.unit = unit
        self.scale = scale
        let count = max(2, count)
        // Beyond these arithmetic overflows; no measured value is that extreme.
        let shown = values.filter { $0.isFinite && abs($0) < 1e300 && ($0 == 0 || abs($0) > 1e-290) }
        switch scale {
        case .linear: setLinear(shown, count)
        case .logarithmic(let base): setLogarithmic(shown.filter { $0 > 0 }, base, count)
        case .percentile: setPercentiles(shown)
        }
    }

    /// The position of the value, 0 at the axis' beginning and 1 at its end; values outside are at the ends. Nil for a value
    /// that has no position.
    package func position(_ value: Double) -> Double? {
        guard value.isFinite else { return nil }
        let begin: Double, end: Double, position: Double
        switch scale {
        case .linear: (begin, end, position) = (lower, upper, value)
        case .logarithmic:
            guard value > 0 else { return nil }
            (begin, end, position) = (log2(lower), log2(upper), log2(value))
        case .percentile:
            (begin, end, position) = (Self.nines(lower), Self.nines(upper), Self.nines(value))
        }
        guard end > begin else { return 0 }
        return min(max((position - begin) / (end - begin), 0), 1)
    }

    /// The number of nines in a percentile: 1 for 90, 2 for 99.
    package static func nines(_ percentile: Double) -> Double {
        let rest = max(100 - max(percentile, 0), 1e-7)
        return log10(100 / rest)
    }

    // MARK: Linear

    private mutating func setLinear(_ values: [Double], _ count: Int) {
        let least = min(values.min() ?? 0, 0)
        let most = max(values.max() ?? 0, 0)
        let range = most - least
        let step = range > 0 ? niceStep(range / Double(count)) : 1
        let first = (least / step).rounded(.down)
        let last = max((most / step - 1e-9).rounded(.up), first + 1)
        lower = first * step
        upper = last * step
        let size = unit.step(upTo: max(abs(lower), abs(upper)))
        ticks = (0...Int(last - first)).map { index in
            let value = (first + Double(index)) * step
            return Tick(value: value, label: linearLabel(value, step: step, size: size))
        }
    }

    /// A round step of at least this size: 1, 2 or 5 times a power of ten, or a step of a clock.
    private func niceStep(_ rough: Double) -> Double {
        if unit == .seconds, rough > 10 {
            let clock: [Double] = [15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400]
            if let step = clock.first(where: { $0 >= rough }) { return step }
        }
        let power = pow(10, floor(log10(rough)))
        let step = power * ([1, 2, 5].first { $0 * power >= rough * 0.999 } ?? 10)
        return unit == .count ? max(step, 1) : step
    }

    private func linearLabel(_ value: Double, step: Double, size: ChartUnit.Step) -> String {
        if unit == .seconds, upper > 120, upper < 1e15 {
            let whole = Int(value.rounded())
            func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
            if step.truncatingRemainder(dividingBy: 3600) == 0 { return whole == 0 ? "0" : "\(whole / 3600) h" }
            if upper > 7200 { return "\(whole / 3600):\(two(whole / 60 % 60)) h" }
            if step.truncatingRemainder(dividingBy: 60) == 0 { return whole == 0 ? "0" : "\(whole / 60) min" }
            return "\(whole / 60):\(two(whole % 60))"
        }
        if value == 0 { return "0" }
        // Times below a second use the smaller units.
        if unit == .seconds, upper < 0.1 {
            let small = ChartUnit.nanoseconds.step(upTo: upper * 1e9 * 1.000001)
            return label(value * 1e9, step: step * 1e9, size: small)
        }
        return label(value, step: step, size: size)
    }

    private func label(_ value: Double, step: Double, size: ChartUnit.Step) -> String {
        let scaledStep = step / size.divisor
        var decimals = 0
        var part = scaledStep
        while decimals < 6, abs(part - part.rounded()) > 1e-6 * max(1, abs(part)) {
            part *= 10
            decimals += 1
        }
        return ChartUnit.fixed(value / size.divisor, decimals: decimals) + size.suffix
    }

    // MARK: Logarithmic

    private mutating func setLogarithmic(_ values: [Double], _ base: Int, _ count: Int) {
        let least = values.min() ?? 1
        let most = values.max() ?? least
        // The positions that may carry a tick between two powers, dense enough to fill the picture.
        let parts: [Double] = base == 10 ? [1, 2, 5] : [1]
        func tick(_ index: Int) -> Double {
            let power = Int((Double(index) / Double(parts.count)).rounded(.down))
            return pow(Double(base), Double(power)) * parts[index - power * parts.count]
        }
        let power = floor(log2(least) / log2(Double(base))) - 1
        var first = Int(power) * parts.count
        while tick(first + 1) <= least * 1.000001 { first += 1 }
        var last = first + 1
        while tick(last) < most * 0.999999 { last += 1 }
        lower = tick(first)
        upper = tick(last)
        var chosen = Array(first...last)
        if chosen.count > count * 2, base == 10 { chosen = chosen.filter { $0 % 3 == 0 } }
        if chosen.count > count * 2 || (base != 10 && chosen.count > count + 4) {
            let stride = (chosen.count + count) / (count + 1)
            chosen = chosen.enumerated().filter { $0.offset % stride == 0 }.map(\.element)
        }
        ticks = chosen.map { Tick(value: tick($0), label: logarithmicLabel(tick($0))) }
    }

    private func logarithmicLabel(_ value: Double) -> String {
        if unit == .seconds, value >= 120 { return unit.text(value) }
        // Powers of two are familiar with all their digits.
        if unit == .count, value >= 1, value < 10000 { return ChartUnit.fixed(value, decimals: 0) }
        let unit = unit == .seconds ? ChartUnit.nanoseconds : unit
        let value = self.unit == .seconds ? value * 1e9 : value
        let size = unit.step(upTo: value * 1.000001)
        let scaled = value / size.divisor
        var decimals = 0
        while decimals < 6, scaled < pow(10, -Double(decimals)) * 0.999 { decimals += 1 }
        return ChartUnit.fixed(scaled, decimals: decimals) + size.suffix
    }

    // MARK: Percentiles

    private mutating func setPercentiles(_ values: [Double]) {
        lower = 0
        upper = min(max(values.max() ?? 0, 90), 99.9999)
        ticks = [
            (0, "0%"), (50, "50%"), (90, "90%"), (99, "99%"), (99.9, "99.9%"), (99.99, "99.99%"), (99.999, "99.999%"),
        ]
        .filter { $0.0 <= upper + 1e-9 }
        .map { Tick(value: $0.0, label: $0.1) }
    }
}
