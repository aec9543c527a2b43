/// Establishes a connection to an origin: certificates, addresses, socket, handshake, and the choice of version.
///
/// Invariant behind `@unchecked Sendable`: `start` and `cancel` run on the loop's thread, and all other state is accessed
/// there.
package final class Connector: @unchecked Sendable {
    /// Transitions: created → loading → dialing → over; each may be skipped.
    private enum State {
        case created
        /// Certificates are being read.
        case loading(limit: LoopTimer)
        case dialing(cancel: () -> Void)
        case over
    }

    private let origin: Origin
    private let offer: ProtocolOffer
    private let configuration: ConnectionConfiguration
    private let tls: TLSContextSource
    private let network: (any SimulatedNetwork)?
    private let route: ProxyRoute?
    private let allowsEarlyData: Bool
    private let loop: H2EventLoop
    private var state = State.created
    private var completion: ((Result<Connection, H2Error>) -> Void)?
    private var cancelled: (() -> Void)?

    /// - Parameters:
    ///   - tls: used for an `https` origin.
    ///   - network: nil means sockets.
    ///   - route: the proxy to go through; nil means none.
    ///   - allowsEarlyData: whether the connection may be one that performs its own handshake (`EarlyHandshake`).
    init(
        to origin: Origin, offering offer: ProtocolOffer, configuration: ConnectionConfiguration, tls: TLSContextSource,
        network: (any SimulatedNetwork)? = nil, through route: ProxyRoute? = nil, allowsEarlyData: Bool = false,
        on loop: H2EventLoop
    ) {
        self.origin = origin
        self.offer = offer
        self.configuration = configuration
        self.tls = tls
        self.network = network
        self.route = route
        self.allowsEarlyData = allowsEarlyData
        self.loop = loop
    }

    /// Connects. Calls one of the two once: `completion` with a connection to be activated or an error, or `cancelled` if
    /// `cancel` came first.
    func start(cancelled: @escaping () -> Void = {}, _ completion: @escaping (Result<Connection, H2Error>) -> Void) {
        guard case .created = state else { return cancelled() }
        (self.completion, self.cancelled) = (completion, cancelled)
        if let network {
            let cancel = network.connect(to: origin, offering: offer) { self.dialled($0) }
            return state = .dialing(cancel: cancel)
        }
        guard origin.scheme == .https else { return dial(nil) }
        let limit = configuration.timeouts.tls
        state = .loading(
            limit: loop.schedule(after: limit.clampedNanoseconds) {
                self.finish(.failure(TLSContextSource.timeout(limit)))
            })
        tls.context(on: loop) { [self] result in
            guard case .loading(let timer) = state else { return }
            loop.cancel(timer)
            switch result {
            case .success(let context): dial(context)
            case .failure(let error): finish(.failure(error))
            }
        }
    }

    private func dial(_ context: TLSContext?) {
        if let route {
            let dialer = ProxyDialer(
                to: origin, offering: offer, through: route, configuration: configuration, tls: context,
                allowsEarlyData: allowsEarlyData, loop: loop, completion: { self.dialled($0, $1) })
            state = .dialing(cancel: dialer.cancel)
            return dialer.start()
        }
        let dialer = Dialer(
            origin: origin, id: ConnectionID.next(), configuration: configuration, tls: context,
            protocols: offer.protocols, allowsEarlyData: allowsEarlyData, loop: loop,
            completion: { self.dialled($0) })
        state = .dialing(cancel: dialer.cancel)
        dialer.start()
    }

    private func dialled(_ result: Result<Dialer.Connected, H2Error>, _ absoluteForm: AbsoluteForm? = nil) {
        do throws(H2Error) {
            let connected = try result.get()
            do throws(H2Error) {
                let version = try offer.version(connected.applicationProtocol, of: connected.info.origin)
                finish(
                    .success(
                        Connection(
                            version, over: connected.wire, info: connected.info, configuration: configuration,
                            absoluteForm: absoluteForm, early: connected.early.map { EarlyHandshake($0) }, loop: loop)))
            } catch {
                connected.wire.close()
                throw error
            }
        } catch {
            finish(.failure(error))
        }
    }

    private func finish(_ result: Result<Connection, H2Error>) {
        let completion = completion
        end()
        completion?(result)
    }

    private func end() {
        state = .over
        (completion, cancelled) = (nil, nil)
    }

    /// Cancels and leaves nothing open. Does nothing after completion.
    package func cancel() {
        switch state {
        case .over: return
        case .created: break
        case .loading(let timer): loop.cancel(timer)
        case .dialing(let cancel): cancel()
        }
        let cancelled = cancelled
        end()
        cancelled?()
    }

    /// Returns an active connection. Cancelling leaves nothing open.
    /// - Throws: `H2Error`, as documented at `HTTP2Connection.connect`; `CancellationError`.
    static nonisolated(nonsending) func connect(
        _ version: HTTPProtocolVersion, to origin: Origin, configuration: ConnectionConfiguration, on loop: H2EventLoop
    ) async throws -> Connection {
        try Task.checkCancellation()
        try configuration.validate()
        let offer = ProtocolOffer(version, isSecure: origin.scheme == .https)
        let route = try await ProxyRoute.find(to: origin, configuration, on: loop)
        // A standalone connection has no client to cache the certificates.
        let connector = Connector(
            to: origin, offering: offer, configuration: configuration, tls: TLSContextSource(configuration.tls),
            through: route, on: loop)
        let result: Result<Connection, any Error> = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                loop.execute {
                    connector.start(cancelled: { continuation.resume(returning: .failure(CancellationError())) }) {
                        if case .success(let connection) = $0 { connection.activate() }
                        Handover.give(connector)
                        continuation.resume(returning: $0.mapError { $0 })
                    }
                }
            }
        } onCancel: {
            loop.execute { connector.cancel() }
        }
        Handover.take(connector)
        return try result.get()
    }
}
