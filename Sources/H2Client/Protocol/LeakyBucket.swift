/// Limits a burst, and the rate per second on top of it.
package struct LeakyBucket {
    package let limit: Int
    package let perSecond: Int
    package private(set) var level = 0
    private var drainedAt: UInt64 = 0

    package init(limit: Int, perSecond: Int) {
        self.limit = limit
        // Ensures that its product with 12 days in milliseconds fits.
        self.perSecond = min(max(perSecond, 0), 1 << 32)
    }

    /// Adds `count`. Returns false if that exceeds the limit.
    package mutating func add(_ count: Int, now: UInt64) -> Bool {
        if level <= 0 { drainedAt = now }
        // Must not overflow for any limit: a level below the limit is never drained.
        let (sum, overflow) = level.addingReportingOverflow(count)
        level = overflow ? .max : sum
        guard level > limit else { return true }
        // 12 days drain any bucket; a larger number of milliseconds could overflow.
        let milliseconds = Int(min((now &- drainedAt) / 1_000_000, 1 << 30))
        let drained = milliseconds * perSecond / 1_000
        if drained > 0 {
            level = max(0, level - drained)
            drainedAt = now
        }
        return level <= limit
    }

    /// Removes `count`, but not below `floor`.
    package mutating func drain(_ count: Int, floor: Int) {
        let (rest, overflow) = level.subtractingReportingOverflow(count)
        level = max(floor, overflow ? .min : rest)
    }
}
