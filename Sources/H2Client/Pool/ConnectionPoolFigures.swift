// What the pool tells of itself.

extension ConnectionPool {
    // MARK: - Events

    /// Costs one load where nobody listens.
    @inline(__always)
    func tell(_ kind: @autoclosure () -> HTTPClient.Event.Kind) {
        if isObserved { tellObservers(kind()) }
    }

    private func tellObservers(_ kind: HTTPClient.Event.Kind) {
        let event = HTTPClient.Event(nanoseconds: clock.preciseNow, kind: kind)
        for observer in lock.withLock({ Array(observers.values) }) { observer.yield(event) }
    }

    func events(bufferingNewest limit: Int) -> AsyncStream<HTTPClient.Event> {
        AsyncStream(bufferingPolicy: .bufferingNewest(limit)) { continuation in
            let number = lock.withLock {
                lastObserver += 1
                observers[lastObserver] = continuation
                isObserved = true
                return lastObserver
            }
            continuation.onTermination = { [weak self] _ in self?.stopObserving(number) }
        }
    }

    private func stopObserving(_ number: Int) {
        lock.withLock {
            observers[number] = nil
            isObserved = !observers.isEmpty
        }
    }

    /// No more events come.
    func endEvents() {
        for observer in lock.withLock({ Array(observers.values) }) { observer.finish() }
    }

    // MARK: - Statistics

    nonisolated(nonsending) func statistics() async -> HTTPClient.Statistics {
        var (result, drivers) = lock.withLock { (countedStatistics(), openDrivers()) }
        for driver in drivers {
            let snapshot = await driver.loop.run { driver.snapshot() }
            // What has been closed meanwhile was counted neither above nor twice.
            result.bytesSent += snapshot.bytesSent
            result.bytesReceived += snapshot.bytesReceived
        }
        drivers = []
        return result
    }

    private func openDrivers() -> [ConnectionDriver] {
        members.compactMap { if case .open(let driver) = $0 { driver } else { nil } }
    }

    private func countedStatistics() -> HTTPClient.Statistics {
        var result = HTTPClient.Statistics()
        for (key, figures) in state.figures() {
            guard let entry = originsBySlot[key.slot], entry.key == key else { continue }
            var origin = HTTPClient.Statistics.OriginStatistics(origin: entry.origin)
            origin.version = state.knownProtocol(key).map { $0 == .http2 ? .http2 : .http1 }
            origin.connecting = figures.dialing
            origin.active = figures.http1Active + figures.http2Active
            origin.idle = figures.http1Idle + figures.http2Idle
            origin.draining = figures.draining
            origin.openStreams = figures.inFlight
            origin.waitingRequests = figures.waiting
            result.connectionsOpen += origin.active + origin.idle + origin.draining
            result.origins.append(origin)
        }
        result.requests = Int(state.leased)
        result.requestsOnReusedConnections = Int(state.reused)
        result.connectionsOpened = Int(state.opened)
        result.handshakes = figures.handshakes
        result.handshakesResumed = figures.handshakesResumed
        result.handshakesSaved = max(0, figures.secureRequests - figures.handshakes)
        result.retries = figures.retries
        result.bytesSent = figures.bytesSent
        result.bytesReceived = figures.bytesReceived
        return result
    }
}
