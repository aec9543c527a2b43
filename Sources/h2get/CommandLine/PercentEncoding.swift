/// Percent-encoding (RFC 3986 section 2.1).
enum PercentEncoding {
    /// `bytes` with everything but unreserved characters (RFC 3986 section 2.3) encoded.
    static func encoded(_ bytes: some Sequence<UInt8>) -> [UInt8] { encoded(bytes, unless: isUnreserved) }

    /// `bytes` with what no query may have encoded: spaces, control characters, `#`, and what is not ASCII.
    static func encodedQuery(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        encoded(bytes) { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }
    }

    private static func encoded(_ bytes: some Sequence<UInt8>, unless isKept: (UInt8) -> Bool) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in bytes {
            if isKept(byte) {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return out
    }

    /// The text with each `%XX` decoded; nil if it is not UTF-8 then. A `%` without two digits stays.
    static func decoded(_ text: Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text)[...]
        func digit(_ byte: UInt8) -> UInt8? { Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) }
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let high = digit(rest[rest.startIndex]),
                let low = digit(rest[rest.startIndex + 1])
            {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
