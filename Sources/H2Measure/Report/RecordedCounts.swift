import Histogram

extension TimeHistogram {
    /// The values that were recorded, each as the largest of those that share a count, and how often, in order.
    ///
    /// The iterators of hdrhistogram-swift, and its `mean`, multiply each value by its count and add the products up in 64
    /// bits, which traps at 584 years of latency: a week at 200,000 requests/s has that from a mean of 150 ms on. Nothing is
    /// added up here.
    package func recorded() -> [(value: UInt64, count: UInt64)] {
        guard totalCount > 0 else { return [] }
        // With another precision the values that share a count would not be ours.
        precondition(
            lowestDiscernibleValue == 1 && numberOfSignificantValueDigits == .three, "not a histogram of ours")
        let layout = HistogramLayout.nanoseconds
        var result: [(value: UInt64, count: UInt64)] = []
        for index in layout.index(of: self.min)...layout.index(of: maxRecorded) {
            let values = layout.values(at: index)
            let count = countForValue(values.lowerBound)
            if count > 0 { result.append((values.upperBound, count)) }
        }
        return result
    }

    /// The mean of what was recorded; 0 where that is nothing.
    package var average: Double { Distribution(self).mean }
}

extension BenchResult.Interval {
    /// Whether measured responses ended in it: those that `done` counts may all be the warm-up's.
    package var hasLatencies: Bool { longest > 0 }
}
