import H2Client
import H2Measure

/// One run of `h2get compare`: measures at each distance, tells how it goes, hands the results on.
struct CompareRun: Sendable {
    let settings: CompareSettings
    let console: Console

    init(_ settings: CompareSettings) throws {
        self.settings = settings
        console = Console(showsErrors: true, hidesProgress: settings.isSilent || settings.isVerbose)
        // Through a proxy of our own each connection has four ends here.
        let most = settings.plans.map(\.connections).max() ?? 1
        try MeasureRun.allowConnections(4 * most, threads: 2)
    }

    func run() async -> ExitReason {
        let isTLS = settings.plans[0].targets.contains { $0.origin.scheme == .https }
        return await MeasureRun.run(
            settings.files, console, isTLS ? .tls(["h2", "http/1.1"]) : .cleartextHTTP2, measure)
    }

    private func measure(_ files: OpenResultFiles) async throws -> Failure? {
        var results: [CompareResult] = []
        for plan in settings.plans {
            var compare = Compare(plan)
            compare.onProgress = progress(plan, number: results.count + 1)
            let measuring = compare
            results.append(try await MeasureRun.interruptibly { try await measuring.run() })
            if results.last?.isInterrupted == true { break }
        }
        console.wipeProgress()
        let report = CompareReport(results)
        if !settings.isSilent, settings.files.onStandardOutput == nil {
            let style = MeasureRun.standardOutputStyle
            try MeasureRun.show(report.summary(width: style.width, color: style.color))
        }
        files.write(.json) { report.json }
        files.write(.html) { report.page }
        files.write(.markdown) { report.markdown }
        files.write(.svg) { report.picture }
        try files.finish()
        return Self.failure(of: results)
    }

    private func progress(_ plan: ComparePlan, number: Int) -> (@Sendable (Compare.Progress) -> Void)? {
        guard console.wantsProgress || settings.isVerbose else { return nil }
        var distance = ""
        if settings.plans.count > 1 {
            distance = "\(number) of \(settings.plans.count): \(CompareTable.distance(plan.conditions))  "
        }
        let hasBoth = plan.targets.count > 1
        let (console, isVerbose, start) = (console, settings.isVerbose, distance)
        return { progress in
            let round = progress.round == 0 ? "warm-up" : "round \(progress.round) of \(progress.rounds)"
            let way = progress.way.name + (hasBoth ? " \(progress.security.phrase)" : "")
            let line = "\(start)\(round)  \(progress.done)/\(progress.all) measured  now: \(way)"
            if isVerbose { console.say(line) } else { console.progress(line) }
        }
    }

    /// Why the exit code is not 0, although there are results.
    static func failure(of results: [CompareResult]) -> Failure? {
        if results.contains(where: \.isInterrupted) { return Failure(.interrupted, "") }
        let cells = results.flatMap(\.cells)
        let hasRun = cells.contains { if case .ran = $0.outcome { true } else { false } }
        guard !hasRun else { return nil }
        let reason = cells.lazy.compactMap(\.reason).first ?? "there was nothing to measure"
        return Failure(.stream, "no way could be measured: \(reason)")
    }
}
