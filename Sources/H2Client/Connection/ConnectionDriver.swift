import HTTPTypes
import Synchronization

/// Whoever shares a connection among requests, and so wants to know what becomes of it. Called on the connection's loop.
protocol ConnectionOwner: AnyObject, Sendable {
    /// One request that was counted against the connection is over, and its place is free.
    func released(_ connection: ConnectionDriver, _ exchange: Exchange)
    /// The peer allows another number of streams at once.
    func streamLimitChanged(_ connection: ConnectionDriver, to limit: Int)
    /// Its peer may be gone: it was asked, and until it says anything new requests have better chances elsewhere.
    func doubted(_ connection: ConnectionDriver)
    /// The peer has said something.
    func trusted(_ connection: ConnectionDriver)
    /// It takes no new requests, and finishes those that it has: `answers` of all that were sent on it, where the server
    /// said so.
    func draining(_ connection: ConnectionDriver, why: H2Error, answers: Int?)
    /// The peer has taken no byte for `ConnectionDriver.stallNotice` while some wait to be sent; or it takes them again.
    func stalled(_ connection: ConnectionDriver, _ isStalled: Bool)
    /// An HTTP/1.1 server said how many more requests it takes on the connection, and how long it keeps it idle.
    func limitsAnnounced(_ connection: ConnectionDriver, requests: Int?, idle: Duration?)
    /// The server said for which origins it answers here.
    func originsChanged(_ connection: ConnectionDriver)
    /// It is gone. What was on it has been told.
    func closed(_ connection: ConnectionDriver, why: H2Error)
}

/// The loop's side of a connection, whatever version of HTTP it speaks: its wire, its requests in their order, its end.
/// What it speaks is its subclass's (`HTTP2Multiplexer`, `HTTP1Driver`), which overrides the calls under "What the version
/// decides".
///
/// What a version owes an exchange: `submit` gives it an `id` above 0 and a `slot` of 0 or more, which becomes -1 when the
/// request's place is free again; what arrives is recorded in it as `StreamState` says, and it is told by `progressed` when
/// all input has been digested, also when its slot has become -1; `wantsBody` is called as its body leaves.
///
/// Invariant behind `@unchecked Sendable`: everything but the constants and the two flags, which are atomic, belongs to the
/// loop's thread; whoever is elsewhere goes by `loop.execute` or `loop.run`.
class ConnectionDriver: Flushable, ReadinessHandler, @unchecked Sendable {
    /// Can go: active → retiring → draining → closed; any of them may be left out.
    enum State {
        case active
        /// Its owner closes it when all is over that was counted against it, of which some may not have begun yet. Other
        /// requests get the error.
        case retiring(H2Error)
        /// No new requests; those that were accepted finish. The error is what a new request gets.
        case draining(H2Error)
        case closed(H2Error)
    }

    final let loop: EventLoop
    final let loopIdentity: LoopIdentity
    final let info: ConnectionInfo
    final let configuration: Configuration
    final let wire: any Wire
    private final let drainingFlag = Atomic<Bool>(false)
    private final let answeredFlag = Atomic<Bool>(false)
    /// Set once, before the first request. It lets go of the connection when that is closed, so this is no cycle.
    @exclusivity(unchecked) final var owner: (any ConnectionOwner)?
    /// What the owner knows the connection by.
    @exclusivity(unchecked) final var ownerKey: UInt64 = 0
    /// Whether the owner has given it to a request. Touched under the owner's lock.
    @exclusivity(unchecked) final var wasGiven = false
    /// What is spoken.
    var version: HTTPVersion { preconditionFailure("overridden") }

    @exclusivity(unchecked) final private(set) var state = State.active
    @exclusivity(unchecked) private final var isMarkedDirty = false
    @exclusivity(unchecked) final private(set) var isWriteBlocked = false
    /// Why the peer takes nothing any more: what it had said before is still being read.
    @exclusivity(unchecked) private final var writeFailure: H2Error?
    @exclusivity(unchecked) private final var writeBlockedAt: UInt64 = 0
    @exclusivity(unchecked) private final var writeBlockedTime: UInt64 = 0
    /// When the last byte came.
    @exclusivity(unchecked) final private(set) var lastInputAt: UInt64 = 0
    /// Whether the loop's time is read anew for each piece of input, rather than once a turn.
    @exclusivity(unchecked) private final var readsClock = false

    /// Requests that wait for a stream, in order. Those that gave up stay here until their turn, or until they are many.
    @exclusivity(unchecked) private final var queue: [Exchange?] = []
    @exclusivity(unchecked) private final var queueHead = 0
    @exclusivity(unchecked) final private(set) var waitingCount = 0

    // Timers hold the connection until they fire or the connection ends, which cancels them. Never a weak reference: one
    // is enough to put every retain of the object, so several a request, on the runtime's slow path.
    @exclusivity(unchecked) private final var watchTimer: LoopTimer?
    @exclusivity(unchecked) private final var stallTimer: LoopTimer?
    /// Whether the owner was told that the peer takes nothing.
    @exclusivity(unchecked) private final var isStalled = false
    /// The request with this identifier, or a later one, is the last but for those that were promised a place already.
    private final let lastIdentifier: Int32
    /// Whether it takes no new requests because there are no identifiers left for them.
    @exclusivity(unchecked) final private(set) var isUsedUp = false
    @exclusivity(unchecked) private final var drainTimer: LoopTimer?
    @exclusivity(unchecked) private final var closeWaiters: [() -> Void] = []
    /// Requests whose last byte is in the output, and that want to know when it is written.
    @exclusivity(unchecked) private final var unwritten: [Exchange] = []
    @exclusivity(unchecked) private final var deathWaiters: [() -> Void] = []

    /// Requests that take longer watch for their task's cancellation; see `Exchange.perform`. Nanoseconds.
    static let watchAfter: UInt64 = 50_000_000
    /// How long a peer may take no byte before the owner is told, for requests to go by another connection: 1 s. A full socket
    /// is nothing unusual for shorter times.
    static let stallNotice: UInt64 = 1_000_000_000
    static let outputLimit = 32 << 10
    /// How much one connection reads or writes before the others of its loop have their turn.
    private static let fairShare = 1 << 20

    init(wire: any Wire, info: ConnectionInfo, configuration: Configuration, loop: EventLoop) {
        self.wire = wire
        self.info = info
        self.configuration = configuration
        self.loop = loop
        loopIdentity = loop.identity
        lastIdentifier = configuration.limits.lastIdentifier
    }

    // MARK: - For any thread

    /// Whether it takes no new requests.
    final var isDraining: Bool { drainingFlag.load(ordering: .relaxed) }
    /// Whether a response's head has come, or the server said that it would.
    final var hasAnswered: Bool {
        @inline(__always) get { answeredFlag.load(ordering: .relaxed) }
    }

    /// Notes that a response's head has come, or will.
    @inline(__always)
    final func noteAnswer() {
        if !hasAnswered { answeredFlag.store(true, ordering: .relaxed) }
    }

    // MARK: - What the version decides

    /// Whether another request may begin.
    var hasFreeSlot: Bool { preconditionFailure("overridden") }
    /// Requests under way.
    var openStreamCount: Int { preconditionFailure("overridden") }
    /// Requests that began, in all.
    var requests: Int { preconditionFailure("overridden") }
    /// How many may be under way at once, as far as is known.
    var maxConcurrentStreams: Int { 1 }
    /// That of the peer's GOAWAY, if there was one.
    var goAwayCode: ErrorCode? { nil }
    /// Whether the peer has said so.
    @exclusivity(unchecked) final var knowsStreamLimit = true
    /// Told of the peer's SETTINGS, for who measures and is no owner.
    @exclusivity(unchecked) final var streamLimitWatcher: (() -> Void)?
    func forEachOpenStream(_ body: (StreamState) -> Void) { preconditionFailure("overridden") }

    /// Begins a request. Its body is `exchange.outgoing`.
    func submit(
        _ exchange: Exchange, _ request: HTTPRequest, expectsContinue: Bool
    ) throws(H2Error) { preconditionFailure("overridden") }
    /// Begins a request that was prepared for sending often. Its body is `stream.outgoing`.
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) { preconditionFailure("overridden") }
    /// Ends a request that is not over, or drops what is unread of one that is.
    func reset(_ stream: StreamState) { preconditionFailure("overridden") }
    /// A request was given up before its end, for a reason of ours.
    func gaveUp(_ exchange: Exchange) {}
    /// The reader took so many bytes of the body.
    func consumed(_ exchange: Exchange, _ count: Int) { preconditionFailure("overridden") }
    /// Whether the server may be unable to go on because of what our reader has not taken of the response.
    func isReaderBehind(_ exchange: Exchange) -> Bool { preconditionFailure("overridden") }
    /// Nobody will read what the exchange holds.
    func dropUnread(_ exchange: Exchange) { preconditionFailure("overridden") }
    /// `exchange.outgoing` has something to send again.
    func resumeBody(_ exchange: Exchange) { preconditionFailure("overridden") }

    /// Takes what was read. False where the connection has died of it.
    func digest(_ bytes: UnsafeRawBufferPointer) -> Bool { preconditionFailure("overridden") }
    /// Whether more may be read now.
    var wantsInput: Bool { true }
    /// All that was there has been read.
    func finishReading() {}
    /// The peer ended its side: `failure` nil where it did so properly.
    func ended(_ failure: H2Error?) { preconditionFailure("overridden") }
    /// Puts what there is to send into the output, up to about `outputLimit`; an error where the connection has to die.
    func fillOutput() -> H2Error? { preconditionFailure("overridden") }
    /// What waits to be written, and that so many bytes of it were.
    var outputBytes: UnsafeRawBufferPointer { preconditionFailure("overridden") }
    func outputTaken(_ count: Int) { preconditionFailure("overridden") }

    /// Puts the connection's last words into the output, where the version has some.
    func sayFarewell(_ code: ErrorCode?) {}
    /// Whether the peer has shown that it may answer for another origin than the connection's own.
    func mayServe(_ origin: Origin) -> Bool { false }
    /// Whether any of a request may have reached the peer.
    func mayHaveLeft(_ stream: StreamState) -> Bool { preconditionFailure("overridden") }
    /// The connection is over: fails what is under way.
    func failOpenStreams(_ error: (StreamState) -> H2Error) { preconditionFailure("overridden") }
    /// The connection is over, and everybody knows: stops what else there is.
    func didDie(_ error: H2Error) {}
    /// Frees what the session holds besides facts. Nothing of it is at work.
    func releaseSession() { preconditionFailure("overridden") }
    func snapshot() -> ConnectionSnapshot { preconditionFailure("overridden") }
    /// Fields of responses are counted and not kept, and times are precise: for a `DirectConnection`.
    func countsOnly() { readsClock = true }
    func figures() -> DirectFigures {
        var figures = DirectFigures()
        figures.sendBlocked = writeBlockedTime + (isWriteBlocked ? loop.now &- writeBlockedAt : 0)
        (figures.received, figures.sent) = wire.traffic
        return figures
    }

    // MARK: - Begin

    /// Attaches the wire. From here until the close, the loop's poller keeps the connection alive.
    func activate() {
        wire.attach(to: loop, handler: self)
        markDirty()
        // Bytes that came with the handshake may wait above the descriptor already.
        if wire.hasBufferedInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    final func markDirty() {
        guard !isMarkedDirty else { return }
        isMarkedDirty = true
        loop.markDirty(self)
    }

    // MARK: - Requests

    /// Begins the exchange's request, queues it, or fails it.
    final func start(_ exchange: Exchange, _ request: HTTPRequest) {
        guard !exchange.isOver else { return exchange.progressed() }
        switch state {
        case .active: break
        case .retiring(let error):
            guard exchange.lease != 0 else { return exchange.fail(error) }
        case .draining(let error): return exchange.fail(error)
        case .closed(let cause):
            var error = cause
            // Whatever ended the connection, this request had not begun.
            error.scope = .stream(0)
            error.isRetryable = true
            return exchange.fail(error)
        }
        if waitingCount == 0 && hasFreeSlot {
            if exchange.open(request) {
                markDirty()
                if watchTimer == nil { startWatchTimer() }
            }
            return
        }
        guard waitingCount < configuration.limits.waitingRequests else {
            return exchange.fail(
                H2Error(
                    .limitExceeded, message: "\(waitingCount) requests wait on this connection already",
                    remedy: "send fewer at once, or raise Configuration.Limits.waitingRequests", isRetryable: true))
        }
        queue.append(exchange)
        waitingCount += 1
        exchange.waitForSlot(request)
    }

    // MARK: - Identifiers

    /// Takes the connection out of service well before its identifiers run out: the rest is for those requests that have been
    /// given a place on it.
    @inline(__always)
    final func noteIdentifier(of stream: StreamState, isCounted: Bool) {
        if stream.id >= lastIdentifier { usedUp(isCounted: isCounted) }
    }

    @inline(never)
    private final func usedUp(isCounted: Bool) {
        guard case .active = state else { return }
        isUsedUp = true
        let why = "its stream identifiers are used up"
        if isCounted { retire(because: why) } else { drain(Self.draining(why)) }
    }

    /// A request could not begin. Where the connection takes none at all, nobody must be given it again.
    final func refused(_ error: H2Error) {
        guard error.code == .connectionDraining else { return }
        switch state {
        case .draining, .closed: return
        case .active, .retiring: isUsedUp = true
        }
        drain(error)
        markDirty()
    }

    /// A waiting exchange gave up. Where no slot comes free, those who gave up must not pile up behind it.
    final func leftQueue() {
        waitingCount -= 1
        let kept = queue.count - queueHead
        guard kept > 2 * waitingCount + 64 else { return }
        queue = queue[queueHead...].filter { $0.map { !$0.isOver } ?? false }
        queueHead = 0
    }

    /// A request is over, and its place is free.
    final func slotFreed() {
        // In the connection's end all slots become free, and nothing may be opened any more.
        if case .closed = state { return }
        if waitingCount > 0 { startWaiting() }
        if case .draining = state, openStreamCount == 0 && waitingCount == 0 { markDirty() }
    }

    /// Calls `body` when the connection has ended and all that was on it has been told.
    final func whenDead(_ body: @escaping () -> Void) { deathWaiters.append(body) }

    private final func startWatchTimer() {
        watchTimer = loop.schedule(after: Self.watchAfter) { self.watch() }
    }

    /// Has those who have waited for long watch for their cancellation, and looks again while younger ones wait.
    private final func watch() {
        watchTimer = nil
        let now = loop.now
        var hasYounger = false
        forEachOpenStream { stream in
            guard let exchange = stream as? Exchange else { return }
            // `calledAt` of another thread's call may be later than this turn's beginning.
            if now >= exchange.calledAt &+ Self.watchAfter {
                exchange.watchForCancellation()
            } else {
                hasYounger = true
            }
        }
        if hasYounger { startWatchTimer() }
    }

    final func startWaiting() {
        while waitingCount > 0 && hasFreeSlot, let next = popQueue() {
            guard !next.isOver else { continue }
            waitingCount -= 1
            if next.openAfterWaiting() { markDirty() }
        }
    }

    private final func popQueue() -> Exchange? {
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

    final func failWaiting(_ error: (Exchange) -> H2Error) {
        while let next = popQueue() {
            if !next.isOver { next.fail(error(next)) }
        }
    }

    // MARK: - Bytes in

    final func ready(readable: Bool, writable: Bool) {
        if case .closed = state { return }
        if writable && isWriteBlocked { unblockWriting() }
        if readable { readMore() }
    }

    final func unwatched(_ error: H2Error) {
        let why = error.initiator == .user ? "its event loop was shut down" : error.message
        die(
            H2Error(
                .connectionClosed, scope: .connection, initiator: error.initiator, cause: error.cause,
                message: "the connection was closed: \(why)", remedy: error.remedy),
            saying: .noError)
    }

    /// Reads; and where the peer takes nothing any more, ends the connection once all that it said is read. A reader who is
    /// behind keeps it until then.
    private final func readMore() {
        let isAllRead = readInput()
        guard let writeFailure else { return }
        if isAllRead { return ended(writeFailure) }
        if wantsInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    /// True where all that was there has been read.
    @discardableResult
    final func readInput() -> Bool {
        var share = Self.fairShare
        while share > 0 && wantsInput {
            switch wire.read(into: loop.readBuffer) {
            case .bytes(let count):
                share -= count
                if readsClock { loop.readClock() }
                lastInputAt = loop.now
                guard digest(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])) else { return true }
                // Level-triggered readiness brings us back for what the descriptor still holds.
                if !wire.hasBufferedInput {
                    finishReading()
                    return false
                }
            case .wouldBlock:
                finishReading()
                return true
            case .end:
                ended(nil)
                return true
            case .failed:
                ended(wire.failure)
                return true
            }
        }
        finishReading()
        // Bytes above the descriptor are not told by readiness: come back by ourselves, after the others.
        if wantsInput { loop.execute { self.ready(readable: true, writable: false) } }
        return false
    }

    // MARK: - Bytes out

    final func flush() {
        isMarkedDirty = false
        if case .closed = state { return }
        guard !isWriteBlocked, writeFailure == nil else { return }
        var share = Self.fairShare
        while true {
            if let violation = fillOutput() { return die(violation, saying: nil) }
            let bytes = outputBytes
            guard !bytes.isEmpty else { break }
            switch wire.write(bytes) {
            case .bytes(let count):
                outputTaken(count)
                if !unwritten.isEmpty { tellWritten() }
                share -= count
                if share <= 0 { return markDirty() }
            case .wouldBlock: return blockWriting()
            case .end, .failed:
                // What the peer said before it left may explain why. Its end comes behind it.
                writeFailure = wire.failure
                return readMore()
            }
        }
        if case .draining = state, openStreamCount == 0, waitingCount == 0 { finishDraining() }
    }

    /// Calls the exchange's `wasWritten` when what is in the output has been written.
    final func tellWhenWritten(_ exchange: Exchange) {
        unwritten.append(exchange)
    }

    private final func tellWritten() {
        guard outputBytes.isEmpty else { return }
        // What began during this flush has not come into the output yet.
        let written = unwritten
        unwritten = written.filter { $0.sentAt == 0 && !$0.isOver }
        for exchange in written where exchange.sentAt != 0 { exchange.wasWritten() }
    }

    private final func blockWriting() {
        isWriteBlocked = true
        writeBlockedAt = loop.now
        wire.watch(readable: wantsInput, writable: true)
        startStallTimer()
    }

    /// Where a reader has come back: a server that could not write its answer had no reason to read either.
    final func restartStallTimer() {
        guard let stallTimer else { return }
        loop.cancel(stallTimer)
        startStallTimer()
    }

    private final func startStallTimer() {
        let limit = configuration.timeouts.writeStall.clampedNanoseconds
        guard limit > Self.stallNotice, !isStalled else { return endIfStalled(after: limit) }
        stallTimer = loop.schedule(after: Self.stallNotice) {
            self.isStalled = true
            self.owner?.stalled(self, true)
            self.endIfStalled(after: limit - Self.stallNotice)
        }
    }

    private final func endIfStalled(after nanoseconds: UInt64) {
        let limit = configuration.timeouts.writeStall
        stallTimer = loop.schedule(after: nanoseconds) {
            // A paused reader is ours: look again later, also where the limit is 0.
            guard self.wantsInput else { return self.endIfStalled(after: max(nanoseconds, Self.stallNotice)) }
            self.die(
                H2Error(
                    .timeout, scope: .connection, initiator: .remote, cause: .timeout(.writeStall, after: limit),
                    message: "the server took no byte for \(limit)", remedy: "it may be dead: connect anew"),
                saying: nil)
        }
    }

    private final func unblockWriting() {
        isWriteBlocked = false
        writeBlockedTime += loop.now - writeBlockedAt
        if let stallTimer { loop.cancel(stallTimer) }
        stallTimer = nil
        if isStalled {
            isStalled = false
            owner?.stalled(self, false)
        }
        wire.watch(readable: wantsInput, writable: false)
        markDirty()
    }

    // MARK: - The end

    /// Takes no new requests, and closes when the accepted ones are done. `completion` is called at the end.
    final func close(because why: String = "it is being closed", completion: @escaping () -> Void) {
        if case .closed = state { return completion() }
        closeWaiters.append(completion)
        drain(Self.draining(why))
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

    final func closeNow(because why: String = "the connection was closed by its user") {
        die(
            H2Error(.connectionClosed, scope: .connection, initiator: .user, message: why),
            saying: .noError)
    }

    /// Its client was shut down, and what is under way has had its time.
    final func abort() {
        die(
            H2Error(
                .clientShutDown, scope: .connection, initiator: .user, message: "its client was shut down",
                remedy:
                    "read responses before their client is shut down, or soon after; shutdown(deadline:) may allow more time"
            ),
            saying: .noError)
    }

    /// Whether any request is under way or waits. One that was given up is over, even if the peer has not been told yet.
    final var isServing: Bool {
        var isServing = waitingCount > 0
        forEachOpenStream { if !$0.isOver { isServing = true } }
        return isServing
    }

    /// Nobody has the connection any more: what is under way finishes as after `close()`, and nobody waits for it unless
    /// that is nothing. `completion` is called at the end then, and else at once.
    final func letGo(completion: @escaping () -> Void = {}) {
        let isServing = isServing
        close(because: "nobody has it any more", completion: isServing ? {} : completion)
        if isServing { completion() }
    }

    static func draining(_ why: String) -> H2Error {
        H2Error(
            .connectionDraining, scope: .connection, message: "the connection takes no new requests: \(why)",
            remedy: "send it on a new connection", isRetryable: true)
    }

    /// Its owner gives it no more requests.
    final func retire(because why: String) {
        guard case .active = state else { return }
        let error = Self.draining(why)
        state = .retiring(error)
        drainingFlag.store(true, ordering: .relaxed)
        owner?.draining(self, why: error, answers: nil)
    }

    /// From now on new requests get this error. Does nothing to a connection that drains already.
    final func drain(_ error: H2Error, answers: Int? = nil) {
        switch state {
        case .active, .retiring: break
        case .draining, .closed: return
        }
        state = .draining(error)
        drainingFlag.store(true, ordering: .relaxed)
        owner?.draining(self, why: error, answers: answers)
    }

    private final func finishDraining() {
        die(
            H2Error(
                .connectionClosed, scope: .connection, message: "the connection was closed",
                remedy: "send it on a new connection", isRetryable: true),
            saying: .noError)
    }

    /// Ends everything: says its last words, closes the wire, fails what is under way.
    final func die(_ error: H2Error, saying code: ErrorCode?) {
        if case .closed = state { return }
        state = .closed(error)
        drainingFlag.store(true, ordering: .relaxed)
        for timer in [drainTimer, watchTimer, stallTimer] {
            if let timer { loop.cancel(timer) }
        }
        (drainTimer, watchTimer, stallTimer) = (nil, nil, nil)
        unwritten = []
        // First of all: whoever is told below may ask the owner for another connection, and must not get this one.
        owner?.closed(self, why: error)
        sendLastBytes(code)
        wire.close()
        failOpenStreams { stream in lost(stream, error) }
        failWaiting { lost($0, error) }
        didDie(error)
        let waiters = closeWaiters + deathWaiters
        (closeWaiters, deathWaiters) = ([], [])
        for waiter in waiters { waiter() }
        // The owner stays: what it counted against the connection and has not begun yet will be given back. It lets go by
        // itself (`disown`).
        streamLimitWatcher = nil
        // Not from here, which may be in the middle of a call of the session's or the wire's.
        loop.execute { self.release() }
    }

    /// A kept response keeps this object, for however long. All that is large goes.
    private final func release() {
        queue = []
        queueHead = 0
        releaseSession()
        wire.release()
    }

    /// Nothing that its owner counts is left on it, nor will be. On the loop.
    final func disown() { owner = nil }

    /// Whatever goes out without waiting: GOAWAY, mostly.
    private final func sendLastBytes(_ code: ErrorCode?) {
        sayFarewell(code)
        guard wire.failure == nil else { return }
        _ = fillOutput()
        while case let bytes = outputBytes, !bytes.isEmpty {
            guard case .bytes(let count) = wire.write(bytes) else { return }
            outputTaken(count)
        }
    }

    /// What a stream's requester is told when its connection is gone.
    private final func lost(_ stream: StreamState, _ cause: H2Error) -> H2Error {
        var error = cause
        error.scope = .stream(stream.id)
        if mayHaveLeft(stream) {
            error.isRetryable = false
            error.message = "\(stream.title) was cut off: \(cause.message)"
        } else {
            error.isRetryable = true
            if error.code == .connectionClosed { error.code = .notProcessed }
            error.message = "the request was not sent: \(cause.message)"
        }
        return error
    }
}
