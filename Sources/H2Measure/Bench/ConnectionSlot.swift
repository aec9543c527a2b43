internal import H2Client

/// One of the connections that a measurement keeps: when one is gone, the next is dialled here.
///
/// Belongs to its worker's loop. Unchecked exclusivity: for that reason, as in `Worker`.
final class ConnectionSlot: BenchSlot, DirectConnectionUser {
    private enum Dialling {
        case no
        case queued
        case under(Connector)
        case pausing(LoopTimer)
        /// The last connection to be tried has brought nothing so far, and is still ending.
        case onLast
        /// No further connection will be made.
        case gaveUp
    }

    // Safe, though unchecked: the worker owns its slots, and releases them after their connections are gone. Checking would
    // cost two atomic operations at each use.
    unowned(unsafe) let worker: Worker
    let number: Int
    @exclusivity(unchecked) private(set) var connection: DirectConnection?
    @exclusivity(unchecked) private var dialling = Dialling.no
    /// Streams whose request must be retried, or was refused before it began, in order.
    @exclusivity(unchecked) private var waiting = Ring<DirectStream>(capacity: 4)
    /// Streams that are free. The server may allow far fewer streams than the plan asks for, so each is created when there is
    /// room for its first request, and then serves any request.
    @exclusivity(unchecked) private var idle: [DirectStream] = []
    @exclusivity(unchecked) private var unmade: Int
    /// Used in a closed loop only.
    @exclusivity(unchecked) var wanting: Wanting
    /// Arrivals that only this slot may send.
    @exclusivity(unchecked) private var backlog = Ring<Worker.Arrival>(capacity: 4)
    @exclusivity(unchecked) var isReady = false
    @exclusivity(unchecked) var answered = 0
    /// When thinking streams want to begin again.
    @exclusivity(unchecked) private var thinking = EarliestFirst()
    @exclusivity(unchecked) private var thinkTimer: LoopTimer?
    private let thinkTime: UInt64
    /// From the beginning of a request to that of the stream's next one; 0 for no such rule.
    private let period: UInt64
    /// The users that the slot has, if the plan has users, and how many more leave once their requests are over.
    @exclusivity(unchecked) private var users = 0
    @exclusivity(unchecked) private var leaving = 0 { didSet { worker.leaving += leaving - oldValue } }
    /// The reason why a connection last refused a request.
    @exclusivity(unchecked) private var lastRefusal: H2Error?
    /// Connections in a row that could not be established, or were left without an answer.
    @exclusivity(unchecked) private var failuresInARow = 0
    /// Whether a response was completed on the connection.
    @exclusivity(unchecked) private var hasCompletedResponse = false
    @exclusivity(unchecked) private(set) var hasConnected = false
    @exclusivity(unchecked) var hasStarted = false
    @exclusivity(unchecked) private(set) var hasWanted = false
    @exclusivity(unchecked) var gap = Worker.Gap(from: 0, to: .max)
    /// Round trips before the first request on the connection.
    @exclusivity(unchecked) private var depthAtConnect = 0
    @exclusivity(unchecked) private var depth = 0
    @exclusivity(unchecked) private var sentOnConnection = 0
    /// Fires when the connection reaches its maximum lifetime (-T).
    @exclusivity(unchecked) private var lifeTimer: LoopTimer?
    @exclusivity(unchecked) var left: Int
    private let requestsPerConnection: Int
    private let isOpenLoop: Bool

    /// - Parameter share: the number of requests that it may send; an open loop shares out its own by schedule.
    init(_ worker: Worker, streams: Int, number: Int, share: Int) {
        self.worker = worker
        self.number = number
        isOpenLoop = worker.isOpenLoop
        thinkTime = worker.plan.thinkTime.clampedNanoseconds
        period = worker.plan.users?.period?.clampedNanoseconds ?? 0
        left = share
        unmade = streams
        wanting = Wanting(count: isOpenLoop || worker.plan.users != nil ? 0 : streams)
        requestsPerConnection = worker.plan.requestsPerConnection ?? .max
    }

    // MARK: - Arrivals

    /// Takes a request of this slot's own schedule.
    func take(_ arrival: Worker.Arrival) {
        backlog.append(arrival)
        pump()
    }

    func dropBacklog() { backlog = Ring<Worker.Arrival>(capacity: 4) }

    var hasGivenUp: Bool { if case .gaveUp = dialling { true } else { false } }

    // MARK: - Sending

    var maySend: Bool {
        @inline(__always) get {
            switch worker.phase {
            case .measuring: isOpenLoop ? worker.left > 0 : left > 0 || worker.orphaned > 0
            case .warmUp: true
            case .draining, .over: false
            }
        }
    }

    func pump() { pump(atMost: .max) }

    /// - Parameter most: 1 when a request is over. Others may have ended without being reported yet: each has its own
    ///   successor, so that the number counted as in flight stays right.
    func pump(atMost most: Int) {
        guard let connection, !connection.isDraining else { return dialIfNeeded() }
        // From here on only our own work delays a request.
        let ableAt = worker.loop.now
        var sent = 0
        while sent < most, connection === self.connection, connection.hasFreeSlot, let stream = next() {
            sent += 1
            stream.notes.pointee.ableAt = ableAt
            send(stream, on: connection, now: worker.tick())
        }
        guard let current = self.connection else { return dialIfNeeded() }
        if isOpenLoop, hasRoom, current.hasFreeSlot { worker.markReady(self) }
    }

    /// Whether a stream has nothing to do.
    private var hasRoom: Bool { !idle.isEmpty || unmade > 0 }

    /// The stream whose request is next; nil if there is none.
    private func next() -> DirectStream? {
        if let stream = waiting.popFirst() {
            // A retry is not a new request, and may be sent even if no new one may.
            if stream.notes.pointee.attempts > 0 || maySend { return stream }
            if isOpenLoop { giveBack(stream) } else { wanting.rest() }
            idle.append(stream)
            return nil
        }
        guard maySend else { return nil }
        guard isOpenLoop else {
            guard let time = wanting.popFirst() else { return nil }
            let stream = free()
            stream.notes.pointee.intendedAt = time
            return stream
        }
        guard hasRoom else { return nil }
        if let arrival = backlog.popFirst() {
            worker.tookFromSlotBacklog()
            return scheduled(arrival)
        }
        return worker.backlog.popFirst().map(scheduled)
    }

    private func scheduled(_ arrival: Worker.Arrival) -> DirectStream {
        let stream = free()
        stream.notes.pointee.intendedAt = arrival.time
        stream.notes.pointee.takenAt = arrival.takenAt
        stream.notes.pointee.request = arrival.request
        return stream
    }

    private func free() -> DirectStream {
        if let stream = idle.popLast() { return stream }
        unmade -= 1
        let stream = DirectStream()
        if worker.plan.expectation?.sha256 != nil { stream.digest = BodyDigest() }
        return stream
    }

    @inline(__always)
    private func send(_ stream: DirectStream, on connection: DirectConnection, now: UInt64) {
        if stream.notes.pointee.depth < depthAtConnect { stream.notes.pointee.depth = depthAtConnect }
        stream.notes.pointee.wasSentBlindly = !connection.knowsStreamLimit
        if worker.began(stream.notes, now: now, gap: gap), !isOpenLoop {
            if left > 0 { left -= 1 } else { worker.orphaned -= 1 }
        }
        do {
            try connection.send(worker.requests[stream.notes.pointee.request], on: stream)
        } catch {
            return refused(stream, error)
        }
        sentOnConnection += 1
        if sentOnConnection >= requestsPerConnection { rotate() }
    }

    /// The connection refused a request of the schedule before it began: it waits for another.
    private func giveBack(_ stream: DirectStream) {
        worker.backlog.append(
            Worker.Arrival(
                time: stream.notes.pointee.intendedAt, takenAt: stream.notes.pointee.takenAt,
                request: stream.notes.pointee.request))
    }

    /// Gives back all requests that have not begun: nobody will send them here.
    func returnRefused() {
        guard isOpenLoop else { return }
        for _ in 0..<waiting.count {
            guard let stream = waiting.popFirst() else { return }
            if stream.notes.pointee.attempts > 0 {
                waiting.append(stream)
            } else {
                giveBack(stream)
                idle.append(stream)
            }
        }
    }

    /// The connection did not accept the request.
    private func refused(_ stream: DirectStream, _ error: H2Error) {
        if error.isRetryable {
            if worker.didNotBegin(stream.notes, gap: gap), !isOpenLoop { left += 1 }
            waiting.prepend(stream)
            lastRefusal = error
            if let connection { leave(connection, error) }
            dialIfNeeded()
        } else {
            worker.ended()
            worker.failed(stream.notes, error, on: Worker.StreamID(connection: 0, stream: 0))
            stream.notes.pointee.attempts = 0
            if !isOpenLoop { wanting.rest() }
            idle.append(stream)
            // If this version of HTTP cannot send it now, it never can.
            let connection = connection
            connection?.isMeant = true
            giveUp(error.message)
            connection?.closeNow(because: error.message)
        }
    }

    /// The connection has had its maximum number of requests.
    private func rotate() {
        guard let connection else { return }
        connection.isMeant = true
        leave(connection, nil)
        connection.close(because: "it has had its number of requests")
    }

    /// Stops using the connection for new requests. If it never answered, that counts as a failure now, not when it is gone:
    /// its requests end before that, and would have the next one dialled at once.
    private func leave(_ connection: DirectConnection, _ why: H2Error?) {
        guard connection === self.connection else { return }
        self.connection = nil
        endLifeTimer()
        gap = Worker.Gap(from: worker.loop.now, to: .max)
        let hasCompletedResponse = hasCompletedResponse
        self.hasCompletedResponse = false
        if !connection.isMeant, !hasCompletedResponse, let why { paused(why, isEnding: true) }
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
                return pump(atMost: 1)
            }
            worker.failed(
                stream.notes, failure, headAt: stream.headAt, status: stream.responseStatus,
                bodyBytes: stream.bodyBytes, cutOff: connection.cutOff, on: id(of: stream, connection))
        } else {
            if !hasCompletedResponse { noteAnswer(connection) }
            if !worker.isPlain,
                let why = worker.unexpected(
                    status: stream.responseStatus, bodyBytes: stream.bodyBytes, digest: stream.digest)
            {
                worker.failed(
                    stream.notes, unexpected: why, headAt: stream.headAt, status: stream.responseStatus,
                    bodyBytes: stream.bodyBytes, on: id(of: stream, connection))
            } else {
                answered &+= 1
                worker.done(
                    stream.notes, now: now, headAt: stream.headAt, endAt: stream.endAt, status: stream.responseStatus,
                    bodyBytes: stream.bodyBytes, on: id(of: stream, connection))
            }
        }
        stream.notes.pointee.attempts = 0
        stream.notes.pointee.depth += 1
        if stream.notes.pointee.depth > depth {
            depth = stream.notes.pointee.depth
            worker.noteDepth(depth)
        }
        if isOpenLoop {
            idle.append(stream)
            return pump(atMost: 1)
        }
        if leaving > 0 {
            leaving -= 1
            idle.append(stream)
            if !waiting.isEmpty { pump() }
            return closeIfUnused()
        }
        guard maySend else {
            wanting.rest()
            idle.append(stream)
            // A retry may wait for this very slot.
            if !waiting.isEmpty { pump() }
            return
        }
        // Who keeps a pace and is late is due since then.
        let due = period > 0 ? stream.notes.pointee.intendedAt &+ period : now &+ thinkTime
        if due > now {
            idle.append(stream)
            think(until: due)
            if !waiting.isEmpty { pump() }
        } else if waiting.isEmpty, wanting.isEmpty, connection === self.connection, connection.hasFreeSlot {
            stream.notes.pointee.intendedAt = due
            send(stream, on: connection, now: now)
        } else {
            wanting.append(due)
            idle.append(stream)
            pump(atMost: 1)
        }
    }

    private func think(until time: UInt64) {
        let isFirst = thinking.first.map { time < $0 } ?? true
        thinking.add(time)
        guard isFirst else { return }
        if let thinkTimer { worker.loop.cancel(thinkTimer) }
        startThinkTimer(time)
    }

    private func startThinkTimer(_ time: UInt64) {
        let now = worker.loop.now
        thinkTimer = worker.loop.schedule(after: time > now ? time - now : 0) { [weak self] in self?.thought() }
    }

    private func thought() {
        thinkTimer = nil
        while let time = thinking.first {
            guard time <= worker.loop.now else {
                startThinkTimer(time)
                break
            }
            thinking.removeFirst()
            // Who thinks has rested for longer than asked.
            if maySend { wanting.append(period > 0 ? time : worker.loop.now) } else { wanting.rest() }
        }
        pump()
    }

    // MARK: - Users

    /// Users come, or go: at once if they wait or think, otherwise when their responses are there.
    func setUsers(_ count: Int) {
        guard count != users, !hasGivenUp else { return }
        let change = count - users
        users = count
        if change > 0 {
            let stay = min(change, leaving)
            leaving -= stay
            wanting.add(change - stay, now: worker.loop.now)
            if hasStarted { pump() } else { start() }
        } else {
            var left = -change
            while left > 0, thinking.first != nil {
                thinking.removeFirst()
                left -= 1
            }
            leaving += wanting.remove(left)
            closeIfUnused()
        }
    }

    func abandonRetries() {
        while let stream = waiting.popFirst() {
            if stream.notes.pointee.attempts > 0 {
                stream.notes.pointee.attempts -= 1
                worker.failed(
                    stream.notes, stream.failure ?? lastRefusal ?? Self.notTaken,
                    on: Worker.StreamID(connection: 0, stream: stream.identifier))
                stream.notes.pointee.attempts = 0
            }
            idle.append(stream)
            if leaving > 0 { leaving -= 1 }
        }
    }

    private static let notTaken = H2Error(.connectionClosed, message: "no connection took the request")

    /// Closes the connection if no user needs it any more.
    private func closeIfUnused() {
        guard worker.plan.users != nil, users == 0, leaving == 0, waiting.isEmpty, let connection else { return }
        connection.isMeant = true
        leave(connection, nil)
        connection.close(because: "no user needs it")
    }

    private func noteAnswer(_ connection: DirectConnection) {
        if connection === self.connection { hasCompletedResponse = true }
        failuresInARow = 0
        // After the end an answer says nothing about the time before it.
        if worker.isRunning { worker.downtime.answered() }
        // A connection that was left has answered after all: there is no reason to delay the next one.
        switch dialling {
        case .pausing(let timer):
            worker.loop.cancel(timer)
            dialling = .no
        case .onLast: dialling = .no
        case .no, .queued, .under, .gaveUp: break
        }
    }

    @inline(__always)
    private func id(of stream: DirectStream, _ connection: DirectConnection) -> Worker.StreamID {
        Worker.StreamID(connection: connection.number, stream: stream.identifier)
    }

    /// Whether the server cannot have processed the request, for a reason that another connection does not have: it is retried
    /// there. Requests that a live server refuses are a result, and counted as such.
    private func isWorthAnother(_ stream: DirectStream, _ error: H2Error, _ connection: DirectConnection) -> Bool {
        guard stream.notes.pointee.attempts < Worker.attemptsToSend, !hasGivenUp else { return false }
        guard worker.isRunning, worker.wantsRetries, connection.cutOff == nil else { return false }
        switch error.code {
        case .notProcessed, .connectionDraining: return true
        // The server may close a kept-alive connection while a request is on its way (RFC 9112 section 9.3.1).
        case .connectionClosed:
            return error.isRetryable
                || connection.version == .http1 && connection.requests > 1 && !stream.wasHeardOf
                    && worker.requests[stream.notes.pointee.request].isIdempotent
        case .streamReset: return error.isRetryable && stream.notes.pointee.wasSentBlindly
        default: return false
        }
    }

    func streamLimitChanged(_ connection: DirectConnection) {
        worker.streamLimit(connection.announcedStreamLimit)
        pump()
    }

    func draining(_ connection: DirectConnection, why: H2Error) {
        if connection.isUsedUp { connection.isMeant = true }
        leave(connection, why)
    }

    func closed(_ connection: DirectConnection, why: H2Error) {
        leave(connection, why)
        worker.disconnected(connection, cause: connection.isMeant ? nil : connection.lossKind(why))
        if case .onLast = dialling { return giveUp(why.message) }
        pump()
    }

    // MARK: - Dialling

    private var wantsConnection: Bool {
        guard maySend || (waiting.count > 0 && worker.isRunning) else { return false }
        return isOpenLoop || !waiting.isEmpty || !wanting.isEmpty
    }

    private func dialIfNeeded() {
        guard case .no = dialling, connection == nil, wantsConnection else { return }
        dialling = .queued
        hasWanted = true
        worker.dial(self)
    }

    /// Dials, once the worker lets it; see `Worker.startDials`. Returns false, without dialling, if it no longer wants a
    /// connection.
    func dialNow() -> Bool {
        guard case .queued = dialling, wantsConnection else {
            if case .queued = dialling { dialling = .no }
            return false
        }
        let plan = worker.plan
        dialling = .under(
            DirectConnection.connect(
                to: plan.origin, offering: worker.offer, configuration: worker.configuration(of: number),
                tls: worker.tls, on: worker.loop, user: self
            ) { [unowned self] in dialled($0) })
        return true
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
        gap.to = worker.loop.now
        hasCompletedResponse = false
        sentOnConnection = 0
        depthAtConnect = depth + connection.info.roundTripsToOpen
        worker.connected(connection, again: hasConnected)
        hasConnected = true
        if let why = worker.refusal(of: connection) {
            connection.isMeant = true
            giveUp(why)
            return connection.closeNow(because: why)
        }
        if let limit = worker.plan.activeTimeout {
            endLifeTimer()
            let opened = connection.number
            lifeTimer = worker.loop.schedule(after: limit.clampedNanoseconds) { [weak self] in
                guard let self, self.connection?.number == opened else { return }
                stop(because: Worker.expiry(limit), isExpired: true)
            }
        }
        pump()
        closeIfUnused()
    }

    private func endLifeTimer() {
        if let lifeTimer { worker.loop.cancel(lifeTimer) }
        lifeTimer = nil
    }

    private func failed(_ error: H2Error) {
        worker.connectFailed(error)
        if worker.plan.users != nil { failWanting(error) }
        paused(error)
    }

    /// Users wait for no connection that cannot be established: each has a failed request, and then wants to begin another.
    private func failWanting(_ error: H2Error) {
        for _ in 0..<wanting.count {
            guard maySend, let time = wanting.popFirst() else { return }
            let stream = free()
            stream.notes.pointee.intendedAt = time
            stream.notes.pointee.ableAt = worker.loop.now
            _ = worker.began(stream.notes, now: worker.loop.now, gap: gap)
            worker.ended()
            worker.failed(stream.notes, error, on: Worker.StreamID(connection: 0, stream: 0))
            idle.append(stream)
            wanting.append(worker.loop.now)
        }
    }

    /// Delays the next dial, or gives up: dialling a failing server again at once would only be a nuisance.
    /// - Parameter isEnding: whether there still is a connection, whose end will be reported.
    private func paused(_ error: H2Error, isEnding: Bool = false) {
        guard case .no = dialling else { return }
        failuresInARow += 1
        offerRest()
        guard worker.mayTryAgain(after: failuresInARow, error.code) else {
            if !isEnding { return giveUp(error.message) }
            dialling = .onLast
            return
        }
        dialling = .pausing(
            worker.loop.schedule(after: worker.pause(after: failuresInARow, of: number)) { [weak self] in
                guard let self else { return }
                dialling = .no
                dialIfNeeded()
            })
    }

    // MARK: - The end

    /// Ends the connection, the last one here; requests under way on it fail.
    /// - Parameter isExpired: whether it has reached its maximum lifetime (-T), rather than been silent (-N). Then its requests
    ///   are cut off, which is not their fault.
    func stop(because why: String, isExpired: Bool) {
        if case .gaveUp = dialling { return }
        // The drain has a limit of its own.
        if isExpired, !worker.isRunning { return }
        dialling = .gaveUp
        connection?.isMeant = true
        connection?.cutOff = isExpired ? .expired : .silent
        connection?.closeNow(because: why)
        leaveRest(why, isMeant: true)
    }

    private func giveUp(_ why: String) {
        if case .gaveUp = dialling { return }
        dialling = .gaveUp
        leaveRest(why, isMeant: false)
    }

    /// Leaves its unsent requests to others; those that were to be retried have failed.
    private func leaveRest(_ why: String, isMeant: Bool) {
        if isOpenLoop {
            let rest = backlog
            dropBacklog()
            worker.takeOver(rest)
        } else {
            offerRest()
        }
        failRetries()
        worker.gaveUp(number, why: why, isMeant: isMeant)
    }

    private func failRetries() {
        for _ in 0..<waiting.count {
            guard let stream = waiting.popFirst() else { return }
            if stream.notes.pointee.attempts > 0 {
                // If a connection refused the next attempt, the stream no longer has the error of the one before.
                let failure = stream.failure ?? lastRefusal ?? Self.notTaken
                // The next attempt has not been made.
                stream.notes.pointee.attempts -= 1
                worker.failed(stream.notes, failure, on: Worker.StreamID(connection: 0, stream: stream.identifier))
                stream.notes.pointee.attempts = 0
            } else if isOpenLoop {
                giveBack(stream)
            }
            if !isOpenLoop { wanting.rest() }
            idle.append(stream)
        }
    }

    func end() {
        switch dialling {
        case .under(let dial): dial.cancel()
        case .pausing(let timer): worker.loop.cancel(timer)
        case .no, .queued, .onLast, .gaveUp: break
        }
        dialling = .gaveUp
        endLifeTimer()
        if let thinkTimer { worker.loop.cancel(thinkTimer) }
        thinkTimer = nil
        failRetries()
    }
}

extension ConnectionInfo {
    /// Round trips before the first request can be sent: TCP 1, TLS 1.3 1, TLS 1.2 2, or 1 if a session was resumed.
    var roundTripsToOpen: Int {
        guard let tlsVersion else { return 1 }
        return 1 + (tlsVersion == "TLSv1.3" || isTLSResumed ? 1 : 2)
    }
}

extension BenchConnection {
    /// The reason why a connection was lost that was not closed on purpose.
    /// - Parameter error: the error that it ended with; nil if it has only been left.
    func lossKind(_ error: H2Error?) -> String {
        let isInOrder =
            switch error?.code {
            case nil, .connectionClosed, .connectionDraining, .notProcessed: true
            default: false
            }
        // If it ends in order, after its last answer, the server's GOAWAY gives the reason.
        if isInOrder, let code = goAwayCode { return "GOAWAY \(code.name)" }
        guard let error, !isInOrder || error.cause != .unknown else { return "connection closed by the server" }
        return error.kind
    }
}
