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

    /// Opens the file of an option, which is then empty; a pipe, device or descriptor as it is.
    /// - Parameter purpose: follows "cannot write " in the failure.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    static nonisolated(nonsending) func openingEmpty(_ path: String, _ purpose: String) async throws -> BodyOutput {
        guard !isWrittenAsItIs(path) else { return try await opening(path) }
        let descriptor = H2Platform.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOCTTY | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Failure(.writeFailed, "cannot write \(purpose): \(errnoText(errno))") }
        return BodyOutput(target: .descriptor(descriptor, name: path))
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

    /// Writes to a descriptor on the calling thread.
    /// - Throws: `Failure` (`writeFailed`).
    func writeBlocking(_ bytes: [UInt8]) throws {
        guard case .descriptor(let descriptor, let name) = target else { return }
        let code = bytes.withUnsafeBytes { writeFully(descriptor, $0) }
        guard code == 0 else { throw Self.failure(code, name: name) }
    }

    /// Closes the descriptor, except stdout and that of a download, which closes itself.
    func close() {
        if case .descriptor(let descriptor, _) = target, descriptor != STDOUT_FILENO { H2Platform.close(descriptor) }
    }

    var download: Download? {
        if case .download(let download) = target { download } else { nil }
    }

    /// Writes the response's head, for -i and -I.
    /// - Parameter colors: whether a head on stdout gets any.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(head: [UInt8], colors: ColorChoice = .never) async throws {
        switch target {
        case .discard: break
        case .download(let download):
            try await Self.write(head, to: try Self.open(download.descriptor, name: download.partPath))
        case .descriptor(let descriptor, let name):
            let output = try Self.open(descriptor, name: name)
            let style = TextStyle(color: isStandardOutput && colors.isOn(for: descriptor))
            guard isatty(descriptor) == 1 else { return try await Self.write(style.heads(head), to: output) }
            let text = Self.printableLines(String(decoding: head, as: UTF8.self), style)
            try await Self.write(Array(text.utf8), to: output)
        }
    }

    /// Writes the whole body.
    /// - Parameters:
    ///   - limit: the length in bytes that it must not exceed (--max-filesize).
    ///   - verifiesDigests: whether it must have the digest that the server states. Its end shows that.
    ///   - meter: what counts the bytes or holds them back, if anything. The server is held back by what is not read.
    /// - Returns: the body's length in bytes.
    /// - Throws: `Failure` if writing fails or the body is too long, `H2Error` if reading fails, `CancellationError`.
    nonisolated(nonsending) func write(
        _ response: StreamedResponse, upTo limit: Int?, verifiesDigests: Bool, meter: BodyMeter?
    ) async throws -> Int {
        guard verifiesDigests else { return try await write(response.body, upTo: limit, meter: meter) }
        var output: Output?
        switch target {
        case .discard: break
        case .download(let download): output = try Self.open(download.descriptor, name: download.partPath)
        case .descriptor(let descriptor, let name): output = try Self.open(descriptor, name: name)
        }
        return try await Self.write(
            response.verifiedBody(), to: output, terminal: isTerminal, upTo: limit, meter: meter)
    }

    private var isTerminal: Bool {
        if case .descriptor(let descriptor, _) = target { isatty(descriptor) == 1 } else { false }
    }

    private nonisolated(nonsending) func write(
        _ body: HTTPResponseBody, upTo limit: Int?, meter: BodyMeter?
    ) async throws -> Int {
        var output: Output?
        switch target {
        case .discard: break
        case .download(let download):
            if limit == nil, meter == nil { return try await body.write(to: download.descriptor) }
            output = try Self.open(download.descriptor, name: download.partPath)
        case .descriptor(let descriptor, let name):
            output = try Self.open(descriptor, name: name)
        }
        if output == nil, limit == nil, meter == nil { return try await body.discard() }
        return try await Self.write(body, to: output, terminal: isTerminal, upTo: limit, meter: meter)
    }

    private static nonisolated(nonsending) func write<Chunks: AsyncSequence>(
        _ chunks: Chunks, to output: Output?, terminal isTerminal: Bool, upTo limit: Int?, meter: BodyMeter?
    ) async throws -> Int where Chunks.Element == HTTPResponseBody.Chunk {
        var isFirstOnTerminal = isTerminal
        var length = 0
        var pace = meter?.pace ?? Pace(limit: nil)
        for try await chunk in chunks {
            if isFirstOnTerminal, chunk.prefix(2000).contains(0) {
                throw Failure(
                    .writeFailed,
                    "the body is binary, which can upset a terminal; save it with -o FILE, or pipe it to a program")
            }
            isFirstOnTerminal = false
            if let limit, chunk.count > limit - length { throw isTooLong(limit) }
            length += chunk.count
            guard let meter else {
                try await write(chunk.bytes, to: output)
                continue
            }
            for piece in pace.pieces(of: chunk.bytes) {
                try await pace.wait(for: piece.count)
                try await write(Array(piece), to: output)
                meter.add(piece, .received)
            }
        }
        return length
    }

    /// The failure of a body that --max-filesize does not allow.
    static func isTooLong(_ limit: Int) -> Failure {
        Failure(.tooBig, "the body is longer than \(counted(limit, "byte")); allow more with --max-filesize")
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

    private static func printableLines(_ head: String, _ style: TextStyle) -> String {
        var out = ""
        for line in head.split(separator: "\r\n", omittingEmptySubsequences: false) {
            if !out.isEmpty || line.isEmpty { out += "\n" }
            out += style.headLine(printable(String(line)))
        }
        return out
    }
}
