/// A place in one of the pool's tables, and which of its successive tenants is meant. `slot` is dense, so that whoever
/// keeps objects beside the pool's records does so in arrays.
protocol SlotKey: Hashable, Sendable {
    init(index: UInt32, generation: UInt32)
    var index: UInt32 { get }
    var generation: UInt32 { get }
}

extension SlotKey {
    var slot: Int { Int(index) }

    /// Both in one number, never 0, for whoever does not know the type.
    @inline(__always) var packed: UInt64 { UInt64(generation) << 32 | UInt64(index) }
    @inline(__always) init(packed: UInt64) {
        self.init(index: UInt32(truncatingIfNeeded: packed), generation: UInt32(truncatingIfNeeded: packed >> 32))
    }
}

/// An origin that the pool knows.
struct OriginKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}

/// A connection, from its dialing until it is gone and its last lease was given back.
struct ConnectionKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}

/// A request that waits, until it is assigned a connection, fails, or gives up.
struct WaiterKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}

/// What a request holds while it is under way, and gives back with `PoolState.released`.
struct Lease: Hashable, Sendable {
    var connection: ConnectionKey
    /// Whose request it is; with coalescing not the origin that the connection was dialled for.
    var origin: OriginKey
}

/// What kind of connection a request asks for; none of these is an ordinary request.
struct LeaseKind: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    /// A server left this request unprocessed. It goes to the front of the queue, behind the replays that are there, and
    /// does not fail because the origin is saturated.
    static let replay = LeaseKind(rawValue: 1)
    /// Only an HTTP/1.1 connection will do (after HTTP_1_1_REQUIRED).
    static let http1 = LeaseKind(rawValue: 2)
    /// A connection to hold. On HTTP/1.1 it leaves circulation until it is given back; on HTTP/2 it is kept open, takes
    /// other requests too, and no stream is counted. What is sent on it is the holder's: no rate or concurrency limit
    /// applies to that. Given back with `releasedExclusive`.
    static let exclusive = LeaseKind(rawValue: 4)
    /// A connection of the origin's own (after 421): from now on it shares no other origin's.
    static let own = LeaseKind(rawValue: 8)
}

enum LeaseResult: Hashable, Sendable {
    /// To be sent on this connection at once.
    case use(ConnectionKey)
    /// Waits. It may be that the actions of the same call already assign it or let it fail.
    case wait(WaiterKey)
    case fail(PoolFailure)
}

/// Why a request gets no connection.
enum PoolFailure: Hashable, Sendable {
    /// All streams or connections of the origin are taken, and `whenSaturated` says `fail`.
    case saturated
    /// So many requests wait already as `Pool.waitingRequests` allows.
    case tooManyWaiting
    /// This dial failed, or its connection was of no use; nothing else could have served the request.
    case dialFailed(ConnectionKey)
    /// HTTP/1.1 alone would do, and the client speaks only HTTP/2.
    case http1NotAllowed
    case shutDown
}

/// Why a connection is opened.
enum DialReason: UInt8, Hashable, Sendable {
    /// The origin never had one, as far as is remembered.
    case first
    /// Those that there are have all their streams taken.
    case allTaken
    /// Those under way would be enough, but are slow.
    case besideSlow
    /// The previous one takes no requests any more, or is closed.
    case replacement
    case exclusive
    /// The origin, or this request, needs HTTP/1.1.
    case http1Required
    /// The connection shared with another origin is not for this one (421).
    case ownAfter421
}

/// Why a connection takes no more requests.
enum CloseReason: UInt8, Hashable, Sendable {
    case idleTimeout, maximumAge, maximumRequests
    /// A server that ends connections after so many requests would soon do so.
    case learnedRequests
    /// The limit of connections in all was reached, and another origin needs one.
    case makeRoom
    case closeIdle, shutdown
    /// Its stream identifiers are nearly used up.
    case identifiersUsed
    /// It came too late, or as what was not asked for; or nobody waits for it any more.
    case notNeeded
    /// The origin shares another's connection instead.
    case coalesced
    /// The server announced how long it keeps the connection, or for how many requests.
    case serverLimit
    /// GOAWAY or `Connection: close`, or a message after which an HTTP/1.1 connection cannot be reused.
    case serverSaid
    /// The origin speaks HTTP/1.1 from now on.
    case http1Required
    /// Another one of the origin was found closed when it was reused: its server ends them without a word.
    case suspect
}

/// What the owner of a `PoolState` has to do, in this order.
///
/// Each `close`, `abort` and `cancelDial` is answered with `closed` when it is done: until then the connection
/// counts against the limits.
enum PoolAction: Hashable, Sendable {
    /// Begin to connect; ends with `connected` or `dialFailed`.
    case dial(ConnectionKey, OriginKey, ProtocolOffer, DialReason)
    /// This request is to be sent on that connection.
    case assign(WaiterKey, ConnectionKey)
    case fail(WaiterKey, PoolFailure)
    /// Close at once; nothing is on it.
    case close(ConnectionKey, CloseReason)
    /// It gets no new requests. `close` follows when what is on it is done.
    case drain(ConnectionKey, CloseReason)
    /// Close at once, whatever is on it.
    case abort(ConnectionKey, CloseReason)
    case cancelDial(ConnectionKey, CloseReason)
    /// Call `tick` then (monotonic nanoseconds). Replaces what was asked for before, which is later.
    case wakeAt(UInt64)
    /// After `shutdown`: the last connection is gone.
    case drained
}
