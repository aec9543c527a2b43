import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct FailConditionTests {
    @Test func `Nothing is judged that the user stopped`() throws {
        var result = sampleResult()
        result.end = .interrupted
        #expect([try FailCondition("rate<1000000000")].judge(result).isEmpty)
        result.end = .complete
        #expect([try FailCondition("rate<1000000000")].judge(result).map(\.isBroken) == [true])
    }

    /// 200,000 responses of 1 to 2 ms in 10 s.
    private func outcome(
        _ text: String, _ change: (inout BenchResult) -> Void = { _ in }
    ) throws -> FailCondition.Outcome {
        var result = sampleResult()
        change(&result)
        return try #require([FailCondition(text)].judge(result).first)
    }

    @Test(arguments: [
        ("p99>1.9ms", true), ("p99>2ms", false), ("p50<1ms", false), ("p50<2ms", true), ("p99.99>=1900us", true),
        ("max>1ms", true), ("min>1001us", false), ("min>=1ms", true), ("mean>1.4ms", true), ("mean<=1ms", false),
        ("rate<20001", true), ("rate<20K/s", false), ("errors>0", false), ("errors>=0", true), ("errors>0.1%", false),
        ("4xx>0", false), ("200<200K", false), ("200<=200K", true), ("2xx<99.9%", false), ("retries>5", false),
        ("dropped>0", false), ("aborted>1%", false),
    ])
    func `A condition holds or does not`(_ text: String, _ isBroken: Bool) throws {
        #expect(try outcome(text).isBroken == isBroken)
    }

    @Test func `Spaces mean nothing`() throws {
        #expect(try outcome("p99 > 1.9 ms").isBroken)
    }

    @Test func `A percentile above which answers lack is not known`() throws {
        var result = sampleResult()
        result.requests.aborted = 3_000
        var plan = samplePlan()
        let condition = try FailCondition("p99>50ms")
        // What was under way when the time was over need not have been slow.
        plan.drain = .zero
        #expect([condition].judge(result, plan).map(\.isBroken) == [false])
        plan.drain = .seconds(1)
        let outcome = try #require([condition].judge(result, plan).first)
        #expect(outcome.isBroken && outcome.measured == nil)
        #expect(outcome.text.contains("p99 is not known, because 3,000 of 200,000 requests had no answer"))
        #expect([try FailCondition("p50>50ms")].judge(result, plan).map(\.isBroken) == [false])
    }

    @Test func `Each figure is the one that is named`() throws {
        func change(_ result: inout BenchResult) {
            result.requests.failed = 300
            result.requests.aborted = 20
            result.requests.dropped = 10
            result.requests.retries = 5
            result.statuses[503] = 4
            result.statuses[404] = 3
        }
        for (text, measured) in [
            ("errors>1", 300.0), ("errors>0.1%", 0.0015), ("aborted>1", 20), ("dropped>1", 10), ("retries>1", 5),
            ("5xx>1", 4), ("404>1", 3), ("rate>1", 20_000),
        ] {
            #expect(try outcome(text, change).measured == measured, "\(text)")
        }
        #expect(try outcome("errors>0.1%", change).isBroken)
    }

    @Test func `A sentence says what was measured and what was asked for`() throws {
        #expect(try outcome("p99>1ms").text == "p99 is 1.98 ms (--fail-if p99>1ms)")
        #expect(try outcome("rate<30K").text == "the rate is 20,000 responses/s (--fail-if rate<30K)")
        #expect(try outcome("errors>3").text == "errors: 0 of 200,000 requests (--fail-if errors>3)")
    }

    @Test(arguments: ["p99>50ms", "max<1s", "errors>0.1%", "mean>1ms"])
    func `What is not known is no success`(_ text: String) throws {
        let outcome = try #require([FailCondition(text)].judge(BenchResult()).first)
        #expect(outcome.isBroken && outcome.measured == nil)
        #expect(outcome.text.contains("no request was answered"))
    }

    @Test(arguments: [
        "", "p99", "p99=50ms", ">5", "p99>", "p99>50", "p99>50%", "p0>1ms", "p100>1ms", "pp99>1ms", "errors>x",
        "errors>-1", "errors>1ms", "errors>1.5", "6xx>0", "0xx>1", "20x>1", "rate<1%", "latency>5ms", "p99>>5ms",
        "P99>nan", "\u{1b}[2J>5",
    ])
    func `Words that are no condition are errors with a remedy`(_ text: String) throws {
        let error = try #require(throws: OptionValueError.self) { try FailCondition(text) }
        #expect(error.remedy.contains("p99>50ms"))
        #expect(!error.description.unicodeScalars.contains { $0.value < 0x20 })
    }
}
