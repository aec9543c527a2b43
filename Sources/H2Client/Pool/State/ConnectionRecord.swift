struct ConnectionRecord {
    enum State: UInt8 {
        /// Dialling. To open, closing (cancelled) or gone (failed).
        case dialing
        /// Takes requests, unless it is an HTTP/1.1 connection that is busy or held. To draining, closing or gone.
        case open
        /// Takes no requests, but a holder may still send on it; told to drain when it is given back. To draining.
        case held
        /// Takes no requests, and is told to close when nothing is left on it. To closing or gone.
        case draining
        /// Told to close. To gone.
        case closing
        /// Closed; the record stays until all leases are returned.
        case gone
    }

    var state = State.dialing
    /// Set once connected.
    var version: HTTPProtocolVersion?
    let offer: ProtocolOffer
    /// Whether its handshake, which may carry early data, is still in progress. It takes requests, but is not established.
    var isShakingHands = false
    let origin: Int32
    /// When its dial began, and the order of the first request that came later.
    var dialedAt: UInt64 = 0
    var cameLater: UInt64 = 0
    /// Why it takes no more requests, if it is `held` or `draining`.
    var reason = CloseReason.notNeeded
    /// The peer may be gone, or accepts no bytes. While either is set, it gets no requests and is in no list that leads
    /// requests to it.
    var isDoubted = false
    var isStalled = false
    /// Whether its own origin comes before those that share it on its next turn.
    var ownerFirst = false

    /// Requests in progress on it.
    var streams: Int32 = 0
    var limit: Int32 = 0
    /// Exclusive leases.
    var holders: Int32 = 0
    /// Total number of requests it was leased for.
    var served = 0
    var maximumRequests = Int.max
    /// From this number of requests on, `maximumRequests` and the learned limit are checked after each.
    var looksAt = Int.max
    /// It gets no request after this time: its age limit, or, for an idle HTTP/1.1 connection, the time the server announced.
    var usableUntil = UInt64.max
    var ageLimit = UInt64.max
    var openedAt: UInt64 = 0
    var idleSince: UInt64 = 0

    /// Origins that share it.
    var guests = SlotList()
    /// Its links in the origin's list of dials, HTTP/2 connections, or idle HTTP/1.1 connections.
    var list = Links()
    /// Its links among all idle connections, the longest idle first.
    var idle = Links()
    /// Its links among all connected ones that are not closing, the oldest first.
    var age = Links()

    var isAside: Bool { isDoubted || isStalled }
    @inline(__always) var isFree: Bool { streams == 0 && holders == 0 }
    /// Whether it counts as serving its origin; an HTTP/1.1 connection does not while it is held.
    var circulates: Bool { state == .open && (version == .http2 || holders == 0) }
}

struct WaiterRecord {
    /// The order in which requests arrived.
    let order: UInt64
    let origin: Int32
    let kind: LeaseKind
    var links = Links()
}
