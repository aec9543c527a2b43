// Connections report to their owner, on their loops.

extension ConnectionPool {
    func released(_ connection: Connection, _ exchange: Exchange) {
        if configuration.loadLimits.adaptive != nil { learn(from: exchange) }
        released(connection, exchange.origin, mayReuse: true)
        tell(
            .attemptFinished(exchange.outcome), origin: origin(of: exchange), connection: exchange.connectionID,
            request: exchange.requestID)
        if connection.isDraining { letGoIfForgotten(connection) }
    }

    /// A closed connection without counted requests needs no owner: keeping one of its responses must not keep the whole client
    /// alive. Called on its loop.
    func letGoIfForgotten(_ connection: Connection) {
        let isForgotten = lock.withLock { !state.remembers(connection.key) }
        if isForgotten { connection.disown() }
    }

    func streamLimitChanged(_ connection: Connection, to limit: Int) {
        change { $0.streamLimitChanged(connection.key, to: limit) }
    }

    func doubted(_ connection: Connection) { change { $0.doubted(connection.key) } }
    func trusted(_ connection: Connection) { change { $0.trusted(connection.key) } }
    func draining(_ connection: Connection, why: H2Error, answers: Int?) {
        // Until its early handshake is over, it is not open for those who follow the events.
        if let early = connection.early, early.isPending {
            early.whenEstablished = { [tellOfOpening = early.whenEstablished] in
                tellOfOpening?()
                self.tellOfDraining(connection, why)
            }
        } else {
            tellOfDraining(connection, why)
        }
        let reason = connection.isUsedUp ? CloseReason.identifiersUsed : .serverSaid
        change { $0.draining(connection.key, served: answers, because: reason) }
    }

    private func tellOfDraining(_ connection: Connection, _ why: H2Error) {
        tell(.connectionDraining(reason: why.message), origin: connection.info.origin, connection: connection.info.id)
    }

    func stalled(_ connection: Connection, _ isStalled: Bool) {
        change { $0.stalled(connection.key, isStalled) }
    }

    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?) {
        // A request sent at the last moment would cross the server's close, so leave a margin of a tenth of the time, at least
        // half a second.
        let margin = UInt64(500_000_000)
        change { state in
            let idleUntil = idle.map { idle in
                let time = idle.clampedNanoseconds
                return now &+ (time > 2 * margin ? time - max(margin, time / 10) : time / 2)
            }
            state.serverLimits(connection.key, requests: requests, idleUntil: idleUntil)
        }
    }

    func closed(_ connection: Connection, why: H2Error) {
        let snapshot = connection.snapshot()
        let early = connection.early
        let isEstablished = early == nil || early?.info != nil
        tell(
            isEstablished
                ? .connectionClosed(reason: why.message, requests: connection.requests)
                : .connectFailed(early?.failure ?? why),
            origin: connection.info.origin, connection: connection.info.id)
        let key = connection.key
        change { state in
            // Without an established handshake it is a dial that failed.
            if isEstablished {
                figures.bytesSent += snapshot.bytesSent
                figures.bytesReceived += snapshot.bytesReceived
            } else if connection.info.origin.scheme == .https, let early {
                // They need another connection, with its own handshake.
                figures.secureRequests -= early.requests
            }
            members[key.slot] = .none
            state.closed(key)
        }
        // Only after it has reported the requests on it.
        connection.loop.execute { self.letGoIfForgotten(connection) }
    }
}
