/// Limits the retries a client adds to its requests, so that a server in trouble does not get a multiple of the load.
///
/// Each second allows `minimumRetriesPerSecond` retries; more are drawn from a share of the last 10 seconds' requests, minus those
/// already drawn in that time.
struct RetryBudget: Sendable {
    private static let seconds = 10
    private static let second: UInt64 = 1_000_000_000

    private let share: Double
    private let freePerSecond: UInt32
    /// The end of the current second, in monotonic nanoseconds.
    private var secondEndsAt: UInt64
    private var freeTaken: UInt32 = 0
    /// Requests in the current second.
    private var sentNow: UInt32 = 0
    private var drawnNow: UInt32 = 0
    /// Requests in the nine seconds before it (of sixteen elements, since there is no vector of nine).
    private var sent = SIMD16<UInt32>()
    private var drawn = SIMD16<UInt32>()
    private var sentBefore = 0
    private var drawnBefore = 0
    private var oldest = 0

    /// - Parameter now: monotonic nanoseconds, as everywhere here.
    init(_ policy: HTTPClient.RetryPolicy, now: UInt64) {
        self.init(share: policy.budget, perSecond: policy.minimumRetriesPerSecond, now: now)
    }

    init(share: Double, perSecond: Int, now: UInt64) {
        self.share = share > 0 ? share : 0
        freePerSecond = UInt32(clamping: perSecond)
        secondEndsAt = now.saturatingSum(Self.second)
    }

    /// A request was sent for the first time; retries do not enlarge the budget.
    mutating func sent(now: UInt64) {
        if now >= secondEndsAt { advance(to: now) }
        sentNow &+= 1
    }

    /// Takes a retry from the budget.
    ///
    /// - Returns: false if nothing is left.
    mutating func takeRetry(now: UInt64) -> Bool {
        guard hasLeft(now: now, share: share, freePerSecond: freePerSecond) else { return false }
        take(freePerSecond: freePerSecond)
        return true
    }

    /// Whether one may be taken, given a share and a number per second.
    mutating func hasLeft(now: UInt64, share: Double, freePerSecond: UInt32) -> Bool {
        if now >= secondEndsAt { advance(to: now) }
        return freeTaken < freePerSecond
            || Double(drawnBefore + Int(drawnNow) + 1) <= share * Double(sentBefore + Int(sentNow))
    }

    /// Takes one of those left.
    mutating func take(freePerSecond: UInt32) {
        if freeTaken < freePerSecond { freeTaken += 1 } else { drawnNow += 1 }
    }

    /// Advances to the second that contains `now`.
    private mutating func advance(to now: UInt64) {
        let passed = (now - secondEndsAt) / Self.second + 1
        secondEndsAt = secondEndsAt.saturatingSum(passed * Self.second)
        for _ in 0..<min(passed, UInt64(Self.seconds)) {
            sentBefore += Int(sentNow) - Int(sent[oldest])
            drawnBefore += Int(drawnNow) - Int(drawn[oldest])
            sent[oldest] = sentNow
            drawn[oldest] = drawnNow
            oldest = (oldest + 1) % (Self.seconds - 1)
            (sentNow, drawnNow) = (0, 0)
        }
        freeTaken = 0
    }
}

extension UInt64 {
    /// The sum, or the maximum on overflow.
    func saturatingSum(_ other: UInt64) -> UInt64 {
        let (sum, isOverflow) = addingReportingOverflow(other)
        return isOverflow ? .max : sum
    }
}
