/// What the owner of a `PoolState` has to do, in this order.
///
/// Each `close`, `abort` and `cancelDial` is answered with `closed` when it is done: until then the connection
/// counts against the limits.
enum PoolAction: Hashable, Sendable {
    /// Begin to connect; ends with `connected` or `dialFailed`.
    case dial(ConnectionKey, OriginKey, ProtocolOffer, HTTPClient.OpenReason)
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

extension CloseReason {
    /// Continues "the connection takes no new requests: ", and stands alone as well.
    var sentence: String {
        switch self {
        case .idleTimeout: "it was idle for long enough"
        case .maximumAge: "it is as old as connections may become"
        case .maximumRequests: "it has served as many requests as connections may"
        case .learnedRequests: "its server ends connections after so many requests"
        case .makeRoom: "another origin needs the place"
        case .closeIdle: "idle connections are closed"
        case .shutdown: "the client is shut down"
        case .identifiersUsed: "its stream identifiers are used up"
        case .notNeeded: "it is not needed"
        case .coalesced: "another origin's connection is shared instead"
        case .serverLimit: "its server said that it would end it"
        case .serverSaid: "its server ended it"
        case .http1Required: "its server wants HTTP/1.1"
        case .suspect: "its server closed another one without a word"
        }
    }
}
