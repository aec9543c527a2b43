import H2Measure
import H2TestSupport
import Testing

@Suite(.inTurn) struct OptionValueTests {
    @Test(arguments: [
        ("1", [1]), ("1,2,8", [1, 2, 8]), ("8,2,2", [2, 8]), ("1..8", [1, 2, 4, 8]), ("1..10", [1, 2, 4, 8, 10]),
        ("3..20", [3, 4, 8, 16, 20]), ("5..5", [5]), ("4..8", [4, 8]), ("1..4,100", [1, 2, 4, 100]),
        ("1..1024", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]),
    ])
    func `Steps are numbers and ranges in powers of two`(text: String, steps: [Int]) throws {
        #expect(try OptionValue.steps(text) == steps)
    }

    @Test(arguments: [
        "", ",", "1,", "0", "-1", "+1", "1..", "..4", "1...4", "a", "1..b", "0x10", "1e3", "1001",
        "99999999999999999999",
        "1 2", "8..2",
    ])
    func `Words that are no steps are errors with a remedy`(text: String) throws {
        let error = try #require(throws: OptionValueError.self) { try OptionValue.steps(text, upTo: 1000) }
        #expect(error.message.contains("'\(text)'"))
        #expect(error.remedy.contains("write"))
    }

    @Test func `A range that falls is turned round in the remedy`() throws {
        let error = try #require(throws: OptionValueError.self) { try OptionValue.steps("8..2") }
        #expect(error.description == "'8..2': the range from 8 down to 2 is empty; write it as 2..8")
    }

    @Test(
        arguments: [
            ("0", 0), ("30ms", 30_000_000), ("0.5s", 500_000_000), ("250us", 250_000), ("1.5ms", 1_500_000),
            ("100ns", 100),
            ("10s", 10_000_000_000), ("0ms", 0),
        ] as [(String, UInt64)])
    func `A round trip is a time with its unit`(text: String, nanoseconds: UInt64) throws {
        #expect(try OptionValue.roundTrip(text) == nanoseconds)
    }

    @Test(arguments: ["30", "", "ms", "-5ms", "1e3ms", "nans", "0x1s", "11s", "1.2.3s", "2m", "99999999999999999999s"])
    func `A round trip without unit or too long is an error`(text: String) throws {
        let error = try #require(throws: OptionValueError.self) { try OptionValue.roundTrip(text) }
        #expect(!error.remedy.isEmpty)
    }

    @Test(arguments: [("1%", 0.01), ("0.1%", 0.001), ("0", 0), ("50%", 0.5), ("0%", 0)])
    func `A loss is a percentage`(text: String, loss: Double) throws {
        #expect(abs(try OptionValue.loss(text) - loss) < 1e-12)
    }

    @Test(arguments: ["1", "0.01", "", "%", "-1%", "51%", "100%", "x%", "1e1%"])
    func `A loss without percent or too high is an error`(text: String) throws {
        let error = try #require(throws: OptionValueError.self) { try OptionValue.loss(text) }
        #expect(!error.remedy.isEmpty)
    }

    @Test func `Latency limits have a percentile and a time`() throws {
        #expect(try OptionValue.latencyLimits("p99=50ms") == [LatencyLimit(percentile: 99, nanoseconds: 50_000_000)])
        let several = try OptionValue.latencyLimits("p50=5ms,p99.9=0.1s,P99.99=1s")
        #expect(several.map(\.name) == ["p50", "p99.9", "p99.99"])
        #expect(several.map(\.nanoseconds) == [5_000_000, 100_000_000, 1_000_000_000])
        #expect(several[1].description == "p99.9 ≤ 100 ms")
        #expect(several.map(\.needed) == [20, 10_000, 100_000])
    }

    @Test(arguments: [
        "", "p99", "99=50ms", "p99=", "p=5ms", "p49=5ms", "p100=5ms", "p99.991=5ms", "p99=50", "p99=0ms", "p99=-1ms",
        "p99=5ms,", "pp99=5ms", "p99==5ms",
    ])
    func `Words that are no limit are errors with a remedy`(text: String) throws {
        let error = try #require(throws: OptionValueError.self) { try OptionValue.latencyLimits(text) }
        #expect(error.remedy.contains("write"))
    }

    @Test func `An error is fit for a terminal`() throws {
        let error = try #require(throws: OptionValueError.self) { try OptionValue.steps("\u{1b}[2J") }
        #expect(!error.description.unicodeScalars.contains { $0.value < 0x20 })
    }
}
