import H2Client
import H2Measure

/// Says on stderr what --retry waits for: once for many requests that wait for the same.
final class RetryNotes {
    private let console: Console
    private var told: [String: (at: ContinuousClock.Instant, wait: Duration)] = [:]
    private var others: [String: Int] = [:]

    init(_ console: Console) { self.console = console }

    /// - Parameters:
    ///   - reason: why it is tried again.
    ///   - attempt: which of `retries` it is, where that is known.
    func tell(_ reason: String, wait: Duration, attempt: Int? = nil, retries: Int? = nil) {
        guard console.showsErrors else { return }
        let now = ContinuousClock.now
        // Of what differs in its stream or its time only, a line a second; a wait that is clearly longer is news.
        let kind = reason.filter { !$0.isNumber }
        if let last = told[kind], now - last.at < .seconds(1), wait < last.wait + .seconds(1) {
            others[kind, default: 0] += 1
            return
        }
        // Old notes need not be remembered.
        if told.count > 100 { (told, others) = ([:], [:]) }
        told[kind] = (now, wait)
        var line = "h2get: \(reason); trying again " + (wait > .zero ? "in \(wait.brief)" : "at once")
        if let attempt, let retries { line += " (\(attempt) of \(retries))" }
        if let others = others.removeValue(forKey: kind) { line += "; \(counted(others, "such wait")) not shown" }
        console.say(printable(line))
    }
}

extension RetryRefusal {
    /// In terms of the options that fetching has.
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
