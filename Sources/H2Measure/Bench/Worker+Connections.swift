internal import H2Client

// The connections of a worker's slots.

extension Worker {
    /// Has the slot dial as soon as fewer than `maximumDials` are under way.
    func dial(_ slot: ConnectionSlot) {
        dialQueue.append(slot)
        startDials()
    }

    func dialEnded() {
        dials -= 1
        startDials()
    }

    /// Iterates rather than recurses: thousands of slots may wait, none of which wants a connection any more.
    private func startDials() {
        if case .over = phase { return }
        guard !isDialling else { return }
        isDialling = true
        defer { isDialling = false }
        while dials < Self.maximumDials, let next = dialQueue.popFirst() {
            dials += 1
            if !next.dialNow() { dials -= 1 }
        }
    }

    func connected(_ connection: any BenchConnection, again: Bool) {
        live[ObjectIdentifier(connection)] = connection
        if live.count == 1 { peers?.note(self, isConnected: true) }
        downtime.connected(loop.now)
        let info = connection.info
        findings.connections.opened += 1
        if again { findings.connections.reopened += 1 }
        findings.connections.peakOpen = max(findings.connections.peakOpen, live.count)
        if connection.version == .http2 {
            findings.connections.http2 += 1
        } else {
            findings.connections.http1 += 1
        }
        findings.connect.record(info.connect.clampedNanoseconds)
        guard let time = info.tls else { return }
        findings.handshake.record(time.clampedNanoseconds)
        findings.connections.handshakes += 1
        if info.isTLSResumed { findings.connections.resumed += 1 }
        if findings.connections.tlsVersion == nil {
            findings.connections.tlsVersion = info.tlsVersion
            findings.connections.cipher = info.cipher
        }
    }

    func connectFailed(_ error: H2Error) {
        findings.connections.failed[error.kind, default: 0] += 1
        downtime.failed(loop.now)
        if findings.connectError == nil { findings.connectError = error }
    }

    /// The reason given when a connection reaches its maximum lifetime.
    static func expiry(_ limit: Duration) -> String {
        "its connections were open for \(timeText(seconds: limit.inSeconds)) (-T)"
    }

    func streamLimit(_ limit: Int?) { findings.connections.maxConcurrentStreams = limit }

    /// - Parameter cause: nil if it was intended.
    func disconnected(_ connection: any BenchConnection, cause: String?) {
        guard live.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        busySince[ObjectIdentifier(connection)] = nil
        if live.isEmpty { peers?.note(self, isConnected: false) }
        closedFigures.add(connection.figures)
        downtime.gone(loop.now, isWanted: plan.users == nil || users > 0)
        if case .over = phase { return }
        if let cause {
            findings.connections.lost[cause, default: 0] += 1
        } else {
            findings.connections.rotated += 1
        }
    }

    /// A slot cannot go on.
    /// - Parameter isMeant: whether its connection was ended because the plan says so.
    func gaveUp(_ number: Int, why: String, isMeant: Bool) {
        if case .over = phase { return }
        slotsAlive -= 1
        if isMeant {
            let isAnother = limitReached.map { $0 != why } ?? false
            limitReached = isAnother ? "every connection came to its time limit (-T, -N)" : why
        } else {
            hasFailedSlot = true
            findings.connections.abandoned += 1
        }
        guard slotsAlive > 0 else { return leaveAll(why) }
        wakeForOrphaned()
    }

    /// Wakes idle slots to send requests that others offer.
    func wakeForOrphaned() {
        guard orphaned > 0, !isOpenLoop else { return }
        if live.isEmpty, isRunning, let peers, peers.offer(orphaned, from: self) {
            left -= orphaned
            orphaned = 0
            if left == 0 { checkEnd() }
            return
        }
        wakeSoon()
    }

    /// Not called directly: a slot that gives up leaves requests that may make the next one give up, and so on through all of
    /// them.
    func wakeSoon() {
        guard !isWaking else { return }
        isWaking = true
        loop.execute { [self] in
            isWaking = false
            if isOpenLoop { sendBacklog() } else { wakeSlots() }
        }
    }

    /// No slot is left: leaves unsent requests to other workers, if there are any.
    private func leaveAll(_ why: String) {
        let end = hasFailedSlot ? BenchResult.End.gaveUp(why) : .expired(limitReached ?? why)
        guard isRunning else { return finish(findings.end) }
        guard let peers else { return finish(end) }
        var leftover = inherited
        inherited = WorkerGroup.Leftover()
        if case .requests = plan.extent { leftover.requests = left }
        if case .measuring = phase {
            leftover.schedules = schedules
            while let arrival = backlog.popFirst() { leftover.arrivals.append(arrival) }
        } else {
            // The warm-up leaves nothing but the slots to send for.
            leftover.parts = schedules.map(\.part)
        }
        guard peers.share(&leftover, from: self) else {
            if case .requests = plan.extent { left = leftover.requests }
            if case .measuring = phase { schedules = [] }
            leftover.parts = []
            take(leftover)
            return finish(end)
        }
        if case .requests = plan.extent { left = 0 }
        schedules = []
        // The workers that go on report whether anything is wrong.
        finish(.complete)
    }

    /// Whether a slot keeps trying after this number of consecutive failures.
    func mayTryAgain(after failures: Int, _ code: H2Error.Code) -> Bool {
        // The users are there for as long as the measurement runs, whatever one dial brings.
        if plan.users != nil, downtime.hasConnected { return true }
        switch code {
        case .certificateRejected, .tlsConfiguration, .http2NotNegotiated, .invalidURL, .invalidRequest: return false
        default: break
        }
        // A mistake in the plan shows before the first connection of any worker.
        if plan.users != nil || plan.keepsTrying && downtime.hasConnected { return true }
        return failures < Self.attemptsToConnect
    }

    /// The pause of the slot with this number after consecutive failures, in nanoseconds: 0.1 to 0.8 s. If the plan keeps
    /// trying, up to 5 s more, depending on the number, so that thousands of slots do not all dial an absent server at once.
    ///
    /// The first slot dials more often while there is no connection at all: the time between two dials limits how precisely the
    /// downtime is known.
    func pause(after failures: Int, of number: Int) -> UInt64 {
        if plan.keepsTrying, number == 0, let time = downtime.lasts(loop.now) { return Downtime.pause(after: time) }
        let pause = 100_000_000 << UInt64(min(max(failures - 1, 0), 3)) as UInt64
        return plan.keepsTrying ? pause + UInt64(number % 5_000) * 1_000_000 : pause
    }

    /// The configuration of a slot's connections.
    func configuration(of number: Int) -> ConnectionConfiguration {
        guard !plan.sourceAddresses.isEmpty else { return plan.configuration }
        var configuration = plan.configuration
        configuration.local.address = plan.sourceAddresses[number % plan.sourceAddresses.count]
        return configuration
    }

    /// Waits, for a slot whose requests are tasks.
    nonisolated(nonsending) func pause(_ nanoseconds: UInt64) async {
        await withUnsafeContinuation { continuation in
            _ = loop.schedule(after: nanoseconds) { continuation.resume() }
        }
    }

    func noteDepth(_ depth: Int) {
        if depth > findings.connections.roundTrips { findings.connections.roundTrips = depth }
    }

    func watchActivity(_ limit: UInt64) {
        let period = max(limit / 16, 1_000_000)
        func look() {
            let now = loop.now
            for (key, connection) in live {
                // The limit counts from when there is something to wait for: a request on an established connection.
                guard connection.openStreams > 0, let since = busySince[key] else {
                    busySince[key] = now + period
                    continue
                }
                let last = max(connection.lastByteAt, since)
                guard now > last, now - last >= limit else { continue }
                let why = "no byte came for \(timeText(limit)) (-N)"
                if let slot = slots.first(where: { $0.connection === connection }) {
                    slot.stop(because: why, isExpired: false)
                } else if let slot = asyncSlots.first(where: { $0.connection === connection }) {
                    slot.stop(because: why, isExpired: false)
                } else {
                    // Its slot has left it (GOAWAY, rotation), and only requests under way on it still wait.
                    connection.cutOff = .silent
                    connection.closeNow(because: why)
                }
            }
            if case .over = phase { return }
            timers.append(loop.schedule(after: period) { look() })
            trimTimers()
        }
        timers.append(loop.schedule(after: period) { look() })
    }

    func currentFigures() -> DirectFigures {
        live.values.reduce(into: closedFigures) { $0.add($1.figures) }
    }
}
