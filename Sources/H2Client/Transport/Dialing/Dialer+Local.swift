import CNghttp2
import H2Platform

// Where connections come from: the configuration's `local`.

extension Dialer {
    /// Applies the configuration's `local` to a new socket. Returns 0, or errno.
    func prepare(_ descriptor: CInt, _ family: CInt) -> CInt {
        let local = configuration.local
        guard family != AF_UNIX else { return 0 }
        // If the system rejects a mark, the connection is still good enough without it.
        if let trafficClass = local.trafficClass {
            _ = ch2_set_traffic_class(descriptor, family, CInt(trafficClass))
        }
        if let interface = local.interface, case let error = ch2_bind_interface(descriptor, family, interface),
            error != 0
        {
            return error
        }
        guard local.address != nil || local.ports != nil else { return 0 }
        let anyAddress = family == AF_INET ? "0.0.0.0" : "::"
        while true {
            let result = Resolver.literals([local.address ?? anyAddress], of: origin.host, port: nextPort())
            guard case .success(let addresses) = result, let address = addresses.first else { return EADDRNOTAVAIL }
            guard address.family == family else { return EAFNOSUPPORT }
            let status = address.withSockaddr { ch2_bind_source(descriptor, $0, $1, local.ports != nil) }
            guard status == EADDRINUSE || status == EACCES, mayTryNextPort() else { return status }
        }
    }

    /// The local port to use; 0 for the system's choice.
    private func nextPort() -> Int {
        guard let ports = configuration.local.ports else { return 0 }
        return ports.lowerBound + (firstPort + portsTried) % ports.count
    }

    func mayTryNextPort() -> Bool {
        guard let ports = configuration.local.ports, portsTried + 1 < ports.count else { return false }
        portsTried += 1
        return true
    }
}
