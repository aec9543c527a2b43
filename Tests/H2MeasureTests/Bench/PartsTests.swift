import Histogram
import Testing

@testable import H2Measure

@Suite("Arrivals")
struct ArrivalsTests {
    @Test
    func `a constant rate has equal intervals`() {
        let arrivals = Arrivals(from: 1_000, to: 1_000, ramp: 0)
        #expect(arrivals.time(of: 0) == 0)
        #expect(arrivals.time(of: 1) == 1_000_000)
        #expect(arrivals.time(of: 5_000) == 5_000_000_000)
    }

    @Test
    func `a ramp comes to the mean rate, and goes on at the last`() {
        let arrivals = Arrivals(from: 100, to: 300, ramp: 10)
        // 200 a second on average for 10 s.
        #expect(arrivals.time(of: 0) == 0)
        #expect(arrivals.time(of: 2_000) == 10_000_000_000)
        #expect(arrivals.time(of: 2_300) == 11_000_000_000)
        // By 5 s: 100·5 + 200·25/20 = 750.
        #expect(arrivals.time(of: 750) == 5_000_000_000)
    }

    @Test(arguments: [(0.0, 50.0), (50.0, 1.0), (200.0, 200.0)])
    func `time never goes back`(_ rates: (Double, Double)) {
        let arrivals = Arrivals(from: rates.0, to: rates.1, ramp: 3)
        let times = (0..<1_000).map { arrivals.time(of: $0) }
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test
    func `parts together are the whole`() {
        let arrivals = Arrivals(from: 10, to: 100, ramp: 2)
        let parts = (0..<3).flatMap { index in
            let part = Arrivals.Part(first: index, stride: 3, of: 3)
            return (0..<20).map { arrivals.time(of: $0, in: part) }
        }
        #expect(parts.sorted() == (0..<60).map { arrivals.time(of: $0) })
    }

    @Test
    func `a part has as much as it has places, and each place as much as the others`() {
        // Two loops for five connections: 0, 2, 4 and 1, 3.
        let (even, odd) = (Arrivals.Part(first: 0, stride: 2, of: 5), Arrivals.Part(first: 1, stride: 2, of: 5))
        #expect((0..<6).map(even.request) == [0, 2, 4, 5, 7, 9])
        #expect((0..<4).map(odd.request) == [1, 3, 6, 8])
    }
}

@Suite("Latency counts")
struct LatencyCountsTests {
    @Test
    func `they say what an HdrHistogram says`() {
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
    func `sums are what recording all in one is`() {
        let (first, second, both) = (LatencyCounts(), LatencyCounts(), LatencyCounts())
        for value in stride(from: UInt64(1), to: 5_000_000, by: 1_237) {
            (value % 2 == 0 ? first : second).record(value)
            both.record(value)
        }
        first.add(second)
        #expect(first.total == both.total)
        #expect(first.least == both.least)
        #expect(first.percentile(73) == both.percentile(73))
        first.add(LatencyCounts())
        #expect(first.total == both.total)
    }

    @Test
    func `nothing is left after a reset`() {
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
    func `more than an hour is an hour`() {
        let counts = LatencyCounts()
        counts.record(.max)
        #expect(counts.most == TimeHistogram.longest)
        #expect(counts.histogram().totalCount == 1)
    }
}

@Suite("Ring")
struct RingTests {
    @Test
    func `what goes in first comes out first, also when it has grown`() {
        var ring = Ring<Int>(capacity: 2)
        var expected: [Int] = []
        for value in 0..<100 {
            ring.append(value)
            expected.append(value)
            if value % 3 == 0 { #expect(ring.popFirst() == expected.removeFirst()) }
        }
        ring.prepend(-1)
        #expect(ring.popFirst() == -1)
        while let value = ring.popFirst() { #expect(value == expected.removeFirst()) }
        #expect(expected.isEmpty)
        #expect(ring.isEmpty)
    }
}
