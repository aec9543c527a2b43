import CNghttp2
import H2Platform

/// The open file of a request body. Closed when the last reference is gone.
final class BodyFile: Sendable {
    let descriptor: CInt
    /// The body's offset in the file.
    let offset: Int
    /// The length of the body.
    let length: Int
    /// The file that this is a part of, which owns the descriptor.
    private let whole: BodyFile?

    // Opening a pipe blocks until there is a writer; for a regular file O_NONBLOCK changes nothing.
    private static let flags = O_RDONLY | O_NONBLOCK

    /// Opens it, which may wait for a disk.
    /// - Throws: `H2Error` (`localIO`) if it cannot be opened or is not a regular file.
    convenience init(_ path: String) throws(H2Error) {
        try self.init(ch2_open(path, Self.flags, 0), path)
    }

    /// Opens it if that does not block; nil otherwise.
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
        // Files of /proc and /sys claim to be empty but are not: they must not be sent as empty bodies.
        var byte: UInt8 = 0
        if status.st_size == 0, pread(descriptor, &byte, 1, 0) > 0 {
            close(descriptor)
            throw H2Error(
                .localIO, initiator: .user, message: "'\(path)' does not say how long it is",
                remedy: "stream it instead")
        }
        self.descriptor = descriptor
        length = Int(status.st_size)
        offset = 0
        whole = nil
    }

    private init(_ whole: BodyFile, offset: Int, length: Int) {
        self.whole = whole
        self.offset = offset
        self.length = length
        descriptor = whole.descriptor
    }

    deinit { if whole == nil { close(descriptor) } }

    /// The part of the file selected by `range`, or the file itself if there is no range.
    /// - Throws: `H2Error` (`localIO`) if the file ends before the range does.
    func part(_ range: FileRange?) throws(H2Error) -> BodyFile {
        guard let range else { return self }
        let end = range.end ?? max(length, range.start)
        guard range.start <= length, end <= length else {
            throw H2Error(
                .localIO, initiator: .user,
                message: "the file has \(length) bytes, and the range that is to be sent \(range)",
                remedy: "choose a range inside the file")
        }
        return BodyFile(self, offset: offset + range.start, length: end - range.start)
    }

    /// Reads `count` bytes of the body, starting at `offset`. May wait for a disk.
    /// - Throws: `H2Error` (`localIO`) if there are fewer.
    func read(at offset: Int, count: Int) throws(H2Error) -> [UInt8] {
        let offset = self.offset + offset
        var failure: CInt = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
                if got > 0 {
                    filled += got
                } else if got == 0 || errno != EINTR {
                    failure = got == 0 ? 0 : errno
                    return
                }
            }
        }
        guard bytes.count == count else {
            throw H2Error.bodyFileFailed(
                at: offset + bytes.count, scope: .client, cause: failure == 0 ? .unknown : .errno(failure))
        }
        return bytes
    }
}

/// The bytes of a file that are sent as a body.
struct FileRange: Sendable, Hashable, CustomStringConvertible {
    let start: Int
    /// The byte after the last one; nil for the end of the file.
    let end: Int?

    /// Completes an error message about a file that is too short.
    var description: String {
        end.map { "ends at byte \($0)" } ?? "begins at byte \(start)"
    }
}
