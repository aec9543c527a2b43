/// Time, and the end.
extension PoolState {
    /// Idle connections of servers that announced a time are looked at this often at the most: 250 ms. They are not given
    /// to a request after that time, however late they are looked at.
    static let serverLimitGrain: UInt64 = 250_000_000

    // MARK: Time

    /// Asks for a `tick`, where none comes that early.
    @inline(__always)
    mutating func wake(at time: UInt64) {
        guard time < armed else { return }
        armed = time
        actions.append(.wakeAt(time))
    }

    /// Asks for a `tick` up to 5 % of the time limit later than it is due, so that connections which come due one after the
    /// other are seen to together.
    mutating func wakeLoosely(at time: UInt64, _ limit: UInt64) {
        wake(at: time &+ limit / 20)
    }

    /// The time that was asked for has come: closes what has been idle for as long as it may, or will have been within
    /// `idleSlack`, drains what is too old, and lets requests go on that were held for a time. Early or superfluous calls do
    /// no harm.
    mutating func tick() {
        guard life != .ended else { return }
        if armed <= now { armed = .max }
        while let due = idleDue, due - idleSlack <= now {
            retire(idle.first, .idleTimeout)
        }
        while aging.first != noSlot, connections[aging.first].ageLimit <= now {
            retire(aging.first, .maximumAge)
        }
        let soonest = hasServerLimits ? closeExpired() : .max
        takeTurnsWithRoom()
        while let hold = holds.popDue(now: now) {
            let origin = origins.find(hold.origin)
            guard origin != noSlot else { continue }
            // A later entry may be left; to look once too often does no harm.
            if origins[origin].wakesAt <= now { origins[origin].wakesAt = .max }
            markPending(origin)
        }
        processPending()
        if let due = idleDue { wake(at: due - idleSlack / 2) }
        if aging.first != noSlot, connections[aging.first].ageLimit != .max {
            wakeLoosely(at: connections[aging.first].ageLimit, maximumAge)
        }
        if let earliest = holds.earliest { wake(at: earliest) }
        if soonest != .max { wake(at: max(soonest, now + PoolState.serverLimitGrain)) }
    }

    /// When the connection that has been idle the longest has been so for as long as it may.
    private var idleDue: UInt64? {
        idle.first == noSlot ? nil : connections[idle.first].idleSince.saturatingSum(idleTimeout)
    }

    /// Closes the idle connections whose server said that it would; when the next is due.
    private mutating func closeExpired() -> UInt64 {
        var soonest = UInt64.max
        var slot = idle.first
        while slot != noSlot {
            let next = connections[slot].idle.next
            if connections[slot].usableUntil <= now {
                retire(slot, whyUnusable(slot))
            } else if connections[slot].usableUntil < connections[slot].ageLimit {
                soonest = min(soonest, connections[slot].usableUntil)
            }
            slot = next
        }
        return soonest
    }

    // MARK: The end

    /// Closes all connections with nothing on them.
    mutating func closeIdle() {
        while idle.first != noSlot { retire(idle.first, .closeIdle) }
        processPending()
    }

    /// Takes no new requests; those that wait fail, those under way go on. `drained` follows when all connections are gone.
    mutating func shutdown() {
        guard life == .running else { return }
        life = .draining
        for index in 0..<waiters.bound where waiters.isTaken(index) { fail(Int32(index), .shutDown) }
        for index in 0..<connections.bound where connections.isTaken(index) {
            let slot = Int32(index)
            switch connections[slot].state {
            case .dialing: cancelDial(slot, .shutdown)
            case .open: retire(slot, .shutdown)
            case .held: finish(slot, .shutdown)
            case .draining, .closing, .gone: break
            }
        }
        processPending()
        tellIfDrained()
    }

    /// As `shutdown`, but closes all connections at once, whatever is on them.
    mutating func shutdownNow() {
        guard life != .ended else { return }
        shutdown()
        for index in 0..<connections.bound where connections.isTaken(index) {
            let slot = Int32(index)
            guard connections[slot].state == .draining else { continue }
            connections[slot].state = .closing
            closing += 1
            actions.append(.abort(connections.key(slot), .shutdown))
        }
    }

    mutating func tellIfDrained() {
        guard life == .draining, living == 0 else { return }
        life = .ended
        actions.append(.drained)
    }
}
