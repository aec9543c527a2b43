// The places where the C libraries differ. Built and tested with Glibc only; Musl (the static Linux SDK), Android and Darwin
// follow their headers.

/// `SOCK_STREAM` as `socket(2)` takes it: Glibc declares an enumeration, the others an integer.
package var streamSocketType: CInt {
    #if canImport(Glibc)
        CInt(SOCK_STREAM.rawValue)
    #else
        SOCK_STREAM
    #endif
}

/// The limit on open descriptors (`RLIMIT_NOFILE`).
/// - Returns: nil if the system does not tell.
package func openFileLimit() -> rlimit? {
    var limit = rlimit()
    #if canImport(Glibc)
        let status = getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
    #else
        let status = getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    return status == 0 ? limit : nil
}

/// Sets the limit on open descriptors.
/// - Returns: false, with `errno` set, if the system refuses.
package func setOpenFileLimit(_ limit: rlimit) -> Bool {
    withUnsafePointer(to: limit) { limit in
        #if canImport(Glibc)
            setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), limit) == 0
        #else
            setrlimit(RLIMIT_NOFILE, limit) == 0
        #endif
    }
}

/// The clock that files get their times from. Linux's is coarser than `CLOCK_REALTIME`, and so may be behind it.
package func fileClock() -> timespec {
    var now = timespec()
    #if canImport(Darwin)
        clock_gettime(CLOCK_REALTIME, &now)
    #else
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
    #endif
    return now
}

/// Keeps a write to a socket whose peer has gone from raising SIGPIPE, where the system wants that said per socket. On
/// Linux each `send` says it (`MSG_NOSIGNAL`).
package func disableSIGPIPE(_ descriptor: CInt) {
    #if canImport(Darwin)
        var yes: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &yes, socklen_t(MemoryLayout<CInt>.size))
    #endif
}

/// A file's time since 1970.
///
/// A separate type: which module declares the members of `timespec` depends on how the package is built.
package struct FileTime: Sendable {
    package let seconds: Int
    package let nanoseconds: Int

    init(_ time: timespec) {
        seconds = Int(time.tv_sec)
        nanoseconds = Int(time.tv_nsec)
    }
}

extension stat {
    /// When the content last changed.
    package var modificationTime: FileTime {
        #if canImport(Darwin)
            FileTime(st_mtimespec)
        #else
            FileTime(st_mtim)
        #endif
    }

    /// When the content or the attributes last changed.
    package var statusChangeTime: FileTime {
        #if canImport(Darwin)
            FileTime(st_ctimespec)
        #else
            FileTime(st_ctim)
        #endif
    }
}

/// Gives `signal` its default action back.
package func restoreDefaultAction(of signal: CInt) {
    var action = sigaction()
    #if canImport(Glibc)
        action.__sigaction_handler.sa_handler = SIG_DFL
    #elseif canImport(Musl)
        action.__sa_handler.sa_handler = SIG_DFL
    #elseif canImport(Android)
        action.sa_handler = SIG_DFL
    #else
        action.__sigaction_u.__sa_handler = SIG_DFL
    #endif
    sigaction(signal, &action, nil)
}

/// Whether `signal` is ignored (`SIG_IGN`).
package func isIgnored(_ signal: CInt) -> Bool {
    var action = sigaction()
    sigaction(signal, nil, &action)
    #if canImport(Glibc)
        let handler = action.__sigaction_handler.sa_handler
    #elseif canImport(Musl)
        let handler = action.__sa_handler.sa_handler
    #elseif canImport(Android)
        let handler = action.sa_handler
    #else
        let handler = action.__sigaction_u.__sa_handler
    #endif
    // Both are pointers to functions, which only their addresses tell apart.
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}
