/// A request's claim on a connection, held while it is in progress and returned with `PoolState.released`.
struct Lease: Hashable, Sendable {
    var connection: ConnectionKey
    /// The origin of the request; with coalescing it may differ from the one the connection was dialled for.
    var origin: OriginKey
}

/// The kind of connection a request asks for; the empty set is an ordinary request.
struct LeaseKind: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    /// A server left this request unprocessed. It goes to the front of the queue, behind earlier replays, and does not fail if
    /// the origin is saturated.
    static let replay = LeaseKind(rawValue: 1)
    /// Only an HTTP/1.1 connection will do (after HTTP_1_1_REQUIRED).
    static let http1 = LeaseKind(rawValue: 2)
    /// An exclusive connection. On HTTP/1.1 it leaves circulation until it is returned; on HTTP/2 it is kept open, also takes
    /// other requests, and no stream is counted. The holder's requests are not subject to rate or concurrency limits. Returned
    /// with `releasedExclusive`.
    static let exclusive = LeaseKind(rawValue: 4)
    /// A connection of the origin's own (after 421): from now on it shares no other origin's connection.
    static let own = LeaseKind(rawValue: 8)
    /// A connection that carries no other copy of the request. Requested with `leaseOther`; it waits only for a dial,
    /// behind requests of all other kinds.
    static let other = LeaseKind(rawValue: 16)
}

enum LeaseResult: Hashable, Sendable {
    /// Send it on this connection now.
    case use(ConnectionKey)
    /// It waits. The actions of the same call may already assign it a connection or fail it.
    case wait(WaiterKey)
    case fail(PoolFailure)
}

/// Why a request gets no connection.
enum PoolFailure: Hashable, Sendable {
    /// All streams or connections of the origin are taken, and `whenSaturated` says `fail`.
    case saturated
    /// `Pool.waitingRequests` requests are waiting already.
    case tooManyWaiting
    /// This dial failed or its connection was unusable, and nothing else could have served the request.
    case dialFailed(ConnectionKey)
    /// The request requires HTTP/1.1, and the client speaks only HTTP/2.
    case http1NotAllowed
    /// There are only the connections to avoid, and the limits do not allow another one.
    case noOther
    case shutDown
}
