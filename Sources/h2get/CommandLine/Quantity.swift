import H2Measure

/// Numbers with units as options take them, in the grammar of `QuantityText`. Each function throws `BadValue`, before which the parser puts
/// the option's name and the text.
enum Quantity {
    /// `1000`, `10K`, `2M`: a whole number within `range`, K, M and G being powers of 1,000, as one counts requests.
    static func count(in range: ClosedRange<Int>) -> @Sendable (String) throws -> Int {
        { text in
            guard let value = QuantityText.whole(text, thousand: 1_000) else {
                throw BadValue("write a whole number such as 1000, 10K or 2M")
            }
            guard range.contains(value) else {
                throw BadValue("use \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
    }

    /// `16384`, `16K`, `1M`: bytes within `range`, K, M and G being powers of 1,024, as h2load has them.
    static func size(in range: ClosedRange<Int>) -> @Sendable (String) throws -> Int {
        { text in
            guard let value = QuantityText.whole(text, thousand: 1_024) else {
                throw BadValue("write a size in bytes such as 16384, 16K or 1M")
            }
            guard range.contains(value) else {
                throw BadValue("use \(range.lowerBound) to \(range.upperBound) bytes")
            }
            return value
        }
    }

    /// `10`, `0.5s`, `250ms`, `2m`, `1h`: a number alone is seconds. Up to a week.
    @Sendable static func time(_ text: String) throws -> Duration {
        guard let time = QuantityText.nanoseconds(text) else {
            throw BadValue("write a time such as 10s, 250ms, 2m or 1h; a number alone is seconds")
        }
        guard time <= 604_800_000_000_000 else { throw BadValue("use a week at most") }
        return .nanoseconds(Int64(time))
    }

    /// The same, and more than nothing.
    @Sendable static func positiveTime(_ text: String) throws -> Duration {
        let time = try time(text)
        guard time > .zero else { throw BadValue("use a time above 0") }
        return time
    }

    /// `100`, `0.5`, `10K`, each with or without `/s`: a number a second, above 0.
    @Sendable static func rate(_ text: String) throws -> Double {
        guard let value = QuantityText.rate(text) else {
            throw BadValue("write a number a second such as 100, 0.5, 10K or 100/s")
        }
        guard value > 0, value <= 100_000_000 else { throw BadValue("use a rate above 0, and 100M/s at most") }
        return value
    }

    /// Seconds since 1970, with decimals or without, before the year 2200.
    @Sendable static func unixTime(_ text: String) throws -> Double {
        guard let seconds = QuantityText.decimal(text[...]), seconds < 7_258_118_400 else {
            throw BadValue("write seconds since 1970, such as those of 'date -d 14:00 +%s'")
        }
        return seconds
    }
}

/// Why an option does not take a value, and what to write instead.
struct BadValue: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The value of `--rate`: requests a second over all connections, as they are to arrive.
enum ArrivalRate: Sendable, Equatable {
    case constant(Double)
    /// From the first to the second.
    case range(Double, Double)

    /// `100`, `100/s`, `100..2K`, `0..500/s`.
    @Sendable init(text: String) throws {
        guard let dots = text.firstRange(ofASCII: "..") else {
            self = .constant(try Quantity.rate(text))
            return
        }
        let (first, last) = (String(text[..<dots.lowerBound]), String(text[dots.upperBound...]))
        do {
            let from = ["0", "0/s"].contains(first) ? 0 : try Quantity.rate(first)
            self = .range(from, try Quantity.rate(last))
        } catch {
            throw BadValue("write --rate N, or --rate A..B such as 100..2K, B above 0")
        }
    }
}

/// The value of `--expect-status`: statuses, and classes of them.
struct StatusList: Sendable, Equatable {
    private(set) var statuses: Set<Int> = []

    /// `200`, `200,304`, `2xx,404`.
    @Sendable init(text: String) throws {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            if part.count == 3, ["xx", "XX"].contains(part.suffix(2)), let hundreds = Int(part.prefix(1)),
                (2...5).contains(hundreds)
            {
                statuses.formUnion(hundreds * 100..<(hundreds + 1) * 100)
            } else if part.count == 3, let status = Int(part), (200...599).contains(status) {
                statuses.insert(status)
            } else {
                throw BadValue("use statuses from 200 to 599, such as 200 or 200,304 or 2xx")
            }
        }
    }
}

/// The value of `--stages`: how the rate goes, one part after the other.
struct RateStages: Sendable, Equatable {
    /// As many as a command line can hold, and no more.
    static let most = 1_000
    var stages: [BenchPlan.Stage] = []

    /// `100:30s`, `0..100:30s,100:2m,1K:10s`.
    @Sendable init(text: String) throws {
        func rate(_ text: Substring) throws -> Double {
            ["0", "0/s"].contains(text) ? 0 : try Quantity.rate(String(text))
        }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: ":", omittingEmptySubsequences: false)
            guard halves.count == 2, stages.count < Self.most else {
                throw BadValue("write RATE:TIME or A..B:TIME, with commas between, such as 0..1K:30s,1K:2m")
            }
            let rates = String(halves[0])
            let length = try Quantity.positiveTime(String(halves[1]))
            if let dots = rates.firstRange(ofASCII: "..") {
                let (from, to) = (try rate(rates[..<dots.lowerBound]), try rate(rates[dots.upperBound...]))
                stages.append(BenchPlan.Stage(from: from, to: to, length: length))
            } else {
                let rate = try rate(rates[...])
                stages.append(BenchPlan.Stage(from: rate, to: rate, length: length))
            }
        }
        guard stages.contains(where: { $0.from > 0 || $0.to > 0 }) else {
            throw BadValue("all stages have a rate of 0; use at least one above that")
        }
    }

    /// All of them together.
    var length: Duration { stages.reduce(.zero) { $0 + $1.length } }
}

extension String {
    /// The first place of an ASCII string.
    func firstRange(ofASCII needle: String) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            if utf8[at...].starts(with: needle.utf8) {
                return at..<utf8.index(at, offsetBy: needle.utf8.count)
            }
            at = utf8.index(after: at)
        }
        return nil
    }
}
