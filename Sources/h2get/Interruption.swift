import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Ctrl-C and `kill`: the first asks for a clean end, the second ends the process at once.
///
/// The signals are blocked in every thread and taken by the main thread with sigwait, so that no code runs inside a
/// signal handler.
enum Interruption {
    private static let received = Atomic<Int32>(0)

    /// 128 plus the first signal, as shells count; nil where there was none.
    static var exitStatus: Int32? {
        let signal = received.load(ordering: .acquiring)
        return signal == 0 ? nil : 128 + signal
    }

    /// To be called on the main thread before any other thread is started: threads inherit what is blocked.
    static func block() {
        var set = watched
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for ever: for the first signal, which calls `cancel`, then for the second.
    static func wait(cancel: () -> Void) -> Never {
        received.store(next(), ordering: .releasing)
        cancel()
        _exit(128 + next())
    }

    private static var watched: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        // A shell starts background jobs of scripts with SIGINT ignored: the Ctrl-C is meant for others then.
        var action = sigaction()
        sigaction(SIGINT, nil, &action)
        #if canImport(Glibc)
            let handler = action.__sigaction_handler.sa_handler
        #else
            let handler = action.__sigaction_u.__sa_handler
        #endif
        if unsafeBitCast(handler, to: Int.self) != unsafeBitCast(SIG_IGN, to: Int.self) {
            sigaddset(&set, SIGINT)
        }
        return set
    }

    private static func next() -> Int32 {
        var set = watched
        var signal: Int32 = 0
        while sigwait(&set, &signal) != 0 {}
        return signal
    }
}
