/// The value of a `content-range` field for bytes (RFC 9110 section 14.4).
package struct ContentRange: Sendable, Hashable {
    /// The bytes in the response; nil if the server could not satisfy the range (416).
    package let range: ClosedRange<Int>?
    /// The length of the whole representation; nil if the server does not know it.
    package let total: Int?

    /// Returns nil if the value is malformed, contradicts itself, or uses another unit.
    package init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        guard rest.prefix(5).elementsEqual("bytes".utf8, by: { $0 | 0x20 == $1 }) else { return nil }
        rest = rest.dropFirst(5)
        guard rest.popFirst() == UInt8(ascii: " ") else { return nil }
        var range: ClosedRange<Int>?
        if rest.first == UInt8(ascii: "*") {
            rest = rest.dropFirst()
        } else {
            guard let first = Self.number(&rest), rest.popFirst() == UInt8(ascii: "-"), let last = Self.number(&rest),
                first <= last
            else { return nil }
            range = first...last
        }
        guard rest.popFirst() == UInt8(ascii: "/") else { return nil }
        if rest.elementsEqual("*".utf8) {
            guard range != nil else { return nil }
            total = nil
        } else {
            guard let number = Self.number(&rest), rest.isEmpty else { return nil }
            if let range, range.upperBound >= number { return nil }
            total = number
        }
        self.range = range
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) -> Int? {
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        // 18 digits fit into an Int.
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        rest = rest.dropFirst(digits.count)
        return Int(String(decoding: digits, as: UTF8.self))
    }
}
