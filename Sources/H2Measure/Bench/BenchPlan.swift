package import H2Client
package import HTTPTypes

/// What a measurement does: which requests, over how many connections and streams, for how long, at what pace.
package struct BenchPlan: Sendable {
    /// One request, sent again and again.
    package struct Request: Sendable, Hashable {
        package var request: HTTPRequest
        /// Sent with it; empty for none.
        package var body: [UInt8]

        package init(_ request: HTTPRequest, body: [UInt8] = []) {
            self.request = request
            self.body = body
        }

        /// Bodies are large and usually identical, so only the request is hashed.
        package func hash(into hasher: inout Hasher) { hasher.combine(request) }
    }

    /// How much is done.
    package enum Extent: Sendable, Equatable {
        /// So many requests.
        case requests(Int)
        /// As many as fit into the time.
        case time(Duration)
    }

    /// When requests begin.
    package enum Pace: Sendable, Equatable {
        /// Closed loop: as soon as one is over the next begins, so that `streams` are always in flight on a connection.
        case closed
        /// Open loop: so many begin each second over all connections, whether or not earlier ones are answered. The rate
        /// goes evenly from the first value to the second within `ramp`, and stays there.
        case arrivals(from: Double, to: Double, ramp: Duration)
        /// Open loop: so many begin each second on each connection.
        case arrivalsPerConnection(Double)
        /// Open loop: the rate over all connections goes through these stages, and then ends, or stays where `extent` goes on.
        case stages([Stage])
        /// Open loop: on each connection the requests of the plan begin at these times, one each and in order. Nanoseconds since
        /// the beginning, none earlier than the one before it. `extent` is a number of requests, as many for each connection.
        case script([UInt64])
    }

    /// A part of an open loop's rate, which goes evenly from one value to another.
    package struct Stage: Sendable, Equatable {
        /// Requests a second.
        package var from: Double
        package var to: Double
        package var length: Duration

        package init(from: Double, to: Double, length: Duration) {
            (self.from, self.to, self.length) = (from, to, length)
        }
    }

    /// How connections are opened at the start.
    package struct ConnectionRamp: Sendable, Equatable {
        /// So many in each period.
        package var count: Int
        package var period: Duration

        package init(count: Int, period: Duration) {
            self.count = count
            self.period = period
        }
    }

    /// What is spoken.
    package enum Protocols: Sendable, Equatable {
        /// Over TLS, what ALPN chooses of these, the best first: `h2`, `http/1.1`.
        case tls([String])
        /// HTTP/2 in cleartext, by prior knowledge.
        case cleartextHTTP2
        /// HTTP/1.1 in cleartext.
        case cleartextHTTP1
    }

    /// The API of the library that sends the requests.
    package enum API: String, Sendable, Equatable {
        /// The completion API, which costs least.
        case direct
        /// `send` and `await`, as programs call it. For closed loops alone.
        case async
    }

    package var origin: Origin
    /// In turn. At least one.
    package var requests: [Request]
    package var extent = Extent.requests(1)
    package var pace = Pace.closed
    /// Whether an open loop's requests arrive at random, as those of many users who do not know of each other (a Poisson
    /// process), with the rate as the mean; else evenly.
    package var arrivesAtRandom = false
    /// Where they do: the same plan with the same seed has the same arrivals.
    package var arrivalSeed: UInt64 = 0
    /// How long each stream of a closed loop rests between a response and its next request.
    package var thinkTime: Duration = .zero
    /// When the measured part is to begin, in seconds since 1970; nil for as soon as can be. The warm-up is before it.
    package var startAt: Double?
    /// Addresses of this machine that the places connect from, in turn; none for the system's choice. To one address and port of
    /// a server there are about 28,000 connections from each.
    package var sourceAddresses: [String] = []
    /// Whether connections are tried for ever once there has been one, so that the measurement outlives a restart of the
    /// server. The pauses are of up to a second, and up to 5 s longer with thousands of connections. A certificate that is
    /// rejected is no reason to try again.
    package var keepsTrying = false
    /// What a response has to be: another one counts as failed.
    package struct Expectation: Sendable, Equatable {
        /// Nil for any.
        package var statuses: Set<Int>?
        /// Of its body; nil for any.
        package var bodyBytes: Int?
        /// The 32 bytes of its body's SHA-256; nil for any.
        package var sha256: [UInt8]?

        package init(statuses: Set<Int>? = nil, bodyBytes: Int? = nil, sha256: [UInt8]? = nil) {
            (self.statuses, self.bodyBytes, self.sha256) = (statuses, bodyBytes, sha256)
        }

        /// Why a response is not as it has to be; nil where it is.
        /// - Parameter digest: of its body, as far as `sha256` asks for it.
        func failure(status: Int, bodyBytes count: Int, digest: BodyDigest?) -> String? {
            if let statuses, !statuses.contains(status) { return "unexpected status \(status)" }
            if let bodyBytes, count != bodyBytes { return "a body of \(count) bytes" }
            if let sha256, digest?.finish() != sha256 { return "a body of another SHA-256" }
            return nil
        }
    }

    package var expectation: Expectation?
    /// Whether latency is also told by status and by request (`BenchResult.byStatus`, `byRequest`).
    package var breaksDown = false
    /// Requests run that long uncounted before the measurement begins.
    package var warmUp: Duration = .zero
    /// How long requests that are in flight at the deadline are waited for.
    package var drain: Duration = .seconds(1)
    /// Event loops, each a thread of its own.
    package var threads = 1
    package var connections = 1
    /// Requests in flight at once on each connection. HTTP/1.1 has 1.
    package var streams = 1
    /// After so many requests a connection is closed and another opened; nil: never.
    package var requestsPerConnection: Int?
    package var connectionRamp: ConnectionRamp?
    /// How long a connection may live before it is closed and the place gives up (h2load's -T); nil: for ever.
    package var activeTimeout: Duration?
    /// How long a connection may go without any byte, likewise (h2load's -N).
    package var inactivityTimeout: Duration?
    package var protocols = Protocols.tls(["h2", "http/1.1"])
    /// Of each connection: TLS, windows, time limits, where to connect.
    package var configuration = Configuration()
    package var api = API.direct
    /// Whether each interval's histogram is kept (`BenchResult.Interval.latency`), for an HdrHistogram log.
    package var keepsIntervalHistograms = false
    /// Gets a line for each request, if given: see `RequestLog`.
    package var requestLog: String?

    package init(origin: Origin, requests: [Request]) {
        self.origin = origin
        self.requests = requests
    }
}
