import HTTPTypes

/// Whether a request is sent again after what became of it, and how.
///
/// The whole rule stands here. It knows no time and no budget: who sends it again takes the retry from the `RetryBudget`
/// first where it counts.
enum RetryDecision: Sendable, Hashable {
    case no(Reason)
    /// On another connection, without a wait. One that does not `count` leaves the number of attempts as it is (and the
    /// number of replays grows), and takes nothing from the budget.
    case atOnce(counts: Bool)
    /// Counted, after the backoff of the attempt (`RetryBackoff`), or so many nanoseconds where that is longer.
    case after(atLeast: UInt64)
    /// Over HTTP/1.1: the server said HTTP_1_1_REQUIRED. Not counted, since it happens once.
    case overHTTP1
    /// On a connection of the origin's own: 421 on one that origins share (RFC 9110 section 15.5.20). Not counted.
    case onOwnConnection
    /// Without `expect: 100-continue`: 417 says that somebody on the way does not meet it (RFC 9110 section 10.1.1). Not
    /// counted, since it happens once.
    case withoutExpectation

    /// Why not.
    enum Reason: Sendable, Hashable, CaseIterable {
        /// The policy sends nothing twice.
        case retryingIsOff
        /// It was sent as often as the policy allows.
        case attemptsAreUsedUp
        /// Connections kept going away before they served it.
        case replaysAreUsedUp
        case bodyCannotBeSentAgain
        /// Part of the response has come.
        case responseBegan
        case cancelled
        case timedOut
        /// ENHANCE_YOUR_CALM: once more would be too much.
        case serverWantsCalm
        /// It would fail the same way again, or it is a failure to connect.
        case wouldNotHelp
        /// The server may have processed it, and the method is not idempotent, or the policy does not send those again.
        case mayHaveBeenProcessed
        /// The connection was new: a server that ends it on the first request may do so because of it.
        case connectionWasNew
        /// This side ended the connection.
        case endedByUs
        /// A response that the policy takes as it is.
        case statusIsFinal
        /// Retry-After asks for more than `maximumRetryAfter`.
        case waitIsTooLong
    }

    /// What became of the request.
    enum Outcome {
        /// A response came; `retryAfter`: nanoseconds that it asks for.
        case response(status: Int, retryAfter: UInt64?)
        /// Sending failed. What is no `H2Error` is the task's cancellation.
        case failed(any Error)
    }

    /// What is known of the request, and of the connection that it was on.
    struct Situation {
        var method: HTTPRequest.Method
        /// Whether the body is still whole: it can be sent again, or nobody has begun to read it.
        var bodyCanBeSentAgain = true
        /// How often it was sent, as far as it counted, this time included.
        var attempts = 1
        /// How often it was sent again without counting.
        var replays = 0
        /// It was on HTTP/1.1.
        var isHTTP1 = false
        /// It was on a connection that was made for another origin.
        var isCoalesced = false
        /// It was sent with `expect: 100-continue`.
        var expectedContinue = false
        /// The connection had served a response before this request was sent.
        var wasReused = false
        /// The connection has served any response until it ended.
        var connectionServed = false
        /// It was sent before the server had told how many streams it allows, and was one too many: our guess, not a sign of
        /// load.
        var wasAboveLimit = false
        /// A byte of this request's response has come.
        var responseBegan = false

        init(method: HTTPRequest.Method) { self.method = method }
    }

    /// How many connections that turn out to be closed when they are reused one request may try, uncounted.
    /// Each is one fewer of those that its server has closed without a word.
    static let staleLimit = 5

    /// Replays of one request that do not count: each time others were served, but not for ever.
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
        if policy.maximumAttempts <= 1 { return .no(.retryingIsOff) }
        if !situation.bodyCanBeSentAgain { return .no(.bodyCannotBeSentAgain) }
        switch decision {
        case .atOnce(counts: true), .after:
            return situation.attempts < policy.maximumAttempts ? decision : .no(.attemptsAreUsedUp)
        case .atOnce(counts: false):
            return situation.replays < replayLimit ? decision : .no(.replaysAreUsedUp)
        case .no, .overHTTP1, .onOwnConnection, .withoutExpectation: return decision
        }
    }

    /// RFC 9110 section 9.2.2.
    static func isIdempotent(_ method: HTTPRequest.Method) -> Bool {
        switch method {
        case .get, .head, .options, .trace, .put, .delete: true
        default: false
        }
    }

    private static func decide(
        _ status: Int, _ retryAfter: UInt64?, _ situation: Situation, _ policy: HTTPClient.RetryPolicy
    ) -> RetryDecision {
        // On a connection of its own the answer would be the same, whatever the policy says.
        if status == 421 { return situation.isCoalesced ? .onOwnConnection : .no(.statusIsFinal) }
        if status == 417, situation.expectedContinue { return .withoutExpectation }
        guard policy.statuses.contains(status) else { return .no(.statusIsFinal) }
        guard isIdempotent(situation.method) else { return .no(.mayHaveBeenProcessed) }
        let wait = retryAfter ?? 0
        let longest = policy.maximumRetryAfter ?? policy.maximumBackoff
        return wait <= longest.clampedNanoseconds ? .after(atLeast: wait) : .no(.waitIsTooLong)
    }

    /// Whether the server said that it wants HTTP/1.1 (RFC 9113 section 7).
    static func requiresHTTP1(_ error: H2Error) -> Bool {
        error.http2Code == .http11Required && error.initiator == .remote
    }

    private static func decide(
        _ error: H2Error, _ situation: Situation, _ policy: HTTPClient.RetryPolicy
    ) -> RetryDecision {
        if error.http2Code == .enhanceYourCalm { return .no(.serverWantsCalm) }
        if situation.responseBegan { return .no(.responseBegan) }
        let mayBeSentTwice = policy.retriesIdempotent && isIdempotent(situation.method)
        if requiresHTTP1(error) {
            if situation.isHTTP1 { return .no(.wouldNotHelp) }
            // A reset says that the stream was refused for it. GOAWAY may have come while others were at work.
            return error.code == .streamReset || error.isRetryable || mayBeSentTwice
                ? .overHTTP1 : .no(.mayHaveBeenProcessed)
        }
        switch error.code {
        case .invalidURL, .invalidRequest, .invalidConfiguration, .resolveFailed, .connectFailed, .tlsFailed,
            .certificateRejected,
            .tlsConfiguration, .http2NotNegotiated, .limitExceeded, .bodyTooLarge, .localIO:
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
            // The usual reason is that it was closed for being idle while the request was on its way.
            if situation.isHTTP1, situation.wasReused, situation.replays < staleLimit { return .atOnce(counts: false) }
            return counted(error, situation)
        }
    }

    /// A connection that died of a time limit of its own takes requests with it that never left.
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
        // The end of a connection that served its share is no failure. One that served nothing may be for ever so.
        isGraceful(error) && situation.connectionServed ? .atOnce(counts: false) : counted(error, situation)
    }

    /// At once the first time, where nobody complained of anything.
    private static func counted(_ error: H2Error, _ situation: Situation) -> RetryDecision {
        isGraceful(error) && situation.attempts <= 1 ? .atOnce(counts: true) : .after(atLeast: 0)
    }

    private static func isGraceful(_ error: H2Error) -> Bool {
        error.code != .protocolViolation && (error.http2Code ?? .noError) == .noError
    }
}
