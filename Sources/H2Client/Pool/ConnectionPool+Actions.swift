// Performing what the state decides.

extension ConnectionPool {
    /// Performs the state's actions under the lock. It only posts to loops; tasks to resume are recorded in `due`.
    func perform() {
        // The loop body adds no actions.
        for action in state.actions {
            switch action {
            case .dial(let key, let origin, let offer, let reason): dial(key, origin, offer, reason)
            case .assign(let waiter, let key):
                guard case .open(let connection) = members[key.slot] else {
                    preconditionFailure("the state assigns what is open")
                }
                if connection.info.origin.scheme == .https { figures.secureRequests += 1 }
                waiting[waiter.slot]?.isReused = noteGiven(connection)
                decide(waiter, .success(connection))
            case .fail(let waiter, let failure): decide(waiter, .failure(error(failure)))
            case .close(let key, let reason):
                guard case .open(let connection) = members[key.slot] else { continue }
                connection.loop.execute { connection.closeNow(because: reason.sentence) }
            case .abort(let key, _):
                guard case .open(let connection) = members[key.slot] else { continue }
                connection.loop.execute { connection.abort() }
            case .drain(let key, let reason):
                // Not `close`: that has a time limit and rejects requests that were assigned but have not begun.
                guard case .open(let connection) = members[key.slot] else { continue }
                connection.loop.execute { connection.retire(because: reason.sentence) }
            case .cancelDial(let key, _):
                if case .dialing(let dial) = members[key.slot] { dial.loop.execute { dial.cancel() } }
            case .wakeAt(let time): wake(at: time)
            case .drained:
                for waiter in drainWaiters { due.add(.drained(waiter)) }
                drainWaiters = []
                for alarm in graceAlarms + [alarm, unreadAlarm] { alarm?.stop() }
                (graceAlarms, alarm, unreadAlarm) = ([], nil, nil)
                // Not from here: each loop reports back when it has ended.
                clock.execute {
                    self.proxies?.close()
                    self.endEvents()
                    for loop in self.ownLoops { loop.shutdown() }
                }
            }
        }
        state.actions.removeAll(keepingCapacity: true)
    }

    private func decide(_ waiter: WaiterKey, _ outcome: Outcome) {
        let isFirst = waiting[waiter.slot]?.decide(outcome, into: &due) ?? false
        precondition(isFirst, "a request that waits is decided once")
        waiting[waiter.slot] = nil
    }

    private func wake(at time: UInt64) {
        alarm?.stop()
        let now = now
        // It retains the pool until it fires or everything has ended.
        alarm = LoopAlarm(clock, after: time > now ? time - now : 0) { self.ring(time) }
    }

    /// A loop measures from the start of its turn, so an alarm may fire slightly early, while the state's deadline is still
    /// pending.
    private func ring(_ time: UInt64) {
        if now < time {
            lock.withLock { wake(at: time) }
        } else {
            change { $0.tick() }
        }
    }
}
