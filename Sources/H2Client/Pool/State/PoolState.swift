/// Decides which connection serves which request, for all origins of one client: no sockets, clock, threads or locks.
///
/// Each call is one event at the time `now`, which the owner sets before it. What is to be done about the event is appended
/// to `actions`. The owner, `ConnectionPool`, calls under one lock, executes the actions in order after it has noted what the
/// call returned, and empties them.
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
    let adaptive: HTTPClient.LoadLimits.Adaptive?

    // MARK: State

    /// Monotonic nanoseconds.
    var now: UInt64 = 0
    var actions: [PoolAction] = []

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
        versions: HTTPClient.Versions, pool: HTTPClient.Pool, loadLimits: HTTPClient.LoadLimits, seed: UInt64 = 0
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
        requestsPerOrigin = max(1, loadLimits.concurrentRequestsPerOrigin)
        requestLimit = max(1, loadLimits.concurrentRequests)
        rate = loadLimits.requestsPerSecondPerOrigin
        burst = max(1, loadLimits.burst)
        adaptive = loadLimits.adaptive
    }

    /// When a connection that opens now is as old as it may become: a little less than `maximumAge` from now, so that
    /// connections which were opened together do not end together.
    mutating func ageLimit() -> UInt64 {
        guard maximumAge <= UInt64.max / 4 else { return .max }
        // SplitMix64.
        chance &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (chance ^ (chance >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        let spread = max(1, maximumAge / Self.ageSpread)
        return now &+ maximumAge - (mixed ^ (mixed >> 31)) % spread
    }

    /// Sets the time of the next event. It never goes back: that of a loop's turn, or of a call which waited for the lock, may be
    /// older than that of the event before.
    @inline(__always)
    mutating func advance(to time: UInt64) { if time > now { now = time } }

    // MARK: A request begins

    /// A connection for a request, or a place in the queue.
    mutating func lease(_ key: OriginKey, kind: LeaseKind = []) -> LeaseResult {
        let origin = origins.find(key)
        precondition(origin != noSlot, "the origin was removed")
        if kind.isEmpty, life == .running, origins[origin].waiting == 0, gate(origin) == .open {
            let connection = freeConnection(origin)
            if connection != noSlot, takeToken(origin) {
                begin(origin, on: connection)
                let key = connections.key(connection)
                if !pending.isEmpty { processPending() }
                return .use(key)
            }
        }
        return leaseOrWait(origin, kind: kind)
    }

    /// The connection for an ordinary request: the HTTP/2 connection with the fewest streams, else the HTTP/1.1
    /// connection that was used last.
    @inline(__always)
    mutating func freeConnection(_ origin: Int32) -> Int32 {
        let http2 = leastLoaded(origin)
        if http2 != noSlot, connections[http2].streams < connections[http2].limit { return http2 }
        return lastUsed(origin)
    }

    /// The HTTP/2 connection with the fewest streams, which may yet be full.
    mutating func leastLoaded(_ origin: Int32) -> Int32 {
        var best = noSlot
        var fewest = Int32.max
        var next = origins[origin].http2.first
        while next != noSlot {
            let slot = next
            next = connections[slot].place.next
            guard connections[slot].usableUntil > now else {
                retire(slot, whyUnusable(slot))
                continue
            }
            // A connection that allows fewer streams than it has is full, however few those are.
            let load = connections[slot].streams < connections[slot].limit ? connections[slot].streams : .max - 1
            if load < fewest { (best, fewest) = (slot, load) }
        }
        let shared = origins[origin].shared
        if shared != noSlot {
            if connections[shared].usableUntil <= now {
                retire(shared, whyUnusable(shared))
            } else {
                let load =
                    connections[shared].streams < connections[shared].limit ? connections[shared].streams : .max - 1
                if load < fewest { best = shared }
            }
        }
        return best
    }

    /// The idle HTTP/1.1 connection that was used last.
    mutating func lastUsed(_ origin: Int32) -> Int32 {
        while true {
            let slot = origins[origin].idleHTTP1.first
            guard slot != noSlot else { return noSlot }
            if connections[slot].usableUntil > now { return slot }
            retire(slot, whyUnusable(slot))
        }
    }

    /// Why a connection past its `usableUntil` is.
    func whyUnusable(_ slot: Int32) -> CloseReason {
        if connections[slot].ageLimit <= now { return .maximumAge }
        return connections[slot].idleSince.saturatingSum(idleTimeout) <= now ? .idleTimeout : .serverLimit
    }

    /// Counts a request on a connection that is free for it.
    mutating func begin(_ origin: Int32, on slot: Int32) {
        if connections[slot].isFree {
            idle.remove(slot, idles, connections.memory)
            connections[slot].usableUntil = connections[slot].ageLimit
        }
        if connections[slot].version == .http1 {
            origins[origin].idleHTTP1.remove(slot, places, connections.memory)
        }
        leased += 1
        if connections[slot].served > 0 { reused += 1 }
        connections[slot].served += 1
        connections[slot].streams += 1
        inFlight += 1
        origins[origin].inFlight += 1
        if connections[slot].served >= connections[slot].looksAt { usedUp(slot) }
    }

    /// A connection has served as many requests as it may, or more than had been learned.
    private mutating func usedUp(_ slot: Int32) {
        let owner = connections[slot].origin
        if connections[slot].version == .http2, connections[slot].served > origins[owner].learned {
            origins[owner].learned = .max
            origins[owner].lastEnd = 0
        }
        connections[slot].looksAt = connections[slot].maximumRequests
        guard connections[slot].state == .open, connections[slot].served >= connections[slot].maximumRequests else {
            return
        }
        let reason: CloseReason
        if connections[slot].served >= requestsPerConnection {
            reason = .maximumRequests
        } else {
            reason = connections[slot].version == .http2 ? .learnedRequests : .serverLimit
        }
        retire(slot, reason)
    }

    // MARK: A request is over

    /// One request is over, and its stream or connection free. With `mayReuse` false, an HTTP/1.1 connection is closed.
    mutating func released(_ lease: Lease, mayReuse: Bool = true) {
        let slot = connections.find(lease.connection)
        let origin = origins.find(lease.origin)
        precondition(slot != noSlot && origin != noSlot, "a lease is given back once")
        precondition(connections[slot].streams > 0, "a lease is given back once")
        connections[slot].streams -= 1
        origins[origin].inFlight -= 1
        inFlight -= 1
        guard connections[slot].state == .open else {
            return releasedUnusable(slot, origin)
        }
        if connections[slot].version == .http2 {
            if connections[slot].isFree { becomeIdle(slot) }
            if connections[slot].origin != origin {
                // It may be the last request of an origin that does not share the connection any more.
                noteIfUnused(origin)
                markPending(connections[slot].origin)
            }
            if connections[slot].guests.isEmpty {
                if origins[origin].waiting > 0 { markPending(origin) }
            } else {
                markAllPending(of: slot, origin)
            }
        } else if mayReuse, !isWantedElsewhere(origin) {
            origins[origin].idleHTTP1.prepend(slot, places, connections.memory)
            becomeIdle(slot)
            if origins[origin].waiting > 0 { markPending(origin) }
        } else {
            retire(slot, mayReuse ? .makeRoom : .serverSaid)
            markPending(origin)
        }
        if !pending.isEmpty || !turns.isEmpty || !room.isEmpty { processPending() }
    }

    private mutating func releasedUnusable(_ slot: Int32, _ origin: Int32) {
        finishDraining(slot)
        forgetIfGivenBack(slot)
        noteIfUnused(origin)
        if origins[origin].waiting > 0 { markPending(origin) }
        processPending()
    }

    /// An exclusive lease is over. `served` is how many requests were sent on it; `mayReuse` as for `released`.
    mutating func releasedExclusive(_ lease: Lease, served: Int, mayReuse: Bool = true) {
        let slot = connections.find(lease.connection)
        precondition(slot != noSlot, "a lease is given back once")
        precondition(connections[slot].holders > 0, "a lease is given back once")
        connections[slot].holders -= 1
        connections[slot].served += served
        let owner = connections[slot].origin
        switch connections[slot].state {
        case .open:
            if connections[slot].version == .http1 {
                origins[owner].openHTTP1 += 1
                if mayReuse { origins[owner].idleHTTP1.prepend(slot, places, connections.memory) }
            }
            if connections[slot].isFree, mayReuse || connections[slot].version == .http2 {
                becomeIdle(slot)
            }
            if connections[slot].version == .http1, !mayReuse {
                retire(slot, .serverSaid)
            } else if served > 0 {
                usedUp(slot)
            }
        case .held where connections[slot].holders == 0:
            finish(slot, connections[slot].reason)
        default:
            finishDraining(slot)
            forgetIfGivenBack(slot)
        }
        markAllPending(of: slot, owner)
        processPending()
    }

    // MARK: Marking

    /// Has `settle` look at an origin.
    @inline(__always)
    mutating func markPending(_ origin: Int32) {
        if !origins[origin].pending.isLinked { pending.append(origin, pendingLinks, origins.memory) }
    }

    /// Has `settle` look at all who share a connection, and at `origin`. Every second time the connection's own origin comes
    /// first, else the others in turn.
    mutating func markAllPending(of slot: Int32, _ origin: Int32) {
        if connections.isTaken(Int(slot)) {
            connections[slot].ownerFirst.toggle()
            let first = connections[slot].guests.first
            if connections[slot].ownerFirst {
                markPending(connections[slot].origin)
            } else if first != noSlot {
                connections[slot].guests.remove(first, guestLinks, origins.memory)
                connections[slot].guests.append(first, guestLinks, origins.memory)
            }
            var guest = connections[slot].guests.first
            while guest != noSlot {
                if origins[guest].waiting > 0 { markPending(guest) }
                guest = origins[guest].guest.next
            }
            markPending(connections[slot].origin)
        }
        markPending(origin)
    }

    // MARK: Settling

    /// Gives requests to connections, dials for those that are left, and makes room.
    mutating func processPending() {
        while true {
            if !turns.isEmpty, inFlight < requestLimit {
                let origin = turns.first
                turns.remove(origin, turnLinks, origins.memory)
                serve(origin, atMost: 1)
                plan(origin)
            } else if !pending.isEmpty {
                let origin = pending.first
                pending.remove(origin, pendingLinks, origins.memory)
                serve(origin, atMost: .max)
                plan(origin)
                cancelSurplusDials(origin)
                dropUnwantedDials(origin)
                noteIfUnused(origin)
            } else if !room.isEmpty, living < connectionLimit {
                let origin = room.first
                room.remove(origin, roomLinks, origins.memory)
                if dialOne(origin), dialNeed(origin) != nil {
                    wantRoom(origin)
                } else {
                    // What it waits for now may be another thing: its turn, say.
                    markPending(origin)
                }
            } else {
                makeRoom()
                if pending.isEmpty { return }
            }
        }
    }
}
