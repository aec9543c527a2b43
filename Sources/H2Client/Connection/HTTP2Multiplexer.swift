import HTTPTypes
import Synchronization

/// The loop's side of an `HTTP2Connection`: session, wire, slots, pings, the end.
///
/// Invariant behind `@unchecked Sendable`: everything but the constants and `isDraining` belongs to the loop's thread;
/// whoever is elsewhere goes by `loop.execute` or `loop.run`.
final class HTTP2Multiplexer: Flushable, ReadinessHandler, @unchecked Sendable {
    /// Can go: active → draining → closed, active → closed.
    private enum State {
        case active
        /// No new requests; those that were accepted finish. The error is what a new request gets.
        case draining(H2Error)
        case closed(H2Error)
    }

    let loop: EventLoop
    let loopIdentity: LoopIdentity
    let info: ConnectionInfo
    let session: HTTP2Session
    /// Read from any thread.
    let isDraining = Atomic<Bool>(false)

    private let wire: any Wire
    private let configuration: Configuration
    @exclusivity(unchecked) private var state = State.active
    @exclusivity(unchecked) private var isMarkedDirty = false
    @exclusivity(unchecked) private var isWriteBlocked = false

    /// Requests that wait for a stream, in order. Those that gave up stay here until their turn, or until they are many.
    @exclusivity(unchecked) private var queue: [Exchange?] = []
    @exclusivity(unchecked) private var queueHead = 0
    @exclusivity(unchecked) private var waitingCount = 0

    private struct Ping {
        let sentAt: UInt64
        let completion: (Result<Duration, H2Error>) -> Void
        let timer: LoopTimer
    }
    @exclusivity(unchecked) private var pings: [UInt64: Ping] = [:]
    @exclusivity(unchecked) private var lastPing: UInt64 = 0
    @exclusivity(unchecked) private var roundTripTime: Duration?

    // Timers hold the connection until they fire or the connection ends, which cancels them. Never a weak reference: one
    // is enough to put every retain of the object, so several a request, on the runtime's slow path.
    @exclusivity(unchecked) private var watchTimer: LoopTimer?
    @exclusivity(unchecked) private var stallTimer: LoopTimer?
    @exclusivity(unchecked) private var settingsTimer: LoopTimer?
    @exclusivity(unchecked) private var drainTimer: LoopTimer?
    @exclusivity(unchecked) private var closeWaiters: [() -> Void] = []

    /// Requests that take longer watch for their task's cancellation; see `Exchange.perform`. Nanoseconds.
    static let watchAfter: UInt64 = 50_000_000
    private static let outputLimit = 32 << 10
    /// How much one connection reads or writes before the others of its loop have their turn.
    private static let fairShare = 1 << 20

    init(wire: any Wire, info: ConnectionInfo, configuration: Configuration, loop: EventLoop) {
        self.wire = wire
        self.info = info
        self.configuration = configuration
        self.loop = loop
        loopIdentity = loop.identity
        session = HTTP2Session(
            origin: info.origin, configuration: configuration, connectionID: info.id, now: loop.now)
    }

    /// Attaches the wire and sends the preface. From here until the close, the loop's poller keeps the connection alive.
    func activate() {
        wire.attach(to: loop, handler: self)
        let limit = configuration.timeouts.settings
        settingsTimer = loop.schedule(after: limit.clampedNanoseconds) {
            self.die(
                H2Error(
                    .timeout, scope: .connection, cause: .timeout(.settings, after: limit),
                    message: "the server did not acknowledge our SETTINGS within \(limit)",
                    remedy: "does it speak HTTP/2 here?"),
                saying: ErrorCode.settingsTimeout)
        }
        markDirty()
        // Bytes that came with the handshake may wait above the descriptor already.
        if wire.hasBufferedInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    func markDirty() {
        guard !isMarkedDirty else { return }
        isMarkedDirty = true
        loop.markDirty(self)
    }

    // MARK: - Requests

    /// Opens a stream for the exchange, queues it, or fails it.
    func start(_ exchange: Exchange, _ request: HTTPRequest) {
        guard !exchange.isOver else { return exchange.progressed() }
        switch state {
        case .active: break
        case .draining(let error): return exchange.fail(error)
        case .closed(let cause):
            var error = cause
            // Whatever ended the connection, this request had not begun.
            error.scope = .stream(0)
            error.isRetryable = true
            return exchange.fail(error)
        }
        if waitingCount == 0 && session.hasFreeSlot {
            if exchange.open(request) {
                markDirty()
                if watchTimer == nil { startWatchTimer() }
            }
            return
        }
        guard waitingCount < configuration.limits.waitingRequests else {
            return exchange.fail(
                H2Error(
                    .limitExceeded, message: "\(waitingCount) requests wait for a stream already",
                    remedy: "send fewer at once, or raise Configuration.Limits.waitingRequests", isRetryable: true))
        }
        queue.append(exchange)
        waitingCount += 1
        exchange.waitForSlot(request)
    }

    /// A waiting exchange gave up. Where no slot comes free, those who gave up must not pile up behind it.
    func leftQueue() {
        waitingCount -= 1
        let kept = queue.count - queueHead
        guard kept > 2 * waitingCount + 64 else { return }
        queue = queue[queueHead...].filter { $0.map { !$0.isOver } ?? false }
        queueHead = 0
    }

    /// nghttp2 has closed a stream.
    func slotFreed() {
        // In the connection's end all slots become free, and nothing may be opened any more.
        if case .closed = state { return }
        if waitingCount > 0 { startWaiting() }
        if session.openStreams.isEmpty && waitingCount == 0, case .draining = state { markDirty() }
    }

    private func startWatchTimer() {
        watchTimer = loop.schedule(after: Self.watchAfter) { self.watch() }
    }

    /// Has those who have waited for long watch for their cancellation, and looks again while younger ones wait.
    private func watch() {
        watchTimer = nil
        let now = loop.now
        var hasYounger = false
        session.openStreams.forEach { stream in
            // All streams of a connection are exchanges: `start` opens no others.
            let exchange = unsafeDowncast(stream, to: Exchange.self)
            // `calledAt` of another thread's call may be later than this turn's beginning.
            if now >= exchange.calledAt &+ Self.watchAfter {
                exchange.watchForCancellation()
            } else {
                hasYounger = true
            }
        }
        if hasYounger { startWatchTimer() }
    }

    private func startWaiting() {
        while waitingCount > 0 && session.hasFreeSlot, let next = popQueue() {
            guard !next.isOver else { continue }
            waitingCount -= 1
            if next.openAfterWaiting() { markDirty() }
        }
    }

    private func popQueue() -> Exchange? {
        guard queueHead < queue.count else { return nil }
        defer {
            queue[queueHead] = nil
            queueHead += 1
            if queueHead == queue.count || queueHead > 1024 && queueHead * 2 > queue.count {
                queue.removeFirst(queueHead)
                queueHead = 0
            }
        }
        return queue[queueHead]
    }

    private func failWaiting(_ error: (Exchange) -> H2Error) {
        while let next = popQueue() {
            if !next.isOver { next.fail(error(next)) }
        }
    }

    // MARK: - Bytes in

    func ready(readable: Bool, writable: Bool) {
        if case .closed = state { return }
        if writable && isWriteBlocked { unblockWriting() }
        if readable { readInput() }
    }

    private func readInput() {
        var share = Self.fairShare
        while share > 0 {
            switch wire.read(into: loop.readBuffer) {
            case .bytes(let count):
                share -= count
                guard digest(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])) else { return }
                // Level-triggered readiness brings us back for what the descriptor still holds.
                if !wire.hasBufferedInput { return finishReading() }
            case .wouldBlock: return finishReading()
            case .end: return ended(nil)
            case .failed: return ended(wire.failure)
            }
        }
        finishReading()
        // Bytes above the descriptor are not told by readiness: come back by ourselves, after the others.
        loop.execute { self.ready(readable: true, writable: false) }
    }

    /// False where the connection has died.
    private func digest(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // To nghttp2 this would be a frame of absurd length, and its own GOAWAY the only trace of it.
        if session.bytesReceived == 0 && bytes.prefix(5).elementsEqual("HTTP/".utf8) {
            die(Self.answeredHTTP1(), saying: nil)
            return false
        }
        do {
            try session.receive(bytes, now: loop.now)
        } catch {
            die(error, saying: nil)
            return false
        }
        if !session.events.isEmpty { handleEvents() }
        if case .closed = state { return false }
        return true
    }

    private static func answeredHTTP1() -> H2Error {
        H2Error(
            .http2NotNegotiated, scope: .connection, initiator: .remote,
            message: "the server answered HTTP/1.1 to HTTP/2",
            remedy: "it does not speak cleartext HTTP/2 by prior knowledge here; try https or HTTP/1.1")
    }

    private func finishReading() {
        // nghttp2 passes over all input from here on, and a server that does not read will never get the GOAWAY.
        if isWriteBlocked, let violation = session.unsentViolation { return die(violation, saying: nil) }
        if session.hasOutput { markDirty() }
    }

    private func handleEvents() {
        let events = session.events
        session.events.removeAll(keepingCapacity: true)
        for event in events {
            switch event {
            case .remoteSettingsChanged: startWaiting()
            case .localSettingsAcknowledged:
                if let settingsTimer { loop.cancel(settingsTimer) }
                settingsTimer = nil
            case .pingAcknowledged(let mark):
                if mark & HTTP2Session.probeMark == HTTP2Session.probeMark {
                    session.probeReturned()
                } else if let ping = pings.removeValue(forKey: mark) {
                    loop.cancel(ping.timer)
                    let time = Duration(nanoseconds: loop.preciseNow &- ping.sentAt)
                    roundTripTime = time
                    ping.completion(.success(time))
                }
            case .goAway: receivedGoAway()
            }
            if case .closed = state { return }
        }
    }

    private func receivedGoAway() {
        guard let goAway = session.goAway else { return }
        if case .active = state { drain(Self.draining("the server said GOAWAY (\(goAway.describedCode))")) }
        failWaiting { goAway.notProcessed($0.id) }
        if goAway.code != .noError {
            // The server gave up on the connection; what it still answers, if anything, cannot be relied on.
            die(
                H2Error(
                    .connectionClosed, scope: .connection, initiator: .remote,
                    cause: .http2(goAway.code, debugText: goAway.debugText),
                    message: "the server ended the connection with GOAWAY (\(goAway.describedCode))",
                    remedy: goAway.code == .enhanceYourCalm
                        ? "it wants less load: send fewer requests at once" : "its log may say why"),
                saying: .noError)
        } else {
            markDirty()
        }
    }

    private static func draining(_ why: String) -> H2Error {
        H2Error(
            .connectionDraining, scope: .connection, message: "the connection takes no new requests: \(why)",
            remedy: "send it on a new connection", isRetryable: true)
    }

    // MARK: - Bytes out

    func flush() {
        isMarkedDirty = false
        if case .closed = state { return }
        guard !isWriteBlocked else { return }
        var share = Self.fairShare
        while true {
            session.fillOutput(limit: Self.outputLimit, now: loop.now)
            if let violation = session.violation {
                return die(violation, saying: nil)
            }
            guard !session.output.isEmpty else { break }
            switch wire.write(session.output.bytes) {
            case .bytes(let count):
                session.output.removeFirst(count)
                share -= count
                if share <= 0 { return markDirty() }
            case .wouldBlock: return blockWriting()
            case .end, .failed:
                // What the peer said before it left may explain why.
                readInput()
                return ended(wire.failure)
            }
        }
        if case .draining = state, session.openStreams.isEmpty, waitingCount == 0 { finishDraining() }
    }

    private func blockWriting() {
        isWriteBlocked = true
        wire.watch(readable: true, writable: true)
        let limit = configuration.timeouts.writeStall
        stallTimer = loop.schedule(after: limit.clampedNanoseconds) {
            self.die(
                H2Error(
                    .timeout, scope: .connection, initiator: .remote, cause: .timeout(.writeStall, after: limit),
                    message: "the server took no byte for \(limit)", remedy: "it may be dead: connect anew"),
                saying: nil)
        }
    }

    private func unblockWriting() {
        isWriteBlocked = false
        if let stallTimer { loop.cancel(stallTimer) }
        stallTimer = nil
        wire.watch(readable: true, writable: false)
        markDirty()
    }

    // MARK: - PING and PRIORITY_UPDATE

    func ping(timeout: Duration, completion: @escaping (Result<Duration, H2Error>) -> Void) {
        if case .closed(let error) = state { return completion(.failure(error)) }
        lastPing += 1
        let mark = lastPing
        // Armed before the write, so that a connection that cannot write is found out as well.
        let timer = loop.schedule(after: timeout.clampedNanoseconds) {
            guard let ping = self.pings.removeValue(forKey: mark) else { return }
            ping.completion(
                .failure(
                    H2Error(
                        .timeout, scope: .connection, cause: .timeout(.ping, after: timeout),
                        message: "the server did not answer PING within \(timeout)",
                        remedy: "the connection may be dead: close it")))
        }
        pings[mark] = Ping(sentAt: loop.preciseNow, completion: completion, timer: timer)
        session.ping(mark)
        markDirty()
    }

    func updatePriority(_ priority: Priority, ofStream id: Int32) -> H2Error? {
        if case .closed(let error) = state { return error }
        guard session.updatePriority(priority, of: id) else {
            return H2Error(
                .invalidRequest, scope: .stream(id), initiator: .user, message: "stream \(id) takes no priority update",
                remedy: "is it a stream of this connection?")
        }
        markDirty()
        return nil
    }

    // MARK: - The end

    /// Takes no new requests, and closes when the accepted ones are done. `completion` is called at the end.
    func close(completion: @escaping () -> Void) {
        if case .closed = state { return completion() }
        closeWaiters.append(completion)
        if case .active = state { drain(Self.draining("it is being closed")) }
        if drainTimer == nil {
            let limit = configuration.timeouts.drain
            drainTimer = loop.schedule(after: limit.clampedNanoseconds) {
                self.die(
                    H2Error(
                        .timeout, scope: .connection, cause: .timeout(.close, after: limit),
                        message: "the connection was closed: requests took longer than \(limit) after close()",
                        remedy: "allow more time (Configuration.Timeouts.drain)"),
                    saying: .noError)
            }
        }
        markDirty()
    }

    func closeNow() {
        die(
            H2Error(
                .connectionClosed, scope: .connection, initiator: .user,
                message: "the connection was closed by its user"),
            saying: .noError)
    }

    private func drain(_ error: H2Error) {
        state = .draining(error)
        isDraining.store(true, ordering: .relaxed)
    }

    private func finishDraining() {
        die(
            H2Error(
                .connectionClosed, scope: .connection, message: "the connection was closed",
                remedy: "send it on a new connection", isRetryable: true),
            saying: .noError)
    }

    /// The peer's side of the wire is over.
    private func ended(_ failure: H2Error?) {
        if case .closed = state { return }
        var error =
            failure
            ?? H2Error(
                .connectionClosed, scope: .connection, initiator: .remote, message: "the server closed the connection",
                remedy: "connect anew")
        if let goAway = session.goAway {
            error.message += " after GOAWAY (\(goAway.describedCode))"
            error.cause = .http2(goAway.code, debugText: goAway.debugText)
        }
        die(error, saying: nil)
    }

    /// Ends everything: says GOAWAY where `code` is given, closes the wire, fails what is under way.
    private func die(_ error: H2Error, saying code: ErrorCode?) {
        if case .closed = state { return }
        state = .closed(error)
        isDraining.store(true, ordering: .relaxed)
        for timer in [settingsTimer, drainTimer, watchTimer, stallTimer] {
            if let timer { loop.cancel(timer) }
        }
        (settingsTimer, drainTimer, watchTimer, stallTimer) = (nil, nil, nil, nil)
        if let code { session.sayGoAway(code) }
        sendLastBytes()
        wire.close()
        session.failAll { stream in lost(stream, error) }
        failWaiting { lost($0, error) }
        for ping in pings.values {
            loop.cancel(ping.timer)
            ping.completion(.failure(error))
        }
        pings = [:]
        let waiters = closeWaiters
        closeWaiters = []
        for waiter in waiters { waiter() }
    }

    /// Whatever goes out without waiting: GOAWAY, mostly.
    private func sendLastBytes() {
        guard wire.failure == nil else { return }
        session.fillOutput(limit: Self.outputLimit, now: loop.now)
        while !session.output.isEmpty {
            guard case .bytes(let count) = wire.write(session.output.bytes) else { return }
            session.output.removeFirst(count)
        }
    }

    /// What a stream's requester is told when its connection is gone.
    private func lost(_ stream: StreamState, _ cause: H2Error) -> H2Error {
        var error = cause
        error.scope = .stream(stream.id)
        // nghttp2 opens a stream when it writes the header fields down, and says that they are sent (`sentAt`) only when
        // it is asked for more: what fell between the two may have reached the server.
        if stream.sentAt == 0 && !session.isOpen(stream.id) {
            // Its header fields never left.
            error.isRetryable = true
            if error.code == .connectionClosed { error.code = .notProcessed }
            error.message = "the request was not sent: \(cause.message)"
        } else {
            error.isRetryable = false
            error.message = "stream \(stream.id) was cut off: \(cause.message)"
        }
        return error
    }

    // MARK: - Facts

    func snapshot() -> ConnectionSnapshot {
        let name: ConnectionSnapshot.State =
            switch state {
            case .active: .active
            case .draining: .draining
            case .closed: .closed
            }
        return ConnectionSnapshot(
            state: name, localSettings: session.settings(remote: false), remoteSettings: session.settings(remote: true),
            openStreams: session.openStreams.count, waitingRequests: waitingCount, requests: session.requests,
            bytesSent: session.bytesSent, bytesReceived: session.bytesReceived, unreadBytes: session.window.unread,
            receiveWindow: session.receiveWindow, sendWindow: session.sendWindow,
            goAway: session.goAway.map { ($0.lastStreamID, $0.code, $0.debugText) }, roundTripTime: roundTripTime)
    }
}
