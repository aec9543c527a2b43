/// Time, and the end.
extension PoolState {
    /// Idle connections of servers that announced a time are looked at this often at the most: 250 ms. They are not given
    /// to a request after that time, however late they are looked at.
    static let serverLimitGrain: UInt64 = 250_000_000

    // MARK: Time

    /// Asks for a `tick`, where none comes that early.
    @inline(__always)
    mutating func wake(at time: UInt64, into actions: inout [PoolAction]) {
        guard time < armed else { return }
        armed = time
        actions.append(.wakeAt(time))
    }

    /// Asks for a `tick` up to 5 % of the time limit later than it is due, so that connections which come due one after the
    /// other are seen to together.
    mutating func wakeLoosely(at time: UInt64, _ limit: UInt64, into actions: inout [PoolAction]) {
        wake(at: time &+ limit / 20, into: &actions)
    }

    /// The time that was asked for has come: closes what has been idle for as long as it may, or will have been within
    /// `idleSlack`, drains what is too old, and lets requests go on that were held for a time. Early or superfluous calls do
    /// no harm.
    mutating func tick(now: UInt64, into actions: inout [PoolAction]) {
        guard life != .ended else { return }
        if armed <= now { armed = .max }
        while let due = idleDue, due - idleSlack <= now {
            retire(idle.first, .idleTimeout, now: now, into: &actions)
        }
        while aging.first != noSlot, connections[aging.first].pointee.ageLimit <= now {
            retire(aging.first, .maximumAge, now: now, into: &actions)
        }
        let soonest = hasServerLimits ? closeExpired(now: now, into: &actions) : .max
        takeTurnsWithRoom(now: now, into: &actions)
        while let hold = holds.popDue(now: now) {
            let origin = origins.find(hold.origin)
            guard origin != noSlot else { continue }
            // A later entry may be left; to look once too often does no harm.
            if origins[origin].pointee.wakesAt <= now { origins[origin].pointee.wakesAt = .max }
            concern(origin)
        }
        settle(now: now, into: &actions)
        if let due = idleDue { wake(at: due - idleSlack / 2, into: &actions) }
        if aging.first != noSlot, connections[aging.first].pointee.ageLimit != .max {
            wakeLoosely(at: connections[aging.first].pointee.ageLimit, maximumAge, into: &actions)
        }
        if let earliest = holds.earliest { wake(at: earliest, into: &actions) }
        if soonest != .max { wake(at: max(soonest, now + PoolState.serverLimitGrain), into: &actions) }
    }

    /// When the connection that has been idle the longest has been so for as long as it may.
    private var idleDue: UInt64? {
        idle.first == noSlot ? nil : connections[idle.first].pointee.idleSince.saturatingSum(idleTimeout)
    }

    /// Closes the idle connections whose server said that it would; when the next is due.
    private mutating func closeExpired(now: UInt64, into actions: inout [PoolAction]) -> UInt64 {
        var soonest = UInt64.max
        var slot = idle.first
        while slot != noSlot {
            let connection = connections[slot]
            let next = connection.pointee.idle.next
            if connection.pointee.usableUntil <= now {
                retire(slot, whyUnusable(slot, now: now), now: now, into: &actions)
            } else if connection.pointee.usableUntil < connection.pointee.ageLimit {
                soonest = min(soonest, connection.pointee.usableUntil)
            }
            slot = next
        }
        return soonest
    }

    // MARK: The end

    /// Closes all connections with nothing on them.
    mutating func closeIdle(now: UInt64, into actions: inout [PoolAction]) {
        while idle.first != noSlot { retire(idle.first, .closeIdle, now: now, into: &actions) }
        settle(now: now, into: &actions)
    }

    /// Takes no new requests; those that wait fail, those under way go on. `drained` follows when all connections are gone.
    mutating func shutdown(now: UInt64, into actions: inout [PoolAction]) {
        guard life == .running else { return }
        life = .draining
        for index in 0..<waiters.bound where waiters.isTaken(index) { fail(Int32(index), .shutDown, into: &actions) }
        for index in 0..<connections.bound where connections.isTaken(index) {
            let slot = Int32(index)
            switch connections[slot].pointee.state {
            case .dialing: cancelDial(slot, .shutdown, into: &actions)
            case .open: retire(slot, .shutdown, now: now, into: &actions)
            case .held: finish(slot, .shutdown, into: &actions)
            case .draining, .closing, .gone: break
            }
        }
        settle(now: now, into: &actions)
        tellIfDrained(into: &actions)
    }

    /// As `shutdown`, but closes all connections at once, whatever is on them.
    mutating func shutdownNow(now: UInt64, into actions: inout [PoolAction]) {
        guard life != .ended else { return }
        shutdown(now: now, into: &actions)
        for index in 0..<connections.bound where connections.isTaken(index) {
            let slot = Int32(index)
            guard connections[slot].pointee.state == .draining else { continue }
            connections[slot].pointee.state = .closing
            closing += 1
            actions.append(.abort(connections.key(slot), .shutdown))
        }
    }

    mutating func tellIfDrained(into actions: inout [PoolAction]) {
        guard life == .draining, living == 0 else { return }
        life = .ended
        actions.append(.drained)
    }
}
