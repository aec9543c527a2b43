import CNghttp2

/// Detects frames on closed streams that nghttp2 ignores.
///
/// nghttp2 ignores frames on streams that it no longer knows, because they may have crossed a RST_STREAM of its own. This
/// remembers streams for which that is impossible: those that the client itself reset, and those it skipped when it opened
/// a higher one. It remembers a limited number of each, and reports no error for older ones.
struct StreamHistory {
    private static let limit = 64

    private var highest: Int32 = 0
    /// The last `limit` streams that the client reset, in a ring buffer.
    private var reset: [Int32] = []
    private var nextReset = 0
    /// Streams below `highest` that were never opened, in order.
    private var skipped: [ClosedRange<Int32>] = []

    /// Records a HEADERS frame; returns the connection error that it causes, if any. Call this for each one.
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

    /// Returns the connection error that a DATA frame causes, if any.
    func data(on id: Int32) -> nghttp2_error_code? {
        // RFC 9113 section 5.1: a skipped stream is closed, like one that was reset.
        reset.contains(id) || isSkipped(id) ? NGHTTP2_STREAM_CLOSED : nil
    }

    /// Records a stream that the client reset.
    mutating func wasReset(_ id: Int32) {
        // nghttp2 rejects a reset of a stream that was never opened.
        guard id <= highest else { return }
        if reset.count < Self.limit {
            reset.append(id)
        } else {
            reset[nextReset] = id
            nextReset = (nextReset + 1) % Self.limit
        }
    }

    private func isSkipped(_ id: Int32) -> Bool {
        // Clients do not use even numbers, and nghttp2 rejects them.
        id & 1 == 1 && skipped.contains { $0.contains(id) }
    }
}
