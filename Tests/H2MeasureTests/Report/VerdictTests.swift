import H2Client
import H2Measure
import Histogram
import H2TestSupport
import Testing

@Suite(.inTurn) struct VerdictTests {
    func verdicts(
        _ plan: BenchPlan = samplePlan(), _ change: (inout BenchResult) -> Void = { _ in }
    ) -> [Verdict] {
        var result = sampleResult()
        change(&result)
        return Verdict.all(result, plan)
    }

    /// The one verdict on the topic, and no other.
    func only(
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

    var expectingPlan: BenchPlan {
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
