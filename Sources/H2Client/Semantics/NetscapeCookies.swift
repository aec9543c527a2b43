/// The Netscape format of cookie files, which curl and wget read and write: seven columns separated by tabs.
enum NetscapeCookies {
    private static let tab = UInt8(ascii: "\t")
    private static let marker = Array("#HttpOnly_".utf8)

    /// Reads a file. A line that is not a cookie is counted and left out.
    /// - Parameter take: called with each cookie, in order. If it returns false, the cookie cannot be used and its line
    ///   is bad.
    static func parse(_ bytes: [UInt8], _ take: (CookieJar.Cookie) -> Bool) -> BadLines {
        BadLines(of: bytes) { line in
            let isHTTPOnly = line.starts(with: marker)
            let line = isHTTPOnly ? line.dropFirst(marker.count) : line
            if !isHTTPOnly, line.first == UInt8(ascii: "#") { return true }
            if line.allSatisfy({ $0 == 0x20 || $0 == tab }) { return true }
            // Longer than any valid line: splitting it could take much memory.
            guard line.count <= 16_384, let cookie = cookie(line, isHTTPOnly: isHTTPOnly) else { return false }
            return take(cookie)
        }
    }

    /// `domain TRUE|FALSE path TRUE|FALSE expires name value`. A line with six columns has an empty value.
    private static func cookie(_ line: some Collection<UInt8>, isHTTPOnly: Bool) -> CookieJar.Cookie? {
        let columns = line.split(separator: tab, maxSplits: 6, omittingEmptySubsequences: false)
        guard columns.count >= 6, let hasSubdomains = flag(columns[1]), let isSecure = flag(columns[3]),
            let expires = time(columns[4])
        else { return nil }
        let domain = String(decoding: columns[0], as: UTF8.self)
        return CookieJar.Cookie(
            rawName: Array(columns[5]), rawValue: columns.count > 6 ? Array(columns[6]) : [], domain: domain,
            // An address does not have subdomains, whatever the file says.
            isHostOnly: !hasSubdomains || CookieScope.isAddress(domain),
            path: String(decoding: columns[2], as: UTF8.self), expires: expires == 0 ? nil : expires,
            isSecure: isSecure,
            isHTTPOnly: isHTTPOnly)
    }

    private static func flag(_ text: some Collection<UInt8>) -> Bool? {
        guard text.count <= 5 else { return nil }
        return switch String(decoding: text, as: UTF8.self).lowercased() {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// Seconds since 1970; 0 for a session cookie. Browser extensions write fractions, which are dropped.
    private static func time(_ text: some Collection<UInt8>) -> Int? {
        let whole = text.prefix { $0 != UInt8(ascii: ".") }
        guard !whole.isEmpty, whole.allSatisfy({ (0x30...0x39).contains($0) }),
            text.dropFirst(whole.count + 1).allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(String(decoding: whole, as: UTF8.self)) ?? Int.max
    }

    // MARK: - Writing

    private static let header = """
        # Netscape HTTP Cookie File
        # https://curl.se/docs/http-cookies.html
        # Written by H2Client. Edit at your own risk.


        """

    /// Writes a file of cookies. The format must be able to hold them.
    static func text(_ cookies: some Sequence<CookieJar.Cookie>) -> [UInt8] {
        var text = Array(header.utf8)
        for cookie in cookies {
            if cookie.isHTTPOnly { text += marker }
            if !cookie.isHostOnly { text.append(UInt8(ascii: ".")) }
            text += cookie.domain.utf8
            text += (cookie.isHostOnly ? "\tFALSE\t" : "\tTRUE\t").utf8
            text += cookie.path.utf8
            text += (cookie.isSecure ? "\tTRUE\t" : "\tFALSE\t").utf8
            text += String(cookie.expires ?? 0).utf8
            text.append(tab)
            text += cookie.rawName
            text.append(tab)
            text += cookie.rawValue
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    /// Whether a file can hold a cookie. A tab would start another column. (The value is the last column, but curl and
    /// wget would cut it at the tab.)
    static func canHold(_ cookie: CookieJar.Cookie) -> Bool {
        !cookie.rawName.contains(tab) && !cookie.rawValue.contains(tab) && !cookie.path.utf8.contains(tab)
    }
}
