import HTTPTypes

/// The loop's side of an `HTTP2Connection`: session, slots, pings.
///
/// Invariant behind `@unchecked Sendable`: that of `ConnectionDriver`.
final class HTTP2Multiplexer: ConnectionDriver, @unchecked Sendable {
    let session: HTTP2Session

    private struct Ping {
        let sentAt: UInt64
        let completion: (Result<Duration, H2Error>) -> Void
        let timer: LoopTimer
    }
    @exclusivity(unchecked) private var pings: [UInt64: Ping] = [:]
    @exclusivity(unchecked) private var lastPing: UInt64 = 0
    @exclusivity(unchecked) private var roundTripTime: Duration?
    @exclusivity(unchecked) private var settingsTimer: LoopTimer?
    @exclusivity(unchecked) private var keepAlive: KeepAlivePing?
    /// nil while there is nothing to watch.
    @exclusivity(unchecked) private var keepAliveTimer: LoopTimer?
    @exclusivity(unchecked) private var keepAlivePings: UInt64 = 0
    @exclusivity(unchecked) private var pingAcknowledgements = 0
    @exclusivity(unchecked) private var doubt: PeerDoubt
    /// Whether the owner was told to give it no requests until the peer says something.
    @exclusivity(unchecked) private var isSetAside = false
    /// What the owner was told last.
    @exclusivity(unchecked) private var knownStreamLimit = 0

    override init(wire: any Wire, info: ConnectionInfo, configuration: Configuration, loop: EventLoop) {
        session = HTTP2Session(
            origin: info.origin, configuration: configuration, connectionID: info.id, now: loop.now)
        let keepAlive = KeepAlivePing(configuration.keepAlive)
        self.keepAlive = keepAlive
        doubt = PeerDoubt(roundTrip: info.connect.clampedNanoseconds, mayAsk: keepAlive != nil)
        super.init(wire: wire, info: info, configuration: configuration, loop: loop)
        knowsStreamLimit = false
    }

    /// Attaches the wire and sends the preface.
    override func activate() {
        awaitAcknowledgement()
        if keepAlive?.whileIdle == true { watchPeer() }
        super.activate()
    }

    /// Ends the connection where the server does not acknowledge our SETTINGS in time.
    private func awaitAcknowledgement() {
        let limit = configuration.timeouts.settings
        settingsTimer = loop.schedule(after: limit.clampedNanoseconds) {
            self.die(
                H2Error(
                    .timeout, scope: .connection, cause: .timeout(.settings, after: limit),
                    message: "the server did not acknowledge our SETTINGS within \(limit)",
                    remedy: "does it speak HTTP/2 here?"),
                saying: ErrorCode.settingsTimeout)
        }
    }

    // MARK: - Requests

    override var version: HTTPVersion { .http2 }
    override var hasFreeSlot: Bool { session.hasFreeSlot }
    override var goAwayCode: ErrorCode? { session.goAway?.code }
    override var openStreamCount: Int { session.openStreams.count }
    override var requests: Int { session.requests }
    override var maxConcurrentStreams: Int { session.maxConcurrentStreams }
    override func forEachOpenStream(_ body: (StreamState) -> Void) { session.openStreams.forEach(body) }

    override func submit(
        _ exchange: Exchange, _ request: HTTPRequest, expectsContinue: Bool
    ) throws(H2Error) {
        try session.submit(
            exchange, request, contentLength: exchange.contentLength, expectsContinue: expectsContinue,
            priority: exchange.options.priority)
        if keepAliveTimer == nil { watchPeer() }
        noteIdentifier(of: exchange, isCounted: exchange.lease != 0)
    }

    override func submit(_ stream: StreamState, _ request: PreparedRequest) throws(H2Error) {
        try session.submit(stream, request)
        if keepAliveTimer == nil { watchPeer() }
        noteIdentifier(of: stream, isCounted: false)
    }

    override func reset(_ stream: StreamState) { session.reset(stream, .cancel) }
    override func consumed(_ exchange: Exchange, _ count: Int) { session.consumed(exchange, count) }
    override func isReaderBehind(_ exchange: Exchange) -> Bool { session.isReaderBehind(exchange) }
    override func dropUnread(_ exchange: Exchange) { session.dropUnread(exchange) }
    override func resumeBody(_ exchange: Exchange) { session.resumeBody(exchange) }

    /// RFC 9113 section 9.1.1, and RFC 8336 section 2.4 where the server sends ORIGIN.
    override func mayServe(_ origin: Origin) -> Bool {
        wire.isCertificateValid(for: origin.host) && session.originSet?.contains(origin) ?? true
    }

    // MARK: - Bytes in

    override func digest(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // To nghttp2 this would be a frame of absurd length, and its own GOAWAY the only trace of it.
        if session.bytesReceived == 0 && bytes.prefix(5).elementsEqual("HTTP/".utf8) {
            die(Self.answeredHTTP1(), saying: nil)
            return false
        }
        do {
            try session.receive(bytes, now: loop.now)
        } catch {
            die(error, saying: nil)
            return false
        }
        if isSetAside {
            isSetAside = false
            owner?.trusted(self)
        }
        if !session.events.isEmpty { handleEvents() }
        if session.awaitsSmallWindows, settingsTimer == nil { awaitAcknowledgement() }
        if case .closed = state { return false }
        return true
    }

    private static func answeredHTTP1() -> H2Error {
        H2Error(
            .http2NotNegotiated, scope: .connection, initiator: .remote,
            message: "the server answered HTTP/1.1 to HTTP/2",
            remedy: "it does not speak cleartext HTTP/2 by prior knowledge here; try https or HTTP/1.1")
    }

    override func finishReading() {
        // nghttp2 passes over all input from here on, and a server that does not read will never get the GOAWAY.
        if isWriteBlocked, let violation = session.unsentViolation { return die(violation, saying: nil) }
        if session.hasOutput { markDirty() }
    }

    private func handleEvents() {
        let events = session.events
        session.events.removeAll(keepingCapacity: true)
        for event in events {
            switch event {
            case .remoteSettingsChanged: remoteSettingsChanged()
            case .localSettingsAcknowledged:
                if let settingsTimer { loop.cancel(settingsTimer) }
                settingsTimer = nil
            case .pingAcknowledged(let mark):
                pingAcknowledgements += 1
                if mark & HTTP2Session.probeMark == HTTP2Session.probeMark {
                    session.probeReturned()
                } else if let ping = pings.removeValue(forKey: mark) {
                    loop.cancel(ping.timer)
                    let time = Duration(nanoseconds: loop.preciseNow &- ping.sentAt)
                    roundTripTime = time
                    ping.completion(.success(time))
                }
            case .goAway: receivedGoAway()
            case .originSetChanged: owner?.originsChanged(self)
            }
            if case .closed = state { return }
        }
    }

    private func receivedGoAway() {
        guard let goAway = session.goAway else { return }
        // The notice that a graceful shutdown begins names the largest identifier there is (RFC 9113 section 6.8).
        let isCount = goAway.code == .noError && goAway.lastStreamID != Int32.max
        // The answers may come behind it; what is left over is told now, and shall know that this server serves.
        if isCount, goAway.lastStreamID > 0 { noteAnswer() }
        drain(
            Self.draining("the server said GOAWAY (\(goAway.describedCode))"),
            answers: isCount ? Int(goAway.lastStreamID + 1) / 2 : nil)
        failWaiting { goAway.notProcessed($0.id) }
        if goAway.code != .noError {
            // The server gave up on the connection; what it still answers, if anything, cannot be relied on.
            die(
                H2Error(
                    .connectionClosed, scope: .connection, initiator: .remote,
                    cause: .http2(goAway.code, debugText: goAway.debugText),
                    message: "the server ended the connection with GOAWAY (\(goAway.describedCode))",
                    remedy: goAway.code == .enhanceYourCalm
                        ? "it wants less load: send fewer requests at once" : "its log may say why"),
                saying: .noError)
        } else {
            markDirty()
        }
    }

    private func remoteSettingsChanged() {
        knowsStreamLimit = true
        startWaiting()
        streamLimitWatcher?()
        let limit = session.maxConcurrentStreams
        guard limit != knownStreamLimit else { return }
        knownStreamLimit = limit
        owner?.streamLimitChanged(self, to: limit)
    }

    // MARK: - Bytes out

    override func fillOutput() -> H2Error? {
        session.fillOutput(limit: Self.outputLimit, now: loop.now)
        return session.violation
    }

    override var outputBytes: UnsafeRawBufferPointer { session.output.bytes }
    override func outputTaken(_ count: Int) { session.output.removeFirst(count) }

    // MARK: - PING and PRIORITY_UPDATE

    func ping(timeout: Duration, completion: @escaping (Result<Duration, H2Error>) -> Void) {
        if case .closed(let error) = state { return completion(.failure(error)) }
        lastPing += 1
        let mark = lastPing
        // Armed before the write, so that a connection that cannot write is found out as well.
        let timer = loop.schedule(after: timeout.clampedNanoseconds) {
            guard let ping = self.pings.removeValue(forKey: mark) else { return }
            ping.completion(
                .failure(
                    H2Error(
                        .timeout, scope: .connection, cause: .timeout(.ping, after: timeout),
                        message: "the server did not answer PING within \(timeout)",
                        remedy: "the connection may be dead: close it")))
        }
        pings[mark] = Ping(sentAt: loop.preciseNow, completion: completion, timer: timer)
        session.ping(mark)
        markDirty()
    }

    /// Begins to look for signs of life; see `KeepAlivePing`.
    private func watchPeer() {
        guard let at = keepAlive?.begin(now: loop.now) else { return }
        scheduleLook(at)
    }

    private func scheduleLook(_ time: UInt64) {
        keepAliveTimer = loop.schedule(after: time > loop.now ? time - loop.now : 0) { self.lookForLife() }
    }

    private var traffic: KeepAlivePing.Traffic {
        KeepAlivePing.Traffic(
            bytes: session.bytesReceived, acknowledgements: pingAcknowledgements, requests: session.requests)
    }

    override func gaveUp(_ exchange: Exchange) {
        let sentAt = exchange.sentAt
        guard sentAt != 0 else { return }
        // Not in the middle of what the exchange is at.
        loop.execute { self.doubtPeer(sentAt) }
    }

    /// A request was given up that was sent at a time; see `PeerDoubt`.
    private func doubtPeer(_ sentAt: UInt64) {
        // Its end may have come first, and with it that of its descriptor.
        if case .closed = state { return }
        // The loop may have been busy for longer than the request had: then what the peer said waits in the socket.
        readInput()
        if case .closed = state { return }
        let traffic = traffic
        let isAsked = keepAlive?.isAwaiting(traffic) ?? false
        switch doubt.gaveUp(
            sentAt: sentAt, now: loop.now, lastByteAt: lastInputAt, traffic: traffic, isAsked: isAsked)
        {
        case .trust: return
        case .leave:
            if owner != nil { retire(because: "requests were given up on it, and its server said nothing") }
            return
        case .wait: break
        case .ask:
            guard let until = keepAlive?.ask(now: loop.now, traffic: traffic) else { return }
            if let keepAliveTimer { loop.cancel(keepAliveTimer) }
            scheduleLook(until)
            sendKeepAlivePing()
        }
        guard !isSetAside, let owner else { return }
        isSetAside = true
        owner.doubted(self)
    }

    private func sendKeepAlivePing() {
        keepAlivePings += 1
        session.ping(KeepAlivePing.mark | keepAlivePings)
        markDirty()
    }

    private func lookForLife() {
        keepAliveTimer = nil
        // The loop may have been busy for longer than any limit: then what the peer said waits in the socket.
        readInput()
        if case .closed = state { return }
        let step = keepAlive?.look(
            now: loop.now, lastByteAt: lastInputAt, traffic: traffic, hasOpenStreams: openStreamCount > 0)
        switch step {
        case nil, .rest: break
        case .look(let time): scheduleLook(time)
        case .ping(let time):
            scheduleLook(time)
            sendKeepAlivePing()
        case .gone:
            let limit = configuration.keepAlive.timeout
            die(
                H2Error(
                    .timeout, scope: .connection, initiator: .remote, cause: .timeout(.ping, after: limit),
                    message: "the server said nothing within \(limit) after a PING",
                    remedy: "it may be dead: connect anew"),
                saying: nil)
        }
    }

    func updatePriority(_ priority: Priority, ofStream id: Int32) -> H2Error? {
        if case .closed(let error) = state { return error }
        guard session.updatePriority(priority, of: id) else {
            return H2Error(
                .invalidRequest, scope: .stream(id), initiator: .user, message: "stream \(id) takes no priority update",
                remedy: "is it a stream of this connection?")
        }
        markDirty()
        return nil
    }

    // MARK: - The end

    override func sayFarewell(_ code: ErrorCode?) {
        if let code { session.sayGoAway(code) }
    }

    override func mayHaveLeft(_ stream: StreamState) -> Bool {
        // nghttp2 opens a stream when it writes the header fields down, and says that they are sent (`sentAt`) only when
        // it is asked for more: what fell between the two may have reached the server.
        stream.sentAt != 0 || session.isOpen(stream.id)
    }

    override func failOpenStreams(_ error: (StreamState) -> H2Error) { session.failAll(error) }

    override func didDie(_ error: H2Error) {
        if let settingsTimer { loop.cancel(settingsTimer) }
        settingsTimer = nil
        if let keepAliveTimer { loop.cancel(keepAliveTimer) }
        keepAliveTimer = nil
        for ping in pings.values {
            loop.cancel(ping.timer)
            ping.completion(.failure(error))
        }
        pings = [:]
    }

    override func releaseSession() { session.release() }

    /// The peer's side of the wire is over.
    override func ended(_ failure: H2Error?) {
        if case .closed = state { return }
        var error =
            failure
            ?? H2Error(
                .connectionClosed, scope: .connection, initiator: .remote, message: "the server closed the connection",
                remedy: "connect anew")
        if let goAway = session.goAway {
            error.message += " after GOAWAY (\(goAway.describedCode))"
            error.cause = .http2(goAway.code, debugText: goAway.debugText)
        }
        die(error, saying: nil)
    }

    // MARK: - Facts

    override func countsOnly() {
        super.countsOnly()
        session.countsOnly(roundTrip: info.connect.clampedNanoseconds)
    }

    override func figures() -> DirectFigures {
        var figures = super.figures()
        (figures.receivedHTTP, figures.sentHTTP) = (session.bytesReceived, session.bytesSent)
        (figures.headers, figures.headersDecoded) = (session.headerBytes, session.headerBytesDecoded)
        figures.stalls = session.stalls
        return figures
    }

    override func snapshot() -> ConnectionSnapshot {
        let name: ConnectionSnapshot.State =
            switch state {
            case .active: .active
            case .retiring, .draining: .draining
            case .closed: .closed
            }
        return ConnectionSnapshot(
            state: name, localSettings: session.settings(remote: false), remoteSettings: session.settings(remote: true),
            openStreams: session.openStreams.count, waitingRequests: waitingCount, requests: session.requests,
            bytesSent: session.bytesSent, bytesReceived: session.bytesReceived, unreadBytes: session.window.unread,
            receiveWindow: session.receiveWindow, sendWindow: session.sendWindow,
            goAway: session.goAway.map { ($0.lastStreamID, $0.code, $0.debugText) }, roundTripTime: roundTripTime,
            originSet: session.originSet?.descriptions)
    }
}
