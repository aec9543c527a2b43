import H2Platform

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

    /// The descriptor that a path means: `/dev/stdout` or `/dev/fd/3`, by whatever spelling, or a symbolic link to one of them.
    ///
    /// The last step must not be left to the system: it would follow the descriptor's own link to a file, and open that anew.
    static func number(named path: String) -> CInt? {
        var path = path
        // As many links as the system follows.
        for _ in 0..<40 {
            switch path {
            case "/dev/stdin": return STDIN_FILENO
            case "/dev/stdout": return STDOUT_FILENO
            case "/dev/stderr": return STDERR_FILENO
            default: break
            }
            let (folder, name) = splitPath(path)
            if isFolderOfDescriptors(folder) {
                return name.utf8.allSatisfy { (0x30...0x39).contains($0) } ? CInt(name) : nil
            }
            // A link that is not UTF-8 leads to no descriptor's name.
            guard let link = linkTarget(FilePath(path)), let target = String(validating: link, as: UTF8.self) else {
                return nil
            }
            path = target.utf8.first == UInt8(ascii: "/") ? target : "\(folder)/\(target)"
        }
        return nil
    }

    private static func isFolderOfDescriptors(_ folder: String) -> Bool {
        if ["/dev/fd", "/proc/self/fd"].contains(folder) { return true }
        // Another process's would be opened by its path.
        guard folder.utf8.count < 4096, let found = realpath(folder, nil) else { return false }
        defer { free(found) }
        guard let ours = realpath("/proc/self/fd", nil) else { return String(cString: found) == "/dev/fd" }
        defer { free(ours) }
        return strcmp(found, ours) == 0
    }

    /// A duplicate of `descriptor` for writing, which shares its place in the file; or minus the errno.
    static func duplicateForWriting(_ descriptor: CInt) -> CInt {
        // To open its name anew would succeed also where the descriptor itself cannot be written to.
        guard isWritable(descriptor) else { return -EBADF }
        let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        return duplicate >= 0 ? duplicate : -errno
    }

    /// Whether `descriptor` is open for writing.
    static func isWritable(_ descriptor: CInt) -> Bool {
        let flags = fcntl(descriptor, F_GETFL)
        return flags >= 0 && flags & O_ACCMODE != O_RDONLY
    }
}
