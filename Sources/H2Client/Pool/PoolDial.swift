/// One connection in the making, for the pool.
///
/// Invariant behind `@unchecked Sendable`: `start` and `cancel` run on the loop's thread, where all else is touched.
final class PoolDial: @unchecked Sendable {
    private enum State {
        case created
        case dialing(Dialer)
        case over
    }

    let loop: EventLoop
    let key: ConnectionKey
    let entry: ConnectionPool.OriginEntry
    let versions: DialVersions
    let reason: HTTPClient.OpenReason
    private let pool: ConnectionPool
    private var state = State.created

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
        var configuration = pool.configuration.connection
        if let elsewhere = pool.configuration.connectTo?(entry.origin) { configuration.connectTo = elsewhere }
        do {
            let tls = entry.origin.scheme == .https ? try pool.sharedTLS() : nil
            let dialer = Dialer(
                origin: entry.origin, id: ConnectionID.next(), configuration: configuration, tls: tls,
                protocols: versions.speech.protocols, loop: loop
            ) { [self] result in
                state = .over
                finish(result, configuration)
            }
            state = .dialing(dialer)
            dialer.start()
        } catch {
            state = .over
            pool.dialFailed(self, error)
        }
    }

    /// The pool does not want it any more.
    func cancel() {
        switch state {
        case .over: return
        case .created: break
        case .dialing(let dialer): dialer.cancel()
        }
        state = .over
        pool.dialCancelled(self)
    }

    private func finish(_ result: Result<Dialer.Connected, H2Error>, _ configuration: Configuration) {
        do {
            let driver = try versions.speech.driver(over: result.get(), configuration: configuration, loop: loop)
            pool.connected(self, driver)
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
