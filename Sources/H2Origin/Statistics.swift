import Synchronization

extension OriginServer {
    /// What an origin has done since it started.
    public struct Statistics: Sendable, Hashable {
        /// Connections that were accepted.
        public var connectionsAccepted = 0
        /// Connections that are open now, those that shake hands included.
        public var connectionsOpen = 0
        /// Requests whose header fields have arrived.
        public var requests = 0
        /// Streams that are open now, over all connections.
        public var streamsOpen = 0
        /// The most streams that were open at once, over all connections.
        public var streamsPeak = 0
        /// Bytes as HTTP/2 counts them (frames, before TLS).
        public var bytesReceived = 0
        public var bytesSent = 0
    }
}

/// Counters that the loop's thread alone writes, so that adding needs no locked instruction, and that any thread reads.
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
    let requests = Counter()
    let streamsOpen = Counter()
    let streamsPeak = Counter()
    let bytesReceived = Counter()
    let bytesSent = Counter()

    var snapshot: OriginServer.Statistics {
        OriginServer.Statistics(
            connectionsAccepted: connectionsAccepted.current, connectionsOpen: connectionsOpen.current,
            requests: requests.current, streamsOpen: streamsOpen.current, streamsPeak: streamsPeak.current,
            bytesReceived: bytesReceived.current, bytesSent: bytesSent.current)
    }
}
