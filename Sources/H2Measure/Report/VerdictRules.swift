/// The rules of the verdicts: what came of the requests, and who was at its limit, the client or the server. Each looks
/// at one figure; the limits stand at the rule.
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
    var isScripted: Bool { if case .script = plan.pace { true } else { false } }

    /// What stands for "less load" with the plan's pace.
    var lighter: String {
        switch plan.pace {
        case .closed: plan.streams > 1 ? "a smaller -m" : "a smaller -c"
        case .arrivals, .arrivalsPerConnection, .stages: "a lower rate"
        case .script: "a script with more time between its lines"
        }
    }

    // MARK: What became of the requests

    func outcome() -> [Verdict] {
        var verdicts = ended() + failures()
        if result.requests.aborted > 0 {
            verdicts.append(Verdict(.note, .errors, aborted()))
        }
        let statuses = Dictionary(
            uniqueKeysWithValues: result.statuses.enumerated().filter { $0.element > 0 }.map { ($0.offset, $0.element) }
        )
        // Where statuses are expected, others have failed.
        if plan.expectation?.statuses != nil { return verdicts }
        return verdicts
            + StatusSentence.all(statuses, of: result.requests.done + result.unexpected)
            .map { Verdict(.warning, .statuses, $0) }
    }

    /// What cut off the requests that were under way.
    private func aborted() -> String {
        let count = grouped(result.requests.aborted, "request")
        let lacking = "and the latencies lack them"
        switch result.end {
        case .interrupted: return "\(count) had no answer yet when it was stopped, \(lacking)."
        case .gaveUp: return "\(count) had no answer yet when it ended, \(lacking)."
        case .expired: return "\(count) had no answer yet when their connection came to its time limit, \(lacking)."
        case .complete where plan.activeTimeout != nil:
            return
                "\(count) had no answer yet when their connection came to its time limit (-T) or the time to drain was over, "
                + "\(lacking): use a longer -T, or measure longer with -D."
        case .complete:
            return "\(count) got no answer in the time to drain after the end, and the latencies, "
                + "of which theirs would be the longest, lack them: measure longer with -D, or use \(lighter)."
        }
    }

    /// Where requests failed and none was answered there is nothing to judge: what to do about that is all there is to say.
    func nothingAnswered() -> Verdict? {
        guard result.requests.done == 0, result.requests.failed > 0, result.end == .complete else { return nil }
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
            "None of \(grouped(result.requests.sent, "request")) was answered\(cause): \(remedy).")
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
        case .expired(let reason):
            if silent > 0 {
                return [
                    Verdict(
                        .warning, .ended,
                        "It ended early, as it was told to: \(reason), and \(grouped(silent, "request")) of "
                            + "\(grouped(result.requests.sent)) failed with it: see what the server waits for, or use a longer -N."
                    )
                ]
            }
            return [
                Verdict(
                    .note, .ended,
                    "It ended early, as it was told to: \(reason). Use longer limits to measure all of it.")
            ]
        case .gaveUp(let reason):
            let failed =
                result.requests.failed > 0
                ? ", and \(grouped(result.requests.failed, "request")) of \(grouped(result.requests.sent)) failed with it"
                : ""
            let remedy =
                result.suggestsHTTP1(plan)
                ? "does the server speak HTTP/2 without TLS? if not, use --h1"
                : throttling.isEmpty ? "see whether the server still runs" : "the server throttles, so use \(lighter)"
            return [
                Verdict(
                    .warning, .ended,
                    "It ended after \(timeText(seconds: result.elapsed)), since no further connection could be established "
                        + "(\(reason))\(failed): \(remedy).")
            ]
        }
    }

    /// Requests that failed because their connection was silent for too long (-N).
    private var silent: Int { result.errors[FailureName.silence] ?? 0 }

    /// The server was away for a part of the run: there was no connection, and none could be had at once.
    var wasAway: Bool { result.downtime.count > 0 }

    private func failures() -> [Verdict] {
        let requests = result.requests
        func total(_ causes: [String: Int]) -> Int { causes.values.reduce(0, +) }
        func first(_ causes: [String: Int]) -> String { causes.byCount.first.map { " (\($0.cause))" } ?? "" }
        let (lost, failed) = (result.connections.lost, result.connections.failed)
        if wasAway {
            let with = requests.failed > 0 ? ", and \(grouped(requests.failed, "request")) failed" : ""
            let reasons = [
                lost.isEmpty ? nil : "\(grouped(total(lost), "connection")) ended\(first(lost))",
                failed.isEmpty ? nil : "\(grouped(total(failed), "attempt")) to connect failed\(first(failed))",
            ].compactMap { $0 }
            let why = reasons.isEmpty ? "" : ", for \(reasons.joined(separator: " and "))"
            return [
                Verdict(
                    .warning, .errors,
                    "The server was away for a part of the run\(why)\(with): see why, and measure again.")
            ]
        }
        var verdicts: [Verdict] = []
        if requests.failed > 0 {
            let causes = result.errors.byCount.prefix(2).map { "\($0.cause), \(grouped($0.count))" }
            let named = causes.isEmpty ? "" : " (\(causes.joined(separator: "; ")))"
            let isUnexpected = result.unexpected >= requests.failed
            verdicts.append(
                Verdict(
                    .warning, .errors,
                    isUnexpected
                        ? "\(grouped(requests.failed, "response")) of \(grouped(requests.sent)) were not as expected\(named), and the "
                            + "latencies lack them: check the URL, and what \(expectationOptions)."
                        : "\(grouped(requests.failed, "request")) of \(grouped(requests.sent)) failed\(named), and what fails may be "
                            + "fast or slow: trust the latencies only once that is fixed, or with \(lighter)."))
        }
        if let neverOpened = neverOpened() {
            verdicts.append(neverOpened)
        } else if let most = failed.byCount.first {
            verdicts.append(
                Verdict(
                    .warning, .errors,
                    "\(grouped(total(failed), "connection")) could not be established (most often: \(most.cause)), so that the load was not "
                        + "what was asked for: use a smaller -c, or open them more slowly with -r."))
        }
        return verdicts
    }

    /// That places never had a connection, so that there was less load than was asked for.
    private func neverOpened() -> Verdict? {
        let connections = result.connections
        guard connections.neverOpened > 0 else { return nil }
        let what =
            "\(grouped(connections.neverOpened)) of \(grouped(connections.wanted, "connection")) never came up"
        let consequence = "so that the load was not what was asked for"
        guard let most = connections.failed.byCount.first else {
            let longer = if case .time = plan.extent { "measure longer (-D), or " } else { "" }
            return Verdict(
                .warning, .errors,
                "\(what) (they were still being opened at the end), \(consequence): \(longer)use a smaller -c.")
        }
        return Verdict(
            .warning, .errors,
            "\(what) (most often: \(most.cause)), \(consequence): use a smaller -c, or open them more slowly with -r.")
    }

    /// Leaves out what follows from something else that is said: one cause has one remedy.
    func withoutConsequences(_ verdicts: [Verdict]) -> [Verdict] {
        func has(_ topics: Verdict.Topic...) -> Bool {
            verdicts.contains { $0.severity == .warning && topics.contains($0.topic) }
        }
        var consequences: Set<Verdict.Topic> = []
        let ofLoad: Set<Verdict.Topic> = [.rateMissed, .backlog, .coordinatedOmission, .unsteady, .slots]
        if case .gaveUp = result.end {
            consequences = ofLoad.union([
                .errors, .throttled, .reconnects, .clientLag, .windows, .sendBlocked, .sample, .shortTime,
            ])
        }
        if case .expired = result.end {
            // It was to end then, and with that there may be little to judge.
            consequences.insert(.shortTime)
            if silent > 0, silent == result.requests.failed { consequences.insert(.errors) }
            if latency.count == 0 { consequences.insert(.sample) }
        }
        if wasAway { consequences.formUnion(ofLoad.union([.reconnects])) }
        if has(.clientBusy) { consequences.formUnion(ofLoad.union([.clientLag])) }
        if has(.rateMissed, .backlog) { consequences.formUnion([.coordinatedOmission, .unsteady, .slots]) }
        let isBehind = has(.rateMissed, .backlog)
        return verdicts.filter { verdict in
            // How late the client's timers are is no matter beside that, and its remedy would be another.
            let isAside = isBehind && verdict.topic == .clientLag && verdict.severity == .note
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
                    "The client is the limit, for \(loops) busy \(fixed((busy.max() ?? 0) * 100, 0)) % of the time: \(moreClient(isFull))."
                ))
        } else if isFull {
            verdicts.append(
                Verdict(
                    .warning, .clientBusy,
                    "The client used \(fixed(processorsUsed, 1)) of the \(grouped(client.processors, "processor")) that it may use, and "
                        + "a server on the same machine had to do with the rest: \(elsewhere)."))
        }
        let p50 = latency.p50
        // On a loop that has little to do a late timer is the system's way of waking a thread, which costs requests nothing:
        // they wait for arrivals and answers, not for this timer.
        let isAtWork = (client.loopBusy.max() ?? 1) > 0.5
        let isLate = client.lagP99 > 5_000_000
        if isLate || isAtWork && p50 > 0 && Double(client.lagP99) > 0.1 * Double(p50) {
            let part = p50 > 0 ? " (the median latency is \(timeText(p50)))" : ""
            verdicts.append(
                Verdict(
                    isLate || Double(client.lagP99) > 0.5 * Double(p50) ? .warning : .note, .clientLag,
                    "The client's own timers were up to \(timeText(client.lagP99)) late in 99 of 100 cases\(part), and latencies "
                        + "contain as much: \(busy.isEmpty ? "use \(lighter), or see what else runs on this machine" : moreClient(isFull))."
                ))
        }
        return verdicts
    }

    private var elsewhere: String {
        "run it on a larger machine, or on several and add their --hdr logs with h2get bench merge"
    }

    private func moreClient(_ isFull: Bool) -> String {
        let threads = min(plan.threads * 2, max(result.client.processors, 1))
        guard !isFull, threads > plan.threads else { return elsewhere }
        // A connection belongs to one thread.
        return plan.connections < threads
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
                    "The server throttled, or could not take the load (\(signs.joined(separator: ", "))), so that the rate is what it "
                        + "allows and not what it can do: use \(lighter), or raise its limits."))
        }
        let connections = result.connections
        if !connections.lost.isEmpty || connections.reopened > connections.rotated {
            let lost = connections.lost.byCount
            let count = lost.reduce(0) { $0 + $1.count }
            let named = lost.prefix(2).map { "\($0.cause), \(grouped($0.count))" }.joined(separator: "; ")
            let what =
                count > 0
                ? "\(grouped(count, "connection")) ended early (\(named)), with \(grouped(connections.reopened)) opened instead"
                : "\(grouped(connections.reopened, "connection")) had to be opened again"
            verdicts.append(
                Verdict(
                    .note, .reconnects,
                    "\(what), so that the figures contain connecting again: raise what the server allows a connection "
                        + "(keepalive_requests in nginx), or say --requests-per-connection to have it in all runs alike."
                ))
        }
        return verdicts
    }

    /// What the server did that says "not so fast".
    private var throttling: [String] {
        var signs: [String] = []
        for status in [429, 503] where result.statuses[status] > 0 {
            signs.append("status \(status) \(times(result.statuses[status]))")
        }
        let causes = result.errors.merging(result.connections.lost, uniquingKeysWith: +)
            .merging(result.connections.failed, uniquingKeysWith: +).byCount
        for code in ["REFUSED_STREAM", "ENHANCE_YOUR_CALM"] {
            let count = causes.reduce(0) { $0 + ($1.cause.contains(code) ? $1.count : 0) }
            if count > 0 { signs.append("\(code) \(times(count))") }
        }
        return signs
    }

    private func times(_ count: Int) -> String { count == 1 ? "once" : "\(grouped(count)) times" }
}
