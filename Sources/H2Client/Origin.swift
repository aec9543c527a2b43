/// Scheme, host and port (RFC 6454): what a connection serves.
public struct Origin: Sendable, Hashable, CustomStringConvertible {
    /// How an origin's connections are protected.
    public enum Scheme: String, Sendable, Hashable {
        /// TLS, with HTTP/2 chosen by ALPN.
        case https
        /// Cleartext HTTP/2 by prior knowledge (RFC 9113 section 3.3).
        case http

        /// The port of a URL that names none.
        public var defaultPort: Int { self == .https ? 443 : 80 }
    }

    /// `https` or `http`.
    public let scheme: Scheme
    /// Lower case; an IPv6 address stands here without its brackets.
    public let host: String
    /// 1 to 65,535.
    public let port: Int

    /// - Throws: `H2Error` (`invalidURL`) for an empty host, a host with a character no host has, or a port out of range.
    public init(scheme: Scheme, host: String, port: Int? = nil) throws(H2Error) {
        let port = port ?? scheme.defaultPort
        guard (1...65535).contains(port) else {
            throw H2Error(.invalidURL, message: "port \(port) is out of range", remedy: "use 1 to 65535")
        }
        guard !host.isEmpty, host.utf8.allSatisfy(Origin.isHostByte) else {
            throw H2Error(
                .invalidURL, message: host.isEmpty ? "the URL has no host" : "bad host name '\(host)'",
                remedy: "write it as https://host[:port]/path")
        }
        self.scheme = scheme
        self.host = host.lowercased()
        self.port = port
    }

    /// The origin of an absolute `http` or `https` URL; path and query are passed over.
    /// - Throws: `H2Error` (`invalidURL`).
    public init(_ url: String) throws(H2Error) {
        self = try RequestTarget(url).origin
    }

    /// `host` or `host:port`, the port left out where it is the scheme's own: the value of `:authority`.
    public var authority: String {
        let host = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return port == scheme.defaultPort ? host : "\(host):\(port)"
    }

    public var description: String { "\(scheme.rawValue)://\(authority)" }

    // Letters, digits and what RFC 3986 allows in a reg-name or an IPv6 literal, and bytes above 0x7f refused: an
    // internationalised name has to come in its ASCII form.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "~"),
            UInt8(ascii: "%"):
            true
        default: false
        }
    }
}

/// An absolute URL split into what a request needs.
public struct RequestTarget: Sendable, Hashable {
    /// Where to connect.
    public let origin: Origin
    /// The value of `:path`: path and query, never empty, without the fragment.
    public let path: String
    /// `user:password` as it stands in the URL, percent-encoding and all; nil where there is none.
    public let userInfo: String?

    /// Splits `scheme://[userinfo@]host[:port][/path][?query][#fragment]` (RFC 3986). Spaces and bytes that no URL may
    /// hold are refused rather than guessed at, except that non-ASCII bytes of the path are percent-encoded.
    /// - Throws: `H2Error` (`invalidURL`), with what to write instead.
    public init(_ url: String) throws(H2Error) {
        func bad(_ why: String, _ remedy: String) -> H2Error {
            H2Error(.invalidURL, message: "bad URL '\(url)': \(why)", remedy: remedy)
        }
        guard let colon = url.range(ofASCII: "://") else {
            throw bad("no scheme", "write it as https://host[:port]/path")
        }
        guard let scheme = Origin.Scheme(rawValue: url[..<colon.lowerBound].lowercased()) else {
            throw bad("the scheme '\(url[..<colon.lowerBound])' is not known here", "use https:// or http://")
        }
        let rest = url[colon.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        var authority = rest[..<end]
        var userInfo: String?
        if let at = authority.lastIndex(of: "@") {
            userInfo = String(authority[..<at])
            // Browsers read '\' as '/', so that such a URL would lead elsewhere than it seems to.
            for byte in authority[..<at].utf8 where byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "\\") {
                throw bad("a character in the user name that no URL has", "percent-encode it")
            }
            authority = authority[authority.index(after: at)...]
        }
        let (host, port): (Substring, Substring?)
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { throw bad("'[' without ']'", "write [::1]:port") }
            host = authority[authority.index(after: authority.startIndex)..<close]
            let after = authority[authority.index(after: close)...]
            guard after.isEmpty || after.first == ":" else { throw bad("text after ']'", "write [::1]:port") }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = authority.lastIndex(of: ":") {
            (host, port) = (authority[..<colon], authority[authority.index(after: colon)...])
            guard !host.contains(":") else { throw bad("an IPv6 address without brackets", "write [\(authority)]") }
        } else {
            (host, port) = (authority, nil)
        }
        var number: Int?
        if let port, !port.isEmpty {
            guard let value = Int(port), port.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw bad("bad port '\(port)'", "use 1 to 65535")
            }
            number = value
        }
        do {
            self.origin = try Origin(scheme: scheme, host: String(host), port: number)
        } catch {
            throw bad(error.message, error.remedy)
        }
        var path = String(rest[end...].prefix { $0 != "#" })
        if path.first != "/" { path = "/" + path }
        for byte in path.utf8 where byte <= 0x20 || byte == 0x7f {
            throw bad("a space or control character in the path", "percent-encode it (a space is %20)")
        }
        self.path = path.utf8.allSatisfy { $0 < 0x80 } ? path : RequestTarget.percentEncoded(path)
        self.userInfo = userInfo
    }

    private static func percentEncoded(_ path: String) -> String {
        var out: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in path.utf8 {
            if byte < 0x80 { out.append(byte) } else { out += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension String {
    /// The first place of an ASCII string, found without Foundation.
    fileprivate func range(ofASCII needle: String) -> Range<Index>? {
        let needle = Array(needle.utf8)
        var at = startIndex
        while at < endIndex {
            if utf8[at...].starts(with: needle) { return at..<utf8.index(at, offsetBy: needle.count) }
            at = utf8.index(after: at)
        }
        return nil
    }
}
