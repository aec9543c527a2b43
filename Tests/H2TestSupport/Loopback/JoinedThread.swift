import H2Platform

/// A thread that a test's server works on and waits for at its end, so that nothing of it outlives the test.
///
/// Invariant behind `@unchecked Sendable`: `thread` is set once, in `init`, and `join` is called by one owner, once.
final class JoinedThread: @unchecked Sendable {
    private var thread = pthread_t()

    /// Starts it.
    /// - Throws: `ProcessFailure`.
    init(_ body: @escaping @Sendable () -> Void) throws {
        // The thread owns the work that is retained for it.
        let work = Unmanaged.passRetained(Work(body))
        let status = pthread_create(
            &thread, nil,
            { argument in
                // Signals belong to the test runner's threads, and a peer that is gone must not end the process.
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard status == 0 else {
            work.release()
            throw ProcessFailure("cannot start a thread: \(String(cString: strerror(status)))")
        }
    }

    /// Waits for its end, blocking.
    func join() { pthread_join(thread, nil) }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
