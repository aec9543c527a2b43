extension HTTPClient {
    /// A proxy to send requests through: an HTTP proxy (RFC 9110 section 3.7) or a SOCKS server.
    ///
    /// ```swift
    /// var configuration = HTTPClient.Configuration()
    /// configuration.proxies = .all(try HTTPClient.Proxy("http://user:secret@proxy.example:3128"), except: ".internal, 10.0.0.0/8")
    /// ```
    ///
    /// Its description never contains the password.
    public struct Proxy: Sendable, Hashable {
        /// The protocol for talking to a proxy.
        @nonexhaustive
        public enum Scheme: String, Sendable, Hashable, CaseIterable {
            /// HTTP/1.1 in cleartext: CONNECT makes a tunnel for `https` origins, other requests name their whole URL.
            case http
            /// The same over TLS. If the proxy speaks HTTP/2, tunnels share one connection to it.
            case https
            /// SOCKS 4, with names looked up locally. It supports neither IPv6 addresses nor passwords.
            case socks4
            /// SOCKS 4A: SOCKS 4 where the proxy looks up names.
            case socks4a
            /// SOCKS 5 (RFC 1928), with names looked up locally.
            case socks5
            /// SOCKS 5, where the proxy looks up names, which therefore never reach the local name server.
            case socks5h

            /// The port for URLs without one: 80, 443, or 1080 for SOCKS. (curl uses 1080 for `http` as well.)
            public var defaultPort: Int {
                switch self {
                case .http: 80
                case .https: 443
                case .socks4, .socks4a, .socks5, .socks5h: 1080
                }
            }

            var isHTTP: Bool { self == .http || self == .https }

            /// Whether names are looked up here, since the proxy gets only addresses.
            var looksNamesUpHere: Bool { self == .socks4 || self == .socks5 }
        }

        /// The protocol for talking to it.
        public let scheme: Scheme
        /// A name or an address, in the form of ``Origin/host``.
        public let host: String
        /// The port, 1 to 65,535.
        public let port: Int
        /// The user name; nil for none.
        public let user: String?
        /// The password; nil for none.
        public let password: String?

        /// Creates a proxy.
        /// - Parameters:
        ///   - scheme: The protocol for talking to it.
        ///   - host: A name, which may be internationalised, or an address. An IPv6 address has no brackets.
        ///   - port: The port; nil for ``Scheme/defaultPort``.
        ///   - user: The user name. For an HTTP proxy it must not contain `:` (RFC 7617 section 2).
        ///   - password: The password.
        /// - Throws: `H2Error` (`invalidURL`) for a host or port that cannot be used, a password without a user name, and
        ///   credentials that the scheme cannot carry: control characters, more than 255 bytes with SOCKS 5, or a password with
        ///   SOCKS 4.
        public init(
            _ scheme: Scheme, host: String, port: Int? = nil, user: String? = nil, password: String? = nil
        ) throws(H2Error) {
            let origin = try Origin(scheme: .http, host: host, port: port ?? scheme.defaultPort)
            if let problem = Self.problem(scheme, user, password) {
                throw H2Error(.invalidURL, initiator: .user, message: problem.why, remedy: problem.remedy)
            }
            (self.scheme, self.host, self.port) = (scheme, origin.host, origin.port)
            (self.user, self.password) = (user, password)
        }

        /// Parses `[scheme://][user[:password]@]host[:port][/]`. Without a scheme it is an `http` proxy. User name and password
        /// are percent-decoded.
        /// - Throws: `H2Error` (`invalidURL`), with advice on what to write instead. Its message contains no user name
        ///   or password.
        public init(_ url: String) throws(H2Error) {
            let parts = try ProxyURL(url)
            do throws(H2Error) {
                try self.init(
                    parts.scheme, host: parts.host, port: parts.port, user: parts.user, password: parts.password)
            } catch {
                throw ProxyURL.bad(url, error.message, error.remedy)
            }
        }

        private static func problem(
            _ scheme: Scheme, _ user: String?, _ password: String?
        ) -> (
            why: String, remedy: String
        )? {
            guard let user else {
                return password == nil ? nil : ("a password without a user name", "name the user, too")
            }
            // RFC 7617 section 2 does not allow control characters; SOCKS 4 ends the name with NUL.
            guard (user + (password ?? "")).utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
                return ("a control character in its user name or password", "leave it out")
            }
            switch scheme {
            case .http, .https:
                return user.utf8.contains(UInt8(ascii: ":"))
                    ? ("a ':' in its user name, which Basic credentials cannot carry", "use another user name") : nil
            case .socks4, .socks4a:
                return password == nil ? nil : ("a password, which SOCKS 4 does not have", "use socks5h://")
            case .socks5, .socks5h:
                // RFC 1929 section 2: each has a length field of one byte.
                return (1...255).contains(user.utf8.count) && (password ?? "").utf8.count <= 255
                    ? nil
                    : (
                        "a user name or password that SOCKS 5 cannot carry",
                        "use at least 1 byte for the name and at most 255 for each"
                    )
            }
        }

        /// As in a URL: an IPv6 address in brackets, always with the port.
        var authority: String { Self.authority(host, port) }

        static func authority(_ host: String, _ port: Int) -> String {
            host.utf8.contains(UInt8(ascii: ":"))
                ? "[\(Substring(host.utf8.prefix { $0 != UInt8(ascii: "%") }))]:\(port)" : "\(host):\(port)"
        }
    }
}

extension HTTPClient.Proxy: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The proxy as a URL without user name and password, such as `http://proxy.example:3128`.
    public var description: String { "\(scheme.rawValue)://\(authority)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Shows the description only, so that `dump` prints no password.
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}
