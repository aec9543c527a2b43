/// Incremental decoder for HPACK's Huffman code (RFC 7541 section 5.2 and appendix B).
///
/// The code is canonical: codes of the same length count up in symbol order, so only the lengths are needed.
struct HuffmanDecoder {
    /// The length in bits of each byte's code, and of the end-of-string code.
    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
        28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15,
        6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22,
        20,
        20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23,
        24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22,
        22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27,
        24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26,
        26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
    ]
    private static let longest = 30

    /// The number of codes of each length, and all symbols in the order of their codes.
    private static let code: (counts: [Int], symbols: [Int]) = {
        var counts = [Int](repeating: 0, count: longest + 1)
        for length in lengths { counts[Int(length)] += 1 }
        let symbols = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        return (counts, symbols)
    }()

    // The current code: its bits and length, the first code of that length, and the number of shorter codes.
    private var bits = 0
    private var length = 0
    private var first = 0
    private var shorter = 0

    /// Decodes one byte. Returns false if it is invalid.
    mutating func decode(_ byte: UInt8, _ emit: (UInt8) -> Void) -> Bool {
        for shift in stride(from: 7, through: 0, by: -1) {
            bits = bits << 1 | Int(byte >> UInt8(shift) & 1)
            length += 1
            first <<= 1
            let count = Self.code.counts[length]
            if bits - first < count {
                let symbol = Self.code.symbols[shorter + bits - first]
                // The end-of-string code must not occur in a string.
                guard symbol < 256 else { return false }
                emit(UInt8(symbol))
                (bits, length, first, shorter) = (0, 0, 0, 0)
            } else {
                guard length < Self.longest else { return false }
                shorter += count
                first += count
            }
        }
        return true
    }

    /// Whether the string may end here: less than a byte is left, all ones.
    var mayEnd: Bool { length < 8 && bits == 1 << length - 1 }
}
