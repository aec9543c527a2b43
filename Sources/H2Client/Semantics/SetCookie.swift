/// The contents of a `set-cookie` field (RFC 6265bis section 5.6).
struct SetCookie: Equatable {
    /// When a cookie ends.
    enum Expiry: Equatable {
        /// At the end of the session: the field says nothing else.
        case session
        /// At this number of seconds since 1970; in the past if the server deletes it.
        case at(Int)
    }

    var name: [UInt8]
    var value: [UInt8]
    var expiry = Expiry.session
    /// In lower case, without a leading dot; empty if there is none.
    var domain: [UInt8] = []
    /// From an attribute that begins with a slash; nil if the default path applies.
    var path: [UInt8]?
    var isSecure = false
    var isHTTPOnly = false
    var sameSite: CookieJar.SameSite?

    /// The maximum combined length of name and value. Larger cookies are ignored.
    static let maximumPairLength = 4_096
    /// The maximum length of an attribute's value. Longer attributes are ignored.
    static let maximumAttributeLength = 1_024
    /// The maximum lifetime of a cookie: 400 days in seconds.
    static let maximumAge = 400 * 86_400

    /// Parses the value of a field.
    /// - Parameter now: seconds since 1970.
    /// - Returns: nil if the cookie must be ignored: it has a control character or neither name nor value, or is too
    ///   long.
    init?(_ field: [UInt8], now: Int) {
        guard !field.contains(where: Self.isControl) else { return nil }
        let end = field.firstIndex(of: UInt8(ascii: ";")) ?? field.endIndex
        let pair = field[..<end]
        if let equals = pair.firstIndex(of: UInt8(ascii: "=")) {
            name = Array(Self.trimmed(pair[..<equals]))
            value = Array(Self.trimmed(pair[(equals + 1)...]))
        } else {
            name = []
            value = Array(Self.trimmed(pair))
        }
        guard Self.isAcceptable(name: name, value: value) else { return nil }
        var rest = field[end...]
        var hasMaximumAge = false
        while !rest.isEmpty {
            let attribute = rest.dropFirst().prefix { $0 != UInt8(ascii: ";") }
            rest = rest[attribute.endIndex...]
            let equals = attribute.firstIndex(of: UInt8(ascii: "="))
            let value = Self.trimmed(equals.map { attribute[($0 + 1)...] } ?? [])
            guard value.count <= Self.maximumAttributeLength else { continue }
            take(Self.trimmed(attribute[..<(equals ?? attribute.endIndex)]), value, now, &hasMaximumAge)
        }
    }

    private mutating func take(
        _ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>, _ now: Int, _ hasMaximumAge: inout Bool
    ) {
        // No attribute has a longer name.
        guard name.count <= 8 else { return }
        switch String(decoding: name, as: UTF8.self).lowercased() {
        case "expires":
            // Max-Age takes precedence, wherever it appears.
            guard !hasMaximumAge, let date = CookieDate.seconds(value) else { return }
            expiry = .at(min(date, now + Self.maximumAge))
        case "max-age":
            guard let age = Self.age(value) else { return }
            hasMaximumAge = true
            expiry = .at(age <= 0 ? Int.min : now + min(age, Self.maximumAge))
        case "domain":
            domain = (value.first == UInt8(ascii: ".") ? value.dropFirst() : value).map(Self.lowered)
        case "path": path = value.first == UInt8(ascii: "/") ? Array(value) : nil
        case "secure": isSecure = true
        case "httponly": isHTTPOnly = true
        case "samesite": sameSite = CookieJar.SameSite(attribute: value)
        default: break
        }
    }

    /// The seconds of a Max-Age: digits, optionally after a minus sign. Int.max stands for all larger numbers.
    private static func age(_ value: ArraySlice<UInt8>) -> Int? {
        let isNegative = value.first == UInt8(ascii: "-")
        let digits = isNegative ? value.dropFirst() : value
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        if isNegative { return -1 }
        return Int(String(decoding: digits, as: UTF8.self)) ?? Int.max
    }

    // MARK: - Rules for all cookies, wherever they come from

    /// Whether a cookie may have this name and value.
    static func isAcceptable(name: [UInt8], value: [UInt8]) -> Bool {
        guard name.count + value.count <= maximumPairLength else { return false }
        guard name.isEmpty else { return true }
        // A cookie without a name is sent as its value alone, which must not look like another cookie.
        return !value.isEmpty && !value.contains(UInt8(ascii: "=")) && prefix(of: value) == .none
    }

    /// A name prefix that promises something about its cookie (RFC 6265bis section 4.1.3).
    enum Prefix {
        case none
        /// Set by a secure origin, and with Secure.
        case secure
        /// The same, and for one host alone and all of its paths.
        case host
    }

    static func prefix(of name: [UInt8]) -> Prefix {
        func begins(with prefix: StaticString) -> Bool {
            prefix.withUTF8Buffer { prefix in
                name.count >= prefix.count
                    && zip(name, prefix).allSatisfy { Self.lowered($0) == Self.lowered($1) }
            }
        }
        // Nearly all names differ in the first byte.
        guard name.first == UInt8(ascii: "_") else { return .none }
        if begins(with: "__Secure-") { return .secure }
        return begins(with: "__Host-") ? .host : .none
    }

    /// The control characters that a cookie must not contain: all except the tab.
    static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 0x09 || byte == 0x7f }

    static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        guard let first = bytes.firstIndex(where: { !isBlank($0) }) else { return [] }
        return bytes[first...bytes.lastIndex { !isBlank($0) }!]
    }
}
