import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn)
struct MessagePackTests {
    /// Bytes as the specification gives them.
    static let forms: [(MessagePack, [UInt8])] = [
        (.null, [0xc0]), (false, [0xc2]), (true, [0xc3]),
        (0, [0x00]), (127, [0x7f]), (128, [0xcc, 0x80]), (255, [0xcc, 0xff]), (256, [0xcd, 1, 0]),
        (65_535, [0xcd, 0xff, 0xff]), (65_536, [0xce, 0, 1, 0, 0]), (4_294_967_296, [0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
        (-1, [0xff]), (-32, [0xe0]), (-33, [0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xdf]),
        (.double(1.5), [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
        ("", [0xa0]), ("ab", [0xa2, 0x61, 0x62]), ("é", [0xa2, 0xc3, 0xa9]),
        (.string(String(repeating: "a", count: 32)), [0xd9, 32] + [UInt8](repeating: 0x61, count: 32)),
        (.string(String(repeating: "a", count: 256)), [0xda, 1, 0] + [UInt8](repeating: 0x61, count: 256)),
        (.bytes([1, 2]), [0xc4, 2, 1, 2]),
        ([], [0x90]), ([1, "a"], [0x92, 1, 0xa1, 0x61]),
        (.array(Array(repeating: 1, count: 16)), [0xdc, 0, 16] + [UInt8](repeating: 1, count: 16)),
        ([:], [0x80]), (["a": 1], [0x81, 0xa1, 0x61, 1]), (.map([.init(5, .null)]), [0x81, 5, 0xc0]),
    ]

    @Test(arguments: forms)
    func `Values have the specification's bytes, and are read from them`(_ value: MessagePack, _ bytes: [UInt8]) {
        #expect(value.encoded == bytes)
        #expect(MessagePack(bytes) == value)
    }

    @Test(
        arguments: [
            ([0xd0, 0x80], -128), ([0xd1, 0x80, 0], -32_768), ([0xd2, 0x80, 0, 0, 0], -2_147_483_648),
            ([0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], -2),
            ([0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Int.max),
            ([0xca, 0x3f, 0x80, 0, 0], 1),
        ] as [([UInt8], Int)])
    func `Other forms of numbers are read`(_ bytes: [UInt8], _ value: Int) {
        #expect(MessagePack(bytes)?.number == value)
    }

    @Test func `Extensions are skipped, and text that is not UTF-8 stays bytes`() {
        #expect(MessagePack([0x92, 0xd6, 0xff, 1, 2, 3, 4, 7]) == [.null, 7])
        #expect(MessagePack([0x92, 0xc7, 3, 1, 0, 0, 0, 7]) == [.null, 7])
        #expect(MessagePack([0xa2, 0xff, 0xfe]) == .bytes([0xff, 0xfe]))
    }

    @Test(
        arguments: [
            [], [0xc1], [0xa2, 0x61], [0x92, 1], [0x81, 1], [0xcb, 0], [1, 2], [0xd9], [0xc4, 5, 1],
            // A few bytes that name billions of elements.
            [0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff, 1], [0xdb, 0xff, 0xff, 0xff, 0xff, 1],
            [0xc9, 0xff, 0xff, 0xff, 0xff, 0],
        ] as [[UInt8]])
    func `Bytes that are no value are refused`(_ bytes: [UInt8]) {
        #expect(MessagePack(bytes) == nil)
    }

    @Test func `Values nested deeply are refused`() {
        #expect(MessagePack([UInt8](repeating: 0x91, count: 32) + [1]) != nil)
        #expect(MessagePack([UInt8](repeating: 0x91, count: 33) + [1]) == nil)
        #expect(MessagePack([UInt8](repeating: 0x91, count: 1 << 20) + [1]) == nil)
    }

    @Test func `Every value cut short is refused`() {
        for (_, bytes) in Self.forms {
            for length in 0..<bytes.count { #expect(MessagePack(Array(bytes.prefix(length))) == nil) }
        }
    }
}
