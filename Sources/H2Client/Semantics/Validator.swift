/// Distinguishes one state of a resource from another (RFC 9110 section 8.8). It is strong: equal validators mean equal
/// bytes, so a part may be appended to bytes from an earlier response.
enum Validator: Sendable, Hashable {
    /// A strong entity tag, with its quotes.
    case entityTag(String)
    /// The value of `last-modified`.
    case lastModified(String)

    /// The strongest validator of a response; nil if it has no strong one.
    /// - Parameter date: the value of the response's `date`.
    init?(entityTag: String?, lastModified: String?, date: String?) {
        if let entityTag {
            // With a weak tag, a date must not be used either (RFC 9110 section 13.1.5).
            guard Self.isStrong(entityTag) else { return nil }
            self = .entityTag(entityTag)
            return
        }
        // Section 8.8.2.2: a date is strong if the resource cannot have changed twice within its second.
        guard let lastModified, let date, let changed = HTTPDate.seconds(lastModified, now: 0),
            let sent = HTTPDate.seconds(date, now: 0), sent - changed >= 1
        else { return nil }
        self = .lastModified(lastModified)
    }

    /// The value of an `if-range` field with this validator.
    var ifRange: String {
        switch self {
        case .entityTag(let tag): tag
        case .lastModified(let date): date
        }
    }

    /// Whether `text` is a strong entity tag: `"…"` (RFC 9110 section 8.8.3).
    static func isStrong(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else {
            return false
        }
        return bytes.dropFirst().dropLast().allSatisfy { $0 >= 0x21 && $0 != 0x7f && $0 != UInt8(ascii: "\"") }
    }
}
