/// Waits for a result that another thread or task provides. Ends with the result, the request's time limit or the caller's
/// cancellation, whichever comes first.
///
/// Invariant behind `@unchecked Sendable`: all mutable state is accessed only on the loop's thread.
final class TimedWait<Value: Sendable>: @unchecked Sendable {
    typealias Outcome = Result<Value, any Error>

    private let loop: H2EventLoop
    // Unchecked exclusivity: used on the loop's thread only, and nothing here is passed inout.
    @exclusivity(unchecked) private var continuation: UnsafeContinuation<Outcome, Never>?
    @exclusivity(unchecked) private var outcome: Outcome?
    @exclusivity(unchecked) private var timer: LoopTimer?

    init(_ loop: H2EventLoop) { self.loop = loop }

    /// Called from any thread; it only posts. The first outcome counts.
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

    /// Called once.
    /// - Parameter limit: the request's time limit, counted from `calledAt` (monotonic nanoseconds).
    /// - Throws: the error of the outcome, `H2Error` (`timeout`), `CancellationError`.
    nonisolated(nonsending) func wait(within limit: Duration?, calledAt: UInt64) async throws -> Value {
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
