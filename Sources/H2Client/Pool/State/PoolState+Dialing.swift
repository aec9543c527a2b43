/// When connections are opened, and how room is made for them.
extension PoolState {
    // MARK: Version

    /// The version of an origin's connections as far as is known; nil means either.
    func mode(_ origin: Int32) -> HTTPProtocolVersion? {
        switch (versions, origins[origin].isSecure) {
        case (.http1Only, _), (.automatic, false): return .http1
        case (.http2Only, _): return .http2
        case (.http2PriorKnowledge, false): return origins[origin].requiresHTTP1 ? .http1 : .http2
        case (.automatic, true), (.http2PriorKnowledge, true):
            return origins[origin].requiresHTTP1 ? .http1 : origins[origin].known
        }
    }

    var allowsHTTP1: Bool { versions != .http2Only }

    /// The protocols that a dial offers. An origin that chose HTTP/1.1 is asked again: its server may support HTTP/2 by
    /// now.
    private func offer(_ origin: Int32, needsHTTP1: Bool) -> ProtocolOffer {
        if needsHTTP1 || versions == .http1Only || origins[origin].requiresHTTP1 && allowsHTTP1 {
            return ProtocolOffer(.http1, isSecure: origins[origin].isSecure)
        }
        if origins[origin].isSecure { return versions == .http2Only ? .http2 : .either }
        return versions == .automatic ? .cleartextHTTP1 : .priorKnowledge
    }

    // MARK: Number

    /// Whether to try another dial beside those in progress, which are all slow. A server that accepts a connection and then
    /// stays silent must not cause an outage of its origin. A spare dial never replaces another connection.
    private func maySpare(_ origin: Int32) -> Bool {
        return !origins[origin].dials.isEmpty && origins[origin].lastDialAt + PoolState.dialPatience <= now
            && origins[origin].spareDials < PoolState.spareDials && living < connectionLimit
    }

    /// The next connection to dial for an origin; nil if existing connections and dials cover the waiting requests or the limit
    /// is reached.
    func dialNeed(_ origin: Int32) -> DialNeed? {
        guard life == .running, origins[origin].waiting > 0 else { return nil }
        let maySpare = maySpare(origin)
        if let need = dialNeed(origin, ignoringDials: false, maySpare) { return need }
        guard maySpare, var need = dialNeed(origin, ignoringDials: true, maySpare) else { return nil }
        need.isSpare = true
        if need.reason == .allInUse { need.reason = .slowConnect }
        return need
    }

    struct DialNeed {
        let offer: ProtocolOffer
        var reason: HTTPClient.OpenReason
        /// In addition to slow dials that would be enough.
        var isSpare = false
    }

    private func dialNeed(_ origin: Int32, ignoringDials: Bool, _ maySpare: Bool) -> DialNeed? {
        let mode = mode(origin)
        let allowed = allowance(origin)
        if origins[origin].failures > 0 {
            let serves = origins[origin].serving > 0 || origins[origin].openHTTP1 > 0
            // If nothing serves, the dials in progress show whether the origin can be reached. Replacing each failed dial would
            // leave no moment without one, and the waiting requests would never fail.
            guard serves ? origins[origin].dialsHeldUntil <= now : origins[origin].dials.isEmpty || maySpare else {
                return nil
            }
        }
        let dials = ignoringDials ? 0 : Int(origins[origin].dials.count)
        let http1Dials = ignoringDials ? 0 : Int(origins[origin].dialingHTTP1)
        let exclusives = Int(origins[origin].exclusives.count)
        if mode == .http1 {
            let requests = min(origins[origin].waiting - exclusives, allowed)
            guard requests + exclusives > dials, origins[origin].occupied < http1Limit else { return nil }
            return DialNeed(
                offer: offer(origin, needsHTTP1: false),
                reason: reason(origin, isLent: requests == 0, needsHTTP1: false))
        }
        if wantsHTTP2Dial(origin, dials: dials - http1Dials, allowed: allowed) {
            return DialNeed(
                offer: offer(origin, needsHTTP1: false),
                reason: reason(origin, isLent: origins[origin].waitingAny == 0, needsHTTP1: false))
        }
        guard min(origins[origin].waitingHTTP1, allowed) > http1Dials, origins[origin].occupied < http1Limit else {
            return nil
        }
        return DialNeed(
            offer: offer(origin, needsHTTP1: true), reason: reason(origin, isLent: false, needsHTTP1: true))
    }

    /// One at first; more, if the options allow, when the serving connection is not enough.
    private func wantsHTTP2Dial(_ origin: Int32, dials: Int, allowed: Int) -> Bool {
        let requests = min(origins[origin].waitingAny, allowed)
        let others = min(Int(origins[origin].others.count), allowed)
        if origins[origin].serving == 0 {
            return dials == 0 && requests + others + Int(origins[origin].exclusives.count) > 0
        }
        let coming = Int(origins[origin].dials.count - origins[origin].dialingHTTP1)
        if others > dials * Int(origins[origin].typicalStreams),
            origins[origin].serving + coming < http2Limit(origin)
        {
            return true
        }
        guard case .openConnection(let limit) = saturation else { return false }
        return origins[origin].serving + coming < limit && requests > dials * Int(origins[origin].typicalStreams)
    }

    /// The maximum number of HTTP/2 connections to an origin.
    func http2Limit(_ origin: Int32) -> Int {
        if case .openConnection(let limit) = saturation { return max(1, limit) }
        return origins[origin].mayHaveSecond ? 2 : 1
    }

    private func reason(_ origin: Int32, isLent: Bool, needsHTTP1: Bool) -> HTTPClient.OpenReason {
        if origins[origin].waitingAhead == 0 { return .hedged }
        if origins[origin].wantsOwn { return .misdirected }
        if isLent { return .lent }
        if needsHTTP1 { return .http1Required }
        let serves = origins[origin].serving > 0 || origins[origin].openHTTP1 > 0
        if serves { return .allInUse }
        if origins[origin].requiresHTTP1, origins[origin].livingHTTP1 == 0 { return .http1Required }
        if !origins[origin].dials.isEmpty { return .allInUse }
        return origins[origin].everConnected ? .replacement : .first
    }

    // MARK: Dialing

    /// Starts the dials that the waiting requests need, or asks for room.
    mutating func plan(_ origin: Int32) {
        guard origins[origin].waiting > 0 else { return }
        while living < connectionLimit, room.isEmpty {
            guard dialOne(origin) else {
                return lookAfterDials(origin)
            }
        }
        // Connections are never closed to make room for requests that only want another connection.
        if origins[origin].waitingAhead > 0, dialNeed(origin) != nil {
            wantRoom(origin)
        } else {
            room.drop(origin, roomLinks, origins.memory)
            lookAfterDials(origin)
        }
    }

    /// Schedules another look for when dials are no longer held off, or those in progress are slow.
    mutating func lookAfterDials(_ origin: Int32) {
        let until = origins[origin].dialsHeldUntil
        if until > now { look(at: origin, until) }
        guard !origins[origin].dials.isEmpty else { return }
        let slowAt = origins[origin].lastDialAt + PoolState.dialPatience
        if slowAt > now { look(at: origin, slowAt) }
    }

    /// Starts one dial if the origin needs it. The caller has ensured that there is room.
    mutating func dialOne(_ origin: Int32) -> Bool {
        guard let need = dialNeed(origin) else { return false }
        let (offer, reason) = (need.offer, need.reason)
        let slot = connections.insert(
            ConnectionRecord(offer: offer, origin: origin, dialedAt: now, cameLater: nextOrder))
        origins[origin].lastDialAt = now
        if need.isSpare { origins[origin].spareDials += 1 }
        origins[origin].dials.append(slot, listLinks, connections.memory)
        origins[origin].connections += 1
        origins[origin].wantsOwn = false
        if offer.isHTTP1 { origins[origin].dialingHTTP1 += 1 }
        living += 1
        actions.append(.dial(connections.key(slot), origins.key(origin), offer, reason))
        return true
    }

    /// Cancels dials made unnecessary by a connection of another kind than expected: it serves all requests, or shows that the
    /// dials would exceed the limit.
    mutating func cancelSurplusDials(_ origin: Int32) {
        guard !origins[origin].dials.isEmpty else { return }
        switch mode(origin) {
        case nil: return
        case .http1:
            while origins[origin].occupied > http1Limit, !origins[origin].dials.isEmpty {
                cancelDial(origins[origin].dials.last, .notNeeded)
            }
        case .http2:
            guard origins[origin].serving > 0 else { return }
            let most = max(0, http2Limit(origin) - origins[origin].serving)
            var slot = origins[origin].dials.last
            var surplus = Int(origins[origin].dials.count - origins[origin].dialingHTTP1) - most
            while slot != noSlot, surplus > 0 {
                let previous = connections[slot].list.previous
                if !connections[slot].offer.isHTTP1 {
                    cancelDial(slot, .notNeeded)
                    surplus -= 1
                }
                slot = previous
            }
        }
    }

    /// Gives up dials beyond what waiting requests need, once they are slow. A quick one is useful for the next request.
    mutating func dropUnwantedDials(_ origin: Int32) {
        let most = origins[origin].waiting == 0 ? 0 : origins[origin].waiting + PoolState.spareDials
        // The oldest is first.
        while Int(origins[origin].dials.count) > most {
            let slowAt = connections[origins[origin].dials.first].dialedAt + PoolState.dialPatience
            guard slowAt <= now else { return look(at: origin, slowAt) }
            cancelDial(origins[origin].dials.first, .notNeeded)
        }
    }

    mutating func cancelDial(_ slot: Int32, _ reason: CloseReason) {
        endDial(slot)
        connections[slot].state = .closing
        closing += 1
        actions.append(.cancelDial(connections.key(slot), reason))
    }

    /// Removes a dial from its origin's list.
    mutating func endDial(_ slot: Int32) {
        let owner = connections[slot].origin
        origins[owner].dials.remove(slot, listLinks, connections.memory)
        if connections[slot].offer.isHTTP1 { origins[owner].dialingHTTP1 -= 1 }
        if origins[owner].dials.isEmpty { origins[owner].spareDials = 0 }
    }

    // MARK: Room

    mutating func wantRoom(_ origin: Int32) {
        guard !origins[origin].room.isLinked else { return }
        origins[origin].roomSince = now
        nextRoomAt = min(nextRoomAt, now + PoolState.roomPatience)
        room.append(origin, roomLinks, origins.memory)
    }

    /// Whether a connection that an origin has work for would serve another origin better: one that has none, while this origin
    /// has several.
    func isWantedElsewhere(_ origin: Int32) -> Bool {
        !room.isEmpty && room.first != origin && origins[origin].waiting > 0
            && origins[origin].openHTTP1 > 1 && closing < Int(room.count)
    }

    /// Closes the connections that have been idle the longest, one for each origin that waits for room.
    mutating func makeRoom() {
        guard !room.isEmpty else { return }
        while closing < Int(room.count), !idle.isEmpty {
            retire(idle.first, .makeRoom)
        }
        wake(at: nextRoomAt)
    }

    /// For each origin that has waited long for room while others kept their connections busy, drains the connection that has
    /// been open longest.
    mutating func takeTurnsWithRoom() {
        guard nextRoomAt <= now else { return }
        nextRoomAt = .max
        var slot = aging.first
        var origin = room.first
        while origin != noSlot {
            if origins[origin].roomSince + PoolState.roomPatience <= now {
                while slot != noSlot, connections[slot].holders > 0 {
                    slot = connections[slot].age.next
                }
                guard slot != noSlot else {
                    // All of them are held or being dialled.
                    return nextRoomAt = min(nextRoomAt, now + PoolState.roomPatience)
                }
                let mayGoAt = connections[slot].openedAt + PoolState.roomPatience
                guard mayGoAt <= now else { return nextRoomAt = min(nextRoomAt, mayGoAt) }
                let next = connections[slot].age.next
                retire(slot, .makeRoom)
                slot = next
                origins[origin].roomSince = now
            }
            nextRoomAt = min(nextRoomAt, origins[origin].roomSince + PoolState.roomPatience)
            origin = origins[origin].room.next
        }
    }
}
