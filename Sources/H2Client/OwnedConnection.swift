/// A connection that its user opens and closes: ``HTTP2Connection`` or ``HTTP1Connection``, an actor on its ``H2EventLoop``.
public protocol OwnedConnection: RequestSender, Actor {
    /// Connects. The caller must call `close()` or `closeNow()`.
    static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: ConnectionConfiguration, on loop: H2EventLoop
    ) async throws -> Self
}

extension OwnedConnection {
    package nonisolated var connection: Connection { handle.connection }

    /// Connects, runs `body`, and closes the connection: gracefully after a return, at once after an error. Requests still
    /// in progress after a return may finish within ``ConnectionConfiguration/Timeouts/drain``; this call does not wait for them.
    /// - Throws: The errors of `connect` and of `body`.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: ConnectionConfiguration = ConnectionConfiguration(),
        on loop: H2EventLoop = .shared,
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

    /// Runs `body` isolated to the connection, on its loop's thread. Between two suspensions of `body` nothing else happens
    /// on the connection.
    ///
    /// The task prefers ``RequestSender/executor`` meanwhile, because a task is resumed by way of the executor that it prefers, or else by
    /// way of Swift's global pool.
    /// - Throws: The errors of `body`, which must respond to cancellation itself.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated Self) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    /// Takes no new requests, waits for those accepted so far (at most ``ConnectionConfiguration/Timeouts/drain``), sends GOAWAY over
    /// HTTP/2, and closes the connection. Cancelling the task does not shorten the wait; `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        let connection = connection
        await withUnsafeContinuation { continuation in
            connection.loop.execute { connection.close(completion: { continuation.resume() }) }
        }
    }

    /// Fails requests in progress and closes the connection at once. Can be called from anywhere, and more than once.
    public nonisolated func closeNow() {
        let connection = connection
        connection.loop.execute { connection.closeNow() }
    }

    /// The connection's loop.
    nonisolated var loopExecutor: UnownedSerialExecutor { connection.loop.asUnownedSerialExecutor() }
}

extension Connection {
    /// Creates an active connection over an established wire. Called on the loop's thread. For simulation.
    static func simulated(
        _ version: HTTPProtocolVersion, over wire: any Wire, to origin: Origin,
        _ configuration: ConnectionConfiguration,
        on loop: H2EventLoop
    ) -> Connection {
        loop.preconditionInLoop()
        let connection = Connection(
            version, over: wire, info: .simulated(origin), configuration: configuration, loop: loop)
        connection.activate()
        return connection
    }
}
