extension CookieJar {
    /// A cookie, with the attributes that decide where it is sent.
    ///
    /// Its descriptions contain neither its name nor its value, to keep them out of logs.
    public struct Cookie: Sendable, Hashable {
        /// The name as bytes. Empty for a cookie without a name, which is sent as its value alone.
        public let rawName: [UInt8]
        /// The value as bytes, with the quotes if the server sent some.
        public let rawValue: [UInt8]
        /// The host, or the domain whose hosts get the cookie: in lower case and without a leading dot.
        public let domain: String
        /// Whether only the host ``domain`` itself gets the cookie, and not its subdomains.
        public let isHostOnly: Bool
        /// The path that a request's path must be equal to or below. It begins with a slash.
        public let path: String
        /// When the cookie ends, in seconds since 1970; nil if it ends with the session.
        public let expires: Int?
        /// Whether the cookie is only sent over TLS, and to this machine.
        public let isSecure: Bool
        /// Whether the server wants the cookie hidden from scripts. Recorded for files; it has no effect here.
        public let isHTTPOnly: Bool
        /// The server's rule for requests that another site caused. Recorded; it has no effect here, since a client
        /// outside a browser does not know who caused a request.
        public let sameSite: SameSite?

        /// The name as text. Bytes that are not UTF-8 become U+FFFD.
        public var name: String { String(decoding: rawName, as: UTF8.self) }
        /// The value as text. Bytes that are not UTF-8 become U+FFFD.
        public var value: String { String(decoding: rawValue, as: UTF8.self) }

        /// Creates a cookie to put into a jar.
        ///
        /// ```swift
        /// let jar = CookieJar()
        /// try jar.insert(CookieJar.Cookie("session", "31d4d96e", domain: "example.com"))
        /// ```
        /// - Parameters:
        ///   - name: The name.
        ///   - value: The value.
        ///   - domain: The host or domain in ASCII form (`xn--…`), in any case. A leading dot is removed.
        ///   - isHostOnly: Whether subdomains do not get the cookie. Default true.
        ///   - path: The path. One that does not begin with a slash becomes `/`, which is the default.
        ///   - expires: When the cookie ends, in seconds since 1970. Default nil: at the end of the session.
        ///   - isSecure: Whether the cookie is only sent over TLS, and to this machine. Default false.
        ///   - isHTTPOnly: Recorded, for files. Default false.
        ///   - sameSite: Recorded. Default nil.
        public init(
            _ name: String, _ value: String, domain: String, isHostOnly: Bool = true, path: String = "/",
            expires: Int? = nil, isSecure: Bool = false, isHTTPOnly: Bool = false, sameSite: SameSite? = nil
        ) {
            self.init(
                rawName: Array(name.utf8), rawValue: Array(value.utf8), domain: domain, isHostOnly: isHostOnly,
                path: path,
                expires: expires, isSecure: isSecure, isHTTPOnly: isHTTPOnly, sameSite: sameSite)
        }

        /// Creates a cookie whose name or value is not UTF-8. See ``init(_:_:domain:isHostOnly:path:expires:isSecure:isHTTPOnly:sameSite:)``.
        public init(
            rawName: [UInt8], rawValue: [UInt8], domain: String, isHostOnly: Bool = true, path: String = "/",
            expires: Int? = nil, isSecure: Bool = false, isHTTPOnly: Bool = false, sameSite: SameSite? = nil
        ) {
            self.rawName = rawName
            self.rawValue = rawValue
            let bytes = domain.utf8.first == UInt8(ascii: ".") ? domain.utf8.dropFirst() : domain.utf8[...]
            self.domain = String(decoding: bytes.map(SetCookie.lowered), as: UTF8.self)
            self.isHostOnly = isHostOnly
            self.path = path.utf8.first == UInt8(ascii: "/") ? path : "/"
            self.expires = expires
            self.isSecure = isSecure
            self.isHTTPOnly = isHTTPOnly
            self.sameSite = sameSite
        }

        func isExpired(at now: Int) -> Bool { expires.map { $0 <= now } ?? false }
    }

    /// The attribute `SameSite` of a cookie.
    @nonexhaustive
    public enum SameSite: String, Sendable, Hashable {
        /// Not sent with requests that another site caused.
        case strict = "Strict"
        /// Also sent with a navigation from another site.
        case lax = "Lax"
        /// Sent with all requests.
        case none = "None"

        /// Any other value counts as no attribute.
        init?(attribute: ArraySlice<UInt8>) {
            guard attribute.count <= 6 else { return nil }
            switch String(decoding: attribute, as: UTF8.self).lowercased() {
            case "strict": self = .strict
            case "lax": self = .lax
            case "none": self = .none
            default: return nil
            }
        }
    }
}

extension CookieJar.Cookie: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The domain and path, such as `a cookie of example.com/shop`.
    public var description: String { "a cookie of \(domain)\(path)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Without children, so that `dump` shows neither the name nor the value.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

// MARK: - What a server may set

extension CookieJar.Cookie {
    /// Creates a cookie from a server's field, as far as the URL allows it (RFC 6265bis section 5.7).
    /// - Parameters:
    ///   - scope: the URL that was requested.
    ///   - isPublicSuffix: whether hosts below a domain belong to different owners.
    /// - Returns: nil if the cookie must be ignored.
    init?(_ field: SetCookie, from scope: CookieScope, isPublicSuffix: (String) -> Bool) {
        var domain = ""
        if !field.domain.isEmpty {
            // A dot at the end would hide a public suffix.
            guard field.domain.allSatisfy({ $0 < 0x80 }), field.domain.last != UInt8(ascii: ".") else { return nil }
            domain = String(decoding: field.domain, as: UTF8.self)
            guard CookieScope.matches(host: scope.host[...], domain: domain[...]) else { return nil }
            if scope.isAddress {
                domain = ""
            } else if isPublicSuffix(domain) {
                // A host that is itself a public suffix may set cookies for itself.
                guard domain == scope.host else { return nil }
                domain = ""
            }
        }
        if field.isSecure, !scope.isSecure { return nil }
        if field.sameSite == CookieJar.SameSite.none, !field.isSecure { return nil }
        switch SetCookie.prefix(of: field.name) {
        case .none: break
        case .secure: guard field.isSecure else { return nil }
        case .host: guard field.isSecure, domain.isEmpty, field.path == [UInt8(ascii: "/")] else { return nil }
        }
        let expires: Int? = if case .at(let time) = field.expiry { time } else { nil }
        self.init(
            rawName: field.name, rawValue: field.value, domain: domain.isEmpty ? scope.host : domain,
            isHostOnly: domain.isEmpty,
            path: field.path.map { String(decoding: $0, as: UTF8.self) } ?? scope.defaultPath,
            expires: expires, isSecure: field.isSecure, isHTTPOnly: field.isHTTPOnly, sameSite: field.sameSite)
    }

    /// Why a jar does not accept a cookie from a program or a file; nil if it does. The text contains neither name nor
    /// value.
    /// - Parameter isPublicSuffix: as above.
    func problem(isPublicSuffix: (String) -> Bool) -> String? {
        if rawName.contains(UInt8(ascii: "=")) { return "its name has a '='" }
        for part in [rawName[...], rawValue[...], Array(path.utf8)[...], Array(domain.utf8)[...]] {
            if part.contains(where: { SetCookie.isControl($0) || $0 == UInt8(ascii: ";") }) {
                return "it has a control character or a semicolon"
            }
        }
        for part in [rawName, rawValue] where SetCookie.trimmed(part[...]).count != part.count {
            return "its name or value begins or ends with a blank"
        }
        guard SetCookie.isAcceptable(name: rawName, value: rawValue) else {
            return rawName.count + rawValue.count > SetCookie.maximumPairLength
                ? "its name and value are longer than \(SetCookie.maximumPairLength) bytes"
                : "it has no name, and a value that looks like another cookie or none"
        }
        guard path.utf8.count <= SetCookie.maximumAttributeLength, domain.utf8.count <= SetCookie.maximumAttributeLength
        else {
            return "its path or domain is longer than \(SetCookie.maximumAttributeLength) bytes"
        }
        if domain.isEmpty || domain.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x80 || $0 == UInt8(ascii: "/") })
            || CookieScope.hasEmptyLabel(domain)
        {
            return "its domain is not a host's name in ASCII form"
        }
        if !isHostOnly {
            if CookieScope.isAddress(domain) { return "it is for the subdomains of an address, which has none" }
            if domain.utf8.last == UInt8(ascii: ".") || isPublicSuffix(domain) {
                return "its domain is a public suffix, whose subdomains have different owners"
            }
        }
        switch SetCookie.prefix(of: rawName) {
        case .none: return nil
        case .secure: return isSecure ? nil : "its name's prefix __Secure- requires isSecure"
        case .host:
            return isSecure && isHostOnly && path == "/"
                ? nil : "its name's prefix __Host- requires isSecure, isHostOnly and the path /"
        }
    }
}
