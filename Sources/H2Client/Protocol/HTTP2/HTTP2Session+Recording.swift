import CNghttp2
import HTTPTypes

// Recording from nghttp2's callbacks.

extension HTTP2Session {
    /// Handles every frame header that arrives, including CONTINUATION, for figures and flood protection.
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
        // nghttp2's message about an earlier frame does not explain this one.
        if !diagnostic.isEmpty { diagnostic = "" }
        let type = Int32(header.type)
        let isControl: Bool
        switch UInt32(type) {
        case NGHTTP2_DATA.rawValue:
            isControl = header.length == 0 && header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) == 0
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_CONTINUATION.rawValue:
            counts.headers += header.length
            isControl = false
        case NGHTTP2_PUSH_PROMISE.rawValue:
            isControl = false
            // RFC 9113 section 8.4: our SETTINGS disable push.
            violation = protocolError("PUSH_PROMISE, though push is disabled", .protocolError)
        case NGHTTP2_PRIORITY_UPDATE.rawValue:
            isControl = false
            // RFC 9218 section 7.1.
            violation = protocolError("PRIORITY_UPDATE, which is a client's to send", .protocolError)
        case NGHTTP2_ORIGIN.rawValue:
            isControl = true
            originPayload.removeAll(keepingCapacity: true)
        default:
            isControl = true
        }
        if isControl { spendControlFrame(type) }
    }

    func spendControlFrame(_ type: Int32) {
        guard violation == nil, !controlFrameBudget.add(now: now) else { return }
        violation = flood("a flood of frames that bring nothing (the last of type \(FrameLog.name(type)))")
    }

    func flood(_ what: String) -> H2Error {
        H2Error(
            .limitExceeded, scope: .connection, initiator: .local, cause: .http2(.enhanceYourCalm, debugText: ""),
            message: "the server sent \(what)", remedy: "the fault is the server's; see ConnectionConfiguration.Limits")
    }

    /// Whether nghttp2 knows the stream: from serialising the request's header fields until the stream is closed.
    func isOpen(_ id: Int32) -> Bool { nghttp2_session_get_stream_user_data(raw, id) != nil }

    /// The stream that nghttp2 has open under this identifier. Unretained user data: see `HTTP2Callbacks`.
    @inline(__always)
    func withOpenStream(_ id: Int32, _ body: (StreamState) -> Void) {
        guard let user = nghttp2_session_get_stream_user_data(raw, id) else { return }
        Unmanaged<StreamState>.fromOpaque(user)._withUnsafeGuaranteedRef(body)
    }

    /// The stream of the current frame.
    @inline(__always)
    func withCurrent(_ body: (StreamState) -> Void) { current?._withUnsafeGuaranteedRef(body) }

    func beganHead() {
        scratch.removeAll()
        withCurrent { stream in
            if case .awaitingHead = stream.phase { return }
            stream.hasTrailers = true
        }
    }

    /// Records a header field. Returning false resets the stream.
    func field(
        _ name: UnsafePointer<UInt8>, _ nameLength: Int, _ value: UnsafePointer<UInt8>?, _ valueLength: Int
    ) -> Bool {
        if let large = inbound.takeLarge(name, nameLength, value, valueLength) {
            return largeField(name, nameLength, large)
        }
        scratch.account(nameLength, valueLength)
        counts.headersDecoded += nameLength + valueLength
        guard scratch.listSize <= limits.headerListSize else { return tooLarge() }
        if name[0] == UInt8(ascii: ":") {
            // nghttp2 accepts only a single three-digit :status, before other fields.
            if let value {
                for index in 0..<valueLength { scratch.status = scratch.status * 10 + Int(value[index]) - 0x30 }
            }
            return true
        }
        guard keepsFields else { return true }
        guard scratch.count < limits.headerFields else { return tooLarge() }
        scratch.append(name: name, nameLength: nameLength, value: value, valueLength: valueLength)
        return true
    }

    /// Records a field too large for nghttp2.
    private func largeField(_ name: UnsafePointer<UInt8>, _ nameLength: Int, _ large: LargeField) -> Bool {
        guard let value = large.value else { return tooLarge() }
        scratch.account(nameLength, value.count)
        counts.headersDecoded += nameLength + value.count
        guard scratch.listSize <= limits.headerListSize, scratch.count < limits.headerFields else { return tooLarge() }
        return value.withUnsafeBufferPointer { value in
            // As nghttp2 checks the fields that it sees.
            guard nghttp2_check_header_value(value.baseAddress, value.count) != 0 else {
                invalidField(
                    HTTP2Callbacks.escaped(name, nameLength) + ": "
                        + HTTP2Callbacks.escaped(value.baseAddress, value.count))
                return current == nil
            }
            if keepsFields {
                scratch.append(
                    name: name, nameLength: nameLength, value: value.baseAddress, valueLength: value.count)
            }
            return true
        }
    }

    func tooLarge() -> Bool {
        let (excess, option) =
            scratch.count < limits.headerFields
            ? ("exceed \(limits.headerListSize) bytes", "headerListSize")
            : ("are more than \(limits.headerFields)", "headerFields")
        withCurrent { stream in
            stream.localFailure = H2Error(
                .limitExceeded, scope: .stream(stream.id), cause: .http2(.internalError, debugText: ""),
                message: "stream \(stream.id): the response's header fields \(excess)",
                remedy: "raise ConnectionConfiguration.Limits.\(option) if they are legitimate")
        }
        return current == nil
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
        if status == NGHTTP2_ERR_FLOW_CONTROL.rawValue {
            // WINDOW_UPDATE or SETTINGS: DATA beyond our own windows is reported differently.
            return withCurrent { stream in
                guard stream.localFailure == nil else { return }
                stream.localFailure = H2Error(
                    .protocolViolation, scope: .stream(stream.id), cause: .http2(.flowControlError, debugText: ""),
                    message:
                        "stream \(stream.id): the server raised the window for the request's body beyond 2^31 - 1 bytes",
                    remedy: "that is no valid window (RFC 9113 section 6.9.1); the fault is the server's")
            }
        }
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
                // A frame with only padding is as useless as an empty one.
                spendControlFrame(Int32(header.type))
            }
        case NGHTTP2_SETTINGS.rawValue:
            let isAck = header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0
            if isAck { acknowledgedSettings() } else { noteStreamLimit() }
            events.append(isAck ? .localSettingsAcknowledged : .remoteSettingsChanged)
        case NGHTTP2_PING.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 {
                let mark = UnsafeRawPointer(ch2_frame_ping_opaque(frame)!).loadUnaligned(as: UInt64.self).bigEndian
                events.append(.pingAcknowledged(mark))
            }
        case NGHTTP2_GOAWAY.rawValue:
            let frame = ch2_frame_goaway(frame).pointee
            goAway = ConnectionSnapshot.GoAway(
                lastStreamID: frame.last_stream_id, code: H2Error.HTTP2Code(rawValue: frame.error_code),
                debugText: HTTP2Callbacks.escaped(frame.opaque_data, frame.opaque_data_len))
            events.append(.goAway)
            hasGoneAway = true
        case NGHTTP2_RST_STREAM.rawValue:
            withCurrent { $0.remoteReset = H2Error.HTTP2Code(rawValue: ch2_frame_rst_error_code(frame)) }
        case NGHTTP2_ORIGIN.rawValue:
            // RFC 8336 section 2.2: these flags are reserved, and the frame has no meaning on a stream or in cleartext.
            if header.stream_id == 0, header.flags & 0x0f == 0, origin.scheme == .https { receivedOrigins() }
        default: break
        }
        if let onFrame { log(frame, .received, onFrame) }
    }

    func receivedOriginBytes(_ data: UnsafePointer<UInt8>, _ count: Int) {
        originPayload.append(contentsOf: UnsafeBufferPointer(start: data, count: count))
    }

    private func receivedOrigins() {
        guard let entries = OriginSet.entries(originPayload) else { return }
        var set = originSet ?? OriginSet(origin)
        var hasChanged = originSet == nil
        for entry in entries where set.add(entry) { hasChanged = true }
        guard hasChanged else { return }
        originSet = set
        events.append(.originSetChanged)
    }

    func receivedHead(_ stream: StreamState, endsStream: Bool) {
        guard case .awaitingHead = stream.phase else {
            if stream.hasTrailers { stream.trailers = HeaderBlock(copying: scratch) }
            if endsStream { receivedEnd(stream) }
            return
        }
        if scratch.status < 100 {
            // nghttp2 only checks for three digits.
            reject(stream, "an invalid field: ':status: \(scratch.status)'")
            return reset(stream, .protocolError)
        }
        if scratch.status < 200 {
            if !stream.mayTakeInformational(scratch.listSize, limits, now: now) {
                stream.localFailure = H2Error(
                    .limitExceeded, scope: .stream(stream.id), cause: .http2(.enhanceYourCalm, debugText: ""),
                    message: "stream \(stream.id): the server sent \(limits.informationalExcess)",
                    remedy: "the fault is the server's; see ConnectionConfiguration.Limits")
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

    /// END_STREAM. nghttp2 has verified content-length by now; on a mismatch it has reset the stream instead.
    func receivedEnd(_ stream: StreamState) {
        guard case .body = stream.phase, stream.localFailure == nil else { return }
        stream.phase = .ended
        stream.lastByteAt = now
        touch(stream)
        if !stream.isOutgoingDone {
            // The response is complete, so the rest of the request is not needed (RFC 9113 section 8.1). The received part
            // stays for its reader, so this does not call `reset`.
            nghttp2_submit_rst_stream(
                raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, H2Error.HTTP2Code.noError.rawValue)
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

    func receivedData(_ stream: StreamState, _ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count
        if stallWatch != nil { noteArrival(stream, count) }
        guard stream.localFailure == nil else {
            credit(nil, window.arrived(count, buffered: false), count)
            return
        }
        switch stream.arrived(bytes) {
        case .buffered: credit(nil, window.arrived(count, buffered: true), 0)
        case .taken: credit(stream, window.arrived(count, buffered: false), count)
        case .refused:
            reset(stream, .cancel)
            credit(stream, window.arrived(count, buffered: false), count)
        }
        touch(stream)
    }

    func credit(_ stream: StreamState?, _ connectionCount: Int, _ streamCount: Int) {
        if connectionCount > 0 { nghttp2_session_consume_connection(raw, connectionCount) }
        if let stream, streamCount > 0 { nghttp2_session_consume_stream(raw, stream.id, streamCount) }
    }

    /// nghttp2 closed the stream: frees its slot and decides how it ended.
    func closed(_ id: Int32, _ code: H2Error.HTTP2Code) {
        withOpenStream(id) { closed($0, code) }
    }

    func closed(_ stream: StreamState, _ code: H2Error.HTTP2Code) {
        guard stream.slot >= 0 else { return }
        let owned = openStreams.remove(stream)
        if current?.toOpaque() == owned.toOpaque() { current = nil }
        switch stream.phase {
        case .ended, .failed: break
        case .awaitingHead, .body: stream.phase = .failed(closeError(stream, code))
        }
        stream.stopSending()
        touch(stream)
        // Now `touched` keeps it, and after that only the waiting callers.
        owned.release()
    }

    func closeError(_ stream: StreamState, _ code: H2Error.HTTP2Code) -> H2Error {
        if let failure = stream.localFailure { return failure }
        if let goAway, stream.remoteReset == nil, stream.id > goAway.lastStreamID {
            return goAway.notProcessed(stream.id)
        }
        return H2Error.reset(
            stream: stream.id, code: code, by: stream.remoteReset == nil ? .local : .remote,
            headArrived: stream.firstByteAt != 0)
    }

    func notSent(_ frame: UnsafePointer<nghttp2_frame>, _ status: CInt) {
        let header = ch2_frame_hd(frame).pointee
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue else { return }
        let isRequest = ch2_frame_headers_category(frame) == NGHTTP2_HCAT_REQUEST
        withOpenStream(header.stream_id) { notSent($0, status, isRequest: isRequest) }
    }

    func notSent(_ stream: StreamState, _ status: CInt, isRequest: Bool) {
        guard stream.localFailure == nil else { return }
        guard isRequest else {
            // Trailer fields. If the stream is closing, ignore it; otherwise the request would never end.
            guard status == NGHTTP2_ERR_FRAME_SIZE_ERROR.rawValue else { return }
            stream.localFailure = H2Error(
                .invalidRequest, scope: .stream(stream.id), initiator: .user,
                message: "the trailer fields are larger than \(Self.sentHeaderLimit >> 20) MiB",
                remedy: "send less in them")
            return reset(stream, .cancel)
        }
        if var cause = violation {
            // The peer violated the protocol while the request waited here: that is the cause, not nghttp2's refusal.
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
                message:
                    "the request was not sent: its header fields are larger than \(Self.sentHeaderLimit >> 20) MiB",
                remedy: "send less in header fields, and more in the body")
            return
        }
        stream.localFailure = H2Error(
            .notProcessed, scope: .stream(stream.id), cause: .unknown,
            message: "the request was not sent: \(String(cString: nghttp2_strerror(status)))",
            remedy: "send it on a new connection", isRetryable: true)
    }
}
