/// How many requests at once an origin takes, found by trying: additive increase, multiplicative decrease.
///
/// 1. As long as the limit is used, a round of good answers (as many as the limit) raises it by one. What is not used
///    proves nothing: a limit grows to twice what is in flight and no further, as a congestion window does that the sender
///    does not fill (RFC 7661).
/// 2. A refusal multiplies it by `decrease`; the refusals of requests that began before the last decrease are news of the
///    same overload and do not count, so it falls once a round trip (RFC 6582 does the same for a window of losses).
/// 3. A server that queues instead of refusing is known by its latency. What is compared are means of a round (16 answers
///    or more), never single answers: cheap and dear resources may be mixed, and the least latency of all would be
///    that of the cheapest, against which every mean looks bad. A mean above `latencyTolerance` × the best one is overload.
/// 4. The best mean follows better ones fast and others slowly, and only those that are nearly as good: so noise does not
///    leave it too low, and the queue that the limit itself makes does not lift it.
/// 5. A server may have become slower for good. Where the queue is ours, fewer requests at once have it shrink. Where half
///    the requests take as long as all of them did, it is not ours, and that is the new best.
///
/// Against Netflix's limits: Vegas takes the least latency of all, which fails at 3; Gradient2 follows the mean at length,
/// so that its measure grows with a queue that stays, which 4 and 5 avoid.
struct AdaptiveLimit: Sendable {
    /// What an answer says of the server's load.
    enum Answer: Sendable, Hashable {
        /// It could do it.
        case good
        /// It is too much: 429, 503, REFUSED_STREAM, ENHANCE_YOUR_CALM. `retryAfter`: leave the origin alone for so many
        /// nanoseconds from now.
        case overloaded(retryAfter: UInt64?)
        /// Nothing: other failures, and what was given up.
        case neutral
    }

    /// Answers whose mean is worth comparing.
    private static let fewestAnswers = 16
    /// How far the best mean goes towards a better one, and (divided by the limit) towards one that is somewhat worse:
    /// slower by far than the one request a round by which the limit's own queue grows, or it would follow that.
    private static let downwards = 0.25
    private static let upwards = 1.0 / 8

    private let range: ClosedRange<Int>
    private let decrease: Double
    private let tolerance: Double
    /// A mean up to so many times the best is what it may slowly follow upwards.
    private let likeness: Double
    private let maximumPause: UInt64

    /// Requests at once, within the configured minimum and maximum.
    private(set) var limit: Int
    /// Monotonic nanoseconds before which nothing should be sent; 0 where the origin did not ask for a pause.
    private(set) var pausedUntil: UInt64 = 0

    /// Good answers towards the next increase.
    private var credit = 0
    /// 0: never.
    private var decreasedAt: UInt64 = 0
    /// The sum and count of the latencies of this round.
    private var sum = 0.0
    private var count = 0
    /// The best mean of a round, nanoseconds; 0 before the first.
    private var best = 0.0
    /// The limit and the mean that latency first lowered the limit at, of a row of such decreases; 0 outside of one.
    private var rowLimit = 0
    private var rowMean = 0.0

    /// What makes no sense is taken for the nearest that does.
    init(_ options: HTTPClient.LoadLimits.Adaptive) {
        let minimum = max(options.minimum, 1)
        range = minimum...max(options.maximum, minimum)
        decrease = options.decrease > 0 ? min(options.decrease, 0.99) : 0.01
        tolerance = options.latencyTolerance > 1.1 ? options.latencyTolerance : 1.1
        // The limit's own queue, right after a decrease, is `tolerance × decrease` times the best: less than that.
        likeness = min(1.5, max(1.05, (1 + tolerance * decrease) / 2))
        maximumPause = options.maximumPause.clampedNanoseconds
        limit = min(max(options.initial, range.lowerBound), range.upperBound)
    }

    /// An answer came, or failed to.
    ///
    /// - Parameters:
    ///   - latency: nanoseconds from when the request was sent until its response began.
    ///   - inFlight: requests at once just before, this one included.
    ///   - now: monotonic nanoseconds.
    mutating func answered(_ answer: Answer, latency: UInt64, inFlight: Int, now: UInt64) {
        if pausedUntil != 0, now >= pausedUntil { pausedUntil = 0 }
        // News from before the last decrease are no news.
        let isNews = decreasedAt == 0 || now > latency && now - latency > decreasedAt
        switch answer {
        case .neutral: break
        case .overloaded(let retryAfter):
            if let retryAfter { pause(for: retryAfter, now: now) }
            guard isNews else { return }
            rowLimit = 0
            lower(inFlight, now)
        case .good:
            guard isNews else { return }
            measured(latency, inFlight, now)
            if limit - 1 <= (inFlight &- 1) &* 2 { credited() }
        }
    }

    /// Sends nothing for so many nanoseconds, up to `maximumPause`: a RateLimit field of a good answer, say. It never
    /// shortens a pause.
    mutating func pause(for time: UInt64, now: UInt64) {
        guard time > 0 else { return }
        pausedUntil = max(pausedUntil, now.saturatingSum(min(time, maximumPause)))
    }

    private mutating func credited() {
        credit += 1
        guard credit >= limit else { return }
        credit = 0
        if limit < range.upperBound { limit += 1 }
    }

    private mutating func lower(_ inFlight: Int, _ now: UInt64) {
        // Of what was used: else a limit far above would have to fall for long before it is felt.
        let used = min(limit, max(inFlight, 1) &* 2)
        limit = max(range.lowerBound, min(limit - 1, Int(Double(used) * decrease)))
        decreasedAt = max(now, 1)
        (credit, sum, count) = (0, 0, 0)
    }

    private mutating func measured(_ latency: UInt64, _ inFlight: Int, _ now: UInt64) {
        // One that took for ever must not outweigh a round.
        sum += best > 0 ? min(Double(latency), best * tolerance * 2) : Double(latency)
        count += 1
        guard count >= max(limit, Self.fewestAnswers) else { return }
        let mean = max(sum / Double(count), 1)
        (sum, count) = (0, 0)
        if best == 0 {
            best = mean
        } else if mean <= best * tolerance {
            rowLimit = 0
            if mean < best {
                best += (mean - best) * Self.downwards
            } else if mean <= best * likeness {
                best += (mean - best) * Self.upwards / Double(max(limit, Self.fewestAnswers))
            }
        } else if rowLimit == 0 {
            (rowLimit, rowMean) = (limit, mean)
            lower(inFlight, now)
        } else if limit <= range.lowerBound || limit <= rowLimit / 2 && mean > rowMean * 0.75 {
            best = mean
            rowLimit = 0
        } else {
            lower(inFlight, now)
        }
    }
}
