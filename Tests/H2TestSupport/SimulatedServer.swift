import CNghttp2

/// A server made of nghttp2's own server session, over a simulated wire. It checks the client as nghttp2 does: what that
/// finds wrong is in `complaints`.
///
/// Belongs to its world's loop.
package final class SimulatedServer {
    package struct Settings: Sendable {
        package var maxConcurrentStreams: Int?
        package var initialWindowSize: Int?
        package var maxFrameSize: Int?
        package var headerTableSize: Int?
        /// Nanoseconds until received body bytes are credited back.
        package var readDelay: ClosedRange<Int> = 0...0
        /// The most padding of a frame.
        package var padding = 0

        package init() {}
    }

    private let world: SimulatedWorld
    private let wire: SimulatedWire
    private let readDelay: ClosedRange<Int>
    private let padding: Int
    private var random: SeededGenerator
    // Made in `init`, which needs `self` for it.
    private(set) var session: OpaquePointer!
    package private(set) var streams: [Int32: SimulatedStream] = [:]
    package private(set) var complaints: [String] = []
    package private(set) var lastStreamID: Int32 = 0
    package private(set) var isOver = false
    // nghttp2 forbids sending from inside its callbacks.
    private var isInsideNghttp2 = false

    /// The header section of a request is here.
    package var onRequest: (SimulatedStream) -> Void = { _ in }
    /// The request is whole.
    package var onRequestEnd: (SimulatedStream) -> Void = { _ in }
    /// END_STREAM of an answer was sent.
    package var onAnswerEnd: (SimulatedStream) -> Void = { _ in }

    package init(_ world: SimulatedWorld, _ wire: SimulatedWire, settings: Settings = Settings(), seed: UInt64 = 0) {
        self.world = world
        self.wire = wire
        readDelay = settings.readDelay
        padding = settings.padding
        random = SeededGenerator(seed: seed)
        var option: OpaquePointer?
        nghttp2_option_new(&option)
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_builtin_recv_extension_type(option, UInt8(NGHTTP2_PRIORITY_UPDATE.rawValue))
        let callbacks = Self.makeCallbacks()
        nghttp2_session_server_new2(&session, callbacks, Unmanaged.passUnretained(self).toOpaque(), option)
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_option_del(option)
        wire.onReceive = { [unowned self] in receive($0) }
        wire.onClose = { [unowned self] in isOver = true }
        announce(settings)
    }

    deinit { nghttp2_session_del(session) }

    // MARK: - Settings

    /// Says SETTINGS, at the start or in the middle.
    package func announce(_ settings: Settings) {
        var entries: [nghttp2_settings_entry] = []
        func add(_ id: nghttp2_settings_id, _ value: Int?) {
            if let value {
                entries.append(nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(value)))
            }
        }
        add(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, settings.headerTableSize)
        add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams)
        add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.initialWindowSize)
        add(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, settings.maxFrameSize)
        nghttp2_submit_settings(session, 0, entries, entries.count)
        flush()
    }

    package func goAway(lastStreamID: Int32? = nil, _ code: UInt32 = 0, debugText: String = "") {
        let text = Array(debugText.utf8)
        nghttp2_submit_goaway(session, 0, lastStreamID ?? self.lastStreamID, code, text, text.count)
        flush()
    }

    /// The first of two GOAWAYs (RFC 9113 section 6.8).
    package func announceGoAway() {
        nghttp2_submit_shutdown_notice(session)
        flush()
    }

    package func ping() {
        nghttp2_submit_ping(session, 0, nil)
        flush()
    }

    // MARK: - Bytes

    private func receive(_ bytes: [UInt8]) {
        guard !isOver else { return }
        isInsideNghttp2 = true
        let count = ch2_session_mem_recv(session, bytes, bytes.count)
        isInsideNghttp2 = false
        if count != bytes.count { complaints.append("nghttp2_session_mem_recv: \(count)") }
        flush()
    }

    package func flush() {
        guard !isOver, !isInsideNghttp2 else { return }
        isInsideNghttp2 = true
        defer { isInsideNghttp2 = false }
        var output: [UInt8] = []
        while true {
            var data: UnsafePointer<UInt8>?
            let count = ch2_session_mem_send(session, &data)
            guard count > 0, let data else { break }
            output += UnsafeBufferPointer(start: data, count: count)
        }
        wire.send(output)
    }

    fileprivate func complain(_ text: String) { complaints.append(text) }

    // MARK: - What the callbacks say

    fileprivate func began(_ id: Int32) {
        let stream = SimulatedStream(id: id, server: self)
        streams[id] = stream
        lastStreamID = max(lastStreamID, id)
    }

    fileprivate func received(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = ch2_frame_hd(frame).pointee
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            guard let stream = streams[header.stream_id] else { return }
            if UInt32(header.type) == NGHTTP2_HEADERS.rawValue, !stream.hasHead {
                stream.hasHead = true
                onRequest(stream)
            }
            if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 {
                stream.isRequestWhole = true
                onRequestEnd(stream)
            }
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = ch2_frame_goaway(frame).pointee
            if goAway.error_code != 0 { complain("the client said GOAWAY with error \(goAway.error_code)") }
        default: break
        }
    }

    fileprivate func sent(_ header: nghttp2_frame_hd) {
        guard header.type <= 1, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 else { return }
        if let stream = streams[header.stream_id] { onAnswerEnd(stream) }
    }

    fileprivate func received(_ id: Int32, _ bytes: UnsafeBufferPointer<UInt8>) {
        streams[id]?.received += bytes
        let count = bytes.count
        let delay = random.int(readDelay)
        if delay == 0 {
            nghttp2_session_consume(session, id, count)
        } else {
            world.after(UInt64(delay)) { [weak self] in
                guard let self, !isOver else { return }
                nghttp2_session_consume(session, id, count)
                flush()
            }
        }
    }

    fileprivate func closed(_ id: Int32) {
        streams[id]?.isClosed = true
        streams[id] = nil
    }

    fileprivate func padded(_ length: Int, limit: Int) -> Int {
        padding == 0 ? length : min(limit, length + random.int(0...padding))
    }

    // MARK: - nghttp2's callback table

    private static func makeCallbacks() -> OpaquePointer? {
        var table: OpaquePointer?
        nghttp2_session_callbacks_new(&table)
        nghttp2_session_callbacks_set_on_begin_headers_callback(table) { _, frame, user in
            let id = ch2_frame_hd(frame).pointee.stream_id
            if ch2_frame_headers_category(frame) == NGHTTP2_HCAT_REQUEST { server(user).began(id) }
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(table) { _, frame, name, nameCount, value, count, _, user in
            let field = Field(
                String(decoding: UnsafeBufferPointer(start: name, count: nameCount), as: UTF8.self),
                String(decoding: UnsafeBufferPointer(start: value, count: count), as: UTF8.self))
            server(user).streams[ch2_frame_hd(frame).pointee.stream_id]?.add(field)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(table) { _, frame, user in
            server(user).received(frame!)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(table) { _, frame, user in
            server(user).sent(ch2_frame_hd(frame).pointee)
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) { _, _, id, bytes, count, user in
            server(user).received(id, UnsafeBufferPointer(start: bytes, count: count))
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(table) { _, id, _, user in
            server(user).closed(id)
            return 0
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(table) { _, frame, status, user in
            server(user).complain(
                "an invalid frame of type \(ch2_frame_hd(frame).pointee.type): "
                    + String(cString: nghttp2_strerror(status)))
            return 0
        }
        nghttp2_session_callbacks_set_select_padding_callback(table) { _, frame, limit, user in
            server(user).padded(ch2_frame_hd(frame).pointee.length, limit: limit)
        }
        return table
    }

    fileprivate static let readBody: ch2_data_source_read_callback = { _, id, buffer, limit, flags, _, user in
        guard let stream = server(user).streams[id] else {
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        return stream.produce(UnsafeMutableBufferPointer(start: buffer, count: limit), flags: flags!)
    }
}

private func server(_ user: UnsafeMutableRawPointer?) -> SimulatedServer {
    Unmanaged<SimulatedServer>.fromOpaque(user!).takeUnretainedValue()
}

/// One request, and what the server does with it.
package final class SimulatedStream {
    package let id: Int32
    private unowned let server: SimulatedServer
    package private(set) var fields: [Field] = []
    package private(set) var trailers: [Field] = []
    package fileprivate(set) var hasHead = false
    package fileprivate(set) var isRequestWhole = false
    package fileprivate(set) var isClosed = false
    /// The request's body so far.
    package fileprivate(set) var received: [UInt8] = []

    private var pending: [UInt8] = []
    private var pendingStart = 0
    private var isFinished = false
    private var trailersToSend: [(String, String)] = []

    fileprivate init(id: Int32, server: SimulatedServer) {
        self.id = id
        self.server = server
    }

    package func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
    package var path: String { value(":path") ?? "" }

    fileprivate func add(_ field: Field) {
        if hasHead { trailers.append(field) } else { fields.append(field) }
    }

    // MARK: - Answering. Each does nothing once the stream is closed.

    /// An informational response.
    package func inform(_ status: Int, _ fields: [(String, String)] = []) {
        guard !isClosed else { return }
        withPairs([(":status", "\(status)")] + fields) {
            _ = nghttp2_submit_headers(server.session, 0, id, nil, $0, $1, nil)
        }
        server.flush()
    }

    package func respond(_ status: Int = 200, _ fields: [(String, String)] = [], hasBody: Bool = true) {
        guard !isClosed else { return }
        withPairs([(":status", "\(status)")] + fields) {
            _ = ch2_submit_response(server.session, id, $0, $1, hasBody ? SimulatedServer.readBody : nil, nil)
        }
        server.flush()
    }

    package func write(_ bytes: [UInt8]) {
        guard !isClosed else { return }
        pending += bytes
        nghttp2_session_resume_data(server.session, id)
        server.flush()
    }

    package func finish(trailers: [(String, String)] = []) {
        guard !isClosed else { return }
        isFinished = true
        trailersToSend = trailers
        nghttp2_session_resume_data(server.session, id)
        server.flush()
    }

    package func reset(_ code: UInt32) {
        guard !isClosed else { return }
        nghttp2_submit_rst_stream(server.session, 0, id, code)
        server.flush()
    }

    // MARK: - For nghttp2

    fileprivate func produce(
        _ buffer: UnsafeMutableBufferPointer<UInt8>, flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        let count = min(buffer.count, pending.count - pendingStart)
        if count == 0 && !isFinished { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
        _ = buffer.update(fromContentsOf: pending[pendingStart..<pendingStart + count])
        pendingStart += count
        if pendingStart == pending.count {
            (pending, pendingStart) = ([], 0)
            if isFinished {
                flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
                if !trailersToSend.isEmpty {
                    flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                    withPairs(trailersToSend) { _ = nghttp2_submit_trailer(server.session, id, $0, $1) }
                }
            }
        }
        return count
    }

    private func withPairs(_ fields: [(String, String)], _ body: (UnsafePointer<nghttp2_nv>, Int) -> Void) {
        var bytes: [UInt8] = []
        for (name, value) in fields { bytes += Array(name.utf8) + Array(value.utf8) }
        bytes.append(0)
        bytes.withUnsafeMutableBufferPointer { memory in
            var at = memory.baseAddress!
            let pairs = fields.map { name, value in
                defer { at += name.utf8.count + value.utf8.count }
                return nghttp2_nv(
                    name: at, value: at + name.utf8.count, namelen: name.utf8.count, valuelen: value.utf8.count,
                    flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            body(pairs, pairs.count)
        }
    }
}
