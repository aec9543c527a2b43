public import HTTPTypes

/// A connection that an ``HTTPClient`` lends, of either version of HTTP. See ``HTTPClient/withConnection(to:_:)``.
public struct HTTPConnection: Sendable {
    let loan: Loan
    private var connection: Connection { loan.connection }

    /// Properties that stay the same for the connection's life.
    public var info: ConnectionInfo { connection.info }
    /// The version of HTTP that the connection uses.
    public var version: HTTPVersion { connection.version }
    /// The executor to prefer for tasks that use the connection a lot: `withTaskExecutorPreference(connection.executor)`.
    public var executor: any TaskExecutor { connection.executor }
    /// Whether the connection takes no new requests, because the server announced its end or it is closed.
    public var isDraining: Bool { connection.isDraining }

    /// Sends a request on this connection. Over HTTP/2 concurrent requests share it; over HTTP/1.1 they wait in order.
    /// Otherwise like ``HTTP2Connection/send(_:body:options:)``.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's own sequence or writer.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        try await connection.send(request, body: body, options: options, loan: loan)
    }

    /// Sends a request whose body's writer does not outlive this call. When `handle` returns, the rest of the body is not
    /// sent, and this call returns or throws after the writer has returned.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's writer and of `handle`.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        try await connection.send(
            request, body: body, options: options, loan: loan, handlingResponse: handle)
    }

    /// The connection's state at this moment.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot { await connection.currentSnapshot() }
}

/// A version of HTTP that this library supports.
public enum HTTPVersion: String, Sendable, Hashable {
    /// HTTP/1.1 (RFC 9112). Responses of HTTP/1.0 servers count as this version.
    case http1 = "HTTP/1.1"
    /// HTTP/2 (RFC 9113).
    case http2 = "HTTP/2"
}
