/// A token bucket: a rate of requests per second, and a burst after a pause.
///
/// Exact: the rate is precisely the number that the `Double` represents, so a bucket that is always emptied matches the rate
/// over any period, after a second as after a century. A Double is m × 2^e with integers m and e. Counting in units of which m
/// arrive every nanosecond, a token is 10^9 × 2^-e units, and nothing is ever rounded.
struct TokenBucket: Sendable {
    /// Valid rates in tokens per second; others are clamped, so the sums below stay within 128 bits.
    static let rates = 0.000_01...1e9
    private static let burstLimit = 1 << 28

    /// Units added per nanosecond (below 2^53).
    private let unitsPerNanosecond: UInt128
    /// Units per token (below 2^100).
    private let token: UInt128
    /// Units of a full bucket (below 2^127), plus the excess that can arrive within the nanosecond that fills it: times are
    /// whole nanoseconds, and the excess belongs to the next token.
    private let capacity: UInt128
    private var level: UInt128
    /// The time to which `level` applies.
    private var filledAt: UInt64

    /// Creates a full bucket.
    ///
    /// - Parameters:
    ///   - perSecond: tokens per second; NaN, zero and negative numbers mean the slowest rate.
    ///   - burst: the number of tokens it holds, 1 or more.
    ///   - now: monotonic nanoseconds.
    init(perSecond: Double, burst: Int, now: UInt64) {
        let rate =
            perSecond > Self.rates.lowerBound ? min(perSecond, Self.rates.upperBound) : Self.rates.lowerBound
        unitsPerNanosecond = UInt128(rate.significandBitPattern | 1 << Double.significandBitCount)
        token = 1_000_000_000 << UInt128(Double.significandBitCount - Int(rate.exponent))
        level = token * UInt128(min(max(burst, 1), Self.burstLimit))
        capacity = level + unitsPerNanosecond - 1
        filledAt = now
    }

    /// Takes a token.
    ///
    /// - Returns: nil if one was taken; otherwise the exact time at which the next one is available.
    mutating func take(now: UInt64) -> UInt64? {
        // A clock that stands still or goes backwards adds nothing.
        if now > filledAt {
            level = min(capacity, level + UInt128(now - filledAt) * unitsPerNanosecond)
            filledAt = now
        }
        if level >= token {
            level -= token
            return nil
        }
        let wait = (token - level + unitsPerNanosecond - 1) / unitsPerNanosecond
        let (time, isOverflow) = filledAt.addingReportingOverflow(UInt64(wait))
        return isOverflow ? .max : time
    }
}
