extension HTTPClient {
    /// The options and limits of a client, with their units and defaults.
    ///
    /// ```swift
    /// var configuration = HTTPClient.Configuration()
    /// configuration.pool.idleTimeout = .seconds(30)
    /// configuration.retry = .withStatuses
    /// configuration.requestOptions.timeout = .seconds(10)
    /// let client = HTTPClient(configuration: configuration)
    /// ```
    ///
    /// Values that an option cannot have fail each request with ``H2Error/Code/invalidConfiguration``. Call ``validate()``
    /// to check them when the program starts.
    public struct Configuration: Sendable {
        /// Options of each connection: TLS, time limits, windows, limits.
        public var connection = H2Client.Configuration()
        /// The versions of HTTP to use. Default: ``HTTPClient/Versions/automatic``.
        public var versions = Versions.automatic
        /// The number of connections, and how long they live.
        public var pool = Pool()
        /// When to retry a failed request.
        public var retry = RetryPolicy()
        /// Limits on the load that the client puts on servers.
        public var loadLimits = LoadLimits()
        /// Defaults for the options of each request. An option that a request sets itself takes precedence.
        public var requestOptions = RequestOptions()
        /// The event loops that carry the connections. New connections go to them in turn; one loop per core is plenty.
        /// With `.own(count: 4)` each client makes its own loops, which end with it. Default: the loop that the whole
        /// process shares.
        public var eventLoops: [EventLoop] = [.shared]
        /// Returns the host and port to connect to instead of the origin's own (curl's --connect-to and --resolve), or nil
        /// to connect to the origin itself. Called once for each new connection, on an event loop's thread; it must not
        /// block. Default: none.
        public var connectTo: (@Sendable (Origin) -> (host: String, port: Int)?)?

        /// Creates a configuration with the defaults.
        public init() {}
    }

    /// The versions of HTTP that a client uses.
    public enum Versions: Sendable, Hashable {
        /// Over TLS, ALPN chooses between `h2` and `http/1.1`. In cleartext, HTTP/1.1.
        case automatic
        /// HTTP/2 only. Over TLS, a server that does not support it fails the request with `http2NotNegotiated`. In
        /// cleartext, HTTP/2 by prior knowledge (RFC 9113 section 3.3).
        case http2Only
        /// HTTP/1.1 only.
        case http1Only
        /// Like `automatic` over TLS. In cleartext, HTTP/2 by prior knowledge.
        case http2PriorKnowledge
    }

    /// What to do with a request when all streams of its origin's connections are in use.
    public enum Saturation: Sendable, Hashable {
        /// Wait in order.
        case queue
        /// Open another HTTP/2 connection, up to this number per origin. Beyond it, wait in order.
        case openConnection(upTo: Int)
        /// Fail with `limitExceeded`.
        case fail
    }

    /// Limits on the number of connections and on their life.
    public struct Pool: Sendable {
        /// The maximum number of HTTP/1.1 connections to one origin. 1 or more. Default 8.
        public var http1ConnectionsPerOrigin = 8
        /// What an HTTP/2 request does when all streams are in use. Default: wait. HTTP/1.1 opens connections up to its
        /// limit and then waits, or fails if this is `fail`.
        public var whenSaturated = Saturation.queue
        /// The maximum number of concurrent streams on one HTTP/2 connection, even if the server allows more. Default: the
        /// server's limit.
        public var streamsPerConnection = Int.max
        /// The maximum number of connections in all. When another one is needed, the connection that has been idle the
        /// longest is closed; if none is idle, the request waits. 1 or more. Default 1,024.
        public var connections = 1_024
        /// The maximum number of requests that wait for a connection or stream, over all origins. Default 1,000,000.
        public var waitingRequests = 1_000_000
        /// How long a request waits for connections or streams that unread responses hold.
        ///
        /// A response holds its connection (HTTP/1.1) or stream (HTTP/2) until it is read or dropped. If nobody reads those
        /// responses although part of their bodies has arrived, a waiting request fails with `limitExceeded` after this
        /// time. Responses that are read slowly, and slow servers, do not count. nil: no limit. Checked once a second.
        /// Default 5 s.
        public var unreadPatience: Duration? = .seconds(5)
        /// How long a connection may be idle before it is closed. It is never idle for longer, and never reused after that;
        /// it may be closed earlier by up to a twentieth of this time (1 s at most).
        ///
        /// Keep it below the idle timeout of servers and load balancers (60 s for many): a request that crosses the
        /// server's close may be lost. Default 50 s.
        public var idleTimeout: Duration = .seconds(50)
        /// The age at which a connection takes no new requests, so that a busy client notices when the host's addresses
        /// change. Requests in progress finish. A random part of up to a tenth is subtracted for each connection, so that
        /// connections opened together are not replaced together. nil: no limit. Default 10 min.
        public var maximumAge: Duration? = .seconds(600)
        /// The number of requests after which a connection is replaced, for servers that close connections after a fixed
        /// number (nginx: 1,000). Default: no limit.
        public var requestsPerConnection = Int.max
        /// Whether a host may share another host's open HTTP/2 connection if it resolves to the same address and the
        /// connection's certificate is valid for it (RFC 9113 section 9.1.1). Default false.
        public var coalesces = false

        /// Creates the default limits.
        public init() {}
    }

    /// When a failed request is retried.
    ///
    /// A request is retried only if the server cannot have processed it, or (see ``retriesIdempotent``) if its method is
    /// idempotent and the connection ended before the first byte of the response. Its body must be replayable. A request is
    /// never retried after ENHANCE_YOUR_CALM.
    public struct RetryPolicy: Sendable {
        /// The maximum number of attempts, the first one included. 1 turns retries off. Requests that a graceful GOAWAY
        /// left unprocessed do not count, as long as that connection served something. Default 4.
        public var maximumAttempts = 4
        /// The share of the last 10 seconds' requests that retries may add (0.2: a fifth more). Default 0.2.
        public var budget = 0.2
        /// The number of retries per second that is allowed in addition to ``budget``, for clients with few requests.
        /// Default 10.
        public var minimumPerSecond = 10
        /// The wait before the second attempt. It doubles with each further attempt; see also ``jitter``. Default 50 ms.
        public var backoff: Duration = .milliseconds(50)
        /// The longest wait between attempts. Default 10 s.
        public var maximumBackoff: Duration = .seconds(10)
        /// The random share of each wait, 0 to 1. Default 0.5: between half of the wait and all of it.
        public var jitter = 0.5
        /// The longest wait that is accepted from Retry-After. If the server asks for more, its response is returned as it
        /// is. Default: ``maximumBackoff``.
        public var maximumRetryAfter: Duration?
        /// Stop retrying this long after the call. The last response is then returned, or the last error thrown, at once.
        /// If that response has been dropped already, the call throws `H2Error` (`timeout`), which names its status.
        /// Default: no limit.
        public var maximumTime: Duration?
        /// Whether to retry idempotent requests whose connection closed before the first byte of the response (RFC 9110
        /// section 9.2.2). Default true.
        public var retriesIdempotent = true
        /// Whether ``retriesIdempotent`` also covers connections that had not served anything yet. A server that closes a
        /// new connection may do so because of this very request, and would do it again. Default false.
        public var retriesOnNewConnections = false
        /// Statuses after which idempotent requests are retried, such as 429, 502, 503 and 504. Default: none.
        public var statuses: Set<Int> = []

        /// Creates the default policy.
        public init() {}

        /// The default policy, plus retries after 429, 502, 503 and 504 that follow Retry-After.
        public static var withStatuses: RetryPolicy {
            var policy = RetryPolicy()
            policy.statuses = [429, 502, 503, 504]
            return policy
        }

        /// No retries.
        public static var none: RetryPolicy {
            var policy = RetryPolicy()
            policy.maximumAttempts = 1
            return policy
        }
    }

    /// Limits on the load that a client puts on servers.
    public struct LoadLimits: Sendable {
        /// The maximum number of concurrent requests to one origin. Default: no limit.
        public var concurrentRequestsPerOrigin = Int.max
        /// The maximum number of concurrent requests in all. Default: no limit.
        public var concurrentRequests = Int.max
        /// The maximum number of requests per second to one origin (a token bucket that holds ``burst``). Default: no limit.
        public var requestsPerSecondPerOrigin: Double?
        /// How many requests may start at once after a pause if a rate is set. 1 or more. Default 1.
        public var burst = 1
        /// Adapts the number of concurrent requests to what the origin can take. Default: off.
        public var adaptive: Adaptive?

        /// Creates limits that limit nothing.
        public init() {}

        /// A limit on concurrent requests that adapts to the server.
        ///
        /// It rises by one after each round of good responses. It falls by a factor after 429, 503, REFUSED_STREAM and
        /// ENHANCE_YOUR_CALM, and when responses take much longer than before (additive increase, multiplicative decrease).
        /// If the server sends Retry-After or RateLimit fields, no requests go to that origin until then.
        public struct Adaptive: Sendable {
            /// The number of concurrent requests at the start. Default 8.
            public var initial = 8
            /// The smallest value of the limit. Default 1.
            public var minimum = 1
            /// The largest value of the limit. Default 1,000.
            public var maximum = 1_000
            /// The factor by which the limit falls when the server is overloaded. Default 0.7.
            public var decrease = 0.7
            /// The server counts as overloaded when responses take this many times longer than the fastest ones. Default 3.
            public var latencyTolerance = 3.0
            /// The longest time that a Retry-After or RateLimit field may hold back an origin's requests. Default 60 s.
            public var maximumPause: Duration = .seconds(60)

            /// Creates the default limit.
            public init() {}
        }
    }
}

extension HTTPClient.Configuration {
    /// Replaces placeholders with new loops for the client's own use, and returns those.
    mutating func makeOwnLoops() -> [EventLoop] {
        var made: [EventLoop] = []
        for index in eventLoops.indices where eventLoops[index] === EventLoop.placeholder {
            let loop = EventLoop()
            eventLoops[index] = loop
            made.append(loop)
        }
        return made
    }
}
