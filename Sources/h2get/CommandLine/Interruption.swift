import H2Client
import H2Platform
import Synchronization

/// Ctrl-C, `kill` and a terminal that goes away: SIGINT, SIGTERM, SIGHUP.
///
/// They are blocked in every thread and taken by one of its own with sigwait, so that no code runs inside a signal
/// handler, and so that they work whatever the main thread is waiting for. The process ends by the signal itself: the shell
/// that started it sees that it was interrupted, and counts 128 plus the signal.
enum Interruption {
    private enum Phase {
        /// The next signal ends the process at once.
        case idle
        /// The next signal calls this.
        case running(cancel: @Sendable () -> Void)
        /// Results are being written: the first signal waits until they are there, the second ends the process at once.
        case finishing
    }

    private struct State {
        var phase = Phase.idle
        var received: Int32 = 0
    }

    private static let state = Mutex(State())

    /// The first signal that asked for a clean end; nil where there was none.
    static var received: Int32? {
        let signal = state.withLock { $0.received }
        return signal == 0 ? nil : signal
    }

    /// To be called on the main thread before any other thread is started: threads inherit what is blocked.
    static func install() {
        var set = watched
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let hasThread =
            startDetachedThread {
                while true { take(next()) }
            } == 0
        // Without one a signal does what it does to any program.
        if !hasThread { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
    }

    /// From here on the first signal calls `cancel`, from a thread of its own, and the second ends the process.
    static func cancels(with cancel: @escaping @Sendable () -> Void) {
        state.withLock { $0.phase = .running(cancel: cancel) }
    }

    /// From here on the first signal, unless there was one already, ends the process only when it is done: results that cannot
    /// be had again are being written. The next one ends it at once, but for SIGHUP.
    static func finishes() {
        state.withLock { $0.phase = .finishing }
    }

    /// Ends the process: by the signal that interrupted it, if one did, else with `status`.
    ///
    /// Everything is written with write(2): there is nothing that exit(3) would have to flush, and its destructors must
    /// not run while other threads are at work.
    static func end(with status: Int32) -> Never {
        Console.flush()
        if let received { die(by: received) }
        Unfinished.clear()
        _exit(status)
    }

    /// Suspends the main thread for ever.
    static func wait() -> Never {
        while true { pause() }
    }

    private static func take(_ signal: Int32) {
        switch state.withLock({ step($0.phase, signal, &$0) }) {
        case .call(let cancel): cancel()
        case .wait(let isNews):
            // Whoever pressed Ctrl-C wonders why nothing happens, where the results go to a pipe that nobody reads.
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
        // A terminal that goes away says so more than once, by its shell and by the kernel: only Ctrl-C is impatience.
        case .finishing where signal == SIGHUP: return .wait(isNews: false)
        case .idle where signal == SIGHUP && state.received == SIGHUP: return .wait(isNews: false)
        case .idle, .finishing: return .die
        }
    }

    private static func die(by signal: Int32) -> Never {
        Unfinished.clear()
        restoreDefaultAction(of: signal)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, signal)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(signal)
        // The first process of a container outlives signals that it does not handle.
        _exit(128 + signal)
    }

    private static var watched: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        // A shell starts background jobs of scripts with SIGINT ignored, and nohup what it runs with SIGHUP ignored: they
        // are meant for others then.
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
