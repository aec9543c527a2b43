/// What the pool knows of one origin. All its lists go through records by slot.
struct OriginRecord {
    let isSecure: Bool
    /// What its server chose the last time.
    var known: HTTPVersion?
    var requiresHTTP1 = false
    var mayCoalesce = true
    /// A request asked for a connection of its own, which has not been dialled yet.
    var wantsOwn = false
    var everConnected = false

    /// Connections under way.
    var dials = SlotList()
    /// HTTP/2 connections that take requests.
    var http2 = SlotList()
    /// HTTP/1.1 connections that wait for a request, the most recently used first.
    var idleHTTP1 = SlotList()
    /// Another origin's connection that this one shares, and the place among those that share it.
    var shared = noSlot
    var guest = Links()

    /// Records of connections dialled for this origin, those that are gone but not given back included.
    var connections: Int32 = 0
    /// Of `dials`, those that can only come out as HTTP/1.1.
    var dialingHTTP1: Int32 = 0
    /// HTTP/1.1 connections in circulation, idle or at work.
    var openHTTP1: Int32 = 0
    /// HTTP/1.1 connections until they are gone, whatever their state.
    var livingHTTP1: Int32 = 0
    /// Requests under way, on whatever connection.
    var inFlight = 0
    /// Streams that the last HTTP/2 connection allowed.
    var typicalStreams: Int32

    var waiting = 0
    var replays = SlotList()
    var requests = SlotList()
    var http1Replays = SlotList()
    var http1Requests = SlotList()
    var exclusives = SlotList()

    var bucket: TokenBucket?
    var adaptive: AdaptiveLimit?
    /// No request begins before: the rate.
    var heldUntil: UInt64 = 0
    /// No dial begins before, as long as others serve: dials failed.
    var dialsHeldUntil: UInt64 = 0
    var failures: UInt64 = 0
    /// When the youngest of `dials` began, and how many were begun besides those needed since none was under way.
    var lastDialAt: UInt64 = 0
    var spareDials = 0
    /// Requests that came before the one with this `WaiterRecord.order` were there when a dial began that failed.
    var failedBefore: UInt64 = 0
    /// The earliest entry in the pool's `holds`, or .max.
    var wakesAt = UInt64.max

    /// After so many requests the server ended a connection the last time, and the limit learned from its doing so twice.
    var lastEnd = 0
    var learned = Int.max

    /// Places in the pool's own lists: origins to look at, for which room is wanted, whose turn it is, unused.
    var pending = Links()
    var room = Links()
    var turn = Links()
    var unused = Links()
    /// Since when room is wanted.
    var roomSince: UInt64 = 0

    /// Ordinary requests that wait.
    var waitingAny: Int { Int(replays.count) + Int(requests.count) }
    var waitingHTTP1: Int { Int(http1Replays.count) + Int(http1Requests.count) }
    /// Connections that count against the HTTP/1.1 limit, since a dial may come out as one.
    var occupied: Int { Int(livingHTTP1) + Int(dials.count) }
    /// HTTP/2 connections that take requests, a shared one included.
    var serving: Int { Int(http2.count) + (shared == noSlot ? 0 : 1) }
    var isUnused: Bool { connections == 0 && waiting == 0 && inFlight == 0 && shared == noSlot }
}

struct ConnectionRecord {
    enum State: UInt8 {
        /// To open, or closing (cancelled), or gone (failed).
        case dialing
        /// Takes requests, unless it is an HTTP/1.1 connection at work or held. To draining, closing or gone.
        case open
        /// Takes none, and a holder may still send on it; told to drain when that one gives it back. To draining.
        case held
        /// Takes none, and is told to close when nothing is on it. To closing or gone.
        case draining
        /// Told to close. To gone.
        case closing
        /// No more; the record stays until all leases are given back.
        case gone
    }

    var state = State.dialing
    /// Once connected.
    var version: HTTPVersion?
    let offer: ProtocolOffer
    let origin: Int32
    /// When its dial began, and the order of the first request that was not there then.
    var dialedAt: UInt64 = 0
    var cameLater: UInt64 = 0
    /// Why it takes no more requests, where it is `held` or `draining`.
    var reason = CloseReason.notNeeded
    /// Its peer may be gone, or takes no bytes. While either holds, it is given no requests, and stands in no list that leads
    /// requests to it.
    var isDoubted = false
    var isStalled = false
    /// On its next turn, its own origin comes before those that share it.
    var ownerFirst = false

    /// Requests on it.
    var streams: Int32 = 0
    var limit: Int32 = 0
    /// Exclusive leases.
    var holders: Int32 = 0
    /// Requests it was leased for, in all.
    var served = 0
    var maximumRequests = Int.max
    /// From so many on, each request is followed by a look at `maximumRequests` and at what was learned.
    var looksAt = Int.max
    /// No request is given to it from then on: its age, and for an idle HTTP/1.1 connection what the server announced.
    var usableUntil = UInt64.max
    var ageLimit = UInt64.max
    var openedAt: UInt64 = 0
    var idleSince: UInt64 = 0

    /// Origins that share it.
    var guests = SlotList()
    /// Its place among the origin's dials, HTTP/2 connections, or idle HTTP/1.1 connections.
    var place = Links()
    /// Its place among all that are idle, the longest first.
    var idle = Links()
    /// Its place among all that are connected and not closing, the oldest first.
    var age = Links()

    var isAside: Bool { isDoubted || isStalled }
    @inline(__always) var isFree: Bool { streams == 0 && holders == 0 }
    /// Whether it counts among those that serve its origin: not while one holds it for HTTP/1.1.
    var circulates: Bool { state == .open && (version == .http2 || holders == 0) }
}

struct WaiterRecord {
    /// The order in which requests came.
    let order: UInt64
    let origin: Int32
    let kind: LeaseKind
    var links = Links()
}

/// When to look at an origin again.
struct Hold {
    let time: UInt64
    let origin: OriginKey
}

/// A binary heap, the earliest first.
struct HoldQueue {
    private var heap: [Hold] = []

    var earliest: UInt64? { heap.first?.time }
    var count: Int { heap.count }

    mutating func insert(_ hold: Hold) {
        heap.append(hold)
        var at = heap.count - 1
        while at > 0, heap[at].time < heap[(at - 1) / 2].time {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func popDue(now: UInt64) -> Hold? {
        guard let first = heap.first, first.time <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child].time < heap[least].time {
                least = child
            }
            guard least != at else { return first }
            heap.swapAt(at, least)
            at = least
        }
    }
}
