/// The number of concurrent requests an origin can take, found by additive increase and multiplicative decrease.
///
/// 1. While the limit is used, a round of good answers (as many as the limit) raises it by one. An unused limit proves nothing:
///    it grows to twice the requests in flight and no further, like the congestion window of a sender that does not fill it
///    (RFC 7661).
/// 2. A refusal multiplies it by `decreaseFactor`. Refusals of requests that began before the last decrease report the same overload
///    and do not count, so the limit falls once per round trip (as in RFC 6582 for a window of losses).
/// 3. A server that queues instead of refusing is recognised by its latency. The means of rounds (16 answers or more) are
///    compared, never single answers: cheap and expensive resources may be mixed, and every mean looks bad against the minimum
///    latency, that of the cheapest. A mean above `latencyTolerance` × the best one is overload.
/// 4. The best mean follows better means quickly and others slowly, and only if they are nearly as good. So noise does not
///    leave it too low, and the queue that the limit itself causes does not raise it.
/// 5. A server may have become slower for good. If the queue is ours, fewer concurrent requests shrink it. If half the requests
///    take as long as all of them did, it is not ours, and their mean is the new best.
///
/// Compared with Netflix's limits: Vegas uses the minimum latency, which fails at 3; Gradient2 follows a long-term mean, so its
/// baseline grows with a persistent queue, which 4 and 5 avoid.
struct AdaptiveLimit: Sendable {
    /// The load of the server, as an answer shows it.
    enum Answer: Sendable, Hashable {
        /// The server kept up.
        case good
        /// Too much load: 429, 503, REFUSED_STREAM, ENHANCE_YOUR_CALM. `retryAfter`: nanoseconds from now to leave the origin
        /// alone.
        case overloaded(retryAfter: UInt64?)
        /// No information: other failures and cancelled requests.
        case neutral
    }

    /// Answers per round, at least, for a mean worth comparing.
    private static let fewestAnswers = 16
    /// How far the best mean moves towards a better one, and (divided by the limit) towards a slightly worse one. The latter is
    /// far slower than the limit's own queue grows (one request per round), or it would follow that.
    private static let downwards = 0.25
    private static let upwards = 1.0 / 8

    private let range: ClosedRange<Int>
    private let decreaseFactor: Double
    private let tolerance: Double
    /// The best mean slowly follows means up to this multiple of it.
    private let likeness: Double
    private let maximumPause: UInt64

    /// Concurrent requests, within the configured minimum and maximum.
    private(set) var limit: Int
    /// Monotonic nanoseconds before which nothing should be sent; 0 if the origin asked for no pause.
    private(set) var pausedUntil: UInt64 = 0

    /// Good answers counted towards the next increase.
    private var credit = 0
    /// 0: never.
    private var decreasedAt: UInt64 = 0
    /// The sum and count of this round's latencies.
    private var sum = 0.0
    private var count = 0
    /// The best mean of a round in nanoseconds; 0 before the first.
    private var best = 0.0
    /// The limit and the mean at the first of consecutive decreases due to latency; 0 otherwise.
    private var rowLimit = 0
    private var rowMean = 0.0

    /// Invalid options are replaced by the nearest valid ones.
    init(_ options: HTTPClient.LoadLimits.Adaptive) {
        let minimum = max(options.minimum, 1)
        range = minimum...max(options.maximum, minimum)
        decreaseFactor = options.decreaseFactor > 0 ? min(options.decreaseFactor, 0.99) : 0.01
        tolerance = options.latencyTolerance > 1.1 ? options.latencyTolerance : 1.1
        // Right after a decrease the limit's own queue is `tolerance × decreaseFactor` times the best; stay below that.
        likeness = min(1.5, max(1.05, (1 + tolerance * decreaseFactor) / 2))
        maximumPause = options.maximumPause.clampedNanoseconds
        limit = min(max(options.initial, range.lowerBound), range.upperBound)
    }

    /// Records an answer, or the failure to get one.
    ///
    /// - Parameters:
    ///   - latency: nanoseconds from sending the request until its response began.
    ///   - inFlight: concurrent requests just before, including this one.
    ///   - now: monotonic nanoseconds.
    mutating func answered(_ answer: Answer, latency: UInt64, inFlight: Int, now: UInt64) {
        if pausedUntil != 0, now >= pausedUntil { pausedUntil = 0 }
        // Requests sent before the last decrease tell nothing new.
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

    /// Sends nothing for `time` nanoseconds, up to `maximumPause`, for example due to a RateLimit field of a good answer. It
    /// never shortens a pause.
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
        // Based on what was used: a limit far above would otherwise fall for a long time without effect.
        let used = min(limit, max(inFlight, 1) &* 2)
        limit = max(range.lowerBound, min(limit - 1, Int(Double(used) * decreaseFactor)))
        decreasedAt = max(now, 1)
        (credit, sum, count) = (0, 0, 0)
    }

    private mutating func measured(_ latency: UInt64, _ inFlight: Int, _ now: UInt64) {
        // One very slow answer must not dominate a round.
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
