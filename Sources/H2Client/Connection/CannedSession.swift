import HTTPTypes

/// The session of a `CannedResponse`: its chunks "arrive" when a flush asks for output while a reader waits.
///
/// The connection around it is a real one, so readers, their cancellation and their errors take the same way as with a server.
/// Nothing is ever sent.
///
/// Used on the connection's loop, except for `begin`, which comes before anyone else has the exchange. Unchecked exclusivity: for
/// that reason.
final class CannedSession: HTTPSession {
    /// Kept until the response ends or is given up, since it keeps this session.
    @exclusivity(unchecked) private var exchange: Exchange?
    @exclusivity(unchecked) private var chunks: ArraySlice<[UInt8]> = []
    @exclusivity(unchecked) private var end = CannedResponse.End.complete
    @exclusivity(unchecked) private var lastByteAt: UInt64 = 0
    /// The exchange, once something has changed.
    @exclusivity(unchecked) private var touched: Exchange?

    func begin(_ exchange: Exchange, _ chunks: [[UInt8]], then end: CannedResponse.End, lastByteAt: UInt64) {
        self.exchange = exchange
        // A chunk that a reader gets is never empty.
        self.chunks = chunks.filter { !$0.isEmpty }[...]
        self.end = end
        self.lastByteAt = lastByteAt
    }

    // MARK: - Arrivals

    func fillOutput(limit: Int, now: UInt64) {
        guard let exchange else { return }
        switch exchange.waiter {
        case .none, .head: break
        case .chunk:
            if let chunk = chunks.popFirst() { _ = arrive(chunk, exchange) } else { arriveEnd(exchange) }
        case .all, .end, .nobody:
            while let chunk = chunks.popFirst() {
                guard arrive(chunk, exchange) else { return }
            }
            arriveEnd(exchange)
        }
    }

    /// False if the reader does not take it, which has ended the exchange.
    private func arrive(_ chunk: [UInt8], _ exchange: Exchange) -> Bool {
        touched = exchange
        guard case .refused = chunk.withUnsafeBytes({ exchange.arrived($0) }), let error = exchange.localFailure else {
            return true
        }
        exchange.fail(error)
        return false
    }

    private func arriveEnd(_ exchange: Exchange) {
        switch end {
        case .complete:
            exchange.phase = .ended
            exchange.lastByteAt = lastByteAt
        case .failure(let error): exchange.phase = .failed(error)
        case .stall: return
        }
        touched = exchange
        self.exchange = nil
    }

    func tellTouched() {
        guard let exchange = touched else { return }
        touched = nil
        exchange.progressed()
    }

    func consumed(_ stream: StreamState) { stream.unread = 0 }

    func giveUp(_ stream: StreamState, isWriteUnderWay: Bool) {
        exchange = nil
        chunks = []
    }

    func dropUnread(_ stream: StreamState) {}

    // MARK: - What no canned response needs

    var hasFreeSlot: Bool { false }
    var openStreamCount: Int { exchange == nil ? 0 : 1 }
    func forEachOpenStream(_ body: (StreamState) -> Void) {
        if let exchange { body(exchange) }
    }
    func submit(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: HTTPPriority?
    ) throws(H2Error) { throw Self.noServer }
    func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) { throw Self.noServer }
    private static let noServer = H2Error(.connectionDraining, message: "a canned response has no server")
    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) {}
    func receivedEnd(_ failure: H2Error?, now: UInt64) -> H2Error { Self.noServer }
    var failure: H2Error? { nil }
    var hasOutput: Bool { false }
    var outputBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
    func outputTaken(_ count: Int, now: UInt64) {}
    func failAll(_ error: (StreamState, _ mayHaveLeft: Bool) -> H2Error) {}
    func release() {}
    func countsOnly(roundTrip: UInt64) {}
    var counts: SessionCounts { SessionCounts() }
    var snapshot: ConnectionSnapshot { ConnectionSnapshot() }
}

/// The wire of a `CannedResponse`, which nothing reads or writes.
final class CannedWire: Wire {
    var hasBufferedInput: Bool { false }
    var failure: H2Error? { nil }
    func read(into buffer: UnsafeMutableRawBufferPointer) -> WireResult { .wouldBlock }
    func write(_ bytes: UnsafeRawBufferPointer) -> WireResult { .bytes(bytes.count) }
    func attach(to loop: H2EventLoop, handler: any ReadinessHandler) {}
    func watch(readable: Bool, writable: Bool) {}
    func close() {}
}
