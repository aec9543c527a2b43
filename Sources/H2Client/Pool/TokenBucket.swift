/// So many a second, and `burst` at once after a pause. Time is monotonic nanoseconds.
struct TokenBucket: Sendable {
    private let interval: UInt64
    private let burst: UInt64
    // When the bucket would be full again.
    private var fullAt: UInt64

    /// `perSecond` above 0, `burst` 1 or more. It begins full.
    init(perSecond: Double, burst: Int, now: UInt64) {
        interval = UInt64(max(1, min(1e18, 1e9 / max(perSecond, 1e-9))))
        self.burst = UInt64(max(1, burst))
        fullAt = now
    }

    /// Takes one token: nil. Where there is none, when to come back.
    mutating func take(now: UInt64) -> UInt64? {
        let full = max(fullAt, now)
        let depth = interval.multipliedReportingOverflow(by: burst - 1)
        let latest = now &+ (depth.overflow ? 1 << 62 : min(depth.partialValue, 1 << 62))
        guard full <= latest else { return full - (latest - now) }
        fullAt = full + interval
        return nil
    }
}
