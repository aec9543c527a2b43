import H2Client
import H2Measure

/// One run of `h2get bench --locust-master`.
struct LocustRun: Sendable {
    private let settings: LocustSettings
    private let plan: BenchPlan
    private let console: Console
    private let isSilent: Bool

    init(_ settings: LocustSettings, _ plan: BenchPlan, _ console: Console, isSilent: Bool) {
        (self.settings, self.plan, self.console, self.isSilent) = (settings, plan, console, isSilent)
    }

    /// Measures until the master quits, or a signal comes: then users finish their requests, and the master is told.
    /// - Throws: `Failure`, `H2Error`.
    func run(_ bench: Bench, _ control: BenchControl) async throws -> BenchResult {
        let session = LocustSession(
            endpoint: settings.endpoint, master: settings.master, plan, control, reader: 0
        ) { [console, isSilent] text in
            if !isSilent { console.say("h2get: \(text)") }
        }
        if !isSilent { console.say("h2get: asking the Locust master at \(settings.master) for users") }
        Interruption.cancels { session.interrupt() }
        // From here on only a second signal may discard the results.
        defer { Interruption.finishes() }
        let load = Task {
            do {
                let result = try await bench.run()
                session.loadEnded(because: Self.reason(result.end))
                return result
            } catch {
                session.loadEnded(because: (error as? H2Error)?.message ?? "\(error)")
                throw error
            }
        }
        let ending: LocustWorker.Ending
        do { ending = try await session.run() } catch {
            control.stop()
            _ = try? await load.value
            throw (error as? H2Error).map { Failure.usage("\($0.message) (--locust-master); \($0.remedy)") } ?? error
        }
        control.stop()
        guard ending != .noMaster else {
            _ = try? await load.value
            throw Failure(
                .connectFailed,
                "no Locust master answered at \(settings.master) within five minutes; is it running (locust --master), and "
                    + "is the port that of --master-bind-port?")
        }
        return try await load.value
    }

    private static func reason(_ end: BenchResult.End) -> String {
        switch end {
        case .complete, .interrupted: "the load has ended"
        case .expired(let why), .gaveUp(let why): why
        }
    }
}
