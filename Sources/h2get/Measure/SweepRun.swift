import H2Client
import H2Measure

/// One run of `h2get sweep`: measures each setting, shows progress, and delivers the results.
struct SweepRun: Sendable {
    let settings: SweepSettings
    let console: Console

    init(_ settings: SweepSettings) throws {
        self.settings = settings
        console = settings.console
        try MeasureRun.allowConnections(settings.plan.connections.last ?? 1, threads: settings.plan.threads)
    }

    func run() async -> ExitReason {
        await MeasureRun.run(settings.files, console, settings.plan.protocols, measure)
    }

    private func measure(_ files: OpenResultFiles) async throws -> Failure? {
        var sweep = Sweep(settings.plan)
        sweep.onProgress = progress()
        let measuring = sweep
        let result = try await MeasureRun.interruptibly { try await measuring.run() }
        console.wipeProgress()
        let report = SweepReport(result, settings.plan, context: settings.context)
        try MeasureRun.deliver(report, to: files, showsSummary: settings.showsSummary)
        return Self.failure(of: result)
    }

    private func progress() -> (@Sendable (Sweep.Progress) -> Void)? {
        guard console.wantsProgress || settings.isVerbose else { return nil }
        let (console, isVerbose) = (console, settings.isVerbose)
        return { progress in
            var line =
                "\(progress.done + 1) of at most \(progress.all) (\(progress.done * 100 / max(progress.all, 1)) %)  "
                + "ETA \(BenchProgressLine.length(progress.secondsLeft)) or less: \(progress.setting)"
            if let last = progress.last {
                line += "  (\(last.setting): \(rateText(last.goodput)) req/s, p99 \(timeText(last.p99)))"
            }
            if isVerbose { console.say(line) } else { console.progress(line) }
        }
    }

    /// The reason for a nonzero exit code despite a result, or nil.
    static func failure(of result: SweepResult) -> Failure? {
        if result.curves.contains(where: { $0.stop == .interrupted }) { return Failure(.interrupted, "") }
        guard !result.points.contains(where: { $0.responses > 0 }) else { return nil }
        let cause = result.points.lazy.flatMap(\.errors.keys).sorted().first
        return Failure(.stream, "not one request was answered" + (cause.map { ": \($0)" } ?? ""))
    }
}
