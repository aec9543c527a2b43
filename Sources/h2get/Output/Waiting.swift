import H2Client
import H2Platform
import Synchronization

// Blocking calls run off the event loop, where they would delay every other transfer and the answers to the server's PINGs.

/// Runs `work` on one of the library's threads for system calls that may block.
///
/// A cancelled wait ends at once. The thread finishes its call, which must not take long: other calls wait for the thread.
/// - Parameters:
///   - thread: runs its argument and returns 0, or the error that prevents it.
///   - abandoned: gets the result if the wait was cancelled.
///   - cancelled: called when the task is cancelled, from any thread.
/// - Throws: `CancellationError`.
nonisolated(nonsending) func offLoop<Value: Sendable>(
    on thread: @Sendable (@escaping @Sendable () -> Void) -> CInt = BlockingThreads.shared.run,
    abandoned: @escaping @Sendable (Value) -> Void = { _ in }, cancelled: @escaping @Sendable () -> Void = {},
    _ work: @escaping @Sendable () -> Value
) async throws -> Value {
    let handover = OnceResult<Value>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            guard handover.wait(with: continuation) else { return }
            run(on: thread) {
                let value = work()
                if !handover.finish(with: .success(value)) { abandoned(value) }
            }
        }
    } onCancel: {
        cancelled()
        handover.finish(with: .failure(CancellationError()))
    }
}

/// Runs `work` off the event loop and waits for its end, even if the task is cancelled.
nonisolated(nonsending) func offLoopToItsEnd<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        run(on: BlockingThreads.shared.run) { continuation.resume(returning: work()) }
    }
}

/// Runs `work` off the event loop. On cancellation waits for the work, which `cancelled` must end soon, so that it does not
/// interfere with later work.
/// - Throws: `CancellationError`, after the work has ended.
nonisolated(nonsending) func offLoopUntilOver<Value: Sendable>(
    cancelled: @escaping @Sendable () -> Void, _ work: @escaping @Sendable () -> Value
) async throws -> Value {
    let value = await withTaskCancellationHandler {
        await offLoopToItsEnd(work)
    } onCancel: {
        cancelled()
    }
    try Task.checkCancellation()
    return value
}

/// Runs `body` on a thread, or on this one if no thread can be started: blocking is better than never finishing.
private func run(
    on thread: (@escaping @Sendable () -> Void) -> CInt, _ body: @escaping @Sendable () -> Void
) {
    if thread(body) != 0 { body() }
}

/// Opens a pipe or a device. It may wait for the other end without limit, so it runs on a thread of its own.
/// - Returns: the descriptor, or minus the errno.
/// - Throws: `CancellationError`.
nonisolated(nonsending) func openOffLoop(_ path: String, _ flags: Int32) async throws -> CInt {
    try await offLoop(
        on: startDetachedThread, abandoned: { descriptor in if descriptor >= 0 { close(descriptor) } },
        {
            var descriptor = open(path, flags | O_CLOEXEC)
            while descriptor < 0, errno == EINTR { descriptor = open(path, flags | O_CLOEXEC) }
            return descriptor >= 0 ? descriptor : -errno
        })
}

/// A descriptor that is read off the event loop.
///
/// It stays open while a thread uses it, even after a cancelled wait: the thread could otherwise read another file that
/// got the same number.
final class InputFile: Sendable {
    private let descriptor: CInt
    private let name: String
    private let isOurs: Bool
    /// Whether reading may wait. False for a regular file, which the event loop cannot watch either.
    private let mayWait: Bool
    private let isAbandoned = Atomic<Bool>(false)
    /// How long, in milliseconds, a thread waits for input before it checks for cancellation.
    private static let patience: CInt = 200

    /// - Parameter isOurs: whether `deinit` closes it; false for stdin.
    init(_ descriptor: CInt, name: String, isOurs: Bool) {
        self.descriptor = descriptor
        self.name = name
        self.isOurs = isOurs
        mayWait = FileKind(descriptor: descriptor) != .regular
    }

    deinit { if isOurs { close(descriptor) } }

    /// The next bytes, at most 64 KiB; empty at the end. After a cancelled call nothing more can be read.
    /// - Parameter limit: the maximum wait.
    /// - Throws: `Failure` (`readFailed`; `timeout` after `limit`), `CancellationError`.
    nonisolated(nonsending) func next(within limit: Duration? = nil) async throws -> [UInt8] {
        let begin = ContinuousClock.now
        if mayWait {
            do { try await InputWatch(self).wait(limit) } catch {
                isAbandoned.store(true, ordering: .relaxed)
                throw error
            }
        }
        // Input is available, so the read returns at once unless another process reads it first.
        let left = limit.map { max($0 - (ContinuousClock.now - begin), .zero) }
        return try await offLoop(cancelled: { self.isAbandoned.store(true, ordering: .relaxed) }) {
            Result { try self.nextBlocking(within: left, of: limit) }
        }.get()
    }

    /// Waits for input or its end. Returns false if there is none within `limit`.
    /// - Throws: `CancellationError`, after which nothing more can be read.
    nonisolated(nonsending) func hasInput(within limit: Duration) async throws -> Bool {
        guard mayWait else { return true }
        do { try await InputWatch(self).wait(limit) } catch {
            isAbandoned.store(true, ordering: .relaxed)
            throw error
        }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) != 0
    }

    /// Waits for input on the event loop, because threads are limited and a FIFO may be silent for hours.
    private final class InputWatch: ReadinessHandler {
        // Keeps the descriptor open while it is watched.
        private let file: InputFile
        private let waiter: Waiter
        private var isWatched = false
        private var timer: LoopTimer?

        init(_ file: InputFile) { (self.file, waiter) = (file, Waiter()) }

        /// Returns on input, end of file or an error, or when `limit` expires.
        /// - Throws: `CancellationError`.
        nonisolated(nonsending) func wait(_ limit: Duration?) async throws {
            let (loop, watch, waiter) = (H2EventLoop.shared, LoopBound(self), waiter)
            loop.execute { watch.value.begin(on: loop, limit) }
            defer { loop.execute { watch.value.end() } }
            try await waiter.wait()
        }

        private func begin(on loop: H2EventLoop, _ limit: Duration?) {
            isWatched = true
            loop.register(file.descriptor, handler: self)
            if let limit { timer = loop.schedule(after: limit.clampedNanoseconds) { self.finish() } }
        }

        func ready(readable: Bool, writable: Bool) { finish() }

        // A file that cannot be watched is read at once; the thread waits for it.
        func unwatched(_ error: H2Error) {
            isWatched = false
            finish()
        }

        private func finish() {
            end()
            waiter.resume()
        }

        private func end() {
            if let timer { H2EventLoop.shared.cancel(timer) }
            timer = nil
            guard isWatched else { return }
            isWatched = false
            H2EventLoop.shared.deregister(file.descriptor)
        }
    }

    /// - Parameter whole: the user's limit, of which `limit` is left.
    private func nextBlocking(within limit: Duration?, of whole: Duration?) throws -> [UInt8] {
        let begin = ContinuousClock.now
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            if isAbandoned.load(ordering: .relaxed) { return [] }
            let left = limit.map { max(0, ($0 - (ContinuousClock.now - begin)).inSeconds) }
            let wait = left.map { CInt(min($0 * 1000, Double(Self.patience)).rounded(.up)) } ?? Self.patience
            let result = poll(&entry, 1, wait)
            // After an error of poll or of the descriptor, reading reports it.
            if result > 0 || (result < 0 && errno != EINTR) { break }
            if let whole, left == 0 { throw isTooSlow(whole) }
        }
        if isAbandoned.load(ordering: .relaxed) { return [] }
        return try readChunk(descriptor, name: name) { !isAbandoned.load(ordering: .relaxed) }
    }

    private func isTooSlow(_ limit: Duration) -> Failure {
        Failure(
            .timeout,
            "nothing more came from \(name == "-" ? "stdin" : name) for \(limit.brief); "
                + "allow more time with --stall-timeout")
    }
}

/// Lets one task wait until another resumes it.
final class Waiter: Sendable {
    private let handover = OnceResult<Void>()

    /// Returns when `resume` is called, or at once if it already was.
    /// - Throws: `CancellationError`, as soon as the task is cancelled.
    nonisolated(nonsending) func wait() async throws {
        let handover = handover
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { _ = handover.wait(with: $0) }
        } onCancel: {
            handover.finish(with: .failure(CancellationError()))
        }
    }

    /// Resumes the wait; false if it was already resumed or cancelled.
    @discardableResult
    func resume() -> Bool { handover.finish(with: .success(())) }
}

/// Resumes a continuation exactly once, with the result or the cancellation, whichever comes first.
private final class OnceResult<Value: Sendable>: Sendable {
    private enum State {
        /// Can transition to waiting, finished.
        case idle
        /// Can transition to finished.
        case waiting(CheckedContinuation<Value, any Error>)
        /// The result has not been taken yet.
        case finished(Result<Value, any Error>)
        case taken
    }

    private let state = Locked(State.idle)

    /// Stores the continuation; false if the result or the cancellation came first, which then resumed it.
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

    /// Delivers the result; false if another one came first.
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
