import Histogram

/// A percentile to be shown.
package struct Percentile: Sendable, Equatable {
    /// For example `p99.9`.
    package var name: String
    /// The number of values above it, out of 10,000.
    package var tenThousandthsAbove: Int

    package static let shown = [
        Percentile(name: "p50", tenThousandthsAbove: 5000), Percentile(name: "p75", tenThousandthsAbove: 2500),
        Percentile(name: "p90", tenThousandthsAbove: 1000), Percentile(name: "p95", tenThousandthsAbove: 500),
        Percentile(name: "p99", tenThousandthsAbove: 100), Percentile(name: "p99.9", tenThousandthsAbove: 10),
        Percentile(name: "p99.99", tenThousandthsAbove: 1),
    ]
    package static let p50 = shown[0]
    package static let p99 = shown[4]

    /// With fewer values above it, a percentile would differ in another run.
    package static let fewest = 10

    /// The number of values above it, out of `count`.
    package func above(of count: Int) -> Int { Int(clamping: count.multipliedFullWidth(by: tenThousandthsAbove)) }

    /// The number of values needed for enough of them to lie above it.
    package var needed: Int { Percentile.fewest * 10_000 / tenThousandthsAbove }
}

extension Int {
    /// A product by 10,000: a count of values may use all 64 bits.
    fileprivate init(clamping product: (high: Int, low: UInt)) {
        self = product.high >= 10_000 ? .max : 10_000.dividingFullWidth(product).quotient
    }
}

/// A histogram's statistics, computed in one pass over its counts. In nanoseconds.
package struct Distribution: Sendable {
    package private(set) var count = 0
    package private(set) var min: UInt64 = 0
    package private(set) var max: UInt64 = 0
    package private(set) var mean = 0.0
    package private(set) var deviation = 0.0
    /// The values that occur, each the largest of those that share a count, and their counts.
    package private(set) var values: [(value: UInt64, count: Int)] = []

    package init(_ histogram: TimeHistogram) {
        guard histogram.totalCount > 0 else { return }
        count = Int(clamping: histogram.totalCount)
        (min, max) = (histogram.min, histogram.maxRecorded)
        let middles = histogram.recorded().map { recorded in
            values.append((recorded.value, Int(clamping: recorded.count)))
            return Double(histogram.medianEquivalentForValue(recorded.value))
        }
        // There may be many values: computing the mean first keeps the squares precise.
        for (middle, value) in zip(middles, values) { mean += middle * Double(value.count) }
        mean /= Double(count)
        var squares = 0.0
        for (middle, value) in zip(middles, values) {
            squares += (middle - mean) * (middle - mean) * Double(value.count)
        }
        deviation = (squares / Double(count)).squareRoot()
    }

    /// The smallest recorded value that only the fraction above the percentile may exceed; 0 if there are none.
    package func value(_ percentile: Percentile) -> UInt64 {
        let rank = Swift.max(count - percentile.above(of: count), 1)
        var seen = 0
        for (value, count) in values {
            let sum = seen.addingReportingOverflow(count)
            seen = sum.overflow ? .max : sum.partialValue
            if seen >= rank { return Swift.max(Swift.min(value, max), min) }
        }
        return max
    }

    /// The same for any percentile, 0 to 100.
    package func value(at percentile: Double) -> UInt64 {
        let hundredths = (percentile * 100).rounded()
        return value(Percentile(name: "", tenThousandthsAbove: Swift.max(0, 10_000 - Int(hundredths))))
    }

    package var p50: UInt64 { value(.p50) }
    package var p99: UInt64 { value(.p99) }
}
