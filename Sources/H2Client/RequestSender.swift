public import HTTPTypes

/// A connection that sends requests: ``HTTP2Connection``, ``HTTP1Connection``, or an ``HTTPConnection`` that a client lends.
public protocol RequestSender: Sendable {
    /// The connection itself, for use by this library only.
    nonisolated var handle: ConnectionHandle { get }
}

/// The connection behind a ``RequestSender``, for use by this library only.
public struct ConnectionHandle: Sendable {
    let connection: Connection
    /// The current borrower, if it is lent.
    var loan: Loan?
}

extension RequestSender {
    /// Properties that stay the same for the connection's life.
    public nonisolated var info: ConnectionInfo { handle.connection.knownInfo }

    /// The version of HTTP that the connection uses.
    public nonisolated var version: HTTPProtocolVersion { handle.connection.version }

    /// The executor to prefer for tasks that use the connection a lot: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { handle.connection.loop.taskExecutor }

    /// Whether the connection takes no new requests: after `close()`, after the server announced that it will close (over
    /// HTTP/2 by GOAWAY), and after the end.
    public nonisolated var isDraining: Bool { handle.connection.isDraining }

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin. Over HTTP/2 concurrent requests share the connection; over HTTP/1.1 they wait in order.
    ///
    /// A streamed body may still be in progress when this returns (over HTTP/1.1 in chunks if its length is not known). Its
    /// writer goes on until the body ends or the response is complete, fails, or is dropped; in the last three cases the rest
    /// of the body is not sent, and an HTTP/1.1 connection ends. An error that the writer throws after the response's head is
    /// thrown to the reader of the response's body. Cancelling the task resets the stream (CANCEL); over HTTP/1.1 it ends the
    /// connection, unless the request still waits to be sent. A writer that ignores its cancellation holds nothing up.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's own sequence or writer.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: HTTPRequestBody = .empty, options: RequestOptions = RequestOptions()
    ) async throws -> StreamedResponse {
        let (handle, options) = (handle, options.timed)
        guard body.isReady else {
            return try await handle.connection.send(request, opening: body, options, handle.loan)
        }
        return try await handle.connection.exchange(body, options, handle.loan).perform(request, body)
    }

    /// Sends a request whose body's writer does not outlive this call. When `handle` returns, the rest of the body is not
    /// sent, and this call returns or throws after the writer has returned.
    /// - Throws: `H2Error`; `CancellationError`; the errors of the body's writer and of `handle`.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: HTTPRequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (StreamedResponse) async throws -> R
    ) async throws -> R {
        let response = try await send(request, body: body, options: options)
        return try await response.exchange.endingWriter { try await handle(response) }
    }

    /// The connection's state at this moment. Members that only HTTP/2 has (settings, windows, GOAWAY) mean little here.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot {
        let connection = handle.connection
        return await connection.loop.run { connection.snapshot() }
    }
}

extension Connection {
    /// Opens the files of a body, and sends the request.
    ///
    /// A separate function: the state that it keeps while waiting would cost each small request 1 %.
    /// - Throws: the errors of `perform`; `H2Error` (`localIO`, `timeout`), `CancellationError`.
    @inline(never)
    nonisolated(nonsending) func send(
        _ request: HTTPRequest, opening body: HTTPRequestBody, _ options: RequestOptions, _ loan: Loan? = nil
    ) async throws -> StreamedResponse {
        var (opened, calledAt): (HTTPRequestBody, UInt64?) = (body, nil)
        if body.isUnopenedFile {
            let now = loop.preciseNow
            calledAt = now
            opened = try await body.opened(on: loop, options, calledAt: now)
        }
        return try await exchange(opened, options, loan, calledAt).perform(body.typed(request), opened)
    }

    /// Creates an exchange for a body whose files are open.
    /// - Throws: `H2Error` (`localIO`).
    @inline(__always)
    func exchange(
        _ body: HTTPRequestBody, _ options: RequestOptions, _ loan: Loan? = nil, _ calledAt: UInt64? = nil
    ) throws -> Exchange {
        let exchange = try Exchange(connection: self, body: body, options: options, calledAt: calledAt)
        loan?.began(exchange)
        return exchange
    }
}
