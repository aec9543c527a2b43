/// The queues and their order.
extension PoolState {
    /// Whether requests to an origin may begin.
    enum Gate {
        case open
        /// Until a time in `holds`, due to the rate or a pause that the server asked for.
        case held
        /// Until a request to this origin is over.
        case full
        /// Until a request to any origin is over.
        case clientFull
    }

    // MARK: LoadLimits

    @inline(__always)
    func gate(_ origin: Int32) -> Gate {
        if origins[origin].heldUntil > now { return .held }
        if origins[origin].inFlight >= requestsPerOrigin { return .full }
        if adaptive != nil {
            if origins[origin].adaptive?.pausedUntil ?? 0 > now { return .held }
            if origins[origin].inFlight >= origins[origin].adaptive?.limit ?? .max { return .full }
        }
        return inFlight >= requestLimit ? .clientFull : .open
    }

    /// How many more requests the load limits allow. The rate may allow fewer.
    func allowance(_ origin: Int32) -> Int {
        guard origins[origin].heldUntil <= now else { return 0 }
        var allowed = min(requestsPerOrigin - origins[origin].inFlight, requestLimit - inFlight)
        if adaptive != nil {
            guard origins[origin].adaptive?.pausedUntil ?? 0 <= now else { return 0 }
            allowed = min(allowed, (origins[origin].adaptive?.limit ?? .max) - origins[origin].inFlight)
        }
        return max(0, rate == nil ? allowed : min(allowed, burst))
    }

    /// Takes a token of the origin's rate, or sets the time until which it is held.
    @inline(__always)
    mutating func takeToken(_ origin: Int32) -> Bool {
        guard let rate else { return true }
        return takeToken(origin, rate: rate)
    }

    private mutating func takeToken(_ origin: Int32, rate: Double) -> Bool {
        if origins[origin].bucket == nil {
            origins[origin].bucket = TokenBucket(perSecond: rate, burst: burst, now: now)
        }
        guard let when = origins[origin].bucket?.take(now: now) else { return true }
        // A bucket that asks to come back at once would be asked endlessly.
        origins[origin].heldUntil = max(when, now + 1)
        return false
    }

    /// Has `tick` process an origin at a given time.
    mutating func look(at origin: Int32, _ time: UInt64) {
        guard time < origins[origin].wakesAt else { return }
        origins[origin].wakesAt = time
        holds.insert(Hold(time: time, origin: origins.key(origin)))
        wake(at: time)
    }

    // MARK: Queueing

    mutating func leaseOrWait(_ origin: Int32, kind: LeaseKind) -> LeaseResult {
        guard life == .running else { return .fail(.shutDown) }
        if kind.contains(.http1), !allowsHTTP1 { return .fail(.http1NotAllowed) }
        if kind.contains(.own) {
            leaveShared(origin)
            // Requests already waiting may be waiting for the shared connection.
            markPending(origin)
            origins[origin].mayCoalesce = false
            origins[origin].wantsOwn = origins[origin].http2.isEmpty
        }
        if let connection = takeAtOnce(origin, kind: kind) {
            let key = connections.key(connection)
            processPending()
            return .use(key)
        }
        if saturation == .fail, !kind.contains(.replay), isSaturated(origin, kind: kind) {
            processPending()
            return .fail(.saturated)
        }
        guard waiters.count < waitingLimit else {
            processPending()
            return .fail(.tooManyWaiting)
        }
        let waiter = enqueue(origin, kind: kind)
        let key = waiters.key(waiter)
        markPending(origin)
        processPending()
        return .wait(key)
    }

    private mutating func takeAtOnce(_ origin: Int32, kind: LeaseKind) -> Int32? {
        let http1 = kind.contains(.http1)
        let isAlone = origins[origin].waitingAhead == 0
        if kind.contains(.exclusive) {
            var connection = http1 ? noSlot : leastLoaded(origin)
            if connection == noSlot, isAlone { connection = lastUsed(origin) }
            guard connection != noSlot else { return nil }
            hold(connection)
            return connection
        }
        guard isAlone, gate(origin) == .open else { return nil }
        let connection =
            http1 ? lastUsed(origin) : freeConnection(origin)
        guard connection != noSlot, takeToken(origin) else { return nil }
        begin(origin, on: connection)
        return connection
    }

    /// Marks a connection as held.
    private mutating func hold(_ slot: Int32) {
        idle.drop(slot, idles, connections.memory)
        connections[slot].usableUntil = connections[slot].ageLimit
        if connections[slot].version == .http1 {
            origins[connections[slot].origin].idleHTTP1.remove(slot, listLinks, connections.memory)
            origins[connections[slot].origin].openHTTP1 -= 1
        }
        connections[slot].holders += 1
    }

    /// Whether everything that could serve a request, including dials in progress or still possible, is taken by requests in
    /// progress or already waiting.
    private func isSaturated(_ origin: Int32, kind: LeaseKind) -> Bool {
        guard kind.contains(.exclusive) || gate(origin) == .open else { return false }
        let mode = mode(origin)
        let http1Room = max(0, http1Limit - origins[origin].occupied)
        if mode == .http1 { return origins[origin].waitingAhead >= http1Room + Int(origins[origin].dials.count) }
        if kind.contains(.http1) {
            return origins[origin].waitingHTTP1 >= http1Room + Int(origins[origin].dialingHTTP1)
        }
        // Holding an HTTP/2 connection takes no stream, so one dial serves any number of holders.
        guard !kind.contains(.exclusive) else { return false }
        let dials = Int(origins[origin].dials.count - origins[origin].dialingHTTP1)
        let coming = origins[origin].serving == 0 ? max(1, dials) : dials
        return origins[origin].waitingAny >= coming * Int(origins[origin].typicalStreams)
    }

    mutating func enqueue(_ origin: Int32, kind: LeaseKind) -> Int32 {
        unused.drop(origin, unusedLinks, origins.memory)
        let slot = waiters.insert(WaiterRecord(order: nextOrder, origin: origin, kind: kind))
        nextOrder += 1
        if origins[origin].dials.last != noSlot, now <= origins[origin].lastDialAt + PoolState.dialGrace {
            connections[origins[origin].dials.last].cameLater = nextOrder
        }
        origins[origin].waiting += 1
        switch queue(of: kind) {
        case .replays: origins[origin].replays.append(slot, waiterLinks, waiters.memory)
        case .requests: origins[origin].requests.append(slot, waiterLinks, waiters.memory)
        case .http1Replays: origins[origin].http1Replays.append(slot, waiterLinks, waiters.memory)
        case .http1Requests: origins[origin].http1Requests.append(slot, waiterLinks, waiters.memory)
        case .exclusives: origins[origin].exclusives.append(slot, waiterLinks, waiters.memory)
        case .others: origins[origin].others.append(slot, waiterLinks, waiters.memory)
        }
        return slot
    }

    private enum Queue { case replays, requests, http1Replays, http1Requests, exclusives, others }

    private func queue(of kind: LeaseKind) -> Queue {
        if kind.isEmpty { return .requests }
        if kind.contains(.other) { return .others }
        if kind.contains(.http1) { return kind.contains(.replay) ? .http1Replays : .http1Requests }
        if kind.contains(.exclusive) { return .exclusives }
        return kind.contains(.replay) ? .replays : .requests
    }

    /// Removes a waiter from its queue and frees its slot.
    mutating func dequeue(_ slot: Int32) {
        let (origin, kind) = (waiters[slot].origin, waiters[slot].kind)
        origins[origin].waiting -= 1
        switch queue(of: kind) {
        case .replays: origins[origin].replays.remove(slot, waiterLinks, waiters.memory)
        case .requests: origins[origin].requests.remove(slot, waiterLinks, waiters.memory)
        case .http1Replays: origins[origin].http1Replays.remove(slot, waiterLinks, waiters.memory)
        case .http1Requests: origins[origin].http1Requests.remove(slot, waiterLinks, waiters.memory)
        case .exclusives: origins[origin].exclusives.remove(slot, waiterLinks, waiters.memory)
        case .others:
            origins[origin].others.remove(slot, waiterLinks, waiters.memory)
            avoided[waiters.key(slot)] = nil
        }
        waiters.remove(slot)
        if origins[origin].waiting == 0 {
            limited.drop(origin, limitedLinks, origins.memory)
            room.drop(origin, roomLinks, origins.memory)
        }
    }

    /// A request stops waiting: it was cancelled, or its deadline passed. Returns false if its outcome was already decided.
    mutating func giveUp(_ key: WaiterKey) -> Bool {
        let slot = waiters.find(key)
        guard slot != noSlot else { return false }
        let origin = waiters[slot].origin
        dequeue(slot)
        noteIfUnused(origin)
        // Its dial may no longer be needed.
        if Int(origins[origin].dials.count) > origins[origin].waiting {
            markPending(origin)
            processPending()
        }
        return true
    }

    mutating func fail(_ slot: Int32, _ failure: PoolFailure) {
        let origin = waiters[slot].origin
        actions.append(.fail(waiters.key(slot), failure))
        dequeue(slot)
        // It may have waited for a time or a turn, without any connection.
        noteIfUnused(origin)
    }

    /// Whether requests to an origin wait only for the end of `count` requests, which are all it has in progress.
    func isHeldUp(_ key: OriginKey, by count: Int) -> Bool {
        let origin = origins.find(key)
        guard origin != noSlot else { return false }
        guard origins[origin].waiting > 0, origins[origin].inFlight > 0, origins[origin].inFlight <= count,
            origins[origin].dials.count == 0, origins[origin].dialsHeldUntil <= now, !origins[origin].room.isLinked
        else { return false }
        switch gate(origin) {
        case .open, .full: break
        case .held, .clientFull: return false
        }
        // A held HTTP/1.1 connection will be returned.
        for index in 0..<connections.bound where connections.isTaken(index) {
            let connection = connections[Int32(index)]
            if connection.origin == origin, connection.version == .http1, connection.holders > 0 {
                return false
            }
        }
        return true
    }

    // MARK: Serving

    /// Gives up to `most` waiting requests of an origin to free connections.
    mutating func serve(_ origin: Int32, atMost most: Int) {
        var left = most
        while origins[origin].waiting > 0 {
            let http2 = leastLoaded(origin)
            if http2 != noSlot, origins[origin].exclusives.first != noSlot {
                let waiter = origins[origin].exclusives.first
                actions.append(.assign(waiters.key(waiter), connections.key(http2)))
                dequeue(waiter)
                hold(http2)
                continue
            }
            let gate = gate(origin)
            if gate == .clientFull { waitForLimit(origin) }
            var waiter = noSlot
            var connection = http2
            if gate == .open, http2 != noSlot,
                connections[http2].streams < connections[http2].limit
            {
                waiter = origins[origin].replays.first
                if waiter == noSlot { waiter = origins[origin].requests.first }
            }
            if waiter == noSlot {
                connection = lastUsed(origin)
                if connection != noSlot { waiter = nextForHTTP1(origin, gate: gate) }
            }
            if waiter == noSlot {
                guard serveOther(origin, gate: gate, &left) else { break }
                continue
            }
            if waiters[waiter].kind.contains(.exclusive) {
                actions.append(.assign(waiters.key(waiter), connections.key(connection)))
                dequeue(waiter)
                hold(connection)
                continue
            }
            guard left > 0 else {
                waitForLimit(origin)
                break
            }
            guard takeToken(origin) else { continue }
            left -= 1
            actions.append(.assign(waiters.key(waiter), connections.key(connection)))
            dequeue(waiter)
            begin(origin, on: connection)
        }
        lookWhenHeld(origin)
    }

    mutating func waitForLimit(_ origin: Int32) {
        guard origins[origin].waiting > Int(origins[origin].exclusives.count), !origins[origin].limited.isLinked else {
            return
        }
        limited.append(origin, limitedLinks, origins.memory)
    }

    /// If requests wait for a time, schedules a `tick` for it.
    private mutating func lookWhenHeld(_ origin: Int32) {
        guard origins[origin].waiting > 0 else { return }
        let until = max(origins[origin].heldUntil, origins[origin].adaptive?.pausedUntil ?? 0)
        if until > now { look(at: origin, until) }
    }

    /// Replays come first, then the order of arrival. An exclusive request is let through even if no other request may begin.
    private func nextForHTTP1(_ origin: Int32, gate: Gate) -> Int32 {
        var best = noSlot
        if gate == .open {
            best = earlier(origins[origin].replays.first, origins[origin].http1Replays.first)
            guard best == noSlot else { return best }
            best = earlier(origins[origin].requests.first, origins[origin].http1Requests.first)
        } else {
            // Exclusive requests for HTTP/1.1 are in the same queue as the others of that kind.
            let first = origins[origin].http1Requests.first
            if first != noSlot, waiters[first].kind.contains(.exclusive) { best = first }
        }
        return earlier(best, origins[origin].exclusives.first)
    }

    private func earlier(_ a: Int32, _ b: Int32) -> Int32 {
        if a == noSlot { return b }
        if b == noSlot { return a }
        return waiters[a].order < waiters[b].order ? a : b
    }
}
