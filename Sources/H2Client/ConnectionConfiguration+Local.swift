extension ConnectionConfiguration {
    /// The local end of a connection: where it originates, and how its packets are marked.
    ///
    /// ```swift
    /// var configuration = ConnectionConfiguration()
    /// configuration.local.address = "127.0.0.2"
    /// configuration.local.family = .ipv4
    /// ```
    public struct Local: Sendable, Hashable {
        /// An IPv4 or IPv6 address of this machine to connect from. The server's addresses of the other family are not
        /// tried. Default: the system's choice.
        public var address: String?
        /// The network interface to connect through, such as `eth0` (SO_BINDTODEVICE; unprivileged since Linux 5.7).
        /// Default: the system's choice.
        public var interface: String?
        /// The ports to connect from, within 1 to 65,535. They are tried in turn until one is free. Default: the
        /// system's choice.
        public var ports: ClosedRange<Int>?
        /// Which of a server's addresses to use. Default: all.
        public var family: AddressFamily
        /// The mark of each packet, 0 to 255: the type of service in IPv4, the traffic class in IPv6 (RFC 2474). The
        /// upper six bits are the differentiated services code point: 184 is expedited forwarding (46). Default: the
        /// system's, 0.
        public var trafficClass: Int?

        /// Creates options; those that are left out have their defaults.
        public init(
            address: String? = nil, interface: String? = nil, ports: ClosedRange<Int>? = nil,
            family: AddressFamily = .any, trafficClass: Int? = nil
        ) {
            self.address = address
            self.interface = interface
            self.ports = ports
            self.family = family
            self.trafficClass = trafficClass
        }
    }

    /// An address family.
    @nonexhaustive
    public enum AddressFamily: Sendable, Hashable {
        /// Both, in the resolver's order.
        case any
        /// IPv4.
        case ipv4
        /// IPv6.
        case ipv6
    }
}

extension ConnectionConfiguration.Local {
    /// - Throws: `H2Error` (`invalidConfiguration`).
    func validate() throws(H2Error) {
        if let address {
            try ConnectionConfiguration.require(
                Resolver.isAddress(address), "local.address", "'\(address)'", "an IPv4 or IPv6 address")
        }
        if let interface {
            // IFNAMSIZ, with its final NUL.
            try ConnectionConfiguration.require(
                (1...15).contains(interface.utf8.count) && !interface.utf8.contains(0), "local.interface",
                "'\(interface)'", "the name of an interface ('ip link' lists them)")
        }
        if let ports {
            try ConnectionConfiguration.require(
                ports.lowerBound >= 1 && ports.upperBound <= 65_535, "local.ports",
                "\(ports.lowerBound) to \(ports.upperBound)", "1 to 65535")
        }
        if let trafficClass {
            try ConnectionConfiguration.require(
                (0...255).contains(trafficClass), "local.trafficClass", trafficClass, "0 to 255")
        }
    }
}
