import H2Platform

// Which addresses are tried, and in which order.

extension Dialer {
    /// The addresses that the configuration allows.
    /// - Throws: `H2Error`: `connectFailed` if there are none of the required family, `addressRefused` if the filter
    ///   allows none.
    func usable(_ addresses: [SocketAddress]) throws(H2Error) -> [SocketAddress] {
        guard configuration.unixSocketPath == nil else { return addresses }
        let host = configuration.connectTo?.host ?? origin.host
        func listed(_ addresses: [SocketAddress]) -> String { addresses.map(\.description).joined(separator: ", ") }
        let family: CInt? =
            switch configuration.local.family {
            case .any: nil
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            }
        let ofFamily = addresses.filter { family == nil || $0.family == family }
        guard !ofFamily.isEmpty || addresses.isEmpty else {
            throw H2Error(
                .connectFailed, scope: .connection, initiator: .user,
                message:
                    "cannot connect to \(origin): '\(host)' has no \(family == AF_INET ? "IPv4" : "IPv6") address, only \(listed(addresses))",
                remedy: "allow the other family (ConnectionConfiguration.Local.family)", isRetryable: true)
        }
        guard let filter = configuration.addressFilter else { return ofFamily }
        let allowed = ofFamily.filter { $0.hostAddress.map { filter.allows($0) } ?? false }
        guard !allowed.isEmpty || ofFamily.isEmpty else {
            throw H2Error(
                .addressRefused, scope: .connection, initiator: .user,
                message: "cannot connect to \(origin): no address of '\(host)' is allowed (\(listed(ofFamily)))",
                remedy: "the address filter of the configuration decides", isRetryable: true)
        }
        return allowed
    }

    /// RFC 8305 section 4: alternates address families, starting with that of the resolver's first result.
    static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let first = addresses.first?.family else { return [] }
        var same = addresses.filter { $0.family == first }[...]
        var other = addresses.filter { $0.family != first }[...]
        var result: [SocketAddress] = []
        while !(same.isEmpty && other.isEmpty) {
            if let next = same.popFirst() { result.append(next) }
            if let next = other.popFirst() { result.append(next) }
        }
        return result
    }
}
