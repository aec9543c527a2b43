internal import H2Client
internal import HTTPTypes

/// A slot whose requests use the async API, as programs do: each of its streams is a task that sends and awaits.
///
/// Invariant behind `@unchecked Sendable`: its tasks prefer the loop as their executor, and nobody else touches it.
final class AsyncConnectionSlot: BenchSlot, @unchecked Sendable {
    // Safe, though unchecked: the measurement keeps the worker until it has called back, and the tasks end before that.
    unowned(unsafe) let worker: Worker
    let number: Int
    var left: Int
    /// Of the requests left, and of those that others left: the number that tasks about to begin will take.
    private var promised = 0
    private(set) var connection: AsyncConnection?
    private var dial: Task<Void, Never>?
    private var hasGivenUp = false
    private(set) var hasConnected = false
    private(set) var hasWanted = false
    var gap = Worker.Gap(from: 0, to: .max)
    var answered = 0
    /// Connections in a row that could not be established, or were left without an answer, and the last one's error.
    private var failuresInARow = 0
    private var lastFailure = ""
    private var lastCode = H2Error.Code.connectFailed
    var wanting: Wanting
    /// The users of a scenario that neither have a request under way nor wait before their next one. There may be fewer than
    /// streams that want to begin or rest: each is made for its first request.
    private var scenarioUsers = Ring<ScenarioRun>(capacity: 4)
    /// The users that the slot has, if the plan has users, and how many more leave once their requests are over.
    private var users = 0
    private var leaving = 0 { didSet { worker.leaving += leaving - oldValue } }
    /// Requests to be retried.
    private var retries = Ring<Pending>(capacity: 4)
    /// The number of tasks that run.
    private var running = 0
    /// Timers of resting streams, each of which counts as a task.
    private var thinking: [LoopTimer] = []
    /// The number of timers left after those that had fired were last removed; at least 64.
    private var thinkingKept = 64
    /// Fires when the connection reaches its maximum lifetime (-T).
    private var lifeTimer: LoopTimer?
    /// The last connection here, ended on purpose, with the reason, until its last request has been reported.
    private var stopped: (connection: AsyncConnection, why: String)?
    private var whenIdle: UnsafeContinuation<Void, Never>?
    private var isOver = false
    var hasStarted = false
    private var depthAtConnect = 0
    private var depth = 0

    /// A request to be sent, for the first time or as a retry.
    private struct Pending {
        var notes = DirectStream.Notes()
        /// The error of the previous attempt; nil for the first.
        var failure: H2Error?
        /// Whose request it is, in a scenario.
        var user: ScenarioRun?
    }

    init(_ worker: Worker, streams: Int, number: Int, share: Int) {
        self.worker = worker
        self.number = number
        wanting = Wanting(count: worker.plan.users == nil ? streams : 0)
        left = share
    }

    // MARK: - The end

    /// Ends the connection, the last one here; requests under way on it fail.
    /// - Parameter isExpired: see `ConnectionSlot.stop`.
    func stop(because why: String, isExpired: Bool) {
        guard !hasGivenUp, let connection else { return }
        // The drain has a limit of its own.
        if isExpired, !worker.isRunning { return }
        hasGivenUp = true
        endLifeTimer()
        self.connection = nil
        connection.cutOff = isExpired ? .expired : .silent
        connection.closeNow(because: why)
        worker.disconnected(connection, cause: nil)
        stopped = (connection, why)
        leaveRestIfStopped()
    }

    /// Waits until the end of the last request on the connection has been reported: once no slot is left the measurement ends,
    /// and requests under way count as aborted.
    private func leaveRestIfStopped() {
        guard let stopped, stopped.connection.tasks == 0 else { return }
        self.stopped = nil
        leaveRest(stopped.why, isMeant: true)
    }

    /// The measurement is over: requests under way are given up. The worker closes the connections.
    func end() {
        isOver = true
        endLifeTimer()
        dial?.cancel()
        failRetries()
        for timer in thinking where timer.isScheduled {
            worker.loop.cancel(timer)
            taskEnded()
        }
        thinking = []
    }

    /// Returns when none of its tasks runs any more.
    nonisolated(nonsending) func finish() async {
        guard running > 0 else { return }
        await withUnsafeContinuation { whenIdle = $0 }
    }

    private func taskEnded() {
        running -= 1
        guard running == 0, let whenIdle else { return }
        self.whenIdle = nil
        whenIdle.resume()
    }

    private func giveUp(_ why: String) {
        guard !hasGivenUp else { return }
        hasGivenUp = true
        leaveRest(why, isMeant: false)
    }

    private func leaveRest(_ why: String, isMeant: Bool) {
        offerRest()
        failRetries()
        worker.gaveUp(number, why: why, isMeant: isMeant)
    }

    private func failRetries() {
        while var request = retries.popFirst() {
            guard let failure = request.failure else { continue }
            // The next attempt has not been made.
            request.notes.attempts -= 1
            withUnsafeMutablePointer(to: &request.notes) {
                worker.failed($0, failure, on: Worker.StreamID(connection: 0, stream: 0))
            }
            rest(request.user)
        }
    }

    // MARK: - Sending

    var maySend: Bool {
        guard !isOver, !hasGivenUp else { return false }
        return switch worker.phase {
        case .measuring: left > promised || worker.orphaned > promised - min(left, promised)
        case .warmUp: true
        case .draining, .over: false
        }
    }

    /// Hands waiting requests to tasks, as far as there is room, and makes sure that there is a connection.
    func pump() {
        guard !isOver, !hasGivenUp else { return }
        guard let connection, !connection.isDraining else { return dialIfNeeded() }
        let ableAt = worker.loop.now
        while connection === self.connection, connection.hasFreeStream, let request = next(ableAt) {
            connection.tasks += 1
            running += 1
            // The worker stays until the last of them is gone.
            Task(executorPreference: worker.loop.taskExecutor) { [self, worker] in
                await run(request, on: connection)
                withExtendedLifetime(worker) { taskEnded() }
            }
        }
    }

    /// The next request; nil if there is none.
    private func next(_ ableAt: UInt64) -> Pending? {
        // A retry is not a new request, and may be sent even if no new one may.
        if let request = retries.popFirst() { return request }
        guard let request = nextNew(ableAt) else { return nil }
        promised += 1
        return request
    }

    /// The next request that is not a retry; nil if there is none.
    private func nextNew(_ ableAt: UInt64) -> Pending? {
        while maySend, let time = wanting.popFirst() {
            var request = Pending()
            request.notes.intendedAt = time
            request.notes.ableAt = ableAt
            if let scenario = worker.plan.scenario {
                let user = scenarioUsers.popFirst() ?? ScenarioRun(scenario, worker)
                guard isReady(user), let step = user.request?.step else { continue }
                request.user = user
                request.notes.request = step
            }
            return request
        }
        return nil
    }

    /// Whether the user of a scenario has a request to send now. Otherwise it waits, which a timer ends.
    private func isReady(_ user: ScenarioRun) -> Bool {
        if user.request != nil { return true }
        switch user.state.next() {
        case .send(let request):
            user.request = request
            guard request.waitNanoseconds > 0 else { return true }
            think(request.waitNanoseconds, user)
        case .fail(let step, let wait, let reason):
            var notes = DirectStream.Notes()
            (notes.intendedAt, notes.ableAt, notes.request) = (worker.loop.now, worker.loop.now, step)
            withUnsafeMutablePointer(to: &notes) {
                take($0)
                worker.ended()
                worker.unsendable($0, because: reason)
            }
            think(max(wait, 1), user)
        }
        return false
    }

    /// A request begins, one of those left.
    private func take(_ notes: UnsafeMutablePointer<DirectStream.Notes>) {
        guard worker.began(notes, now: worker.tick(), gap: gap) else { return }
        if left > 0 { left -= 1 } else { worker.orphaned -= 1 }
    }

    /// A stream, or a user, whose request is over rests.
    private func rest(_ user: ScenarioRun?) {
        wanting.rest()
        if let user { scenarioUsers.append(user) }
    }

    /// A stream, or a user, whose request is over wants to begin another, if it still may.
    private func goOn(_ user: ScenarioRun?) {
        if leaving > 0 {
            leaving -= 1
            return closeIfUnused()
        }
        guard maySend else { return rest(user) }
        if let user, !isReady(user) { return }
        wanting.append(worker.loop.now)
        if let user { scenarioUsers.append(user) }
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
            while left > 0, let timer = thinking.popLast() {
                guard timer.isScheduled else { continue }
                worker.loop.cancel(timer)
                taskEnded()
                left -= 1
            }
            leaving += wanting.remove(left)
            closeIfUnused()
        }
    }

    func abandonRetries() {
        while var request = retries.popFirst() {
            request.notes.attempts -= 1
            let failure = request.failure ?? H2Error(.connectionClosed, message: "no connection took the request")
            withUnsafeMutablePointer(to: &request.notes) {
                worker.failed($0, failure, on: Worker.StreamID(connection: 0, stream: 0))
            }
            request.user?.failed()
            if leaving > 0 { leaving -= 1 }
        }
    }

    /// Closes the connection if no user needs it any more.
    private func closeIfUnused() {
        guard worker.plan.users != nil, users == 0, leaving == 0, retries.isEmpty, let connection else { return }
        rotate(connection)
    }

    /// Users wait for no connection that cannot be established: each has a failed request, and then wants to begin another.
    private func failWanting(_ error: H2Error) {
        for _ in 0..<wanting.count {
            guard var request = nextNew(worker.loop.now) else { return }
            withUnsafeMutablePointer(to: &request.notes) {
                take($0)
                worker.ended()
                worker.failed($0, error, on: Worker.StreamID(connection: 0, stream: 0))
            }
            request.user?.failed()
            goOn(request.user)
        }
    }

    /// Sends one request after the other, as long as the connection has a stream for them.
    private nonisolated(nonsending) func run(_ first: Pending, on connection: AsyncConnection) async {
        let notes = UnsafeMutablePointer<DirectStream.Notes>.allocate(capacity: 1)
        notes.initialize(to: first.notes)
        defer { notes.deallocate() }
        var request = first
        while true {
            let depthBefore = notes.pointee.depth
            notes.pointee = request.notes
            notes.pointee.depth = max(depthBefore, request.notes.depth)
            if let failure = await attempt(notes, isFirst: request.failure == nil, for: request.user, on: connection) {
                notes.pointee.attempts += 1
                retries.append(Pending(notes: notes.pointee, failure: failure, user: request.user))
            }
            connection.tasks -= 1
            goneIfIdle(connection)
            guard connection === self.connection, connection.hasFreeStream, let next = next(worker.loop.now) else {
                break
            }
            connection.tasks += 1
            request = next
        }
        // Other requests may fit into the room it leaves, or need a connection.
        pump()
    }

    /// Sends a request once. Returns the error if the request has to be retried.
    private nonisolated(nonsending) func attempt(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, isFirst: Bool, for user: ScenarioRun?,
        on connection: AsyncConnection
    ) async -> H2Error? {
        if isFirst {
            promised -= 1
            guard maySend else {
                rest(user)
                return nil
            }
        }
        notes.pointee.depth = max(notes.pointee.depth, depthAtConnect)
        take(notes)
        notes.pointee.wasSentBlindly = !connection.knowsStreamLimit
        connection.requests += 1
        if connection.requests >= worker.plan.requestsPerConnection ?? .max { rotate(connection) }
        let mayBeTooLate = connection.version == .http1 && connection.requests > 1
        var wasHeardOf = false
        var streamID = Worker.StreamID(connection: connection.info.id.number, stream: 0)
        do {
            let response = try await connection.send(
                try user?.made(worker.plan) ?? worker.plan.requests[notes.pointee.request])
            wasHeardOf = true
            streamID.stream = Int(response.streamID)
            let headAt = worker.loop.now
            let (bytes, digest, kept) = try await take(response.body, keeps: user?.needsBody ?? false)
            worker.ended()
            noteAnswer(connection)
            guard !isOver else {
                // It already counts as aborted.
                worker.failed(
                    notes, H2Error(.connectionClosed, message: ""), headAt: headAt, status: response.status.code,
                    bodyBytes: bytes, on: streamID)
                return nil
            }
            let unexpected = worker.unexpected(status: response.status.code, bodyBytes: bytes, digest: digest)
            let failedCheck = user?.answered(response, kept, latency: worker.tick() - notes.pointee.beganAt)
            if let why = unexpected ?? failedCheck {
                worker.failed(
                    notes, unexpected: why, headAt: headAt, status: response.status.code, bodyBytes: bytes, on: streamID
                )
            } else {
                answered += 1
                worker.done(
                    notes, now: worker.tick(), headAt: headAt, endAt: worker.loop.now, status: response.status.code,
                    bodyBytes: bytes, on: streamID)
            }
            if connection.isDraining { leave(connection, nil) }
        } catch {
            let failure = error as? H2Error ?? H2Error(.connectionClosed, message: "\(error)")
            worker.ended()
            if !isOver {
                if connection.isDraining { leave(connection, failure) }
                // As with the direct API: see `ConnectionSlot.isWorthAnother`.
                let isTooLate = mayBeTooLate && !wasHeardOf && worker.requests[notes.pointee.request].isIdempotent
                if !hasGivenUp, connection.cutOff == nil, notes.pointee.attempts < Worker.attemptsToSend,
                    isWorthAnother(failure, isTooLate: isTooLate, wasBlind: notes.pointee.wasSentBlindly)
                {
                    worker.retried(notes)
                    return failure
                }
            }
            worker.failed(notes, failure, cutOff: connection.cutOff, on: streamID)
            user?.failed()
        }
        notes.pointee.depth += 1
        depth = max(depth, notes.pointee.depth)
        worker.noteDepth(depth)
        if user == nil, maySend, leaving == 0, case let time = worker.plan.thinkTime.clampedNanoseconds, time > 0 {
            think(time, nil)
        } else {
            goOn(user)
        }
        return nil
    }

    /// Reads a body to its end, keeping only what the plan needs, and of the body itself the first bytes.
    private nonisolated(nonsending) func take(
        _ body: HTTPResponseBody, keeps: Bool
    ) async throws -> (bytes: Int, digest: BodyDigest?, kept: [UInt8]) {
        let digest = worker.plan.expectation?.sha256 != nil ? BodyDigest() : nil
        guard keeps || digest != nil else { return (try await body.discard(), nil, []) }
        var count = 0
        var kept: [UInt8] = []
        for try await chunk in body {
            count += chunk.count
            digest?.add(chunk.bytes)
            if keeps { kept += chunk.bytes.prefix(ScenarioRun.maximumBody - kept.count) }
        }
        return (count, digest, kept)
    }

    /// A stream, or a user, rests.
    private func think(_ nanoseconds: UInt64, _ user: ScenarioRun?) {
        running += 1
        let timer = worker.loop.schedule(after: nanoseconds) { [self] in
            goOn(user)
            // Not each time: there may be very many.
            if thinking.count > 2 * thinkingKept {
                thinking.removeAll { !$0.isScheduled }
                thinkingKept = max(thinking.count, 64)
            }
            pump()
            taskEnded()
        }
        thinking.append(timer)
    }

    private func noteAnswer(_ connection: AsyncConnection) {
        if !connection.hasCompletedResponse, worker.isRunning { worker.downtime.answered() }
        connection.hasCompletedResponse = true
        failuresInARow = 0
    }

    private func isWorthAnother(_ error: H2Error, isTooLate: Bool, wasBlind: Bool) -> Bool {
        guard worker.isRunning, worker.wantsRetries else { return false }
        return switch error.code {
        case .notProcessed, .connectionDraining: true
        case .connectionClosed: error.isRetryable || isTooLate
        case .streamReset: error.isRetryable && wasBlind
        default: false
        }
    }

    // MARK: - Its connection

    private func dialIfNeeded() {
        if let connection { leave(connection, nil) }
        guard dial == nil, !hasGivenUp, !isOver, worker.isRunning else { return }
        guard wantsConnection else { return }
        running += 1
        hasWanted = true
        dial = Task(executorPreference: worker.loop.taskExecutor) { [self, worker] in
            await connectAnew()
            dial = nil
            pump()
            withExtendedLifetime(worker) { taskEnded() }
        }
    }

    private var wantsConnection: Bool { !retries.isEmpty || maySend && !wanting.isEmpty }

    /// Returns when there is a connection, none can be established, or none is wanted any more.
    private nonisolated(nonsending) func connectAnew() async {
        while true {
            // Dialling a failing server again at once would only be a nuisance.
            if failuresInARow > 0 {
                guard worker.mayTryAgain(after: failuresInARow, lastCode) else { return giveUp(lastFailure) }
                // In parts, so that the end of the measurement is noticed soon.
                var left = worker.pause(after: failuresInARow, of: number)
                while left > 0, !isOver {
                    let part = min(left, 100_000_000)
                    await worker.pause(part)
                    left -= part
                }
                guard !isOver, !hasGivenUp, wantsConnection else { return }
            }
            do {
                let made = AsyncConnection(try await connect())
                guard !isOver else { return made.closeNow(because: "the measurement is over") }
                return connected(made)
            } catch let error as H2Error {
                guard !isOver else { return }
                worker.connectFailed(error)
                if worker.plan.users != nil { failWanting(error) }
                failuresInARow += 1
                (lastFailure, lastCode) = (error.message, error.code)
                offerRest()
            } catch {
                return
            }
        }
    }

    private func connected(_ made: AsyncConnection) {
        connection = made
        gap.to = worker.loop.now
        if let limit = worker.plan.activeTimeout {
            endLifeTimer()
            lifeTimer = worker.loop.schedule(after: limit.clampedNanoseconds) { [weak self, weak made] in
                guard let self, made != nil, made === connection else { return }
                stop(because: Worker.expiry(limit), isExpired: true)
            }
        }
        made.onStreamLimit { [weak self, weak made] in
            guard let self, let made, made === connection, !isOver else { return }
            worker.streamLimit(made.announcedStreamLimit)
            pump()
        }
        depthAtConnect = depth + made.info.roundTripsToOpen
        worker.connected(made, again: hasConnected)
        hasConnected = true
        if let why = worker.refusal(of: made) {
            connection = nil
            worker.disconnected(made, cause: nil)
            made.closeNow(because: why)
            return giveUp(why)
        }
        closeIfUnused()
    }

    private nonisolated(nonsending) func connect() async throws -> any OwnedConnection {
        let plan = worker.plan
        let configuration = worker.configuration(of: number)
        func http2() async throws -> any OwnedConnection {
            try await HTTP2Connection.connect(to: plan.origin, configuration: configuration, on: worker.loop)
        }
        func http1() async throws -> any OwnedConnection {
            try await HTTP1Connection.connect(to: plan.origin, configuration: configuration, on: worker.loop)
        }
        switch plan.protocols {
        case .cleartextHTTP1: return try await http1()
        case .cleartextHTTP2: return try await http2()
        case .tls(let protocols):
            guard protocols.contains("h2") else { return try await http1() }
            do {
                return try await http2()
            } catch let error as H2Error where error.code == .http2NotNegotiated && protocols.contains("http/1.1") {
                return try await http1()
            }
        }
    }

    private func rotate(_ connection: AsyncConnection) {
        guard connection === self.connection else { return }
        self.connection = nil
        endLifeTimer()
        gap = Worker.Gap(from: worker.loop.now, to: .max)
        running += 1
        Task(executorPreference: worker.loop.taskExecutor) { [self, worker] in
            await connection.close()
            if !isOver { worker.disconnected(connection, cause: nil) }
            withExtendedLifetime(worker) { taskEnded() }
        }
    }

    private func leave(_ connection: AsyncConnection, _ error: H2Error?) {
        guard connection === self.connection else { return }
        self.connection = nil
        endLifeTimer()
        gap = Worker.Gap(from: worker.loop.now, to: .max)
        if !connection.hasCompletedResponse {
            failuresInARow += 1
            (lastFailure, lastCode) = (error?.message ?? "the server closed the connection", .connectionClosed)
        }
        connection.lossCause = connection.lossKind(error)
        goneIfIdle(connection)
    }

    /// A connection that was left is gone once its last request is: until then it is watched (-N), and closed at the end.
    private func goneIfIdle(_ connection: AsyncConnection) {
        leaveRestIfStopped()
        guard let cause = connection.lossCause, connection.tasks == 0 else { return }
        worker.disconnected(connection, cause: cause)
    }

    private func endLifeTimer() {
        if let lifeTimer { worker.loop.cancel(lifeTimer) }
        lifeTimer = nil
    }
}
