import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct HuffmanDecoderTests {
    /// Decodes what nghttp2 encodes: every byte next to every other.
    @Test func `Every byte comes back`() {
        let encoder = FieldEncoder(tableSize: 0)
        for first in UInt8.min...UInt8.max {
            // In a run of digits, which have the shortest code, so that the string is Huffman-coded.
            let text =
                String(repeating: "0", count: 60) + String(Unicode.Scalar(first)) + String(repeating: "a", count: 7)
            let block = encoder.encode([("x", text)])
            guard let at = block.firstIndex(where: { $0 & 0x80 != 0 && $0 != 0x81 }) else { continue }
            let length = Int(block[at] & 0x7f)
            guard length < 0x7f, block.count == at + 1 + length else { continue }
            var decoder = HuffmanDecoder()
            var out: [UInt8] = []
            for byte in block[(at + 1)...] { #expect(decoder.decode(byte) { out.append($0) }) }
            #expect(decoder.mayEnd)
            #expect(out == Array(text.utf8))
        }
    }

    @Test func `Padding is less than a byte, and of ones`() {
        // "0" is 00000; what follows is padding.
        for (byte, isGood) in [(UInt8(0b0000_0111), true), (0b0000_0110, false), (0b0000_0011, false)] {
            var decoder = HuffmanDecoder()
            _ = decoder.decode(byte) { _ in }
            #expect(decoder.mayEnd == isGood)
        }
        var decoder = HuffmanDecoder()
        _ = decoder.decode(0b0000_0111) { _ in }
        _ = decoder.decode(0xff) { _ in }
        #expect(!decoder.mayEnd)
    }
}
