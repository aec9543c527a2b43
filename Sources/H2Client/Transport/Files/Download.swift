import H2Platform

/// A file that is replaced only when its download is complete.
///
/// 1. The bytes go to a new file beside the target, `NAME.XXXXXX.part`. No other process and no other URL writes to it, and
///    no existing file is overwritten.
/// 2. When complete, it is renamed atomically: a reader sees the old file or the new one, never a partial one. The mode
///    and the owner of an existing file are kept.
/// 3. If a rename would lose something or is impossible (the target has other hard links, an owner that cannot be kept,
///    or is a mount point), the complete bytes are copied into the target.
/// 4. If no file can be created beside an existing, writable target, the target is written in place from the beginning,
///    and is emptied after a failure.
///
/// Symbolic links are followed, so the link stays and the file behind it gets the bytes.
package final class Download {
    package let target: DownloadTarget
    /// The file that is written: the target itself if it is written in place.
    package let part: FilePath
    /// The path of `part`, for messages.
    package var partPath: String { part.text }
    package let descriptor: CInt
    package let isInPlace: Bool
    private var isOpen = true
    /// Whether the part is complete. It is then kept even if the rename or the copy fails.
    package private(set) var isWhole = false
    private let host: any DownloadHost
    private var unfinished: Int?

    /// The copy of a complete part into its target, which may take long.
    package struct Copy: Sendable {
        fileprivate let part: FilePath
        fileprivate let target: DownloadTarget
        fileprivate let synchronizes: Bool
        fileprivate let host: any DownloadHost
    }

    /// Creates the empty `.part` file.
    /// - Parameters:
    ///   - keepsPart: whether an incomplete file is useful. If not, the host is told, so that it can clean up when the
    ///     process ends.
    /// - Throws: The failure of `host`.
    package init(_ target: DownloadTarget, keepsPart: Bool = true, host: any DownloadHost) throws {
        self.host = host
        self.target = target
        var code: Int32 = 0
        if let part = Download.makePart(for: target, &code) {
            (self.part, descriptor, isInPlace) = (part.path, part.descriptor, false)
            if !keepsPart { unfinished = host.began(.temporary(path: part.path)) }
            return
        }
        // In some folders of /proc, creating a file fails with ENOENT, as if they did not exist.
        guard target.mode != nil, [EACCES, EPERM, EROFS, ENOENT].contains(code) else {
            throw host.failure(
                "cannot make a file in \(target.resolved.parts.folder.text): \(errnoText(code))", code, advises: true)
        }
        (part, isInPlace) = (FilePath(target.path), true)
        descriptor = open(target.resolved.c, O_WRONLY | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0, ftruncate(descriptor, 0) == 0 else {
            let code = errno
            isOpen = descriptor >= 0
            throw host.failure("cannot write \(target.path): \(errnoText(code))", code, advises: true)
        }
        unfinished = host.began(.inPlace(descriptor: descriptor))
    }

    deinit { discardInPlace() }

    /// A download of a complete part that is open as `descriptor`. The download takes ownership of the descriptor.
    init(_ target: DownloadTarget, adopting part: FilePath, descriptor: CInt, host: any DownloadHost) {
        self.target = target
        self.part = part
        self.descriptor = descriptor
        self.host = host
        isInPlace = false
    }

    /// Moves the complete bytes to the target. If that takes a copy, returns it for the caller to run off the event loop.
    /// - Parameters:
    ///   - replacing: whether to replace a file that has appeared by now.
    ///   - synchronizing: whether to wait until the bytes are on the disk.
    /// - Throws: The failure of the host; the `.part` file stays.
    package func finish(replacing: Bool = true, synchronizing: Bool = false) throws -> Copy? {
        let mustCopy = !isInPlace && replacing && !takeOver()
        if synchronizing, fsync(descriptor) != 0 {
            let code = errno
            throw host.failure("writing \(partPath) failed: \(errnoText(code))", code, advises: false)
        }
        if isInPlace {
            forgetUnfinished()
            guard closeOnce() == 0 else {
                let code = errno
                truncate(target.resolved.c, 0)
                throw host.failure(
                    "writing \(target.path) failed: \(errnoText(code)); it is empty now", code, advises: false)
            }
            return nil
        }
        // Some systems report a failed write only here (NFS, quotas): the file is then incomplete.
        guard closeOnce() == 0 else {
            let code = errno
            throw host.failure("writing \(partPath) failed: \(errnoText(code))", code, advises: false)
        }
        isWhole = true
        // From here on a signal must not remove it.
        forgetUnfinished()
        if !mustCopy {
            let code = replacing ? (rename(part.c, target.resolved.c) == 0 ? 0 : errno) : renameAsNew()
            if code == 0 {
                if synchronizing { synchronizeFolder() }
                return nil
            }
            // A mount point, or another user's file in a folder where only its owner may replace it.
            guard replacing, [EBUSY, EXDEV, EPERM, EACCES].contains(code), FileKind(target.resolved) == .regular else {
                throw host.failure(
                    "\(partPath) is whole but cannot be renamed to \(target.path): \(errnoText(code))", code,
                    advises: false)
            }
        }
        return Copy(part: part, target: target, synchronizes: synchronizing, host: host)
    }

    /// Renames the part unless a file with that name exists. Returns 0 or an errno.
    private func renameAsNew() -> CInt {
        var code = renameReplacingNothing(part.c, target.resolved.c)
        if [ENOSYS, EPERM, EINVAL].contains(code) {
            // A link does not replace an existing file either.
            code = link(part.c, target.resolved.c) == 0 ? 0 : errno
            if code == 0 { unlink(part.c) }
        }
        return code
    }

    /// Waits until the new name is on the disk as well. On a file system that cannot do this, nothing more is possible.
    private func synchronizeFolder() {
        let folder = open(target.resolved.parts.folder.c, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        _ = fsync(folder)
        close(folder)
    }

    /// Removes the part, which contains nothing useful.
    package func discard() {
        discardInPlace()
        forgetUnfinished()
        if !isInPlace { unlink(part.c) }
    }

    /// Keeps the part, even when the process ends. Nothing more can be written to it.
    package func keep() {
        forgetUnfinished()
        closeOnce()
    }

    /// The number of bytes written so far.
    package var size: Int {
        var status = stat()
        return isOpen && fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    // MARK: - The part

    private static func makePart(
        for target: DownloadTarget, _ code: inout Int32
    ) -> (path: FilePath, descriptor: CInt)? {
        let (_, name) = target.resolved.parts
        let prefix = target.resolved.bytes.dropLast(name.count)
        // Names have at most 255 bytes, on some file systems fewer.
        for limit in [255, 143, 32] {
            for _ in 0..<100 {
                let suffix = ".\(randomText(6)).part"
                let path = FilePath(prefix + shortened(name, to: limit - suffix.utf8.count) + Array(suffix.utf8))
                // The part must not be more readable than the target.
                let descriptor = open(
                    path.c, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(target.mode ?? 0o666))
                if descriptor >= 0 { return (path, descriptor) }
                code = errno
                if code != EEXIST { break }
            }
            guard code == ENAMETOOLONG else { return nil }
        }
        return nil
    }

    static func shortened(_ name: ArraySlice<UInt8>, to limit: Int) -> [UInt8] {
        guard name.count > limit else { return Array(name) }
        var end = name.startIndex + limit
        // Do not split a UTF-8 character.
        while end > name.startIndex, name[end] & 0xc0 == 0x80 { end -= 1 }
        return Array(name[..<end])
    }

    private static func randomText(_ count: Int) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        return String((0..<count).map { _ in letters.randomElement()! })
    }

    // MARK: - The end

    /// Gives the part the mode and owner of the file that it replaces. Returns false if replacing the file would lose
    /// something.
    private func takeOver() -> Bool {
        var (old, new) = (stat(), stat())
        guard lstat(target.resolved.c, &old) == 0 else { return true }
        // If the target has become something other than a regular file, the rename decides.
        guard old.st_mode & S_IFMT == S_IFREG else { return true }
        guard old.st_nlink == 1, fstat(descriptor, &new) == 0 else { return false }
        if old.st_uid != new.st_uid || old.st_gid != new.st_gid,
            fchown(descriptor, old.st_uid, old.st_gid) != 0
        {
            return false
        }
        // Without set-user-ID, which writing would clear as well.
        return fchmod(descriptor, old.st_mode & 0o777) == 0
    }

    private func discardInPlace() {
        if isInPlace, isOpen {
            forgetUnfinished()
            _ = ftruncate(descriptor, 0)
        }
        closeOnce()
    }

    private func forgetUnfinished() {
        if let unfinished { host.ended(unfinished) }
        unfinished = nil
    }

    @discardableResult
    private func closeOnce() -> CInt {
        guard isOpen else { return 0 }
        isOpen = false
        return close(descriptor)
    }
}

extension Download.Copy {
    /// Copies the part into the target, blocking the thread, and removes the part.
    ///
    /// Must run to its end. A target that cannot take all of it is emptied.
    /// - Throws: The failure of the host; the `.part` file stays.
    package func run() throws {
        let input = open(part.c, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard input >= 0 else { throw failure(errno) }
        defer { close(input) }
        let output = open(target.resolved.c, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard output >= 0 else { throw failure(errno) }
        let ticket = host.began(.inPlace(descriptor: output))
        var code = copy(from: input, to: output)
        if code == 0, synchronizes, fsync(output) != 0 { code = errno }
        if code != 0 { _ = ftruncate(output, 0) }
        if let ticket { host.ended(ticket) }
        let closed = close(output)
        guard code == 0, closed == 0 else { throw failure(code == 0 ? errno : code, isEmpty: true) }
        unlink(part.c)
    }

    private func copy(from input: CInt, to output: CInt) -> Int32 {
        guard ftruncate(output, 0) == 0 else { return errno }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = read(input, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return errno }
            if count == 0 { return 0 }
            let code = writeFully(output, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            if code != 0 { return code }
        }
    }

    private func failure(_ code: Int32, isEmpty: Bool = false) -> any Error {
        host.failure(
            "\(part.text) is whole but cannot be copied to \(target.path)\(isEmpty ? ", which is empty now" : ""): "
                + errnoText(code), code, advises: false)
    }
}
