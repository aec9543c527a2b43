import CNghttp2
import H2Platform
import Synchronization

/// Writes to a caller's descriptor, on threads that may block.
///
/// It uses a duplicate, so that an abandoned write never reaches another file with the same descriptor number.
package final class DescriptorWriter: Sendable {
    package enum Target {
        /// /dev/null.
        case discard
        case writer(DescriptorWriter)
    }

    private enum Kind { case file, socket, other }

    private let descriptor: CInt
    private let kind: Kind
    private let isAbandoned = Atomic<Bool>(false)
    /// How long, in milliseconds, a thread waits for room before it checks whether the write was abandoned.
    private static let patience: CInt = 200
    private static let pieceSize = 1 << 20

    /// - Throws: `H2Error` (`localIO`) if it is not a descriptor.
    package static func open(_ descriptor: CInt) throws(H2Error) -> Target {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(errno) }
        // poll never reports anything for a pipe's reading end.
        guard ch2_may_write(descriptor) else { throw failure(EBADF) }
        let type = status.st_mode & S_IFMT
        // An empty write shows whether it is writable.
        if type == S_IFCHR, status.st_rdev == nullDevice, writeOnce(descriptor, "", 0) == 0 { return .discard }
        let duplicate = ch2_duplicate(descriptor)
        guard duplicate >= 0 else { throw failure(errno) }
        return .writer(
            DescriptorWriter(duplicate, type == S_IFREG ? .file : type == S_IFSOCK ? .socket : .other))
    }

    private static let nullDevice: dev_t = {
        var status = stat()
        return stat("/dev/null", &status) == 0 ? status.st_rdev : 0
    }()

    private static func failure(_ code: CInt) -> H2Error {
        H2Error(
            .localIO, initiator: .user, cause: .errno(code), message: "cannot write the body: \(describeErrno(code))",
            remedy: "is the descriptor open?")
    }

    private init(_ descriptor: CInt, _ kind: Kind) {
        self.descriptor = descriptor
        self.kind = kind
    }

    deinit { close(descriptor) }

    /// Nothing waits any longer for the current write.
    package func abandon() { isAbandoned.store(true, ordering: .relaxed) }

    /// Writes all of `bytes` and may block. Called on a thread that has SIGPIPE blocked.
    /// - Returns: 0, or the errno that stopped it; ECANCELED if the write was abandoned.
    package func write(_ bytes: [UInt8]) -> CInt { bytes.withUnsafeBytes { write($0) } }

    /// The same for two pieces in a row.
    func write(_ bytes: [UInt8], _ more: [UInt8]) -> CInt {
        let status = write(bytes)
        return status == 0 && !more.isEmpty ? write(more) : status
    }

    private func write(_ bytes: UnsafeRawBufferPointer) -> CInt {
        var done = 0
        while done < bytes.count {
            if isAbandoned.load(ordering: .relaxed) { return ECANCELED }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = writeSome(rest)
            if count > 0 {
                done += count
            } else if count < 0, errno != EINTR, errno != EAGAIN {
                return errno
            }
        }
        return 0
    }

    private func writeSome(_ bytes: UnsafeRawBufferPointer) -> Int {
        if kind == .file {
            return writeOnce(descriptor, bytes.baseAddress, min(bytes.count, Self.pieceSize))
        }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&entry, 1, Self.patience) > 0 else {
            errno = EAGAIN
            return -1
        }
        if isAbandoned.load(ordering: .relaxed) {
            errno = ECANCELED
            return -1
        }
        if kind == .socket { return ch2_send_now(descriptor, bytes.baseAddress, bytes.count) }
        // A descriptor that reports readiness takes this much at once, so the thread does not block in a write that cannot be
        // abandoned.
        return writeOnce(descriptor, bytes.baseAddress, min(bytes.count, Int(PIPE_BUF)))
    }
}

private func writeOnce(_ descriptor: CInt, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
