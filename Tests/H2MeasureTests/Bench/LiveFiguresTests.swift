import H2Client
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Measure

@Suite(.inTurn)
struct LiveFiguresTests {
    /// Nanoseconds, and what Locust's `round` makes of them in milliseconds.
    @Test(
        arguments: [
            (0, 0), (400_000, 0), (500_000, 0), (1_500_000, 2), (2_500_000, 2), (99_400_000, 99), (99_900_000, 100),
            (100_000_000, 100), (104_000_000, 100), (105_000_000, 100), (115_000_000, 120), (147_000_000, 150),
            (999_000_000, 1_000), (1_000_000_000, 1_000), (3_432_000_000, 3_400), (9_960_000_000, 10_000),
            (10_400_000_000, 10_000), (58_760_000_000, 59_000), (3_600_000_000_000, 3_600_000),
        ] as [(UInt64, Int)])
    func `Milliseconds are rounded as Locust rounds them, and counted`(_ nanoseconds: UInt64, _ expected: Int) {
        #expect(RoundedMilliseconds.rounded(nanoseconds) == expected)
        var counts = RoundedMilliseconds()
        counts.record(nanoseconds)
        counts.record(nanoseconds)
        var sum = counts
        sum.add(counts)
        #expect(counts.all.map(\.milliseconds) == [expected])
        #expect(counts.all.map(\.count) == [2])
        #expect(sum.all.map(\.count) == [4])
    }

    @Test func `Each rounded value has a count of its own, in order`() {
        var counts = RoundedMilliseconds()
        let values =
            Array(0...100) + stride(from: 110, through: 1_000, by: 10)
            + stride(from: 1_100, through: 10_000, by: 100) + stride(from: 11_000, through: 60_000, by: 1_000)
        for value in values.shuffled() { counts.record(UInt64(value) * 1_000_000) }
        #expect(counts.all.map(\.milliseconds) == values)
        #expect(counts.all.allSatisfy { $0.count == 1 })
    }

    @Test func `Times come out of the heap in order`() {
        var heap = EarliestFirst()
        #expect(heap.first == nil)
        var times = (0..<500).map { _ in UInt64.random(in: 0...50) }
        for time in times { heap.add(time) }
        times.sort()
        for time in times {
            #expect(heap.first == time)
            heap.removeFirst()
        }
        #expect(heap.first == nil)
    }

    @Test func `Streams come and go among those that want to begin`() {
        var wanting = Wanting(count: 2)
        wanting.add(3, now: 10)
        #expect(wanting.count == 5)
        wanting.append(20)
        #expect(wanting.remove(4) == 0)
        #expect(wanting.count == 2)
        #expect(wanting.remove(5) == 3)
        #expect(wanting.isEmpty)
        wanting.rest()
        #expect(wanting.remove(1) == 0)
        #expect(wanting.popFirst() == nil)
    }

    @Test func `Requests of one path share a name, and beyond a thousand all do`() throws {
        let paths = ["/a", "/b", "/a"] + (0..<1_200).map { "/\($0)" }
        let plan = BenchPlan(
            origin: try Origin("https://localhost/"),
            requests: paths.map { .init(HTTPRequest(method: .get, scheme: "https", authority: "localhost", path: $0)) })
        let names = LiveNames(plan)
        #expect(names.all.count == 1_001)
        #expect(names.indexes.prefix(3) == [0, 1, 0])
        #expect(names.all.last == .init(method: "GET", path: "(others)"))
        #expect(names.indexes.last == 1_000)
    }
}
