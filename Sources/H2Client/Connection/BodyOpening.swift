extension HTTPRequestBody {
    /// Returns the body with its files opened: off the loop if that may wait for a disk, and within the request's time limit.
    /// - Parameters:
    ///   - calledAt: when the request began, in monotonic nanoseconds.
    ///   - openCached: opens the file if that does not block. For tests, like `open`.
    /// - Throws: `H2Error` (`localIO`, `timeout`), `CancellationError`.
    nonisolated(nonsending) func opened(
        on loop: H2EventLoop, _ options: RequestOptions, calledAt: UInt64,
        openCached: (String) throws -> BodyFile? = { try BodyFile.cached($0) },
        open: @escaping @Sendable (String) throws -> BodyFile = { try BodyFile($0) }
    ) async throws -> HTTPRequestBody {
        // Files that are opened too late are closed again.
        let limits = WaitLimits(loop: loop, timeout: options.timeout, calledAt: calledAt)
        switch content {
        case .none, .bytes, .openFile, .stream: return self
        case .file(let path, let range):
            let file: BodyFile
            if let cached = try openCached(path) {
                file = cached
            } else {
                file = try await limits.blocking { try open(path) }
            }
            return HTTPRequestBody(
                content: .openFile(try file.part(range)), trailers: trailers, isReplayable: isReplayable,
                contentType: contentType)
        case .multipart(let multipart):
            let opened = try await limits.blocking { try multipart.opened(open) }
            return opened.body(contentType: contentType, wasOpened: true)
        }
    }
}
