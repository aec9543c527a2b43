public import HTTPTypes

/// An HTTP client that reuses connections: it opens as few as possible, multiplexes requests over them or keeps them alive,
/// retries what is safe to retry, and closes what is no longer needed.
///
/// ```swift
/// try await withHTTPClient { client in
///     let page = try await client.get("https://example.com/")
///     print(page.status, page.text)
///     let statistics = await client.statistics()
///     print(statistics.connectionsOpened, statistics.reuseRatio)
/// }
/// ```
///
/// The version of HTTP is negotiated (see ``Versions``). A request takes a stream of an HTTP/2 connection or a whole HTTP/1.1
/// connection. If none is free, the client opens one or the request waits (see ``Pool``). A client can be used from any task,
/// and `send` keeps its caller's isolation. Each event loop of the configuration is a thread. Calls cost the least from a task
/// on its connection's loop (see ``H2EventLoop/taskExecutor``).
///
/// Responses may outlive their client by 30 s. When the last reference to a client is dropped, responses in progress may
/// finish within that time; after that their readers get `H2Error` (`clientShutDown`). All other connections are closed at
/// once. ``shutdown(gracePeriod:)`` waits, and takes another time limit.
public final class HTTPClient: LiveObject, Sendable {
    /// A client that the whole process shares, with the default configuration. It is never shut down.
    public static let shared = HTTPClient()

    /// The client's configuration. With `.own(count:)` it holds the event loops that the client made.
    public let configuration: Configuration
    let pool: ConnectionPool
    /// Takes the place of all servers.
    let handler: Handler?
    /// Whether a request without its own options goes directly from its caller to the pool.
    private let isPlain: Bool

    /// Creates a client without connections.
    ///
    /// This cannot fail. Files that the configuration names are read when a connection is opened, and invalid values fail
    /// each request (`invalidConfiguration`); see ``Configuration/validate()``.
    public convenience init(configuration: Configuration = Configuration()) {
        self.init(configuration, handler: nil, network: nil)
    }

    /// A function that answers requests in place of a server.
    public typealias Handler =
        nonisolated(nonsending) @Sendable (HTTPRequest, HTTPRequestBody) async throws -> StreamedResponse

    /// Creates a client that calls `handler` in place of servers, for tests of code that takes a client.
    ///
    /// Redirects, cookies, credentials and interceptors work as with servers. There are no connections, so time limits,
    /// retries, limits and statistics do not apply. Create responses with H2ClientTesting, a new one for each call. The
    /// handler can read a request's body with ``HTTPRequestBody/collect(upTo:)``.
    ///
    /// ```swift
    /// let client = HTTPClient { request, body in
    ///     StreamedResponse(status: request.path == "/" ? .ok : .notFound, body: "hello")
    /// }
    /// ```
    public convenience init(configuration: Configuration = Configuration(), handler: @escaping Handler) {
        self.init(configuration, handler: handler, network: nil)
    }

    /// Creates a client whose connections are simulated.
    convenience init(configuration: Configuration, network: any SimulatedNetwork) {
        self.init(configuration, handler: nil, network: network)
    }

    private init(_ configuration: Configuration, handler: Handler?, network: (any SimulatedNetwork)?) {
        pool = ConnectionPool(configuration, network: network)
        self.configuration = pool.configuration
        self.handler = handler
        isPlain = handler == nil && configuration.needsNoFlow
    }

    // Only posts, like every `deinit` here: the last reference may be released under a lock or in a cancellation handler.
    deinit { pool.letGo() }

    // MARK: - Requests

    /// Sends a request on an existing or new connection, and waits for the response's header fields.
    ///
    /// The request's `scheme` and `authority` say where it goes; ``RequestTarget/request(_:headerFields:)`` fills them in. Failed attempts are
    /// retried as ``RetryPolicy`` allows, and listed in ``StreamedResponse/failedAttempts``. Cancelling the task gives the request
    /// up at any stage: waiting, connecting, or in progress (RST_STREAM over HTTP/2, the end of the connection over HTTP/1.1).
    ///
    /// A streamed body may still be in progress when this returns. Its writer goes on until the body ends or the response is
    /// complete, fails, or is dropped; in the last three cases the rest of the body is not sent. An error that the writer
    /// throws after the response's head is thrown to the reader of the response's body. A writer that ignores its
    /// cancellation holds nothing up.
    /// - Throws: `H2Error`: why the last attempt failed; `CancellationError`; the errors of the body's own sequence or writer.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: HTTPRequestBody = .empty, options: RequestOptions = RequestOptions()
    ) async throws -> StreamedResponse {
        let options = try merged(options)
        let calledAt = pool.now
        if !isPlain || !body.isReady || !options.areDefaults && options.needsFlow {
            return try await sendInFlow(request, body, options, calledAt)
        }
        var attempts: Attempts?
        let response = try await retrying(request, body, options, calledAt: calledAt, &attempts)
        guard RedirectChain.isRedirect(response.status) else { return response }
        return try await follow(response, to: request, body, options, calledAt, attempts)
    }

    // Separate functions: the state that they keep while waiting would cost each small request 1 %.

    @inline(never)
    private nonisolated(nonsending) func sendInFlow(
        _ request: HTTPRequest, _ body: HTTPRequestBody, _ options: RequestOptions, _ calledAt: UInt64
    ) async throws -> StreamedResponse {
        try await RequestFlow(client: self, options: options, calledAt: calledAt).send(request, body)
    }

    @inline(never)
    private nonisolated(nonsending) func follow(
        _ response: StreamedResponse, to request: HTTPRequest, _ body: HTTPRequestBody, _ options: RequestOptions,
        _ calledAt: UInt64, _ attempts: Attempts?
    ) async throws -> StreamedResponse {
        try await RequestFlow(client: self, options: options, calledAt: calledAt)
            .follow(response, to: request, body, attempts)
    }

    /// The options with the client's defaults.
    /// - Throws: `H2Error` (`invalidConfiguration`).
    @inline(__always)
    private func merged(_ options: RequestOptions) throws(H2Error) -> RequestOptions {
        if options.areDefaults { return pool.requestOptions }
        try options.validate()
        return options.over(pool.requestOptions).withDeadline()
    }

    /// Sends a request whose body's writer does not outlive this call. When `handle` returns, the rest of the body is not
    /// sent, and this call returns or throws after the writer has returned. The request is not retried once `handle` was
    /// called.
    /// - Throws: `H2Error`: why the last attempt failed; `CancellationError`; the errors of the body's writer and of `handle`.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: HTTPRequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (StreamedResponse) async throws -> R
    ) async throws -> R {
        var options = options
        // The writer of another copy could outlive the call.
        if case .stream = body.content, (options.hedging ?? configuration.requestOptions.hedging) != nil {
            options.hedging = .never
        }
        let response = try await send(request, body: body, options: options)
        return try await response.exchange.endingWriter { try await handle(response) }
    }

    /// Lends one connection to `body`, which sends all its requests on it.
    ///
    /// An HTTP/1.1 connection serves nobody else meanwhile. An HTTP/2 connection also serves other requests of the client,
    /// and is kept open. Retries, and limits on concurrency and rate, do not apply to requests on a lent connection.
    /// - Throws: The errors of connecting and of `body`.
    public nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, _ body: nonisolated(nonsending) (HTTPConnection) async throws -> R
    ) async throws -> R {
        let (loan, key) = try await pool.lend(origin)
        defer { pool.giveBack(loan, of: key) }
        return try await body(HTTPConnection(loan))
    }

    /// Opens connections to an origin before they are needed, and returns when they are established.
    ///
    /// They are then idle, and are closed like others after ``Pool/idleTimeout``. Existing idle connections count. An
    /// HTTP/2 origin gets only one, since all requests share it.
    /// - Parameters:
    ///   - origin: Where the connections lead.
    ///   - count: The number of HTTP/1.1 connections to have idle; at most ``Pool/http1ConnectionsPerOrigin``.
    /// - Throws: The errors of connecting; `CancellationError`.
    public nonisolated(nonsending) func preconnect(to origin: Origin, count: Int = 1) async throws {
        let count = min(count, configuration.pool.http1ConnectionsPerOrigin)
        guard count > 0 else { return }
        // Hold all of them until the last is established, or one would be lent several times.
        try await withThrowingTaskGroup(of: LentConnection.self) { group in
            for _ in 0..<count {
                group.addTask {
                    let (loan, key) = try await self.pool.lendPooled(origin)
                    return LentConnection(pool: self.pool, loan: loan, key: key)
                }
            }
            var lent: [LentConnection] = []
            for try await connection in group { lent.append(connection) }
        }
    }

    // MARK: - Care

    /// Prepares TLS on this thread, for a program whose main thread is free for it: connections that `start` begins share the
    /// load instead of starting a thread for it. This may block, because it reads the configuration's files.
    ///
    /// For a program that uses OpenSSL through this library only: the texts of OpenSSL's errors are loaded when one is shown.
    package func prepareTLS(_ start: () -> Void) { pool.tls.prepare(start) }

    /// Closes the connections that are idle at this moment.
    public func closeIdle() { pool.closeIdle() }

    /// Takes no new requests, fails those that wait (`clientShutDown`), waits up to `gracePeriod` for those in progress,
    /// and closes all connections.
    ///
    /// A request is in progress until its response has ended. A long response that nobody reads therefore holds this up until
    /// the end of the grace period; then its reader gets `H2Error` (`clientShutDown`). Cancelling the task does not shorten the wait. Has no
    /// effect on ``shared``.
    public nonisolated(nonsending) func shutdown(gracePeriod: Duration = .seconds(30)) async {
        if self === Self.shared { return }
        await pool.shutdown(gracePeriod: gracePeriod)
    }

    /// Fails all requests (`clientShutDown`) and closes all connections at once. Has no effect on ``shared``.
    public func shutdownNow() {
        if self === Self.shared { return }
        pool.shutdownNow()
    }

    /// The figures of the client since it was created, and its state at this moment.
    public nonisolated(nonsending) func statistics() async -> Statistics { await pool.statistics() }

    /// The client's events from now on: connections opened, reused, drained and closed, and why; requests queued, sent,
    /// retried and finished.
    ///
    /// Each call returns a stream of its own. If its reader is slow, only the newest events are kept, up to `limit`. Events
    /// cost nothing without a reader.
    public func events(bufferingNewest limit: Int = 10_000) -> AsyncStream<Event> {
        pool.events(bufferingNewest: limit)
    }
}

/// Creates a client, runs `body`, and shuts the client down: gracefully after a return, at once after an error.
///
/// Requests still in progress after a return are not waited for, so `body` may return an unread ``StreamedResponse``. They may finish
/// within 30 s; after that their readers get `H2Error` (`clientShutDown`). If there are none, all connections are closed when
/// this returns.
/// - Throws: The errors of `body`.
public nonisolated(nonsending) func withHTTPClient<R>(
    configuration: HTTPClient.Configuration = HTTPClient.Configuration(),
    _ body: nonisolated(nonsending) (HTTPClient) async throws -> R
) async throws -> R {
    let client = HTTPClient(configuration: configuration)
    do {
        let result = try await body(client)
        await client.pool.shutdown(gracePeriod: ConnectionPool.grace, waitsForRequests: false)
        return result
    } catch {
        client.shutdownNow()
        throw error
    }
}
