import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ContentRangeTests {
    @Test(
        arguments: [
            ("bytes 0-9/10", 0...9, 10), ("bytes 5-5/*", 5...5, nil), ("bytes */100", nil, 100),
            ("BYTES 0-0/1", 0...0, 1),
            ("bytes 0-999999999999999998/999999999999999999", 0...999_999_999_999_999_998, 999_999_999_999_999_999),
        ] as [(String, ClosedRange<Int>?, Int?)])
    func `A range and a length are read`(_ text: String, _ range: ClosedRange<Int>?, _ total: Int?) {
        let parsed = ContentRange(text)
        #expect(parsed != nil)
        #expect(parsed?.range == range)
        #expect(parsed?.total == total)
    }

    @Test(arguments: [
        "", "bytes", "bytes ", "bytes 0-9", "bytes 0-9/", "bytes 9-0/10", "bytes 0-10/10", "bytes 0-9/9", "bytes -9/10",
        "bytes 0-/10", "bytes */*", "bytes  0-9/10", "bytes 0-9/10 ", "bytes +0-9/10", "bytes=0-9/10", "items 0-9/10",
        "bytes 0-9/1000000000000000000", "bytes 0-9/9223372036854775808", "bytes 0x0-9/10", "bytes 0-9/10,",
    ])
    func `What is malformed or contradicts itself is refused`(_ text: String) {
        #expect(ContentRange(text) == nil)
    }
}
