public import HTTPTypes

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
        public var connection: ConnectionConfiguration
        /// The versions of HTTP to use. Default: ``HTTPClient/Versions/automatic``.
        public var versions: Versions
        /// The number of connections, and how long they live.
        public var pool: Pool
        /// When to retry a failed request.
        public var retry: RetryPolicy
        /// Limits on the load that the client puts on servers.
        public var loadLimits: LoadLimits
        /// Which redirects to follow. Default: up to 10.
        public var redirects: RedirectPolicy
        /// Credentials for the origins that requests name. Opt-in, since only the caller knows which servers may have
        /// them; use ``HTTPAuthentication/origins(_:)`` to list origins. Default: nil, none.
        public var authentication: HTTPAuthentication?
        /// Functions that each request passes through, in order. Default: none.
        public var interceptors: [Interceptor]
        /// Defaults for the options of each request. An option set in a request takes precedence; to switch a time
        /// limit off, a request sets it to ``RequestOptions/unlimited``. Default: ``defaultRequestOptions``.
        ///
        /// Values of ``RequestOptions/firstByteTimeout``, ``RequestOptions/sendTimeout`` and
        /// ``RequestOptions/bodyProgressTimeout`` that are set here, and are 10 s or more, expire up to a twentieth
        /// late, because they then cost a request nothing.
        public var requestOptions: RequestOptions
        /// The jar that keeps servers' cookies and sends them back. Clients may share one. Default: none, so cookies
        /// are neither kept nor sent, because cookies would let servers recognise a program that does not expect them.
        public var cookies: CookieJar?
        /// The hosts that want to be used over TLS only: their `http` URLs become `https` (HSTS, RFC 6797). Clients may
        /// share one. Default: none.
        public var strictTransport: StrictTransportStore?
        /// Whether bodies are decoded, and the limits on their decoded size. Default: all codings of this build, within
        /// limits.
        public var contentDecoding: ContentDecoding
        /// The event loops that carry the connections. New connections go to them in turn; one loop per core is plenty.
        /// With `.own(count: 4)` each client makes its own loops, which end with it. Default: the loop that the whole
        /// process shares.
        public var eventLoops: [H2EventLoop]
        /// TLS options for single origins, in place of those of ``connection``. A client certificate, for example, is
        /// then presented only to its origin. Such an origin does not share a connection with others
        /// (``Pool/coalesces``). Default: none.
        ///
        /// ```swift
        /// var tls = configuration.connection.tls
        /// tls.identity = .init(certificates: .file("client.pem"), privateKey: .file("client.key"))
        /// configuration.originTLS[try Origin("https://api.example.com")] = tls
        /// ```
        public var originTLS: [Origin: ConnectionConfiguration.TLS]
        /// Returns the host and port to connect to instead of the origin's own (curl's --connect-to and --resolve), or nil
        /// to connect to the origin itself. Called once for each new connection, on an event loop's thread; it must not
        /// block. With a proxy, it is the proxy that connects there. Default: none.
        public var connectTo: (@Sendable (Origin) -> ConnectionConfiguration.Endpoint?)?
        /// Which requests go through which proxy. ``ProxySettings/none`` leaves that to
        /// ``ConnectionConfiguration/proxies``. Default ``ProxySettings/none``: a library should not send its user's
        /// requests elsewhere because of an environment variable, unless it is told to (``ProxySettings/environment``).
        public var proxies: ProxySettings

        /// The time limits of a request if nothing else is set: 60 s for the first byte of the response
        /// (``RequestOptions/firstByteTimeout``), and 60 s without progress of a body in either direction
        /// (``RequestOptions/sendTimeout``, ``RequestOptions/bodyProgressTimeout``).
        ///
        /// A server that takes longer to say anything has almost always lost the request: balancers give up after 60 s
        /// too. There is no limit on a whole request, because nobody knows how large its body is. There is none on
        /// waiting for a connection either: the limits on connecting (``ConnectionConfiguration/Timeouts``: 10 s each
        /// for a name and for TCP, 15 s for TLS) and those above bound it as long as the server behaves.
        public static var defaultRequestOptions: RequestOptions {
            RequestOptions(firstByteTimeout: .seconds(60), sendTimeout: .seconds(60), bodyProgressTimeout: .seconds(60))
        }

        /// Creates a configuration; what is left out has its default.
        public init(
            connection: ConnectionConfiguration = ConnectionConfiguration(), versions: Versions = .automatic,
            pool: Pool = Pool(), retry: RetryPolicy = RetryPolicy(), loadLimits: LoadLimits = LoadLimits(),
            redirects: RedirectPolicy = RedirectPolicy(), authentication: HTTPAuthentication? = nil,
            cookies: CookieJar? = nil, strictTransport: StrictTransportStore? = nil,
            contentDecoding: ContentDecoding = ContentDecoding(), interceptors: [Interceptor] = [],
            requestOptions: RequestOptions = Self.defaultRequestOptions, eventLoops: [H2EventLoop] = [.shared],
            originTLS: [Origin: ConnectionConfiguration.TLS] = [:],
            connectTo: (@Sendable (Origin) -> ConnectionConfiguration.Endpoint?)? = nil, proxies: ProxySettings = .none
        ) {
            self.connection = connection
            self.versions = versions
            self.pool = pool
            self.retry = retry
            self.loadLimits = loadLimits
            self.redirects = redirects
            self.authentication = authentication
            self.interceptors = interceptors
            self.requestOptions = requestOptions
            self.cookies = cookies
            self.strictTransport = strictTransport
            self.contentDecoding = contentDecoding
            self.eventLoops = eventLoops
            self.originTLS = originTLS
            self.connectTo = connectTo
            self.proxies = proxies
        }
    }

    /// The versions of HTTP that a client uses.
    @nonexhaustive
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

    /// How a request is handled when all streams of its origin's connections are in use.
    @nonexhaustive
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
        public var http1ConnectionsPerOrigin: Int
        /// How an HTTP/2 request is handled when all streams are in use. Default: wait. HTTP/1.1 opens connections up to its
        /// limit and then waits, or fails if this is `fail`.
        public var whenSaturated: Saturation
        /// The maximum number of concurrent streams on one HTTP/2 connection, even if the server allows more. Default: the
        /// server's limit.
        public var streamsPerConnection: Int
        /// The maximum number of connections in all. When another one is needed, the connection that has been idle the
        /// longest is closed; if none is idle, the request waits. 1 or more. Default 1,024.
        public var connections: Int
        /// The maximum number of requests that wait for a connection or stream, over all origins. Default 1,000,000.
        public var waitingRequests: Int
        /// How long a request waits for connections or streams that unread responses hold.
        ///
        /// A response holds its connection (HTTP/1.1) or stream (HTTP/2) until it is read or dropped. If nobody reads those
        /// responses although part of their bodies has arrived, a waiting request fails with `limitExceeded` after this
        /// time. Responses that are read slowly, and slow servers, do not count. nil: no limit. Checked once a second.
        /// Default 5 s.
        public var unreadTimeout: Duration?
        /// How long a connection may be idle before it is closed. It is never idle for longer, and never reused after that;
        /// it may be closed earlier by up to a twentieth of this time (1 s at most).
        ///
        /// Keep it below the idle timeout of servers and load balancers (60 s for many): a request that crosses the
        /// server's close may be lost. Default 50 s.
        public var idleTimeout: Duration
        /// The age at which a connection takes no new requests, so that a busy client notices when the host's addresses
        /// change. Requests in progress finish. A random part of up to a tenth is subtracted for each connection, so that
        /// connections opened together are not replaced together. nil: no limit. Default 10 min.
        public var maximumAge: Duration?
        /// The number of requests after which a connection is replaced, for servers that close connections after a fixed
        /// number (nginx: 1,000). Default: no limit.
        public var requestsPerConnection: Int
        /// Whether a host may share another host's open HTTP/2 connection if it resolves to the same address and the
        /// connection's certificate is valid for it (RFC 9113 section 9.1.1). Default false.
        public var coalesces: Bool

        /// Creates limits; those left out have their defaults.
        public init(
            http1ConnectionsPerOrigin: Int = 8, whenSaturated: Saturation = .queue, streamsPerConnection: Int = Int.max,
            connections: Int = 1_024, waitingRequests: Int = 1_000_000, unreadTimeout: Duration? = .seconds(5),
            idleTimeout: Duration = .seconds(50), maximumAge: Duration? = .seconds(600),
            requestsPerConnection: Int = Int.max, coalesces: Bool = false
        ) {
            self.http1ConnectionsPerOrigin = http1ConnectionsPerOrigin
            self.whenSaturated = whenSaturated
            self.streamsPerConnection = streamsPerConnection
            self.connections = connections
            self.waitingRequests = waitingRequests
            self.unreadTimeout = unreadTimeout
            self.idleTimeout = idleTimeout
            self.maximumAge = maximumAge
            self.requestsPerConnection = requestsPerConnection
            self.coalesces = coalesces
        }
    }

    /// When a failed request is retried.
    ///
    /// A request is retried only if the server cannot have processed it, or (see ``retriesIdempotent``) if its method is
    /// idempotent and the connection ended before the first byte of the response. Its body must be replayable. A request is
    /// never retried after ENHANCE_YOUR_CALM.
    public struct RetryPolicy: Sendable {
        /// The maximum number of attempts, the first one included. 1 turns retries off. Not counted are
        /// requests that a graceful GOAWAY left unprocessed, as long as that connection served something; those on kept-alive
        /// HTTP/1.1 connections that turned out to be closed (5 at most); and one repetition each after 417, 421,
        /// HTTP_1_1_REQUIRED, and early data that was sent in vain (425, or a handshake that failed). Default 4.
        public var maximumAttempts: Int
        /// The share of the last 10 seconds' requests that retries may add (0.2: a fifth more). Default 0.2.
        public var budget: Double
        /// The number of retries per second that is allowed in addition to ``budget``, for clients with few requests.
        /// Default 10.
        public var minimumRetriesPerSecond: Int
        /// The wait before the second attempt. It doubles with each further attempt; see also ``jitter``. Default 50 ms.
        public var backoff: Duration
        /// The longest wait between attempts. Default 10 s.
        public var maximumBackoff: Duration
        /// The random share of each wait, 0 to 1. Default 0.5: between half of the wait and all of it.
        public var jitter: Double
        /// The longest wait that is accepted from Retry-After. If the server asks for more, its response is returned as it
        /// is. Default: ``maximumBackoff``.
        public var maximumRetryAfter: Duration?
        /// Stop retrying this long after the call. The last response is then returned, or the last error thrown, at once.
        /// If that response has been dropped already, the call throws `H2Error` (`timeout`), which names its status.
        /// Default: no limit.
        public var maximumTime: Duration?
        /// Whether to retry idempotent requests whose connection closed before the first byte of the response (RFC 9110
        /// section 9.2.2). Default true.
        public var retriesIdempotent: Bool
        /// Whether ``retriesIdempotent`` also covers connections that had not served anything yet. A server that closes a
        /// new connection may do so because of this very request, and would do it again. Default false.
        public var retriesOnNewConnections: Bool
        /// Statuses after which idempotent requests are retried, such as 429, 502, 503 and 504. Default: none.
        public var statuses: Set<HTTPResponse.Status>

        /// Creates a policy; what is left out has its default.
        public init(
            maximumAttempts: Int = 4, budget: Double = 0.2, minimumRetriesPerSecond: Int = 10,
            backoff: Duration = .milliseconds(50), maximumBackoff: Duration = .seconds(10), jitter: Double = 0.5,
            maximumRetryAfter: Duration? = nil, maximumTime: Duration? = nil, retriesIdempotent: Bool = true,
            retriesOnNewConnections: Bool = false, statuses: Set<HTTPResponse.Status> = []
        ) {
            self.maximumAttempts = maximumAttempts
            self.budget = budget
            self.minimumRetriesPerSecond = minimumRetriesPerSecond
            self.backoff = backoff
            self.maximumBackoff = maximumBackoff
            self.jitter = jitter
            self.maximumRetryAfter = maximumRetryAfter
            self.maximumTime = maximumTime
            self.retriesIdempotent = retriesIdempotent
            self.retriesOnNewConnections = retriesOnNewConnections
            self.statuses = statuses
        }

        /// The default policy, plus retries after 429, 502, 503 and 504 that follow Retry-After.
        public static var withStatuses: RetryPolicy {
            RetryPolicy(statuses: [.tooManyRequests, .badGateway, .serviceUnavailable, .gatewayTimeout])
        }

        /// No retries. Early data that was sent in vain (``ConnectionConfiguration/TLS/sendsEarlyData``) is still sent
        /// again, and redirects, challenges and hedges are not retries.
        public static var never: RetryPolicy { RetryPolicy(maximumAttempts: 1) }
    }

    /// Limits on the load that a client puts on servers.
    public struct LoadLimits: Sendable {
        /// The maximum number of concurrent requests to one origin. Default: no limit.
        public var concurrentRequestsPerOrigin: Int
        /// The maximum number of concurrent requests in all. Default: no limit.
        public var concurrentRequests: Int
        /// The maximum number of requests per second to one origin (a token bucket that holds ``burst``). Default: no limit.
        public var requestsPerSecondPerOrigin: Double?
        /// How many requests may start at once after a pause if a rate is set. 1 or more. Default 1.
        public var burst: Int
        /// Adapts the number of concurrent requests to what the origin can take. Default: off.
        public var adaptive: Adaptive?

        /// Creates limits; those left out limit nothing.
        public init(
            concurrentRequestsPerOrigin: Int = Int.max, concurrentRequests: Int = Int.max,
            requestsPerSecondPerOrigin: Double? = nil, burst: Int = 1, adaptive: Adaptive? = nil
        ) {
            self.concurrentRequestsPerOrigin = concurrentRequestsPerOrigin
            self.concurrentRequests = concurrentRequests
            self.requestsPerSecondPerOrigin = requestsPerSecondPerOrigin
            self.burst = burst
            self.adaptive = adaptive
        }

        /// A limit on concurrent requests that adapts to the server.
        ///
        /// It rises by one after each round of good responses. It falls by a factor after 429, 503, REFUSED_STREAM and
        /// ENHANCE_YOUR_CALM, and when responses take much longer than before (additive increase, multiplicative decrease).
        /// If the server sends Retry-After or RateLimit fields, no requests go to that origin until then.
        public struct Adaptive: Sendable {
            /// The number of concurrent requests at the start. Default 8.
            public var initial: Int
            /// The smallest value of the limit. Default 1.
            public var minimum: Int
            /// The largest value of the limit. Default 1,000.
            public var maximum: Int
            /// The factor by which the limit falls when the server is overloaded. Default 0.7.
            public var decreaseFactor: Double
            /// The server counts as overloaded when responses take this many times longer than the fastest ones. Default 3.
            public var latencyTolerance: Double
            /// The longest time that a Retry-After or RateLimit field may hold back an origin's requests. Default 60 s.
            public var maximumPause: Duration

            /// Creates a limit; what is left out has its default.
            public init(
                initial: Int = 8, minimum: Int = 1, maximum: Int = 1_000, decreaseFactor: Double = 0.7,
                latencyTolerance: Double = 3.0, maximumPause: Duration = .seconds(60)
            ) {
                self.initial = initial
                self.minimum = minimum
                self.maximum = maximum
                self.decreaseFactor = decreaseFactor
                self.latencyTolerance = latencyTolerance
                self.maximumPause = maximumPause
            }
        }
    }
}

extension HTTPClient.Configuration {
    /// Whether any request may be sent as early data.
    var sendsEarlyData: Bool {
        connection.tls.sendsEarlyData || originTLS.values.contains { $0.sendsEarlyData }
    }

    /// Replaces placeholders with new loops for the client's own use, and returns those.
    mutating func makeOwnLoops() -> [H2EventLoop] {
        var made: [H2EventLoop] = []
        for index in eventLoops.indices where eventLoops[index] === H2EventLoop.placeholder {
            let loop = H2EventLoop()
            eventLoops[index] = loop
            made.append(loop)
        }
        return made
    }

    /// Whether a request goes directly from its caller to the pool.
    var needsNoFlow: Bool {
        interceptors.isEmpty && authentication == nil && cookies == nil && strictTransport == nil
            && !proxySettings.asks
    }

    /// The client's own proxies, or else those of its connection settings.
    var proxySettings: HTTPClient.ProxySettings {
        if case .none = proxies.source { connection.proxies } else { proxies }
    }
}
