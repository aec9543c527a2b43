public import HTTPTypes

/// One TCP or TLS connection on which HTTP/1.1 requests follow each other (RFC 9112).
///
/// Everything is as on an `HTTP2Connection`, but for what the protocol cannot do:
///
/// - One request at a time. Others that are sent meanwhile wait in order; nothing is pipelined.
/// - A request that is given up after it was sent (cancelled, timed out, its response's body dropped before its end) ends the
///   connection, and those that wait fail with `connectionDraining`, which is retryable.
/// - A reader that does not take its body holds the server back past `Configuration.Windows.stream` unread bytes, and with
///   it the requests that wait.
/// - The connection ends when the server says `connection: close`, speaks HTTP/1.0 without `keep-alive`, or sends a body
///   that ends with the connection; `isDraining` tells as soon as that is known. While nothing is under way, an end or any
///   byte from the server ends it at once.
///
/// A connection that is dropped unclosed takes no more requests; a response still under way has `Timeouts.drain` to come to
/// its end, and then fails.
public actor HTTP1Connection {
    /// Facts that hold for the connection's life.
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

    /// The connection's loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { connection.loop.asUnownedSerialExecutor() }

    /// Prefer this executor for tasks that use the connection much: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { connection.executor }

    // MARK: - Connect

    /// Connects, runs `body`, and closes on every exit: gracefully after a return, at once after an error. What is still
    /// under way after a return has `Timeouts.drain` to come to its end, and is not waited for.
    ///
    /// Connecting: look the host up off the loop, try its addresses (Happy Eyeballs, RFC 8305), TLS with ALPN `http/1.1`
    /// for an `https` origin. A server that chooses no protocol is taken to speak HTTP/1.1.
    /// - Throws: what `connect` and `body` throw.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (HTTP1Connection) async throws -> R
    ) async throws -> R {
        let connection = try await connect(to: origin, configuration: configuration, on: loop)
        return try await connection.connection.use { try await body(connection) }
    }

    /// Connects; the caller must `close()` or `closeNow()`.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `http2NotNegotiated` where the server chose a protocol that was not offered, `timeout`; `CancellationError`, and
    ///   nothing is left open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP1Connection {
        HTTP1Connection(
            try await Connector.connect(
                to: origin, offering: ProtocolOffer(.http1, isSecure: origin.scheme == .https),
                configuration: configuration, on: loop))
    }

    /// Runs `body` isolated to the connection, on its loop's thread, and with `executor` preferred; see
    /// `HTTP2Connection.isolated`.
    /// - Throws: what `body` throws. Cancellation is left to `body`.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated HTTP1Connection) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    // MARK: - Requests

    /// Sends a request and waits for the final response's header fields. A missing `authority` or `path` is filled in from
    /// the origin.
    ///
    /// A body that is streamed is still being sent when this returns (in chunks where its length is not known): its writer
    /// goes on until the body's end, as long as the response is under way. What is left of it is given up when the response
    /// is whole, fails, or is dropped, and that ends the connection. What the writer throws after the head is thrown to the
    /// reader of the response's body. Cancelling the task ends the connection, unless the request still waits for its turn;
    /// nobody waits for a writer that ignores its cancellation.
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

    // MARK: - The end

    /// Takes no new requests, waits for those that were accepted (at most `Configuration.Timeouts.drain`), and closes.
    /// Cancelling the task does not shorten the wait: `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        await connection.close()
    }

    /// Fails what is under way and closes at once. May be called from anywhere, also twice.
    public nonisolated func closeNow() { connection.postCloseNow() }

    /// True once no new request is taken: after `close()`, once the server has said that it will close, after the end.
    public nonisolated var isDraining: Bool { connection.isDraining }

    /// The connection's state at this moment. What is HTTP/2's alone (settings, windows, GOAWAY) says little here.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot { await connection.currentSnapshot() }
}
