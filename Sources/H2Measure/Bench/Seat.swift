internal import H2Client

/// The place of one connection among those that a measurement keeps: when one is gone, the next is dialled here.
///
/// Belongs to its worker's loop.
final class Seat: DirectConnectionUser {
    private enum Dialling {
        case no
        case waitsForTurn
        case under(DirectDial)
        case pausing(LoopTimer)
        /// No further connection will be made.
        case gaveUp
    }

    // Safe, though unchecked: the worker owns its seats, and lets go of them after their connections are gone. Checking
    // would cost two atomic operations at each use.
    private unowned(unsafe) let worker: Worker
    /// Among all seats of the measurement.
    let number: Int
    @exclusivity(unchecked) private(set) var connection: DirectConnection?
    @exclusivity(unchecked) private var dialling = Dialling.no
    /// Streams whose next request waits for a connection or a slot (closed loop, and retries), in order.
    @exclusivity(unchecked) private var waiting: Ring<DirectStream>
    /// Streams that have nothing to do.
    @exclusivity(unchecked) private var idle: [DirectStream] = []
    /// Times of requests that this seat alone is to send.
    @exclusivity(unchecked) private var backlog = Ring<UInt64>(capacity: 4)
    @exclusivity(unchecked) var isReady = false
    /// Connections that could not be established, or ended without a single answer.
    @exclusivity(unchecked) private var failuresInARow = 0
    @exclusivity(unchecked) private var hasAnswered = false
    @exclusivity(unchecked) private var hasConnected = false
    /// Round trips that went before the first request on the connection.
    @exclusivity(unchecked) private var depthAtConnect = 0
    @exclusivity(unchecked) private var depth = 0
    @exclusivity(unchecked) private var sentOnConnection = 0
    /// Requests that it may still send.
    @exclusivity(unchecked) private var left: Int
    private let requestsPerConnection: Int
    private let isOpenLoop: Bool

    /// - Parameter share: how many requests it may send; those of an open loop are their schedule's to share out.
    init(_ worker: Worker, streams: Int, number: Int, share: Int) {
        self.worker = worker
        self.number = number
        left = share
        waiting = Ring(capacity: streams)
        requestsPerConnection = worker.plan.requestsPerConnection ?? .max
        isOpenLoop = worker.isOpenLoop
        idle.reserveCapacity(streams)
        for _ in 0..<streams { idle.append(DirectStream()) }
    }

    // MARK: - Start

    func start() {
        guard maySend else { return }
        if !isOpenLoop {
            let now = worker.loop.now
            // All of them want to begin now, and wait for the connection.
            for stream in idle {
                stream.notes.pointee.intendedAt = now
                waiting.append(stream)
            }
            idle.removeAll(keepingCapacity: true)
        }
        pump()
    }

    /// A request of this seat's own schedule.
    func take(_ time: UInt64) {
        backlog.append(time)
        pump()
    }

    func dropBacklog() { backlog = Ring(capacity: 4) }

    var hasGivenUp: Bool { if case .gaveUp = dialling { true } else { false } }

    // MARK: - Sending

    /// Whether another request may begin here now.
    private var maySend: Bool {
        @inline(__always) get {
            switch worker.phase {
            case .measuring: isOpenLoop ? worker.left > 0 : left > 0 || worker.orphaned > 0
            case .warmUp: true
            case .draining, .over: false
            }
        }
    }

    /// There is more to send.
    func wake() {
        guard maySend, !idle.isEmpty else { return }
        start()
    }

    /// Sends what waits, as far as there is room, and sees to it that there is a connection.
    func pump() {
        guard let connection, !connection.isDraining else { return dialIfNeeded() }
        while connection === self.connection, connection.hasFreeSlot, let stream = next() {
            send(stream, on: connection, now: worker.tick())
        }
        guard let current = self.connection else { return dialIfNeeded() }
        if isOpenLoop, !idle.isEmpty, current.hasFreeSlot { worker.markReady(self) }
    }

    /// The stream whose request is next; nil where there is none.
    private func next() -> DirectStream? {
        if let stream = waiting.popFirst() {
            // A retry is no new request, and may be sent when no other may.
            if stream.notes.pointee.attempts > 0 || maySend { return stream }
            idle.append(stream)
            return nil
        }
        guard isOpenLoop, maySend, !idle.isEmpty else { return nil }
        if let time = backlog.popFirst() {
            worker.tookFromSeatBacklog()
            return scheduled(time)
        }
        return worker.backlog.popFirst().map(scheduled)
    }

    private func scheduled(_ time: UInt64) -> DirectStream {
        let stream = idle.removeLast()
        stream.notes.pointee.intendedAt = time
        return stream
    }

    @inline(__always)
    private func send(_ stream: DirectStream, on connection: DirectConnection, now: UInt64) {
        if stream.notes.pointee.depth < depthAtConnect { stream.notes.pointee.depth = depthAtConnect }
        stream.notes.pointee.wasSentBlindly = !connection.knowsStreamLimit
        if worker.began(stream.notes, now: now), !isOpenLoop {
            if left > 0 { left -= 1 } else { worker.orphaned -= 1 }
        }
        do {
            try connection.send(worker.requests[stream.notes.pointee.turn], on: stream)
        } catch {
            return refused(stream, error)
        }
        sentOnConnection += 1
        if sentOnConnection >= requestsPerConnection { rotate() }
    }

    /// The connection would not take it.
    private func refused(_ stream: DirectStream, _ error: H2Error) {
        if error.isRetryable {
            if worker.didNotBegin(stream.notes), !isOpenLoop { left += 1 }
            waiting.prepend(stream)
            if let connection { leave(connection) }
            dialIfNeeded()
        } else {
            worker.ended()
            worker.failed(stream.notes, error, on: Worker.Place(connection: 0, stream: 0))
            stream.notes.pointee.attempts = 0
            idle.append(stream)
            // What this version of HTTP cannot send once it can never send.
            let connection = connection
            connection?.tag = Self.meant
            giveUp(error.message)
            connection?.closeNow(because: error.message)
        }
    }

    /// The connection has had as many requests as it is meant to have.
    private func rotate() {
        guard let connection else { return }
        connection.tag = Self.meant
        leave(connection)
        connection.close(because: "it has had its number of requests")
    }

    /// Marks a connection that is ended on purpose.
    private static let meant = 1

    private func leave(_ connection: DirectConnection) {
        guard connection === self.connection else { return }
        self.connection = nil
    }

    // MARK: - Answers

    func ended(_ stream: DirectStream, on connection: DirectConnection) {
        worker.ended()
        let now = worker.tick()
        if let failure = stream.failure {
            if isWorthAnother(stream, failure, connection) {
                stream.notes.pointee.attempts += 1
                worker.retried(stream.notes)
                waiting.prepend(stream)
                return pump()
            }
            worker.failed(
                stream.notes, failure, headAt: stream.headAt, status: stream.responseStatus,
                bodyBytes: stream.bodyBytes, on: place(of: stream, connection))
        } else {
            if !hasAnswered { noteAnswer() }
            worker.done(
                stream.notes, now: now, headAt: stream.headAt, endAt: stream.endAt, status: stream.responseStatus,
                bodyBytes: stream.bodyBytes, on: place(of: stream, connection))
        }
        stream.notes.pointee.attempts = 0
        stream.notes.pointee.depth += 1
        if stream.notes.pointee.depth > depth {
            depth = stream.notes.pointee.depth
            worker.noteDepth(depth)
        }
        if isOpenLoop {
            idle.append(stream)
            return pump()
        }
        guard maySend else { return idle.append(stream) }
        stream.notes.pointee.intendedAt = now
        if waiting.isEmpty, connection === self.connection, connection.hasFreeSlot {
            send(stream, on: connection, now: now)
        } else {
            waiting.append(stream)
            pump()
        }
    }

    private func noteAnswer() {
        hasAnswered = true
        failuresInARow = 0
    }

    @inline(__always)
    private func place(of stream: DirectStream, _ connection: DirectConnection) -> Worker.Place {
        Worker.Place(connection: connection.number, stream: stream.identifier)
    }

    /// Whether the server cannot have processed it for a reason that another connection does not have: the load goes on over
    /// that. What a server refuses while it lives is a finding, and is counted as it is.
    private func isWorthAnother(_ stream: DirectStream, _ error: H2Error, _ connection: DirectConnection) -> Bool {
        guard stream.notes.pointee.attempts < Worker.attemptsToSend, !hasGivenUp else { return false }
        guard worker.isRunning else { return false }
        switch error.code {
        case .notProcessed, .connectionDraining: return true
        // The server may close a kept-alive connection while a request is on its way (RFC 9112 section 9.3.1).
        case .connectionClosed:
            return error.isRetryable
                || connection.version == .http1 && connection.requests > 1 && !stream.wasHeardOf
                    && worker.requests[stream.notes.pointee.turn].isIdempotent
        case .streamReset: return error.isRetryable && stream.notes.pointee.wasSentBlindly
        default: return false
        }
    }

    func streamLimitChanged(_ connection: DirectConnection) {
        worker.streamLimit(connection.announcedStreamLimit)
        pump()
    }

    func draining(_ connection: DirectConnection, why: H2Error) {
        if connection.isUsedUp { connection.tag = Self.meant }
        leave(connection)
    }

    func closed(_ connection: DirectConnection, why: H2Error) {
        leave(connection)
        let isMeant = connection.tag == Self.meant
        worker.disconnected(connection, cause: isMeant ? nil : connection.lossKind(why))
        // One that brought nothing is as good as none: whoever dialled the next at once would only be a nuisance.
        if !isMeant, !hasAnswered, self.connection == nil { return paused(why) }
        pump()
    }

    // MARK: - Dialling

    private var wantsConnection: Bool {
        guard maySend || (waiting.count > 0 && worker.isRunning) else { return false }
        return isOpenLoop || !waiting.isEmpty
    }

    private func dialIfNeeded() {
        guard case .no = dialling, connection == nil, wantsConnection else { return }
        dialling = .waitsForTurn
        if worker.mayDial(self) { dialNow() }
    }

    /// Its turn has come; see `Worker.mayDial`.
    func dialNow() {
        guard case .waitsForTurn = dialling, wantsConnection else {
            if case .waitsForTurn = dialling { dialling = .no }
            return worker.dialEnded()
        }
        let plan = worker.plan
        dialling = .under(
            DirectDial(
                to: plan.origin, speaking: worker.speech, configuration: plan.configuration, tls: worker.tls,
                on: worker.loop, user: self
            ) { [unowned self] in dialled($0) })
    }

    private func dialled(_ result: Result<DirectConnection, H2Error>) {
        dialling = .no
        worker.dialEnded()
        switch result {
        case .success(let connection): connected(connection)
        case .failure(let error): failed(error)
        }
    }

    private func connected(_ connection: DirectConnection) {
        self.connection = connection
        hasAnswered = false
        sentOnConnection = 0
        depthAtConnect = depth + connection.info.roundTripsToOpen
        worker.connected(connection, again: hasConnected)
        hasConnected = true
        if let limit = worker.plan.activeTimeout {
            let opened = ObjectIdentifier(connection)
            _ = worker.loop.schedule(after: limit.clampedNanoseconds) { [weak self] in
                guard let self, let connection = self.connection, ObjectIdentifier(connection) == opened else { return }
                stop(because: "it was open for \(limit) (-T)")
            }
        }
        pump()
    }

    private func failed(_ error: H2Error) {
        worker.connectFailed(error)
        paused(error)
    }

    /// Has the next dial wait, or be the end of it.
    private func paused(_ error: H2Error) {
        guard case .no = dialling else { return }
        failuresInARow += 1
        let isHopeless =
            switch error.code {
            case .certificateRejected, .tlsConfiguration, .http2NotNegotiated, .invalidURL, .invalidRequest: true
            default: failuresInARow >= Worker.attemptsToConnect
            }
        guard !isHopeless else { return giveUp(error.message) }
        dialling = .pausing(
            worker.loop.schedule(after: 100_000_000 << UInt64(failuresInARow - 1)) { [weak self] in
                guard let self else { return }
                dialling = .no
                dialIfNeeded()
            })
    }

    // MARK: - The end

    /// Ends the connection, which was the last one here; what is under way on it fails.
    func stop(because why: String) {
        if case .gaveUp = dialling { return }
        dialling = .gaveUp
        connection?.tag = Self.meant
        connection?.closeNow(because: why)
        leaveRest("every connection came to its time limit (-T, -N)")
    }

    private func giveUp(_ why: String) {
        if case .gaveUp = dialling { return }
        dialling = .gaveUp
        leaveRest(why)
    }

    /// Others may send what it was to send; what it has sent already, and would have sent again, has failed.
    private func leaveRest(_ why: String) {
        if isOpenLoop {
            let rest = backlog
            dropBacklog()
            worker.takeOver(rest)
        } else if case .requests = worker.plan.extent {
            worker.orphaned += left
            left = 0
        }
        failRetries()
        worker.gaveUp(number, why: why)
    }

    private func failRetries() {
        for _ in 0..<waiting.count {
            guard let stream = waiting.popFirst() else { return }
            if stream.notes.pointee.attempts > 0, let failure = stream.failure {
                // The next attempt has not been made.
                stream.notes.pointee.attempts -= 1
                worker.failed(stream.notes, failure, on: Worker.Place(connection: 0, stream: stream.identifier))
                stream.notes.pointee.attempts = 0
            }
            idle.append(stream)
        }
    }

    /// The measurement is over.
    func end() {
        switch dialling {
        case .under(let dial): dial.cancel()
        case .pausing(let timer): worker.loop.cancel(timer)
        case .no, .waitsForTurn, .gaveUp: break
        }
        dialling = .gaveUp
        failRetries()
    }
}

extension ConnectionInfo {
    /// Round trips before the first request can be sent: TCP 1, TLS 1.3 1, TLS 1.2 2, or 1 where a session was resumed.
    var roundTripsToOpen: Int {
        guard let tlsVersion else { return 1 }
        return 1 + (tlsVersion == "TLSv1.3" || isTLSResumed ? 1 : 2)
    }
}

extension BenchConnection {
    /// Why a connection was lost that was not closed on purpose.
    /// - Parameter error: what it ended with; nil where it has only been left.
    func lossKind(_ error: H2Error?) -> String {
        let isInOrder =
            switch error?.code {
            case nil, .connectionClosed, .connectionDraining, .notProcessed: true
            default: false
            }
        // One that ends in order after its last answer has no more to say: the server said why before.
        if isInOrder, let code = goAwayCode { return "GOAWAY \(code.name)" }
        guard let error, !isInOrder || error.cause != .none else { return "connection closed by the server" }
        return error.kind
    }
}
