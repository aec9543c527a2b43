/// The parts of an absolute URL that a request needs.
public struct RequestTarget: Sendable, Hashable {
    /// The origin to connect to.
    public let origin: Origin
    /// The value of `:path`: path and query, without the fragment. Never empty.
    public let path: String
    /// The part after the `#`, as written; nil if there is none. It is never sent, but redirects inherit it.
    public let fragment: String?
    /// `user:password` as written in the URL, with its percent-encoding; nil if the URL has none.
    public let userInfo: String?

    /// Parses `scheme://[userinfo@]host[:port][/path][?query][#fragment]` (RFC 3986).
    ///
    /// Spaces and bytes that are not valid in a URL are errors, except that non-ASCII bytes of path and query are
    /// percent-encoded. The host's percent-encoding is decoded, and an internationalised host is converted (UTS 46, by
    /// libidn2). An IPv6 zone (`[fe80::1%25eth0]`, RFC 6874) becomes part of the origin's host, and is never sent.
    /// - Parameters:
    ///   - url: The URL.
    ///   - pathAsIs: Whether to keep the path's dot segments (`/a/../b`, `/%2e`), which RFC 3986 section 5.2.4 removes.
    /// - Throws: `H2Error` (`invalidURL`), with advice what to write instead. Its message has no user name or password.
    public init(_ url: String, pathAsIs: Bool = false) throws(H2Error) {
        let parts = try URLParts(url)
        let name: String
        do throws(HostName.Problem) {
            let host = try parts.isBracketed ? HostName.bracketed(parts.host) : HostName.decoded(parts.host)
            guard parts.isBracketed || !host.contains(UInt8(ascii: ":")) else {
                throw HostName.Problem("a ':' in the host", "write an IPv6 address as [::1]:port")
            }
            name = try HostName.normalized(host)
        } catch {
            throw parts.bad(error.why, error.remedy)
        }
        origin = try Origin(scheme: parts.scheme, host: name, port: parts.port)
        var path = parts.path
        if path.first != UInt8(ascii: "/") { path.insert(UInt8(ascii: "/"), at: path.startIndex) }
        for byte in path where byte <= 0x20 || byte == 0x7f {
            throw parts.bad("a space or control character in the path", "percent-encode it (a space is %20)")
        }
        if !pathAsIs { path = DotSegments.removed(from: path)[...] }
        self.path = RequestTarget.percentEncoded(path)
        fragment = parts.fragment.map { String(decoding: $0, as: UTF8.self) }
        userInfo = parts.userInfo.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func percentEncoded(_ path: ArraySlice<UInt8>) -> String {
        guard path.contains(where: { $0 >= 0x80 }) else { return String(decoding: path, as: UTF8.self) }
        var out: [UInt8] = []
        for byte in path {
            if byte < 0x80 { out.append(byte) } else { out += TokenBytes.percentEncoded(byte) }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// The parts of a URL as written. Bytes are examined, not Characters: a `#` followed by a combining mark forms one Character
/// that is no longer a `#`.
private struct URLParts {
    let scheme: Origin.Scheme
    let userInfo: ArraySlice<UInt8>?
    let host: ArraySlice<UInt8>
    let isBracketed: Bool
    let port: Int?
    /// Path and query.
    let path: ArraySlice<UInt8>
    let fragment: ArraySlice<UInt8>?
    private let url: [UInt8]

    init(_ text: String) throws(H2Error) {
        let bytes = Array(text.utf8)
        url = bytes
        func bad(_ why: String, _ remedy: String) -> H2Error { Self.bad(bytes, why, remedy) }
        guard let colon = Self.schemeEnd(bytes) else { throw bad("no scheme", "write it as https://host[:port]/path") }
        guard let scheme = Origin.Scheme(rawValue: String(decoding: bytes[..<colon], as: UTF8.self).lowercased()) else {
            throw bad("its scheme is not known here", "use https:// or http://")
        }
        self.scheme = scheme
        let rest = bytes[(colon + 3)...]
        let end = rest.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            let userInfo = authority[..<at]
            // Browsers treat '\' as '/', so such a URL would lead elsewhere than it seems to.
            for byte in userInfo where byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "\\") {
                throw bad("a character in the user name that no URL has", "percent-encode it")
            }
            self.userInfo = userInfo
            authority = authority[(at + 1)...]
        } else {
            userInfo = nil
        }
        var port: ArraySlice<UInt8>?
        isBracketed = authority.first == UInt8(ascii: "[")
        if isBracketed {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else {
                throw bad("'[' without ']'", "write [::1]:port")
            }
            host = authority[(authority.startIndex + 1)..<close]
            let after = authority[(close + 1)...]
            guard after.isEmpty || after.first == UInt8(ascii: ":") else {
                throw bad("text after ']'", "write [::1]:port")
            }
            port = after.dropFirst()
        } else if let colon = authority.lastIndex(of: UInt8(ascii: ":")) {
            host = authority[..<colon]
            guard !host.contains(UInt8(ascii: ":")) else {
                throw bad("an IPv6 address without brackets", "write [::1]:port")
            }
            port = authority[(colon + 1)...]
        } else {
            host = authority
        }
        if let port, !port.isEmpty {
            guard port.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(String(decoding: port, as: UTF8.self)), (1...65535).contains(number)
            else { throw bad("a bad port", "use 1 to 65535") }
            self.port = number
        } else {
            self.port = nil
        }
        let hash = rest[end...].firstIndex(of: UInt8(ascii: "#"))
        path = rest[end..<(hash ?? rest.endIndex)]
        fragment = hash.map { rest[($0 + 1)...] }
    }

    /// The index at which `://` begins.
    private static func schemeEnd(_ bytes: [UInt8]) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: "://".utf8) }
    }

    func bad(_ why: String, _ remedy: String) -> H2Error { Self.bad(url, why, remedy) }

    private static func bad(_ url: [UInt8], _ why: String, _ remedy: String) -> H2Error {
        H2Error(.invalidURL, message: "bad URL '\(Redaction.url(url))': \(why)", remedy: remedy)
    }
}

/// Removes user names and passwords from text shown to people.
package enum Redaction {
    /// A URL or an authority without possible credentials. An unparsable URL may have them anywhere before an `@` (a password
    /// with a slash ends the authority too early), so everything up to the last one is removed.
    static func url(_ url: [UInt8]) -> String {
        guard let at = url.lastIndex(of: UInt8(ascii: "@")) else { return String(decoding: url, as: UTF8.self) }
        let start = url.indices.first { url[$0...].starts(with: "://".utf8) }.map { $0 + 3 } ?? 0
        guard start <= at else { return String(decoding: url, as: UTF8.self) }
        return String(decoding: url[..<start], as: UTF8.self) + "***" + String(decoding: url[at...], as: UTF8.self)
    }

    package static func url(_ url: String) -> String { self.url(Array(url.utf8)) }
}
