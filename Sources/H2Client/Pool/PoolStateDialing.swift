/// When connections are opened, and how room is made for them.
extension PoolState {
    // MARK: Which version

    /// What an origin's connections are, as far as is known; nil: either.
    func mode(_ origin: Int32) -> ConnectionProtocol? {
        let record = origins[origin]
        switch (versions, record.pointee.isSecure) {
        case (.http1Only, _), (.automatic, false): return .http1
        case (.http2Only, _): return .http2
        case (.http2PriorKnowledge, false): return record.pointee.requiresHTTP1 ? .http1 : .http2
        case (.automatic, true), (.http2PriorKnowledge, true):
            return record.pointee.requiresHTTP1 ? .http1 : record.pointee.known
        }
    }

    var allowsHTTP1: Bool { versions != .http2Only }

    /// What a dial offers. An origin that chose HTTP/1.1 before is asked again: its server may have learned HTTP/2.
    private func offer(_ origin: Int32, needsHTTP1: Bool) -> DialVersions {
        let record = origins[origin]
        if needsHTTP1 || versions == .http1Only || record.pointee.requiresHTTP1 && allowsHTTP1 {
            return record.pointee.isSecure ? .http1 : .cleartextHTTP1
        }
        if record.pointee.isSecure { return versions == .http2Only ? .http2 : .either }
        return versions == .automatic ? .cleartextHTTP1 : .priorKnowledge
    }

    // MARK: How many

    /// Whether another dial may be tried beside those under way, which are all slow. A server that accepts a connection and
    /// then says nothing must not be an outage of its origin. Never in the place of another's connection.
    private func maySpare(_ origin: Int32, now: UInt64) -> Bool {
        let record = origins[origin]
        return !record.pointee.dials.isEmpty && record.pointee.lastDialAt + PoolState.dialPatience <= now
            && record.pointee.spareDials < PoolState.spareDials && living < connectionLimit
    }

    /// The next connection to dial for an origin, or nil if those that are there or under way are as many as the requests
    /// that wait need, or as may be.
    func wantsDial(_ origin: Int32, now: UInt64) -> Wish? {
        let record = origins[origin]
        guard life == .running, record.pointee.waiting > 0 else { return nil }
        let maySpare = maySpare(origin, now: now)
        if let wish = wantsDial(origin, ignoringDials: false, maySpare, now: now) { return wish }
        guard maySpare, var wish = wantsDial(origin, ignoringDials: true, maySpare, now: now) else { return nil }
        wish.isSpare = true
        if wish.reason == .allTaken { wish.reason = .besideSlow }
        return wish
    }

    struct Wish {
        let offer: DialVersions
        var reason: DialReason
        /// Beside slow ones, which would be enough.
        var isSpare = false
    }

    private func wantsDial(_ origin: Int32, ignoringDials: Bool, _ maySpare: Bool, now: UInt64) -> Wish? {
        let record = origins[origin]
        let mode = mode(origin)
        let allowed = allowance(origin, now: now)
        if record.pointee.failures > 0 {
            let serves = record.pointee.serving > 0 || record.pointee.openHTTP1 > 0
            // Where nothing serves, those under way show whether the origin can be reached. A dial in the place of each that
            // failed would leave no moment in which none is under way, and those who wait would never be told.
            guard serves ? record.pointee.dialsHeldUntil <= now : record.pointee.dials.isEmpty || maySpare else {
                return nil
            }
        }
        let dials = ignoringDials ? 0 : Int(record.pointee.dials.count)
        let http1Dials = ignoringDials ? 0 : Int(record.pointee.dialingHTTP1)
        let exclusives = Int(record.pointee.exclusives.count)
        if mode == .http1 {
            let requests = min(record.pointee.waiting - exclusives, allowed)
            guard requests + exclusives > dials, record.pointee.occupied < http1Limit else { return nil }
            return Wish(
                offer: offer(origin, needsHTTP1: false),
                reason: reason(origin, isExclusive: requests == 0, needsHTTP1: false))
        }
        if wantsHTTP2Dial(origin, dials: dials - http1Dials, allowed: allowed) {
            return Wish(
                offer: offer(origin, needsHTTP1: false),
                reason: reason(origin, isExclusive: record.pointee.waitingAny == 0, needsHTTP1: false))
        }
        guard min(record.pointee.waitingHTTP1, allowed) > http1Dials, record.pointee.occupied < http1Limit else {
            return nil
        }
        return Wish(
            offer: offer(origin, needsHTTP1: true), reason: reason(origin, isExclusive: false, needsHTTP1: true))
    }

    /// One at first; further ones, where the options say so, when the one that serves is not enough.
    private func wantsHTTP2Dial(_ origin: Int32, dials: Int, allowed: Int) -> Bool {
        let record = origins[origin]
        let requests = min(record.pointee.waitingAny, allowed)
        if record.pointee.serving == 0 { return dials == 0 && requests + Int(record.pointee.exclusives.count) > 0 }
        guard case .openConnection(let limit) = saturation else { return false }
        let coming = Int(record.pointee.dials.count - record.pointee.dialingHTTP1)
        return record.pointee.serving + coming < limit && requests > dials * Int(record.pointee.typicalStreams)
    }

    private func reason(_ origin: Int32, isExclusive: Bool, needsHTTP1: Bool) -> DialReason {
        let record = origins[origin]
        if record.pointee.wantsOwn { return .ownAfter421 }
        if isExclusive { return .exclusive }
        if needsHTTP1 { return .http1Required }
        let serves = record.pointee.serving > 0 || record.pointee.openHTTP1 > 0
        if serves { return .allTaken }
        if record.pointee.requiresHTTP1, record.pointee.livingHTTP1 == 0 { return .http1Required }
        if !record.pointee.dials.isEmpty { return .allTaken }
        return record.pointee.everConnected ? .replacement : .first
    }

    // MARK: Dialing

    /// Dials what the requests that wait need, or asks for room.
    mutating func plan(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) {
        guard origins[origin].pointee.waiting > 0 else { return }
        while living < connectionLimit, room.isEmpty {
            guard dialOne(origin, now: now, into: &actions) else {
                return lookAfterDials(origin, now: now, into: &actions)
            }
        }
        if wantsDial(origin, now: now) != nil {
            wantRoom(origin, now: now)
        } else {
            room.drop(origin, roomLinks, origins.memory)
            lookAfterDials(origin, now: now, into: &actions)
        }
    }

    /// Comes back when dials are not held off any more, or those under way are slow.
    mutating func lookAfterDials(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let until = origins[origin].pointee.dialsHeldUntil
        if until > now { look(at: origin, until, into: &actions) }
        guard !origins[origin].pointee.dials.isEmpty else { return }
        let slowAt = origins[origin].pointee.lastDialAt + PoolState.dialPatience
        if slowAt > now { look(at: origin, slowAt, into: &actions) }
    }

    /// Dials once, if the origin wants it. There is room.
    mutating func dialOne(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) -> Bool {
        guard let wish = wantsDial(origin, now: now) else { return false }
        let (offer, reason) = (wish.offer, wish.reason)
        let slot = connections.insert(
            ConnectionRecord(versions: offer, origin: origin, dialedAt: now, cameLater: nextOrder))
        let record = origins[origin]
        record.pointee.lastDialAt = now
        if wish.isSpare { record.pointee.spareDials += 1 }
        record.pointee.dials.append(slot, places, connections.memory)
        record.pointee.connections += 1
        record.pointee.wantsOwn = false
        if offer.isHTTP1 { record.pointee.dialingHTTP1 += 1 }
        living += 1
        actions.append(.dial(connections.key(slot), origins.key(origin), offer, reason))
        return true
    }

    /// Cancels dials that are not needed any more since a connection came out other than expected: what it serves needs no
    /// second one, or it shows that dials under way would be more than may be.
    mutating func cancelSurplusDials(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let record = origins[origin]
        guard !record.pointee.dials.isEmpty else { return }
        switch mode(origin) {
        case nil: return
        case .http1:
            while record.pointee.occupied > http1Limit, !record.pointee.dials.isEmpty {
                cancelDial(record.pointee.dials.last, .notNeeded, into: &actions)
            }
        case .http2:
            guard record.pointee.serving > 0 else { return }
            var most = 0
            if case .openConnection(let limit) = saturation { most = max(0, limit - record.pointee.serving) }
            var slot = record.pointee.dials.last
            var surplus = Int(record.pointee.dials.count - record.pointee.dialingHTTP1) - most
            while slot != noSlot, surplus > 0 {
                let previous = connections[slot].pointee.place.previous
                if !connections[slot].pointee.versions.isHTTP1 {
                    cancelDial(slot, .notNeeded, into: &actions)
                    surplus -= 1
                }
                slot = previous
            }
        }
    }

    /// Gives up dials that are more than those who wait need, once they are slow. A quick one is of use to the next request.
    mutating func dropUnwantedDials(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let record = origins[origin]
        let most = record.pointee.waiting == 0 ? 0 : record.pointee.waiting + PoolState.spareDials
        // The oldest come first.
        while Int(record.pointee.dials.count) > most {
            let slowAt = connections[record.pointee.dials.first].pointee.dialedAt + PoolState.dialPatience
            guard slowAt <= now else { return look(at: origin, slowAt, into: &actions) }
            cancelDial(record.pointee.dials.first, .notNeeded, into: &actions)
        }
    }

    mutating func cancelDial(_ slot: Int32, _ reason: CloseReason, into actions: inout [PoolAction]) {
        endDial(slot)
        connections[slot].pointee.state = .closing
        closing += 1
        actions.append(.cancelDial(connections.key(slot), reason))
    }

    /// Takes a dial off its origin's list.
    mutating func endDial(_ slot: Int32) {
        let connection = connections[slot]
        let record = origins[connection.pointee.origin]
        record.pointee.dials.remove(slot, places, connections.memory)
        if connection.pointee.versions.isHTTP1 { record.pointee.dialingHTTP1 -= 1 }
        if record.pointee.dials.isEmpty { record.pointee.spareDials = 0 }
    }

    // MARK: Room

    mutating func wantRoom(_ origin: Int32, now: UInt64) {
        guard !origins[origin].pointee.room.isLinked else { return }
        origins[origin].pointee.roomSince = now
        nextTurnAt = min(nextTurnAt, now + PoolState.roomPatience)
        room.append(origin, roomLinks, origins.memory)
    }

    /// Whether a connection that an origin has work for would serve another one better: one that has none at all, while
    /// this origin keeps others.
    func isWantedElsewhere(_ origin: Int32) -> Bool {
        !room.isEmpty && room.first != origin && origins[origin].pointee.waiting > 0
            && origins[origin].pointee.openHTTP1 > 1 && closing < Int(room.count)
    }

    /// Closes connections that have been idle the longest, one for each origin that wants room.
    mutating func makeRoom(now: UInt64, into actions: inout [PoolAction]) {
        guard !room.isEmpty else { return }
        while closing < Int(room.count), !idle.isEmpty {
            retire(idle.first, .makeRoom, now: now, into: &actions)
        }
        wake(at: nextTurnAt, into: &actions)
    }

    /// Each origin that has waited long for room, while others kept their connections at work, has the one drained that has
    /// been open longest.
    mutating func takeTurnsWithRoom(now: UInt64, into actions: inout [PoolAction]) {
        guard nextTurnAt <= now else { return }
        nextTurnAt = .max
        var slot = aging.first
        var origin = room.first
        while origin != noSlot {
            if origins[origin].pointee.roomSince + PoolState.roomPatience <= now {
                while slot != noSlot, connections[slot].pointee.holders > 0 {
                    slot = connections[slot].pointee.age.next
                }
                guard slot != noSlot else {
                    // They are held, all of them, or on their way.
                    return nextTurnAt = min(nextTurnAt, now + PoolState.roomPatience)
                }
                let mayGoAt = connections[slot].pointee.openedAt + PoolState.roomPatience
                guard mayGoAt <= now else { return nextTurnAt = min(nextTurnAt, mayGoAt) }
                let next = connections[slot].pointee.age.next
                retire(slot, .makeRoom, now: now, into: &actions)
                slot = next
                origins[origin].pointee.roomSince = now
            }
            nextTurnAt = min(nextTurnAt, origins[origin].pointee.roomSince + PoolState.roomPatience)
            origin = origins[origin].pointee.room.next
        }
    }
}
