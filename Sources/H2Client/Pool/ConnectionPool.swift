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
final class ConnectionPool: ConnectionOwner, LiveObject, @unchecked Sendable {
    /// An origin and its key, kept as long as the state remembers it.
    final class OriginEntry: Sendable {
        let origin: Origin
        let key: OriginKey
        /// As written in requests.
        let scheme: String
        let authority: String
        /// The proxy that forwards the requests, if this key stands for a proxy: connections to it serve many origins.
        let forwarder: HTTPClient.Proxy?

        init(
            origin: Origin, key: OriginKey, scheme: String, authority: String, forwarder: HTTPClient.Proxy? = nil
        ) {
            self.origin = origin
            self.key = key
            self.scheme = scheme
            self.authority = authority
            self.forwarder = forwarder
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
    /// The configuration's options for each request, without the limits that connections check periodically.
    let requestOptions: RequestOptions
    let defaultLimits: DefaultLimits?
    /// Why no request can be sent.
    let configurationError: H2Error?
    /// Loops created for this client and shut down with it.
    let ownLoops: [H2EventLoop]
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
    @exclusivity(unchecked) var originsByName: [String: OriginEntry] = [:]
    /// Other spellings of those names seen in requests, and origins whose requests a proxy forwards. All are dropped when there
    /// are too many.
    @exclusivity(unchecked) var spellings: [String: OriginEntry] = [:]
    /// The proxies that forward requests, as the origins to which their connections belong.
    @exclusivity(unchecked) var forwarders: [HTTPClient.Proxy: OriginEntry] = [:]
    @exclusivity(unchecked) var lastOrigin: OriginEntry?
    @exclusivity(unchecked) var nextLoop = 0
    @exclusivity(unchecked) var drainWaiters: [UnsafeContinuation<Void, Never>] = []
    @exclusivity(unchecked) var retryBudget: RetryBudget
    @exclusivity(unchecked) var hedgeLimits: HedgeLimits
    @exclusivity(unchecked) var alarm: LoopAlarm?
    /// The next look for unread responses, scheduled while requests wait.
    @exclusivity(unchecked) var unreadAlarm: LoopAlarm?
    /// The last look's findings by origin (`OriginKey.packed`), those of the current look, and the number of connections that
    /// have not answered it yet.
    @exclusivity(unchecked) var unread: [UInt64: UnreadResponses] = [:]
    @exclusivity(unchecked) var unreadFound: [UInt64: UnreadResponses] = [:]
    @exclusivity(unchecked) var unreadAnswers = 0
    /// Ends of the grace periods since shutdown began.
    @exclusivity(unchecked) var graceAlarms: [LoopAlarm?] = []
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
    /// For origins that have their own TLS options.
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
        var earlyDataAccepted = 0
        var earlyDataRejected = 0
        var secureRequests = 0
        var retries = 0
        var hedges = 0
        var hedgesWon = 0
        var hedgesRefused = 0
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
            && !configuration.sendsEarlyData
        var generator: any RandomNumberGenerator = network?.generator ?? SystemRandomNumberGenerator()
        state = PoolState(
            versions: configuration.versions, pool: configuration.pool, loadLimits: configuration.loadLimits,
            seed: generator.next())
        retryBudget = RetryBudget(configuration.retry, now: configuration.eventLoops[0].preciseNow)
        hedgeLimits = HedgeLimits(now: configuration.eventLoops[0].preciseNow)
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
        if case .wait(let waiter) = result { ticket = issueTicket(waiter, entry.key, since: now) }
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
    func noteGiven(_ connection: Connection) -> Bool {
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

    func released(_ connection: Connection, _ origin: OriginKey, mayReuse: Bool) {
        let lease = Lease(connection: connection.key, origin: origin)
        change { $0.released(lease, mayReuse: mayReuse) }
    }

    // MARK: - Changes of the state

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
}
