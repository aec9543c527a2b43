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
/// The actor's executor is the connection's ``H2EventLoop``. `send` and the methods of ``StreamedResponse`` keep the caller's
/// isolation. On the loop's thread (see ``executor``) they use the connection directly; from elsewhere they post to it, so
/// that no call changes threads without need.
///
/// Until the server's SETTINGS arrive, up to 100 concurrent streams are assumed; then the server's limit applies. Requests
/// beyond it wait in order. The connection is read at all times, so PING is answered and GOAWAY noticed while it is idle.
///
/// A connection that is dropped without `close()` takes no new requests. Responses in progress may finish within
/// ``ConnectionConfiguration/Timeouts/drain``, and fail after that.
public actor HTTP2Connection: OwnedConnection, LiveObject {
    /// The connection itself, for use by this library only.
    public nonisolated let handle: ConnectionHandle
    private nonisolated let control: HTTP2Control

    init(_ connection: Connection) {
        guard let control = connection.control else { preconditionFailure("h2 was chosen") }
        handle = ConnectionHandle(connection: connection)
        self.control = control
    }

    /// Creates a connection over an established wire. Called on the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: ConnectionConfiguration, on loop: H2EventLoop) {
        self.init(.simulated(.http2, over: wire, to: origin, configuration, on: loop))
    }

    deinit { handle.connection.postLetGo() }

    /// The executor of the connection's event loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loopExecutor }

    /// Connects. The caller must call `close()` or `closeNow()`.
    ///
    /// The host is looked up, and its addresses are tried (Happy Eyeballs, RFC 8305). An `https` origin is reached by TLS with
    /// ALPN `h2`, an `http` origin in cleartext by prior knowledge (RFC 9113 section 3.3).
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `proxyFailed`, `tlsFailed`, `certificateRejected`,
    ///   `tlsConfiguration`, `timeout`, or `http2NotNegotiated` if the server chose another protocol; `CancellationError`. Nothing stays open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: ConnectionConfiguration = ConnectionConfiguration(),
        on loop: H2EventLoop = .shared
    ) async throws -> HTTP2Connection {
        HTTP2Connection(try await Connector.connect(.http2, to: origin, configuration: configuration, on: loop))
    }

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin.
    ///
    /// A streamed body may still be in progress when this returns. Its writer goes on until the body ends or the response is
    /// complete, fails, or is dropped; in the last three cases the rest of the body is not sent. An error that the writer
    /// throws after the response's head is thrown to the reader of the response's body. Cancelling the task resets the
    /// stream (CANCEL). A writer that ignores its cancellation holds nothing up.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's own sequence or writer.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: HTTPRequestBody = .empty, options: RequestOptions = RequestOptions()
    ) async throws -> StreamedResponse {
        // Not left to `RequestSender`: calling through the protocol would cost a small request 1 % more.
        let options = options.timed
        guard body.isReady else { return try await connection.send(request, opening: body, options) }
        return try await connection.exchange(body, options).perform(request, body)
    }

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
    public nonisolated(nonsending) func updatePriority(_ priority: HTTPPriority, ofStream id: Int32) async throws {
        let (connection, control) = (connection, control)
        if let error = await connection.loop.run({ control.updatePriority(priority, ofStream: id) }) {
            throw error
        }
    }
}
