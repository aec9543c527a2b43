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
        /// The result of ALPN, for the caller to interpret.
        let applicationProtocol: ProtocolChoice
    }

    /// The other end of the socket.
    struct Peer {
        let address: SocketAddress
        /// Numeric addresses with ports.
        let remote: String
        let local: String
    }

    private let origin: Origin
    private let configuration: ConnectionConfiguration
    private let tls: TLSContext?
    private let protocols: [String]
    private let loop: H2EventLoop
    private let resolver: any NameResolver
    private let id: ConnectionID
    private var completion: ((Result<Connected, H2Error>) -> Void)?

    private var query: (any NameQuery)?
    private var untried: [SocketAddress] = []
    private var attempts: [Attempt] = []
    private var failures: [(address: SocketAddress, error: CInt)] = []
    /// Why the configured `local` end cannot be used.
    private var sourceFailure: CInt?
    /// Where in the configured range of ports the first one is, and how many were taken. Not the same one for each connection:
    /// the ports of those before it are likely to be in use.
    private let firstPort = Int.random(in: 0..<65_536)
    private var portsTried = 0
    private var phaseTimer: LoopTimer?
    private var headStartTimer: LoopTimer?
    /// Nanoseconds before retrying a Unix socket whose queue is full.
    private static let queuePause: UInt64 = 5_000_000
    private var handshaker: Handshaker?
    /// The wire that the configuration's verifier examines.
    private var examinedWire: TLSWire?

    /// The start of the dial: `establish` limits all phases together.
    private let beginning: UInt64
    private var phaseStart: UInt64
    private var resolveTime: UInt64 = 0
    private var connectTime: UInt64 = 0

    /// - Parameters:
    ///   - tls: nil means cleartext. Can be shared by any number of dials, on any loops.
    ///   - protocols: ALPN protocols to offer, the preferred first: `h2`, `http/1.1`.
    ///   - since: when the attempt began of which this dial is a part; nil means now.
    init(
        origin: Origin, id: ConnectionID, configuration: ConnectionConfiguration, tls: TLSContext?,
        protocols: [String] = ["h2"],
        loop: H2EventLoop, resolver: (any NameResolver)? = nil, since: UInt64? = nil,
        completion: @escaping (Result<Connected, H2Error>) -> Void
    ) {
        self.origin = origin
        self.id = id
        self.configuration = configuration
        self.tls = tls
        self.protocols = protocols
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

    /// The addresses that the configuration allows.
    /// - Throws: `H2Error`: `connectFailed` if there are none of the family, `addressRefused` if the filter allows none.
    private func usable(_ addresses: [SocketAddress]) throws(H2Error) -> [SocketAddress] {
        guard configuration.unixSocketPath == nil else { return addresses }
        let host = configuration.connectTo?.host ?? origin.host
        func listed(_ addresses: [SocketAddress]) -> String { addresses.map(\.description).joined(separator: ", ") }
        let family: CInt? =
            switch configuration.local.family {
            case .any: nil
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            }
        let ofFamily = addresses.filter { family == nil || $0.family == family }
        guard !ofFamily.isEmpty || addresses.isEmpty else {
            throw H2Error(
                .connectFailed, scope: .connection, initiator: .user,
                message:
                    "cannot connect to \(origin): '\(host)' has no \(family == AF_INET ? "IPv4" : "IPv6") address, only \(listed(addresses))",
                remedy: "allow the other family (ConnectionConfiguration.Local.family)", isRetryable: true)
        }
        guard let filter = configuration.addressFilter else { return ofFamily }
        let allowed = ofFamily.filter { $0.hostAddress.map { filter.allows($0) } ?? false }
        guard !allowed.isEmpty || ofFamily.isEmpty else {
            throw H2Error(
                .addressRefused, scope: .connection, initiator: .user,
                message: "cannot connect to \(origin): no address of '\(host)' is allowed (\(listed(ofFamily)))",
                remedy: "the address filter of the configuration decides", isRetryable: true)
        }
        return allowed
    }

    /// RFC 8305 section 4: alternates address families, starting with that of the resolver's first result.
    static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let first = addresses.first?.family else { return [] }
        var same = addresses.filter { $0.family == first }[...]
        var other = addresses.filter { $0.family != first }[...]
        var result: [SocketAddress] = []
        while !(same.isEmpty && other.isEmpty) {
            if let next = same.popFirst() { result.append(next) }
            if let next = other.popFirst() { result.append(next) }
        }
        return result
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
            // The port is free for other servers only.
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

    /// Applies the configuration's `local` to a new socket. Returns 0, or errno.
    private func prepare(_ descriptor: CInt, _ family: CInt) -> CInt {
        let local = configuration.local
        guard family != AF_UNIX else { return 0 }
        // If the system rejects a mark, the connection is good enough without it.
        if let trafficClass = local.trafficClass {
            _ = ch2_set_traffic_class(descriptor, family, CInt(trafficClass))
        }
        if let interface = local.interface, case let error = ch2_bind_interface(descriptor, family, interface),
            error != 0
        {
            return error
        }
        guard local.address != nil || local.ports != nil else { return 0 }
        let anyAddress = family == AF_INET ? "0.0.0.0" : "::"
        while true {
            let result = Resolver.literals([local.address ?? anyAddress], of: origin.host, port: nextPort())
            guard case .success(let addresses) = result, let address = addresses.first else { return EADDRNOTAVAIL }
            guard address.family == family else { return EAFNOSUPPORT }
            let status = address.withSockaddr { ch2_bind_source(descriptor, $0, $1, local.ports != nil) }
            guard status == EADDRINUSE || status == EACCES, mayTryNextPort() else { return status }
        }
    }

    /// The port to leave from; 0 for the system's choice.
    private func nextPort() -> Int {
        guard let ports = configuration.local.ports else { return 0 }
        return ports.lowerBound + (firstPort + portsTried) % ports.count
    }

    private func mayTryNextPort() -> Bool {
        guard let ports = configuration.local.ports, portsTried + 1 < ports.count else { return false }
        portsTried += 1
        return true
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

    /// Starts with the TLS handshake instead: over a tunnel through `peer`, of which it takes ownership. It needs a context.
    func start(over tunnel: any CarrierWire, to peer: Peer) {
        loop.preconditionInLoop()
        guard let tls else { preconditionFailure("without TLS the tunnel is the connection") }
        secure(peer) { name, isAddress in
            // A socket of its own: OpenSSL may as well read it itself.
            if let tunnel = tunnel as? TCPWire {
                return try TLSWire(
                    descriptor: tunnel.releaseDescriptor(), context: tls, serverName: name, isAddress: isAddress,
                    protocols: protocols, port: origin.port)
            }
            return try TLSWire(
                over: tunnel, context: tls, serverName: name, isAddress: isAddress, protocols: protocols,
                port: origin.port)
        }
    }

    private func secure(_ peer: Peer, _ makeWire: (_ name: String, _ isAddress: Bool) throws -> TLSWire) {
        let name = Self.certificateName(configuration.tls.serverName ?? origin.host)
        do {
            let wire = try makeWire(name, Resolver.isAddress(name))
            startTimer(.tls, configuration.timeouts.tls)
            let handshaker = Handshaker(wire: wire, loop: loop) { [weak self] in self?.shookHands(wire, peer) }
            self.handshaker = handshaker
            handshaker.start()
        } catch {
            finish(.failure(error as? H2Error ?? H2Error(.tlsFailed, message: "\(error)")))
        }
    }

    /// A host as used in certificates and SNI (RFC 6066 section 3): without the final dot of an absolute name and the zone of a
    /// link-local address.
    static func certificateName(_ host: String) -> String {
        if Resolver.isAddress(host) { return String(host.prefix { $0 != "%" }) }
        return host.count > 1 && host.last == "." ? String(host.dropLast()) : host
    }

    private func connectError() -> H2Error {
        if let code = sourceFailure, failures.allSatisfy({ $0.error == code }) { return sourceError(code) }
        let tried = failures.map { "\($0.address): \(describeErrno($0.error))" }.joined(separator: ", ")
        let refused = failures.contains { $0.error == ECONNREFUSED }
        // If this machine has no free sockets, that says nothing about the server.
        let exhausted = failures.lazy.map { exhaustionRemedy($0.error) }.first { !$0.isEmpty }
        let isLocal = exhausted != nil && failures.allSatisfy { !exhaustionRemedy($0.error).isEmpty }
        return H2Error(
            isLocal ? .localIO : .connectFailed, scope: .connection, initiator: isLocal ? .local : .remote,
            cause: failures.last.map { .errno($0.error) } ?? .unknown,
            message: "cannot connect to \(origin): \(tried.isEmpty ? "no address" : tried)",
            remedy: exhausted ?? socketRemedy
                ?? (refused ? "is the server running, and is the port right?" : "is the host reachable from here?"),
            isRetryable: true)
    }

    private func sourceError(_ code: CInt) -> H2Error {
        let local = configuration.local
        let source = [
            local.address, local.interface, local.ports.map { "port \($0.lowerBound) to \($0.upperBound)" },
        ]
        .compactMap { $0 }.joined(separator: ", ")
        let (why, remedy) =
            switch code {
            case ENODEV: ("there is no such interface", "name one that this machine has ('ip link' lists them)")
            case EPERM:
                ("this user may not choose the interface", "Linux 5.7 or newer allows it; else CAP_NET_RAW is needed")
            case EADDRINUSE: ("all of these ports are taken", "allow more ports")
            case EACCES: ("this user may not use these ports", "use ports of 1024 or more")
            case EADDRNOTAVAIL where local.ports != nil && local.address == nil:
                ("all of these ports are taken", "allow more ports")
            case EADDRNOTAVAIL:
                ("this machine does not have it", "name one of this machine's addresses ('ip address' lists them)")
            case EAFNOSUPPORT:
                ("the server has no address of its family", "name an IPv4 address for IPv4, an IPv6 address for IPv6")
            default: (describeErrno(code), "name another address")
            }
        return H2Error(
            .connectFailed, scope: .connection, initiator: .user, cause: .errno(code),
            message: "cannot connect to \(origin) from \(source): \(why)", remedy: remedy)
    }

    /// The remedy for a Unix domain socket, where host-related advice would be wrong.
    private var socketRemedy: String? {
        guard configuration.unixSocketPath != nil else { return nil }
        return switch failures.last?.error {
        case ENOENT, ENOTDIR: "is the path right, and is the server running?"
        case ECONNREFUSED: "the socket is there, but no server listens on it: is it running?"
        case EACCES, EPERM: "may this user write to the socket?"
        case ENOTSOCK, EPROTOTYPE: "is the path that of a stream socket?"
        default: "is the server running?"
        }
    }

    // MARK: - Handshake

    private func shookHands(_ wire: TLSWire, _ peer: Peer) {
        handshaker = nil
        if let error = wire.failure {
            wire.close()
            return error.scope == .client ? fail(error) : finish(.failure(error))
        }
        guard let examination = wire.examination else { return shookHandsWell(wire, peer) }
        // The time limit of the handshake goes on.
        examinedWire = wire
        let box = LoopBound(self)
        let bound = LoopBound((wire, peer))
        let status = loop.runBlocking { [loop] in
            let fault = examination()
            loop.execute { box.value.examined(bound.value.0, bound.value.1, fault) }
        }
        if status != 0 { finish(.failure(LoopThread.exhausted("start a thread for the verifier", status))) }
    }

    private func examined(_ wire: TLSWire, _ peer: Peer, _ fault: H2Error.CertificateFault?) {
        guard completion != nil, examinedWire === wire else { return }
        examinedWire = nil
        wire.examined(fault)
        if let error = wire.failure {
            wire.close()
            return finish(.failure(error))
        }
        shookHandsWell(wire, peer)
    }

    private func shookHandsWell(_ wire: TLSWire, _ peer: Peer) {
        let time = endPhase()
        finish(.success(connection(wire, peer, tls: (wire, time))))
    }

    private func connection(
        _ wire: any Wire, _ peer: Peer, tls: (wire: TLSWire, time: UInt64)?
    ) -> Connected {
        let certificate = tls?.wire.peerCertificate
        let info = ConnectionInfo(
            id: id, origin: origin, remoteAddress: peer.remote, localAddress: peer.local, tlsVersion: tls?.wire.version,
            cipher: tls?.wire.cipher, certificateSubject: certificate?.subject,
            certificateIssuer: certificate?.issuer, certificateExpiry: certificate?.expiry,
            isPeerVerified: tls?.wire.isPeerVerified ?? false, isTLSResumed: tls?.wire.isResumed ?? false,
            resolve: Duration(nanoseconds: resolveTime),
            connect: Duration(nanoseconds: connectTime), tls: tls.map { Duration(nanoseconds: $0.time) })
        return Connected(
            wire: wire, info: info, remoteAddress: peer.address,
            applicationProtocol: tls?.wire.protocolChoice ?? .cleartext)
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
    private func fail(_ failure: H2Error) {
        var error = failure
        error.message = "cannot connect to \(origin): \(failure.message)"
        finish(.failure(error))
    }

    private func finish(_ result: Result<Connected, H2Error>) {
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

    private func startTimer(_ phase: H2Error.Phase, _ limit: Duration) {
        phaseStart = loop.preciseNow
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
        phaseTimer = loop.schedule(after: time) { [weak self] in
            self?.finish(
                .failure(
                    H2Error(
                        .timeout, scope: .connection, cause: .timeout(phase, after: limit),
                        message: "\(what) took longer than \(limit)",
                        remedy: "is the host reachable? a longer limit can be set",
                        isRetryable: true)))
        }
    }

    private func endPhase() -> UInt64 {
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

/// Drives a TLS handshake by readiness and calls `completion` at its end, whether it succeeded (`wire.failure` is nil) or not.
package final class Handshaker: ReadinessHandler {
    private let wire: TLSWire
    private let loop: H2EventLoop
    private var completion: (() -> Void)?

    package init(wire: TLSWire, loop: H2EventLoop, completion: @escaping () -> Void) {
        self.wire = wire
        self.loop = loop
        self.completion = completion
    }

    package func start() {
        wire.attach(to: loop, handler: self)
        step()
    }

    package func ready(readable: Bool, writable: Bool) { step() }

    package func unwatched(_ error: H2Error) {
        guard let completion else { return }
        self.completion = nil
        wire.failure = error
        wire.detach()
        completion()
    }

    private func step() {
        guard let completion else { return }
        switch wire.handshake() {
        case .wantsRead: wire.watch(readable: true, writable: false)
        case .wantsWrite: wire.watch(readable: false, writable: true)
        case .done, .failed:
            self.completion = nil
            wire.detach()
            completion()
        }
    }

    /// Closes the wire without calling `completion`.
    package func abandon() {
        guard completion != nil else { return }
        completion = nil
        wire.close()
    }
}

/// Carries a loop-bound value through a `@Sendable` closure that runs on that loop.
///
/// Invariant behind `@unchecked Sendable`: it is passed only to `execute` or `resolve` of the loop that owns the value.
package struct LoopBound<Value>: @unchecked Sendable {
    package let value: Value
    package init(_ value: Value) { self.value = value }
}
