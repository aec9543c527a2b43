import HTTPTypes
import Synchronization

/// A connection on its loop: its wire, its request queue and its end. The protocol is the session's part.
///
/// Invariant behind `@unchecked Sendable`, and behind `@exclusivity(unchecked)`, since a check at each use would cost what it
/// protects: everything except constants and the two atomic flags belongs to the loop's thread; other threads use
/// `loop.execute` or `loop.run`.
package final class Connection: Flushable, ReadinessHandler, LiveObject, @unchecked Sendable {
    /// Transitions: early → active → retiring → draining → closed; any of them may be skipped.
    enum State {
        /// The handshake is not over: requests are sent as early data or wait for its end. See `EarlyHandshake`.
        case early
        case active
        /// Its owner closes it when all requests counted against it are over, including those that have not begun yet. Other
        /// requests get the error.
        case retiring(H2Error)
        /// No new requests; accepted ones finish. New requests get the error.
        case draining(H2Error)
        case closed(H2Error)
    }

    let loop: H2EventLoop
    let loopIdentity: LoopIdentity
    /// Facts that hold for the connection's lifetime; with early data, those known before the handshake.
    package let info: ConnectionInfo
    /// The handshake, if the connection performs it itself.
    let early: EarlyHandshake?
    let configuration: ConnectionConfiguration
    let wire: any Wire
    /// The HTTP version in use.
    package let version: HTTPProtocolVersion
    /// The protocol session, for either version.
    let session: any HTTPSession
    /// The session, for features of one version.
    let http1: HTTP1Session?
    let http2: HTTP2Session?
    /// `http2` for the hot path of each request: called without dynamic dispatch, and without the retain that using `http2`
    /// costs. Unretained: `http2` keeps it alive. nil if `session` is not `http2` itself.
    private let unretainedHTTP2: Unmanaged<HTTP2Session>?
    /// PING, SETTINGS and GOAWAY; nil over HTTP/1.1.
    @exclusivity(unchecked) private(set) var control: HTTP2Control?
    private let drainingFlag = Atomic<Bool>(false)
    private let servedFlag = Atomic<Bool>(false)
    /// Set once, before the first request. The owner releases a closed connection, so this is not a cycle.
    @exclusivity(unchecked) var owner: (any ConnectionOwner)?
    /// The owner's key for the connection.
    @exclusivity(unchecked) var ownerKey: UInt64 = 0
    /// Whether the owner has given it to a request. Accessed under the owner's lock.
    @exclusivity(unchecked) var wasGiven = false

    @exclusivity(unchecked) var state = State.active {
        didSet {
            switch state {
            case .early, .active: break
            case .retiring, .draining, .closed: drainingFlag.store(true, ordering: .relaxed)
            }
        }
    }
    /// Total number of requests begun.
    @exclusivity(unchecked) package private(set) var requests = 0
    /// Whether the peer has announced its stream limit.
    @exclusivity(unchecked) package var knowsStreamLimit: Bool
    /// Called when the peer's SETTINGS arrive, for measurements without an owner.
    @exclusivity(unchecked) package var streamLimitWatcher: (() -> Void)?
    /// Whether everyone was told that the session takes no further request.
    @exclusivity(unchecked) private var hasToldRefusal = false

    // Bytes: see `Connection+Bytes.swift`.
    @exclusivity(unchecked) var isMarkedDirty = false
    @exclusivity(unchecked) var isWriteBlocked = false
    /// Whether reading is paused until a reader has caught up.
    @exclusivity(unchecked) var isReadingPaused = false
    /// Why the peer accepts no more bytes. Its earlier input is still being read.
    @exclusivity(unchecked) var writeFailure: H2Error?
    @exclusivity(unchecked) var writeBlockedAt: UInt64 = 0
    @exclusivity(unchecked) var writeBlockedTime: UInt64 = 0
    /// When the last byte arrived, in the loop's time.
    @exclusivity(unchecked) package var lastInputAt: UInt64 = 0
    /// Whether the clock is read for each piece of input, rather than once per turn.
    @exclusivity(unchecked) var readsClock = false
    /// Requests whose last byte is in the output and that need to know when it is written.
    @exclusivity(unchecked) var unwritten: [Exchange] = []

    /// Requests waiting for a stream, in order. Cancelled ones stay here until their turn, or until there are many.
    @exclusivity(unchecked) private var queue: [Exchange?] = []
    @exclusivity(unchecked) private var queueHead = 0
    @exclusivity(unchecked) private(set) var waitingCount = 0

    // Timers hold the connection until they fire or the connection ends, which cancels them. Never use a weak reference: a
    // single one puts every retain of the object, several per request, on the runtime's slow path.
    @exclusivity(unchecked) var watchTimer: LoopTimer?
    /// The next check of `defaultLimits`.
    @exclusivity(unchecked) var limitTimer: LoopTimer?
    /// For requests that do not set their own limits. Set by the owner before the first request.
    @exclusivity(unchecked) var defaultLimits: DefaultLimits?
    @exclusivity(unchecked) var stallTimer: LoopTimer?
    /// Whether the owner was told that the peer accepts no bytes.
    @exclusivity(unchecked) var isStalled = false
    /// The request with this or a later identifier is the last, except for those that were already promised a slot.
    private let lastIdentifier: Int32
    /// Whether it takes no new requests because its identifiers are used up.
    @exclusivity(unchecked) package private(set) var isUsedUp = false
    @exclusivity(unchecked) var drainTimer: LoopTimer?
    @exclusivity(unchecked) var closeWaiters: [() -> Void] = []
    @exclusivity(unchecked) var deathWaiters: [() -> Void] = []

    /// Requests that take longer than this (nanoseconds) watch for their task's cancellation; see `Exchange.perform`.
    static let watchAfter: UInt64 = 50_000_000
    /// How long a peer may accept no bytes before the owner is told, so that requests use another connection: 1 s. A full
    /// socket is normal for shorter times.
    static let stallNotice: UInt64 = 1_000_000_000
    static let outputLimit = 32 << 10
    /// Bytes that one connection may read or write before the others of its loop get their turn.
    static let fairShare = 1 << 20

    init(
        _ version: HTTPProtocolVersion, over wire: any Wire, info: ConnectionInfo,
        configuration: ConnectionConfiguration, absoluteForm: AbsoluteForm? = nil, early: EarlyHandshake? = nil,
        loop: H2EventLoop
    ) {
        self.wire = wire
        self.info = info
        self.early = early
        self.configuration = configuration
        self.loop = loop
        loopIdentity = loop.identity
        lastIdentifier = configuration.limits.lastIdentifier
        self.version = version
        knowsStreamLimit = version == .http1
        switch version {
        case .http1:
            let session = HTTP1Session(
                origin: info.origin, configuration: configuration, absoluteForm: absoluteForm, now: loop.now)
            (self.session, http1, http2, unretainedHTTP2) = (session, session, nil, nil)
        case .http2:
            let session = HTTP2Session(
                origin: info.origin, configuration: configuration, connectionID: info.id, now: loop.now)
            if let absoluteForm, absoluteForm.hasFields {
                let forwarded = ForwardedHTTP2Session(session, absoluteForm)
                (self.session, http1, http2, unretainedHTTP2) = (forwarded, nil, session, nil)
            } else {
                // Unretained: see above.
                (self.session, http1, http2, unretainedHTTP2) = (session, nil, session, .passUnretained(session))
            }
            control = HTTP2Control(session, of: self)
            if configuration.notes.windowStalls {
                session.measureStalls(roundTrip: info.connect.clampedNanoseconds)
            }
        }
    }

    /// A connection that is never activated, around the session of a `CannedResponse`. Readers of the response use the process's
    /// loop.
    init(canned session: CannedSession, _ version: HTTPProtocolVersion, info: ConnectionInfo) {
        wire = CannedWire()
        self.info = info
        early = nil
        configuration = ConnectionConfiguration()
        loop = .shared
        loopIdentity = loop.identity
        lastIdentifier = configuration.limits.lastIdentifier
        self.version = version
        knowsStreamLimit = true
        (self.session, http1, http2, unretainedHTTP2) = (session, nil, nil, nil)
    }

    // MARK: - From any thread

    /// Whether it takes no new requests.
    package var isDraining: Bool { drainingFlag.load(ordering: .relaxed) }
    /// Whether a response head has arrived, or the server announced one.
    var hasServed: Bool {
        @inline(__always) get { servedFlag.load(ordering: .relaxed) }
    }

    /// Notes that a response head has arrived or will.
    @inline(__always)
    func noteAnswer() {
        if !hasServed { servedFlag.store(true, ordering: .relaxed) }
    }

    // MARK: - Facts

    /// Requests in progress.
    package var openStreamCount: Int { session.openStreamCount }
    /// Number of concurrent requests allowed, as far as is known.
    package var maxConcurrentStreams: Int { http2?.maxConcurrentStreams ?? 1 }
    /// Whether another request may begin.
    var hasFreeSlot: Bool {
        @inline(__always) get { unretainedHTTP2?._withUnsafeGuaranteedRef { $0.hasFreeSlot } ?? session.hasFreeSlot }
    }
    /// Whether more may be read now. Over HTTP/2 the connection's window keeps others going while one reader is slow.
    var wantsInput: Bool {
        @inline(__always) get { http1?.wantsInput ?? true }
    }

    /// The server's SETTINGS_MAX_CONCURRENT_STREAMS; nil while unknown, if there is no limit, and for HTTP/1.1.
    package var announcedStreamLimit: Int? {
        guard version == .http2, knowsStreamLimit else { return nil }
        let limit = maxConcurrentStreams
        return limit >= Int(Int32.max) ? nil : limit
    }

    /// The code of the peer's GOAWAY, if there was one.
    package var goAwayCode: H2Error.HTTP2Code? { http2?.goAway?.code }

    /// Whether the peer has proved that it may serve an origin other than the connection's own: RFC 9113 section 9.1.1, and RFC
    /// 8336 section 2.4 if the server sends ORIGIN.
    func mayServe(_ origin: Origin) -> Bool {
        guard let http2 else { return false }
        return wire.isCertificateValid(for: origin.host) && http2.originSet?.contains(origin) ?? true
    }

    func snapshot() -> ConnectionSnapshot {
        var snapshot = session.snapshot
        snapshot.state =
            switch state {
            case .early, .active: .active
            case .retiring, .draining: .draining
            case .closed: .closed
            }
        snapshot.waitingRequests = waitingCount
        snapshot.roundTripTime = control?.roundTripTime
        return snapshot
    }

    package var figures: DirectFigures {
        var figures = DirectFigures()
        let counts = session.counts
        figures.sendBlocked = writeBlockedTime + (isWriteBlocked ? loop.now &- writeBlockedAt : 0)
        (figures.received, figures.sent) = wire.traffic
        (figures.receivedHTTP, figures.sentHTTP) = (counts.bytesReceived, counts.bytesSent)
        (figures.headers, figures.headersDecoded) = (counts.headers, counts.headersDecoded)
        figures.stalls = counts.stalls
        return figures
    }

    /// Counts response fields without keeping them, and uses precise times: for a `DirectConnection`.
    func countsOnly() {
        readsClock = true
        session.countsOnly(roundTrip: info.connect.clampedNanoseconds)
    }

    // MARK: - Start

    /// Attaches the wire. From here until it is closed, the loop's poller keeps the connection alive.
    func activate() {
        if let early { return early.begin(self) }
        control?.begin()
        wire.attach(to: loop, handler: self)
        markDirty()
        // Bytes that came with the handshake may already be waiting above the descriptor.
        if wire.hasBufferedInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    func markDirty() {
        guard !isMarkedDirty else { return }
        isMarkedDirty = true
        loop.markDirty(self)
    }

    // MARK: - Requests

    /// Starts the exchange's request, queues it, or fails it.
    func start(_ exchange: Exchange, _ request: HTTPRequest) {
        guard !exchange.isOver else { return exchange.progressed() }
        switch state {
        case .active: break
        case .early: return startEarly(exchange, request)
        case .retiring(let error):
            guard exchange.lease != 0 else { return exchange.fail(error) }
            if isShakingHands { return startEarly(exchange, request) }
        case .draining(let error): return exchange.fail(error)
        case .closed(let cause):
            var error = cause
            // Whatever ended the connection, this request had not begun.
            error.scope = .stream(0)
            error.isRetryable = true
            return exchange.fail(error)
        }
        if waitingCount == 0 && hasFreeSlot {
            open(exchange, request)
            return
        }
        enqueue(exchange, request)
    }

    /// Begins a request that has a slot.
    @inline(__always)
    func open(_ exchange: Exchange, _ request: HTTPRequest) {
        guard exchange.open(request) else { return }
        markDirty()
        if watchTimer == nil { startWatchTimer() }
    }

    /// Makes a request wait for a slot, or fails it if too many wait.
    func enqueue(_ exchange: Exchange, _ request: HTTPRequest) {
        guard waitingCount < configuration.limits.waitingRequests else {
            return exchange.fail(
                H2Error(
                    .limitExceeded, message: "\(waitingCount) requests wait on this connection already",
                    remedy: "send fewer at once, or raise ConnectionConfiguration.Limits.waitingRequests",
                    isRetryable: true))
        }
        queue.append(exchange)
        waitingCount += 1
        exchange.waitForSlot(request)
    }

    /// Starts a request. Its body is `exchange.outgoing`.
    @inline(__always)
    func submit(_ exchange: Exchange, _ request: HTTPRequest, expectsContinue: Bool) throws(H2Error) {
        let priority = exchange.options.priority
        if let unretainedHTTP2 {
            try unretainedHTTP2._withUnsafeGuaranteedRef { http2 in
                Result { () throws(H2Error) in
                    try http2.submit(exchange, request, expectsContinue: expectsContinue, priority: priority)
                }
            }.get()
        } else {
            try session.submit(exchange, request, expectsContinue: expectsContinue, priority: priority)
        }
        began(exchange, isCounted: exchange.lease != 0)
    }

    /// Starts a request that was prepared for repeated sending. Its body is `stream.outgoing`.
    @inline(__always)
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) {
        if let http2 { try http2.submit(stream, request) } else { try session.submit(stream, request) }
        began(stream, isCounted: false)
    }

    /// Opens a tunnel (CONNECT), over HTTP/2.
    func open(_ stream: TunnelStream, _ request: HTTPRequest) throws(H2Error) {
        try session.submit(stream, request, expectsContinue: false, priority: nil)
        began(stream, isCounted: false)
    }

    @inline(__always)
    private func began(_ stream: StreamState, isCounted: Bool) {
        requests += 1
        if let control { control.requestBegan() } else { tellRefusal() }
        // The connection retires well before its identifiers run out: the rest is for requests that were already assigned to
        // it.
        if stream.id >= lastIdentifier { usedUp(isCounted: isCounted) }
    }

    /// Resets an unfinished request, or drops the unread part of a finished one.
    func reset(_ stream: StreamState) {
        session.giveUp(stream, isWriteUnderWay: isWriteBlocked)
        tellRefusal()
        // Not from within the exchange's current work.
        if session.failure != nil { loop.execute { _ = self.tellChanges() } }
    }

    /// A request was abandoned before its end, for a reason on our side.
    func gaveUp(_ exchange: Exchange) { control?.gaveUp(exchange) }

    /// The reader took all of the exchange's buffered body.
    @inline(__always)
    func consumed(_ exchange: Exchange) {
        if let unretainedHTTP2 {
            unretainedHTTP2._withUnsafeGuaranteedRef { $0.consumed(exchange) }
        } else {
            session.consumed(exchange)
        }
        if isReadingPaused { resumeReading() }
    }

    /// Whether the server may be unable to continue because our reader has not taken the response.
    func isReaderBehind(_ exchange: Exchange) -> Bool { http2?.isReaderBehind(exchange) ?? !wantsInput }

    /// More of the body is available for sending. Over HTTP/1.1 the flush checks for it.
    func resumeBody(_ exchange: Exchange) {
        http2?.resumeBody(exchange)
        markDirty()
    }

    // MARK: - Session events

    /// Handles what the session recorded. Returns false if the connection ended because of it.
    func tellChanges() -> Bool {
        if case .closed = state { return false }
        // The owner first: an exchange told below may ask for a connection and must not get this one.
        tellRefusal()
        session.tellTouched()
        if case .closed = state { return false }
        guard let failure = session.failure else { return true }
        end(failure, saying: nil)
        return false
    }

    /// Tells everyone, once, that the session takes no further request.
    func tellRefusal() {
        guard let http1, !hasToldRefusal, let why = http1.refusal else { return }
        hasToldRefusal = true
        drain(.draining(why))
        failWaiting { _ in
            var error = H2Error.draining(why)
            error.scope = .stream(0)
            return error
        }
    }

    /// The peer announced another stream limit, or confirmed the assumed one.
    func streamLimitAnnounced() {
        knowsStreamLimit = true
        startWaiting()
        streamLimitWatcher?()
    }

    // MARK: - Identifiers

    @inline(never)
    private func usedUp(isCounted: Bool) {
        switch state {
        case .early, .active: break
        case .retiring, .draining, .closed: return
        }
        isUsedUp = true
        let why = "its stream identifiers are used up"
        if isCounted { retire(because: why) } else { drain(.draining(why)) }
    }

    /// A request could not begin. If the connection takes none at all, it must not be leased again.
    func refused(_ error: H2Error) {
        guard error.code == .connectionDraining else { return }
        switch state {
        case .draining, .closed: return
        case .early, .active, .retiring: isUsedUp = true
        }
        drain(error)
        markDirty()
    }

    /// A waiting exchange was cancelled. If no slot becomes free, cancelled ones must not pile up behind it.
    func leftQueue() {
        waitingCount -= 1
        let kept = queue.count - queueHead
        guard kept > 2 * waitingCount + 64 else { return }
        queue = queue[queueHead...].filter { $0.map { !$0.isOver } ?? false }
        queueHead = 0
    }

    /// A request is over, and its slot is free.
    func slotFreed() {
        // When the connection ends all slots become free, but nothing may start any more.
        if case .closed = state { return }
        if waitingCount > 0 { startWaiting() }
        if case .draining = state, openStreamCount == 0 && waitingCount == 0 { markDirty() }
    }

    /// Calls `body` when the connection has ended and all its requests have been told.
    func whenDead(_ body: @escaping () -> Void) { deathWaiters.append(body) }

    private func startWatchTimer() {
        watchTimer = loop.schedule(after: Self.watchAfter) { self.watch() }
    }

    /// Makes long-waiting requests watch for their cancellation, and checks again while newer ones wait.
    private func watch() {
        watchTimer = nil
        let now = loop.now
        var hasYounger = false
        session.forEachOpenStream { stream in
            guard let exchange = stream as? Exchange else { return }
            // `calledAt` of a call on another thread may be later than the start of this turn.
            if now >= exchange.calledAt &+ Self.watchAfter {
                exchange.watchForCancellation()
            } else {
                hasYounger = true
            }
        }
        if hasYounger { startWatchTimer() }
        // A request that has ended by now needs no check of its limits.
        if limitTimer == nil, defaultLimits != nil { checkLimits() }
    }

    /// Checks the limits of all open requests, and again later as long as there are any.
    private func checkLimits() {
        limitTimer = nil
        guard let defaultLimits else { return }
        var open: [Exchange] = []
        session.forEachOpenStream { if let exchange = $0 as? Exchange { open.append(exchange) } }
        // Not while iterating over the session: a request that fails leaves it.
        for exchange in open { exchange.check(defaultLimits) }
        guard !open.isEmpty, case let period = defaultLimits.period else { return }
        if case .closed = state { return }
        limitTimer = loop.schedule(after: period) { self.checkLimits() }
    }

    func startWaiting() {
        if isShakingHands { return }
        while waitingCount > 0 && hasFreeSlot, let next = popQueue() {
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

    /// Forgets cancelled requests.
    func releaseQueue() { (queue, queueHead) = ([], 0) }

    func failWaiting(_ error: (Exchange) -> H2Error) {
        while let next = popQueue() {
            if !next.isOver { next.fail(error(next)) }
        }
    }
}
