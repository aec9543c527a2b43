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
