import CNghttp2

// Measures what bodies wait for, if requested (`stallWatch`).

extension HTTP2Session {
    func watchStalls(of stream: StreamState, sendsBody: Bool) {
        if stream.windowWatch != nil { stream.windowWatch = nil }
        stream.stallBeganAt = 0
        stream.stalled = 0
        if sendsBody { stallWatch?.sendsBodies = true }
    }

    // MARK: - Response bodies

    func noteArrival(_ stream: StreamState, _ count: Int) {
        guard let roundTrip = stallWatch?.roundTrip else { return }
        var waitedForItsOwn = false
        if stream.windowWatch != nil {
            let lost = stream.windowWatch?.arrived(count, now: now, roundTrip: roundTrip) ?? 0
            counts.stalls.downloadStream.addClamped(lost)
            stream.stalled.addClamped(lost)
            waitedForItsOwn = lost > 0
        } else if stream.bodyReceived + count >= window.stream / 4 {
            // No window is credited before half of it is used, and small bodies must cost nothing.
            stream.windowWatch = WindowWatch(window: window.stream)
            _ = stream.windowWatch?.arrived(stream.bodyReceived + count, now: now, roundTrip: roundTrip)
        }
        let lost = stallWatch?.connection.arrived(count, now: now, roundTrip: roundTrip) ?? 0
        guard lost > 0 else { return }
        counts.stalls.downloadConnection.addClamped(lost &* UInt64(openStreams.count))
        openStreams.forEach {
            // A wait for both windows is one wait.
            guard case .body = $0.phase, $0 !== stream || !waitedForItsOwn else { return }
            $0.stalled.addClamped(lost)
        }
    }

    /// Our WINDOW_UPDATE was serialised.
    func noteGrant(_ id: Int32, _ bytes: Int) {
        if id == 0 {
            stallWatch?.connection.granted(bytes, now: now)
        } else {
            withOpenStream(id) { $0.windowWatch?.granted(bytes, now: now) }
        }
    }

    // MARK: - Request bodies

    /// nghttp2 has nothing more to send: determines which window the unfinished bodies are waiting for.
    func noteUploadStalls() {
        guard stallWatch?.sendsBodies == true, !isOutputFull else { return }
        let isConnectionShut = nghttp2_session_get_remote_window_size(raw) <= 0
        openStreams.forEach { stream in
            guard stream.stallBeganAt == 0, stream.sentAt != 0, !stream.isOutgoingDone else { return }
            if case .awaitingChunk = stream.outgoing { return }
            guard isConnectionShut || nghttp2_session_get_stream_remote_window_size(raw, stream.id) <= 0 else { return }
            stream.stallBeganAt = now
            stream.isStalledByConnection = isConnectionShut
        }
    }

    func endUploadStall(_ stream: StreamState) {
        let time = now > stream.stallBeganAt ? now - stream.stallBeganAt : 0
        stream.stalled.addClamped(time)
        if stream.isStalledByConnection {
            counts.stalls.uploadConnection.addClamped(time)
        } else {
            counts.stalls.uploadStream.addClamped(time)
        }
        stream.stallBeganAt = 0
    }
}

extension UInt64 {
    /// Adds, clamped to the maximum: nanoseconds of many streams over days do not fit in 64 bits.
    package mutating func addClamped(_ other: UInt64) {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        self = isTooLarge ? .max : sum
    }
}
