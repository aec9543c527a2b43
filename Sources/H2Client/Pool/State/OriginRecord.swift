/// The pool's record of one origin. Its lists link records by slot.
struct OriginRecord {
    let isSecure: Bool
    /// The version its server chose last time.
    var known: HTTPProtocolVersion?
    var requiresHTTP1 = false
    var mayCoalesce = true
    /// A request asked for a connection of the origin's own that has not been dialled yet.
    var wantsOwn = false
    var everConnected = false

    /// Dials in progress.
    var dials = SlotList()
    /// HTTP/2 connections that take requests.
    var http2 = SlotList()
    /// Idle HTTP/1.1 connections, the most recently used first.
    var idleHTTP1 = SlotList()
    /// Another origin's connection that this one shares, and its links among those sharing it.
    var shared = noSlot
    var guest = Links()

    /// Records of connections dialled for this origin, including closed ones with unreturned leases.
    var connections: Int32 = 0
    /// The `dials` that can only result in HTTP/1.1.
    var dialingHTTP1: Int32 = 0
    /// HTTP/1.1 connections in circulation, idle or busy.
    var openHTTP1: Int32 = 0
    /// HTTP/1.1 connections in any state until they are gone.
    var livingHTTP1: Int32 = 0
    /// Requests in progress on any connection.
    var inFlight = 0
    /// Number of streams that the last HTTP/2 connection allowed.
    var typicalStreams: Int32

    var waiting = 0
    var replays = SlotList()
    var requests = SlotList()
    var http1Replays = SlotList()
    var http1Requests = SlotList()
    var exclusives = SlotList()
    /// Requests for a connection other than certain ones. They wait only while dials are in progress.
    var others = SlotList()
    /// A request asked for another connection. Over HTTP/2 there may then be a second one if the options do not say how
    /// many.
    var mayHaveSecond = false

    var bucket: TokenBucket?
    var adaptive: AdaptiveLimit?
    /// No request begins before this time, due to the rate.
    var heldUntil: UInt64 = 0
    /// No dial begins before this time while other connections serve, because dials failed.
    var dialsHeldUntil: UInt64 = 0
    var failures: UInt64 = 0
    /// When the newest of `dials` began, and the number of spare dials since none was in progress.
    var lastDialAt: UInt64 = 0
    var spareDials = 0
    /// Requests with a lower `WaiterRecord.order` were already waiting when a dial began that failed.
    var failedBefore: UInt64 = 0
    /// The earliest entry in the pool's `holds`, or .max.
    var wakesAt = UInt64.max

    /// Requests after which the server last ended a connection, and the limit learned once this happened twice.
    var lastEnd = 0
    var learned = Int.max

    /// Links in the pool's lists of origins: to process, waiting for room, waiting for the limit on requests, unused.
    var pending = Links()
    var room = Links()
    var limited = Links()
    var unused = Links()
    /// Since when it has been waiting for room.
    var roomSince: UInt64 = 0

    /// Waiting ordinary requests.
    var waitingAny: Int { Int(replays.count) + Int(requests.count) }
    var waitingHTTP1: Int { Int(http1Replays.count) + Int(http1Requests.count) }
    /// Requests ahead of `others`.
    var waitingAhead: Int { waiting - Int(others.count) }
    /// Connections that count against the HTTP/1.1 limit, including dials, since each may result in one.
    var occupied: Int { Int(livingHTTP1) + Int(dials.count) }
    /// HTTP/2 connections that take requests, including a shared one.
    var serving: Int { Int(http2.count) + (shared == noSlot ? 0 : 1) }
    var isUnused: Bool { connections == 0 && waiting == 0 && inFlight == 0 && shared == noSlot }
}
