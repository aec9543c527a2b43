import HTTPTypes

/// Whether and how a request is retried after a given outcome.
///
/// The complete rule, without time or budget: before a counted retry, the caller takes one from the `RetryBudget`.
enum RetryDecision: Sendable, Hashable {
    case no(Reason)
    /// On another connection, without a wait. If it does not `count`, it adds to the number of replays instead of attempts and
    /// takes nothing from the budget.
    case atOnce(counts: Bool)
    /// Counted, after the attempt's backoff (`RetryBackoff`) or this number of nanoseconds, whichever is longer.
    case after(atLeast: UInt64)
    /// Over HTTP/1.1: the server said HTTP_1_1_REQUIRED. Not counted, since it happens once.
    case overHTTP1
    /// On a connection of the origin's own, after 421 on a shared one (RFC 9110 section 15.5.20). Not counted.
    case onOwnConnection
    /// Without `expect: 100-continue`, after 417: some hop does not support it (RFC 9110 section 10.1.1). Not counted, since it
    /// happens once.
    case withoutExpectation
    /// Without early data, after 425 (RFC 8470 section 5.2), or on another connection if its own ended during an early
    /// handshake (RFC 8446 appendix D.3). Not counted, since it happens only once. Not limited by the policy either,
    /// since the request would not have failed without early data.
    case withoutEarlyData

    /// Why a request is not retried.
    enum Reason: Sendable, Hashable, CaseIterable {
        /// The policy disables retries.
        case retryingIsOff
        /// The policy's number of attempts is used up.
        case attemptsAreUsedUp
        /// Connections kept closing before they served it.
        case replaysAreUsedUp
        case bodyCannotBeSentAgain
        /// Part of the response has arrived.
        case responseBegan
        case cancelled
        case timedOut
        /// ENHANCE_YOUR_CALM: another attempt would be too much.
        case serverWantsCalm
        /// It would fail the same way again, or it is a failure to connect.
        case wouldNotHelp
        /// The server may have processed it, and the method is not idempotent, or the policy does not retry those.
        case mayHaveBeenProcessed
        /// The connection was new: a server that closes it on the first request may do so because of that request.
        case connectionWasNew
        /// This side ended the connection.
        case endedByUs
        /// A response that the policy returns as it is.
        case statusIsFinal
        /// Retry-After asks for more than `maximumRetryAfter`.
        case waitIsTooLong
    }

    /// The outcome of an attempt.
    enum Outcome {
        /// A response arrived; `retryAfter`: nanoseconds that it asks for.
        case response(status: Int, retryAfter: UInt64?)
        /// Sending failed. An error other than `H2Error` is the task's cancellation.
        case failed(any Error)
    }

    /// Facts about the request and the connection it was sent on.
    struct Situation {
        var method: HTTPRequest.Method
        /// Whether the body is still complete: it is replayable, or nobody has begun to read it.
        var bodyCanBeSentAgain = true
        /// Counted attempts, including this one.
        var attempts = 1
        /// Uncounted retries so far.
        var replays = 0
        /// It was on HTTP/1.1.
        var isHTTP1 = false
        /// It was on a connection opened for another origin.
        var isCoalesced = false
        /// It was sent with `expect: 100-continue`.
        var expectedContinue = false
        /// It was sent as early data.
        var wasEarly = false
        /// It failed because of its connection's early handshake.
        var lostInHandshake = false
        /// The connection had served a response before this request was sent.
        var wasReused = false
        /// The connection served at least one response before it ended.
        var connectionServed = false
        /// It was sent before the server announced its stream limit, and exceeded it: a wrong guess of ours, not a sign of
        /// load.
        var wasAboveLimit = false
        /// A byte of this request's response has arrived.
        var responseBegan = false

        init(method: HTTPRequest.Method) { self.method = method }
    }

    /// Uncounted retries of one request on connections found closed when reused. Each leaves one stale connection fewer.
    static let staleLimit = 5

    /// Uncounted replays of one request. Other requests are served each time, but this must not go on forever.
    static let replayLimit = 1_000

    static func decide(
        _ outcome: Outcome, _ situation: Situation, _ policy: HTTPClient.RetryPolicy
    ) -> RetryDecision {
        let decision =
            switch outcome {
            case .response(let status, let retryAfter): decide(status, retryAfter, situation, policy)
            case .failed(let error as H2Error): decide(error, situation, policy)
            case .failed: RetryDecision.no(.cancelled)
            }
        if case .no = decision { return decision }
        if decision == .withoutEarlyData, situation.bodyCanBeSentAgain { return decision }
        if policy.maximumAttempts <= 1 { return .no(.retryingIsOff) }
        if !situation.bodyCanBeSentAgain { return .no(.bodyCannotBeSentAgain) }
        switch decision {
        case .atOnce(counts: true), .after:
            return situation.attempts < policy.maximumAttempts ? decision : .no(.attemptsAreUsedUp)
        case .atOnce(counts: false):
            return situation.replays < replayLimit ? decision : .no(.replaysAreUsedUp)
        case .no, .overHTTP1, .onOwnConnection, .withoutExpectation, .withoutEarlyData: return decision
        }
    }

    /// Methods that RFC 9110 section 9.2.2 defines as idempotent.
    static func isIdempotent(_ method: HTTPRequest.Method) -> Bool {
        switch method {
        case .get, .head, .options, .trace, .put, .delete: true
        default: false
        }
    }

    private static func decide(
        _ status: Int, _ retryAfter: UInt64?, _ situation: Situation, _ policy: HTTPClient.RetryPolicy
    ) -> RetryDecision {
        // On the origin's own connection the answer would be the same, whatever the policy says.
        if status == 421 { return situation.isCoalesced ? .onOwnConnection : .no(.statusIsFinal) }
        if status == 417, situation.expectedContinue { return .withoutExpectation }
        if status == 425, situation.wasEarly { return .withoutEarlyData }
        guard policy.statuses.contains(where: { $0.code == status }) else { return .no(.statusIsFinal) }
        guard isIdempotent(situation.method) else { return .no(.mayHaveBeenProcessed) }
        let wait = retryAfter ?? 0
        let longest = policy.maximumRetryAfter ?? policy.maximumBackoff
        return wait <= longest.clampedNanoseconds ? .after(atLeast: wait) : .no(.waitIsTooLong)
    }

    /// Whether the server requires HTTP/1.1 (RFC 9113 section 7).
    static func requiresHTTP1(_ error: H2Error) -> Bool {
        error.http2Code == .http11Required && error.initiator == .remote
    }

    private static func decide(
        _ error: H2Error, _ situation: Situation, _ policy: HTTPClient.RetryPolicy
    ) -> RetryDecision {
        if situation.lostInHandshake, error.code != .certificateRejected { return .withoutEarlyData }
        if error.http2Code == .enhanceYourCalm { return .no(.serverWantsCalm) }
        if situation.responseBegan { return .no(.responseBegan) }
        let mayBeSentTwice = policy.retriesIdempotent && isIdempotent(situation.method)
        if requiresHTTP1(error) {
            if situation.isHTTP1 { return .no(.wouldNotHelp) }
            // A reset means the stream was refused for this reason. A GOAWAY may have come while others were in progress.
            return error.code == .streamReset || error.isRetryable || mayBeSentTwice
                ? .overHTTP1 : .no(.mayHaveBeenProcessed)
        }
        switch error.code {
        case .invalidURL, .invalidRequest, .invalidConfiguration, .resolveFailed, .connectFailed, .tlsFailed,
            .certificateRejected, .tlsConfiguration, .http2NotNegotiated, .limitExceeded, .bodyTooLarge, .localIO,
            .redirectRefused, .contentCodingFailed, .proxyFailed, .addressRefused, .digestMismatch,
            .unexpectedResponse:
            return .no(.wouldNotHelp)
        case .clientShutDown: return .no(.endedByUs)
        case .timeout: return afterTimeout(error, situation)
        case .streamReset:
            guard error.isRetryable else { return .no(.mayHaveBeenProcessed) }
            return situation.wasAboveLimit ? .atOnce(counts: false) : .after(atLeast: 0)
        case .notProcessed, .connectionDraining:
            return error.isRetryable ? unprocessed(error, situation) : .no(.mayHaveBeenProcessed)
        case .protocolViolation:
            return error.isRetryable ? unprocessed(error, situation) : .no(.wouldNotHelp)
        case .connectionClosed:
            if error.isRetryable { return unprocessed(error, situation) }
            guard error.initiator == .remote else { return .no(.endedByUs) }
            guard mayBeSentTwice else { return .no(.mayHaveBeenProcessed) }
            guard situation.wasReused || situation.connectionServed else {
                return policy.retriesOnNewConnections ? .after(atLeast: 0) : .no(.connectionWasNew)
            }
            // The usual reason: it was closed as idle while the request was on its way.
            if situation.isHTTP1, situation.wasReused, situation.replays < staleLimit { return .atOnce(counts: false) }
            return counted(error, situation)
        }
    }

    /// A connection that ended by its own time limit takes requests with it that were never sent.
    private static func afterTimeout(_ error: H2Error, _ situation: Situation) -> RetryDecision {
        switch error.cause {
        case .timeout(.ping, _) where error.isRetryable, .timeout(.writeStall, _) where error.isRetryable,
            .timeout(.close, _) where error.isRetryable:
            unprocessed(error, situation)
        default: .no(.timedOut)
        }
    }

    /// The server cannot have processed it.
    private static func unprocessed(_ error: H2Error, _ situation: Situation) -> RetryDecision {
        // An orderly end of a connection that served requests is not a failure. One that served none might repeat forever.
        isGraceful(error) && situation.connectionServed ? .atOnce(counts: false) : counted(error, situation)
    }

    /// Counted: the first retry is immediate if the server did not complain.
    private static func counted(_ error: H2Error, _ situation: Situation) -> RetryDecision {
        isGraceful(error) && situation.attempts <= 1 ? .atOnce(counts: true) : .after(atLeast: 0)
    }

    private static func isGraceful(_ error: H2Error) -> Bool {
        error.code != .protocolViolation && (error.http2Code ?? .noError) == .noError
    }
}
