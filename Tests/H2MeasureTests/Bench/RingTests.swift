import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn)
struct RingTests {
    @Test
    func `What goes in first comes out first, also when it has grown`() {
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
