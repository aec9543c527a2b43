import H2Client
import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct CompareDistancesTests {
    @Test func `Each way has a row and each distance a column`() async throws {
        var results: [CompareResult] = []
        for roundTrip in [0, 10_000_000, 50_000_000] as [UInt64] {
            var plan = try ComparePlan.sample([.https])
            plan.rounds = 2
            var result = try await Compare(plan, FakeServer(.init(offersHTTP2: false))).run()
            // The made-up server is as far away as ever.
            result.conditions = LinkConditions(roundTrip: roundTrip, loss: roundTrip > 10_000_000 ? 0.01 : 0)
            results.append(result)
        }
        let distances = CompareDistances(results)
        let lines = distances.lines()
        #expect(lines[2].hasPrefix("way ") && lines[2].hasSuffix(" 0 ms 10.0 ms 50.0 ms, 1.0 % loss"))
        let words = lines.map { $0.split(separator: " ").map(String.init) }
        #expect(words.contains(["keep-alive", "1.00", "s", "1.00", "s", "1.00", "s"]))
        #expect(words.contains(["HTTP/2", "–", "–", "–"]))
        #expect(distances.markdown().contains("| keep-alive | 1.00 s | 1.00 s | 1.00 s |"))
    }
}
