/// Counts of whole milliseconds, rounded to two digits: 0 to 100, then in steps of 10 to 1,000, of 100 to 10,000, and of 1,000.
package struct RoundedMilliseconds: Sendable, Equatable {
    private var counts = [UInt32](repeating: 0, count: 281)
    private var longer: [Int: Int] = [:]

    package init() {}

    mutating func record(_ nanoseconds: UInt64) {
        let value = Self.rounded(nanoseconds)
        if let index = Self.index(of: value) { counts[index] &+= 1 } else { longer[value, default: 0] += 1 }
    }

    mutating func add(_ other: Self) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        longer.merge(other.longer, uniquingKeysWith: +)
    }

    /// Milliseconds and their counts, those that occurred, ascending.
    package var all: [(milliseconds: Int, count: Int)] {
        let short = counts.enumerated().compactMap { index, count in
            count > 0 ? (milliseconds: Self.value(at: index), count: Int(count)) : nil
        }
        return short + longer.sorted { $0.key < $1.key }.map { (milliseconds: $0.key, count: $0.value) }
    }

    /// Halves are rounded to even.
    static func rounded(_ nanoseconds: UInt64) -> Int {
        let time = Double(nanoseconds) / 1e6
        let step = time < 100 ? 1.0 : time < 1_000 ? 10 : time < 10_000 ? 100 : 1_000
        return Int((time / step).rounded(.toNearestOrEven) * step)
    }

    private static func index(of value: Int) -> Int? {
        switch value {
        case ...100: value
        case ...1_000: 90 + value / 10
        case ...10_000: 180 + value / 100
        default: nil
        }
    }

    private static func value(at index: Int) -> Int {
        switch index {
        case ...100: index
        case ...190: (index - 90) * 10
        default: (index - 180) * 100
        }
    }
}
