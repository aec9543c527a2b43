// How bodies move between a stream and its connection, in either HTTP version.

extension StreamState {
    /// The result for received body bytes.
    enum Arrival {
        /// They wait in `body` for their reader.
        case buffered
        /// They were delivered or discarded.
        case taken
        /// They cannot be taken (see `localFailure`), and the stream must end.
        case refused
    }

    /// Delivers received body bytes to the sink.
    @inline(__always)
    final func arrived(_ bytes: UnsafeRawBufferPointer) -> Arrival {
        bodyReceived += bytes.count
        switch sink {
        case .buffer:
            unread += bytes.count
            body.append(contentsOf: bytes)
            return .buffered
        case .collect(let limit):
            guard body.count + bytes.count <= limit else {
                localFailure = bodyTooLarge(limit)
                return .refused
            }
            body.append(contentsOf: bytes)
            return .taken
        case .nowhere:
            if let digest { digest.add(bytes) }
            return .taken
        }
    }

    /// The part of a body's file that can be sent now.
    enum FilePiece {
        case ready(Int)
        /// The body is resumed when it is loaded.
        case later
        /// See `localFailure`; the stream must end.
        case failed
    }

    /// Prepares the next piece of a body's file, of at most `limit` bytes.
    final func piece(of file: FileBody, upTo limit: Int) -> FilePiece {
        while true {
            switch file.piece(upTo: limit) {
            case .ready(let count): return .ready(count)
            case .later: return .later
            case .onDisk:
                if !load(file) { return .later }
            case .failed:
                localFailure = H2Error.bodyFileFailed(at: file.offset, scope: .stream(id))
                return .failed
            }
        }
    }

    /// Fills `payload` with the next bytes of the request's body; the body has that many ready.
    @inline(__always)
    final func takeOutgoing(into payload: UnsafeMutableRawBufferPointer) {
        let count = payload.count
        switch outgoing {
        case .bytes(let bytes, let offset):
            Self.copy(bytes, offset, to: payload)
            if offset + count == bytes.count { stopSending() } else { outgoing = .bytes(bytes, offset: offset + count) }
        case .chunk(let bytes, let offset):
            Self.copy(bytes, offset, to: payload)
            if offset + count == bytes.count {
                outgoing = .awaitingChunk
                wantsBody()
            } else {
                outgoing = .chunk(bytes, offset: offset + count)
            }
        case .file(let file):
            if count > 0 { file.take(into: payload) }
            if file.remaining == 0 { stopSending() }
        case .finished: stopSending()
        case .awaitingChunk, .done: break
        }
    }

    private static func copy(_ bytes: [UInt8], _ offset: Int, to payload: UnsafeMutableRawBufferPointer) {
        guard payload.count > 0 else { return }
        bytes.withUnsafeBytes {
            payload.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + payload.count]))
        }
    }
}
