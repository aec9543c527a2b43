import H2Client
import H2Measure
import HTTPTypes
import Histogram

/// A plan of so many requests over TLS, closed loop, 4 connections × 10 streams on 2 threads, after a warm-up.
func samplePlan(requests: Int = 200_000) -> BenchPlan {
    let origin = try! Origin("https://127.0.0.1:8443/")
    var plan = BenchPlan(
        origin: origin,
        requests: [.init(HTTPRequest(method: .get, scheme: "https", authority: origin.authority, path: "/3"))])
    plan.extent = .requests(requests)
    plan.threads = 2
    plan.connections = 4
    plan.streams = 10
    plan.warmUp = .seconds(1)
    return plan
}

/// The counts of a steady run over TLS, apart from its latencies and intervals.
func sampleCounts(responses: Int) -> BenchResult {
    var result = BenchResult()
    result.requests.sent = responses
    result.requests.done = responses
    result.requests.answeredInTime = responses
    result.statuses[200] = responses
    result.traffic.received = 10_000_000
    result.traffic.sent = 4_000_000
    result.traffic.receivedHTTP = 9_000_000
    result.traffic.sentHTTP = 3_500_000
    result.traffic.headers = 1_000_000
    result.traffic.headersDecoded = 20_000_000
    result.traffic.bodiesReceived = 600_000
    result.connections.opened = 4
    result.connections.peakOpen = 4
    result.connections.http2 = 4
    result.connections.handshakes = 4
    result.connections.tlsVersion = "TLSv1.3"
    result.connections.cipher = "TLS_AES_256_GCM_SHA384"
    result.connections.maxConcurrentStreams = 128
    result.connections.roundTrips = 5002
    result.client.userSeconds = 3
    result.client.systemSeconds = 2
    result.client.loopBusy = [0.4, 0.3]
    result.client.lagP99 = 20_000
    result.client.maximumLag = 90_000
    result.client.residentBytes = 12_000_000
    result.client.processors = 4
    return result
}

/// A result against which nothing can be said: steady, 200,000 responses of 1 to 2 ms in 10 s.
func sampleResult(responses: Int = 200_000) -> BenchResult {
    var result = sampleCounts(responses: responses)
    result.startedAt = 1_441_812_279.474
    result.elapsed = 10
    let each: [UInt64] = (0..<100).map { 1_000_000 + $0 * 10_000 }
    for value in each {
        result.latency.record(value, count: UInt64(responses / 100))
        result.corrected.record(value + 1000, count: UInt64(responses / 100))
        result.firstByte.record(value - 1000, count: UInt64(responses / 100))
    }
    for value: UInt64 in [100_000, 110_000, 120_000, 130_000] {
        result.connect.record(value)
        result.handshake.record(value * 10)
    }
    for second in 0..<10 {
        var interval = BenchResult.Interval(start: Double(second), length: 1)
        interval.done = responses / 10
        interval.sent = responses / 10
        interval.bytesReceived = responses * 5
        interval.inFlightMean = 39.5
        interval.peakInFlight = 40
        interval.connections = 4
        (interval.p50, interval.p99, interval.longest) = (1_500_000, 1_980_000, 1_990_000)
        result.intervals.append(interval)
    }
    return result
}

/// One in which everything that can be there is there, with what a hostile server might say.
func fullResult() -> BenchResult {
    var result = sampleResult()
    result.end = .gaveUp("refused\u{1b}[31m \"often\"")
    result.requests.sent += 12
    result.requests.failed = 7
    result.requests.aborted = 5
    result.requests.drained = 3
    result.requests.dropped = 2
    result.requests.retries = 1
    result.statuses[200] -= 50
    result.statuses[503] = 30
    result.statuses[404] = 20
    result.errors = ["stream reset by the server: REFUSED_STREAM": 5, "GOAWAY: \u{1b}]0;x\u{7}\u{202e}\n\\": 2]
    result.connections.failed = ["timed out": 1]
    result.connections.lost = ["GOAWAY NO_ERROR": 3, "closed by the server": 1]
    result.connections.reopened = 4
    result.connections.rotated = 2
    result.waits.stream = 2_000_000_000
    result.waits.streamRequests = 100
    result.waits.sendBlocked = 1_000_000
    result.waits.uploadStreamWindow = 2
    result.waits.uploadConnectionWindow = 3
    result.waits.downloadStreamWindow = 4
    result.waits.downloadConnectionWindow = 5
    result.intervals[3].failed = 7
    result.intervals[4].backlog = 9
    result.intervals[5].done = 0
    result.intervals[6].latency = result.latency
    return result
}
