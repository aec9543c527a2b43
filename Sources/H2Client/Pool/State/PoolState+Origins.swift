/// Origins, what is remembered about them, and the connections they share.
extension PoolState {
    // MARK: Remembering

    mutating func addOrigin(isSecure: Bool) -> OriginKey {
        let streams = min(Int32(PoolState.assumedStreams), streamsPerConnection)
        var record = OriginRecord(isSecure: isSecure, typicalStreams: streams)
        record.adaptive = adaptive.map { AdaptiveLimit($0) }
        let slot = origins.insert(record)
        unused.append(slot, unusedLinks, origins.memory)
        return origins.key(slot)
    }

    /// The origin that has been unused the longest, if too many are remembered. Remove it from everything that maps to it and
    /// then with `removeOrigin`, in the same critical section.
    var forgettableOrigin: OriginKey? {
        unused.count > PoolState.rememberedOrigins ? origins.key(unused.first) : nil
    }

    /// Whether an origin has no connections, waiting requests or requests in progress.
    func isUnused(_ key: OriginKey) -> Bool {
        let slot = origins.find(key)
        return slot != noSlot && origins[slot].isUnused
    }

    mutating func removeOrigin(_ key: OriginKey) {
        let slot = origins.find(key)
        precondition(slot != noSlot && origins[slot].isUnused, "an origin that is used stays")
        unused.drop(slot, unusedLinks, origins.memory)
        pending.drop(slot, pendingLinks, origins.memory)
        origins.remove(slot)
    }

    mutating func noteIfUnused(_ origin: Int32) {
        guard origins[origin].isUnused, !origins[origin].unused.isLinked else { return }
        unused.append(origin, unusedLinks, origins.memory)
    }

    // MARK: Versions

    /// The version of an origin's connections as far as is known.
    func knownProtocol(_ key: OriginKey) -> HTTPProtocolVersion? { mode(origins.find(key)) }

    /// A request was lost on a reused HTTP/1.1 connection of the origin. Its present connections close when their requests are
    /// done, so that the retry does not hit another one that the server has closed.
    mutating func suspectReuse(_ key: OriginKey) {
        let origin = origins.find(key)
        guard origin != noSlot else { return }
        for index in 0..<connections.bound where connections.isTaken(index) {
            let slot = Int32(index)
            guard connections[slot].origin == origin, connections[slot].version == .http1,
                connections[slot].state == .open, connections[slot].holders == 0
            else { continue }
            retire(slot, .suspect)
        }
        processPending()
    }

    /// The origin uses HTTP/1.1 from now on (HTTP_1_1_REQUIRED). Its HTTP/2 connections end when their requests are done.
    mutating func requireHTTP1(_ key: OriginKey) {
        let origin = origins.find(key)
        guard origin != noSlot, allowsHTTP1, !origins[origin].requiresHTTP1 else { return }
        origins[origin].requiresHTTP1 = true
        origins[origin].known = .http1
        leaveShared(origin)
        while origins[origin].http2.first != noSlot {
            retire(origins[origin].http2.first, .http1Required)
        }
        var slot = origins[origin].dials.first
        while slot != noSlot {
            let next = connections[slot].list.next
            if !connections[slot].offer.isHTTP1 { cancelDial(slot, .http1Required) }
            slot = next
        }
        markPending(origin)
        processPending()
    }

    // MARK: Load

    /// Tells the adaptive limit what an answer shows about the origin's load. Call it before returning the request's lease.
    /// `pause`: nanoseconds for which the origin wants to be left alone, whatever it answered.
    mutating func answered(
        _ key: OriginKey, _ answer: AdaptiveLimit.Answer, latency: UInt64, pause: UInt64? = nil
    ) {
        let origin = origins.find(key)
        guard adaptive != nil, origin != noSlot else { return }
        let inFlight = origins[origin].inFlight
        origins[origin].adaptive?.answered(answer, latency: latency, inFlight: inFlight, now: now)
        if let pause { origins[origin].adaptive?.pause(for: pause, now: now) }
        guard origins[origin].waiting > 0 else { return }
        markPending(origin)
        processPending()
    }

    // MARK: Coalescing

    /// Whether an origin may share another's connection: it has none of its own, sharing was not ruled out, and it speaks
    /// HTTP/2 over TLS.
    func mayCoalesce(_ key: OriginKey) -> Bool {
        let origin = origins.find(key)
        guard origin != noSlot else { return false }
        return origins[origin].mayCoalesce && origins[origin].isSecure && mode(origin) != .http1
            && origins[origin].http2.isEmpty && origins[origin].shared == noSlot
    }

    /// Makes the origin share another origin's HTTP/2 connection until that takes no more requests, and cancels its own dials.
    /// Returns false without effect if the connection no longer takes requests or the origin may not share.
    mutating func coalesced(_ key: OriginKey, onto connection: ConnectionKey) -> Bool {
        let slot = connections.find(connection)
        guard slot != noSlot, mayCoalesce(key), connections[slot].state == .open,
            connections[slot].version == .http2, !connections[slot].isAside
        else { return false }
        let origin = origins.find(key)
        guard connections[slot].origin != origin else { return false }
        unused.drop(origin, unusedLinks, origins.memory)
        origins[origin].shared = slot
        origins[origin].known = .http2
        origins[origin].everConnected = true
        connections[slot].guests.append(origin, guestLinks, origins.memory)
        var dial = origins[origin].dials.last
        while dial != noSlot {
            let previous = connections[dial].list.previous
            if !connections[dial].offer.isHTTP1 { cancelDial(dial, .coalesced) }
            dial = previous
        }
        markPending(origin)
        processPending()
        return true
    }

    /// Another origin's connection that this one shares.
    func sharedConnection(of key: OriginKey) -> ConnectionKey? {
        let origin = origins.find(key)
        guard origin != noSlot, origins[origin].shared != noSlot else { return nil }
        return connections.key(origins[origin].shared)
    }

    /// From now on the origin uses only its own connections (421, or an ORIGIN frame that excludes it). Its requests on a
    /// shared one continue.
    mutating func cannotCoalesce(_ key: OriginKey) {
        let origin = origins.find(key)
        guard origin != noSlot else { return }
        origins[origin].mayCoalesce = false
        leaveShared(origin)
        markPending(origin)
        processPending()
    }

    mutating func leaveShared(_ origin: Int32) {
        let slot = origins[origin].shared
        guard slot != noSlot else { return }
        connections[slot].guests.remove(origin, guestLinks, origins.memory)
        origins[origin].shared = noSlot
        noteIfUnused(origin)
    }
}
