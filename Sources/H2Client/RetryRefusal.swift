/// Why an `HTTPClient` did not send a request again that its policy would repeat otherwise. For what the command line says.
package enum RetryRefusal: Sendable, Hashable {
    /// It is read while it is sent, and was begun.
    case bodyCannotBeSentAgain
    /// The server may have processed it, and the method is not idempotent (RFC 9110 section 9.2.2).
    case mayHaveBeenProcessed
    /// Part of the response had come.
    case responseBegan
    /// ENHANCE_YOUR_CALM.
    case serverWantsCalm
    /// Connections kept going away before they served it.
    case replaysAreUsedUp
    /// The connection was new and had served nothing.
    case connectionWasNew
    /// Retry-After asks for this, and the policy's `maximumRetryAfter` is less.
    case retryAfterIsTooLong(Duration)
    /// It would begin, after this wait, later than the policy's `maximumTime`.
    case pastMaximumTime(wait: Duration)
    /// It would begin, after this wait, when the request's own `timeout` is over.
    case pastTimeout(wait: Duration)
    /// Too many requests of the client are repeated as it is.
    case budgetIsSpent
}
