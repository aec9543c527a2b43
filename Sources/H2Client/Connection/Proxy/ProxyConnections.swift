import H2Platform

/// The HTTP/2 connections to proxies on one loop. Each carries as many tunnels as the proxy allows.
///
/// Belongs to its loop's thread, which is the invariant behind `@unchecked Sendable`.
final class ProxyConnections: @unchecked Sendable {
    /// How a dial gets its tunnel.
    enum Finding {
        case use(ProxyConnection)
        /// Another dial is establishing a connection that can be shared.
        case wait
        /// The dial must establish a connection itself. If `forOthers` is true, others wait for it.
        case dial(forOthers: Bool)
    }

    private struct Group {
        var connections: [ProxyConnection] = []
        /// Whether a dial is establishing a connection that others wait for.
        var isDialling = false
        var waiting: [(number: Int, resume: (H2Error?) -> Void)] = []
        /// Whether the proxy has chosen HTTP/1.1, where each tunnel has its own connection.
        var speaksHTTP1 = false

        var isUnused: Bool { connections.isEmpty && !isDialling && waiting.isEmpty && !speaksHTTP1 }
    }

    let loop: H2EventLoop
    private let idleTimeout: Duration
    private let figures: ProxyFigures
    private var groups: [HTTPClient.Proxy: Group] = [:]
    private var lastNumber = 0
    /// Whether connections without tunnels are closed at once.
    private var isClosing = false

    init(on loop: H2EventLoop, idleTimeout: Duration, _ figures: ProxyFigures) {
        self.loop = loop
        self.idleTimeout = idleTimeout
        self.figures = figures
    }

    func find(_ proxy: HTTPClient.Proxy) -> Finding {
        loop.preconditionInLoop()
        var group = groups[proxy] ?? Group()
        if let free = group.connections.first(where: \.hasFreeSlot) { return .use(free) }
        if group.speaksHTTP1 { return .dial(forOthers: false) }
        if group.isDialling { return .wait }
        group.isDialling = true
        groups[proxy] = group
        return .dial(forOthers: true)
    }

    /// Calls `resume` when the connection that is being established can be used or requested again, or has failed.
    /// - Returns: a number for `giveUp`.
    func wait(for proxy: HTTPClient.Proxy, _ resume: @escaping (H2Error?) -> Void) -> Int {
        lastNumber += 1
        groups[proxy, default: Group()].waiting.append((lastNumber, resume))
        return lastNumber
    }

    func giveUp(_ number: Int, of proxy: HTTPClient.Proxy) {
        groups[proxy]?.waiting.removeAll { $0.number == number }
    }

    /// Stores an established connection.
    func add(
        _ connection: Connection, at address: SocketAddress, to proxy: HTTPClient.Proxy, observe: ProxyRoute.Observer?
    ) -> ProxyConnection {
        let shared = ProxyConnection(
            connection, at: address, idleTimeout: idleTimeout, ProxyReport(figures, proxy, observe)
        ) { [self] shared in
            groups[proxy]?.connections.removeAll { $0 === shared }
            forgetIfUnused(proxy)
        }
        let reason = groups[proxy]?.connections.isEmpty ?? true ? HTTPClient.OpenReason.first : .allInUse
        groups[proxy, default: Group()].connections.append(shared)
        groups[proxy]?.speaksHTTP1 = false
        shared.isClosing = isClosing
        shared.activate(because: reason)
        dialEnded(proxy, nil)
        return shared
    }

    /// The maximum number of proxies remembered as not speaking HTTP/2.
    private static let rememberedProxies = 1_000

    /// The proxy does not speak HTTP/2.
    func speaksHTTP1(_ proxy: HTTPClient.Proxy) {
        if groups.count < Self.rememberedProxies { groups[proxy, default: Group()].speaksHTTP1 = true }
        dialEnded(proxy, nil)
    }

    func dialFailed(_ proxy: HTTPClient.Proxy, _ error: H2Error) { dialEnded(proxy, error) }

    /// The dial was cancelled, so another one is needed.
    func dialCancelled(_ proxy: HTTPClient.Proxy) { dialEnded(proxy, nil) }

    private func dialEnded(_ proxy: HTTPClient.Proxy, _ error: H2Error?) {
        guard groups[proxy]?.isDialling == true else { return }
        groups[proxy]?.isDialling = false
        let waiting = groups[proxy]?.waiting ?? []
        groups[proxy]?.waiting = []
        forgetIfUnused(proxy)
        // Later, because the caller is in the middle of its own work.
        if waiting.isEmpty { return }
        let box = LoopBound(waiting)
        loop.execute { for (_, resume) in box.value { resume(error) } }
    }

    private func forgetIfUnused(_ proxy: HTTPClient.Proxy) {
        if groups[proxy]?.isUnused == true { groups[proxy] = nil }
    }

    /// Closes each connection as soon as it has no tunnels.
    func close() {
        isClosing = true
        for shared in groups.values.flatMap(\.connections) { shared.closeWhenUnused() }
    }
}

/// An HTTP/2 connection to a proxy, which carries tunnels.
///
/// Belongs to its loop's thread, which is the invariant behind `@unchecked Sendable`, required by `ConnectionOwner`.
final class ProxyConnection: @unchecked Sendable, ConnectionOwner {
    let connection: Connection
    let remoteAddress: SocketAddress
    /// Whether to close it as soon as it has no tunnel.
    var isClosing = false
    private let idleTimeout: Duration
    /// Called once, when the connection accepts no more tunnels.
    private var retired: ((ProxyConnection) -> Void)?
    private let report: ProxyReport
    /// Open tunnels, and those requested from the proxy.
    private var tunnels = 0
    /// Whether it has carried a tunnel.
    private var hasServed = false
    private var idleTimer: LoopTimer?

    init(
        _ connection: Connection, at address: SocketAddress, idleTimeout: Duration, _ report: ProxyReport,
        retired: @escaping (ProxyConnection) -> Void
    ) {
        self.connection = connection
        remoteAddress = address
        self.idleTimeout = idleTimeout
        self.report = report
        self.retired = retired
    }

    func activate(because reason: HTTPClient.OpenReason) {
        connection.owner = self
        report.opened(connection, reason)
        connection.activate()
    }

    /// Whether it accepts another tunnel.
    var hasFreeSlot: Bool { retired != nil && !connection.isDraining && connection.hasFreeSlot }

    /// A tunnel was requested from the proxy.
    func tunnelBegan() {
        tunnels += 1
        report.become(.active)
        if let idleTimer { connection.loop.cancel(idleTimer) }
        idleTimer = nil
    }

    /// The proxy has opened a tunnel to the origin.
    func tunnelOpened(to origin: Origin) {
        report.tunnelOpened(to: origin, connection, isReused: hasServed)
        hasServed = true
    }

    /// - Parameter wasOpen: whether the proxy had opened the tunnel.
    func tunnelEnded(wasOpen: Bool) {
        tunnels -= 1
        if wasOpen { report.tunnelClosed() }
        connection.slotFreed()
        guard tunnels == 0, retired != nil else { return }
        report.become(.idle)
        if isClosing { return closeWhenUnused() }
        idleTimer = connection.loop.schedule(after: idleTimeout.clampedNanoseconds) { [self] in
            idleTimer = nil
            closeWhenUnused()
        }
    }

    func closeWhenUnused() {
        isClosing = true
        guard tunnels == 0 else { return }
        retire()
        connection.close(because: "it has no tunnels") {}
    }

    private func retire() {
        if let idleTimer { connection.loop.cancel(idleTimer) }
        idleTimer = nil
        let retired = retired
        self.retired = nil
        guard let retired else { return }
        report.become(.draining)
        retired(self)
    }

    // MARK: - Connection events

    func draining(_ connection: Connection, why: H2Error, answers: Int?) {
        report.draining(connection, why)
        retire()
    }
    func closed(_ connection: Connection, why: H2Error) {
        retire()
        report.closed(connection, why)
        // The two retain each other. Not from here: the connection is still notifying its streams.
        connection.loop.execute { connection.disown() }
    }
    func released(_ connection: Connection, _ exchange: Exchange) {}
    func streamLimitChanged(_ connection: Connection, to limit: Int) {}
    func doubted(_ connection: Connection) {}
    func trusted(_ connection: Connection) {}
    func stalled(_ connection: Connection, _ isStalled: Bool) {}
    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?) {}
    func originsChanged(_ connection: Connection) {}
}
