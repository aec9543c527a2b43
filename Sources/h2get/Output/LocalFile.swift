import H2Client
import H2Platform

extension FileKind {
    /// How a file can be read.
    enum Readable: Equatable {
        /// Any number of times. The size is the system's, which is wrong in /proc and /sys.
        case regular(size: Int)
        /// Once, as it arrives: a pipe, a device.
        case stream
    }

    /// - Throws: `Failure` (`readFailed`) if the path is a folder or does not exist.
    static func readable(_ path: String) throws -> Readable {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw Failure(.readFailed, "cannot read \(path): \(errnoText(errno))")
        }
        switch FileKind(status) {
        case .regular: return .regular(size: Int(status.st_size))
        case .folder: throw Failure(.readFailed, "\(path) is a folder; name a file")
        case .other, .missing: return .stream
        }
    }
}

/// Reads a whole file into memory; `-` is stdin. Blocks, so it is used before anything is sent or off the event loop.
/// - Parameter remedy: the advice for a file over 1 GiB.
func readWhole(_ path: String, remedy: String) throws -> [UInt8] {
    if path == "-" { return try readWhole(STDIN_FILENO, name: path, remedy: remedy) }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.readFailed, "cannot read \(path): \(errnoText(errno))") }
    defer { close(descriptor) }
    return try readWhole(descriptor, name: path, remedy: remedy)
}

/// Reads from the current position of `descriptor` to the end, ignoring the reported length, which is 0 in /proc.
func readWhole(_ descriptor: CInt, name path: String, remedy: String) throws -> [UInt8] {
    let limit = 1 << 30
    func refusal() -> Failure {
        let name = path == "-" ? "stdin" : path
        return Failure(.readFailed, "\(name) is larger than 1 GiB, too large to hold in memory; \(remedy)")
    }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, Int(status.st_size) > limit {
        throw refusal()
    }
    var bytes: [UInt8] = []
    while true {
        let chunk = try readChunk(descriptor, name: path)
        if chunk.isEmpty { return bytes }
        bytes += chunk
        guard bytes.count <= limit else { throw refusal() }
    }
}

/// UTF-8's byte-order mark, which some editors put at the start of a file. It is not part of the text.
let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

/// Reads a text file without its byte-order mark.
func readText(_ path: String) throws -> ArraySlice<UInt8> {
    let bytes = try readWhole(path, remedy: "split it")
    return bytes.starts(with: byteOrderMark) ? bytes.dropFirst(byteOrderMark.count) : bytes[...]
}

/// Reads the next bytes, at most 64 KiB; empty at the end. Waits for them even if the descriptor is non-blocking.
/// - Parameter isWanted: checked several times a second while a non-blocking descriptor has no bytes; false ends the wait.
func readChunk(_ descriptor: CInt, name: String, while isWanted: () -> Bool = { true }) throws -> [UInt8] {
    var code: Int32 = 0
    let chunk = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
        var result = read(descriptor, buffer.baseAddress, buffer.count)
        while result < 0, errno == EINTR || errno == EAGAIN {
            if errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&entry, 1, 200)
                guard isWanted() else {
                    result = 0
                    break
                }
            }
            result = read(descriptor, buffer.baseAddress, buffer.count)
        }
        if result < 0 { code = errno }
        count = max(result, 0)
    }
    guard code == 0 else {
        throw Failure(.readFailed, "cannot read \(name == "-" ? "stdin" : name): \(errnoText(code))")
    }
    return chunk
}

/// Raises the limit of open files to `count` as far as the system permits: each running download needs one.
/// - Returns: the resulting limit.
@discardableResult
func allowOpenFiles(_ count: Int) -> Int {
    guard var limit = openFileLimit() else { return count }
    guard limit.rlim_cur < rlim_t(count) else { return count }
    let wanted = min(rlim_t(count), limit.rlim_max)
    let before = limit.rlim_cur
    limit.rlim_cur = wanted
    return Int(setOpenFileLimit(limit) ? wanted : before)
}
