import CNghttp2

// What bodies wait for, measured where somebody asks for it (`stallWatch`).

extension HTTP2Session {
    func watchStalls(of stream: StreamState, sendsBody: Bool) {
        if stream.windowWatch != nil { stream.windowWatch = nil }
        stream.stallBeganAt = 0
        if sendsBody { stallWatch?.sendsBodies = true }
    }

    // MARK: - Bodies of responses

    func noteArrival(_ stream: StreamState, _ count: Int) {
        guard let roundTrip = stallWatch?.roundTrip else { return }
        if stream.windowWatch != nil {
            counts.stalls.downloadStream.addClamped(
                stream.windowWatch?.arrived(count, now: now, roundTrip: roundTrip) ?? 0)
        } else if stream.bodyReceived + count >= window.stream / 4 {
            // Before a half of it is used up no window is widened, and small bodies shall cost nothing.
            stream.windowWatch = WindowWatch(window: window.stream)
            _ = stream.windowWatch?.arrived(stream.bodyReceived + count, now: now, roundTrip: roundTrip)
        }
        let lost = stallWatch?.connection.arrived(count, now: now, roundTrip: roundTrip) ?? 0
        if lost > 0 { counts.stalls.downloadConnection.addClamped(lost &* UInt64(openStreams.count)) }
    }

    /// A WINDOW_UPDATE of ours has been written down.
    func noteGrant(_ id: Int32, _ bytes: Int) {
        if id == 0 {
            stallWatch?.connection.granted(bytes, now: now)
        } else {
            withOpenStream(id) { $0.windowWatch?.granted(bytes, now: now) }
        }
    }

    // MARK: - Bodies of requests

    /// nghttp2 has nothing more to send: a body that is not at its end waits for a window, and for which is to be seen.
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
        if stream.isStalledByConnection {
            counts.stalls.uploadConnection.addClamped(time)
        } else {
            counts.stalls.uploadStream.addClamped(time)
        }
        stream.stallBeganAt = 0
    }
}

extension UInt64 {
    /// Adds, and stays at the end: nanoseconds of very many streams over days do not fit into 64 bits.
    package mutating func addClamped(_ other: UInt64) {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        self = isTooLarge ? .max : sum
    }
}
