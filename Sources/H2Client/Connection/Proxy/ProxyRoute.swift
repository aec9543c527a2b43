import H2Platform
import HTTPTypes

/// The proxies of a client: which one is used for which origin, and the state that connections to them share.
///
/// Invariant behind `@unchecked Sendable`: the tables are accessed under `lock`; everything else does not change.
final class Proxies: @unchecked Sendable {
    private let rules: ProxyRules
    private let sharing: ForwardSharing
    /// For `https` proxies.
    let tlsConfiguration: ConnectionConfiguration.TLS
    let tls: TLSContextSource
    /// The figures of the HTTP/2 connections to proxies.
    let figures = ProxyFigures()
    /// How long a connection to a proxy may be without tunnels.
    private let idleTimeout: Duration
    private let lock = PthreadLock()
    private var credentials: [HTTPClient.Proxy: ProxyCredentials] = [:]
    private let passwordScheme: HTTPAuthentication.PasswordScheme
    private let forwardsOverHTTP2: Bool
    private let tunnelsHTTP: Bool
    /// For requests to proxies.
    let fields: HTTPFields
    /// The proxy through which the others are reached.
    let preproxy: HTTPClient.Proxy?
    private var shared: [ObjectIdentifier: ProxyConnections] = [:]

    /// The maximum number of proxies whose authentication state is remembered; beyond it, all are forgotten.
    private static let rememberedProxies = 1_000

    /// The proxies of a client. Returns nil if no request can need a proxy.
    convenience init?(_ configuration: HTTPClient.Configuration) {
        self.init(
            configuration.proxySettings, configuration.connection.tls, ForwardSharing(configuration),
            idleTimeout: configuration.pool.idleTimeout)
    }

    /// The proxies of a single connection. Returns nil if it cannot need a proxy.
    convenience init?(_ configuration: ConnectionConfiguration) {
        self.init(configuration.proxies, configuration.tls, .never, idleTimeout: .zero)
    }

    /// - Parameter tls: the options for origins.
    private init?(
        _ settings: HTTPClient.ProxySettings, _ tls: ConnectionConfiguration.TLS, _ sharing: ForwardSharing,
        idleTimeout: Duration
    ) {
        guard let rules = ProxyRules(settings) else { return nil }
        self.rules = rules
        self.sharing = sharing
        self.idleTimeout = idleTimeout
        passwordScheme = settings.passwordScheme
        forwardsOverHTTP2 = settings.forwardsOverHTTP2
        tunnelsHTTP = settings.tunnelsHTTP
        fields = settings.fields
        preproxy = settings.preproxy
        if let tls = settings.tls {
            tlsConfiguration = tls
        } else {
            var tls = tls
            // These are for origins only. Two contexts cannot share a session file.
            (tls.serverName, tls.certificateFile, tls.privateKeyFile, tls.identity) = (nil, nil, nil, nil)
            (tls.pinnedKeys, tls.verifier, tls.sessionFile) = ([], nil, nil)
            tlsConfiguration = tls
        }
        self.tls = TLSContextSource(tlsConfiguration)
    }

    /// The route to an origin through a proxy; nil for a direct connection.
    /// - Parameter observe: notified about HTTP/2 connections to proxies.
    /// - Throws: `H2Error` (`invalidConfiguration`) if the environment names a proxy that cannot be used.
    func route(
        to origin: Origin, _ configuration: ConnectionConfiguration, observe: ProxyRoute.Observer? = nil
    ) throws(H2Error) -> ProxyRoute? {
        // A Unix domain socket fixes the peer.
        guard configuration.unixSocketPath == nil else { return nil }
        return try rules.proxy(for: origin).map { ProxyRoute(proxy: $0, proxies: self, observe: observe) }
    }

    // MARK: - Forwarding

    /// Whether the user's closure decides, which may choose a different proxy each time.
    var asks: Bool { sharing != .never && rules.asks }

    /// The proxy whose connections serve this origin's requests together with those of other origins; nil if there is
    /// none, or if a closure decides.
    func fixedForwarder(for origin: Origin) -> HTTPClient.Proxy? { rules.asks ? nil : chosenForwarder(for: origin) }

    /// The same, but calls the closure.
    func chosenForwarder(for origin: Origin) -> HTTPClient.Proxy? {
        // An invalid environment is reported by the dial.
        guard sharing.covers(origin), let proxy = try? rules.proxy(for: origin), forwards(proxy) else { return nil }
        return proxy
    }

    /// Whether the proxy forwards requests to `http` origins instead of opening tunnels.
    func forwards(_ proxy: HTTPClient.Proxy) -> Bool {
        !tunnelsHTTP && proxy.scheme.isHTTP && (proxy.user == nil || passwordScheme == .basic)
    }

    /// Whether a connection to this forwarding proxy may become HTTP/2.
    func mayForwardOverHTTP2(_ proxy: HTTPClient.Proxy) -> Bool { proxy.scheme == .https && forwardsOverHTTP2 }

    // MARK: - What is shared

    /// The user's credentials for the proxy; nil if there is no user.
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

    /// The connections to proxies on a loop.
    func connections(on loop: H2EventLoop) -> ProxyConnections {
        lock.withLock {
            if let known = shared[ObjectIdentifier(loop)] { return known }
            let new = ProxyConnections(on: loop, idleTimeout: idleTimeout, figures)
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

/// Which origins' requests share the connections to a forwarding proxy, apart from settings of the proxy itself.
struct ForwardSharing: Equatable, Sendable {
    /// Whether any origins do.
    private let isAllowed: Bool
    /// Whether each address must be judged, which happens when a connection is opened for it.
    private let filtersAddresses: Bool

    static let never = ForwardSharing(isAllowed: false, filtersAddresses: false)

    private init(isAllowed: Bool, filtersAddresses: Bool) {
        (self.isAllowed, self.filtersAddresses) = (isAllowed, filtersAddresses)
    }

    init(_ configuration: HTTPClient.Configuration) {
        let (limits, connection) = (configuration.loadLimits, configuration.connection)
        // An origin's load limits are tracked with its own connections.
        let limitsOrigins =
            limits.concurrentRequestsPerOrigin != .max || limits.requestsPerSecondPerOrigin != nil
            || limits.adaptive != nil
        // Cleartext HTTP/2 needs a tunnel, and so does another endpoint.
        let speaksHTTP1 = configuration.versions == .automatic || configuration.versions == .http1Only
        let leadsElsewhere =
            configuration.connectTo != nil || connection.connectTo != nil || connection.unixSocketPath != nil
        self.init(
            isAllowed: speaksHTTP1 && !limitsOrigins && !leadsElsewhere,
            filtersAddresses: connection.addressFilter != nil)
    }

    func covers(_ origin: Origin) -> Bool {
        isAllowed && origin.scheme == .http && !(filtersAddresses && Resolver.isAddress(origin.host))
    }
}

/// The route to an origin through a proxy.
struct ProxyRoute: Sendable {
    /// Notified on a loop of events on HTTP/2 connections that carry tunnels. The origin is the proxy, or the end of a
    /// tunnel.
    typealias Observer = @Sendable (HTTPClient.Event.Kind, Origin, ConnectionID) -> Void

    let proxy: HTTPClient.Proxy
    let proxies: Proxies
    /// Whether the connection serves all origins whose requests the proxy forwards.
    var servesAll = false
    /// Whether its proxy is the preproxy, which is dialled directly.
    private(set) var isToPreproxy = false
    var observe: Observer?

    /// The route to this route's proxy.
    func to(preproxy: HTTPClient.Proxy) -> ProxyRoute {
        var route = ProxyRoute(proxy: preproxy, proxies: proxies)
        route.isToPreproxy = true
        return route
    }

    /// The route of a standalone connection; nil for a direct one.
    /// - Throws: `H2Error` (`invalidConfiguration`) if the environment names a proxy that cannot be used.
    static nonisolated(nonsending) func find(
        to origin: Origin, _ configuration: ConnectionConfiguration, on loop: H2EventLoop
    ) async throws(H2Error) -> ProxyRoute? {
        guard let proxies = Proxies(configuration) else { return nil }
        guard configuration.proxies.asks else { return try proxies.route(to: origin, configuration) }
        // As with clients, a closure is called on a loop.
        return try await loop.run { Result { () throws(H2Error) in try proxies.route(to: origin, configuration) } }
            .get()
    }
}
