/// The steps that the owner of a `PoolState` must take, in this order.
///
/// Each `close`, `abort` and `cancelDial` is answered with `closed` when it is done; until then the connection counts against
/// the limits.
enum PoolAction: Hashable, Sendable {
    /// Start connecting; ends with `connected` or `dialFailed`.
    case dial(ConnectionKey, OriginKey, ProtocolOffer, HTTPClient.OpenReason)
    /// Send this request on that connection.
    case assign(WaiterKey, ConnectionKey)
    case fail(WaiterKey, PoolFailure)
    /// Close now; nothing is on it.
    case close(ConnectionKey, CloseReason)
    /// No new requests. `close` follows when the requests on it are done.
    case drain(ConnectionKey, CloseReason)
    /// Close now, even with requests on it.
    case abort(ConnectionKey, CloseReason)
    case cancelDial(ConnectionKey, CloseReason)
    /// Call `tick` at this time (monotonic nanoseconds). Replaces an earlier request for a later time.
    case wakeAt(UInt64)
    /// The last connection is gone after `shutdown`.
    case drained
}

/// Why a connection takes no more requests.
enum CloseReason: UInt8, Hashable, Sendable {
    case idleTimeout, maximumAge, maximumRequests
    /// Its server ends connections after a learned number of requests, which is nearly reached.
    case learnedRequests
    /// The total connection limit was reached, and another origin needs a connection.
    case makeRoom
    case closeIdle, shutdown
    /// Its stream identifiers are nearly used up.
    case identifiersUsed
    /// It came too late or as the wrong kind, or nobody is waiting for it anymore.
    case notNeeded
    /// The origin shares another's connection instead.
    case coalesced
    /// The server announced how long it keeps the connection, or how many requests it takes.
    case serverLimit
    /// GOAWAY, `Connection: close`, or a message after which an HTTP/1.1 connection cannot be reused.
    case serverSaid
    /// The origin speaks HTTP/1.1 from now on.
    case http1Required
    /// Another connection of the origin was found closed when reused: its server closes them without notice.
    case suspect
}

extension CloseReason {
    /// Reads well after "the connection takes no new requests: " and on its own.
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
