import H2Client
import H2Measure
import H2ClientTesting
import H2TestSupport
import Histogram
import Testing

/// The waits of requests with both APIs, and the requests that an open loop sends.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchWaitTests {
    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Both APIs report the same of a server that allows few streams`(_ api: BenchPlan.API) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.settings.maxConcurrentStreams = 2
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/delay/20", .requests(100), streams: 10) { $0.api = api }
            #expect(result.end == .complete)
            // Eight of the first ten are sent before the server has told its limit, and refused.
            #expect(result.requests.done == 100)
            #expect(result.requests.failed == 0)
            #expect(result.requests.retries >= 8)
            #expect(result.connections.maxConcurrentStreams == 2)
            // Of ten who want two wait, for four other pairs of 20 ms each.
            #expect(result.waits.streamRequests >= 80)
            #expect(result.waits.stream > 80 * 40_000_000)
            #expect(result.corrected.valueAtPercentile(50) >= 80_000_000)
            #expect(result.latency.valueAtPercentile(50) < result.corrected.valueAtPercentile(50))
            let later = result.intervals.dropFirst(result.intervals.count / 2)
            #expect(later.allSatisfy { $0.peakInFlight <= 2 })
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `The first requests wait for the connection, and not for a stream`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run { origin in
            let result = try await origin.measure("/delay/20", .requests(20), streams: 20) { $0.api = api }
            #expect(result.requests.done == 20)
            #expect(result.waits.connectionRequests == 20)
            #expect(result.waits.connection > 0)
            #expect(result.waits.streamRequests == 0)
            #expect(result.waits.stream == 0)
        }
    }

    @Test
    func `An open loop with streams to spare waits for none`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(2)), streams: 100) {
                $0.pace = .arrivals(from: 200, to: 200, ramp: .zero)
                $0.warmUp = .milliseconds(200)
                $0.drain = .seconds(60)
            }
            #expect(result.requests.sent + result.requests.dropped == 400)
            #expect(result.waits.streamRequests == 0)
            #expect(result.waits.connectionRequests == 0)
            // Each is begun a little after it was due.
            #expect(result.waits.late > 0)
            #expect(result.waits.maximumLate > 0)
        }
    }

    @Test
    func `An open loop without enough streams waits for one`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/100", .time(.seconds(1)), streams: 1) {
                $0.pace = .arrivals(from: 100, to: 100, ramp: .zero)
                $0.drain = .seconds(60)
            }
            #expect(result.requests.sent + result.requests.dropped == 100)
            #expect(result.waits.streamRequests >= 5)
            #expect(result.waits.stream >= 1e9)
        }
    }

    @Test(arguments: [(5.0, 1_000, 5), (3, 1_000, 3), (1.1, 10_000, 11), (0.5, 1_000, 1), (1_000, 500, 500)])
    func `An open loop sends the rate times the duration`(_ load: (Double, Int, Int)) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let (rate, milliseconds, count) = load
            let result = try await origin.measure("/bytes/3", .time(.milliseconds(milliseconds)), streams: 100) {
                $0.pace = .arrivals(from: rate, to: rate, ramp: .zero)
                $0.drain = .seconds(60)
            }
            #expect(result.requests.sent + result.requests.dropped == count)
        }
    }

    @Test
    func `A rate of next to nothing sends one request`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.milliseconds(500))) {
                $0.pace = .arrivals(from: 1e-11, to: 1e-11, ramp: .zero)
            }
            #expect(result.requests.sent == 1)
            #expect(result.requests.dropped == 0)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Bytes that came in the drain are in no rate`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/1000", .time(.milliseconds(300))) {
                $0.drain = .seconds(60)
                $0.api = api
            }
            #expect(result.requests.drained == 1)
            #expect(result.traffic.received > result.traffic.receivedInTime)
            #expect(result.traffic.receivedInTime > 0)
            #expect(result.traffic.sentInTime > 0)
        }
    }

    /// Its end falls into an interval that has only just begun, or shortly before one would.
    @Test(arguments: [300, 340, 360, 399])
    func `The drain is no part of the last interval`(_ milliseconds: Int) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/1000", .time(.milliseconds(milliseconds))) {
                $0.drain = .seconds(60)
            }
            // On a slow machine the connection may come after the end.
            #expect(result.requests.drained == result.requests.sent)
            let last = try #require(result.timeLine.last)
            #expect(last.start + last.length <= result.elapsed + 0.001)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Requests that -T cuts off have not failed`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/stall", .requests(100), streams: 3) {
                $0.activeTimeout = .milliseconds(300)
                $0.api = api
            }
            guard case .expired = result.end else {
                Issue.record("it ended with \(result.end)")
                return
            }
            #expect(result.requests.failed == 0)
            #expect(result.requests.aborted == 3)
            #expect(result.connections.rotated == 1)
        }
    }
}
