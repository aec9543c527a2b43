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
        let judge = Judge(result: result, plan: plan)
        var verdicts = judge.outcome() + judge.client() + judge.server() + judge.waits() + judge.pace() + judge.sample()
        if verdicts.isEmpty { verdicts = [judge.fine()] }
        return verdicts.filter { $0.severity == .warning } + verdicts.filter { $0.severity != .warning }
    }
}

/// The rules. Each looks at one figure; the limits stand at the rule.
private struct Judge {
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

    private var isOpenLoop: Bool { plan.pace != .closed }

    /// What stands for "less load" with the plan's pace.
    private var lighter: String {
        switch plan.pace {
        case .closed: plan.streams > 1 ? "a smaller -m" : "a smaller -c"
        case .arrivals, .arrivalsPerConnection: "a lower rate"
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
        let isLate = client.lagP99 > 5_000_000
        if isLate || p50 > 0 && Double(client.lagP99) > 0.1 * Double(p50) {
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

    // MARK: Where requests waited

    func waits() -> [Verdict] {
        var verdicts: [Verdict] = []
        let waits = result.waits
        // All the time that requests were under way: a wait that is less than a twentieth of it explains nothing.
        let total = latency.mean * Double(latency.count)
        func isMuch(_ wait: UInt64) -> Bool { wait > 0 && Double(wait) > 0.05 * total }

        if let limit = result.connections.maxConcurrentStreams, result.connections.http2 > 0, limit < plan.streams {
            let enough = limit > 0 ? (plan.connections * plan.streams + limit - 1) / limit : plan.connections
            verdicts.append(
                Verdict(
                    .note, .slots,
                    "The server allows \(grouped(limit, "stream")) on a connection, fewer than -m \(plan.streams), and the others waited for "
                        + "theirs (\(timeText(waits.slot)) in all): use -m \(max(limit, 1)), or spread them with -c \(enough)."
                ))
        } else if result.connections.http1 > 0, plan.streams > 1 {
            verdicts.append(
                Verdict(
                    .note, .slots,
                    "HTTP/1.1 has one request at a time on a connection, so that -m \(plan.streams) did nothing: use "
                        + "-c \(plan.connections * plan.streams) for as many in flight."))
        } else if waits.slotRequests > 0, isMuch(waits.slot) {
            verdicts.append(
                Verdict(
                    .note, .slots,
                    "\(grouped(waits.slotRequests, "request")) waited for a connection or a free stream (\(timeText(waits.slot)) in all), "
                        + "which the corrected latency counts and the other does not: use a larger -m or -c."))
        }
        if isMuch(waits.downloadStreamWindow) || isMuch(waits.downloadConnectionWindow) {
            let stream = waits.downloadStreamWindow >= waits.downloadConnectionWindow
            verdicts.append(
                Verdict(
                    .note, .windows,
                    "The server had to wait for our flow-control window of the \(stream ? "stream" : "connection") "
                        + "(\(timeText(max(waits.downloadStreamWindow, waits.downloadConnectionWindow))) in all), so that the client's "
                        + "setting held the rate down: use a larger \(stream ? "-w" : "-W")."))
        }
        if isMuch(waits.uploadStreamWindow) || isMuch(waits.uploadConnectionWindow) {
            let stream = waits.uploadStreamWindow >= waits.uploadConnectionWindow
            verdicts.append(
                Verdict(
                    .note, .windows,
                    "Uploads waited for the server's flow-control window of the \(stream ? "stream" : "connection") "
                        + "(\(timeText(max(waits.uploadStreamWindow, waits.uploadConnectionWindow))) in all), which only the server can "
                        + "enlarge\(stream ? "" : ": use more connections with -c")."))
        }
        if isMuch(waits.sendBlocked) {
            verdicts.append(
                Verdict(
                    .note, .sendBlocked,
                    "Requests waited \(timeText(waits.sendBlocked)) in all for the network or the server to take what was sent, so "
                        + "that latencies contain sending: use \(lighter), or smaller bodies."))
        }
        return verdicts
    }

    // MARK: The pace

    func pace() -> [Verdict] {
        var verdicts: [Verdict] = []
        let requests = result.requests
        if let asked = scheduled(), asked > 0 {
            let missing = asked - Double(requests.sent)
            if missing > max(0.02 * asked, 10) {
                verdicts.append(
                    Verdict(
                        .warning, .rateMissed,
                        "Of \(rateText(asked / result.elapsed)) requests a second only \(rateText(Double(requests.sent) / result.elapsed)) "
                            + "were sent (\(grouped(requests.dropped)) never were), so that the server was not measured at that rate: "
                            + "use more connections or streams (-c, -m), or a lower rate."))
            }
            let quarter = result.intervals.count / 4
            if quarter > 0 {
                func backlog(_ part: ArraySlice<BenchResult.Interval>) -> Double {
                    Double(part.reduce(0) { $0 + $1.backlog }) / Double(part.count)
                }
                let (first, last) = (
                    backlog(result.intervals.prefix(quarter)), backlog(result.intervals.suffix(quarter))
                )
                if last > 2 * first + 10 {
                    verdicts.append(
                        Verdict(
                            .warning, .backlog,
                            "Requests piled up (\(rateText(first)) waited to be sent at first, \(rateText(last)) at the end), so that "
                                + "latency depends on how long it is measured: the server cannot keep up, so ask for a lower rate."
                        ))
                }
            }
        }
        let (raw, whole) = (latency.p99, corrected.p99)
        if latency.count >= 100, Double(whole) > 2 * Double(raw), whole > raw + 1_000_000 {
            verdicts.append(
                Verdict(
                    isOpenLoop ? .warning : .note, .coordinatedOmission,
                    "Requests waited to be sent, so that the p99 of \(timeText(raw)) hides what a user would have had, which is "
                        + "\(timeText(whole)): quote the corrected latency."))
        }
        if let (first, second) = halves(), max(first, second) > 1.2 * min(first, second) {
            let remedy =
                plan.warmUp == .zero
                ? "give it a warm-up (--warm-up-time 5s), or measure longer (-D)" : "use a longer --warm-up-time or -D"
            verdicts.append(
                Verdict(
                    .note, .unsteady,
                    "It was not steady, with \(rateText(first)) responses a second in the first half and \(rateText(second)) in the "
                        + "second: \(remedy)."))
        }
        return verdicts
    }

    /// How many requests an open loop was to begin in the time; nil for a closed one.
    private func scheduled() -> Double? {
        guard result.elapsed > 0 else { return nil }
        let count: Double
        switch plan.pace {
        case .closed: return nil
        case .arrivalsPerConnection(let rate): count = rate * Double(plan.connections) * result.elapsed
        case .arrivals(let from, let to, let ramp):
            let length = ramp.inSeconds
            let inRamp = min(result.elapsed, length)
            let reached = length > 0 ? from + (to - from) * inRamp / length : to
            count = (from + reached) / 2 * inRamp + to * (result.elapsed - inRamp)
        }
        if case .requests(let number) = plan.extent { return min(count, Double(number)) }
        return count
    }

    /// Responses a second of each half; nil where the load itself was to change, or there is too little to tell.
    private func halves() -> (Double, Double)? {
        if case .arrivals(let from, let to, let ramp) = plan.pace, from != to, ramp > .zero { return nil }
        guard plan.connectionRamp == nil, result.intervals.count >= 4, latency.count >= 100,
            let first = result.intervals.first, let last = result.intervals.last
        else { return nil }
        let middle = (first.start + last.start + last.length) / 2
        func rate(_ intervals: [BenchResult.Interval]) -> Double {
            let length = intervals.reduce(0) { $0 + $1.length }
            return length > 0 ? Double(intervals.reduce(0) { $0 + $1.done }) / length : 0
        }
        return (
            rate(result.intervals.filter { $0.start + $0.length / 2 < middle }),
            rate(result.intervals.filter { $0.start + $0.length / 2 >= middle })
        )
    }

    // MARK: The sample

    func sample() -> [Verdict] {
        var verdicts: [Verdict] = []
        if latency.count == 0 {
            return [
                Verdict(
                    .warning, .sample,
                    "No request was answered, so there is nothing to say about latency: try one with h2get -v first.")
            ]
        }
        if let lacking = Percentile.shown.first(where: { $0.above(of: latency.count) < Percentile.fewest }) {
            let names = Percentile.shown.drop { $0 != lacking }.map(\.name)
            let list = names.count == 1 ? "\(names[0]) means" : "\(names[0]) and above mean"
            let remedy: String
            switch plan.extent {
            case .requests: remedy = "-n \(lacking.needed)"
            case .time:
                let seconds = result.rate > 0 ? (Double(lacking.needed) / result.rate).rounded(.up) : 0
                remedy = seconds > 0 && seconds < 1e9 ? "-D \(fixed(seconds, 0))s" : "a longer -D"
            }
            // p99 is quoted by everybody; p99.99 by those who know what it takes.
            verdicts.append(
                Verdict(
                    lacking.tenThousandthsAbove >= 100 ? .warning : .note, .sample,
                    "\(list) nothing with \(grouped(latency.count, "sample")), of which fewer than \(Percentile.fewest) lie above it: "
                        + "use \(remedy) for \(lacking.name)."))
        }
        if result.elapsed < 1 {
            verdicts.append(
                Verdict(
                    .warning, .shortTime,
                    "Only \(timeText(seconds: result.elapsed)) were measured, in which connecting and warming up weigh much: measure "
                        + "for some seconds (-D 10s --warm-up-time 2s)."))
        }
        return verdicts
    }

    func fine() -> Verdict {
        let busy = result.client.loopBusy.max().map { "its busiest loop had work \(fixed($0 * 100, 0)) % of the time" }
        return Verdict(
            .fine, .nothing,
            "Nothing speaks against these figures: the client was not the limit\(busy.map { " (\($0))" } ?? ""), the sample is large "
                + "enough for every percentile, and no request failed.")
    }
}

extension [String: Int] {
    /// The most frequent first, and by name where they are alike.
    var byCount: [(cause: String, count: Int)] {
        map { (cause: $0.key, count: $0.value) }
            .sorted { $0.count == $1.count ? $0.cause < $1.cause : $0.count > $1.count }
    }
}

extension Duration {
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
