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

    /// What stands for "less load" with the plan's pace.
    var lighter: String {
        switch plan.pace {
        case .closed: plan.streams > 1 ? "a smaller -m" : "a smaller -c"
        case .arrivals, .arrivalsPerConnection, .stages: "a lower rate"
        }
    }

    // MARK: What became of the requests

    func outcome() -> [Verdict] {
        var verdicts: [Verdict] = []
        let requests = result.requests
        switch result.end {
        case .complete: break
        case .interrupted:
            verdicts.append(
                Verdict(.note, .ended, "It was stopped early, so these are the figures of what ran until then."))
        case .expired(let reason):
            verdicts.append(
                Verdict(
                    .note, .ended,
                    "It ended early, as it was told to: \(reason). Use longer limits to measure all of it."))
        case .gaveUp(let reason):
            verdicts.append(
                Verdict(
                    .warning, .ended,
                    "It ended early because no connection could be had any more (\(reason)): see whether the server still "
                        + "runs, or try \(lighter)."))
        }
        if requests.failed > 0 {
            let causes = result.errors.byCount.prefix(2).map { "\($0.cause), \(grouped($0.count))" }
            let named = causes.isEmpty ? "" : " (\(causes.joined(separator: "; ")))"
            verdicts.append(
                Verdict(
                    .warning, .errors,
                    "\(grouped(requests.failed, "request")) of \(grouped(requests.sent)) failed\(named), and what fails may be "
                        + "fast or slow: trust the latencies only once this is mended, or with \(lighter)."))
        }
        if requests.aborted > 0 {
            verdicts.append(
                Verdict(
                    .note, .errors,
                    "\(grouped(requests.aborted, "request")) got no answer in the time to drain after the end, and the latencies, "
                        + "of which theirs would be the longest, lack them: measure longer with -D, or use \(lighter).")
            )
        }
        let failedConnections = result.connections.failed.byCount
        if let first = failedConnections.first {
            let count = failedConnections.reduce(0) { $0 + $1.count }
            verdicts.append(
                Verdict(
                    .warning, .errors,
                    "\(grouped(count, "connection")) could not be established (most often: \(first.cause)), so that the load was not "
                        + "what was asked for: use a smaller -c, or open them more slowly with -r."))
        }
        // Throttling has a verdict of its own.
        let refused = (400...599).reduce(0) { $0 + ($1 == 429 || $1 == 503 ? 0 : result.statuses[$1]) }
        if requests.done > 0, Double(refused) > 0.01 * Double(requests.done) {
            let most = (400...599).filter { $0 != 429 && $0 != 503 }.max { result.statuses[$0] < result.statuses[$1] }!
            verdicts.append(
                Verdict(
                    .warning, .statuses,
                    "\(percent(Double(refused) / Double(requests.done))) of the responses have a status of 4xx or 5xx (most often "
                        + "\(most)), and error pages are measured instead of the resource: check the URL, and what -H it needs."
                ))
        }
        return verdicts
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
                    "The client used \(fixed(processorsUsed, 1)) of the machine's \(grouped(client.processors, "processor")), and "
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

    private func times(_ count: Int) -> String { count == 1 ? "once" : "\(grouped(count)) times" }
}
