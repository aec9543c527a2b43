/// An attempt to reach an origin through a proxy: the proxy, a tunnel, and TLS with the origin.
///
/// Belongs to its loop's thread. It ends with exactly one call of `completion`, or none after `cancel`.
final class ProxyDialer {
    /// The second part is set if the proxy forwards requests instead of opening a tunnel.
    typealias Completion = (Result<Dialer.Connected, H2Error>, AbsoluteForm?) -> Void

    private let origin: Origin
    private let offer: ProtocolOffer
    private let route: ProxyRoute
    private let proxy: HTTPClient.Proxy
    private let configuration: ConnectionConfiguration
    private let tls: TLSContext?
    private let allowsEarlyData: Bool
    private let loop: H2EventLoop
    private var completion: Completion?

    private let target: TunnelTarget
    /// Whether the proxy forwards requests, which then name the whole URL.
    private let forwards: Bool
    private let credentials: ProxyCredentials?
    private var authorization: String?
    private var hasAnsweredChallenge = false
    /// Whether other dials wait for the connection that this one establishes.
    private var establishesForOthers = false
    /// Whether the proxy has already ended one connection before it processed the request for a tunnel.
    private var wasUnprocessed = false
    /// The addresses of the target, if they are looked up locally.
    private var addresses: [AddressFilter.Address] = []

    /// Cancels the current step.
    private var cancelStep: (() -> Void)?
    private var timer: LoopTimer?
    /// When the dial started, for the limit on all steps together, and when the tunnel was requested.
    private let beginning: UInt64
    private var askedAt: UInt64 = 0

    /// - Parameters:
    ///   - tls: for the origin; nil means cleartext.
    ///   - allowsEarlyData: as for `Dialer`, to the origin.
    ///   - beginning: when the dial that this one is part of started; nil if that is now.
    init(
        to origin: Origin, offering offer: ProtocolOffer, through route: ProxyRoute,
        configuration: ConnectionConfiguration, tls: TLSContext?, allowsEarlyData: Bool = false, loop: H2EventLoop,
        since beginning: UInt64? = nil, completion: @escaping Completion
    ) {
        self.origin = origin
        self.offer = offer
        self.route = route
        proxy = route.proxy
        self.configuration = configuration
        self.tls = tls
        self.allowsEarlyData = allowsEarlyData
        self.loop = loop
        self.completion = completion
        target = TunnelTarget(
            host: configuration.connectTo?.host ?? origin.host, port: configuration.connectTo?.port ?? origin.port)
        forwards =
            route.servesAll
            || route.proxies.forwards(proxy) && offer == .cleartextHTTP1 && configuration.connectTo == nil
        credentials = proxy.scheme.isHTTP ? route.proxies.credentials(for: proxy) : nil
        self.beginning = beginning ?? loop.preciseNow
    }

    func start() {
        loop.preconditionInLoop()
        if let failure = loop.failure { return finish(.failure(failure)) }
        authorization =
            forwards ? nil : credentials?.authorization(method: "CONNECT", target: target.authority)
        // The origin is then the proxy itself, not a target.
        if route.servesAll { return reach() }
        guard Resolver.isAddress(target.host) else {
            return proxy.scheme.looksNamesUpHere ? resolveTarget() : reach()
        }
        // The configuration's filter is about servers. It can judge addresses; if the proxy looks up a name, only the
        // proxy can judge its address.
        if let filter = configuration.addressFilter, let address = AddressFilter.Address(target.host),
            !filter.allows(address)
        {
            return finish(.failure(addressRefused([address])))
        }
        reach()
    }

    // MARK: - The target's addresses

    private func resolveTarget() {
        let resolver = configuration.resolver?.names ?? Resolver.shared
        let box = LoopBound(self)
        let what = "looking up '\(target.host)'"
        if let whole = configuration.timeouts.establish { startTimer(.resolve, whole, what) }
        let query = resolver.resolve(
            host: target.host, port: target.port, on: loop,
            began: { box.value.lookUpBegan(what) },
            completion: { box.value.resolvedTarget($0) })
        cancelStep = { query?.cancel() }
    }

    private func lookUpBegan(_ what: String) {
        guard completion != nil, cancelStep != nil else { return }
        startTimer(.resolve, configuration.timeouts.resolve, what)
    }

    private func resolvedTarget(_ result: Result<[SocketAddress], H2Error>) {
        guard completion != nil else { return }
        endStep()
        switch result {
        case .failure(let error): finish(.failure(error))
        case .success(let found):
            var all = Dialer.interleaved(found).compactMap(\.hostAddress)
            if proxy.scheme == .socks4 { all.removeAll { NumericAddress($0.description)?.bytes.count != 4 } }
            addresses = all.filter { configuration.addressFilter?.allows($0) ?? true }
            guard addresses.isEmpty else { return reach() }
            finish(.failure(all.isEmpty ? noAddress(of: found) : addressRefused(all)))
        }
    }

    private func noAddress(of found: [SocketAddress]) -> H2Error {
        found.isEmpty
            ? H2Error(.resolveFailed, scope: .connection, message: "'\(target.host)' has no address")
            : H2Error(
                .resolveFailed, scope: .connection,
                message: "no IPv4 address was found for '\(target.host)', and SOCKS 4 supports no other",
                remedy: "use socks5://, if the proxy speaks it")
    }

    private func addressRefused(_ addresses: [AddressFilter.Address]) -> H2Error {
        H2Error(
            .addressRefused, scope: .connection, initiator: .user,
            message: "cannot connect to \(origin): no address of '\(target.host)' is allowed "
                + "(\(addresses.map(\.description).joined(separator: ", ")))",
            remedy: "the address filter of the configuration decides", isRetryable: true)
    }

    // MARK: - The proxy

    /// Gets a connection to the proxy.
    private func reach() {
        guard proxy.scheme == .https else { return dial(nil) }
        if !forwards, shareConnection() { return }
        let limit = configuration.timeouts.tls
        startTimer(.tls, limit, "reading the files of certificates for the proxy \(proxy)")
        let box = LoopBound(self)
        route.proxies.tls.context(on: loop) { result in box.value.loaded(result) }
    }

    private func loaded(_ result: Result<TLSContext, H2Error>) {
        guard completion != nil else { return }
        endStep()
        switch result {
        case .success(let context): dial(context)
        case .failure(let error): unreachable(error)
        }
    }

    private func dial(_ context: TLSContext?) {
        // Settings for the origin do not apply to the proxy.
        var configuration = configuration
        (configuration.connectTo, configuration.tls) = (nil, route.proxies.tlsConfiguration)
        configuration.addressFilter = nil
        do throws(H2Error) {
            let peer = try Origin(scheme: context == nil ? .http : .https, host: proxy.host, port: proxy.port)
            let offer = context == nil ? .cleartextHTTP1 : offerToProxy
            guard let first = route.proxies.preproxy, !route.isToPreproxy else {
                let dialer = Dialer(
                    origin: peer, id: ConnectionID.next(), configuration: configuration, tls: context,
                    protocols: offer.protocols, loop: loop, since: beginning, completion: { self.reached($0) })
                cancelStep = dialer.cancel
                return dialer.start()
            }
            let dialer = ProxyDialer(
                to: peer, offering: offer, through: route.to(preproxy: first), configuration: configuration,
                tls: context, loop: loop, since: beginning,
                completion: { result, _ in self.reached(result.map(Self.connected)) })
            cancelStep = dialer.cancel
            dialer.start()
        } catch {
            unreachable(error)
        }
    }

    /// A connection to the proxy through a preproxy, whose answer is part of connecting.
    private static func connected(through tunnel: Dialer.Connected) -> Dialer.Connected {
        var info = tunnel.info
        info.connect += info.tunnel ?? .zero
        info.tunnel = nil
        return Dialer.Connected(
            wire: tunnel.wire, info: info, remoteAddress: tunnel.remoteAddress,
            applicationProtocol: tunnel.applicationProtocol)
    }

    /// The protocols offered to an `https` proxy. If it forwards, the version may have been decided before, as for a
    /// cleartext origin.
    private var offerToProxy: ProtocolOffer { !forwards ? .either : offer == .cleartextHTTP1 ? .http1 : offer }

    private func reached(_ result: Result<Dialer.Connected, H2Error>) {
        guard completion != nil else { return }
        endStep()
        switch result {
        case .failure(let error): unreachable(error)
        case .success(let connected):
            guard let wire = connected.wire as? any CarrierWire else { preconditionFailure("TCP and TLS carry others") }
            let forOthers = establishesForOthers
            establishesForOthers = false
            if forwards { return forward(connected) }
            if connected.applicationProtocol == .chosen("h2") { return shareConnection(connected) }
            if forOthers { connections.speaksHTTP1(proxy) }
            ask(over: wire, connected)
        }
    }

    private func unreachable(_ error: H2Error) {
        var error = error
        error.message = "cannot reach the proxy \(proxy): \(error.message)"
        // If there is another proxy before it, the advice is about that one.
        let isDirect = route.isToPreproxy || route.proxies.preproxy == nil
        if error.code == .connectFailed, isDirect {
            error.remedy = "is the proxy \(proxy) running, and is its port right?"
        }
        finish(.failure(error))
    }

    private func forward(_ connected: Dialer.Connected) {
        // TLS facts would be those of the proxy, and the request is in cleartext beyond it.
        let info = info(of: connected, tunnel: nil)
        finish(
            .success(
                Dialer.Connected(
                    wire: connected.wire, info: info, remoteAddress: connected.remoteAddress,
                    applicationProtocol: connected.applicationProtocol)),
            AbsoluteForm(
                authorization: credentials?.authorization(method: "GET", target: origin.description),
                fields: route.proxies.fields))
    }

    // MARK: - A tunnel

    private func ask(over wire: any CarrierWire, _ connected: Dialer.Connected) {
        askedAt = loop.preciseNow
        do throws(H2Error) {
            let dialogue = try dialogue()
            startTimer(.connect, configuration.timeouts.connect, opening)
            let opening = TunnelOpening(dialogue, over: wire, with: proxy, loop: loop) { error in
                self.answered(error, dialogue, wire, connected)
            }
            cancelStep = opening.abandon
            opening.start()
        } catch {
            wire.close()
            finish(.failure(error))
        }
    }

    private var opening: String { "opening a tunnel to \(target.authority) through the proxy \(proxy)" }

    private func dialogue() throws(H2Error) -> any TunnelDialogue {
        switch proxy.scheme {
        case .http, .https:
            return try HTTPConnectDialogue(
                to: target, through: proxy, authorization: authorization, fields: route.proxies.fields,
                configuration: configuration,
                now: loop.preciseNow)
        case .socks4, .socks4a: return try SOCKS4Dialogue(to: target, at: firstAddress, through: proxy)
        case .socks5, .socks5h: return try SOCKS5Dialogue(to: target, at: firstAddress, through: proxy)
        }
    }

    /// The address of the target that is tried; nil if the proxy looks up its name.
    private var firstAddress: NumericAddress? { addresses.first.flatMap { NumericAddress($0.description) } }

    /// Whether the proxy might reach another address of the target.
    private func mayReachAnother(_ dialogue: any TunnelDialogue) -> Bool {
        switch dialogue {
        // General failure, unreachable, refused, unknown address type.
        case let socks as SOCKS5Dialogue: socks.refusal.map { [1, 3, 4, 5, 8].contains($0) } ?? false
        case let socks as SOCKS4Dialogue: socks.isRejected
        default: false
        }
    }

    private func answered(
        _ error: H2Error?, _ dialogue: any TunnelDialogue, _ wire: any CarrierWire, _ connected: Dialer.Connected
    ) {
        guard completion != nil else { return }
        endStep()
        guard let error else { return opened(wire, connected) }
        wire.close()
        if let challenges = (dialogue as? HTTPConnectDialogue)?.challenges, answer(challenges) { return reach() }
        if addresses.count > 1, mayReachAnother(dialogue) {
            addresses.removeFirst()
            return reach()
        }
        finish(.failure(error))
    }

    /// Answers the challenges of a 407, once. Returns false if that is impossible.
    private func answer(_ challenges: [String]) -> Bool {
        guard !hasAnsweredChallenge, let credentials else { return false }
        hasAnsweredChallenge = true
        guard
            let answer = credentials.authorization(
                answering: challenges, method: "CONNECT", target: target.authority)
        else { return false }
        authorization = answer
        return true
    }

    private func opened(_ wire: any CarrierWire, _ connected: Dialer.Connected) {
        let whole = Duration(nanoseconds: loop.preciseNow &- askedAt) + (connected.info.tls ?? .zero)
        guard let tls else {
            return finish(
                .success(
                    Dialer.Connected(
                        wire: wire, info: info(of: connected, tunnel: whole), remoteAddress: connected.remoteAddress,
                        applicationProtocol: .cleartext)))
        }
        let dialer = Dialer(
            origin: origin, id: ConnectionID.next(), configuration: configuration, tls: tls,
            protocols: offer.protocols, allowsEarlyData: allowsEarlyData, loop: loop, since: beginning
        ) { result in
            self.secured(result, connected, tunnel: whole)
        }
        cancelStep = dialer.cancel
        dialer.start(
            over: wire,
            to: Dialer.Peer(
                address: connected.remoteAddress, remote: connected.info.remoteAddress,
                local: connected.info.localAddress))
    }

    private func secured(
        _ result: Result<Dialer.Connected, H2Error>, _ connected: Dialer.Connected, tunnel: Duration
    ) {
        guard completion != nil else { return }
        endStep()
        finish(
            result.map { secured in
                var info = secured.info
                (info.resolve, info.connect) = (connected.info.resolve, connected.info.connect)
                (info.tunnel, info.proxy) = (tunnel, proxy.description)
                return Dialer.Connected(
                    wire: secured.wire, info: info, remoteAddress: secured.remoteAddress,
                    applicationProtocol: secured.applicationProtocol, early: secured.early)
            })
    }

    /// The information about a connection without TLS.
    private func info(of connected: Dialer.Connected, tunnel: Duration?) -> ConnectionInfo {
        ConnectionInfo(
            id: connected.info.id, origin: origin, remoteAddress: connected.info.remoteAddress,
            localAddress: connected.info.localAddress, proxy: proxy.description, resolve: connected.info.resolve,
            connect: connected.info.connect, tunnel: tunnel)
    }

    // MARK: - A tunnel over HTTP/2

    private var connections: ProxyConnections { route.proxies.connections(on: loop) }

    /// Takes a tunnel on an existing connection, or waits for the one that is being established. Returns false if this
    /// dial must establish one.
    private func shareConnection() -> Bool {
        switch connections.find(proxy) {
        case .use(let shared):
            open(on: shared, isNew: false)
            return true
        case .dial(let forOthers):
            establishesForOthers = forOthers
            return false
        case .wait:
            if let whole = configuration.timeouts.establish { startTimer(.connect, whole, opening) }
            let number = connections.wait(for: proxy) { [self] error in
                guard completion != nil else { return }
                endStep()
                if let error { return finish(.failure(error)) }
                reach()
            }
            cancelStep = { [connections, proxy] in connections.giveUp(number, of: proxy) }
            return true
        }
    }

    /// Turns the connection into one for many tunnels.
    private func shareConnection(_ connected: Dialer.Connected) {
        var configuration = configuration
        configuration.onFrame = nil
        let connection = Connection(
            .http2, over: connected.wire, info: connected.info, configuration: configuration, loop: loop)
        let shared = connections.add(
            connection, at: connected.remoteAddress, to: proxy, observe: route.observe)
        open(on: shared, isNew: true)
    }

    private func open(on shared: ProxyConnection, isNew: Bool) {
        askedAt = loop.preciseNow
        startTimer(.connect, configuration.timeouts.connect, opening)
        let stream = TunnelStream(on: shared) { stream, error in
            self.answered(stream, error, isNew: isNew)
        }
        cancelStep = stream.giveUp
        stream.open(
            HTTPConnectDialogue.request(to: target, authorization: authorization, fields: route.proxies.fields))
    }

    private func answered(_ stream: TunnelStream, _ error: H2Error?, isNew: Bool) {
        guard completion != nil else { return }
        endStep()
        if let error {
            // GOAWAY, or the connection was just closed: try another one.
            if error.isRetryable, !isNew, !wasUnprocessed {
                wasUnprocessed = true
                return reach()
            }
            return finish(
                .failure(
                    H2Error(
                        .proxyFailed, scope: .connection, initiator: .remote, cause: error.cause,
                        message: "the proxy \(proxy) opened no tunnel to \(target.authority): \(error.message)",
                        remedy: "the proxy's log may say why", isRetryable: error.isRetryable)))
        }
        guard (200..<300).contains(stream.status) else {
            stream.giveUp()
            if stream.status == 407, answer(HTTPConnectDialogue.challenges(stream.head.fields)) { return reach() }
            return finish(.failure(HTTPConnectDialogue.refusal(stream.status, "", by: proxy, of: target)))
        }
        let shared = stream.shared
        stream.opened(to: origin)
        var info = shared.connection.info
        // Only the first tunnel had to wait for the connection.
        if !isNew { (info.resolve, info.connect, info.tls) = (.zero, .zero, nil) }
        info.id = ConnectionID.next()
        opened(
            TunnelWire(stream, through: proxy),
            Dialer.Connected(
                wire: shared.connection.wire, info: info, remoteAddress: shared.remoteAddress,
                applicationProtocol: .cleartext))
    }

    // MARK: - Steps

    private func startTimer(_ phase: H2Error.Phase, _ limit: Duration, _ what: String) {
        if let timer { loop.cancel(timer) }
        var (limit, time, what) = (limit, limit.clampedNanoseconds, what)
        if let whole = configuration.timeouts.establish {
            let passed = loop.preciseNow &- beginning
            let left = whole.clampedNanoseconds > passed ? whole.clampedNanoseconds - passed : 0
            if left < time {
                (limit, time) = (whole, left)
                what += ", with all that went before,"
            }
        }
        timer = loop.schedule(after: time) { [weak self] in
            self?.expired(
                H2Error(
                    .timeout, scope: .connection, cause: .timeout(phase, after: limit),
                    message: "\(what) took longer than \(limit)",
                    remedy: "does the proxy reach the host? a longer limit can be set", isRetryable: true))
        }
    }

    private func expired(_ error: H2Error) {
        timer = nil
        let cancelStep = cancelStep
        self.cancelStep = nil
        cancelStep?()
        finish(.failure(error))
    }

    private func endStep() {
        if let timer { loop.cancel(timer) }
        (timer, cancelStep) = (nil, nil)
    }

    /// Ends the dial without calling `completion`. Does nothing after it has ended.
    func cancel() {
        loop.preconditionInLoop()
        completion = nil
        let cancelStep = cancelStep
        endStep()
        cancelStep?()
        if establishesForOthers { connections.dialCancelled(proxy) }
        establishesForOthers = false
    }

    private func finish(_ result: Result<Dialer.Connected, H2Error>, _ absoluteForm: AbsoluteForm? = nil) {
        guard let completion else { return }
        self.completion = nil
        endStep()
        if establishesForOthers, case .failure(let error) = result { connections.dialFailed(proxy, error) }
        establishesForOthers = false
        completion(result, absoluteForm)
    }
}
