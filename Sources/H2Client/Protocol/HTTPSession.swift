import HTTPTypes

/// The protocol's side of one connection, sans I/O, in either version of HTTP: bytes in by `receive`, bytes out by
/// `fillOutput`, time as an argument.
///
/// `submit` gives a stream an `id` above 0 and a `slot` of 0 or more, which becomes -1 when the request's slot is free
/// again. Whatever arrives is recorded in the stream. It is told (`progressed`) when all input has been digested, by
/// `tellTouched` at the latest, also when its slot has become -1; `wantsBody` is called as its body leaves.
///
/// Beside this each version has what it alone knows: HTTP/2 windows, PING and GOAWAY, HTTP/1.1 responses that announce the
/// connection's end.
///
/// Not safe for concurrent use.
protocol HTTPSession: AnyObject {
    // MARK: Requests

    /// Whether another request may begin.
    var hasFreeSlot: Bool { get }
    /// Requests under way.
    var openStreamCount: Int { get }
    func forEachOpenStream(_ body: (StreamState) -> Void)

    /// Begins a request. Its body is `stream.outgoing`, and has `stream.contentLength`.
    /// - Throws: `H2Error`: `invalidRequest`, or `connectionDraining` where the connection takes no more.
    func submit(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: Priority?
    ) throws(H2Error)
    /// Begins a request that was prepared for sending often. Its body is `stream.outgoing`.
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error)
    /// Ends a request that is not over, or drops the unread part of one that is.
    /// - Parameter isWriteUnderWay: the wire may have made a TLS record of the output that it could not send yet.
    func giveUp(_ stream: StreamState, isWriteUnderWay: Bool)

    // MARK: Bytes in

    /// Takes bytes that arrived.
    /// - Throws: `H2Error` where the peer must be left.
    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error)
    /// The peer ended its side: `failure` is nil if it did so properly. Returns the reason for the connection's end.
    func receivedEnd(_ failure: H2Error?, now: UInt64) -> H2Error
    /// Tells streams that have changed. They may submit other requests.
    func tellTouched()
    /// The reader took what the stream held of its body.
    func consumed(_ stream: StreamState)
    /// Nobody will read the bytes that the stream holds.
    func dropUnread(_ stream: StreamState)
    /// Why the connection has to end now.
    var failure: H2Error? { get }

    // MARK: Bytes out

    /// Whether there is something to send.
    var hasOutput: Bool { get }
    /// Puts what there is to send into the output, up to about `limit` bytes.
    func fillOutput(limit: Int, now: UInt64)
    /// Bytes waiting to be written.
    var outputBytes: UnsafeRawBufferPointer { get }
    /// Removes `count` written bytes from the front.
    func outputTaken(_ count: Int, now: UInt64)

    // MARK: The end

    /// The connection is over: fails requests under way. `error` is told whether any of a request may have reached the peer.
    func failAll(_ error: (StreamState, _ mayHaveLeft: Bool) -> H2Error)
    /// Frees everything but facts. After `failAll`, and not from within any of the session's calls.
    func release()

    // MARK: Facts

    /// Header fields of responses are counted and dropped, and bodies' waits for windows are measured.
    /// - Parameter roundTrip: nanoseconds.
    func countsOnly(roundTrip: UInt64)
    var counts: SessionCounts { get }
    /// `state`, `waitingRequests` and `roundTripTime` are the connection's to fill in.
    var snapshot: ConnectionSnapshot { get }
}

/// Bytes of HTTP on a connection, without TLS.
struct SessionCounts {
    var bytesReceived = 0
    var bytesSent = 0
    /// Header sections of responses as they came, and as names and values.
    var headers = 0
    var headersDecoded = 0
    var stalls = WindowStalls()
}
