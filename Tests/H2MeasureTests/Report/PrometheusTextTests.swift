import H2Client
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Measure

@Suite(.inTurn)
struct PrometheusTextTests {
    private func plan(_ paths: [String]) throws -> BenchPlan {
        var plan = BenchPlan(
            origin: try Origin("https://localhost/"),
            requests: paths.map { .init(HTTPRequest(method: .get, scheme: "https", authority: "localhost", path: $0)) })
        (plan.connections, plan.streams) = (2, 5)
        return plan
    }

    @Test func `Counters grow, gauges are of the moment, and buckets are cumulative`() throws {
        let plan = try plan(["/a"])
        let counts = LiveCounts(LiveNames(plan), keepsSeconds: false)
        var text = PrometheusText(plan, prefix: "h2get_")
        for _ in 0..<2 {
            counts.record(request: 0, status: 200, latency: 100_000, bytes: 1, at: 0)
            counts.record(request: 0, status: 200, latency: 3_000_000, bytes: 1, at: 0)
            counts.record(request: 0, status: 200, latency: 20_000_000_000, bytes: 1, at: 0)
            counts.record(request: 0, status: 503, latency: 1, bytes: 1, at: 0, failure: "unexpected status 503")
            var figures = counts.take()
            (figures.inFlight, figures.connections, figures.received, figures.sent) = (7, 2, 1_000, 100)
            text.add(figures)
        }
        let lines = text.text.split(separator: "\n").map(String.init)
        let good = #"{method="GET",name="/a",status="200",expected_response="true""#
        for line in [
            "# TYPE h2get_http_reqs_total counter", "h2get_http_reqs_total\(good)} 6",
            #"h2get_http_reqs_total{method="GET",name="/a",status="503",expected_response="false"} 2"#,
            "# TYPE h2get_http_req_duration_seconds histogram",
            #"h2get_http_req_duration_seconds_bucket\#(good),le="0.0001"} 2"#,
            #"h2get_http_req_duration_seconds_bucket\#(good),le="0.0025"} 2"#,
            #"h2get_http_req_duration_seconds_bucket\#(good),le="0.005"} 4"#,
            #"h2get_http_req_duration_seconds_bucket\#(good),le="10.0"} 4"#,
            #"h2get_http_req_duration_seconds_bucket\#(good),le="+Inf"} 6"#,
            "h2get_http_req_duration_seconds_count\(good)} 6",
            "h2get_http_req_duration_seconds_sum\(good)} 40.0062",
            #"h2get_http_req_failed_total{method="GET",name="/a",error="unexpected status 503"} 2"#,
            "h2get_vus 10", "h2get_http_reqs_in_flight 7", "h2get_connections 2", "h2get_data_received_total 1000",
            "h2get_data_sent_total 100",
        ] { #expect(lines.contains(line), "\(line)\n\(text.text)") }
        #expect(text.text.hasSuffix("\n"))
    }

    @Test func `Each series has a name and labels of its own, and each name is explained once`() throws {
        let plan = try plan(["/a", "/b", "/a", #"/"quoted"\"#])
        let counts = LiveCounts(LiveNames(plan), keepsSeconds: false)
        for request in 0..<4 {
            for status in [200, 404] { counts.record(request: request, status: status, latency: 1, bytes: 0, at: 0) }
            counts.record(request: request, status: 0, latency: 1, bytes: 0, at: 0, failure: "timeout")
        }
        var text = PrometheusText(plan, prefix: "k6_")
        text.add(counts.take())
        var series: Set<String> = []
        var types: Set<String> = []
        for line in text.text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") { #expect(types.insert(String(line)).inserted, "\(line)") }
            guard !line.hasPrefix("#") else { continue }
            let end = try #require(line.lastIndex(of: " "))
            #expect(series.insert(String(line[..<end])).inserted, "\(line)")
            #expect(Double(line[line.index(after: end)...]) != nil, "\(line)")
        }
        #expect(
            series.contains(
                #"k6_http_reqs_total{method="GET",name="/\"quoted\"\\",status="0",expected_response="false"}"#))
        // The two requests of one path are one series.
        #expect(
            text.text.split(separator: "\n").contains(
                #"k6_http_reqs_total{method="GET",name="/a",status="404",expected_response="true"} 2"#))
    }

    @Test func `A prefix is the beginning of a metric's name`() {
        for text in ["h2get_", "k6_", "a", "_", "load:h2_9"] { #expect(PrometheusText.isPrefix(text), "\(text)") }
        for text in ["", "9a", "a-b", "ä", "a b", "a{"] { #expect(!PrometheusText.isPrefix(text), "\(text)") }
    }

    @Test func `Line feeds, quotes and backslashes in labels are escaped`() {
        #expect(PrometheusText.escaped("a\"b\\c\nd") == #"a\"b\\c\nd"#)
    }
}
