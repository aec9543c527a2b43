/// The limits on hedges besides those of the pool: a budget, and origins that asked for a pause.
struct HedgeLimits: Sendable {
    /// The longest time for which an origin gets no hedges: 60 s.
    static let longestPause: UInt64 = 60_000_000_000
    /// The maximum number of origins whose pause is remembered.
    static let rememberedPauses = 1_000

    private var budget: RetryBudget
    private var pausedUntil: [OriginKey: UInt64] = [:]

    init(now: UInt64) { budget = RetryBudget(share: 0, perSecond: 0, now: now) }

    /// A request that may be hedged was sent.
    mutating func sent(now: UInt64) { budget.sent(now: now) }

    /// A server of this origin asked for a pause of this many nanoseconds.
    mutating func pause(_ origin: OriginKey, for time: UInt64, now: UInt64) {
        guard time > 0 else { return }
        if pausedUntil.count >= Self.rememberedPauses { pausedUntil = pausedUntil.filter { $0.value > now } }
        guard pausedUntil.count < Self.rememberedPauses || pausedUntil[origin] != nil else { return }
        let until = now.saturatingSum(min(time, Self.longestPause))
        pausedUntil[origin] = max(until, pausedUntil[origin] ?? 0)
    }

    func isPaused(_ origin: OriginKey, now: UInt64) -> Bool {
        guard let until = pausedUntil[origin] else { return false }
        return until > now
    }

    /// Whether the budget allows another hedge.
    mutating func hasLeft(_ policy: HTTPClient.HedgingPolicy, now: UInt64) -> Bool {
        budget.hasLeft(
            now: now, share: policy.budget > 0 ? policy.budget : 0,
            freePerSecond: UInt32(clamping: policy.minimumHedgesPerSecond))
    }

    mutating func take(_ policy: HTTPClient.HedgingPolicy) {
        budget.take(freePerSecond: UInt32(clamping: policy.minimumHedgesPerSecond))
    }
}
