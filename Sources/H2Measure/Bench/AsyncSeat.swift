internal import H2Client
internal import HTTPTypes

/// A seat whose requests take the async API, as programs do: each of its streams is a task that sends and awaits.
///
/// Invariant behind `@unchecked Sendable`: its tasks prefer the loop as their executor, and nobody else touches it.
final class AsyncSeat: @unchecked Sendable {
    // Safe, though unchecked: the worker is kept by its measurement until it has called back, and the tasks end before.
    private unowned(unsafe) let worker: Worker
    let number: Int
    private let streams: Int
    private var left: Int
    private(set) var connection: AsyncConnection?
    private var dial: Task<AsyncConnection, any Error>?
    private var tasks: [Task<Void, Never>] = []
    private var hasGivenUp = false
    private var hasConnected = false
    /// Connections that could not be established, or ended without a single answer, and what the last one said.
    private var failuresInARow = 0
    private var lastFailure = ""
    /// Streams whose task runs.
    private var running = 0
    private var isOver = false
    private var depthAtConnect = 0
    private var depth = 0

    init(_ worker: Worker, streams: Int, number: Int, share: Int) {
        self.worker = worker
        self.number = number
        self.streams = streams
        left = share
    }

    // MARK: - Start and end

    func start() {
        while running < streams {
            running += 1
            // The worker stays until the last of them is gone.
            tasks.append(
                Task(executorPreference: worker.loop.taskExecutor) { [self, worker] in
                    await run()
                    withExtendedLifetime(worker) {}
                })
        }
    }

    /// There is more to send.
    func wake() {
        if maySend { start() }
    }

    /// Ends the connection, which was the last one here; what is under way on it fails.
    func stop() {
        guard !hasGivenUp, let connection else { return }
        hasGivenUp = true
        self.connection = nil
        connection.closeNow(because: "")
        worker.disconnected(connection, cause: nil)
        leaveRest("every connection came to its time limit (-T, -N)")
    }

    /// The measurement is over: what is under way is given up.
    func end() {
        isOver = true
        dial?.cancel()
        for task in tasks { task.cancel() }
    }

    /// Returns when nothing of it runs any more.
    nonisolated(nonsending) func finish() async {
        // None begins any more.
        for task in tasks { await task.value }
    }

    private func giveUp(_ why: String) {
        guard !hasGivenUp else { return }
        hasGivenUp = true
        leaveRest(why)
    }

    private func leaveRest(_ why: String) {
        if case .requests = worker.plan.extent {
            worker.orphaned += left
            left = 0
        }
        worker.gaveUp(number, why: why)
    }

    // MARK: - One stream

    private var maySend: Bool {
        guard !isOver, !hasGivenUp else { return false }
        return switch worker.phase {
        case .measuring: left > 0 || worker.orphaned > 0
        case .warmUp: true
        case .draining, .over: false
        }
    }

    private nonisolated(nonsending) func run() async {
        let notes = UnsafeMutablePointer<DirectStream.Notes>.allocate(capacity: 1)
        notes.initialize(to: DirectStream.Notes())
        defer {
            notes.deallocate()
            running -= 1
        }
        while maySend {
            notes.pointee.intendedAt = worker.tick()
            notes.pointee.attempts = 0
            var failure = await attempt(notes, after: nil)
            while let error = failure {
                notes.pointee.attempts += 1
                failure = await attempt(notes, after: error)
            }
            notes.pointee.depth += 1
            depth = max(depth, notes.pointee.depth)
            worker.noteDepth(depth)
        }
    }

    /// Sends a request once, where the attempt before ended with `failure`. Returns why it has to be sent again, if it has.
    private nonisolated(nonsending) func attempt(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, after failure: H2Error?
    ) async -> H2Error? {
        // Those of a pause between two attempts to connect come back to here.
        guard !isOver, let connection = await current(), !isOver, failure != nil || maySend else {
            if let failure {
                // This attempt has not been made.
                notes.pointee.attempts -= 1
                worker.failed(notes, failure, on: Worker.Place(connection: 0, stream: 0))
            }
            return nil
        }
        notes.pointee.depth = max(notes.pointee.depth, depthAtConnect)
        if worker.began(notes, now: worker.tick()) {
            if left > 0 { left -= 1 } else { worker.orphaned -= 1 }
        }
        connection.requests += 1
        if connection.requests >= worker.plan.requestsPerConnection ?? .max { rotate(connection) }
        let mayBeTooLate = connection.version == .http1 && connection.requests > 1
        var wasHeardOf = false
        do {
            let response = try await connection.send(worker.plan.requests[notes.pointee.turn])
            wasHeardOf = true
            let headAt = worker.loop.now
            let bytes = try await response.body.discard()
            worker.ended()
            noteAnswer(connection)
            guard !isOver else {
                // It counts as aborted already.
                worker.failed(
                    notes, H2Error(.connectionClosed, message: ""), headAt: headAt, status: response.status.code,
                    bodyBytes: bytes,
                    on: Worker.Place(connection: response.connectionID.number, stream: Int(response.streamID)))
                return nil
            }
            worker.streamLimit(connection.announcedStreamLimit)
            worker.done(
                notes, now: worker.tick(), headAt: headAt, endAt: worker.loop.now, status: response.status.code,
                bodyBytes: bytes,
                on: Worker.Place(connection: response.connectionID.number, stream: Int(response.streamID)))
            if connection.isDraining { leave(connection, nil) }
            return nil
        } catch {
            let failure = error as? H2Error ?? H2Error(.connectionClosed, message: "\(error)")
            worker.ended()
            if !isOver {
                if failure.code == .streamReset, failure.initiator == .remote { noteAnswer(connection) }
                if connection.isDraining { leave(connection, failure) }
                // As with the direct door: see `Seat.isWorthAnother`.
                let isTooLate =
                    mayBeTooLate && !wasHeardOf && worker.requests[notes.pointee.turn].isIdempotent
                if !hasGivenUp, isWorthAnother(failure, isTooLate: isTooLate),
                    notes.pointee.attempts < Worker.attemptsToSend
                {
                    worker.retried(notes)
                    return failure
                }
            }
            worker.failed(notes, failure, on: Worker.Place(connection: connection.info.id.number, stream: 0))
            return nil
        }
    }

    private func noteAnswer(_ connection: AsyncConnection) {
        connection.hasAnswered = true
        failuresInARow = 0
    }

    private func isWorthAnother(_ error: H2Error, isTooLate: Bool) -> Bool {
        guard worker.isRunning else { return false }
        return switch error.code {
        case .notProcessed, .connectionDraining: true
        case .connectionClosed: error.isRetryable || isTooLate
        default: false
        }
    }

    // MARK: - Its connection

    /// The connection, made where there is none; nil where none can be had.
    private nonisolated(nonsending) func current() async -> AsyncConnection? {
        if let connection, !connection.isDraining { return connection }
        if let connection { leave(connection, nil) }
        guard !hasGivenUp else { return nil }
        if dial == nil {
            dial = Task(executorPreference: worker.loop.taskExecutor) { [self] in try await connected() }
        }
        guard let dial, let made = try? await dial.value else { return nil }
        return made
    }

    private nonisolated(nonsending) func connected() async throws -> AsyncConnection {
        defer { dial = nil }
        while true {
            // Whoever dialled again at once, where nothing comes of it, would only be a nuisance.
            if failuresInARow > 0 {
                guard failuresInARow < Worker.attemptsToConnect else {
                    giveUp(lastFailure)
                    throw CancellationError()
                }
                // By parts, for its end to come soon.
                for _ in 0..<(1 << (failuresInARow - 1)) where !isOver { await worker.pause(100_000_000) }
                guard !isOver, !hasGivenUp else { throw CancellationError() }
            }
            do {
                let made = AsyncConnection(try await connect())
                guard !isOver else {
                    made.closeNow(because: "the measurement is over")
                    throw CancellationError()
                }
                connection = made
                if let limit = worker.plan.activeTimeout {
                    _ = worker.loop.schedule(after: limit.clampedNanoseconds) { [weak self, weak made] in
                        guard let self, made != nil, made === connection else { return }
                        stop()
                    }
                }
                depthAtConnect = depth + made.info.roundTripsToOpen
                worker.connected(made, again: hasConnected)
                hasConnected = true
                return made
            } catch let error as H2Error {
                worker.connectFailed(error)
                failuresInARow += 1
                lastFailure = error.message
                switch error.code {
                case .certificateRejected, .tlsConfiguration, .http2NotNegotiated:
                    giveUp(error.message)
                    throw error
                default: break
                }
            }
        }
    }

    private nonisolated(nonsending) func connect() async throws -> AsyncConnection.Kind {
        let plan = worker.plan
        func http2() async throws -> AsyncConnection.Kind {
            .http2(
                try await HTTP2Connection.connect(to: plan.origin, configuration: plan.configuration, on: worker.loop))
        }
        func http1() async throws -> AsyncConnection.Kind {
            .http1(
                try await HTTP1Connection.connect(to: plan.origin, configuration: plan.configuration, on: worker.loop))
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
        Task(executorPreference: worker.loop.taskExecutor) { [self] in
            await connection.close()
            if !isOver { worker.disconnected(connection, cause: nil) }
        }
    }

    private func leave(_ connection: AsyncConnection, _ error: H2Error?) {
        guard connection === self.connection else { return }
        self.connection = nil
        if !connection.hasAnswered {
            failuresInARow += 1
            lastFailure = error?.message ?? "the server closed the connection"
        }
        worker.disconnected(connection, cause: connection.lossKind(error))
    }
}
