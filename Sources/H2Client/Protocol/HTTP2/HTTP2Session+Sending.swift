import CNghttp2
import HTTPTypes

// Request bodies, requested by nghttp2.

extension HTTP2Session {
    // MARK: - Request bodies

    /// The length of the next DATA frame, or nghttp2's DEFERRED.
    func nextBodyLength(_ stream: StreamState, limit: Int, flags: UnsafeMutablePointer<UInt32>) -> Int {
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        let available: Int
        switch stream.outgoing {
        case .awaitingChunk: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .bytes(let bytes, let offset): available = bytes.count - offset
        case .file(let file):
            switch stream.piece(of: file, upTo: limit) {
            case .later: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
            case .failed: return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
            case .ready(let count):
                if count < file.remaining { return count }
                available = count
            }
        case .chunk(let bytes, let offset):
            // More chunks may follow, so this one does not end the stream.
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
                // nghttp2 sends no empty DATA frame before trailers, so `sendData` is not called for this end.
                if available == 0 { stream.stopSending() }
            }
        }
        return min(limit, available)
    }

    /// Appends one DATA frame to the output.
    func sendData(_ stream: StreamState, _ header: UnsafePointer<UInt8>, _ count: Int) {
        if stream.stallBeganAt != 0 { endUploadStall(stream) }
        let to = output.append(count: 9 + count)
        to.copyMemory(from: header, byteCount: 9)
        let payload = UnsafeMutableRawBufferPointer(start: to + 9, count: count)
        stream.takeOutgoing(into: payload)
        sentData(9 + count)
    }

    func sentFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = ch2_frame_hd(frame).pointee
        if header.stream_id != 0 {
            withOpenStream(header.stream_id) { stream in
                stream.bytesSent += 9 + header.length
                if stream.sentAt == 0 { stream.sentAt = now }
            }
        }
        if stallWatch != nil, UInt32(header.type) == NGHTTP2_WINDOW_UPDATE.rawValue {
            noteGrant(header.stream_id, Int(ch2_frame_window_increment(frame)))
        }
        if UInt32(header.type) == NGHTTP2_GOAWAY.rawValue, violation == nil {
            let goAway = ch2_frame_goaway(frame).pointee
            if goAway.error_code != 0 {
                // nghttp2 found a connection error itself; the debug text has its reason, if any.
                let reason = HTTP2Callbacks.escaped(goAway.opaque_data, goAway.opaque_data_len)
                let code = H2Error.HTTP2Code(rawValue: goAway.error_code)
                let reasons = [reason, diagnostic, "error \(code)"]
                violation = protocolError(reasons.first { !$0.isEmpty } ?? "", code)
            }
        }
        if let onFrame { log(frame, .sent, onFrame) }
    }
}
