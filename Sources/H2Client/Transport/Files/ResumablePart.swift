import H2Platform

/// The bytes of an interrupted download: `NAME.part` beside the target, and what is known of them in `NAME.part.info`.
///
/// It is locked, so that two processes never write to the same one. Blocks the thread; used by one call at a time.
final class ResumablePart {
    let target: DownloadTarget
    private let path: FilePath
    private let infoPath: FilePath
    let descriptor: CInt
    private let host: any DownloadHost
    /// Whether the descriptor belongs to a `Download` now.
    private(set) var isAdopted = false

    /// The longest `.info` file that is read.
    private static let infoLimit = 16 << 10

    /// Opens the part, or creates an empty one.
    /// - Throws: The failure of `host`, also if the part is locked, is not a regular file of this user, or has another name.
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
        // Another process may complete the part between the opening and the lock: then the descriptor leads to its target.
        for attempt in 0..<100 {
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
                // A download that has just failed may hold it for another moment, and so may a child that was started then.
                if code == EWOULDBLOCK, attempt < 40 {
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

    /// Calls `body` with all bytes, piece by piece.
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

    /// What is known of the bytes; nil if there is nothing that can be trusted.
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

    /// Notes what is known of the bytes; nil: they are of no use later. The part must be empty.
    ///
    /// An `.info` that cannot be written is no failure: the bytes cannot be continued later then.
    func setInfo(_ info: [UInt8]?) {
        unlink(infoPath.c)
        guard let info else { return }
        let descriptor = open(infoPath.c, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let code = info.withUnsafeBytes { writeFully(descriptor, $0) }
        if close(descriptor) != 0 || code != 0 { unlink(infoPath.c) }
    }

    /// Removes the part, and what is known of it.
    func discard() {
        unlink(infoPath.c)
        if !isAdopted { unlink(path.c) }
    }

    /// The part as a download that is complete.
    func completed() -> Download {
        isAdopted = true
        return Download(target, adopting: path, descriptor: descriptor, host: host)
    }
}
