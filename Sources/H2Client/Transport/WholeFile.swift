import CNghttp2
import H2Platform

/// Small files that are read and replaced as a whole. Everything here may block.
package enum WholeFile {
    /// Reads a file.
    /// - Parameter allowsPipes: whether it may be something other than a regular file, whose writer is then waited for.
    /// - Throws: `H2Error`: `localIO` if it cannot be read or is not a regular file, `limitExceeded` if it is longer than
    ///   `limit` bytes.
    package static func read(
        _ path: String, upTo limit: Int, allowsPipes: Bool = false
    ) throws(H2Error) -> [UInt8] {
        // O_NONBLOCK has no effect on a regular file.
        let flags = O_RDONLY | O_NOCTTY | (allowsPipes ? 0 : O_NONBLOCK)
        let descriptor = path.utf8.contains(0) ? -1 : ch2_open(path, flags, 0)
        guard descriptor >= 0 else {
            let code = path.utf8.contains(0) ? EINVAL : errno
            throw failure("cannot read '\(path)'", code, "check the path and its rights")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, allowsPipes || status.st_mode & S_IFMT == S_IFREG else {
            throw H2Error(
                .localIO, initiator: .user, message: "'\(path)' is not a regular file", remedy: "copy it into one")
        }
        // The size is only a hint: the file may grow, and files in /proc have none.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(max(Int(status.st_size), 0), limit) + 1)
        let chunk = 1 << 16
        while true {
            var code: CInt = 0
            let piece = [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
                var result: Int
                repeat {
                    result = H2Platform.read(descriptor, buffer.baseAddress, chunk)
                } while result < 0 && errno == EINTR
                if result < 0 { code = errno }
                count = max(result, 0)
            }
            guard code == 0 else { throw failure("cannot read '\(path)'", code, "") }
            if piece.isEmpty { return bytes }
            guard bytes.count + piece.count <= limit else {
                throw H2Error(
                    .limitExceeded, initiator: .user, message: "'\(path)' is longer than \(limit) bytes",
                    remedy: "is it the right file?")
            }
            bytes += piece
        }
    }

    /// Replaces a file, or creates it, atomically: others see the old contents or the new ones. Only its owner can then
    /// read and write it. A symbolic link stays, and the file behind it is replaced.
    /// - Throws: `H2Error` (`localIO`); the file is then unchanged.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(H2Error) {
        guard !path.utf8.contains(0), !path.isEmpty else {
            throw failure("cannot write '\(path)'", EINVAL, "check the path")
        }
        let target = resolved(path)
        var status = stat()
        // A rename would also replace a device or pipe.
        guard lstat(target, &status) != 0 || status.st_mode & S_IFMT == S_IFREG else {
            throw H2Error(
                .localIO, initiator: .user, message: "'\(path)' is not a regular file", remedy: "choose another path")
        }
        let slash = target.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { String(target[...$0]) } ?? ""
        let (part, descriptor) = try create(in: folder, for: path)
        var code = bytes.withUnsafeBytes { writeFully(descriptor, $0) }
        // After a power failure, the new name must not refer to a file without contents.
        if code == 0, fsync(descriptor) != 0, errno != EINVAL { code = errno }
        // Some systems report a failed write only here (NFS, quotas).
        if close(descriptor) != 0, code == 0 { code = errno }
        if code == 0, rename(part, target) != 0 { code = errno }
        guard code != 0 else { return }
        unlink(part)
        throw failure("cannot write '\(path)'", code, "check the room on its disk, and the rights on its folder")
    }

    /// Creates an empty file with an unused name.
    private static func create(in folder: String, for path: String) throws(H2Error) -> (path: String, descriptor: CInt)
    {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        for _ in 0..<100 {
            let name = String((0..<12).map { _ in letters.randomElement()! })
            let part = "\(folder).\(name).tmp"
            let descriptor = ch2_open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            if descriptor >= 0 { return (part, descriptor) }
            if errno != EEXIST { break }
        }
        throw failure("cannot write '\(path)'", errno, "check that its folder exists and may be written to")
    }

    /// The path with symbolic links resolved, as far as it exists.
    private static func resolved(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(validatingCString: resolved) ?? path
    }

    private static func failure(_ what: String, _ code: CInt, _ remedy: String) -> H2Error {
        H2Error(
            .localIO, initiator: .user, cause: .errno(code), message: "\(what): \(errnoText(code))", remedy: remedy)
    }
}
