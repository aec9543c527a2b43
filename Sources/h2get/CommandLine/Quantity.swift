import H2Measure
import H2Platform

/// Numbers with units in options, in the grammar of `QuantityText`.
///
/// Each function throws `BadValue`, to which `Arguments` adds the option's name and the value.
enum Quantity {
    /// A count such as `1000`, `10K` or `2M`: a whole number within `range`. K, M and G are powers of 1,000.
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

    /// A whole number of at least `minimum`, without a unit.
    static func wholeNumber(from minimum: Int) -> @Sendable (String) throws -> Int {
        { text in
            guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw BadValue("write a whole number")
            }
            guard let number = Int(text), number >= minimum else { throw BadValue("use \(minimum) at least") }
            return number
        }
    }

    /// One of a type's raw values.
    static func choice<Choice: CaseIterable & RawRepresentable<String>>(
        _ type: Choice.Type
    ) -> (String) throws -> Choice {
        { text in
            guard let choice = Choice(rawValue: text) else {
                throw BadValue("write " + Choice.allCases.map(\.rawValue).joined(separator: " or "))
            }
            return choice
        }
    }

    /// A size such as `16384`, `16K` or `1M`: bytes within `range`. K, M and G are powers of 1,024, as in h2load.
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

    /// A time such as `10`, `0.5s`, `250ms`, `2m` or `1h`, up to a week. A number without a unit means seconds.
    @Sendable static func time(_ text: String) throws -> Duration {
        guard let time = QuantityText.nanoseconds(text) else {
            throw BadValue("write a time such as 10s, 250ms, 2m or 1h; a number alone is seconds")
        }
        guard time <= 604_800_000_000_000 else { throw BadValue("use a week at most") }
        return .nanoseconds(Int64(time))
    }

    /// A time above 0.
    @Sendable static func positiveTime(_ text: String) throws -> Duration {
        let time = try time(text)
        guard time > .zero else { throw BadValue("use a time above 0") }
        return time
    }

    /// A rate per second above 0, such as `100`, `0.5` or `10K`, with or without `/s`.
    @Sendable static func rate(_ text: String) throws -> Double {
        guard let value = QuantityText.rate(text) else {
            throw BadValue("write a number a second such as 100, 0.5, 10K or 100/s")
        }
        guard value > 0, value <= 100_000_000 else { throw BadValue("use a rate above 0, and 100M/s at most") }
        return value
    }

    /// Seconds since 1970, with or without decimals, before the year 2200.
    @Sendable static func unixTime(_ text: String) throws -> Double {
        guard let seconds = QuantityText.decimal(text[...]), seconds < 7_258_118_400 else {
            throw BadValue("write seconds since 1970, such as those of 'date -d 14:00 +%s'")
        }
        return seconds
    }
}

/// Why a value is invalid, and what to write instead.
struct BadValue: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The value of `--request-rate`: the arrival rate in requests per second over all connections.
enum ArrivalRate: Sendable, Equatable {
    case constant(Double)
    /// A ramp from the first rate to the second.
    case range(Double, Double)

    /// Parses `100`, `100/s`, `100..2K` or `0..500/s`.
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
            throw BadValue("write --request-rate N, or --request-rate A..B such as 100..2K, B above 0")
        }
    }
}

/// The value of `--expect-status`: statuses and status classes.
struct StatusList: Sendable, Equatable {
    private(set) var statuses: Set<Int> = []

    /// Parses `200`, `200,304` or `2xx,404`.
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

/// The value of `--stages`: consecutive stages of the arrival rate.
struct RateStages: Sendable, Equatable {
    /// The maximum number of stages.
    static let maximumCount = 1_000
    var stages: [BenchPlan.Stage] = []

    /// Parses `100:30s` or `0..100:30s,100:2m,1K:10s`.
    @Sendable init(text: String) throws {
        func rate(_ text: Substring) throws -> Double {
            ["0", "0/s"].contains(text) ? 0 : try Quantity.rate(String(text))
        }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: ":", omittingEmptySubsequences: false)
            guard halves.count == 2, stages.count < Self.maximumCount else {
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

    /// The total length of all stages.
    var length: Duration { stages.reduce(.zero) { $0 + $1.length } }
}
