import HTTPTypes
import Synchronization

/// A TLS 1.3 handshake performed by its connection, so that requests can be sent with the ClientHello, as early data
/// (RFC 8446 section 2.3, RFC 8470).
///
/// Until it is over, this object handles the wire's readiness. Nothing is read as HTTP before the server is verified,
/// and the session's pending bytes stay in its output. Only the part that belongs to early requests is written, and it
/// stays in the output until the server has accepted it. If the server rejects it, the output is therefore sent again
/// from its beginning.
///
/// Belongs to its connection's loop, except `isPending`, `failure`, `info` and `wasSentEarly`.
///
/// Invariant behind `@exclusivity(unchecked)`: `failure`, `endInfo` and `lastEarly` are written before `outcome`, and
/// read on other threads only after it; everything else belongs to the loop's thread.
final class EarlyHandshake: ReadinessHandler {
    private enum Phase {
        /// Requests may become early data.
        case early
        /// The same, but a write must first be repeated with this number of bytes.
        case blocked(Int)
        /// The server's part of the handshake has begun to arrive.
        case handshake
        /// The configuration's verifier is running.
        case examination
        case over
    }

    private enum Outcome: UInt8, AtomicRepresentable {
        case pending, established, failed
    }

    private let terms: Dialer.EarlyTerms
    /// Bytes of the output that may become early data.
    private let limit: Int
    /// The connection, until the handshake is over.
    @exclusivity(unchecked) private var connection: Connection?
    @exclusivity(unchecked) private var phase = Phase.early
    /// Bytes of the output written as early data, and those that may be.
    @exclusivity(unchecked) private var written = 0
    @exclusivity(unchecked) private var end = 0
    /// Whether the ClientHello was written, and whether it may be. It waits for the request that the connection is made
    /// for, which is on its way from another thread, since a nearby server would answer before it arrives.
    @exclusivity(unchecked) private var hasBegun = false
    @exclusivity(unchecked) private var isDue = false
    /// Whether a request did not fit.
    @exclusivity(unchecked) private var isFull = false
    @exclusivity(unchecked) private var timer: LoopTimer?
    @exclusivity(unchecked) private var patience: LoopTimer?
    /// The requests that were given to the connection before the end.
    @exclusivity(unchecked) fileprivate(set) var requests = 0
    /// The callers that wait for the end.
    @exclusivity(unchecked) private var waits: [TimedWait<Void>] = []
    /// Called once at the end if the handshake succeeds. Set by the connection's owner.
    @exclusivity(unchecked) var whenEstablished: (() -> Void)?

    private let outcome = Atomic<Outcome>(.pending)
    /// Whether requests waited too long for the end and were sent on another connection.
    private let wasSlow = Atomic<Bool>(false)
    @exclusivity(unchecked) private var storedFailure: H2Error?
    @exclusivity(unchecked) private var endInfo: ConnectionInfo?
    /// The identifier of the last request sent as early data; 0 if there is none, or if the server rejected it.
    @exclusivity(unchecked) private var lastEarly: Int32 = 0

    /// The maximum number of bytes of early data on one connection: 16 KiB, which is what most servers accept. Anything
    /// beyond the initial congestion window (RFC 6928, about 14 KB) would have to wait for the server anyway.
    static let mostBytes = 16 << 10
    /// How long requests wait for the end of a handshake before they are sent on another connection: 1 s, as for a
    /// dial. A handshake without any request waits equally long before it begins.
    static let patience: UInt64 = 1_000_000_000

    init(_ terms: Dialer.EarlyTerms) {
        self.terms = terms
        limit = min(terms.wire.earlyDataLimit, Self.mostBytes)
    }

    private var wire: TLSWire { terms.wire }

    // MARK: - From any thread

    /// Whether the handshake is still in progress.
    var isPending: Bool { outcome.load(ordering: .acquiring) == .pending }

    /// Why the handshake failed.
    var failure: H2Error? { outcome.load(ordering: .acquiring) == .failed ? storedFailure : nil }

    /// The facts about the connection after the handshake; nil before it.
    var info: ConnectionInfo? { outcome.load(ordering: .acquiring) == .established ? endInfo : nil }

    /// Whether the server received the request as early data.
    func wasSentEarly(_ exchange: Exchange) -> Bool {
        outcome.load(ordering: .acquiring) == .established && exchange.id > 0 && exchange.id <= lastEarly
    }

    /// Whether a request failed with this error because of the handshake.
    func explains(_ error: H2Error, of exchange: Exchange) -> Bool {
        // Requests that were kept waiting by it never began.
        if exchange.id == 0, error.code == .notProcessed, error.isRetryable, wasSlow.load(ordering: .acquiring) {
            return true
        }
        guard let failure else { return false }
        return error.cause == failure.cause
            && (error.code == failure.code || error.code == .notProcessed && failure.code == .connectionClosed)
    }

    // MARK: - Early data

    /// Called when the connection is activated.
    func begin(_ connection: Connection) {
        self.connection = connection
        connection.state = .early
        // Ensures that only `flush` writes.
        connection.isWriteBlocked = true
        connection.writeBlockedAt = connection.loop.now
        timer = connection.loop.schedule(after: terms.limit) { self.fail(self.terms.timeout) }
        beginPatience(connection)
        wire.attach(to: connection.loop, handler: self)
        connection.session.fillOutput(limit: Connection.outputLimit, now: connection.loop.now)
        let count = connection.session.outputBytes.count
        end = min(count, limit)
        guard count <= limit else {
            // Not from here: the owner does not have the connection yet.
            phase = .handshake
            return connection.loop.execute { [box = LoopBound(self)] in
                if case .handshake = box.value.phase { box.value.step() }
            }
        }
    }

    /// A request has arrived, which may or may not be sent now.
    func requestCame() {
        guard !isDue, let connection else { return }
        isDue = true
        // From now on a caller is waiting.
        beginPatience(connection)
        connection.markDirty()
    }

    private func beginPatience(_ connection: Connection) {
        if let patience { connection.loop.cancel(patience) }
        patience = connection.loop.schedule(after: min(Self.patience, terms.limit / 2)) { self.becameSlow() }
    }

    /// Adds a waiter for the end of the handshake. Used on the loop.
    func add(_ wait: TimedWait<Void>) {
        if connection == nil { wait.finish(.success(())) } else { waits.append(wait) }
    }

    /// Whether the request may be sent now.
    func admits(_ exchange: Exchange, _ request: HTTPRequest) -> Bool {
        switch phase {
        case .early, .blocked: break
        case .handshake, .examination, .over: return false
        }
        guard !isFull, exchange.isOutgoingDone, exchange.outgoingTrailers == nil else { return false }
        return exchange.options.allowsEarlyData ?? Self.isSafe(request.method)
    }

    /// RFC 9110 section 9.2.1.
    static func isSafe(_ method: HTTPRequest.Method) -> Bool {
        switch method {
        case .get, .head, .options, .trace: true
        default: false
        }
    }

    /// An admitted request has begun. It becomes early data as a whole or not at all.
    func opened(_ exchange: Exchange) {
        guard let connection else { return }
        connection.session.fillOutput(limit: limit + 1, now: connection.loop.now)
        let count = connection.session.outputBytes.count
        guard count <= limit else { return isFull = true }
        end = count
        lastEarly = exchange.id
    }

    /// Writes the early part of the output. Called at the end of a turn, in place of the connection's own `flush`.
    func flush() {
        guard let connection else { return }
        guard connection.tellChanges() else { return }
        if case .draining = connection.state, connection.openStreamCount == 0, connection.waitingCount == 0 {
            return connection.finishDraining()
        }
        guard case .early = phase, isDue else { return }
        write()
    }

    private func write() {
        guard let connection else { return }
        while true {
            let count: Int
            switch phase {
            case .early:
                guard written < end || !hasBegun else { return wire.watch(readable: true, writable: false) }
                count = end - written
            case .blocked(let asBefore): count = asBefore
            case .handshake, .examination, .over: return
            }
            switch wire.writeEarly(
                UnsafeRawBufferPointer(rebasing: connection.session.outputBytes[written...].prefix(count)))
            {
            case .bytes:
                hasBegun = true
                written += count
                phase = .early
            case .wouldBlock:
                phase = .blocked(count)
                // OpenSSL accepts nothing else before the rest of the record.
                return wire.watch(readable: false, writable: true)
            case .end, .failed: return fail(wire.failure)
            }
        }
    }

    // MARK: - Handshake

    func ready(readable: Bool, writable: Bool) {
        switch phase {
        case .early:
            guard readable else { return }
            // Requests begun in this turn are still sent early.
            write()
            if case .early = phase { step() }
        case .blocked: write()
        case .handshake: step()
        case .examination, .over: break
        }
    }

    func unwatched(_ error: H2Error) {
        if case .over = phase { return }
        connection?.unwatched(error)
    }

    private func step() {
        phase = .handshake
        switch wire.handshake() {
        case .wantsRead: wire.watch(readable: true, writable: false)
        case .wantsWrite: wire.watch(readable: false, writable: true)
        case .failed: fail(wire.failure)
        case .done:
            wire.detach()
            examine()
        }
    }

    private func examine() {
        guard let connection, let examination = wire.examination else { return established() }
        phase = .examination
        let box = LoopBound(self)
        let status = connection.loop.runBlocking { [loop = connection.loop] in
            let fault = examination()
            loop.execute { box.value.examined(fault) }
        }
        if status != 0 { fail(LoopThread.exhausted("start a thread for the verifier", status)) }
    }

    private func examined(_ fault: H2Error.CertificateFault?) {
        guard case .examination = phase else { return }
        wire.examined(fault)
        if let failure = wire.failure { return fail(failure) }
        established()
    }

    /// The server has been verified.
    private func established() {
        guard let connection else { return }
        let loop = connection.loop
        let earlyData = written > 0 ? wire.earlyData : .none
        if earlyData == .accepted {
            connection.session.outputTaken(written, now: loop.now)
        } else {
            (written, lastEarly) = (0, 0)
            guard wire.protocolChoice == wire.earlyProtocol else {
                return fail(
                    H2Error(
                        .connectionClosed, scope: .connection, initiator: .remote,
                        message: "the server chose another protocol than for the session that was resumed",
                        remedy: "send it on a new connection", isRetryable: true))
            }
        }
        var info = connection.info
        info.add(wire, took: loop.preciseNow &- terms.beginning, connection.configuration.notes)
        info.earlyData =
            switch earlyData {
            case .none: .notSent
            case .accepted: .accepted
            case .rejected: .rejected
            }
        endInfo = info
        let whenEstablished = whenEstablished
        finish(.established)
        whenEstablished?()
        connection.handshakeEnded()
    }

    private func becameSlow() {
        patience = nil
        guard let connection else { return }
        guard isDue else { return requestCame() }
        if connection.version == .http2 {
            connection.owner?.doubted(connection)
        } else {
            connection.retire(because: "its handshake takes long")
        }
        wasSlow.store(true, ordering: .releasing)
        connection.failWaiting { _ in Self.slowHandshake }
    }

    /// The error for a request that would have to wait; nil if it may wait.
    var refusal: H2Error? { wasSlow.load(ordering: .relaxed) ? Self.slowHandshake : nil }

    private static let slowHandshake = H2Error(
        .notProcessed, scope: .stream(0), initiator: .remote,
        message: "the request was not sent: the handshake of its connection takes long",
        remedy: "send it on another connection", isRetryable: true)

    // MARK: - The end

    private func fail(_ failure: H2Error?) {
        guard let connection else { return }
        // The next connection must not try the same session again.
        wire.forgetSessions()
        let failure =
            failure
            ?? H2Error(.tlsFailed, scope: .connection, initiator: .remote, message: "the TLS handshake failed")
        storedFailure = failure
        // A server that answered nothing may have processed the requests; its identifiers say which.
        connection.session.outputTaken(written, now: connection.loop.now)
        finish(.failed)
        connection.end(failure, saying: nil)
    }

    /// The connection is ending. Returns whether it does so without a completed handshake.
    func abandon() -> Bool {
        if connection != nil { finish(.failed) }
        return outcome.load(ordering: .relaxed) != .established
    }

    private func finish(_ outcome: Outcome) {
        if let connection {
            for timer in [timer, patience] { if let timer { connection.loop.cancel(timer) } }
        }
        (timer, patience) = (nil, nil)
        phase = .over
        (connection, whenEstablished) = (nil, nil)
        self.outcome.store(outcome, ordering: .releasing)
        let waits = waits
        self.waits = []
        for wait in waits { wait.finish(.success(())) }
    }
}

extension Connection {
    /// Whether the connection's handshake is still in progress.
    var isShakingHands: Bool { early?.isPending ?? false }

    /// The facts that are known so far.
    var knownInfo: ConnectionInfo { early?.info ?? info }

    /// Returns when the handshake is over.
    /// - Throws: `H2Error`: why it failed; `CancellationError`.
    nonisolated(nonsending) func untilEstablished() async throws {
        guard let early else { return }
        // The handshake has its own time limit.
        let wait = TimedWait<Void>(loop)
        loop.execute { self.early?.add(wait) }
        try await wait.wait(within: nil, calledAt: 0)
        if let failure = early.failure { throw failure }
    }

    /// Sends a request as early data, or makes it wait for the end of the handshake.
    func startEarly(_ exchange: Exchange, _ request: HTTPRequest) {
        guard let early else { return }
        early.requests += 1
        early.requestCame()
        guard hasFreeSlot, early.admits(exchange, request) else {
            if let refusal = early.refusal { return exchange.fail(refusal) }
            return enqueue(exchange, request)
        }
        open(exchange, request)
        if !exchange.isOver { early.opened(exchange) }
    }

    /// The server has been verified, and the wire now belongs to the connection.
    func handshakeEnded() {
        isWriteBlocked = false
        writeBlockedTime = 0
        if case .early = state { state = .active }
        wire.attach(to: loop, handler: self)
        control?.begin()
        if openStreamCount > 0 { control?.requestBegan() }
        if !unwritten.isEmpty { tellWritten() }
        owner?.trusted(self)
        startWaiting()
        markDirty()
        // The response may have arrived together with the server's part of the handshake.
        if wire.hasBufferedInput { loop.execute { self.ready(readable: true, writable: false) } }
    }
}
