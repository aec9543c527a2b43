public import HTTPTypes
import Synchronization

/// One TCP or TLS connection on which HTTP/2 streams are multiplexed.
///
/// The actor's executor is the connection's `EventLoop`. `send` and everything on a `Response` keep the caller's
/// isolation: called on the loop's thread (see `executor`) they touch the connection at once, from anywhere else they
/// post to it, so that no call hops between threads without need.
///
/// Up to 100 streams are assumed until the server's SETTINGS arrive; then its limit holds. Requests beyond it wait in
/// order. The connection is read at all times: PING is answered and GOAWAY seen while nothing is under way.
///
/// A connection that is dropped unclosed closes at once, and responses still under way fail.
public actor HTTP2Connection {
    /// Facts that hold for the connection's life.
    public nonisolated let info: ConnectionInfo
    nonisolated let multiplexer: HTTP2Multiplexer

    private static let lastID = Atomic<Int>(0)

    init(_ multiplexer: HTTP2Multiplexer) {
        self.multiplexer = multiplexer
        info = multiplexer.info
    }

    /// A connection over a wire that is established already. On the loop's thread. For simulation.
    package init(over wire: any Wire, to origin: Origin, configuration: Configuration, on loop: EventLoop) {
        loop.preconditionInLoop()
        let id = ConnectionID(number: Self.lastID.add(1, ordering: .relaxed).newValue)
        let info = ConnectionInfo(
            id: id, origin: origin, remoteAddress: "", localAddress: "", isPeerVerified: false, resolve: .zero,
            connect: .zero)
        let multiplexer = HTTP2Multiplexer(wire: wire, info: info, configuration: configuration, loop: loop)
        multiplexer.activate()
        self.init(multiplexer)
    }

    deinit { closeNow() }

    /// The connection's loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { multiplexer.loop.asUnownedSerialExecutor() }

    /// Prefer this executor for tasks that use the connection much: `withTaskExecutorPreference(connection.executor)`.
    public nonisolated var executor: any TaskExecutor { multiplexer.loop.taskExecutor }

    // MARK: - Connect

    /// Connects, runs `body`, and closes on every exit: gracefully after a return (streams under way finish), at once
    /// after an error.
    ///
    /// Connecting: look the host up off the loop, try its addresses (Happy Eyeballs, RFC 8305), TLS with ALPN `h2` for an
    /// `https` origin, cleartext by prior knowledge (RFC 9113 section 3.3) for `http`.
    /// - Throws: what `connect` and `body` throw.
    public static nonisolated(nonsending) func withConnection<R>(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared,
        _ body: nonisolated(nonsending) (HTTP2Connection) async throws -> R
    ) async throws -> R {
        let connection = try await connect(to: origin, configuration: configuration, on: loop)
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            connection.closeNow()
            throw error
        }
    }

    /// Connects; the caller must `close()` or `closeNow()`.
    /// - Throws: `H2Error`: `resolveFailed`, `connectFailed`, `tlsFailed`, `certificateRejected`, `tlsConfiguration`,
    ///   `http2NotNegotiated` where the server chose another protocol, `timeout`; `CancellationError`, and nothing is left
    ///   open.
    public static nonisolated(nonsending) func connect(
        to origin: Origin, configuration: Configuration = Configuration(), on loop: EventLoop = .shared
    ) async throws -> HTTP2Connection {
        try Task.checkCancellation()
        let tls = origin.scheme == .https ? try TLSContext(client: configuration.tls) : nil
        let id = ConnectionID(number: lastID.add(1, ordering: .relaxed).newValue)
        let dial = Dial(origin: origin, id: id, configuration: configuration, tls: tls, loop: loop)
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                loop.execute { dial.start(continuation) }
            }
        } onCancel: {
            loop.execute { dial.cancel() }
        }
        Handover.take(dial)
        return HTTP2Connection(try result.get())
    }

    /// Runs `body` isolated to the connection, on its loop's thread: nothing else of the connection happens between two
    /// of its steps that do not wait.
    ///
    /// The task prefers `executor` meanwhile: what resumes a task goes by way of the executor that it prefers, and without
    /// one by way of Swift's global pool.
    /// - Throws: what `body` throws. Cancellation is left to `body`.
    public nonisolated func isolated<R: Sendable>(
        _ body: @Sendable (isolated HTTP2Connection) async throws -> R
    ) async rethrows -> R {
        try await withTaskExecutorPreference(executor) { try await body(self) }
    }

    // MARK: - Requests

    /// Sends a request and waits for the final response's header fields. Missing `scheme`, `authority` and `path` are
    /// filled in from the origin.
    ///
    /// A body that is streamed is sent before this returns, or given up where the response is complete without it; to
    /// read the response while the body is still being sent, use `send(_:body:options:handlingResponse:)`. Cancelling
    /// the task resets the stream (CANCEL) and leaves its siblings alone.
    /// - Throws: `H2Error`; `CancellationError`; what the body's own sequence or writer threw.
    public nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions()
    ) async throws -> Response {
        let exchange = try Exchange(connection: multiplexer, body: body, options: options)
        if case .stream(_, let pump) = body.content {
            return try await Self.uploading(exchange, request, pump) { response in
                await exchange.uploadEnd()
                return response
            }
        }
        return try await exchange.perform(request)
    }

    /// As above, with the response handled while the request's body may still be on its way (full duplex). When `handle`
    /// returns, what is left of a streamed body is given up.
    public nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions = RequestOptions(),
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        let exchange = try Exchange(connection: multiplexer, body: body, options: options)
        if case .stream(_, let pump) = body.content {
            return try await Self.uploading(exchange, request, pump, handle)
        }
        return try await handle(exchange.perform(request))
    }

    /// Runs the writer as a child task beside the response, and ends it with it.
    private static nonisolated(nonsending) func uploading<R>(
        _ exchange: Exchange, _ request: HTTPRequest,
        _ pump: @escaping @Sendable (RequestBodyWriter) async throws -> Void,
        _ handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await pump(RequestBodyWriter(exchange: exchange))
                    await exchange.finishUpload(nil)
                } catch {
                    // Where the response is complete already, this changes nothing.
                    await exchange.finishUpload(error)
                }
            }
            defer { group.cancelAll() }
            return try await handle(exchange.perform(request))
        }
    }

    // MARK: - Care

    /// Sends PING and waits for its acknowledgement.
    /// - Returns: the round-trip time.
    /// - Throws: `H2Error`: `timeout`, or why the connection is closed.
    public nonisolated(nonsending) func ping(timeout: Duration = .seconds(15)) async throws -> Duration {
        let multiplexer = multiplexer
        let result: Result<Duration, H2Error> = await withUnsafeContinuation { continuation in
            multiplexer.loop.execute {
                multiplexer.ping(timeout: timeout) {
                    Handover.give(multiplexer)
                    continuation.resume(returning: $0)
                }
            }
        }
        Handover.take(multiplexer)
        return try result.get()
    }

    /// Sends PRIORITY_UPDATE (RFC 9218 section 7) for a stream. Does nothing where the server has not said
    /// SETTINGS_NO_RFC7540_PRIORITIES, without which it need not know the frame.
    /// - Throws: `H2Error` where there is no such stream, or the connection is closed.
    public nonisolated(nonsending) func updatePriority(_ priority: Priority, ofStream id: Int32) async throws {
        let multiplexer = multiplexer
        if let error = await multiplexer.loop.run({ multiplexer.updatePriority(priority, ofStream: id) }) {
            throw error
        }
    }

    /// Takes no new requests, waits for those that were accepted (at most `Configuration.Timeouts.drain`), says GOAWAY
    /// and closes. Cancelling the task does not shorten the wait: `closeNow()` does.
    public nonisolated(nonsending) func close() async {
        let multiplexer = multiplexer
        await withUnsafeContinuation { continuation in
            multiplexer.loop.execute { multiplexer.close { continuation.resume() } }
        }
    }

    /// Fails what is under way and closes at once. May be called from anywhere, also twice.
    public nonisolated func closeNow() {
        let multiplexer = multiplexer
        multiplexer.loop.execute { multiplexer.closeNow() }
    }

    /// True once no new request is taken: after `close()`, after the server's GOAWAY, after the end.
    public nonisolated var isDraining: Bool { multiplexer.isDraining.load(ordering: .relaxed) }

    /// The connection's state at this moment.
    public nonisolated(nonsending) func snapshot() async -> ConnectionSnapshot {
        let multiplexer = multiplexer
        return await multiplexer.loop.run { multiplexer.snapshot() }
    }
}

/// One call of `connect`, on its loop.
///
/// Invariant behind `@unchecked Sendable`: `start` and `cancel` run on the loop's thread, where all else is touched.
private final class Dial: @unchecked Sendable {
    typealias Outcome = Result<HTTP2Multiplexer, any Error>

    private enum State {
        case created
        case cancelled
        case dialing(Dialer, UnsafeContinuation<Outcome, Never>)
        case done
    }

    private let origin: Origin
    private let id: ConnectionID
    private let configuration: Configuration
    private let tls: TLSContext?
    private let loop: EventLoop
    private var state = State.created

    init(origin: Origin, id: ConnectionID, configuration: Configuration, tls: TLSContext?, loop: EventLoop) {
        self.origin = origin
        self.id = id
        self.configuration = configuration
        self.tls = tls
        self.loop = loop
    }

    func start(_ continuation: UnsafeContinuation<Outcome, Never>) {
        if case .cancelled = state { return continuation.resume(returning: .failure(CancellationError())) }
        let dialer = Dialer(origin: origin, id: id, configuration: configuration, tls: tls, loop: loop) {
            [self] result in
            state = .done
            let outcome = result.mapError { $0 as any Error }.flatMap(establish)
            Handover.give(self)
            continuation.resume(returning: outcome)
        }
        state = .dialing(dialer, continuation)
        dialer.start()
    }

    func cancel() {
        switch state {
        case .created: state = .cancelled
        case .dialing(let dialer, let continuation):
            state = .done
            dialer.cancel()
            continuation.resume(returning: .failure(CancellationError()))
        case .cancelled, .done: break
        }
    }

    /// What the server chose instead of h2.
    private static func refusal(_ choice: ProtocolChoice) -> String? {
        switch choice {
        case .cleartext, .chosen("h2"): nil
        case .chosen(let name), .unoffered(let name): "chose '\(name)'"
        case .nothing: "chose no protocol (no ALPN)"
        }
    }

    /// ALPN decides here, and nowhere else, what is spoken.
    private func establish(_ connected: Dialer.Connected) -> Outcome {
        if let choice = Self.refusal(connected.applicationProtocol) {
            connected.wire.close()
            return .failure(
                H2Error(
                    .http2NotNegotiated, scope: .connection, initiator: .remote,
                    message: "\(origin) does not speak HTTP/2: it \(choice)",
                    remedy: "enable h2 on the server; HTTP/1.1 is not spoken here yet"))
        }
        let multiplexer = HTTP2Multiplexer(
            wire: connected.wire, info: connected.info, configuration: configuration, loop: loop)
        multiplexer.activate()
        return .success(multiplexer)
    }
}
