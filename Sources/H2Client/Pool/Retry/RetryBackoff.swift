/// The wait before a retry.
enum RetryBackoff {
    /// The policy's backoff, doubled with each attempt up to the longest wait, minus a random part of its `jitter`, so that
    /// requests that failed together are not retried together.
    ///
    /// - Parameter attempt: the attempt after the wait; 2 is the first retry.
    /// - Returns: nanoseconds.
    static func wait(
        before attempt: Int, _ policy: HTTPClient.RetryPolicy, using random: inout some RandomNumberGenerator
    ) -> UInt64 {
        let longest = policy.maximumBackoff.clampedNanoseconds
        let first = policy.backoff.clampedNanoseconds
        let doublings = UInt64(min(max(attempt, 2) - 2, 63))
        let (product, isOverflow) = first.multipliedReportingOverflow(by: 1 << doublings)
        let whole = isOverflow ? longest : min(product, longest)
        let jitter = policy.jitter > 0 ? min(policy.jitter, 1) : 0
        let share = Double(whole) * jitter
        let chance = share < Double(whole) ? min(whole, UInt64(share)) : whole
        return UInt64.random(in: whole - chance...whole, using: &random)
    }
}
