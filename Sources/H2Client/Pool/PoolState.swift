/// Decides which connection serves which request, for all origins of one client: no sockets, clock, threads or locks.
///
/// Each call is one event; what is to be done about it is appended to `actions`. `now` is monotonic nanoseconds, and never
/// goes back. The owner, `ConnectionPool`, calls under one lock and executes the actions in order, after it has noted what
/// the call returned.
///
/// Limits hold at every step. A connection counts from its `dial` until `closed` (or `dialFailed`) tells that it is gone;
/// also one that was told to close. Each lease is given back once, by `released` or `releasedExclusive`, before or after
/// its connection is told to be `closed`.
///
/// What an event changes is done at once, and the origins concerned are marked (`concern`). `settle` then gives waiting
/// requests to connections, dials where that is not enough, and makes room.
struct PoolState: ~Copyable {
    enum Life {
        /// To draining, by `shutdown`.
        case running
        /// Takes no request. To ended, when no connection is left.
        case draining
        case ended
    }

    /// HTTP/2 streams that a connection is taken to allow before its SETTINGS arrive.
    static let assumedStreams = 100
    /// So many origins are remembered that nothing is connected to, waiting for or under way at.
    static let rememberedOrigins = 10_000
    /// An origin may keep its connections at work for so long while others wait for room: 1 s.
    static let roomPatience: UInt64 = 1_000_000_000
    /// A dial that has taken this long is slow: another is tried beside it for those who wait, and where nobody waits any more
    /// it is given up. 1 s.
    static let dialPatience: UInt64 = 1_000_000_000
    /// Requests that come within this time after a dial began share its fate as if they had been there: 50 ms.
    static let dialGrace: UInt64 = 50_000_000
    /// Dials that are tried beside slow ones, for one origin, each `dialPatience` after the one before.
    static let spareDials = 3
    /// The share of `maximumAge` by which ages differ: a tenth.
    static let ageSpread: UInt64 = 10
    /// After failed dials, the next is held off for this time, doubled for each: 100 ms ...
    static let dialHold: UInt64 = 100_000_000
    /// ... up to 10 s. Only where other connections serve; where none does, the waiting requests fail.
    static let maximumDialHold: UInt64 = 10_000_000_000

    // MARK: Options

    let versions: HTTPClient.Versions
    let saturation: HTTPClient.Saturation
    let http1Limit: Int
    let streamsPerConnection: Int32
    let connectionLimit: Int
    let waitingLimit: Int
    let idleTimeout: UInt64
    /// So much earlier than that an idle connection may be closed, so that those which come due one after the other are seen to
    /// together, and none is late: a twentieth of the limit, and 1 s at most.
    let idleSlack: UInt64
    let maximumAge: UInt64
    let requestsPerConnection: Int
    let requestsPerOrigin: Int
    let requestLimit: Int
    let rate: Double?
    let burst: Int
    let adaptive: HTTPClient.Politeness.Adaptive?

    // MARK: State

    var life = Life.running
    var origins = Slab<OriginKey, OriginRecord>()
    var connections = Slab<ConnectionKey, ConnectionRecord>()
    var waiters = Slab<WaiterKey, WaiterRecord>()
    var nextOrder: UInt64 = 0
    /// Connections that count against the limit, and those of them that were told to close.
    var living = 0
    var closing = 0
    /// Requests under way.
    var inFlight = 0
    /// Connections with nothing on them, the longest idle first, and all connected ones that take requests, the oldest
    /// first.
    var idle = SlotList()
    var aging = SlotList()
    /// Origins to look at in `settle`.
    var pending = SlotList()
    /// Origins that want a connection and have to wait for room, in turn.
    var room = SlotList()
    /// Origins whose requests wait for the limit of requests in all, in turn.
    var turns = SlotList()
    /// Origins that nothing is done with, the longest unused first.
    var unused = SlotList()
    var holds = HoldQueue()
    /// When origins that wait for room take their turn.
    var nextTurnAt = UInt64.max
    /// Decides how ages differ.
    private var chance: UInt64
    /// When `tick` was asked for.
    var armed = UInt64.max
    /// Whether a server ever announced a time for idle connections, so that `tick` looks at each.
    var hasServerLimits = false

    /// Requests that were given a connection, and those of them whose connection had served before.
    var leased: UInt64 = 0
    var reused: UInt64 = 0
    /// Connections that were established.
    var opened: UInt64 = 0

    let places = LinkField<ConnectionRecord>(\.place)
    let idles = LinkField<ConnectionRecord>(\.idle)
    let ages = LinkField<ConnectionRecord>(\.age)
    let guestLinks = LinkField<OriginRecord>(\.guest)
    let pendingLinks = LinkField<OriginRecord>(\.pending)
    let roomLinks = LinkField<OriginRecord>(\.room)
    let turnLinks = LinkField<OriginRecord>(\.turn)
    let unusedLinks = LinkField<OriginRecord>(\.unused)
    let waiterLinks = LinkField<WaiterRecord>(\.links)

    /// - Parameter seed: makes the ages of this pool's connections differ from another's.
    init(
        versions: HTTPClient.Versions, pool: HTTPClient.Pool, politeness: HTTPClient.Politeness, seed: UInt64 = 0
    ) {
        chance = seed
        self.versions = versions
        saturation = pool.whenSaturated
        http1Limit = max(1, pool.http1ConnectionsPerOrigin)
        streamsPerConnection = Int32(clamping: max(1, pool.streamsPerConnection))
        connectionLimit = max(1, pool.connections)
        waitingLimit = max(0, pool.waitingRequests)
        idleTimeout = max(1, pool.idleTimeout.clampedNanoseconds)
        idleSlack = min(idleTimeout / 20, 1_000_000_000)
        maximumAge = pool.maximumAge?.clampedNanoseconds ?? .max
        requestsPerConnection = max(1, pool.requestsPerConnection)
        requestsPerOrigin = max(1, politeness.concurrentRequestsPerOrigin)
        requestLimit = max(1, politeness.concurrentRequests)
        rate = politeness.requestsPerSecondPerOrigin
        burst = max(1, politeness.burst)
        adaptive = politeness.adaptive
    }

    /// When a connection that opens now is as old as it may become: a little less than `maximumAge` from now, so that
    /// connections which were opened together do not end together.
    mutating func ageLimit(now: UInt64) -> UInt64 {
        guard maximumAge <= UInt64.max / 4 else { return .max }
        // SplitMix64.
        chance &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (chance ^ (chance >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        let spread = max(1, maximumAge / Self.ageSpread)
        return now &+ maximumAge - (mixed ^ (mixed >> 31)) % spread
    }

    // MARK: A request begins

    /// A connection for a request, or a place in the queue.
    mutating func lease(
        _ key: OriginKey, now: UInt64, kind: LeaseKind = [], into actions: inout [PoolAction]
    ) -> LeaseResult {
        let origin = origins.find(key)
        precondition(origin != noSlot, "the origin was removed")
        if kind.isEmpty, life == .running, origins[origin].pointee.waiting == 0, gate(origin, now: now) == .open {
            let connection = freeConnection(origin, now: now, into: &actions)
            if connection != noSlot, takeToken(origin, now: now, into: &actions) {
                begin(origin, on: connection, now: now, into: &actions)
                let key = connections.key(connection)
                if !pending.isEmpty { settle(now: now, into: &actions) }
                return .use(key)
            }
        }
        return leaseOrWait(origin, now: now, kind: kind, into: &actions)
    }

    /// The connection for an ordinary request: the HTTP/2 connection with the fewest streams, else the HTTP/1.1
    /// connection that was used last.
    @inline(__always)
    mutating func freeConnection(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) -> Int32 {
        let http2 = leastLoaded(origin, now: now, into: &actions)
        if http2 != noSlot, connections[http2].pointee.streams < connections[http2].pointee.limit { return http2 }
        return lastUsed(origin, now: now, into: &actions)
    }

    /// The HTTP/2 connection with the fewest streams, which may yet be full.
    mutating func leastLoaded(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) -> Int32 {
        var best = noSlot
        var fewest = Int32.max
        var next = origins[origin].pointee.http2.first
        while next != noSlot {
            let slot = next
            let connection = connections[slot]
            next = connection.pointee.place.next
            guard connection.pointee.usableUntil > now else {
                retire(slot, whyUnusable(slot, now: now), now: now, into: &actions)
                continue
            }
            // A connection that allows fewer streams than it has is full, however few those are.
            let load = connection.pointee.streams < connection.pointee.limit ? connection.pointee.streams : .max - 1
            if load < fewest { (best, fewest) = (slot, load) }
        }
        let shared = origins[origin].pointee.shared
        if shared != noSlot {
            let connection = connections[shared]
            if connection.pointee.usableUntil <= now {
                retire(shared, whyUnusable(shared, now: now), now: now, into: &actions)
            } else {
                let load = connection.pointee.streams < connection.pointee.limit ? connection.pointee.streams : .max - 1
                if load < fewest { best = shared }
            }
        }
        return best
    }

    /// The idle HTTP/1.1 connection that was used last.
    mutating func lastUsed(_ origin: Int32, now: UInt64, into actions: inout [PoolAction]) -> Int32 {
        while true {
            let slot = origins[origin].pointee.idleHTTP1.first
            guard slot != noSlot else { return noSlot }
            let connection = connections[slot]
            if connection.pointee.usableUntil > now { return slot }
            retire(slot, whyUnusable(slot, now: now), now: now, into: &actions)
        }
    }

    /// Why a connection past its `usableUntil` is.
    func whyUnusable(_ slot: Int32, now: UInt64) -> CloseReason {
        let connection = connections[slot]
        if connection.pointee.ageLimit <= now { return .maximumAge }
        return connection.pointee.idleSince.saturatingSum(idleTimeout) <= now ? .idleTimeout : .serverLimit
    }

    /// Counts a request on a connection that is free for it.
    mutating func begin(_ origin: Int32, on slot: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let connection = connections[slot]
        if connection.pointee.isFree {
            idle.remove(slot, idles, connections.memory)
            connection.pointee.usableUntil = connection.pointee.ageLimit
        }
        if connection.pointee.version == .http1 {
            origins[origin].pointee.idleHTTP1.remove(slot, places, connections.memory)
        }
        leased += 1
        if connection.pointee.served > 0 { reused += 1 }
        connection.pointee.served += 1
        connection.pointee.streams += 1
        inFlight += 1
        origins[origin].pointee.inFlight += 1
        if connection.pointee.served >= connection.pointee.looksAt { usedUp(slot, now: now, into: &actions) }
    }

    /// A connection has served as many requests as it may, or more than had been learned.
    private mutating func usedUp(_ slot: Int32, now: UInt64, into actions: inout [PoolAction]) {
        let connection = connections[slot]
        let owner = origins[connection.pointee.origin]
        if connection.pointee.version == .http2, connection.pointee.served > owner.pointee.learned {
            owner.pointee.learned = .max
            owner.pointee.lastEnd = 0
        }
        connection.pointee.looksAt = connection.pointee.maximumRequests
        guard connection.pointee.state == .open, connection.pointee.served >= connection.pointee.maximumRequests else {
            return
        }
        let reason: CloseReason
        if connection.pointee.served >= requestsPerConnection {
            reason = .maximumRequests
        } else {
            reason = connection.pointee.version == .http2 ? .learnedRequests : .serverLimit
        }
        retire(slot, reason, now: now, into: &actions)
    }

    // MARK: A request is over

    /// One request is over, and its stream or connection free. With `mayReuse` false, an HTTP/1.1 connection is closed.
    mutating func released(_ lease: Lease, mayReuse: Bool = true, now: UInt64, into actions: inout [PoolAction]) {
        let slot = connections.find(lease.connection)
        let origin = origins.find(lease.origin)
        precondition(slot != noSlot && origin != noSlot, "a lease is given back once")
        let connection = connections[slot]
        precondition(connection.pointee.streams > 0, "a lease is given back once")
        connection.pointee.streams -= 1
        origins[origin].pointee.inFlight -= 1
        inFlight -= 1
        guard connection.pointee.state == .open else {
            return releasedUnusable(slot, origin, now: now, into: &actions)
        }
        if connection.pointee.version == .http2 {
            if connection.pointee.isFree { becomeIdle(slot, now: now, into: &actions) }
            if connection.pointee.origin != origin {
                // It may be the last request of an origin that does not share the connection any more.
                noteIfUnused(origin)
                concern(connection.pointee.origin)
            }
            if connection.pointee.guests.isEmpty {
                if origins[origin].pointee.waiting > 0 { concern(origin) }
            } else {
                concernAll(of: slot, origin)
            }
        } else if mayReuse, !isWantedElsewhere(origin) {
            origins[origin].pointee.idleHTTP1.prepend(slot, places, connections.memory)
            becomeIdle(slot, now: now, into: &actions)
            if origins[origin].pointee.waiting > 0 { concern(origin) }
        } else {
            retire(slot, mayReuse ? .makeRoom : .serverSaid, now: now, into: &actions)
            concern(origin)
        }
        if !pending.isEmpty || !turns.isEmpty || !room.isEmpty { settle(now: now, into: &actions) }
    }

    private mutating func releasedUnusable(
        _ slot: Int32, _ origin: Int32, now: UInt64, into actions: inout [PoolAction]
    ) {
        finishDraining(slot, into: &actions)
        forgetIfGivenBack(slot, now: now)
        noteIfUnused(origin)
        if origins[origin].pointee.waiting > 0 { concern(origin) }
        settle(now: now, into: &actions)
    }

    /// An exclusive lease is over. `served` is how many requests were sent on it; `mayReuse` as for `released`.
    mutating func releasedExclusive(
        _ lease: Lease, served: Int, mayReuse: Bool = true, now: UInt64, into actions: inout [PoolAction]
    ) {
        let slot = connections.find(lease.connection)
        precondition(slot != noSlot, "a lease is given back once")
        let connection = connections[slot]
        precondition(connection.pointee.holders > 0, "a lease is given back once")
        connection.pointee.holders -= 1
        connection.pointee.served += served
        let owner = connection.pointee.origin
        switch connection.pointee.state {
        case .open:
            if connection.pointee.version == .http1 {
                origins[owner].pointee.openHTTP1 += 1
                if mayReuse { origins[owner].pointee.idleHTTP1.prepend(slot, places, connections.memory) }
            }
            if connection.pointee.isFree, mayReuse || connection.pointee.version == .http2 {
                becomeIdle(slot, now: now, into: &actions)
            }
            if connection.pointee.version == .http1, !mayReuse {
                retire(slot, .serverSaid, now: now, into: &actions)
            } else if served > 0 {
                usedUp(slot, now: now, into: &actions)
            }
        case .held where connection.pointee.holders == 0:
            finish(slot, connection.pointee.reason, into: &actions)
        default:
            finishDraining(slot, into: &actions)
            forgetIfGivenBack(slot, now: now)
        }
        concernAll(of: slot, owner)
        settle(now: now, into: &actions)
    }

    // MARK: Marking

    /// Has `settle` look at an origin.
    @inline(__always)
    mutating func concern(_ origin: Int32) {
        if !origins[origin].pointee.pending.isLinked { pending.append(origin, pendingLinks, origins.memory) }
    }

    /// Has `settle` look at all who share a connection, and at `origin`. Every second time the connection's own origin comes
    /// first, else the others in turn.
    mutating func concernAll(of slot: Int32, _ origin: Int32) {
        if connections.isTaken(Int(slot)) {
            let connection = connections[slot]
            connection.pointee.ownerFirst.toggle()
            let first = connection.pointee.guests.first
            if connection.pointee.ownerFirst {
                concern(connection.pointee.origin)
            } else if first != noSlot {
                connection.pointee.guests.remove(first, guestLinks, origins.memory)
                connection.pointee.guests.append(first, guestLinks, origins.memory)
            }
            var guest = connection.pointee.guests.first
            while guest != noSlot {
                if origins[guest].pointee.waiting > 0 { concern(guest) }
                guest = origins[guest].pointee.guest.next
            }
            concern(connection.pointee.origin)
        }
        concern(origin)
    }

    // MARK: Settling

    /// Gives requests to connections, dials for those that are left, and makes room.
    mutating func settle(now: UInt64, into actions: inout [PoolAction]) {
        while true {
            if !turns.isEmpty, inFlight < requestLimit {
                let origin = turns.first
                turns.remove(origin, turnLinks, origins.memory)
                serve(origin, atMost: 1, now: now, into: &actions)
                plan(origin, now: now, into: &actions)
            } else if !pending.isEmpty {
                let origin = pending.first
                pending.remove(origin, pendingLinks, origins.memory)
                serve(origin, atMost: .max, now: now, into: &actions)
                plan(origin, now: now, into: &actions)
                cancelSurplusDials(origin, now: now, into: &actions)
                dropUnwantedDials(origin, now: now, into: &actions)
                noteIfUnused(origin)
            } else if !room.isEmpty, living < connectionLimit {
                let origin = room.first
                room.remove(origin, roomLinks, origins.memory)
                if dialOne(origin, now: now, into: &actions), wantsDial(origin, now: now) != nil {
                    wantRoom(origin, now: now)
                } else {
                    // What it waits for now may be another thing: its turn, say.
                    concern(origin)
                }
            } else {
                makeRoom(now: now, into: &actions)
                if pending.isEmpty { return }
            }
        }
    }
}
