import H2Client
import H2Platform

/// Handles SIGINT (Ctrl-C), SIGTERM (`kill`) and SIGHUP (a closed terminal).
///
/// All threads block them, and a dedicated thread receives them with sigwait. So no code runs inside a signal handler, and
/// signals work whatever the main thread waits for. The process ends by the signal itself, so its shell sees that it was
/// interrupted and reports 128 plus the signal.
enum Interruption {
    private enum Phase {
        /// The next signal ends the process at once.
        case idle
        /// The next signal calls this.
        case running(cancel: @Sendable () -> Void)
        /// Results are being written: the first signal takes effect after that, the second ends the process at once.
        case finishing
    }

    private struct State {
        var phase = Phase.idle
        var received: Int32 = 0
    }

    private static let state = Locked(State())

    /// The first signal that asked for a clean end, if any.
    static var received: Int32? {
        let signal = state.withLock { $0.received }
        return signal == 0 ? nil : signal
    }

    /// Call this on the main thread before any other thread starts, because threads inherit the signal mask.
    static func install() {
        var set = watched
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let hasThread =
            startDetachedThread {
                while true { take(next()) }
            } == 0
        // Without the thread, signals have their default effect.
        if !hasThread { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
    }

    /// From here on the first signal calls `cancel` on the signal thread, and the second ends the process.
    static func cancels(with cancel: @escaping @Sendable () -> Void) {
        state.withLock { $0.phase = .running(cancel: cancel) }
    }

    /// From here on the first signal, unless there already was one, ends the process only after the results are written.
    ///
    /// The next one ends it at once, except SIGHUP.
    static func finishes() {
        state.withLock { $0.phase = .finishing }
    }

    /// Ends the process by the signal that interrupted it, if any, otherwise with `status`.
    ///
    /// All output uses write(2), so exit(3) would have nothing to flush, and its destructors must not run while other threads
    /// are running.
    static func end(with status: Int32) -> Never {
        Console.flush()
        Terminal.restore()
        if let received { die(by: received) }
        Unfinished.clear()
        _exit(status)
    }

    /// Suspends the main thread forever.
    static func wait() -> Never {
        while true { pause() }
    }

    private static func take(_ signal: Int32) {
        switch state.withLock({ step($0.phase, signal, &$0) }) {
        case .call(let cancel): cancel()
        case .wait(let isNews):
            // Tell the user why nothing happens: the results may go to a pipe that nobody reads.
            if isNews, signal == SIGINT, isatty(STDERR_FILENO) == 1 {
                Console(showsErrors: true, hidesProgress: true).say(
                    "h2get: writing the results; press Ctrl-C again to stop without them")
            }
        case .die: die(by: signal)
        }
    }

    private enum Step {
        case call(@Sendable () -> Void)
        case wait(isNews: Bool)
        case die
    }

    private static func step(_ phase: Phase, _ signal: Int32, _ state: inout State) -> Step {
        let isFirst = state.received == 0
        switch phase {
        case .running(let cancel):
            (state.phase, state.received) = (.idle, signal)
            return .call(cancel)
        case .finishing where isFirst:
            state.received = signal
            return .wait(isNews: true)
        // A closed terminal may send SIGHUP more than once, from its shell and from the kernel.
        case .finishing where signal == SIGHUP: return .wait(isNews: false)
        case .idle where signal == SIGHUP && state.received == SIGHUP: return .wait(isNews: false)
        case .idle, .finishing: return .die
        }
    }

    private static func die(by signal: Int32) -> Never {
        Terminal.restore()
        Unfinished.clear()
        restoreDefaultAction(of: signal)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, signal)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(signal)
        // Process 1 of a container survives signals that it does not handle.
        _exit(128 + signal)
    }

    private static var watched: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        // Shells start background jobs of scripts with SIGINT ignored, and nohup ignores SIGHUP: leave those ignored.
        for signal in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(signal) { sigaddset(&set, signal) }
        return set
    }

    private static func next() -> Int32 {
        var set = watched
        var signal: Int32 = 0
        while sigwait(&set, &signal) != 0 {}
        return signal
    }
}
