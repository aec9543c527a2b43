/// Connection events: connected, failed, draining, closed.
extension PoolState {
    // MARK: Connected

    /// A dial succeeded. `maxStreams` is the stream limit of an HTTP/2 connection as far as is known: `assumedStreams` before
    /// its SETTINGS. It is ignored for HTTP/1.1. If the handshake is still in progress, `established` follows.
    mutating func connected(
        _ key: ConnectionKey, protocol version: HTTPProtocolVersion, maxStreams: Int = PoolState.assumedStreams,
        isEstablished: Bool = true
    ) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        guard connections[slot].state == .dialing else {
            // It was cancelled, but the dial did not learn of it in time.
            if connections[slot].state == .closing, connections[slot].version == nil {
                actions.append(.close(key, .notNeeded))
            }
            return
        }
        if isEstablished { opened += 1 } else { connections[slot].isShakingHands = true }
        endDial(slot)
        let origin = connections[slot].origin
        origins[origin].everConnected = true
        origins[origin].failures = 0
        origins[origin].failedBefore = 0
        origins[origin].spareDials = 0
        origins[origin].dialsHeldUntil = 0
        connections[slot].state = .open
        connections[slot].version = version
        connections[slot].openedAt = now
        connections[slot].ageLimit = ageLimit()
        connections[slot].usableUntil = connections[slot].ageLimit
        connections[slot].maximumRequests = requestsPerConnection
        let isAsked = !connections[slot].offer.isHTTP1
        var isNeeded = true
        if version == .http2 {
            connections[slot].limit = min(Int32(clamping: max(0, maxStreams)), streamsPerConnection)
            connections[slot].maximumRequests = min(requestsPerConnection, origins[origin].learned)
            origins[origin].typicalStreams = max(1, connections[slot].limit)
            origins[origin].http2.append(slot, listLinks, connections.memory)
            isNeeded = !origins[origin].requiresHTTP1
        } else {
            connections[slot].limit = 1
            isNeeded = origins[origin].livingHTTP1 < http1Limit
            origins[origin].livingHTTP1 += 1
            origins[origin].openHTTP1 += 1
            origins[origin].idleHTTP1.prepend(slot, listLinks, connections.memory)
        }
        // A dial that offers only HTTP/1.1 says nothing about the server's choice.
        if isAsked { origins[origin].known = version }
        connections[slot].looksAt = connections[slot].maximumRequests
        aging.append(slot, ages, connections.memory)
        if connections[slot].ageLimit != .max {
            wakeLoosely(at: connections[slot].ageLimit, maximumAge)
        }
        becomeIdle(slot)
        if !isNeeded { retire(slot, .notNeeded) }
        markPending(origin)
        processPending()
    }

    /// The handshake of a connection that takes requests already has succeeded.
    mutating func established(_ key: ConnectionKey) {
        let slot = connections.find(key)
        guard slot != noSlot, connections[slot].isShakingHands else { return }
        connections[slot].isShakingHands = false
        opened += 1
    }

    mutating func becomeIdle(_ slot: Int32) {
        let due = now.saturatingSum(idleTimeout)
        connections[slot].idleSince = now
        if due < connections[slot].usableUntil { connections[slot].usableUntil = due }
        idle.append(slot, idles, connections.memory)
        if armed > due - idleSlack / 2 { wake(at: due - idleSlack / 2) }
    }

    // MARK: Failed

    /// A dial failed. Requests that no other dial or connection can serve fail with it. If it `timedOut`, all requests that
    /// were waiting when it began fail, whatever else is in progress: they have waited long enough. Later ones wait for the
    /// next dial. If others serve, the next dial is held off for a while.
    mutating func dialFailed(_ key: ConnectionKey, timedOut: Bool = false, isFinal: Bool = false) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        guard connections[slot].state == .dialing else { return closed(key) }
        endDial(slot)
        let origin = connections[slot].origin
        living -= 1
        connections[slot].state = .gone
        failWaiting(origin, key, timedOut: timedOut, isFinal: isFinal)
        forgetIfGivenBack(slot)
        markPending(origin)
        processPending()
    }

    /// Fails the requests that cannot be served without this connection.
    private mutating func failWaiting(
        _ origin: Int32, _ key: ConnectionKey, timedOut: Bool, isFinal: Bool = false
    ) {
        let dial = connections.find(key)
        origins[origin].failedBefore = max(origins[origin].failedBefore, connections[dial].cameLater)
        let hold = PoolState.dialHold << min(origins[origin].failures, 20)
        origins[origin].failures += 1
        origins[origin].dialsHeldUntil = now + min(hold, PoolState.maximumDialHold)
        let http1Dials = mode(origin) == .http1 ? origins[origin].dials.count : origins[origin].dialingHTTP1
        let serves = origins[origin].serving > 0 || origins[origin].openHTTP1 > 0
        // Requests before the one with this order; 0 for none.
        let ofThis = timedOut ? connections[dial].cameLater : 0
        if !serves {
            let before =
                isFinal
                ? .max
                : !origins[origin].dials.isEmpty ? ofThis : timedOut ? origins[origin].failedBefore : .max
            for queue in [\OriginRecord.replays, \.requests, \.exclusives] {
                failOlder(than: before, origin, queue, key)
            }
        }
        if origins[origin].dials.isEmpty { failOlder(than: .max, origin, \.others, key) }
        // A failed dial for either version does not prove that one for HTTP/1.1 would fail.
        guard origins[origin].openHTTP1 == 0,
            !serves && origins[origin].dials.isEmpty || connections[dial].offer.isHTTP1 || mode(origin) == .http1
        else { return }
        let before = http1Dials > 0 ? ofThis : timedOut ? origins[origin].failedBefore : .max
        for queue in [\OriginRecord.http1Replays, \.http1Requests] { failOlder(than: before, origin, queue, key) }
    }

    private mutating func failOlder(
        than order: UInt64, _ origin: Int32, _ queue: KeyPath<OriginRecord, SlotList>, _ dial: ConnectionKey
    ) {
        while case let waiter = origins[origin][keyPath: queue].first, waiter != noSlot, waiters[waiter].order < order {
            fail(waiter, .dialFailed(dial))
        }
    }

    // MARK: Server announcements

    /// SETTINGS_MAX_CONCURRENT_STREAMS of an HTTP/2 connection.
    mutating func streamLimitChanged(_ key: ConnectionKey, to maxStreams: Int) {
        let slot = connections.find(key)
        guard slot != noSlot, connections[slot].version == .http2 else { return }
        connections[slot].limit = min(Int32(clamping: max(0, maxStreams)), streamsPerConnection)
        let owner = connections[slot].origin
        origins[owner].typicalStreams = max(1, connections[slot].limit)
        guard connections[slot].state == .open else { return }
        markAllPending(of: slot, owner)
        processPending()
    }

    /// The peer of an HTTP/2 connection may be gone, and a PING is asking. Until it responds other connections serve new
    /// requests; those in progress on this one stay.
    mutating func doubted(_ key: ConnectionKey) {
        setAside(key) { $0.isDoubted = true }
    }

    /// The peer has responded. The connection serves again, unless others have taken its place.
    mutating func trusted(_ key: ConnectionKey) {
        setAside(key) { $0.isDoubted = false }
    }

    /// The peer of an HTTP/2 connection stopped or resumed accepting bytes. In the meantime other connections serve the
    /// requests.
    mutating func stalled(_ key: ConnectionKey, _ isStalled: Bool) {
        setAside(key) { $0.isStalled = isStalled }
    }

    /// Updates whether a connection is set aside and applies the consequences. If others have taken its place by the time it
    /// comes back, it only finishes its requests.
    private mutating func setAside(_ key: ConnectionKey, _ note: (inout ConnectionRecord) -> Void) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        guard connections[slot].state == .open, connections[slot].version == .http2 else { return }
        let before = connections[slot].isAside
        note(&connections[slot])
        guard connections[slot].isAside != before else { return }
        let owner = connections[slot].origin
        if connections[slot].isAside {
            origins[owner].http2.remove(slot, listLinks, connections.memory)
            leaveGuests(slot)
        } else {
            origins[owner].http2.append(slot, listLinks, connections.memory)
            if Int(origins[owner].http2.count) > http2Limit(owner) || origins[owner].requiresHTTP1 {
                retire(slot, .notNeeded)
            }
        }
        markPending(owner)
        processPending()
    }

    /// The limits an HTTP/1.1 server announced in Keep-Alive: how many more requests it takes on this connection, and until
    /// when it keeps it idle (monotonic nanoseconds, with a margin of the caller's choice). Neither raises a limit of the
    /// options.
    mutating func serverLimits(_ key: ConnectionKey, requests: Int?, idleUntil: UInt64?) {
        let slot = connections.find(key)
        guard slot != noSlot, connections[slot].version == .http1 else { return }
        if let requests {
            let most = connections[slot].served.addingReportingOverflow(max(0, requests))
            connections[slot].maximumRequests = min(requestsPerConnection, most.overflow ? .max : most.partialValue)
            connections[slot].looksAt = connections[slot].maximumRequests
            if connections[slot].state == .open, connections[slot].served >= connections[slot].maximumRequests {
                retire(slot, .serverLimit)
            }
        }
        if let idleUntil {
            hasServerLimits = true
            let due = connections[slot].idleSince.saturatingSum(idleTimeout)
            let latest = connections[slot].idle.isLinked ? due : .max
            connections[slot].usableUntil = min(connections[slot].ageLimit, idleUntil, latest)
            let time = max(idleUntil, now + PoolState.serverLimitGrain)
            if time < now + idleTimeout { wake(at: time) }
        }
        processPending()
    }

    /// The server said the connection takes no new requests (GOAWAY, `Connection: close`). It ends by itself when its requests
    /// are done. `served` is the total number of requests the server answers, if an orderly GOAWAY said so; after the same
    /// number twice in a row, we end later connections before the server does.
    mutating func draining(
        _ key: ConnectionKey, served: Int? = nil, because reason: CloseReason = .serverSaid
    ) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        let owner = connections[slot].origin
        switch connections[slot].state {
        case .open:
            // A server that ends a connection without requests does so because it is idle, not because of the number.
            if connections[slot].version == .http2, connections[slot].streams > 0, let served {
                learn(owner, served: served)
            }
            if connections[slot].isFree {
                retire(slot, reason)
            } else {
                withdraw(slot)
                connections[slot].state = .draining
                connections[slot].reason = reason
            }
        case .held:
            connections[slot].state = .draining
            connections[slot].reason = reason
        default: return
        }
        markAllPending(of: slot, owner)
        processPending()
    }

    private func learn(_ origin: Int32, served: Int) {
        // A server that ends a connection after one request is shutting down, or closes after each response.
        guard served > 1 else { return }
        if origins[origin].lastEnd == served { origins[origin].learned = served }
        origins[origin].lastEnd = served
        var slot = origins[origin].http2.first
        while slot != noSlot, origins[origin].learned < .max {
            connections[slot].looksAt = min(connections[slot].maximumRequests, origins[origin].learned + 1)
            slot = connections[slot].list.next
        }
    }

    // MARK: Closed

    /// The connection is gone, for any reason; this includes cancelled dials. The connection itself fails its requests, and
    /// each returns its lease as usual.
    mutating func closed(_ key: ConnectionKey) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        let owner = connections[slot].origin
        // A connection that never allowed a stream is as useless as a failed dial: dialling again at once would never end.
        var isUseless = false
        switch connections[slot].state {
        case .dialing: return dialFailed(key)
        case .gone: return
        case .open:
            isUseless =
                connections[slot].version == .http2 && connections[slot].served == 0 && connections[slot].limit == 0
            withdraw(slot)
        case .held, .draining: break
        case .closing: closing -= 1
        }
        connections[slot].state = .gone
        living -= 1
        if connections[slot].version == .http1 { origins[owner].livingHTTP1 -= 1 }
        if isUseless { failWaiting(owner, key, timedOut: false) }
        forgetIfGivenBack(slot)
        markPending(owner)
        processPending()
        tellIfDrained()
    }

    // MARK: Closing

    /// Stops an open connection from taking more requests.
    mutating func retire(_ slot: Int32, _ reason: CloseReason) {
        withdraw(slot)
        finish(slot, reason)
        markPending(connections[slot].origin)
    }

    /// Removes an open connection from all lists that lead requests to it.
    mutating func withdraw(_ slot: Int32) {
        let owner = connections[slot].origin
        if connections[slot].version == .http2 {
            origins[owner].http2.drop(slot, listLinks, connections.memory)
            connections[slot].isDoubted = false
            connections[slot].isStalled = false
        } else {
            origins[owner].idleHTTP1.drop(slot, listLinks, connections.memory)
            if connections[slot].circulates { origins[owner].openHTTP1 -= 1 }
        }
        idle.drop(slot, idles, connections.memory)
        aging.drop(slot, ages, connections.memory)
        leaveGuests(slot)
    }

    /// Stops all sharing of a connection.
    private mutating func leaveGuests(_ slot: Int32) {
        while connections[slot].guests.first != noSlot {
            let guest = connections[slot].guests.first
            connections[slot].guests.remove(guest, guestLinks, origins.memory)
            origins[guest].shared = noSlot
            markPending(guest)
        }
    }

    /// Closes a withdrawn connection: at once, or when its requests and holders are done.
    mutating func finish(_ slot: Int32, _ reason: CloseReason) {
        if connections[slot].isFree {
            connections[slot].state = .closing
            closing += 1
            actions.append(.close(connections.key(slot), reason))
        } else if connections[slot].holders > 0, life == .running {
            connections[slot].state = .held
            connections[slot].reason = reason
        } else {
            connections[slot].state = .draining
            connections[slot].reason = reason
            actions.append(.drain(connections.key(slot), reason))
        }
    }

    /// Closes a draining connection once nothing is left on it.
    mutating func finishDraining(_ slot: Int32) {
        guard connections[slot].state == .draining, connections[slot].isFree else { return }
        connections[slot].state = .closing
        closing += 1
        actions.append(.close(connections.key(slot), connections[slot].reason))
    }

    /// Whether a connection exists, or is gone but has unreturned leases.
    func remembers(_ key: ConnectionKey) -> Bool { connections.find(key) != noSlot }

    mutating func forgetIfGivenBack(_ slot: Int32) {
        guard connections[slot].state == .gone, connections[slot].isFree else { return }
        let owner = connections[slot].origin
        connections.remove(slot)
        origins[owner].connections -= 1
        noteIfUnused(owner)
    }
}
