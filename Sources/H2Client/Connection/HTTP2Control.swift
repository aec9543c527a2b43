/// The connection-level part of HTTP/2: SETTINGS, GOAWAY and PING, including checks that the peer is alive.
///
/// Its connection owns it and outlives every call here.
///
/// Invariant behind `@unchecked Sendable` and `@exclusivity(unchecked)`: the same as for `Connection`.
final class HTTP2Control: LiveObject, @unchecked Sendable {
    let session: HTTP2Session
    private unowned let connection: Connection

    private struct Ping {
        let sentAt: UInt64
        let completion: (Result<Duration, H2Error>) -> Void
        let timer: LoopTimer
    }
    @exclusivity(unchecked) private var pings: [UInt64: Ping] = [:]
    @exclusivity(unchecked) private var lastPing: UInt64 = 0
    /// The result of the last `ping`.
    @exclusivity(unchecked) private(set) var roundTripTime: Duration?
    @exclusivity(unchecked) private var settingsTimer: LoopTimer?
    @exclusivity(unchecked) private var keepAlive: KeepAlivePing?
    /// nil while there is nothing to watch.
    @exclusivity(unchecked) private var keepAliveTimer: LoopTimer?
    @exclusivity(unchecked) private var keepAlivePings: UInt64 = 0
    @exclusivity(unchecked) private var pingAcknowledgements = 0
    @exclusivity(unchecked) private var doubt: PeerDoubt
    /// Whether the owner was told to send no requests until the peer responds.
    @exclusivity(unchecked) private var isSetAside = false
    /// The stream limit the owner was told last.
    @exclusivity(unchecked) private var knownStreamLimit = 0

    init(_ session: HTTP2Session, of connection: Connection) {
        self.session = session
        self.connection = connection
        let keepAlive = KeepAlivePing(connection.configuration.keepAlive)
        self.keepAlive = keepAlive
        doubt = PeerDoubt(roundTrip: connection.info.connect.clampedNanoseconds, mayAsk: keepAlive != nil)
    }

    private var loop: H2EventLoop { connection.loop }
    private var isClosed: Bool { if case .closed = connection.state { true } else { false } }

    /// Schedules a timer, which holds the connection until it fires or the connection ends.
    private func schedule(after nanoseconds: UInt64, _ body: @escaping () -> Void) -> LoopTimer {
        loop.schedule(after: nanoseconds) { [connection] in withExtendedLifetime(connection, body) }
    }

    // MARK: - Connection events

    /// The connection was activated.
    func begin() {
        awaitAcknowledgement()
        if keepAlive?.whileIdle == true { watchPeer() }
    }

    @inline(__always)
    func requestBegan() { if keepAliveTimer == nil { watchPeer() } }

    /// Input was processed.
    func received() {
        if isSetAside {
            isSetAside = false
            connection.owner?.trusted(connection)
        }
        if !session.events.isEmpty { handleEvents() }
        if session.awaitsSmallWindows, settingsTimer == nil, !isClosed { awaitAcknowledgement() }
    }

    /// The connection is over, and everyone has been told.
    func end(_ error: H2Error) {
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

    // MARK: - SETTINGS and GOAWAY

    /// Ends the connection if the server does not acknowledge our SETTINGS in time.
    private func awaitAcknowledgement() {
        let limit = connection.configuration.timeouts.settings
        settingsTimer = schedule(after: limit.clampedNanoseconds) {
            self.connection.end(
                H2Error(
                    .timeout, scope: .connection, cause: .timeout(.settings, after: limit),
                    message: "the server did not acknowledge our SETTINGS within \(limit)",
                    remedy: "does it speak HTTP/2 here?"),
                saying: H2Error.HTTP2Code.settingsTimeout)
        }
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
            case .originSetChanged: connection.owner?.originsChanged(connection)
            }
            if isClosed { return }
        }
    }

    private func receivedGoAway() {
        guard let goAway = session.goAway else { return }
        // The notice that starts a graceful shutdown has the largest identifier (RFC 9113 section 6.8).
        let isCount = goAway.code == .noError && goAway.lastStreamID != Int32.max
        // The responses may follow it; unprocessed requests are failed now and must know that this server serves.
        if isCount, goAway.lastStreamID > 0 { connection.noteAnswer() }
        connection.drain(
            .draining("the server said GOAWAY (\(goAway.describedCode))"),
            answers: isCount ? Int(goAway.lastStreamID + 1) / 2 : nil)
        connection.failWaiting { goAway.notProcessed($0.id) }
        if goAway.code != .noError {
            // The server gave up on the connection; any further responses cannot be relied on.
            connection.end(
                H2Error(
                    .connectionClosed, scope: .connection, initiator: .remote,
                    cause: .http2(goAway.code, debugText: goAway.debugText),
                    message: "the server ended the connection with GOAWAY (\(goAway.describedCode))",
                    remedy: goAway.code == .enhanceYourCalm
                        ? "it wants less load: send fewer requests at once" : "its log may say why"),
                saying: .noError)
        } else {
            connection.markDirty()
        }
    }

    private func remoteSettingsChanged() {
        connection.streamLimitAnnounced()
        let limit = session.maxConcurrentStreams
        guard limit != knownStreamLimit else { return }
        knownStreamLimit = limit
        connection.owner?.streamLimitChanged(connection, to: limit)
    }

    // MARK: - PING and PRIORITY_UPDATE

    func ping(timeout: Duration, completion: @escaping (Result<Duration, H2Error>) -> Void) {
        if case .closed(let error) = connection.state { return completion(.failure(error)) }
        lastPing += 1
        let mark = lastPing
        // Armed before the write, so that a connection that cannot write is detected as well.
        let timer = schedule(after: timeout.clampedNanoseconds) {
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
        connection.markDirty()
    }

    /// Starts watching for signs of life; see `KeepAlivePing`.
    private func watchPeer() {
        // A handshake has its own time limit.
        guard !connection.isShakingHands, let at = keepAlive?.begin(now: loop.now) else { return }
        scheduleLook(at)
    }

    private func scheduleLook(_ time: UInt64) {
        keepAliveTimer = schedule(after: time > loop.now ? time - loop.now : 0) { self.lookForLife() }
    }

    private var traffic: KeepAlivePing.Traffic {
        KeepAlivePing.Traffic(
            bytes: session.counts.bytesReceived, acknowledgements: pingAcknowledgements, requests: session.requests)
    }

    /// A request was abandoned before its end, for a reason on our side.
    func gaveUp(_ exchange: Exchange) {
        let sentAt = exchange.sentAt
        // Nothing may be read before the end of a handshake.
        guard sentAt != 0, !connection.isShakingHands else { return }
        // Not from within the exchange's current work.
        loop.execute { [connection] in withExtendedLifetime(connection) { self.doubtPeer(sentAt) } }
    }

    /// A request sent at this time was abandoned; see `PeerDoubt`.
    private func doubtPeer(_ sentAt: UInt64) {
        // Its end, and that of its descriptor, may have come first.
        if isClosed { return }
        // The loop may have been busy for longer than the request's limit: then the peer's bytes are waiting in the socket.
        connection.readInput()
        if isClosed { return }
        let traffic = traffic
        let isAsked = keepAlive?.isAwaiting(traffic) ?? false
        switch doubt.gaveUp(
            sentAt: sentAt, now: loop.now, lastByteAt: connection.lastInputAt, traffic: traffic, isAsked: isAsked)
        {
        case .trust: return
        case .leave:
            if connection.owner != nil {
                connection.retire(because: "requests were given up on it, and its server said nothing")
            }
            return
        case .wait: break
        case .ask:
            guard let until = keepAlive?.ask(now: loop.now, traffic: traffic) else { return }
            if let keepAliveTimer { loop.cancel(keepAliveTimer) }
            scheduleLook(until)
            sendKeepAlivePing()
        }
        guard !isSetAside, let owner = connection.owner else { return }
        isSetAside = true
        owner.doubted(connection)
    }

    private func sendKeepAlivePing() {
        keepAlivePings += 1
        session.ping(KeepAlivePing.mark | keepAlivePings)
        connection.markDirty()
    }

    private func lookForLife() {
        keepAliveTimer = nil
        // The loop may have been busy for longer than any limit: then the peer's bytes are waiting in the socket.
        connection.readInput()
        if isClosed { return }
        let step = keepAlive?.look(
            now: loop.now, lastByteAt: connection.lastInputAt, traffic: traffic,
            hasOpenStreams: session.openStreamCount > 0)
        switch step {
        case nil, .rest: break
        case .look(let time): scheduleLook(time)
        case .ping(let time):
            scheduleLook(time)
            sendKeepAlivePing()
        case .gone:
            let limit = connection.configuration.keepAlive.timeout
            connection.end(
                H2Error(
                    .timeout, scope: .connection, initiator: .remote, cause: .timeout(.ping, after: limit),
                    message: "the server said nothing within \(limit) after a PING",
                    remedy: "it may be dead: connect anew"),
                saying: nil)
        }
    }

    func updatePriority(_ priority: HTTPPriority, ofStream id: Int32) -> H2Error? {
        if case .closed(let error) = connection.state { return error }
        guard session.updatePriority(priority, of: id) else {
            return H2Error(
                .invalidRequest, scope: .stream(id), initiator: .user, message: "stream \(id) takes no priority update",
                remedy: "is it a stream of this connection?")
        }
        connection.markDirty()
        return nil
    }
}
