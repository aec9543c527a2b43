import CNghttp2
import H2Platform

/// A file that keeps sessions for later runs.
///
/// Sessions decide which server is trusted without a certificate, and contain secrets, so the file must be accessible
/// only to its owner. It is replaced as a whole. If two runs end at the same time, the sessions of one of them may be
/// lost.
final class TLSSessionFile: Sendable {
    let path: String
    private let settings: [UInt8]
    /// The keys of the sessions that this run has read.
    private let taken: Set<TLSSessionCache.Key>

    /// Reads the sessions of these settings into the cache. Called where it may block.
    ///
    /// A damaged file counts as empty, and so does a file of another kind, which is never overwritten.
    /// - Throws: `H2Error` (`tlsConfiguration`) if it cannot be read, or if others may write or read it.
    init(_ path: String, settings: [UInt8], into cache: TLSSessionCache) throws {
        self.path = path
        self.settings = settings
        let contents = try Self.read(path)
        let now = time(nil)
        let records = contents.records.filter { $0.settings == settings && $0.isCurrent(now: now) }
        taken = Set(records.map(\.key))
        cache.add(records)
    }

    private struct Contents {
        var records: [TLSSessionRecord] = []
        var isForeign = false
    }

    private static func failure(_ path: String, _ reason: String, _ remedy: String, _ code: CInt = 0) -> H2Error {
        H2Error(
            .tlsConfiguration, cause: code == 0 ? .unknown : .errno(code),
            message: "cannot use the session file '\(path)': \(reason)", remedy: remedy)
    }

    private static func read(_ path: String) throws -> Contents {
        let descriptor = ch2_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            let code = errno
            guard code == ENOENT else { throw failure(path, describeErrno(code), "may it be read?", code) }
            return Contents()
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw failure(path, "it is not a regular file", "name a file, or none that exists")
        }
        guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw failure(
                path, "others may read or write it", "make it its owner's alone (chmod 600), or remove it")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= TLSSessionRecord.fileLimit {
            let count = H2Platform.read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(path, describeErrno(errno), "may it be read?", errno)
            }
            bytes += buffer[..<count]
        }
        return Contents(
            records: TLSSessionRecord.decode(bytes) ?? [],
            isForeign: !bytes.isEmpty && !bytes.starts(with: TLSSessionRecord.mark))
    }

    /// Writes the cache's sessions next to those of other settings and servers. Called where it may block. A failure
    /// leaves the file unchanged: resumption is never required.
    func save(_ cache: TLSSessionCache) {
        guard let contents = try? Self.read(path), !contents.isForeign else { return }
        let records = TLSSessionRecord.merge(
            contents.records, with: cache.records, taken: taken, settings: settings, now: time(nil))
        if records == contents.records { return }
        let bytes = TLSSessionRecord.encode(records)
        // Created with mode 0600. Never opens an existing file.
        var name = Array("\(path).XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else { return }
        let status = bytes.withUnsafeBytes { writeFully(descriptor, $0) }
        guard close(descriptor) == 0, status == 0, rename(name, path) == 0 else {
            unlink(name)
            return
        }
    }
}
