internal import H2Client
import H2Platform

// Work that other workers leave to this one, and the end.

extension Worker {
    // MARK: - Work that others leave

    /// Another worker has given up, and this one sends some of its requests.
    func takeOver() {
        guard let peers, isRunning else { return }
        let leftover = peers.takeInbox(of: self)
        doneAt = nil
        if case .requests = plan.extent {
            left += leftover.requests
            if !isOpenLoop { orphaned += leftover.requests }
        }
        if isOpenLoop {
            take(leftover)
            sendBacklog()
            if let arrivalTimer { loop.cancel(arrivalTimer) }
            takeArrivals()
        } else {
            wakeSlots()
        }
        if left == 0 { checkEnd() }
    }

    func wakeSlots() {
        for slot in allSlots { slot.wake() }
    }

    // MARK: - The end

    /// No worker has anything left to do.
    func allAreDone() {
        // A worker that gave up meanwhile may have left something.
        if doneAt != nil { finish(.complete) }
    }

    /// The user stops the measurement.
    func interrupt() {
        finish(.interrupted)
    }

    func deadline(_ end: BenchResult.End, drain: Duration) {
        guard case .measuring = phase else { return }
        loop.readClock()
        noteEnd()
        // Only requests under way now are waited for.
        left = 0
        phase = .draining
        findings.end = end
        guard open > 0, drain > .zero else { return finish(end) }
        after(drain) { $0.finish(end) }
    }

    private func noteEnd() {
        guard findings.endedAt == 0 else { return }
        // From here on nobody leaves it anything. Work that it has not taken over was planned but is not sent.
        if let peers {
            let leftover = peers.leave(self)
            if isOpenLoop { take(leftover) }
        }
        // A worker that had nothing left to do has only waited for the others.
        let now = doneAt ?? loop.now
        findings.endedAt = now
        findings.usedAtEnd = Self.usedCPU
        let used = ProcessClocks.threadNanoseconds - cpuAtBegin
        if findings.hasMeasured {
            findings.busy = min(Double(used > spun ? used - spun : 0) / Double(max(loop.now - findings.beganAt, 1)), 1)
        }
        findings.spun = Double(spun) / 1e9
        findings.answered = allSlots.map(\.answered)
        var figures = currentFigures()
        figures.subtract(figuresAtBegin)
        (findings.traffic.receivedInTime, findings.traffic.sentInTime) = (figures.received, figures.sent)
        if now > intervalBeganAt, findings.hasMeasured { endInterval(now) }
        // Requests that were planned but never sent.
        switch plan.extent {
        case .requests: findings.requests.dropped = left
        case .time(let time):
            // A request due exactly at the end is not part of the run.
            let last = findings.beganAt &+ max(time.clampedNanoseconds, 1) &- 1
            for slot in slots { slot.returnRefused() }
            findings.requests.dropped += backlog.count + slotBacklog + notTaken(at: now >= last ? nil : now)
        case .untilStopped: break
        }
    }

    func finish(_ end: BenchResult.End) {
        if case .over = phase { return }
        beginMeasuring(isOver: true)
        loop.readClock()
        noteEnd()
        findings.end = end
        // Drained responses belong to an interval too, the one after the end.
        if !recorder.isEmpty { endInterval(loop.now) }
        timeline.end(loop: index)
        phase = .over
        findings.breakdown = breakdown
        noteLiveFigures()
        control?.remove(self)
        findings.requests.aborted += open
        // In a timed run each slot has something to send, even if it was not to connect yet (-r).
        let allWant = if case .time = plan.extent { end == .complete } else { false }
        let wanting = allSlots.filter { allWant || $0.hasWanted }
        findings.connections.wanted = wanting.count
        findings.connections.neverOpened = wanting.count { !$0.hasConnected }
        var figures = currentFigures()
        figures.subtract(figuresAtBegin)
        findings.take(figures)
        for timer in timers { loop.cancel(timer) }
        timers = []
        if let arrivalTimer { loop.cancel(arrivalTimer) }
        arrivalTimer = nil
        for slot in allSlots { slot.end() }
        for connection in live.values { connection.closeNow(because: "the measurement is over") }
        // Not in the middle of a connection's work, and not before the last task has ended: the loop ends with this.
        Task(executorPreference: loop.taskExecutor) { [self] in
            for slot in asyncSlots { await slot.finish() }
            slots = []
            asyncSlots = []
            completion(findings)
        }
    }
}

extension Worker.Findings {
    fileprivate mutating func take(_ figures: DirectFigures) {
        (traffic.received, traffic.sent) = (figures.received, figures.sent)
        (traffic.receivedHTTP, traffic.sentHTTP) = (figures.receivedHTTP, figures.sentHTTP)
        (traffic.headers, traffic.headersDecoded) = (figures.headers, figures.headersDecoded)
        waits.sendBlocked = Double(figures.sendBlocked)
        waits.uploadStreamWindow = Double(figures.stalls.uploadStream)
        waits.uploadConnectionWindow = Double(figures.stalls.uploadConnection)
        waits.downloadStreamWindow = Double(figures.stalls.downloadStream)
        waits.downloadConnectionWindow = Double(figures.stalls.downloadConnection)
    }
}
