import CNghttp2
import H2Client

/// An HTTP/2 connection with its nghttp2 session and its streams.
///
/// nghttp2's callbacks submit responses. They must not reenter nghttp2, so a callback notes in `nextStep` what is to be
/// done to the connection afterwards.
///
/// Unchecked exclusivity: for the reason that `ServerConnection` states.
final class HTTP2ServerConnection: ServerConnection {
    // Created in `init`, which needs `self` for it, and deleted in `deinit`.
    @exclusivity(unchecked) private(set) var session: OpaquePointer!
    let inbound: InboundFrames
    @exclusivity(unchecked) private var streams: [ServerStream] = []
    /// PRIORITY_UPDATE values of streams that are not open yet (RFC 9218 section 7.1), a limited number.
    @exclusivity(unchecked) private var earlyPriorities: [(stream: Int32, value: String)] = []
    @exclusivity(unchecked) private var lastStreamID: Int32 = 0
    @exclusivity(unchecked) private var drainTimer: LoopTimer?
    @exclusivity(unchecked) private var isInsideNghttp2 = false
    @exclusivity(unchecked) private var wasOutputFull = false
    @exclusivity(unchecked) private var heads = FrameHeads(skipping: 24)
    @exclusivity(unchecked) private var history = StreamHistory()
    /// Counts frames without content: see `OriginServer.Limits.controlFrames`.
    @exclusivity(unchecked) private var controlFrames: LeakyBucket
    @exclusivity(unchecked) private var streamResets: LeakyBucket
    /// The number of SETTINGS frames that a route has scheduled or sent and that are not acknowledged.
    @exclusivity(unchecked) private var pendingSettings = 0
    /// Whether the client's preface and its first SETTINGS have arrived.
    @exclusivity(unchecked) private var hasGreeted = false
    /// When DATA of any stream was last sent.
    @exclusivity(unchecked) private var sentDataAt: UInt64 = 0
    @exclusivity(unchecked) private var sentDataPosition = 0
    @exclusivity(unchecked) private var receivedDataAt: UInt64 = 0
    /// When the incomplete frame or header block began; nil if there is none.
    @exclusivity(unchecked) private var unfinishedSince: UInt64?

    /// no → noticed (the first GOAWAY waits to be sent) → asked (its PING is sent) → final.
    private enum Draining { case no, noticed, asked, final }
    @exclusivity(unchecked) private var draining = Draining.no

    init(wire: any SocketWire & Wire, descriptor: CInt, listener: Listener) {
        let (settings, limits) = (listener.configuration.settings, listener.configuration.limits)
        // Its replacement for a large field is large only for a table of 4,096 bytes.
        let mayLook = settings.headerTableSize ?? 4_096 <= 4_096
        inbound = InboundFrames(
            skipping: 24, maximumFrame: mayLook ? Int(settings.maxFrameSize ?? 16_384) : 0,
            headerListSize: limits.headerListSize, continuationFrames: 16)
        controlFrames = LeakyBucket(limit: limits.controlFrames, perSecond: limits.controlFramesPerSecond)
        streamResets = LeakyBucket(limit: limits.streamResets, perSecond: limits.streamResetsPerSecond)
        super.init(wire: wire, descriptor: descriptor, listener: listener)
        counters.http2Connections.add(1)
        session = HTTP2ServerSession.make(
            self, faults: faults, keepsClosedStreams: settings.maxConcurrentStreams ?? .max <= 10_000,
            // `controlFrames` limits them, and one for each that it allows may wait.
            acknowledgements: 2 * max(limits.controlFrames, 1_000),
            // `streamResets` limits them first.
            resets: 2 * max(limits.streamResets, 1_000), resetsPerSecond: max(limits.streamResetsPerSecond, 33))
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
        var at = 0
        var hasMovedOn = false
        while let head = heads.next(UnsafeRawBufferPointer(bytes), &at) {
            // CONTINUATION belongs to a block that began before; `InboundFrames` limits its frames.
            if head.type != UInt8(NGHTTP2_CONTINUATION.rawValue) { hasMovedOn = true }
            guard let code = verdict(on: head) else { continue }
            // Bytes before the frame are processed; the rest is dropped.
            let isGood = at <= 9 || take(UnsafeMutableRawBufferPointer(rebasing: bytes[..<(at - 9)]))
            nghttp2_session_terminate_session(session, code.rawValue)
            return isGood
        }
        // The incomplete frame, if any, may be a new one.
        if heads.takeEnded() { hasMovedOn = true }
        if heads.isBetweenFrames {
            unfinishedSince = nil
        } else if hasMovedOn || unfinishedSince == nil {
            unfinishedSince = loop.now
        }
        let isGood = take(bytes)
        // Answers pile up if the client does not read them. Frames of the streams are allowed on top of the limit.
        if isBlocked, nghttp2_session_get_outbound_queue_size(session) > Self.queueLimit + 2 * streams.count {
            counters.connectionsFlooding.add(1)
            nextStep = .close(.abruptly, flushing: false)
        }
        return isGood
    }

    /// The maximum number of frames that wait while the socket is full.
    private static let queueLimit = 10_000

    private func take(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
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

    /// Passes bytes to nghttp2; false if they are not HTTP/2, on a flood, or without memory. A GOAWAY of nghttp2 is sent first.
    private func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        ch2_session_mem_recv(session, bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), bytes.count) >= 0
    }

    override func wasDrained() -> Bool {
        guard draining == .noticed else { return false }
        // Not earlier: nghttp2 sends PING before all else, but its answer must mean that the GOAWAY was read.
        draining = .asked
        ping()
        return true
    }

    override var isFinished: Bool {
        nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
    }

    /// Appends nghttp2's frames to `output` up to its mark; true if there are no more now.
    override func fillOutput() -> Bool {
        isInsideNghttp2 = true
        defer { isInsideNghttp2 = false }
        wasOutputFull = false
        while !isOutputFull {
            var bytes: UnsafePointer<UInt8>?
            let count = ch2_session_mem_send(session, &bytes)
            guard count > 0, let bytes else {
                if count < 0 { nextStep = .close(.politely, flushing: false) }
                return !wasOutputFull
            }
            output.append(bytes, count: count)
        }
        return false
    }

    /// nghttp2's send_data_callback: appends a DATA frame with its payload directly from the stream.
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
        (sentDataAt, sentDataPosition) = (loop.now, outputPosition)
        // The client may answer with two WINDOW_UPDATEs, or with smaller ones.
        controlFrames.drain(2 + count >> 10, floor: Self.advance)
        return 0
    }

    func isSilenced(_ head: nghttp2_frame_hd) -> Bool {
        guard head.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 else { return false }
        return head.type == UInt8(NGHTTP2_SETTINGS.rawValue) && faults.omitsSettingsAcknowledgement
            || head.type == UInt8(NGHTTP2_PING.rawValue) && faults.omitsPingAcknowledgement
    }

    // MARK: - Frames that arrive

    /// The floor of `controlFrames`: credit for the WINDOW_UPDATEs that 256 MiB of DATA may cause.
    private static let advance = -(1 << 18)

    /// The connection error for a frame that nghttp2 would ignore, or that exceeds a limit; nil if the frame is fine.
    private func verdict(on head: FrameHeads.Head) -> nghttp2_error_code? {
        switch nghttp2_frame_type(UInt32(head.type)) {
        case NGHTTP2_HEADERS: return history.headers(on: head.stream)
        case NGHTTP2_DATA:
            if let code = history.data(on: head.stream) { return code }
            // Empty DATA, or DATA that may be only padding.
            let isPadded = head.flags & UInt8(NGHTTP2_FLAG_PADDED.rawValue) != 0
            let isControl =
                head.length <= (isPadded ? 256 : 0) && head.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) == 0
            return isControl ? controlFrame() : nil
        // Part of a header block.
        case NGHTTP2_CONTINUATION: return nil
        case NGHTTP2_RST_STREAM:
            history.wasReset(head.stream)
            return streamResets.add(1, now: loop.now) ? controlFrame() : flood()
        default: return controlFrame()
        }
    }

    /// Counts a frame without content.
    private func controlFrame() -> nghttp2_error_code? { controlFrames.add(1, now: loop.now) ? nil : flood() }

    private func flood() -> nghttp2_error_code {
        counters.connectionsFlooding.add(1)
        return NGHTTP2_ENHANCE_YOUR_CALM
    }

    func receivedData() { receivedDataAt = loop.now }

    /// Counts a frame that nghttp2 answers with RST_STREAM or GOAWAY. Called inside nghttp2, which ignores what follows.
    func refusedFrame() {
        if let code = controlFrame() { nghttp2_session_terminate_session(session, code.rawValue) }
    }

    func beginRequest(_ id: Int32) {
        let stream = listener.takeSpareStream()
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
            } else if stream.trailersArrived(), isEnd {
                stream.endRequest()
            }
        case NGHTTP2_DATA:
            if isEnd { stream(head.stream_id)?.endRequest() }
        case NGHTTP2_SETTINGS:
            if head.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 {
                hasGreeted = true
            } else if pendingSettings > 0 {
                pendingSettings -= 1
            }
        case NGHTTP2_PING:
            if head.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0, draining == .asked { drainFinally() }
        case NGHTTP2_PRIORITY_UPDATE:
            if let update = ch2_frame_priority_update(frame) { priorityChanged(update.pointee) }
        default: break
        }
    }

    func stream(_ id: Int32) -> ServerStream? {
        // Unretained: `streams` owns it until `closed`, which first removes it from nghttp2.
        nghttp2_session_get_stream_user_data(session, id).map {
            Unmanaged<ServerStream>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private func requestArrived(_ stream: ServerStream) {
        counters.http2Requests.add(1)
        // A request may come with WINDOW_UPDATEs, a priority, a PING.
        controlFrames.drain(4, floor: Self.advance)
        if !earlyPriorities.isEmpty, let index = earlyPriorities.firstIndex(where: { $0.stream == stream.id }) {
            stream.priorityUpdate = earlyPriorities.remove(at: index).value
        }
        arrived(stream)
    }

    private func priorityChanged(_ update: nghttp2_ext_priority_update) {
        // `u=7, i` is the longest useful value; longer ones are ignored.
        guard update.field_value_len <= 256 else { return }
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
        listener.keepSpare(stream)
    }

    private func forget(_ stream: ServerStream) {
        let last = streams.removeLast()
        if last !== stream {
            streams[stream.slot] = last
            last.slot = stream.slot
        }
        ended(stream)
    }

    // MARK: - Calls from streams

    override func consumed(_ stream: ServerStream, _ count: Int) { nghttp2_session_consume(session, stream.id, count) }

    /// Returns the bytes to the connection's window only, because the stream has ended.
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

    /// nghttp2's read callback: the number of body bytes that can be sent now.
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

    override func overwhelmed(_ stream: ServerStream) { reset(stream, NGHTTP2_ENHANCE_YOUR_CALM.rawValue) }
    override func refuse(_ stream: ServerStream) { reset(stream, NGHTTP2_REFUSED_STREAM.rawValue) }
    override var canRefuseStreams: Bool { true }

    override func ping() { nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil) }

    override func submit(settings: [nghttp2_settings_entry], after delay: Duration) -> SettingsSubmission {
        guard Self.areValid(settings) else { return .refused("a setting is out of its range\n") }
        guard pendingSettings < Self.pendingSettingsLimit else {
            return .refused("\(pendingSettings) SETTINGS are not acknowledged yet\n")
        }
        pendingSettings += 1
        guard delay > .zero else {
            submitNow(settings)
            return .sent
        }
        _ = loop.schedule(after: delay.clampedNanoseconds) { [weak self] in
            guard let self, !isClosed else { return }
            submitNow(settings)
        }
        return .sent
    }

    private static let pendingSettingsLimit = 100

    private func submitNow(_ settings: [nghttp2_settings_entry]) {
        let status = nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        if status != 0 { pendingSettings -= 1 }
        scheduleFlush()
    }

    /// Whether all values are valid (RFC 9113 section 6.5.2).
    private static func areValid(_ settings: [nghttp2_settings_entry]) -> Bool {
        settings.allSatisfy {
            switch UInt32($0.settings_id) {
            case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue: $0.value <= 0x7fff_ffff
            case NGHTTP2_SETTINGS_MAX_FRAME_SIZE.rawValue: (16_384...16_777_215).contains($0.value)
            default: true
            }
        }
    }

    // MARK: - Time limits

    override func checkProgress(now: UInt64) {
        let limits = listener.configuration.limits
        let headLimit = limits.requestHead.clampedNanoseconds
        // Within DATA the limit on bodies applies.
        let isWithinData = heads.type == UInt8(NGHTTP2_DATA.rawValue) && heads.isWithinPayload
        let start = !hasGreeted ? startedAt : isWithinData ? nil : unfinishedSince
        if let start, now &- start > headLimit, !isFinished {
            // End the connection only once.
            (hasGreeted, unfinishedSince) = (true, nil)
            counters.connectionsTimedOut.add(1)
            nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
            return scheduleFlush()
        }
        checkBodies(now: now, limit: limits.bodyProgress.clampedNanoseconds)
    }

    /// Resets streams whose bodies make no progress.
    ///
    /// A client with many streams advances some of them at a time, and nghttp2 sends responses of one urgency one after
    /// another. So a stream is late only if nothing but the client can be holding it up.
    private func checkBodies(now: UInt64, limit: UInt64) {
        // While the client reads, the system sends the bytes that it buffers.
        if takenPosition > takenBefore {
            if sentDataPosition > takenBefore { sentDataAt = now }
            for stream in streams { stream.wasTaken(now: now) }
        }
        let mustSend = now &- receivedDataAt > limit && nghttp2_session_get_local_window_size(session) > 0
        let mustTake = now &- sentDataAt > limit && nghttp2_session_get_remote_window_size(session) <= 0
        for stream in streams {
            guard
                mustSend && stream.lacksBody(now: now, limit: limit)
                    || stream.keepsBody(now: now, limit: limit)
                        && (mustTake || nghttp2_session_get_stream_remote_window_size(session, stream.id) <= 0)
            else { continue }
            counters.requestsTimedOut.add(1)
            reset(stream, NGHTTP2_CANCEL.rawValue)
            scheduleFlush()
        }
    }

    // MARK: - End

    override func goAway(last: Int32, code: UInt32, debug: [UInt8]) {
        nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code, debug, debug.count)
        scheduleFlush()
    }

    override func goAwayByFault() {
        if faults.goAwayIsTwoStep {
            drain()
        } else {
            goAway(last: lastStreamID, code: faults.goAwayCode.rawValue, debug: [])
        }
    }

    override var isDraining: Bool { draining != .no }

    /// Sends a GOAWAY that refuses nothing, a PING to learn when the client has read it, then the final GOAWAY (RFC 9113
    /// section 6.8).
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
        goAway(last: nghttp2_session_get_last_proc_stream_id(session), code: faults.goAwayCode.rawValue, debug: [])
    }

    override func dropStreams() {
        if let drainTimer { loop.cancel(drainTimer) }
        while let stream = streams.last { forget(stream) }
    }

    override func close(_ ending: Ending) {
        precondition(!isInsideNghttp2, "a callback of nghttp2 asks for the end by requestClose")
        super.close(ending)
    }
}
