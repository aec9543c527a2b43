/// The bytes allowed in a field name (RFC 9110 section 5.6.2).
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
}
