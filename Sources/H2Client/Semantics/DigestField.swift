/// The value of a `content-digest` or `repr-digest` field (RFC 9530): a Dictionary (RFC 9651 section 3.2) of Byte Sequences.
struct DigestField: Sendable, Hashable {
    /// The algorithms that are supported here, those that RFC 9530 section 5 calls active.
    enum Algorithm: String, Sendable, Hashable, CaseIterable {
        case sha512 = "sha-512"
        case sha256 = "sha-256"
    }

    /// The server's digests by algorithm. Others, such as `md5` and `sha`, prove nothing and are left out.
    private(set) var digests: [Algorithm: [UInt8]] = [:]
    /// The names of all algorithms, for messages.
    private(set) var names: [String] = []

    /// - Parameter lines: the values of the field's lines, in order.
    /// - Returns: nil if the value is malformed and must be ignored as a whole (RFC 9651 section 4.2).
    init?(_ lines: [String]) {
        var rest = Array(lines.joined(separator: ", ").utf8)[...]
        Self.skipBlanks(&rest)
        while true {
            guard let name = Self.key(&rest), rest.popFirst() == UInt8(ascii: "="),
                let bytes = Self.byteSequence(&rest), Self.skipParameters(&rest)
            else { return nil }
            if !names.contains(name) { names.append(name) }
            // If a name occurs more than once, the last member counts.
            if let algorithm = Algorithm(rawValue: name) { digests[algorithm] = bytes }
            Self.skipBlanks(&rest)
            guard !rest.isEmpty else { return }
            guard rest.popFirst() == UInt8(ascii: ",") else { return nil }
            Self.skipBlanks(&rest)
        }
    }

    private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) {
        rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
    }

    private static func isLowerCase(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) }

    private static func key(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard let first = rest.first, first == UInt8(ascii: "*") || isLowerCase(first) else { return nil }
        let key = rest.prefix { isLowerCase($0) || (0x30...0x39).contains($0) || "_-.*".utf8.contains($0) }
        rest = rest.dropFirst(key.count)
        return String(decoding: key, as: UTF8.self)
    }

    private static func byteSequence(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard rest.popFirst() == UInt8(ascii: ":"), let end = rest.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        var text = rest[..<end]
        rest = rest[(end + 1)...]
        // RFC 9651 section 4.2.7: padding may be missing.
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return Base64.decode(text)
    }

    /// Skips parameters, none of which has a meaning here. Returns false if they are malformed.
    private static func skipParameters(_ rest: inout ArraySlice<UInt8>) -> Bool {
        while rest.first == UInt8(ascii: ";") {
            rest = rest.dropFirst().drop { $0 == 0x20 }
            guard key(&rest) != nil else { return false }
            guard rest.first == UInt8(ascii: "=") else { continue }
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "\"") {
                rest = rest.dropFirst()
                var isClosed = false
                while !isClosed, let byte = rest.popFirst() {
                    if byte == UInt8(ascii: "\\") { _ = rest.popFirst() }
                    isClosed = byte == UInt8(ascii: "\"")
                }
                guard isClosed else { return false }
            } else {
                let value = rest.prefix { $0 > 0x20 && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: ";") }
                guard !value.isEmpty else { return false }
                rest = rest.dropFirst(value.count)
            }
        }
        return true
    }
}
