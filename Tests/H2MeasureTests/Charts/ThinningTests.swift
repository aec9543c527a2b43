import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ThinningTests {
    private func intervals(_ count: Int) -> [BenchResult.Interval] {
        (0..<count).map { index in
            var interval = BenchResult.Interval(start: Double(index) * 0.1, length: 0.1)
            interval.done = index % 7
            interval.failed = index % 2
            interval.sent = index % 8
            interval.bytesReceived = index
            interval.inFlightMean = Double(index % 10)
            interval.peakInFlight = index % 20
            interval.p50 = 1000
            interval.p99 = UInt64(index)
            interval.longest = UInt64(index * 2)
            return interval
        }
    }

    @Test func `Few intervals stay as they are`() {
        #expect(Thinning.joined(intervals(600)).count == 600)
    }

    @Test(arguments: [601, 1199, 1200, 36_001])
    func `Joined intervals keep sums and the worst`(_ count: Int) throws {
        let all = intervals(count)
        let joined = Thinning.joined(all)
        #expect(joined.count <= 600)
        #expect(joined.count > 290)
        #expect(joined.reduce(0) { $0 + $1.done } == all.reduce(0) { $0 + $1.done })
        #expect(joined.reduce(0) { $0 + $1.failed } == all.reduce(0) { $0 + $1.failed })
        #expect(joined.reduce(0) { $0 + $1.sent } == all.reduce(0) { $0 + $1.sent })
        #expect(joined.reduce(0) { $0 + $1.bytesReceived } == all.reduce(0) { $0 + $1.bytesReceived })
        #expect(joined.map(\.longest).max() == all.map(\.longest).max())
        #expect(joined.map(\.p99).max() == all.map(\.p99).max())
        #expect(joined.allSatisfy { $0.p50 == 1000 || $0.done == 0 })
        #expect(abs(joined.reduce(0) { $0 + $1.length } - Double(count) * 0.1) < 1e-6)
        let mean = joined.reduce(0) { $0 + $1.inFlightMean * $1.length } / (Double(count) * 0.1)
        #expect(abs(mean - 4.5) < 0.1)
        #expect(joined[1].start > joined[0].start)
    }

    /// They are in the count of the answered, and have no latency that counts.
    @Test func `Intervals that answered the warm-up only do not pull the median down`() {
        var all = intervals(1200)
        for index in all.indices where index % 2 == 0 {
            (all[index].done, all[index].p50, all[index].longest) = (1000, 0, 0)
        }
        #expect(Thinning.joined(all).allSatisfy { $0.p50 == 1000 })
    }

    @Test func `The outline keeps peaks in their order`() {
        var points = (0..<10_000).map { LineChart.Point(Double($0), 5) }
        points[3333].y = 100
        points[7777].y = -3
        let outline = Thinning.outline(points)
        #expect(outline.count <= 600)
        #expect(outline.contains { $0.x == 3333 && $0.y == 100 })
        #expect(outline.contains { $0.x == 7777 && $0.y == -3 })
        #expect(outline.map(\.x) == outline.map(\.x).sorted())
    }

    @Test func `A long gap is still a gap`() {
        let points = (0..<10_000).map { LineChart.Point(Double($0), (4000..<6000).contains($0) ? nil : 1) }
        #expect(Thinning.outline(points).contains { $0.y == nil })
    }
}
