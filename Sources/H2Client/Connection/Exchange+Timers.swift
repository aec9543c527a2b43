// The limits on the time of a request and its parts. Timers hold the exchange until `finish` cancels them, which every
// exchange comes to.

extension Exchange {
    /// Releases the body once the server has had its time to say 100, which begins when the header fields have left.
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
        // The turn's time is older than the call where that came from another thread while the loop was in its turn.
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

    /// Whether the request's body has moved since this was asked last, or stands still for a reason of our own: what a
    /// writer has not written yet, or a reader has not taken of the response, is no fault of the server's.
    func isSending() -> Bool {
        if isOutgoingDone { return false }
        let before = timers.bytesSentBefore
        timers.bytesSentBefore = bytesSent
        if bytesSent != before || upload.heldBody != nil { return true }
        if case .awaitingChunk = outgoing { return true }
        if case .file(let file) = outgoing, file.isLoading { return true }
        return connection.isReaderBehind(self)
    }

    /// Looks now and then whether the body makes progress.
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

    /// The request's last byte is about to be written: the time for the answer begins when it has been.
    @inline(__always)
    func awaitWritten() {
        if !options.areDefaults, options.firstByteTimeout != nil, slot >= 0 { connection.tellWhenWritten(self) }
    }

    /// All of the request has gone to the socket.
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
            // The timer is not moved for each piece that arrives; it looks when the last one came. While the request is
            // being sent the server may wait for the rest of it.
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

    /// Where responses that nobody reads have all the connection's streams, the error says so.
    func explainWait(_ error: inout H2Error) {
        var count = 0
        connection.session.forEachOpenStream { stream in
            guard let exchange = stream as? Exchange else { return }
            if exchange.unreadSince(now: connection.loop.now) != nil { count += 1 }
        }
        if count > 0, count == connection.openStreamCount { error.add(unread: count, of: "this connection") }
    }
}
