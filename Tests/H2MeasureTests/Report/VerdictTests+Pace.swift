import H2Client
import H2Measure
import Histogram
import H2TestSupport
import Testing

/// Waits, rates, and servers that cannot keep up.
extension VerdictTests {
    // MARK: Waits

    @Test func `A stream limit below what was asked for is said`() throws {
        let text = try only(.streams, .note) { result in
            result.connections.maxConcurrentStreams = 3
            result.waits.streamRequests = 5
        }
        #expect(text.contains("3 streams on a connection, fewer than -m 10"))
        #expect(text.contains("use -m 3, or spread them with -c 14"))
        #expect(verdicts { $0.connections.maxConcurrentStreams = 10 }.map(\.topic) == [.nothing])
        // With few requests in flight nobody waits for the limit.
        #expect(verdicts { $0.connections.maxConcurrentStreams = 3 }.map(\.topic) == [.nothing])
    }

    @Test func `Streams of HTTP/1.1 are said to be none`() throws {
        let text = try only(.streams, .note) { result in
            (result.connections.http1, result.connections.http2) = (4, 0)
            result.connections.maxConcurrentStreams = nil
        }
        #expect(text.contains("-c 40"))
    }

    /// All requests together took 300 s.
    @Test func `Waits are said where they explain something`() throws {
        let much = 20_000_000_000.0
        #expect(
            try only(.streams, .note) { ($0.waits.stream, $0.waits.streamRequests) = (much, 5) }.contains(
                "5 requests waited")
        )
        #expect(try only(.windows, .note) { $0.waits.downloadStreamWindow = much }.contains("a larger -w"))
        #expect(try only(.windows, .note) { $0.waits.downloadConnectionWindow = much }.contains("a larger -W"))
        #expect(try only(.windows, .note) { $0.waits.uploadStreamWindow = much }.contains("window of the stream"))
        #expect(try only(.windows, .note) { $0.waits.uploadConnectionWindow = much }.contains("with -c"))
        #expect(try only(.sendBlocked, .note) { $0.waits.sendBlocked = much }.contains("20.0 s"))
        let little = verdicts { result in
            result.waits.stream = much / 2
            result.waits.streamRequests = 1
            result.waits.sendBlocked = much / 2
            result.waits.downloadStreamWindow = much / 2
            result.waits.uploadConnectionWindow = much / 2
        }
        #expect(little.map(\.topic) == [.nothing])
    }

    // MARK: The pace

    var openPlan: BenchPlan {
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
        // Not if the load was to change.
        plan.connectionRamp = .init(count: 1, period: .seconds(1))
        #expect(verdicts(plan, change).map(\.topic) == [.nothing])
    }

    // MARK: A server that cannot keep up

    /// An open loop of 400 requests a second of which a server with a queue answers so many: its latency rises with the queue.
    func overloaded(answers: Double, seconds: Int = 10, rising: Bool = true) -> (BenchResult, BenchPlan) {
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
            interval.peakInFlight = Int(interval.inFlightMean) + 50
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
}
