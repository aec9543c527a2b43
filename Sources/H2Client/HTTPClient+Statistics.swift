extension HTTPClient {
    /// What a client has done since it was made, and what it holds at this moment.
    public struct Statistics: Sendable, Hashable {
        /// Of one origin.
        public struct OriginStatistics: Sendable, Hashable {
            /// Whose figures these are.
            public var origin: Origin
            /// Which version it chose; nil before it did.
            public var version: HTTPVersion?
            /// Its connections: being opened, serving, idle, and finishing what they have.
            public var connecting = 0
            public var active = 0
            public var idle = 0
            public var draining = 0
            /// Requests under way, and those that wait.
            public var openStreams = 0
            public var waitingRequests = 0
        }

        /// Origins that have, or had until lately, a connection, in no order.
        public var origins: [OriginStatistics] = []
        /// Requests given to a connection, each attempt of its own.
        public var requests = 0
        /// Of these: on a connection that had been given one before.
        public var requestsOnReusedConnections = 0
        /// Connections that were opened.
        public var connectionsOpened = 0
        /// Connections that are there.
        public var connectionsOpen = 0
        /// TLS handshakes that were made, and how many of them resumed a session.
        public var handshakes = 0
        public var handshakesResumed = 0
        /// Handshakes that a new connection for each request would have needed beyond those.
        public var handshakesSaved = 0
        /// Requests that were sent again.
        public var retries = 0
        /// Bytes on the wire, before TLS, of all connections.
        public var bytesSent = 0
        public var bytesReceived = 0

        /// The share of requests that went over a connection that had been given one before; 0 without requests.
        public var reuseRatio: Double {
            requests == 0 ? 0 : Double(requestsOnReusedConnections) / Double(requests)
        }
    }
}
