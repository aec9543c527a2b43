import CNghttp2
import HTTPTypes

/// nghttp2's callback table. The trampolines find session and stream, and record; nothing else happens inside nghttp2.
///
/// Lifetimes: the user data is the `HTTP2Session`, which deletes the nghttp2 session in `deinit`; a stream's user data is its
/// `StreamState`, which `openStreams` owns until `on_stream_close`. Both are therefore unretained.
enum HTTP2Callbacks {
    static func make() -> OpaquePointer? {
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, user in
            withSession(user) { $0.beganFrame(header.unsafelyUnwrapped) }
            return ok
        }
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, _, user in
            withSession(user) { $0.beganHead() }
            return ok
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameLength, value, valueLength, _, user in
            withSession(user) { $0.field(name.unsafelyUnwrapped, nameLength, value, valueLength) } ? ok : resetStream
        }
        nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) {
            _, _, name, nameLength, value, valueLength, _, user in
            // Without this nghttp2 would drop the field and accept the message, which RFC 9113 section 8.2.1 calls malformed.
            let field = HTTP2Callbacks.escaped(name, nameLength) + ": " + HTTP2Callbacks.escaped(value, valueLength)
            withSession(user) { $0.invalidField(field) }
            return resetStream
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            withSession(user) { $0.receivedFrame(frame.unsafelyUnwrapped) }
            return ok
        }
        nghttp2_session_callbacks_set_unpack_extension_callback(callbacks) { _, payload, _, _ in
            // No payload is kept here: the frame is only counted and logged, and ORIGIN's bytes have already arrived in chunks.
            payload?.pointee = nil
            return ok
        }
        nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks) { _, header, data, length, user in
            let isOrigin = UInt32(header.unsafelyUnwrapped.pointee.type) == NGHTTP2_ORIGIN.rawValue
            if isOrigin { withSession(user) { $0.receivedOriginBytes(data.unsafelyUnwrapped, length) } }
            return ok
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, _, data, length, user in
            withSession(user) { $0.receivedData(data.unsafelyUnwrapped, length) }
            return ok
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            withSession(user) { $0.closed(id, H2Error.HTTP2Code(rawValue: code)) }
            return ok
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, _, status, user in
            withSession(user) { $0.invalidFrame(status) }
            return ok
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            withSession(user) { $0.sentFrame(frame.unsafelyUnwrapped) }
            return ok
        }
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, status, user in
            withSession(user) { $0.notSent(frame.unsafelyUnwrapped, status) }
            return ok
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, header, length, source, user in
            // The source is the stream passed to `submit`.
            let stream = Unmanaged<StreamState>.fromOpaque(ch2_data_source_pointer(source)!).takeUnretainedValue()
            return withSession(user) {
                $0.sendData(stream, header.unsafelyUnwrapped, length)
                return $0.isOutputFull ? pause : ok
            }
        }
        nghttp2_session_callbacks_set_error_callback2(callbacks) { _, _, message, length, user in
            let text = HTTP2Callbacks.escaped(UnsafeRawPointer(message)?.assumingMemoryBound(to: UInt8.self), length)
            withSession(user) { $0.diagnostic = text }
            return ok
        }
        return callbacks
    }

    /// The number of body bytes for the next DATA frame. The bytes themselves follow in `sendData` (NO_COPY).
    static let readBody: ch2_data_source_read_callback = { raw, id, _, length, flags, source, user in
        let stream = Unmanaged<StreamState>.fromOpaque(ch2_data_source_pointer(source)!).takeUnretainedValue()
        return withSession(user) { $0.nextBodyLength(stream, limit: length, flags: flags!) }
    }

    /// The peer's bytes as text that is safe to print.
    static func escaped(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> String {
        bytes.map { UnsafeBufferPointer(start: $0, count: Swift.min(count, 512)).printable } ?? ""
    }
}

// C function pointers cannot capture anything, not even a type, so everything the trampolines use is global.

private let ok: CInt = 0
/// Makes nghttp2 reset the stream that the callback was about.
private let resetStream = CInt(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
/// Makes nghttp2 return after the DATA frame that the callback was about.
private let pause = CInt(NGHTTP2_ERR_PAUSE.rawValue)

@inline(__always)
private func withSession<R>(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2Session) -> R) -> R {
    Unmanaged<HTTP2Session>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef(body)
}
