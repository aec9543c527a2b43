import H2Platform

/// The proxies of a client: which is for which origin, and what connections to them share.
///
/// Invariant behind `@unchecked Sendable`: the tables are accessed under `lock`; everything else does not change.
final class Proxies: @unchecked Sendable {
    private let rules: ProxyRules
    /// For `https` proxies.
    let tlsConfiguration: ConnectionConfiguration.TLS
    let tls: TLSContextSource
    /// How long a connection to a proxy may have no tunnels.
    private let idleTimeout: Duration
    private let lock = PthreadLock()
    private var credentials: [HTTPClient.Proxy: ProxyCredentials] = [:]
    private let passwordScheme: HTTPAuthentication.PasswordScheme
    private var shared: [ObjectIdentifier: ProxyConnections] = [:]

    /// Proxies remembered with what was learned about their authentication; beyond it all are forgotten.
    private static let rememberedProxies = 1_000

    /// Returns nil if no request can need a proxy.
    init?(_ configuration: HTTPClient.Configuration) {
        guard let rules = ProxyRules(configuration.proxies) else { return nil }
        self.rules = rules
        passwordScheme = configuration.proxies.passwordScheme
        if let tls = configuration.proxies.tls {
            tlsConfiguration = tls
        } else {
            var tls = configuration.connection.tls
            // What is meant for origins. Two contexts cannot share a session file.
            (tls.serverName, tls.certificateFile, tls.privateKeyFile, tls.identity) = (nil, nil, nil, nil)
            (tls.pinnedKeys, tls.verifier, tls.sessionFile) = ([], nil, nil)
            tlsConfiguration = tls
        }
        tls = TLSContextSource(tlsConfiguration)
        idleTimeout = configuration.pool.idleTimeout
    }

    /// The way to an origin through a proxy; nil for a direct connection.
    /// - Throws: `H2Error` (`invalidConfiguration`) if the environment names a proxy that cannot be used.
    func route(to origin: Origin, _ configuration: ConnectionConfiguration) throws(H2Error) -> ProxyRoute? {
        // A Unix domain socket says itself what is at its other end.
        guard configuration.unixSocketPath == nil else { return nil }
        return try rules.proxy(for: origin).map { ProxyRoute(proxy: $0, proxies: self) }
    }

    /// What the proxy is told of its user; nil if there is none.
    func credentials(for proxy: HTTPClient.Proxy) -> ProxyCredentials? {
        guard let user = proxy.user, let origin = try? Origin(scheme: .http, host: proxy.host, port: proxy.port) else {
            return nil
        }
        return lock.withLock {
            if let known = credentials[proxy] { return known }
            if credentials.count >= Self.rememberedProxies { credentials = [:] }
            let new = ProxyCredentials(
                Login(user: user, password: proxy.password ?? ""), passwordScheme, proxy: origin)
            credentials[proxy] = new
            return new
        }
    }

    /// Whether requests to `http` origins are forwarded by the proxy, not sent through a tunnel.
    func forwards(_ proxy: HTTPClient.Proxy) -> Bool {
        proxy.scheme.isHTTP && (proxy.user == nil || passwordScheme == .basic)
    }

    /// The connections to proxies on a loop.
    func connections(on loop: H2EventLoop) -> ProxyConnections {
        lock.withLock {
            if let known = shared[ObjectIdentifier(loop)] { return known }
            let new = ProxyConnections(on: loop, idleTimeout: idleTimeout)
            shared[ObjectIdentifier(loop)] = new
            return new
        }
    }

    /// Closes the connections to proxies when their last tunnel is closed. Can be called from any thread.
    func close() {
        let all = lock.withLock { Array(shared.values) }
        for connections in all { connections.loop.execute { connections.close() } }
    }
}

/// The way to an origin through a proxy.
struct ProxyRoute: Sendable {
    let proxy: HTTPClient.Proxy
    let proxies: Proxies
}
