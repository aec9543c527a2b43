import CNghttp2
import HTTPTypes

/// nghttp2's callback table. The trampolines find session and stream and record; nothing else happens inside nghttp2.
///
/// Lifetimes: the user data is the `HTTP2Session`, which deletes the nghttp2 session when it goes; a stream's user data is
/// its `StreamState`, which `openStreams` owns until `on_stream_close`. Both are therefore unretained.
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
            // Without this nghttp2 would drop the field and take the message (RFC 9113 section 8.2.1 says malformed).
            let field = HTTP2Callbacks.escaped(name, nameLength) + ": " + HTTP2Callbacks.escaped(value, valueLength)
            withSession(user) { $0.invalidField(field) }
            return resetStream
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            withSession(user) { $0.receivedFrame(frame.unsafelyUnwrapped) }
            return ok
        }
        nghttp2_session_callbacks_set_unpack_extension_callback(callbacks) { _, payload, _, _ in
            // Nothing of it is kept: it is only to be counted and logged.
            payload?.pointee = nil
            return ok
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, _, data, length, user in
            withSession(user) { $0.receivedData(data.unsafelyUnwrapped, length) }
            return ok
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            withSession(user) { $0.closed(id, ErrorCode(rawValue: code)) }
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
            // The source is the stream that `submit` gave.
            let stream = Unmanaged<StreamState>.fromOpaque(ch2_data_source_pointer(source)!).takeUnretainedValue()
            return withSession(user) {
                guard $0.sendData(stream, header.unsafelyUnwrapped, length) else { return resetStream }
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

    /// How much of a body goes into the next DATA frame. The bytes themselves follow in `sendData` (NO_COPY).
    static let readBody: ch2_data_source_read_callback = { raw, id, _, length, flags, source, user in
        let stream = Unmanaged<StreamState>.fromOpaque(ch2_data_source_pointer(source)!).takeUnretainedValue()
        return withSession(user) { $0.nextBodyLength(stream, limit: length, flags: flags!) }
    }

    /// Bytes of the peer as text that is safe to print.
    static func escaped(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> String {
        guard let bytes else { return "" }
        var text = ""
        for byte in UnsafeBufferPointer(start: bytes, count: min(count, 512)) {
            if (0x20..<0x7f).contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }
}

// C function pointers capture nothing, not even a type: what the trampolines use is global.

private let ok: CInt = 0
/// Makes nghttp2 reset the stream that the callback was about.
private let resetStream = CInt(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
/// Makes nghttp2 return after the DATA frame that the callback was about.
private let pause = CInt(NGHTTP2_ERR_PAUSE.rawValue)

@inline(__always)
private func withSession<R>(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2Session) -> R) -> R {
    Unmanaged<HTTP2Session>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef(body)
}

// MARK: - What the trampolines record

extension HTTP2Session {
    /// Every frame header that arrives, CONTINUATION too: figures and floods.
    func beganFrame(_ pointer: UnsafePointer<nghttp2_frame_hd>) {
        let header = pointer.pointee
        if header.stream_id != 0, let user = nghttp2_session_get_stream_user_data(raw, header.stream_id) {
            let stream = Unmanaged<StreamState>.fromOpaque(user)
            stream._withUnsafeGuaranteedRef { $0.bytesReceived += 9 + header.length }
            current = stream
        } else {
            current = nil
        }
        guard violation == nil else { return }
        let type = Int32(header.type)
        let isFruitless: Bool
        switch UInt32(type) {
        case NGHTTP2_DATA.rawValue:
            isFruitless = header.length == 0 && header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) == 0
        case NGHTTP2_HEADERS.rawValue:
            continuationFrames = 0
            isFruitless = false
        case NGHTTP2_CONTINUATION.rawValue:
            continuationFrames += 1
            isFruitless = false
            if continuationFrames > limits.continuationFrames {
                violation = flood("more than \(limits.continuationFrames) CONTINUATION frames in one header block")
            }
        case NGHTTP2_PUSH_PROMISE.rawValue:
            isFruitless = false
            // RFC 9113 section 8.4: push is disabled by our SETTINGS.
            violation = protocolError("PUSH_PROMISE, though push is disabled", .protocolError)
        default:
            isFruitless = true
        }
        if isFruitless { addFruitless(type) }
    }

    private func addFruitless(_ type: Int32) {
        guard violation == nil, !fruitless.add(now: now) else { return }
        violation = flood("a flood of frames that bring nothing (the last of type \(FrameLog.name(type)))")
    }

    private func flood(_ what: String) -> H2Error {
        H2Error(
            .limitExceeded, scope: .connection, initiator: .local, cause: .http2(.enhanceYourCalm, debugText: ""),
            message: "the server sent \(what)", remedy: "the fault is the server's; see Configuration.Limits")
    }

    /// Whether nghttp2 has the stream: from when it writes the request's header fields down until the stream is closed.
    func isOpen(_ id: Int32) -> Bool { nghttp2_session_get_stream_user_data(raw, id) != nil }

    /// The stream that nghttp2 has open under an identifier. Unretained user data: see above.
    @inline(__always)
    func withOpenStream(_ id: Int32, _ body: (StreamState) -> Void) {
        guard let user = nghttp2_session_get_stream_user_data(raw, id) else { return }
        Unmanaged<StreamState>.fromOpaque(user)._withUnsafeGuaranteedRef(body)
    }

    /// The stream of the frame that is arriving.
    @inline(__always)
    private func withCurrent(_ body: (StreamState) -> Void) { current?._withUnsafeGuaranteedRef(body) }

    func beganHead() {
        scratch.removeAll()
        withCurrent { stream in
            if case .awaitingHead = stream.phase { return }
            stream.hasTrailers = true
        }
    }

    /// One header field; false resets the stream.
    func field(
        _ name: UnsafePointer<UInt8>, _ nameLength: Int, _ value: UnsafePointer<UInt8>?, _ valueLength: Int
    ) -> Bool {
        scratch.account(nameLength, valueLength)
        guard scratch.listSize <= limits.headerListSize else { return tooLarge() }
        if name[0] == UInt8(ascii: ":") {
            // nghttp2 lets only a three-digit :status through, before other fields, once.
            if let value {
                for index in 0..<valueLength { scratch.status = scratch.status * 10 + Int(value[index]) - 0x30 }
            }
            return true
        }
        scratch.append(name: name, nameLength: nameLength, value: value, valueLength: valueLength)
        return true
    }

    private func tooLarge() -> Bool {
        guard let current else { return true }
        let stream = current.takeUnretainedValue()
        stream.localFailure = H2Error(
            .limitExceeded, scope: .stream(stream.id), cause: .http2(.internalError, debugText: ""),
            message: "stream \(stream.id): the response's header fields exceed \(limits.headerListSize) bytes",
            remedy: "raise Configuration.Limits.headerListSize if they are legitimate")
        return false
    }

    func invalidField(_ field: String) {
        withCurrent { reject($0, "an invalid field: '\(field)'") }
    }

    func reject(_ stream: StreamState, _ what: String) {
        guard stream.localFailure == nil else { return }
        stream.localFailure = H2Error(
            .protocolViolation, scope: .stream(stream.id), cause: .http2(.protocolError, debugText: ""),
            message: "stream \(stream.id): the server sent \(what)",
            remedy: "the response is malformed (RFC 9113 section 8); the fault is the server's")
    }

    /// A frame that nghttp2 will answer with RST_STREAM or GOAWAY.
    func invalidFrame(_ status: CInt) {
        let text = diagnostic.isEmpty ? String(cString: nghttp2_strerror(status)) : diagnostic
        withCurrent { reject($0, "something invalid: \(text)") }
    }

    func receivedFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = ch2_frame_hd(frame).pointee
        let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            withCurrent { receivedHead($0, endsStream: endsStream) }
        case NGHTTP2_DATA.rawValue:
            if endsStream {
                withCurrent(receivedEnd)
            } else if header.length > 0, header.length == ch2_frame_data_padlen(frame) {
                // Padding alone is as empty as nothing.
                addFruitless(Int32(header.type))
            }
        case NGHTTP2_SETTINGS.rawValue:
            let isAck = header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0
            events.append(isAck ? .localSettingsAcknowledged : .remoteSettingsChanged)
        case NGHTTP2_PING.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 {
                let mark = UnsafeRawPointer(ch2_frame_ping_opaque(frame)!).loadUnaligned(as: UInt64.self).bigEndian
                events.append(.pingAcknowledged(mark))
            }
        case NGHTTP2_GOAWAY.rawValue:
            let frame = ch2_frame_goaway(frame).pointee
            goAway = GoAway(
                lastStreamID: frame.last_stream_id, code: ErrorCode(rawValue: frame.error_code),
                debugText: HTTP2Callbacks.escaped(frame.opaque_data, frame.opaque_data_len))
            events.append(.goAway)
        case NGHTTP2_RST_STREAM.rawValue:
            withCurrent { $0.remoteReset = ErrorCode(rawValue: ch2_frame_rst_error_code(frame)) }
        default: break
        }
        if let onFrame { log(frame, .received, onFrame) }
    }

    private func receivedHead(_ stream: StreamState, endsStream: Bool) {
        guard case .awaitingHead = stream.phase else {
            if stream.hasTrailers { stream.trailers = HeaderBlock(copying: scratch) }
            if endsStream { receivedEnd(stream) }
            return
        }
        if scratch.status < 100 {
            // nghttp2 asks for three digits alone.
            reject(stream, "an invalid field: ':status: \(scratch.status)'")
            return reset(stream, .protocolError)
        }
        if scratch.status < 200 {
            stream.informationalCount += 1
            if stream.informationalCount > limits.informationalResponses {
                stream.localFailure = H2Error(
                    .limitExceeded, scope: .stream(stream.id), cause: .http2(.enhanceYourCalm, debugText: ""),
                    message: "stream \(stream.id): more than \(limits.informationalResponses) informational responses",
                    remedy: "the fault is the server's; see Configuration.Limits")
                reset(stream, .enhanceYourCalm)
                return
            }
            stream.informational.append(
                InformationalHead(status: scratch.status, block: HeaderBlock(copying: scratch)))
            touch(stream)
            return
        }
        stream.status = scratch.status
        stream.head = HeaderBlock(copying: scratch)
        stream.phase = .body
        stream.firstByteAt = now
        if endsStream { receivedEnd(stream) } else { touch(stream) }
    }

    /// END_STREAM. nghttp2 has checked content-length by now; a mismatch came as an invalid frame instead.
    private func receivedEnd(_ stream: StreamState) {
        guard case .body = stream.phase, stream.localFailure == nil else { return }
        stream.phase = .ended
        stream.lastByteAt = now
        touch(stream)
        if !stream.isOutgoingDone {
            // The answer is whole: the rest of the request is of no use (RFC 9113 section 8.1). What it brought stays
            // for its reader, so this is no `reset`.
            nghttp2_submit_rst_stream(
                raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, ErrorCode.noError.rawValue)
            stream.stopSending()
        }
    }

    func receivedData(_ data: UnsafePointer<UInt8>, _ count: Int) {
        let bytes = UnsafeRawBufferPointer(start: data, count: count)
        guard let current, violation == nil else {
            credit(nil, window.arrived(count, buffered: false), count)
            return
        }
        current._withUnsafeGuaranteedRef { receivedData($0, bytes) }
    }

    private func receivedData(_ stream: StreamState, _ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count
        guard stream.localFailure == nil else {
            credit(nil, window.arrived(count, buffered: false), count)
            return
        }
        stream.bodyReceived += count
        switch stream.sink {
        case .buffer:
            stream.unread += count
            stream.body.append(contentsOf: bytes)
            credit(nil, window.arrived(count, buffered: true), 0)
        case .collect(let limit):
            if stream.body.count + count > limit {
                stream.localFailure = stream.bodyTooLarge(limit)
                reset(stream, .cancel)
            } else {
                stream.body.append(contentsOf: bytes)
            }
            credit(stream, window.arrived(count, buffered: false), count)
        case .nowhere:
            credit(stream, window.arrived(count, buffered: false), count)
        case .descriptor(let descriptor):
            let status = writeFully(descriptor, bytes)
            if status != 0 {
                stream.localFailure = H2Error.cannotWrite(status, stream: stream.id)
                reset(stream, .cancel)
            }
            credit(stream, window.arrived(count, buffered: false), count)
        }
        touch(stream)
    }

    private func credit(_ stream: StreamState?, _ connectionCount: Int, _ streamCount: Int) {
        if connectionCount > 0 { nghttp2_session_consume_connection(raw, connectionCount) }
        if let stream, streamCount > 0 { nghttp2_session_consume_stream(raw, stream.id, streamCount) }
    }

    /// nghttp2 has forgotten the stream: give its slot back and decide how it ended.
    func closed(_ id: Int32, _ code: ErrorCode) {
        withOpenStream(id) { closed($0, code) }
    }

    private func closed(_ stream: StreamState, _ code: ErrorCode) {
        guard stream.slot >= 0 else { return }
        let owned = openStreams.remove(stream)
        if current?.toOpaque() == owned.toOpaque() { current = nil }
        switch stream.phase {
        case .ended, .failed: break
        case .awaitingHead, .body: stream.phase = .failed(closeError(stream, code))
        }
        stream.stopSending()
        touch(stream)
        // `touched` keeps it now, and then only who waits for it.
        owned.release()
    }

    private func closeError(_ stream: StreamState, _ code: ErrorCode) -> H2Error {
        if let failure = stream.localFailure { return failure }
        if let goAway, stream.remoteReset == nil, stream.id > goAway.lastStreamID {
            return goAway.notProcessed(stream.id)
        }
        return H2Error.reset(
            stream: stream.id, code: code, by: stream.remoteReset == nil ? .local : .remote,
            hasAnswered: stream.firstByteAt != 0)
    }

    func notSent(_ frame: UnsafePointer<nghttp2_frame>, _ status: CInt) {
        let header = ch2_frame_hd(frame).pointee
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue else { return }
        let isRequest = ch2_frame_headers_category(frame) == NGHTTP2_HCAT_REQUEST
        withOpenStream(header.stream_id) { notSent($0, status, isRequest: isRequest) }
    }

    private func notSent(_ stream: StreamState, _ status: CInt, isRequest: Bool) {
        guard stream.localFailure == nil else { return }
        guard isRequest else {
            // Trailer fields. Where the stream is closing that is that; else the request would be left without an end.
            guard status == NGHTTP2_ERR_FRAME_SIZE_ERROR.rawValue else { return }
            stream.localFailure = H2Error(
                .invalidRequest, scope: .stream(stream.id), initiator: .user,
                message: "the trailer fields are larger than nghttp2 sends (64 KiB)", remedy: "send less in them")
            return reset(stream, .cancel)
        }
        if var cause = violation {
            // The peer broke the protocol while the request waited here: that, and not nghttp2's refusal, is the reason.
            cause.scope = .stream(stream.id)
            cause.message = "the request was not sent: \(cause.message)"
            cause.isRetryable = true
            stream.localFailure = cause
            return
        }
        if let goAway {
            stream.localFailure = goAway.notProcessed(stream.id)
            return
        }
        if status == NGHTTP2_ERR_FRAME_SIZE_ERROR.rawValue {
            stream.localFailure = H2Error(
                .invalidRequest, scope: .stream(stream.id), initiator: .user,
                message: "the request was not sent: its header fields are larger than nghttp2 sends (64 KiB)",
                remedy: "send less in header fields, and more in the body")
            return
        }
        stream.localFailure = H2Error(
            .notProcessed, scope: .stream(stream.id), cause: .none,
            message: "the request was not sent: \(String(cString: nghttp2_strerror(status)))",
            remedy: "send it on a new connection", isRetryable: true)
    }

    // MARK: - Request bodies

    /// The length of the next DATA frame, or nghttp2's DEFERRED.
    func nextBodyLength(_ stream: StreamState, limit: Int, flags: UnsafeMutablePointer<UInt32>) -> Int {
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        let available: Int
        switch stream.outgoing {
        case .awaitingChunk: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .bytes(let bytes, let offset): available = bytes.count - offset
        case .file(_, _, let remaining): available = remaining
        case .chunk(let bytes, let offset):
            // More chunks may follow: this one does not end the stream.
            return min(limit, bytes.count - offset)
        case .finished, .done: available = 0
        }
        if available <= limit {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if let trailers = stream.outgoingTrailers {
                stream.outgoingTrailers = nil
                do {
                    try submitTrailers(stream, trailers)
                } catch {
                    var error = error
                    error.scope = .stream(stream.id)
                    stream.localFailure = error
                    return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
                }
                flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                // nghttp2 sends no empty DATA frame ahead of trailers, so `sendData` will not hear of this end.
                if available == 0 { stream.stopSending() }
            }
        }
        return min(limit, available)
    }

    /// Appends one DATA frame to the output; false resets the stream.
    func sendData(_ stream: StreamState, _ header: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        let to = output.append(count: 9 + count)
        to.copyMemory(from: header, byteCount: 9)
        let payload = UnsafeMutableRawBufferPointer(start: to + 9, count: count)
        switch stream.outgoing {
        case .bytes(let bytes, let offset):
            copy(bytes, offset, to: payload)
            stream.outgoing = offset + count == bytes.count ? .done : .bytes(bytes, offset: offset + count)
        case .chunk(let bytes, let offset):
            copy(bytes, offset, to: payload)
            if offset + count == bytes.count {
                stream.outgoing = .awaitingChunk
                stream.wantsBody()
            } else {
                stream.outgoing = .chunk(bytes, offset: offset + count)
            }
        case .file(let descriptor, let offset, let remaining):
            guard readExactly(descriptor, offset: offset, into: payload) else {
                output.removeLast(9 + count)
                stream.localFailure = H2Error(
                    .localIO, scope: .stream(stream.id), initiator: .user,
                    message: "the request body's file became shorter, or cannot be read, at byte \(offset)",
                    remedy: "leave the file alone while it is sent")
                return false
            }
            if remaining == count {
                stream.stopSending()
            } else {
                stream.outgoing = .file(descriptor: descriptor, offset: offset + count, remaining: remaining - count)
            }
        case .finished: stream.stopSending()
        case .awaitingChunk, .done: break
        }
        sentData(9 + count)
        return true
    }

    private func copy(_ bytes: [UInt8], _ offset: Int, to payload: UnsafeMutableRawBufferPointer) {
        guard payload.count > 0 else { return }
        bytes.withUnsafeBytes {
            payload.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + payload.count]))
        }
    }

    func sentFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = ch2_frame_hd(frame).pointee
        if header.stream_id != 0 {
            withOpenStream(header.stream_id) { stream in
                stream.bytesSent += 9 + header.length
                if stream.sentAt == 0 { stream.sentAt = now }
            }
        }
        if UInt32(header.type) == NGHTTP2_GOAWAY.rawValue, violation == nil {
            let goAway = ch2_frame_goaway(frame).pointee
            if goAway.error_code != 0 {
                // nghttp2 has found a connection error on its own; its reason is the debug text.
                let reason = HTTP2Callbacks.escaped(goAway.opaque_data, goAway.opaque_data_len)
                violation = protocolError(
                    reason.isEmpty ? diagnostic : reason, ErrorCode(rawValue: goAway.error_code))
            }
        }
        if let onFrame { log(frame, .sent, onFrame) }
    }
}

extension StreamState {
    func bodyTooLarge(_ limit: Int) -> H2Error {
        H2Error(
            .bodyTooLarge, scope: .stream(id), initiator: .user,
            message: "the response's body is longer than \(limit) bytes",
            remedy: "collect more, or read it in pieces")
    }
}

extension HTTP2Session.GoAway {
    /// RFC 9113 section 6.8: streams above the last identifier were not and will not be processed.
    func notProcessed(_ id: Int32) -> H2Error {
        H2Error(
            .notProcessed, scope: .stream(id), initiator: .remote, cause: .http2(code, debugText: debugText),
            message: "\(id == 0 ? "the request" : "stream \(id)") was not processed: the server said GOAWAY "
                + "(last stream \(lastStreamID), \(describedCode))",
            remedy: "send it again on a new connection", isRetryable: true)
    }

    var describedCode: String { debugText.isEmpty ? "\(code)" : "\(code), \"\(debugText)\"" }
}

extension H2Error {
    /// - Parameter hasAnswered: whether the final response's head came, so that the request was processed after all.
    static func reset(
        stream id: Int32, code: ErrorCode, by initiator: Initiator, hasAnswered: Bool
    ) -> H2Error {
        let remedy =
            switch code {
            case .refusedStream where hasAnswered: "the server refused it after it had answered; its log may say why"
            case .refusedStream: "the server did not process it: send it again, with fewer at once"
            case .enhanceYourCalm: "the server wants less load: send fewer requests at once"
            case .http11Required: "the server wants HTTP/1.1 for this"
            case .internalError: "the server failed; its log may say why"
            case .cancel: "the server gave it up; its log may say why"
            case .noError: "the server ended it before its response was whole"
            default: "its log may say why"
            }
        let who = initiator == .remote ? "reset by server" : "reset by us"
        if initiator == .local && code == .protocolError {
            return H2Error(
                .protocolViolation, scope: .stream(id), initiator: .local, cause: .http2(code, debugText: ""),
                message: "stream \(id): the response's body does not match its header fields "
                    + "(content-length, or DATA where none may be)",
                remedy: "the response is malformed or was cut short; the fault is the server's")
        }
        return H2Error(
            .streamReset, scope: .stream(id), initiator: initiator, cause: .http2(code, debugText: ""),
            message: "stream \(id) \(who) (error \(code))", remedy: remedy,
            isRetryable: code == .refusedStream && initiator == .remote && !hasAnswered)
    }
}
