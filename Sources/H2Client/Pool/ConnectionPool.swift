import HTTPTypes
import Synchronization

extension Connection {
    /// Its key in the pool.
    var key: ConnectionKey { ConnectionKey(packed: ownerKey) }
}

extension Exchange {
    /// The origin of the request.
    var origin: OriginKey { OriginKey(packed: lease) }
}

/// The connections of a client: runs what `PoolState` decides.
///
/// One lock protects the state and everything recorded beside it, so a lease needs no thread hop. Calls are posted to loops
/// under the lock, in the order of the decisions. Tasks are resumed and observers notified after unlocking (`Due`): a task's
/// cancellation handlers run under a lock of the Swift runtime that resuming the task also needs, and a task's executor may run
/// it in place, which reenters the pool.
///
/// Invariant behind `@unchecked Sendable` and `@exclusivity(unchecked)`: all mutable state except atomics is accessed under
/// `lock`.
final class ConnectionPool: ConnectionOwner, @unchecked Sendable {
    /// An origin and its key, kept as long as the state remembers it.
    final class OriginEntry: Sendable {
        let origin: Origin
        let key: OriginKey
        /// As written in requests.
        let scheme: String
        let authority: String

        init(origin: Origin, key: OriginKey, scheme: String, authority: String) {
            self.origin = origin
            self.key = key
            self.scheme = scheme
            self.authority = authority
        }
    }

    /// The object behind a connection key.
    enum Member {
        case none
        case dialing(PoolDial)
        case open(Connection)
    }

    typealias Outcome = Result<Connection, any Error>

    /// A place in the queue. The state reuses its slot as soon as the outcome is decided; the waiting task may read the outcome
    /// later, from here.
    ///
    /// Invariant behind `@unchecked Sendable`: accessed under the pool's lock.
    final class Ticket: @unchecked Sendable {
        enum Progress {
            case undecided
            /// Decided before the task suspended.
            case decided(Outcome)
            case suspended(UnsafeContinuation<Outcome, Never>)
            case over
        }

        let waiter: WaiterKey
        @exclusivity(unchecked) var progress = Progress.undecided
        /// Whether its connection had served a request before. Set together with the outcome, read after the wait.
        @exclusivity(unchecked) var isReused = false
        let origin: OriginKey
        /// When the wait began.
        let since: UInt64

        init(_ waiter: WaiterKey, _ origin: OriginKey, since: UInt64) {
            self.waiter = waiter
            self.origin = origin
            self.since = since
        }

        /// Records the outcome for the task that waits or is about to. Returns false if there already is one.
        func decide(_ outcome: Outcome, into due: inout Due) -> Bool {
            switch progress {
            case .undecided: progress = .decided(outcome)
            case .suspended(let continuation):
                progress = .over
                due.add(.ticket(self, continuation, outcome))
            case .decided, .over: return false
            }
            return true
        }
    }

    /// Tasks to resume after unlocking. Usually there is none, sometimes one; neither allocates.
    struct Due {
        enum Resumption {
            case ticket(Ticket, UnsafeContinuation<Outcome, Never>, Outcome)
            case drained(UnsafeContinuation<Void, Never>)
        }

        private var first: Resumption?
        private var others: [Resumption] = []

        var isEmpty: Bool {
            @inline(__always) get { first == nil }
        }

        mutating func add(_ resumption: Resumption) {
            if first == nil { first = resumption } else { others.append(resumption) }
        }

        /// Must not be called under a lock.
        func resume() {
            if let first { Self.resume(first) }
            for other in others { Self.resume(other) }
        }

        private static func resume(_ resumption: Resumption) {
            switch resumption {
            case .ticket(let ticket, let continuation, let outcome):
                Handover.give(ticket)
                continuation.resume(returning: outcome)
            case .drained(let continuation): continuation.resume()
            }
        }
    }

    /// The result for a request: a connection, possibly reused, or a place in the queue.
    enum Checkout {
        case use(Connection, OriginEntry, isReused: Bool)
        case wait(Ticket, OriginEntry)
    }

    let configuration: HTTPClient.Configuration
    /// The configuration's options for each request, without the limits that connections check now and then.
    let requestOptions: RequestOptions
    let defaultLimits: DefaultLimits?
    /// Why no request can be sent.
    let configurationError: H2Error?
    /// Loops created for this client and shut down with it.
    private let ownLoops: [H2EventLoop]
    /// Whether no response status causes a retry.
    let takesAllAnswers: Bool
    /// nil means sockets.
    let network: (any SimulatedNetwork)?
    let clock: H2EventLoop
    private let isClockLoop: LoopIdentity

    let lock = PthreadLock()
    @exclusivity(unchecked) var state: PoolState
    /// Filled under the lock, and taken before unlocking.
    @exclusivity(unchecked) var due = Due()
    @exclusivity(unchecked) var members: [Member] = []
    /// Indexed by the waiter's slot, until its outcome is decided.
    @exclusivity(unchecked) var waiting: [Ticket?] = []
    @exclusivity(unchecked) var originsBySlot: [OriginEntry?] = []
    /// By name as `Origin` writes it: one entry for each origin that the state remembers.
    @exclusivity(unchecked) private(set) var originsByName: [String: OriginEntry] = [:]
    /// Other spellings of those names seen in requests. All are dropped when there are too many.
    @exclusivity(unchecked) private(set) var spellings: [String: OriginEntry] = [:]
    @exclusivity(unchecked) private var lastOrigin: OriginEntry?
    @exclusivity(unchecked) var nextLoop = 0
    @exclusivity(unchecked) private var drainWaiters: [UnsafeContinuation<Void, Never>] = []
    @exclusivity(unchecked) var retryBudget: RetryBudget
    @exclusivity(unchecked) private var alarm: LoopAlarm?
    /// The next look for unread responses, scheduled while requests wait.
    @exclusivity(unchecked) var unreadAlarm: LoopAlarm?
    /// The last look's findings by origin (`OriginKey.packed`), those of the current look, and the number of connections that
    /// have not answered it yet.
    @exclusivity(unchecked) var unread: [UInt64: UnreadResponses] = [:]
    @exclusivity(unchecked) var unreadFound: [UInt64: UnreadResponses] = [:]
    @exclusivity(unchecked) var unreadAnswers = 0
    /// Ends of the grace periods since shutdown began.
    @exclusivity(unchecked) private var graceAlarms: [LoopAlarm?] = []
    /// Figures of closed connections, and those the state does not count.
    @exclusivity(unchecked) var figures = Figures()
    @exclusivity(unchecked) var observers: [Int: AsyncStream<HTTPClient.Event>.Continuation] = [:]
    /// Whether the last event was sent: a new observer gets none.
    @exclusivity(unchecked) var hasEndedEvents = false
    @exclusivity(unchecked) var lastObserver = 0
    private let observedFlag = Atomic<Bool>(false)
    private let lastRequest = Atomic<Int>(0)
    /// One context for all connections of the client.
    let tls: TLSContextSource
    /// nil if no request can need a proxy.
    let proxies: Proxies?
    /// For origins that have TLS options of their own.
    let originTLS: [Origin: TLSContextSource]
    /// The error of the failed dial that is being reported to the state.
    @exclusivity(unchecked) var dialError: H2Error?

    /// Limit on remembered spellings of origin names, besides `Origin`'s own.
    static let rememberedSpellings = 1_000

    /// Figures counted beside the state.
    struct Figures {
        var bytesSent = 0
        var bytesReceived = 0
        var handshakes = 0
        var handshakesResumed = 0
        var secureRequests = 0
        var retries = 0
    }

    init(_ configuration: HTTPClient.Configuration, network: (any SimulatedNetwork)? = nil) {
        var configuration = configuration
        ownLoops = configuration.makeOwnLoops()
        self.configuration = configuration
        var requestOptions = configuration.requestOptions
        defaultLimits = DefaultLimits(takenFrom: &requestOptions)
        self.requestOptions = requestOptions
        self.network = network
        do throws(H2Error) {
            try configuration.validate()
            configurationError = nil
        } catch {
            configurationError = error
            // For a pool that fails every request.
            configuration = HTTPClient.Configuration()
        }
        tls = TLSContextSource(configuration.connection.tls)
        proxies = Proxies(configuration)
        originTLS = configuration.originTLS.mapValues { TLSContextSource($0) }
        clock = configuration.eventLoops[0]
        isClockLoop = clock.identity
        takesAllAnswers =
            configuration.retry.statuses.isEmpty && !configuration.pool.coalesces
        var generator: any RandomNumberGenerator = network?.generator ?? SystemRandomNumberGenerator()
        state = PoolState(
            versions: configuration.versions, pool: configuration.pool, loadLimits: configuration.loadLimits,
            seed: generator.next())
        retryBudget = RetryBudget(configuration.retry, now: configuration.eventLoops[0].preciseNow)
        if configurationError != nil {
            state.now = clock.preciseNow
            state.shutdownNow()
            state.actions = []
            hasEndedEvents = true
        }
    }

    /// Monotonic nanoseconds, read once per turn on the loop's own thread.
    var now: UInt64 { isClockLoop.isCurrent ? clock.now : clock.preciseNow }

    /// Whether anyone is listening for events.
    var isObserved: Bool {
        @inline(__always) get { observedFlag.load(ordering: .relaxed) }
        set { observedFlag.store(newValue, ordering: .relaxed) }
    }

    /// The number of the next request.
    func nextRequestNumber() -> Int { lastRequest.add(1, ordering: .relaxed).newValue }

    // MARK: - Origins

    /// The origin of a request. Under the lock.
    private func entry(for request: HTTPRequest) throws(H2Error) -> OriginEntry {
        guard let scheme = request.scheme, let authority = request.authority else {
            throw H2Error(
                .invalidRequest, initiator: .user, message: "the request does not say where to send it",
                remedy: "give it a scheme and an authority, or make it with RequestTarget.request()")
        }
        // Most requests go to the same origin as the one before, and comparing is much cheaper than hashing.
        if let lastOrigin, lastOrigin.authority == authority, lastOrigin.scheme == scheme { return lastOrigin }
        let name = "\(scheme)://\(authority)"
        if let known = originsByName[name] ?? spellings[name], originsBySlot[known.key.slot]?.key == known.key {
            lastOrigin = known
            return known
        }
        let origin = try Origin(name)
        // The same for every spelling: `HTTPS://Example.com:443` is `https://example.com`.
        let canonical = entry(for: origin)
        guard canonical.scheme != scheme || canonical.authority != authority else {
            lastOrigin = canonical
            return canonical
        }
        let entry = OriginEntry(origin: origin, key: canonical.key, scheme: scheme, authority: authority)
        if spellings.count >= Self.rememberedSpellings { spellings.removeAll(keepingCapacity: true) }
        spellings[name] = entry
        lastOrigin = entry
        return entry
    }

    /// Called under the lock.
    func entry(for origin: Origin) -> OriginEntry {
        let name = origin.description
        if let known = originsByName[name], originsBySlot[known.key.slot]?.key == known.key { return known }
        let key = state.addOrigin(isSecure: origin.scheme == .https)
        let entry = OriginEntry(
            origin: origin, key: key, scheme: origin.scheme.rawValue, authority: origin.authority)
        while originsBySlot.count <= key.slot { originsBySlot.append(nil) }
        originsBySlot[key.slot] = entry
        originsByName[name] = entry
        if let oldest = state.forgettableOrigin { forget(oldest) }
        return entry
    }

    /// Called under the lock.
    private func forget(_ key: OriginKey) {
        if let entry = originsBySlot[key.slot] { originsByName[entry.origin.description] = nil }
        originsBySlot[key.slot] = nil
        state.removeOrigin(key)
        if lastOrigin?.key == key { lastOrigin = nil }
    }

    // MARK: - Leases

    /// A connection for a request, or a place in the queue.
    /// - Throws: `H2Error`: `invalidURL`, `invalidRequest`, `limitExceeded`, `clientShutDown`.
    func lease(
        for request: HTTPRequest, to origin: Origin?, kind: LeaseKind = [], now: UInt64
    ) throws(H2Error) -> Checkout {
        try locked { () throws(H2Error) in
            let entry = if let origin { entry(for: origin) } else { try entry(for: request) }
            return try lease(entry, kind, now)
        }
    }

    /// Called under the lock.
    func lease(_ entry: OriginEntry, _ kind: LeaseKind, _ now: UInt64) throws(H2Error) -> Checkout {
        if kind.isEmpty { retryBudget.sent(now: now) }
        state.advance(to: now)
        let result = state.lease(entry.key, kind: kind)
        var ticket: Ticket?
        if case .wait(let waiter) = result {
            ticket = Ticket(waiter, entry.key, since: now)
            watchUnread()
            while waiting.count <= waiter.slot { waiting.append(nil) }
            waiting[waiter.slot] = ticket
        }
        if !state.actions.isEmpty { perform() }
        if let ticket { return .wait(ticket, entry) }
        switch result {
        case .use(let key):
            guard case .open(let connection) = members[key.slot] else {
                preconditionFailure("the state leases what is open")
            }
            if entry.origin.scheme == .https { figures.secureRequests += 1 }
            return .use(connection, entry, isReused: noteGiven(connection))
        case .wait: preconditionFailure("who waits has a ticket")
        case .fail(let failure): throw error(failure)
        }
    }

    /// Marks a connection as given to a request. Returns whether it had served one before. Called under the lock.
    @inline(__always)
    private func noteGiven(_ connection: Connection) -> Bool {
        defer { connection.wasGiven = true }
        return connection.wasGiven
    }

    /// Creates an exchange on a leased connection. The lease is returned when the exchange ends.
    /// - Throws: `H2Error` (`localIO`) if the body's file cannot be opened.
    func exchange(
        on connection: Connection, _ entry: OriginEntry, _ body: HTTPRequestBody, _ options: RequestOptions,
        calledAt: UInt64
    ) throws -> Exchange {
        do {
            let exchange = try Exchange(connection: connection, body: body, options: options, calledAt: calledAt)
            exchange.lease = entry.key.packed
            return exchange
        } catch {
            released(connection, entry.key, mayReuse: true)
            throw error
        }
    }

    private func released(_ connection: Connection, _ origin: OriginKey, mayReuse: Bool) {
        let lease = Lease(connection: connection.key, origin: origin)
        change { $0.released(lease, mayReuse: mayReuse) }
    }

    // MARK: - Connection events, on their loops

    func released(_ connection: Connection, _ exchange: Exchange) {
        if configuration.loadLimits.adaptive != nil { learn(from: exchange) }
        released(connection, exchange.origin, mayReuse: true)
        tell(
            .attemptFinished(exchange.outcome), origin: origin(of: exchange), connection: exchange.connectionID,
            request: exchange.requestID)
        if connection.isDraining { letGoIfForgotten(connection) }
    }

    /// A closed connection without counted requests needs no owner: keeping one of its responses must not keep the whole client
    /// alive. Called on its loop.
    func letGoIfForgotten(_ connection: Connection) {
        let isForgotten = lock.withLock { !state.remembers(connection.key) }
        if isForgotten { connection.disown() }
    }

    func streamLimitChanged(_ connection: Connection, to limit: Int) {
        change { $0.streamLimitChanged(connection.key, to: limit) }
    }

    func doubted(_ connection: Connection) { change { $0.doubted(connection.key) } }
    func trusted(_ connection: Connection) { change { $0.trusted(connection.key) } }
    func draining(_ connection: Connection, why: H2Error, answers: Int?) {
        tell(.connectionDraining(reason: why.message), origin: connection.info.origin, connection: connection.info.id)
        let reason = connection.isUsedUp ? CloseReason.identifiersUsed : .serverSaid
        change { $0.draining(connection.key, served: answers, because: reason) }
    }

    func stalled(_ connection: Connection, _ isStalled: Bool) {
        change { $0.stalled(connection.key, isStalled) }
    }

    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?) {
        // A request sent at the last moment would cross the server's close, so leave a margin of a tenth of the time, at least
        // half a second.
        let margin = UInt64(500_000_000)
        change { state in
            let idleUntil = idle.map { idle in
                let time = idle.clampedNanoseconds
                return now &+ (time > 2 * margin ? time - max(margin, time / 10) : time / 2)
            }
            state.serverLimits(connection.key, requests: requests, idleUntil: idleUntil)
        }
    }

    func closed(_ connection: Connection, why: H2Error) {
        let snapshot = connection.snapshot()
        tell(
            .connectionClosed(reason: why.message, requests: connection.requests), origin: connection.info.origin,
            connection: connection.info.id)
        let key = connection.key
        change { state in
            figures.bytesSent += snapshot.bytesSent
            figures.bytesReceived += snapshot.bytesReceived
            members[key.slot] = .none
            state.closed(key)
        }
        // Only after it has reported the requests on it.
        connection.loop.execute { self.letGoIfForgotten(connection) }
    }

    /// Applies one event to the state and performs the resulting actions.
    @inline(__always)
    func change<R>(_ event: (inout PoolState) -> R) -> R {
        locked {
            state.advance(to: now)
            let result = event(&state)
            if !state.actions.isEmpty { perform() }
            return result
        }
    }

    /// Runs `body` under the lock and, after unlocking, resumes the tasks it decided on.
    @inline(__always)
    func locked<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        var due: Due?
        defer { if let due { due.resume() } }
        return try lock.withLock { () throws(E) in
            defer { if !self.due.isEmpty { due = takeDue() } }
            return try body()
        }
    }

    @inline(never)
    private func takeDue() -> Due {
        defer { due = Due() }
        return due
    }

    // MARK: - Actions of the state

    /// Performs the state's actions under the lock. It only posts to loops; tasks to resume are recorded in `due`.
    func perform() {
        // The loop body adds no actions.
        for action in state.actions {
            switch action {
            case .dial(let key, let origin, let offer, let reason): dial(key, origin, offer, reason)
            case .assign(let waiter, let key):
                guard case .open(let connection) = members[key.slot] else {
                    preconditionFailure("the state assigns what is open")
                }
                if connection.info.origin.scheme == .https { figures.secureRequests += 1 }
                waiting[waiter.slot]?.isReused = noteGiven(connection)
                decide(waiter, .success(connection))
            case .fail(let waiter, let failure): decide(waiter, .failure(error(failure)))
            case .close(let key, let reason):
                guard case .open(let connection) = members[key.slot] else { continue }
                connection.loop.execute { connection.closeNow(because: reason.sentence) }
            case .abort(let key, _):
                guard case .open(let connection) = members[key.slot] else { continue }
                connection.loop.execute { connection.abort() }
            case .drain(let key, let reason):
                // Not `close`: that has a time limit and rejects requests that were assigned but have not begun.
                guard case .open(let connection) = members[key.slot] else { continue }
                connection.loop.execute { connection.retire(because: reason.sentence) }
            case .cancelDial(let key, _):
                if case .dialing(let dial) = members[key.slot] { dial.loop.execute { dial.cancel() } }
            case .wakeAt(let time): wake(at: time)
            case .drained:
                for waiter in drainWaiters { due.add(.drained(waiter)) }
                drainWaiters = []
                for alarm in graceAlarms + [alarm, unreadAlarm] { alarm?.stop() }
                (graceAlarms, alarm, unreadAlarm) = ([], nil, nil)
                // Not from here: each loop reports back when it has ended.
                clock.execute {
                    self.proxies?.close()
                    self.endEvents()
                    for loop in self.ownLoops { loop.shutdown() }
                }
            }
        }
        state.actions.removeAll(keepingCapacity: true)
    }

    private func decide(_ waiter: WaiterKey, _ outcome: Outcome) {
        let isFirst = waiting[waiter.slot]?.decide(outcome, into: &due) ?? false
        precondition(isFirst, "a request that waits is decided once")
        waiting[waiter.slot] = nil
    }

    /// Resumes the ticket's task once there is an outcome, which may be there already.
    func suspend(_ ticket: Ticket, _ continuation: UnsafeContinuation<Outcome, Never>) {
        locked {
            if case .decided(let outcome) = ticket.progress {
                ticket.progress = .over
                due.add(.ticket(ticket, continuation, outcome))
            } else {
                ticket.progress = .suspended(continuation)
            }
        }
    }

    /// Fails a waiting request; an earlier outcome stands. Called on the clock's loop: a cancelling thread must not take the
    /// lock.
    func giveUp(_ ticket: Ticket, _ error: any Error) {
        change { state in
            guard ticket.decide(.failure(error), into: &due) else { return }
            waiting[ticket.waiter.slot] = nil
            _ = state.giveUp(ticket.waiter)
        }
    }

    private func wake(at time: UInt64) {
        alarm?.stop()
        let now = now
        // It retains the pool until it fires or everything has ended.
        alarm = LoopAlarm(clock, after: time > now ? time - now : 0) { self.ring(time) }
    }

    /// A loop measures from the start of its turn, so an alarm may fire slightly early, while the state's deadline is still
    /// pending.
    private func ring(_ time: UInt64) {
        if now < time {
            lock.withLock { wake(at: time) }
        } else {
            change { $0.tick() }
        }
    }

    // MARK: - The end

    func closeIdle() { change { $0.closeIdle() } }

    /// Grace period for requests in progress when the last reference to the client is gone.
    static let grace = Duration.seconds(30)

    /// Returns when all connections are closed. Without `waitsForRequests` it returns at once if requests are in progress; they
    /// continue until the end of the grace period either way.
    nonisolated(nonsending) func shutdown(gracePeriod: Duration, waitsForRequests: Bool = true) async {
        let connections = locked {
            beginShutdown(gracePeriod)
            return openConnections()
        }
        if !waitsForRequests {
            for connection in connections where await connection.loop.run({ connection.isServing }) { return }
        }
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            locked {
                if case .ended = state.life { return due.add(.drained(continuation)) }
                drainWaiters.append(continuation)
            }
        }
        for source in [tls] + originTLS.values { await source.saveSessions() }
    }

    /// Called under the lock.
    private func beginShutdown(_ gracePeriod: Duration) {
        if case .ended = state.life { return }
        graceAlarms.append(LoopAlarm(clock, after: gracePeriod.clampedNanoseconds) { self.shutdownNow() })
        state.advance(to: now)
        state.shutdown()
        perform()
    }

    /// Rejects new requests and gives those in progress the grace period, without waiting. Can be called anywhere, even under
    /// locks.
    func letGo() {
        clock.execute {
            self.locked { self.beginShutdown(Self.grace) }
        }
    }

    func shutdownNow() { change { $0.shutdownNow() } }
}
