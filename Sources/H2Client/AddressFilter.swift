/// Decides which addresses a client may connect to. It protects services that fetch URLs from strangers against
/// requests to their own network (server-side request forgery).
///
/// The filter judges the address itself, after the name is resolved and before the connection is made, so neither a
/// name that leads to a private address nor a redirect gets around it.
///
/// ```swift
/// var configuration = HTTPClient.Configuration()
/// configuration.connection.addressFilter = .publicInternet
/// ```
///
/// If it allows none of a host's addresses, the request fails with `addressRefused`. It is not asked about Unix domain
/// sockets, since only the configuration names them, nor about proxies. With a proxy, it is asked about hosts that are
/// addresses, and about names that are looked up locally (`socks5`); if the proxy looks up a name, only the proxy knows
/// the address.
public struct AddressFilter: Sendable {
    private let function: @Sendable (Address) -> Bool

    /// Creates a filter.
    /// - Parameter allows: Returns whether an address may be connected to. Called on event loops; it must not block.
    public init(_ allows: @escaping @Sendable (Address) -> Bool) { function = allows }

    /// Whether an address may be connected to.
    public func allows(_ address: Address) -> Bool { function(address) }

    /// Only addresses that the whole internet can reach: ``Address/isGlobal``.
    public static var publicInternet: AddressFilter { AddressFilter { $0.isGlobal } }

    /// An IPv4 or IPv6 address.
    public struct Address: Sendable, Hashable, CustomStringConvertible {
        /// The address in network order: 4 bytes for IPv4, 16 for IPv6.
        public let bytes: [UInt8]

        /// Creates an address of 4 or 16 bytes; nil for any other number.
        public init?(bytes: [UInt8]) {
            guard bytes.count == 4 || bytes.count == 16 else { return nil }
            self.bytes = bytes
        }

        /// Parses an address such as `127.0.0.1` or `::1`; nil if the text is not one. A zone is ignored.
        public init?(_ text: String) {
            guard let bytes = SocketAddress.addressBytes(text) else { return nil }
            self.init(bytes: bytes)
        }

        /// The usual text, such as `127.0.0.1` or `::1`.
        public var description: String { SocketAddress.text(of: bytes) }
    }
}

extension AddressFilter.Address {
    /// Whether this is one of the machine's own addresses: 127.0.0.0/8, ::1 (RFC 1122, RFC 4291).
    public var isLoopback: Bool { isIn([("127.0.0.0", 8), ("::1", 128)]) }

    /// Whether the address is for private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7 (RFC 1918, RFC 4193).
    public var isPrivate: Bool {
        isIn([("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("fc00::", 7)])
    }

    /// Whether the address is valid on one link only: 169.254.0.0/16, fe80::/10 (RFC 3927, RFC 4291). Clouds offer
    /// their metadata, including credentials, at 169.254.169.254.
    public var isLinkLocal: Bool { isIn([("169.254.0.0", 16), ("fe80::", 10)]) }

    /// Whether the whole internet can reach the address: none of IANA's special-purpose registries says otherwise (RFC
    /// 6890). An IPv6 address that contains an IPv4 address is treated like that IPv4 address.
    public var isGlobal: Bool {
        if let embedded = embeddedIPv4 { return embedded.isGlobal }
        return bytes.count == 4 ? !isIn(Self.special4) : isIn([("2000::", 3)]) && !isIn(Self.special6)
    }

    /// The IPv4 address inside an IPv4-mapped (RFC 4291), IPv4-compatible, IPv4-translated (RFC 6052) or 6to4 (RFC
    /// 3056) address.
    private var embeddedIPv4: AddressFilter.Address? {
        guard bytes.count == 16 else { return nil }
        func part(_ start: Int) -> AddressFilter.Address? { .init(bytes: Array(bytes[start..<start + 4])) }
        if isIn([("::ffff:0:0", 96), ("64:ff9b::", 96), ("::ffff:0:0:0", 96)]) { return part(12) }
        if isIn([("2002::", 16)]) { return part(2) }
        return isIn([("::", 96)]) && !isIn([("::", 127)]) ? part(12) : nil
    }

    private static let special4: [(String, Int)] = [
        ("0.0.0.0", 8), ("10.0.0.0", 8), ("100.64.0.0", 10), ("127.0.0.0", 8), ("169.254.0.0", 16), ("172.16.0.0", 12),
        ("192.0.0.0", 24), ("192.0.2.0", 24), ("192.88.99.0", 24), ("192.168.0.0", 16), ("198.18.0.0", 15),
        ("198.51.100.0", 24), ("203.0.113.0", 24), ("224.0.0.0", 4), ("240.0.0.0", 4),
    ]

    private static let special6: [(String, Int)] = [
        ("2001::", 23), ("2001:db8::", 32), ("3fff::", 20), ("5f00::", 16),
    ]

    private func isIn(_ networks: [(String, Int)]) -> Bool {
        networks.contains { network, bits in
            guard let prefix = SocketAddress.addressBytes(network), prefix.count == bytes.count else { return false }
            return zip(prefix, bytes).enumerated().allSatisfy { index, pair in
                let kept = min(max(bits - index * 8, 0), 8)
                let mask = UInt8(truncatingIfNeeded: 0xff00 >> kept)
                return (pair.0 & mask) == (pair.1 & mask)
            }
        }
    }
}
