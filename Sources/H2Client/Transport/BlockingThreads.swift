import CNghttp2
import H2Platform

/// Threads for system calls that may wait for a disk or for the other end of a pipe. There is one per call in progress, plus
/// idle ones for a few seconds.
///
/// Signals are blocked on them: the process's signals are for its own threads, and SIGPIPE, which a write to a broken pipe
/// sends to the writing thread, never reaches the program.
///
/// Invariant behind `@unchecked Sendable`: `waiting` and `idle` are accessed with `mutex` held.
package final class BlockingThreads: @unchecked Sendable {
    package static let shared = BlockingThreads()

    private static let limit = 256
    private static let idleSeconds: CInt = 5
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [@Sendable () -> Void] = []
    /// Threads waiting for work, minus those about to be woken for the entries of `waiting`.
    private var idle = 0
    private var threads = 0
    /// Work waiting for one of `limit` threads, in order.
    private var backlog: [@Sendable () -> Void] = []

    // Only for `shared`, so nothing is ever freed.
    private init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    /// Runs `work` on one of the threads.
    /// - Returns: 0, or pthread_create's error, in which case `work` is not run.
    package func run(_ work: @escaping @Sendable () -> Void) -> CInt {
        pthread_mutex_lock(mutex)
        if idle > 0 {
            idle -= 1
            waiting.append(work)
            pthread_cond_signal(condition)
            pthread_mutex_unlock(mutex)
            return 0
        }
        if threads >= Self.limit {
            backlog.append(work)
            pthread_mutex_unlock(mutex)
            return 0
        }
        threads += 1
        pthread_mutex_unlock(mutex)
        let status = startDetachedThread {
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            work()
            self.serve()
        }
        if status != 0 {
            pthread_mutex_lock(mutex)
            threads -= 1
            pthread_mutex_unlock(mutex)
        }
        return status
    }

    /// Runs `work` on one of the threads, or on the current one if the system has none left, and returns its result.
    /// Cancelling does not shorten the wait.
    /// - Throws: The errors of `work`.
    nonisolated(nonsending) func result<R: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> R
    ) async throws(Failure) -> R {
        let result: Result<R, Failure> = await withUnsafeContinuation { continuation in
            let resuming: @Sendable () -> Void = {
                let result = Result(catching: work)
                Handover.give(self)
                continuation.resume(returning: result)
            }
            if run(resuming) != 0 { resuming() }
        }
        Handover.take(self)
        return try result.get()
    }

    private func serve() {
        while let work = next() { work() }
    }

    private func next() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if !backlog.isEmpty { return backlog.removeFirst() }
        idle += 1
        while waiting.isEmpty {
            // If the thread times out just as work arrives, `run` has already subtracted it, and `waiting` has the work.
            // In C: whole-module builds cannot say which module `timespec` belongs to.
            if !ch2_cond_wait(condition, mutex, Self.idleSeconds), waiting.isEmpty {
                idle -= 1
                threads -= 1
                return nil
            }
        }
        return waiting.removeLast()
    }
}

extension H2EventLoop {
    /// Runs `work`, which may block, on another thread.
    /// - Returns: 0, or an errno if there is no thread for it, in which case `work` is not run.
    func runBlocking(_ work: @escaping @Sendable () -> Void) -> CInt {
        // A simulation has no other threads.
        if isSimulated {
            work()
            return 0
        }
        return BlockingThreads.shared.run(work)
    }
}
