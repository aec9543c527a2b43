// How a connection ends: gracefully, at once, or because its owner or peer wants it.

extension Connection {
    /// Takes no new requests, and closes when the accepted ones are done. `completion` is called at the end.
    func close(because why: String = "it is being closed", completion: @escaping () -> Void) {
        if case .closed = state { return completion() }
        closeWaiters.append(completion)
        drain(.draining(why))
        if drainTimer == nil {
            let limit = configuration.timeouts.drain
            drainTimer = loop.schedule(after: limit.clampedNanoseconds) {
                self.end(
                    H2Error(
                        .timeout, scope: .connection, cause: .timeout(.close, after: limit),
                        message: "the connection was closed: requests took longer than \(limit) after close()",
                        remedy: "allow more time (Configuration.Timeouts.drain)"),
                    saying: .noError)
            }
        }
        markDirty()
    }

    func closeNow(because why: String = "the connection was closed by its user") {
        end(
            H2Error(.connectionClosed, scope: .connection, initiator: .user, message: why),
            saying: .noError)
    }

    /// Its client was shut down, and what is under way has had its time.
    func abort() {
        end(
            H2Error(
                .clientShutDown, scope: .connection, initiator: .user, message: "its client was shut down",
                remedy:
                    "read responses before their client is shut down, or soon after; shutdown(gracePeriod:) may allow more time"
            ),
            saying: .noError)
    }

    /// Whether any request is under way or waits. One that was given up is over, even if the peer has not been told yet.
    var isServing: Bool {
        var isServing = waitingCount > 0
        session.forEachOpenStream { if !$0.isOver { isServing = true } }
        return isServing
    }

    /// Nobody has the connection any more: what is under way finishes as after `close()`, and nobody waits for it unless
    /// that is nothing. `completion` is called at the end then, and else at once.
    func letGo(completion: @escaping () -> Void = {}) {
        let isServing = isServing
        close(because: "nobody has it any more", completion: isServing ? {} : completion)
        if isServing { completion() }
    }

    /// Its user has dropped it. From any thread.
    func postLetGo() { loop.execute { self.letGo() } }

    /// Its owner gives it no more requests.
    func retire(because why: String) {
        guard case .active = state else { return }
        let error = H2Error.draining(why)
        state = .retiring(error)
        owner?.draining(self, why: error, answers: nil)
    }

    /// From now on new requests get this error. Does nothing to a connection that drains already.
    func drain(_ error: H2Error, answers: Int? = nil) {
        switch state {
        case .active, .retiring: break
        case .draining, .closed: return
        }
        state = .draining(error)
        owner?.draining(self, why: error, answers: answers)
    }

    func finishDraining() {
        end(
            H2Error(
                .connectionClosed, scope: .connection, message: "the connection was closed",
                remedy: "send it on a new connection", isRetryable: true),
            saying: .noError)
    }

    /// Ends everything: says its last words, closes the wire, fails what is under way.
    func end(_ error: H2Error, saying code: ErrorCode?) {
        if case .closed = state { return }
        state = .closed(error)
        for timer in [drainTimer, watchTimer, stallTimer] {
            if let timer { loop.cancel(timer) }
        }
        (drainTimer, watchTimer, stallTimer) = (nil, nil, nil)
        unwritten = []
        // First of all: whoever is told below may ask the owner for another connection, and must not get this one.
        owner?.closed(self, why: error)
        sendLastBytes(code)
        wire.close()
        session.failAll { stream, mayHaveLeft in lost(stream, error, mayHaveLeft: mayHaveLeft) }
        failWaiting { lost($0, error, mayHaveLeft: false) }
        control?.end(error)
        let waiters = closeWaiters + deathWaiters
        (closeWaiters, deathWaiters) = ([], [])
        for waiter in waiters { waiter() }
        // The owner stays: what it counted against the connection and has not begun yet will be given back. It lets go by
        // itself (`disown`).
        streamLimitWatcher = nil
        // Not from here, which may be in the middle of a call of the session's or the wire's.
        loop.execute { self.release() }
    }

    /// A kept response keeps this object, for however long. All that is large goes.
    private func release() {
        releaseQueue()
        session.release()
        wire.release()
    }

    /// Nothing that its owner counts is left on it, nor will be. On the loop.
    func disown() { owner = nil }

    /// Whatever goes out without waiting: GOAWAY, mostly. HTTP/1.1 has no last words, and half a request is none.
    private func sendLastBytes(_ code: ErrorCode?) {
        guard let http2, wire.failure == nil else { return }
        if let code { http2.sayGoAway(code) }
        http2.fillOutput(limit: Self.outputLimit, now: loop.now)
        while case let bytes = http2.outputBytes, !bytes.isEmpty {
            guard case .bytes(let count) = wire.write(bytes) else { return }
            http2.outputTaken(count, now: loop.now)
        }
    }

    /// What a stream's requester is told when its connection is gone.
    private func lost(_ stream: StreamState, _ cause: H2Error, mayHaveLeft: Bool) -> H2Error {
        var error = cause
        error.scope = .stream(stream.id)
        if mayHaveLeft {
            error.isRetryable = false
            error.message = "\(stream.title) was cut off: \(cause.message)"
        } else {
            error.isRetryable = true
            if error.code == .connectionClosed { error.code = .notProcessed }
            error.message = "the request was not sent: \(cause.message)"
        }
        return error
    }
}
