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
