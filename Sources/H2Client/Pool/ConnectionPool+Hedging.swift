// Connections for additional copies of requests, with their budget and figures.

extension ConnectionPool {
    /// The result of a checkout for another copy.
    enum HedgeCheckout {
        case use(Connection, OriginEntry, isReused: Bool)
        case wait(Ticket, OriginEntry)
        /// The copy is not sent.
        case refused
    }

    /// A connection for another copy of a request; not one of those that carry the other copies.
    /// - Parameter policy: the one whose budget the copy counts against; nil if it has been counted.
    func leaseHedge(
        to key: OriginKey, avoiding others: [Connection], _ policy: HTTPClient.HedgingPolicy?
    ) -> HedgeCheckout {
        locked {
            // The origin may have been forgotten if the other copies are over.
            guard let entry = originsBySlot[key.slot], entry.key == key else { return .refused }
            let now = now
            guard !hedgeLimits.isPaused(key, now: now) else { return .refused }
            if let policy, !hedgeLimits.hasLeft(policy, now: now) {
                figures.hedgesRefused += 1
                return .refused
            }
            state.advance(to: now)
            let result = state.leaseOther(key, than: others.map(\.key))
            var ticket: Ticket?
            if case .wait(let waiter) = result { ticket = issueTicket(waiter, key, since: now) }
            if !state.actions.isEmpty { perform() }
            switch result {
            case .fail: return .refused
            case .wait: break
            case .use(let connectionKey):
                guard case .open(let connection) = members[connectionKey.slot] else {
                    preconditionFailure("the state leases what is open")
                }
                if let policy { hedgeLimits.take(policy) }
                if entry.origin.scheme == .https { figures.secureRequests += 1 }
                return .use(connection, entry, isReused: noteGiven(connection))
            }
            guard let ticket else { preconditionFailure("who waits has a ticket") }
            // Not given back if the copy is not sent after all: its connection was dialled for it.
            if let policy { hedgeLimits.take(policy) }
            return .wait(ticket, entry)
        }
    }

    /// Takes back a connection on which nothing was sent.
    func returnUnused(_ connection: Connection, _ origin: OriginKey) {
        connection.loop.execute { [self] in
            change { state in
                state.returnedUnused(Lease(connection: connection.key, origin: origin))
                if connection.info.origin.scheme == .https { figures.secureRequests -= 1 }
            }
            if connection.isDraining { letGoIfForgotten(connection) }
        }
    }

    /// A request that may be hedged was sent.
    func countHedgeable() { lock.withLock { hedgeLimits.sent(now: now) } }

    func countHedge() { lock.withLock { figures.hedges += 1 } }
    func countHedgeWon() { lock.withLock { figures.hedgesWon += 1 } }

    /// Stops hedges to the origin of this exchange for this many nanoseconds.
    func pauseHedges(_ exchange: Exchange, for time: UInt64) {
        lock.withLock { hedgeLimits.pause(exchange.origin, for: time, now: now) }
    }
}
