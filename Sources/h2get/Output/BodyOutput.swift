import H2Client
import H2Measure
import H2Platform

/// The destination of one response's bytes.
struct BodyOutput {
    enum Target {
        case discard
        /// stdout, or a pipe or device named with -o. Writing may block, and there is nothing to rename.
        case descriptor(CInt, name: String)
        case download(Download)
    }

    let target: Target
    var isStandardOutput: Bool {
        if case .descriptor(STDOUT_FILENO, _) = target { true } else { false }
    }

    static var standardOutput: BodyOutput { BodyOutput(target: .descriptor(STDOUT_FILENO, name: "stdout")) }

    init(target: Target) { self.target = target }

    /// Whether `path` is written directly, without a .part file: a pipe, a device, or a descriptor, whose name is a link that
    /// must not be followed to a file.
    static func isWrittenAsItIs(_ path: String) -> Bool {
        StandardDescriptors.number(named: path) != nil || FileKind(path: path) == .other
    }

    /// Opens a pipe, device or descriptor, off the event loop because a pipe's other end may not be open yet.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    static nonisolated(nonsending) func opening(_ path: String) async throws -> BodyOutput {
        if let number = StandardDescriptors.number(named: path) {
            return try opened(path, StandardDescriptors.duplicateForWriting(number))
        }
        return try opened(path, try await openOffLoop(path, O_WRONLY | O_APPEND))
    }

    /// Like `opening(_:)`, but blocks the thread.
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

    /// Closes the descriptor, except stdout and that of a download, which closes itself.
    func close() {
        if case .descriptor(let descriptor, _) = target, descriptor != STDOUT_FILENO { H2Platform.close(descriptor) }
    }

    var download: Download? {
        if case .download(let download) = target { download } else { nil }
    }

    /// Writes the response's head, for -i and -I.
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

    /// Writes the whole body.
    /// - Returns: the body's length in bytes.
    /// - Throws: `Failure` if writing fails, `H2Error` if reading fails, `CancellationError`.
    nonisolated(nonsending) func write(_ body: HTTPResponseBody) async throws -> Int {
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
                try await Self.write(chunk.bytes, to: output)
                length += chunk.count
            }
            return length
        }
    }

    /// Writes bytes that are already in memory.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        guard case .descriptor(let descriptor, let name) = target else { return }
        try await Self.write(bytes, to: try Self.open(descriptor, name: name))
    }

    /// A descriptor that is written off the event loop.
    private struct Output {
        let writer: DescriptorWriter
        let name: String
    }

    /// Returns the output for `descriptor`, or nil for /dev/null.
    /// - Throws: `Failure` (`writeFailed`) if it cannot be written to.
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

    /// Writes all of `bytes` on a thread that may block, on a disk or on a reader slower than the server. Meanwhile the
    /// response's window fills, which holds the server back.
    private static nonisolated(nonsending) func write(_ bytes: [UInt8], to output: Output?) async throws {
        guard let output, !bytes.isEmpty else { return }
        // An abandoned write would put its bytes into the next body.
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
