/// How long to wait before a request is sent again.
enum RetryBackoff {
    /// The policy's backoff, doubled with each further attempt up to the longest wait, and of that at random between half
    /// and all, so that the requests that failed together do not come back together.
    ///
    /// - Parameter attempt: the one that follows the wait: 2 is the first retry.
    /// - Returns: nanoseconds.
    static func wait(
        before attempt: Int, _ policy: HTTPClient.RetryPolicy, using random: inout some RandomNumberGenerator
    ) -> UInt64 {
        let longest = policy.maximumBackoff.clampedNanoseconds
        let first = policy.backoff.clampedNanoseconds
        let doublings = UInt64(min(max(attempt, 2) - 2, 63))
        let (product, isOverflow) = first.multipliedReportingOverflow(by: 1 << doublings)
        let whole = isOverflow ? longest : min(product, longest)
        return UInt64.random(in: whole / 2...whole, using: &random)
    }
}
