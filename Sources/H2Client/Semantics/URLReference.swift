import HTTPTypes

/// A reference, as in `location`, resolved against the URL it came from (RFC 3986 section 5).
package struct URLReference {
    package let target: RequestTarget
    /// After the `#`, percent-encoded where needed; nil if there is none.
    package let fragment: String?

    /// - Throws: `H2Error` (`invalidURL`).
    package init(_ reference: String, from base: RequestTarget) throws(H2Error) {
        // Servers do send spaces, which no URL contains. RFC 9110 section 10.2.2 leaves only one meaning for them.
        var bytes = Self.trimmed(Array(reference.utf8)[...])
        if let hash = bytes.firstIndex(of: UInt8(ascii: "#")) {
            fragment = Self.encoded(bytes[(hash + 1)...])
            bytes = bytes[..<hash]
        } else {
            fragment = nil
        }
        target = try RequestTarget(Self.resolved(bytes, base))
    }

    private static func resolved(_ reference: ArraySlice<UInt8>, _ base: RequestTarget) -> String {
        if hasScheme(reference) { return encoded(reference) }
        let scheme = base.origin.scheme.rawValue
        if reference.starts(with: "//".utf8) { return "\(scheme):\(encoded(reference))" }
        let path = base.path.utf8.prefix { $0 != UInt8(ascii: "?") }
        let text = encoded(reference)
        return switch reference.first {
        case nil: "\(base.origin)\(base.path)"
        case UInt8(ascii: "/"): "\(base.origin)\(text)"
        case UInt8(ascii: "?"): "\(base.origin)\(Substring(path))\(text)"
        default: "\(base.origin)\(folder(Substring(path)))\(text)"
        }
    }

    /// The path up to its last slash.
    private static func folder(_ path: Substring) -> Substring {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "/" }
        return path[...slash]
    }

    /// RFC 3986 section 3.1: a letter, then letters, digits, `+`, `-`, `.`, up to a colon.
    private static func hasScheme(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), let first = bytes.first, isLetter(first) else {
            return false
        }
        return bytes[..<colon].allSatisfy {
            isLetter($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0)
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = bytes
        while let first = bytes.first, first <= 0x20 { bytes = bytes.dropFirst() }
        while let last = bytes.last, last <= 0x20 { bytes = bytes.dropLast() }
        return bytes
    }

    /// Percent-encodes spaces and non-ASCII bytes. Other invalid characters are left for `RequestTarget` to refuse.
    private static func encoded(_ bytes: ArraySlice<UInt8>) -> String {
        var out: [UInt8] = []
        var isAuthority = bytes.starts(with: "//".utf8) || hasScheme(bytes)
        var slashes = 0
        for byte in bytes {
            if byte == UInt8(ascii: "/") { slashes += 1 }
            if slashes > 2 || byte == UInt8(ascii: "?") { isAuthority = false }
            if byte == 0x20 || (byte >= 0x80 && !isAuthority) {
                out += TokenBytes.percentEncoded(byte)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension RequestTarget {
    /// The target of a request that has a scheme and an authority.
    /// - Throws: `H2Error`: `invalidURL`, `invalidRequest`.
    init(of request: HTTPRequest) throws(H2Error) {
        guard let scheme = request.scheme, let authority = request.authority else {
            throw H2Error(
                .invalidRequest, initiator: .user, message: "the request does not say where to send it",
                remedy: "give it a scheme and an authority, or make it with RequestTarget.request()")
        }
        // CONNECT has no path, and OPTIONS may have `*`.
        let path = request.path.flatMap { $0.utf8.first == UInt8(ascii: "/") ? $0 : nil } ?? "/"
        try self.init("\(scheme)://\(authority)\(path)", pathAsIs: true)
    }

    /// The URL, without user name, password and fragment.
    var url: String { "\(origin)\(path)" }
}
