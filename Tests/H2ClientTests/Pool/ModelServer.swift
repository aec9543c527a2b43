import H2TestSupport

@testable import H2Client

/// A server with so many workers, so long a queue before them, and a refusal for what finds it full; and a client that
/// has always more to ask. Time is a number.
struct ModelServer {
    var workers: Int
    var queue: Int
    /// Nanoseconds that a request takes a worker.
    var service: (inout SeededGenerator) -> UInt64
    /// There and back, without the service.
    var roundTrip: UInt64 = 1_000_000
    /// What a refusal asks for.
    var retryAfter: UInt64?

    /// Who decides how many requests there may be at once.
    enum Limit {
        case fixed(Int)
        case adaptive(AdaptiveLimit)

        var now: Int {
            switch self {
            case .fixed(let limit): limit
            case .adaptive(let limit): limit.limit
            }
        }
    }

    struct Tally {
        var completed = 0
        var refused = 0
        /// The sum of the limit over all answers, their number, and its extremes.
        var limitSum = 0
        var answers = 0
        var least = Int.max
        var most = 0
        var meanLimit: Double { Double(limitSum) / Double(max(answers, 1)) }
        var refusedShare: Double { Double(refused) / Double(max(answers, 1)) }
    }

    private enum Event { case completed(sentAt: UInt64), refused(sentAt: UInt64), wakeUp }

    var limit: Limit
    /// How many requests at once the client has use for.
    var demand = Int.max
    private var random: SeededGenerator
    private var now: UInt64 = 1_000_000_000
    private var inFlight = 0
    /// Latest first.
    private var events: [(time: UInt64, event: Event)] = []
    /// When those that the server has are done, earliest first.
    private var finishing: [UInt64] = []

    init(
        workers: Int, queue: Int, limit: Limit, seed: UInt64 = 1,
        service: @escaping (inout SeededGenerator) -> UInt64
    ) {
        (self.workers, self.queue, self.limit, self.service) = (workers, queue, limit, service)
        random = SeededGenerator(seed: seed)
    }

    static func about(milliseconds: Double) -> (inout SeededGenerator) -> UInt64 {
        { UInt64(milliseconds * 1e6 * Double.random(in: 0.9...1.1, using: &$0)) }
    }

    /// Runs for so many seconds; what is under way stays so.
    mutating func run(seconds: Double) -> Tally {
        var tally = Tally()
        let end = now + UInt64(seconds * 1e9)
        send()
        while let next = events.last, next.time <= end {
            events.removeLast()
            now = next.time
            switch next.event {
            case .wakeUp: break
            case .completed(let sentAt):
                tally.completed += 1
                answered(.good, sentAt)
            case .refused(let sentAt):
                tally.refused += 1
                answered(.overloaded(retryAfter: retryAfter), sentAt)
            }
            tally.answers += 1
            tally.limitSum += limit.now
            tally.least = min(tally.least, limit.now)
            tally.most = max(tally.most, limit.now)
            send()
        }
        now = end
        return tally
    }

    private mutating func answered(_ answer: AdaptiveLimit.Answer, _ sentAt: UInt64) {
        if case .adaptive(var adaptive) = limit {
            adaptive.answered(answer, latency: now - sentAt, inFlight: inFlight, now: now)
            limit = .adaptive(adaptive)
        }
        inFlight -= 1
    }

    private mutating func send() {
        if case .adaptive(let adaptive) = limit, adaptive.pausedUntil > now {
            if inFlight == 0, events.isEmpty { schedule(adaptive.pausedUntil, .wakeUp) }
            return
        }
        while inFlight < min(limit.now, demand) {
            inFlight += 1
            let arrival = now + roundTrip / 2
            finishing.removeFirst(place(after: arrival))
            guard finishing.count < workers + queue else {
                schedule(arrival + roundTrip / 2, .refused(sentAt: now))
                continue
            }
            // It begins when so many have finished that a worker is free.
            let start = finishing.count < workers ? arrival : finishing[finishing.count - workers]
            let done = start + service(&random)
            finishing.insert(done, at: place(after: done))
            schedule(done + roundTrip / 2, .completed(sentAt: now))
        }
    }

    /// Where in `finishing` what is later begins.
    private func place(after time: UInt64) -> Int {
        var (low, high) = (0, finishing.count)
        while low < high {
            let middle = (low + high) / 2
            if finishing[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func schedule(_ time: UInt64, _ event: Event) {
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].time > time { low = middle + 1 } else { high = middle }
        }
        events.insert((time, event), at: low)
    }
}
