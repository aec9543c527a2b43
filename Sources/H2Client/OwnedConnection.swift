/// A connection of one's own: an actor, whose executor is the connection's `EventLoop`.
///
/// A connection that is dropped unclosed takes no more requests; responses still under way have `Timeouts.drain` to come to
/// their end, and then fail.
public protocol OwnedConnection: RequestSender, Actor {
    /// Connects; the caller must `close()` or `closeNow()`.
    static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration, on loop: EventLoop
    ) async throws -> Self
}

extension OwnedConnection {
    package nonisolated var connection: Connection { handle.connection }

    /// Connects, runs `body`, and closes on every exit: gracefully after a return, at once after an error. Requests that are
    /// still under way after a return have `Timeouts.drain` to come to their end, and are not waited for.
    /// - Throws: what `connect` and `body` throw.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (Self) async throws -> R
    ) async throws -> R {
        let owned = try await connect(to: origin, configuration: configuration, on: loop)
        let connection = owned.connection
        do {
            let result = try await body(owned)
            await withUnsafeContinuation { continuation in
                connection.loop.execute { connection.letGo(completion: { continuation.resume() }) }
            }
            return result
        } catch {
            owned.closeNow()
            throw error
        }
    }

    /// Runs `body` isolated to the connection, on its loop's thread: nothing else of the connection happens between two
    /// of its steps that do not wait.
    ///
    /// The task prefers `executor` meanwhile: what resumes a task goes by way of the executor that it prefers, and without
    /// one by way of Swift's global pool.
    /// - Throws: what `body` throws. Cancellation is left to `body`.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated Self) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    /// Takes no new requests, waits for those that were accepted (at most `Configuration.Timeouts.drain`), says GOAWAY over
    /// HTTP/2, and closes. Cancelling the task does not shorten the wait: `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        let connection = connection
        await withUnsafeContinuation { continuation in
            connection.loop.execute { connection.close(completion: { continuation.resume() }) }
        }
    }

    /// Fails what is under way and closes at once. May be called from anywhere, also twice.
    public nonisolated func closeNow() {
        let connection = connection
        connection.loop.execute { connection.closeNow() }
    }

    /// The connection's loop.
    nonisolated var loopExecutor: UnownedSerialExecutor { connection.loop.asUnownedSerialExecutor() }
}

extension Connection {
    /// A connection over a wire that is established already, active. On the loop's thread. For simulation.
    static func simulated(
        _ version: HTTPVersion, over wire: any Wire, to origin: Origin, _ configuration: Configuration,
        on loop: EventLoop
    ) -> Connection {
        loop.preconditionInLoop()
        let connection = Connection(
            version, over: wire, info: .simulated(origin), configuration: configuration, loop: loop)
        connection.activate()
        return connection
    }
}
