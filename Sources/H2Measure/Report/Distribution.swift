import Histogram

/// A percentile that is shown.
package struct Percentile: Sendable, Equatable {
    /// Such as `p99.9`.
    package var name: String
    /// How many of 10,000 values lie above it.
    package var tenThousandthsAbove: Int

    package static let shown = [
        Percentile(name: "p50", tenThousandthsAbove: 5000), Percentile(name: "p75", tenThousandthsAbove: 2500),
        Percentile(name: "p90", tenThousandthsAbove: 1000), Percentile(name: "p95", tenThousandthsAbove: 500),
        Percentile(name: "p99", tenThousandthsAbove: 100), Percentile(name: "p99.9", tenThousandthsAbove: 10),
        Percentile(name: "p99.99", tenThousandthsAbove: 1),
    ]
    package static let p50 = shown[0]
    package static let p99 = shown[4]

    /// So few values above a percentile would another run put elsewhere.
    package static let fewest = 10

    /// Of so many values, those above it.
    package func above(of count: Int) -> Int { Int(clamping: count.multipliedFullWidth(by: tenThousandthsAbove)) }

    /// Of how many values enough lie above it.
    package var needed: Int { Percentile.fewest * 10_000 / tenThousandthsAbove }
}

extension Int {
    /// A product by 10,000: a count of values may be as large as 64 bits hold.
    fileprivate init(clamping product: (high: Int, low: UInt)) {
        self = product.high >= 10_000 ? .max : 10_000.dividingFullWidth(product).quotient
    }
}

/// What a histogram says, reckoned in one walk over its counts. Nanoseconds.
package struct Distribution: Sendable {
    package private(set) var count = 0
    package private(set) var min: UInt64 = 0
    package private(set) var max: UInt64 = 0
    package private(set) var mean = 0.0
    package private(set) var deviation = 0.0
    /// The values that occur, each the largest of those that share a count, and how often.
    package private(set) var values: [(value: UInt64, count: Int)] = []

    package init(_ histogram: TimeHistogram) {
        guard histogram.totalCount > 0 else { return }
        count = Int(clamping: histogram.totalCount)
        (min, max) = (histogram.min, histogram.maxRecorded)
        let middles = histogram.recorded().map { recorded in
            values.append((recorded.value, Int(clamping: recorded.count)))
            return Double(histogram.medianEquivalentForValue(recorded.value))
        }
        // Counts may be many: the mean first, so that the squares do not lose what they differ by.
        for (middle, value) in zip(middles, values) { mean += middle * Double(value.count) }
        mean /= Double(count)
        var squares = 0.0
        for (middle, value) in zip(middles, values) {
            squares += (middle - mean) * (middle - mean) * Double(value.count)
        }
        deviation = (squares / Double(count)).squareRoot()
    }

    /// The value that all but the part above the percentile are not larger than; 0 where there are none.
    package func value(_ percentile: Percentile) -> UInt64 {
        let rank = Swift.max(count - percentile.above(of: count), 1)
        var seen = 0
        for (value, count) in values {
            seen += count
            if seen >= rank { return Swift.max(Swift.min(value, max), min) }
        }
        return max
    }

    package var p50: UInt64 { value(.p50) }
    package var p99: UInt64 { value(.p99) }
}
