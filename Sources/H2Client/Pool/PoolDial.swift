/// One dial of the pool.
///
/// Invariant behind `@unchecked Sendable`: `start` and `cancel` run on the loop's thread, and all other members are accessed
/// there.
final class PoolDial: @unchecked Sendable {
    /// Transitions: created → resolving → connecting → over; each may be skipped.
    private enum State {
        case created
        /// Resolving, to find another origin's connection to the same address.
        case resolving((any NameQuery)?, limit: LoopTimer?)
        case connecting(Connector)
        case over
    }

    let loop: H2EventLoop
    let key: ConnectionKey
    let entry: ConnectionPool.OriginEntry
    let offer: ProtocolOffer
    let reason: HTTPClient.OpenReason
    private let pool: ConnectionPool
    private var state = State.created
    /// The proxy to go through; nil for none.
    private var route: ProxyRoute?
    /// The client's configuration with the result of `connectTo` for this connection, which is called once, and with the
    /// origin's own TLS options.
    private lazy var configuration: ConnectionConfiguration = {
        var configuration = pool.configuration.connection
        if let elsewhere = pool.configuration.connectTo?(entry.origin) { configuration.connectTo = elsewhere }
        if let tls = pool.configuration.originTLS[entry.origin] { configuration.tls = tls }
        return configuration
    }()

    init(
        _ key: ConnectionKey, _ entry: ConnectionPool.OriginEntry, _ offer: ProtocolOffer,
        _ reason: HTTPClient.OpenReason, pool: ConnectionPool, loop: H2EventLoop
    ) {
        self.key = key
        self.entry = entry
        self.offer = offer
        self.reason = reason
        self.pool = pool
        self.loop = loop
    }

    func start() {
        guard case .created = state else { return }
        pool.tell(.connecting(reason), origin: entry.origin)
        do throws(H2Error) {
            route = try wayThroughProxy()
        } catch {
            state = .over
            return pool.dialFailed(self, error)
        }
        // A name that a proxy looks up has no address here.
        guard route == nil, pool.hasConnectionToShare(with: self) else { return connect() }
        state = .resolving(nil, limit: nil)
        let configuration = configuration
        let host = configuration.connectTo?.host ?? entry.origin.host
        let port = configuration.connectTo?.port ?? entry.origin.port
        let resolver = configuration.resolver?.names ?? Resolver.shared
        let query = resolver.resolve(
            host: host, port: port, on: loop, began: { self.lookUpBegan(host, configuration.timeouts) },
            completion: { self.resolved($0) })
        if case .resolving = state { state = .resolving(query, limit: nil) }
    }

    private func wayThroughProxy() throws(H2Error) -> ProxyRoute? {
        guard let proxies = pool.proxies else { return nil }
        if let forwarder = entry.forwarder { return ProxyRoute(proxy: forwarder, proxies: proxies, servesAll: true) }
        return try proxies.route(to: entry.origin, configuration) { [pool] kind, origin, id in
            pool.tell(kind, origin: origin, connection: id)
        }
    }

    private func lookUpBegan(_ host: String, _ timeouts: ConnectionConfiguration.Timeouts) {
        guard case .resolving(let query?, limit: nil) = state else { return }
        let limit = min(timeouts.resolve, timeouts.establish ?? timeouts.resolve)
        let timer = loop.schedule(after: limit.clampedNanoseconds) { [self] in
            guard case .resolving = state else { return }
            state = .over
            query.cancel()
            pool.dialFailed(
                self,
                H2Error(
                    .timeout, scope: .connection, cause: .timeout(.resolve, after: limit),
                    message: "looking up '\(host)' took longer than \(limit)",
                    remedy: "does its name server answer? a longer limit can be set", isRetryable: true))
        }
        state = .resolving(query, limit: timer)
    }

    /// If no candidate fits or the look-up failed, it opens its own connection, which reports any error.
    private func resolved(_ result: Result<[SocketAddress], H2Error>) {
        guard case .resolving(_, let limit) = state else { return }
        if let limit { loop.cancel(limit) }
        state = .resolving(nil, limit: nil)
        let addresses = (try? result.get()) ?? []
        share(pool.connectionsToShare(leadingTo: addresses.map(\.description))[...])
    }

    /// Asks the candidates one after the other, each on its own loop.
    private func share(_ candidates: ArraySlice<Connection>) {
        guard case .resolving = state else { return }
        guard let next = candidates.first else { return connect() }
        next.loop.execute { [self] in
            // If it is shared, the state cancels this dial.
            if next.mayServe(entry.origin), pool.share(next, with: self) { return }
            loop.execute { self.share(candidates.dropFirst()) }
        }
    }

    private func connect() {
        let connector = Connector(
            to: entry.origin, offering: offer, configuration: configuration,
            tls: pool.originTLS[entry.origin] ?? pool.tls, network: pool.network, through: route,
            // A borrower gets only a connection whose handshake is complete.
            allowsEarlyData: configuration.tls.sendsEarlyData && reason != .lent, on: loop)
        state = .connecting(connector)
        connector.start { [self] result in
            state = .over
            switch result {
            case .success(let connection): pool.connected(self, connection)
            case .failure(let error): pool.dialFailed(self, error)
            }
        }
    }

    /// The pool no longer needs it.
    func cancel() {
        var hasBegun = true
        switch state {
        case .over: return
        case .created: hasBegun = false
        case .resolving(let query, let limit):
            query?.cancel()
            if let limit { loop.cancel(limit) }
        case .connecting(let connector): connector.cancel()
        }
        state = .over
        pool.dialCancelled(self, hasBegun: hasBegun)
    }
}
