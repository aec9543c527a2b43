import H2Platform

/// Decides which connection serves which request, for all origins of one client: no sockets, clock, threads or locks.
///
/// Each call is one event at the time `now`, which the owner sets first. The resulting actions are appended to `actions`. The
/// owner, `ConnectionPool`, calls it under one lock, records what the call returned, performs the actions in order, and removes
/// them.
///
/// Limits hold at every step. A connection counts from its `dial` until `closed` (or `dialFailed`) reports that it is gone,
/// even if it was told to close. Each lease is returned once, by `released` or `releasedExclusive`, before or after its
/// connection is reported `closed`.
///
/// An event takes effect at once, and the origins concerned are marked (`markPending`). `processPending` then assigns
/// connections to waiting requests, dials more if necessary, and makes room.
struct PoolState: ~Copyable {
    enum Life {
        /// To draining, by `shutdown`.
        case running
        /// Takes no requests. To ended, when no connection is left.
        case draining
        case ended
    }

    /// HTTP/2 streams that a connection is assumed to allow before its SETTINGS arrive.
    static let assumedStreams = 100
    /// Number of origins remembered without connections, waiting requests or requests in progress.
    static let rememberedOrigins = 10_000
    /// How long an origin may keep its connections busy while others wait for room: 1 s.
    static let roomPatience: UInt64 = 1_000_000_000
    /// When a dial counts as slow: another is tried beside it for waiting requests, or it is given up if none are left. 1 s.
    static let dialPatience: UInt64 = 1_000_000_000
    /// Requests arriving within this time after a dial began are treated as if they had been waiting for it: 50 ms.
    static let dialGrace: UInt64 = 50_000_000
    /// Number of spare dials per origin beside slow ones, each `dialPatience` after the one before.
    static let spareDials = 3
    /// The fraction of `maximumAge` by which ages vary, as a divisor: a tenth.
    static let ageSpread: UInt64 = 10
    /// After a failed dial the next is held off for this time, doubled for each: 100 ms.
    static let dialHold: UInt64 = 100_000_000
    /// Longest hold: 10 s. Only while other connections serve; otherwise the waiting requests fail.
    static let maximumDialHold: UInt64 = 10_000_000_000

    // MARK: Options

    let versions: HTTPClient.Versions
    let saturation: HTTPClient.Saturation
    let http1Limit: Int
    let streamsPerConnection: Int32
    let connectionLimit: Int
    let waitingLimit: Int
    let idleTimeout: UInt64
    /// How much earlier than that an idle connection may be closed, so that those due in short succession are handled together
    /// and none is late: a twentieth of the limit, at most 1 s.
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
    /// The connections that waiting requests of the kind `other` avoid.
    var avoided: [WaiterKey: [ConnectionKey]] = [:]
    var nextOrder: UInt64 = 0
    /// Connections that count against the limit, and those among them that were told to close.
    var living = 0
    var closing = 0
    /// Requests in progress.
    var inFlight = 0
    /// Connections without requests, the longest idle first, and all connected ones that take requests, the oldest first.
    var idle = SlotList()
    var aging = SlotList()
    /// Origins for `processPending` to process.
    var pending = SlotList()
    /// Origins that need a connection and wait for room, in turn.
    var room = SlotList()
    /// Origins whose requests wait for the limit on all requests, in turn.
    var limited = SlotList()
    /// Unused origins, the longest unused first.
    var unused = SlotList()
    var holds = HoldQueue()
    /// When origins that wait for room are tried again.
    var nextRoomAt = UInt64.max
    /// For the variation of ages.
    private var chance: SplitMix64
    /// The time of the next `tick` asked for.
    var armed = UInt64.max
    /// Whether any server announced a time for idle connections, so that `tick` checks each.
    var hasServerLimits = false

    /// Requests that got a connection, and those whose connection had served before.
    var leased: UInt64 = 0
    var reused: UInt64 = 0
    /// Connections that were established.
    var opened: UInt64 = 0

    let listLinks = LinkField<ConnectionRecord>(\.list)
    let idles = LinkField<ConnectionRecord>(\.idle)
    let ages = LinkField<ConnectionRecord>(\.age)
    let guestLinks = LinkField<OriginRecord>(\.guest)
    let pendingLinks = LinkField<OriginRecord>(\.pending)
    let roomLinks = LinkField<OriginRecord>(\.room)
    let limitedLinks = LinkField<OriginRecord>(\.limited)
    let unusedLinks = LinkField<OriginRecord>(\.unused)
    let waiterLinks = LinkField<WaiterRecord>(\.links)

    /// - Parameter seed: makes connection ages differ between pools.
    init(
        versions: HTTPClient.Versions, pool: HTTPClient.Pool, loadLimits: HTTPClient.LoadLimits, seed: UInt64 = 0
    ) {
        chance = SplitMix64(seed: seed)
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

    /// The age limit of a connection that opens now: a little less than `maximumAge` away, so that connections opened together
    /// do not end together.
    mutating func ageLimit() -> UInt64 {
        guard maximumAge <= UInt64.max / 4 else { return .max }
        return now &+ maximumAge - chance.next() % max(1, maximumAge / Self.ageSpread)
    }

    /// Sets the time of the next event. It never goes backwards: the time of a loop's turn, or of a call that waited for the
    /// lock, may be older than that of the previous event.
    @inline(__always)
    mutating func advance(to time: UInt64) { if time > now { now = time } }

    // MARK: Starting a request

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

    /// The connection for an ordinary request: the HTTP/2 connection with the fewest streams, otherwise the most recently used
    /// HTTP/1.1 connection.
    @inline(__always)
    mutating func freeConnection(_ origin: Int32) -> Int32 {
        let http2 = leastLoaded(origin)
        if http2 != noSlot, connections[http2].streams < connections[http2].limit { return http2 }
        return lastUsed(origin)
    }

    /// The HTTP/2 connection with the fewest streams; it may still be full.
    mutating func leastLoaded(_ origin: Int32) -> Int32 {
        var best = noSlot
        var fewest = Int32.max
        var next = origins[origin].http2.first
        while next != noSlot {
            let slot = next
            next = connections[slot].list.next
            guard connections[slot].usableUntil > now else {
                retire(slot, whyUnusable(slot))
                continue
            }
            // A connection whose limit is below its number of streams is full, however few those are.
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

    /// The most recently used idle HTTP/1.1 connection.
    mutating func lastUsed(_ origin: Int32) -> Int32 {
        while true {
            let slot = origins[origin].idleHTTP1.first
            guard slot != noSlot else { return noSlot }
            if connections[slot].usableUntil > now { return slot }
            retire(slot, whyUnusable(slot))
        }
    }

    /// Why a connection past its `usableUntil` is unusable.
    func whyUnusable(_ slot: Int32) -> CloseReason {
        if connections[slot].ageLimit <= now { return .maximumAge }
        return connections[slot].idleSince.saturatingSum(idleTimeout) <= now ? .idleTimeout : .serverLimit
    }

    /// Counts a request on a connection with a free slot.
    mutating func begin(_ origin: Int32, on slot: Int32) {
        if connections[slot].isFree {
            idle.remove(slot, idles, connections.memory)
            connections[slot].usableUntil = connections[slot].ageLimit
        }
        if connections[slot].version == .http1 {
            origins[origin].idleHTTP1.remove(slot, listLinks, connections.memory)
        }
        leased += 1
        if connections[slot].served > 0 { reused += 1 }
        connections[slot].served += 1
        connections[slot].streams += 1
        inFlight += 1
        origins[origin].inFlight += 1
        if connections[slot].served >= connections[slot].looksAt { usedUp(slot) }
    }

    /// A connection has served the maximum or the learned number of requests.
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

    // MARK: Ending a request

    /// A lease is over without a request: it does not count as one.
    mutating func returnedUnused(_ lease: Lease) {
        let slot = connections.find(lease.connection)
        precondition(slot != noSlot, "a lease is given back once")
        leased -= 1
        connections[slot].served -= 1
        if connections[slot].served > 0, reused > 0 { reused -= 1 }
        released(lease)
    }

    /// A request is over, and its stream or connection is free. If `mayReuse` is false, an HTTP/1.1 connection is closed.
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
                // It may be the last request of an origin that no longer shares the connection.
                noteIfUnused(origin)
                markPending(connections[slot].origin)
            }
            if connections[slot].guests.isEmpty {
                if origins[origin].waiting > 0 { markPending(origin) }
            } else {
                markAllPending(of: slot, origin)
            }
        } else if mayReuse, !isWantedElsewhere(origin) {
            origins[origin].idleHTTP1.prepend(slot, listLinks, connections.memory)
            becomeIdle(slot)
            if origins[origin].waiting > 0 { markPending(origin) }
        } else {
            retire(slot, mayReuse ? .makeRoom : .serverSaid)
            markPending(origin)
        }
        if !pending.isEmpty || !limited.isEmpty || !room.isEmpty { processPending() }
    }

    private mutating func releasedUnusable(_ slot: Int32, _ origin: Int32) {
        finishDraining(slot)
        forgetIfGivenBack(slot)
        noteIfUnused(origin)
        if origins[origin].waiting > 0 { markPending(origin) }
        processPending()
    }

    /// An exclusive lease is over. `served` is the number of requests sent on it; `mayReuse` as for `released`.
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
                if mayReuse { origins[owner].idleHTTP1.prepend(slot, listLinks, connections.memory) }
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

    /// Has `processPending` process an origin.
    @inline(__always)
    mutating func markPending(_ origin: Int32) {
        if !origins[origin].pending.isLinked { pending.append(origin, pendingLinks, origins.memory) }
    }

    /// Has `processPending` process all origins that share a connection, and `origin`. Every second time the connection's own
    /// origin comes first, otherwise the others in turn.
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

    // MARK: Processing

    /// Gives requests to connections, dials for the rest, and makes room.
    mutating func processPending() {
        while true {
            if !limited.isEmpty, inFlight < requestLimit {
                let origin = limited.first
                limited.remove(origin, limitedLinks, origins.memory)
                serve(origin, atMost: 1)
                plan(origin)
            } else if !pending.isEmpty {
                let origin = pending.first
                pending.remove(origin, pendingLinks, origins.memory)
                serve(origin, atMost: .max)
                plan(origin)
                cancelSurplusDials(origin)
                dropUnwantedDials(origin)
                failStrandedOthers(origin)
                noteIfUnused(origin)
            } else if !room.isEmpty, living < connectionLimit {
                let origin = room.first
                room.remove(origin, roomLinks, origins.memory)
                if dialOne(origin), dialNeed(origin) != nil {
                    wantRoom(origin)
                } else {
                    // It may be waiting for something else now, such as a limit.
                    markPending(origin)
                }
            } else {
                makeRoom()
                if pending.isEmpty { return }
            }
        }
    }
}
