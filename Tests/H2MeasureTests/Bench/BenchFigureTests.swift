import H2Client
import H2ClientTesting
import H2TestSupport
import Histogram
import Testing

@testable import H2Measure

/// Figures of one run that are told in several places agree, and none of them has anything of the warm-up.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchFigureTests {
    // MARK: - The warm-up

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Intervals have the bytes of the measured part alone`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/100000", .time(.milliseconds(300)), streams: 4) {
                $0.warmUp = .milliseconds(600)
                $0.api = api
            }
            #expect(result.traffic.receivedInTime > 0)
            #expect(result.timeLine.reduce(0) { $0 + $1.bytesReceived } == result.traffic.receivedInTime)
        }
    }

    @Test
    func `The CPU that went into waiting for arrivals is that of the measured part`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.milliseconds(100)), streams: 100) {
                $0.pace = .arrivals(from: 20_000, to: 20_000, ramp: .zero)
                $0.warmUp = .seconds(2)
            }
            #expect(result.client.spinSeconds <= result.elapsed + 0.001)
        }
    }

    @Test
    func `Requests that were in flight in the warm-up are in no interval's maximum`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.latency = .milliseconds(500)
        try await MeasuredOrigin.run(configuration) { origin in
            // 200 arrive within half a second of the warm-up, and are in flight together; of the measured part, 40.
            let result = try await origin.measure("/bytes/3", .time(.milliseconds(100)), streams: 300) {
                $0.pace = .stages([
                    .init(from: 400, to: 400, length: .milliseconds(500)), .init(from: 0, to: 0, length: .seconds(60)),
                ])
                $0.warmUp = .seconds(5)
            }
            #expect(result.timeLine.first?.peakInFlight ?? 200 < 150)
        }
    }

    // MARK: - Documents

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `The time to first byte in the log is that of the histogram`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let path = try TemporaryDirectory.shared.newPath("first-byte.csv")
            let result = try await origin.measure("/bytes/10", .requests(5_000), connections: 2, streams: 50) {
                $0.requestLog = path
                $0.api = api
            }
            let logged = try readText(path).split(separator: "\n").dropFirst().compactMap { line -> UInt64? in
                let fields = line.split(separator: ",", omittingEmptySubsequences: false)
                return Double(fields[4]).map { UInt64(($0 * 1_000).rounded()) }
            }
            #expect(logged.count == 5_000)
            var histogram = TimeHistogram.nanoseconds()
            for time in logged { histogram.record(time) }
            #expect(histogram.min == result.firstByte.min && histogram.max == result.firstByte.max)
            for percent in [10.0, 50, 90, 99] {
                #expect(histogram.valueAtPercentile(percent) == result.firstByte.valueAtPercentile(percent))
            }
        }
    }

    // MARK: - Both ways of sending

    @Test(arguments: [BenchPlan.API.direct, .async], [BenchPlan.Protocols.cleartextHTTP2, .cleartextHTTP1])
    func `Requests on a connection that was silent for too long have failed`(
        _ api: BenchPlan.API, _ protocols: BenchPlan.Protocols
    ) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let streams = protocols == .cleartextHTTP2 ? 3 : 1
            let result = try await origin.measure("/stall", .requests(100), connections: 2, streams: streams) {
                $0.inactivityTimeout = .milliseconds(300)
                $0.api = api
                $0.protocols = protocols
            }
            #expect(result.requests.sent == 2 * streams)
            #expect(result.requests.failed == 2 * streams)
            #expect(result.requests.aborted == 0)
            #expect(result.requests.dropped == 100 - 2 * streams)
            #expect(result.errors == ["no byte came in time (-N)": 2 * streams])
            #expect(result.connections.rotated == 2 && result.connections.lost.isEmpty)
            #expect(result.end == .expired("no byte came for 300 ms (-N)"))
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A limit on a connection's life ends it alike in the middle of requests`(_ api: BenchPlan.API) async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let path = try TemporaryDirectory.shared.newPath("cut-off.csv")
            let result = try await origin.measure("/stall", .time(.seconds(60)), connections: 2, streams: 3) {
                $0.activeTimeout = .milliseconds(300)
                $0.api = api
                $0.requestLog = path
            }
            #expect(result.requests.aborted == 6 && result.requests.failed == 0)
            #expect(result.errors.isEmpty)
            #expect(result.end == .expired("its connections were open for 300 ms (-T)"))
            #expect(result.connections.rotated == 2 && result.connections.lost.isEmpty)
            let lines = try readText(path).split(separator: "\n").dropFirst()
            #expect(lines.count == 6 && lines.allSatisfy { $0.contains(",aborted,1") })
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A connection that was left and then was silent has failed requests, and was lost to what made it be left`(
        _ api: BenchPlan.API
    ) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.goAwayAfterRequests = 1
        configuration.faults.latency = .seconds(3_000)
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(3)) {
                $0.api = api
                $0.inactivityTimeout = .seconds(1)
            }
            #expect(result.requests.failed >= 1)
            #expect(result.errors.keys.allSatisfy { $0 == "no byte came in time (-N)" })
            #expect(result.connections.lost.keys.allSatisfy { $0 == "GOAWAY NO_ERROR" })
        }
    }
}
