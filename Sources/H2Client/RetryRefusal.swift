/// Why an `HTTPClient` did not retry a request that its policy would otherwise retry. For the command line's messages.
package enum RetryRefusal: Sendable, Hashable {
    /// The body is streamed, and reading it has begun.
    case bodyCannotBeSentAgain
    /// The server may have processed it, and the method is not idempotent (RFC 9110 section 9.2.2).
    case mayHaveBeenProcessed
    /// Part of the response had arrived.
    case responseBegan
    /// ENHANCE_YOUR_CALM.
    case serverWantsCalm
    /// Connections kept closing before they served it.
    case replaysAreUsedUp
    /// The connection was new and had served nothing.
    case connectionWasNew
    /// Retry-After asks for this wait, which exceeds the policy's `maximumRetryAfter`.
    case retryAfterIsTooLong(Duration)
    /// After this wait it would begin later than the policy's `maximumTime` allows.
    case pastMaximumTime(wait: Duration)
    /// After this wait the request's own `timeout` would be over.
    case pastTimeout(wait: Duration)
    /// The client already retries too many requests.
    case budgetIsSpent
}
