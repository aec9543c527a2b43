/// A scheme, host and port (RFC 6454): the destination of a connection.
public struct Origin: Sendable, Hashable, CustomStringConvertible {
    /// Whether an origin's connections use TLS.
    @nonexhaustive
    public enum Scheme: String, Sendable, Hashable {
        /// TLS. The version of HTTP is chosen by ALPN.
        case https
        /// Cleartext: HTTP/1.1, or HTTP/2 by prior knowledge (RFC 9113 section 3.3).
        case http

        /// The port of URLs without one: 443 or 80.
        public var defaultPort: Int { self == .https ? 443 : 80 }
    }

    /// The scheme.
    public let scheme: Scheme
    /// The host in lower case. An internationalised name is in its ASCII form. An IPv6 address has no brackets, and its zone
    /// (if any) follows a `%` (`fe80::1%eth0`).
    public let host: String
    /// The port, 1 to 65,535.
    public let port: Int

    /// Creates an origin.
    /// - Parameters:
    ///   - scheme: The scheme.
    ///   - host: A name, which may be internationalised, or an address. An IPv6 address has no brackets.
    ///   - port: The port; nil for the scheme's default port.
    /// - Throws: `H2Error` (`invalidURL`) for an empty host, a character that is not valid in a host, an internationalised name
    ///   that cannot be converted, or a port out of range.
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

    /// Creates the origin of an absolute `http` or `https` URL. Path and query are ignored.
    /// - Throws: `H2Error` (`invalidURL`).
    public init(_ url: String) throws(H2Error) {
        self = try RequestTarget(url).origin
    }

    /// The value of `:authority`: `host`, or `host:port` if the port is not the scheme's default. An IPv6 address is in
    /// brackets and has no zone, which only means something on this machine (RFC 6874 section 4).
    public var authority: String { authority(host.utf8.contains(UInt8(ascii: ":")) ? "[\(addressWithoutZone)]" : host) }

    /// The same as written in a URL, with the zone.
    package var urlAuthority: String {
        guard host.utf8.contains(UInt8(ascii: "%")) else { return authority }
        let zone = host.utf8.drop { $0 != UInt8(ascii: "%") }.dropFirst()
        return authority("[\(addressWithoutZone)%25\(Substring(zone))]")
    }

    private var addressWithoutZone: Substring { Substring(host.utf8.prefix { $0 != UInt8(ascii: "%") }) }

    private func authority(_ host: String) -> String { port == scheme.defaultPort ? host : "\(host):\(port)" }

    /// The origin as a URL, such as `https://example.org:8443`.
    public var description: String { "\(scheme.rawValue)://\(urlAuthority)" }
}
