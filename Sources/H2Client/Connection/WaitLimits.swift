/// How long a request may wait for something that is not a response: a file, a token.
struct WaitLimits: Sendable {
    /// The loop that runs the timer.
    let loop: H2EventLoop
    /// The request's time limit; nil for none.
    let timeout: Duration?
    /// When the request began, in monotonic nanoseconds.
    let calledAt: UInt64

    /// Runs `work`, which may block, on another thread.
    /// - Throws: the errors of `work`, `H2Error` (`timeout`), `CancellationError`; after the last two `work` goes on.
    nonisolated(nonsending) func blocking<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let wait = TimedWait<Value>(loop)
        let run: @Sendable () -> Void = { wait.finish(Result { try work() }) }
        // If the system has no more threads, the caller has to wait itself.
        if loop.runBlocking(run) != 0 { run() }
        return try await wait.wait(within: timeout, calledAt: calledAt)
    }
}
