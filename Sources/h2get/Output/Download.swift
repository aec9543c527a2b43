import H2Client
import H2Measure
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
final class Download {
    let target: DownloadTarget
    /// The file that is written: the target itself if it is written in place.
    let part: FilePath
    /// The path of `part`, for messages.
    var partPath: String { part.text }
    let descriptor: CInt
    let isInPlace: Bool
    private var isOpen = true
    /// Whether the part is complete. It is then kept even if the rename or the copy fails.
    private var isWhole = false
    private var unfinished: Unfinished.Ticket?

    /// The copy of a complete part into its target, which may take long.
    struct Copy: Sendable {
        fileprivate let part: FilePath
        fileprivate let target: DownloadTarget
    }

    /// Creates the empty `.part` file.
    /// - Parameters:
    ///   - keepsPart: whether an incomplete file is useful. If not, it is removed when a signal ends the process.
    ///   - advice: what to try after an errno.
    /// - Throws: `Failure` (`writeFailed`).
    init(
        _ target: DownloadTarget, keepsPart: Bool = true, advice: (Int32) -> String = Download.advice
    ) throws {
        self.target = target
        var code: Int32 = 0
        if let part = Download.makePart(for: target, &code) {
            (self.part, descriptor, isInPlace) = (part.path, part.descriptor, false)
            if !keepsPart { unfinished = Unfinished.add(.temporary(path: part.path)) }
            return
        }
        // In some folders of /proc, creating a file fails with ENOENT, as if they did not exist.
        guard target.mode != nil, [EACCES, EPERM, EROFS, ENOENT].contains(code) else {
            throw Failure(
                .writeFailed,
                "cannot make a file in \(target.resolved.parts.folder.text): \(errnoText(code))\(advice(code))")
        }
        (part, isInPlace) = (FilePath(target.path), true)
        descriptor = open(target.resolved.c, O_WRONLY | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0, ftruncate(descriptor, 0) == 0 else {
            let code = errno
            isOpen = descriptor >= 0
            throw Failure(.writeFailed, "cannot write \(target.path): \(errnoText(code))\(advice(code))")
        }
        unfinished = Unfinished.add(.inPlace(descriptor: descriptor))
    }

    deinit { discardInPlace() }

    /// What to try after an errno, in terms of h2get's options.
    static func advice(_ code: Int32) -> String {
        switch code {
        case ENOENT: "; its folder does not exist: make it, or use --create-dirs"
        case ELOOP: "; its symbolic links lead nowhere: remove them"
        case EACCES, EPERM, EROFS: "; choose a folder that you may write to with --output-dir"
        case EMFILE, ENFILE: "; use a lower --parallel-max"
        case ENAMETOOLONG: "; name it with -o FILE"
        default: ""
        }
    }

    /// Moves the complete bytes to the target. If that takes a copy, returns it for the caller to run off the event loop.
    /// - Throws: `Failure` (`writeFailed`); the `.part` file stays.
    func finish() throws -> Copy? {
        if isInPlace {
            Unfinished.remove(unfinished)
            unfinished = nil
            guard closeOnce() == 0 else {
                let code = errno
                truncate(target.resolved.c, 0)
                throw Failure(.writeFailed, "writing \(target.path) failed: \(errnoText(code)); it is empty now")
            }
            return nil
        }
        let mustCopy = !takeOver()
        // Some systems report a failed write only here (NFS, quotas): the file is then incomplete.
        guard closeOnce() == 0 else {
            throw Failure(.writeFailed, "writing \(partPath) failed: \(errnoText(errno))")
        }
        isWhole = true
        // From here on a signal must not remove it.
        Unfinished.remove(unfinished)
        unfinished = nil
        if !mustCopy {
            if rename(part.c, target.resolved.c) == 0 { return nil }
            let code = errno
            // A mount point, or another user's file in a folder where only its owner may replace it.
            guard [EBUSY, EXDEV, EPERM, EACCES].contains(code), FileKind(target.resolved) == .regular else {
                throw Failure(
                    .writeFailed, "\(partPath) is whole but cannot be renamed to \(target.path): \(errnoText(code))")
            }
        }
        return Copy(part: part, target: target)
    }

    /// Removes the part, which contains nothing useful.
    func discard() {
        discardInPlace()
        Unfinished.remove(unfinished)
        if !isInPlace { unlink(part.c) }
    }

    /// Keeps the part, even when the process ends.
    /// - Returns: its location, in words; empty if nothing is left.
    func leave() -> String {
        let text = leftover()
        if !text.isEmpty {
            Unfinished.remove(unfinished)
            unfinished = nil
            closeOnce()
        }
        return text
    }

    /// The number of bytes written so far.
    var size: Int {
        var status = stat()
        return isOpen && fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// What a failure leaves of the file, in words. Empty if nothing is left, or if the error of `finish` has said it.
    func leftover() -> String {
        if isWhole { return "" }
        if isInPlace {
            discard()
            return "\(target.path) was emptied, because no temporary file could be created in its folder"
        }
        let size = size
        if size == 0 {
            discard()
            return ""
        }
        return "\(byteCount(size)) of it are in \(partPath)"
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
                let descriptor = open(path.c, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, target.mode ?? 0o666)
                if descriptor >= 0 { return (path, descriptor) }
                code = errno
                if code != EEXIST { break }
            }
            guard code == ENAMETOOLONG else { return nil }
        }
        return nil
    }

    private static func shortened(_ name: ArraySlice<UInt8>, to limit: Int) -> [UInt8] {
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

    /// Gives the part the mode and the owner of the file that it replaces; false if replacing it would lose something.
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
        // Without set-user-ID, which writing would clear too.
        return fchmod(descriptor, old.st_mode & 0o777) == 0
    }

    private func discardInPlace() {
        if isInPlace, isOpen {
            Unfinished.remove(unfinished)
            unfinished = nil
            _ = ftruncate(descriptor, 0)
        }
        closeOnce()
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
    /// - Throws: `Failure` (`writeFailed`); the `.part` file stays.
    func run() throws {
        let input = open(part.c, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard input >= 0 else { throw failure(errno) }
        defer { close(input) }
        let output = open(target.resolved.c, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard output >= 0 else { throw failure(errno) }
        let ticket = Unfinished.add(.inPlace(descriptor: output))
        let code = copy(from: input, to: output)
        if code != 0 { _ = ftruncate(output, 0) }
        Unfinished.remove(ticket)
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

    private func failure(_ code: Int32, isEmpty: Bool = false) -> Failure {
        Failure(
            .writeFailed,
            "\(part.text) is whole but cannot be copied to \(target.path)\(isEmpty ? ", which is empty now" : ""): "
                + errnoText(code))
    }
}
