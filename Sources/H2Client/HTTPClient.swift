public import HTTPTypes

/// A client that reuses connections: it opens as few as it may, multiplexes over them or keeps them alive, sends again what
/// is safe to send again, and closes what is no longer needed.
///
/// Which version is spoken is negotiated (`Versions`). A request takes a stream of an HTTP/2 connection or a whole HTTP/1.1
/// connection; where none is free it opens one or waits, as `Pool` says. All of it may be used from any task; `send` keeps
/// its caller's isolation. Every loop of the configuration is a thread, and a caller on the loop of its connection (see
/// `EventLoop.taskExecutor`) costs the least.
///
/// Responses outlive their client by 30 s: one that is dropped while responses are under way lets them come to their end
/// within that time; then their readers get `H2Error` (`clientShutDown`). It closes all other connections at once.
/// `shutdown(deadline:)` allows another time, and waits.
public final class HTTPClient: Sendable {
    /// The process's own client, with the default configuration. It is never shut down.
    public static let shared = HTTPClient()

    /// What the client was made with; with the loops that it made, where it was to use its own.
    public let configuration: Configuration
    let pool: ConnectionPool

    /// A client without connections. Nothing can fail here: files that the configuration names are read when a connection is
    /// made, and values that it cannot have fail each request (`invalidConfiguration`); see `Configuration.validate()`.
    public init(configuration: Configuration = Configuration()) {
        pool = ConnectionPool(configuration)
        self.configuration = pool.configuration
    }

    /// A client whose connections lead into a simulation.
    init(configuration: Configuration, network: any SimulatedNetwork) {
        self.configuration = configuration
        pool = ConnectionPool(configuration, network: network)
    }

    // Posts, as any `deinit` here: the last reference may go under somebody's lock, or in a cancellation handler.
    deinit { pool.letGo() }

    // MARK: - Requests

    /// Sends a request, on a connection that is there, or a new one, and waits for the response's header fields.
    ///
    /// `scheme` and `authority` say where it goes; `HTTPRequest(url:)` fills them in. What `RetryPolicy` allows is sent
    /// again, and shows in the response's `failedAttempts`. Cancelling the task gives up the request wherever it is: waiting,
    /// being connected, on its way (RST_STREAM over HTTP/2, the end of the connection over HTTP/1.1).
    ///
    /// A body that is streamed is still being sent when this returns: its writer goes on until the body's end, as long as the
    /// response is under way. What is left of it is given up when the response is whole, fails, or is dropped. What the
    /// writer throws after the head is thrown to the reader of the response's body. Nobody waits for a writer that ignores
    /// its cancellation.
    /// - Throws: `H2Error`: why the last attempt failed; `CancellationError`; what the body's own sequence or writer threw.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        let options = options.areDefaults ? configuration.requestOptions : options.over(configuration.requestOptions)
        let calledAt = pool.now
        if body.isUnopenedFile {
            let body = try await body.opened(on: pool.clock, options, calledAt: calledAt)
            return try await send(request, body, options, calledAt: calledAt)
        }
        return try await send(request, body, options, calledAt: calledAt)
    }

    /// The same with the configuration's options added, and a body that can be read.
    @inline(__always)
    private nonisolated(nonsending) func send(
        _ request: HTTPRequest, _ body: RequestBody, _ options: RequestOptions, calledAt: UInt64
    ) async throws -> Response {
        let response = try await retrying(request, body, options, calledAt: calledAt, isDuplex: false) { _ in }
        guard let response else { preconditionFailure("only full duplex has no response here") }
        return response
    }

    /// As above, with the writer of a streamed body bound to this call: when `handle` returns, what is left of the body is
    /// given up, and this returns or throws once the writer has returned. Nothing is sent again once `handle` was called.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        guard case .stream = body.content else {
            return try await handle(send(request, body: body, options: options))
        }
        let options = options.areDefaults ? configuration.requestOptions : options.over(configuration.requestOptions)
        var result: Result<R, any Error>?
        _ = try await retrying(request, body, options, calledAt: pool.now, isDuplex: true) { exchange in
            var wasHandled = false
            do {
                result = .success(
                    try await exchange.perform(request, body) { response in
                        wasHandled = true
                        learn(from: response, exchange)
                        return try await handle(response)
                    })
            } catch {
                guard wasHandled else { throw error }
                // Nothing is sent again from here on.
                result = .failure(error)
            }
        }
        guard let result else { preconditionFailure("it has been sent") }
        return try result.get()
    }

    /// Lends one connection, for reuse logic of one's own: whatever is sent on it goes over the same connection.
    ///
    /// An HTTP/1.1 connection is nobody else's meanwhile. An HTTP/2 connection also serves other requests of the client, and
    /// is kept open. Limits on concurrency and rate, and retrying, are the caller's business here.
    /// - Throws: what connecting and `body` throw.
    public nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, _ body: nonisolated(nonsending) (HTTPConnection) async throws -> R
    ) async throws -> R {
        let (loan, key) = try await pool.lend(origin)
        defer { pool.giveBack(loan, of: key) }
        return try await body(HTTPConnection(loan))
    }

    // MARK: - Care

    /// Closes the connections that serve nothing at the moment.
    public func closeIdle() { pool.closeIdle() }

    /// Takes no new requests, fails those that wait (`clientShutDown`), lets those under way finish until `deadline` has
    /// passed, and closes all connections.
    ///
    /// A request is under way until its response has come to its end. One that nobody reads, and that is too long to come
    /// unread, holds this up until the deadline; it fails then with `H2Error` (`clientShutDown`), which its reader gets.
    /// Cancelling the task does not shorten the wait. Does nothing to `shared`.
    public nonisolated(nonsending) func shutdown(deadline: Duration = .seconds(30)) async {
        if self === Self.shared { return }
        await pool.shutdown(deadline: deadline)
    }

    /// Fails what is under way or waits (`clientShutDown`), and closes all connections at once. Does nothing to `shared`.
    public func shutdownNow() {
        if self === Self.shared { return }
        pool.shutdownNow()
    }

    /// What the client has done, and holds at this moment.
    public nonisolated(nonsending) func statistics() async -> Statistics { await pool.statistics() }

    /// What happens from now on: connections opened, reused, drained and closed, and why; requests queued, sent, finished.
    ///
    /// Each call gets a stream of its own. Where its reader is slow, the oldest of `bufferingNewest` events are dropped.
    /// Without a reader events cost nothing.
    public func events(bufferingNewest limit: Int = 10_000) -> AsyncStream<Event> {
        pool.events(bufferingNewest: limit)
    }
}

/// Makes a client, runs `body`, and shuts the client down on every exit: gracefully after a return, at once after an error.
///
/// After a return, requests that are still under way are not waited for: a `Response` that `body` returns unread, say, which
/// only the caller can read. They may come to their end within 30 s; then their readers get `H2Error` (`clientShutDown`).
/// Without any, all connections are closed when this returns.
/// - Throws: what `body` throws.
public nonisolated(nonsending) func withHTTPClient<R>(
    configuration: HTTPClient.Configuration = HTTPClient.Configuration(),
    _ body: nonisolated(nonsending) (HTTPClient) async throws -> R
) async throws -> R {
    let client = HTTPClient(configuration: configuration)
    do {
        let result = try await body(client)
        await client.pool.shutdown(deadline: ConnectionPool.grace, waitsForRequests: false)
        return result
    } catch {
        client.shutdownNow()
        throw error
    }
}
