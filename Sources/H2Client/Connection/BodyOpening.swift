/// Waits for a body's file to be opened. Ends with the file, the request's time limit or the caller's cancellation.
///
/// Invariant behind `@unchecked Sendable`: all mutable state is accessed only on the loop's thread.
private final class BodyOpening<Opened: Sendable>: @unchecked Sendable {
    typealias Outcome = Result<Opened, any Error>

    private let loop: H2EventLoop
    // Unchecked exclusivity: used on the loop's thread only, and nothing here is passed inout.
    @exclusivity(unchecked) private var continuation: UnsafeContinuation<Outcome, Never>?
    @exclusivity(unchecked) private var outcome: Outcome?
    @exclusivity(unchecked) private var timer: LoopTimer?

    init(_ loop: H2EventLoop) { self.loop = loop }

    /// Called from any thread. The first outcome counts; files that are opened later are closed.
    func finish(_ outcome: Outcome) {
        loop.execute {
            guard self.outcome == nil else { return }
            self.outcome = outcome
            if let timer = self.timer { self.loop.cancel(timer) }
            self.timer = nil
            guard let continuation = self.continuation else { return }
            self.continuation = nil
            continuation.resume(returning: outcome)
        }
    }

    /// - Parameter limit: the request's time limit, counted from `calledAt` (monotonic nanoseconds).
    nonisolated(nonsending) func wait(within limit: Duration?, calledAt: UInt64) async throws -> Opened {
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                loop.execute {
                    if let outcome = self.outcome { return continuation.resume(returning: outcome) }
                    self.continuation = continuation
                    guard let limit else { return }
                    let (end, now) = (calledAt &+ limit.clampedNanoseconds, self.loop.now)
                    self.timer = self.loop.schedule(after: end > now ? end - now : 0) {
                        self.timer = nil
                        self.finish(.failure(H2Error.timeout(.wholeRequest, limit, stream: 0)))
                    }
                }
            }
        } onCancel: {
            finish(.failure(CancellationError()))
        }
        return try outcome.get()
    }
}

extension HTTPRequestBody {
    /// Returns the body with its files opened: off the loop if that may wait for a disk, and within the request's time limit.
    /// - Parameters:
    ///   - calledAt: when the request began, in monotonic nanoseconds.
    ///   - openCached: opens the file if that does not block. For tests, like `open`.
    /// - Throws: `H2Error` (`localIO`, `timeout`), `CancellationError`.
    nonisolated(nonsending) func opened(
        on loop: H2EventLoop, _ options: RequestOptions, calledAt: UInt64,
        openCached: (String) throws -> BodyFile? = { try BodyFile.cached($0) },
        open: @escaping @Sendable (String) throws -> BodyFile = { try BodyFile($0) }
    ) async throws -> HTTPRequestBody {
        switch content {
        case .none, .bytes, .openFile, .stream: return self
        case .file(let path, let range):
            let file: BodyFile
            if let cached = try openCached(path) {
                file = cached
            } else {
                file = try await Self.opened(on: loop, options, calledAt) { try open(path) }
            }
            return HTTPRequestBody(
                content: .openFile(try file.part(range)), trailers: trailers, isReplayable: isReplayable,
                contentType: contentType)
        case .multipart(let multipart):
            let opened = try await Self.opened(on: loop, options, calledAt) { try multipart.opened(open) }
            return opened.body(contentType: contentType, wasOpened: true)
        }
    }

    private static nonisolated(nonsending) func opened<Opened: Sendable>(
        on loop: H2EventLoop, _ options: RequestOptions, _ calledAt: UInt64,
        _ open: @escaping @Sendable () throws -> Opened
    ) async throws -> Opened {
        let opening = BodyOpening<Opened>(loop)
        let work: @Sendable () -> Void = { opening.finish(Result { try open() }) }
        if loop.runBlocking(work) != 0 { work() }
        return try await opening.wait(within: options.timeout, calledAt: calledAt)
    }
}
