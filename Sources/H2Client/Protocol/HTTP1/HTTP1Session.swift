import HTTPTypes

/// The client side of an HTTP/1.1 connection (RFC 9112), sans I/O: bytes in by `receive`, bytes out by `output`, time as an
/// argument. One request at a time, without pipelining: one slow response would hold up all others, and if the connection
/// breaks nobody knows which requests were lost.
///
/// Input is recorded on the stream, which is notified by `tellTouched`. The driver of the session calls that after each
/// `receive`, `receivedEnd` and `fillOutput`, once it has checked `refusal`.
///
/// A request that is abandoned after it was sent (cancelled, timed out, or its response's body dropped before the end) ends the
/// connection, since HTTP/1.1 has no other way to stop a response. Dropping the body of a complete response does not.
///
/// Not safe for concurrent use.
final class HTTP1Session: HTTPSession {
    /// Transitions: open → closing → broken, open → broken.
    enum Life {
        /// Takes another request when the current one is over.
        case open
        /// Takes no more requests; the current one may continue. The reason follows "the connection takes no new requests:".
        case closing(String)
        /// The peer violated the protocol, or the request could not be written completely: the connection is unusable.
        case broken(H2Error)
    }

    /// The next part of the response. Between responses it is `statusLine`.
    enum Reading {
        case statusLine
        case fields
        /// The remaining bytes of a body of stated length.
        case body(remaining: Int)
        /// The body ends with the connection.
        case bodyUntilClose
        case chunkSize
        case chunk(remaining: Int)
        /// The CR or the LF after a chunk.
        case chunkEnd(isLineFeedNext: Bool)
        case trailers
    }

    /// The part of the request's body that remains to be written.
    enum Upload {
        /// Nothing: the whole request is in `output`.
        case done
        case plain(sent: Int, of: Int)
        case chunked
    }

    let limits: ConnectionConfiguration.Limits
    private let unreadLimit: Int
    let scheme: String
    let authority: String
    /// The bytes that follow the path in most requests.
    let knownHost: [UInt8]
    /// Set if the other end is a proxy that forwards the requests.
    let absoluteForm: AbsoluteForm?
    let sendsHTTP10: Bool

    // Unchecked exclusivity, as in `HTTP2Session`: a session is used by one thread, and nothing here is passed inout to code that
    // could reenter it.
    @exclusivity(unchecked) private(set) var life = Life.open
    /// The current request.
    @exclusivity(unchecked) private(set) var current: StreamState?
    @exclusivity(unchecked) private var touched: StreamState?
    /// Small at first: thousands of mostly idle connections must not hold the memory that an upload needs.
    @exclusivity(unchecked) var output = OutputBuffer(capacity: 2 << 10)
    @exclusivity(unchecked) var now: UInt64

    @exclusivity(unchecked) var upload = Upload.done
    @exclusivity(unchecked) private var method = Method.other

    @exclusivity(unchecked) var reading = Reading.statusLine
    /// The start of a line whose end has not arrived.
    @exclusivity(unchecked) var partialLine = OutputBuffer(capacity: 256)
    @exclusivity(unchecked) var scratch = HeaderScratch()
    @exclusivity(unchecked) var framing = HTTP1Framing()
    @exclusivity(unchecked) var isVersion10 = false
    /// Whether the lines of the current head end in LF without CR.
    @exclusivity(unchecked) var headHasBareLineFeeds = false
    /// Bytes of chunk extensions in this response.
    @exclusivity(unchecked) var extensionBytes = 0

    @exclusivity(unchecked) private(set) var isReleased = false
    @exclusivity(unchecked) private(set) var requests = 0
    /// Whether responses keep their fields.
    @exclusivity(unchecked) var keepsFields = true
    @exclusivity(unchecked) private(set) var counts = SessionCounts()
    /// The last response's `Keep-Alive`: the seconds after which the server closes an idle connection, and how many more
    /// requests it takes.
    @exclusivity(unchecked) private(set) var keepAliveTimeout: Int?
    @exclusivity(unchecked) private(set) var keepAliveRemaining: Int?
    /// The ordinal of the last request whose response's `Keep-Alive` was reported to the connection.
    @exclusivity(unchecked) private var announcedLimitsOf = 0

    /// Methods that affect the response's framing (RFC 9112 section 6.3).
    private enum Method { case head, connect, other }

    init(
        origin: Origin, configuration: ConnectionConfiguration, absoluteForm: AbsoluteForm? = nil, now: UInt64
    ) {
        self.absoluteForm = absoluteForm
        limits = configuration.limits.clamped
        unreadLimit = max(configuration.windows.stream, 1)
        scheme = origin.scheme.rawValue
        authority = origin.authority
        sendsHTTP10 = configuration.sendsHTTP10
        knownHost = Array("\(sendsHTTP10 ? Self.hostAfter10 : Self.hostAfter11)\(origin.authority)\r\n".utf8)
        self.now = now
    }

    /// Frees the buffers when the connection has ended.
    func release() {
        output = OutputBuffer(capacity: 0)
        partialLine = OutputBuffer(capacity: 0)
        scratch = HeaderScratch(capacity: 0)
        isReleased = true
    }

    // MARK: - Requests

    /// Whether a request may be submitted.
    var hasFreeSlot: Bool {
        guard case .open = life else { return false }
        return current == nil
    }

    /// Whether nothing is in progress and no request can be submitted any more.
    var isOver: Bool {
        if case .open = life { return false }
        return current == nil
    }

    /// Starts a request. Its body is `stream.outgoing`.
    /// - Throws: `H2Error`: `invalidRequest`, or `connectionDraining` if the connection takes no more.
    func submit(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: HTTPPriority?
    ) throws(H2Error) {
        try checkLife()
        let before = output.count
        let written: (upload: Upload, saysClose: Bool)
        do {
            written = try writeHead(
                stream, request, expectsContinue: expectsContinue, priority: priority)
        } catch {
            output.removeLast(output.count - before)
            throw error
        }
        let method: Method =
            switch request.method {
            case .head: .head
            case .connect: .connect
            default: .other
            }
        begun(stream, method, written.upload, headBytes: output.count - before, saysClose: written.saysClose)
    }

    /// The same for a request that was prepared for repeated sending.
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) {
        try checkLife()
        let head = try request.lines.get()
        head.bytes.withUnsafeBytes { output.append($0.baseAddress.unsafelyUnwrapped, count: $0.count) }
        begun(
            stream, request.isHead ? .head : .other, head.upload, headBytes: head.bytes.count,
            saysClose: head.saysClose)
    }

    /// A serialised request head, and what else has to be done.
    struct WrittenHead {
        let bytes: [UInt8]
        let upload: Upload
        let saysClose: Bool
    }

    /// Serialises the head of a request.
    /// - Parameter body: empty for none.
    /// - Throws: `H2Error` (`invalidRequest`).
    static func written(_ request: HTTPRequest, body: [UInt8], to origin: Origin) throws(H2Error) -> WrittenHead {
        if request.method == .connect {
            throw RequestRules.invalid(
                "CONNECT makes a tunnel, and cannot be sent again and again", "send another method")
        }
        let session = HTTP1Session(origin: origin, configuration: ConnectionConfiguration(), now: 0)
        let stream = StreamState()
        if !body.isEmpty { (stream.outgoing, stream.contentLength) = (.bytes(body, offset: 0), body.count) }
        let written = try session.writeHead(stream, request, expectsContinue: false, priority: nil)
        return WrittenHead(
            bytes: Array(session.output.bytes), upload: written.upload, saysClose: written.saysClose)
    }

    private func checkLife() throws(H2Error) {
        precondition(current == nil, "one request at a time")
        switch life {
        case .open: break
        case .closing(let why): throw H2Error.draining(why)
        case .broken(let cause): throw H2Error.draining(cause.message)
        }
    }

    private func begun(
        _ stream: StreamState, _ method: Method, _ upload: Upload, headBytes: Int, saysClose: Bool
    ) {
        requests += 1
        stream.id = Int32(truncatingIfNeeded: requests)
        stream.isNumberedByOrder = true
        stream.slot = 0
        stream.bytesSent += headBytes
        current = stream
        self.upload = upload
        self.method = method
        if saysClose { close("the request said connection: close") }
    }

    /// The wire took `count` bytes of the output.
    func outputTaken(_ count: Int, now: UInt64) {
        counts.bytesSent += count
        output.removeFirst(count)
        // They may belong to the previous request's end. Counting them for this one errs on the safe side.
        if let current, current.sentAt == 0, count > 0 { current.sentAt = now }
    }

    /// Abandons the request without notifying the stream. The only way is to close the connection, unless nothing of the
    /// request has been sent.
    /// - Parameter isWriteUnderWay: the wire may have made a TLS record of output that it could not send yet.
    func giveUp(_ stream: StreamState, isWriteUnderWay: Bool) {
        dropUnread(stream)
        guard stream === current else { return }
        if stream.sentAt == 0 && !isWriteUnderWay {
            output.removeLast(stream.bytesSent)
        } else {
            close("a request was given up")
        }
        stream.sink = .nowhere
        release(stream)
        stream.stopSending()
    }

    // MARK: - Reading

    /// Whether more may be read: not while unread bytes reach the size of an HTTP/2 stream window.
    var wantsInput: Bool { current.map { $0.unread < unreadLimit } ?? true }

    /// The reader took the stream's buffered body.
    func consumed(_ stream: StreamState) { stream.unread = 0 }

    /// The stream's buffered body will not be read.
    func dropUnread(_ stream: StreamState) {
        stream.unread = 0
        stream.body = []
    }

    /// Processes received bytes.
    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) {
        guard bytes.count > 0, !isOver else { return }
        self.now = now
        counts.bytesReceived += bytes.count
        guard let stream = current else { return surplus(bytes) }
        guard stream.sentAt != 0 else { return surplus(bytes) }
        stream.bytesReceived += bytes.count
        var at = bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
        let end = at + bytes.count
        while at < end, current != nil { parse(stream, &at, end) }
        guard at < end else { return }
        stream.bytesReceived -= end - at
        // If the connection is being left anyway, further bytes do not matter.
        if case .open = life { surplus(UnsafeRawBufferPointer(start: at, count: end - at)) }
    }

    private func surplus(_ bytes: UnsafeRawBufferPointer) {
        let text = HTTP2Callbacks.escaped(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), min(bytes.count, 64))
        violate("bytes that answer no request: '\(text)'")
    }

    /// The peer closed its side: `failure` is nil if it ended properly, in TLS with close_notify.
    func receivedEnd(_ failure: H2Error?, now: UInt64) -> H2Error {
        self.now = now
        close("the server closed the connection")
        if let current { cutOff(current, failure) }
        return failure ?? .closedByServer()
    }

    private func cutOff(_ stream: StreamState, _ failure: H2Error?) {
        if case .bodyUntilClose = reading, failure == nil { return receivedBody(stream) }
        var error = failure ?? .closedByServer("its log may say why")
        error.scope = .stream(stream.id)
        guard stream.sentAt != 0 else {
            if error.code == .connectionClosed { error.code = .notProcessed }
            error.message = "the request was not sent: \(error.message)"
            error.isRetryable = true
            return end(stream, error)
        }
        error.isRetryable = false
        error.message = "\(stream.title) was cut off \(whereItStands(stream)): \(error.message)"
        end(stream, error)
    }

    private func whereItStands(_ stream: StreamState) -> String {
        guard stream.hasResponseBytes else { return "before its response began" }
        return switch reading {
        case .statusLine, .fields: "in its response's head"
        case .body(let remaining):
            "after \(stream.bodyReceived) of the \(stream.bodyReceived + remaining) bytes of its response's body"
        case .bodyUntilClose: "in its response's body, of which more may have been meant to come"
        case .chunkSize, .chunk, .chunkEnd, .trailers:
            "after \(stream.bodyReceived) bytes of its response's body, which was not at its end"
        }
    }

    /// The limits the server announced: how many more requests it takes, and how long it keeps the connection idle. Returned
    /// once per response that states them: each response restarts the time.
    func takeAnnouncedLimits() -> (requests: Int?, idle: Duration?)? {
        guard hasFreeSlot, announcedLimitsOf != requests else { return nil }
        announcedLimitsOf = requests
        guard keepAliveRemaining != nil || keepAliveTimeout != nil else { return nil }
        return (keepAliveRemaining, keepAliveTimeout.map { .seconds($0) })
    }

    // MARK: - Received parts

    /// A header section is complete.
    func receivedHead(_ stream: StreamState) {
        let status = scratch.status
        guard status >= 200 else { return receivedInformational(stream) }
        stream.status = status
        counts.headers += scratch.listSize - 32 * scratch.count
        counts.headersDecoded = counts.headers
        if keepsFields { stream.head = HeaderBlock(copying: scratch) }
        stream.phase = .body
        stream.firstByteAt = now
        touch(stream)
        keepAliveTimeout = framing.keepAliveTimeout
        keepAliveRemaining = framing.keepAliveRemaining
        // RFC 9112 section 9.3.
        if framing.saysClose {
            close("the server said connection: close")
        } else if isVersion10 || sendsHTTP10, !framing.saysKeepAlive {
            close("HTTP/1.0 is in use, and the server did not say keep-alive")
        } else if framing.keepAliveRemaining == 0 {
            close("the server takes no more requests on it")
        }
        // RFC 9112 section 6.3, in its order.
        if method == .head || status == 204 || status == 304 { return receivedBody(stream) }
        if method == .connect && status < 300 {
            reading = .bodyUntilClose
            close("it has become a tunnel")
        } else if framing.isChunked {
            extensionBytes = 0
            reading = .chunkSize
        } else if let length = framing.contentLength {
            reading = .body(remaining: length)
            if length == 0 { receivedBody(stream) }
        } else {
            reading = .bodyUntilClose
            close("the response's body ends with the connection")
        }
    }

    private func receivedInformational(_ stream: StreamState) {
        reading = .statusLine
        // RFC 9110 section 15.2.2: the server may switch protocols only if asked to.
        guard scratch.status != 101 else { return violate("101 Switching Protocols, for which nobody had asked") }
        guard stream.mayTakeInformational(scratch.listSize, limits, now: now) else {
            return exceed(limits.informationalExcess)
        }
        stream.informational.append(InformationalHead(status: scratch.status, block: HeaderBlock(copying: scratch)))
        touch(stream)
    }

    /// Receives bytes of the body.
    func receivedData(_ stream: StreamState, _ bytes: UnsafeRawBufferPointer) {
        touch(stream)
        if case .refused = stream.arrived(bytes), let failure = stream.localFailure {
            close("a response was given up")
            end(stream, failure)
        }
    }

    /// The response is complete.
    func receivedBody(_ stream: StreamState) {
        stream.phase = .ended
        stream.lastByteAt = now
        if case .done = upload {
        } else {
            // The response is complete, so the rest of the request is not needed. The request remains partially written, so
            // nothing can follow it (RFC 9112 section 9.5).
            close("the response came before all of its request was sent")
        }
        release(stream)
        stream.stopSending()
        touch(stream)
    }

    // MARK: - Closing

    /// Why no further request is taken, worded to follow "the connection takes no new requests:"; nil while requests are taken.
    var refusal: String? {
        switch life {
        case .open: nil
        case .closing(let why): why
        case .broken(let error): error.message
        }
    }

    /// Why the connection ends, once nothing is in progress and no request can be submitted.
    var failure: H2Error? {
        guard isOver else { return nil }
        return switch life {
        case .open: nil
        case .broken(let error): error
        case .closing(let why):
            H2Error(
                .connectionClosed, scope: .connection, message: "the connection was closed: \(why)",
                remedy: "send it on a new connection", isRetryable: true)
        }
    }

    /// Takes no further request.
    func close(_ why: String) {
        if case .open = life { life = .closing(why) }
    }

    /// The peer violated the protocol.
    func violate(_ what: String) {
        leave(
            H2Error(
                .protocolViolation, scope: .connection, initiator: .local,
                message: "the server broke HTTP/1.1: \(what)", remedy: "the fault is the server's"))
    }

    func exceed(_ what: String, remedy: String = "the fault is the server's; see ConnectionConfiguration.Limits") {
        leave(
            H2Error(
                .limitExceeded, scope: .connection, initiator: .local, message: "the server sent \(what)",
                remedy: remedy))
    }

    /// Makes the connection unusable.
    func leave(_ error: H2Error) {
        life = .broken(error)
        guard let stream = current else { return }
        var failure = error
        failure.scope = .stream(stream.id)
        if stream.sentAt == 0 {
            failure.message = "the request was not sent: \(error.message)"
            failure.isRetryable = true
        } else {
            failure.message = "\(stream.title): \(error.message)"
        }
        end(stream, failure)
    }

    /// Ends the current request with an error, for a connection that is gone.
    func failAll(_ error: (StreamState, _ mayHaveLeft: Bool) -> H2Error) {
        close("the connection is closed")
        if let current { end(current, error(current, current.sentAt != 0)) }
        tellTouched()
    }

    func end(_ stream: StreamState, _ error: H2Error) {
        if !stream.isOver { stream.phase = .failed(error) }
        release(stream)
        stream.stopSending()
        touch(stream)
    }

    private func release(_ stream: StreamState) {
        stream.slot = -1
        upload = .done
        reading = .statusLine
        partialLine.removeFirst(partialLine.count)
        current = nil
    }

    private func touch(_ stream: StreamState) {
        guard !stream.isTouched else { return }
        precondition(touched == nil, "whoever drives the session tells a stream before the next begins")
        stream.isTouched = true
        touched = stream
    }

    /// Notifies the stream if it changed. It may submit another request.
    func tellTouched() {
        while let stream = touched {
            touched = nil
            stream.isTouched = false
            stream.progressed()
        }
    }

    // MARK: - Facts

    var openStreamCount: Int { current == nil ? 0 : 1 }
    func forEachOpenStream(_ body: (StreamState) -> Void) {
        if let current { body(current) }
    }
    var outputBytes: UnsafeRawBufferPointer { output.bytes }
    func countsOnly(roundTrip: UInt64) { keepsFields = false }

    var snapshot: ConnectionSnapshot {
        let unread = current?.unread ?? 0
        return ConnectionSnapshot(
            state: .active, localSettings: .http1, remoteSettings: .http1, openStreams: openStreamCount,
            waitingRequests: 0, requests: requests, bytesSent: counts.bytesSent,
            bytesReceived: counts.bytesReceived,
            unreadBytes: unread, receiveWindow: max(unreadLimit - unread, 0), sendWindow: 0, goAway: nil,
            roundTripTime: nil)
    }
}

extension ConnectionSnapshot.Settings {
    /// HTTP/1.1 has no SETTINGS; these are the equivalent values.
    fileprivate static let http1 = ConnectionSnapshot.Settings(
        headerTableSize: 0, maxConcurrentStreams: 1, initialWindowSize: 0, maxFrameSize: 0, maxHeaderListSize: nil)
}
