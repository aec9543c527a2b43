import CNghttp2
import H2Platform

/// An attempt to reach an origin: resolve, connect (Happy Eyeballs, RFC 8305), TLS handshake.
///
/// Belongs to its loop's thread. It ends with exactly one call of `completion`, or none after `cancel`.
final class Dialer {
    struct Connected {
        let wire: any Wire
        let info: ConnectionInfo
        /// The address that answered, to compare with those of other hosts.
        let remoteAddress: SocketAddress
        /// The result of ALPN, for the caller to interpret. Before the handshake, that of the session to be resumed.
        let applicationProtocol: ProtocolChoice
        /// The handshake, if the caller must perform it.
        var early: EarlyTerms?
    }

    /// A handshake that has not begun: the caller may send early data with it.
    struct EarlyTerms {
        let wire: TLSWire
        /// When the phase began.
        let beginning: UInt64
        /// Nanoseconds left for the phase, and the error if they are not enough.
        let limit: UInt64
        let timeout: H2Error
    }

    /// The other end of the socket.
    struct Peer {
        let address: SocketAddress
        /// Numeric addresses with ports.
        let remote: String
        let local: String
    }

    let origin: Origin
    let configuration: ConnectionConfiguration
    let tls: TLSContext?
    let protocols: [String]
    let allowsEarlyData: Bool
    let loop: H2EventLoop
    private let resolver: any NameResolver
    private let id: ConnectionID
    var completion: ((Result<Connected, H2Error>) -> Void)?

    private var query: (any NameQuery)?
    private var untried: [SocketAddress] = []
    private var attempts: [Attempt] = []
    var failures: [(address: SocketAddress, error: CInt)] = []
    /// Why the configured `local` settings cannot be used.
    var sourceFailure: CInt?
    /// The index of the first port to try within the configured range, and how many were in use. It differs between
    /// connections, since the ports of earlier ones are likely to be in use.
    let firstPort = Int.random(in: 0..<65_536)
    var portsTried = 0
    private var phaseTimer: LoopTimer?
    private var headStartTimer: LoopTimer?
    /// Nanoseconds before retrying a Unix socket whose queue is full.
    private static let queuePause: UInt64 = 5_000_000
    var handshaker: Handshaker?
    /// The wire that the configuration's verifier is examining.
    var examinedWire: TLSWire?

    /// The start of the dial: `establish` limits all phases together.
    private let beginning: UInt64
    var phaseStart: UInt64
    private var resolveTime: UInt64 = 0
    private var connectTime: UInt64 = 0

    /// - Parameters:
    ///   - tls: nil means cleartext. Can be shared by any number of dials, on any loops.
    ///   - protocols: ALPN protocols to offer, the preferred first: `h2`, `http/1.1`.
    ///   - allowsEarlyData: whether the caller performs the handshake itself if early data can be sent with it.
    ///   - since: when the attempt that this dial is a part of began; nil means now.
    init(
        origin: Origin, id: ConnectionID, configuration: ConnectionConfiguration, tls: TLSContext?,
        protocols: [String] = ["h2"], allowsEarlyData: Bool = false,
        loop: H2EventLoop, resolver: (any NameResolver)? = nil, since: UInt64? = nil,
        completion: @escaping (Result<Connected, H2Error>) -> Void
    ) {
        self.origin = origin
        self.id = id
        self.configuration = configuration
        self.tls = tls
        self.protocols = protocols
        self.allowsEarlyData = allowsEarlyData
        self.loop = loop
        self.resolver = resolver ?? configuration.resolver?.names ?? Resolver.shared
        self.completion = completion
        beginning = since ?? loop.preciseNow
        phaseStart = beginning
    }

    // MARK: - Resolving

    func start() {
        loop.preconditionInLoop()
        if let failure = loop.failure { return fail(failure) }
        let host = configuration.connectTo?.host ?? origin.host
        let port = configuration.connectTo?.port ?? origin.port
        phaseStart = beginning
        // A look-up may have to queue, which should not count: its own limit starts when it runs.
        if let whole = configuration.timeouts.establish { startTimer(.resolve, whole) }
        let box = LoopBound(self)
        if let path = configuration.unixSocketPath {
            let result = SocketAddress(path: path).map { Result<[SocketAddress], H2Error>.success([$0]) }
            loop.execute {
                box.value.resolved(
                    result
                        ?? .failure(
                            H2Error(
                                .connectFailed, scope: .connection, initiator: .user,
                                message: "'\(path)' cannot be the path of a Unix domain socket",
                                remedy: "use one of at most 107 bytes")))
            }
            return
        }
        query = resolver.resolve(
            host: host, port: port, on: loop, began: { box.value.lookUpBegan() },
            completion: { result in box.value.resolved(result) })
    }

    private func lookUpBegan() {
        guard query != nil, completion != nil else { return }
        if let timer = phaseTimer { loop.cancel(timer) }
        startTimer(.resolve, configuration.timeouts.resolve)
        phaseStart = beginning
    }

    private func resolved(_ result: Result<[SocketAddress], H2Error>) {
        guard completion != nil, attempts.isEmpty, handshaker == nil else { return }
        query = nil
        resolveTime = endPhase()
        switch result {
        case .failure(let error): finish(.failure(error))
        case .success(let addresses):
            do throws(H2Error) {
                untried = Self.interleaved(try usable(addresses))
            } catch {
                return finish(.failure(error))
            }
            startTimer(.connect, configuration.timeouts.connect)
            tryNext()
        }
    }

    // MARK: - Connecting

    private func tryNext() {
        if let timer = headStartTimer { loop.cancel(timer) }
        headStartTimer = nil
        while !untried.isEmpty {
            let address = untried.removeFirst()
            let descriptor = ch2_tcp_socket(address.family)
            guard descriptor >= 0 else {
                failures.append((address, errno))
                continue
            }
            if case let error = prepare(descriptor, address.family), error != 0 {
                failures.append((address, error))
                sourceFailure = error
                close(descriptor)
                continue
            }
            let status = address.withSockaddr { connect(descriptor, $0, $1) }
            // The port is free only for other servers.
            if status != 0, configuration.local.ports != nil, errno == EADDRNOTAVAIL || errno == EADDRINUSE {
                let error = errno
                close(descriptor)
                if mayTryNextPort() {
                    untried.insert(address, at: 0)
                } else {
                    failures.append((address, error))
                    sourceFailure = error
                }
                continue
            }
            let attempt = Attempt(dialer: self, address: address, descriptor: descriptor)
            if status == 0 { return connected(attempt) }
            // A Unix socket reports that its queue is full, but not when there is room again.
            if errno == EAGAIN, address.family == AF_UNIX {
                close(descriptor)
                untried.insert(address, at: 0)
                headStartTimer = loop.schedule(after: Self.queuePause) { [weak self] in self?.tryNext() }
                return
            }
            guard errno == EINPROGRESS else {
                failures.append((address, errno))
                close(descriptor)
                continue
            }
            attempts.append(attempt)
            loop.register(descriptor, writable: true, handler: attempt)
            if !untried.isEmpty {
                headStartTimer = loop.schedule(
                    after: configuration.timeouts.connectionAttemptDelay.clampedNanoseconds
                ) { [weak self] in self?.tryNext() }
            }
            return
        }
        if attempts.isEmpty { finish(.failure(connectError())) }
    }

    private func ready(_ attempt: Attempt) {
        guard let index = attempts.firstIndex(where: { $0 === attempt }) else { return }
        loop.deregister(attempt.descriptor)
        attempts.remove(at: index)
        let status = ch2_socket_error(attempt.descriptor)
        guard status == 0 else {
            close(attempt.descriptor)
            failures.append((attempt.address, status))
            return tryNext()
        }
        connected(attempt)
    }

    /// The loop cannot report when a socket is connected.
    private func unwatched(_ attempt: Attempt, _ error: H2Error) {
        guard attempts.contains(where: { $0 === attempt }) else { return }
        fail(error)
    }

    private func connected(_ attempt: Attempt) {
        connectTime = endPhase()
        abandonAttempts()
        let descriptor = attempt.descriptor
        // If the system rejects an option, it does not support it: the connection is good enough without it.
        if let keepAlive = configuration.tcpKeepAlive { _ = keepAlive.apply(to: descriptor) }
        let peer = Peer(
            address: attempt.address, remote: Self.name(descriptor, peer: true),
            local: Self.name(descriptor, peer: false))
        guard let tls else {
            let wire = TCPWire(descriptor: descriptor)
            return finish(.success(connection(wire, peer, tls: nil)))
        }
        secure(peer) { name, isAddress in
            try TLSWire(
                descriptor: descriptor, context: tls, serverName: name, isAddress: isAddress, protocols: protocols,
                port: origin.port)
        }
    }

    // MARK: - The result

    func connection(
        _ wire: any Wire, _ peer: Peer, tls: (wire: TLSWire, time: UInt64)?, early: EarlyTerms? = nil
    ) -> Connected {
        var info = ConnectionInfo(
            id: id, origin: origin, remoteAddress: peer.remote, localAddress: peer.local,
            resolve: Duration(nanoseconds: resolveTime), connect: Duration(nanoseconds: connectTime))
        if let tls { info.add(tls.wire, took: tls.time, configuration.notes) }
        return Connected(
            wire: wire, info: info, remoteAddress: peer.address,
            applicationProtocol: early?.wire.earlyProtocol ?? tls?.wire.protocolChoice ?? .cleartext, early: early)
    }

    private static func name(_ descriptor: CInt, peer: Bool) -> String {
        var text = [CChar](repeating: 0, count: Int(CH2_ADDRESS_TEXT))
        guard ch2_socket_name(descriptor, peer, &text) else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: - Closing

    /// Ends the dial without calling `completion`. Does nothing after the end.
    func cancel() {
        loop.preconditionInLoop()
        completion = nil
        cleanUp()
    }

    /// Ends the dial with a failure of the loop, adding what it was needed for.
    func fail(_ failure: H2Error) {
        var error = failure
        error.message = "cannot connect to \(origin): \(failure.message)"
        finish(.failure(error))
    }

    func finish(_ result: Result<Connected, H2Error>) {
        guard let completion else { return }
        self.completion = nil
        cleanUp()
        completion(result)
    }

    private func cleanUp() {
        _ = endPhase()
        query?.cancel()
        query = nil
        abandonAttempts()
        handshaker?.abandon()
        handshaker = nil
        examinedWire?.close()
        examinedWire = nil
        untried = []
    }

    private func abandonAttempts() {
        if let timer = headStartTimer { loop.cancel(timer) }
        headStartTimer = nil
        for attempt in attempts {
            loop.deregister(attempt.descriptor)
            close(attempt.descriptor)
        }
        attempts = []
    }

    func startTimer(_ phase: H2Error.Phase, _ limit: Duration) {
        phaseStart = loop.preciseNow
        let (time, timeout) = self.limit(phase, limit)
        phaseTimer = loop.schedule(after: time) { [weak self] in self?.finish(.failure(timeout)) }
    }

    /// The nanoseconds for a phase that begins now, and the error for when they have passed.
    func limit(_ phase: H2Error.Phase, _ limit: Duration) -> (time: UInt64, timeout: H2Error) {
        var (limit, time) = (limit, limit.clampedNanoseconds)
        var what =
            switch phase {
            case .resolve: "looking up '\(origin.host)'"
            case .connect: "connecting to \(origin)"
            default: "the TLS handshake with \(origin)"
            }
        if let whole = configuration.timeouts.establish {
            let passed = phaseStart - beginning
            let left = whole.clampedNanoseconds > passed ? whole.clampedNanoseconds - passed : 0
            if left < time {
                (limit, time) = (whole, left)
                if phase != .resolve { what += ", with all that went before," }
            }
        }
        return (
            time,
            H2Error(
                .timeout, scope: .connection, cause: .timeout(phase, after: limit),
                message: "\(what) took longer than \(limit)",
                remedy: "is the host reachable? a longer limit can be set", isRetryable: true)
        )
    }

    func endPhase() -> UInt64 {
        if let timer = phaseTimer { loop.cancel(timer) }
        phaseTimer = nil
        return loop.preciseNow &- phaseStart
    }

    /// A socket being connected to one address.
    private final class Attempt: ReadinessHandler {
        // Weak: events may still arrive when the dial is over.
        private weak var dialer: Dialer?
        let address: SocketAddress
        let descriptor: CInt

        init(dialer: Dialer, address: SocketAddress, descriptor: CInt) {
            self.dialer = dialer
            self.address = address
            self.descriptor = descriptor
        }

        func ready(readable: Bool, writable: Bool) { dialer?.ready(self) }
        func unwatched(_ error: H2Error) { dialer?.unwatched(self, error) }
    }
}
