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
