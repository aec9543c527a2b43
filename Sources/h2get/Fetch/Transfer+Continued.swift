import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// Downloads that continue after bytes that are here (-C).
extension Fetch {
    /// Whether the bytes of a file that is here are to be continued.
    /// - Throws: `Failure` (`resumeFailed`) if the offset of -C is not that of its end.
    func isContinued(_ target: DownloadTarget, _ transfer: Transfer) throws -> Bool {
        switch settings.continuation {
        // Another mirror may continue what one has begun.
        case nil:
            if settings.rangeSplit > 1 { return true }
            return !transfer.entry.mirrors.isEmpty && settings.method == .get && !settings.includesHead
        case .afterFile: return true
        case .offset(let offset):
            var status = stat()
            guard stat(target.resolved.c, &status) == 0 else { return false }
            guard Int(status.st_size) == offset else {
                throw Failure(
                    .resumeFailed,
                    "\(target.path) has \(counted(Int(status.st_size), "byte")), so it cannot be continued at \(offset); "
                        + "give -C - for as many as it has")
            }
            return true
        }
    }

    /// Whether a response to -C with a number is the range that it asks for. If not, there is nothing after the offset.
    /// - Throws: `Failure` (`rangeFailed`, `resumeFailed`).
    func hasRange(_ response: StreamedResponse, from offset: Int) throws -> Bool {
        let range = response.firstValue(of: .contentRange).flatMap { ContentRange($0) }
        if response.status == .partialContent, range?.range?.lowerBound == offset { return true }
        if response.status == .rangeNotSatisfiable {
            guard let total = range?.total, total != offset else { return false }
            guard total > offset else {
                throw Failure(
                    .resumeFailed,
                    "the server's file has only \(counted(total, "byte")), and -C begins after \(offset)")
            }
            throw Failure(
                .rangeFailed,
                "the server refused the bytes after \(offset), and says that its file has \(total); leave out -C to fetch "
                    + "it whole")
        }
        // As in curl, a file that ends at the offset needs no range.
        let length = response.firstValue(of: .contentLength).flatMap { Int($0) }
        if response.status == .ok, length == offset { return false }
        let answer = response.status == .partialContent ? "another range" : "\(response.status.code)"
        throw Failure(
            .rangeFailed,
            "the server answered \(answer), not with the bytes after \(offset), so the download cannot be continued; "
                + "leave out -C to fetch it whole")
    }

    /// Downloads to a file, after the bytes that are here if the server still has the same file.
    func continueDownload(
        _ request: HTTPRequest, _ origin: Origin, _ target: DownloadTarget, _ transfer: inout Transfer
    ) async throws {
        let isAnother = transfer.mirror > 0 || transfer.attempts > 0
        var download = try await ContinuedDownload(
            of: source(of: request, transfer), resumes: settings.continuation != nil || isAnother,
            continuesFile: settings.continuation != nil, splits: settings.rangeSplit > 1,
            host: CommandLineDownloads(advice: Download.advice)
        ) { target }
        // Before there are bytes that nobody else may read.
        try setMode(of: download.descriptor, target)
        var response: StreamedResponse?
        if settings.rangeSplit > 1, !download.continuesFile {
            guard let whole = try await split(download, request, origin, &transfer) else { return }
            (download, response) = whole
        }
        do {
            try await run(&download, response, request, origin, &transfer)
        } catch {
            if isUseless(error), transfer.isLastMirror || isWrong(error) {
                await download.discard()
            } else if let left = await download.abandon() {
                transfer.leftover = "\(byteCount(left.byteCount)) of it are in \(left.path)"
            }
            throw error
        }
    }

    /// The source of a download: bytes of another source are not continued. The mirrors of a file are one source, if their
    /// validators agree.
    private func source(of request: HTTPRequest, _ transfer: Transfer) -> String {
        guard transfer.entry.mirrors.isEmpty else {
            return ([transfer.entry.url] + transfer.entry.mirrors).joined(separator: "\t")
        }
        return "\(request.scheme ?? "")://\(request.authority ?? "")\(request.path ?? "/")"
    }

    private func run(
        _ download: inout ContinuedDownload, _ first: StreamedResponse?, _ request: HTTPRequest, _ origin: Origin,
        _ transfer: inout Transfer
    ) async throws {
        var given = first
        var failures = DownloadFailures()
        while true {
            let before = try await download.size()
            do {
                defer { given = nil }
                if try await requestOnce(&download, given, request, origin, &transfer) { return }
            } catch let error as H2Error where transfer.phase == .response && DownloadFailures.mayPass(error) {
                let received = try await download.size() - before
                failures.add(received: received)
                transfer.bodyBytes += max(received, 0)
                let most = settings.retries ?? Self.continuations
                guard failures.count <= most, let pause = pause(before: failures.count, since: transfer.start) else {
                    throw error
                }
                retryNotes.tell(error.message, wait: pause)
                try await Task.sleep(for: pause)
            }
        }
    }

    /// How often a download is continued after connections that brought nothing, without --retry.
    static let continuations = 3

    /// The wait before a download is continued, or nil if it would be too long.
    func pause(before attempt: Int, since start: ContinuousClock.Instant) -> Duration? {
        let pause = min(settings.retry.backoff * (1 << min(attempt - 1, 20)), settings.retry.maximumBackoff)
        let begins = ContinuousClock.now - start + pause
        if let limit = settings.maxTime, begins >= limit { return nil }
        if let limit = settings.retry.maximumTime, begins > limit { return nil }
        return pause
    }

    /// Sends one request, unless there is a response already. Returns false if another one is needed.
    private func requestOnce(
        _ download: inout ContinuedDownload, _ given: StreamedResponse?, _ request: HTTPRequest, _ origin: Origin,
        _ transfer: inout Transfer
    ) async throws -> Bool {
        let response: StreamedResponse
        if let given {
            response = given
        } else {
            var request = request
            try await download.apply(to: &request)
            transfer.phase = .request
            response = try await receive(request, .none, origin, &transfer).response
        }
        if case .offset(let offset)? = settings.continuation, try !hasRange(response, from: offset) {
            await download.abandon()
            await verbose.finished(response, transfer)
            return true
        }
        if isUnwanted(response) {
            await download.abandon()
            await verbose.finished(response, transfer)
            return true
        }
        switch try await download.take(response.head) {
        case .write: break
        case .keep:
            try await response.body.discard()
            await download.abandon()
            try await verify(fileAt: transfer.fileName ?? "", transfer)
            await verbose.finished(response, transfer)
            return true
        case .requestAll:
            if case .offset? = settings.continuation {
                throw Failure(
                    .rangeFailed,
                    "the server's file has changed since \(transfer.fileName ?? "the one here") was written; leave out "
                        + "-C to fetch it whole")
            }
            try await response.body.discard()
            return false
        }
        try checkLength(of: response, download.resumedByteCount)
        do {
            transfer.meter?.measure(true)
            defer { transfer.meter?.measure(false) }
            let (isWhole, count) = try await download.write(
                response, requiresDigest: settings.verifiesDigests, limit: settings.longestBody,
                gate: transfer.meter?.gate)
            transfer.bodyBytes += count
            guard isWhole else { return false }
        } catch let error as H2Error where error.code == .bodyTooLarge {
            throw settings.longestBody.map(BodyOutput.isTooLong) ?? error
        }
        try await finish(&download, response, &transfer)
        await verbose.finished(response, transfer)
        try await saveEntityTag(of: response)
        return true
    }

    /// - Throws: `Failure` (`tooBig`) if the response says that the file is longer than --max-filesize allows.
    private func checkLength(of response: StreamedResponse, _ offset: Int) throws {
        guard let limit = settings.longestBody,
            let length = response.firstValue(of: .contentLength).flatMap({ Int($0) })
        else { return }
        guard length > limit - (response.status == .partialContent ? offset : 0) else { return }
        throw BodyOutput.isTooLong(limit)
    }

    /// Gives a complete file its name.
    func finish(
        _ download: inout ContinuedDownload, _ response: StreamedResponse, _ transfer: inout Transfer
    ) async throws {
        if let checksum = transfer.checksum {
            let (descriptor, name) = (download.descriptor, transfer.fileName ?? "")
            do { try await offLoopToItsEnd { Result { try checksum.verify(descriptor, name) } }.get() } catch let
                failure as Failure
            {
                throw notKept(failure)
            }
        }
        let complete = try await download.completed()
        do {
            try await finish(complete.value, response, transfer)
        } catch {
            transfer.leftover = complete.value.leftover()
            throw error
        }
        await download.discard()
        transfer.isWritten = true
    }
}
