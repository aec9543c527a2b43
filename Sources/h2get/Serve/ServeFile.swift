import H2Client
import H2Platform

/// A file that `h2get serve` writes for other programs to find.
///
/// Without `--force` an existing file is replaced only if an earlier run certainly wrote it, so that a typo does not
/// destroy a key. Pipes, devices and descriptors are written directly.
struct ServeFile: Sendable {
    enum Kind: Sendable {
        /// The CA certificate, by which an earlier run's file is recognized. It is locked while the process runs, so that no
        /// other server replaces it.
        case authority
        /// The port number, which could also be another program's file.
        case port
    }

    let path: String
    private let option: String
    private let kind: Kind
    private let isForced: Bool
    /// nil for a pipe, device or descriptor, which is written directly.
    private let target: DownloadTarget?

    /// Checks the existing file without changing anything.
    /// - Throws: `Failure` (`writeFailed`) if the file cannot or must not be written.
    init(_ path: String, option: String, kind: Kind, isForced: Bool) throws {
        (self.path, self.option, self.kind, self.isForced) = (path, option, kind, isForced)
        guard !path.isEmpty else { throw Failure.usage("\(option) names no file") }
        guard FileKind(path: path) != .folder else {
            throw Failure(.writeFailed, "\(option): \(path) is a folder; name a file")
        }
        target =
            BodyOutput.isWrittenAsItIs(path)
            ? nil : try DownloadTarget(path: path, createsDirectories: false, advice: { _ in "" })
        guard let target, target.mode != nil, !isForced else { return }
        switch kind {
        case .port: throw refusal("exists; remove it if it is left from a run that was killed, choose another name")
        case .authority:
            guard let content = Self.content(of: target.resolved, limit: 4_096), Self.isAuthority(content) else {
                throw refusal("exists, and h2get serve did not write it; choose another name")
            }
            guard Self.lock(target.resolved) else {
                throw refusal("is the file of another h2get serve that is running; choose another name")
            }
        }
    }

    func isSame(as other: ServeFile) -> Bool {
        guard let target, let another = other.target else { return false }
        return !Set(target.identities).isDisjoint(with: another.identities)
    }

    /// Writes the file atomically: a reader sees nothing or the complete file.
    /// - Parameter isRemoved: whether to remove the file when the process ends, unless there was a file before or it was
    ///   replaced.
    /// - Throws: `Failure` (`writeFailed`).
    func write(_ text: String, isRemoved: Bool = false) throws {
        let content = Array(text.utf8)
        guard let target else {
            let output = try BodyOutput.openingBlocking(path)
            defer { output.close() }
            if case .descriptor(let descriptor, let name) = output.target { try put(content, descriptor, name) }
            return
        }
        let download = try Download(target, keepsPart: false, advice: { _ in "" })
        do { try put(content, download.descriptor, path) } catch {
            download.discard()
            throw error
        }
        // Lock it before it gets its name, so that it is never visible without a lock.
        if kind == .authority { _ = Self.lock(download.descriptor) }
        do {
            if try !linked(download), let copy = try download.finish() { try copy.run() }
        } catch {
            // The server does not start, so the file is useless.
            download.discard()
            throw error
        }
        if isRemoved, target.mode == nil, let item = Unfinished.Item(madeFile: target.resolved, content: content) {
            _ = Unfinished.add(item)
        }
    }

    private func put(_ content: [UInt8], _ descriptor: CInt, _ name: String) throws {
        let code = content.withUnsafeBytes { writeFully(descriptor, $0) }
        guard code == 0 else {
            throw Failure(.writeFailed, "\(option): writing to \(name) failed: \(errnoText(code))")
        }
    }

    /// Gives the complete file its name atomically without replacing an existing file; false if that is not possible.
    private func linked(_ download: Download) throws -> Bool {
        guard !download.isInPlace, download.target.mode == nil, !isForced else { return false }
        let (part, name) = (download.part.c, download.target.resolved.c)
        var code = link(part, name) == 0 ? 0 : errno
        // Some file systems have no hard links.
        if code != 0, code != EEXIST { code = renameReplacingNothing(part, name) }
        guard code == 0 || code == EEXIST else { return false }
        download.discard()
        if code == EEXIST { throw refusal("did not exist at the start, and does now; choose another name") }
        return true
    }

    private func refusal(_ reason: String) -> Failure {
        Failure(.writeFailed, "\(option): \(path) \(reason), or replace it with --force")
    }

    // MARK: - What is there

    /// Locks a file until the process ends; false if another process holds the lock or has replaced the file.
    private static func lock(_ path: FilePath) -> Bool {
        let descriptor = open(path.c, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        return lock(descriptor) && FileIdentity(descriptor: descriptor) == FileIdentity(path)
    }

    /// Locks a duplicate of `descriptor`, which is never closed. Succeeds if the file system has no locks.
    private static func lock(_ descriptor: CInt) -> Bool {
        let kept = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard kept >= 0, flock(kept, LOCK_EX | LOCK_NB) != 0 else { return true }
        let code = errno
        close(kept)
        return code != EWOULDBLOCK
    }

    /// The file's content; nil if it is not a regular file, is longer than `limit`, or cannot be read.
    static func content(of path: FilePath, limit: Int) -> [UInt8]? {
        let descriptor = open(path.c, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard FileKind(descriptor: descriptor) == .regular else { return nil }
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: limit + 1)
        while content.count <= limit {
            let count = read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return content }
            content += piece[..<count]
        }
        return nil
    }

    /// Whether `content` is exactly one certificate, self-signed by an origin's CA.
    private static func isAuthority(_ content: [UInt8]) -> Bool {
        let lines = content.split(separator: 10)
        guard lines.count > 2, lines.first?.elementsEqual("-----BEGIN CERTIFICATE-----".utf8) == true,
            lines.last?.elementsEqual("-----END CERTIFICATE-----".utf8) == true,
            let certificate = Base64.decode(Array(lines.dropFirst().dropLast().joined())[...])
        else { return false }
        let name = Array("H2ClientTesting throw-away CA".utf8)
        let matches = certificate.indices.filter { certificate[$0...].starts(with: name) }
        return matches.count == 2
    }
}
