import H2Client
import H2Measure
import HTTPTypes
import Histogram
import Synchronization

/// An engine that measures nothing: it makes up what a server of certain habits would have come to, and keeps the plans.
final class FakeServer: Sendable {
    struct Habits: Sendable {
        var offersHTTP2 = true
        var closesAfterEachResponse = false
        var resumes = true
        var status = 200
        /// What a measurement took; a place for what differs from run to run.
        var seconds: @Sendable (BenchPlan, _ run: Int) -> Double = { plan, _ in FakeServer.usualSeconds(plan) }
        /// Changes a result, or throws.
        var change: @Sendable (BenchPlan, _ run: Int, inout BenchResult) throws -> Void = { _, _, _ in }
    }

    private let habits: Habits
    private let asked = Mutex<[BenchPlan]>([])

    init(_ habits: Habits = Habits()) { self.habits = habits }

    /// All that were run, in order.
    var plans: [BenchPlan] { asked.withLock { $0 } }

    /// 10 ms for each request that has to wait for another, three times that with a new connection.
    static func usualSeconds(_ plan: BenchPlan) -> Double {
        guard case .requests(let count) = plan.extent else { return 0 }
        let each = plan.requestsPerConnection == 1 ? plan.configuration.tls.resumesSessions ? 0.03 : 0.04 : 0.01
        return Double(count) * each / Double(plan.connections * plan.streams)
    }

    func run(_ plan: BenchPlan) throws -> BenchResult {
        let run = asked.withLock {
            $0.append(plan)
            return $0.count
        }
        guard case .requests(let count) = plan.extent else { preconditionFailure("this server counts requests") }
        let (wantsHTTP2, isTLS) =
            switch plan.protocols {
            case .tls(let names): (names == ["h2"], true)
            case .cleartextHTTP2: (true, false)
            case .cleartextHTTP1: (false, false)
            }
        if wantsHTTP2 && !habits.offersHTTP2 {
            throw H2Error(.http2NotNegotiated, message: "the server chose http/1.1")
        }
        var result = BenchResult()
        result.startedAt = 1_000_000
        result.elapsed = habits.seconds(plan, run)
        result.requests.sent = count
        result.requests.done = count
        result.requests.answeredInTime = count
        result.statuses[habits.status] = count
        let isNew = plan.requestsPerConnection == 1 || habits.closesAfterEachResponse
        result.connections.opened = isNew ? count : plan.connections
        result.connections.peakOpen = plan.connections
        if wantsHTTP2 {
            result.connections.http2 = result.connections.opened
        } else {
            result.connections.http1 = result.connections.opened
        }
        if isTLS {
            result.connections.handshakes = result.connections.opened
            if habits.resumes && plan.configuration.tls.resumesSessions && isNew {
                result.connections.resumed = max(0, count - 1)
            }
        }
        result.connections.roundTrips = isNew ? 3 * count : 2 + count / (plan.connections * plan.streams)
        result.traffic.received = 1000 * count
        result.traffic.sent = 100 * count
        result.client.userSeconds = 0.001 * Double(count)
        let each = UInt64(result.elapsed * 1e9) / UInt64(count) * UInt64(plan.connections * plan.streams)
        // A new connection takes 1 ms for TCP and 2 ms for TLS.
        let connecting: UInt64 = isNew ? isTLS ? 3_000_000 : 1_000_000 : 0
        for _ in 0..<count {
            result.corrected.record(each)
            result.latency.record(each - min(connecting, each))
            result.firstByte.record(each / 2)
        }
        for _ in 0..<result.connections.opened {
            result.connect.record(1_000_000)
            if isTLS { result.handshake.record(2_000_000) }
        }
        try habits.change(plan, run, &result)
        return result
    }
}

extension ComparePlan {
    /// 100 requests to `https://example.test/`, and to the same in cleartext.
    static func sample(_ schemes: [Origin.Scheme] = [.https]) throws -> ComparePlan {
        ComparePlan(
            targets: try schemes.map {
                Target(
                    origin: try Origin(scheme: $0, host: "127.0.0.1", port: $0 == .https ? 8443 : 8080),
                    requests: [.init(HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/"))])
            })
    }
}

extension Compare {
    init(_ plan: ComparePlan, _ server: FakeServer) { self.init(plan) { try server.run($0) } }
}
