import H2TestSupport
import HTTPTypes

@testable import H2Client

/// One seed: a client with its pool and connections, callers, servers, and what goes wrong between them.
///
/// Invariant behind `@unchecked Sendable`: all of it runs on its world's loop, which is one thread.
final class ClientSimulation: @unchecked Sendable {
    /// How the client's life ends.
    enum Ending: Equatable {
        case shutdown, shutdownNow, dropped
        /// While requests are under way.
        case shutdownAt(UInt64, deadline: Duration)
        case shutdownNowAt(UInt64)

        var isEarly: Bool {
            switch self {
            case .shutdownAt, .shutdownNowAt: true
            case .shutdown, .shutdownNow, .dropped: false
            }
        }
    }

    let seed: UInt64
    let world = SimulatedWorld()
    var random: SeededGenerator
    let isCalm: Bool
    let ending: Ending
    let plans: [ClientPlan]
    let sites: [SitePlan]
    let network: FaultyNetwork
    let configuration: HTTPClient.Configuration
    private var client: HTTPClient?
    private(set) weak var pool: ConnectionPool?
    private weak var weakClient: HTTPClient?
    private let startedAt: UInt64
    private var hasShutDown = false

    /// How each caller's request ended; a second end would be a problem of its own.
    private(set) var outcomes: [String?]
    var problems: [String] = []
    private var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    private var steps = 0

    init(seed: UInt64) {
        self.seed = seed
        var random = SeededGenerator(seed: seed &+ 0x51ed_270b)
        isCalm = random.oneIn(4)
        let siteCount = random.int(1...3)
        sites = (0..<siteCount).map { [isCalm] in SitePlan($0, &random, isCalm: isCalm) }
        let count = random.oneIn(4) ? random.int(1...3) : random.int(4...40)
        let crowd = random.oneIn(2) ? 3_000_000 : random.int(1...300_000_000)
        let lends = random.oneIn(3)
        plans = (0..<count).map { [isCalm] in
            ClientPlan(index: $0, &random, origins: siteCount, crowd: crowd, isCalm: isCalm, lends: lends)
        }
        ending =
            switch random.int(0...9) {
            case 0: .shutdownAt(UInt64(random.int(0...200_000_000)), deadline: .milliseconds(random.int(0...2_000)))
            case 1: .shutdownNowAt(UInt64(random.int(0...200_000_000)))
            case 2...3: .shutdownNow
            case 4...5: .dropped
            default: .shutdown
            }
        var configuration = Self.configuration(&random, isCalm: isCalm)
        configuration.eventLoops = [world.loop]
        self.configuration = configuration
        let further = (0..<siteCount).map { ClientPlan(index: count + $0, to: $0) }
        network = FaultyNetwork(
            world, sites: sites, plans: plans + further, isCalm: isCalm, calmAt: world.now + .seconds(1),
            random: SeededGenerator(seed: random.next()), shape: Self.shape(&random))
        outcomes = Array(repeating: nil, count: count)
        startedAt = world.now
        self.random = random
    }

    private static func shape(_ random: inout SeededGenerator) -> SimulatedWire.Shape {
        var shape = SimulatedWire.Shape()
        if random.oneIn(2) { shape.latency = 0...random.int(0...8_000_000) }
        shape.piece = random.oneIn(3) ? 500 + random.size(upTo: 20_000) : 1 << 20
        shape.room = random.oneIn(2) ? 1 << 20 : random.int(1_000...30_000)
        return shape
    }

    private static func configuration(_ random: inout SeededGenerator, isCalm: Bool) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.versions =
            [.automatic, .automatic, .http1Only, .http2PriorKnowledge, .http2Only][random.int(0...4)]
        switch random.int(0...9) {
        case 0...4: break
        case 5: configuration.pool.whenSaturated = .fail
        default: configuration.pool.whenSaturated = .openConnection(upTo: random.int(1...4))
        }
        if random.oneIn(2) { configuration.pool.http1ConnectionsPerOrigin = random.int(1...6) }
        if random.oneIn(3) { configuration.pool.streamsPerConnection = random.int(1...10) }
        if random.oneIn(3) { configuration.pool.connections = random.int(1...6) }
        if random.oneIn(12) { configuration.pool.waitingRequests = random.int(0...5) }
        configuration.pool.idleTimeout = .milliseconds(random.oneIn(2) ? random.int(1...100) : 5_000)
        if random.oneIn(4) { configuration.pool.maximumAge = .milliseconds(random.int(5...200)) }
        if random.oneIn(4) { configuration.pool.requestsPerConnection = random.int(1...8) }
        configuration.retry.maximumAttempts = random.int(1...5)
        if random.oneIn(2) { configuration.retry.statuses = [429, 503] }
        configuration.retry.retriesIdempotent = !random.oneIn(4)
        configuration.retry.backoff = .milliseconds(random.int(1...50))
        configuration.retry.maximumBackoff = .seconds(1)
        configuration.retry.minimumRetriesPerSecond = random.oneIn(3) ? 2 : 100
        if random.oneIn(3) { configuration.loadLimits.concurrentRequestsPerOrigin = random.int(1...10) }
        if random.oneIn(4) { configuration.loadLimits.concurrentRequests = random.int(1...12) }
        if random.oneIn(5) {
            configuration.loadLimits.requestsPerSecondPerOrigin = Double(random.int(20...500))
            configuration.loadLimits.burst = random.int(1...5)
        }
        if random.oneIn(4) {
            var adaptive = HTTPClient.LoadLimits.Adaptive()
            adaptive.initial = random.int(1...8)
            configuration.loadLimits.adaptive = adaptive
        }
        if !isCalm, random.oneIn(3) { configuration.connection.timeouts.drain = .milliseconds(random.int(0...100)) }
        if random.oneIn(3) { configuration.connection.keepAlive.interval = .milliseconds(random.int(100...1_000)) }
        configuration.connection.keepAlive.timeout = .milliseconds(random.int(200...5_000))
        if random.oneIn(3) {
            configuration.requestOptions.hedging = .init(
                delay: .milliseconds(random.int(0...30)), maximumHedges: random.int(1...3), budget: 1,
                minimumHedgesPerSecond: random.oneIn(4) ? 0 : 100)
        }
        return configuration
    }

    // MARK: - Running

    struct Result: Equatable {
        var problems: [String]
        var trace: UInt64
    }

    func run() -> Result {
        makeClient()
        network.onArrival = { [unowned self] in record("\($0.id) on \($0.endpoint.number) at \(world.now)") }
        for plan in plans { start(plan) }
        planActions()
        let end = world.run(within: .seconds(3_600)) {
            check()
            return outcomes.allSatisfy { $0 != nil }
        }
        if end != .done {
            let left = plans.filter { outcomes[$0.index] == nil }
            problems.append(
                "\(end): \(left.count) requests never ended, such as \(left.first!); \(pool?.stateInWords ?? "")")
        } else {
            if !ending.isEarly { comeToRest() }
            finish()
            checkLog()
        }
        return Result(problems: problems + network.problems, trace: trace)
    }

    /// Apart, so that no local variable outlives it.
    private func makeClient() {
        let client = HTTPClient(configuration: configuration, network: network)
        (self.client, weakClient, pool) = (client, client, client.pool)
    }

    /// After the end of `run`: each exchange holds its connection, each connection its pool while it lives.
    var isReleased: Bool { pool == nil && weakClient == nil }
    /// For the report of a problem.
    var whatIsHeld: String {
        "client \(weakClient != nil), pool \(pool != nil), \(ending), lent \(plans.contains { $0.lent != nil }): "
            + "\(pool?.stateInWords ?? "")"
    }

    private func start(_ plan: ClientPlan) {
        world.after(plan.startAt) { [self] in
            let task = world.task(onOtherLoop: plan.isElsewhere) { [self] in
                let outcome = await perform(plan)
                if outcomes[plan.index] != nil { problems.append("request \(plan.index) ended twice") }
                outcomes[plan.index] = outcome
                record("\(plan.index) \(outcome) at \(world.now)")
            }
            if let cancelAfter = plan.cancelAfter { world.after(cancelAfter) { task.cancel() } }
        }
    }

    private func planActions() {
        for _ in 0..<(random.oneIn(4) ? random.int(1...3) : 0) {
            world.after(UInt64(random.int(0...200_000_000))) { [self] in client?.closeIdle() }
        }
        switch ending {
        case .shutdownAt(let time, let deadline):
            world.after(time) { [self] in
                hasShutDown = true
                let client = client
                world.task { await client?.shutdown(gracePeriod: deadline) }
            }
        case .shutdownNowAt(let time):
            world.after(time) { [self] in
                hasShutDown = true
                client?.shutdownNow()
            }
        case .shutdown, .shutdownNow, .dropped: break
        }
    }

    func record(_ line: String) {
        for byte in line.utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    // MARK: - A caller

    private func perform(_ plan: ClientPlan) async -> String {
        guard let client else { return "no client" }
        do {
            guard let count = plan.lent else {
                let response = try await client.send(
                    request(plan, "\(plan.index)"), body: body(plan), options: options(plan))
                return "ok \(try await read(response, plan, "\(plan.index)"))"
            }
            return try await client.withConnection(to: sites[plan.origin].origin) { connection in
                var total = 0
                for part in 0..<count {
                    let id = "\(plan.index).\(part)"
                    let response = try await connection.send(
                        request(plan, id), body: body(plan), options: options(plan))
                    total += try await read(response, plan, id)
                    await world.sleep(plan.pauseWithLoan)
                }
                return "ok \(total)"
            }
        } catch {
            judge(error, plan)
            return "\(error)"
        }
    }

    private func request(_ plan: ClientPlan, _ id: String) -> HTTPRequest {
        let origin = sites[plan.origin].origin
        return HTTPRequest(
            method: plan.method, scheme: origin.scheme.rawValue, authority: origin.authority, path: "/\(id)")
    }

    private func options(_ plan: ClientPlan) -> RequestOptions {
        var options = RequestOptions()
        if let limit = plan.timeout { options.timeout = limit }
        if let limit = plan.queueTimeout { options.queueTimeout = limit }
        if let limit = plan.firstByteTimeout { options.firstByteTimeout = limit }
        return options
    }

    private func body(_ plan: ClientPlan) -> HTTPRequestBody {
        @Sendable func data(_ range: Range<Int>) -> [UInt8] { Plan.bytes(plan.index, range, salt: Plan.uploadSalt) }
        switch plan.upload {
        case .none: return .empty
        case .bytes(let count): return .bytes(data(0..<count))
        case .pieces(let pieces, let pause, let isReplayable):
            return .writer(length: plan.index % 2 == 0 ? plan.upload.size : nil, isReplayable: isReplayable) {
                [self] writer in
                var at = 0
                for piece in pieces {
                    if pause > 0 { await world.sleep(pause) }
                    try await writer.write(data(at..<at + piece))
                    at += piece
                }
            }
        }
    }

    /// Bytes read; each is checked.
    private func read(_ response: StreamedResponse, _ plan: ClientPlan, _ id: String) async throws -> Int {
        if response.firstValue(of: HTTPField.Name("x-id")!) != id {
            problems.append(
                "request \(id) got the head of \(response.firstValue(of: HTTPField.Name("x-id")!) ?? "nobody")")
        }
        var count = 0
        func check(_ bytes: [UInt8]) {
            if bytes != Plan.bytes(plan.index, count..<count + bytes.count) {
                problems.append("request \(id): wrong bytes after \(count)")
            }
            count += bytes.count
        }
        switch plan.reading {
        case .collect: check(try await response.body.collect(upTo: 1 << 30))
        case .pieces(let pause):
            for try await piece in response.body {
                check(piece.bytes)
                if pause > 0 { await world.sleep(pause) }
            }
        case .discard: count = try await response.body.discard()
        case .drop: return 0
        }
        // Where the end of the connection is that of the body, an early one does not show.
        let mayBeCutOff = !isCalm && plan.endsWithConnection && !plan.statesLength && response.version == .http1
        if response.status == 200, plan.method != .head, count != plan.bodySize, !mayBeCutOff {
            problems.append("request \(id): \(count) bytes of \(plan.bodySize)")
        }
        return count
    }

    // MARK: - Steps

    private func check() {
        steps += 1
        guard let pool else { return }
        let breaches = pool.lock.withLock {
            pool.state.now = world.now
            return pool.state.check()
        }
        if !breaches.isEmpty, problems.count < 20 {
            problems.append("at \(world.now): \(breaches.joined(separator: ", "))")
        }
        checkLimits()
    }

    /// What a server can see of the client's limits.
    private func checkLimits() {
        let (limits, loadLimits) = (configuration.pool, configuration.loadLimits)
        func say(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds, problems.count < 20 { problems.append("at \(world.now): \(what())") }
        }
        let living = network.livingConnections
        say(living <= limits.connections, "\(living) connections, more than \(limits.connections)")
        // What the client has given up may still be on its way to be told so.
        let open = network.open.filter { arrival in
            guard let index = Int(arrival.id), plans.indices.contains(index), outcomes[index] == nil,
                !arrival.endpoint.wire.isClosed
            else { return false }
            // The writer of a body may be at its pause, so that its caller hears of the end later.
            let plan = plans[index]
            let limits = [plan.timeout?.clampedNanoseconds, plan.cancelAfter].compactMap { $0 }
            if let limit = limits.min(), world.now >= startedAt + plan.startAt + limit { return false }
            return arrival.endpoint.wire.failure == nil && network.arrivals[arrival.id]?.last === arrival
        }
        say(open.count <= loadLimits.concurrentRequests, "\(open.count) requests at once: \(open.map(\.id))")
        for site in sites.indices {
            let count = open.count { $0.endpoint.site == site }
            say(count <= loadLimits.concurrentRequestsPerOrigin, "\(count) requests at once to site \(site)")
            let http1 = network.livingHTTP1(site)
            say(http1 <= limits.http1ConnectionsPerOrigin, "\(http1) HTTP/1.1 connections to site \(site)")
        }
        if let rate = loadLimits.requestsPerSecondPerOrigin {
            let allowed = Double(loadLimits.burst) + rate * Double(world.now - startedAt) / 1e9
            for site in sites.indices {
                let count = network.ordinaryArrivals[site] ?? 0
                say(Double(count) <= allowed + 1, "\(count) requests to site \(site), \(allowed) allowed")
            }
        }
    }

    // MARK: - The end

    /// All is told, and nothing goes wrong any more: what is idle goes, and a further request is served.
    private func comeToRest() {
        var isLater = false
        world.after(.seconds(60)) { isLater = true }
        world.run {
            check()
            return isLater
        }
        guard let pool else { return problems.append("the pool is gone") }
        if !network.isEverythingClosed {
            problems.append("\(network.livingConnections) connections stay; \(pool.stateInWords)")
        }
        if pool.state.inFlight != 0 { problems.append("\(pool.state.inFlight) requests are under way") }
        if pool.state.waiters.count != 0 { problems.append("\(pool.state.waiters.count) requests wait") }
        if !network.open.isEmpty { problems.append("servers are at \(network.open.map(\.id))") }
        for site in sites.indices { askOnceMore(site) }
    }

    private func askOnceMore(_ site: Int) {
        guard mayBeReached(site) else { return }
        let outcome = Noted<String>()
        let request = HTTPRequest(
            method: .get, scheme: sites[site].origin.scheme.rawValue, authority: sites[site].origin.authority,
            path: "/\(plans.count + site)")
        world.task { [self] in
            guard let client else { return }
            do {
                let response = try await client.send(request)
                _ = try await response.body.collect(upTo: 1 << 30)
                outcome.value = "\(response.status.code)"
            } catch {
                outcome.value = "\(error)"
            }
        }
        world.run(within: .seconds(300)) {
            check()
            return outcome.value != nil
        }
        if outcome.value != "200" {
            // With no place to wait, and none that is free, there is no other answer.
            if configuration.pool.waitingRequests == 0 || configuration.pool.whenSaturated == .fail { return }
            problems.append(
                "a further request to site \(site): \(outcome.value ?? "no end"); \(pool?.stateInWords ?? "")")
        }
    }

    func mayBeReached(_ site: Int) -> Bool {
        guard sites[site].origin.scheme == .https else { return true }
        return switch configuration.versions {
        case .http2Only: sites[site].protocols.contains("h2") && !sites[site].isFickle
        case .http1Only, .automatic, .http2PriorKnowledge: true
        }
    }

    private func finish() {
        let isClosed = Noted<Bool>()
        switch ending {
        case .shutdown, .shutdownAt, .shutdownNowAt:
            hasShutDown = true
            let client = client
            world.task {
                await client?.shutdown(gracePeriod: .seconds(10))
                isClosed.value = true
            }
            if world.run(within: .seconds(60), until: { isClosed.value == true }) != .done {
                problems.append("shutdown() did not return; \(pool?.stateInWords ?? "")")
            }
            if !network.isEverythingClosed {
                problems.append("\(network.livingConnections) connections outlive the client")
            }
        case .shutdownNow: client?.shutdownNow()
        case .dropped: break
        }
        client = nil
        world.run(within: .seconds(120))
        if !network.isEverythingClosed { problems.append("\(network.livingConnections) connections were not closed") }
        if let timer = world.loop.nextTimer { problems.append("a timer is left, due at \(timer)") }
        let complaints = network.complaints
        if !complaints.isEmpty { problems.append("the servers complain: \(complaints)") }
    }

    var hasBegunToShutDown: Bool { hasShutDown }
}

extension ConnectionPool {
    /// For the report of a problem.
    var stateInWords: String {
        lock.withLock {
            var words = ["\(state.inFlight) under way, \(state.waiters.count) wait, \(state.living) connections"]
            for index in 0..<state.connections.bound where state.connections.isTaken(index) {
                let connection = state.connections[Int32(index)]
                words.append(
                    "\(connection.state) \(connection.version.map { "\($0)" } ?? "?"), \(connection.streams) streams of \(connection.limit), "
                        + "\(connection.holders) holders")
            }
            return words.joined(separator: "; ")
        }
    }
}
