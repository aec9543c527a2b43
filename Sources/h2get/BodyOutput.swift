import H2Client
import H2Measure

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

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

    /// A file: a download, or as it is where the name is a pipe's or a device's.
    /// - Parameter advice: what to try after an errno, where it is not what fetching has options for.
    /// - Throws: `Failure` (`writeFailed`).
    init(
        path: String, createsDirectories: Bool, advice: (Int32) -> String = Download.advice
    ) throws {
        // By the name of a descriptor a file, too, is written as it is: the link of that name is the system's, and must
        // not be replaced by a file.
        let isDescriptor =
            ["/dev/stdout", "/dev/stderr"].contains(path)
            || ["/dev/fd/", "/proc/self/fd/"].contains(where: path.hasPrefix)
        guard isDescriptor || FileKind(path: path) == .other else {
            target = .download(
                try Download(path: path, createsDirectories: createsDirectories, advice: advice))
            return
        }
        // After what a file holds already: it may be shared, or be opened to be added to.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(.writeFailed, "cannot write to \(path): \(errnoText(errno))")
        }
        target = .descriptor(descriptor, name: path)
    }

    /// Closes what was opened here; a download closes itself.
    func close() {
        if case .descriptor(let descriptor, _) = target, descriptor != STDOUT_FILENO { closeDescriptor(descriptor) }
    }

    var download: Download? {
        if case .download(let download) = target { download } else { nil }
    }

    /// The response's head, for -i and -I.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(head: String) async throws {
        switch target {
        case .discard: break
        case .download(let download):
            var head = head
            let code = head.withUTF8 { writeAll(download.descriptor, UnsafeRawBufferPointer($0)) }
            guard code == 0 else { throw Self.failure(code, name: download.partPath) }
        case .descriptor(let descriptor, let name):
            let text = isatty(descriptor) == 1 ? Self.printableLines(head) : head
            try await Self.write(Array(text.utf8), to: descriptor, name: name)
        }
    }

    /// All of the body; its length.
    /// - Throws: `Failure` where writing fails, `H2Error` where reading does, `CancellationError`.
    nonisolated(nonsending) func write(_ body: ResponseBody) async throws -> Int {
        switch target {
        case .discard: return try await body.discard()
        case .download(let download): return try await body.write(to: download.descriptor)
        case .descriptor(let descriptor, let name):
            // A regular file takes what it is given at once; anything else may have to wait for a reader.
            if FileKind(descriptor: descriptor) == .regular {
                return try await body.write(to: descriptor)
            }
            var length = 0
            var isFirstOnTerminal = isatty(descriptor) == 1
            for try await chunk in body {
                if isFirstOnTerminal, chunk.prefix(2000).contains(0) {
                    throw Failure(
                        .writeFailed,
                        "the body is binary, which can upset a terminal; save it with -o FILE, or pipe it to a program")
                }
                isFirstOnTerminal = false
                try await Self.write(chunk, to: descriptor, name: name)
                length += chunk.count
            }
            return length
        }
    }

    /// Bytes that are in memory already.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        guard case .descriptor(let descriptor, let name) = target else { return }
        try await Self.write(bytes, to: descriptor, name: name)
    }

    /// Writes without blocking the loop: a pipe takes PIPE_BUF bytes at once when it says that it is ready, and a
    /// reader that is slower than the server is waited for elsewhere. The response's window fills meanwhile, which
    /// holds the server back.
    private static nonisolated(nonsending) func write(_ bytes: [UInt8], to descriptor: CInt, name: String) async throws
    {
        if FileKind(descriptor: descriptor) == .regular {
            let code = bytes.withUnsafeBytes { writeAll(descriptor, $0) }
            guard code == 0 else { throw failure(code, name: name) }
            return
        }
        var start = 0
        while start < bytes.count {
            try await waitUntilReady(descriptor, POLLOUT)
            let end = min(start + Int(PIPE_BUF), bytes.count)
            let code = bytes.withUnsafeBytes { writeAll(descriptor, UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
            guard code == 0 else { throw failure(code, name: name) }
            start = end
        }
    }

    static func failure(_ code: Int32, name: String) -> Failure {
        let remedy =
            switch code {
            case ENOSPC, EDQUOT: "; free some space, or choose another place with --output-dir"
            case EPIPE: ": its reader has gone"
            case EFBIG: "; the file system takes no file of that size"
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
