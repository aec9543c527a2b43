/// So many requests a second, and so many at once after a pause.
///
/// Exact: the rate is the very number that the `Double` stands for, so that a bucket that is emptied as fast as it may be
/// gives in every stretch of time what the rate says, after a second as after a century. A Double is m × 2^e with whole m
/// and e. Counted in units of which m come every nanosecond, a token is 10^9 × 2^-e of them, and nothing is ever rounded.
struct TokenBucket: Sendable {
    /// Rates beyond are taken for the nearest of these, tokens a second: so the sums below stay within 128 bits.
    static let rates = 0.000_01...1e9
    private static let burstLimit = 1 << 28

    /// Units that come every nanosecond (below 2^53).
    private let unitsPerNanosecond: UInt128
    /// Units of one token (below 2^100).
    private let token: UInt128
    /// Units of a full bucket (below 2^127), and what more can come within the nanosecond that fills it: times are whole,
    /// and what is over belongs to the next token.
    private let capacity: UInt128
    private var level: UInt128
    /// When `level` was right.
    private var filledAt: UInt64

    /// A full bucket.
    ///
    /// - Parameters:
    ///   - perSecond: tokens a second; what is not a number, or not positive, is the slowest rate there is.
    ///   - burst: how many tokens it holds, 1 or more.
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
    /// - Returns: nil where one was taken; else the time at which the next one is there, not a nanosecond later.
    mutating func take(now: UInt64) -> UInt64? {
        // A clock that stands still or goes back adds nothing.
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
