import H2Platform

extension HTTPClient {
    /// The hosts that are reached directly even if there is a proxy: the list of `no_proxy`.
    ///
    /// ```swift
    /// let direct: HTTPClient.NoProxy = "localhost, 127.0.0.0/8, [::1], .internal, build.example:8080"
    /// ```
    ///
    /// Entries are separated by commas or white space. Case does not matter. An entry is one of:
    /// - `*`: every host.
    /// - A name such as `example.com`: that host and all hosts below it. `.example.com` and `*.example.com` mean the
    ///   same, as in curl. Programs differ here: in Go, `.example.com` means only the hosts below it.
    /// - An address, `10.1.2.3` or `::1` or `[::1]`: URLs with that address.
    /// - A network, `10.0.0.0/8` or `fd00::/8`: URLs with an address in it. Names are not looked up, so a name that
    ///   resolves to such an address does not match.
    ///
    /// A name or an address may have a port (`example.com:8080`, `[::1]:8080`), and then applies only to that port.
    /// Entries of any other form match nothing.
    public struct NoProxy: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
        private enum Rule: Sendable, Hashable {
            case all
            case name(String, port: Int?)
            case network(NumericAddress, bits: Int, port: Int?)
        }

        private let rules: [Rule]
        /// The list as it was written.
        public let description: String

        /// Reads a list.
        public init(_ list: String) {
            description = list
            let entries = list.utf8.split { $0 == UInt8(ascii: ",") || $0 <= 0x20 }
            rules = entries.compactMap { Self.rule(Array($0)[...]) }
        }

        /// Reads a list.
        public init(stringLiteral list: String) { self.init(list) }

        /// Whether an origin is reached directly.
        public func contains(_ origin: Origin) -> Bool {
            guard !rules.isEmpty else { return false }
            let address = NumericAddress(origin.host)
            let host = Self.withoutFinalDot(origin.host)
            return rules.contains { rule in
                switch rule {
                case .all: true
                case .name(let name, let port):
                    address == nil && (port ?? origin.port) == origin.port
                        && (host == name || host.utf8.count > name.utf8.count && host.hasSuffix("." + name))
                case .network(let network, let bits, let port):
                    (port ?? origin.port) == origin.port && address?.isIn(network, bits) ?? false
                }
            }
        }

        // MARK: - Parsing

        private static func rule(_ entry: ArraySlice<UInt8>) -> Rule? {
            if entry.elementsEqual("*".utf8) { return .all }
            var entry = entry
            if let slash = entry.firstIndex(of: UInt8(ascii: "/")) {
                guard let network = NumericAddress(text(unbracketed(entry[..<slash]))),
                    let bits = Int(decimal: entry[(slash + 1)...]), bits <= network.bits
                else { return nil }
                return .network(network, bits: bits, port: nil)
            }
            var port: Int?
            if NumericAddress(text(entry)) == nil, let colon = entry.lastIndex(of: UInt8(ascii: ":")),
                entry.last != UInt8(ascii: "]")
            {
                guard let number = Int(decimal: entry[(colon + 1)...]), (1...65_535).contains(number) else {
                    return nil
                }
                port = number
                entry = entry[..<colon]
            }
            if let address = NumericAddress(text(unbracketed(entry))) {
                return .network(address, bits: address.bits, port: port)
            }
            if entry.starts(with: "*.".utf8) { entry = entry.dropFirst() }
            if entry.first == UInt8(ascii: ".") { entry = entry.dropFirst() }
            guard !entry.contains(UInt8(ascii: ":")), let name = try? HostName.normalized(Array(entry)) else {
                return nil
            }
            return .name(withoutFinalDot(name), port: port)
        }

        private static func unbracketed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
            text.first == UInt8(ascii: "[") && text.last == UInt8(ascii: "]") ? text.dropFirst().dropLast() : text
        }

        private static func withoutFinalDot(_ host: String) -> String {
            host.utf8.count > 1 && host.utf8.last == UInt8(ascii: ".") ? String(host.dropLast()) : host
        }

        private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
    }
}

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is the IPv4 address.
struct NumericAddress: Sendable, Hashable {
    /// 4 or 16 bytes, in network order.
    let bytes: [UInt8]

    var bits: Int { bytes.count * 8 }

    /// Parses an address without brackets; a zone is ignored. Returns nil if the text is not an address.
    init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        let bare = String(text.utf8.prefix { $0 != UInt8(ascii: "%") }) ?? ""
        var four = in_addr()
        if inet_pton(AF_INET, bare, &four) == 1 {
            bytes = withUnsafeBytes(of: four) { Array($0) }
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, bare, &six) == 1 else { return nil }
        let all = withUnsafeBytes(of: six) { Array($0) }
        let isMapped = all[..<10].allSatisfy { $0 == 0 } && all[10] == 0xff && all[11] == 0xff
        bytes = isMapped ? Array(all[12...]) : all
    }

    /// Whether the first `bits` bits are those of `network`.
    func isIn(_ network: NumericAddress, _ bits: Int) -> Bool {
        guard bytes.count == network.bytes.count else { return false }
        let whole = bits / 8
        guard bytes[..<whole] == network.bytes[..<whole] else { return false }
        guard bits % 8 > 0 else { return true }
        let mask = ~(UInt8.max >> UInt8(bits % 8))
        return (bytes[whole] ^ network.bytes[whole]) & mask == 0
    }
}
