import CNghttp2
import H2Client
import H2Platform

/// A connection of HTTP/1.1 or 1.0 (RFC 9112): one request at a time, in order.
///
/// While a request is being answered nothing of the next one is looked at. What was read of it waits in `input`, at most
/// one read's worth, and then nothing more is read; until then the socket is read, so that a client that leaves is seen.
final class HTTP1ServerConnection: ServerConnection {
    /// The request in work; the same object serves all of them.
    private let stream = ServerStream()
    private let parser: HTTP1RequestParser
    /// What was read and not looked at.
    @exclusivity(unchecked) private var input = OutputBuffer(capacity: 0)
    @exclusivity(unchecked) private var requestID: Int32 = 0
    private let bodyLimit: Int

    /// How the end of the response's body is told (RFC 9112 section 6).
    private enum Response {
        /// It has not begun.
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
        /// All that will be said is in `output`.
        case ending
    }
    @exclusivity(unchecked) private var state = State.awaiting
    /// No requests after this one: we want no more, or the client has said so.
    @exclusivity(unchecked) private var isLast = false
    @exclusivity(unchecked) private var isDrainingNow = false
    @exclusivity(unchecked) private var hasInputEnded = false
    @exclusivity(unchecked) private var hasSentContinue = false
    /// When the head began that has not ended. The first one begins with the connection.
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

    /// Makes the stream ready for the next request's fields.
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

    /// Looks at what was left before; true where that led to something.
    private func parseLeftover() -> Bool {
        let hasMore = parser.hasMore
        guard !input.isEmpty || hasMore else { return false }
        // The bytes stay where they are meanwhile: only `receive` appends, and it is not called from here.
        let used = parse(UnsafeMutableRawBufferPointer(mutating: input.bytes))
        input.removeFirst(used)
        if input.isEmpty, !hasInputEnded { resumeReading() }
        return used > 0 || hasMore && !parser.hasMore
    }

    /// Takes as much as can be taken now; tells how much.
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
                // The rest means nothing, and is not kept.
                return bytes.count
            }
            if case .close(_, flushing: false) = nextStep { return bytes.count }
        }
        if case .ending = state { return bytes.count }
        if headStart == nil, case .awaiting = state, !parser.isAtStart { headStart = loop.now }
        return at
    }

    /// Whether the next bytes are of interest now.
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
        // It arrives as a whole, as on HTTP/2, where END_STREAM is a flag of the head.
        if parser.hasMore {
            _ = parser.next(UnsafeMutableRawBufferPointer(start: nil, count: 0))
            stream.hasRequestEnded = true
        }
        arrived(stream)
        scheduleFlush()
    }

    /// Not a request, or one that comes too late: says so if no response has begun, and ends.
    private func refuse(_ refusal: HTTP1RequestParser.Refusal) {
        isLast = true
        if case .answering = state {
            guard case .none = response else { return requestClose(.abruptly) }
        } else {
            // It counts as no request, but has an answer like one.
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
            // Nobody has asked for anything yet.
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

    /// What can be answered at once is answered; what waits for anything goes with its connection, since a client that
    /// has closed cannot be told from one that has only ended its side.
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

    /// As `fillOutput`, where nothing more can be produced.
    private func endAfterInput() -> Bool {
        if output.isEmpty, !isFinished { nextStep = .close(.politely, flushing: true) }
        return output.isEmpty
    }

    /// Appends a piece of the body, where there is one now; false where there is none.
    private func produceNext() -> Bool {
        switch response {
        case .none, .complete: return false
        case .ofLength, .chunked, .untilClose: break
        }
        guard case .bytes(let count, let isLast) = stream.produce(Self.pieceSize) else { return false }
        if count > 0 {
            guard append(bodyOf: count) else {
                // A file that has become shorter: the length that was promised cannot be kept.
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
        for place in stride(from: head - 3, through: 0, by: -1) {
            let digit = UInt8(rest & 15)
            bytes[place] = digit < 10 ? 48 + digit : 87 + digit
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

    /// Both sides have said all of this request: the next one, or the end.
    private func finishIfComplete() {
        guard case .complete = response, case .answering = state else { return }
        // The rest of a body that is only thrown away need not come where the connection ends anyway.
        guard parser.isComplete || isLast else { return }
        ended(stream)
        if isLast || isDrainingNow {
            state = .ending
        } else {
            prepare()
        }
        scheduleFlush()
    }

    // MARK: - What the stream asks for

    /// There is room for more of the body: the flush that this is in looks at `input` again.
    override func consumed(_ stream: ServerStream, _ count: Int) {}
    override func dropped(_ stream: ServerStream, _ count: Int) {}

    override func reset(_ stream: ServerStream, _ code: UInt32) {
        requestClose(.abruptly)
        scheduleFlush()
    }

    override func inform(_ stream: ServerStream, _ fields: FieldList) {
        // RFC 9110 section 15.2: HTTP/1.0 knows none.
        guard !parser.isHTTP10, case .none = response else { return }
        appendHead(fields, fields.status)
        append("\r\n")
        if fields.status == 100 { hasSentContinue = true }
        scheduleFlush()
    }

    override func respond(_ stream: ServerStream, _ fields: FieldList, hasBody: Bool, isHead: Bool) {
        guard case .answering = state else { return }
        let status = fields.status
        // A client that waits for 100 may or may not send its body now that it sees this instead, so nobody knows where
        // its next request would begin (RFC 9110 section 10.1.1).
        let isBodyUncertain = parser.expectsContinue && !hasSentContinue && stream.receivedBytes == 0
        if isDrainingNow || stream.resetsAfterEnd || isBodyUncertain { isLast = true }
        let hasLength = fields.hasContentLength
        appendHead(fields, status)
        if !hasBody {
            response = .complete
            // RFC 9110 section 8.6: not in these, and to HEAD only what GET would say.
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
        // Not finished here, even without a body: its route is still under way.
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
        // The status stands first.
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

    /// RFC 9110 section 15; clients ignore it.
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
