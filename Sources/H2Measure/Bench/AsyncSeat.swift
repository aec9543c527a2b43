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
    private var isOver = false
    private var depthAtConnect = 0
    private var depth = 0

    private static let attemptsToConnect = 5
    private static let attemptsToSend = 10

    init(_ worker: Worker, streams: Int, number: Int, share: Int) {
        self.worker = worker
        self.number = number
        self.streams = streams
        left = share
    }

    // MARK: - Start and end

    func start() {
        for _ in 0..<streams {
            // The worker stays until the last of them is gone.
            tasks.append(
                Task(executorPreference: worker.loop.taskExecutor) { [self, worker] in
                    await run()
                    withExtendedLifetime(worker) {}
                })
        }
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
        for task in tasks { await task.value }
    }

    private func giveUp(_ why: String) {
        guard !hasGivenUp else { return }
        hasGivenUp = true
        leaveRest(why)
    }

    private func leaveRest(_ why: String) {
        if left != .max {
            worker.orphaned += left
            left = 0
        }
        worker.gaveUp(number, why: why)
    }

    // MARK: - One stream

    private var maySend: Bool {
        guard !isOver, !hasGivenUp else { return false }
        return switch worker.phase {
        case .measuring: left > 0
        case .warmUp: true
        case .draining, .over: false
        }
    }

    private nonisolated(nonsending) func run() async {
        let notes = UnsafeMutablePointer<DirectStream.Notes>.allocate(capacity: 1)
        notes.initialize(to: DirectStream.Notes())
        defer { notes.deallocate() }
        while maySend {
            notes.pointee.intendedAt = worker.tick()
            notes.pointee.attempts = 0
            while await attempt(notes) { notes.pointee.attempts += 1 }
            notes.pointee.depth += 1
            depth = max(depth, notes.pointee.depth)
            worker.noteDepth(depth)
        }
    }

    /// Sends a request once. Returns whether it has to be sent again.
    private nonisolated(nonsending) func attempt(_ notes: UnsafeMutablePointer<DirectStream.Notes>) async -> Bool {
        let isRetry = notes.pointee.attempts > 0
        // Those of a pause between two attempts to connect come back to here.
        guard !isOver, let connection = await current(), !isOver, isRetry || maySend else { return false }
        notes.pointee.depth = max(notes.pointee.depth, depthAtConnect)
        if worker.began(notes, now: worker.tick()) { left -= 1 }
        connection.requests += 1
        if connection.requests >= worker.plan.requestsPerConnection ?? .max { rotate(connection) }
        do {
            let response = try await connection.send(worker.plan.requests[notes.pointee.turn])
            let headAt = worker.loop.now
            let bytes = try await response.body.discard()
            guard !isOver else { return false }
            worker.ended()
            worker.streamLimit(connection.announcedStreamLimit)
            worker.done(
                notes, now: worker.tick(), headAt: headAt, endAt: worker.loop.now, status: response.status.code,
                bodyBytes: bytes,
                on: Worker.Place(connection: response.connectionID.number, stream: Int(response.streamID)))
            if connection.isDraining { leave(connection, nil) }
            return false
        } catch {
            guard let failure = error as? H2Error, !isOver else {
                // Those that were in flight at the end are lines of the log too.
                if isOver { worker.failed(notes, Self.givenUp, on: place(connection)) }
                return false
            }
            worker.ended()
            if connection.isDraining { leave(connection, failure) }
            if isWorthAnother(failure), notes.pointee.attempts < Self.attemptsToSend {
                worker.retried(notes)
                return true
            }
            worker.failed(notes, failure, on: place(connection))
            return false
        }
    }

    private static let givenUp = H2Error(.streamReset, initiator: .user, message: "the measurement is over")

    private func place(_ connection: AsyncConnection) -> Worker.Place {
        Worker.Place(connection: connection.info.id.number, stream: 0)
    }

    private func isWorthAnother(_ error: H2Error) -> Bool {
        switch error.code {
        case .notProcessed, .connectionDraining: true
        case .connectionClosed: error.isRetryable
        default: false
        }
    }

    // MARK: - Its connection

    /// The connection, made where there is none; nil where none can be had.
    private nonisolated(nonsending) func current() async -> AsyncConnection? {
        if let connection, !connection.isDraining { return connection }
        if let connection { leave(connection, nil) }
        if dial == nil {
            dial = Task(executorPreference: worker.loop.taskExecutor) { [self] in try await connected() }
        }
        guard let dial, let made = try? await dial.value else { return nil }
        return made
    }

    private nonisolated(nonsending) func connected() async throws -> AsyncConnection {
        defer { dial = nil }
        for attempt in 0..<Self.attemptsToConnect {
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
                if error.code == .certificateRejected || error.code == .tlsConfiguration
                    || error.code == .http2NotNegotiated || attempt + 1 == Self.attemptsToConnect
                {
                    giveUp(error.message)
                    throw error
                }
                await worker.pause(100_000_000 << UInt64(attempt))
                guard !isOver else { throw CancellationError() }
            }
        }
        throw CancellationError()
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
        worker.disconnected(connection, cause: connection.lossKind(error))
    }
}
