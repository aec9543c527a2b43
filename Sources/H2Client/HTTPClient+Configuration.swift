extension HTTPClient {
    /// Every option and every limit of a client, with units and defaults.
    public struct Configuration: Sendable {
        /// What each connection is made with: TLS, time limits, windows, limits.
        public var connection = H2Client.Configuration()
        /// Which versions of HTTP to speak.
        public var versions = Versions.automatic
        /// How many connections there may be, and how long they live.
        public var pool = Pool()
        /// When a request is sent again.
        public var retry = RetryPolicy()
        /// How much load is put on servers.
        public var politeness = Politeness()
        /// What every request asks for that does not ask for something itself, option by option.
        public var requestOptions = RequestOptions()
        /// New connections go to these loops in turn. One a core is plenty. `.own(count: 4)` has each client make loops for
        /// itself, which end with it. Default: the process's shared one.
        public var eventLoops: [EventLoop] = [.shared]
        /// Connect elsewhere than to an origin's own host and port (curl's --connect-to and --resolve); asked once for
        /// each connection that is opened, on an event loop's thread, so it must not block. nil as its answer leaves the
        /// origin's own. Default: none.
        public var connectTo: (@Sendable (Origin) -> (host: String, port: Int)?)?

        public init() {}
    }

    /// Which versions of HTTP a client speaks.
    public enum Versions: Sendable, Hashable {
        /// Over TLS what ALPN chooses of `h2` and `http/1.1`; in cleartext HTTP/1.1.
        case automatic
        /// Over TLS `h2` alone; a server that does not speak it fails with `http2NotNegotiated`. In cleartext HTTP/2 by
        /// prior knowledge (RFC 9113 section 3.3).
        case http2Only
        /// HTTP/1.1 alone.
        case http1Only
        /// As `automatic` over TLS, but HTTP/2 by prior knowledge in cleartext.
        case http2PriorKnowledge
    }

    /// What to do with a request when all streams of an origin's connections are taken.
    public enum Saturation: Sendable, Hashable {
        /// Wait in order.
        case queue
        /// Open another HTTP/2 connection while the origin has fewer than so many; then wait in order.
        case openConnection(upTo: Int)
        /// Fail with `limitExceeded`.
        case fail
    }

    /// Limits on connections, and their life.
    public struct Pool: Sendable {
        /// HTTP/1.1 connections to one origin, 1 or more. Default 8.
        public var http1ConnectionsPerOrigin = 8
        /// What an HTTP/2 request does when all streams are taken. Default: wait. HTTP/1.1 opens connections up to its
        /// limit, and then waits, or fails where this says `fail`.
        public var whenSaturated = Saturation.queue
        /// Streams at once on one HTTP/2 connection, however many the server allows. Default: as the server says.
        public var streamsPerConnection = Int.max
        /// Connections in all. Where a new one is needed beyond that, the one that has been idle the longest is closed;
        /// where none is idle, the request waits. 1 or more. Default 1,024.
        public var connections = 1_024
        /// Requests that wait for a connection or stream, over all origins. Default 1,000,000.
        public var waitingRequests = 1_000_000
        /// A response holds its connection (HTTP/1.1) or stream until it is read or dropped, so that requests may wait for
        /// responses that nobody reads. Once a request has waited for so long, and none of the responses that hold what it
        /// waits for was read from meanwhile though part of their bodies is there, it fails (`limitExceeded`). A response
        /// that is read slowly does not count, nor one whose server is slow. nil: requests wait for as long as their own
        /// limits say. Default 5 s; looked at once a second.
        public var unreadPatience: Duration? = .seconds(5)
        /// How long a connection may serve nothing before it is closed: never longer than this, nor given to a request after
        /// it; up to a twentieth of it, and 1 s at most, earlier. Keep it below the time after which servers and load
        /// balancers close idle connections (60 s for many), since a request that crosses such a close may be lost. Default
        /// 50 s.
        public var idleTimeout: Duration = .seconds(50)
        /// How old a connection may become before it takes no new requests, so that a change of the host's addresses is
        /// followed even where connections are never idle. What is under way on it finishes. Each connection's own age is
        /// up to a tenth less, so that those opened together are not replaced together. nil: any age. Default 10 min.
        public var maximumAge: Duration? = .seconds(600)
        /// Requests that a connection serves before it takes no new ones: rotate ahead of a server that closes after so
        /// many (nginx: 1,000). Default: any number.
        public var requestsPerConnection = Int.max
        /// Whether a host that resolves to the address of an open HTTP/2 connection, and for which that connection's
        /// certificate is valid, shares it (RFC 9113 section 9.1.1). Default false.
        public var coalesces = false

        public init() {}
    }

    /// When a request that failed is sent again.
    ///
    /// Only where the server cannot have processed it, or (`retriesIdempotent`) where its method is idempotent and the
    /// connection ended before the response's first byte; and only with a body that can be sent again. Never after
    /// ENHANCE_YOUR_CALM.
    public struct RetryPolicy: Sendable {
        /// How often a request may be sent, the first time included; 1 turns retrying off. What a graceful GOAWAY left
        /// unprocessed does not count here, as long as that connection served something. Default 4.
        public var maximumAttempts = 4
        /// Retries may add so large a share to the requests of the last 10 seconds (0.2: a fifth more) ...
        public var budget = 0.2
        /// ... and so many a second besides, so that a client with few requests can retry at all. Default 10.
        public var minimumPerSecond = 10
        /// The wait before the second attempt of the same request; it doubles with each further one. `jitter` is left to
        /// chance. Default 50 ms.
        public var backoff: Duration = .milliseconds(50)
        /// The longest wait. Default 10 s.
        public var maximumBackoff: Duration = .seconds(10)
        /// The share of each wait that is left to chance, 0 to 1. Default 0.5: between half of it and all.
        public var jitter = 0.5
        /// The longest wait that Retry-After may ask for: where it asks for more, the response is returned as it is.
        /// Default: `maximumBackoff`.
        public var maximumRetryAfter: Duration?
        /// No attempt begins later than this after the call; what the last one came to is returned or thrown as soon as that
        /// is clear. Where its response has been dropped by then, `H2Error` (`timeout`) says what it was. Default: no limit.
        public var maximumTime: Duration?
        /// Whether idempotent requests are sent again after their connection closed before the response's first byte
        /// (RFC 9110 section 9.2.2). Default true.
        public var retriesIdempotent = true
        /// Whether that holds also where the connection was new and had served nothing yet. A server that ends a connection on
        /// its first request may do so because of that request, which would then do it again: default false.
        public var retriesOnNewConnections = false
        /// Statuses after which an idempotent request is sent again, such as 429, 502, 503, 504. Default: none.
        public var statuses: Set<Int> = []

        public init() {}

        /// As the default, and after 429, 502, 503 and 504, honouring Retry-After.
        public static var withStatuses: RetryPolicy {
            var policy = RetryPolicy()
            policy.statuses = [429, 502, 503, 504]
            return policy
        }

        /// Nothing is sent twice.
        public static var none: RetryPolicy {
            var policy = RetryPolicy()
            policy.maximumAttempts = 1
            return policy
        }
    }

    /// Limits on the load that a client puts on servers.
    public struct Politeness: Sendable {
        /// Requests at once to one origin. Default: no limit.
        public var concurrentRequestsPerOrigin = Int.max
        /// Requests at once in all. Default: no limit.
        public var concurrentRequests = Int.max
        /// Requests a second to one origin (a token bucket that holds `burst`). Default: no limit.
        public var requestsPerSecondPerOrigin: Double?
        /// How many requests may begin at once after a pause, where a rate is set. 1 or more. Default 1.
        public var burst = 1
        /// Finds by itself how many requests at once an origin takes. Default: off.
        public var adaptive: Adaptive?

        public init() {}

        /// A limit that looks for what a server takes: it rises by one for each round of good answers, and falls by a
        /// share on 429, 503, REFUSED_STREAM, ENHANCE_YOUR_CALM, and where answers take much longer than they did
        /// (additive increase, multiplicative decrease). Retry-After and RateLimit fields are obeyed: the origin is left
        /// alone until then.
        public struct Adaptive: Sendable {
            /// Requests at once to begin with. Default 8.
            public var initial = 8
            /// The limit stays within these. Default 1 and 1,000.
            public var minimum = 1
            public var maximum = 1_000
            /// What is left of the limit when a server shows that it is too much. Default 0.7.
            public var decrease = 0.7
            /// How many times longer than at their best answers may take before that counts as too much. Default 3.
            public var latencyTolerance = 3.0
            /// The longest time that a Retry-After or RateLimit field may hold an origin's requests. Default 60 s.
            public var maximumPause: Duration = .seconds(60)

            public init() {}
        }
    }
}

extension HTTPClient.Configuration {
    /// Puts new loops where a client is to use its own; those.
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
