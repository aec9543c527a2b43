internal import H2Client

// The connections of a worker's seats.

extension Worker {
    /// Whether the seat may dial now; else it is called back when it may.
    func mayDial(_ seat: Seat) -> Bool {
        guard dials < Self.mostDials else {
            dialQueue.append(seat)
            return false
        }
        dials += 1
        return true
    }

    func dialEnded() {
        dials -= 1
        if case .over = phase { return }
        guard let next = dialQueue.popFirst() else { return }
        dials += 1
        next.dialNow()
    }

    func connected(_ connection: any BenchConnection, again: Bool) {
        live[ObjectIdentifier(connection)] = connection
        let info = connection.info
        findings.connections.opened += 1
        if again { findings.connections.reopened += 1 }
        findings.connections.mostOpen = max(findings.connections.mostOpen, live.count)
        if connection.version == .http2 {
            findings.connections.http2 += 1
        } else {
            findings.connections.http1 += 1
        }
        findings.connect.record(info.connect.clampedNanoseconds)
        guard let time = info.tls else { return }
        findings.handshake.record(time.clampedNanoseconds)
        findings.connections.handshakes += 1
        if info.isTLSResumed { findings.connections.resumed += 1 }
        if findings.connections.tlsVersion == nil {
            findings.connections.tlsVersion = info.tlsVersion
            findings.connections.cipher = info.cipher
        }
    }

    func connectFailed(_ error: H2Error) {
        findings.connections.failed[error.kind, default: 0] += 1
        if findings.connectError == nil { findings.connectError = error }
    }

    func streamLimit(_ limit: Int?) { findings.connections.maxConcurrentStreams = limit }

    /// - Parameter cause: nil where it was meant.
    func disconnected(_ connection: any BenchConnection, cause: String?) {
        guard live.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        busySince[ObjectIdentifier(connection)] = nil
        closedFigures.add(connection.figures)
        if case .over = phase { return }
        if let cause {
            findings.connections.lost[cause, default: 0] += 1
        } else {
            findings.connections.rotated += 1
        }
    }

    /// A seat cannot go on.
    func gaveUp(_ number: Int, why: String) {
        if case .over = phase { return }
        seatsAlive -= 1
        guard seatsAlive > 0 else { return finish(.gaveUp(why)) }
        // Others may have nothing to do, and take what it leaves.
        guard orphaned > 0, !isOpenLoop else { return }
        for seat in seats { seat.wake() }
        for seat in asyncSeats { seat.wake() }
    }

    /// Waits, for a seat whose requests are tasks.
    nonisolated(nonsending) func pause(_ nanoseconds: UInt64) async {
        await withUnsafeContinuation { continuation in
            _ = loop.schedule(after: nanoseconds) { continuation.resume() }
        }
    }

    func noteDepth(_ depth: Int) {
        if depth > findings.connections.roundTrips { findings.connections.roundTrips = depth }
    }

    func watchActivity(_ limit: UInt64) {
        let period = max(limit / 16, 1_000_000)
        func look() {
            let now = loop.now
            for (key, connection) in live {
                // Its time counts from when there is something to wait for: a request, on a connection that is there.
                guard connection.openStreams > 0, let since = busySince[key] else {
                    busySince[key] = now + period
                    continue
                }
                let last = max(connection.lastByteAt, since)
                guard now > last, now - last >= limit else { continue }
                let why = "no byte came for \(Duration(nanoseconds: limit)) (-N)"
                (seats.first { $0.connection === connection })?.stop(because: why)
                (asyncSeats.first { $0.connection === connection })?.stop()
            }
            if case .over = phase { return }
            timers.append(loop.schedule(after: period) { look() })
            trimTimers()
        }
        timers.append(loop.schedule(after: period) { look() })
    }

    func currentFigures() -> DirectFigures {
        live.values.reduce(into: closedFigures) { $0.add($1.figures) }
    }
}
