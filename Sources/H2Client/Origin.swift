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
    /// Lower case. An internationalised name stands here in its ASCII form, an IPv6 address without its brackets, with its
    /// zone behind a `%` where it has one (`fe80::1%eth0`).
    public let host: String
    /// 1 to 65,535.
    public let port: Int

    /// - Parameters:
    ///   - host: a name, which may be an internationalised one, or an address; an IPv6 address without brackets.
    ///   - port: nil for the scheme's own.
    /// - Throws: `H2Error` (`invalidURL`) for an empty host, a host with a character that no host has, an internationalised
    ///   name that cannot be converted, or a port out of range.
    public init(scheme: Scheme, host: String, port: Int? = nil) throws(H2Error) {
        let port = port ?? scheme.defaultPort
        guard (1...65535).contains(port) else {
            throw H2Error(.invalidURL, message: "port \(port) is out of range", remedy: "use 1 to 65535")
        }
        do throws(HostName.Problem) {
            self.host = try HostName.normalized(Array(host.utf8))
        } catch {
            throw H2Error(.invalidURL, message: error.why, remedy: error.remedy)
        }
        self.scheme = scheme
        self.port = port
    }

    /// The origin of an absolute `http` or `https` URL; path and query are passed over.
    /// - Throws: `H2Error` (`invalidURL`).
    public init(_ url: String) throws(H2Error) {
        self = try RequestTarget(url).origin
    }

    /// `host` or `host:port`, the port left out where it is the scheme's own: the value of `:authority`. An IPv6 address
    /// stands in brackets, and without its zone, which means nothing to anybody else (RFC 6874 section 4).
    public var authority: String { authority(host.utf8.contains(UInt8(ascii: ":")) ? "[\(addressWithoutZone)]" : host) }

    /// The same as a URL has it, with the zone.
    package var urlAuthority: String {
        guard host.utf8.contains(UInt8(ascii: "%")) else { return authority }
        let zone = host.utf8.drop { $0 != UInt8(ascii: "%") }.dropFirst()
        return authority("[\(addressWithoutZone)%25\(Substring(zone))]")
    }

    private var addressWithoutZone: Substring { Substring(host.utf8.prefix { $0 != UInt8(ascii: "%") }) }

    private func authority(_ host: String) -> String { port == scheme.defaultPort ? host : "\(host):\(port)" }

    /// As a URL, such as `https://example.org:8443`.
    public var description: String { "\(scheme.rawValue)://\(urlAuthority)" }
}
