import H2Client
import H2Platform

/// Descriptors 0, 1 and 2, as the process inherited them.
enum StandardDescriptors {
    /// Opens those that are closed, so that none of our sockets and files gets the number of stdin, stdout or stderr.
    ///
    /// stdin is opened for writing only and stdout for reading only, so using them still fails with EBADF as if they were
    /// closed. Call this before anything else is opened.
    static func fill() {
        for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            // This is the lowest free number. Without /dev the root folder works too: it takes no bytes.
            if open("/dev/null", mode) < 0 { _ = open("/", O_RDONLY) }
        }
    }

    /// Whether `path` is stdin, as `-` or by another name.
    static func isInput(_ path: String) -> Bool {
        path == "-" || number(named: path) == STDIN_FILENO
    }

    /// The descriptor that a path names: `/dev/stdout` or `/dev/fd/3` in any spelling, or a symbolic link to one of them.
    ///
    /// The system must not resolve the last step: it would follow the descriptor's link to a file and open that anew.
    static func number(named path: String) -> CInt? {
        var path = path
        // The system follows at most 40 links.
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
            // A link that is not UTF-8 does not lead to a descriptor's name.
            guard let link = linkTarget(FilePath(path)), let target = String(validating: link, as: UTF8.self) else {
                return nil
            }
            path = target.utf8.first == UInt8(ascii: "/") ? target : "\(folder)/\(target)"
        }
        return nil
    }

    private static func isFolderOfDescriptors(_ folder: String) -> Bool {
        if ["/dev/fd", "/proc/self/fd"].contains(folder) { return true }
        // Only this process's own folder counts, by any path.
        guard folder.utf8.count < 4096, let found = realpath(folder, nil) else { return false }
        defer { free(found) }
        guard let ours = realpath("/proc/self/fd", nil) else { return String(cString: found) == "/dev/fd" }
        defer { free(ours) }
        return strcmp(found, ours) == 0
    }

    /// A duplicate of `descriptor` for writing, which shares its file position; or minus the errno.
    static func duplicateForWriting(_ descriptor: CInt) -> CInt {
        // Opening its name anew would succeed even if the descriptor itself is not writable.
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

/// A path's folder and its last component.
func splitPath(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let name = String(path[path.utf8.index(after: slash)...])
    return (slash == path.utf8.startIndex ? "/" : String(path[..<slash]), name)
}
