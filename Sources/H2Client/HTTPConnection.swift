public import HTTPTypes

/// A connection that a client lends, of either version of HTTP.
public struct HTTPConnection: Sendable {
    let loan: Loan
    private var connection: Connection { loan.connection }

    /// Facts that hold for the connection's life.
    public var info: ConnectionInfo { connection.info }
    /// What is spoken on it.
    public var version: HTTPVersion { connection.version }
    /// Prefer this executor for tasks that use the connection much: `withTaskExecutorPreference(connection.executor)`.
    public var executor: any TaskExecutor { connection.executor }
    /// True once it takes no new request: the server said so, or it is closed.
    public var isDraining: Bool { connection.isDraining }

    /// Sends a request on this connection. Over HTTP/2 requests sent at once share it; over HTTP/1.1 they wait in order.
    /// As `HTTP2Connection.send` otherwise.
    /// - Throws: `H2Error`; `CancellationError`; what the body's own sequence or writer threw.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        try await connection.send(request, body: body, options: options, loan: loan)
    }

    /// As above, with the writer of a streamed body bound to this call: when `handle` returns, what is left of the body is
    /// given up, and this returns or throws once the writer has returned.
    /// - Throws: as above; what `handle` throws.
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

/// A version of HTTP that is spoken here.
public enum HTTPVersion: String, Sendable, Hashable {
    case http1 = "HTTP/1.1"
    case http2 = "HTTP/2"

    // The compiler's own would compare raw values, which are strings.
    public static func == (one: HTTPVersion, other: HTTPVersion) -> Bool {
        switch (one, other) {
        case (.http1, .http1), (.http2, .http2): true
        case (.http1, .http2), (.http2, .http1): false
        }
    }
}
