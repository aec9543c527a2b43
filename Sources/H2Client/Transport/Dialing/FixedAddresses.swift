/// Fixed addresses for some hosts, and another resolver for the rest.
final class FixedAddresses: NameResolver {
    private let addresses: [String: [String]]
    private let other: any NameResolver

    init(_ addresses: [String: [String]], otherwise other: any NameResolver) {
        self.addresses = Dictionary(addresses.map { ($0.key.lowercased(), $0.value) }) { $0 + $1 }
        self.other = other
    }

    func resolve(
        host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) -> (any NameQuery)? {
        guard let fixed = addresses[host.lowercased()] else {
            return other.resolve(host: host, port: port, on: loop, began: began, completion: completion)
        }
        let result = Resolver.literals(fixed, of: host, port: port)
        loop.execute { completion(result) }
        return nil
    }
}

extension Resolver {
    /// The addresses of a host as they were written.
    static func literals(_ literals: [String], of host: String, port: Int) -> Result<[SocketAddress], H2Error> {
        var addresses: [SocketAddress] = []
        for literal in literals {
            guard isAddress(literal) else {
                return .failure(
                    H2Error(
                        .resolveFailed, initiator: .user,
                        message: "'\(literal)', given for '\(host)', is not an address",
                        remedy: "write an IPv4 or IPv6 address"))
            }
            switch address(literal, port: port) {
            case .success(let some): addresses += some
            case .failure(let error): return .failure(error)
            }
        }
        guard !addresses.isEmpty else {
            return .failure(
                H2Error(
                    .resolveFailed, initiator: .user, message: "the resolver knows no address of '\(host)'",
                    remedy: "check the name, or connect to an address"))
        }
        return .success(addresses)
    }
}
