public import HTTPTypes

/// One TCP or TLS connection that multiplexes concurrent requests as HTTP/2 streams (RFC 9113).
///
/// ```swift
/// let origin = try Origin("https://example.com")
/// try await HTTP2Connection.withConnection(to: origin) { connection in
///     try await withThrowingTaskGroup(of: Int.self) { group in
///         for number in 1...100 {
///             group.addTask {
///                 let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/\(number)")
///                 return try await connection.send(request).body.collect(upTo: 1 << 20).count
///             }
///         }
///         for try await count in group { print(count) }
///     }
/// }
/// ```
///
/// The actor's executor is the connection's ``EventLoop``. `send` and the methods of ``Response`` keep the caller's
/// isolation. On the loop's thread (see ``executor``) they use the connection directly; from elsewhere they post to it, so
/// that no call changes threads without need.
///
/// Until the server's SETTINGS arrive, up to 100 concurrent streams are assumed; then the server's limit applies. Requests
/// beyond it wait in order. The connection is read at all times, so PING is answered and GOAWAY noticed while it is idle.
///
/// A connection that is dropped without `close()` takes no new requests. Responses in progress may finish within
/// ``Configuration/Timeouts/drain``, and fail after that.
public actor HTTP2Connection {
    /// Properties that stay the same for the connection's life.
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

    /// The executor of the connection's event loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { connection.loop.asUnownedSerialExecutor() }

    /// The executor to prefer for tasks that use the connection a lot: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { connection.executor }

    // MARK: - Connect

    /// Connects, runs `body`, and closes the connection: gracefully after a return, at once after an error. Requests still
    /// in progress after a return may finish within ``Configuration/Timeouts/drain``; this call does not wait for them.
    ///
    /// To connect, the host is looked up, and its addresses are tried (Happy Eyeballs, RFC 8305). An `https` origin is
    /// reached by TLS with ALPN `h2`, an `http` origin in cleartext by prior knowledge (RFC 9113 section 3.3).
    /// - Throws: The errors of `connect` and of `body`.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (HTTP2Connection) async throws -> R
    ) async throws -> R {
        let connection = try await connect(to: origin, configuration: configuration, on: loop)
        return try await connection.connection.use { try await body(connection) }
    }

    /// Connects. The caller must call `close()` or `closeNow()`.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `timeout`, or `http2NotNegotiated` if the server chose another protocol; `CancellationError`. Nothing stays open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP2Connection {
        HTTP2Connection(
            try await Dial.connect(
                to: origin, speaking: origin.scheme == .https ? .offer(["h2"]) : .http2, configuration: configuration,
                on: loop))
    }

    /// Runs `body` isolated to the connection, on its loop's thread. Between two suspensions of `body` nothing else happens
    /// on the connection.
    ///
    /// The task prefers ``executor`` meanwhile, because a task is resumed by way of the executor that it prefers, or else by
    /// way of Swift's global pool.
    /// - Throws: The errors of `body`, which must respond to cancellation itself.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated HTTP2Connection) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    // MARK: - Requests

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin.
    ///
    /// A streamed body may still be in progress when this returns. Its writer goes on until the body ends or the response is
    /// complete, fails, or is dropped; in the last three cases the rest of the body is not sent. An error that the writer
    /// throws after the response's head is thrown to the reader of the response's body. Cancelling the task resets the
    /// stream (CANCEL). A writer that ignores its cancellation holds nothing up.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's own sequence or writer.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        try await connection.send(request, body: body, options: options)
    }

    /// Sends a request whose body's writer does not outlive this call. When `handle` returns, the rest of the body is not
    /// sent, and this call returns or throws after the writer has returned.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's writer and of `handle`.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        try await connection.send(request, body: body, options: options, handlingResponse: handle)
    }

    // MARK: - Care

    /// Sends a PING and waits for its acknowledgement.
    /// - Returns: The round-trip time.
    /// - Throws: `H2Error`: `timeout`, or the reason why the connection is closed.
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

    /// Sends PRIORITY_UPDATE (RFC 9218 section 7) for a stream. Does nothing unless the server sent
    /// SETTINGS_NO_RFC7540_PRIORITIES, since other servers need not know the frame.
    /// - Throws: `H2Error` if there is no such stream, or the connection is closed.
    public nonisolated(nonsending) func updatePriority(_ priority: Priority, ofStream id: Int32) async throws {
        let (connection, control) = (connection, control)
        if let error = await connection.loop.run({ control.updatePriority(priority, ofStream: id) }) {
            throw error
        }
    }

    /// Takes no new requests, waits for those accepted so far (at most ``Configuration/Timeouts/drain``), sends GOAWAY, and
    /// closes the connection. Cancelling the task does not shorten the wait; `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        await connection.close()
    }

    /// Fails requests in progress and closes the connection at once. Can be called from anywhere, and more than once.
    public nonisolated func closeNow() { connection.postCloseNow() }

    /// Whether the connection takes no new requests: after `close()`, after the server's GOAWAY, and after the end.
    public nonisolated var isDraining: Bool { connection.isDraining }

    /// The connection's state at this moment.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot { await connection.currentSnapshot() }
}
