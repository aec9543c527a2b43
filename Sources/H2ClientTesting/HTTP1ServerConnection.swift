import CNghttp2
import H2Client
import H2Platform

/// An HTTP/1.1 or 1.0 connection (RFC 9112), which handles one request at a time, in order.
///
/// While a request is being answered, the next one is not parsed. Its bytes wait in `input`, at most those of one read, and
/// then reading pauses. Until then the socket is read, to notice a client that disconnects.
///
/// Unchecked exclusivity: for the reason that `ServerConnection` states.
final class HTTP1ServerConnection: ServerConnection {
    /// The current request; one object is reused for all of them.
    private let stream = ServerStream()
    private let parser: HTTP1RequestParser
    /// Bytes that were read but not parsed.
    @exclusivity(unchecked) private var input = OutputBuffer(capacity: 0)
    @exclusivity(unchecked) private var requestID: Int32 = 0
    private let bodyLimit: Int

    /// How the response's body is delimited (RFC 9112 section 6).
    private enum Response {
        /// The response has not begun.
        case none
        case ofLength, chunked, untilClose
        case complete
    }
    @exclusivity(unchecked) private var response = Response.none

    private enum State {
        /// Between requests, or in the middle of a head.
        case awaiting
        /// From the end of a request's head until it and its response are complete.
        case answering
        /// All remaining output is in `output`.
        case ending
    }
    @exclusivity(unchecked) private var state = State.awaiting
    /// Whether this request is the last one, because either side wants to close.
    @exclusivity(unchecked) private var isLast = false
    @exclusivity(unchecked) private var isDrainingNow = false
    @exclusivity(unchecked) private var hasInputEnded = false
    @exclusivity(unchecked) private var hasSentContinue = false
    /// When the incomplete head began. The first one begins with the connection.
    @exclusivity(unchecked) private var headStart: UInt64?

    init(wire: any SocketWire & Wire, descriptor: CInt, listener: Listener) {
        let configuration = listener.configuration
        parser = HTTP1RequestParser(request: stream.request, lineLimit: configuration.limits.headerListSize)
        bodyLimit = max(Int(configuration.settings.initialWindowSize ?? 65_535), 1)
        super.init(wire: wire, descriptor: descriptor, listener: listener)
        counters.http1Connections.add(1)
        prepare()
        headStart = startedAt
    }

    /// Prepares the stream for the next request's fields.
    private func prepare() {
        requestID &+= 1
        stream.begin(id: requestID, connection: self, headerLimit: listener.configuration.limits.headerListSize)
        parser.beginRequest()
        response = .none
        hasSentContinue = false
        state = .awaiting
    }

    // MARK: - Input

    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        // Reading goes on only while `input` is empty.
        let used = parse(bytes)
        guard used < bytes.count else { return true }
        input.append(bytes.baseAddress! + used, count: bytes.count - used)
        isReadingPaused = true
        return true
    }

    /// Parses the bytes left in `input`; true if that made progress.
    private func parseLeftover() -> Bool {
        let hasMore = parser.hasMore
        guard !input.isEmpty || hasMore else { return false }
        // The bytes do not move meanwhile: only `receive` appends, and it is not called from here.
        let used = parse(UnsafeMutableRawBufferPointer(mutating: input.bytes))
        input.removeFirst(used)
        if input.isEmpty, !hasInputEnded { resumeReading() }
        return used > 0 || hasMore && !parser.hasMore
    }

    /// Parses as many bytes as possible now; returns how many.
    private func parse(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        var at = 0
        while isLooking, at < bytes.count || parser.hasMore {
            let (used, event) = parser.next(UnsafeMutableRawBufferPointer(rebasing: bytes[at...]))
            at += used
            switch event {
            case .none: break
            case .head: headArrived()
            case .body(let count):
                let start = bytes.baseAddress! + (at - count)
                stream.receive(UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count))
            case .end:
                guard stream.trailersArrived() else { return bytes.count }
                stream.endRequest()
                finishIfComplete()
            case .refused(let refusal):
                counters.http1Malformed.add(1)
                refuse(refusal)
                // The rest has no meaning and is dropped.
                return bytes.count
            }
            if case .close(_, flushing: false) = nextStep { return bytes.count }
        }
        if case .ending = state { return bytes.count }
        if headStart == nil, case .awaiting = state, !parser.isAtStart { headStart = loop.now }
        return at
    }

    /// Whether to parse further bytes now.
    private var isLooking: Bool {
        switch state {
        case .ending: false
        case .awaiting: !isLast
        case .answering: !parser.isComplete && stream.unreadBytes < bodyLimit
        }
    }

    private func headArrived() {
        headStart = nil
        state = .answering
        opened(stream)
        counters.http1Requests.add(1)
        if !parser.isPersistent { isLast = true }
        // A request without a body ends with its head, like END_STREAM on HTTP/2.
        if parser.hasMore {
            _ = parser.next(UnsafeMutableRawBufferPointer(start: nil, count: 0))
            stream.hasRequestEnded = true
        }
        arrived(stream)
        scheduleFlush()
    }

    /// Refuses a malformed or late request: answers if no response has begun, and ends the connection.
    private func refuse(_ refusal: HTTP1RequestParser.Refusal) {
        isLast = true
        if case .answering = state {
            guard case .none = response else { return requestClose(.abruptly) }
        } else {
            // It is not counted as a request, but answered like one.
            opened(stream)
            state = .answering
        }
        stream.hasRequestEnded = true
        stream.take(.discard)
        stream.answer(refusal.status, "\(refusal.reason)\n", isHead: stream.request.method == "HEAD")
        scheduleFlush()
    }

    override func checkProgress(now: UInt64) {
        let limits = listener.configuration.limits
        switch state {
        case .awaiting:
            guard let headStart, now &- headStart > limits.requestHead.clampedNanoseconds else { return }
            counters.connectionsTimedOut.add(1)
            // No request has begun.
            if parser.isAtStart { return close() }
            refuse(HTTP1RequestParser.Refusal(status: 408, reason: "the request's head took too long"))
        case .answering:
            guard isLooking, !isReadingPaused,
                stream.lacksBody(now: now, limit: limits.bodyProgress.clampedNanoseconds)
            else { return }
            counters.requestsTimedOut.add(1)
            refuse(HTTP1RequestParser.Refusal(status: 408, reason: "the request's body took too long"))
            scheduleFlush()
        case .ending: break
        }
    }

    /// Answers a request that can be answered at once. One that has to wait ends with its connection, because a client that
    /// has closed looks the same as one that has only ended its side.
    override func inputEnded() {
        hasInputEnded = true
        isReadingPaused = true
        scheduleFlush()
    }

    // MARK: - Output

    override func fillOutput() -> Bool {
        repeat {
            while produceNext() { if isOutputFull { return false } }
            if case .close = nextStep { return true }
            finishIfComplete()
        } while parseLeftover()
        if hasInputEnded { return endAfterInput() }
        return true
    }

    /// Ends the connection after the client's end of input if nothing more can be produced. Returns as `fillOutput` does.
    private func endAfterInput() -> Bool {
        if output.isEmpty, !isFinished { nextStep = .close(.politely, flushing: true) }
        return output.isEmpty
    }

    /// Appends a piece of the body; false if none is available now.
    private func produceNext() -> Bool {
        switch response {
        case .none, .complete: return false
        case .ofLength, .chunked, .untilClose: break
        }
        guard case .bytes(let count, let isLast) = stream.produce(Self.pieceSize) else { return false }
        if count > 0 {
            guard append(bodyOf: count) else {
                // A file became shorter, so the announced length cannot be sent.
                requestClose(.abruptly)
                return false
            }
        }
        if isLast { endBody() }
        return true
    }

    private func append(bodyOf count: Int) -> Bool {
        guard case .chunked = response else {
            let target = output.append(count: count)
            if stream.copyBody(to: target, count: count) { return true }
            output.removeLast(count)
            return false
        }
        // At most four digits: see `pieceSize`.
        let head = count > 0xfff ? 6 : count > 0xff ? 5 : count > 0xf ? 4 : 3
        let target = output.append(count: head + count + 2)
        let bytes = target.assumingMemoryBound(to: UInt8.self)
        var rest = count
        for index in stride(from: head - 3, through: 0, by: -1) {
            let digit = UInt8(rest & 15)
            bytes[index] = digit < 10 ? 48 + digit : 87 + digit
            rest >>= 4
        }
        (bytes[head - 2], bytes[head - 1]) = (13, 10)
        (bytes[head + count], bytes[head + count + 1]) = (13, 10)
        if stream.copyBody(to: target + head, count: count) { return true }
        output.removeLast(head + count + 2)
        return false
    }

    private func endBody() {
        if case .chunked = response {
            append("0\r\n")
            if stream.hasTrailers { append(fields: stream.trailerFields(), from: 0) }
            append("\r\n")
        }
        response = .complete
    }

    /// If the request and its response are complete, begins the next request or ends the connection.
    private func finishIfComplete() {
        guard case .complete = response, case .answering = state else { return }
        // If the connection ends anyway, the rest of a discarded body need not arrive.
        guard parser.isComplete || isLast else { return }
        ended(stream)
        if isLast || isDrainingNow {
            state = .ending
        } else {
            prepare()
        }
        scheduleFlush()
    }

    // MARK: - Calls from the stream

    /// Does nothing: the surrounding flush parses `input` again.
    override func consumed(_ stream: ServerStream, _ count: Int) {}
    override func dropped(_ stream: ServerStream, _ count: Int) {}

    override func reset(_ stream: ServerStream, _ code: UInt32) {
        requestClose(.abruptly)
        scheduleFlush()
    }

    override func inform(_ stream: ServerStream, _ fields: FieldList) {
        // RFC 9110 section 15.2: HTTP/1.0 has no informational responses.
        guard !parser.isHTTP10, case .none = response else { return }
        appendHead(fields, fields.status)
        append("\r\n")
        if fields.status == 100 { hasSentContinue = true }
        scheduleFlush()
    }

    override func respond(_ stream: ServerStream, _ fields: FieldList, hasBody: Bool, isHead: Bool) {
        guard case .answering = state else { return }
        let status = fields.status
        // A client that waits for 100 may or may not send its body after this response, so the start of its next request
        // is unknown (RFC 9110 section 10.1.1).
        let isBodyUncertain = parser.expectsContinue && !hasSentContinue && stream.receivedBytes == 0
        if isDrainingNow || stream.resetsAfterEnd || isBodyUncertain { isLast = true }
        let hasLength = fields.hasContentLength
        appendHead(fields, status)
        if !hasBody {
            response = .complete
            // RFC 9110 section 8.6: no length in these, and for HEAD only the length that GET would have.
            if !hasLength, !isHead, status != 204, status != 304 { append("content-length: 0\r\n") }
        } else if hasLength {
            response = .ofLength
        } else if parser.isHTTP10 {
            response = .untilClose
            isLast = true
        } else {
            response = .chunked
            append("transfer-encoding: chunked\r\n")
        }
        if isLast {
            append("connection: close\r\n")
        } else if parser.isHTTP10 {
            append("connection: keep-alive\r\n")
        }
        append("\r\n")
        // Not finished here, even without a body: its route is still running.
        scheduleFlush()
    }

    override func resume(_ stream: ServerStream) { scheduleFlush() }
    override func overwhelmed(_ stream: ServerStream) {
        requestClose(.abruptly)
        scheduleFlush()
    }

    override func refuse(_ stream: ServerStream) {
        stream.take(.discard)
        stream.unavailable("refused\n", retryAfter: nil)
    }

    override func goAwayByFault() { isLast = true }
    override func goAway(last: Int32, code: UInt32, debug: [UInt8]) { isLast = true }

    // MARK: - Bytes of heads

    private func appendHead(_ fields: FieldList, _ status: Int) {
        append("HTTP/1.1 ")
        let digits = output.append(count: 4).assumingMemoryBound(to: UInt8.self)
        fields.copyStatus(to: digits)
        digits[3] = 32
        append(Self.reason(status))
        append("\r\n")
        // The first entry is the status.
        append(fields: fields, from: 1)
    }

    private func append(fields: FieldList, from first: Int) {
        for index in first..<max(fields.count, first) {
            let field = fields.pointer[index]
            let target = output.append(count: field.namelen + field.valuelen + 4)
                .assumingMemoryBound(to: UInt8.self)
            target.update(from: field.name, count: field.namelen)
            let value = target + field.namelen + 2
            (value[-2], value[-1]) = (UInt8(ascii: ":"), UInt8(ascii: " "))
            value.update(from: field.value, count: field.valuelen)
            (value[field.valuelen], value[field.valuelen + 1]) = (13, 10)
        }
    }

    private func append(_ text: StaticString) {
        output.append(text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// The reason phrase (RFC 9110 section 15), which clients ignore.
    private static func reason(_ status: Int) -> StaticString {
        switch status {
        case 100: "Continue"
        case 103: "Early Hints"
        case 200: "OK"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 414: "URI Too Long"
        case 416: "Range Not Satisfiable"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 505: "HTTP Version Not Supported"
        default: ""
        }
    }

    // MARK: - End

    override var isFinished: Bool { if case .ending = state { true } else { false } }
    override var isDraining: Bool { isDrainingNow }

    override func drain() {
        isDrainingNow = true
        if case .answering = state { isLast = true }
        if case .awaiting = state, parser.isAtStart, input.isEmpty { state = .ending }
        scheduleFlush()
    }

    override func dropStreams() {
        if case .answering = state { ended(stream) }
        state = .ending
    }
}
