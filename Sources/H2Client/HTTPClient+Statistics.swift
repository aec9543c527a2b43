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

        /// Origins that have a connection, or had one until recently, in no particular order.
        public var origins: [OriginStatistics] = []
        /// Requests given to a connection; each attempt counts.
        public var requests = 0
        /// The part of ``requests`` that went over a connection that had been given a request before.
        public var requestsOnReusedConnections = 0
        /// Connections opened so far.
        public var connectionsOpened = 0
        /// Connections open now.
        public var connectionsOpen = 0
        /// TLS handshakes made.
        public var handshakes = 0
        /// The part of ``handshakes`` that resumed a session.
        public var handshakesResumed = 0
        /// The additional handshakes that a new connection for each request would have needed.
        public var handshakesSaved = 0
        /// Requests that were retried; each retry counts.
        public var retries = 0
        /// Bytes sent on all connections, before TLS.
        public var bytesSent = 0
        /// Bytes received on all connections, before TLS.
        public var bytesReceived = 0

        /// Creates the statistics of a new client. For tests, which set what they need.
        public init() {}

        /// The share of requests that went over a connection that had been given a request before; 0 without requests.
        public var reuseRatio: Double {
            requests == 0 ? 0 : Double(requestsOnReusedConnections) / Double(requests)
        }
    }
}
