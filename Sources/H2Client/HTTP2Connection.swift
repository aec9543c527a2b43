public import HTTPTypes

/// One TCP or TLS connection on which HTTP/2 streams are multiplexed.
///
/// The actor's executor is the connection's `EventLoop`. `send` and everything on a `Response` keep the caller's
/// isolation: called on the loop's thread (see `executor`) they touch the connection at once, from anywhere else they
/// post to it, so that no call hops between threads without need.
///
/// Up to 100 streams are assumed until the server's SETTINGS arrive; then its limit holds. Requests beyond it wait in
/// order. The connection is read at all times: PING is answered and GOAWAY seen while nothing is under way.
public actor HTTP2Connection: OwnedConnection {
    /// The connection itself, for this library.
    public nonisolated let handle: ConnectionHandle
    private nonisolated let control: HTTP2Control

    init(_ connection: Connection) {
        guard let control = connection.control else { preconditionFailure("h2 was chosen") }
        handle = ConnectionHandle(connection: connection)
        self.control = control
    }

    /// A connection over a wire that is established already. On the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: Configuration, on loop: EventLoop) {
        self.init(.simulated(.http2, over: wire, to: origin, configuration, on: loop))
    }

    deinit { handle.connection.postLetGo() }

    /// The connection's loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loopExecutor }

    /// Connects; the caller must `close()` or `closeNow()`.
    ///
    /// Looks the host up off the loop, tries its addresses (Happy Eyeballs, RFC 8305), TLS with ALPN `h2` for an `https`
    /// origin, cleartext by prior knowledge (RFC 9113 section 3.3) for `http`.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `http2NotNegotiated` where the server chose another protocol, `timeout`; `CancellationError`, and nothing is left
    ///   open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP2Connection {
        HTTP2Connection(try await Connector.connect(.http2, to: origin, configuration: configuration, on: loop))
    }

    /// As any connection's (`RequestSender`). Of its own, since by way of the protocol a small request would cost 1 % more.
    /// - Throws: `H2Error`; `CancellationError`; what the body's own sequence or writer threw.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        try await handle.connection.exchange(body, options).perform(request, body)
    }

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
}
