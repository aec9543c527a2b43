import H2Client
import H2Measure
import HTTPTypes

/// The state of one URL's transfer, for its outcome and error messages.
struct Transfer {
    let url: String
    let index: Int
    let destination: Placement.Destination
    /// Its position among the bodies that go to stdout.
    let outputIndex: Int?
    var phase = TransferPhase.request
    var bodyBytes = 0
    /// What a failure left of its file, in words.
    var leftover = ""
    /// The file that was written in place and emptied when the transfer failed.
    var emptiedPath: String?
    /// Whether its body was handed to `OutputOrder` and is not written yet.
    var isDeposited = false
    /// Whether its file is complete.
    var isWritten = false
    var standardOutputIsBroken = false
    /// The URL's origin, once the URL is parsed.
    var origin: Origin?
    let start = ContinuousClock.now
}

/// Where a body goes, once the file name from the URL is known.
enum ResolvedOutput: Sendable {
    case discard
    case standardOutput
    /// A pipe, a device or a descriptor that no longer exists.
    case asItIs(String)
    /// A pipe, a device or a descriptor, which takes one body at a time.
    case shared(String, FileIdentity)
    case download(DownloadTarget)
}

extension Fetch {
    func run(_ transfer: inout Transfer) async throws {
        let target = try RequestTarget(transfer.url, pathAsIs: settings.keepsPath)
        transfer.origin = target.origin
        let output = try resolvedOutput(of: transfer, target)
        defer {
            if case .download(let target) = output { files.release(target, isWritten: transfer.isWritten) }
        }
        if case .shared(_, let identity) = output {
            // This must come first: anything before it could change the order.
            try await sharedOutputs.enter(identity, index: transfer.index)
            defer { sharedOutputs.leave(identity, staysOpen: isShared(identity)) }
            let (request, body) = try await message(for: target, transfer)
            return try await run(request, body, target.origin, output, &transfer)
        }
        let (request, body) = try await message(for: target, transfer)
        guard let outputIndex = transfer.outputIndex, settings.writesInOrder else {
            return try await run(request, body, target.origin, output, &transfer)
        }
        try await permits.acquire(target.origin, order: outputIndex)
        defer { permits.release(target.origin) }
        try await run(request, body, target.origin, output, &transfer)
    }

    private func run(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ resolved: ResolvedOutput,
        _ transfer: inout Transfer
    ) async throws {
        try Task.checkCancellation()
        origins.began(origin)
        defer { origins.ended(origin) }
        let pause = origins.pause(before: origin)
        if pause > .zero { try await Task.sleep(for: pause) }
        if let failure = origins.failure(of: origin) { throw failure }
        inFlight += 1
        peakInFlight = max(peakInFlight, inFlight)
        defer { inFlight -= 1 }
        do {
            try await exchange(request, body, origin, resolved, &transfer)
        } catch let error as H2Error where transfer.phase == .request {
            origins.failed(origin, error, isConnected: await isConnected(origin, after: error))
            throw error
        }
    }

    /// Whether there is, or was, a connection to the origin. Assumes so unless -m expired.
    private func isConnected(_ origin: Origin, after error: H2Error) async -> Bool {
        // -m includes connecting: without a connection every other transfer to the origin would wait as long.
        guard case .timeout(.wholeRequest, _) = error.cause, !origins.hasServed(origin) else { return true }
        return await client.statistics().origins.contains {
            $0.origin == origin && $0.active + $0.idle + $0.draining > 0
        }
    }

    // MARK: - One exchange

    private func exchange(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ resolved: ResolvedOutput,
        _ transfer: inout Transfer
    ) async throws {
        let response = try await send(request, body, origin, transfer)
        transfer.phase = .response
        origins.served(origin)
        spoken.insert(response.version)
        if firstConnection == nil { firstConnection = (response.connectionInfo, response.version) }
        if transfer.outputIndex != nil, settings.writesInOrder, permits.isNew(response.connectionID, for: origin) {
            let limit = await response.concurrencyLimit()
            let connections = response.version == .http1 ? settings.pool.http1ConnectionsPerOrigin : 1
            permits.setLimit(min(limit, 1 << 20) * connections, for: origin, reportedBy: response.connectionID)
        }
        verbose.received(response, transfer)
        if settings.failsOnStatus, response.status.code >= 400 {
            throw Failure(
                .statusRefused,
                "the server answered \(response.status.code)\(reason(response.status))\(tries(response)); "
                    + "leave out -f to see its body")
        }
        let tries = tries(response)
        let isWorthTelling = settings.retry.statuses.contains(response.status) || response.retryRefusal != nil
        if isWorthTelling, !tries.isEmpty, console.showsErrors {
            let answer = "the server answered \(response.status.code)\(reason(response.status))"
            console.say(printable("h2get: \(withoutSecrets(transfer.url)): \(answer)\(tries)"))
        }
        if let outputIndex = transfer.outputIndex {
            if let length = depositLength(response) {
                try await deposit(response, length, outputIndex, &transfer)
                return await verbose.finished(response, transfer)
            }
            try await outputOrder.wait(for: outputIndex)
        }
        let output = try await output(to: resolved)
        defer { if case .shared = resolved {} else { output.close() } }
        do {
            if settings.includesHead { try await output.write(head: headBytes(response)) }
            transfer.bodyBytes = try await output.write(response.body)
            if let copy = try output.download?.finish() {
                try await offLoopToItsEnd { Result { try copy.run() } }.get()
            }
            transfer.isWritten = output.download != nil
        } catch {
            transfer.leftover = output.download?.leftover() ?? ""
            if let download = output.download, download.isInPlace, !transfer.leftover.isEmpty {
                transfer.emptiedPath = download.target.path
            }
            transfer.standardOutputIsBroken = output.isStandardOutput && isWriteFailure(error)
            throw error
        }
        await verbose.finished(response, transfer)
    }

    /// The number of attempts, if more than one, and why there was no further one.
    private func tries(_ response: StreamedResponse) -> String {
        let failed = response.failedAttempts.count
        return (failed == 0 ? "" : " (tried \(failed + 1) times)") + whyNotAgain(response.retryRefusal)
    }

    /// Why --retry did not retry the request; empty if there is nothing to report.
    func whyNotAgain(_ refusal: RetryRefusal?) -> String {
        guard let refusal, settings.retries ?? 0 > 0 else { return "" }
        return "; not tried again: \(refusal.text(settings.method.rawValue))"
    }

    /// Sends the request, and retries it if the origin could not be reached but may be later.
    ///
    /// The client itself retries according to its policy.
    private func send(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ transfer: Transfer
    ) async throws -> StreamedResponse {
        var attempts = 0
        while true {
            do {
                return try await sendOnce(request, body, origin, transfer, isFirst: attempts == 0)
            } catch var error as H2Error where error.isFailureToConnect {
                attempts += 1
                guard origins.failure(of: origin) == nil,
                    let pause = pause(after: &error, origin, attempts, body, since: transfer.start)
                else {
                    if attempts > 1 { error.message += " (tried \(attempts) times)" }
                    throw error
                }
                if let retries = settings.retries, retries > 0 {
                    let (attempt, all) = origins.hasServed(origin) ? (nil, nil) : (attempts, retries)
                    retryNotes.tell(error.message, wait: pause, attempt: attempt, retries: all)
                }
                try await Task.sleep(for: pause)
                if let failure = origins.failure(of: origin) { throw failure }
            }
        }
    }

    /// The wait before the next attempt, or nil if the error is final.
    ///
    /// If only a limit prevents a retry, the error then says which.
    private func pause(
        after error: inout H2Error, _ origin: Origin, _ attempts: Int, _ body: MessageBody,
        since start: ContinuousClock.Instant
    ) -> Duration? {
        guard settings.retries != 0 else { return nil }
        var pause = origins.pause(before: origin, after: error, attempts: attempts)
        let isPatient = pause != nil
        if pause == nil, let retries = settings.retries, attempts <= retries, error.mayPass {
            pause = min(settings.retry.backoff * (1 << min(attempts - 1, 20)), settings.retry.maximumBackoff)
        }
        guard let pause else { return nil }
        let begins = ContinuousClock.now - start + pause
        if body.wasRead {
            error.retryRefusal = .bodyCannotBeSentAgain
        } else if !isPatient, let limit = settings.retry.maximumTime, begins > limit {
            error.retryRefusal = .pastMaximumTime(wait: pause)
        } else if let limit = settings.maxTime, begins >= limit {
            error.retryRefusal = .pastTimeout(wait: pause)
        } else {
            return pause
        }
        return nil
    }

    private func sendOnce(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ transfer: Transfer, isFirst: Bool
    ) async throws -> StreamedResponse {
        var options = settings.options
        // The authority may differ from the URL's.
        if settings.authority != nil { options.origin = origin }
        if isFirst { verbose.sending(request, transfer, &options) }
        let start = transfer.start
        guard let outputIndex = transfer.outputIndex, settings.writesInOrder else {
            options.timeout = settings.maxTime.map { max($0 - (ContinuousClock.now - start), .milliseconds(1)) }
            return try await client.send(request, body: body.content(settings.trailers), options: options)
        }
        let called = ContinuousClock.now
        var client = client
        while true {
            let now = ContinuousClock.now
            options.timeout = settings.maxTime.map { max($0 - (now - start), .milliseconds(1)) }
            let patience = settings.options.queueTimeout.map { $0 - (now - called) } ?? .seconds(31_536_000)
            options.queueTimeout = max(min(patience, settings.longestHonestWait), .milliseconds(1))
            do {
                return try await client.send(request, body: body.content(settings.trailers), options: options)
            } catch let error as H2Error {
                // `OrderedSemaphore` prevents this, except for servers that lower their limit.
                guard case .timeout(.queued, _) = error.cause, patience > settings.longestHonestWait else {
                    throw error
                }
                if outputOrder.isCurrent(outputIndex) { client = clientForCurrentOutput() }
            }
        }
    }

    // MARK: - Bodies in order

    /// Bodies up to this many bytes are read into memory rather than held back until they are next.
    private static let depositLimit = 64 << 10

    /// The body's length if the response should be deposited with `OutputOrder`, otherwise nil.
    private func depositLength(_ response: StreamedResponse) -> Int? {
        guard settings.writesInOrder, !isStandardOutputTerminal else { return nil }
        if settings.method == .head { return 0 }
        guard let length = response.firstValue(of: .contentLength).flatMap({ Int($0) }) else { return nil }
        return length <= Self.depositLimit ? length : nil
    }

    private func deposit(
        _ response: StreamedResponse, _ length: Int, _ outputIndex: Int, _ transfer: inout Transfer
    ) async throws {
        var bytes = settings.includesHead ? headBytes(response) : []
        let body = try await response.body.collect(upTo: length)
        transfer.bodyBytes = body.count
        if bytes.isEmpty { bytes = body } else { bytes += body }
        transfer.isDeposited = outputOrder.deposit(bytes, for: outputIndex)
        if transfer.isDeposited { return }
        try await outputOrder.wait(for: outputIndex)
        do {
            try await BodyOutput.standardOutput.write(bytes)
        } catch {
            transfer.standardOutputIsBroken = error is Failure
            throw error
        }
    }

    /// Whether writing failed, rather than reading.
    private func isWriteFailure(_ error: any Error) -> Bool {
        (error as? Failure)?.status == .writeFailed || (error as? H2Error)?.code == .localIO
    }

    private func reason(_ status: HTTPResponse.Status) -> String {
        status.reasonPhrase.isEmpty ? "" : " \(status.reasonPhrase)"
    }

    /// The head for -i and -I: over HTTP/1.x byte for byte as received; for HTTP/2, which has no status line, with curl's.
    private func headBytes(_ response: StreamedResponse) -> [UInt8] {
        var bytes = response.statusLine?.bytes ?? Array("\(response.version.rawValue) \(response.status.code) ".utf8)
        bytes += "\r\n".utf8
        for field in response.rawHeaderFields {
            bytes += field.name
            bytes += ": ".utf8
            bytes += field.value
            bytes += "\r\n".utf8
        }
        return bytes + Array("\r\n".utf8)
    }

    // MARK: - Where it goes

    /// Determines where the body goes, and claims its file for this transfer.
    /// - Throws: `Failure` (`writeFailed`).
    private func resolvedOutput(of transfer: Transfer, _ target: RequestTarget) throws -> ResolvedOutput {
        let path: String
        switch transfer.destination {
        case .discard: return .discard
        case .standardOutput: return .standardOutput
        case .file(let name): path = name
        case .remoteName: path = settings.placement.path(of: try Placement.remoteName(of: target))
        }
        guard !BodyOutput.isWrittenAsItIs(path) else {
            // Opening it reports why it does not exist.
            guard let identity = FileIdentity(path: path) else { return .asItIs(path) }
            // Discarded bodies need no order.
            return identity == FileIdentity(path: "/dev/null") ? .discard : .shared(path, identity)
        }
        let target = try DownloadTarget(path: path, createsDirectories: settings.placement.createsDirectories)
        guard files.claim(target) else {
            throw Failure(
                .writeFailed, "an earlier URL of this run is saved as \(path) already; name this one with -o FILE")
        }
        return .download(target)
    }

    private func output(to resolved: ResolvedOutput) async throws -> BodyOutput {
        switch resolved {
        case .discard: BodyOutput(target: .discard)
        case .standardOutput: .standardOutput
        case .asItIs(let path): try await BodyOutput.opening(path)
        case .shared(let path, let identity): try await sharedOutputs.output(identity, path: path)
        case .download(let target): BodyOutput(target: .download(try Download(target)))
        }
    }
}
