import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Waits that would block, kept off the event loop: there they would hold up every other transfer, and answers to the
/// server's PINGs.

/// Runs `work` on a thread of its own. A cancelled wait ends at once; the thread is left to end with its call.
/// - Throws: `CancellationError`.
nonisolated(nonsending) func offLoop<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async throws -> Value {
    let handover = Handover<Value>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            guard handover.wait(with: continuation) else { return }
            startThread { handover.finish(with: .success(work())) }
        }
    } onCancel: {
        handover.finish(with: .failure(CancellationError()))
    }
}

/// Suspends until `descriptor` can be read (`POLLIN`) or written (`POLLOUT`) without blocking, or has failed.
/// - Throws: `CancellationError`.
nonisolated(nonsending) func waitUntilReady(_ descriptor: CInt, _ events: Int32) async throws {
    if isReady(descriptor, events, timeoutMilliseconds: 0) { return }
    _ = try await offLoop { isReady(descriptor, events, timeoutMilliseconds: -1) }
}

private func isReady(_ descriptor: CInt, _ events: Int32, timeoutMilliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    var result = poll(&entry, 1, timeoutMilliseconds)
    while result < 0, errno == EINTR { result = poll(&entry, 1, timeoutMilliseconds) }
    // An error of poll's own, or of the descriptor: the read or write that follows will say which.
    return result != 0
}

/// Exactly one of the result and the cancellation resumes the continuation, whichever is first.
private final class Handover<Value: Sendable>: Sendable {
    private enum State {
        /// Can transition to waiting, finished.
        case idle
        /// Can transition to finished.
        case waiting(CheckedContinuation<Value, any Error>)
        case finished
    }

    private let state = Mutex(State.idle)

    /// False where the cancellation came first; the continuation is resumed then.
    func wait(with continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let isFirst = state.withLock { state in
            guard case .idle = state else { return false }
            state = .waiting(continuation)
            return true
        }
        if !isFirst { continuation.resume(throwing: CancellationError()) }
        return isFirst
    }

    func finish(with result: Result<Value, any Error>) {
        let waiting = state.withLock { state in
            defer { state = .finished }
            if case .waiting(let continuation) = state { return Optional(continuation) }
            return nil
        }
        waiting?.resume(with: result)
    }
}

private final class ThreadStart {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func startThread(_ body: @escaping @Sendable () -> Void) {
    // Balanced by takeRetainedValue in the thread, which always starts where pthread_create returns 0.
    let start = Unmanaged.passRetained(ThreadStart(body))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, start.toOpaque())
    if result == 0 {
        pthread_detach(thread)
    } else {
        // No thread to be had: blocking the loop is worse than nothing but better than never ending.
        start.takeRetainedValue().body()
    }
}
