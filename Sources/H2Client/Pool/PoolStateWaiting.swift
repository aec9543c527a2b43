/// The queues, and who in them is next.
extension PoolState {
    /// Whether requests to an origin may begin.
    enum Gate {
        case open
        /// Until a time that is in `holds`: the rate, or a pause that the server asked for.
        case held
        /// Until one to this origin is over.
        case full
        /// Until one to any origin is over.
        case turn
    }

    // MARK: Politeness

    @inline(__always)
    func gate(_ origin: Int32, now: UInt64) -> Gate {
        let record = origins[origin]
        if record.pointee.heldUntil > now { return .held }
        if record.pointee.inFlight >= requestsPerOrigin { return .full }
        if adaptive != nil {
            if record.pointee.adaptive?.pausedUntil ?? 0 > now { return .held }
            if record.pointee.inFlight >= record.pointee.adaptive?.limit ?? .max { return .full }
        }
        return inFlight >= requestLimit ? .turn : .open
    }

    /// How many more requests may begin, as far as limits on load go. The rate may let only some of them.
    func allowance(_ origin: Int32, now: UInt64) -> Int {
        let record = origins[origin]
        guard record.pointee.heldUntil <= now else { return 0 }
        var allowed = min(requestsPerOrigin - record.pointee.inFlight, requestLimit - inFlight)
        if adaptive != nil {
            guard record.pointee.adaptive?.pausedUntil ?? 0 <= now else { return 0 }
            allowed = min(allowed, (record.pointee.adaptive?.limit ?? .max) - record.pointee.inFlight)
        }
        return max(0, rate == nil ? allowed : min(allowed, burst))
    }

    /// Takes one token of the origin's rate, or sets the time until which it is held.
    @inline(__always)
    mutating func takeToken(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) -> Bool {
        guard let rate else { return true }
        return takeToken(origin, rate: rate, now: now, into: &actions)
    }

    private mutating func takeToken(
        _ origin: Int32, rate: Double, now: UInt64, into actions: inout [PoolAction]
    ) -> Bool {
        let record = origins[origin]
        if record.pointee.bucket == nil {
            record.pointee.bucket = TokenBucket(perSecond: rate, burst: burst, now: now)
        }
        guard let when = record.pointee.bucket?.take(now: now) else { return true }
        // A bucket that asks to come back at once would be asked without end.
        record.pointee.heldUntil = max(when, now + 1)
        return false
    }

    /// Has `tick` look at an origin at a time.
    mutating func look(at origin: Int32, _ time: UInt64, into actions: inout [PoolAction]) {
        guard time < origins[origin].pointee.wakesAt else { return }
        origins[origin].pointee.wakesAt = time
        holds.insert(Hold(time: time, origin: origins.key(origin)))
        wake(at: time, into: &actions)
    }

    // MARK: A request that is not served at once

    mutating func leaseOrWait(
        _ origin: Int32, now: UInt64, kind: LeaseKind, into actions: inout [PoolAction]
    ) -> LeaseResult {
        guard life == .running else { return .fail(.shutDown) }
        if kind.contains(.http1), !allowsHTTP1 { return .fail(.http1NotAllowed) }
        if kind.contains(.own) {
            leaveShared(origin)
            // Those that wait already may have waited for the connection that was shared.
            concern(origin)
            origins[origin].pointee.mayCoalesce = false
            origins[origin].pointee.wantsOwn = origins[origin].pointee.http2.isEmpty
        }
        if let connection = takeAtOnce(origin, now: now, kind: kind, into: &actions) {
            let key = connections.key(connection)
            settle(now: now, into: &actions)
            return .use(key)
        }
        if saturation == .fail, !kind.contains(.replay), isSaturated(origin, now: now, kind: kind) {
            settle(now: now, into: &actions)
            return .fail(.saturated)
        }
        guard waiters.count < waitingLimit else {
            settle(now: now, into: &actions)
            return .fail(.tooManyWaiting)
        }
        let waiter = enqueue(origin, kind: kind, now: now)
        let key = waiters.key(waiter)
        concern(origin)
        settle(now: now, into: &actions)
        return .wait(key)
    }

    private mutating func takeAtOnce(
        _ origin: Int32, now: UInt64, kind: LeaseKind, into actions: inout [PoolAction]
    ) -> Int32? {
        let http1 = kind.contains(.http1)
        let isAlone = origins[origin].pointee.waiting == 0
        if kind.contains(.exclusive) {
            var connection = http1 ? noSlot : leastLoaded(origin, now: now, into: &actions)
            if connection == noSlot, isAlone { connection = lastUsed(origin, now: now, into: &actions) }
            guard connection != noSlot else { return nil }
            hold(connection)
            return connection
        }
        guard isAlone, gate(origin, now: now) == .open else { return nil }
        let connection =
            http1 ? lastUsed(origin, now: now, into: &actions) : freeConnection(origin, now: now, into: &actions)
        guard connection != noSlot, takeToken(origin, now: now, into: &actions) else { return nil }
        begin(origin, on: connection, now: now, into: &actions)
        return connection
    }

    /// Gives a connection to one who holds it.
    private mutating func hold(_ slot: Int32) {
        let connection = connections[slot]
        idle.drop(slot, idles, connections.memory)
        connection.pointee.usableUntil = connection.pointee.ageLimit
        if connection.pointee.version == .http1 {
            origins[connection.pointee.origin].pointee.idleHTTP1.remove(slot, places, connections.memory)
            origins[connection.pointee.origin].pointee.openHTTP1 -= 1
        }
        connection.pointee.holders += 1
    }

    /// Whether all that could serve a request is taken, dials under way and still possible included, by requests under way
    /// and by those that wait already.
    private func isSaturated(_ origin: Int32, now: UInt64, kind: LeaseKind) -> Bool {
        let record = origins[origin]
        guard kind.contains(.exclusive) || gate(origin, now: now) == .open else { return false }
        let mode = mode(origin)
        let http1Room = max(0, http1Limit - record.pointee.occupied)
        if mode == .http1 { return record.pointee.waiting >= http1Room + Int(record.pointee.dials.count) }
        if kind.contains(.http1) {
            return record.pointee.waitingHTTP1 >= http1Room + Int(record.pointee.dialingHTTP1)
        }
        // Who holds an HTTP/2 connection takes no stream, so a dial serves any number of them.
        guard !kind.contains(.exclusive) else { return false }
        let dials = Int(record.pointee.dials.count - record.pointee.dialingHTTP1)
        let coming = record.pointee.serving == 0 ? max(1, dials) : dials
        return record.pointee.waitingAny >= coming * Int(record.pointee.typicalStreams)
    }

    private mutating func enqueue(_ origin: Int32, kind: LeaseKind, now: UInt64) -> Int32 {
        unused.drop(origin, unusedLinks, origins.memory)
        let slot = waiters.insert(WaiterRecord(order: nextOrder, origin: origin, kind: kind))
        nextOrder += 1
        let record = origins[origin]
        if record.pointee.dials.last != noSlot, now <= record.pointee.lastDialAt + PoolState.dialGrace {
            connections[record.pointee.dials.last].pointee.cameLater = nextOrder
        }
        record.pointee.waiting += 1
        switch queue(of: kind) {
        case .replays: record.pointee.replays.append(slot, waiterLinks, waiters.memory)
        case .requests: record.pointee.requests.append(slot, waiterLinks, waiters.memory)
        case .http1Replays: record.pointee.http1Replays.append(slot, waiterLinks, waiters.memory)
        case .http1Requests: record.pointee.http1Requests.append(slot, waiterLinks, waiters.memory)
        case .exclusives: record.pointee.exclusives.append(slot, waiterLinks, waiters.memory)
        }
        return slot
    }

    private enum Queue { case replays, requests, http1Replays, http1Requests, exclusives }

    private func queue(of kind: LeaseKind) -> Queue {
        if kind.contains(.http1) { return kind.contains(.replay) ? .http1Replays : .http1Requests }
        if kind.contains(.exclusive) { return .exclusives }
        return kind.contains(.replay) ? .replays : .requests
    }

    /// Takes a waiter out of its queue and gives up its slot.
    mutating func dequeue(_ slot: Int32) {
        let (origin, kind) = (waiters[slot].pointee.origin, waiters[slot].pointee.kind)
        let record = origins[origin]
        record.pointee.waiting -= 1
        switch queue(of: kind) {
        case .replays: record.pointee.replays.remove(slot, waiterLinks, waiters.memory)
        case .requests: record.pointee.requests.remove(slot, waiterLinks, waiters.memory)
        case .http1Replays: record.pointee.http1Replays.remove(slot, waiterLinks, waiters.memory)
        case .http1Requests: record.pointee.http1Requests.remove(slot, waiterLinks, waiters.memory)
        case .exclusives: record.pointee.exclusives.remove(slot, waiterLinks, waiters.memory)
        }
        waiters.remove(slot)
        if record.pointee.waiting == 0 {
            turns.drop(origin, turnLinks, origins.memory)
            room.drop(origin, roomLinks, origins.memory)
        }
    }

    /// A request does not wait any more: it was cancelled, or its deadline passed. False if it was told before that it has
    /// a connection, or failed.
    mutating func giveUp(_ key: WaiterKey, now: UInt64, into actions: inout [PoolAction]) -> Bool {
        let slot = waiters.find(key)
        guard slot != noSlot else { return false }
        let origin = waiters[slot].pointee.origin
        dequeue(slot)
        noteIfUnused(origin)
        // Its dial may be nobody's now.
        if Int(origins[origin].pointee.dials.count) > origins[origin].pointee.waiting {
            concern(origin)
            settle(now: now, into: &actions)
        }
        return true
    }

    mutating func fail(_ slot: Int32, _ failure: PoolFailure, into actions: inout [PoolAction]) {
        let origin = waiters[slot].pointee.origin
        actions.append(.fail(waiters.key(slot), failure))
        dequeue(slot)
        // It may have waited for a time or a turn, with no connection left.
        noteIfUnused(origin)
    }

    /// Whether requests to an origin wait for nothing but the end of `count` requests, which are all that it has under way.
    func isHeldUp(_ key: OriginKey, by count: Int, now: UInt64) -> Bool {
        let origin = origins.find(key)
        guard origin != noSlot else { return false }
        let record = origins[origin]
        guard record.pointee.waiting > 0, record.pointee.inFlight > 0, record.pointee.inFlight <= count,
            record.pointee.dials.count == 0, record.pointee.dialsHeldUntil <= now, !record.pointee.room.isLinked
        else { return false }
        switch gate(origin, now: now) {
        case .open, .full: break
        case .held, .turn: return false
        }
        // Who holds a connection of HTTP/1.1 will give it back.
        for index in 0..<connections.bound where connections.isTaken(index) {
            let connection = connections[Int32(index)]
            if connection.pointee.origin == origin, connection.pointee.version == .http1, connection.pointee.holders > 0
            {
                return false
            }
        }
        return true
    }

    // MARK: Serving

    /// Gives the requests of an origin that wait to connections that are free, `most` of them at the most.
    mutating func serve(_ origin: Int32, atMost most: Int, now: UInt64, into actions: inout [PoolAction]) {
        var left = most
        while origins[origin].pointee.waiting > 0 {
            let http2 = leastLoaded(origin, now: now, into: &actions)
            let record = origins[origin]
            if http2 != noSlot, record.pointee.exclusives.first != noSlot {
                let waiter = record.pointee.exclusives.first
                actions.append(.assign(waiters.key(waiter), connections.key(http2)))
                dequeue(waiter)
                hold(http2)
                continue
            }
            let gate = gate(origin, now: now)
            if gate == .turn { wantTurn(origin) }
            var waiter = noSlot
            var connection = http2
            if gate == .open, http2 != noSlot,
                connections[http2].pointee.streams < connections[http2].pointee.limit
            {
                waiter = record.pointee.replays.first
                if waiter == noSlot { waiter = record.pointee.requests.first }
            }
            if waiter == noSlot {
                connection = lastUsed(origin, now: now, into: &actions)
                guard connection != noSlot else { break }
                waiter = nextForHTTP1(origin, gate: gate)
                guard waiter != noSlot else { break }
            }
            if waiters[waiter].pointee.kind.contains(.exclusive) {
                actions.append(.assign(waiters.key(waiter), connections.key(connection)))
                dequeue(waiter)
                hold(connection)
                continue
            }
            guard left > 0 else {
                wantTurn(origin)
                break
            }
            guard takeToken(origin, now: now, into: &actions) else { continue }
            left -= 1
            actions.append(.assign(waiters.key(waiter), connections.key(connection)))
            dequeue(waiter)
            begin(origin, on: connection, now: now, into: &actions)
        }
        lookWhenHeld(origin, now: now, into: &actions)
    }

    private mutating func wantTurn(_ origin: Int32) {
        let record = origins[origin]
        guard record.pointee.waiting > Int(record.pointee.exclusives.count), !record.pointee.turn.isLinked else {
            return
        }
        turns.append(origin, turnLinks, origins.memory)
    }

    /// Where requests wait for a time, `tick` comes back to them then.
    private mutating func lookWhenHeld(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let record = origins[origin]
        guard record.pointee.waiting > 0 else { return }
        let until = max(record.pointee.heldUntil, record.pointee.adaptive?.pausedUntil ?? 0)
        if until > now { look(at: origin, until, into: &actions) }
    }

    /// Replays come first, then who came first. One who takes the connection away is let by also where no request may
    /// begin.
    private func nextForHTTP1(_ origin: Int32, gate: Gate) -> Int32 {
        let record = origins[origin]
        var best = noSlot
        if gate == .open {
            best = earlier(record.pointee.replays.first, record.pointee.http1Replays.first)
            guard best == noSlot else { return best }
            best = earlier(record.pointee.requests.first, record.pointee.http1Requests.first)
        } else {
            // Exclusive requests for HTTP/1.1 stand among the others of that kind.
            let first = record.pointee.http1Requests.first
            if first != noSlot, waiters[first].pointee.kind.contains(.exclusive) { best = first }
        }
        return earlier(best, record.pointee.exclusives.first)
    }

    private func earlier(_ a: Int32, _ b: Int32) -> Int32 {
        if a == noSlot { return b }
        if b == noSlot { return a }
        return waiters[a].pointee.order < waiters[b].pointee.order ? a : b
    }
}
