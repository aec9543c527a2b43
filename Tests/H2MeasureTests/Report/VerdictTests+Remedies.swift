import H2Client
import H2Measure
import Histogram
import H2TestSupport
import Testing

/// Remedies that can help.
extension VerdictTests {
    var singlePlan: BenchPlan {
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
            for index in result.intervals.indices { result.intervals[index].peakInFlight = 1 }
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
}
