/// Origins, what is remembered of them, and whom they share connections with.
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

    /// The origin that has been unused the longest, where more are remembered than should be. To be removed, in the same
    /// critical section, from whatever maps to it, and then with `removeOrigin`.
    var forgettableOrigin: OriginKey? {
        unused.count > PoolState.rememberedOrigins ? origins.key(unused.first) : nil
    }

    /// Whether nothing is connected to an origin, waiting for it or under way at it.
    func isUnused(_ key: OriginKey) -> Bool {
        let slot = origins.find(key)
        return slot != noSlot && origins[slot].pointee.isUnused
    }

    mutating func removeOrigin(_ key: OriginKey) {
        let slot = origins.find(key)
        precondition(slot != noSlot && origins[slot].pointee.isUnused, "an origin that is used stays")
        unused.drop(slot, unusedLinks, origins.memory)
        pending.drop(slot, pendingLinks, origins.memory)
        origins.remove(slot)
    }

    mutating func noteIfUnused(_ origin: Int32) {
        guard origins[origin].pointee.isUnused, !origins[origin].pointee.unused.isLinked else { return }
        unused.append(origin, unusedLinks, origins.memory)
    }

    // MARK: Versions

    /// What an origin's connections are, as far as is known.
    func knownProtocol(_ key: OriginKey) -> ConnectionProtocol? { mode(origins.find(key)) }

    /// A request was lost on an HTTP/1.1 connection of the origin that was reused: those that are there now end when what is
    /// on them is done, so that it is not sent to one more that its server has closed already.
    mutating func suspectReuse(_ key: OriginKey, now: UInt64, into actions: inout [PoolAction]) {
        let origin = origins.find(key)
        guard origin != noSlot else { return }
        for index in 0..<connections.bound where connections.isTaken(index) {
            let slot = Int32(index)
            let connection = connections[slot]
            guard connection.pointee.origin == origin, connection.pointee.version == .http1,
                connection.pointee.state == .open, connection.pointee.holders == 0
            else { continue }
            retire(slot, .suspect, now: now, into: &actions)
        }
        settle(now: now, into: &actions)
    }

    /// The origin is spoken to in HTTP/1.1 from now on (HTTP_1_1_REQUIRED). Its HTTP/2 connections end when what is on them
    /// is done.
    mutating func requireHTTP1(_ key: OriginKey, now: UInt64, into actions: inout [PoolAction]) {
        let origin = origins.find(key)
        guard origin != noSlot, allowsHTTP1, !origins[origin].pointee.requiresHTTP1 else { return }
        let record = origins[origin]
        record.pointee.requiresHTTP1 = true
        record.pointee.known = .http1
        leaveShared(origin)
        while record.pointee.http2.first != noSlot {
            retire(record.pointee.http2.first, .http1Required, now: now, into: &actions)
        }
        var slot = record.pointee.dials.first
        while slot != noSlot {
            let next = connections[slot].pointee.place.next
            if !connections[slot].pointee.versions.isHTTP1 { cancelDial(slot, .http1Required, into: &actions) }
            slot = next
        }
        concern(origin)
        settle(now: now, into: &actions)
    }

    // MARK: Load

    /// What an answer says about the load that an origin takes, for the adaptive limit. To be told before the request's
    /// lease is given back. `pause`: nanoseconds for which the origin wants to be left alone, whatever it answered.
    mutating func answered(
        _ key: OriginKey, _ answer: AdaptiveLimit.Answer, latency: UInt64, pause: UInt64? = nil, now: UInt64,
        into actions: inout [PoolAction]
    ) {
        let origin = origins.find(key)
        guard adaptive != nil, origin != noSlot else { return }
        let record = origins[origin]
        record.pointee.adaptive?.answered(answer, latency: latency, inFlight: record.pointee.inFlight, now: now)
        if let pause { record.pointee.adaptive?.pause(for: pause, now: now) }
        guard record.pointee.waiting > 0 else { return }
        concern(origin)
        settle(now: now, into: &actions)
    }

    // MARK: Coalescing

    /// Whether an origin may share another's connection: it has none of its own, was not told otherwise, and speaks HTTP/2
    /// over TLS.
    func mayCoalesce(_ key: OriginKey) -> Bool {
        let origin = origins.find(key)
        guard origin != noSlot else { return false }
        let record = origins[origin]
        return record.pointee.mayCoalesce && record.pointee.isSecure && mode(origin) != .http1
            && record.pointee.http2.isEmpty && record.pointee.shared == noSlot
    }

    /// The origin shares another origin's HTTP/2 connection from now on, until that takes no more requests. Its own dials
    /// are cancelled. False, and nothing happens, if the connection takes none already, or the origin may not share.
    mutating func coalesced(
        _ key: OriginKey, onto connection: ConnectionKey, now: UInt64, into actions: inout [PoolAction]
    ) -> Bool {
        let slot = connections.find(connection)
        guard slot != noSlot, mayCoalesce(key), connections[slot].pointee.state == .open,
            connections[slot].pointee.version == .http2, !connections[slot].pointee.isAside
        else { return false }
        let origin = origins.find(key)
        guard connections[slot].pointee.origin != origin else { return false }
        let record = origins[origin]
        unused.drop(origin, unusedLinks, origins.memory)
        record.pointee.shared = slot
        record.pointee.known = .http2
        record.pointee.everConnected = true
        connections[slot].pointee.guests.append(origin, guestLinks, origins.memory)
        var dial = record.pointee.dials.last
        while dial != noSlot {
            let previous = connections[dial].pointee.place.previous
            if !connections[dial].pointee.versions.isHTTP1 { cancelDial(dial, .coalesced, into: &actions) }
            dial = previous
        }
        concern(origin)
        settle(now: now, into: &actions)
        return true
    }

    /// Another origin's connection that this one shares.
    func sharedConnection(of key: OriginKey) -> ConnectionKey? {
        let origin = origins.find(key)
        guard origin != noSlot, origins[origin].pointee.shared != noSlot else { return nil }
        return connections.key(origins[origin].pointee.shared)
    }

    /// The origin has connections of its own only, from now on (421, or an ORIGIN frame that leaves it out). What it has
    /// under way on a shared one goes on.
    mutating func cannotCoalesce(_ key: OriginKey, now: UInt64, into actions: inout [PoolAction]) {
        let origin = origins.find(key)
        guard origin != noSlot else { return }
        origins[origin].pointee.mayCoalesce = false
        leaveShared(origin)
        concern(origin)
        settle(now: now, into: &actions)
    }

    mutating func leaveShared(_ origin: Int32) {
        let slot = origins[origin].pointee.shared
        guard slot != noSlot else { return }
        connections[slot].pointee.guests.remove(origin, guestLinks, origins.memory)
        origins[origin].pointee.shared = noSlot
        noteIfUnused(origin)
    }
}
