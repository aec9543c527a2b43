import CNghttp2

/// What a client may no longer send on streams that are over, where nghttp2 does not say so: it passes over frames on any stream
/// that it no longer knows, since they may have crossed a RST_STREAM of its own.
///
/// So this remembers what cannot have crossed: streams that the client itself reset, and those it passed over when it opened a
/// higher one. It remembers a limited number of each, and says nothing of those it has forgotten.
struct StreamHistory {
    private static let limit = 64

    private var highest: Int32 = 0
    /// The last `limit` streams that the client reset, in a ring.
    private var reset: [Int32] = []
    private var nextReset = 0
    /// Streams below `highest` that were never opened, in order.
    private var skipped: [ClosedRange<Int32>] = []

    /// To be called for each HEADERS frame; the error of the connection, if it is one.
    mutating func headers(on id: Int32) -> nghttp2_error_code? {
        if id > highest {
            if id - highest > 2 {
                if skipped.count == Self.limit { skipped.removeFirst() }
                skipped.append(highest + 1...id - 1)
            }
            highest = id
            return nil
        }
        // RFC 9113 section 5.1.1: a new stream has a higher number than all before it.
        if isSkipped(id) { return NGHTTP2_PROTOCOL_ERROR }
        return reset.contains(id) ? NGHTTP2_STREAM_CLOSED : nil
    }

    /// The same for each DATA frame.
    func data(on id: Int32) -> nghttp2_error_code? {
        // RFC 9113 section 5.1: a stream that was passed over is closed, like one that was reset.
        reset.contains(id) || isSkipped(id) ? NGHTTP2_STREAM_CLOSED : nil
    }

    /// The client has reset a stream.
    mutating func wasReset(_ id: Int32) {
        // One that was never opened is nghttp2's to refuse.
        guard id <= highest else { return }
        if reset.count < Self.limit {
            reset.append(id)
        } else {
            reset[nextReset] = id
            nextReset = (nextReset + 1) % Self.limit
        }
    }

    private func isSkipped(_ id: Int32) -> Bool {
        // Even numbers are not the client's, and nghttp2 says so.
        id & 1 == 1 && skipped.contains { $0.contains(id) }
    }
}
