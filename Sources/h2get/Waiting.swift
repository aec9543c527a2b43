import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Waits that would block, kept off the event loop: there they would hold up every other transfer, and answers to the
/// server's PINGs. Each of them ends at once when its task is cancelled.

/// Runs `work` on a thread of its own. A cancelled wait ends at once; the thread is left to end with its call.
/// - Parameter abandoned: gets the result that nobody waits for any more.
/// - Throws: `CancellationError`.
nonisolated(nonsending) func offLoop<Value: Sendable>(
    abandoned: @escaping @Sendable (Value) -> Void = { _ in }, _ work: @escaping @Sendable () -> Value
) async throws -> Value {
    let handover = Handover<Value>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            guard handover.wait(with: continuation) else { return }
            startThread {
                let value = work()
                if !handover.finish(with: .success(value)) { abandoned(value) }
            }
        }
    } onCancel: {
        handover.finish(with: .failure(CancellationError()))
    }
}

/// Runs `work` on a thread of its own, also where the task is cancelled: it must not be left half-way.
nonisolated(nonsending) func offLoopToItsEnd<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        startThread { continuation.resume(returning: work()) }
    }
}

/// Opens a pipe or a device, for which somebody may have to be waited for.
/// - Returns: the descriptor, or minus the errno.
/// - Throws: `CancellationError`.
nonisolated(nonsending) func openOffLoop(_ path: String, _ flags: Int32) async throws -> CInt {
    try await offLoop(
        abandoned: { descriptor in if descriptor >= 0 { close(descriptor) } },
        {
            var descriptor = open(path, flags | O_CLOEXEC)
            while descriptor < 0, errno == EINTR { descriptor = open(path, flags | O_CLOEXEC) }
            return descriptor >= 0 ? descriptor : -errno
        })
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

/// One task's wait for another's word.
final class Waiter: Sendable {
    private let handover = Handover<Void>()

    /// Returns once `resume` was called, before or meanwhile.
    /// - Throws: `CancellationError`, at once when the task is cancelled.
    nonisolated(nonsending) func wait() async throws {
        let handover = handover
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { _ = handover.wait(with: $0) }
        } onCancel: {
            handover.finish(with: .failure(CancellationError()))
        }
    }

    /// False where nobody waits any more.
    @discardableResult
    func resume() -> Bool { handover.finish(with: .success(())) }
}

/// Exactly one of the result and the cancellation resumes the continuation, whichever is first.
private final class Handover<Value: Sendable>: Sendable {
    private enum State {
        /// Can transition to waiting, finished.
        case idle
        /// Can transition to finished.
        case waiting(CheckedContinuation<Value, any Error>)
        /// Nobody has taken the result yet.
        case finished(Result<Value, any Error>)
        case taken
    }

    private let state = Mutex(State.idle)

    /// False where the result, or the cancellation, came first; the continuation is resumed then.
    func wait(with continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let early: Result<Value, any Error>? = state.withLock { state in
            if case .finished(let result) = state {
                state = .taken
                return result
            }
            state = .waiting(continuation)
            return nil
        }
        guard let early else { return true }
        continuation.resume(with: early)
        return false
    }

    /// False where another result was first.
    @discardableResult
    func finish(with result: Result<Value, any Error>) -> Bool {
        let (isFirst, waiting) = state.withLock { state -> (Bool, CheckedContinuation<Value, any Error>?) in
            switch state {
            case .idle:
                state = .finished(result)
                return (true, nil)
            case .waiting(let continuation):
                state = .taken
                return (true, continuation)
            case .finished, .taken: return (false, nil)
            }
        }
        waiting?.resume(with: result)
        return isFirst
    }
}

private final class ThreadStart {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Runs `body` on a thread of its own; where the system has none left, on this one: to block is bad, but better than never
/// to end.
private func startThread(_ body: @escaping @Sendable () -> Void) {
    if !runsOnThread(body) { body() }
}

/// Runs `body` on a thread of its own; false where the system has none left.
func runsOnThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    // Balanced by takeRetainedValue in the thread, which always starts where pthread_create returns 0.
    let start = Unmanaged.passRetained(ThreadStart(body))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, start.toOpaque())
    guard result == 0 else {
        start.release()
        return false
    }
    pthread_detach(thread)
    return true
}
