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
public actor HTTP1Connection: OwnedConnection {
    /// The connection itself, for this library.
    public nonisolated let handle: ConnectionHandle

    init(_ connection: Connection) { handle = ConnectionHandle(connection: connection) }

    /// A connection over a wire that is established already. On the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: Configuration, on loop: EventLoop) {
        self.init(.simulated(.http1, over: wire, to: origin, configuration, on: loop))
    }

    deinit { handle.connection.postLetGo() }

    /// The connection's loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loopExecutor }

    /// Connects; the caller must `close()` or `closeNow()`.
    ///
    /// Looks the host up off the loop, tries its addresses (Happy Eyeballs, RFC 8305), TLS with ALPN `http/1.1` for an
    /// `https` origin. A server that chooses no protocol is taken to speak HTTP/1.1.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `http2NotNegotiated` where the server chose a protocol that was not offered, `timeout`; `CancellationError`, and
    ///   nothing is left open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP1Connection {
        HTTP1Connection(try await Connector.connect(.http1, to: origin, configuration: configuration, on: loop))
    }
}
