import HTTPTypes

/// What a request has been through that was not answered at once. Made when the first attempt failed: a request that goes
/// well pays nothing for it.
final class Attempts {
    /// As far as it counted, the present one included.
    var counted = 1
    var replays = 0
    /// What kind of connection the next attempt needs.
    var kind: LeaseKind = []
    var failed: [FailedAttempt] = []
    /// What the request is known by in events; 0 for nothing.
    var number: Int

    init(number: Int) { self.number = number }
}

extension HTTPClient {
    // MARK: - One attempt

    /// An exchange on a connection that was leased for the request, which may have to wait for it.
    /// - Throws: `H2Error`, `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func lease(
        for request: HTTPRequest, _ body: RequestBody, _ options: RequestOptions, _ calledAt: UInt64,
        _ attempts: inout Attempts?
    ) async throws -> Exchange {
        // Before anything is dialled, counted or told.
        try Task.checkCancellation()
        let now = attempts == nil ? calledAt : pool.now
        switch try pool.lease(for: request, to: options.origin, kind: attempts?.kind ?? [], now: now) {
        case .use(let driver, let entry):
            let exchange = try pool.exchange(on: driver, entry, body, options, calledAt: calledAt)
            if attempts != nil || pool.isObserved { note(exchange, attempts) }
            return exchange
        case .wait(let ticket, let entry):
            return try await exchange(after: ticket, entry, body, options, calledAt, attempts)
        }
    }

    private nonisolated(nonsending) func exchange(
        after ticket: ConnectionPool.Ticket, _ entry: ConnectionPool.OriginEntry, _ body: RequestBody,
        _ options: RequestOptions, _ calledAt: UInt64, _ attempts: Attempts?
    ) async throws -> Exchange {
        let number = pool.queued(entry.origin, as: attempts?.number ?? 0)
        let driver: ConnectionDriver
        do {
            driver = try await pool.wait(with: ticket, until: Self.deadline(options, calledAt, pool.now))
        } catch {
            if number != 0 { pool.tell(.requestFinished(number, .failure(error))) }
            throw error
        }
        let exchange = try pool.exchange(on: driver, entry, body, options, calledAt: calledAt)
        exchange.number = number
        note(exchange, attempts)
        return exchange
    }

    /// The earlier of the limits on waiting and on the whole request.
    private static func deadline(_ options: RequestOptions, _ calledAt: UInt64, _ now: UInt64) -> Deadline? {
        let wait = options.queueTimeout.map {
            Deadline(at: now &+ $0.clampedNanoseconds, phase: .queued, limit: $0)
        }
        let whole = options.timeout.map {
            Deadline(at: calledAt &+ $0.clampedNanoseconds, phase: .wholeRequest, limit: $0)
        }
        guard let wait, let whole else { return wait ?? whole }
        return wait.at < whole.at ? wait : whole
    }

    private func note(_ exchange: Exchange, _ attempts: Attempts?) {
        if let attempts { exchange.failedAttempts = attempts.failed }
        if exchange.number == 0 { exchange.number = attempts?.number ?? pool.nextRequestNumber() }
        if exchange.number != 0 {
            let isReused = exchange.connection.hasAnswered
            pool.tell(.requestSent(exchange.number, exchange.connectionID, isReused: isReused))
        }
    }

    // MARK: - After an attempt

    /// Whether a response is what the caller gets. Where it is not, it has been dropped, and the wait before the next
    /// attempt is over.
    nonisolated(nonsending) func isFinal(
        _ response: Response, to request: HTTPRequest, _ body: RequestBody, _ exchange: Exchange,
        _ attempts: inout Attempts?
    ) async throws -> Bool {
        let status = response.status.code
        guard status == 421 || configuration.retry.statuses.contains(status) else { return true }
        let outcome = RetryDecision.Outcome.response(
            status: status, retryAfter: RetryAfter.wait({ response.firstValue(of: $0) }, now: ConnectionPool.wallTime))
        let present = attempts ?? Attempts(number: exchange.number)
        let situation = situation(of: request, body, exchange, present)
        guard let wait = nextWait(RetryDecision.decide(outcome, situation, configuration.retry), present, exchange)
        else { return true }
        // A short one is read, so that an HTTP/1.1 connection can be used again.
        _ = try? await response.body.collect(upTo: 16 << 10)
        attempts = present
        try await waitForNext(wait, present, exchange, nil, response.status)
        return false
    }

    /// Returns when the request may be sent again.
    /// - Throws: the error, where it is final; `CancellationError`.
    nonisolated(nonsending) func prepareRetry(
        of request: HTTPRequest, _ body: RequestBody, _ exchange: Exchange, _ error: any Error,
        _ attempts: inout Attempts?
    ) async throws {
        let present = attempts ?? Attempts(number: exchange.number)
        let situation = situation(of: request, body, exchange, present)
        let decision = RetryDecision.decide(.failed(error), situation, configuration.retry)
        guard let wait = nextWait(decision, present, exchange), let error = error as? H2Error else {
            throw afterAttempts(error, present)
        }
        attempts = present
        try await waitForNext(wait, present, exchange, error, nil)
    }

    private func situation(
        of request: HTTPRequest, _ body: RequestBody, _ exchange: Exchange, _ attempts: Attempts
    ) -> RetryDecision.Situation {
        var situation = RetryDecision.Situation(method: request.method)
        // The writer of a request that never began has not been asked for anything.
        situation.bodyCanBeSentAgain = body.isReplayable || exchange.id == 0
        situation.attempts = attempts.counted
        situation.replays = attempts.replays
        let connection = exchange.connection
        situation.isHTTP1 = connection.version == .http1
        situation.isCoalesced = pool.origin(of: exchange).map { $0 != connection.info.origin } ?? false
        situation.wasReused = exchange.wasConnectionProven
        situation.connectionServed = connection.hasAnswered
        situation.wasAboveLimit = exchange.wasAboveLimit
        situation.responseBegan = exchange.firstByteAt != 0
        return situation
    }

    /// nil where there is no next attempt.
    private func nextWait(_ decision: RetryDecision, _ attempts: Attempts, _ exchange: Exchange) -> Duration? {
        attempts.kind = .replay
        switch decision {
        case .no: return nil
        case .atOnce(counts: false):
            attempts.replays += 1
            return .zero
        case .atOnce(counts: true):
            guard isInTime(0, exchange), pool.takeRetry() else { return nil }
            attempts.counted += 1
            return .zero
        case .after(let atLeast):
            let wait = max(pool.backoff(before: attempts.counted + 1), atLeast)
            guard isInTime(wait, exchange), pool.takeRetry() else { return nil }
            attempts.counted += 1
            return Duration(nanoseconds: wait)
        case .overHTTP1:
            pool.requireHTTP1(exchange)
            attempts.kind = [.replay, .http1]
            return .zero
        case .onOwnConnection:
            pool.misdirected(exchange)
            attempts.kind = [.replay, .own]
            return .zero
        }
    }

    /// Whether the next attempt, after so many nanoseconds, begins within the policy's time.
    private func isInTime(_ wait: UInt64, _ exchange: Exchange) -> Bool {
        guard let limit = configuration.retry.maximumTime else { return true }
        let now = pool.now
        let passed = now > exchange.calledAt ? now - exchange.calledAt : 0
        return passed.saturatingSum(wait) <= limit.clampedNanoseconds
    }

    private nonisolated(nonsending) func waitForNext(
        _ wait: Duration, _ attempts: Attempts, _ exchange: Exchange, _ error: H2Error?, _ status: HTTPResponse.Status?
    ) async throws {
        attempts.failed.append(
            FailedAttempt(connectionID: exchange.connectionID, error: error, status: status, wait: wait))
        pool.countRetry()
        if exchange.number != 0 {
            pool.tell(.requestRetried(exchange.number, error: error, status: status?.code, wait: wait))
        }
        try await pool.pause(wait)
    }

    /// Says how often it was tried.
    private func afterAttempts(_ error: any Error, _ attempts: Attempts) -> any Error {
        guard var error = error as? H2Error, !attempts.failed.isEmpty else { return error }
        error.message += " (sent \(attempts.failed.count + 1) times)"
        return error
    }
}
