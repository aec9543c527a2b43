/// Finds the addresses of hosts in place of the system's getaddrinfo, and remembers them for as long as they are valid.
///
/// ```swift
/// var configuration = HTTPClient.Configuration()
/// configuration.connection.resolver = HostResolver { host in
///     let list = try await client.get("https://names.example.com/\(host)")
///     return HostResolver.Answer(addresses: list.text.split(separator: "\n").map(String.init), timeToLive: .seconds(30))
/// }
/// ```
///
/// It is called for each new connection whose host is a name. Connections and configurations with the same resolver
/// share its cache, and requests for a name that is already being looked up share that look-up.
public struct HostResolver: Sendable {
    /// The addresses of a host.
    public struct Answer: Sendable, Hashable {
        /// IPv4 and IPv6 addresses, in order of preference. Empty: the host has no address (`resolveFailed`).
        public var addresses: [String]
        /// How long the addresses may be used for further connections. Zero: once. Default zero.
        public var timeToLive: Duration

        /// Creates an answer.
        public init(addresses: [String], timeToLive: Duration = .zero) {
            self.addresses = addresses
            self.timeToLive = timeToLive
        }
    }

    /// A function that finds the addresses of a host. The name is in lower case and in ASCII form. The function may
    /// take its time: ``ConnectionConfiguration/Timeouts/resolve`` limits the wait. It is cancelled when nobody is
    /// waiting for it any more.
    public typealias LookUp = @Sendable (_ host: String) async throws -> Answer

    let names: any NameResolver

    package init(_ names: any NameResolver) { self.names = names }

    /// Creates a resolver.
    /// - Parameters:
    ///   - limit: The maximum number of hosts in the cache; beyond it, the host whose addresses expire first is
    ///     forgotten.
    ///   - lookUp: Finds the addresses. If it throws, the connection fails: with the same error if it is an `H2Error`,
    ///     otherwise with `resolveFailed`.
    public init(remembering limit: Int = 1_000, _ lookUp: @escaping LookUp) {
        names = LookUpCache(limit: limit, lookUp)
    }

    /// The system's resolver: getaddrinfo, on its own threads. It caches nothing.
    public static var system: HostResolver { HostResolver(Resolver.shared) }

    /// A resolver with fixed addresses for some hosts, like `curl --resolve`.
    ///
    /// ```swift
    /// configuration.connection.resolver = .overriding(["example.com": ["127.0.0.1", "::1"]])
    /// ```
    /// - Parameters:
    ///   - addresses: The addresses of each host. Case does not matter.
    ///   - other: The resolver for other hosts.
    public static func overriding(
        _ addresses: [String: [String]], otherwise other: HostResolver = .system
    ) -> HostResolver {
        HostResolver(FixedAddresses(addresses, otherwise: other.names))
    }
}
