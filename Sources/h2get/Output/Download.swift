import H2Client
import H2Measure
import H2Platform

/// A file that gets its bytes only when they are whole.
///
/// 1. They are written to a file of their own beside the target, `NAME.XXXXXX.part`, which did not exist before: no other
///    process, and no other URL, writes to it, and nobody's file is overwritten.
/// 2. When they are whole it is renamed, in one step: a reader sees the old file or the new one, never half of it. The mode
///    and the owner of a file that was there stay.
/// 3. Where a rename would lose something or cannot be (the target has other hard links, another owner whom we cannot keep,
///    or is a mount of its own), the whole bytes are copied into the target.
/// 4. Where the folder takes no file beside a target that can be written, the target is written in place from the beginning,
///    and is empty after a failure.
///
/// A symbolic link is followed, so that the file behind it gets the bytes and the link stays.
final class Download {
    let target: DownloadTarget
    /// Where the bytes are until the end: the target itself where it is written in place.
    let part: FilePath
    /// The same, for people.
    var partPath: String { part.text }
    let descriptor: CInt
    let isInPlace: Bool
    private var isOpen = true
    /// Whether the part has all bytes: whatever becomes of the rename or the copy, it is kept.
    private var isWhole = false
    private var unfinished: Unfinished.Ticket?

    /// The bytes, when they are whole, have to be copied from one file into another, which takes its time.
    struct Copy: Sendable {
        fileprivate let part: FilePath
        fileprivate let target: DownloadTarget
    }

    /// Makes the `.part` file, empty.
    /// - Parameters:
    ///   - keepsPart: whether a part of the bytes is of use to somebody. If not, none is left where the process is ended.
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
        // In some folders of /proc to make a file fails with ENOENT, as if they did not exist.
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

    /// In terms of the options that fetching has.
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

    /// Puts the bytes where they belong. If that takes a copy, it is returned, to be made where it holds nobody up.
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
        // Where the system reports a failed write only now (NFS, quotas), the file is not whole.
        guard closeOnce() == 0 else {
            throw Failure(.writeFailed, "writing \(partPath) failed: \(errnoText(errno))")
        }
        isWhole = true
        // From here on a signal must leave it.
        Unfinished.remove(unfinished)
        unfinished = nil
        if !mustCopy {
            if rename(part.c, target.resolved.c) == 0 { return nil }
            let code = errno
            // A mount, or a file of somebody else's in a folder where only its owner may replace it.
            guard [EBUSY, EXDEV, EPERM, EACCES].contains(code), FileKind(target.resolved) == .regular else {
                throw Failure(
                    .writeFailed, "\(partPath) is whole but cannot be renamed to \(target.path): \(errnoText(code))")
            }
        }
        return Copy(part: part, target: target)
    }

    /// Removes what there is of it: there is nothing in it that anybody could use.
    func discard() {
        discardInPlace()
        Unfinished.remove(unfinished)
        if !isInPlace { unlink(part.c) }
    }

    /// Leaves what there is under the part's name, also when the process ends.
    /// - Returns: where that is, in words; empty where nothing is left.
    func leave() -> String {
        let text = leftover()
        if !text.isEmpty {
            Unfinished.remove(unfinished)
            unfinished = nil
            closeOnce()
        }
        return text
    }

    /// How many bytes there are until now.
    var size: Int {
        var status = stat()
        return isOpen && fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// After a failure: what is left of it, in words. Empty where nothing is, or where the failure of `finish` has said it.
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
        // Names are 255 bytes at most, on some file systems less.
        for limit in [255, 143, 32] {
            for _ in 0..<100 {
                let suffix = ".\(randomText(6)).part"
                let path = FilePath(prefix + shortened(name, to: limit - suffix.utf8.count) + Array(suffix.utf8))
                // Nobody may read more meanwhile than may read the target.
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
        // Not in the middle of a character of UTF-8.
        while end > name.startIndex, name[end] & 0xc0 == 0x80 { end -= 1 }
        return Array(name[..<end])
    }

    private static func randomText(_ count: Int) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        return String((0..<count).map { _ in letters.randomElement()! })
    }

    // MARK: - The end

    /// Gives the part the mode and the owner of the file whose place it takes; false where it cannot take its place without
    /// a loss.
    private func takeOver() -> Bool {
        var (old, new) = (stat(), stat())
        guard lstat(target.resolved.c, &old) == 0 else { return true }
        // Anything but a regular file, which came here since, is left to the rename.
        guard old.st_mode & S_IFMT == S_IFREG else { return true }
        guard old.st_nlink == 1, fstat(descriptor, &new) == 0 else { return false }
        if old.st_uid != new.st_uid || old.st_gid != new.st_gid,
            fchown(descriptor, old.st_uid, old.st_gid) != 0
        {
            return false
        }
        // Writing takes set-user-ID away.
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
    /// Copies, blocking the thread, and removes the part. Not to be left half-way: a target that cannot take all of it is
    /// emptied.
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
