import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct ResultTests {
    @Test func `Status classes are sums`() {
        var result = BenchResult()
        result.statuses[200] = 3
        result.statuses[204] = 2
        result.statuses[503] = 1
        #expect(result.statusClass(2) == 5)
        #expect(result.statusClass(5) == 1)
        #expect(result.statusClass(4) == 0)
    }
}
