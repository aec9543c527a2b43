import CNghttp2
import HTTPTypes

// Request bodies, as nghttp2 asks for them.

extension HTTP2Session {
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

    func copy(_ bytes: [UInt8], _ offset: Int, to payload: UnsafeMutableRawBufferPointer) {
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
                // nghttp2 has found a connection error on its own; its reason is the debug text, if it gives one.
                let reason = HTTP2Callbacks.escaped(goAway.opaque_data, goAway.opaque_data_len)
                let code = ErrorCode(rawValue: goAway.error_code)
                let reasons = [reason, diagnostic, "error \(code)"]
                violation = protocolError(reasons.first { !$0.isEmpty } ?? "", code)
            }
        }
        if let onFrame { log(frame, .sent, onFrame) }
    }
}
