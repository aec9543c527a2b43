import H2Platform

/// The file that a download will become: its real location, and what exists there already.
struct DownloadTarget: Sendable {
    /// The path as the user named it.
    let path: String
    /// The path with the symbolic links of its last component followed, so that a link stays a link.
    let resolved: FilePath
    /// The permissions of the existing file, if any.
    let mode: mode_t?
    /// Identities by which other names of the same file are recognized.
    let identities: [FileIdentity]
    /// When the existing file was last changed.
    let changedAt: timespec?

    /// - Parameter advice: what to try after an errno.
    /// - Throws: `Failure` (`writeFailed`) if nothing can be written under that name.
    init(path: String, createsDirectories: Bool, advice: (Int32) -> String = Download.advice) throws {
        self.path = path
        guard path.utf8.last != UInt8(ascii: "/") else { throw Self.isFolder(path) }
        if createsDirectories { try Self.createParents(of: path) }
        // Without O_CREAT and O_TRUNC this changes nothing, and the system tells whether the file may be written, including
        // its rules for links in world-writable folders.
        let descriptor = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        let code = errno
        var status = stat()
        let exists: Bool
        if descriptor >= 0 {
            exists = fstat(descriptor, &status) == 0
            close(descriptor)
        } else if code == ETXTBSY {
            // A running program cannot be written, but it can be replaced.
            exists = stat(path, &status) == 0
        } else if code == ENOENT {
            exists = false
        } else if code == EISDIR {
            throw Self.isFolder(path)
        } else {
            throw Failure(.writeFailed, "cannot write \(path): \(errnoText(code))\(advice(code))")
        }
        resolved = exists ? try Self.realPath(path, advice) : try Self.endOfLinks(path, advice)
        let entry = FileIdentity(entry: resolved)
        mode = exists ? status.st_mode & 0o777 : nil
        identities = exists ? [entry, FileIdentity(status)] : [entry]
        changedAt = exists ? status.statusChangeTime : nil
    }

    private static func isFolder(_ path: String) -> Failure {
        Failure(.writeFailed, "\(path) is a folder; name a file with -o, or use -O with --output-dir")
    }

    private static func realPath(_ path: String, _ advice: (Int32) -> String) throws -> FilePath {
        guard let buffer = realpath(path, nil) else {
            let code = errno
            throw Failure(.writeFailed, "cannot write \(path): \(errnoText(code))\(advice(code))")
        }
        defer { free(buffer) }
        return FilePath(Array(UnsafeRawBufferPointer(start: buffer, count: strlen(buffer))))
    }

    /// The target of a link whose file does not exist yet, or the path itself if it is not a link.
    private static func endOfLinks(_ name: String, _ advice: (Int32) -> String) throws -> FilePath {
        var path = FilePath(name)
        // The system follows at most 40 links.
        for _ in 0..<40 {
            guard let target = linkTarget(path) else { return path }
            let isAbsolute = target.first == UInt8(ascii: "/")
            path = FilePath(isAbsolute ? target : path.parts.folder.bytes + [UInt8(ascii: "/")] + target)
        }
        throw Failure(.writeFailed, "cannot write \(name): \(errnoText(ELOOP))\(advice(ELOOP))")
    }

    private static func createParents(of path: String) throws {
        let bytes = Array(path.utf8)
        for end in bytes.indices.dropFirst() where bytes[end] == UInt8(ascii: "/") {
            let folder = String(decoding: bytes[..<end], as: UTF8.self)
            if mkdir(folder, 0o777) != 0, errno != EEXIST {
                // A parent without write permission (EACCES on /home) may exist anyway.
                let code = errno
                guard FileKind(path: folder) == .folder else {
                    throw Failure(.writeFailed, "cannot make the folder \(folder): \(errnoText(code))")
                }
            }
        }
    }
}
