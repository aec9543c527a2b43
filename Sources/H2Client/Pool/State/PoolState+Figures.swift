/// Figures for statistics, and invariants.
extension PoolState {
    /// An origin's current figures. A busy or held connection is active; one that was told to close and is not gone yet is
    /// draining.
    struct Figures: Hashable, Sendable {
        var dialing = 0
        var http1Active = 0
        var http1Idle = 0
        var http2Active = 0
        var http2Idle = 0
        var draining = 0
        /// Requests in progress on the connections of this origin, for any origin.
        var streams = 0
        /// Requests of this origin in progress, and waiting.
        var inFlight = 0
        var waiting = 0

        /// Connections that are established and not yet gone.
        var connected: Int { http1Active + http1Idle + http2Active + http2Idle + draining }
    }

    /// The figures of each origin with connections, waiting requests or requests in progress. Visits every connection.
    func figures() -> [(OriginKey, Figures)] {
        var all = [Figures](repeating: Figures(), count: origins.bound)
        for index in 0..<connections.bound where connections.isTaken(index) {
            let connection = connections[Int32(index)]
            all[Int(connection.origin)].count(connection)
        }
        return (0..<origins.bound).compactMap { index in
            guard origins.isTaken(index), !origins[Int32(index)].isUnused else { return nil }
            all[index].inFlight = origins[Int32(index)].inFlight
            all[index].waiting = origins[Int32(index)].waiting
            return (origins.key(Int32(index)), all[index])
        }
    }
}

extension PoolState.Figures {
    fileprivate mutating func count(_ connection: ConnectionRecord) {
        streams += Int(connection.streams)
        switch (connection.state, connection.version) {
        case (.dialing, _): dialing += 1
        case (.open, _) where connection.isShakingHands, (.held, _) where connection.isShakingHands,
            (.draining, _) where connection.isShakingHands:
            dialing += 1
        case (.open, .http1): if connection.isFree { http1Idle += 1 } else { http1Active += 1 }
        case (.open, _): if connection.isFree { http2Idle += 1 } else { http2Active += 1 }
        case (.held, _), (.draining, _), (.closing, _): draining += 1
        case (.gone, _): break
        }
    }
}
