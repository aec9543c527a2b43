import CNghttp2
import HTTPTypes

/// The client side of an HTTP/2 connection, sans I/O: bytes in by `receive`, bytes out by `output`, time as an argument. Owns
/// the nghttp2 session.
///
/// nghttp2's callbacks only record: on the streams, which are notified (`progressed`) once `receive` has processed its input,
/// and in `events`.
///
/// Not safe for concurrent use. nghttp2 forbids sending and receiving from inside its callbacks: that traps.
final class HTTP2Session: HTTPSession {
    /// Events of the connection rather than of a stream.
    enum Event {
        case remoteSettingsChanged
        case localSettingsAcknowledged
        case goAway
        case pingAcknowledged(UInt64)
        case originSetChanged
    }

    /// The nghttp2 session; set at the end of `init`, valid until `release` or `deinit`.
    let raw: OpaquePointer
    private let pool: OpaquePointer
    /// The last facts known to nghttp2 when its session was freed; nil before that.
    @exclusivity(unchecked) private var lastFacts: LastFacts?
    let limits: ConnectionConfiguration.Limits
    let connectionID: ConnectionID
    let onFrame: (@Sendable (FrameRecord) -> Void)?

    // State that the callbacks change. Exclusivity is not checked at run time, which would cost a tenth of a request: a session
    // is used by one thread, and nothing here is passed inout to code that could reenter it.
    @exclusivity(unchecked) var window: ReceiveWindow
    @exclusivity(unchecked) var controlFrameBudget: ControlFrameBudget
    /// The stream of the current frame, looked up once per frame; nil if there is none or it is closed. Unretained:
    /// `openStreams` owns it, and `closed` clears this.
    @exclusivity(unchecked) var current: Unmanaged<StreamState>?
    @exclusivity(unchecked) var scratch = HeaderScratch()
    @exclusivity(unchecked) var openStreams = StreamList()
    /// Whether GOAWAY arrived and its streams have not been told yet.
    @exclusivity(unchecked) var hasGoneAway = false
    @exclusivity(unchecked) var touched = StreamList()
    @exclusivity(unchecked) private var telling = StreamList()
    @exclusivity(unchecked) var events: [Event] = []
    @exclusivity(unchecked) var goAway: ConnectionSnapshot.GoAway?
    /// The origins the server says it serves; nil before it has sent any (RFC 8336).
    @exclusivity(unchecked) var originSet: OriginSet?
    /// The received part of the current ORIGIN frame, at most one frame's payload. nghttp2 can decode it too, but drops flags
    /// that matter and does not report the ORIGIN frames it ignores, so a flood of them would not be counted.
    @exclusivity(unchecked) var originPayload: [UInt8] = []
    /// The origin the connection was opened for.
    let origin: Origin
    /// Why the connection must be closed; set in a callback, acted on when nghttp2 has returned.
    @exclusivity(unchecked) var violation: H2Error?
    /// nghttp2's message about the last problem it found.
    @exclusivity(unchecked) var diagnostic = ""
    /// Filters the input of nghttp2.
    let inbound: InboundFrames
    /// Small at first: thousands of mostly idle connections must not hold the memory that an upload needs.
    @exclusivity(unchecked) var output = OutputBuffer(capacity: 2 << 10)
    @exclusivity(unchecked) private var outputLimit = 0
    @exclusivity(unchecked) var now: UInt64
    let startedAt: UInt64
    @exclusivity(unchecked) var isInsideNghttp2 = false
    @exclusivity(unchecked) private var probeCount: UInt64 = 0
    /// SETTINGS frames sent and acknowledged, and the one that announced small windows (0 once that is acknowledged).
    @exclusivity(unchecked) private var settingsSent = 1
    @exclusivity(unchecked) private var settingsAcknowledged = 0
    @exclusivity(unchecked) private var smallWindowsAt = 0
    @exclusivity(unchecked) private var requestHead = RequestHead()

    @exclusivity(unchecked) var counts = SessionCounts()
    @exclusivity(unchecked) private(set) var requests = 0
    /// Number of streams that may be open at once. Stored here since each request needs it.
    @exclusivity(unchecked) private(set) var maxConcurrentStreams = 0
    /// Whether responses keep their fields.
    @exclusivity(unchecked) private(set) var keepsFields = true
    /// nil unless stalls are measured.
    @exclusivity(unchecked) var stallWatch: StallWatch?

    /// Maximum size of a request's header block in bytes.
    static let sentHeaderLimit = 16 << 20

    /// Opaque data of the PINGs that measure the bandwidth-delay product; a caller's PINGs count from 1.
    static let probeMark: UInt64 = 0xbd9a_0000_0000_0000

    private let known: RequestHead.Known

    init(origin: Origin, configuration: ConnectionConfiguration, connectionID: ConnectionID, now: UInt64) {
        known = RequestHead.Known(scheme: origin.scheme.rawValue, authority: origin.authority)
        self.origin = origin
        limits = configuration.limits.clamped
        self.connectionID = connectionID
        onFrame = configuration.onFrame
        window = ReceiveWindow(configuration.windows)
        controlFrameBudget = ControlFrameBudget(limits)
        inbound = InboundFrames(
            maximumFrame: limits.frameSize, headerListSize: limits.headerListSize,
            continuationFrames: limits.continuationFrames)
        self.now = now
        startedAt = now

        var option: OpaquePointer?
        nghttp2_option_new(&option)
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        // nghttp2 silently ignores unknown frame types unless they are registered: they must be counted (a flood of them) and
        // logged.
        for type in (UInt8(NGHTTP2_CONTINUATION.rawValue) + 1)...UInt8.max {
            nghttp2_option_set_user_recv_extension_type(option, type)
        }
        // `InboundFrames` has its own limit.
        ch2_option_set_max_continuations(option, 1 << 30)
        nghttp2_option_set_max_send_header_block_length(option, Self.sentHeaderLimit)
        // RFC 9113 section 6.5.2 recommends a limit of at least 100; before SETTINGS no more is assumed.
        nghttp2_option_set_peer_max_concurrent_streams(option, 100)
        let callbacks = HTTP2Callbacks.make()
        var session: OpaquePointer?
        pool = ch2_pool_new()
        let status = ch2_session_client_new(&session, callbacks, option, pool)
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_option_del(option)
        // This can only fail for lack of memory.
        precondition(status == 0, "nghttp2_session_client_new3: \(String(cString: nghttp2_strerror(status)))")
        raw = session!
        // Unretained: nghttp2's session is deleted in `deinit`.
        nghttp2_session_set_user_data(raw, Unmanaged.passUnretained(self).toOpaque())

        submitPreface(configuration)
        noteStreamLimit()
    }

    deinit {
        if lastFacts == nil { deleteRaw() }
    }

    private func deleteRaw() {
        nghttp2_session_del(raw)
        ch2_pool_delete(pool)
    }

    /// The facts of nghttp2's that are needed after the end.
    private final class LastFacts {
        let local: ConnectionSnapshot.Settings
        let remote: ConnectionSnapshot.Settings
        let receiveWindow: Int
        let sendWindow: Int

        init(of session: HTTP2Session) {
            local = session.settings(remote: false)
            remote = session.settings(remote: true)
            receiveWindow = session.receiveWindow
            sendWindow = session.sendWindow
        }
    }

    var isReleased: Bool { lastFacts != nil }

    /// Frees nghttp2's session and the buffers. Facts stay, and reads of remaining bodies have no effect on windows. Called
    /// after `failAll`, and not from within any of the session's calls.
    func release() {
        precondition(openStreams.isEmpty && !isInsideNghttp2, "a session is released at its end")
        guard lastFacts == nil else { return }
        lastFacts = LastFacts(of: self)
        deleteRaw()
        output = OutputBuffer(capacity: 0)
        scratch = HeaderScratch(capacity: 0)
        requestHead = RequestHead(bytes: 0, fields: 1)
        (events, originPayload) = ([], [])
        inbound.release()
    }

    /// Credits the connection's window with bytes that readers have taken.
    private func creditConnection(_ count: Int) {
        if count > 0, lastFacts == nil { nghttp2_session_consume_connection(raw, count) }
    }

    private func submitPreface(_ configuration: ConnectionConfiguration) {
        func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
            nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
        }
        var settings = [
            entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0),
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window.stream),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.headerListSize),
            // RFC 9218 section 2.1: we send no RFC 7540 priorities.
            entry(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1),
        ]
        if limits.frameSize != 16_384 { settings.append(entry(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits.frameSize)) }
        check(nghttp2_submit_settings(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count))
        check(nghttp2_session_set_local_window_size(raw, 0, 0, Int32(window.connection)))
    }

    /// For calls that fail only for lack of memory or due to a bug.
    private func check(_ status: CInt) {
        precondition(status == 0, "nghttp2: \(String(cString: nghttp2_strerror(status)))")
    }

    // MARK: - Requests

    /// Applies the peer's SETTINGS_MAX_CONCURRENT_STREAMS, or our own limit.
    func noteStreamLimit() {
        maxConcurrentStreams = min(
            Int(nghttp2_session_get_remote_settings(raw, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)),
            limits.concurrentStreams)
    }

    var openStreamCount: Int { openStreams.count }

    /// Never after GOAWAY: streams that it ends do not free slots.
    var hasFreeSlot: Bool { openStreams.count < maxConcurrentStreams && goAway == nil }

    /// Opens a stream for a request. Its body is `stream.outgoing`.
    /// - Throws: `H2Error`: `invalidRequest`, or `connectionDraining` if the identifiers are used up.
    func submit(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: HTTPPriority?
    ) throws(H2Error) {
        let contentLength = stream.contentLength
        try requestHead.fill(
            request, known: known, contentLength: contentLength, expectsContinue: expectsContinue, priority: priority,
            codings: stream.codings)
        stream.codings.offers = requestHead.codings.offers
        let hasBody = !stream.isOutgoingDone || stream.outgoingTrailers != nil
        if contentLength == nil, let stated = requestHead.statedLength {
            try RequestRules.hasBody(hasBody, stated: stated)
            stream.statedLength = stated
        }
        // Unretained: `opened` makes `openStreams` own it, for as long as nghttp2 has the address.
        let user = Unmanaged.passUnretained(stream).toOpaque()
        let read: ch2_data_source_read_callback? = hasBody ? HTTP2Callbacks.readBody : nil
        try opened(stream, requestHead.withPairs { ch2_submit_request(raw, $0, $1, read, user, user) })
    }

    /// The same for a request that was prepared for repeated sending.
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) {
        let pairs = try request.pairs.get()
        // Unretained: as above.
        let user = Unmanaged.passUnretained(stream).toOpaque()
        let read: ch2_data_source_read_callback? = request.body.isEmpty ? nil : HTTP2Callbacks.readBody
        try opened(stream, ch2_submit_request(raw, pairs.base, pairs.count, read, user, user))
        if stallWatch != nil { watchStalls(of: stream, sendsBody: read != nil) }
    }

    private func opened(_ stream: StreamState, _ id: Int32) throws(H2Error) {
        guard id > 0 else {
            throw H2Error(
                .connectionDraining, scope: .connection,
                message: "the connection takes no more requests: \(String(cString: nghttp2_strerror(id)))",
                remedy: "send it on a new connection", isRetryable: true)
        }
        stream.id = id
        stream.slot = openStreams.count
        openStreams.append(stream)
        requests += 1
        controlFrameBudget.forgive(1)
    }

    /// Resumes a body that had nothing to send.
    func resumeBody(_ stream: StreamState) {
        if lastFacts == nil { nghttp2_session_resume_data(raw, stream.id) }
    }

    /// Submits a body's trailer fields; called from inside the read callback, where nghttp2 allows it.
    /// - Throws: `H2Error` (`invalidRequest`).
    func submitTrailers(_ stream: StreamState, _ trailers: HTTPFields) throws(H2Error) {
        try requestHead.fill(trailers: trailers)
        check(requestHead.withPairs { nghttp2_submit_trailer(raw, stream.id, $0, $1) })
    }

    /// Resets a stream and credits the connection for bytes that will not be read.
    func reset(_ stream: StreamState, _ code: H2Error.HTTP2Code) {
        dropUnread(stream)
        guard stream.slot >= 0 else { return }
        nghttp2_submit_rst_stream(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
        // nghttp2 closes the stream when RST_STREAM is sent: nothing is stored for it from here on.
        stream.sink = .nowhere
        stream.stopSending()
    }

    func updatePriority(_ priority: HTTPPriority, of id: Int32) -> Bool {
        Array(priority.fieldValue.utf8).withUnsafeBufferPointer {
            nghttp2_submit_priority_update(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, $0.baseAddress, $0.count) == 0
        }
    }

    /// Counts response fields without keeping them, and measures what bodies wait for.
    /// - Parameter roundTrip: nanoseconds.
    func countsOnly(roundTrip: UInt64) {
        keepsFields = false
        measureStalls(roundTrip: roundTrip)
    }

    /// Measures what bodies wait for from now on.
    /// - Parameter roundTrip: nanoseconds.
    func measureStalls(roundTrip: UInt64) {
        stallWatch = StallWatch(window: window.connection, roundTrip: roundTrip)
    }

    func ping(_ mark: UInt64) {
        withUnsafeBytes(of: mark.bigEndian) {
            _ = nghttp2_submit_ping(
                raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// Sends GOAWAY: no stream of the peer's was or will be processed, ours continue.
    func sayGoAway(_ code: H2Error.HTTP2Code, debugText: String = "") {
        let text = Array(debugText.utf8)
        nghttp2_submit_goaway(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, code.rawValue, text, text.count)
    }

    // MARK: - Reading

    /// The reader took a stream's buffered body: credits both windows according to the policy.
    func consumed(_ stream: StreamState) {
        let count = stream.unread
        guard count > 0 else { return }
        stream.unread = 0
        creditConnection(window.taken(count))
        if stream.slot >= 0 { nghttp2_session_consume_stream(raw, stream.id, count) }
        if window.shouldWiden() { announceWindow() }
    }

    /// Whether unread bytes take up most of the stream's window.
    func isReaderBehind(_ stream: StreamState) -> Bool {
        guard stream.slot >= 0, stream.unread > 0 else { return false }
        return stream.unread >= Int(nghttp2_session_get_stream_local_window_size(raw, stream.id))
    }

    /// A stream's buffered body will not be read: credits the connection and frees the memory.
    func dropUnread(_ stream: StreamState) {
        if stream.unread > 0 {
            creditConnection(window.taken(stream.unread))
            stream.unread = 0
            if window.shouldWiden() { announceWindow() }
        }
        stream.body = []
    }

    /// Processes received bytes. Changed streams are notified before this returns.
    /// - Throws: `H2Error` (`protocolViolation`, `limitExceeded`) if the connection must be closed, after `fillOutput` has
    ///   fetched the GOAWAY. Problems that nghttp2 finds itself appear as `violation` once `fillOutput` has sent its GOAWAY.
    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) {
        precondition(!isInsideNghttp2, "receive must not be called from a callback")
        // nghttp2 would see a frame of absurd length, and its GOAWAY would be the only hint.
        if counts.bytesReceived == 0, bytes.prefix(5).elementsEqual("HTTP/".utf8) { throw Self.answeredHTTP1() }
        self.now = now
        counts.bytesReceived += bytes.count
        isInsideNghttp2 = true
        let count = inbound.areOrdinary(bytes) ? feed(bytes) : feedSpecial(bytes)
        isInsideNghttp2 = false
        tellTouched()
        if let violation {
            nghttp2_session_terminate_session(raw, (violation.http2Code ?? .protocolError).rawValue)
            throw violation
        }
        guard count == bytes.count else {
            throw protocolError(String(cString: nghttp2_strerror(CInt(truncatingIfNeeded: count))), .protocolError)
        }
        if window.unread > window.unreadLimit, window.shouldShrink() {
            announceWindow()
            smallWindowsAt = settingsSent
        } else if window.shouldWiden() {
            announceWindow()
        }
        if window.shouldProbe(now: now) {
            probeCount += 1
            ping(Self.probeMark | probeCount)
        }
    }

    private static func answeredHTTP1() -> H2Error {
        H2Error(
            .http2NotNegotiated, scope: .connection, initiator: .remote,
            message: "the server answered HTTP/1.1 to HTTP/2",
            remedy: "it does not speak cleartext HTTP/2 by prior knowledge here; try https or HTTP/1.1")
    }

    /// The peer closed its side of the wire.
    func receivedEnd(_ failure: H2Error?, now: UInt64) -> H2Error {
        var error = failure ?? .closedByServer()
        if let goAway {
            error.message += " after GOAWAY (\(goAway.describedCode))"
            error.cause = .http2(goAway.code, debugText: goAway.debugText)
        }
        return error
    }

    /// The number of bytes nghttp2 took, or its error.
    private func feed(_ bytes: UnsafeRawBufferPointer) -> Int {
        ch2_session_mem_recv(raw, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// The same for bytes that are changed before nghttp2 sees them.
    private func feedSpecial(_ bytes: UnsafeRawBufferPointer) -> Int {
        var failure: Int?
        let problem = inbound.pass(bytes) { piece in
            let count = feed(piece)
            if count != piece.count { failure = count }
            return failure == nil && violation == nil
        }
        if violation == nil, let problem {
            violation =
                switch problem {
                case .protocolError(let text): protocolError(text, .protocolError)
                case .compressionError(let text): protocolError(text, .compressionError)
                case .continuationFlood:
                    flood("more than \(limits.continuationFrames) CONTINUATION frames in one header block")
                }
        }
        return failure ?? bytes.count
    }

    /// The connection error that nghttp2 found itself, while its GOAWAY has yet to be sent. nghttp2 does not report it, but no
    /// longer allows requests, although the peer sent no GOAWAY and stream identifiers are left.
    var unsentViolation: H2Error? {
        guard goAway == nil, nghttp2_session_check_request_allowed(raw) == 0,
            nghttp2_session_get_next_stream_id(raw) <= UInt32(Int32.max)
        else { return nil }
        return protocolError(diagnostic.isEmpty ? "a connection error" : diagnostic, .protocolError)
    }

    func protocolError(_ text: String, _ code: H2Error.HTTP2Code) -> H2Error {
        H2Error(
            .protocolViolation, scope: .connection, initiator: .local, cause: .http2(code, debugText: ""),
            message: "the server broke HTTP/2: \(text)", remedy: "the fault is the server's; try HTTP/1.1 with it")
    }

    /// A PING of the window policy was acknowledged.
    func probeReturned() {
        guard window.probed(now: now) else { return }
        announceWindow()
        check(nghttp2_session_set_local_window_size(raw, 0, 0, Int32(window.connection)))
    }

    /// Announces the streams' window size from now on.
    private func announceWindow() {
        guard lastFacts == nil else { return }
        var entry = nghttp2_settings_entry(
            settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: UInt32(window.stream))
        check(nghttp2_submit_settings(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), &entry, 1))
        settingsSent += 1
    }

    /// The server acknowledged another of our SETTINGS, which happens in order.
    func acknowledgedSettings() {
        settingsAcknowledged += 1
        guard smallWindowsAt != 0, settingsAcknowledged >= smallWindowsAt else { return }
        smallWindowsAt = 0
        let credit = window.shrank()
        if credit > 0 { nghttp2_session_consume_connection(raw, credit) }
    }

    /// Whether streams are held back until the server has acknowledged small windows.
    var awaitsSmallWindows: Bool { smallWindowsAt != 0 }

    func tellTouched() {
        // A notified stream may send, and a failure to send marks streams again, but this code is not reentered.
        while !touched.isEmpty {
            precondition(telling.isEmpty, "streams are told one after another")
            swap(&touched, &telling)
            if hasGoneAway {
                // nghttp2 closes the streams that GOAWAY leaves unprocessed in no particular order, and the first one notified
                // is retried first.
                hasGoneAway = false
                telling.sort()
            }
            telling.removeAll { stream in
                stream.isTouched = false
                stream.progressed()
            }
        }
    }

    func touch(_ stream: StreamState) {
        guard !stream.isTouched else { return }
        stream.isTouched = true
        touched.append(stream)
    }

    // MARK: - Sending

    /// Whether `fillOutput` has reached its limit. nghttp2 itself sends DATA frames until a window is used up, however large,
    /// so the caller of `sendData` stops it.
    var isOutputFull: Bool { output.count >= outputLimit }

    /// Moves nghttp2's output into `output`, until that holds about `limit` bytes. Streams that ended because of this (a reset
    /// was sent) are notified before it returns.
    func fillOutput(limit: Int, now: UInt64) {
        precondition(!isInsideNghttp2, "fillOutput must not be called from a callback")
        self.now = now
        isInsideNghttp2 = true
        outputLimit = limit
        while !isOutputFull {
            let before = output.count
            var data: UnsafePointer<UInt8>?
            let count = ch2_session_mem_send(raw, &data)
            if count > 0, let data {
                counts.bytesSent += count
                output.append(data, count: count)
            } else if output.count == before {
                // Nothing more, or an error that the next receive reports. DATA frames have been added to `output` already.
                break
            }
        }
        isInsideNghttp2 = false
        if stallWatch != nil { noteUploadStalls() }
        tellTouched()
    }

    func sentData(_ count: Int) {
        counts.bytesSent += count
        // HAProxy acknowledges each piece of a DATA frame as it reads it, on the stream and on the connection.
        controlFrameBudget.forgive(2 + count >> 10)
    }

    /// True while nghttp2 or the buffer has something to send.
    var hasOutput: Bool { !output.isEmpty || nghttp2_session_want_write(raw) != 0 }

    // MARK: - Closing

    /// Ends all streams with an error, for a connection that is gone.
    func failAll(_ error: (StreamState, _ mayHaveLeft: Bool) -> H2Error) {
        var streams = StreamList()
        swap(&streams, &openStreams)
        // The first one notified is retried first.
        streams.sort()
        streams.removeAll { stream in
            stream.slot = -1
            if !stream.isOver {
                // nghttp2 opens a stream when it serialises the header fields, and reports them as sent (`sentAt`) only when
                // asked for more: streams between the two may have reached the server.
                stream.phase = .failed(error(stream, stream.sentAt != 0 || isOpen(stream.id)))
                stream.stopSending()
            }
            touch(stream)
        }
        tellTouched()
    }

    // MARK: - Facts

    var failure: H2Error? { violation }
    var outputBytes: UnsafeRawBufferPointer { output.bytes }
    func outputTaken(_ count: Int, now: UInt64) { output.removeFirst(count) }
    func forEachOpenStream(_ body: (StreamState) -> Void) { openStreams.forEach(body) }
    func giveUp(_ stream: StreamState, isWriteUnderWay: Bool) { reset(stream, .cancel) }

    var snapshot: ConnectionSnapshot {
        ConnectionSnapshot(
            state: .active, localSettings: settings(remote: false), remoteSettings: settings(remote: true),
            openStreams: openStreams.count, waitingRequests: 0, requests: requests, bytesSent: counts.bytesSent,
            bytesReceived: counts.bytesReceived, unreadBytes: window.unread, receiveWindow: receiveWindow,
            sendWindow: sendWindow, goAway: goAway, roundTripTime: nil,
            originSet: originSet?.descriptions)
    }

    func settings(remote: Bool) -> ConnectionSnapshot.Settings {
        if let lastFacts { return remote ? lastFacts.remote : lastFacts.local }
        func value(_ id: nghttp2_settings_id) -> Int {
            Int(remote ? nghttp2_session_get_remote_settings(raw, id) : nghttp2_session_get_local_settings(raw, id))
        }
        func limit(_ id: nghttp2_settings_id) -> Int? { value(id) >= Int(UInt32.max >> 1) ? nil : value(id) }
        return ConnectionSnapshot.Settings(
            headerTableSize: value(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE),
            maxConcurrentStreams: limit(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
            initialWindowSize: value(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE),
            maxFrameSize: value(NGHTTP2_SETTINGS_MAX_FRAME_SIZE),
            maxHeaderListSize: limit(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE))
    }

    var receiveWindow: Int {
        lastFacts?.receiveWindow ?? Int(nghttp2_session_get_local_window_size(raw))
    }

    var sendWindow: Int { lastFacts?.sendWindow ?? Int(nghttp2_session_get_remote_window_size(raw)) }
}
