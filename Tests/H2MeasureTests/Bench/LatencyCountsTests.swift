import Histogram
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn)
struct LatencyCountsTests {
    @Test
    func `They say what an HdrHistogram says`() {
        var random = SystemRandomNumberGenerator()
        let counts = LatencyCounts()
        var histogram = TimeHistogram.nanoseconds()
        for _ in 0..<20_000 {
            // All magnitudes alike.
            let value = UInt64.random(in: 0...(1 << UInt64.random(in: 1...41)), using: &random)
            counts.record(value)
            histogram.record(value)
        }
        #expect(counts.total == histogram.totalCount)
        for percent in [0.1, 1, 10, 50, 90, 99, 99.9, 99.99, 100] {
            let ours = counts.percentile(percent)
            let theirs = histogram.valueAtPercentile(percent)
            // Theirs may say the end of a bucket that goes beyond the largest value.
            #expect(ours == min(theirs, histogram.maxRecorded), "p\(percent)")
        }
        let converted = counts.histogram()
        #expect(converted.totalCount == histogram.totalCount)
        #expect(converted.maxRecorded == histogram.maxRecorded)
        for percent in [1, 50, 99, 99.9, 100.0] {
            #expect(converted.valueAtPercentile(percent) == histogram.valueAtPercentile(percent))
        }
    }

    @Test
    func `Sums are what recording all in one is`() {
        let (first, second, both) = (LatencyCounts(), LatencyCounts(), LatencyCounts())
        for value in stride(from: UInt64(1), to: 5_000_000, by: 1_237) {
            (value % 2 == 0 ? first : second).record(value)
            both.record(value)
        }
        first.add(second)
        #expect(first.total == both.total)
        #expect(first.minimum == both.minimum)
        #expect(first.percentile(73) == both.percentile(73))
        first.add(LatencyCounts())
        #expect(first.total == both.total)
    }

    @Test
    func `Nothing is left after a reset`() {
        let counts = LatencyCounts()
        counts.record(12_345_678)
        counts.reset()
        #expect(counts.total == 0)
        #expect(counts.percentile(50) == 0)
        counts.record(3)
        #expect(counts.percentile(100) == 3)
        #expect(counts.histogram().totalCount == 1)
    }

    @Test
    func `More than an hour is an hour`() {
        let counts = LatencyCounts()
        counts.record(.max)
        #expect(counts.maximum == TimeHistogram.longest)
        #expect(counts.histogram().totalCount == 1)
    }
}
