/// One connection in the making, for the pool.
///
/// Invariant behind `@unchecked Sendable`: `start` and `cancel` run on the loop's thread, where all else is touched.
final class PoolDial: @unchecked Sendable {
    /// Can go: created → resolving → loading → dialing → over; each may be left out.
    private enum State {
        case created
        /// To see whether another origin's connection leads there.
        case resolving((any NameQuery)?, limit: LoopTimer?)
        /// Certificates are being read.
        case loading(limit: LoopTimer)
        case dialing(Dialer)
        /// In a simulation: what gives it up.
        case simulated(cancel: () -> Void)
        case over
    }

    let loop: EventLoop
    let key: ConnectionKey
    let entry: ConnectionPool.OriginEntry
    let versions: DialVersions
    let reason: HTTPClient.OpenReason
    private let pool: ConnectionPool
    private var state = State.created
    /// The client's, with what `connectTo` says for this connection: it is asked once.
    private lazy var configuration: Configuration = {
        var configuration = pool.configuration.connection
        if let elsewhere = pool.configuration.connectTo?(entry.origin) { configuration.connectTo = elsewhere }
        return configuration
    }()

    init(
        _ key: ConnectionKey, _ entry: ConnectionPool.OriginEntry, _ versions: DialVersions,
        _ reason: HTTPClient.OpenReason, pool: ConnectionPool, loop: EventLoop
    ) {
        self.key = key
        self.entry = entry
        self.versions = versions
        self.reason = reason
        self.pool = pool
        self.loop = loop
    }

    func start() {
        guard case .created = state else { return }
        pool.tell(.connecting(entry.origin, reason: reason))
        guard pool.hasConnectionToShare(with: self) else { return dial() }
        state = .resolving(nil, limit: nil)
        let configuration = configuration
        let host = configuration.connectTo?.host ?? entry.origin.host
        let port = configuration.connectTo?.port ?? entry.origin.port
        let resolver = configuration.resolver ?? Resolver.shared
        let query = resolver.resolve(
            host: host, port: port, on: loop, began: { self.lookUpBegan(host, configuration.timeouts) },
            completion: { self.resolved($0) })
        if case .resolving = state { state = .resolving(query, limit: nil) }
    }

    private func lookUpBegan(_ host: String, _ timeouts: Configuration.Timeouts) {
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

    /// Where none of the candidates will do, or the look-up failed, a connection of its own is tried: that says what is wrong.
    private func resolved(_ result: Result<[SocketAddress], H2Error>) {
        guard case .resolving(_, let limit) = state else { return }
        if let limit { loop.cancel(limit) }
        state = .resolving(nil, limit: nil)
        let addresses = (try? result.get()) ?? []
        share(pool.connectionsToShare(leadingTo: addresses.map(\.description))[...])
    }

    /// Asks one candidate after the other, each on its own loop.
    private func share(_ candidates: ArraySlice<Connection>) {
        guard case .resolving = state else { return }
        guard let next = candidates.first else { return dial() }
        next.loop.execute { [self] in
            // Where it is shared, the state cancels this dial.
            if next.mayServe(entry.origin), pool.share(next, with: self) { return }
            loop.execute { self.share(candidates.dropFirst()) }
        }
    }

    private func dial() {
        let configuration = configuration
        let completion = { [self] (result: Result<Dialer.Connected, H2Error>) in
            state = .over
            finish(result, configuration)
        }
        if let network = pool.network {
            let cancel = network.connect(to: entry.origin, versions: versions, completion: completion)
            return state = .simulated(cancel: cancel)
        }
        guard entry.origin.scheme == .https else { return dial(nil, configuration, completion) }
        let limit = configuration.timeouts.tls
        state = .loading(
            limit: loop.schedule(after: limit.clampedNanoseconds) { [self] in
                state = .over
                pool.dialFailed(self, TLSContextSource.timeout(limit))
            })
        let box = LoopBound(completion)
        pool.tls.context(on: loop) { [self] result in
            guard case .loading(let timer) = state else { return }
            loop.cancel(timer)
            switch result {
            case .success(let tls): dial(tls, configuration, box.value)
            case .failure(let error):
                state = .over
                pool.dialFailed(self, error)
            }
        }
    }

    private func dial(
        _ tls: TLSContext?, _ configuration: Configuration,
        _ completion: @escaping (Result<Dialer.Connected, H2Error>) -> Void
    ) {
        let dialer = Dialer(
            origin: entry.origin, id: ConnectionID.next(), configuration: configuration, tls: tls,
            protocols: versions.speech.protocols, loop: loop, completion: completion)
        state = .dialing(dialer)
        dialer.start()
    }

    /// The pool does not want it any more.
    func cancel() {
        switch state {
        case .over: return
        case .created: break
        case .resolving(let query, let limit):
            query?.cancel()
            if let limit { loop.cancel(limit) }
        case .loading(let timer): loop.cancel(timer)
        case .dialing(let dialer): dialer.cancel()
        case .simulated(let cancel): cancel()
        }
        state = .over
        pool.dialCancelled(self)
    }

    private func finish(_ result: Result<Dialer.Connected, H2Error>, _ configuration: Configuration) {
        do {
            pool.connected(
                self, try versions.speech.connection(over: result.get(), configuration: configuration, loop: loop))
        } catch {
            pool.dialFailed(self, error)
        }
    }
}

extension DialVersions {
    var speech: Speech {
        switch self {
        case .either: .offer(["h2", "http/1.1"])
        case .http2: .offer(["h2"])
        case .http1: .offer(["http/1.1"])
        case .priorKnowledge: .http2
        case .cleartextHTTP1: .http1
        }
    }
}
