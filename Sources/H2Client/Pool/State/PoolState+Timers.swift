/// Timers and shutdown.
extension PoolState {
    /// Shortest interval between checks of idle connections whose servers announced a time: 250 ms. They get no request after
    /// that time, however late the check is.
    static let serverLimitGrain: UInt64 = 250_000_000

    // MARK: Time

    /// Asks for a `tick`, unless an earlier one is due.
    @inline(__always)
    mutating func wake(at time: UInt64) {
        guard time < armed else { return }
        armed = time
        actions.append(.wakeAt(time))
    }

    /// Asks for a `tick` up to 5 % of the time limit late, so that connections that become due in short succession are handled
    /// together.
    mutating func wakeLoosely(at time: UInt64, _ limit: UInt64) {
        wake(at: time &+ limit / 20)
    }

    /// Handles the time asked for: closes connections idle for the limit, or close to it (`idleSlack`), drains those that are
    /// too old, and releases requests that were held for a time. Early or superfluous calls are harmless.
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
            // A later entry may remain; an extra look is harmless.
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

    /// When the connection that has been idle the longest reaches the limit.
    private var idleDue: UInt64? {
        idle.first == noSlot ? nil : connections[idle.first].idleSince.saturatingSum(idleTimeout)
    }

    /// Closes the idle connections whose announced time is over. Returns when the next one is due.
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

    // MARK: Shutdown

    /// Closes all connections without requests.
    mutating func closeIdle() {
        while idle.first != noSlot { retire(idle.first, .closeIdle) }
        processPending()
    }

    /// Takes no new requests; waiting ones fail, those in progress continue. `drained` follows when all connections are gone.
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

    /// Like `shutdown`, but closes all connections at once, even with requests on them.
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
