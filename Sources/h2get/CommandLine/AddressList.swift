import H2Client

/// Resolves the `A,B` of --resolve to all its addresses, as if one name had them.
///
/// Everything else is looked up as usual: no host name contains a comma.
final class AddressList: NameResolver {
    private typealias Outcome = Result<[SocketAddress], H2Error>

    func resolve(
        host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) -> (any NameQuery)? {
        let addresses = host.split(separator: ",").map(String.init)
        guard addresses.count > 1 else {
            return Resolver.shared.resolve(host: host, port: port, on: loop, began: began, completion: completion)
        }
        let answers = Answers(count: addresses.count)
        for (index, address) in addresses.enumerated() {
            // Literal addresses are answered at once.
            Resolver.shared.resolve(host: address, port: port, on: loop) { outcome in
                if let all = answers.add(outcome, at: index) { completion(all) }
            }
        }
        return nil
    }

    /// The answers, in the order in which the addresses were given.
    private final class Answers: Sendable {
        private let answers: Locked<[Outcome?]>

        init(count: Int) { answers = Locked(Array(repeating: nil, count: count)) }

        /// Adds an answer; returns the combined outcome with the last one, otherwise nil.
        func add(_ outcome: Outcome, at index: Int) -> Outcome? {
            answers.withLock { answers in
                answers[index] = outcome
                let known = answers.compactMap(\.self)
                guard known.count == answers.count else { return nil }
                let addresses = known.compactMap { try? $0.get() }.flatMap(\.self)
                return addresses.isEmpty ? known.last : .success(addresses)
            }
        }
    }
}
