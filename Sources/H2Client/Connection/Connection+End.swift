// Ending a connection: gracefully, at once, or because its owner or peer wants it.

extension Connection {
    /// Takes no new requests, and closes when the accepted ones are done. `completion` is called after that.
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
                        remedy: "allow more time (ConnectionConfiguration.Timeouts.drain)"),
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

    /// Closes at once: the client was shut down, and the grace period for requests in progress is over.
    func abort() {
        end(
            H2Error(
                .clientShutDown, scope: .connection, initiator: .user, message: "its client was shut down",
                remedy:
                    "read responses before their client is shut down, or soon after; shutdown(gracePeriod:) may allow more time"
            ),
            saying: .noError)
    }

    /// Whether any request is in progress or waiting. A cancelled one is over, even if the peer has not been told yet.
    var isServing: Bool {
        var isServing = waitingCount > 0
        session.forEachOpenStream { if !$0.isOver { isServing = true } }
        return isServing
    }

    /// The last reference to the connection is gone: requests in progress finish as after `close()`. `completion` is called at
    /// the end if nothing was in progress, otherwise at once.
    func letGo(completion: @escaping () -> Void = {}) {
        let isServing = isServing
        close(because: "nobody has it any more", completion: isServing ? {} : completion)
        if isServing { completion() }
    }

    /// Called from any thread when the user drops the connection.
    func postLetGo() { loop.execute { self.letGo() } }

    /// Its owner gives it no more requests.
    func retire(because why: String) {
        switch state {
        case .early, .active: break
        case .retiring, .draining, .closed: return
        }
        let error = H2Error.draining(why)
        state = .retiring(error)
        owner?.draining(self, why: error, answers: nil)
    }

    /// From now on new requests get this error. Does nothing if the connection is already draining.
    func drain(_ error: H2Error, answers: Int? = nil) {
        switch state {
        case .early, .active, .retiring: break
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

    /// Ends everything: sends the last bytes, closes the wire, and fails the requests in progress.
    func end(_ error: H2Error, saying code: H2Error.HTTP2Code?) {
        if case .closed = state { return }
        state = .closed(error)
        for timer in [drainTimer, watchTimer, limitTimer, stallTimer] {
            if let timer { loop.cancel(timer) }
        }
        (drainTimer, watchTimer, limitTimer, stallTimer) = (nil, nil, nil, nil)
        unwritten = []
        // This comes first: code notified below may ask the owner for another connection and must not get this one.
        owner?.closed(self, why: error)
        // Requests that wait for the end of a handshake must not be sent before it.
        if !(early?.abandon() ?? false) { sendLastBytes(code) }
        wire.close()
        session.failAll { stream, mayHaveLeft in lost(stream, error, mayHaveLeft: mayHaveLeft) }
        failWaiting { lost($0, error, mayHaveLeft: false) }
        control?.end(error)
        let waiters = closeWaiters + deathWaiters
        (closeWaiters, deathWaiters) = ([], [])
        for waiter in waiters { waiter() }
        // The owner stays: requests counted against the connection that have not begun yet will be returned to it. It detaches
        // itself (`disown`).
        streamLimitWatcher = nil
        // Not from here: this may be inside a call of the session or the wire.
        loop.execute { self.release() }
    }

    /// A retained response keeps this object alive indefinitely, so everything large is released.
    private func release() {
        releaseQueue()
        session.release()
        wire.release()
    }

    /// The owner counts no request on it, now or later. Called on the loop.
    func disown() { owner = nil }

    /// Sends what can be written without waiting, usually GOAWAY. HTTP/1.1 has no closing message, and a partial request would
    /// be useless.
    private func sendLastBytes(_ code: H2Error.HTTP2Code?) {
        guard let http2, wire.failure == nil else { return }
        if let code { http2.sayGoAway(code) }
        http2.fillOutput(limit: Self.outputLimit, now: loop.now)
        while case let bytes = http2.outputBytes, !bytes.isEmpty {
            guard case .bytes(let count) = wire.write(bytes) else { return }
            http2.outputTaken(count, now: loop.now)
        }
    }

    /// The error for a stream whose connection is gone.
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
