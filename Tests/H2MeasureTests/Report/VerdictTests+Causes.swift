import H2Client
import H2Measure
import Histogram
import H2TestSupport
import Testing

/// One cause that shows in several figures is one sentence with one remedy.
extension VerdictTests {
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
            (result.waits.stream, result.waits.streamRequests) = (500_000_000_000, 100_000)
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
            (result.waits.stream, result.waits.streamRequests) = (300_000_000, 3)
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
        (interval.inFlightMean, interval.peakInFlight) = (2, 2)
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
}
