import H2Client
import H2Platform

/// Does the same work with each way to carry requests, round by round, and reports what each took.
///
/// The order is shuffled in each round, so that no way always runs in the aftermath of the same other way. An uncounted round
/// comes first. A way that the server does not support is not run, and the reason is reported.
package struct Compare: Sendable {
    /// A function that runs a measurement.
    package typealias Engine = @Sendable (BenchPlan) async throws -> BenchResult

    /// Figures to show while the comparison runs.
    package struct Progress: Sendable, Equatable {
        /// 0 for the uncounted round.
        package var round: Int
        package var rounds: Int
        /// The number of all measurements to run, including those of the first round.
        package var done: Int
        package var all: Int
        package var way: CompareWay
        package var security: CompareSecurity
        /// About how many seconds are left: at first estimated by the probe, then from the times that each way took.
        package var secondsLeft: Double

        package init(
            round: Int, rounds: Int, done: Int, all: Int, way: CompareWay, security: CompareSecurity,
            secondsLeft: Double
        ) {
            (self.round, self.rounds, self.done, self.all) = (round, rounds, done, all)
            (self.way, self.security, self.secondsLeft) = (way, security, secondsLeft)
        }
    }

    package let plan: ComparePlan
    /// Called before each measurement.
    package var onProgress: (@Sendable (Progress) -> Void)?
    /// Called once, before anything is measured, when a few requests have shown how long all of it will take.
    package var onEstimate: (@Sendable (CompareEstimate) -> Void)?
    private let engine: Engine

    package init(_ plan: ComparePlan, engine: @escaping Engine = { try await Bench($0).run() }) {
        self.plan = plan
        self.engine = engine
    }

    /// Runs the comparison to its end. Cancelling ends it early, with the complete rounds.
    /// - Throws: `H2Error` if a plan cannot be carried out at all: no server answers, or a request is invalid.
    package func run() async throws -> CompareResult {
        try Self.check(plan)
        return try await withLinks(plan.targets[...], [])
    }

    private static func check(_ plan: ComparePlan) throws(H2Error) {
        guard !plan.targets.isEmpty, plan.targets.allSatisfy({ !$0.requests.isEmpty }) else {
            throw H2Error(.invalidRequest, message: "there is nothing to ask for", remedy: "give a URL")
        }
        guard Set(plan.targets.map(\.security)).count == plan.targets.count else {
            throw H2Error(
                .invalidRequest, message: "there are two servers to be compared",
                remedy: "give URLs of one https origin, one http origin, or one of each")
        }
    }

    // MARK: - The link

    /// The route of connections to a target, and what else uses the process's CPU time for it.
    private struct Route: Sendable {
        var target: ComparePlan.Target
        var plan: ComparePlan
        var link: LinkProxy?
    }

    private func withLinks(
        _ targets: ArraySlice<ComparePlan.Target>, _ routes: [Route]
    ) async throws -> CompareResult {
        guard let target = targets.first else { return try await measure(routes) }
        guard !plan.conditions.isDirect else {
            return try await withLinks(targets.dropFirst(), routes + [Route(target: target, plan: plan)])
        }
        let endpoint = plan.configuration.connectTo ?? .init(host: target.origin.host, port: target.origin.port)
        return try await LinkProxy.run(
            to: endpoint.host, port: endpoint.port, conditions: plan.conditions, seed: plan.seed &+ UInt64(routes.count)
        ) { link in
            var route = Route(target: target, plan: plan, link: link)
            route.plan.configuration.connectTo = .init(host: "127.0.0.1", port: link.port)
            return try await withLinks(targets.dropFirst(), routes + [route])
        }
    }

    // MARK: - Rounds

    /// A way to one target, with its results so far.
    private struct Runner {
        var route: Int
        var way: CompareWay
        var version1 = "http/1.1"
        var errorStatuses: Set<Int> = []
        var rounds: [CompareFigures] = []
        var notes: [String] = []
        /// The reason why there is no point in going on.
        var obstacle: String?
        var incomplete: String?
        /// Duration of one of its rounds.
        var seconds = 0.0

        var goesOn: Bool { obstacle == nil && incomplete == nil }
    }

    private func measure(_ routes: [Route]) async throws -> CompareResult {
        var result = CompareResult()
        result.origins = routes.map(\.target.origin.description)
        result.asked = routes.map { RequestList(origin: $0.target.origin, requests: $0.target.requests) }
        result.conditions = plan.conditions
        result.requests = plan.requests
        result.streams = plan.streams
        result.connections = plan.connections
        result.seed = plan.seed

        var runners: [Runner] = []
        do {
            var estimate = CompareEstimate()
            for (index, route) in routes.enumerated() {
                runners += try await probe(route, index, &result, &estimate)
            }
            if runners.contains(where: \.goesOn) { onEstimate?(estimate) }
            if runners.contains(where: \.goesOn) { try await measure(&runners, routes, &result) }
        } catch is CancellationError {
            result.isInterrupted = true
        }
        result.cells = runners.map { cell($0, routes[$0.route].target.security, result.isInterrupted) }
        result.rounds = runners.filter(\.goesOn).map(\.rounds.count).min() ?? 0
        return result
    }

    private func probe(
        _ route: Route, _ index: Int, _ result: inout CompareResult, _ estimate: inout CompareEstimate
    ) async throws -> [Runner] {
        let security = route.target.security
        let probe = try await CompareProbe.of(
            route.target, plan, configuration: route.plan.configuration, engine: engine)
        // With another server there is still something to compare.
        if let failure = probe.failure, plan.targets.count == 1 { throw failure }
        let prefix = plan.targets.count > 1 ? "\(security == .tls ? "Over TLS" : "In cleartext"): " : ""
        result.warnings += StatusSentence.all(probe.statuses, of: probe.statuses.values.reduce(0, +)).map {
            prefix + $0
        }
        for status in [429, 503] where probe.statuses[status] != nil {
            result.warnings.append("\(prefix)The server answers with \(status) without any load.")
        }
        return plan.ways(security).map { way in
            var runner = Runner(route: index, way: way)
            runner.seconds = probe.seconds(of: way, plan)
            if probe.obstacle(way) == nil { estimate.add(probe, way, plan) }
            runner.obstacle = probe.obstacle(way)
            runner.errorStatuses = probe.errorStatuses
            if let version = probe.version1, version == "h2", !way.isReuse {
                runner.version1 = version
                runner.notes.append("over HTTP/2, since the server has no HTTP/1.1")
            }
            return runner
        }
    }

    private func measure(
        _ runners: inout [Runner], _ routes: [Route], _ result: inout CompareResult
    ) async throws {
        var random = SplitMix64(seed: plan.seed)
        var done = 0
        for round in 0...plan.rounds {
            let order = runners.indices.shuffled(using: &random).filter { runners[$0].goesOn }
            for (position, index) in order.enumerated() {
                try Task.checkCancellation()
                let runner = runners[index]
                let route = routes[runner.route]
                let left = order.count - position + (plan.rounds - round) * runners.count(where: \.goesOn)
                onProgress?(
                    Progress(
                        round: round, rounds: plan.rounds, done: done, all: done + left, way: runner.way,
                        security: route.target.security,
                        secondsLeft: secondsLeft(runners, rest: order[position...], rounds: plan.rounds - round)))
                done += 1
                let bench = route.plan.bench(
                    runner.way, route.target, requests: round == 0 ? plan.warmUpRequests : plan.requests,
                    version1: runner.version1)
                await run(bench, route, isCounted: round > 0, &runners[index], &result)
            }
        }
    }

    private func secondsLeft(_ runners: [Runner], rest: ArraySlice<Int>, rounds: Int) -> Double {
        rest.reduce(0) { $0 + runners[$1].seconds }
            + Double(rounds) * runners.reduce(0) { $0 + ($1.goesOn ? $1.seconds : 0) }
    }

    /// One measurement.
    private func run(
        _ bench: BenchPlan, _ route: Route, isCounted: Bool, _ runner: inout Runner, _ result: inout CompareResult
    ) async {
        let before = await route.link?.cpuSeconds() ?? 0
        let found: BenchResult
        do {
            found = try await engine(bench)
        } catch {
            // A server that is just waking up may fail the first round.
            if isCounted && !(error is CancellationError) { runner.incomplete = CompareProbe.describe(error) }
            return
        }
        guard isCounted, found.end != .interrupted else { return }
        if result.startedAt == 0 { result.startedAt = found.startedAt }
        if result.tls == nil, let version = found.connections.tlsVersion {
            result.tls = version + (found.connections.cipher.map { " (\($0))" } ?? "")
        }
        runner.seconds = found.elapsed
        let linkSeconds = await (route.link?.cpuSeconds() ?? 0) - before
        let figures = CompareFigures(found, way: runner.way, linkSeconds: linkSeconds)
        runner.rounds.append(figures)
        runner.incomplete = Self.defect(found, bench, runner.way, runner.version1, runner.errorStatuses)
        for note in Self.notes(found, bench) where !runner.notes.contains(note) { runner.notes.append(note) }
    }

    private func cell(_ runner: Runner, _ security: CompareSecurity, _ isInterrupted: Bool) -> CompareResult.Cell {
        let outcome: CompareResult.Outcome
        if let why = runner.obstacle {
            outcome = .couldNot(why: why)
        } else if let why = runner.incomplete {
            outcome = .incomplete(runner.rounds, why: why)
        } else if runner.rounds.isEmpty {
            outcome = .couldNot(why: isInterrupted ? "stopped before it was measured" : "it was not measured")
        } else {
            outcome = .ran(runner.rounds)
        }
        var cell = CompareResult.Cell(runner.way, security, outcome, notes: runner.notes)
        if runner.obstacle == nil {
            cell.version = runner.way.isHTTP2 || runner.version1 == "h2" ? "HTTP/2" : "HTTP/1.1"
        }
        return cell
    }

    // MARK: - What a round is worth

    /// The reason why a measurement does not cover the whole work, done in the intended way; nil if it does.
    static func defect(
        _ result: BenchResult, _ bench: BenchPlan, _ way: CompareWay, _ version1: String, _ errorStatuses: Set<Int>
    ) -> String? {
        guard case .requests(let wanted) = bench.extent else { return "it had no number of requests" }
        let cause = CompareProbe.firstCause(result).map { " (\($0))" } ?? ""
        if result.requests.done < wanted {
            return "\(wanted - result.requests.done) of \(counted(wanted, "request")) not answered\(cause)"
        }
        if result.requests.failed > 0 {
            return "\(result.requests.failed) of \(counted(wanted, "request")) failed\(cause)"
        }
        if result.connections.neverOpened > 0 {
            return
                "\(result.connections.neverOpened) of \(counted(result.connections.wanted, "connection")) never came up"
        }
        let isHTTP2 = way.isHTTP2 || version1 == "h2" && !way.isReuse
        let others = isHTTP2 ? result.connections.http1 : result.connections.http2
        if others > 0 {
            return "\(others) of \(counted(result.connections.opened, "connection")) spoke "
                + (isHTTP2 ? "HTTP/1.1" : "HTTP/2")
        }
        for (status, count) in result.statuses.enumerated()
        where status >= 400 && count > 0 && !errorStatuses.contains(status) {
            return "\(count) of \(counted(wanted, "request")) answered with \(status)"
        }
        if case .newConnections(let resuming) = way {
            if result.connections.opened < wanted {
                return "only \(counted(result.connections.opened, "connection")) for \(counted(wanted, "request"))"
            }
            if resuming && result.connections.resumed == 0 {
                return wanted <= bench.connections
                    ? "no TLS session can be resumed in \(counted(wanted, "request")) at once: use a larger -n"
                    : "the server resumed no TLS session"
            }
        }
        return nil
    }

    /// Remarks about a complete round.
    static func notes(_ result: BenchResult, _ bench: BenchPlan) -> [String] {
        var notes: [String] = []
        if bench.requestsPerConnection == nil, result.connections.reopened > 0 {
            notes.append("the server closed connections, and others were opened instead")
        }
        if let most = result.connections.maxConcurrentStreams, most < bench.streams {
            notes.append("the server takes \(counted(most, "stream")) at once on a connection")
        }
        if result.requests.retries > 0 { notes.append("requests that the server refused were sent again") }
        if let busy = result.client.loopBusy.max(), busy >= 0.95 {
            notes.append("this client was the limit: the server may be faster")
        }
        return notes
    }
}
