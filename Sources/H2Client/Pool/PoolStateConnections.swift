/// What connections tell: connected, failed, draining, gone.
extension PoolState {
    // MARK: Connected

    /// A dial succeeded. `maxStreams` is what an HTTP/2 connection allows as far as is known: `assumedStreams` before its
    /// SETTINGS. For HTTP/1.1 it says nothing.
    mutating func connected(
        _ key: ConnectionKey, protocol version: ConnectionProtocol, maxStreams: Int = PoolState.assumedStreams,
        now: UInt64, into actions: inout [PoolAction]
    ) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        let connection = connections[slot]
        guard connection.pointee.state == .dialing else {
            // It was cancelled, which the dial did not hear of in time.
            if connection.pointee.state == .closing, connection.pointee.version == nil {
                actions.append(.close(key, .notNeeded))
            }
            return
        }
        opened += 1
        endDial(slot)
        let origin = connection.pointee.origin
        let record = origins[origin]
        record.pointee.everConnected = true
        record.pointee.failures = 0
        record.pointee.failedBefore = 0
        record.pointee.spareDials = 0
        record.pointee.dialsHeldUntil = 0
        connection.pointee.state = .open
        connection.pointee.version = version
        connection.pointee.openedAt = now
        connection.pointee.ageLimit = ageLimit(now: now)
        connection.pointee.usableUntil = connection.pointee.ageLimit
        connection.pointee.maximumRequests = requestsPerConnection
        let isAsked = !connection.pointee.versions.isHTTP1
        var isNeeded = true
        if version == .http2 {
            connection.pointee.limit = min(Int32(clamping: max(0, maxStreams)), streamsPerConnection)
            connection.pointee.maximumRequests = min(requestsPerConnection, record.pointee.learned)
            record.pointee.typicalStreams = max(1, connection.pointee.limit)
            record.pointee.http2.append(slot, places, connections.memory)
            isNeeded = !record.pointee.requiresHTTP1
        } else {
            connection.pointee.limit = 1
            isNeeded = record.pointee.livingHTTP1 < http1Limit
            record.pointee.livingHTTP1 += 1
            record.pointee.openHTTP1 += 1
            record.pointee.idleHTTP1.prepend(slot, places, connections.memory)
        }
        // What a dial that offers HTTP/1.1 alone comes out with says nothing about the server's choice.
        if isAsked { record.pointee.known = version }
        connection.pointee.looksAt = connection.pointee.maximumRequests
        aging.append(slot, ages, connections.memory)
        if connection.pointee.ageLimit != .max {
            wakeLoosely(at: connection.pointee.ageLimit, maximumAge, into: &actions)
        }
        becomeIdle(slot, now: now, into: &actions)
        if !isNeeded { retire(slot, .notNeeded, now: now, into: &actions) }
        concern(origin)
        settle(now: now, into: &actions)
    }

    mutating func becomeIdle(_ slot: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let connection = connections[slot]
        let due = now.saturatingSum(idleTimeout)
        connection.pointee.idleSince = now
        if due < connection.pointee.usableUntil { connection.pointee.usableUntil = due }
        idle.append(slot, idles, connections.memory)
        if armed > due - idleSlack / 2 { wake(at: due - idleSlack / 2, into: &actions) }
    }

    // MARK: Failed

    /// A dial failed. The requests that nothing else can serve, no other dial and no connection, fail with it. Where it
    /// `timedOut`, those fail that were there when it began, whatever else is under way: they have waited as long as may be.
    /// Later ones have not, and wait for the next dial. Where others serve, the next dial is held off for a while.
    mutating func dialFailed(
        _ key: ConnectionKey, timedOut: Bool = false, isFinal: Bool = false, now: UInt64,
        into actions: inout [PoolAction]
    ) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        guard connections[slot].pointee.state == .dialing else { return closed(key, now: now, into: &actions) }
        endDial(slot)
        let origin = connections[slot].pointee.origin
        living -= 1
        connections[slot].pointee.state = .gone
        failWaiting(origin, key, timedOut: timedOut, isFinal: isFinal, now: now, into: &actions)
        forgetIfGivenBack(slot, now: now)
        concern(origin)
        settle(now: now, into: &actions)
    }

    /// Fails the requests that can be served no more, now that this connection cannot.
    private mutating func failWaiting(
        _ origin: Int32, _ key: ConnectionKey, timedOut: Bool, isFinal: Bool = false, now: UInt64,
        into actions: inout [PoolAction]
    ) {
        let record = origins[origin]
        let dial = connections[connections.find(key)]
        record.pointee.failedBefore = max(record.pointee.failedBefore, dial.pointee.cameLater)
        let hold = PoolState.dialHold << min(record.pointee.failures, 20)
        record.pointee.failures += 1
        record.pointee.dialsHeldUntil = now + min(hold, PoolState.maximumDialHold)
        let http1Dials = mode(origin) == .http1 ? record.pointee.dials.count : record.pointee.dialingHTTP1
        let serves = record.pointee.serving > 0 || record.pointee.openHTTP1 > 0
        // Those who came before the request with this order; 0 for none.
        let ofThis = timedOut ? dial.pointee.cameLater : 0
        if !serves {
            let before =
                isFinal
                ? .max
                : !record.pointee.dials.isEmpty ? ofThis : timedOut ? record.pointee.failedBefore : .max
            while isOlder(record.pointee.replays.first, than: before) {
                fail(record.pointee.replays.first, .dialFailed(key), into: &actions)
            }
            while isOlder(record.pointee.requests.first, than: before) {
                fail(record.pointee.requests.first, .dialFailed(key), into: &actions)
            }
            while isOlder(record.pointee.exclusives.first, than: before) {
                fail(record.pointee.exclusives.first, .dialFailed(key), into: &actions)
            }
        }
        // A dial for either version that failed has not shown that one for HTTP/1.1 would.
        guard record.pointee.openHTTP1 == 0,
            !serves && record.pointee.dials.isEmpty || dial.pointee.versions.isHTTP1 || mode(origin) == .http1
        else { return }
        let before = http1Dials > 0 ? ofThis : timedOut ? record.pointee.failedBefore : .max
        while isOlder(record.pointee.http1Replays.first, than: before) {
            fail(record.pointee.http1Replays.first, .dialFailed(key), into: &actions)
        }
        while isOlder(record.pointee.http1Requests.first, than: before) {
            fail(record.pointee.http1Requests.first, .dialFailed(key), into: &actions)
        }
    }

    private func isOlder(_ waiter: Int32, than order: UInt64) -> Bool {
        waiter != noSlot && waiters[waiter].pointee.order < order
    }

    // MARK: What a server tells

    /// SETTINGS_MAX_CONCURRENT_STREAMS of an HTTP/2 connection.
    mutating func streamLimitChanged(
        _ key: ConnectionKey, to maxStreams: Int, now: UInt64, into actions: inout [PoolAction]
    ) {
        let slot = connections.find(key)
        guard slot != noSlot, connections[slot].pointee.version == .http2 else { return }
        let connection = connections[slot]
        connection.pointee.limit = min(Int32(clamping: max(0, maxStreams)), streamsPerConnection)
        let owner = connection.pointee.origin
        origins[owner].pointee.typicalStreams = max(1, connection.pointee.limit)
        guard connection.pointee.state == .open else { return }
        concernAll(of: slot, owner)
        settle(now: now, into: &actions)
    }

    /// The peer of an HTTP/2 connection may be gone, and has been asked. Until it says something other connections serve the
    /// requests; what is under way on this one stays.
    mutating func doubted(_ key: ConnectionKey, now: UInt64, into actions: inout [PoolAction]) {
        setAside(key, now: now, into: &actions) { $0.isDoubted = true }
    }

    /// The peer has said something. The connection serves again, unless others have taken its place.
    mutating func trusted(_ key: ConnectionKey, now: UInt64, into actions: inout [PoolAction]) {
        setAside(key, now: now, into: &actions) { $0.isDoubted = false }
    }

    /// The peer of an HTTP/2 connection takes no bytes, or takes them again. Meanwhile other connections serve the requests.
    mutating func stalled(_ key: ConnectionKey, _ isStalled: Bool, now: UInt64, into actions: inout [PoolAction]) {
        setAside(key, now: now, into: &actions) { $0.isStalled = isStalled }
    }

    /// Notes whether a connection is to be passed over, and follows from it. One that comes back when others have taken its
    /// place finishes what is on it.
    private mutating func setAside(
        _ key: ConnectionKey, now: UInt64, into actions: inout [PoolAction], _ note: (inout ConnectionRecord) -> Void
    ) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        let connection = connections[slot]
        guard connection.pointee.state == .open, connection.pointee.version == .http2 else { return }
        let before = connection.pointee.isAside
        note(&connection.pointee)
        guard connection.pointee.isAside != before else { return }
        let owner = connection.pointee.origin
        if connection.pointee.isAside {
            origins[owner].pointee.http2.remove(slot, places, connections.memory)
            leaveGuests(slot)
        } else {
            origins[owner].pointee.http2.append(slot, places, connections.memory)
            var most = 1
            if case .openConnection(let limit) = saturation { most = max(1, limit) }
            if Int(origins[owner].pointee.http2.count) > most || origins[owner].pointee.requiresHTTP1 {
                retire(slot, .notNeeded, now: now, into: &actions)
            }
        }
        concern(owner)
        settle(now: now, into: &actions)
    }

    /// What an HTTP/1.1 server announced in Keep-Alive: how many more requests it takes on this connection, and until when
    /// it keeps the connection if nothing comes (monotonic nanoseconds, with whatever margin the caller finds wise).
    /// Neither makes a limit of the options larger.
    mutating func serverLimits(
        _ key: ConnectionKey, requests: Int?, idleUntil: UInt64?, now: UInt64, into actions: inout [PoolAction]
    ) {
        let slot = connections.find(key)
        guard slot != noSlot, connections[slot].pointee.version == .http1 else { return }
        let connection = connections[slot]
        if let requests {
            let most = connection.pointee.served.addingReportingOverflow(max(0, requests))
            connection.pointee.maximumRequests = min(requestsPerConnection, most.overflow ? .max : most.partialValue)
            connection.pointee.looksAt = connection.pointee.maximumRequests
            if connection.pointee.state == .open, connection.pointee.served >= connection.pointee.maximumRequests {
                retire(slot, .serverLimit, now: now, into: &actions)
            }
        }
        if let idleUntil {
            hasServerLimits = true
            let due = connection.pointee.idleSince.saturatingSum(idleTimeout)
            let latest = connection.pointee.idle.isLinked ? due : .max
            connection.pointee.usableUntil = min(connection.pointee.ageLimit, idleUntil, latest)
            let time = max(idleUntil, now + PoolState.serverLimitGrain)
            if time < now + idleTimeout { wake(at: time, into: &actions) }
        }
        settle(now: now, into: &actions)
    }

    /// The connection takes no new requests, since its server said so (GOAWAY, `Connection: close`). It ends by itself
    /// when what is on it is done. `served` is how many of its requests the server answers in all, where it said so in an
    /// orderly GOAWAY; after the same number twice in a row, later connections are ended by us before the server does.
    mutating func draining(
        _ key: ConnectionKey, served: Int? = nil, because reason: CloseReason = .serverSaid, now: UInt64,
        into actions: inout [PoolAction]
    ) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        let connection = connections[slot]
        let owner = connection.pointee.origin
        switch connection.pointee.state {
        case .open:
            // A server that ends a connection with nothing on it does so because it is idle, and not for the number.
            if connection.pointee.version == .http2, connection.pointee.streams > 0, let served {
                learn(owner, served: served)
            }
            if connection.pointee.isFree {
                retire(slot, reason, now: now, into: &actions)
            } else {
                withdraw(slot)
                connection.pointee.state = .draining
                connection.pointee.reason = reason
            }
        case .held:
            connection.pointee.state = .draining
            connection.pointee.reason = reason
        default: return
        }
        concernAll(of: slot, owner)
        settle(now: now, into: &actions)
    }

    private func learn(_ origin: Int32, served: Int) {
        let record = origins[origin]
        // One request a connection is what a server does that is shutting down, or that closes after each answer.
        guard served > 1 else { return }
        if record.pointee.lastEnd == served { record.pointee.learned = served }
        record.pointee.lastEnd = served
        var slot = record.pointee.http2.first
        while slot != noSlot, record.pointee.learned < .max {
            let other = connections[slot]
            other.pointee.looksAt = min(other.pointee.maximumRequests, record.pointee.learned + 1)
            slot = other.pointee.place.next
        }
    }

    // MARK: Gone

    /// The connection is gone, for whatever reason; a dial that was cancelled, too. Its requests are told by the connection
    /// itself, and each gives its lease back as ever.
    mutating func closed(_ key: ConnectionKey, now: UInt64, into actions: inout [PoolAction]) {
        let slot = connections.find(key)
        guard slot != noSlot else { return }
        let connection = connections[slot]
        let owner = connection.pointee.origin
        // A connection that never allowed a stream was of no more use than a dial that failed: to dial again at once would
        // go on for ever.
        var isUseless = false
        switch connection.pointee.state {
        case .dialing: return dialFailed(key, now: now, into: &actions)
        case .gone: return
        case .open:
            isUseless =
                connection.pointee.version == .http2 && connection.pointee.served == 0 && connection.pointee.limit == 0
            withdraw(slot)
        case .held, .draining: break
        case .closing: closing -= 1
        }
        connection.pointee.state = .gone
        living -= 1
        if connection.pointee.version == .http1 { origins[owner].pointee.livingHTTP1 -= 1 }
        if isUseless { failWaiting(owner, key, timedOut: false, now: now, into: &actions) }
        forgetIfGivenBack(slot, now: now)
        concern(owner)
        settle(now: now, into: &actions)
        tellIfDrained(into: &actions)
    }

    // MARK: Ends

    /// A connection that is open takes no more requests.
    mutating func retire(_ slot: Int32, _ reason: CloseReason, now: UInt64, into actions: inout [PoolAction]) {
        withdraw(slot)
        finish(slot, reason, into: &actions)
        concern(connections[slot].pointee.origin)
    }

    /// Takes an open connection out of all lists that lead requests to it.
    mutating func withdraw(_ slot: Int32) {
        let connection = connections[slot]
        let record = origins[connection.pointee.origin]
        if connection.pointee.version == .http2 {
            record.pointee.http2.drop(slot, places, connections.memory)
            connection.pointee.isDoubted = false
            connection.pointee.isStalled = false
        } else {
            record.pointee.idleHTTP1.drop(slot, places, connections.memory)
            if connection.pointee.circulates { record.pointee.openHTTP1 -= 1 }
        }
        idle.drop(slot, idles, connections.memory)
        aging.drop(slot, ages, connections.memory)
        leaveGuests(slot)
    }

    /// Nobody shares a connection any more.
    private mutating func leaveGuests(_ slot: Int32) {
        let connection = connections[slot]
        while connection.pointee.guests.first != noSlot {
            let guest = connection.pointee.guests.first
            connection.pointee.guests.remove(guest, guestLinks, origins.memory)
            origins[guest].pointee.shared = noSlot
            concern(guest)
        }
    }

    /// Has a connection that was withdrawn close: at once, or when its requests and its holders are done.
    mutating func finish(_ slot: Int32, _ reason: CloseReason, into actions: inout [PoolAction]) {
        let connection = connections[slot]
        if connection.pointee.isFree {
            connection.pointee.state = .closing
            closing += 1
            actions.append(.close(connections.key(slot), reason))
        } else if connection.pointee.holders > 0, life == .running {
            connection.pointee.state = .held
            connection.pointee.reason = reason
        } else {
            connection.pointee.state = .draining
            connection.pointee.reason = reason
            actions.append(.drain(connections.key(slot), reason))
        }
    }

    /// A draining connection with nothing on it any more closes.
    mutating func finishDraining(_ slot: Int32, into actions: inout [PoolAction]) {
        let connection = connections[slot]
        guard connection.pointee.state == .draining, connection.pointee.isFree else { return }
        connection.pointee.state = .closing
        closing += 1
        actions.append(.close(connections.key(slot), connection.pointee.reason))
    }

    /// Whether a connection is there, or gone and not given back by all.
    func remembers(_ key: ConnectionKey) -> Bool { connections.find(key) != noSlot }

    mutating func forgetIfGivenBack(_ slot: Int32, now: UInt64) {
        let connection = connections[slot]
        guard connection.pointee.state == .gone, connection.pointee.isFree else { return }
        let owner = connection.pointee.origin
        connections.remove(slot)
        origins[owner].pointee.connections -= 1
        noteIfUnused(owner)
    }
}
