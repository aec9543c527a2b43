import H2Client
import H2Measure

/// Reports on stderr what --retry waits for, once for all requests that wait for the same reason.
final class RetryNotes {
    private let console: Console
    private var told: [String: (at: ContinuousClock.Instant, wait: Duration)] = [:]
    private var others: [String: Int] = [:]

    init(_ console: Console) { self.console = console }

    /// - Parameters:
    ///   - reason: why the request is retried.
    ///   - attempt: which of `retries` this is, if known.
    func tell(_ reason: String, wait: Duration, attempt: Int? = nil, retries: Int? = nil) {
        guard console.showsErrors else { return }
        let now = ContinuousClock.now
        // Reasons that differ only in stream or time get one line a second, unless the wait is clearly longer.
        let kind = reason.filter { !$0.isNumber }
        if let last = told[kind], now - last.at < .seconds(1), wait < last.wait + .seconds(1) {
            others[kind, default: 0] += 1
            return
        }
        // Bounds the memory; old notes are not needed.
        if told.count > 100 { (told, others) = ([:], [:]) }
        told[kind] = (now, wait)
        var line = "h2get: \(reason); trying again " + (wait > .zero ? "in \(wait.brief)" : "at once")
        if let attempt, let retries { line += " (\(attempt) of \(retries))" }
        if let others = others.removeValue(forKey: kind) { line += "; \(counted(others, "such wait")) not shown" }
        console.say(printable(line))
    }
}

extension RetryRefusal {
    /// The reason, in terms of h2get's options.
    func text(_ method: String) -> String {
        switch self {
        case .bodyCannotBeSentAgain: "the body cannot be read a second time"
        case .mayHaveBeenProcessed: "the server may have processed it, and \(method) must not be done twice"
        case .responseBegan: "part of the response had come"
        case .serverWantsCalm: "the server asked for less load"
        case .replaysAreUsedUp: "connections kept ending before they served it"
        case .connectionWasNew: "its connection was new, and may have ended because of it"
        // The library counts up to 68 years.
        case .retryAfterIsTooLong(let wait) where wait >= .seconds(Int32.max):
            "Retry-After asks for more than 68 years, which is more than h2get waits"
        case .retryAfterIsTooLong(let wait): "Retry-After asks for \(wait.brief), which is more than h2get waits"
        case .pastMaximumTime(let wait): "a wait of \(wait.brief) would pass --retry-max-time"
        case .pastTimeout(let wait): "a wait of \(wait.brief) would pass -m"
        case .budgetIsSpent: "too many requests are tried again already"
        }
    }
}
