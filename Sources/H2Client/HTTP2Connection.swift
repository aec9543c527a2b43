public import HTTPTypes

/// One TCP or TLS connection on which HTTP/2 streams are multiplexed.
///
/// The actor's executor is the connection's `EventLoop`. `send` and everything on a `Response` keep the caller's
/// isolation: called on the loop's thread (see `executor`) they touch the connection at once, from anywhere else they
/// post to it.
public actor HTTP2Connection {
    public nonisolated let info: ConnectionInfo
    nonisolated let loop: EventLoop

    init(info: ConnectionInfo, loop: EventLoop) {
        self.info = info
        self.loop = loop
    }

    /// Connects (resolve, Happy Eyeballs, TLS with ALPN `h2` or cleartext by prior knowledge), runs `body`, and closes
    /// on every exit: gracefully after a return, at once after an error or cancellation.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (HTTP2Connection) async throws -> R
    ) async throws -> R {
        fatalError("stub")
    }

    /// Connects; the caller must `close()` or `closeNow()`. A connection that is dropped unclosed closes at once.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP2Connection {
        fatalError("stub")
    }

    /// Prefer this executor for tasks that use the connection much: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { fatalError("stub") }

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        fatalError("stub")
    }

    /// As above, with the response handled while the request's body may still be on its way (full duplex).
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        fatalError("stub")
    }

    /// Sends PING and waits for its acknowledgement: the round-trip time.
    public nonisolated(nonsending) func ping(timeout: Duration = .seconds(15)) async throws -> Duration {
        fatalError("stub")
    }

    /// Sends PRIORITY_UPDATE (RFC 9218 section 7) for an open stream.
    public nonisolated(nonsending) func updatePriority(_ priority: Priority, ofStream id: Int32) async throws {
        fatalError("stub")
    }

    /// Takes no new requests, waits for the streams under way (at most `timeouts.drain`), says GOAWAY, closes.
    public nonisolated(nonsending) func close() async { fatalError("stub") }

    /// Fails what is under way and closes at once. May be called from anywhere, also twice.
    public nonisolated func closeNow() { fatalError("stub") }

    /// True once no new request is taken.
    public nonisolated var isDraining: Bool { fatalError("stub") }

    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot { fatalError("stub") }
}
