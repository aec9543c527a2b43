// Closing idle connections, and shutting down.

extension ConnectionPool {
    func closeIdle() { change { $0.closeIdle() } }

    /// Grace period for requests in progress when the last reference to the client is gone.
    static let grace = Duration.seconds(30)

    /// Returns when all connections are closed. Without `waitsForRequests` it returns at once if requests are in progress; they
    /// continue until the end of the grace period either way.
    nonisolated(nonsending) func shutdown(gracePeriod: Duration, waitsForRequests: Bool = true) async {
        let connections = locked {
            beginShutdown(gracePeriod)
            return openConnections()
        }
        if !waitsForRequests {
            for connection in connections where await connection.loop.run({ connection.isServing }) { return }
        }
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            locked {
                if case .ended = state.life { return due.add(.drained(continuation)) }
                drainWaiters.append(continuation)
            }
        }
        for source in [tls] + originTLS.values { await source.saveSessions() }
    }

    /// Called under the lock.
    private func beginShutdown(_ gracePeriod: Duration) {
        if case .ended = state.life { return }
        graceAlarms.append(LoopAlarm(clock, after: gracePeriod.clampedNanoseconds) { self.shutdownNow() })
        state.advance(to: now)
        state.shutdown()
        perform()
    }

    /// Rejects new requests and gives those in progress the grace period, without waiting. Can be called anywhere, even under
    /// locks.
    func letGo() {
        clock.execute {
            self.locked { self.beginShutdown(Self.grace) }
        }
    }

    func shutdownNow() { change { $0.shutdownNow() } }
}
