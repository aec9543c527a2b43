import CNghttp2
import H2Platform

/// Reads small files whole. It may wait for a disk, so it is called off the loops.
enum FileContents {
    /// - Parameter limit: the largest length in bytes. Of a longer file, one byte more than that is returned.
    /// - Returns: the bytes, or an errno.
    static func read(_ path: String, upTo limit: Int) -> Result<[UInt8], SystemError> {
        let descriptor = ch2_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else { return .failure(SystemError(code: errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count <= limit {
            let count = H2Platform.read(descriptor, &piece, min(piece.count, limit + 1 - bytes.count))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return .failure(SystemError(code: errno)) }
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        return .success(bytes)
    }

    /// The errno of a system call.
    struct SystemError: Error {
        var code: CInt
    }
}
