#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Descriptors 0, 1 and 2, as the process was given them.
enum StandardDescriptors {
    /// Opens those that are closed, so that no socket and no file of ours comes to be taken for stdin, stdout or stderr.
    ///
    /// Each is opened the wrong way round: what is read from a closed stdin or written to a closed stdout fails with EBADF,
    /// as if it were closed still. To be called before anything else is opened.
    static func fill() {
        for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            // The lowest free number is this one. In a place without /dev the root folder is as good: it takes no bytes.
            if open("/dev/null", mode) < 0 { _ = open("/", O_RDONLY) }
        }
    }

    /// Whether `path` is stdin by another name than `-`.
    static func isInput(_ path: String) -> Bool {
        path == "-" || number(named: path) == STDIN_FILENO
    }

    /// The descriptor that a name of the system's means, such as `/dev/stdout` or `/dev/fd/3`.
    static func number(named path: String) -> CInt? {
        switch path {
        case "/dev/stdin": return STDIN_FILENO
        case "/dev/stdout": return STDOUT_FILENO
        case "/dev/stderr": return STDERR_FILENO
        default:
            for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
                return CInt(path.dropFirst(folder.utf8.count))
            }
            return nil
        }
    }

    /// Whether `descriptor` is open for writing. To open `/dev/stdout` anew would succeed where it is not.
    static func isWritable(_ descriptor: CInt) -> Bool {
        let flags = fcntl(descriptor, F_GETFL)
        return flags >= 0 && flags & O_ACCMODE != O_RDONLY
    }
}
