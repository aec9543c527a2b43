public import HTTPTypes

/// A connection that requests are sent on: one of one's own (`HTTP2Connection`, `HTTP1Connection`), or one that a client
/// lends (`HTTPConnection`).
public protocol RequestSender: Sendable {
    /// The connection itself, for this library.
    nonisolated var handle: ConnectionHandle { get }
}

/// A connection as those hold it who send on it.
public struct ConnectionHandle: Sendable {
    let connection: Connection
    /// Whoever has it for a time, if it is lent.
    var loan: Loan?
}

extension RequestSender {
    /// Facts that hold for the connection's life.
    public nonisolated var info: ConnectionInfo { handle.connection.info }

    /// The version that is spoken on it.
    public nonisolated var version: HTTPVersion { handle.connection.version }

    /// Prefer this executor for tasks that use the connection much: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { handle.connection.loop.taskExecutor }

    /// True once no new request is taken: the connection is being closed, or the server has said that it will close it, or it
    /// has ended.
    public nonisolated var isDraining: Bool { handle.connection.isDraining }

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin.
    ///
    /// Over HTTP/2 requests that are sent at once share the connection; over HTTP/1.1 they follow each other in order.
    ///
    /// A body that is streamed is still being sent when this returns (over HTTP/1.1 in chunks, where its length is not
    /// known): its writer goes on until the body's end, as long as the response is under way. What is left of it is given up
    /// when the response is whole, fails, or is dropped. What the writer throws after the head is thrown to the reader of the
    /// response's body. Cancelling the task resets the stream (CANCEL); over HTTP/1.1 it ends the connection, as giving up a
    /// body does, unless the request still waits for its turn. Nobody waits for a writer that ignores its cancellation.
    /// - Throws: `H2Error`; `CancellationError`; what the body's own sequence or writer threw.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        let handle = handle
        return try await handle.connection.exchange(body, options, handle.loan).perform(request, body)
    }

    /// As above, with the writer of a streamed body bound to this call: when `handle` returns, what is left of the body is
    /// given up, and this returns or throws once the writer has returned.
    /// - Throws: as above; what `handle` throws.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        let (connection, loan) = (self.handle.connection, self.handle.loan)
        return try await connection.exchange(body, options, loan).perform(request, body, handlingResponse: handle)
    }

    /// The connection's state at this moment. Over HTTP/1.1 what is HTTP/2's alone (settings, windows, GOAWAY) says little.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot {
        let connection = handle.connection
        return await connection.loop.run { connection.snapshot() }
    }
}

extension Connection {
    /// An exchange with the body's file opened.
    /// - Throws: `H2Error` (`localIO`, `timeout`), `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func exchange(
        _ body: RequestBody, _ options: RequestOptions, _ loan: Loan? = nil
    ) async throws -> Exchange {
        var (body, calledAt): (RequestBody, UInt64?) = (body, nil)
        if body.isUnopenedFile {
            let now = loop.preciseNow
            calledAt = now
            body = try await body.opened(on: loop, options, calledAt: now)
        }
        let exchange = try Exchange(connection: self, body: body, options: options, calledAt: calledAt)
        loan?.began(exchange)
        return exchange
    }
}
