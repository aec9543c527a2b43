internal import H2Client

// Users that come and go while the measurement runs, and the figures that are looked at meanwhile.

extension Worker {
    /// Joins the control. Called when the worker starts.
    func joinControl() {
        guard let control else { return }
        let (users, isStopped) = control.add(self)
        setUsers(users)
        if isStopped { stop() }
    }

    /// Sets the number of users of the whole measurement, of which this worker has its share.
    func setUsers(_ number: Int) {
        guard let rule = plan.users, isRunning else { return }
        // What comes before the first user is not measured.
        if number > 0 { beginMeasuring() }
        users = Self.share(of: number, index, plan.threads)
        while slotCount * rule.perConnection < users {
            addSlot(number: slotCount * plan.threads + index, streams: 0, share: .max)
            slotsAlive += 1
        }
        for (position, slot) in allSlots.enumerated() {
            slot.setUsers(min(max(users - position * rule.perConnection, 0), rule.perConnection))
        }
        noteLiveFigures()
    }

    private var slotCount: Int { slots.count + asyncSlots.count }

    /// The number of another user of a scenario, which no other user of the measurement has.
    func nextUserNumber() -> Int {
        defer { usersMade += 1 }
        return plan.firstUser + usersMade * plan.threads + index
    }

    /// Why users cannot share a connection; nil if they can.
    func refusal(of connection: any BenchConnection) -> String? {
        guard let users = plan.users, users.perConnection > 1, connection.version == .http1 else { return nil }
        return "the server chose HTTP/1.1, where users cannot share a connection: use --h1"
    }

    /// Whether a request that another connection may answer is sent again: not for users who leave.
    var wantsRetries: Bool { plan.users == nil || users > 0 }

    /// Cuts off the requests of users who leave, which count as aborted.
    func abandon() {
        guard plan.users != nil, users == 0, isRunning else { return }
        for slot in allSlots { slot.abandonRetries() }
        for connection in live.values {
            connection.cutOff = .expired
            (connection as? DirectConnection)?.isMeant = true
            connection.closeNow(because: "the test is over")
        }
        noteLiveFigures()
    }

    /// Begins no more requests.
    func stop() {
        if case .warmUp = phase { finish(.complete) } else { deadline(.complete, drain: plan.drain) }
    }

    func noteLiveFigures() {
        guard let liveCounts else { return }
        let isOver = if case .over = phase { true } else { false }
        // There may be thousands of connections.
        let addsUp = isOver || loop.now &- wireNotedAt >= 200_000_000
        if addsUp { wireNotedAt = loop.now }
        liveCounts.note(
            users: isOver ? 0 : users, inFlight: isOver ? 0 : max(inFlight, leaving),
            connections: isOver ? 0 : live.count,
            addsUp ? currentFigures() : nil)
    }
}
