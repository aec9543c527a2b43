import H2Client
import H2Measure
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Histogram
import Testing

/// The reports of measurements that were made, not of results put together by hand.
@Suite(.measuring) struct MeasuredReportTests {
    /// 500 requests over 2 connections to an origin on loopback.
    private func measured(
        _ path: String, change: (inout BenchPlan) -> Void = { _ in }
    ) async throws -> (BenchResult, BenchPlan) {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        let server = try OriginServer.start(configuration)
        let origin = try Origin(scheme: .http, host: "127.0.0.1", port: server.port)
        var plan = BenchPlan(
            origin: origin,
            requests: [.init(HTTPRequest(method: .get, scheme: "http", authority: origin.authority, path: path))])
        plan.protocols = .cleartextHTTP2
        plan.extent = .requests(500)
        plan.connections = 2
        plan.streams = 5
        plan.keepsIntervalHistograms = true
        change(&plan)
        do {
            let result = try await Bench(plan).run()
            await server.stop()
            return (result, plan)
        } catch {
            await server.stop()
            throw error
        }
    }

    @Test func `The reports of a measurement agree with each other`() async throws {
        let (result, plan) = try await measured("/delay/1")
        #expect(result.requests.done == 500)
        let verdicts = Verdict.all(result, plan)
        // Of 500 a p99 has 5 above it, and they took a good tenth of a second.
        #expect(verdicts.contains { $0.topic == .sample && $0.severity == .warning })
        #expect(
            try BenchJSONTests.judged([BenchJSON.text(result, plan, verdicts: verdicts)]) == ["valid"])
        let summary = BenchSummary(result, plan, verdicts: verdicts, width: 100, color: false).text
        #expect(summary.contains("500 sent = 500 done + 0 failed + 0 aborted"))
        #expect(summary.contains("HTTP/2 in cleartext"))

        var merge = HistogramLogMerge()
        try merge.add(HistogramLog.text(result), file: "bench.hlog")
        let latency = try #require(merge.series(named: HistogramLog.untagged))
        #expect(latency.histogram.totalCount == result.latency.totalCount)
        #expect(
            result.latency.valuesAreEquivalent(
                latency.histogram.valueAtPercentile(99), result.latency.valueAtPercentile(99)))
        #expect(merge.series(named: "corrected")?.histogram.totalCount == result.corrected.totalCount)
    }

    @Test func `Error pages of a measurement are said`() async throws {
        let (result, plan) = try await measured("/status/404")
        let verdicts = Verdict.all(result, plan)
        #expect(verdicts.contains { $0.topic == .statuses && $0.text.contains("100.0 % of the responses") })
    }
}
