import H2Client
import H2Measure
import H2Platform

/// One response's bytes on their way to where they go.
struct BodyOutput {
    enum Target {
        case discard
        /// stdout, or a pipe or device named with -o: what may block, and cannot be renamed.
        case descriptor(CInt, name: String)
        case download(Download)
    }

    let target: Target
    var isStandardOutput: Bool {
        if case .descriptor(STDOUT_FILENO, _) = target { true } else { false }
    }

    static var standardOutput: BodyOutput { BodyOutput(target: .descriptor(STDOUT_FILENO, name: "stdout")) }

    init(target: Target) { self.target = target }

    /// Whether `path` is written as it is, and nothing beside it: a pipe, a device, or a descriptor, whose name is a link that
    /// must not be followed to a file.
    static func isWrittenAsItIs(_ path: String) -> Bool {
        StandardDescriptors.number(named: path) != nil || FileKind(path: path) == .other
    }

    /// Opens what is written as it is. Nobody may be at a pipe's other end yet, so this is done off the loop.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    static nonisolated(nonsending) func opening(_ path: String) async throws -> BodyOutput {
        if let number = StandardDescriptors.number(named: path) {
            return try opened(path, StandardDescriptors.duplicateForWriting(number))
        }
        return try opened(path, try await openOffLoop(path, O_WRONLY | O_APPEND))
    }

    /// The same, blocking the thread.
    static func openingBlocking(_ path: String) throws -> BodyOutput {
        if let number = StandardDescriptors.number(named: path) {
            return try opened(path, StandardDescriptors.duplicateForWriting(number))
        }
        let descriptor = H2Platform.open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        return try opened(path, descriptor >= 0 ? descriptor : -errno)
    }

    private static func opened(_ path: String, _ descriptor: CInt) throws -> BodyOutput {
        guard descriptor >= 0 else {
            throw Failure(.writeFailed, "cannot write to \(path): \(errnoText(-descriptor))")
        }
        return BodyOutput(target: .descriptor(descriptor, name: path))
    }

    /// Closes what was opened here; a download closes itself.
    func close() {
        if case .descriptor(let descriptor, _) = target, descriptor != STDOUT_FILENO { H2Platform.close(descriptor) }
    }

    var download: Download? {
        if case .download(let download) = target { download } else { nil }
    }

    /// The response's head, for -i and -I.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(head: [UInt8]) async throws {
        switch target {
        case .discard: break
        case .download(let download):
            try await Self.write(head, to: try Self.open(download.descriptor, name: download.partPath))
        case .descriptor(let descriptor, let name):
            let output = try Self.open(descriptor, name: name)
            guard isatty(descriptor) == 1 else { return try await Self.write(head, to: output) }
            let text = Self.printableLines(String(decoding: head, as: UTF8.self))
            try await Self.write(Array(text.utf8), to: output)
        }
    }

    /// All of the body; its length.
    /// - Throws: `Failure` where writing fails, `H2Error` where reading does, `CancellationError`.
    nonisolated(nonsending) func write(_ body: ResponseBody) async throws -> Int {
        switch target {
        case .discard: return try await body.discard()
        case .download(let download): return try await body.write(to: download.descriptor)
        case .descriptor(let descriptor, let name):
            guard let output = try Self.open(descriptor, name: name) else { return try await body.discard() }
            var length = 0
            var isFirstOnTerminal = isatty(descriptor) == 1
            for try await chunk in body {
                if isFirstOnTerminal, chunk.prefix(2000).contains(0) {
                    throw Failure(
                        .writeFailed,
                        "the body is binary, which can upset a terminal; save it with -o FILE, or pipe it to a program")
                }
                isFirstOnTerminal = false
                try await Self.write(chunk, to: output)
                length += chunk.count
            }
            return length
        }
    }

    /// Bytes that are in memory already.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        guard case .descriptor(let descriptor, let name) = target else { return }
        try await Self.write(bytes, to: try Self.open(descriptor, name: name))
    }

    /// A descriptor as it is written off the loop.
    private struct Output {
        let writer: DescriptorWriter
        let name: String
    }

    /// nil for /dev/null.
    /// - Throws: `Failure` (`writeFailed`) where it cannot be written to.
    private static func open(_ descriptor: CInt, name: String) throws -> Output? {
        do {
            switch try DescriptorWriter.open(descriptor) {
            case .discard: return nil
            case .writer(let writer): return Output(writer: writer, name: name)
            }
        } catch {
            guard case .errno(let code) = error.cause else { throw error }
            throw failure(code, name: name)
        }
    }

    /// Writes all of `bytes` on a thread that may block: for a disk, or for a reader that is slower than the server. The
    /// response's window fills meanwhile, which holds the server back.
    private static nonisolated(nonsending) func write(_ bytes: [UInt8], to output: Output?) async throws {
        guard let output, !bytes.isEmpty else { return }
        // A write that was left behind would put its bytes into the next body.
        let code = try await offLoopUntilOver(cancelled: { output.writer.abandon() }) { output.writer.write(bytes) }
        guard code == 0 else { throw failure(code, name: output.name) }
    }

    static func failure(_ code: Int32, name: String) -> Failure {
        let remedy =
            switch code {
            case ENOSPC, EDQUOT: "; free some space, or choose another place with --output-dir"
            case EPIPE: ": its reader has gone"
            case EFBIG: "; the file is too large for the file system"
            default: ""
            }
        return Failure(.writeFailed, "writing to \(name) failed: \(errnoText(code))\(remedy)")
    }

    private static func printableLines(_ head: String) -> String {
        var out = ""
        for line in head.split(separator: "\r\n", omittingEmptySubsequences: false) {
            if !out.isEmpty || line.isEmpty { out += "\n" }
            out += printable(String(line))
        }
        return out
    }
}
