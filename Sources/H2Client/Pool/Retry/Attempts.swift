import HTTPTypes

/// The history of a request that did not succeed immediately. Created when the first attempt fails or is redirected, so
/// other requests pay nothing for it.
final class Attempts {
    /// Attempts that count, including the current one.
    var counted = 1
    var replays = 0
    /// The kind of connection the next attempt needs.
    var kind: LeaseKind = []
    /// Set once a server has answered 417.
    var leavesOutExpectation = false
    /// Set once the request has been sent as early data without success.
    var leavesOutEarlyData = false
    var failed: [FailedAttempt] = []
    /// When the current attempt began, after the wait before it.
    var beganAt: UInt64 = 0
    /// Total nanoseconds that earlier attempts waited for a connection or stream.
    var queued: UInt64 = 0
    /// The request's number within its client.
    var number: Int
    /// Why there is no further attempt although the policy would allow one.
    var refusal: RetryRefusal?
    /// Attempts begun, over all hops.
    var sent = 0
    /// Hedges sent, across all attempts of this hop.
    var hedges = 0
    /// Whether the next attempt is a retry after a failure.
    var isRetry = false
    private(set) var redirects: [HTTPClient.Redirect] = []

    init(number: Int) { self.number = number }

    /// Follows a redirect: starts a new request with the same history.
    func begin(_ redirect: HTTPClient.Redirect) {
        redirects.append(redirect)
        beginAnew()
    }

    /// Starts another request with the same history, after a redirect or with other credentials.
    func beginAnew() {
        counted = 1
        replays = 0
        hedges = 0
        kind = []
        leavesOutExpectation = false
        leavesOutEarlyData = false
        isRetry = false
        refusal = nil
    }

    /// Adds the history to a response's exchange, before the caller or the loop gets it.
    func note(on exchange: Exchange) {
        if !failed.isEmpty || !redirects.isEmpty {
            exchange.history = RequestHistory(failedAttempts: failed, redirects: redirects)
        }
        exchange.attemptBeganAt = beganAt
        exchange.queuedBefore = queued
    }
}

extension HTTPClient {
    /// Sends a request until there is a final response or an error.
    ///
    /// Inlined: awaiting one more function means another executor switch, which costs a small request 1 %.
    @inline(__always)
    nonisolated(nonsending) func retrying(
        _ request: HTTPRequest, _ body: HTTPRequestBody, _ options: RequestOptions, calledAt: UInt64,
        _ attempts: inout Attempts?
    ) async throws -> StreamedResponse {
        while true {
            let exchange = try await lease(for: request, body, options, calledAt, &attempts)
            do {
                let response = decoding(try await exchange.perform(request, body, checkingCancellation: false))
                if pool.takesAllAnswers, options.areDefaults || options.takesAllAnswers { return response }
                if try await isFinal(response, to: request, body, exchange, &attempts) { return response }
            } catch {
                try await prepareRetry(of: request, body, exchange, error, &attempts)
            }
        }
    }

    // MARK: - One attempt

    /// Leases a connection for the request, waiting if necessary, and returns an exchange on it. The task was not cancelled
    /// when this returns.
    /// - Throws: `H2Error`, `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func lease(
        for request: HTTPRequest, _ body: HTTPRequestBody, _ options: RequestOptions, _ calledAt: UInt64,
        _ attempts: inout Attempts?
    ) async throws -> Exchange {
        // Check before anything is dialled, counted or reported.
        if Task.isCancelled { throw CancellationError() }
        var options = options
        // Opening a body's file may have taken some time.
        let checkout: ConnectionPool.Checkout
        if let attempts {
            let now = try begin(attempts, options, calledAt)
            if attempts.leavesOutExpectation { options.expectContinue = nil }
            if attempts.leavesOutEarlyData { options.allowsEarlyData = false }
            checkout = try pool.leaseAsking(for: request, to: options.origin, kind: attempts.kind, now: now)
        } else {
            let now = body.isOpenedFile ? pool.now : calledAt
            checkout = try pool.lease(for: request, to: options.origin, now: now)
        }
        switch checkout {
        case .use(let connection, let entry, let isReused):
            let exchange = try pool.exchange(on: connection, entry, body, options, calledAt: calledAt)
            exchange.codings.offers = offersCodings(options)
            exchange.number = attempts?.number ?? pool.nextRequestNumber()
            if attempts != nil || pool.isObserved { note(exchange, entry, attempts, isReused: isReused) }
            return exchange
        case .wait(let ticket, let entry):
            return try await exchange(after: ticket, entry, body, options, calledAt, attempts)
        }
    }

    private nonisolated(nonsending) func exchange(
        after ticket: ConnectionPool.Ticket, _ entry: ConnectionPool.OriginEntry, _ body: HTTPRequestBody,
        _ options: RequestOptions, _ calledAt: UInt64, _ attempts: Attempts?
    ) async throws -> Exchange {
        let number = pool.queued(entry.origin, as: attempts?.number)
        let connection: Connection
        do {
            connection = try await pool.wait(with: ticket, until: deadline(options, calledAt, pool.now, attempts))
        } catch {
            let error = tooLate(error, attempts)
            pool.tell(
                .attemptFinished(.failure(error)), origin: entry.origin,
                request: HTTPClient.RequestID(number: number))
            throw error
        }
        let exchange = try pool.exchange(on: connection, entry, body, options, calledAt: calledAt)
        exchange.codings.offers = offersCodings(options)
        exchange.number = number
        try exchange.checkCancellation()
        note(exchange, entry, attempts, isReused: ticket.isReused)
        return exchange
    }

    /// Starts an attempt of a request with a history and returns the current time.
    /// - Throws: `H2Error` (`timeout`, or that of the last attempt) if the time limit has passed.
    private func begin(_ attempts: Attempts, _ options: RequestOptions, _ calledAt: UInt64) throws -> UInt64 {
        let now = pool.now
        attempts.beganAt = now
        attempts.sent += 1
        if let last = deadline(options, calledAt, now, attempts), last.at <= now, last.phase != .queued {
            throw tooLate(H2Error.timeout(last.phase, last.limit, stream: 0), attempts)
        }
        if attempts.isRetry { pool.countRetry() }
        return now
    }

    private func retryPolicy(_ options: RequestOptions) -> RetryPolicy { options.retry ?? configuration.retry }

    private func deadline(
        _ options: RequestOptions, _ calledAt: UInt64, _ now: UInt64, _ attempts: Attempts?
    ) -> Deadline? {
        guard let attempts else { return .earliest(of: options, calledAt: calledAt, now: now) }
        return .earliest(
            of: options, calledAt: calledAt, now: now, waited: attempts.queued,
            retrying: attempts.isRetry ? retryPolicy(options).maximumTime : nil)
    }

    /// The error if another attempt could not begin in time. If the limit on retrying caused it, this is the last attempt's
    /// error, if there is one.
    private func tooLate(_ error: any Error, _ attempts: Attempts?) -> any Error {
        guard let last = attempts?.failed.last, var error = error as? H2Error else { return error }
        if case .timeout(.retrying, _) = error.cause, let cause = last.error { error = cause }
        let times = attempts?.failed.count ?? 1
        error.message += " (sent \(times == 1 ? "once" : "\(times) times")"
        if let status = last.status { error.message += ", answered \(status.code) at last" }
        error.message += ")"
        return error
    }

    private func note(
        _ exchange: Exchange, _ entry: ConnectionPool.OriginEntry, _ attempts: Attempts?, isReused: Bool
    ) {
        attempts?.note(on: exchange)
        if entry.forwarder != nil { exchange.noteTarget(entry.origin) }
        tellSent(exchange, to: entry.origin, isReused: isReused)
    }

    func tellSent(_ exchange: Exchange, to origin: Origin?, isReused: Bool) {
        pool.tell(
            .requestSent(isReused: isReused), origin: origin,
            connection: exchange.connectionID, request: exchange.requestID)
    }

    // MARK: - After an attempt

    /// Whether the caller gets this response. If not, it has been dropped, and the wait before the next attempt is over.
    nonisolated(nonsending) func isFinal(
        _ response: StreamedResponse, to request: HTTPRequest, _ body: HTTPRequestBody, _ exchange: Exchange,
        _ attempts: inout Attempts?
    ) async throws -> Bool {
        learn(from: response, exchange)
        guard mayBeRetried(response.status, exchange.options) else { return true }
        let status = response.status.code
        let retryAfter = RetryAfter.wait({ exchange.head.firstValue(of: $0) }, now: ConnectionPool.wallTime)
        let outcome = RetryDecision.Outcome.response(status: status, retryAfter: retryAfter)
        let present = attempts ?? Attempts(number: exchange.number)
        let decision = RetryDecision.decide(
            outcome, situation(of: request, body, exchange, present), retryPolicy(exchange.options))
        guard let wait = nextWait(decision, present, request, body, exchange, retryAfter: retryAfter) else {
            exchange.retryRefusal = present.refusal
            return true
        }
        if decision == .withoutExpectation { present.leavesOutExpectation = true }
        if decision == .withoutEarlyData { present.leavesOutEarlyData = true }
        remember(response, to: request, exchange.options)
        // The rest is dropped during the wait, so that an HTTP/1.1 connection can be reused.
        exchange.discardBody()
        attempts = present
        try await waitForNext(wait, present, exchange, nil, response.status)
        return false
    }

    /// Whether there may be another attempt after a response with this status.
    @inline(__always)
    func mayBeRetried(_ status: HTTPResponse.Status, _ options: RequestOptions) -> Bool {
        // These have their own rules.
        [417, 421, 425].contains(status.code) || retryPolicy(options).statuses.contains(status)
    }

    /// Remembers what a response reveals about its connection, whether or not the request is retried.
    func learn(from response: StreamedResponse, _ exchange: Exchange) {
        if response.status.code == 421, isCoalesced(exchange) { pool.misdirected(exchange) }
    }

    /// Returns when the request may be retried.
    /// - Throws: the error if it is final; `CancellationError`.
    nonisolated(nonsending) func prepareRetry(
        of request: HTTPRequest, _ body: HTTPRequestBody, _ exchange: Exchange, _ error: any Error,
        _ attempts: inout Attempts?
    ) async throws {
        let present = attempts ?? Attempts(number: exchange.number)
        var situation = situation(of: request, body, exchange, present)
        if let error = error as? H2Error, RetryDecision.requiresHTTP1(error), !situation.isHTTP1 {
            pool.requireHTTP1(exchange)
        }
        if situation.isHTTP1, situation.wasReused, !situation.responseBegan,
            (error as? H2Error)?.code == .connectionClosed
        {
            pool.suspectReuse(exchange)
        }
        if let early = exchange.connection.early, let error = error as? H2Error {
            situation.lostInHandshake = !present.leavesOutEarlyData && early.explains(error, of: exchange)
        }
        let decision = RetryDecision.decide(.failed(error), situation, retryPolicy(exchange.options))
        guard let wait = nextWait(decision, present, request, body, exchange), let error = error as? H2Error else {
            throw afterAttempts(error, present)
        }
        if decision == .withoutEarlyData { present.leavesOutEarlyData = true }
        attempts = present
        try await waitForNext(wait, present, exchange, error, nil)
    }

    private func situation(
        of request: HTTPRequest, _ body: HTTPRequestBody, _ exchange: Exchange, _ attempts: Attempts
    ) -> RetryDecision.Situation {
        var situation = RetryDecision.Situation(method: request.method)
        // A writer that was not called has produced nothing yet.
        situation.bodyCanBeSentAgain = body.isReplayable || exchange.isBodyUntouched
        situation.attempts = attempts.counted
        situation.replays = attempts.replays
        let connection = exchange.connection
        situation.isHTTP1 = connection.version == .http1
        situation.isCoalesced = isCoalesced(exchange)
        situation.expectedContinue = exchange.expectsContinue
        situation.wasEarly = connection.early?.wasSentEarly(exchange) ?? false
        situation.wasReused = exchange.wasConnectionProven
        situation.connectionServed = connection.hasServed
        situation.wasAboveLimit = exchange.wasAboveLimit
        situation.responseBegan = exchange.firstByteAt != 0
        return situation
    }

    /// Whether it was sent, without a proxy, on a connection opened for another origin.
    private func isCoalesced(_ exchange: Exchange) -> Bool {
        pool.leasedOrigin(of: exchange).map { $0 != exchange.connection.info.origin } ?? false
    }

    /// The wait before the next attempt; nil if there is none. In that case, `attempts.refusal` has the reason if the
    /// policy would otherwise retry.
    /// - Parameter retryAfter: nanoseconds that the response asks for.
    private func nextWait(
        _ decision: RetryDecision, _ attempts: Attempts, _ request: HTTPRequest, _ body: HTTPRequestBody,
        _ exchange: Exchange, retryAfter: UInt64? = nil
    ) -> Duration? {
        attempts.kind = .replay
        attempts.refusal = nil
        let wait: UInt64
        switch decision {
        case .no(let reason):
            attempts.refusal = refusal(reason, request.method, retryAfter: retryAfter)
            return nil
        case .atOnce: wait = 0
        case .after(let atLeast):
            wait = max(pool.backoff(before: attempts.counted + 1, retryPolicy(exchange.options)), atLeast)
        case .overHTTP1:
            attempts.kind = [.replay, .http1]
            wait = 0
        case .onOwnConnection:
            attempts.kind = [.replay, .own]
            wait = 0
        case .withoutExpectation, .withoutEarlyData: wait = 0
        }
        if let refusal = refusal(ofWaiting: wait, exchange) {
            attempts.refusal = refusal
            return nil
        }
        switch decision {
        case .atOnce(counts: true), .after:
            guard pool.takeRetry() else {
                attempts.refusal = .budgetIsSpent
                return nil
            }
            attempts.counted += 1
        case .atOnce(counts: false): attempts.replays += 1
        case .no, .overHTTP1, .onOwnConnection, .withoutExpectation, .withoutEarlyData: break
        }
        // From here on its writer is not called for this exchange; it may have been called in the meantime.
        guard body.isReplayable || exchange.takeBody() else {
            attempts.refusal = .bodyCannotBeSentAgain
            return nil
        }
        return Duration(nanoseconds: wait)
    }

    /// Why the next attempt, after this wait in nanoseconds, would begin too late for the policy or the request; nil if it is
    /// in time.
    private func refusal(ofWaiting wait: UInt64, _ exchange: Exchange) -> RetryRefusal? {
        let now = pool.now
        let begins = (now > exchange.calledAt ? now - exchange.calledAt : 0).saturatingSum(wait)
        let pause = Duration(nanoseconds: wait)
        if let limit = retryPolicy(exchange.options).maximumTime, begins > limit.clampedNanoseconds {
            return .pastMaximumTime(wait: pause)
        }
        if let limit = exchange.options.timeout, begins >= limit.clampedNanoseconds { return .pastTimeout(wait: pause) }
        return nil
    }

    private func refusal(
        _ reason: RetryDecision.Reason, _ method: HTTPRequest.Method, retryAfter: UInt64?
    ) -> RetryRefusal? {
        switch reason {
        case .bodyCannotBeSentAgain: .bodyCannotBeSentAgain
        // An idempotent request can safely be processed twice; the error says enough.
        case .mayHaveBeenProcessed: RetryDecision.isIdempotent(method) ? nil : .mayHaveBeenProcessed
        case .waitIsTooLong: .retryAfterIsTooLong(Duration(nanoseconds: retryAfter ?? 0))
        case .responseBegan: .responseBegan
        case .serverWantsCalm: .serverWantsCalm
        case .replaysAreUsedUp: .replaysAreUsedUp
        case .connectionWasNew: .connectionWasNew
        case .retryingIsOff, .attemptsAreUsedUp, .cancelled, .timedOut, .wouldNotHelp, .endedByUs, .statusIsFinal:
            nil
        }
    }

    private nonisolated(nonsending) func waitForNext(
        _ wait: Duration, _ attempts: Attempts, _ exchange: Exchange, _ error: H2Error?, _ status: HTTPResponse.Status?
    ) async throws {
        attempts.queued = attempts.queued.saturatingSum(exchange.queuedNanoseconds)
        let failed = FailedAttempt(connectionID: exchange.connectionID, error: error, status: status, wait: wait)
        attempts.failed.append(failed)
        attempts.isRetry = true
        pool.tell(
            .requestRetried(failed), origin: pool.origin(of: exchange), connection: exchange.connectionID,
            request: exchange.requestID)
        try await pool.pause(wait)
    }

    /// Adds the number of attempts to the error.
    private func afterAttempts(_ error: any Error, _ attempts: Attempts) -> any Error {
        guard var error = error as? H2Error else { return error }
        if !attempts.failed.isEmpty { error.message += " (sent \(attempts.failed.count + 1) times)" }
        error.retryRefusal = attempts.refusal
        return error
    }
}
