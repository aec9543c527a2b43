import H2Platform

/// The bytes of an interrupted download: `NAME.part` beside the target, with the information about them in
/// `NAME.part.info`.
///
/// It is locked, so that two processes never write to the same one. Blocks the thread; used by one call at a time.
final class ResumablePart {
    let target: DownloadTarget
    private let path: FilePath
    private let infoPath: FilePath
    let descriptor: CInt
    private let host: any DownloadHost
    /// Whether the descriptor now belongs to a `Download`.
    private(set) var isAdopted = false

    /// The maximum length of an `.info` file.
    private static let infoLimit = 16 << 10

    /// Opens the part, or creates an empty one.
    /// - Throws: The failure of `host`, also if the part is locked, is not a regular file of this user, or has another
    ///   hard link.
    init(_ target: DownloadTarget, host: any DownloadHost) throws {
        self.target = target
        self.host = host
        let name = target.resolved.parts.name
        let prefix = target.resolved.bytes.dropLast(name.count)
        path = FilePath(prefix + Download.shortened(name, to: 255 - ".part.info".utf8.count) + Array(".part".utf8))
        infoPath = FilePath(path.bytes + Array(".info".utf8))
        descriptor = try Self.opened(path, mode: mode_t(target.mode ?? 0o666), host)
    }

    deinit { if !isAdopted { close(descriptor) } }

    private static func opened(_ path: FilePath, mode: mode_t, _ host: any DownloadHost) throws -> CInt {
        // Another process may complete the part between opening and locking it: the descriptor then leads to its
        // target.
        for attempt in 0..<300 {
            let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
            let descriptor = open(path.c, flags, mode)
            guard descriptor >= 0 else {
                let code = errno
                throw host.failure("cannot write \(path.text): \(errnoText(code))", code, advises: true)
            }
            var (file, named) = (stat(), stat())
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let code = errno
                close(descriptor)
                // A download that has just failed may hold the lock a moment longer, and so may a child process started
                // at that time: up to a second, on a busy machine.
                if code == EWOULDBLOCK, attempt < 200 {
                    usleep(5_000)
                    continue
                }
                throw host.failure("\(path.text) is being written by another download", code, advises: false)
            }
            guard fstat(descriptor, &file) == 0, lstat(path.c, &named) == 0, file.st_ino == named.st_ino,
                file.st_dev == named.st_dev
            else {
                close(descriptor)
                continue
            }
            // In a folder that others may write to, the bytes may be theirs.
            guard file.st_mode & S_IFMT == S_IFREG, file.st_uid == geteuid(), file.st_nlink == 1 else {
                close(descriptor)
                throw host.failure(
                    "\(path.text) is not a regular file that belongs to this user alone", EPERM, advises: false)
            }
            return descriptor
        }
        throw host.failure("\(path.text) keeps being replaced", EBUSY, advises: false)
    }

    /// Writes bytes to their place. Several threads may do so.
    /// - Throws: The failure of the host.
    func write(_ bytes: [UInt8], at offset: Int) throws {
        var code: CInt = 0
        bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count, code == 0 {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
                let count = pwrite(descriptor, rest.baseAddress, min(rest.count, 1 << 20), off_t(offset + done))
                if count > 0 {
                    done += count
                } else if count == 0 {
                    code = ENOSPC
                } else if errno != EINTR {
                    code = errno
                }
            }
        }
        guard code == 0 else {
            throw host.failure("writing to \(path.text) failed: \(errnoText(code))", code, advises: true)
        }
    }

    /// The number of bytes.
    var size: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Keeps the first `count` bytes, and continues after them.
    /// - Throws: The failure of the host.
    func keep(_ count: Int) throws {
        guard ftruncate(descriptor, off_t(count)) == 0, lseek(descriptor, off_t(count), SEEK_SET) == off_t(count) else {
            let code = errno
            throw host.failure("cannot write \(path.text): \(errnoText(code))", code, advises: false)
        }
    }

    /// Calls `body` with all bytes, one piece at a time.
    /// - Throws: The failure of the host if they cannot be read; the errors of `body`.
    func forEachPiece(_ body: ([UInt8]) throws -> Void) throws {
        var offset: off_t = 0
        while true {
            var count = 0
            let piece = [UInt8](unsafeUninitializedCapacity: 256 << 10) { buffer, filled in
                repeat {
                    count = pread(descriptor, buffer.baseAddress, buffer.count, offset)
                } while count < 0 && errno == EINTR
                filled = max(count, 0)
            }
            guard count >= 0 else {
                let code = errno
                throw host.failure("cannot read \(path.text): \(errnoText(code))", code, advises: false)
            }
            if piece.isEmpty { return }
            try body(piece)
            offset += off_t(piece.count)
        }
    }

    /// The information about the bytes; nil if there is none that can be trusted.
    var info: [UInt8]? {
        let descriptor = open(infoPath.c, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
            status.st_size <= Self.infoLimit
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.infoLimit)
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + filled, $0.count - filled) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        return Array(bytes[..<filled])
    }

    /// Stores information about the bytes; nil: they cannot be used later. The part must be empty.
    ///
    /// If `.info` cannot be written, that is not a failure: the download just cannot be continued later.
    func setInfo(_ info: [UInt8]?) {
        unlink(infoPath.c)
        guard let info else { return }
        let descriptor = open(infoPath.c, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let code = info.withUnsafeBytes { writeFully(descriptor, $0) }
        if close(descriptor) != 0 || code != 0 { unlink(infoPath.c) }
    }

    /// Replaces the information about the bytes, so that after a crash it is the old one or the new one.
    /// - Returns: whether it was written down.
    @discardableResult
    func replaceInfo(_ info: [UInt8]) -> Bool {
        let newPath = FilePath(infoPath.bytes.dropLast(4) + Array("save".utf8))
        unlink(newPath.c)
        let descriptor = open(newPath.c, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        let code = info.withUnsafeBytes { writeFully(descriptor, $0) }
        if close(descriptor) == 0, code == 0, rename(newPath.c, infoPath.c) == 0 { return true }
        unlink(newPath.c)
        return false
    }

    /// Removes the bytes from `offset` on, to make room.
    func shorten(to offset: Int) { _ = ftruncate(descriptor, off_t(offset)) }

    // MARK: - A file that another program left

    /// The file that already has the target's name; nil if there is none with bytes.
    var existingFile: (size: Int, changedAt: Int)? {
        var status = stat()
        guard lstat(target.resolved.c, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else {
            return nil
        }
        return (Int(status.st_size), status.modificationTime.seconds)
    }

    /// Makes the file that has the target's name the part, and continues after its bytes.
    /// - Returns: their number.
    /// - Throws: The failure of the host; the file stays as it is.
    func adoptTarget() throws -> Int {
        func failure(_ code: CInt) -> any Error {
            host.failure("cannot continue \(target.path): \(errnoText(code))", code, advises: true)
        }
        let flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        let opened = open(target.resolved.c, flags)
        guard opened >= 0 else { throw failure(errno) }
        defer { close(opened) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else { throw failure(errno) }
        var file = stat()
        guard fstat(opened, &file) == 0 else { throw failure(errno) }
        guard file.st_mode & S_IFMT == S_IFREG, file.st_uid == geteuid(), file.st_nlink == 1 else {
            throw host.failure(
                "cannot continue \(target.path): it is not a regular file that belongs to this user alone, under one "
                    + "name", EPERM, advises: false)
        }
        guard lseek(opened, file.st_size, SEEK_SET) == file.st_size else { throw failure(errno) }
        guard rename(target.resolved.c, path.c) == 0 else { throw failure(errno) }
        // Whoever has the number of the descriptor now writes to the file. The lock goes with it.
        guard duplicate(opened, to: descriptor) else {
            let code = errno
            _ = rename(path.c, target.resolved.c)
            throw failure(code)
        }
        return Int(file.st_size)
    }

    /// Makes `number` another descriptor of the file that is open as `descriptor`.
    private func duplicate(_ descriptor: CInt, to number: CInt) -> Bool {
        dup2(descriptor, number) == number && fcntl(number, F_SETFD, FD_CLOEXEC) == 0
    }

    /// Gives the target its name back. Returns false if there is another file of that name by now.
    func giveBack() -> Bool {
        unlink(infoPath.c)
        return renameReplacingNothing(path.c, target.resolved.c) == 0
    }

    // MARK: - The end

    /// The path of the part, for messages.
    var partPath: String { path.text }

    /// Removes the part and the information about it.
    func discard() {
        unlink(infoPath.c)
        if !isAdopted { unlink(path.c) }
    }

    /// The part as a complete download.
    func completed() -> Download {
        isAdopted = true
        return Download(target, adopting: path, descriptor: descriptor, host: host)
    }
}
