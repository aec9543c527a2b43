extension HTTPRequestBody {
    /// Returns the body with its file opened: off the loop if that may wait for a disk, and within the request's time limit.
    /// - Parameters:
    ///   - calledAt: when the request began, in monotonic nanoseconds.
    ///   - openCached: opens the file if that does not block. For tests, like `open`.
    /// - Throws: `H2Error` (`localIO`, `timeout`), `CancellationError`.
    nonisolated(nonsending) func opened(
        on loop: H2EventLoop, _ options: RequestOptions, calledAt: UInt64,
        openCached: (String) throws -> BodyFile? = { try BodyFile.cached($0) },
        open: @escaping @Sendable (String) throws -> BodyFile = { try BodyFile($0) }
    ) async throws -> HTTPRequestBody {
        guard case .file(let path) = content else { return self }
        let file: BodyFile
        if let cached = try openCached(path) {
            file = cached
        } else {
            // A file that is opened too late is closed.
            let opening = TimedWait<BodyFile>(loop)
            let work: @Sendable () -> Void = { opening.finish(Result { try open(path) }) }
            if loop.runBlocking(work) != 0 { work() }
            file = try await opening.wait(within: options.timeout, calledAt: calledAt)
        }
        return HTTPRequestBody(content: .openFile(file), trailers: trailers, isReplayable: isReplayable)
    }
}
