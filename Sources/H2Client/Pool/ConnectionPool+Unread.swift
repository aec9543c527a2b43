// Requests that wait because nobody reads earlier responses. An unread response holds an HTTP/1.1 connection or a stream until
// it is read or dropped, and the waiting caller may be the one who should read it.

/// Unread responses of an origin.
struct UnreadResponses {
    var count = 0
    /// When the last of them became unread.
    var since: UInt64 = 0

    mutating func add(_ time: UInt64) {
        count += 1
        since = max(since, time)
    }
}

extension ConnectionPool {
    /// The delay of the first look for unread responses after a request starts to wait, and the interval after that: 100 ms
    /// and 1 s, less if the patience is short.
    private var unreadLooks: (first: UInt64, next: UInt64) {
        let patience = configuration.pool.unreadTimeout?.clampedNanoseconds ?? .max
        let next = max(min(1_000_000_000, patience / 4), 1_000_000)
        return (min(100_000_000, next), next)
    }

    /// A request starts to wait. Called under the lock.
    func watchUnread() {
        if unreadAlarm == nil { setUnreadAlarm(after: unreadLooks.first) }
    }

    private func setUnreadAlarm(after nanoseconds: UInt64) {
        unreadAlarm = LoopAlarm(clock, after: nanoseconds) { self.lookForUnread() }
    }

    /// Asks each connection on its loop; the last answer completes the look.
    private func lookForUnread() {
        let connections = locked { () -> [Connection] in
            guard state.waiters.count > 0 else {
                (unreadAlarm, unread) = (nil, [:])
                return []
            }
            let connections = openConnections()
            (unreadAnswers, unreadFound) = (connections.count, [:])
            if connections.isEmpty { endUnreadLook() }
            return connections
        }
        for connection in connections {
            connection.loop.execute { self.looked(at: connection) }
        }
    }

    /// Called on the connection's loop.
    private func looked(at connection: Connection) {
        var found: [(lease: UInt64, since: UInt64)] = []
        let now = connection.loop.now
        connection.session.forEachOpenStream { stream in
            guard let exchange = stream as? Exchange, let since = exchange.unreadSince(now: now) else { return }
            found.append((exchange.lease, since))
        }
        locked {
            for response in found { unreadFound[response.lease, default: UnreadResponses()].add(response.since) }
            unreadAnswers -= 1
            if unreadAnswers == 0 { endUnreadLook() }
        }
    }

    /// Called under the lock.
    private func endUnreadLook() {
        unread = unreadFound
        unreadFound = [:]
        if let patience = configuration.pool.unreadTimeout { failBehindUnread(patience) }
        setUnreadAlarm(after: unreadLooks.next)
    }

    /// The unread responses of an origin, if nothing else is in progress there. Called under the lock.
    private func unreadHolding(_ origin: OriginKey) -> UnreadResponses? {
        state.advance(to: now)
        guard let found = unread[origin.packed], state.isHeldUp(origin, by: found.count) else { return nil }
        return found
    }

    private func failBehindUnread(_ patience: Duration) {
        guard !unread.isEmpty else { return }
        let (now, limit) = (now, patience.clampedNanoseconds)
        var errors: [UInt64: H2Error] = [:]
        for origin in unread.keys {
            guard let found = unreadHolding(OriginKey(packed: origin)), found.since.saturatingSum(limit) <= now else {
                continue
            }
            errors[origin] = H2Error.behindUnread(found.count, patience)
        }
        guard !errors.isEmpty else { return }
        for slot in waiting.indices {
            guard let ticket = waiting[slot], let error = errors[ticket.origin.packed],
                ticket.since.saturatingSum(limit) <= now, ticket.decide(.failure(error), into: &due)
            else { continue }
            waiting[slot] = nil
            _ = state.giveUp(ticket.waiter)
        }
        if !state.actions.isEmpty { perform() }
    }

    /// The deadline of a waiting request has passed. If unread responses are the cause, the error says so. Called on the
    /// clock's loop.
    func timedOut(_ ticket: Ticket, _ deadline: Deadline) {
        var error = H2Error.timeout(deadline.phase, deadline.limit, stream: 0)
        if let found = lock.withLock({ unreadHolding(ticket.origin) }) {
            error.add(unread: found.count, of: "this origin")
        }
        giveUp(ticket, error)
    }
}
