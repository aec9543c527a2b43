import H2Platform

/// How a body is written to a file.
public struct FileWritingOptions: Sendable, Hashable {
    /// Whether an existing file is replaced.
    @nonexhaustive
    public enum ExistingFile: Sendable, Hashable {
        /// The file is replaced once the new bytes are complete. It keeps its mode and owner.
        case replace
        /// The file stays, and writing fails (`localIO`).
        case refuse
    }

    /// Whether an existing file is replaced. Default ``ExistingFile/replace``.
    public var existingFile: ExistingFile
    /// Whether missing folders of the path are created. Default false, so that a mistyped path is an error.
    public var createsFolders: Bool
    /// Whether to wait until the bytes are on the disk, so that they survive a power failure. Default false: waiting
    /// can take long, and without it the system writes the bytes within seconds.
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
    /// The bytes are written to a new file beside the target, `NAME.XXXXXX.part`, which is renamed when complete:
    /// readers see the old file or the new one. After an error or a cancellation it is removed. If the process ends
    /// before that, it stays. Links are followed. If the target has several hard links or another owner, the complete
    /// bytes are copied into it. If no file can be created beside a writable target, the target is written in place
    /// from its beginning, and emptied after an error.
    ///
    /// The status is not checked: check it first. To continue interrupted downloads, use
    /// ``HTTPClient/download(_:to:options:settings:)``.
    /// - Returns: The number of bytes written.
    /// - Throws: `H2Error` (`localIO`) if the file cannot be written, is not a regular file, or exists and must not be
    ///   replaced; the stream is then reset. Also the error with which the response failed, and `CancellationError`.
    @discardableResult
    public nonisolated(nonsending) func write(
        to path: String, options: FileWritingOptions = FileWritingOptions()
    ) async throws -> Int {
        let file = try await FileDestination.open(path, options)
        return try await file.filled { try await write(to: $0) }
    }
}

extension StreamedResponse.VerifiedBody {
    /// Writes the body to a file if its digests are right: all of it, or nothing. Otherwise the same as
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

    /// Writes the chunks to the descriptor of a regular file.
    /// - Parameters:
    ///   - limit: the number of bytes that the body must not exceed.
    ///   - gate: holds each chunk back.
    nonisolated(nonsending) func write(
        to descriptor: CInt, limit: Int? = nil, gate: ContinuedDownload.Gate? = nil
    ) async throws -> Int {
        var count = 0
        for try await chunk in self { try await chunk.write(to: descriptor, &count, limit, gate) }
        return count
    }
}

extension HTTPResponseBody {
    /// Writes the chunks to the descriptor of a regular file.
    /// - Parameters:
    ///   - limit: the number of bytes that the body must not exceed.
    ///   - gate: holds each chunk back.
    nonisolated(nonsending) func write(
        to descriptor: CInt, limit: Int?, gate: ContinuedDownload.Gate?
    ) async throws -> Int {
        var count = 0
        for try await chunk in self { try await chunk.write(to: descriptor, &count, limit, gate) }
        return count
    }
}

extension HTTPResponseBody.Chunk {
    fileprivate nonisolated(nonsending) func write(
        to descriptor: CInt, _ total: inout Int, _ limit: Int?, _ gate: ContinuedDownload.Gate?
    ) async throws {
        if let limit, count > limit - total {
            throw H2Error(
                .bodyTooLarge, initiator: .user, message: "the body is longer than \(limit) bytes",
                remedy: "allow more")
        }
        try await gate?(bytes)
        let code = await BlockingThreads.shared.result { bytes.withUnsafeBytes { writeFully(descriptor, $0) } }
        guard code == 0 else {
            throw H2Error(
                .localIO, initiator: .user, cause: .errno(code),
                message: "cannot write the body: \(describeErrno(code))",
                remedy: "is there room and right to write?")
        }
        total += count
    }
}

/// A file that is renamed when complete, for callers that must not block.
struct FileDestination: Sendable {
    // Used by one call at a time, each after the previous one has returned.
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

    /// Lets `fill` write the bytes to the descriptor, and then renames the file.
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

    /// - Throws: `H2Error` (`localIO`). The complete file stays, and the error says where.
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
    /// The target for a path that is a regular file or does not exist yet.
    static func regular(
        _ path: String, _ options: FileWritingOptions, _ host: any DownloadHost
    ) throws -> DownloadTarget {
        // A pipe or device must not be replaced by a file, nor be opened just to find out what it is.
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
