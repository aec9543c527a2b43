/// The reason why a word is not a valid value for an option, and what to write instead.
package struct OptionValueError: Error, Sendable, Equatable, CustomStringConvertible {
    package let message: String
    package let remedy: String

    package var description: String { "\(message); \(remedy)" }
}

/// Parsers for the values of the options of `compare` and `sweep`.
package enum OptionValue {
    /// `1..1024`: both ends and the powers of two between them; `1,2,8`: those values; `1..8,100`: both. Ascending, without
    /// duplicates.
    package static func steps(_ text: String, upTo most: Int = 1_000_000) throws(OptionValueError) -> [Int] {
        let remedy = "write numbers from 1 to \(most) as 1,2,8, or a range as 1..1024"
        func number(_ word: Substring) throws(OptionValueError) -> Int {
            guard QuantityText.isDigits(word), let value = Int(word), (1...most).contains(value) else {
                throw OptionValueError(
                    message: "'\(printable(text))': '\(printable(String(word)))' is not a number "
                        + "from 1 to \(most)", remedy: remedy)
            }
            return value
        }
        var steps: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let dots = firstDots(part) else {
                steps.insert(try number(part))
                continue
            }
            let (first, last) = (try number(part[..<dots]), try number(part[dots...].dropFirst(2)))
            guard first <= last else {
                throw OptionValueError(
                    message: "'\(printable(text))': the range from \(first) down to \(last) is empty",
                    remedy: "write it as \(last)..\(first)")
            }
            steps.formUnion([first, last])
            var power = 1
            while power < last {
                if power > first { steps.insert(power) }
                power *= 2
            }
        }
        return steps.sorted()
    }

    /// `30ms`, `0.5s`, `250us`, `0`: nanoseconds, up to 10 s.
    package static func roundTrip(_ text: String) throws(OptionValueError) -> UInt64 {
        let time = text == "0" ? 0 : try time(text, "a round trip")
        guard time <= 10_000_000_000 else {
            throw OptionValueError(
                message: "a round trip of \(printable(text)) is longer than any on earth",
                remedy: "use 10s at most; from coast to coast it is about 70ms, around the world 300ms")
        }
        return time
    }

    /// `1%`, `0.1%`, `0`: a probability of at most 0.5.
    package static func loss(_ text: String) throws(OptionValueError) -> Double {
        if text == "0" { return 0 }
        guard let part = QuantityText.part(text) else {
            throw OptionValueError(
                message: "'\(printable(text))' is not a share of all segments",
                remedy: "write it in percent, such as 1%")
        }
        guard part <= 0.5 else {
            throw OptionValueError(
                message: "with a loss of \(printable(text)) nothing would arrive",
                remedy: "use 50% at most; bad mobile networks lose about 2%")
        }
        return part
    }

    /// `p99=50ms`, or several as `p50=5ms,p99.9=100ms`.
    package static func latencyLimits(_ text: String) throws(OptionValueError) -> [LatencyLimit] {
        var limits: [LatencyLimit] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            limits.append(try latencyLimit(part))
        }
        return limits
    }

    private static func latencyLimit(_ text: Substring) throws(OptionValueError) -> LatencyLimit {
        let remedy = "write a percentile and its limit as p99=50ms; percentiles go from p50 to p99.99"
        guard let equals = text.firstIndex(of: "="), text.first == "p" || text.first == "P" else {
            throw OptionValueError(message: "'\(printable(String(text)))' is not a limit on latency", remedy: remedy)
        }
        guard let percentile = QuantityText.decimal(text[..<equals].dropFirst()), (50...99.99).contains(percentile)
        else {
            throw OptionValueError(
                message: "'\(printable(String(text[..<equals])))' is not a percentile from p50 to p99.99",
                remedy: remedy)
        }
        let time = try time(String(text[equals...].dropFirst()), "a limit on latency")
        guard time > 0 else {
            throw OptionValueError(message: "a latency of 0 cannot be kept", remedy: remedy)
        }
        return LatencyLimit(percentile: percentile, nanoseconds: time)
    }

    // MARK: - Numbers

    private static func time(_ text: String, _ what: String) throws(OptionValueError) -> UInt64 {
        guard let time = QuantityText.nanoseconds(text, bare: .refused), time <= TimeHistogram.longest else {
            throw OptionValueError(
                message: "'\(printable(text))' is not a time for \(what)",
                remedy: "write it with its unit, such as 30ms, 0.5s or 250us")
        }
        return time
    }

    private static func firstDots(_ text: Substring) -> Substring.Index? {
        text.indices.first { text[$0...].hasPrefix("..") }
    }
}

/// A latency that a percentile of the requests must not exceed.
package struct LatencyLimit: Sendable, Hashable, CustomStringConvertible {
    /// 50 to 99.99.
    package var percentile: Double
    package var nanoseconds: UInt64

    package init(percentile: Double, nanoseconds: UInt64) {
        self.percentile = percentile
        self.nanoseconds = nanoseconds
    }

    /// For example `p99.9`.
    package var name: String {
        let hundredths = Int((percentile * 100).rounded())
        let (whole, rest) = (hundredths / 100, hundredths % 100)
        if rest == 0 { return "p\(whole)" }
        return "p\(whole).\(rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)")"
    }

    /// For example `p99 ≤ 50.0 ms`.
    package var description: String { "\(name) ≤ \(timeText(nanoseconds))" }

    /// The number of responses needed for ten of them to lie above it, so that it is not mere chance.
    package var needed: Int {
        let above = 10_000 - Int((percentile * 100).rounded())
        return (100_000 + above - 1) / above
    }
}
