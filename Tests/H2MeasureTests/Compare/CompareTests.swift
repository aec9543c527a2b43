import H2Client
@testable import H2Measure
import Histogram
import Synchronization
import H2TestSupport
import Testing

@Suite(.inTurn) struct CompareTests {
    private func result(
        _ schemes: [Origin.Scheme] = [.https], _ habits: FakeServer.Habits = .init(),
        _ change: (inout ComparePlan) -> Void = { _ in }
    ) async throws -> CompareResult {
        var plan = try ComparePlan.sample(schemes)
        change(&plan)
        return try await Compare(plan, FakeServer(habits)).run()
    }

    // MARK: - What is run

    @Test func `Each way is a plan of its own`() async throws {
        let server = FakeServer()
        var plan = try ComparePlan.sample()
        plan.rounds = 1
        plan.requests = 200
        plan.streams = 50
        plan.connections = 4
        _ = try await Compare(plan, server).run()
        let counted = server.plans.suffix(6)
        #expect(counted.allSatisfy { $0.extent == .requests(200) && $0.warmUp == .zero && $0.threads == 1 })
        func matching(_ condition: (BenchPlan) -> Bool) -> Int { counted.count(where: condition) }
        #expect(matching { $0.requestsPerConnection == 1 && $0.configuration.tls.resumesSessions } == 1)
        #expect(matching { $0.requestsPerConnection == 1 && !$0.configuration.tls.resumesSessions } == 1)
        let http1 = BenchPlan.Protocols.tls(["http/1.1"])
        #expect(matching { $0.protocols == http1 && $0.requestsPerConnection == nil && $0.connections == 1 } == 1)
        #expect(matching { $0.protocols == http1 && $0.requestsPerConnection == nil && $0.connections == 4 } == 1)
        let http2 = BenchPlan.Protocols.tls(["h2"])
        #expect(matching { $0.protocols == http2 && $0.connections == 1 && $0.streams == 50 } == 1)
        // 50 shared out over 4.
        #expect(matching { $0.protocols == http2 && $0.connections == 4 && $0.streams == 13 } == 1)
    }

    @Test func `Cleartext has no sessions to resume and speaks by prior knowledge`() async throws {
        let server = FakeServer()
        var plan = try ComparePlan.sample([.http])
        plan.rounds = 1
        let result = try await Compare(plan, server).run()
        #expect(result.cells.count == 5)
        #expect(result.cells.allSatisfy { $0.security == .cleartext && $0.spread(\.seconds) != nil })
        #expect(server.plans.suffix(5).count { $0.protocols == .cleartextHTTP2 } == 2)
        #expect(server.plans.suffix(5).count { $0.protocols == .cleartextHTTP1 } == 3)
    }

    @Test func `One request has no session to resume`() async throws {
        let result = try await result { $0.requests = 1 }
        let why = try #require(result.cell(.newConnections(resuming: true), .tls)?.reason)
        #expect(why == "incomplete: no TLS session can be resumed in 1 request at once: use a larger -n")
        #expect(result.cell(.newConnections(resuming: false), .tls)?.spread(\.seconds) != nil)
        let several = try await self.result([.https], FakeServer.Habits(resumes: false))
        #expect(
            several.cell(.newConnections(resuming: true), .tls)?.reason
                == "the server resumes no TLS session")
    }

    @Test func `The first byte is never later than the whole response`() {
        var measured = BenchResult()
        for time in [UInt64](1...9) {
            measured.connect.record((10 - time) * 1_000_000)
            measured.handshake.record((10 - time) * 2_000_000)
            measured.firstByte.record(time * 900_000)
            measured.latency.record(time * 1_000_000)
            measured.corrected.record(time * 1_000_000 + (10 - time) * 3_000_000)
        }
        let new = CompareFigures(measured, way: .newConnections(resuming: false))
        #expect(new.firstByte > 10_000_000 && new.firstByte <= new.p50)
        #expect(CompareFigures(measured, way: .keepAlive).firstByte < 5_000_000)
    }

    @Test func `Each way names its version`() async throws {
        let result = try await result()
        let versions = result.cells.map { ($0.way.isHTTP2, $0.version) }
        #expect(versions.allSatisfy { $0.1 == ($0.0 ? "HTTP/2" : "HTTP/1.1") })
        let text = CompareJSON.document([result]).text
        #expect(text.contains("\"http_version\": \"HTTP/2\"") && text.contains("\"http_version\": \"HTTP/1.1\""))
    }

    @Test func `A round that is not counted comes first and the order is shuffled in each`() async throws {
        let order = Mutex<[(round: Int, name: String)]>([])
        func run(seed: UInt64) async throws -> [[String]] {
            order.withLock { $0 = [] }
            var plan = try ComparePlan.sample()
            plan.seed = seed
            plan.requests = 5000
            let server = FakeServer()
            var compare = Compare(plan, server)
            compare.onProgress = { progress in
                order.withLock { $0.append((progress.round, progress.way.name)) }
                #expect(progress.done < progress.all && progress.all == 36 && progress.rounds == 5)
            }
            let result = try await compare.run()
            #expect(result.cells.allSatisfy { $0.spread(\.seconds)?.median ?? 0 > 0 })
            #expect(server.plans.count { $0.extent == .requests(100) } == 6)
            #expect(server.plans.count { $0.extent == .requests(5000) } == 30)
            let all = order.withLock { $0 }
            return (0...5).map { round in all.filter { $0.round == round }.map(\.name) }
        }
        let first = try await run(seed: 1)
        #expect(first.allSatisfy { Set($0).count == 6 && $0.count == 6 })
        #expect(Set(first).count > 1)
        #expect(try await run(seed: 1) == first)
        #expect(try await run(seed: 2) != first)
    }

    @Test func `The figures are those of the rounds with their median and spread`() async throws {
        // Rounds of all ways differ by their number: each has one of each six runs after the probes.
        let habits = FakeServer.Habits(seconds: { plan, run in
            FakeServer.usualSeconds(plan) * (1 + Double((run - 4) / 6) / 10)
        })
        let result = try await result([.https], habits)
        let cell = try #require(result.cell(.keepAlive, .tls))
        let seconds = try #require(cell.spread(\.seconds))
        #expect(abs(seconds.median - 1.3) < 1e-9 && abs(seconds.low - 1.1) < 1e-9 && abs(seconds.high - 1.5) < 1e-9)
        #expect(abs(seconds.part - 0.2 / 1.3) < 1e-9)
        #expect(cell.spread(\.connections) == CompareSpread([1]))
        #expect(cell.spread(\.bytesReceived)?.median == 100_000)
        #expect(result.rounds == 5 && result.requests == 100 && result.startedAt == 1_000_000)
        let new = try #require(result.cell(.newConnections(resuming: true), .tls))
        #expect(new.spread(\.handshakes)?.median == 100)
        #expect(new.spread(\.resumed)?.median == 99)
    }

    @Test func `The first byte of a new connection counts from its beginning`() async throws {
        let result = try await result()
        let kept = try #require(result.cell(.keepAlive, .tls)?.spread(\.firstByte)?.median)
        #expect(abs(kept - 5e6) < 2e4)
        let new = try #require(result.cell(.newConnections(resuming: false), .tls)?.spread(\.firstByte)?.median)
        // 20 ms for the answer, 1 ms to connect and 2 ms to shake hands.
        #expect(abs(new - 23e6) < 5e4)
    }

    @Test func `A median is the middle`() {
        #expect(CompareSpread([]).median == 0)
        #expect(CompareSpread([3]).median == 3)
        #expect(CompareSpread([3, 1]).median == 2)
        #expect(CompareSpread([5, 1, 3]).median == 3)
    }

    // MARK: - What cannot be run

    @Test func `A server without HTTP/2 says so in those ways`() async throws {
        let result = try await result([.https], .init(offersHTTP2: false))
        let reason = "the server does not offer HTTP/2 by ALPN"
        #expect(result.cell(.http2(connections: 1), .tls)?.outcome == .couldNot(why: reason))
        #expect(result.cell(.http2(connections: 6), .tls)?.outcome == .couldNot(why: reason))
        #expect(result.cell(.keepAlive, .tls)?.reason == nil)
        #expect(result.verdict(.tls).contains("HTTP/2 was not measured: \(reason)"))
    }

    @Test func `A server that closes after each response has no keep-alive`() async throws {
        let result = try await result([.http], .init(closesAfterEachResponse: true))
        for way in [CompareWay.keepAlive, .pool(6)] {
            #expect(try #require(result.cell(way, .cleartext)?.reason).contains("closes the connection after each"))
        }
        #expect(result.cell(.newConnections(resuming: false), .cleartext)?.reason == nil)
    }

    @Test func `A server that resumes nothing is not measured twice`() async throws {
        let result = try await result([.https], .init(resumes: false))
        #expect(
            result.cell(.newConnections(resuming: true), .tls)?.outcome
                == .couldNot(why: "the server resumes no TLS session"))
    }

    @Test func `New connections to a server of HTTP/2 alone speak it`() async throws {
        let habits = FakeServer.Habits(change: { plan, _, result in
            if plan.protocols == .tls(["http/1.1"]) { throw H2Error(.tlsFailed, message: "no application protocol") }
        })
        let result = try await result([.https], habits)
        let new = try #require(result.cell(.newConnections(resuming: false), .tls))
        #expect(new.spread(\.seconds) != nil)
        #expect(new.notes == ["over HTTP/2, since the server has no HTTP/1.1"])
        #expect(result.cell(.keepAlive, .tls)?.reason == "no application protocol")
    }

    @Test func `Where nothing answers the error is thrown`() async throws {
        let habits = FakeServer.Habits(change: { _, _, _ in throw H2Error(.connectFailed, message: "refused") })
        let error = await #expect(throws: H2Error.self) { try await result([.https], habits) }
        #expect(error?.code == .connectFailed)
    }

    @Test func `Where one of two servers answers the other says why it does not`() async throws {
        let habits = FakeServer.Habits(change: { plan, _, _ in
            if plan.origin.scheme == .http { throw H2Error(.connectFailed, message: "nobody there") }
        })
        let result = try await result([.https, .http], habits)
        #expect(result.cells.count == 11)
        #expect(result.cell(.keepAlive, .cleartext)?.reason == "nobody there")
        #expect(result.verdict(.cleartext) == "In cleartext: nothing could be measured: nobody there.")
        #expect(result.cell(.keepAlive, .tls)?.reason == nil)
    }

    @Test func `Two servers of one scheme are an error`() async throws {
        var plan = try ComparePlan.sample()
        plan.targets += plan.targets
        await #expect(throws: H2Error.self) { try await Compare(plan, FakeServer()).run() }
        plan.targets = []
        await #expect(throws: H2Error.self) { try await Compare(plan, FakeServer()).run() }
    }

    // MARK: - What is not whole

    @Test func `A failed request makes a way incomplete`() async throws {
        let habits = FakeServer.Habits(change: { plan, _, result in
            guard plan.streams > 50 else { return }
            result.requests.done -= 3
            result.requests.failed = 3
            result.errors = ["stream reset by the server: REFUSED_STREAM": 3]
        })
        let result = try await result([.https], habits)
        let cell = try #require(result.cell(.http2(connections: 1), .tls))
        #expect(
            cell.reason
                == "incomplete: 3 of 100 requests not answered (stream reset by the server: REFUSED_STREAM)")
        #expect(cell.spread(\.seconds) == nil)
        guard case .incomplete(let rounds, _) = cell.outcome else { throw Unexpected() }
        #expect(rounds.count == 1)
    }

    @Test func `An error status that comes with load makes a way incomplete`() async throws {
        let habits = FakeServer.Habits(change: { plan, _, result in
            guard plan.connections > 1, plan.protocols == .tls(["http/1.1"]) else { return }
            result.statuses[200] -= 7
            result.statuses[503] = 7
        })
        let result = try await result([.https], habits)
        #expect(result.cell(.pool(6), .tls)?.reason == "incomplete: 7 of 100 requests answered with 503")
    }

    @Test(arguments: [(404, "check the URL"), (302, "redirects (most often 302)"), (503, "503 without any load")])
    func `A status that comes always is warned of`(_ status: Int, _ words: String) async throws {
        let result = try await result([.https], .init(status: status))
        #expect(result.cells.allSatisfy { $0.reason == nil })
        #expect(result.warnings.count == 1 && result.warnings[0].contains(words), "\(result.warnings)")
        #expect(CompareTable(result).lines().contains { $0.hasPrefix("Warning: ") })
        #expect(CompareTable(result).markdown().contains("**Warning**"))
    }

    @Test func `The reports name what was asked for and how`() async throws {
        var result = try await result([.https])
        result.conditions = LinkConditions(roundTrip: 50_000_000, loss: 0.01)
        let context = ReportContext(program: "h2get 1.2.3", commandLine: "h2get compare x")
        let table = CompareTable(result, context: context)
        for text in [
            table.lines().joined(separator: "\n"), table.markdown(),
            CompareJSON.document([result], context: context).text,
        ] {
            for part in ["GET", "https://", "50.0 ms round trip and 1.0", "h2get 1.2.3", "h2get compare x"] {
                #expect(text.contains(part), "\(part) in \(text)")
            }
        }
    }

    @Test func `How long it will take is known beforehand`() throws {
        var probe = CompareProbe()
        (probe.connectSeconds, probe.requestSeconds) = (0.1, 0.05)
        var plan = ComparePlan(targets: [])
        (plan.requests, plan.rounds, plan.streams) = (100, 4, 100)
        plan.conditions.roundTrip = 50_000_000
        #expect(abs(probe.seconds(of: .newConnections(resuming: false), plan) - 15) < 1e-9)
        #expect(abs(probe.seconds(of: .keepAlive, plan) - 5.1) < 1e-9)
        #expect(abs(probe.seconds(of: .pool(6), plan) - (0.1 + 17 * 0.05)) < 1e-9)
        #expect(abs(probe.seconds(of: .http2(connections: 1), plan) - 0.15) < 1e-9)
        var estimate = CompareEstimate()
        estimate.add(probe, .keepAlive, plan)
        // Four rounds that count, and one that does not.
        #expect(abs(estimate.seconds - 25.5) < 1e-9)
        // Half as far away: of 5 × 102 round trips each is 25 ms shorter.
        #expect(abs(estimate.seconds(at: LinkConditions(roundTrip: 25_000_000)) - (25.5 - 12.75)) < 1e-9)
        #expect(estimate.seconds(at: LinkConditions(roundTrip: 0)) < 1e-9)
    }

    @Test func `The versions are named in cleartext too`() async throws {
        let result = try await result([.http])
        #expect(
            result.facts(ReportContext(program: "h2get 1")).contains(
                ReportFact("Versions", "h2get 1, HTTP/1.1 and HTTP/2 in cleartext")))
        var both = try await self.result([.https, .http])
        both.tls = "TLSv1.3"
        #expect(
            both.facts(ReportContext()).contains(
                ReportFact("Versions", "HTTP/1.1 and HTTP/2 over TLSv1.3 and in cleartext")))
    }

    @Test func `What will get lost is in the estimate`() throws {
        var probe = CompareProbe()
        (probe.connectSeconds, probe.requestSeconds) = (0.01, 0.01)
        var plan = ComparePlan(targets: [])
        (plan.requests, plan.streams) = (100, 100)
        plan.conditions = LinkConditions(roundTrip: 10_000_000, loss: 0.02)
        // Of 100 requests four meet a timeout of 200 ms in one direction, and a connection one of 1 s in 25.
        #expect(abs(probe.seconds(of: .keepAlive, plan) - (0.01 + 0.048 + 1 + 0.8)) < 1e-9)
        #expect(abs(probe.seconds(of: .newConnections(resuming: false), plan) - (5.8 + 1 + 0.8)) < 1e-9)
        // All streams of a connection wait for whatever was lost.
        #expect(abs(probe.seconds(of: .http2(connections: 1), plan) - (0.058 + 0.01 + 0.2)) < 1e-9)
    }

    @Test func `A server that throttles at once is no measure for errors`() async throws {
        // One of the probe's three answers, and then a tenth.
        let habits = FakeServer.Habits(change: { _, run, result in
            let bad = max(1, result.requests.done / 10)
            result.statuses[200] -= bad
            result.statuses[503] = bad
        })
        let result = try await result([.https], habits)
        #expect(
            result.cells.allSatisfy { $0.reason?.hasPrefix("incomplete: 10 of 100 requests answered with 503") == true }
        )
    }

    @Test func `A protocol that was not meant makes a way incomplete`() async throws {
        let habits = FakeServer.Habits(change: { plan, _, result in
            guard plan.protocols == .tls(["h2"]), plan.connections > 1 else { return }
            result.connections.http2 -= 2
            result.connections.http1 = 2
        })
        let result = try await result([.https], habits)
        #expect(result.cell(.http2(connections: 6), .tls)?.reason == "incomplete: 2 of 6 connections spoke HTTP/1.1")
    }

    @Test func `A failure of the round that is not counted is none`() async throws {
        // The three probes, then six runs.
        let habits = FakeServer.Habits(change: { _, run, result in
            if (4...9).contains(run) { throw H2Error(.connectionClosed, message: "waking up") }
        })
        let result = try await result([.https], habits)
        #expect(result.cells.allSatisfy { $0.reason == nil })
    }

    @Test func `What a round has to say is noted once`() async throws {
        let habits = FakeServer.Habits(change: { plan, _, result in
            guard plan.protocols == .tls(["h2"]), plan.connections == 1, plan.streams > 1 else { return }
            result.connections.maxConcurrentStreams = 32
            result.connections.reopened = 1
            result.client.loopBusy = [0.99]
        })
        let result = try await result([.https], habits)
        let cell = try #require(result.cell(.http2(connections: 1), .tls))
        #expect(
            cell.notes == [
                "the server closed connections, and others were opened instead",
                "the server takes 32 streams at once on a connection",
                "this client was the limit: the server may be faster",
            ])
        #expect(result.cell(.keepAlive, .tls)?.notes == [])
    }

    @Test func `Who stops it keeps the rounds that were whole`() async throws {
        let task = Mutex<Task<CompareResult, any Error>?>(nil)
        let plan = try ComparePlan.sample()
        let server = FakeServer(
            .init(change: { _, run, result in
                // In the third counted round.
                guard run == 3 + 6 * 3 + 4 else { return }
                task.withLock { $0?.cancel() }
                result.end = .interrupted
            }))
        let gate = AsyncStream<Void>.makeStream()
        task.withLock {
            $0 = Task {
                for await _ in gate.stream {}
                return try await Compare(plan, server).run()
            }
        }
        gate.continuation.finish()
        let running = try #require(task.withLock { $0 })
        let result = try await running.value
        #expect(result.isInterrupted)
        #expect(result.rounds == 2)
        #expect(result.cells.allSatisfy { $0.spread(\.seconds) != nil })
        #expect(result.remarks.first == "Stopped by the user after 2 complete rounds.")
    }

    private struct Unexpected: Error {}
}
