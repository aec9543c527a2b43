import HTTPTypes

/// The loop's side of an `HTTP1Connection`: one request at a time, the others in their order behind it.
///
/// A request that is given up after it left (cancelled, timed out, its response's body dropped before its end) ends the
/// connection, since HTTP/1.1 has no other way to be rid of a response. A response that was whole when its body was dropped
/// does not.
///
/// Invariant behind `@unchecked Sendable`: that of `ConnectionDriver`.
final class HTTP1Driver: ConnectionDriver, @unchecked Sendable {
    let session: HTTP1Session
    /// Whether everybody was told that no further request is taken.
    @exclusivity(unchecked) private var hasToldEnd = false
    /// Whether the wire is left alone until a reader has caught up.
    @exclusivity(unchecked) private var isReadingPaused = false
    /// The last response of whose `Keep-Alive` the owner was told, by its request's ordinal.
    @exclusivity(unchecked) private var toldLimitsOf = 0

    override init(wire: any Wire, info: ConnectionInfo, configuration: Configuration, loop: EventLoop) {
        session = HTTP1Session(origin: info.origin, configuration: configuration, now: loop.now)
        super.init(wire: wire, info: info, configuration: configuration, loop: loop)
    }

    // MARK: - Requests

    override var version: HTTPVersion { .http1 }
    override var hasFreeSlot: Bool { session.mayReuse }
    override var openStreamCount: Int { session.current == nil ? 0 : 1 }
    override var requests: Int { session.requests }
    override func forEachOpenStream(_ body: (StreamState) -> Void) {
        if let current = session.current { body(current) }
    }

    override func submit(_ exchange: Exchange, _ request: HTTPRequest, expectsContinue: Bool) throws(H2Error) {
        try session.submit(
            exchange, request, contentLength: exchange.contentLength, expectsContinue: expectsContinue,
            priority: exchange.options.priority)
        // It may have said that it is the last one.
        tellEnd()
        noteIdentifier(of: exchange, isCounted: exchange.lease != 0)
    }

    override func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) {
        try session.submit(stream, request)
        tellEnd()
        noteIdentifier(of: stream, isCounted: false)
    }

    override func reset(_ stream: StreamState) {
        session.reset(stream, isWriteUnderWay: isWriteBlocked)
        tellEnd()
        // Not in the middle of what the exchange is at.
        if session.isOver { loop.execute { _ = self.settle() } }
    }

    override func consumed(_ exchange: Exchange, _ count: Int) {
        session.consumed(exchange, count)
        guard isReadingPaused, session.wantsInput else { return }
        isReadingPaused = false
        if case .closed = state { return }
        restartStallTimer()
        wire.watch(readable: true, writable: isWriteBlocked)
        if wire.hasBufferedInput { loop.execute { self.ready(readable: true, writable: false) } }
    }

    override func isReaderBehind(_ exchange: Exchange) -> Bool { !session.wantsInput }
    override func dropUnread(_ exchange: Exchange) { session.dropUnread(exchange) }
    /// What there is to send is fetched in the flush, for which the exchange asks.
    override func resumeBody(_ exchange: Exchange) {}

    // MARK: - Bytes in

    override func digest(_ bytes: UnsafeRawBufferPointer) -> Bool {
        session.receive(bytes, now: loop.now)
        return settle()
    }

    override var wantsInput: Bool { session.wantsInput }

    override func finishReading() {
        // There are no windows: what a reader does not take is left in the socket, and so holds the server back.
        if !session.wantsInput {
            isReadingPaused = true
            wire.watch(readable: false, writable: isWriteBlocked)
        }
        if session.hasOutput { markDirty() }
    }

    override func ended(_ failure: H2Error?) {
        if case .closed = state { return }
        session.receivedEnd(failure, now: loop.now)
        tellEnd()
        session.tellTouched()
        die(
            failure
                ?? H2Error(
                    .connectionClosed, scope: .connection, initiator: .remote,
                    message: "the server closed the connection", remedy: "connect anew"),
            saying: nil)
    }

    /// Tells what has changed, and leaves where nothing can come any more. False where the connection has died.
    private func settle() -> Bool {
        if case .closed = state { return false }
        // The owner first: the exchange that is told may ask for a connection, and must not get this one.
        if owner != nil { tellLimits() }
        tellEnd()
        session.tellTouched()
        if case .closed = state { return false }
        guard session.isOver else { return true }
        die(endError, saying: nil)
        return false
    }

    private func tellEnd() {
        guard !hasToldEnd else { return }
        let why: String
        switch session.life {
        case .open: return
        case .closing(let reason): why = reason
        case .broken(let error): why = error.message
        }
        hasToldEnd = true
        drain(Self.draining(why))
        failWaiting { _ in
            var error = Self.draining(why)
            error.scope = .stream(0)
            return error
        }
    }

    /// With the end of each response the server's time limit for an idle connection begins anew.
    private func tellLimits() {
        guard session.mayReuse, toldLimitsOf != session.requests else { return }
        toldLimitsOf = session.requests
        let (remaining, idle) = (session.keepAliveRemaining, session.keepAliveTimeout)
        guard remaining != nil || idle != nil else { return }
        owner?.limitsAnnounced(self, requests: remaining, idle: idle.map { .seconds($0) })
    }

    private var endError: H2Error {
        switch session.life {
        case .broken(let error): error
        case .closing(let why):
            H2Error(
                .connectionClosed, scope: .connection, message: "the connection was closed: \(why)",
                remedy: "send it on a new connection", isRetryable: true)
        case .open:
            H2Error(.connectionClosed, scope: .connection, message: "the connection was closed", isRetryable: true)
        }
    }

    // MARK: - Bytes out

    override func fillOutput() -> H2Error? {
        if case .closed = state { return nil }
        session.fillOutput(limit: Self.outputLimit, now: loop.now)
        tellEnd()
        session.tellTouched()
        return session.isOver ? endError : nil
    }

    override var outputBytes: UnsafeRawBufferPointer { session.output.bytes }
    override func outputTaken(_ count: Int) { session.outputTaken(count, now: loop.now) }

    // MARK: - The end

    /// There are no last words, and half a request is none.
    override func sayFarewell(_ code: ErrorCode?) { session.output.removeFirst(session.output.count) }

    override func mayHaveLeft(_ stream: StreamState) -> Bool { stream.sentAt != 0 }
    override func failOpenStreams(_ error: (StreamState) -> H2Error) { session.failAll(error) }

    override func releaseSession() { session.release() }

    // MARK: - Facts

    override func countsOnly() {
        super.countsOnly()
        session.keepsFields = false
    }

    override func figures() -> DirectFigures {
        var figures = super.figures()
        (figures.receivedHTTP, figures.sentHTTP) = (session.bytesReceived, session.bytesSent)
        (figures.headers, figures.headersDecoded) = (session.headerBytes, session.headerBytes)
        return figures
    }

    override func snapshot() -> ConnectionSnapshot {
        let name: ConnectionSnapshot.State =
            switch state {
            case .active: .active
            case .retiring, .draining: .draining
            case .closed: .closed
            }
        let unread = session.current?.unread ?? 0
        return ConnectionSnapshot(
            state: name, localSettings: .http1, remoteSettings: .http1, openStreams: openStreamCount,
            waitingRequests: waitingCount, requests: session.requests, bytesSent: session.bytesSent,
            bytesReceived: session.bytesReceived, unreadBytes: unread,
            receiveWindow: max(configuration.windows.stream - unread, 0), sendWindow: 0, goAway: nil,
            roundTripTime: nil)
    }
}

extension ConnectionSnapshot.Settings {
    /// HTTP/1.1 has none: what it amounts to.
    fileprivate static let http1 = ConnectionSnapshot.Settings(
        headerTableSize: 0, maxConcurrentStreams: 1, initialWindowSize: 0, maxFrameSize: 0, maxHeaderListSize: nil)
}
