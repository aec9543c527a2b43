/// A remark that a reader of a measurement's figures needs, with a remedy.
package struct Verdict: Sendable, Equatable {
    package enum Severity: String, Sendable, Equatable, CaseIterable {
        /// Nothing is wrong.
        case fine
        /// Worth knowing.
        case note
        /// The figures are misleading.
        case warning
    }

    /// The subject, for scripts.
    package enum Topic: String, Sendable, Equatable, CaseIterable {
        case ended
        case errors
        case statuses
        case clientBusy = "client_busy"
        case clientLag = "client_lag"
        case throttled
        case sample
        case shortTime = "short_time"
        case streams
        case windows
        case sendBlocked = "send_blocked"
        case rateMissed = "rate_missed"
        case backlog
        case coordinatedOmission = "coordinated_omission"
        case reconnects
        case unsteady
        case nothing
    }

    package var severity: Severity
    package var topic: Topic
    /// One sentence, with the remedy. It may contain text from the server, so escape it for display.
    package var text: String

    package init(_ severity: Severity, _ topic: Topic, _ text: String) {
        self.severity = severity
        self.topic = topic
        self.text = text
    }

    /// All verdicts, warnings first; never empty.
    package static func all(_ result: BenchResult, _ plan: BenchPlan) -> [Verdict] {
        let rules = VerdictRules(result: result, plan: plan)
        if let nothing = rules.nothingAnswered() { return [nothing] }
        var verdicts = rules.withoutConsequences(
            rules.outcome() + rules.client() + rules.server() + rules.waits() + rules.pace() + rules.sample())
        if verdicts.isEmpty { verdicts = [rules.fine()] }
        return verdicts.filter { $0.severity == .warning } + verdicts.filter { $0.severity != .warning }
    }
}

extension [String: Int] {
    /// The most frequent first, ties by name.
    var byCount: [(cause: String, count: Int)] {
        map { (cause: $0.key, count: $0.value) }
            .sorted { $0.count == $1.count ? $0.cause < $1.cause : $0.count > $1.count }
    }
}
