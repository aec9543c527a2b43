// Opening connections.

extension ConnectionPool {
    /// Starts connecting. Called under the lock.
    func dial(_ key: ConnectionKey, _ origin: OriginKey, _ offer: ProtocolOffer, _ reason: HTTPClient.OpenReason) {
        guard let entry = originsBySlot[origin.slot] else { preconditionFailure("an origin that is dialled is known") }
        let loops = configuration.eventLoops
        let loop = loops[nextLoop % loops.count]
        nextLoop &+= 1
        let dial = PoolDial(key, entry, offer, reason, pool: self, loop: loop)
        while members.count <= key.slot { members.append(.none) }
        members[key.slot] = .dialing(dial)
        loop.execute { dial.start() }
    }

    /// On the dial's loop.
    func connected(_ dial: PoolDial, _ connection: Connection) {
        connection.owner = self
        connection.ownerKey = dial.key.packed
        connection.defaultLimits = defaultLimits
        connection.early?.whenEstablished = {
            self.opened(connection, dial)
            self.lock.withLock { self.state.established(dial.key) }
        }
        // The SETTINGS exchange starts before anyone can send.
        connection.activate()
        if connection.early == nil { opened(connection, dial) }
        change { state in
            members[dial.key.slot] = .open(connection)
            state.connected(
                dial.key, protocol: connection.version, maxStreams: connection.maxConcurrentStreams,
                isEstablished: connection.early == nil)
        }
    }

    /// A connection has been established, including its early handshake, if any.
    private func opened(_ connection: Connection, _ dial: PoolDial) {
        let info = connection.knownInfo
        tell(
            .connectionOpened(info, connection.version, dial.reason), origin: dial.entry.origin,
            connection: info.id)
        if let forwarder = dial.entry.forwarder {
            proxies?.figures.change(forwarder.description) { $0.connectionsOpened += 1 }
        }
        guard info.tlsVersion != nil else { return }
        lock.withLock {
            figures.handshakes += 1
            if info.isTLSResumed { figures.handshakesResumed += 1 }
            switch info.earlyData {
            case .notSent: break
            case .accepted: figures.earlyDataAccepted += 1
            case .rejected: figures.earlyDataRejected += 1
            }
        }
    }

    /// On the dial's loop.
    func dialFailed(_ dial: PoolDial, _ error: H2Error) {
        tell(.connectFailed(error), origin: dial.entry.origin)
        locked {
            members[dial.key.slot] = .none
            dialError = error
            // Any other dial in progress would fail the same way.
            let isFinal = [.certificateRejected, .tlsConfiguration, .invalidConfiguration].contains(error.code)
            state.advance(to: now)
            state.dialFailed(dial.key, timedOut: error.code == .timeout, isFinal: isFinal)
            perform()
            dialError = nil
        }
    }

    /// On the dial's loop.
    func dialCancelled(_ dial: PoolDial, hasBegun: Bool) {
        if hasBegun { tell(.connectCancelled, origin: dial.entry.origin) }
        change { state in
            members[dial.key.slot] = .none
            state.closed(dial.key)
        }
    }

    // MARK: - Errors

    /// The error for a request that gets no connection. Called under the lock.
    func error(_ failure: PoolFailure) -> H2Error {
        switch failure {
        case .dialFailed:
            return dialError
                ?? H2Error(
                    .connectFailed, message: "the server ended its connection without having allowed a request",
                    remedy: "its log may say why")
        case .saturated:
            return H2Error(
                .limitExceeded, message: "all streams and connections of the origin are taken",
                remedy: "send fewer at once, or choose another HTTPClient.Pool.whenSaturated than fail",
                isRetryable: true)
        case .tooManyWaiting:
            return H2Error(
                .limitExceeded,
                message: "\(configuration.pool.waitingRequests) requests wait for a connection already",
                remedy: "send fewer at once, or raise HTTPClient.Pool.waitingRequests", isRetryable: true)
        case .http1NotAllowed:
            return H2Error(
                .http2NotNegotiated, initiator: .remote, message: "the server wants HTTP/1.1 for this request",
                remedy: "this client speaks HTTP/2 alone: choose another HTTPClient.Versions")
        case .noOther:
            return H2Error(
                .limitExceeded,
                message: "no other connection to the origin is free, and the limits allow no further one",
                remedy: "raise the limits of HTTPClient.Pool", isRetryable: true)
        case .shutDown:
            if let configurationError { return configurationError }
            return H2Error(
                .clientShutDown, initiator: .user, message: "the client was shut down", remedy: "use another client",
                isRetryable: true)
        }
    }
}
