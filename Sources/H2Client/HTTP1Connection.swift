public import HTTPTypes

/// One TCP or TLS connection that sends HTTP/1.1 requests one after another (RFC 9112).
///
/// ```swift
/// let origin = try Origin("https://example.com")
/// try await HTTP1Connection.withConnection(to: origin) { connection in
///     let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/")
///     let response = try await connection.send(request)
///     print(response.status, try await response.body.collect(upTo: 1 << 20).count)
/// }
/// ```
///
/// It works like ``HTTP2Connection``, within the limits of the protocol:
///
/// - One request at a time. Other requests wait in order; nothing is pipelined.
/// - Giving up a request that was sent (by cancelling it, by a time limit, by dropping its body before the end) ends the
///   connection. Requests that wait fail with `connectionDraining`, which is retryable.
/// - If a body is not read, the server is held back after ``Configuration/Windows/stream`` unread bytes, and waiting
///   requests with it.
/// - The connection ends after `connection: close`, after HTTP/1.0 without `keep-alive`, and after a body that ends with the
///   connection. ``isDraining`` is true as soon as that is known. An idle connection ends as soon as the server closes it or
///   sends any byte.
///
/// A connection that is dropped without `close()` takes no new requests. A response in progress may finish within
/// ``Configuration/Timeouts/drain``, and fails after that.
public actor HTTP1Connection {
    /// Properties that stay the same for the connection's life.
    public nonisolated let info: ConnectionInfo
    package nonisolated let connection: Connection

    init(_ connection: Connection) {
        self.connection = connection
        info = connection.info
    }

    /// A connection over a wire that is established already. On the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: Configuration, on loop: EventLoop) {
        loop.preconditionInLoop()
        let connection = Connection(
            .http1, over: wire, info: .simulated(origin), configuration: configuration, loop: loop)
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
    /// To connect, the host is looked up, its addresses are tried (Happy Eyeballs, RFC 8305), and for an `https` origin TLS
    /// offers ALPN `http/1.1`. A server that chooses no protocol is assumed to speak HTTP/1.1.
    /// - Throws: The errors of `connect` and of `body`.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (HTTP1Connection) async throws -> R
    ) async throws -> R {
        let connection = try await connect(to: origin, configuration: configuration, on: loop)
        return try await connection.connection.use { try await body(connection) }
    }

    /// Connects. The caller must call `close()` or `closeNow()`.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `timeout`, or `http2NotNegotiated` if the server chose a protocol that was not offered; `CancellationError`. Nothing
    ///   stays open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP1Connection {
        HTTP1Connection(
            try await Dial.connect(
                to: origin, speaking: origin.scheme == .https ? .offer(["http/1.1"]) : .http1,
                configuration: configuration, on: loop))
    }

    /// Runs `body` isolated to the connection, on its loop's thread, and with ``executor`` preferred. See
    /// ``HTTP2Connection/isolated(_:)``.
    /// - Throws: The errors of `body`, which must respond to cancellation itself.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated HTTP1Connection) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    // MARK: - Requests

    /// Sends a request and waits for the final response's header fields. A missing `authority` or `path` is filled in from
    /// the origin.
    ///
    /// A streamed body may still be in progress when this returns (in chunks if its length is not known). Its writer goes on
    /// until the body ends or the response is complete, fails, or is dropped; in the last three cases the rest of the body
    /// is not sent, and the connection ends. An error that the writer throws after the response's head is thrown to the
    /// reader of the response's body. Cancelling the task ends the connection, unless the request still waits to be sent. A
    /// writer that ignores its cancellation holds nothing up.
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

    // MARK: - The end

    /// Takes no new requests, waits for those accepted so far (at most ``Configuration/Timeouts/drain``), and closes the
    /// connection. Cancelling the task does not shorten the wait; `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        await connection.close()
    }

    /// Fails requests in progress and closes the connection at once. Can be called from anywhere, and more than once.
    public nonisolated func closeNow() { connection.postCloseNow() }

    /// Whether the connection takes no new requests: after `close()`, after the server announced that it will close, and
    /// after the end.
    public nonisolated var isDraining: Bool { connection.isDraining }

    /// The connection's state at this moment. Members that only HTTP/2 has (settings, windows, GOAWAY) mean little here.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot { await connection.currentSnapshot() }
}
