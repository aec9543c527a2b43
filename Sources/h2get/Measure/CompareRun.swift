import H2Client
import H2Measure
import Synchronization

/// One run of `h2get compare`: measures at each distance, shows progress, and delivers the results.
struct CompareRun: Sendable {
    let settings: CompareSettings
    let console: Console
    /// The estimated time of the distances after the current one, in seconds.
    private let later = SharedCount()

    init(_ settings: CompareSettings) throws {
        self.settings = settings
        console = settings.console
        // Through our own proxy each connection has four ends in this process.
        let most = settings.plans.map(\.connections).max() ?? 1
        try MeasureRun.allowConnections(4 * most, threads: 2)
    }

    func run() async -> ExitReason {
        await MeasureRun.run(settings.files, console, protocols, measure)
    }

    private var protocols: BenchPlan.Protocols {
        let isTLS = settings.plans[0].targets.contains { $0.origin.scheme == .https }
        return isTLS ? .tls(["h2", "http/1.1"]) : .cleartextHTTP2
    }

    private func measure(_ files: OpenResultFiles) async throws -> Failure? {
        // Covers all distances: a signal between two of them must not lose the earlier results.
        let (results, ended) = try await MeasureRun.interruptibly { try await measureAll() }
        console.wipeProgress()
        let report = CompareReport(results, context: settings.context)
        try MeasureRun.deliver(report, to: files, showsSummary: settings.showsSummary)
        if let ended { return ended }
        return Self.failure(of: results)
    }

    /// - Returns: the results so far, and why they are incomplete, if they are. Throws if there are none.
    private func measureAll() async throws -> ([CompareResult], Failure?) {
        var results: [CompareResult] = []
        for plan in settings.plans {
            do {
                try Task.checkCancellation()
                results.append(try await measured(plan, number: results.count + 1))
            } catch {
                guard !results.isEmpty else { throw error }
                if error is CancellationError || Task.isCancelled { return (results, Failure(.interrupted, "")) }
                var failure =
                    (error as? H2Error).map { Failure(measuring: $0, protocols) } ?? Failure(.stream, "\(error)")
                let distance = CompareTable.distance(plan.conditions)
                failure.message = "with \(distance) nothing could be measured: \(failure.message)"
                return (results, failure)
            }
            if results.last?.isInterrupted == true { break }
        }
        return (results, nil)
    }

    private func measured(_ plan: ComparePlan, number: Int) async throws -> CompareResult {
        var compare = Compare(plan)
        compare.onProgress = progress(plan, number: number)
        compare.onEstimate = forecast(plan, number: number)
        return try await compare.run()
    }

    /// Announces how long the whole comparison will take, and stores the estimate for the remaining distances.
    private func forecast(_ plan: ComparePlan, number: Int) -> (@Sendable (CompareEstimate) -> Void)? {
        guard console.wantsProgress || settings.isVerbose else { return nil }
        let (console, rest, later) = (console, settings.plans.dropFirst(number - 1), later)
        return { estimate in
            let each = rest.map { estimate.seconds(at: $0.conditions) }
            later.set(Int(min(each.dropFirst().reduce(0, +), 1e9)))
            guard number == 1 else { return }
            console.say("h2get: will take about \(BenchProgressLine.length(each.reduce(0, +)))")
        }
    }

    private func progress(_ plan: ComparePlan, number: Int) -> (@Sendable (Compare.Progress) -> Void)? {
        guard console.wantsProgress || settings.isVerbose else { return nil }
        let line = CompareProgressLine(plan, number: number, of: settings.plans.count)
        let (console, isVerbose, later) = (console, settings.isVerbose, later)
        return { progress in
            let text = line.text(progress, later: Double(later.value))
            if isVerbose { console.say(text) } else { console.progress(text) }
        }
    }

    /// The reason for a nonzero exit code despite results, or nil.
    static func failure(of results: [CompareResult]) -> Failure? {
        if results.contains(where: \.isInterrupted) { return Failure(.interrupted, "") }
        let cells = results.flatMap(\.cells)
        let hasRun = cells.contains { if case .ran = $0.outcome { true } else { false } }
        guard !hasRun else { return nil }
        let reason = cells.lazy.compactMap(\.reason).first ?? "there was nothing to measure"
        return Failure(.stream, "no way could be measured: \(reason)")
    }
}

/// A number shared by closures.
private final class SharedCount: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .relaxed) }
    func set(_ value: Int) { count.store(value, ordering: .relaxed) }
}
