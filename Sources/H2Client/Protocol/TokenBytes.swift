/// Classes of bytes: those allowed in a field name (RFC 9110 section 5.6.2), and hexadecimal digits, also of percent-encoding.
enum TokenBytes {
    /// The lowercase form of each byte; 0 if it is not allowed in a token.
    ///
    /// `nonisolated(unsafe)`: 256 bytes that are written here, before anyone has the address, and never again.
    nonisolated(unsafe) static let lowerCase: UnsafePointer<UInt8> = {
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        table.initialize(repeating: 0, count: 256)
        for byte in UInt8(ascii: "a")...UInt8(ascii: "z") {
            table[Int(byte)] = byte
            table[Int(byte & ~0x20)] = byte
        }
        for byte in UInt8(ascii: "0")...UInt8(ascii: "9") { table[Int(byte)] = byte }
        for byte in "!#$%&'*+-.^_`|~".utf8 { table[Int(byte)] = byte }
        return UnsafePointer(table)
    }()

    /// Whether a token is `name`, ignoring case.
    static func areSame(_ token: UnsafeRawBufferPointer, _ name: String) -> Bool {
        let lowerCase = lowerCase
        return token.elementsEqual(name.utf8) { lowerCase[Int($0)] == lowerCase[Int($1)] }
    }

    /// The value of a hexadecimal digit; nil for any other byte.
    @inline(__always)
    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// A byte in percent-encoding (RFC 3986 section 2.1).
    static func percentEncoded(_ byte: UInt8) -> [UInt8] {
        [UInt8(ascii: "%"), upperCaseDigits[Int(byte >> 4)], upperCaseDigits[Int(byte & 15)]]
    }

    private static let upperCaseDigits = Array("0123456789ABCDEF".utf8)

    /// Decodes percent-encoded text (RFC 3986 section 2.1); nil if a `%` is not followed by two digits.
    static func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// The bytes as lower-case hexadecimal digits.
    static func hex(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// Whether the byte is allowed in a token.
    @inline(__always)
    static func contains(_ byte: UInt8) -> Bool { lowerCase[Int(byte)] != 0 }
}
