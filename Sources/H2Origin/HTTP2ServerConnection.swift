import CNghttp2
import H2Client

/// A connection of HTTP/2: its nghttp2 session and its streams.
///
/// nghttp2's callbacks submit responses. It forbids entering it from its own callbacks, so whatever a callback wants done
/// to the connection is noted in `wish` and done after.
final class HTTP2ServerConnection: ServerConnection {
    // Made in `init`, which needs `self` for it, and deleted in `deinit`.
    @exclusivity(unchecked) private(set) var session: OpaquePointer!
    let inbound: InboundFrames
    @exclusivity(unchecked) private var streams: [ServerStream] = []
    @exclusivity(unchecked) private var spareStreams: [ServerStream] = []
    /// PRIORITY_UPDATE values of streams that are not open yet (RFC 9218 section 7.1), a few.
    @exclusivity(unchecked) private var earlyPriorities: [(stream: Int32, value: String)] = []
    @exclusivity(unchecked) private var lastStreamID: Int32 = 0
    @exclusivity(unchecked) private var drainTimer: LoopTimer?
    @exclusivity(unchecked) private var isInsideNghttp2 = false
    @exclusivity(unchecked) private var wasOutputFull = false

    /// no → noticed (the first GOAWAY waits to be sent) → asked (its PING is under way) → final.
    private enum Draining { case no, noticed, asked, final }
    @exclusivity(unchecked) private var draining = Draining.no

    init(wire: any SocketWire & Wire, descriptor: CInt, listener: Listener) {
        let (settings, limits) = (listener.configuration.settings, listener.configuration.limits)
        // What it puts in the place of a large field is large for a table of 4,096 bytes alone.
        let mayLook = settings.headerTableSize ?? 4_096 <= 4_096
        inbound = InboundFrames(
            skipping: 24, maximumFrame: mayLook ? Int(settings.maxFrameSize ?? 16_384) : 0,
            headerListSize: limits.headerListSize, continuationFrames: 16)
        super.init(wire: wire, descriptor: descriptor, listener: listener)
        counters.http2Connections.add(1)
        session = HTTP2ServerSession.make(
            self, faults: faults, keepsClosedStreams: settings.maxConcurrentStreams ?? .max <= 10_000)
        precondition(session != nil, "no memory for an nghttp2 session")
    }

    deinit { nghttp2_session_del(session) }

    override func start(input: UnsafeMutableRawBufferPointer?) {
        submitSettings()
        super.start(input: input)
    }

    private func submitSettings() {
        let settings = listener.configuration.settings
        var entries: [nghttp2_settings_entry] = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1)
        ]
        func add(_ id: nghttp2_settings_id, _ value: UInt32?) {
            if let value { entries.append(nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value)) }
        }
        add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams)
        add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.initialWindowSize)
        add(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, settings.maxFrameSize)
        add(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, settings.headerTableSize)
        add(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.maxHeaderListSize)
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count)
        if settings.connectionWindowSize > 65_535 {
            nghttp2_session_set_local_window_size(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(clamping: settings.connectionWindowSize))
        }
    }

    // MARK: - Bytes

    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        isInsideNghttp2 = true
        defer { isInsideNghttp2 = false }
        let bytes = UnsafeRawBufferPointer(bytes)
        if inbound.areOrdinary(bytes) { return feed(bytes) }
        var isGood = true
        let problem = inbound.pass(bytes) { piece in
            isGood = isGood && feed(piece)
            return isGood
        }
        let code =
            switch problem {
            case nil: NGHTTP2_NO_ERROR
            case .protocolError: NGHTTP2_PROTOCOL_ERROR
            case .compressionError: NGHTTP2_COMPRESSION_ERROR
            case .continuationFlood: NGHTTP2_ENHANCE_YOUR_CALM
            }
        if problem != nil { nghttp2_session_terminate_session(session, code.rawValue) }
        return isGood
    }

    /// False for what is not HTTP/2 at all, a flood, or no memory. GOAWAY, where nghttp2 has one, goes out before.
    private func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        ch2_session_mem_recv(session, bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), bytes.count) >= 0
    }

    override func wasDrained() -> Bool {
        guard draining == .noticed else { return false }
        // Only now: nghttp2 sends PING before all else, and its answer is to come after the GOAWAY was read.
        draining = .asked
        ping()
        return true
    }

    override var isFinished: Bool {
        nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
    }

    /// Takes frames from nghttp2 up to the buffer's mark; true where it has no more now.
    override func fillOutput() -> Bool {
        isInsideNghttp2 = true
        defer { isInsideNghttp2 = false }
        wasOutputFull = false
        while !isOutputFull {
            var bytes: UnsafePointer<UInt8>?
            let count = ch2_session_mem_send(session, &bytes)
            guard count > 0, let bytes else {
                if count < 0 { wish = .close(.politely, flushing: false) }
                return !wasOutputFull
            }
            output.append(bytes, count: count)
        }
        return false
    }

    /// nghttp2's send_data_callback: a DATA frame whose payload comes straight from the stream.
    func sendData(of stream: ServerStream, head: UnsafePointer<UInt8>, count: Int) -> CInt {
        if isOutputFull {
            wasOutputFull = true
            return NGHTTP2_ERR_WOULDBLOCK.rawValue
        }
        let target = output.append(count: 9 + count)
        target.copyMemory(from: head, byteCount: 9)
        guard stream.copyBody(to: target + 9, count: count) else {
            output.removeLast(9 + count)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        return 0
    }

    func isSilenced(_ head: nghttp2_frame_hd) -> Bool {
        guard head.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 else { return false }
        return head.type == UInt8(NGHTTP2_SETTINGS.rawValue) && faults.omitsSettingsAcknowledgement
            || head.type == UInt8(NGHTTP2_PING.rawValue) && faults.omitsPingAcknowledgement
    }

    // MARK: - Frames that arrive

    func beginRequest(_ id: Int32) {
        let stream = spareStreams.popLast() ?? ServerStream()
        stream.begin(id: id, connection: self, headerLimit: listener.configuration.limits.headerListSize)
        stream.slot = streams.count
        streams.append(stream)
        nghttp2_session_set_stream_user_data(session, id, Unmanaged.passUnretained(stream).toOpaque())
        opened(stream)
        lastStreamID = max(lastStreamID, id)
    }

    func received(_ frame: UnsafePointer<nghttp2_frame>) {
        let head = ch2_frame_hd(frame).pointee
        let isEnd = head.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch nghttp2_frame_type(UInt32(head.type)) {
        case NGHTTP2_HEADERS:
            guard let stream = stream(head.stream_id) else { return }
            if ch2_frame_headers_category(frame) == NGHTTP2_HCAT_REQUEST {
                if isEnd { stream.hasRequestEnded = true }
                requestArrived(stream)
            } else if isEnd {
                stream.endRequest()
            }
        case NGHTTP2_DATA:
            if isEnd { stream(head.stream_id)?.endRequest() }
        case NGHTTP2_PING:
            if head.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0, draining == .asked { drainFinally() }
        case NGHTTP2_PRIORITY_UPDATE:
            if let update = ch2_frame_priority_update(frame) { priorityChanged(update.pointee) }
        default: break
        }
    }

    func stream(_ id: Int32) -> ServerStream? {
        // Unretained: `streams` owns it until `closed`, which takes it out of nghttp2's hands first.
        nghttp2_session_get_stream_user_data(session, id).map {
            Unmanaged<ServerStream>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private func requestArrived(_ stream: ServerStream) {
        counters.http2Requests.add(1)
        if !earlyPriorities.isEmpty, let index = earlyPriorities.firstIndex(where: { $0.stream == stream.id }) {
            stream.priorityUpdate = earlyPriorities.remove(at: index).value
        }
        arrived(stream)
    }

    private func priorityChanged(_ update: nghttp2_ext_priority_update) {
        let value = String(
            decoding: UnsafeBufferPointer(start: update.field_value, count: update.field_value_len), as: UTF8.self)
        if let stream = stream(update.stream_id) {
            stream.priorityUpdate = value
        } else {
            if earlyPriorities.count == 100 { earlyPriorities.removeFirst() }
            earlyPriorities.append((update.stream_id, value))
        }
    }

    func closed(_ stream: ServerStream) {
        nghttp2_session_set_stream_user_data(session, stream.id, nil)
        forget(stream)
        if spareStreams.count < 256 { spareStreams.append(stream) }
    }

    private func forget(_ stream: ServerStream) {
        let last = streams.removeLast()
        if last !== stream {
            streams[stream.slot] = last
            last.slot = stream.slot
        }
        ended(stream)
    }

    // MARK: - What streams ask for

    override func consumed(_ stream: ServerStream, _ count: Int) { nghttp2_session_consume(session, stream.id, count) }

    /// The stream's window is gone with it; the connection's has to be given back.
    override func dropped(_ stream: ServerStream, _ count: Int) { nghttp2_session_consume_connection(session, count) }

    override func reset(_ stream: ServerStream, _ code: UInt32) {
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code)
    }

    override func inform(_ stream: ServerStream, _ fields: FieldList) {
        nghttp2_submit_headers(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, nil, fields.pointer, fields.count, nil)
    }

    override func respond(_ stream: ServerStream, _ fields: FieldList, hasBody: Bool, isHead: Bool) {
        // Unretained: see `HTTP2ServerSession`.
        ch2_submit_response(
            session, stream.id, fields.pointer, fields.count, hasBody ? HTTP2ServerSession.read : nil,
            Unmanaged.passUnretained(stream).toOpaque())
    }

    override func resume(_ stream: ServerStream) {
        nghttp2_session_resume_data(session, stream.id)
        scheduleFlush()
    }

    /// nghttp2's read callback: how much of a body can go now.
    func produce(_ stream: ServerStream, _ length: Int, flags: UnsafeMutablePointer<UInt32>) -> Int {
        guard case .bytes(let count, let isLast) = stream.produce(length) else {
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags.pointee = count > 0 ? NGHTTP2_DATA_FLAG_NO_COPY.rawValue : 0
        guard isLast else { return count }
        flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        if stream.hasTrailers {
            flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            let list = stream.trailerFields()
            nghttp2_submit_trailer(session, stream.id, list.pointer, list.count)
        } else if stream.resetsAfterEnd {
            reset(stream, NGHTTP2_NO_ERROR.rawValue)
        }
        return count
    }

    override func refuse(_ stream: ServerStream) { reset(stream, NGHTTP2_REFUSED_STREAM.rawValue) }
    override var canRefuseStreams: Bool { true }

    override func ping() { nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil) }

    override func submit(settings: [nghttp2_settings_entry], after delay: Duration) -> Bool {
        guard delay > .zero else {
            nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
            scheduleFlush()
            return true
        }
        _ = loop.schedule(after: delay.clampedNanoseconds) { [weak self] in
            guard let self, !isClosed else { return }
            _ = submit(settings: settings, after: .zero)
        }
        return true
    }

    // MARK: - End

    override func goAway(last: Int32, code: UInt32, debug: String) {
        let text = Array(debug.utf8)
        nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code, text, text.count)
        scheduleFlush()
    }

    override func goAwayByFault() {
        if faults.goAwayIsTwoStep {
            drain()
        } else {
            goAway(last: lastStreamID, code: faults.goAwayCode, debug: "")
        }
    }

    override var isDraining: Bool { draining != .no }

    /// RFC 9113 section 6.8: a GOAWAY that refuses nothing, a PING to see when the client has read it, then the real one.
    override func drain() {
        guard draining == .no else { return }
        draining = .noticed
        nghttp2_submit_shutdown_notice(session)
        drainTimer = loop.schedule(after: 1_000_000_000) { [weak self] in self?.drainFinally() }
        scheduleFlush()
    }

    private func drainFinally() {
        guard draining == .noticed || draining == .asked else { return }
        draining = .final
        if let drainTimer { loop.cancel(drainTimer) }
        goAway(last: nghttp2_session_get_last_proc_stream_id(session), code: faults.goAwayCode, debug: "")
    }

    override func dropStreams() {
        if let drainTimer { loop.cancel(drainTimer) }
        while let stream = streams.last { forget(stream) }
        spareStreams = []
    }

    override func close(_ ending: Ending) {
        precondition(!isInsideNghttp2, "a callback of nghttp2 asks for the end by requestClose")
        super.close(ending)
    }
}
