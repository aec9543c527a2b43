extension HTTPClient {
    /// When to send another copy of a slow request on another connection and take the first answer ("hedged" or
    /// "backup" requests).
    ///
    /// ```swift
    /// var options = RequestOptions()
    /// options.hedging = HTTPClient.HedgingPolicy(delay: .milliseconds(80))
    /// let page = try await client.get("https://example.com/", options: options)
    /// print(page.response.isHedge)
    /// ```
    ///
    /// This helps if a few requests take much longer than most because one connection, or the server at its end, is
    /// slow for a moment. The server does the work twice, so the share of hedged requests is limited by a ``budget``.
    ///
    /// - **Which requests.** Those with an idempotent method (RFC 9110 section 9.2.2) whose body, if any, can be sent
    ///   again (``HTTPRequestBody/isReplayable``). All others are sent once, and so are requests with Digest
    ///   credentials, which can be used only once. The writer of a replayable body may be called for two copies at
    ///   once, and ``RequestOptions/onInformational`` for the responses to each. The losing copy may still be processed
    ///   after the call has returned, which matters for PUT and DELETE if the next request changes the same resource.
    /// - **Which connection.** One that carries no other copy, dialled if the limits allow. If HTTP/2 has a single
    ///   connection to an origin (``Pool/whenSaturated`` is `queue` or `fail`), a hedge may open a second one, which
    ///   stays open until its idle timeout; `openConnection(upTo:)` sets how many there may be. If there is no other
    ///   connection, no hedge is sent, and none ever waits for a limit, for a free slot, or behind other requests. Load
    ///   limits count a hedge like any other request.
    /// - **Which answer.** The first response that is not to be retried. After a failure, or a status that the retry
    ///   policy lists, the call waits for the copies still in progress. If none of them does better, that response is
    ///   the result, or otherwise the error of the first copy. As soon as there is a result, the other copies are given
    ///   up: with RST_STREAM over HTTP/2, and by closing the connection over HTTP/1.1. Cancelling the task gives up all
    ///   copies. ``RequestOptions/timeout`` covers all copies, counted from the call; other limits apply to each copy.
    /// - **Retries.** All copies together are one attempt, which ends and is retried as described in ``RetryPolicy``. A
    ///   request has at most ``maximumHedges`` over all its attempts. It is sent at most `maximumAttempts` +
    ///   `maximumHedges` times, plus the repetitions that do not count as attempts, after which hedges may follow too:
    ///   see ``RetryPolicy/maximumAttempts``. A redirect or an answered challenge starts over. Interceptors see one
    ///   request, and one for each attempt.
    /// - **Servers in trouble.** If an origin answers such a request with 429 or 503 and Retry-After, it gets no hedges
    ///   until that time is over (60 s at most). The same request gets none after ENHANCE_YOUR_CALM.
    ///
    /// A hedged request costs one timer and one task more than others, even if no copy is sent. ``Statistics/hedges``
    /// and ``Event/Kind/requestHedged(after:)`` report the hedges.
    public struct HedgingPolicy: Sendable, Hashable {
        /// The delay before the next copy, counted from when the first copy was given to a connection, and again before
        /// each further copy. Waiting for the first connection does not count. Zero sends all copies at once. There is
        /// no default, because it depends on the service: about the 95th percentile of its response times is usual, so
        /// that one request in twenty is sent twice.
        public var delay: Duration
        /// The maximum number of additional copies of a request, 0 to 4. 0 switches hedging off. Default 1: a second
        /// one rarely helps.
        public var maximumHedges: Int
        /// The maximum share of hedges, as a fraction of the last 10 seconds' requests with hedging (0.1: a tenth
        /// more), over all origins of the client. Default 0.1: twice what a ``delay`` at the 95th percentile needs, so
        /// it stops hedging only when a server becomes slow for all requests.
        public var budget: Double
        /// The number of hedges per second allowed in addition to ``budget``, for clients with few requests. Default 1.
        public var minimumHedgesPerSecond: Int

        /// Creates a policy; settings that are left out have their defaults.
        public init(
            delay: Duration, maximumHedges: Int = 1, budget: Double = 0.1, minimumHedgesPerSecond: Int = 1
        ) {
            self.delay = delay
            self.maximumHedges = maximumHedges
            self.budget = budget
            self.minimumHedgesPerSecond = minimumHedgesPerSecond
        }

        /// No hedges.
        public static var never: HedgingPolicy { HedgingPolicy(delay: .zero, maximumHedges: 0) }

        /// The maximum for `maximumHedges`: gRPC's limit of five copies in all.
        static let mostHedges = 4
    }
}
