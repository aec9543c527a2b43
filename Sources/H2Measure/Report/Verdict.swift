/// Something that whoever reads a measurement's figures has to know, with what to do about it.
package struct Verdict: Sendable, Equatable {
    package enum Severity: String, Sendable, Equatable, CaseIterable {
        /// Nothing is wrong.
        case fine
        /// To be known.
        case note
        /// The figures do not say what they seem to.
        case warning
    }

    /// What it is about, for scripts.
    package enum Topic: String, Sendable, Equatable, CaseIterable {
        case ended
        case errors
        case statuses
        case clientBusy = "client_busy"
        case clientLag = "client_lag"
        case throttled
        case sample
        case shortTime = "short_time"
        case slots
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
    /// One sentence, with the remedy. May hold text of the server's, so that it is to be escaped where it is shown.
    package var text: String

    package init(_ severity: Severity, _ topic: Topic, _ text: String) {
        self.severity = severity
        self.topic = topic
        self.text = text
    }

    /// All there is to say, warnings first; never nothing.
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
    /// The most frequent first, and by name where they are alike.
    var byCount: [(cause: String, count: Int)] {
        map { (cause: $0.key, count: $0.value) }
            .sorted { $0.count == $1.count ? $0.cause < $1.cause : $0.count > $1.count }
    }
}
