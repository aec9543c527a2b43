import H2Client
import H2Measure
import HTTPTypes
import Synchronization

/// The state of one URL's transfer, for its outcome and error messages.
struct Transfer {
    /// The URL, or the mirror of it that is tried.
    var url: String
    let entry: ListedURL
    /// The position of the URL among the mirrors.
    var mirror = 0
    /// Its position among the URLs of its part of the command line.
    let index: Int
    /// Its position among all URLs.
    let number: Int
    let destination: Placement.Destination
    /// For --limit-rate, -Y, -y and --trace.
    let meter: BodyMeter?
    /// Its position among the bodies that go to stdout.
    let outputIndex: Int?
    var phase = TransferPhase.request
    var bodyBytes = 0
    /// Says what a failure left of its file.
    var leftover = ""
    /// The file that was written in place and emptied when the transfer failed.
    var emptiedPath: String?
    /// The file that it has claimed.
    var claimed: DownloadTarget?
    /// The files beside it that hold what is not complete.
    var claimedParts: [DownloadTarget] = []
    /// Whether its file must not replace one.
    var keepsExisting = false
    /// The head for stdout (-D -), until it is written.
    var head: [UInt8] = []
    /// Whether its file existed, so that it was left out.
    var isSkipped = false
    /// The checksum that its file must have.
    var checksum: Checksum?
    // For reports; the response is kept for them only.
    var response: StreamedResponse?
    var body = MessageBody.none
    /// The name of its file.
    var fileName: String?
    /// Attempts to connect that failed.
    var failedDials = 0
    /// When the request was handed to the client, in its last attempt.
    var sentAt: ContinuousClock.Instant?
    /// Whether its body was handed to `OutputOrder` and is not written yet.
    var isDeposited = false
    /// Whether -w's text about it was handed on with its body.
    var isToldOf = false
    /// Whether its file is complete.
    var isWritten = false
    /// Whether bytes may have gone where they cannot be taken back from.
    var hasBegunOutput = false
    /// Attempts that failed (--retry-all-errors).
    var attempts = 0
    /// Whether its body cannot be sent again.
    var wasBodyRead = false
    var standardOutputIsBroken = false
    /// The URL's origin, once the URL is parsed.
    var origin: Origin?
    var authentication: HTTPAuthentication?
    /// Counts the redirects that are followed, because an error after one is not about the URL's origin; nil without -L.
    var hops: Hops?
    let start = ContinuousClock.now
}

/// The number of redirects that a transfer has followed.
final class Hops: Sendable {
    private let number = Atomic<Int>(0)
    var count: Int { number.load(ordering: .relaxed) }
    func followed() { number.add(1, ordering: .relaxed) }
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
    /// -C: a file whose bytes may be here already.
    case continued(DownloadTarget)
    /// -J: the file is named once the response's head is known.
    case namedByResponse(FetchTarget)
    /// --skip-existing: nothing is fetched.
    case skip
}

extension Fetch {
    func run(_ transfer: inout Transfer) async throws {
        let target = try targets.target(of: transfer.url)
        transfer.origin = target.origin
        transfer.authentication = authentication(for: target)
        let output = try resolvedOutput(of: &transfer, target)
        defer {
            if let claimed = transfer.claimed { files.release(claimed, isWritten: transfer.isWritten) }
            for part in transfer.claimedParts { files.release(part, isWritten: false) }
        }
        if case .skip = output {
            transfer.isSkipped = true
            if let path = transfer.fileName { try await verify(fileAt: path, transfer) }
            return verbose.skipped(transfer)
        }
        if case .shared(_, let identity) = output {
            // This must come first: anything before it could change the order.
            try await sharedOutputs.enter(identity, index: transfer.index)
            defer { sharedOutputs.leave(identity, staysOpen: isShared(identity)) }
            let (request, body) = try await message(for: target, transfer)
            return try await run(request, body, target.origin, output, &transfer)
        }
        if transfer.outputIndex == nil, let request = plainRequest(for: target, transfer) {
            return try await run(request, .none, target.origin, output, &transfer)
        }
        let (request, body) = try await message(for: target, transfer)
        guard let outputIndex = transfer.outputIndex, facts.writesInOrder else {
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
        if console.wantsProgress { running[transfer.index] = RunningTransfer(transfer, settings) }
        defer { if console.wantsProgress { running[transfer.index] = nil } }
        defer { transfer.wasBodyRead = body.wasRead }
        do {
            try await exchange(request, body, origin, resolved, &transfer)
        } catch let error as H2Error where transfer.phase == .request && transfer.hops?.count ?? 0 == 0 {
            origins.failed(origin, error, isConnected: await isConnected(origin, after: error))
            throw error
        }
    }

    /// Whether there is, or was, a connection to the origin. Assumes so unless -m expired.
    private func isConnected(_ origin: Origin, after error: H2Error) async -> Bool {
        // -m includes connecting: without a connection every other transfer to the origin would wait as long.
        guard case .timeout(.wholeRequest, _) = error.cause, !origins.hasServed(origin) else { return true }
        // It was sent.
        if case .stream(let id) = error.scope, id > 0 { return true }
        return await client.statistics().origins.contains {
            $0.origin == origin && $0.active + $0.idle + $0.draining > 0
        }
    }

    // MARK: - One exchange

    /// Sends the request, and takes note of the response's head.
    /// - Returns: the response, and the failure of its status if its body is to be written all the same.
    /// - Throws: that failure with -f; `Failure`, `H2Error`, `CancellationError`.
    func receive(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ transfer: inout Transfer
    ) async throws -> (response: StreamedResponse, refusal: Failure?) {
        let response = try await send(request, body, origin, &transfer)
        transfer.meter?.measure(false)
        transfer.phase = .response
        if console.wantsProgress { running[transfer.index]?.begins(response, isHead: settings.method == .head) }
        transfer.attempts += response.failedAttempts.count
        if facts.wantsReports { (transfer.response, transfer.body) = (response, body) }
        origins.served(origin)
        if !spoken.contains(response.version) { spoken.append(response.version) }
        if firstConnection == nil { firstConnection = (response.connectionInfo, response.version) }
        if transfer.outputIndex != nil, facts.writesInOrder, permits.isNew(response.connectionID, for: origin) {
            let limit = await response.concurrencyLimit()
            let connections = response.version == .http1 ? settings.pool.http1ConnectionsPerOrigin : 1
            permits.setLimit(min(limit, 1 << 20) * connections, for: origin, reportedBy: response.connectionID)
        }
        verbose.received(response, transfer)
        if settings.headDump != nil { try await dumpHead(of: response, &transfer) }
        let refusal = refusal(of: response, transfer)
        if !settings.failsWithBody, let refusal { throw refusal }
        let tries = tries(response)
        let isWorthTelling = settings.retry.statuses.contains(response.status) || response.retryRefusal != nil
        if isWorthTelling, !tries.isEmpty, console.showsErrors {
            let answer = "the server answered \(response.status.code)\(reason(response.status))"
            console.say(printable("h2get: \(withoutSecrets(transfer.url)): \(answer)\(tries)"))
        }
        return (response, refusal)
    }

    private func exchange(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ resolved: ResolvedOutput,
        _ transfer: inout Transfer
    ) async throws {
        if case .continued(let target) = resolved {
            return try await continueDownload(request, origin, target, &transfer)
        }
        let (response, refusal) = try await receive(request, body, origin, &transfer)
        if case .offset(let offset)? = settings.continuation, try !hasRange(response, from: offset) {
            return await verbose.finished(response, transfer)
        }
        let isUnwanted = isUnwanted(response)
        if let limit = settings.longestBody, settings.method != .head, !isUnwanted, response.status != .notModified,
            let length = response.firstValue(of: .contentLength).flatMap({ Int($0) }), length > limit
        {
            throw BodyOutput.isTooLong(limit)
        }
        // As in curl, a head is written to its file even then.
        if isUnwanted, !isWrittenToFile(resolved) || !settings.includesHead {
            if settings.includesHead { transfer.head = Head.bytes(of: response) }
            return await verbose.finished(response, transfer)
        }
        if let outputIndex = transfer.outputIndex {
            if let length = depositLength(response) {
                try await deposit(response, length, outputIndex, refusal, &transfer)
                await verbose.finished(response, transfer)
                if let refusal { throw refusal }
                return
            }
            try await outputOrder.wait(for: outputIndex)
        }
        if case .discard = resolved, settings.longestBody == nil, !settings.verifiesDigests, transfer.meter == nil,
            !isUnwanted
        {
            return try await discard(response, refusal, &transfer)
        }
        let output = try await output(to: try named(resolved, response, &transfer))
        defer { if case .shared = resolved {} else { output.close() } }
        transfer.hasBegunOutput = output.download == nil
        do {
            if settings.includesHead || !transfer.head.isEmpty {
                transfer.head = []
                try await output.write(head: Head.bytes(of: response), colors: settings.colors)
            }
            if !isUnwanted {
                transfer.meter?.measure(true)
                transfer.bodyBytes = try await output.write(
                    response, upTo: settings.longestBody, verifiesDigests: settings.verifiesDigests,
                    meter: transfer.meter)
                transfer.meter?.measure(false)
            }
            if let download = output.download {
                try await verify(download, transfer)
                try await finish(download, response, transfer)
            }
            transfer.isWritten = output.download != nil
        } catch {
            let isWorthless = isUseless(error) || pauseBeforeRetry(error, transfer) != nil
            if let download = output.download, !download.isWhole, !download.isInPlace, isWorthless {
                download.discard()
            } else {
                transfer.leftover = output.download?.leftover() ?? ""
            }
            if let download = output.download, download.isInPlace, !transfer.leftover.isEmpty {
                transfer.emptiedPath = download.target.path
            }
            transfer.standardOutputIsBroken = output.isStandardOutput && isWriteFailure(error)
            throw error
        }
        if settings.verbosity > 0 { await verbose.finished(response, transfer) }
        if let refusal { throw refusal }
        if settings.etagFile != nil { try await saveEntityTag(of: response) }
    }

    /// Reads a body that goes nowhere to its end.
    private func discard(_ response: StreamedResponse, _ refusal: Failure?, _ transfer: inout Transfer) async throws {
        transfer.bodyBytes = try await response.body.discard()
        if settings.verbosity > 0 { await verbose.finished(response, transfer) }
        if let refusal { throw refusal }
        if settings.etagFile != nil { try await saveEntityTag(of: response) }
    }

    /// The number of attempts, if more than one, and why there was no further one.
    func tries(_ response: StreamedResponse) -> String {
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
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ transfer: inout Transfer
    ) async throws -> StreamedResponse {
        var attempts = 0
        while true {
            transfer.sentAt = ContinuousClock.now
            do {
                return try await sendOnce(request, body, origin, transfer, isFirst: attempts == 0)
            } catch var error as H2Error where error.isFailureToConnect {
                attempts += 1
                transfer.failedDials = attempts - 1
                guard origins.failure(of: origin) == nil,
                    let pause = pause(after: &error, origin, attempts, body, transfer.hops, since: transfer.start)
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
                transfer.failedDials = attempts
            }
        }
    }

    /// The wait before the next attempt, or nil if the error is final.
    ///
    /// If only a limit prevents a retry, the error then says which.
    private func pause(
        after error: inout H2Error, _ origin: Origin, _ attempts: Int, _ body: MessageBody, _ hops: Hops?,
        since start: ContinuousClock.Instant
    ) -> Duration? {
        guard settings.retries != 0 else { return nil }
        // After a redirect it is about another origin.
        var pause = hops?.count ?? 0 > 0 ? nil : origins.pause(before: origin, after: error, attempts: attempts)
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
        if settings.authority != nil || !transfer.entry.fields.isEmpty { options.origin = origin }
        // To set an option costs each request a copy, even to nil.
        if let authentication = transfer.authentication { options.authentication = authentication }
        // The client has those of the first part that uses it.
        if hasSeveralParts { (options.retry, options.redirects) = (settings.retry, .never) }
        if settings.retriesAllErrors, let retries = settings.retries {
            // `runUntilItWorks` does what the client then leaves, so that no attempt counts twice.
            var policy = settings.retry
            policy.retriesIdempotent = false
            policy.maximumAttempts = max(retries - transfer.attempts, 0) + 1
            options.retry = policy
        }
        if let slowest = settings.slowest, case .none = body {
            // Nothing has come by then. A request with a body is measured from its first byte on.
            options.firstByteTimeout = min(options.firstByteTimeout ?? .seconds(31_536_000), .seconds(slowest.seconds))
        }
        if settings.redirects.limit > 0 {
            let (hops, isRefused, schemes) = (transfer.hops, settings.refusesRedirects, settings.schemes.redirects)
            var policy = settings.redirects
            policy.decide = { redirect in
                guard !isRefused else {
                    throw Failure(
                        .redirectRefused, "it redirects to \(withoutSecrets(redirect.target)), and --max-redirs is 0")
                }
                guard schemes.contains(where: { redirect.target.hasPrefix("\($0.rawValue):") }) else {
                    throw Failure(
                        .redirectRefused,
                        "it redirects to \(withoutSecrets(redirect.target)), which --proto or --proto-redir does not allow"
                    )
                }
                hops?.followed()
                return .follow
            }
            options.redirects = policy
        }
        if isFirst { verbose.sending(request, transfer, &options, settings.versions) }
        let start = transfer.start
        guard let outputIndex = transfer.outputIndex, facts.writesInOrder else {
            if let limit = settings.maxTime {
                options.timeout = max(limit - (ContinuousClock.now - start), .milliseconds(1))
            }
            return try await client.send(
                request, body: body.content(settings.trailers, transfer.meter), options: options)
        }
        let called = ContinuousClock.now
        var client = client
        while true {
            let now = ContinuousClock.now
            options.timeout = settings.maxTime.map { max($0 - (now - start), .milliseconds(1)) }
            let patience = settings.options.queueTimeout.map { $0 - (now - called) } ?? .seconds(31_536_000)
            options.queueTimeout = max(min(patience, facts.longestHonestWait), .milliseconds(1))
            do {
                return try await client.send(
                    request, body: body.content(settings.trailers, transfer.meter), options: options)
            } catch let error as H2Error {
                // `OrderedSemaphore` prevents this, except for servers that lower their limit.
                guard case .timeout(.queued, _) = error.cause, patience > facts.longestHonestWait else {
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
        // A line in a file of --json-lines must not say that a body is written which still waits.
        guard facts.writesInOrder, !isStandardOutputTerminal, !facts.limitsSpeed, trace == nil,
            settings.jsonLines == nil || settings.jsonLines == .standardOutput
        else { return nil }
        if settings.method == .head { return 0 }
        guard response.decodedCodings.isEmpty else { return nil }
        guard let length = response.firstValue(of: .contentLength).flatMap({ Int($0) }) else { return nil }
        return length <= Self.depositLimit ? length : nil
    }

    private func deposit(
        _ response: StreamedResponse, _ length: Int, _ outputIndex: Int, _ refusal: Failure?,
        _ transfer: inout Transfer
    ) async throws {
        var bytes = transfer.head
        if settings.includesHead {
            bytes = TextStyle(color: settings.colors == .always).heads(Head.bytes(of: response))
        }
        let body =
            settings.verifiesDigests
            ? try await response.verifiedBody().collect(upTo: length)
            : try await response.body.collect(upTo: length)
        transfer.bodyBytes = body.count
        if bytes.isEmpty { bytes = body } else { bytes += body }
        bytes += await writeOutLine(transfer, refusal)
        if settings.jsonLines == .standardOutput { bytes += jsonLine(await report(transfer, refusal), transfer) }
        transfer.head = []
        transfer.isToldOf = true
        transfer.isDeposited = outputOrder.deposit(bytes, for: outputIndex, counts: refusal == nil)
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
    func isWriteFailure(_ error: any Error) -> Bool {
        (error as? Failure)?.status == .writeFailed || (error as? H2Error)?.code == .localIO
    }

    func reason(_ status: HTTPResponse.Status) -> String {
        status.reasonPhrase.isEmpty ? "" : " \(status.reasonPhrase)"
    }

    // MARK: - Where it goes

    /// Determines where the body goes, and claims its file for this transfer.
    /// - Throws: `Failure` (`writeFailed`).
    private func resolvedOutput(of transfer: inout Transfer, _ target: FetchTarget) throws -> ResolvedOutput {
        let path: String
        switch transfer.destination {
        case .discard:
            transfer.fileName = "/dev/null"
            try refuseChecksum(of: transfer)
            return .discard
        case .standardOutput:
            try refuseChecksum(of: transfer)
            return .standardOutput
        case .file(let name): path = name
        case .remoteName:
            if settings.files.usesHeaderName { return .namedByResponse(target) }
            // Mirrors may have other names for the file.
            let first = transfer.mirror == 0 ? target : try targets.target(of: transfer.entry.url)
            path = settings.placement.path(of: try Placement.remoteName(ofPath: first.path), for: transfer.entry)
        }
        transfer.fileName = path
        guard !BodyOutput.isWrittenAsItIs(path) else {
            try refuseChecksum(of: transfer)
            // Opening it reports why it does not exist.
            guard let identity = FileIdentity(path: path) else { return .asItIs(path) }
            // Discarded bodies need no order.
            return identity == FileIdentity(path: "/dev/null") ? .discard : .shared(path, identity)
        }
        try setChecksum(of: &transfer, path: path)
        if settings.files.existing == .skipped, FileKind(path: path) == .regular { return .skip }
        let target = try claim(path, &transfer)
        guard try isContinued(target, transfer) else { return .download(target) }
        // No other URL may have its hidden files.
        for name in ["\(path).part", "\(path).part.info"] {
            guard let part = try? DownloadTarget(path: name, createsDirectories: false) else { continue }
            guard files.claim(part) else {
                throw Failure(
                    .writeFailed,
                    "\(name), which -C and --range-split write beside \(path), is the file of another URL; name one of "
                        + "them otherwise")
            }
            transfer.claimedParts.append(part)
        }
        return .continued(target)
    }

    private func output(to resolved: ResolvedOutput) async throws -> BodyOutput {
        switch resolved {
        case .discard: BodyOutput(target: .discard)
        case .standardOutput: .standardOutput
        case .asItIs(let path): try await BodyOutput.opening(path)
        case .shared(let path, let identity): try await sharedOutputs.output(identity, path: path)
        case .download(let target): BodyOutput(target: .download(try newDownload(target)))
        // They were resolved before.
        case .namedByResponse, .continued, .skip: BodyOutput(target: .discard)
        }
    }
}
