import CNghttp2
import H2Client
import H2Platform

/// The listening socket and its connections. Confined to its loop's thread.
final class Listener: ReadinessHandler {
    let configuration: OriginServer.Configuration
    let site: Site
    let counters: Counters
    let loop: H2EventLoop
    /// Scratch for response fields, filled and submitted within one call.
    let fields = FieldList()
    /// Whether there are routes of the user's own, for a check at each request.
    let hasOwnRoutes: Bool
    /// nil if the number of concurrently processed requests is not limited.
    let workers: Workers?

    private let descriptor: CInt
    private let tls: TLSContext?
    private var isListening = false
    private var connections: [ServerConnection] = []
    private var handshakes: [ObjectIdentifier: (handshaker: Handshaker, timer: LoopTimer)] = [:]
    private var muteWires: [any Wire] = []
    private var whenClosed: [() -> Void] = []
    private var graceTimer: LoopTimer?
    private var sweepTimer: LoopTimer?
    private let sweepInterval: UInt64
    private var spareStreams: [ServerStream] = []
    /// Bytes held for requests: see `OriginServer.Limits.heldBytes`.
    private var heldBytes = 0

    private enum State { case listening, draining, closed }
    private var state = State.listening

    /// Takes ownership of the descriptor.
    init(
        descriptor: CInt, configuration: OriginServer.Configuration, tls: TLSContext?, site: Site, counters: Counters,
        loop: H2EventLoop
    ) {
        self.descriptor = descriptor
        var configuration = configuration
        configuration.limits = configuration.limits.clamped
        self.configuration = configuration
        hasOwnRoutes = !configuration.routes.isEmpty
        self.tls = tls
        self.site = site
        self.counters = counters
        self.loop = loop
        workers = configuration.limits.workers.map { Workers($0, counters: counters) }
        let limits = configuration.limits
        let shortest = min(limits.requestHead, limits.bodyProgress, limits.idle ?? limits.requestHead)
        sweepInterval = min(max(shortest.clampedNanoseconds / 4, 10_000_000), 5_000_000_000)
    }

    func start() {
        guard state == .listening else { return }
        loop.register(descriptor, handler: self)
        isListening = true
    }

    // MARK: - Accept

    func ready(readable: Bool, writable: Bool) {
        // A fair share: the loop reports the rest again in its next turn.
        for _ in 0..<64 {
            let accepted = ch2_accept(descriptor)
            guard accepted >= 0 else {
                if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM { pauseAccepting() }
                return
            }
            counters.connectionsAccepted.add(1)
            guard connections.count + handshakes.count + muteWires.count < configuration.limits.connections else {
                close(accepted)
                continue
            }
            counters.connectionsOpen.add(1)
            counters.connectionsPeak.raise(to: counters.connectionsOpen.current)
            take(accepted)
        }
    }

    func unwatched(_ error: H2Error) { closeAll() }

    /// Pauses accepting when descriptors or memory run out, because the socket would be reported ready forever.
    private func pauseAccepting() {
        loop.update(descriptor, readable: false, writable: false)
        _ = loop.schedule(after: 50_000_000) { [weak self] in
            guard let self, isListening else { return }
            loop.update(descriptor, readable: true, writable: false)
        }
    }

    private func take(_ accepted: CInt) {
        if configuration.faults.isMute {
            muteWires.append(TCPWire(descriptor: accepted))
            return
        }
        guard let tls else {
            let wire = TCPWire(descriptor: accepted)
            return switch configuration.versions {
            case .both: open(UndecidedConnection(wire: wire, descriptor: accepted, listener: self))
            case .http2: open(HTTP2ServerConnection(wire: wire, descriptor: accepted, listener: self))
            case .http1: open(HTTP1ServerConnection(wire: wire, descriptor: accepted, listener: self))
            }
        }
        guard let wire = try? TLSWire(descriptor: accepted, context: tls, serverName: nil) else {
            return counters.connectionsOpen.add(-1)
        }
        let key = ObjectIdentifier(wire)
        let handshaker = Handshaker(wire: wire, loop: loop) { [weak self] in self?.shookHands(wire, accepted) }
        let timer = loop.schedule(after: configuration.limits.handshake.clampedNanoseconds) { [weak self] in
            guard let self, let entry = handshakes.removeValue(forKey: key) else { return }
            entry.handshaker.abandon()
            counters.connectionsOpen.add(-1)
            closedOne()
        }
        handshakes[key] = (handshaker, timer)
        handshaker.start()
    }

    private func shookHands(_ wire: TLSWire, _ descriptor: CInt) {
        if let entry = handshakes.removeValue(forKey: ObjectIdentifier(wire)) { loop.cancel(entry.timer) }
        if wire.failure == nil {
            // ALPN (RFC 7301) selects only what is offered; without it, it is HTTP/1.1.
            if wire.selectedProtocol == "h2" {
                return open(HTTP2ServerConnection(wire: wire, descriptor: descriptor, listener: self))
            }
            if configuration.versions != .http2 {
                return open(HTTP1ServerConnection(wire: wire, descriptor: descriptor, listener: self))
            }
        }
        wire.close()
        counters.connectionsOpen.add(-1)
        closedOne()
    }

    private func open(_ connection: ServerConnection) {
        connection.slot = connections.count
        connections.append(connection)
        if sweepTimer == nil { armSweep() }
        connection.start()
        if state == .draining { connection.drain() }
    }

    /// Replaces a connection that has handed over its wire and the bytes read from it.
    func replace(_ old: ServerConnection, _ new: ServerConnection, input: UnsafeMutableRawBufferPointer) {
        new.slot = old.slot
        connections[new.slot] = new
        new.start(input: input)
        if state == .draining { new.drain() }
    }

    // MARK: - What connections share

    /// Adds `count`, which may be negative, to the held bytes; false, and nothing is added, beyond the limit.
    func hold(_ count: Int) -> Bool {
        guard count <= 0 || heldBytes + count <= configuration.limits.heldBytes else { return false }
        heldBytes += count
        counters.bytesHeld.add(count)
        return true
    }

    func takeSpareStream() -> ServerStream { spareStreams.popLast() ?? ServerStream() }

    /// Keeps a stream for reuse by any connection: a spare list in each of thousands of connections would add up.
    func keepSpare(_ stream: ServerStream) {
        if spareStreams.count < 2_048 { spareStreams.append(stream) }
    }

    // MARK: - Time limits

    /// One timer for all connections: limits of seconds need no more precision.
    private func armSweep() {
        sweepTimer = loop.schedule(after: sweepInterval) { [weak self] in
            guard let self else { return }
            sweepTimer = nil
            // A copy, because closed connections leave the array.
            for connection in Array(connections) { connection.sweep(now: loop.now) }
            if !connections.isEmpty { armSweep() }
        }
    }

    // MARK: - Close

    /// Removes a connection, which calls this when it has closed.
    func closed(_ connection: ServerConnection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.slot] = last
            last.slot = connection.slot
        }
        counters.connectionsOpen.add(-1)
        if connections.isEmpty, let sweepTimer {
            loop.cancel(sweepTimer)
            self.sweepTimer = nil
        }
        closedOne()
    }

    // MARK: - Stop

    func drain(grace: Duration, whenClosed: @escaping () -> Void) {
        self.whenClosed.append(whenClosed)
        stopListening()
        if state == .listening { state = .draining }
        for connection in connections { connection.drain() }
        closeMuteWires()
        closedOne()
        guard state == .draining else { return }
        if let graceTimer { loop.cancel(graceTimer) }
        graceTimer = loop.schedule(after: grace.clampedNanoseconds) { self.closeAll() }
    }

    func closeAll() {
        stopListening()
        if state == .listening { state = .draining }
        for (handshaker, timer) in handshakes.values {
            loop.cancel(timer)
            handshaker.abandon()
            counters.connectionsOpen.add(-1)
        }
        handshakes = [:]
        closeMuteWires()
        while let connection = connections.last { connection.close() }
        closedOne()
    }

    private func closeMuteWires() {
        for wire in muteWires {
            wire.close()
            counters.connectionsOpen.add(-1)
        }
        muteWires = []
    }

    private func stopListening() {
        if isListening { loop.deregister(descriptor) }
        isListening = false
        if state == .listening { close(descriptor) }
    }

    private func closedOne() {
        guard state == .draining, connections.isEmpty, handshakes.isEmpty else {
            if state == .closed { tellClosed() }
            return
        }
        state = .closed
        tellClosed()
    }

    private func tellClosed() {
        if let graceTimer { loop.cancel(graceTimer) }
        graceTimer = nil
        let callers = whenClosed
        whenClosed = []
        for caller in callers { caller() }
    }
}
