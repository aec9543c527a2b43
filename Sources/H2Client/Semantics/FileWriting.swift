import H2Platform

/// How a body is written to a file.
public struct FileWritingOptions: Sendable, Hashable {
    /// What happens to a file that exists.
    @nonexhaustive
    public enum ExistingFile: Sendable, Hashable {
        /// It is replaced once the new bytes are complete, and keeps its mode and owner.
        case replace
        /// It stays, and writing is an error (`localIO`).
        case refuse
    }

    /// What happens to a file that exists. Default ``ExistingFile/replace``.
    public var existingFile: ExistingFile
    /// Whether missing folders of the path are created. Default false, so that a mistyped path is an error.
    public var createsFolders: Bool
    /// Whether to wait until the bytes are on the disk, so that they survive a power failure. Default false: it can take long, and
    /// without it the system writes them within seconds.
    public var synchronizes: Bool

    /// Creates options.
    public init(
        existingFile: ExistingFile = .replace, createsFolders: Bool = false, synchronizes: Bool = false
    ) {
        self.existingFile = existingFile
        self.createsFolders = createsFolders
        self.synchronizes = synchronizes
    }
}

extension HTTPResponseBody {
    /// Writes the body to a file: all of it, or nothing.
    ///
    /// ```swift
    /// let response = try await client.send(.get, "https://example.com/report.pdf")
    /// try await response.body.write(to: "report.pdf")
    /// ```
    ///
    /// The bytes go to a new file beside it, `NAME.XXXXXX.part`, which gets its name when it is complete: readers see the old
    /// file or the new one. After an error or a cancellation it is removed. If the process ends before that, it stays. Links are
    /// followed. A file with several hard links, or of another owner, gets the complete bytes copied into it. If no file can be
    /// created beside one that may be written, that is written from its beginning, and emptied after an error.
    ///
    /// Any status counts: check it first. To continue downloads that were interrupted, use ``HTTPClient/download(_:to:options:settings:)``.
    /// - Returns: The number of bytes written.
    /// - Throws: `H2Error` (`localIO`) if the file cannot be written, is not a regular file, or exists and must not be replaced; the
    ///   stream is then reset. Why the response failed; `CancellationError`.
    @discardableResult
    public nonisolated(nonsending) func write(
        to path: String, options: FileWritingOptions = FileWritingOptions()
    ) async throws -> Int {
        let file = try await FileDestination.open(path, options)
        return try await file.filled { try await write(to: $0) }
    }
}

extension StreamedResponse.VerifiedBody {
    /// Writes the body to a file if its digests are right: all of it, or nothing. Everything else is as in
    /// ``HTTPResponseBody/write(to:options:)``.
    /// - Returns: The number of bytes written.
    /// - Throws: `H2Error` (`digestMismatch`); the errors of ``HTTPResponseBody/write(to:options:)``.
    @discardableResult
    public nonisolated(nonsending) func write(
        to path: String, options: FileWritingOptions = FileWritingOptions()
    ) async throws -> Int {
        let file = try await FileDestination.open(path, options)
        return try await file.filled { try await write(to: $0) }
    }

    /// Writes the chunks to a descriptor of a regular file.
    nonisolated(nonsending) func write(to descriptor: CInt) async throws -> Int {
        var count = 0
        for try await chunk in self {
            let code = await BlockingThreads.shared.result {
                chunk.bytes.withUnsafeBytes { writeFully(descriptor, $0) }
            }
            guard code == 0 else {
                throw H2Error(
                    .localIO, initiator: .user, cause: .errno(code),
                    message: "cannot write the body: \(describeErrno(code))",
                    remedy: "is there room and right to write?")
            }
            count += chunk.count
        }
        return count
    }
}

/// A file that gets its name when it is complete, for callers that must not block.
struct FileDestination: Sendable {
    // Only one call uses it at a time, each after the one before has returned.
    private let download: LoopBound<Download>
    private let options: FileWritingOptions

    /// - Throws: `H2Error` (`localIO`).
    static nonisolated(nonsending) func open(
        _ path: String, _ options: FileWritingOptions
    ) async throws -> FileDestination {
        try await BlockingThreads.shared.result {
            let host = LibraryDownloadHost()
            let target = try DownloadTarget.regular(path, options, host)
            return FileDestination(
                download: LoopBound(try Download(target, keepsPart: false, host: host)), options: options)
        }
    }

    /// Has `fill` write the bytes to the descriptor, and gives the file its name.
    nonisolated(nonsending) func filled<R>(_ fill: nonisolated(nonsending) (CInt) async throws -> R) async throws -> R {
        do {
            let result = try await fill(download.value.descriptor)
            try await Self.complete(download, options)
            return result
        } catch {
            await BlockingThreads.shared.result { if !download.value.isWhole { download.value.discard() } }
            throw error
        }
    }

    /// - Throws: `H2Error` (`localIO`). What is complete stays, and the error says where.
    static nonisolated(nonsending) func complete(
        _ download: LoopBound<Download>, _ options: FileWritingOptions
    ) async throws {
        try await BlockingThreads.shared.result {
            try download.value.finish(
                replacing: options.existingFile == .replace, synchronizing: options.synchronizes)?.run()
        }
    }
}

extension DownloadTarget {
    /// The target of a path that is a regular file, or none yet.
    static func regular(
        _ path: String, _ options: FileWritingOptions, _ host: any DownloadHost
    ) throws -> DownloadTarget {
        // A pipe or device must not be replaced by a file, nor be opened only to find that out.
        guard FileKind(path: path) != .other else {
            throw H2Error(
                .localIO, initiator: .user, message: "\(path) is not a regular file",
                remedy: "open it, and write to its descriptor")
        }
        let target = try DownloadTarget(path: path, createsDirectories: options.createsFolders, host: host)
        guard options.existingFile == .replace || target.mode == nil else {
            throw H2Error(
                .localIO, initiator: .user, cause: .errno(EEXIST), message: "\(path) exists, and must not be replaced",
                remedy: "choose another name")
        }
        return target
    }
}
