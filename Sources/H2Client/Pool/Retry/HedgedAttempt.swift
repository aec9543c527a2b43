import HTTPTypes

/// One attempt of a request that may be sent as several copies, each on another connection.
///
/// Invariant behind `@unchecked Sendable`: all mutable state is accessed under `lock`.
final class HedgedAttempt: @unchecked Sendable {
    typealias Outcome = Result<StreamedResponse, any Error>

    let request: HTTPRequest
    let body: HTTPRequestBody
    let policy: HTTPClient.HedgingPolicy
    let first: Exchange
    private let lock = PthreadLock()
    private var race = HedgeRace()
    private var exchanges: [Exchange]
    private var outcomes: [Outcome?] = [nil]

    init(_ request: HTTPRequest, _ body: HTTPRequestBody, _ policy: HTTPClient.HedgingPolicy, first: Exchange) {
        self.request = request
        self.body = body
        self.policy = policy
        self.first = first
        exchanges = [first]
    }

    var isOver: Bool { lock.withLock { race.isOver } }
    var hedges: Int { lock.withLock { exchanges.count - 1 } }

    /// The connections that carry a copy; nil if no more copies may be sent.
    var connectionsToAvoid: [Connection]? {
        lock.withLock { race.maySend ? exchanges.map(\.connection) : nil }
    }

    /// Begins another copy. Returns its number; nil if it must not be sent on this connection, because another copy has
    /// taken that in the meantime, or not at all.
    func begin(_ exchange: Exchange) -> Int? {
        lock.withLock {
            guard !exchanges.contains(where: { $0.connection === exchange.connection }), let copy = race.begin() else {
                return nil
            }
            exchanges.append(exchange)
            outcomes.append(nil)
            return copy
        }
    }

    /// Ends a copy. If that decides the race, all others are given up.
    func end(_ copy: Int, _ ending: HedgeRace.Ending, _ outcome: Outcome, holdsBack: Bool) {
        let (losers, unwanted) = lock.withLock { () -> ([Exchange], [Outcome?]) in
            guard !race.isOver else { return ([], [outcome]) }
            if holdsBack { race.holdBack() }
            outcomes[copy] = outcome
            race.end(copy, ending)
            return takeLosers()
        }
        for loser in losers {
            loser.giveUp(
                H2Error(
                    .streamReset, initiator: .user, cause: .http2(.cancel, debugText: ""),
                    message: "another copy of the request was answered first"))
        }
        for case .success(let response)? in unwanted { response.exchange.discardBody() }
    }

    /// The caller was cancelled: its own copy is the one that counts.
    func cancel(_ error: any Error) {
        let (losers, unwanted) = lock.withLock { () -> ([Exchange], [Outcome?]) in
            guard !race.isOver else { return ([], []) }
            outcomes[0] = .failure(error)
            race.giveUp()
            return takeLosers()
        }
        for loser in losers { loser.giveUp(CancellationError()) }
        for case .success(let response)? in unwanted { response.exchange.discardBody() }
    }

    /// The copies still in progress after the end, and responses that nobody receives. Called under the lock.
    private func takeLosers() -> ([Exchange], [Outcome?]) {
        guard let result = race.result else { return ([], []) }
        let unwanted = outcomes.indices.filter { $0 != result }.map { outcomes[$0] }
        for index in outcomes.indices where index != result { outcomes[index] = nil }
        return (race.running.map { exchanges[$0] }, unwanted)
    }

    /// The attempt's outcome, and the copy's exchange. Called once, after the end.
    func take() -> (Exchange, Outcome) {
        lock.withLock {
            guard let result = race.result, let outcome = outcomes[result] else {
                preconditionFailure("an attempt that is over has a result")
            }
            outcomes = []
            return (exchanges[result], outcome)
        }
    }
}

extension Exchange {
    /// Whether it is waiting for its connection's handshake to end.
    fileprivate var waitsForHandshake: Bool {
        get async {
            guard connection.isShakingHands else { return false }
            return await connection.loop.run { self.isWaitingForSlot && self.connection.isShakingHands }
        }
    }

    /// Ends a copy that is no longer needed. Called from any thread.
    fileprivate func giveUp(_ error: any Error) {
        connection.loop.execute {
            var error = error
            if var reason = error as? H2Error {
                reason.scope = .stream(self.id)
                error = reason
            }
            self.fail(error)
        }
    }
}

extension HTTPClient {
    /// The policy for a hop's request; nil if it is sent only once.
    func hedgingPolicy(
        _ request: HTTPRequest, _ body: HTTPRequestBody, _ options: RequestOptions, _ attempts: Attempts
    ) -> HedgingPolicy? {
        guard let policy = options.hedging, policy.maximumHedges > attempts.hedges, body.isReplayable,
            RetryDecision.isIdempotent(request.method)
        else { return nil }
        // Each use of a nonce has its own number (RFC 7616 section 3.4), so a second copy would be refused as a replay.
        if let credentials = request.headerFields[.authorization], credentials.hasPrefix("Digest ") { return nil }
        return policy
    }

    /// Like `retrying`, but each attempt may send hedges while any are left.
    nonisolated(nonsending) func retryingWithHedges(
        _ request: HTTPRequest, _ body: HTTPRequestBody, _ options: RequestOptions, calledAt: UInt64,
        _ attempts: Attempts
    ) async throws -> StreamedResponse {
        var known: Attempts? = attempts
        while true {
            let first = try await lease(for: request, body, options, calledAt, &known)
            let (exchange, outcome) = await perform(request, body, on: first, attempts)
            switch outcome {
            case .success(let response):
                guard try await isFinal(response, to: request, body, exchange, &known) else { continue }
                if response.isHedge { pool.countHedgeWon() }
                return response
            case .failure(let error): try await prepareRetry(of: request, body, exchange, error, &known)
            }
        }
    }

    /// Sends a request on an exchange and, as its policy says, further copies on other connections.
    /// - Returns: the exchange whose outcome is that of the attempt.
    nonisolated(nonsending) func perform(
        _ request: HTTPRequest, _ body: HTTPRequestBody, on first: Exchange, _ attempts: Attempts
    ) async -> (Exchange, HedgedAttempt.Outcome) {
        guard let policy = hedgingPolicy(request, body, first.options, attempts) else {
            return (first, await performing(request, body, on: first))
        }
        if !attempts.isRetry { pool.countHedgeable() }
        let attempt = HedgedAttempt(request, body, policy, first: first)
        let count = max(0, min(policy.maximumHedges, HedgingPolicy.mostHedges) - attempts.hedges)
        let begunAt = pool.now
        // The first copy stays in the caller's task. The others are child tasks, which delay the end of the call only
        // for as long as a loop takes to end an exchange. They run on a loop, so they need no thread of the pool, which
        // may be busy. The writer of a streamed body would inherit their executor, but it may block, so it gets the
        // caller's executor.
        var executor: (any TaskExecutor)? = pool.clock.taskExecutor
        if case .stream = body.content { executor = nil }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                group.addTask(executorPreference: executor) { await self.hedge(attempt, number, begunAt) }
            }
            let outcome = await performing(request, body, on: first)
            if case .failure(let error) = outcome, Task.isCancelled {
                attempt.cancel(error)
            } else {
                end(0, of: attempt, first, outcome)
            }
            // The copies that were sent decide; the others are still waiting to be sent.
            while !attempt.isOver, await group.next() != nil {}
            group.cancelAll()
        }
        attempts.hedges += attempt.hedges
        let (exchange, outcome) = attempt.take()
        // A caller that was cancelled must not get the outcome of the first copy, which was waiting for the others.
        if Task.isCancelled, !isAnswer(outcome, first.options) {
            if case .success(let response) = outcome { response.exchange.discardBody() }
            return (exchange, .failure(CancellationError()))
        }
        return (exchange, outcome)
    }

    private func isAnswer(_ outcome: HedgedAttempt.Outcome, _ options: RequestOptions) -> Bool {
        if case .success(let response) = outcome { !mayBeRetried(response.status, options) } else { false }
    }

    private nonisolated(nonsending) func performing(
        _ request: HTTPRequest, _ body: HTTPRequestBody, on exchange: Exchange
    ) async -> HedgedAttempt.Outcome {
        do {
            return .success(decoding(try await exchange.perform(request, body, checkingCancellation: false)))
        } catch {
            return .failure(error)
        }
    }

    /// Sends one more copy when it is due, if it may still be sent. `number` counts the hedges of the attempt from 0.
    private nonisolated(nonsending) func hedge(_ attempt: HedgedAttempt, _ number: Int, _ begunAt: UInt64) async {
        let delay = attempt.policy.delay.clampedNanoseconds
        let (wait, isOverflow) = delay.multipliedReportingOverflow(by: UInt64(number + 1))
        do {
            try await pool.pause(Duration(nanoseconds: isOverflow ? .max : wait))
            // The wait for an early handshake does not count.
            while await attempt.first.waitsForHandshake {
                try await pool.pause(max(attempt.policy.delay, .milliseconds(10)))
            }
        } catch { return }
        var isRepeated = false
        while let (exchange, isReused) = await leaseHedge(attempt, isCounted: isRepeated) {
            guard let copy = attempt.begin(exchange) else {
                // Two copies that waited for the same connection: this one needs yet another.
                pool.returnUnused(exchange.connection, exchange.origin)
                isRepeated = true
                continue
            }
            return await send(copy, of: attempt, begunAt, on: exchange, isReused: isReused)
        }
    }

    private nonisolated(nonsending) func send(
        _ copy: Int, of attempt: HedgedAttempt, _ begunAt: UInt64, on exchange: Exchange, isReused: Bool
    ) async {
        pool.countHedge()
        let now = pool.now
        pool.tell(
            .requestHedged(after: Duration(nanoseconds: now > begunAt ? now - begunAt : 0)),
            origin: pool.origin(of: exchange), connection: exchange.connectionID, request: exchange.requestID)
        tellSent(exchange, to: pool.origin(of: exchange), isReused: isReused)
        end(copy, of: attempt, exchange, await performing(attempt.request, attempt.body, on: exchange))
    }

    /// An exchange on another connection; nil if there is none, or if the copy is no longer needed.
    /// - Parameter isCounted: whether the copy has already been counted against the budget.
    private nonisolated(nonsending) func leaseHedge(
        _ attempt: HedgedAttempt, isCounted: Bool
    ) async -> (Exchange, isReused: Bool)? {
        let first = attempt.first
        guard let others = attempt.connectionsToAvoid else { return nil }
        let began = pool.now
        let (connection, entry, isReused): (Connection, ConnectionPool.OriginEntry, Bool)
        switch pool.leaseHedge(to: first.origin, avoiding: others, isCounted ? nil : attempt.policy) {
        case .refused: return nil
        case .use(let free, let itsEntry, let wasUsed): (connection, entry, isReused) = (free, itsEntry, wasUsed)
        case .wait(let ticket, let itsEntry):
            let deadline = Deadline.earliest(of: first.options, calledAt: first.calledAt, now: began)
            guard let free = try? await pool.wait(with: ticket, until: deadline) else { return nil }
            (connection, entry, isReused) = (free, itsEntry, ticket.isReused)
        }
        if Task.isCancelled || attempt.connectionsToAvoid == nil {
            pool.returnUnused(connection, entry.key)
            return nil
        }
        guard
            let exchange = try? pool.exchange(
                on: connection, entry, attempt.body, first.options, calledAt: first.calledAt)
        else { return nil }
        exchange.codings.offers = offersCodings(first.options)
        exchange.number = first.number
        exchange.history = .hedge(of: first.history)
        exchange.attemptBeganAt = began
        exchange.queuedBefore = first.queuedBefore
        return (exchange, isReused)
    }

    /// Ends a copy, with the consequences for the other copies and for later hedges.
    private func end(
        _ copy: Int, of attempt: HedgedAttempt, _ exchange: Exchange, _ outcome: HedgedAttempt.Outcome
    ) {
        var ending = HedgeRace.Ending.failure
        var holdsBack = false
        switch outcome {
        case .success(let response):
            learn(from: response, exchange)
            ending = mayBeRetried(response.status, exchange.options) ? .refusal : .answer
            if response.status == .tooManyRequests || response.status == .serviceUnavailable,
                let pause = RetryAfter.wait({ exchange.head.firstValue(of: $0) }, now: ConnectionPool.wallTime)
            {
                holdsBack = true
                pool.pauseHedges(exchange, for: pause)
            }
        case .failure(let error): holdsBack = (error as? H2Error)?.http2Code == .enhanceYourCalm
        }
        attempt.end(copy, ending, outcome, holdsBack: holdsBack)
    }
}
