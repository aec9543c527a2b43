// Events and statistics of the pool.

extension ConnectionPool {
    // MARK: - Events

    /// Costs one load if nobody is listening.
    @inline(__always)
    func tell(
        _ kind: @autoclosure () -> HTTPClient.Event.Kind, origin: @autoclosure () -> Origin? = nil,
        connection: @autoclosure () -> ConnectionID? = nil,
        request: @autoclosure () -> HTTPClient.RequestID? = nil
    ) {
        guard isObserved else { return }
        tellObservers(
            HTTPClient.Event(kind(), origin: origin(), connectionID: connection(), requestID: request()))
    }

    private func tellObservers(_ event: HTTPClient.Event) {
        var event = event
        event.nanoseconds = clock.preciseNow
        for observer in lock.withLock({ Array(observers.values) }) { observer.yield(event) }
    }

    func events(bufferingNewest limit: Int) -> AsyncStream<HTTPClient.Event> {
        AsyncStream(bufferingPolicy: .bufferingNewest(limit)) { continuation in
            let number: Int? = lock.withLock {
                guard !hasEndedEvents else { return nil }
                lastObserver += 1
                observers[lastObserver] = continuation
                isObserved = true
                return lastObserver
            }
            guard let number else { return continuation.finish() }
            // Called when the reader's task is cancelled or the stream is dropped, so possibly under foreign locks: it only
            // posts.
            continuation.onTermination = { [weak self, clock] _ in
                clock.execute { [weak self] in self?.stopObserving(number) }
            }
        }
    }

    private func stopObserving(_ number: Int) {
        // The dictionary may hold the last reference to it, so it is released after unlocking.
        _ = lock.withLock {
            let observer = observers.removeValue(forKey: number)
            isObserved = !observers.isEmpty
            return observer
        }
    }

    /// Ends the event streams, including those requested later.
    func endEvents() {
        let last = lock.withLock {
            hasEndedEvents = true
            isObserved = false
            defer { observers = [:] }
            return Array(observers.values)
        }
        for observer in last { observer.finish() }
    }

    // MARK: - Statistics

    nonisolated(nonsending) func statistics() async -> HTTPClient.Statistics {
        var (result, connections) = lock.withLock { (countedStatistics(), openConnections()) }
        for connection in connections where !connection.isShakingHands {
            let snapshot = await connection.loop.run { connection.snapshot() }
            // A connection closed in the meantime is counted neither above nor here, so never twice.
            result.bytesSent += snapshot.bytesSent
            result.bytesReceived += snapshot.bytesReceived
        }
        connections = []
        return result
    }

    /// Under the lock.
    func openConnections() -> [Connection] {
        members.compactMap { if case .open(let connection) = $0 { connection } else { nil } }
    }

    private func countedStatistics() -> HTTPClient.Statistics {
        var result = HTTPClient.Statistics()
        var proxies = ProxyTally(self.proxies?.figures.all ?? [:])
        for (key, figures) in state.figures() {
            guard let entry = originsBySlot[key.slot], entry.key == key else { continue }
            if let forwarder = entry.forwarder {
                proxies.add(forwarder, figures, state.knownProtocol(key))
                result.connectionsOpen += figures.connected
                continue
            }
            var origin = HTTPClient.Statistics.OriginStatistics(origin: entry.origin)
            origin.version = state.knownProtocol(key)
            origin.connecting = figures.dialing
            origin.active = figures.http1Active + figures.http2Active
            origin.idle = figures.http1Idle + figures.http2Idle
            origin.draining = figures.draining
            origin.openStreams = figures.inFlight
            origin.waitingRequests = figures.waiting
            result.connectionsOpen += figures.connected
            result.origins.append(origin)
        }
        result.proxies = proxies.all
        result.requests = Int(state.leased)
        result.requestsOnReusedConnections = Int(state.reused)
        result.connectionsOpened = Int(state.opened)
        result.handshakes = figures.handshakes
        result.handshakesResumed = figures.handshakesResumed
        result.earlyDataAccepted = figures.earlyDataAccepted
        result.earlyDataRejected = figures.earlyDataRejected
        result.handshakesSaved = max(0, figures.secureRequests - figures.handshakes)
        result.retries = figures.retries
        result.hedges = figures.hedges
        result.hedgesWon = figures.hedgesWon
        result.hedgesRefused = figures.hedgesRefused
        result.bytesSent = figures.bytesSent
        result.bytesReceived = figures.bytesReceived
        return result
    }
}

/// Adds up the figures of one proxy: connections that forward belong to the pool, those that carry tunnels do not.
private struct ProxyTally {
    private var proxies: [String: HTTPClient.Statistics.ProxyStatistics] = [:]

    init(_ counts: [String: ProxyFigures.Counts]) {
        for (name, counts) in counts {
            var proxy = HTTPClient.Statistics.ProxyStatistics(
                proxy: name, version: counts.tunnelsOpened > 0 ? .http2 : nil)
            (proxy.active, proxy.idle, proxy.draining) = (counts.active, counts.idle, counts.draining)
            (proxy.tunnels, proxy.tunnelsOpened) = (counts.tunnels, counts.tunnelsOpened)
            proxy.connectionsOpened = counts.connectionsOpened
            proxies[name] = proxy
        }
    }

    mutating func add(_ forwarder: HTTPClient.Proxy, _ figures: PoolState.Figures, _ version: HTTPProtocolVersion?) {
        let name = forwarder.description
        var proxy = proxies[name] ?? HTTPClient.Statistics.ProxyStatistics(proxy: name)
        proxy.version = version ?? proxy.version
        proxy.connecting += figures.dialing
        proxy.active += figures.http1Active + figures.http2Active
        proxy.idle += figures.http1Idle + figures.http2Idle
        proxy.draining += figures.draining
        proxy.openStreams += figures.inFlight
        proxy.waitingRequests += figures.waiting
        proxies[name] = proxy
    }

    var all: [HTTPClient.Statistics.ProxyStatistics] { Array(proxies.values) }
}
