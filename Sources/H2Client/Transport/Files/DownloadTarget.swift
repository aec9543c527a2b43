package import H2Platform

/// The file that a download will become: its real location, and the existing file, if any.
package struct DownloadTarget: Sendable {
    /// The path as the user named it.
    package let path: String
    /// The path with the symbolic links of its last component followed, so that a link stays a link.
    package let resolved: FilePath
    /// The permissions of the existing file, if any.
    package let mode: UInt32?
    /// Identities that reveal other names of the same file.
    package let identities: [FileIdentity]
    /// When the existing file was last changed.
    package let changedAt: FileTime?

    /// - Throws: The failure of `host` if nothing can be written under that name.
    package init(path: String, createsDirectories: Bool, host: any DownloadHost) throws {
        self.path = path
        guard path.utf8.last != UInt8(ascii: "/") else { throw host.failure(path, isFolder: true) }
        if createsDirectories { try Self.createParents(of: path, host) }
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
            throw host.failure(path, isFolder: true)
        } else {
            throw host.failure("cannot write \(path): \(errnoText(code))", code, advises: true)
        }
        resolved = exists ? try Self.realPath(path, host) : try Self.endOfLinks(path, host)
        let entry = FileIdentity(entry: resolved)
        mode = exists ? UInt32(status.st_mode & 0o777) : nil
        identities = exists ? [entry, FileIdentity(status)] : [entry]
        changedAt = exists ? status.statusChangeTime : nil
    }

    private static func realPath(_ path: String, _ host: any DownloadHost) throws -> FilePath {
        guard let buffer = realpath(path, nil) else {
            let code = errno
            throw host.failure("cannot write \(path): \(errnoText(code))", code, advises: true)
        }
        defer { free(buffer) }
        return FilePath(Array(UnsafeRawBufferPointer(start: buffer, count: strlen(buffer))))
    }

    /// The target of a link whose file does not exist yet, or the path itself if it is not a link.
    private static func endOfLinks(_ name: String, _ host: any DownloadHost) throws -> FilePath {
        var path = FilePath(name)
        // The system follows at most 40 links.
        for _ in 0..<40 {
            guard let target = linkTarget(path) else { return path }
            let isAbsolute = target.first == UInt8(ascii: "/")
            path = FilePath(isAbsolute ? target : path.parts.folder.bytes + [UInt8(ascii: "/")] + target)
        }
        throw host.failure("cannot write \(name): \(errnoText(ELOOP))", ELOOP, advises: true)
    }

    private static func createParents(of path: String, _ host: any DownloadHost) throws {
        let bytes = Array(path.utf8)
        for end in bytes.indices.dropFirst() where bytes[end] == UInt8(ascii: "/") {
            let folder = String(decoding: bytes[..<end], as: UTF8.self)
            if mkdir(folder, 0o777) != 0, errno != EEXIST {
                // A parent without write permission (EACCES on /home) may exist anyway.
                let code = errno
                guard FileKind(path: folder) == .folder else {
                    throw host.failure("cannot make the folder \(folder): \(errnoText(code))", code, advises: false)
                }
            }
        }
    }
}
