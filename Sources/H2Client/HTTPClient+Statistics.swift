extension HTTPClient {
    /// Figures of a client since it was created, and its state at this moment. See ``HTTPClient/statistics()``.
    public struct Statistics: Sendable, Hashable {
        /// The connections and requests of one origin.
        public struct OriginStatistics: Sendable, Hashable {
            /// The origin.
            public var origin: Origin
            /// The version of HTTP that the server chose; nil before the first connection.
            public var version: HTTPProtocolVersion?
            /// Connections that are being opened.
            public var connecting = 0
            /// Connections that serve at least one request.
            public var active = 0
            /// Connections that serve no request.
            public var idle = 0
            /// Connections that take no new requests and finish those in progress.
            public var draining = 0
            /// Requests in progress.
            public var openStreams = 0
            /// Requests that wait for a connection or stream.
            public var waitingRequests = 0

            /// Creates the statistics of an origin without connections. For tests, which set what they need.
            public init(origin: Origin, version: HTTPProtocolVersion? = nil) {
                self.origin = origin
                self.version = version
            }
        }

        /// The connections to one proxy that serve more than one origin: those that forward requests to `http` origins,
        /// and HTTP/2 connections that carry tunnels. A tunnel through any other proxy is a separate connection, which
        /// belongs to its origin.
        public struct ProxyStatistics: Sendable, Hashable {
            /// The proxy, as a URL without user name and password.
            public var proxy: String
            /// The HTTP version spoken with the proxy; nil before the first connection.
            public var version: HTTPProtocolVersion?
            /// Connections that are being opened to forward requests.
            public var connecting = 0
            /// Connections that forward at least one request, or carry at least one tunnel.
            public var active = 0
            /// Connections that do neither.
            public var idle = 0
            /// Connections that accept nothing new and finish the requests in progress.
            public var draining = 0
            /// Forwarded requests in progress.
            public var openStreams = 0
            /// Requests that wait to be forwarded.
            public var waitingRequests = 0
            /// Tunnels that are open.
            public var tunnels = 0
            /// Connections opened so far. If there are more than 1,000 proxies, unused ones are forgotten.
            public var connectionsOpened = 0
            /// Tunnels opened so far.
            public var tunnelsOpened = 0

            /// Creates the statistics of a proxy without connections. For tests, which set what they need.
            public init(proxy: String, version: HTTPProtocolVersion? = nil) {
                self.proxy = proxy
                self.version = version
            }
        }

        /// Origins that have a connection, or had one until recently, in no particular order. Those whose requests a proxy
        /// forwards have none: see ``proxies``.
        public var origins: [OriginStatistics] = []
        /// Proxies that have, or had, a connection that serves more than one origin, in no particular order.
        public var proxies: [ProxyStatistics] = []
        /// Requests given to a connection; each attempt counts.
        public var requests = 0
        /// The part of ``requests`` that went over a connection that had been given a request before.
        public var requestsOnReusedConnections = 0
        /// Connections opened so far, to origins and to proxies that forward requests. A connection inside a tunnel
        /// counts; one that carries tunnels does not, and is counted in ``proxies``.
        public var connectionsOpened = 0
        /// Currently open connections, among those that ``connectionsOpened`` counts.
        public var connectionsOpen = 0
        /// TLS handshakes made.
        public var handshakes = 0
        /// The part of ``handshakes`` that resumed a session.
        public var handshakesResumed = 0
        /// The part of ``handshakes`` with early data that the server accepted. See
        /// ``ConnectionConfiguration/TLS/sendsEarlyData``.
        public var earlyDataAccepted = 0
        /// The part of ``handshakes`` with early data that the server rejected, so that it was sent again.
        public var earlyDataRejected = 0
        /// The additional handshakes that a new connection for each request would have needed.
        public var handshakesSaved = 0
        /// Requests that were retried; each retry counts.
        public var retries = 0
        /// Additional copies of slow requests that were sent (``HTTPClient/HedgingPolicy``); each also counts in
        /// ``requests``.
        public var hedges = 0
        /// The part of ``hedges`` whose response was returned.
        public var hedgesWon = 0
        /// Additional copies that were not sent because the budget was used up.
        public var hedgesRefused = 0
        /// Bytes sent on all connections that ``connectionsOpened`` counts, before TLS.
        public var bytesSent = 0
        /// Bytes received on the same connections, before TLS.
        public var bytesReceived = 0

        /// Creates the statistics of a new client. For tests, which set what they need.
        public init() {}

        /// The share of requests that went over a connection that had been given a request before; 0 without requests.
        public var reuseRatio: Double {
            requests == 0 ? 0 : Double(requestsOnReusedConnections) / Double(requests)
        }
    }
}
