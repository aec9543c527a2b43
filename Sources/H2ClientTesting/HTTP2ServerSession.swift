import CNghttp2
import H2Client

/// The nghttp2 callbacks and options of a server connection.
///
/// Each callback's `user_data` is the unretained `HTTP2ServerConnection`, which deletes its session in `deinit`. Each
/// stream's user data is the unretained `ServerStream`, which the connection's `streams` keeps until the stream closes.
enum HTTP2ServerSession {
    // nghttp2 copies the table into each session; it is created once and never changed.
    private nonisolated(unsafe) static let callbacks = makeCallbacks(isSilencing: false)
    private nonisolated(unsafe) static let silencingCallbacks = makeCallbacks(isSilencing: true)

    /// - Parameter keepsClosedStreams: whether to keep closed streams, so that frames for them are errors (RFC 9113 section
    ///   5.1). nghttp2 keeps as many as may be open, which without a limit would be all.
    /// - Parameter resets: the burst of stream resets, and their number per second, beyond which nghttp2 ends the connection.
    /// - Parameter acknowledgements: the number of waiting PING and SETTINGS acknowledgements beyond which nghttp2 gives up.
    static func make(
        _ connection: HTTP2ServerConnection, faults: OriginServer.Faults, keepsClosedStreams: Bool,
        acknowledgements: Int, resets: Int, resetsPerSecond: Int
    ) -> OpaquePointer? {
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { return nil }
        defer { nghttp2_option_del(option) }
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_max_send_header_block_length(option, 4 << 20)
        nghttp2_option_set_max_outbound_ack(option, acknowledgements)
        nghttp2_option_set_builtin_recv_extension_type(option, UInt8(NGHTTP2_PRIORITY_UPDATE.rawValue))
        if !keepsClosedStreams { nghttp2_option_set_no_closed_streams(option, 1) }
        // `InboundFrames` limits them.
        ch2_option_set_max_continuations(option, 1 << 30)
        ch2_option_set_stream_reset_rate_limit(option, UInt64(resets), UInt64(resetsPerSecond))
        var session: OpaquePointer?
        let silences = faults.omitsSettingsAcknowledgement || faults.omitsPingAcknowledgement
        let status = nghttp2_session_server_new2(
            &session, silences ? silencingCallbacks : callbacks, Unmanaged.passUnretained(connection).toOpaque(), option
        )
        return status == 0 ? session : nil
    }

    private static func makeCallbacks(isSilencing: Bool) -> OpaquePointer? {
        var table: OpaquePointer?
        precondition(nghttp2_session_callbacks_new(&table) == 0, "no memory for nghttp2's callback table")
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(table) { _, _, _, user in
            withConnection(user) { $0.refusedFrame() }
            return 0
        }
        nghttp2_session_callbacks_set_on_begin_headers_callback(table) { session, frame, user in
            let id = ch2_frame_hd(frame).pointee.stream_id
            if ch2_frame_headers_category(frame) == NGHTTP2_HCAT_REQUEST {
                withConnection(user) { $0.beginRequest(id) }
            } else if let stream = serverStream(session, id) {
                stream._withUnsafeGuaranteedRef { $0.request.beginTrailers() }
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(table) {
            session, frame, name, nameCount, value, count, _, user in
            guard let stream = serverStream(session, ch2_frame_hd(frame).pointee.stream_id) else { return 0 }
            var large: LargeField?
            withConnection(user) { large = $0.inbound.takeLarge(name, nameCount, value, count) }
            stream._withUnsafeGuaranteedRef {
                if let large {
                    return $0.request.add(UnsafeBufferPointer(start: name, count: nameCount), large)
                }
                $0.request.add(
                    UnsafeBufferPointer(start: name, count: nameCount), UnsafeBufferPointer(start: value, count: count))
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(table) { _, frame, user in
            withConnection(user) { $0.received(frame!) }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) { session, _, id, bytes, count, user in
            withConnection(user) { $0.receivedData() }
            if let stream = serverStream(session, id) {
                stream._withUnsafeGuaranteedRef { $0.receive(UnsafeBufferPointer(start: bytes, count: count)) }
            } else {
                nghttp2_session_consume(session, id, count)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(table) { session, id, _, user in
            if let stream = serverStream(session, id) {
                withConnection(user) { $0.closed(stream.takeUnretainedValue()) }
            }
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(table) { _, frame, head, count, source, user in
            // The source is the stream passed by `respond`; its connection owns it until the stream is closed.
            let stream = Unmanaged<ServerStream>.fromOpaque(ch2_data_source_pointer(source)!)
            var result: CInt = 0
            withConnection(user) { connection in
                stream._withUnsafeGuaranteedRef { result = connection.sendData(of: $0, head: head!, count: count) }
            }
            return result
        }
        if isSilencing {
            nghttp2_session_callbacks_set_before_frame_send_callback(table) { _, frame, user in
                var isSilenced = false
                withConnection(user) { isSilenced = $0.isSilenced(ch2_frame_hd(frame).pointee) }
                return isSilenced ? NGHTTP2_ERR_CANCEL.rawValue : 0
            }
        }
        return table
    }

    /// The read callback for a response's body: see `HTTP2ServerConnection.produce`.
    static let read: ch2_data_source_read_callback = { _, _, _, length, flags, source, user in
        let stream = Unmanaged<ServerStream>.fromOpaque(ch2_data_source_pointer(source)!)
        var result = 0
        withConnection(user) { connection in
            stream._withUnsafeGuaranteedRef { result = connection.produce($0, length, flags: flags!) }
        }
        return result
    }
}

// User data of the session and of its streams. Both are unretained: the connection owns its session and its streams, and
// removes a stream from nghttp2 before it releases it.

private func withConnection(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2ServerConnection) -> Void) {
    Unmanaged<HTTP2ServerConnection>.fromOpaque(user!)._withUnsafeGuaranteedRef(body)
}

private func serverStream(_ session: OpaquePointer?, _ id: Int32) -> Unmanaged<ServerStream>? {
    nghttp2_session_get_stream_user_data(session, id).map { Unmanaged<ServerStream>.fromOpaque($0) }
}
