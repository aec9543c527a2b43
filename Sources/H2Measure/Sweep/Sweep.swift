import H2Client

/// Measures with more and more streams and connections, to find the load at which a server saturates.
///
/// Each number of connections has a climb of its own, from few streams to many. It ends when the server begins to refuse
/// requests or to fail, when more streams cannot gain anything, or when they only make things worse.
package struct Sweep: Sendable {
    /// Figures to show while the sweep runs.
    package struct Progress: Sendable {
        /// The setting being measured.
        package var setting: SweepSetting
        /// The number of settings measured, out of all that may be.
        package var done: Int
        package var all: Int
        /// The last point that was measured.
        package var last: SweepPoint?
        /// The time that all others take, if no climb ends early.
        package var secondsLeft: Double
    }

    package let plan: SweepPlan
    /// Called before each point.
    package var onProgress: (@Sendable (Progress) -> Void)?
    private let engine: Compare.Engine

    package init(_ plan: SweepPlan, engine: @escaping Compare.Engine = { try await Bench($0).run() }) {
        self.plan = plan
        self.engine = engine
    }

    /// Runs the sweep to its end. Cancelling ends it early, with the points measured so far.
    /// - Throws: the error of the first point, since there is then nothing to report.
    package func run() async throws -> SweepResult {
        var result = SweepResult()
        result.origin = plan.origin.description
        result.asked = RequestList(origin: plan.origin, requests: plan.requests)
        result.time = Double(plan.time / .nanoseconds(1)) / 1e9
        result.limits = plan.limits
        var last: SweepPoint?
        for (index, connections) in plan.connections.enumerated() {
            var curve = SweepCurve(connections: connections)
            for (step, streams) in plan.streams.enumerated() {
                if Task.isCancelled {
                    curve.stop = .interrupted
                    break
                }
                let setting = SweepSetting(connections: connections, streams: streams)
                onProgress?(
                    Progress(
                        setting: setting, done: index * plan.streams.count + step,
                        all: plan.connections.count * plan.streams.count, last: last,
                        secondsLeft: Double((plan.connections.count - index) * plan.streams.count - step)
                            * (plan.time.inSeconds + plan.warmUp.inSeconds)))
                do {
                    let found = try await engine(plan.bench(setting))
                    if result.startedAt == 0 {
                        (result.startedAt, result.spoken) = (found.startedAt, found.connections.spoken)
                    }
                    // A point that was cut short does not count.
                    if found.end == .interrupted {
                        curve.stop = .interrupted
                        break
                    }
                    let point = SweepPoint(found, setting, limits: plan.limits)
                    curve.points.append(point)
                    last = point
                    if let stop = Self.reasonToStop(curve.points, found.end, isTop: step == plan.streams.count - 1) {
                        curve.stop = stop
                        break
                    }
                } catch {
                    if error is CancellationError || Task.isCancelled {
                        curve.stop = .interrupted
                        break
                    }
                    if last == nil { throw error }
                    curve.stop = .couldNot(CompareProbe.describe(error))
                    break
                }
            }
            result.curves.append(curve)
            if case .interrupted = curve.stop { break }
        }
        return result
    }

    // MARK: - When to stop

    /// The reason to end a climb with its last point; nil to go on.
    static func reasonToStop(
        _ points: [SweepPoint], _ end: BenchResult.End = .complete, isTop: Bool = false
    ) -> SweepStop? {
        guard let last = points.last else { return nil }
        if case .gaveUp(let why) = end { return .couldNot(why) }
        if let cause = refusal(last) { return .refusals(cause) }
        if !last.isClean { return .errors(error(last)) }
        if let limit = last.maxConcurrentStreams, last.setting.streams >= limit, !isTop { return .streamLimit(limit) }
        if isOverloaded(points), !isTop { return .overloaded }
        return nil
    }

    private static func refusal(_ point: SweepPoint) -> String? {
        if let failed = mostFrequent(point.connectionsFailed) {
            return "\(counted(failed.count, "connection")) could not be established (\(failed.name))"
        }
        guard point.refused * 1000 > point.responses + point.failed else { return nil }
        let statuses = [429, 503].compactMap { status in
            point.statuses[status].map { "\($0) answered with \(status)" }
        }
        let streams = point.refused - [429, 503].reduce(0) { $0 + (point.statuses[$1] ?? 0) }
        let all = statuses + (streams > 0 ? ["\(counted(streams, "stream")) refused"] : [])
        return "\(all.joined(separator: ", ")) of \(counted(point.responses + point.failed + streams, "request"))"
    }

    private static func error(_ point: SweepPoint) -> String {
        if let cause = mostFrequent(point.errors) {
            return "\(counted(point.failed, "request")) failed, \(cause.count) with: \(cause.name)"
        }
        if point.serverErrors > 0 {
            let status = point.statuses.filter { $0.key >= 500 && $0.key != 503 }.max { $0.value < $1.value }
            return "\(counted(point.serverErrors, "request")) answered with \(status?.key ?? 500)"
        }
        return point.responses == 0 ? "no request was answered in time" : "\(counted(point.failed, "request")) failed"
    }

    private static func mostFrequent(_ causes: [String: Int]) -> (name: String, count: Int)? {
        causes.max { ($0.value, $1.key) < ($1.value, $0.key) }.map { ($0.key, $0.value) }
    }

    /// Whether three points in a row are slower than the ones before them, with at least twice the median latency of the
    /// fastest.
    private static func isOverloaded(_ points: [SweepPoint]) -> Bool {
        guard points.count >= 4, let best = points.max(by: { $0.goodput < $1.goodput }), let last = points.last else {
            return false
        }
        let tail = points.suffix(4)
        return zip(tail, tail.dropFirst()).allSatisfy { $1.goodput < $0.goodput } && last.p50 >= 2 * best.p50
    }
}
