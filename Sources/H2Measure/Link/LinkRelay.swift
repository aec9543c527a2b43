import H2Client
import H2Platform

/// One connection over the link: a socket to each side, and the data under way in either direction.
///
/// The system accepts the client at once, as on any loopback, so the first byte is delayed by the time that the handshake would
/// take. Belongs to its proxy's loop.
final class LinkRelay {
    /// A direction that holds this many bytes is not read until some of them are gone.
    static let queueLimit = 4 << 20

    private enum State {
        /// The SYN is under way. Can transition to `connecting`, `refused`, `over`.
        case opening
        /// To the server; `attempt` is an index into `addressOrder`. Can transition to `connected`, `refused`, `reset`, `over`.
        case connecting(CInt, attempt: Int)
        /// Can transition to `reset`, `over`.
        case connected
        /// The server cannot be reached, which the client learns soon. Can transition to `over`.
        case refused
        /// One side reset the connection, which the other learns soon. Can transition to `over`.
        case reset
        case over
    }

    /// One direction.
    private struct Way {
        var model: LinkModel
        /// Data that the source has sent and the destination has not received.
        var pieces = Ring<[UInt8]>()
        /// The number of bytes of the first piece that the destination has received.
        var written = 0
        /// Bytes that have arrived but not been accepted by the destination's socket.
        var due = 0
        /// Whether the source has ended its side.
        var isRead = false
        /// Whether the destination has been told so.
        var isFinished = false
        /// Whether the destination's socket is full.
        var isBlocked = false

        var held: Int { model.queued + due }
    }

    /// A socket's handler at the loop.
    private final class Side: ReadinessHandler {
        // Weak: the loop may report an event after the relay is over.
        private weak var relay: LinkRelay?
        let isClient: Bool

        init(_ relay: LinkRelay, isClient: Bool) {
            self.relay = relay
            self.isClient = isClient
        }

        func ready(readable: Bool, writable: Bool) {
            if isClient {
                relay?.clientReady(readable: readable, writable: writable)
            } else {
                relay?.serverReady(readable: readable, writable: writable)
            }
        }

        func unwatched(_ error: H2Error) { relay?.end(resetting: true) }
    }

    private unowned let proxy: LinkProxy.Accepting
    private let loop: H2EventLoop
    private let opening: LinkOpening
    /// Nil once it is closed, since its descriptor's number may then belong to another file.
    private var client: TCPWire?
    /// Also nil until it is connected.
    private var server: TCPWire?
    private var state = State.opening
    private var toServer: Way
    private var toClient: Way
    /// Fires when the next data under way arrives.
    private var wayTimer: (timer: LoopTimer, at: UInt64)?
    /// For the handshake, and for a RST.
    private var stateTimer: LoopTimer?
    private var lostThatCounted = 0
    /// Indexes of the proxy's addresses in the order of the attempts: the one that worked last comes first.
    private var addressOrder: [Int] = []

    private lazy var clientSide = Side(self, isClient: true)
    private lazy var serverSide = Side(self, isClient: false)

    /// Takes ownership of the descriptor.
    init(_ descriptor: CInt, proxy: LinkProxy.Accepting, random: SplitMix64) {
        self.proxy = proxy
        loop = proxy.loop
        client = TCPWire(descriptor: descriptor)
        var random = random
        opening = LinkOpening(proxy.conditions, at: loop.preciseNow, using: &random)
        let (forth, back) = (SplitMix64(seed: random.next()), SplitMix64(seed: random.next()))
        toServer = Way(
            model: LinkModel(proxy.conditions, opensAt: opening.clientMaySend, isForth: true, random: forth))
        toClient = Way(
            model: LinkModel(proxy.conditions, opensAt: opening.serverMaySend, isForth: false, random: back))
    }

    func start() {
        client?.attach(to: loop, handler: clientSide)
        stateTimer = set(opening.reachesServer) { $0.reachServer() }
    }

    // MARK: - To the server

    private func reachServer() {
        stateTimer = nil
        guard case .opening = state else { return }
        let preferred = proxy.preferredAddress
        addressOrder = [preferred] + proxy.addresses.indices.filter { $0 != preferred }
        connect(0)
    }

    private func connect(_ attempt: Int) {
        guard attempt < addressOrder.count else { return refuse() }
        guard let descriptor = LinkSocket.connect(to: proxy.addresses[addressOrder[attempt]]) else {
            return connect(attempt + 1)
        }
        state = .connecting(descriptor, attempt: attempt)
        loop.register(descriptor, writable: true, handler: serverSide)
    }

    private func refuse() {
        state = .refused
        proxy.change { $0.refused += 1 }
        client?.watch(readable: false, writable: false)
        cancelTimers()
        stateTimer = set(loop.preciseNow + proxy.conditions.back) { $0.end(resetting: true) }
    }

    // MARK: - Readiness

    private func clientReady(readable: Bool, writable: Bool) {
        guard let client, mayGoOn() else { return }
        if writable { toClient.isBlocked = false }
        if readable, !read(client, &toServer) { return passReset(fromClient: true) }
        pass()
    }

    private func serverReady(readable: Bool, writable: Bool) {
        if case .connecting(let descriptor, let attempt) = state {
            loop.deregister(descriptor)
            guard LinkSocket.error(of: descriptor) == 0 else {
                close(descriptor)
                return connect(attempt + 1)
            }
            proxy.preferredAddress = addressOrder[attempt]
            state = .connected
            let wire = TCPWire(descriptor: descriptor)
            server = wire
            wire.attach(to: loop, handler: serverSide)
            return pass()
        }
        guard let server, mayGoOn() else { return }
        if writable { toServer.isBlocked = false }
        if readable, !read(server, &toClient) { return passReset(fromClient: false) }
        pass()
    }

    /// If only the end is waited for, no events are requested, so any event means that this side is gone as well.
    private func mayGoOn() -> Bool {
        switch state {
        case .opening, .connecting, .connected: return true
        case .refused, .reset:
            end(resetting: true)
            return false
        case .over: return false
        }
    }

    // MARK: - Both ways

    /// Reads once; the loop reports the rest again. Returns false if the source reset the connection.
    ///
    /// It also reads if no event was requested: there is then an error or a hang-up, which would be reported forever.
    private func read(_ wire: TCPWire, _ way: inout Way) -> Bool {
        guard !way.isRead else { return true }
        let buffer = loop.readBuffer
        switch wire.read(into: buffer) {
        case .bytes(let count):
            way.pieces.append(Array(buffer[..<count]))
            way.model.append(count, at: loop.preciseNow)
        case .end:
            way.isRead = true
            way.model.finish(at: loop.preciseNow)
        case .wouldBlock: break
        case .failed: return false
        }
        return true
    }

    /// Does everything that can be done now, and sets a timer for the rest.
    private func pass() {
        switch state {
        case .opening, .connecting, .connected: break
        case .refused, .reset, .over: return
        }
        let now = loop.preciseNow
        if let client, !write(&toClient, to: client, now: now, count: \.bytesToClient) {
            return passReset(fromClient: true)
        }
        if let server, !write(&toServer, to: server, now: now, count: \.bytesToServer) {
            return passReset(fromClient: false)
        }
        if toServer.isFinished && toClient.isFinished { return end(resetting: false) }
        if server == nil { toServer.model.advance(to: now) }
        countLost()
        watch()
        schedule()
    }

    /// Hands over data that has arrived; returns false if the destination is gone.
    private func write(
        _ way: inout Way, to wire: TCPWire, now: UInt64, count: WritableKeyPath<LinkProxy.Counts, Int>
    ) -> Bool {
        way.model.advance(to: now)
        way.due += way.model.takeArrived()
        var sent = 0
        defer { if sent > 0 { proxy.change { $0[keyPath: count] += sent } } }
        while way.due > 0, !way.isBlocked, let piece = way.pieces.first {
            let length = min(piece.count - way.written, way.due)
            let result = piece.withUnsafeBytes { wire.write(.init(rebasing: $0[way.written..<way.written + length])) }
            switch result {
            case .bytes(let taken):
                sent += taken
                way.due -= taken
                way.written += taken
                if way.written == piece.count {
                    way.pieces.popFirst()
                    way.written = 0
                }
            case .wouldBlock, .end: way.isBlocked = true
            case .failed: return false
            }
        }
        if way.model.hasEnded && way.due == 0 && !way.isFinished {
            way.isFinished = true
            wire.finishWriting()
        }
        return true
    }

    /// Closes a socket once both its directions are over: it would be reported as hung up forever.
    private func watch() {
        if toServer.isRead && toClient.isFinished {
            client?.close()
            client = nil
        }
        if toClient.isRead && toServer.isFinished {
            server?.close()
            server = nil
        }
        client?.watch(
            readable: !toServer.isRead && toServer.held < Self.queueLimit, writable: toClient.isBlocked)
        server?.watch(
            readable: !toClient.isRead && toClient.held < Self.queueLimit, writable: toServer.isBlocked)
    }

    private func schedule() {
        let next = [toServer.model.nextEvent, toClient.model.nextEvent].compactMap { $0 }.min()
        guard next != wayTimer?.at else { return }
        if let wayTimer { loop.cancel(wayTimer.timer) }
        wayTimer = next.map { time in (set(time) { $0.timeCame() }, time) }
    }

    private func timeCame() {
        wayTimer = nil
        pass()
    }

    private func set(_ time: UInt64, _ action: @escaping (LinkRelay) -> Void) -> LoopTimer {
        loop.schedule(after: time > loop.now ? time - loop.now : 0) { [weak self] in
            if let self { action(self) }
        }
    }

    private func countLost() {
        let lost = opening.lost + toServer.model.lost + toClient.model.lost
        guard lost > lostThatCounted else { return }
        let new = lost - lostThatCounted
        lostThatCounted = lost
        proxy.change { $0.lost += new }
    }

    // MARK: - The end

    /// One side is gone; the other learns so when a RST would arrive. Until then nothing moves: at a RST, TCP discards its
    /// buffers.
    private func passReset(fromClient: Bool) {
        guard let other = fromClient ? server : client else { return end(resetting: true) }
        if case .connecting(let descriptor, _) = state { drop(descriptor) }
        state = .reset
        if fromClient {
            client?.close()
            client = nil
        } else {
            server?.close()
            server = nil
        }
        other.watch(readable: false, writable: false)
        cancelTimers()
        let delay = fromClient ? proxy.conditions.forth : proxy.conditions.back
        stateTimer = set(loop.preciseNow + delay) { $0.end(resetting: true) }
    }

    /// Closes both sockets, with a FIN if everything has been sent, else with a RST. Harmless twice.
    func end(resetting: Bool) {
        if case .over = state { return }
        cancelTimers()
        if case .connecting(let descriptor, _) = state { drop(descriptor) }
        state = .over
        countLost()
        for wire in [client, server].compactMap({ $0 }) {
            if resetting { LinkSocket.willReset(wire.descriptor) }
            wire.close()
        }
        client = nil
        server = nil
        proxy.ended(self)
    }

    private func drop(_ descriptor: CInt) {
        loop.deregister(descriptor)
        close(descriptor)
    }

    private func cancelTimers() {
        if let wayTimer { loop.cancel(wayTimer.timer) }
        if let stateTimer { loop.cancel(stateTimer) }
        wayTimer = nil
        stateTimer = nil
    }
}
