import H2Measure

/// A time limit in seconds, with decimals, or with a unit like all other times. 0 means no limit, as in curl.
struct Seconds: Sendable, Equatable {
    /// nil: no limit.
    let duration: Duration?

    @Sendable init(text: String) throws {
        // Limits are capped at a year, which keeps sums of durations far from overflow.
        let year: UInt64 = 31_536_000_000_000_000
        let isLong = QuantityText.decimal(text[...]).map { $0 > 31_536_000 } ?? false
        guard let time = isLong ? year : QuantityText.nanoseconds(text) else {
            throw BadValue("write seconds such as 10 or 2.5, or a time such as 500ms, 2m or 1h; 0 is no limit")
        }
        // A time that rounds to 0 is a short limit; only a literal 0 means no limit.
        let isZero = time == 0 && !text.utf8.contains { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
        duration = isZero ? nil : .milliseconds(Int64(max(min(time, year) / 1_000_000, 1)))
    }
}

/// Requests per unit of time, in curl's syntax: `5/s`, `90/m`, `1000/h`, `14/d`, `1/10s`.
///
/// The unit is required: without one curl assumes an hour, which few expect.
struct Rate: Sendable, Equatable {
    let perSecond: Double

    @Sendable init(text: String) throws {
        let refusal = BadValue("write a number in a unit of time: 5/s, 90/m, 1000/h, 14/d or 1/10s")
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Rate.number(parts[0]), let unit = parts[1].last else { throw refusal }
        let several = parts[1].dropLast()
        guard let units = several.isEmpty ? 1 : Rate.number(several) else { throw refusal }
        let seconds: Double
        switch unit {
        case "s": seconds = 1
        case "m": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86400
        default: throw refusal
        }
        perSecond = Double(count) / (Double(units) * seconds)
    }

    private static func number(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text), value > 0 else { return nil }
        return value
    }
}
