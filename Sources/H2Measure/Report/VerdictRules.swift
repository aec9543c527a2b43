import H2Platform

/// The rules of the verdicts: what came of the requests, and whether the client or the server was at its limit. Each rule looks
/// at one figure, and states its limits.
struct VerdictRules {
    let result: BenchResult
    let plan: BenchPlan
    let latency: Distribution
    let corrected: Distribution

    init(result: BenchResult, plan: BenchPlan) {
        self.result = result
        self.plan = plan
        latency = Distribution(result.latency)
        corrected = Distribution(result.corrected)
    }

    var isOpenLoop: Bool { plan.pace != .closed }

    var remedies: Remedies { Remedies(plan: plan, result: result) }

    // MARK: What became of the requests

    func outcome() -> [Verdict] {
        var verdicts = ended() + failures()
        if let unanswered = unanswered() { verdicts.append(unanswered) }
        let statuses = Dictionary(
            uniqueKeysWithValues: result.statuses.enumerated().filter { $0.element > 0 }.map { ($0.offset, $0.element) }
        )
        // With expected statuses, responses with any other have already failed.
        if plan.expectation?.statuses != nil { return verdicts }
        return verdicts
            + StatusSentence.all(statuses, of: result.requests.done + result.unexpected)
            .map { Verdict(.warning, .statuses, $0) }
    }

    /// Reports that requests were cut off, if no other verdict does.
    private func unanswered() -> Verdict? {
        let count = result.requests.aborted
        guard count > 0 else { return nil }
        let lacking = "and the latencies lack them"
        if let silence = result.silenceAtEnd {
            return Verdict(
                .warning, .errors,
                "No response came in the last \(timeText(seconds: silence)), while \(grouped(count, "request")) waited, "
                    + "\(lacking): check that the server is still running.")
        }
        let text: String
        switch result.end {
        // The verdict about the end says how many there were.
        case .expired: return nil
        case .interrupted: text = "\(grouped(count, "request")) had no answer yet when it was stopped, \(lacking)."
        case .gaveUp: text = "\(grouped(count, "request")) had no answer yet when it ended, \(lacking)."
        case .complete where !remedies.timeLimits.isEmpty && wereEndedByTimeLimits:
            text = Remedies.sentence(
                "\(grouped(count, "request")) had no answer yet when their connection reached its time limit "
                    + "(\(remedies.timeLimits)), \(lacking)",
                "use a longer \(remedies.timeLimits)")
        case .complete:
            let drain =
                plan.drain > .zero ? "within the \(Remedies.brief(plan.drain)) to drain" : "when the time was over"
            text = Remedies.sentence(
                "\(grouped(count, "request")) got no answer \(drain), and the latencies, of which theirs would be the "
                    + "longest, lack them",
                remedies.longerDrain)
        }
        return Verdict(.note, .errors, text)
    }

    /// Whether connections were ended on purpose, without a replacement.
    private var wereEndedByTimeLimits: Bool {
        plan.requestsPerConnection == nil && result.connections.rotated > 0
    }

    /// The only verdict if nothing was answered: there is nothing to judge, only a remedy to give.
    func nothingAnswered() -> Verdict? {
        let requests = result.requests
        guard requests.done == 0, result.end == .complete else { return nil }
        if requests.failed == 0 { return nothingInTime() }
        let cause = result.errors.byCount.first.map { " (\($0.cause))" } ?? ""
        if result.unexpected > 0 {
            return Verdict(
                .warning, .errors,
                "None of \(grouped(result.unexpected, "response")) was as expected\(cause): check the URL, and what "
                    + "\(expectationOptions).")
        }
        let remedy =
            result.suggestsHTTP1(plan)
            ? "does the server speak HTTP/2 without TLS? if not, use --h1" : "try one with h2get -v first"
        return Verdict(
            .warning, .errors,
            "None of \(grouped(requests.sent, "request")) was answered\(cause): \(remedy).")
    }

    /// The verdict if nothing failed either: all of it was too late, or never began.
    private func nothingInTime() -> Verdict? {
        guard case .time(let time) = plan.extent, !wasAway else { return nil }
        if result.requests.sent == 0, plan.thinkTime > .zero {
            let think = Remedies.brief(plan.thinkTime)
            return Verdict(
                .warning, .sample,
                "Nothing was sent, because all streams were waiting for their think time (\(think)): use a longer -D, or a "
                    + "shorter --think-time.")
        }
        let (drain, tryOne) = (Remedies.brief(plan.drain), "try one with h2get -v first")
        if result.requests.sent > 0 {
            let waited = plan.drain > .zero ? " and the \(drain) to drain" : ""
            let count = result.requests.sent
            let none = count == 1 ? "The one request was not" : "None of \(grouped(count, "request")) was"
            return Verdict(
                .warning, .sample,
                "\(none) answered within \(Remedies.brief(time))\(waited): use a longer -D or --drain, or \(tryOne).")
        }
        if plan.warmUp > .zero, result.timeLine.contains(where: { $0.peakInFlight > 0 }) {
            return Verdict(
                .warning, .sample,
                "Nothing was measured, because all streams still waited for responses to requests of the warm-up: use a "
                    + "longer -D, or \(tryOne).")
        }
        guard let due = scheduled(), due < 1 else { return nil }
        return Verdict(
            .warning, .sample,
            "Nothing was sent, because no request was due within \(Remedies.brief(time)) at this rate: use a longer -D, or "
                + "a higher rate.")
    }

    private var expectationOptions: String {
        let options = [
            plan.expectation?.statuses.map { _ in "--expect-status" },
            plan.expectation?.bodyBytes.map { _ in "--expect-size" },
            plan.expectation?.sha256.map { _ in "--expect-sha256" },
        ].compactMap { $0 }
        switch options.count {
        case 0: return "is expected"
        case 1: return "\(options[0]) says"
        default: return "\(options.dropLast().joined(separator: ", ")) and \(options[options.count - 1]) say"
        }
    }

    private func ended() -> [Verdict] {
        switch result.end {
        case .complete: return []
        case .interrupted:
            return [Verdict(.note, .ended, "It was stopped early, so these are the figures of what ran until then.")]
        case .expired(let reason): return [expired(reason)]
        case .gaveUp(let reason):
            let failed =
                result.requests.failed > 0
                ? ", and \(grouped(result.requests.failed, "request")) of \(grouped(result.requests.sent)) failed with it"
                : ""
            let what =
                "It ended after \(timeText(seconds: result.elapsed)), since no further connection could be established "
                + "(\(reason))\(failed)"
            if result.suggestsHTTP1(plan) {
                return [
                    Verdict(
                        .warning, .ended,
                        "\(what): does the server speak HTTP/2 without TLS? if not, use --h1.")
                ]
            }
            if throttling.isEmpty {
                return [Verdict(.warning, .ended, "\(what): see whether the server still runs.")]
            }
            return [
                Verdict(.warning, .ended, Remedies.sentence("\(what) because the server throttles", remedies.lessLoad))
            ]
        }
    }

    /// Requests that failed because their connection was silent for longer than -N allows, which ended the run.
    private var silent: Int {
        if case .expired = result.end { result.errors[FailureName.silence] ?? 0 } else { 0 }
    }

    private func expired(_ reason: String) -> Verdict {
        let limits = remedies.timeLimits
        guard !limits.isEmpty else { return Verdict(.note, .ended, "It ended early: \(reason).") }
        let what: String
        if plan.activeTimeout == nil, let silence = plan.inactivityTimeout {
            what = "every connection had been silent for \(Remedies.brief(silence)) (-N)"
        } else {
            what = "every connection had reached its time limit (\(limits))"
        }
        let (done, sent) = (result.requests.done, result.requests.sent)
        let cut = result.requests.aborted + silent
        let unanswered =
            done == 0
            ? sent == 0
                ? " and nothing had been sent" : " and none of \(grouped(sent, "request")) was answered"
            : cut > 0 ? " and \(grouped(cut, "request")) had no answer yet, so that the latencies lack them" : ""
        return Verdict(
            done == 0 ? .warning : .note, .ended,
            "It ended after \(timeText(seconds: result.elapsed)), when \(what)\(unanswered): use a longer \(limits).")
    }

    /// Whether the server was away for a part of the run: no connection, and none that could be established at once.
    var wasAway: Bool { result.downtime.count > 0 }

    private func failures() -> [Verdict] {
        let requests = result.requests
        func first(_ causes: [String: Int]) -> String { causes.byCount.first.map { " (\($0.cause))" } ?? "" }
        let (lost, failed) = (result.connections.lostSince, result.connections.failedSince)
        let (lostCount, failedCount) = (Self.sum(lost), Self.sum(failed))
        if wasAway {
            let with = requests.failed > 0 ? ", and \(grouped(requests.failed, "request")) failed" : ""
            let reasons = [
                lostCount == 0 ? nil : "\(grouped(lostCount, "connection")) ended\(first(lost))",
                failedCount == 0 ? nil : "\(grouped(failedCount, "attempt")) to connect failed\(first(failed))",
            ].compactMap { $0 }
            let why = reasons.isEmpty ? "" : ", for \(reasons.joined(separator: " and "))"
            return [
                Verdict(
                    .warning, .errors,
                    "The server was away for a part of the run\(why)\(with): find out why, and measure again.")
            ]
        }
        var verdicts: [Verdict] = []
        let failures = requests.failed - silent
        if failures > 0 {
            var errors = result.errors
            if silent > 0 { errors[FailureName.silence] = nil }
            let causes = errors.byCount.prefix(2).map { "\($0.cause), \(grouped($0.count))" }
            let named = causes.isEmpty ? "" : " (\(causes.joined(separator: "; ")))"
            let isUnexpected = result.unexpected >= failures
            verdicts.append(
                Verdict(
                    .warning, .errors,
                    isUnexpected
                        ? "\(grouped(failures, "response")) of \(grouped(requests.sent)) were not as expected\(named), and the "
                            + "latencies lack them: check the URL, and what \(expectationOptions)."
                        : Remedies.sentence(
                            "\(grouped(failures, "request")) of \(grouped(requests.sent)) failed\(named), and the latencies lack "
                                + "them",
                            "find out why before you trust the latencies", remedies.lessLoad)))
        }
        if let missing = neverOpened() ?? abandoned() {
            verdicts.append(missing)
        } else if let most = failed.byCount.first, failedCount > 0 {
            verdicts.append(
                Verdict(
                    .warning, .errors,
                    Remedies.sentence(
                        "\(grouped(failedCount, "connection")) could not be established (most often: \(most.cause)), so the "
                            + "load was not what was asked for",
                        remedies.fewerConnections, remedies.slowerConnecting)))
        }
        return verdicts
    }

    private static func sum(_ causes: [String: Int]) -> Int { causes.values.reduce(0, +) }

    /// Reports that connection slots gave up, in the warm-up or after it, so that there was less load than asked for.
    private func abandoned() -> Verdict? {
        let connections = result.connections
        guard connections.abandoned > 0 else { return nil }
        // If all gave up, that ended the run.
        if case .gaveUp = result.end { return nil }
        let most = connections.failed.byCount.first.map { " (most often: \($0.cause))" } ?? ""
        return Verdict(
            .warning, .errors,
            Remedies.sentence(
                "\(grouped(connections.abandoned)) of \(grouped(plan.users == nil ? plan.connections : connections.wanted, "connection")) could not be established "
                    + "again\(most), so the load was not what was asked for",
                remedies.fewerConnections, remedies.slowerConnecting))
    }

    /// Reports that connection slots never had a connection, so that there was less load than asked for.
    private func neverOpened() -> Verdict? {
        let connections = result.connections
        guard connections.neverOpened > 0 else { return nil }
        let what =
            "\(grouped(connections.neverOpened)) of \(grouped(connections.wanted, "connection")) never came up"
        let consequence = "so that the load was not what was asked for"
        guard let most = connections.failed.byCount.first else {
            let longer: String? = if case .time = plan.extent { remedies.longerRun } else { nil }
            let faster = plan.connectionRamp == nil ? nil : "use a larger -r"
            return Verdict(
                .warning, .errors,
                Remedies.sentence(
                    "\(what) (they were still being opened, or not due yet, at the end), \(consequence)", longer,
                    faster ?? remedies.fewerConnections))
        }
        return Verdict(
            .warning, .errors,
            Remedies.sentence(
                "\(what) (most often: \(most.cause)), \(consequence)", remedies.fewerConnections,
                remedies.slowerConnecting))
    }

    /// Removes verdicts that follow from another: one cause gets one remedy.
    func withoutConsequences(_ verdicts: [Verdict]) -> [Verdict] {
        func has(_ topics: Verdict.Topic...) -> Bool {
            verdicts.contains { $0.severity == .warning && topics.contains($0.topic) }
        }
        var consequences: Set<Verdict.Topic> = []
        let ofLoad: Set<Verdict.Topic> = [.rateMissed, .backlog, .coordinatedOmission, .unsteady, .streams]
        switch result.end {
        case .gaveUp:
            consequences = ofLoad.union([
                .errors, .throttled, .reconnects, .clientLag, .windows, .sendBlocked, .sample, .shortTime,
            ])
        // The time limits determined how long the run was.
        case .expired: consequences = ofLoad.union([.sample, .shortTime])
        case .complete, .interrupted: break
        }
        if wasAway { consequences.formUnion(ofLoad.union([.reconnects])) }
        if result.silenceAtEnd != nil { consequences.formUnion(ofLoad) }
        if has(.clientBusy) { consequences.formUnion(ofLoad.union([.clientLag])) }
        let isBehind = has(.rateMissed, .backlog)
        // If a run is behind schedule, its latencies depend on its length, however many there are.
        if isBehind { consequences.formUnion([.coordinatedOmission, .unsteady, .streams, .sample]) }
        return verdicts.filter { verdict in
            // The lag of the client's timers is minor by comparison, and requests left at the end follow from it.
            let isAside =
                isBehind && verdict.severity == .note && (verdict.topic == .clientLag || verdict.topic == .errors)
            return !isAside && !consequences.contains(verdict.topic)
        }
    }

    // MARK: The client

    func client() -> [Verdict] {
        let client = result.client
        var verdicts: [Verdict] = []
        let busy = client.loopBusy.filter { $0 > 0.9 }
        let processorsUsed = result.elapsed > 0 ? result.cpuSeconds / result.elapsed : 0
        let isFull = client.processors > 0 && processorsUsed > 0.9 * Double(client.processors)
        if !busy.isEmpty {
            let loops =
                client.loopBusy.count == 1
                ? "its event loop was" : "\(busy.count) of its \(client.loopBusy.count) event loops were"
            verdicts.append(
                Verdict(
                    .warning, .clientBusy,
                    "The client is the limit, because \(loops) busy \(fixed((busy.max() ?? 0) * 100, 0)) % of the time: \(moreClient(isFull))."
                ))
        } else if isFull {
            verdicts.append(
                Verdict(
                    .warning, .clientBusy,
                    "The client used \(fixed(processorsUsed, 1)) of the \(grouped(client.processors, "processor")) that it may use, and "
                        + "a server on the same machine got only the rest: \(elsewhere)."))
        }
        if busy.isEmpty, let lag = lag() { verdicts.append(lag) }
        return verdicts
    }

    /// Reports that timers were late, and latencies with them.
    private func lag() -> Verdict? {
        let (lag, p50) = (result.client.lagP99, latency.p50)
        // Timers are sampled a hundred times a second: they have no p99 before a second is over.
        guard result.elapsed >= 1 else { return nil }
        // If nearly all responses were faster than the timers are late, the timers did not delay them.
        guard latency.count == 0 || lag <= corrected.p99 else { return nil }
        // On a loop with little to do, a late timer reflects how the system wakes threads, which costs requests nothing: they
        // wait for arrivals and answers, not for this timer.
        let isAtWork = (result.client.loopBusy.max() ?? 1) > 0.5
        // Negligible compared with long latencies.
        guard p50 == 0 || Double(lag) > 0.05 * Double(p50) else { return nil }
        let isLate = lag > 5_000_000
        guard isLate || isAtWork && p50 > 0 && Double(lag) > 0.1 * Double(p50) else { return nil }
        let part = p50 > 0 ? " (the median is \(timeText(p50)))" : ""
        return Verdict(
            isLate || Double(lag) > 0.5 * Double(p50) ? .warning : .note, .clientLag,
            Remedies.sentence(
                "One in a hundred of the client's timers was \(timeText(lag)) late or more, and latencies may be as much too "
                    + "long\(part)",
                isAtWork ? remedies.lessLoad : nil, "see what else runs on this machine"))
    }

    private var elsewhere: String {
        "run it on a larger machine, or on several and add their --hdr logs with h2get bench merge"
    }

    private func moreClient(_ isFull: Bool) -> String {
        let threads = min(plan.threads * 2, max(result.client.processors, 1))
        guard !isFull, threads > plan.threads else { return elsewhere }
        // A connection belongs to one thread.
        return plan.connections < threads && plan.users == nil
            ? "use more threads and connections (-t \(threads) -c \(threads))" : "use more threads (-t \(threads))"
    }

    // MARK: The server

    func server() -> [Verdict] {
        var verdicts: [Verdict] = []
        let signs = throttling
        if !signs.isEmpty {
            verdicts.append(
                Verdict(
                    .warning, .throttled,
                    Remedies.sentence(
                        "The server throttled or was overloaded (\(signs.joined(separator: ", "))), so the rate is what it allows "
                            + "and not what it can do",
                        remedies.lessLoad, "raise its limits")))
        }
        let connections = result.connections
        let reopened = connections.reopened - connections.warmUp.reopened
        let lost = connections.lostSince
        // Connections that were not replaced had nothing left to do, or are reported as missing.
        if reopened > 0, connections.abandoned == 0, !lost.isEmpty || isReopenedUnasked {
            let named = lost.byCount.prefix(2).map { "\($0.cause), \(grouped($0.count))" }.joined(separator: "; ")
            let what =
                !lost.isEmpty
                ? "\(grouped(Self.sum(lost), "connection")) ended early (\(named)), with \(grouped(reopened)) opened instead"
                : "\(grouped(reopened, "connection")) had to be opened again"
            verdicts.append(
                Verdict(
                    .note, .reconnects,
                    Remedies.sentence(
                        "\(what), so the figures contain reconnecting",
                        "raise what the server allows a connection (keepalive_requests in nginx)", remedies.rotation)))
        }
        if let early = troubleInWarmUp() { verdicts.append(early) }
        return verdicts
    }

    /// Reports that the server had trouble only during the warm-up.
    private func troubleInWarmUp() -> Verdict? {
        let connections = result.connections
        guard connections.neverOpened == 0, connections.abandoned == 0 else { return nil }
        let (lost, failed) = (connections.warmUp.lost, connections.warmUp.failed)
        let parts = [
            lost.isEmpty
                ? nil : "\(grouped(Self.sum(lost), "connection")) \(Self.sum(lost) == 1 ? "was" : "were") lost",
            failed.isEmpty ? nil : "\(grouped(Self.sum(failed), "attempt")) to connect failed",
        ].compactMap { $0 }
        guard !parts.isEmpty else { return nil }
        let most = lost.merging(failed, uniquingKeysWith: +).byCount.first.map { " (most often: \($0.cause))" } ?? ""
        return Verdict(
            .note, .reconnects,
            "During the warm-up, \(parts.joined(separator: " and "))\(most). The measured part began after that.")
    }

    /// Whether connections not ended on purpose were opened again. If some were, each slot may be between the two.
    private var isReopenedUnasked: Bool {
        let isRotating = plan.requestsPerConnection != nil || !remedies.timeLimits.isEmpty
        let connections = result.connections
        return connections.reopened - connections.warmUp.reopened > connections.rotated - connections.warmUp.rotated
            + (isRotating ? plan.connections : 0)
    }

    /// Signs of throttling by the server.
    private var throttling: [String] {
        var signs: [String] = []
        let expected = plan.expectation?.statuses ?? []
        for status in [429, 503] where result.statuses[status] > 0 && !expected.contains(status) {
            signs.append("status \(status) \(times(result.statuses[status]))")
        }
        let causes = result.errors.merging(result.connections.lost, uniquingKeysWith: +)
            .merging(result.connections.failed, uniquingKeysWith: +).byCount
        for code in ["REFUSED_STREAM", "ENHANCE_YOUR_CALM"] {
            let count = causes.reduce(0) { $0 + ($1.cause.containsBytes(of: code) ? $1.count : 0) }
            if count > 0 { signs.append("\(code) \(times(count))") }
        }
        return signs
    }

    private func times(_ count: Int) -> String { count == 1 ? "once" : "\(grouped(count)) times" }
}
