import H2Client
import H2Measure
import Synchronization

/// One run of `h2get bench`: measures, shows progress, and delivers the results.
struct BenchRun: Sendable {
    let settings: BenchSettings
    let console: Console

    init(_ settings: BenchSettings) throws {
        self.settings = settings
        console = settings.console
        if settings.locust == nil {
            try MeasureRun.allowConnections(settings.plan.connections, threads: settings.plan.threads)
        } else {
            MeasureRun.allowManyConnections()
        }
    }

    func run() async -> ExitReason {
        await MeasureRun.run(settings.files, console, settings.plan.protocols, measure)
    }

    /// - Returns: the reason for a nonzero exit code, or nil.
    private func measure(_ files: OpenResultFiles) async throws -> Failure? {
        var plan = settings.plan
        plan.requestLog = files.pathToWrite(.csv)
        var bench = Bench(plan)
        // The figures are read by Locust's master first, and by Prometheus.
        let control = BenchControl(readers: settings.locust != nil && settings.metrics != nil ? 2 : 1)
        bench.control = control
        bench.onProgress = progress()
        if !settings.isSilent {
            bench.onSlowLog = { [console] in
                console.say("h2get: the end of --csv is being written to a slow reader; Ctrl-C ends that")
            }
        }
        if settings.isVerbose { console.say("h2get: measures \(plan.inWords)") }
        let clock = settings.alignsClock ? try await ServerClock.measure(plan).notes : nil
        let metrics = try settings.metrics.map {
            try MetricsServer($0, plan, control, reader: settings.locust == nil ? 0 : 1)
        }
        if let metrics, !settings.isSilent { console.say("h2get: figures for Prometheus at \(metrics.url)") }
        let measuring = bench
        var result: BenchResult
        do {
            result =
                if let locust = settings.locust {
                    try await LocustRun(locust, plan, console, isSilent: settings.isSilent).run(measuring, control)
                } else {
                    try await MeasureRun.interruptibly { try await measuring.run() }
                }
        } catch {
            await metrics?.stop()
            throw error
        }
        await metrics?.stop()
        result.clock = clock
        console.wipeProgress()
        let report = BenchReport(result, plan, conditions: settings.conditions, context: settings.context)
        var logFailure: Failure?
        if let error = result.requestLogFailure {
            let rest = files.leave(.csv)
            logFailure = Failure(.writeFailed, "\(error.message); \(error.remedy)\(rest.isEmpty ? "" : "; \(rest)")")
        }
        var failures = [logFailure].compactMap { $0 }
        do {
            try MeasureRun.deliver(report, to: files, showsSummary: settings.showsSummary)
        } catch let failure as Failure { failures.insert(failure, at: 0) }
        failures += [failure(of: result, plan, report.outcomes)].compactMap { $0 }
        // The last failure reported sets the exit code; failed writes take precedence over the measurement.
        for failure in failures.dropFirst().reversed() where !failure.message.isEmpty { console.error(failure) }
        return failures.first
    }

    /// Reports each --fail-if condition that was met, and returns the failure that sets the exit code.
    private func failure(
        of result: BenchResult, _ plan: BenchPlan, _ outcomes: [FailCondition.Outcome]
    ) -> Failure? {
        // The conditions do not apply to an interrupted run.
        if result.end == .interrupted { return Failure(.interrupted, "") }
        let broken = outcomes.filter(\.isBroken).map { Failure(.conditionFailed, $0.text) }
        let other = Self.failure(of: result, plan, judgesErrors: settings.conditions.contains(where: \.isAboutErrors))
        guard let last = broken.last else { return other }
        for failure in [other].compactMap({ $0 }) + broken.dropLast() { console.error(failure) }
        return last
    }

    /// Shows progress: continuously on a terminal, or with -v a line per second.
    private func progress() -> (@Sendable (Bench.Progress) -> Void)? {
        let (line, console) = (BenchProgressLine(settings.plan), console)
        if settings.isVerbose {
            let seconds = SecondsTold()
            return { progress in
                // One line for the whole wait.
                let second = progress.beginsIn == nil ? Int(progress.elapsed) : -1
                if seconds.isNew(second) { console.say(line.text(progress)) }
            }
        }
        guard console.wantsProgress else { return nil }
        return { console.progress(line.text($0)) }
    }

    /// The reason for a nonzero exit code despite a result, or nil.
    /// - Parameter judgesErrors: whether a --fail-if condition limits how many requests may fail.
    static func failure(of result: BenchResult, _ plan: BenchPlan, judgesErrors: Bool = false) -> Failure? {
        let requests = result.requests
        // A worker whose master sent no users has done what it was asked to.
        if plan.users != nil, requests.sent == 0, result.end == .complete { return nil }
        switch result.end {
        case .complete, .expired: break
        // The results say so.
        case .interrupted: return Failure(.interrupted, "")
        case .gaveUp(let why):
            let hint = result.suggestsHTTP1(plan) ? "; \(Self.hint)" : ""
            return Failure(.http2, "it ended early, since no connection was left: \(why)\(hint)")
        }
        if requests.failed > 0, !judgesErrors || requests.done == 0 {
            let causes = result.errors.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            var message = "\(requests.failed) of \(counted(requests.sent, "request")) failed"
            if let first = causes.first { message += "\(causes.count > 1 ? ", most often" : ""): \(first.key)" }
            if result.suggestsHTTP1(plan) { message += "; \(Self.hint)" }
            return Failure(.stream, message)
        }
        if case .expired(let why) = result.end, requests.done > 0, requests.dropped > 0, case .requests = plan.extent {
            return Failure(
                .timeout, "\(counted(requests.dropped, "request")) of -n were never sent: \(why); use a longer limit")
        }
        guard requests.done > 0 else {
            if requests.sent == 0, result.downtime.count > 0 {
                return Failure(.http2, "nothing was sent, because the server was away for all of the measured time")
            }
            // Advising more time would not help.
            if case .expired(let why) = result.end, requests.sent > 0 {
                return Failure(
                    .timeout,
                    "not one of \(counted(requests.sent, "request")) was answered: \(why); use a longer limit")
            }
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

extension BenchRun {
    fileprivate static let hint = "does the server speak HTTP/2 without TLS? if not, use --h1"
}

/// The seconds whose line has been printed.
private final class SecondsTold: Sendable {
    private let last = Atomic<Int>(0)

    func isNew(_ second: Int) -> Bool { last.exchange(second, ordering: .relaxed) != second }
}

extension BenchPlan {
    /// The plan in words, for -v: `https://localhost:8443: 100,000 requests, ...`.
    var inWords: String {
        var parts = [String]()
        switch extent {
        case .requests(let count): parts.append(count == 1 ? "1 request" : "\(grouped(count)) requests")
        case .time(let time): parts.append("for \(time.brief)")
        case .untilStopped: break
        }
        if requests.count > 1 { parts.append("\(grouped(requests.count)) URLs in turn") }
        if let users {
            parts.append("users as Locust's master says, up to \(users.perConnection) on a connection")
        } else {
            parts.append("\(counted(connections, "connection")) with \(counted(streams, "request")) at once on each")
        }
        if let connectionRamp {
            parts.append("\(grouped(connectionRamp.count)) opened each \(connectionRamp.period.brief)")
        }
        parts.append(counted(threads, "thread"))
        switch pace {
        case .closed where users?.period != nil:
            parts.append("each begins a request every \((users?.period ?? .zero).brief)")
        case .closed: parts.append("as fast as they are answered")
        case .arrivals(let from, let to, let ramp):
            let rates = from == to ? rateText(to) : "\(rateText(from)) to \(rateText(to)) within \(ramp.brief),"
            parts.append("\(rates) requests/s")
        case .script(let times):
            parts.append("a script of \(counted(times.count, "line")) on each connection")
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
