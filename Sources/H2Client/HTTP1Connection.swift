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
/// - If a body is not read, the server is held back after ``ConnectionConfiguration/Windows/stream`` unread bytes, and waiting
///   requests with it.
/// - The connection ends after `connection: close`, after HTTP/1.0 without `keep-alive`, and after a body that ends with the
///   connection. ``isDraining`` is true as soon as that is known. An idle connection ends as soon as the server closes it or
///   sends any byte.
///
/// A connection that is dropped without `close()` takes no new requests. A response in progress may finish within
/// ``ConnectionConfiguration/Timeouts/drain``, and fails after that.
public actor HTTP1Connection: OwnedConnection, LiveObject {
    /// The connection itself, for use by this library only.
    public nonisolated let handle: ConnectionHandle

    init(_ connection: Connection) { handle = ConnectionHandle(connection: connection) }

    /// Creates a connection over an established wire. Called on the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: ConnectionConfiguration, on loop: H2EventLoop) {
        self.init(.simulated(.http1, over: wire, to: origin, configuration, on: loop))
    }

    deinit { handle.connection.postLetGo() }

    /// The executor of the connection's event loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loopExecutor }

    /// Connects. The caller must call `close()` or `closeNow()`.
    ///
    /// The host is looked up, its addresses are tried (Happy Eyeballs, RFC 8305), and for an `https` origin TLS offers ALPN
    /// `http/1.1`. A server that chooses no protocol is assumed to speak HTTP/1.1.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `proxyFailed`, `tlsFailed`, `certificateRejected`,
    ///   `tlsConfiguration`, `timeout`, or `http2NotNegotiated` if the server chose a protocol that was not offered; `CancellationError`. Nothing
    ///   stays open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: ConnectionConfiguration = ConnectionConfiguration(),
        on loop: H2EventLoop = .shared
    ) async throws -> HTTP1Connection {
        HTTP1Connection(try await Connector.connect(.http1, to: origin, configuration: configuration, on: loop))
    }
}
