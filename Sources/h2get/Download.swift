#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A file that gets its name only when it is whole: until then the bytes are in `NAME.part`.
///
/// The rename replaces what stood under the name, also a symbolic link (it never writes through one), in one step: a
/// reader sees the old file or the new one, never half of it.
final class Download {
    let path: String
    let partPath: String
    let descriptor: CInt
    private var isOpen = true

    /// Makes the `.part` file, empty.
    /// - Parameter advice: what to try after an errno.
    /// - Throws: `Failure` (`writeFailed`).
    init(path: String, createsDirectories: Bool, advice: (Int32) -> String = Download.advice) throws {
        self.path = path
        partPath = path + ".part"
        guard path.utf8.last != UInt8(ascii: "/"), FileKind(path: path) != .folder else {
            throw Failure(.writeFailed, "\(path) is a folder; name a file with -o, or use -O with --output-dir")
        }
        if createsDirectories { try Download.createParents(of: path) }
        // O_NOFOLLOW: a link laid under the .part name would have us overwrite what it points to.
        descriptor = open(partPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            let code = errno
            throw Failure(.writeFailed, "cannot make \(partPath): \(errnoText(code))\(advice(code))")
        }
    }

    deinit { closeOnce() }

    /// In terms of the options that fetching has.
    static func advice(_ code: Int32) -> String {
        switch code {
        case ENOENT: "; its folder does not exist: make it, or use --create-dirs"
        case ELOOP: "; there is a symbolic link of that name: remove it"
        case EACCES, EPERM, EROFS: "; choose a folder that you may write to with --output-dir"
        case EMFILE, ENFILE: "; use a lower --parallel-max"
        case ENAMETOOLONG: "; name it with -o FILE"
        default: ""
        }
    }

    /// Whether both write one file, by whatever names.
    func isSameFile(as other: Download) -> Bool {
        var (mine, theirs) = (stat(), stat())
        guard fstat(descriptor, &mine) == 0, fstat(other.descriptor, &theirs) == 0 else { return false }
        return mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino
    }

    /// Gives the file its name.
    /// - Throws: `Failure` (`writeFailed`); the `.part` file stays.
    func finish() throws {
        // Where the system reports a failed write only now (NFS, quotas), the file is not whole.
        guard closeOnce() == 0 else {
            throw Failure(.writeFailed, "writing \(partPath) failed: \(errnoText(errno))")
        }
        guard rename(partPath, path) == 0 else {
            throw Failure(
                .writeFailed, "\(partPath) is whole but cannot be renamed to \(path): \(errnoText(errno))")
        }
    }

    /// Removes the `.part` file: there is nothing in it that anybody could use.
    func discard() {
        closeOnce()
        unlink(partPath)
    }

    /// How many bytes the `.part` file holds.
    var size: Int {
        var status = stat()
        return stat(partPath, &status) == 0 ? Int(status.st_size) : 0
    }

    @discardableResult
    private func closeOnce() -> CInt {
        guard isOpen else { return 0 }
        isOpen = false
        return descriptor >= 0 ? close(descriptor) : 0
    }

    private static func createParents(of path: String) throws {
        let bytes = Array(path.utf8)
        for end in bytes.indices.dropFirst() where bytes[end] == UInt8(ascii: "/") {
            let folder = String(decoding: bytes[..<end], as: UTF8.self)
            if mkdir(folder, 0o777) != 0, errno != EEXIST {
                // A parent that is not ours to write (EACCES on /home) may exist all the same.
                let code = errno
                guard FileKind(path: folder) == .folder else {
                    throw Failure(.writeFailed, "cannot make the folder \(folder): \(errnoText(code))")
                }
            }
        }
    }
}
