/// Parses times, numbers, sizes and fractions from the command line, with one grammar for all commands. The functions return
/// nil for anything else.
package enum QuantityText {
    /// The unit of a number without one.
    package enum Bare: Sendable {
        case seconds
        case milliseconds
        /// A unit is required, since users may mean milliseconds or seconds.
        case refused
    }

    /// `10s`, `0.5s`, `250ms`, `30us` (or `30µs`), `100ns`, `2m`, `1h`, and `10` in the unit `bare`: nanoseconds, up to 10
    /// years.
    package static func nanoseconds(_ text: String, bare: Bare = .seconds) -> UInt64? {
        var units: [(suffix: String, nanoseconds: Double)] = [
            ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9),
        ]
        switch bare {
        case .seconds: units.append(("", 1e9))
        case .milliseconds: units.append(("", 1e6))
        case .refused: break
        }
        guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
            let number = decimal(text.dropLast(unit.suffix.count)), number * unit.nanoseconds <= 315_360_000e9
        else { return nil }
        return UInt64((number * unit.nanoseconds).rounded())
    }

    /// `1000`, `10K`, `2M`, `1G`: a whole number, with units that are powers of `thousand`.
    package static func whole(_ text: String, thousand: Int) -> Int? {
        let (digits, power) = withoutUnit(text[...])
        guard isDigits(digits), var value = Int(digits) else { return nil }
        for _ in 0..<power {
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: thousand)
            if isTooLarge { return nil }
            value = product
        }
        return value
    }

    /// `100`, `0.5`, `1.5K`, each with or without `/s`: a number per second, with units that are powers of 1,000.
    package static func rate(_ text: String) -> Double? {
        let (digits, power) = withoutUnit(text.hasSuffix("/s") ? text.dropLast(2) : text[...])
        guard var value = decimal(digits) else { return nil }
        for _ in 0..<power { value *= 1_000 }
        return value
    }

    /// `1%`, `0.1%`: a fraction, 0.01 or 0.001.
    package static func part(_ text: String) -> Double? {
        text.last == "%" ? decimal(text.dropLast()).map { $0 / 100 } : nil
    }

    /// Double also accepts signs, exponents, "nan" and hexadecimal, which are typing errors here.
    package static func decimal(_ text: Substring) -> Double? {
        guard !text.isEmpty, text.utf8.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: ".") }) else { return nil }
        return Double(text)
    }

    package static func isDigits(_ text: Substring) -> Bool { !text.isEmpty && text.utf8.allSatisfy(isDigit) }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// The number before K, M or G, and the power of a thousand for the suffix.
    private static func withoutUnit(_ text: Substring) -> (digits: Substring, power: Int) {
        switch text.last {
        case "K", "k": (text.dropLast(), 1)
        case "M", "m": (text.dropLast(), 2)
        case "G", "g": (text.dropLast(), 3)
        default: (text, 0)
        }
    }
}
