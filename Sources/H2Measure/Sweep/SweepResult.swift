import H2Platform
import Histogram

/// The results of one setting.
package struct SweepPoint: Sendable, Equatable {
    package var setting: SweepSetting
    /// Responses per second, with any status.
    package var rate = 0.0
    /// Complete responses, which the latencies are based on.
    package var responses = 0
    /// Nanoseconds from when a request was to begin, so that the wait before it counts.
    package var p50: UInt64 = 0
    package var p90: UInt64 = 0
    package var p99: UInt64 = 0
    package var p999: UInt64 = 0
    package var longest: UInt64 = 0
    /// From sending a request to its first byte, the median.
    package var firstByte: UInt64 = 0
    /// The percentiles of `SweepPlan.limits`, in their order.
    package var atLimits: [UInt64] = []
    /// Requests actually in flight, on average.
    package var inFlight = 0.0
    /// Requests that were not answered completely, except those that the server refused.
    package var failed = 0
    /// Requests that the server refused because it was overloaded: 429, 503, REFUSED_STREAM, ENHANCE_YOUR_CALM.
    package var refused = 0
    /// Responses with a status of 500 and above, except 503.
    package var serverErrors = 0
    /// Still in flight at the end.
    package var aborted = 0
    /// The fraction of the time that the client's busiest thread was running, 0 to 1.
    package var busy = 0.0
    /// Connections that could not be established, and connections that were lost, by cause.
    package var connectionsFailed: [String: Int] = [:]
    package var connectionsLost: [String: Int] = [:]
    /// Responses with 300 and above, by status.
    package var statuses: [Int: Int] = [:]
    /// Failed and refused requests by cause.
    package var errors: [String: Int] = [:]
    /// The server's SETTINGS_MAX_CONCURRENT_STREAMS; nil for no limit, or HTTP/1.1.
    package var maxConcurrentStreams: Int?

    package init(_ setting: SweepSetting) { self.setting = setting }

    init(_ result: BenchResult, _ setting: SweepSetting, limits: [LatencyLimit]) {
        self.setting = setting
        rate = result.rate
        responses = result.requests.done
        let corrected = result.corrected
        func value(_ percentile: Double) -> UInt64 {
            corrected.totalCount > 0 ? corrected.valueAtPercentile(percentile) : 0
        }
        (p50, p90, p99, p999) = (value(50), value(90), value(99), value(99.9))
        longest = corrected.totalCount > 0 ? corrected.maxRecorded : 0
        firstByte = result.firstByte.totalCount > 0 ? result.firstByte.valueAtPercentile(50) : 0
        atLimits = limits.map { value($0.percentile) }
        // Without the drain, during which the load falls.
        let time = result.timeLine.reduce(0) { $0 + $1.length }
        inFlight = time > 0 ? result.timeLine.reduce(0) { $0 + $1.inFlightMean * $1.length } / time : 0
        let refusedStreams = result.errors.reduce(0) { $0 + (Self.isRefusal($1.key) ? $1.value : 0) }
        refused = refusedStreams + result.statuses[429] + result.statuses[503]
        failed = result.requests.failed - min(refusedStreams, result.requests.failed)
        serverErrors = result.statusClass(5) - result.statuses[503]
        aborted = result.requests.aborted
        busy = result.client.loopBusy.max() ?? 0
        connectionsFailed = result.connections.failed
        connectionsLost = result.connections.lost
        errors = result.errors
        maxConcurrentStreams = result.connections.maxConcurrentStreams
        for (status, count) in result.statuses.enumerated() where status >= 300 && count > 0 {
            statuses[status] = count
        }
    }

    private static func isRefusal(_ cause: String) -> Bool {
        cause.containsBytes(of: "REFUSED_STREAM") || cause.containsBytes(of: "ENHANCE_YOUR_CALM")
    }

    /// Responses per second without refusals and server errors (429 and 5xx): a refusal is faster than any other answer.
    /// answered faster than anything else.
    package var goodput: Double {
        let bad = statuses.reduce(0) { $0 + ($1.key == 429 || $1.key >= 500 ? $1.value : 0) }
        guard bad > 0 else { return rate }
        return responses > 0 ? rate * Double(max(responses - bad, 0)) / Double(responses) : 0
    }

    /// Requests without the desired result, which make the point's figures look too good.
    package var bad: Int { failed + refused + serverErrors }

    /// Whether at most one request in a thousand went wrong, which may be an accident, and no connection failed.
    package var isClean: Bool { bad * 1000 <= responses + failed && responses > 0 && connectionsFailed.isEmpty }
}

/// Why a climb over the numbers of streams ended.
package enum SweepStop: Sendable, Equatable {
    /// All were tried.
    case top
    /// More than one request in a thousand failed, or was answered with a server's error.
    case errors(String)
    /// The server began to refuse requests or connections.
    case refusals(String)
    /// Throughput fell three times in a row, and latency has doubled since throughput peaked.
    case overloaded
    /// The server allows this number of streams at once: more would only wait in the client.
    case streamLimit(Int)
    /// A point could not be measured.
    case couldNot(String)
    /// The user stopped it.
    case interrupted
}

/// A climb over the numbers of streams, with one number of connections.
package struct SweepCurve: Sendable, Equatable {
    package var connections: Int
    package var points: [SweepPoint]
    package var stop: SweepStop

    package init(connections: Int, points: [SweepPoint] = [], stop: SweepStop = .top) {
        self.connections = connections
        self.points = points
        self.stop = stop
    }
}

/// The results of a sweep.
package struct SweepResult: Sendable, Equatable {
    package var origin = ""
    package var asked = RequestList()
    /// The versions of HTTP and TLS, from the first point. May contain text from the server.
    package var spoken = ""
    /// Seconds for each point.
    package var time = 0.0
    package var limits: [LatencyLimit] = []
    package var curves: [SweepCurve] = []
    /// Seconds since 1970.
    package var startedAt = 0.0

    package init() {}

    package var points: [SweepPoint] { curves.flatMap(\.points) }

    /// Points with too many errors to compare their latencies with others.
    package var flawed: [SweepPoint] { points.filter { !$0.isClean } }

    /// The highest throughput without errors; nil if there is none.
    package var fastest: SweepPoint? { points.filter(\.isClean).max { $0.rate < $1.rate } }

    package func point(_ setting: SweepSetting?) -> SweepPoint? {
        setting.flatMap { setting in points.first { $0.setting == setting } }
    }
}
