import HTTPTypes

/// The protocol side of a connection, sans I/O, for either HTTP version: bytes in by `receive`, bytes out by `fillOutput`, time
/// as an argument.
///
/// `submit` gives a stream an `id` above 0 and a `slot` of 0 or more, which becomes -1 when the request's slot is free again.
/// Received data is recorded in the stream. It is notified (`progressed`) when all input has been processed, by `tellTouched`
/// at the latest, also when its slot has become -1; `wantsBody` is called as its body is sent.
///
/// In addition each version has its own features: HTTP/2 windows, PING and GOAWAY, and HTTP/1.1 responses that announce the
/// connection's end.
///
/// Not safe for concurrent use.
protocol HTTPSession: AnyObject {
    // MARK: Requests

    /// Whether another request may begin.
    var hasFreeSlot: Bool { get }
    /// Requests in progress.
    var openStreamCount: Int { get }
    func forEachOpenStream(_ body: (StreamState) -> Void)

    /// Starts a request. Its body is `stream.outgoing`, of length `stream.contentLength`.
    /// - Throws: `H2Error`: `invalidRequest`, or `connectionDraining` if the connection takes no more.
    func submit(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: HTTPPriority?
    ) throws(H2Error)
    /// Starts a request that was prepared for repeated sending. Its body is `stream.outgoing`.
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error)
    /// Ends an unfinished request, or drops the unread part of a finished one.
    /// - Parameter isWriteUnderWay: the wire may have made a TLS record of output that it could not send yet.
    func giveUp(_ stream: StreamState, isWriteUnderWay: Bool)

    // MARK: Bytes in

    /// Processes received bytes.
    /// - Throws: `H2Error` if the connection must be closed.
    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error)
    /// The peer closed its side: `failure` is nil if it did so properly. Returns the reason for the connection's end.
    func receivedEnd(_ failure: H2Error?, now: UInt64) -> H2Error
    /// Notifies streams that have changed. They may submit other requests.
    func tellTouched()
    /// The reader took the stream's buffered body.
    func consumed(_ stream: StreamState)
    /// The stream's buffered body will not be read.
    func dropUnread(_ stream: StreamState)
    /// Why the connection must end now.
    var failure: H2Error? { get }

    // MARK: Bytes out

    /// Whether there is something to send.
    var hasOutput: Bool { get }
    /// Moves available output into the buffer, up to about `limit` bytes.
    func fillOutput(limit: Int, now: UInt64)
    /// Bytes waiting to be written.
    var outputBytes: UnsafeRawBufferPointer { get }
    /// Removes `count` written bytes from the front.
    func outputTaken(_ count: Int, now: UInt64)

    // MARK: Closing

    /// The connection is over: fails requests in progress. `error` is passed whether part of a request may have reached the
    /// peer.
    func failAll(_ error: (StreamState, _ mayHaveLeft: Bool) -> H2Error)
    /// Frees everything except facts. Called after `failAll`, and not from within any of the session's calls.
    func release()

    // MARK: Facts

    /// Counts response fields without keeping them, and measures how long bodies wait for windows.
    /// - Parameter roundTrip: nanoseconds.
    func countsOnly(roundTrip: UInt64)
    var counts: SessionCounts { get }
    /// The connection fills in `state`, `waitingRequests` and `roundTripTime`.
    var snapshot: ConnectionSnapshot { get }
}

/// Bytes of HTTP on a connection, excluding TLS.
struct SessionCounts {
    var bytesReceived = 0
    var bytesSent = 0
    /// Header sections of responses as received, and as names and values.
    var headers = 0
    var headersDecoded = 0
    var stalls = WindowStalls()
}
