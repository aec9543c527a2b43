/// A limit on how much comes at once, and on how much comes a second on top of that.
package struct LeakyBucket {
    package let limit: Int
    package let perSecond: Int
    package private(set) var level = 0
    private var drainedAt: UInt64 = 0

    package init(limit: Int, perSecond: Int) {
        self.limit = limit
        // So that its product with 12 days in milliseconds fits.
        self.perSecond = min(max(perSecond, 0), 1 << 32)
    }

    /// Adds `count`; false where that is too much.
    package mutating func add(_ count: Int, now: UInt64) -> Bool {
        if level <= 0 { drainedAt = now }
        // Nothing overflows, however large the limit is: below it a level never drains.
        let (sum, overflow) = level.addingReportingOverflow(count)
        level = overflow ? .max : sum
        guard level > limit else { return true }
        // 12 days drain any bucket; more milliseconds than that could overflow.
        let milliseconds = Int(min((now &- drainedAt) / 1_000_000, 1 << 30))
        let drained = milliseconds * perSecond / 1_000
        if drained > 0 {
            level = max(0, level - drained)
            drainedAt = now
        }
        return level <= limit
    }

    /// Takes `count` out, down to `floor`.
    package mutating func drain(_ count: Int, floor: Int) {
        let (rest, overflow) = level.subtractingReportingOverflow(count)
        level = max(floor, overflow ? .min : rest)
    }
}
