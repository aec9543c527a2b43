package import H2Client
package import HTTPTypes

/// A measurement to run: which requests, over how many connections and streams, for how long, at what pace.
package struct BenchPlan: Sendable {
    /// One request, sent repeatedly.
    package struct Request: Sendable, Hashable {
        package var request: HTTPRequest
        /// The request's body; empty for none.
        package var body: [UInt8]

        package init(_ request: HTTPRequest, body: [UInt8] = []) {
            self.request = request
            self.body = body
        }

        /// Bodies are large and usually identical, so only the request is hashed.
        package func hash(into hasher: inout Hasher) { hasher.combine(request) }
    }

    /// How much to do.
    package enum Extent: Sendable, Equatable {
        /// A number of requests.
        case requests(Int)
        /// As many as fit into the time.
        case time(Duration)
        /// As many as begin until `BenchControl.stop`.
        case untilStopped
    }

    /// When requests begin.
    package enum Pace: Sendable, Equatable {
        /// Closed loop: the next request begins as soon as one is over, so that `streams` are always in flight per connection.
        case closed
        /// Open loop: requests per second over all connections, whether or not earlier ones are answered. The rate changes
        /// linearly from the first value to the second within `ramp`, and stays there.
        case arrivals(from: Double, to: Double, ramp: Duration)
        /// Open loop: requests per second on each connection.
        case arrivalsPerConnection(Double)
        /// Open loop: the rate over all connections goes through these stages. Then it ends, or stays if `extent` goes on.
        case stages([Stage])
        /// Open loop: on each connection the plan's requests begin at these times, one each and in order. In nanoseconds since
        /// the beginning, ascending. `extent` is a number of requests, the same for each connection.
        case script([UInt64])
    }

    /// A part of an open loop's rate, which changes linearly from one value to another.
    package struct Stage: Sendable, Equatable {
        /// Requests per second.
        package var from: Double
        package var to: Double
        package var length: Duration

        package init(from: Double, to: Double, length: Duration) {
            (self.from, self.to, self.length) = (from, to, length)
        }
    }

    /// Users that come and go while the measurement runs (`BenchControl.setUsers`). Each is one stream of a closed loop.
    package struct Users: Sendable, Equatable {
        /// The most users that share a connection.
        package var perConnection: Int
        /// The time between two requests of a user: one is due each period, and begins late if the one before is not answered
        /// yet. Nil for none, in which case users rest for `thinkTime`.
        package var period: Duration?

        package init(perConnection: Int, period: Duration? = nil) {
            (self.perConnection, self.period) = (perConnection, period)
        }
    }

    /// How connections are opened at the start.
    package struct ConnectionRamp: Sendable, Equatable {
        /// The number opened in each period.
        package var count: Int
        package var period: Duration

        package init(count: Int, period: Duration) {
            self.count = count
            self.period = period
        }
    }

    /// The protocols to use.
    package enum Protocols: Sendable, Equatable {
        /// Over TLS: the one that ALPN chooses of these, most preferred first: `h2`, `http/1.1`.
        case tls([String])
        /// HTTP/2 in cleartext, by prior knowledge.
        case cleartextHTTP2
        /// HTTP/1.1 in cleartext.
        case cleartextHTTP1
    }

    /// The API of the library that sends the requests.
    package enum API: String, CaseIterable, Sendable {
        /// The completion API, the cheapest.
        case direct
        /// `send` and `await`, as programs call it. For closed loops only.
        case async
    }

    package var origin: Origin
    /// Sent in turn. At least one.
    package var requests: [Request]
    package var extent = Extent.requests(1)
    package var pace = Pace.closed
    /// Whether an open loop's requests arrive at random, as from many independent users (a Poisson process), with the rate as
    /// the mean; otherwise they arrive evenly.
    package var arrivesAtRandom = false
    /// For random arrivals: the same plan with the same seed has the same arrivals.
    package var arrivalSeed: UInt64 = 0
    /// How long each stream of a closed loop rests between a response and its next request.
    package var thinkTime: Duration = .zero
    /// When to begin the measured part, in seconds since 1970; nil for as soon as possible. The warm-up comes before it.
    package var startAt: Double?
    /// Local addresses that the slots connect from, in turn; empty for the system's choice. Each allows about 28,000
    /// connections to one address and port of a server.
    package var sourceAddresses: [String] = []
    /// Whether to keep trying to connect once a connection has been established, so that the measurement outlives a restart of
    /// the server. The pauses are up to a second, and up to 5 s longer with thousands of connections. A rejected certificate is
    /// not retried.
    package var keepsTrying = false
    /// The conditions that a response must meet; otherwise it counts as failed.
    package struct Expectation: Sendable, Equatable {
        /// Nil for any.
        package var statuses: Set<Int>?
        /// The size of its body; nil for any.
        package var bodyBytes: Int?
        /// The 32 bytes of its body's SHA-256; nil for any.
        package var sha256: [UInt8]?

        package init(statuses: Set<Int>? = nil, bodyBytes: Int? = nil, sha256: [UInt8]? = nil) {
            (self.statuses, self.bodyBytes, self.sha256) = (statuses, bodyBytes, sha256)
        }

        /// The reason why a response does not meet the conditions; nil if it does.
        /// - Parameter digest: of its body, if `sha256` asks for it.
        func failure(status: Int, bodyBytes count: Int, digest: BodyDigest?) -> String? {
            if let statuses, !statuses.contains(status) { return "unexpected status \(status)" }
            if let bodyBytes, count != bodyBytes { return "a body of \(count) bytes" }
            if let sha256, digest?.finish() != sha256 { return "a body of another SHA-256" }
            return nil
        }
    }

    package var expectation: Expectation?
    /// What the users do, nil for sending `requests` in turn. `requests` then has one for each of its steps, with the fields that
    /// all have (`scenarioRequests`), and each stream is a user. With the async API only.
    package var scenario: Scenario?
    /// The number of the first user of a scenario, so that machines can have users of their own.
    package var firstUser = 0
    /// What the users of a scenario choose at random: the same plan with the same seed has the same users.
    package var scenarioSeed: UInt64 = 0
    /// Whether to report latency by status and by request too (`BenchResult.byStatus`, `byRequest`).
    package var breaksDown = false
    /// How long requests run uncounted before the measurement begins.
    package var warmUp: Duration = .zero
    /// How long to wait for requests that are in flight at the deadline.
    package var drain: Duration = .seconds(1)
    /// Event loops, each a thread of its own.
    package var threads = 1
    package var connections = 1
    /// Requests in flight at once on each connection. HTTP/1.1 has 1.
    package var streams = 1
    /// The number of requests after which a connection is closed and another opened; nil for no limit.
    package var requestsPerConnection: Int?
    package var connectionRamp: ConnectionRamp?
    /// Nil for a fixed number of streams. With users, connections are opened when there are users for them and closed when
    /// there are none any more; `connections` and `streams` mean nothing, and a connection that cannot be established is
    /// tried again for as long as the measurement runs, unless the very first one fails by a mistake in the plan.
    package var users: Users?
    /// Whether figures are collected while it runs (`BenchControl.takeFigures`).
    package var collectsFigures = false
    /// Whether these have numbers by second. Then somebody must take them, or they grow with the time.
    package var countsSeconds = false
    /// The maximum lifetime of a connection, after which it is closed and the slot gives up (h2load's -T); nil for no limit.
    package var activeTimeout: Duration?
    /// How long a connection may go without a byte before it is closed and the slot gives up (h2load's -N); nil for no limit.
    package var inactivityTimeout: Duration?
    package var protocols = Protocols.tls(["h2", "http/1.1"])
    /// The configuration of each connection: TLS, windows, time limits, where to connect.
    package var configuration = ConnectionConfiguration()
    package var api = API.direct
    /// Whether to keep each interval's histogram (`BenchResult.Interval.latency`), for an HdrHistogram log.
    package var keepsIntervalHistograms = false
    /// The path of a file that gets a line for each request: see `RequestLog`.
    package var requestLog: String?

    package init(origin: Origin, requests: [Request]) {
        self.origin = origin
        self.requests = requests
    }
}
