import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn)
struct ArrivalsTests {
    @Test
    func `A constant rate has equal intervals`() {
        let arrivals = Arrivals(from: 1_000, to: 1_000, ramp: 0)
        #expect(arrivals.time(of: 0) == 0)
        #expect(arrivals.time(of: 1) == 1_000_000)
        #expect(arrivals.time(of: 5_000) == 5_000_000_000)
    }

    @Test
    func `A ramp comes to the mean rate, and goes on at the last`() {
        let arrivals = Arrivals(from: 100, to: 300, ramp: 10)
        // 200 a second on average for 10 s.
        #expect(arrivals.time(of: 0) == 0)
        #expect(arrivals.time(of: 2_000) == 10_000_000_000)
        #expect(arrivals.time(of: 2_300) == 11_000_000_000)
        // By 5 s: 100·5 + 200·25/20 = 750.
        #expect(arrivals.time(of: 750) == 5_000_000_000)
    }

    @Test(arguments: [(0.0, 50.0), (50.0, 1.0), (200.0, 200.0)])
    func `Time never goes back`(_ rates: (Double, Double)) {
        let arrivals = Arrivals(from: rates.0, to: rates.1, ramp: 3)
        let times = (0..<1_000).map { arrivals.time(of: $0) }
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test
    func `Parts together are the whole`() {
        let arrivals = Arrivals(from: 10, to: 100, ramp: 2)
        let parts = (0..<3).flatMap { index in
            let part = Arrivals.Part(first: index, stride: 3, of: 3)
            return (0..<20).map { arrivals.time(of: $0, in: part) }
        }
        #expect(parts.sorted() == (0..<60).map { arrivals.time(of: $0) })
    }

    @Test
    func `A part has as much as it has slots, and each slot as much as the others`() {
        // Two loops for five connections: 0, 2, 4 and 1, 3.
        let (even, odd) = (Arrivals.Part(first: 0, stride: 2, of: 5), Arrivals.Part(first: 1, stride: 2, of: 5))
        #expect((0..<6).map(even.request) == [0, 2, 4, 5, 7, 9])
        #expect((0..<4).map(odd.request) == [1, 3, 6, 8])
    }
}
