/// Requests for a connection other than those that already carry the request.
extension PoolState {
    /// A connection for another copy of a request, not one of `avoided`, which carry the other copies.
    ///
    /// It counts like any request, but comes after all others: it fails (`noOther`) if it would have to wait for a
    /// limit, for room, or behind another request. It may wait for a dial, which it starts if the limits allow one.
    mutating func leaseOther(_ key: OriginKey, than avoided: [ConnectionKey]) -> LeaseResult {
        let origin = origins.find(key)
        precondition(origin != noSlot, "the origin was removed")
        guard life == .running else { return .fail(.shutDown) }
        guard origins[origin].waitingAhead == 0, gate(origin) == .open else { return .fail(.noOther) }
        let connection = freeOther(origin, than: avoided)
        if connection != noSlot, takeToken(origin) {
            begin(origin, on: connection)
            let key = connections.key(connection)
            processPending()
            return .use(key)
        }
        guard connection == noSlot, waiters.count < waitingLimit, mayComeForOther(origin) else {
            processPending()
            return .fail(.noOther)
        }
        let waiter = enqueue(origin, kind: .other)
        let waiterKey = waiters.key(waiter)
        self.avoided[waiterKey] = avoided
        markPending(origin)
        processPending()
        return .wait(waiterKey)
    }

    /// The connection with the fewest streams, or over HTTP/1.1 the most recently used one, except those to avoid.
    private mutating func freeOther(_ origin: Int32, than avoided: [ConnectionKey]) -> Int32 {
        var best = noSlot
        var fewest = Int32.max
        var next = origins[origin].http2.first
        while next != noSlot {
            let slot = next
            next = connections[slot].list.next
            if isFreeOther(slot, than: avoided), connections[slot].streams < fewest {
                (best, fewest) = (slot, connections[slot].streams)
            }
        }
        let shared = origins[origin].shared
        if shared != noSlot, isFreeOther(shared, than: avoided), connections[shared].streams < fewest { best = shared }
        guard best == noSlot else { return best }
        next = origins[origin].idleHTTP1.first
        while next != noSlot {
            let slot = next
            next = connections[slot].list.next
            if isFreeOther(slot, than: avoided) { return slot }
        }
        return noSlot
    }

    private mutating func isFreeOther(_ slot: Int32, than avoided: [ConnectionKey]) -> Bool {
        guard connections[slot].usableUntil > now else {
            retire(slot, whyUnusable(slot))
            return false
        }
        return connections[slot].streams < connections[slot].limit && !avoided.contains(connections.key(slot))
    }

    /// Whether a dial that is in progress, or that may be started, serves one more of these requests.
    private mutating func mayComeForOther(_ origin: Int32) -> Bool {
        if origins[origin].failures > 0, origins[origin].dialsHeldUntil > now { return false }
        let others = Int(origins[origin].others.count)
        let dials = Int(origins[origin].dials.count)
        let hasRoom = living < connectionLimit && room.isEmpty
        if mode(origin) == .http1 { return dials > others || hasRoom && origins[origin].occupied < http1Limit }
        origins[origin].mayHaveSecond = true
        let coming = dials - Int(origins[origin].dialingHTTP1)
        if others < coming * Int(origins[origin].typicalStreams) { return true }
        return hasRoom && origins[origin].serving + coming < http2Limit(origin)
    }

    /// Gives a connection to the first of these requests. Returns false if there is none for it.
    mutating func serveOther(_ origin: Int32, gate: Gate, _ left: inout Int) -> Bool {
        let waiter = origins[origin].others.first
        guard waiter != noSlot, gate == .open else { return false }
        let key = waiters.key(waiter)
        let connection = freeOther(origin, than: avoided[key] ?? [])
        guard connection != noSlot else { return false }
        guard left > 0 else {
            waitForLimit(origin)
            return false
        }
        guard takeToken(origin) else { return false }
        left -= 1
        actions.append(.assign(key, connections.key(connection)))
        dequeue(waiter)
        begin(origin, on: connection)
        return true
    }

    /// Fails the requests that are still waiting when no dial is in progress any more: the new connections were full,
    /// of another kind, or taken by requests ahead of them.
    mutating func failStrandedOthers(_ origin: Int32) {
        while origins[origin].others.first != noSlot, origins[origin].dials.isEmpty {
            fail(origins[origin].others.first, .noOther)
        }
    }
}
