import H2Platform

/// The host, path and security of a URL, which decide which cookies it gets and may set.
struct CookieScope {
    /// As in `Origin.host`.
    let host: String
    let isAddress: Bool
    /// Without the query.
    let path: Substring.UTF8View
    let isSecure: Bool

    /// - Parameter target: the value of `:path`, with or without a query.
    init(_ origin: Origin, target: String) {
        host = origin.host
        isAddress = Self.isAddress(host)
        path = target.utf8.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        isSecure = origin.scheme == .https || Self.isLoopback(host)
    }

    /// Hosts on this machine count as secure without TLS, as in browsers and curl: nobody else can see the traffic.
    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.utf8.starts(with: "127.".utf8) && isIPv4(host)
    }

    private static func isIPv4(_ host: String) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, host, &address) == 1
    }

    /// Whether a host is an address in any spelling that the system resolves as one (`127.1`, `0x7f.1`). No name ends with a
    /// number, so the last label decides (WHATWG URL, "ends in a number").
    static func isAddress(_ host: String) -> Bool {
        let bytes = host.utf8
        if bytes.contains(UInt8(ascii: ":")) { return true }
        var end = bytes.endIndex
        if bytes.last == UInt8(ascii: ".") { end = bytes.index(before: end) }
        let dot = bytes[..<end].lastIndex(of: UInt8(ascii: "."))
        let label = bytes[(dot.map { bytes.index(after: $0) } ?? bytes.startIndex)..<end]
        guard let first = label.first, (0x30...0x39).contains(first) else { return false }
        if label.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        return label.starts(with: "0x".utf8) && label.dropFirst(2).allSatisfy { TokenBytes.hexDigit($0) != nil }
    }

    /// Whether a host name begins with a dot or has two in a row. A name that can be looked up has neither.
    static func hasEmptyLabel(_ host: String) -> Bool {
        host.utf8.first == UInt8(ascii: ".")
            || zip(host.utf8, host.utf8.dropFirst()).contains { $0 == $1 && $0 == UInt8(ascii: ".") }
    }

    // MARK: - Matching

    /// Whether a host is a domain or a subdomain of it (RFC 6265bis section 5.1.3). Both in lower case.
    static func matches(host: Substring, domain: Substring) -> Bool {
        let (host, domain) = (host.utf8, domain.utf8)
        let extra = host.count - domain.count
        if extra == 0 { return host.elementsEqual(domain) }
        guard extra > 0, !domain.isEmpty, host.dropFirst(extra).elementsEqual(domain) else { return false }
        return host.dropFirst(extra - 1).first == UInt8(ascii: ".") && !isAddress(String(Substring(host)))
    }

    /// The path of a cookie without a Path attribute: the URL's path up to its last slash (RFC 6265bis section 5.1.4).
    var defaultPath: String {
        guard path.first == UInt8(ascii: "/"), let last = path.lastIndex(of: UInt8(ascii: "/")), last > path.startIndex
        else { return "/" }
        return String(Substring(path[..<last]))
    }

    /// Whether a URL's path is a cookie's path, or below it (RFC 6265bis section 5.1.4).
    static func matches(path: some Collection<UInt8>, cookiePath: some Collection<UInt8>) -> Bool {
        // The most common path of cookies.
        if cookiePath.count == 1, cookiePath.first == UInt8(ascii: "/") { return path.first == UInt8(ascii: "/") }
        guard path.starts(with: cookiePath) else { return false }
        if cookiePath.count == path.count { return true }
        let next = path[path.index(path.startIndex, offsetBy: cookiePath.count)]
        return next == UInt8(ascii: "/") || path.dropFirst(cookiePath.count - 1).first == UInt8(ascii: "/")
    }
}
