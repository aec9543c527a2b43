import H2Client
import H2Measure
import Histogram
import Testing

@Suite struct VerdictTests {
    private func verdicts(
        _ plan: BenchPlan = samplePlan(), _ change: (inout BenchResult) -> Void = { _ in }
    ) -> [Verdict] {
        var result = sampleResult()
        change(&result)
        return Verdict.all(result, plan)
    }

    /// The one verdict on the topic, and no other.
    private func only(
        _ topic: Verdict.Topic, _ severity: Verdict.Severity, _ plan: BenchPlan = samplePlan(),
        _ change: (inout BenchResult) -> Void
    ) throws -> String {
        let found = verdicts(plan, change)
        #expect(found.map(\.topic) == [topic])
        let verdict = try #require(found.first { $0.topic == topic })
        #expect(verdict.severity == severity)
        return verdict.text
    }

    @Test func `Where nothing is wrong that is said`() throws {
        let text = try only(.nothing, .fine) { _ in }
        #expect(text.contains("These figures can be trusted"))
        #expect(text.contains("40 %"))
    }

    @Test func `Every verdict is one sentence and warnings come first`() {
        var result = fullResult()
        result.end = .complete
        let verdicts = Verdict.all(result, samplePlan())
        #expect(verdicts.count >= 3)
        let severities = verdicts.map { $0.severity == .warning }
        #expect(severities == severities.sorted { $0 && !$1 })
        for verdict in verdicts {
            #expect(verdict.text.hasSuffix(".") && !verdict.text.contains(". "), "\(verdict.text)")
        }
    }

    // MARK: The client

    @Test func `A busy loop means that the client is the limit`() throws {
        let text = try only(.clientBusy, .warning) { $0.client.loopBusy = [0.95, 0.5] }
        #expect(text.contains("1 of its 2 event loops were busy 95 %"))
        #expect(text.contains("(-t 4)"))
        #expect(verdicts { $0.client.loopBusy = [0.9, 0.9] }.map(\.topic) == [.nothing])
    }

    @Test func `The remedy knows how many threads and connections there are`() throws {
        var plan = samplePlan()
        (plan.threads, plan.connections) = (1, 1)
        #expect(try only(.clientBusy, .warning, plan) { $0.client.loopBusy = [0.99] }.contains("-t 2 -c 2"))
        plan.threads = 4
        let text = try only(.clientBusy, .warning, plan) { $0.client.loopBusy = [0.99, 0.99, 0.99, 0.99] }
        #expect(text.contains("h2get bench merge"))
    }

    @Test func `Full processors mean that the client is the limit`() throws {
        let text = try only(.clientBusy, .warning) { $0.client.userSeconds = 36 }
        #expect(text.contains("3.8 of the 4 processors that it may use"))
    }

    @Test func `Late timers mean that latencies are too long`() throws {
        func lag(_ nanoseconds: UInt64, busy: Double = 0.6) -> (inout BenchResult) -> Void {
            {
                $0.client.lagP99 = nanoseconds
                $0.client.loopBusy = [busy]
                // So that some of them can have been held up by as much.
                $0.latency.record(20_000_000, count: 10_000)
                $0.corrected.record(20_000_000, count: 10_000)
            }
        }
        #expect(try only(.clientLag, .warning) { lag(6_000_000)(&$0) }.contains("6.00 ms late"))
        #expect(try only(.clientLag, .warning) { lag(6_000_000, busy: 0.1)(&$0) }.contains("6.00 ms late"))
        #expect(try only(.clientLag, .note) { lag(200_000)(&$0) }.contains("200 µs late"))
        #expect(verdicts { lag(140_000)(&$0) }.map(\.topic) == [.nothing])
        // An idle loop's timers say how long the system takes to wake a thread.
        #expect(verdicts { lag(200_000, busy: 0.1)(&$0) }.map(\.topic) == [.nothing])
    }

    // MARK: The sample

    @Test(arguments: [
        (
            99_900, "99,900 samples are too few for p99.99 (fewer than 10 lie above it)", "-n 100000",
            Verdict.Severity.note
        ),
        (9900, "too few for p99.9 and above (fewer than 10 lie above p99.9)", "-n 10000", .note),
        (900, "too few for p99 and above (fewer than 10 lie above p99)", "-n 1000", .warning),
        (100, "100 samples are too few for p95 and above", "-n 200", .warning),
    ])
    func `A percentile above which few samples lie means nothing`(
        _ count: Int, _ what: String, _ remedy: String, _ severity: Verdict.Severity
    ) throws {
        let found = Verdict.all(sampleResult(responses: count), samplePlan(requests: count))
        #expect(found.map(\.topic) == [.sample])
        #expect(found[0].severity == severity)
        #expect(found[0].text.contains(what), "\(found[0].text)")
        #expect(found[0].text.contains(remedy), "\(found[0].text)")
    }

    @Test func `The remedy is a time where a time was asked for`() {
        var plan = samplePlan()
        plan.extent = .time(.seconds(10))
        let found = Verdict.all(sampleResult(responses: 5000), plan)
        // 10,000 samples at 500 a second.
        #expect(found[0].text.contains("use -D 20s for p99.9"))
    }

    @Test func `No sample at all is said`() {
        let found = Verdict.all(BenchResult(), samplePlan())
        #expect(found.map(\.topic) == [.sample])
        #expect(found[0].severity == .warning)
    }

    @Test func `Less than a second is too short`() throws {
        let text = try only(.shortTime, .warning) { result in
            result.elapsed = 0.5
            result.client.userSeconds = 0.1
            result.client.systemSeconds = 0.1
        }
        #expect(text.contains("500 ms") && text.contains("-D 10s"))
    }

    // MARK: The server

    @Test(arguments: ["429", "503", "REFUSED_STREAM", "ENHANCE_YOUR_CALM", "ENHANCE_YOUR_CALM at connecting"])
    func `Throttling is recognised`(_ sign: String) throws {
        let found = verdicts { result in
            switch sign {
            case "429": result.statuses[429] = 7
            case "503": result.statuses[503] = 7
            case "REFUSED_STREAM": result.errors = ["stream reset by the server: REFUSED_STREAM": 7]
            case "ENHANCE_YOUR_CALM": result.connections.lost = ["GOAWAY ENHANCE_YOUR_CALM": 7]
            default: result.connections.failed = ["GOAWAY ENHANCE_YOUR_CALM": 7]
            }
        }
        let verdict = try #require(found.first { $0.topic == .throttled })
        #expect(verdict.severity == .warning)
        #expect(verdict.text.contains("\(sign.prefix { $0 != " " }) 7 times"))
        #expect(verdict.text.contains("a smaller -m"))
    }

    @Test func `Connections that were opened again are said`() throws {
        let text = try only(.reconnects, .note) { result in
            result.connections.lost = ["GOAWAY NO_ERROR": 3, "closed by the server": 1]
            result.connections.reopened = 4
        }
        #expect(text.contains("4 connections ended early (GOAWAY NO_ERROR, 3; closed by the server, 1), with 4 opened"))
        // On purpose is another matter.
        let onPurpose = verdicts { result in
            result.connections.rotated = 4
            result.connections.reopened = 4
        }
        #expect(onPurpose.map(\.topic) == [.nothing])
    }

    @Test func `Failures and error pages are said`() throws {
        let redirects = try only(.statuses, .warning) { result in
            result.statuses[200] = 0
            result.statuses[302] = 200_000
        }
        #expect(redirects.contains("100.0 % of the responses are redirects (most often 302)"))
        #expect(verdicts { $0.statuses[304] = 100_000 }.map(\.topic) == [.nothing])
        let failures = try only(.errors, .warning) { result in
            result.requests.failed = 2000
            result.errors = ["timed out": 1999, "refused": 1]
        }
        #expect(failures.contains("2,000 requests of 200,000 failed (timed out, 1,999; refused, 1)"))
        #expect(try only(.errors, .note) { $0.requests.aborted = 1 }.contains("1 request got no answer"))
        #expect(
            try only(.errors, .warning) { $0.connections.failed = ["refused": 3] }
                .contains("3 connections could not be established (most often: refused)"))
        let pages = try only(.statuses, .warning) { result in
            result.statuses[200] = 100_000
            result.statuses[404] = 100_000
        }
        #expect(pages.contains("50.0 % of the responses") && pages.contains("most often 404"))
        #expect(verdicts { $0.statuses[404] = 100 }.map(\.topic) == [.nothing])
    }

    @Test func `How it ended is said`() throws {
        #expect(try only(.ended, .note) { $0.end = .interrupted }.contains("stopped early"))
        #expect(try only(.ended, .warning) { $0.end = .gaveUp("refused") }.contains("(refused)"))
    }

    // MARK: Responses that were not as expected

    private var expectingPlan: BenchPlan {
        var plan = samplePlan()
        plan.expectation = BenchPlan.Expectation(statuses: [200])
        return plan
    }

    @Test func `Responses that were not as expected were answered all the same`() throws {
        let text = try only(.errors, .warning, expectingPlan) { result in
            result = BenchResult()
            result.requests.sent = 3
            result.requests.failed = 3
            result.statuses[404] = 3
            result.errors = ["unexpected status 404": 3]
        }
        #expect(
            text == "None of 3 responses was as expected (unexpected status 404): check the URL, and what "
                + "--expect-status says.")
    }

    @Test func `Statuses that were not expected still show throttling`() {
        let found = verdicts(expectingPlan) { result in
            result.requests.sent += 7
            result.requests.failed = 7
            result.statuses[429] = 7
            result.errors = ["unexpected status 429": 7]
        }
        #expect(found.contains { $0.topic == .throttled && $0.text.contains("status 429 7 times") })
        #expect(found.contains { $0.topic == .errors && $0.text.contains("7 responses of") })
        #expect(!found.contains { $0.topic == .statuses })
    }

    @Test func `One failed dial is not a server that was away`() {
        let found = verdicts { result in
            result.connections.lost = ["connection closed by the server": 1]
            result.connections.failed = ["cannot connect: Connection refused": 1]
        }
        #expect(!found.contains { $0.text.contains("The server was away") })
    }

    @Test func `What was cut off is said by what cut it off`() throws {
        func text(_ end: BenchResult.End, _ plan: BenchPlan = samplePlan()) throws -> String {
            let found = verdicts(plan) { result in
                result.requests.aborted = 2
                result.end = end
            }
            return try #require(found.first { $0.topic == .errors }).text
        }
        #expect(try text(.complete, openPlan).contains("got no answer within the 1 s to drain"))
        #expect(try text(.interrupted).contains("when it was stopped"))
    }

    @Test func `Connections that never came are told with what kept them`() throws {
        let text = try only(.errors, .warning) { result in
            result.connections.wanted = 6_000
            result.connections.neverOpened = 4_208
        }
        #expect(text.contains("4,208 of 6,000 connections never came up (they were still being opened"))
        #expect(text.hasSuffix(": use a smaller -c.") || text.hasSuffix("(-D), or use a smaller -c."))
        let failed = try only(.errors, .warning) { result in
            result.connections.wanted = 6_000
            result.connections.neverOpened = 4_208
            result.connections.failed = ["cannot connect: Connection refused": 20]
        }
        #expect(failed.contains("(most often: cannot connect: Connection refused)"))
        #expect(failed.contains("more slowly with -r"))
    }

    // MARK: One cause, one remedy

    @Test func `A time limit that ends a run is no short run`() {
        let aged = verdicts { result in
            result.end = .expired("its connections were open for 300 ms (-T)")
            result.elapsed = 0.3
        }
        #expect(aged.contains { $0.topic == .ended } && !aged.contains { $0.topic == .shortTime })
    }

    @Test func `A server that died is one cause with one remedy`() throws {
        let text = try only(.ended, .warning) { result in
            result.end = .gaveUp("connection refused")
            result.elapsed = 3
            result.requests.failed = 40
            result.errors = ["connection closed by the server": 40]
            result.connections.lost = ["connection closed by the server": 4]
            result.connections.failed = ["cannot connect: Connection refused": 20]
            for index in result.intervals.indices.dropFirst(3) { result.intervals[index].done = 0 }
        }
        #expect(text.contains("It ended after 3.00 s") && text.contains("40 requests of 200,000 failed with it"))
        #expect(text.hasSuffix("see whether the server still runs."))
    }

    @Test func `A server that was away for a while is one cause too`() throws {
        let text = try only(.errors, .warning) { result in
            result.requests.failed = 40
            result.errors = ["connection closed by the server": 40]
            result.connections.lost = ["connection closed by the server": 4]
            result.connections.failed = ["cannot connect: Connection refused": 20]
            result.connections.reopened = 4
            result.downtime.count = 1
            for index in result.intervals.indices.dropFirst(5) { result.intervals[index].done = 0 }
        }
        #expect(text.contains("The server was away for a part of the run"))
        #expect(text.contains("4 connections ended") && text.contains("20 attempts to connect failed"))
    }

    @Test func `A server that hangs at the end is named`() throws {
        func hang(_ result: inout BenchResult) {
            result.requests.aborted = 10
            for index in result.intervals.indices.suffix(4) {
                result.intervals[index].done = 0
                result.intervals[index].inFlightMean = 10
            }
        }
        let text = try only(.errors, .warning, samplePlan(), hang)
        #expect(text.hasPrefix("No response came in the last "))
        #expect(text.contains("while 10 requests waited, and the latencies lack them"))
        var result = sampleResult()
        hang(&result)
        let broken = [try FailCondition("p50>1h"), try FailCondition("rate<1")].judge(result).map(\.isBroken)
        #expect(broken == [true, false])
        // A silence is not reported if responses take that long.
        result.latency.record(2_000_000_000)
        #expect(result.silenceAtEnd == nil)
    }

    @Test func `Trouble in the warm-up is no trouble of the measured part`() throws {
        func warmUp(_ result: inout BenchResult) {
            result.connections.warmUp.lost = ["connection closed by the server": 40]
            result.connections.warmUp.failed = ["cannot connect: Connection refused": 39]
            result.connections.warmUp.reopened = 40
            result.connections.lost = result.connections.warmUp.lost
            result.connections.failed = result.connections.warmUp.failed
            result.connections.reopened = 40
        }
        let text = try only(.reconnects, .note) { warmUp(&$0) }
        #expect(
            text.hasPrefix(
                "During the warm-up, 40 connections were lost and 39 attempts to connect failed (most often: "))
        // Later trouble is counted separately, with its own causes.
        let both = verdicts { result in
            warmUp(&result)
            result.connections.failed["timed out"] = 2
            result.connections.lost["GOAWAY NO_ERROR"] = 1
            result.connections.reopened = 41
        }
        #expect(both.map(\.topic) == [.errors, .reconnects, .reconnects])
        #expect(both[0].text.hasPrefix("2 connections could not be established (most often: timed out)"))
        #expect(both[1].text.hasPrefix("1 connection ended early (GOAWAY NO_ERROR, 1), with 1 opened instead"))
        #expect(both[2].text.hasPrefix("During the warm-up, "))
        // Whoever gave up in it was missing in the measured part.
        let missing = try only(.errors, .warning) { result in
            warmUp(&result)
            (result.connections.lost, result.connections.warmUp.lost) = ([:], [:])
            (result.connections.reopened, result.connections.warmUp.reopened) = (0, 0)
            result.connections.abandoned = 3
        }
        #expect(missing.hasPrefix("3 of 4 connections could not be established again (most often: cannot connect"))
    }

    @Test func `A late timer is no news beside long latencies`() throws {
        for (p50, isNews) in [(1_000_000_000, false), (20_000_000, true)] {
            let verdicts = verdicts { result in
                result.client.lagP99 = 8_000_000
                result.latency = .nanoseconds()
                for _ in 0..<200_000 { result.latency.record(UInt64(p50)) }
                result.corrected = result.latency
            }
            #expect(verdicts.contains { $0.topic == .clientLag } == isNews)
        }
    }

    /// An open loop that falls behind, at a response time that does not depend on how many are in flight.
    @Test func `Our own streams are not the server's fault`() throws {
        var plan = openPlan
        (plan.connections, plan.streams) = (4, 1)
        func change(_ result: inout BenchResult) {
            for index in result.intervals.indices {
                result.intervals[index].backlog = index * 1000
                result.intervals[index].inFlightMean = 4
            }
            (result.waits.slot, result.waits.slotRequests) = (500_000_000_000, 100_000)
            result.client.lagP99 = 200_000
            result.corrected.record(5_000_000_000, count: 100_000)
        }
        let ours = try only(.backlog, .warning, plan, change)
        #expect(ours.contains("because all 4 streams were in use (4 connections × 1): use a larger -m or -c"))
        #expect(!ours.contains("cannot keep up"))
        // The same with a response time that grew with the load.
        let server = try only(.backlog, .warning, plan) { result in
            change(&result)
            result.latency.record(9_000_000, count: 300_000)
        }
        #expect(server.contains("the server cannot keep up") && server.contains("ask for a lower rate"))
        plan.streams = 10
        let limit = try only(.backlog, .warning, plan) { result in
            change(&result)
            result.connections.maxConcurrentStreams = 1
        }
        #expect(limit.contains("as many as the server allows on a connection: use a larger -c"))
    }

    @Test func `Where nothing is answered there is one thing to do`() throws {
        func change(_ result: inout BenchResult) {
            result = BenchResult()
            result.elapsed = 0.3
            (result.requests.sent, result.requests.failed) = (3, 3)
            result.errors = ["the server broke the protocol": 3]
            result.connections.lost = ["the server broke the protocol": 2]
            (result.waits.slot, result.waits.slotRequests) = (300_000_000, 3)
            result.client.lagP99 = 6_000_000
        }
        let text = try only(.errors, .warning, samplePlan(), change)
        #expect(text == "None of 3 requests was answered (the server broke the protocol): try one with h2get -v first.")
        var plan = samplePlan()
        plan.protocols = .cleartextHTTP2
        #expect(try only(.errors, .warning, plan, change).hasSuffix("if not, use --h1."))
    }

    @Test(arguments: [
        (["the server broke the protocol": 3], true), (["http2 not negotiated": 3], true),
        (["connection closed by the server": 1], true),
        (["stream reset by the server: INTERNAL_ERROR": 1], false), (["connection ended: GOAWAY NO_ERROR": 1], false),
        (["timeout: connect": 2], false), ([:], false),
    ])
    func `Only what looks like HTTP/1.1 is taken for it`(_ errors: [String: Int], _ isLikely: Bool) {
        var plan = samplePlan()
        plan.protocols = .cleartextHTTP2
        var result = BenchResult()
        result.errors = errors
        #expect(result.suggestsHTTP1(plan) == isLikely)
        result.requests.done = 1
        #expect(!result.suggestsHTTP1(plan))
        result.requests.done = 0
        #expect(!result.suggestsHTTP1(samplePlan()))
    }

    // MARK: Waits

    @Test func `A stream limit below what was asked for is said`() throws {
        let text = try only(.slots, .note) { result in
            result.connections.maxConcurrentStreams = 3
            result.waits.slotRequests = 5
        }
        #expect(text.contains("3 streams on a connection, fewer than -m 10"))
        #expect(text.contains("use -m 3, or spread them with -c 14"))
        #expect(verdicts { $0.connections.maxConcurrentStreams = 10 }.map(\.topic) == [.nothing])
        // With few requests in flight nobody waits for the limit.
        #expect(verdicts { $0.connections.maxConcurrentStreams = 3 }.map(\.topic) == [.nothing])
    }

    @Test func `Streams of HTTP/1.1 are said to be none`() throws {
        let text = try only(.slots, .note) { result in
            (result.connections.http1, result.connections.http2) = (4, 0)
            result.connections.maxConcurrentStreams = nil
        }
        #expect(text.contains("-c 40"))
    }

    /// All requests together took 300 s.
    @Test func `Waits are said where they explain something`() throws {
        let much = 20_000_000_000.0
        #expect(
            try only(.slots, .note) { ($0.waits.slot, $0.waits.slotRequests) = (much, 5) }.contains("5 requests waited")
        )
        #expect(try only(.windows, .note) { $0.waits.downloadStreamWindow = much }.contains("a larger -w"))
        #expect(try only(.windows, .note) { $0.waits.downloadConnectionWindow = much }.contains("a larger -W"))
        #expect(try only(.windows, .note) { $0.waits.uploadStreamWindow = much }.contains("window of the stream"))
        #expect(try only(.windows, .note) { $0.waits.uploadConnectionWindow = much }.contains("with -c"))
        #expect(try only(.sendBlocked, .note) { $0.waits.sendBlocked = much }.contains("20.0 s"))
        let little = verdicts { result in
            result.waits.slot = much / 2
            result.waits.slotRequests = 1
            result.waits.sendBlocked = much / 2
            result.waits.downloadStreamWindow = much / 2
            result.waits.uploadConnectionWindow = much / 2
        }
        #expect(little.map(\.topic) == [.nothing])
    }

    // MARK: The pace

    private var openPlan: BenchPlan {
        var plan = samplePlan()
        plan.extent = .time(.seconds(10))
        plan.pace = .arrivals(from: 20_000, to: 20_000, ramp: .zero)
        return plan
    }

    @Test func `Fewer arrivals than the mean are no rate that was missed`() {
        var plan = openPlan
        plan.arrivesAtRandom = true
        #expect(verdicts(plan) { $0.requests.sent = 195_000 }.allSatisfy { $0.topic != .rateMissed })
        let found = verdicts(plan) { result in
            result.requests.sent = 195_000
            result.requests.dropped = 5_000
        }
        #expect(found.contains { $0.topic == .rateMissed })
    }

    @Test func `A rate that was not reached is said`() throws {
        #expect(verdicts(openPlan).map(\.topic) == [.nothing])
        let text = try only(.rateMissed, .warning, openPlan) { result in
            result.requests.sent = 150_000
            result.requests.done = 150_000
            result.requests.dropped = 50_000
        }
        #expect(text.contains("Of 20,000 requests a second only 15,000 were sent (50,000 never were)"))
    }

    @Test func `A ramp asks for less than its end`() {
        var plan = openPlan
        // 1,000 × 10 × 4 connections would be too little, and the ramp asks for 10,000 × 5 / 2 + 20,000 × 5.
        plan.pace = .arrivals(from: 0, to: 20_000, ramp: .seconds(5))
        #expect(verdicts(plan) { $0.requests.sent = 150_000 }.allSatisfy { $0.topic != .rateMissed })
        #expect(verdicts(plan) { $0.requests.sent = 140_000 }.contains { $0.topic == .rateMissed })
        plan.pace = .arrivalsPerConnection(5000)
        #expect(verdicts(plan).allSatisfy { $0.topic != .rateMissed })
        #expect(verdicts(plan) { $0.requests.sent = 190_000 }.contains { $0.topic == .rateMissed })
        // No more than were to be sent at all.
        plan.extent = .requests(190_000)
        #expect(verdicts(plan) { $0.requests.sent = 190_000 }.allSatisfy { $0.topic != .rateMissed })
    }

    @Test func `A backlog that grows is said`() throws {
        let text = try only(.backlog, .warning, openPlan) { result in
            for index in result.intervals.indices { result.intervals[index].backlog = index * 100 }
        }
        #expect(text.contains("50.0 waited to be sent at first, 850 at the end"))
        let steady = verdicts(openPlan) { result in
            for index in result.intervals.indices { result.intervals[index].backlog = 100 }
        }
        #expect(steady.map(\.topic) == [.nothing])
    }

    @Test func `A corrected latency far above the other is said`() throws {
        let text = try only(.coordinatedOmission, .warning, openPlan) {
            $0.corrected.record(500_000_000, count: 10_000)
        }
        #expect(text.contains("p99 of 1.98 ms") && text.contains("500 ms"))
        #expect(
            try only(.coordinatedOmission, .note) { $0.corrected.record(500_000_000, count: 10_000) }.contains("quote"))
    }

    @Test func `Halves that differ are said`() throws {
        func change(_ result: inout BenchResult) {
            for index in result.intervals.indices { result.intervals[index].done = index < 5 ? 15_000 : 25_000 }
        }
        var plan = samplePlan()
        #expect(
            try only(.unsteady, .note, plan, change).contains("15,000 responses a second in the first half and 25,000"))
        plan.warmUp = .zero
        #expect(try only(.unsteady, .note, plan, change).contains("--warm-up-time 5s"))
        // Where the load was to change it is no wonder.
        plan.connectionRamp = .init(count: 1, period: .seconds(1))
        #expect(verdicts(plan, change).map(\.topic) == [.nothing])
    }

    // MARK: A server that cannot keep up

    /// An open loop of 400 requests a second of which a server with a queue answers so many: its latency rises with the queue.
    private func overloaded(answers: Double, seconds: Int = 10, rising: Bool = true) -> (BenchResult, BenchPlan) {
        var plan = openPlan
        plan.pace = .arrivals(from: 400, to: 400, ramp: .zero)
        (plan.connections, plan.streams) = (10, 100)
        plan.extent = .time(.seconds(seconds))
        var result = sampleResult(responses: 400 * seconds)
        result.elapsed = Double(seconds)
        result.requests.answeredInTime = Int(answers) * seconds
        result.requests.drained = (400 - Int(answers)) * seconds
        (result.client.userSeconds, result.client.systemSeconds) = (0.1, 0.1)
        result.intervals = (0..<seconds).map { second in
            var interval = BenchResult.Interval(start: Double(second), length: 1)
            (interval.sent, interval.done) = (400, Int(answers))
            interval.inFlightMean = (400 - answers) * (Double(second) + 0.5)
            interval.inFlightMost = Int(interval.inFlightMean) + 50
            let wait = rising ? (1 - answers / 400) * (Double(second) + 0.5) : 0
            (interval.p50, interval.p99) = (UInt64((0.02 + wait) * 1e9), UInt64((0.03 + wait) * 1e9))
            interval.longest = interval.p99
            return interval
        }
        return (result, plan)
    }

    @Test func `A server whose queue grows cannot keep up though streams are free`() throws {
        let (result, plan) = overloaded(answers: 250)
        let found = Verdict.all(result, plan)
        #expect(found.map(\.topic) == [.backlog] && found[0].severity == .warning)
        #expect(
            found[0].text
                == "The server cannot keep up (of 400 requests a second it answered 250, and those in flight grew from 150 to "
                + "1,350): ask for a lower rate.")
    }

    @Test func `What was left at the end of an overload is no matter of its own`() {
        let plan = overloaded(answers: 250).1
        var result = overloaded(answers: 250).0
        result.requests.aborted = 1500
        #expect(Verdict.all(result, plan).map(\.topic) == [.backlog])
    }

    @Test func `A number of requests is judged while they were sent`() throws {
        var (result, plan) = overloaded(answers: 250)
        plan.extent = .requests(4000)
        for second in 10..<16 {
            var interval = BenchResult.Interval(start: Double(second), length: 1)
            interval.done = 250
            (interval.p50, interval.p99, interval.longest) = (4_000_000_000, 4_100_000_000, 4_200_000_000)
            result.intervals.append(interval)
        }
        result.elapsed = 16
        #expect(Verdict.all(result, plan).map(\.topic) == [.backlog])
    }

    @Test func `A server that is only slow keeps up`() {
        // Each response takes 4 s, all through: what is not answered yet was sent in the last four.
        var (result, plan) = overloaded(answers: 250, seconds: 6, rising: false)
        for second in result.intervals.indices { result.intervals[second].done = second < 4 ? 0 : 400 }
        for second in 0..<4 {
            let interval = result.intervals[second]
            result.intervals[second] = BenchResult.Interval(start: interval.start, length: 1)
            result.intervals[second].sent = 400
            result.intervals[second].inFlightMean = 400 * (Double(second) + 0.5)
        }
        #expect(!Verdict.all(result, plan).contains { $0.topic == .backlog })
        // So is one whose latency is longer than half of the run, and level.
        (result, plan) = overloaded(answers: 200, seconds: 10, rising: false)
        #expect(!Verdict.all(result, plan).contains { $0.topic == .backlog })
    }

    @Test func `A few that are short at the end are no overload`() {
        let (result, plan) = overloaded(answers: 392)
        #expect(!Verdict.all(result, plan).contains { $0.topic == .backlog })
    }

    @Test func `Streams that the server's queue fills are not our limit`() throws {
        var (result, plan) = overloaded(answers: 250)
        plan.streams = 135
        for second in 8..<10 { result.intervals[second].backlog = 100 * (second - 7) }
        result.requests.sent = 3800
        result.requests.dropped = 200
        let found = Verdict.all(result, plan)
        #expect(found.map(\.topic) == [.rateMissed])
        #expect(
            found[0].text.contains("because the server cannot keep up (it answered 250 a second): ask for a lower rate")
        )
    }

    // MARK: Remedies that can help

    private var singlePlan: BenchPlan {
        var plan = samplePlan()
        (plan.threads, plan.connections, plan.streams) = (1, 1, 1)
        return plan
    }

    @Test func `No sentence asks for less than one connection`() {
        let found = verdicts(singlePlan) { result in
            result.requests.failed = 10
            result.errors = ["timed out": 10]
            result.connections.failed = ["refused": 1]
            result.connections.lost = ["GOAWAY": 1]
            result.statuses[503] = 10
            result.waits.sendBlocked = 1e12
            result.client.lagP99 = 1_500_000
            result.client.loopBusy = [0.8]
            result.requests.aborted = 1
        }
        #expect(found.count >= 5)
        for verdict in found {
            #expect([" -c", " -m", " -r"].allSatisfy { !verdict.text.contains($0) }, "\(verdict.text)")
            #expect(verdict.text.hasSuffix("."))
        }
    }

    @Test func `Over HTTP/1.1 streams are no remedy`() {
        var plan = singlePlan
        plan.connections = 4
        let found = verdicts(plan) { result in
            (result.connections.http1, result.connections.http2) = (4, 0)
            result.statuses[503] = 10
        }
        #expect(found.contains { $0.text.contains("use a smaller -c") } && !found.contains { $0.text.contains(" -m") })
    }

    @Test func `A rate of one request at a time cannot be lower`() {
        var plan = openPlan
        plan.pace = .arrivals(from: 0.5, to: 0.5, ramp: .zero)
        let found = verdicts(plan) { result in
            for index in result.intervals.indices { result.intervals[index].inFlightMost = 1 }
            result.requests.sent = 5
            result.requests.aborted = 1
            result.statuses[429] = 3
        }
        #expect(found.contains { $0.topic == .throttled } && !found.contains { $0.text.contains("lower rate") })
    }

    /// As many were asked for as are needed, and too few of them were answered; or the time was as long already.
    @Test func `A remedy is more than the plan has`() {
        var plan = samplePlan(requests: 1000)
        var found = Verdict.all(sampleResult(responses: 500), plan)
        #expect(found.first { $0.topic == .sample }?.text.hasSuffix(": use -n 2000 for p99.") == true, "\(found)")
        plan.extent = .time(.seconds(10))
        var result = sampleResult(responses: 900)
        // Answers to requests of the warm-up are in the rate, and not in the sample.
        result.requests.answeredInTime = 2000
        found = Verdict.all(result, plan)
        #expect(found.first { $0.topic == .sample }?.text.hasSuffix(": use -D 12s for p99.") == true, "\(found)")
        // One of one in ten seconds was due at once.
        plan.pace = .arrivals(from: 0.1, to: 0.1, ramp: .zero)
        found = Verdict.all(sampleResult(responses: 100), plan)
        #expect(found.first { $0.topic == .sample }?.text.hasSuffix(": use -D 34m for p95.") == true, "\(found)")
        // Nobody waits for weeks.
        plan.pace = .arrivals(from: 0.0001, to: 0.0001, ramp: .zero)
        result = sampleResult(responses: 0)
        result.latency.record(1_000_000)
        result.corrected.record(1_000_000)
        (result.elapsed, result.requests.sent, result.requests.done) = (10_000, 1, 1)
        plan.extent = .time(.seconds(10_000))
        found = Verdict.all(result, plan)
        #expect(
            found.contains {
                $0.text.hasSuffix(
                    "1 sample is too few for p50 and above (fewer than 10 lie above p50): ask for a higher rate, or use a longer -D, for p50."
                )
            }, "\(found)")
    }

    @Test func `Of a run that is too short there is one remedy`() {
        var result = sampleResult(responses: 100)
        result.elapsed = 0.02
        (result.client.userSeconds, result.client.systemSeconds) = (0.001, 0.001)
        // Two looks at the timers make no p99 of them.
        (result.client.lagP99, result.client.loopBusy) = (1_200_000, [0.6])
        var plan = samplePlan(requests: 100)
        plan.warmUp = .zero
        let found = Verdict.all(result, plan)
        #expect(found.map(\.topic) == [.sample, .shortTime])
        #expect(found[0].text == "100 samples are too few for p95 and above (fewer than 10 lie above p95).")
        #expect(found[1].text.hasSuffix("measure for some seconds (-D 10s --warm-up-time 2s)."))
    }

    @Test func `An unanswered rest names the drain`() throws {
        var plan = openPlan
        plan.drain = .milliseconds(200)
        let text = try only(.errors, .note, plan) { $0.requests.aborted = 4 }
        #expect(
            text.contains("within the 200 ms to drain") && text.contains("use a longer --drain than 200 ms."))
        plan.drain = .zero
        #expect(try only(.errors, .note, plan) { $0.requests.aborted = 4 }.contains("wait for them with --drain"))
    }

    @Test func `A window that is the largest cannot be larger`() throws {
        var plan = samplePlan()
        (plan.configuration.windows.stream, plan.configuration.windows.connection) = (1 << 30 - 1, 1 << 30 - 1)
        plan.configuration.windows.maximum = 1 << 30 - 1
        let much = 20_000_000_000.0
        #expect(try !only(.windows, .note, plan) { $0.waits.downloadStreamWindow = much }.contains("-w"))
        #expect(try !only(.windows, .note, plan) { $0.waits.downloadConnectionWindow = much }.contains("-W"))
    }

    @Test func `Timers that are later than the slowest responses held nothing up`() {
        let found = verdicts { result in
            result.client.lagP99 = 7_000_000
            result.client.loopBusy = [0.1]
        }
        // Its p99 is 2 ms.
        #expect(found.map(\.topic) == [.nothing])
    }

    // MARK: Runs without an answer

    @Test func `What is not answered in time is one sentence`() {
        var result = BenchResult()
        result.elapsed = 1
        (result.requests.sent, result.requests.aborted) = (2, 2)
        var plan = singlePlan
        plan.extent = .time(.seconds(1))
        let found = Verdict.all(result, plan)
        #expect(
            found.map(\.text) == [
                "None of 2 requests was answered within 1 s and the 1 s to drain: use a longer -D or --drain, or try one with "
                    + "h2get -v first."
            ])
    }

    @Test func `Requests that hang since the warm-up are the cause`() {
        var result = BenchResult()
        result.elapsed = 1
        var interval = BenchResult.Interval(start: 0, length: 1)
        (interval.inFlightMean, interval.inFlightMost) = (2, 2)
        result.intervals = [interval]
        var plan = singlePlan
        plan.extent = .time(.seconds(1))
        let found = Verdict.all(result, plan)
        #expect(found.count == 1 && found[0].text.contains("still waited for responses to requests of the warm-up"))
    }

    @Test func `A rate at which nothing was due is the cause`() {
        var result = BenchResult()
        result.elapsed = 1
        var plan = singlePlan
        plan.extent = .time(.seconds(1))
        plan.pace = .arrivals(from: 0, to: 0.1, ramp: .seconds(1))
        let found = Verdict.all(result, plan)
        #expect(found.count == 1 && found[0].text.contains("no request was due within 1 s"), "\(found)")
    }

    // MARK: Time limits of connections

    @Test func `Silence as long as allowed is one cause with one remedy`() throws {
        var plan = singlePlan
        plan.inactivityTimeout = .milliseconds(300)
        for isFailed in [true, false] {
            var result = BenchResult()
            result.end = .expired("every connection came to its time limit (-T, -N)")
            result.elapsed = 0.343
            result.requests.sent = 3
            (result.requests.failed, result.requests.aborted) = isFailed ? (3, 0) : (0, 3)
            if isFailed { result.errors = ["no byte came in time (-N)": 3] }
            #expect(
                Verdict.all(result, plan).map(\.text) == [
                    "It ended after 343 ms, when every connection had been silent for 300 ms (-N) and none of 3 requests was "
                        + "answered: use a longer -N."
                ])
        }
    }

    @Test func `A time limit that ends a run is one cause with one remedy`() throws {
        var plan = samplePlan(requests: 10_000_000)
        plan.activeTimeout = .milliseconds(500)
        var result = sampleResult(responses: 100)
        result.end = .expired("every connection came to its time limit (-T, -N)")
        (result.elapsed, result.requests.aborted) = (0.5, 3)
        (result.client.userSeconds, result.client.systemSeconds) = (0.01, 0.01)
        #expect(
            Verdict.all(result, plan).map(\.text) == [
                "It ended after 500 ms, when every connection had reached its time limit (-T) and 3 requests had no answer "
                    + "yet, so that the latencies lack them: use a longer -T."
            ])
        // Other failures are said all the same.
        result.requests.failed = 2
        result.errors = ["stream reset by the server: INTERNAL_ERROR": 2]
        #expect(Set(Verdict.all(result, plan).map(\.topic)) == [.ended, .errors])
    }

    @Test func `A time limit that ended no connection cut nothing off`() throws {
        var plan = openPlan
        plan.activeTimeout = .seconds(60)
        #expect(try only(.errors, .note, plan) { $0.requests.aborted = 2 }.contains("--drain"))
        let cut = try only(.errors, .note, plan) { result in
            result.requests.aborted = 2
            result.connections.rotated = 1
        }
        #expect(cut.contains("reached its time limit (-T)") && cut.hasSuffix("use a longer -T."))
    }

    // MARK: What is expected

    @Test func `Expected statuses are no trouble`() {
        for status in [404, 429, 503, 302] {
            var plan = samplePlan()
            plan.expectation = BenchPlan.Expectation(statuses: [status])
            let found = verdicts(plan) { result in
                (result.statuses[200], result.statuses[status]) = (0, 200_000)
            }
            #expect(found.map(\.topic) == [.nothing], "\(status): \(found)")
        }
    }
}
