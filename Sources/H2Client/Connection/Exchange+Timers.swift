// Time limits of a request and its parts. Timers hold the exchange until `finish` cancels them, which always happens.

extension Exchange {
    /// Sends the body once the server has had its time to respond with 100, counted from when the header fields were written.
    func startContinueTimer(_ limit: UInt64) {
        func look() {
            let now = connection.loop.now
            let passed = sentAt == 0 || sentAt > now ? 0 : now - sentAt
            if passed >= limit { return releaseBody() }
            timers.awaitContinue = connection.loop.schedule(after: limit - passed, look)
        }
        timers.awaitContinue = connection.loop.schedule(after: limit, look)
    }

    func startTotalTimer() {
        guard let limit = options.timeout, timers.total == nil else { return }
        // If the call came from another thread during the loop's turn, the turn's time is older than the call.
        let now = connection.loop.now
        let passed = now > calledAt ? now - calledAt : 0
        let left = limit.clampedNanoseconds &- min(passed, limit.clampedNanoseconds)
        timers.total = connection.loop.schedule(after: left) {
            self.timedOut(.wholeRequest, limit)
        }
    }

    func startPhaseTimer(_ phase: H2Error.Phase, _ limit: Duration, after nanoseconds: UInt64? = nil) {
        stopPhaseTimer()
        timers.phase = connection.loop.schedule(after: nanoseconds ?? limit.clampedNanoseconds) {
            self.timedOut(phase, limit)
        }
    }

    /// Whether the request's body has progressed since the last call, or is waiting for our side: a slow writer or an unread
    /// response is not the server's fault.
    func isSending() -> Bool { isSending(since: &timers.bytesSentBefore) }

    /// - Parameter count: `bytesSent` at the last call, or -1.
    func isSending(since count: inout Int) -> Bool {
        let before = count
        count = bytesSent
        if isOutgoingDone { return before < 0 }
        if bytesSent != before || upload.heldBody != nil { return true }
        if case .awaitingChunk = outgoing { return true }
        if case .file(let file) = outgoing, file.isLoading { return true }
        return connection.isReaderBehind(self)
    }

    /// Periodically checks whether the body makes progress.
    func startSendTimer(_ limit: Duration) {
        let period = max(limit.clampedNanoseconds / 8, 1)
        var since = connection.loop.now
        func look() {
            guard !isOver, !isOutgoingDone else { return timers.sending = nil }
            if isSending() { since = connection.loop.now }
            if connection.loop.now - since >= limit.clampedNanoseconds { return timedOut(.sending, limit) }
            timers.sending = connection.loop.schedule(after: period, look)
        }
        timers.sending = connection.loop.schedule(after: period, look)
    }

    /// The request's last byte is about to be written; the time limit for the response starts when it has been.
    @inline(__always)
    func awaitWritten() {
        if !options.areDefaults, options.firstByteTimeout != nil, slot >= 0 { connection.tellWhenWritten(self) }
    }

    /// The whole request has been written to the socket.
    func wasWritten() {
        guard case .awaitingHead = phase, let limit = options.firstByteTimeout else { return }
        startPhaseTimer(.firstByte, limit)
    }

    func stopPhaseTimer() {
        if let timer = timers.phase { connection.loop.cancel(timer) }
        timers.phase = nil
    }

    func timedOut(_ phase: H2Error.Phase, _ limit: Duration) {
        if phase == .betweenBytes {
            // The timer is not moved for each piece that arrives; when it fires, it checks when the last one came. While the
            // request is being sent, the server may be waiting for the rest of it.
            if isSending() { timers.progressAt = connection.loop.now }
            let quiet = connection.loop.now &- timers.progressAt
            if quiet < limit.clampedNanoseconds {
                timers.phase = connection.loop.schedule(after: limit.clampedNanoseconds - quiet) {
                    self.timedOut(phase, limit)
                }
                return
            }
        }
        var error = H2Error.timeout(phase, limit, stream: id)
        if isWaitingForSlot { explainWait(&error) }
        fail(error)
    }

    /// If unread responses hold all streams of the connection, the error says so.
    func explainWait(_ error: inout H2Error) {
        var count = 0
        connection.session.forEachOpenStream { stream in
            guard let exchange = stream as? Exchange else { return }
            if exchange.unreadSince(now: connection.loop.now) != nil { count += 1 }
        }
        if count > 0, count == connection.openStreamCount { error.add(unread: count, of: "this connection") }
    }
}
