import CNghttp2
import H2Platform

/// A request body's file, open. Closed with its last user.
final class BodyFile: Sendable {
    let descriptor: CInt
    let length: Int

    // To open a pipe blocks until somebody writes to it; for a regular file O_NONBLOCK changes nothing.
    private static let flags = O_RDONLY | O_NONBLOCK

    /// Opens it, which may wait for a disk.
    /// - Throws: `H2Error` (`localIO`) for what cannot be opened or is no regular file.
    convenience init(_ path: String) throws(H2Error) {
        try self.init(ch2_open(path, Self.flags, 0), path)
    }

    /// Opens it where that waits for nothing; nil where it would have to.
    /// - Throws: as above.
    static func cached(_ path: String) throws(H2Error) -> BodyFile? {
        let descriptor = ch2_open_cached(path, Self.flags)
        if descriptor < 0, errno == EAGAIN { return nil }
        return try BodyFile(descriptor, path)
    }

    private init(_ descriptor: CInt, _ path: String) throws(H2Error) {
        func failure(_ what: String, _ remedy: String) -> H2Error {
            H2Error(.localIO, initiator: .user, cause: .errno(errno), message: what, remedy: remedy)
        }
        guard descriptor >= 0 else {
            throw failure("cannot read '\(path)': \(errnoText(errno))", "check the path and its rights")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            let error = failure("'\(path)' is not a regular file", "stream it instead")
            close(descriptor)
            throw error
        }
        // Files of /proc and /sys say that they are empty and are not: they must not be sent as nothing.
        var byte: UInt8 = 0
        if status.st_size == 0, pread(descriptor, &byte, 1, 0) > 0 {
            close(descriptor)
            throw H2Error(
                .localIO, initiator: .user, message: "'\(path)' does not say how long it is",
                remedy: "stream it instead")
        }
        self.descriptor = descriptor
        length = Int(status.st_size)
    }

    deinit { close(descriptor) }
}

/// How far a file has been sent as one request's body, and the piece of it that goes out next.
///
/// Invariant behind `@unchecked Sendable`: everything belongs to the connection's loop, but for the buffer's contents while
/// `isLoading`, which then belong to the thread that loads it.
final class FileBody: @unchecked Sendable {
    /// What came of asking for the next piece.
    enum Piece {
        /// So many bytes can be taken.
        case ready(Int)
        /// It is being loaded.
        case later
        /// It is on a disk: somebody has to load it (`beginLoading`, `load`, `loaded`).
        case onDisk
        /// The file became shorter, or cannot be read.
        case failed
    }

    /// What a thread loads at once.
    private static let loadSize = 256 << 10

    private let file: BodyFile
    private(set) var offset = 0
    /// Bytes that have not been taken.
    private(set) var remaining: Int
    private(set) var isLoading = false
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// What the buffer holds of the file at `offset`.
    private var held = 0..<0
    private var hasFailed = false
    /// Whether the system can read without waiting; found out by trying.
    private var mayReadCached = true

    /// - Parameter length: of the file, where it is known to be another than when it was opened.
    init(_ file: BodyFile, length: Int? = nil) {
        self.file = file
        remaining = length ?? file.length
    }

    deinit { buffer.deallocate() }

    /// Makes the next piece ready, of at most `limit` bytes.
    func piece(upTo limit: Int) -> Piece {
        if remaining == 0 { return .ready(0) }
        if isLoading { return .later }
        if !held.isEmpty { return .ready(min(held.count, limit)) }
        if hasFailed { return .failed }
        guard mayReadCached else { return .onDisk }
        let count = min(limit, remaining)
        makeRoom(count)
        let got = ch2_read_cached(file.descriptor, buffer.baseAddress, count, Int64(offset))
        if got > 0 {
            held = 0..<got
            return .ready(got)
        }
        if got < 0, errno == EAGAIN { return .onDisk }
        if got < 0, errno == EOPNOTSUPP {
            mayReadCached = false
            return .onDisk
        }
        hasFailed = true
        return .failed
    }

    private func makeRoom(_ count: Int) {
        guard buffer.count < count else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 16)
    }

    func beginLoading() {
        makeRoom(min(Self.loadSize, remaining))
        isLoading = true
    }

    /// Reads, and may wait for a disk. On any thread, between `beginLoading` and `loaded`.
    /// - Returns: bytes read; 0 or less where there are none.
    func load() -> Int {
        var count = 0
        repeat {
            count = pread(file.descriptor, buffer.baseAddress, min(buffer.count, remaining), off_t(offset))
        } while count < 0 && errno == EINTR
        return count
    }

    func loaded(_ count: Int) {
        isLoading = false
        held = 0..<max(count, 0)
        if count <= 0 { hasFailed = true }
    }

    /// Moves bytes that are ready into `payload`.
    func take(into payload: UnsafeMutableRawBufferPointer) {
        let end = held.lowerBound + payload.count
        payload.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[held.lowerBound..<end]))
        held = end..<held.upperBound
        offset += payload.count
        remaining -= payload.count
    }
}

/// Renames a file where nothing has the new name yet, in one step.
/// - Returns: 0; EEXIST where something has it; ENOSYS, EPERM or EINVAL where the system or the file system cannot tell; or
///   another errno.
package func renameReplacingNothing(_ path: UnsafePointer<CChar>, _ newPath: UnsafePointer<CChar>) -> CInt {
    ch2_rename_new(path, newPath) == 0 ? 0 : errno
}

/// Writes all of `bytes`, and may block.
/// - Parameters:
///   - isWanted: asked several times a second while there is no room; without it the wait has no end.
///   - onProgress: called at the end with the number of bytes that were written.
/// - Returns: 0, or the errno that stopped it; ECANCELED where it is not wanted any more.
package func writeFully(
    _ descriptor: CInt, _ bytes: UnsafeRawBufferPointer, while isWanted: (() -> Bool)? = nil,
    onProgress: (Int) -> Void = { _ in }
) -> CInt {
    var done = 0
    defer { onProgress(done) }
    while done < bytes.count {
        var count = bytes.count - done
        if let isWanted {
            guard isWanted() else { return ECANCELED }
            guard hasRoom(descriptor) else { continue }
            // What says that it has room takes this much at once, and does not block.
            count = min(count, Int(PIPE_BUF))
        }
        let written = write(descriptor, bytes.baseAddress! + done, count)
        if written >= 0 {
            done += written
        } else if errno == EAGAIN {
            // A pipe or terminal that somebody made non-blocking: wait for it rather than lose bytes.
            _ = hasRoom(descriptor)
        } else if errno != EINTR {
            return errno
        }
    }
    return 0
}

/// Waits for room to write, 200 ms at most. An error counts as room: the write says which it is.
private func hasRoom(_ descriptor: CInt) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    let result = poll(&entry, 1, 200)
    return result > 0 || (result < 0 && errno != EINTR)
}
