import Synchronization

extension OriginServer {
    /// Counts of a server's work since it started. See ``OriginServer/statistics-swift.property``.
    public struct Statistics: Sendable, Hashable {
        /// Connections that were accepted.
        public var connectionsAccepted = 0
        /// Connections that are open now, including those in their handshake.
        public var connectionsOpen = 0
        /// The maximum number of connections that were open at once.
        public var connectionsPeak = 0
        /// Connections that used HTTP/1.1. Some connections end before their version is known.
        public var http1Connections = 0
        /// Connections that used HTTP/2.
        public var http2Connections = 0
        /// Requests whose header fields have arrived.
        public var requests = 0
        /// Requests over HTTP/1.1.
        public var http1Requests = 0
        /// Requests over HTTP/2.
        public var http2Requests = 0
        /// Messages that were not valid HTTP/1.1 and were answered with an error. They do not count as requests.
        public var http1Malformed = 0
        /// Requests that are open now, over all connections: HTTP/2 streams, and unanswered HTTP/1.1 requests.
        public var streamsOpen = 0
        /// The maximum number of requests that were open at once, over all connections.
        public var streamsPeak = 0
        /// Requests that were refused because all workers were busy and the queue was full.
        public var requestsRefused = 0
        /// Connections that were ended because a head or the preface took too long, or the client stopped reading.
        public var connectionsTimedOut = 0
        /// Connections that were ended for a flood of frames without content.
        public var connectionsFlooding = 0
        /// Requests that were ended because their body, or the reading of their response, made no progress for too long.
        public var requestsTimedOut = 0
        /// Requests that were refused or ended because too many were open, or too many bytes were held for them.
        public var requestsOverLimit = 0
        /// Bytes of memory that are held for requests now.
        public var bytesHeld = 0
        /// Requests that wait for a worker now.
        public var requestsWaiting = 0
        /// Workers that are busy now.
        public var workersBusy = 0
        /// Bytes received on all connections, before TLS.
        public var bytesReceived = 0
        /// Bytes sent on all connections, before TLS.
        public var bytesSent = 0

        /// Connections that have closed, including those refused at accept because there were too many.
        public var connectionsClosed: Int { connectionsAccepted - connectionsOpen }

        /// The statistics as a JSON object, with members named like the properties.
        var json: String {
            let members = [
                ("connectionsAccepted", connectionsAccepted), ("connectionsOpen", connectionsOpen),
                ("connectionsClosed", connectionsClosed), ("connectionsPeak", connectionsPeak),
                ("http1Connections", http1Connections), ("http2Connections", http2Connections),
                ("requests", requests), ("http1Requests", http1Requests), ("http2Requests", http2Requests),
                ("http1Malformed", http1Malformed), ("streamsOpen", streamsOpen), ("streamsPeak", streamsPeak),
                ("requestsRefused", requestsRefused), ("requestsWaiting", requestsWaiting),
                ("connectionsTimedOut", connectionsTimedOut), ("connectionsFlooding", connectionsFlooding),
                ("requestsTimedOut", requestsTimedOut), ("requestsOverLimit", requestsOverLimit),
                ("bytesHeld", bytesHeld), ("workersBusy", workersBusy), ("bytesReceived", bytesReceived),
                ("bytesSent", bytesSent),
            ]
            return "{" + members.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}\n"
        }
    }
}

/// Counters that only the loop's thread writes, so that adding needs no locked instruction, and that any thread reads.
final class Counters: Sendable {
    struct Counter: ~Copyable {
        private let value = Atomic<Int>(0)

        @inline(__always)
        func add(_ amount: Int) {
            value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }

        func raise(to amount: Int) {
            if amount > value.load(ordering: .relaxed) { value.store(amount, ordering: .relaxed) }
        }

        var current: Int { value.load(ordering: .relaxed) }
    }

    let connectionsAccepted = Counter()
    let connectionsOpen = Counter()
    let connectionsPeak = Counter()
    let http1Connections = Counter()
    let http2Connections = Counter()
    let requests = Counter()
    let http1Requests = Counter()
    let http2Requests = Counter()
    let http1Malformed = Counter()
    let streamsOpen = Counter()
    let streamsPeak = Counter()
    let requestsRefused = Counter()
    let connectionsTimedOut = Counter()
    let connectionsFlooding = Counter()
    let requestsTimedOut = Counter()
    let requestsOverLimit = Counter()
    let bytesHeld = Counter()
    let requestsWaiting = Counter()
    let workersBusy = Counter()
    let bytesReceived = Counter()
    let bytesSent = Counter()

    var snapshot: OriginServer.Statistics {
        OriginServer.Statistics(
            connectionsAccepted: connectionsAccepted.current, connectionsOpen: connectionsOpen.current,
            connectionsPeak: connectionsPeak.current, http1Connections: http1Connections.current,
            http2Connections: http2Connections.current, requests: requests.current,
            http1Requests: http1Requests.current, http2Requests: http2Requests.current,
            http1Malformed: http1Malformed.current, streamsOpen: streamsOpen.current, streamsPeak: streamsPeak.current,
            requestsRefused: requestsRefused.current, connectionsTimedOut: connectionsTimedOut.current,
            connectionsFlooding: connectionsFlooding.current, requestsTimedOut: requestsTimedOut.current,
            requestsOverLimit: requestsOverLimit.current, bytesHeld: bytesHeld.current,
            requestsWaiting: requestsWaiting.current,
            workersBusy: workersBusy.current, bytesReceived: bytesReceived.current, bytesSent: bytesSent.current)
    }
}
