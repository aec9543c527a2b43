// Reading and writing, and peers that stop accepting bytes.

extension Connection {
    // MARK: - Bytes in

    package func ready(readable: Bool, writable: Bool) {
        if case .closed = state { return }
        if writable && isWriteBlocked { unblockWriting() }
        if readable { readMore() }
    }

    package func unwatched(_ error: H2Error) {
        let why = error.initiator == .user ? "its event loop was shut down" : error.message
        end(
            H2Error(
                .connectionClosed, scope: .connection, initiator: error.initiator, cause: error.cause,
                message: "the connection was closed: \(why)", remedy: error.remedy),
            saying: .noError)
    }

    /// Reads input. If the peer no longer accepts bytes, ends the connection once all its input is read; a slow reader keeps it
    /// open until then.
    func readMore() {
        let isAllRead = readInput()
        guard let writeFailure else { return }
        if isAllRead { return ended(writeFailure) }
        if wantsInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    /// Returns true if all available input has been read.
    @discardableResult
    func readInput() -> Bool {
        assert(!isShakingHands, "nothing is read before the peer is verified")
        var share = Self.fairShare
        while share > 0 && wantsInput {
            switch wire.read(into: loop.readBuffer) {
            case .bytes(let count):
                share -= count
                if readsClock { loop.readClock() }
                lastInputAt = loop.now
                guard digest(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])) else { return true }
                // Level-triggered readiness calls again for what the descriptor still holds.
                if !wire.hasBufferedInput {
                    finishReading()
                    return false
                }
            case .wouldBlock:
                finishReading()
                return true
            case .end:
                ended(nil)
                return true
            case .failed:
                ended(wire.failure)
                return true
            }
        }
        finishReading()
        // Readiness does not report bytes above the descriptor: schedule another turn, after the other connections.
        if wantsInput { loop.execute { self.ready(readable: true, writable: false) } }
        return false
    }

    /// Processes input. Returns false if the connection ended because of it.
    private func digest(_ bytes: UnsafeRawBufferPointer) -> Bool {
        do throws(H2Error) {
            try session.receive(bytes, now: loop.now)
        } catch {
            end(error, saying: nil)
            return false
        }
        control?.received()
        if let http1, let owner, let limits = http1.takeAnnouncedLimits() {
            owner.limitsAnnounced(self, requests: limits.requests, idle: limits.idle)
        }
        return tellChanges()
    }

    /// All available input has been read.
    private func finishReading() {
        // HTTP/1.1 has no windows: unread data is left in the socket, which slows the server down.
        if !wantsInput {
            isReadingPaused = true
            wire.watch(readable: false, writable: isWriteBlocked)
        }
        // nghttp2 ignores all input from here on, and a server that does not read will never get the GOAWAY.
        if isWriteBlocked, let violation = http2?.unsentViolation { return end(violation, saying: nil) }
        if session.hasOutput { markDirty() }
    }

    /// A reader has taken some of the data left in the socket.
    func resumeReading() {
        guard wantsInput else { return }
        isReadingPaused = false
        if case .closed = state { return }
        restartStallTimer()
        wire.watch(readable: true, writable: isWriteBlocked)
        if wire.hasBufferedInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    /// The peer closed its side; `failure` is nil if it did so properly.
    private func ended(_ failure: H2Error?) {
        if case .closed = state { return }
        let error = session.receivedEnd(failure, now: loop.now)
        tellRefusal()
        session.tellTouched()
        end(error, saying: nil)
    }

    // MARK: - Bytes out

    package func flush() {
        isMarkedDirty = false
        if case .closed = state { return }
        guard !isWriteBlocked, writeFailure == nil else {
            early?.flush()
            return
        }
        if let http2 { write(from: http2) } else { write(from: session) }
    }

    /// Generic, so that it is specialised for HTTP/2, whose calls then need no dynamic dispatch.
    @inline(__always)
    private func write(from session: some HTTPSession) {
        var share = Self.fairShare
        while true {
            session.fillOutput(limit: Self.outputLimit, now: loop.now)
            guard tellChanges() else { return }
            let bytes = session.outputBytes
            guard !bytes.isEmpty else { break }
            switch wire.write(bytes) {
            case .bytes(let count):
                session.outputTaken(count, now: loop.now)
                if !unwritten.isEmpty { tellWritten() }
                share -= count
                if share <= 0 { return markDirty() }
            case .wouldBlock: return blockWriting()
            case .end, .failed:
                // The peer's last input may explain why. The end of its input follows.
                writeFailure = wire.failure
                return readMore()
            }
        }
        if case .draining = state, openStreamCount == 0, waitingCount == 0 { finishDraining() }
    }

    /// Calls the exchange's `wasWritten` when the current output has been written.
    func tellWhenWritten(_ exchange: Exchange) {
        unwritten.append(exchange)
    }

    func tellWritten() {
        guard session.outputBytes.isEmpty else { return }
        // Exchanges that began during this flush are not in the output yet.
        let written = unwritten
        unwritten = written.filter { $0.sentAt == 0 && !$0.isOver }
        for exchange in written where exchange.sentAt != 0 { exchange.wasWritten() }
    }

    private func blockWriting() {
        isWriteBlocked = true
        writeBlockedAt = loop.now
        wire.watch(readable: wantsInput, writable: true)
        startStallTimer()
    }

    /// A reader has resumed: a server that could not write its response had no reason to read either.
    private func restartStallTimer() {
        guard let stallTimer else { return }
        loop.cancel(stallTimer)
        startStallTimer()
    }

    private func startStallTimer() {
        let limit = configuration.timeouts.writeStall.clampedNanoseconds
        guard limit > Self.stallNotice, !isStalled else { return endIfStalled(after: limit) }
        stallTimer = loop.schedule(after: Self.stallNotice) {
            self.isStalled = true
            self.owner?.stalled(self, true)
            self.endIfStalled(after: limit - Self.stallNotice)
        }
    }

    private func endIfStalled(after nanoseconds: UInt64) {
        let limit = configuration.timeouts.writeStall
        stallTimer = loop.schedule(after: nanoseconds) {
            // A paused reader is our own doing: check again later, even if the limit is 0.
            guard self.wantsInput else { return self.endIfStalled(after: max(nanoseconds, Self.stallNotice)) }
            self.end(
                H2Error(
                    .timeout, scope: .connection, initiator: .remote, cause: .timeout(.writeStall, after: limit),
                    message: "the server took no byte for \(limit)", remedy: "it may be dead: connect anew"),
                saying: nil)
        }
    }

    private func unblockWriting() {
        isWriteBlocked = false
        writeBlockedTime += loop.now - writeBlockedAt
        if let stallTimer { loop.cancel(stallTimer) }
        stallTimer = nil
        if isStalled {
            isStalled = false
            owner?.stalled(self, false)
        }
        wire.watch(readable: wantsInput, writable: false)
        markDirty()
    }
}
