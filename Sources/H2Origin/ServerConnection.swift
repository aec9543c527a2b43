import CNghttp2
import H2Client

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One client's connection: wire, nghttp2 session, streams. Belongs to its loop's thread.
///
/// Readable: bytes go to nghttp2, whose callbacks submit responses. At the end of the turn one flush drains nghttp2 into
/// `output` and writes it, up to a fair share. nghttp2 forbids entering it from its own callbacks, so whatever a callback
/// wants done to the connection is noted in `wish` and done after.
///
/// The run-time checks of exclusive access are off for what is touched per frame, here and in the classes below: it is
/// all on one thread, and no property is held `inout` across a call into nghttp2.
final class ServerConnection: ReadinessHandler, Flushable {
    // The listener closes its connections before it goes: the loop holds it while it listens, and while it drains its
    // grace timer does.
    unowned(unsafe) let listener: Listener
    let loop: EventLoop
    let counters: Counters
    // Made in `init`, which needs `self` for it, and deleted in `deinit`.
    @exclusivity(unchecked) private(set) var session: OpaquePointer!
    /// Where this stands among the listener's connections.
    @exclusivity(unchecked) var slot = 0

    private let wire: any SocketWire & Wire
    private let descriptor: CInt
    /// Filled up to `outputMark` by frames, then emptied by writes; a frame that was begun below the mark still fits.
    @exclusivity(unchecked) private var output = OutputBuffer(capacity: ServerConnection.outputMark + 9 + (16 << 10))
    private static let outputMark = 64 << 10
    private var isOutputFull: Bool { output.count >= Self.outputMark }
    private let faults: OriginServer.Faults
    @exclusivity(unchecked) private var streams: [ServerStream] = []
    @exclusivity(unchecked) private var spareStreams: [ServerStream] = []
    /// PRIORITY_UPDATE values of streams that are not open yet (RFC 9218 section 7.1), a few.
    @exclusivity(unchecked) private var earlyPriorities: [(stream: Int32, value: String)] = []
    @exclusivity(unchecked) private var requestCount = 0
    @exclusivity(unchecked) private var lastStreamID: Int32 = 0
    @exclusivity(unchecked) private var lastActivity: UInt64
    @exclusivity(unchecked) private var idleTimer: LoopTimer?
    @exclusivity(unchecked) private var drainTimer: LoopTimer?
    @exclusivity(unchecked) private var lingerTimer: LoopTimer?

    @exclusivity(unchecked) private var isDirty = false
    @exclusivity(unchecked) private var isInsideNghttp2 = false
    @exclusivity(unchecked) private var isReadQueued = false
    @exclusivity(unchecked) private var wasOutputFull = false
    @exclusivity(unchecked) private(set) var isClosed = false

    /// How a connection ends.
    enum Ending { case politely, abruptly, withReset }
    private enum Wish { case goOn, close(Ending, flushing: Bool) }
    @exclusivity(unchecked) private var wish = Wish.goOn

    /// no → noticed (the first GOAWAY waits to be sent) → asked (its PING is under way) → final.
    private enum Draining { case no, noticed, asked, final }
    @exclusivity(unchecked) private var draining = Draining.no

    private static let readsPerTurn = 16
    private static let buffersPerTurn = 16

    init(wire: any SocketWire & Wire, descriptor: CInt, listener: Listener) {
        self.wire = wire
        self.descriptor = descriptor
        self.listener = listener
        loop = listener.loop
        counters = listener.counters
        faults = listener.configuration.faults
        lastActivity = loop.now
        session = ServerSession.make(self, faults: faults)
        precondition(session != nil, "no memory for an nghttp2 session")
    }

    deinit { nghttp2_session_del(session) }

    func start() {
        submitSettings()
        wire.attach(to: loop, handler: self)
        armIdleTimer()
        scheduleFlush()
        // TLS may have read the client's first frames together with the end of its handshake.
        if wire.hasBufferedInput { read() }
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

    // MARK: - Reading

    func ready(readable: Bool, writable: Bool) {
        if readable { read() }
        if writable { scheduleFlush() }
    }

    private func read() {
        isReadQueued = false
        lastActivity = loop.now
        var reads = 0
        while !isClosed {
            guard reads < Self.readsPerTurn else {
                // What TLS holds back is not told by the descriptor.
                queueRead()
                break
            }
            reads += 1
            let result = wire.read(into: loop.readBuffer)
            if result == .wouldBlock { break }
            guard case .bytes(let count) = result else { return close(.politely) }
            counters.bytesReceived.add(count)
            if lingerTimer != nil {
                guard wire.hasBufferedInput else { break }
                continue
            }
            isInsideNghttp2 = true
            let status = ch2_session_mem_recv(
                session, loop.readBuffer.baseAddress!.assumingMemoryBound(to: UInt8.self), count)
            isInsideNghttp2 = false
            if status < 0 {
                // Not HTTP/2 at all, a flood, or no memory. GOAWAY, where nghttp2 has one, goes out before.
                flush()
                return close(.politely)
            }
            if case .close(let ending, flushing: false) = wish { return close(ending) }
            guard wire.hasBufferedInput else { break }
        }
        scheduleFlush()
    }

    private func queueRead() {
        guard !isReadQueued else { return }
        isReadQueued = true
        let connection = LoopBound(self)
        loop.execute { if connection.value.isReadQueued { connection.value.read() } }
    }

    // MARK: - Writing

    /// Flushes at the end of this turn.
    func scheduleFlush() {
        guard !isDirty, !isClosed else { return }
        isDirty = true
        loop.markDirty(self)
    }

    func flush() {
        isDirty = false
        var buffers = 0
        var isDrained = false
        while !isClosed {
            guard writeOutput() else { return }
            if case .close(let ending, _) = wish { return close(ending) }
            if isDrained, draining == .noticed {
                // Only now: nghttp2 sends PING before all else, and its answer is to come after the GOAWAY was read.
                draining = .asked
                nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
                isDrained = false
            }
            if isDrained { break }
            guard buffers < Self.buffersPerTurn else { return scheduleFlush() }
            buffers += 1
            isDrained = fillOutput()
        }
        guard !isClosed else { return }
        wire.watch(readable: true, writable: false)
        if nghttp2_session_want_read(session) == 0, nghttp2_session_want_write(session) == 0 { linger() }
    }

    /// Everything was said. A close now, with frames of the client unread (WINDOW_UPDATEs of the last response, say),
    /// would make the system reset the connection and throw away what the client has not read yet. So only our side
    /// ends, and the client has a second to end its own.
    private func linger() {
        guard lingerTimer == nil else { return }
        wire.finishWriting()
        lingerTimer = loop.schedule(after: 1_000_000_000) { [weak self] in self?.close(.politely) }
    }

    /// Takes frames from nghttp2 up to the buffer's mark; true where it has no more now.
    private func fillOutput() -> Bool {
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

    /// True where everything was written; otherwise the rest waits for room, or the connection is gone.
    private func writeOutput() -> Bool {
        while !output.isEmpty {
            switch wire.write(output.bytes) {
            case .bytes(let count):
                output.removeFirst(count)
                counters.bytesSent.add(count)
                lastActivity = loop.now
            case .wouldBlock:
                wire.watch(readable: true, writable: true)
                return false
            case .end, .failed:
                close(.politely)
                return false
            }
        }
        return true
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
        counters.streamsOpen.add(1)
        counters.streamsPeak.raise(to: counters.streamsOpen.current)
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
                arrived(stream)
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

    /// A request's fields are complete: faults first, then its route.
    private func arrived(_ stream: ServerStream) {
        requestCount += 1
        counters.requests.add(1)
        if !earlyPriorities.isEmpty, let index = earlyPriorities.firstIndex(where: { $0.stream == stream.id }) {
            stream.priorityUpdate = earlyPriorities.remove(at: index).value
        }
        if let every = faults.refuseEvery, every > 0, requestCount % every == 0 {
            return stream.reset(NGHTTP2_REFUSED_STREAM.rawValue)
        }
        if requestCount == faults.closeAfterRequests { wish = .close(.abruptly, flushing: false) }
        if requestCount == faults.goAwayAfterRequests {
            if faults.goAwayIsTwoStep {
                drain()
            } else {
                goAway(last: lastStreamID, code: faults.goAwayCode, debug: "")
            }
        }
        if let every = faults.stallEvery, every > 0, requestCount % every == 0 { return }
        if let bytes = faults.resetAfterBodyBytes { stream.cut(after: bytes, .reset(faults.resetCode)) }
        if faults.latency > .zero {
            stream.schedule(after: faults.latency) { $0.route() }
        } else {
            stream.route()
        }
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
        counters.streamsOpen.add(-1)
        stream.release()
    }

    // MARK: - End

    func goAway(last: Int32, code: UInt32, debug: String) {
        let text = Array(debug.utf8)
        nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code, text, text.count)
        scheduleFlush()
    }

    /// Sends SETTINGS, now or later.
    func submit(settings: [nghttp2_settings_entry], after delay: Duration) {
        guard delay > .zero else {
            nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
            return scheduleFlush()
        }
        _ = loop.schedule(after: delay.clampedNanoseconds) { [weak self] in
            guard let self, !isClosed else { return }
            submit(settings: settings, after: .zero)
        }
    }

    /// RFC 9113 section 6.8: a GOAWAY that refuses nothing, a PING to see when the client has read it, then the real one.
    func drain() {
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

    /// Ends the connection once what a callback is in has returned and, for a polite end, what is buffered is written.
    func requestClose(_ ending: Ending) { wish = .close(ending, flushing: true) }

    private func armIdleTimer() {
        guard let limit = listener.configuration.limits.idle?.clampedNanoseconds else { return }
        let quiet = loop.now &- lastActivity
        idleTimer = loop.schedule(after: quiet >= limit ? 1_000_000_000 : limit - quiet) { [weak self] in
            guard let self, !isClosed else { return }
            if loop.now &- lastActivity >= limit {
                if draining != .no { return close(.politely) }
                drain()
            }
            armIdleTimer()
        }
    }

    func close(_ ending: Ending = .politely) {
        precondition(!isInsideNghttp2, "a callback of nghttp2 asks for the end by requestClose")
        guard !isClosed else { return }
        isClosed = true
        for timer in [idleTimer, drainTimer, lingerTimer] { if let timer { loop.cancel(timer) } }
        while let stream = streams.last { forget(stream) }
        spareStreams = []
        switch ending {
        case .politely: break
        case .abruptly: ch2_break_connection(descriptor, false)
        case .withReset: ch2_break_connection(descriptor, true)
        }
        wire.close()
        listener.closed(self)
    }
}
