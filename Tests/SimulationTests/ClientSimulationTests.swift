import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Whole clients with faulty servers, in virtual time. `H2_SEEDS=from..to` runs other seeds than usual.
/// The thread is given up after each seed: other tests have time limits.
@Suite(.inTurn, .timeLimit(.minutes(60))) struct ClientSimulationTests {
    private static func run(_ seed: UInt64) -> ClientSimulation.Result {
        let simulation = ClientSimulation(seed: seed)
        var result = simulation.run()
        if result.problems.isEmpty, !simulation.isReleased {
            result.problems.append("something still holds the client: \(simulation.whatIsHeld)")
        }
        return result
    }

    @Test func `Whatever servers do, every request of a client ends once, and nothing is left over`() async {
        var failures = 0
        for seed in Seeds.chosen(usually: 1...300) where failures < 10 {
            await Task.yield()
            let problems = Self.run(seed).problems
            if problems.isEmpty { continue }
            failures += 1
            Issue.record("seed \(seed): \(problems.prefix(5).joined(separator: "\n    "))")
        }
    }

    @Test func `One seed of a client has one outcome`() async {
        for seed in Seeds.chosen(usually: 1...300).prefix(30) {
            await Task.yield()
            let (first, second) = (Self.run(seed), Self.run(seed))
            #expect(first == second, "seed \(seed)")
        }
    }
}

/// One rule of a client at a time.
@Suite(.inTurn) struct ClientLifeTests {
    /// What became of one GET that a server answers after `delay`, and what else happens meanwhile.
    private func outcome(
        answeredAfter delay: UInt64, _ configure: (inout HTTPClient.Configuration) -> Void,
        meanwhile: (SimulatedWorld, HTTPClient) -> Void = { _, _ in },
        took: (UInt64) -> Void = { _ in }
    ) -> String? {
        let world = SimulatedWorld()
        var random = SeededGenerator(seed: 1)
        var plan = ClientPlan(index: 0, to: 0)
        plan.answerDelay = delay
        let site = SitePlan(0, &random, isCalm: true)
        let network = FaultyNetwork(
            world, sites: [site], plans: [plan], isCalm: true, calmAt: 0, random: random, shape: SimulatedWire.Shape())
        var configuration = HTTPClient.Configuration()
        configuration.eventLoops = [world.loop]
        configuration.retry = .never
        configuration.requestOptions = RequestOptions()
        configure(&configuration)
        let client = HTTPClient(configuration: configuration, network: network)
        let outcome = Noted<String>()
        world.task {
            let request = HTTPRequest(
                method: .get, scheme: site.origin.scheme.rawValue, authority: site.origin.authority, path: "/0")
            do {
                outcome.value = "\(try await client.send(request).status.code)"
            } catch {
                outcome.value = "\(error)"
            }
        }
        let begun = world.now
        meanwhile(world, client)
        world.run(within: .seconds(1_000)) { outcome.value != nil }
        took(world.now - begun)
        client.shutdownNow()
        world.run(within: .seconds(1_000))
        return outcome.value
    }

    @Test(arguments: [HTTPClient.Versions.http2PriorKnowledge, .http1Only])
    func `A request takes longer than a drain may, on a connection that is too old by then`(
        _ versions: HTTPClient.Versions
    ) {
        let outcome = outcome(answeredAfter: .seconds(100)) {
            $0.versions = versions
            $0.pool.maximumAge = .seconds(1)
            $0.connection.keepAlive.interval = nil
        }
        #expect(outcome == "200")
    }

    @Test(arguments: [HTTPClient.Versions.http2PriorKnowledge, .http1Only])
    func `The only request that a connection serves waits for nothing but its connection`(
        _ versions: HTTPClient.Versions
    ) {
        let outcome = outcome(answeredAfter: 0) {
            $0.versions = versions
            $0.pool.requestsPerConnection = 1
        }
        #expect(outcome == "200")
    }

    @Test(arguments: [HTTPClient.Versions.http2PriorKnowledge, .http1Only])
    func `A request's time limit includes its wait for a connection`(_ versions: HTTPClient.Versions) throws {
        var time: UInt64 = 0
        let outcome = outcome(answeredAfter: .seconds(100)) {
            $0.versions = versions
            $0.requestOptions.timeout = .seconds(2)
        } took: {
            time = $0
        }
        #expect(try #require(outcome).contains("2"))
        #expect(time >= .seconds(2) && time < .milliseconds(2_001), "\(time)")
    }

    @Test(arguments: [HTTPClient.Versions.http2PriorKnowledge, .http1Only])
    func `A server has a minute for its first byte by default, and hardly more`(_ versions: HTTPClient.Versions) throws
    {
        for (delay, isInTime) in [(59, true), (64, false)] as [(Int, Bool)] {
            var time: UInt64 = 0
            let outcome = outcome(answeredAfter: .seconds(delay)) {
                $0.versions = versions
                $0.requestOptions = HTTPClient.Configuration.defaultRequestOptions
                $0.connection.keepAlive.interval = nil
            } took: {
                time = $0
            }
            if isInTime {
                #expect(outcome == "200")
            } else {
                #expect(try #require(outcome).contains("60"), "\(outcome ?? "")")
                #expect(time >= .seconds(60) && time < .milliseconds(63_200), "\(time)")
            }
        }
    }

    @Test func `A shutdown has the deadline that it was given, and no shorter one`() {
        let outcome = outcome(answeredAfter: .seconds(100)) {
            $0.connection.keepAlive.interval = nil
        } meanwhile: { world, client in
            world.after(.seconds(1)) { world.task { await client.shutdown(gracePeriod: .seconds(200)) } }
        }
        #expect(outcome == "200")
    }

    @Test func `The adaptive limit is told how long answers took`() throws {
        let world = SimulatedWorld()
        // A time at which a moment is far longer than any answer takes.
        world.advance(.seconds(1_000))
        var random = SeededGenerator(seed: 1)
        // Two rounds of quick answers and two of slow ones, eight at a time.
        let plans = (0..<160).map { index in
            var plan = ClientPlan(index: index, to: 0)
            plan.answerDelay = index < 80 ? .milliseconds(20) : .milliseconds(400)
            return plan
        }
        let site = SitePlan(0, &random, isCalm: true)
        let network = FaultyNetwork(
            world, sites: [site], plans: plans, isCalm: true, calmAt: 0, random: random, shape: SimulatedWire.Shape())
        var configuration = HTTPClient.Configuration()
        configuration.eventLoops = [world.loop]
        configuration.versions = .http2PriorKnowledge
        configuration.loadLimits.adaptive = HTTPClient.LoadLimits.Adaptive()
        configuration.loadLimits.adaptive?.initial = 8
        let client = HTTPClient(configuration: configuration, network: network)
        func limit() -> Int? {
            client.pool.lock.withLock {
                guard let key = client.pool.originsByName.values.first?.key else { return nil }
                return client.pool.state.origins[client.pool.state.origins.find(key)].adaptive?.limit
            }
        }
        func get(_ indices: Range<Int>) {
            let done = Noted<Int>()
            world.task {
                for start in stride(from: indices.lowerBound, to: indices.upperBound, by: 8) {
                    await withTaskGroup(of: Void.self) { group in
                        for index in start..<start + 8 {
                            let request = HTTPRequest(
                                method: .get, scheme: site.origin.scheme.rawValue, authority: site.origin.authority,
                                path: "/\(index)")
                            group.addTask { _ = try? await client.collect(request) }
                        }
                    }
                }
                done.value = indices.upperBound
            }
            world.run(within: .seconds(1_000)) { done.value != nil }
        }
        get(0..<80)
        let quick = try #require(limit())
        #expect(quick > 8)
        get(80..<160)
        #expect(try #require(limit()) < quick)
        client.shutdownNow()
        world.run(within: .seconds(1_000))
    }
}
