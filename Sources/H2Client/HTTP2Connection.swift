public import HTTPTypes

/// One TCP or TLS connection on which HTTP/2 streams are multiplexed.
///
/// The actor's executor is the connection's `EventLoop`. `send` and everything on a `Response` keep the caller's
/// isolation: called on the loop's thread (see `executor`) they touch the connection at once, from anywhere else they
/// post to it, so that no call hops between threads without need.
///
/// Up to 100 streams are assumed until the server's SETTINGS arrive; then its limit holds. Requests beyond it wait in
/// order. The connection is read at all times: PING is answered and GOAWAY seen while nothing is under way.
///
/// A connection that is dropped unclosed takes no more requests; responses still under way have `Timeouts.drain` to come to
/// their end, and then fail.
public actor HTTP2Connection {
    /// Facts that hold for the connection's life.
    public nonisolated let info: ConnectionInfo
    package nonisolated let connection: Connection
    private nonisolated let control: HTTP2Control

    init(_ connection: Connection) {
        guard let control = connection.control else { preconditionFailure("h2 was chosen") }
        self.connection = connection
        self.control = control
        info = connection.info
    }

    /// A connection over a wire that is established already. On the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: Configuration, on loop: EventLoop) {
        loop.preconditionInLoop()
        let connection = Connection(
            .http2, over: wire, info: .simulated(origin), configuration: configuration, loop: loop)
        connection.activate()
        self.init(connection)
    }

    deinit { connection.postLetGo() }

    /// The connection's loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { connection.loop.asUnownedSerialExecutor() }

    /// Prefer this executor for tasks that use the connection much: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { connection.executor }

    // MARK: - Connect

    /// Connects, runs `body`, and closes on every exit: gracefully after a return, at once after an error. Streams that are
    /// still under way after a return have `Timeouts.drain` to come to their end, and are not waited for.
    ///
    /// Connecting: look the host up off the loop, try its addresses (Happy Eyeballs, RFC 8305), TLS with ALPN `h2` for an
    /// `https` origin, cleartext by prior knowledge (RFC 9113 section 3.3) for `http`.
    /// - Throws: what `connect` and `body` throw.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (HTTP2Connection) async throws -> R
    ) async throws -> R {
        let connection = try await connect(to: origin, configuration: configuration, on: loop)
        return try await connection.connection.use { try await body(connection) }
    }

    /// Connects; the caller must `close()` or `closeNow()`.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `http2NotNegotiated` where the server chose another protocol, `timeout`; `CancellationError`, and nothing is left
    ///   open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP2Connection {
        HTTP2Connection(
            try await Connector.connect(
                to: origin, offering: ProtocolOffer(.http2, isSecure: origin.scheme == .https),
                configuration: configuration, on: loop))
    }

    /// Runs `body` isolated to the connection, on its loop's thread: nothing else of the connection happens between two
    /// of its steps that do not wait.
    ///
    /// The task prefers `executor` meanwhile: what resumes a task goes by way of the executor that it prefers, and without
    /// one by way of Swift's global pool.
    /// - Throws: what `body` throws. Cancellation is left to `body`.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated HTTP2Connection) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    // MARK: - Requests

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin.
    ///
    /// A body that is streamed is still being sent when this returns: its writer goes on until the body's end, as long as the
    /// response is under way. What is left of it is given up when the response is whole, fails, or is dropped. What the
    /// writer throws after the head is thrown to the reader of the response's body. Cancelling the task resets the stream
    /// (CANCEL), and nobody waits for a writer that ignores its cancellation.
    /// - Throws: `H2Error`; `CancellationError`; what the body's own sequence or writer threw.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        try await connection.send(request, body: body, options: options)
    }

    /// As above, with the writer of a streamed body bound to this call: when `handle` returns, what is left of the body is
    /// given up, and this returns or throws once the writer has returned.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        try await connection.send(request, body: body, options: options, handlingResponse: handle)
    }

    // MARK: - Care

    /// Sends PING and waits for its acknowledgement.
    /// - Returns: the round-trip time.
    /// - Throws: `H2Error`: `timeout`, or why the connection is closed.
    public nonisolated(nonsending) func ping(timeout: Duration = .seconds(15)) async throws -> Duration {
        let (connection, control) = (connection, control)
        let result: Result<Duration, H2Error> = await withUnsafeContinuation { continuation in
            connection.loop.execute {
                control.ping(timeout: timeout) {
                    Handover.give(connection)
                    continuation.resume(returning: $0)
                }
            }
        }
        Handover.take(connection)
        return try result.get()
    }

    /// Sends PRIORITY_UPDATE (RFC 9218 section 7) for a stream. Does nothing where the server has not said
    /// SETTINGS_NO_RFC7540_PRIORITIES, without which it need not know the frame.
    /// - Throws: `H2Error` where there is no such stream, or the connection is closed.
    public nonisolated(nonsending) func updatePriority(_ priority: Priority, ofStream id: Int32) async throws {
        let (connection, control) = (connection, control)
        if let error = await connection.loop.run({ control.updatePriority(priority, ofStream: id) }) {
            throw error
        }
    }

    /// Takes no new requests, waits for those that were accepted (at most `Configuration.Timeouts.drain`), says GOAWAY
    /// and closes. Cancelling the task does not shorten the wait: `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        await connection.close()
    }

    /// Fails what is under way and closes at once. May be called from anywhere, also twice.
    public nonisolated func closeNow() { connection.postCloseNow() }

    /// True once no new request is taken: after `close()`, after the server's GOAWAY, after the end.
    public nonisolated var isDraining: Bool { connection.isDraining }

    /// The connection's state at this moment.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot { await connection.currentSnapshot() }
}
