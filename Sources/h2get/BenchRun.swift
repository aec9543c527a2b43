import H2Client
import H2Measure
import Synchronization

/// One run of `h2get bench`: measures, tells how it goes, hands the results on.
struct BenchRun: Sendable {
    let settings: BenchSettings
    let console: Console

    init(_ settings: BenchSettings) throws {
        self.settings = settings
        console = Console(showsErrors: true, hidesProgress: settings.isSilent || settings.isVerbose)
        try MeasureRun.allowConnections(settings.plan.connections, threads: settings.plan.threads)
    }

    func run() async -> ExitReason {
        await MeasureRun.run(settings.files, console, settings.plan.protocols, measure)
    }

    /// - Returns: why the exit code is not to be 0.
    private func measure(_ files: OpenResultFiles) async throws -> Failure? {
        var plan = settings.plan
        plan.requestLog = files.pathToWrite(.csv)
        var bench = Bench(plan)
        bench.onProgress = progress()
        if settings.isVerbose { console.say("h2get: measures \(plan.inWords)") }
        let measuring = bench
        let result = try await MeasureRun.interruptibly { try await measuring.run() }
        console.wipeProgress()
        let report = BenchReport(result, plan)
        if !settings.isSilent, settings.files.onStandardOutput == nil {
            let style = MeasureRun.standardOutputStyle
            try MeasureRun.show(report.summary(width: style.width, color: style.color))
        }
        files.write(.json) { report.json }
        files.write(.hdr) { report.histogramLog }
        files.write(.html) { report.page }
        try files.finish()
        if let error = result.requestLogFailure { return Failure(.writeFailed, "\(error.message); \(error.remedy)") }
        return Self.failure(of: result, plan)
    }

    /// Tells how it goes: on a terminal all the time, with -v a line each second.
    private func progress() -> (@Sendable (Bench.Progress) -> Void)? {
        let (line, console) = (BenchProgressLine(settings.plan), console)
        if settings.isVerbose {
            let seconds = SecondsTold()
            return { progress in
                if seconds.isNew(Int(progress.elapsed)) { console.say(line.text(progress)) }
            }
        }
        guard console.wantsProgress else { return nil }
        return { console.progress(line.text($0)) }
    }

    /// Why the exit code is not 0, although there is a result.
    static func failure(of result: BenchResult, _ plan: BenchPlan) -> Failure? {
        let requests = result.requests
        switch result.end {
        case .complete, .expired: break
        // The results say so.
        case .interrupted: return Failure(.interrupted, "")
        case .gaveUp(let why): return Failure(.http2, "it ended early, for no connection was left: \(why)")
        }
        if requests.failed > 0 {
            let causes = result.errors.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            var message = "\(requests.failed) of \(counted(requests.sent, "request")) failed"
            if let first = causes.first { message += "\(causes.count > 1 ? ", most often" : ""): \(first.key)" }
            if requests.done == 0, plan.protocols == .cleartextHTTP2 {
                message += "; does the server speak HTTP/2 without TLS? if not, use -p http/1.1"
            }
            return Failure(.stream, message)
        }
        guard requests.done > 0 else {
            return Failure(
                .timeout,
                requests.sent == 0
                    ? "nothing was sent within the time; allow more with -D"
                    : "not one of \(counted(requests.sent, "request")) was answered in time; allow more with -D or --drain"
            )
        }
        return nil
    }
}

/// Which seconds have had their line.
private final class SecondsTold: Sendable {
    private let last = Atomic<Int>(0)

    func isNew(_ second: Int) -> Bool { last.exchange(second, ordering: .relaxed) != second }
}

extension BenchPlan {
    /// What is going to happen, for -v: `https://localhost:8443: 100,000 requests, ...`.
    var inWords: String {
        var parts = [String]()
        switch extent {
        case .requests(let count): parts.append(count == 1 ? "1 request" : "\(grouped(count)) requests")
        case .time(let time): parts.append("for \(time.brief)")
        }
        if requests.count > 1 { parts.append("\(grouped(requests.count)) URLs in turn") }
        parts.append("\(counted(connections, "connection")) with \(counted(streams, "request")) at once on each")
        parts.append(counted(threads, "thread"))
        switch pace {
        case .closed: parts.append("as fast as they are answered")
        case .arrivals(let from, let to, let ramp):
            let rates = from == to ? rateText(to) : "\(rateText(from)) to \(rateText(to)) within \(ramp.brief),"
            parts.append("\(rates) requests/s")
        case .stages(let stages): parts.append("\(counted(stages.count, "stage")) of requests/s")
        case .arrivalsPerConnection(let rate): parts.append("\(rateText(rate)) requests/s on each connection")
        }
        if warmUp > .zero { parts.append("after \(warmUp.brief) of warm-up") }
        switch protocols {
        case .tls(let names): parts.append("TLS with ALPN \(names.joined(separator: ", "))")
        case .cleartextHTTP2: parts.append("HTTP/2 without TLS")
        case .cleartextHTTP1: parts.append("HTTP/1.1 without TLS")
        }
        return "\(origin): \(parts.joined(separator: ", "))"
    }
}
