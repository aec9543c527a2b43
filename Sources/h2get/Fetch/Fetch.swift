import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// One run: the URLs, the workers that take them in order, and the outcome.
///
/// Its executor is the connections' event loop, so nothing here switches threads.
actor Fetch {
    let settings: FetchSettings
    let console: Console
    let list: URLList
    let client: HTTPClient
    /// For the transfer whose body is next on stdout, if those that wait for it hold all connections that `client` may open.
    private var spareClient: HTTPClient?
    let outputOrder = OutputOrder()
    let permits: OrderedSemaphore<Origin>
    let origins: KnownOrigins
    let isStandardOutputTerminal = isatty(STDOUT_FILENO) == 1
    let verbose: Verbose
    let files = ClaimedFiles()
    let sharedOutputs = SharedOutputs()
    /// Set when the first pipe or device is written to.
    private var sharedTargets: Set<FileIdentity>?
    let retryNotes: RetryNotes
    private let unreachable: OriginFailures

    // The outcome.
    var done = 0
    var failed = 0
    var bodyBytes = 0
    var inFlight = 0
    var peakInFlight = 0
    var spoken: Set<HTTPProtocolVersion> = []
    /// The connection of the first response.
    var firstConnection: (info: ConnectionInfo, version: HTTPProtocolVersion)?
    private var firstFailure: (index: Int, status: ExitReason)?
    /// Whether stdout is broken and all remaining bodies would go there.
    private var isStopped = false
    private var hasListFailed = false
    /// Whether a transfer was cancelled, or a signal kept the rest of the list from being read.
    private var isCutOff = false
    /// The number of cancelled transfers that left a .part file.
    private var leftParts = 0
    /// Files that cancelled transfers emptied, because no .part file could be created beside them.
    private var emptied: [String] = []
    private let start = ContinuousClock.now
    /// Tasks that report the clients' events, with -v or --retry.
    private var narrators: [Task<Void, Never>?] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { H2EventLoop.shared.asUnownedSerialExecutor() }

    /// - Throws: `Failure` if the list of URLs cannot be opened.
    init(_ settings: FetchSettings, console: Console) throws {
        self.settings = settings
        self.console = console
        list = try URLList(urls: settings.urls, inputFile: settings.inputFile)
        let isAlone = settings.inputFile == nil && settings.urls.count == 1
        retryNotes = RetryNotes(console)
        unreachable = OriginFailures(console)
        let verbose = Verbose(console: console, level: settings.verbosity, numbersTransfers: !isAlone)
        self.verbose = verbose
        client = HTTPClient(
            configuration: settings.clientConfiguration(onFrame: verbose.frameLogger(settings.versions)))
        permits = OrderedSemaphore(initialLimit: settings.initialPermits)
        origins = KnownOrigins(atOnce: settings.parallelMaximum)
    }

    /// The second client, which has its own connection limits.
    func clientForCurrentOutput() -> HTTPClient {
        if let spareClient { return spareClient }
        let client = HTTPClient(configuration: client.configuration)
        spareClient = client
        narrate(client)
        return client
    }

    /// Whether more than one body may go to a pipe, device or descriptor. For a list with -O this is not known in advance.
    func isShared(_ identity: FileIdentity) -> Bool {
        if settings.inputFile != nil, settings.placement.usesRemoteName { return true }
        if let sharedTargets { return sharedTargets.contains(identity) }
        let targets = settings.placement.sharedTargets(settings.urls, pathAsIs: settings.keepsPath)
        sharedTargets = targets
        return targets.contains(identity)
    }

    /// Fetches all URLs, closes the connections, and reports the outcome.
    /// - Returns: the exit reason of the first failed URL in their order, or `success`.
    func run() async -> ExitReason {
        narrate(client)
        let tellsOfWaits = settings.politeOptions != nil && (settings.verbosity > 0 || console.wantsProgress)
        if console.wantsProgress || tellsOfWaits {
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await self.work(); return true
                }
                group.addTask {
                    await self.watch(); return false
                }
                for await isWork in group where isWork { group.cancelAll() }
            }
        } else {
            await work()
        }
        console.wipeProgress()
        unreachable.tell()
        let count = isStopped ? list.total ?? list.count : list.count
        // With stdout broken, everything not done has failed, even if it was not started.
        if isStopped { failed = max(failed, count - done) }
        // A signal after the last transfer interrupts nothing.
        let isCancelled = Task.isCancelled && (isCutOff || list.total.map { list.count < $0 } ?? true)
        let statistics = await statistics()
        await close(atOnce: isCancelled)
        if isCancelled {
            let status = Interruption.received.flatMap { ExitReason(rawValue: 128 + $0) } ?? .interrupted
            let message = "interrupted: \(counted(done, "transfer")) ended before it\(leftovers)"
            console.error(Failure(status, message))
        } else if failed > 0, count > 1 {
            let status = firstFailure?.status ?? .stream
            let rest = isStopped && list.total == nil ? "; the rest of the list was not read" : ""
            console.error(Failure(status, "\(failed) of \(count) transfers failed\(rest)"))
        }
        if settings.wantsSummary || settings.verbosity > 0 || console.wantsProgress {
            console.say(summary(statistics))
        }
        return firstFailure?.status ?? .success
    }

    /// What cancelled transfers left of their files, in words.
    private var leftovers: String {
        var text = leftParts == 0 ? "" : "; unfinished downloads are in *.part files"
        if emptied.count == 1 {
            text += "; \(emptied[0]) was emptied, because no temporary file could be created in its folder"
        } else if emptied.count > 1 {
            text += "; \(emptied.count) files are empty now, since their folders take no file beside them"
        }
        return text
    }

    /// Reports the client's events: all with -v, only waits with --retry.
    private func narrate(_ client: HTTPClient) {
        if settings.verbosity > 0 { return narrators.append(verbose.narrate(client)) }
        guard settings.retries ?? 0 > 0, console.showsErrors else { return }
        let events = client.events()
        narrators.append(
            Task(executorPreference: H2EventLoop.shared.taskExecutor) {
                for await event in events { await self.tellRetry(event.kind) }
            })
    }

    private func tellRetry(_ event: HTTPClient.Event.Kind) {
        guard case .requestRetried(let failed) = event, failed.wait > .zero else { return }
        retryNotes.tell(failed.reason, wait: failed.wait)
    }

    /// Closes both clients, without waiting if the run was cancelled.
    private func close(atOnce: Bool) async {
        for client in [client, spareClient].compactMap({ $0 }) {
            if atOnce { client.shutdownNow() } else { await client.shutdown(gracePeriod: .seconds(1)) }
        }
        // The last events are reported before the summary.
        for case .some(let narrator) in narrators where !atOnce { await narrator.value }
    }

    /// The statistics of both clients together.
    func statistics() async -> HTTPClient.Statistics {
        var sum = await client.statistics()
        if let spare = await spareClient?.statistics() {
            sum.requests += spare.requests
            sum.requestsOnReusedConnections += spare.requestsOnReusedConnections
            sum.connectionsOpened += spare.connectionsOpened
            sum.handshakes += spare.handshakes
            sum.handshakesResumed += spare.handshakesResumed
            sum.handshakesSaved += spare.handshakesSaved
            sum.retries += spare.retries
            sum.bytesSent += spare.bytesSent
            sum.bytesReceived += spare.bytesReceived
        }
        return sum
    }

    // MARK: - Workers

    /// Runs a fixed number of workers rather than a task per URL, so memory does not grow with the number of URLs.
    private func work() async {
        let workers =
            settings.inputFile == nil ? min(settings.parallelMaximum, settings.urls.count) : settings.parallelMaximum
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<workers { group.addTask { await self.workUntilEnd() } }
            for await _ in group where isStopped { group.cancelAll() }
        }
    }

    private func workUntilEnd() async {
        while !isStopped, !Task.isCancelled {
            do {
                guard let (index, url) = try await list.next() else { return }
                await fetch(url, index)
            } catch let failure as Failure {
                // Reading the list failed. Every worker may see that, one reports it; running transfers continue.
                guard !hasListFailed else { return }
                hasListFailed = true
                console.error(failure)
                note(failure.status, at: list.count)
                return
            } catch {
                isCutOff = true
                return
            }
        }
    }

    private func fetch(_ url: String, _ index: Int) async {
        let destination = settings.placement.destination(ofURLAt: index)
        let outputIndex = destination == .standardOutput ? settings.placement.standardOutputCount(ofFirst: index) : nil
        let transfer = Transfer(url: url, index: index, destination: destination, outputIndex: outputIndex)
        let outcome: Outcome
        if let limit = settings.maxTime {
            outcome = await TimeLimit.run(limit) { await self.outcome(of: transfer, $0) }
        } else {
            outcome = await self.outcome(of: transfer, nil)
        }
        bodyBytes += outcome.bodyBytes
        switch outcome.end {
        // A deposited body counts as done once it is written.
        case .done: if !outcome.isDeposited { done += 1 }
        // The run reports its cancellation once, at its end.
        case .cancelled: break
        case .failed(let failure):
            fail(
                failure, outcome.standardOutputIsBroken, url, index,
                unreachable: outcome.isUnreachable ? outcome.origin : nil)
        }
        if let outputIndex { await end(outputIndex, url, index) }
    }

    /// The outcome of one URL.
    private struct Outcome: Sendable {
        enum End: Sendable {
            case done
            case failed(Failure)
            case cancelled
        }

        var end = End.done
        var bodyBytes = 0
        var standardOutputIsBroken = false
        var isDeposited = false
        var origin: Origin?
        /// Whether no connection to the origin could be established, which concerns all its URLs.
        var isUnreachable = false
    }

    private func outcome(of transfer: Transfer, _ limit: TimeLimit?) async -> Outcome {
        var transfer = transfer
        var outcome = Outcome()
        do {
            try await run(&transfer)
        } catch {
            switch error {
            case is CancellationError where limit?.isOver == true:
                outcome.end = .failed(describe(tookTooLong, transfer))
            case is CancellationError:
                outcome.end = .cancelled
                isCutOff = true
                if let path = transfer.emptiedPath {
                    emptied.append(path)
                } else if !transfer.leftover.isEmpty {
                    leftParts += 1
                }
            default: outcome.end = .failed(describe(error, transfer))
            }
            outcome.isUnreachable = (error as? H2Error)?.isFailureToConnect ?? false
        }
        outcome.bodyBytes = transfer.bodyBytes
        outcome.isDeposited = transfer.isDeposited
        outcome.standardOutputIsBroken = transfer.standardOutputIsBroken
        outcome.origin = transfer.origin
        return outcome
    }

    private var tookTooLong: Failure {
        Failure(.timeout, "it took longer than \(settings.maxTime?.brief ?? ""); allow more time with -m")
    }

    private func fail(
        _ failure: Failure, _ standardOutputIsBroken: Bool, _ url: String, _ index: Int,
        unreachable origin: Origin? = nil
    ) {
        // A closed stdout is reported once, however many bodies were to be written to it.
        if isStopped { return }
        failed += 1
        if let origin {
            unreachable.add(failure, url: url, of: origin)
        } else {
            console.error(failure, url: url)
        }
        note(failure.status, at: index)
        guard standardOutputIsBroken, settings.placement.isAllStandardOutput(from: index) else { return }
        isStopped = true
    }

    /// Ends an output on stdout, and writes the bodies that waited for it.
    private func end(_ outputIndex: Int, _ url: String, _ index: Int) async {
        outputOrder.end(outputIndex)
        do {
            try await outputOrder.writeDeposits { try await self.writeDeposit($0) }
            done += outputOrder.takeDeposits().written
        } catch {
            let (written, lost) = outputOrder.takeDeposits()
            done += written
            // Cancelled: the waiting bodies are dropped.
            guard let failure = error as? Failure else {
                isCutOff = true
                return
            }
            guard !isStopped else { return }
            // `fail` below counts one of them.
            failed += max(lost - 1, 0)
            fail(failure, true, url, index)
        }
    }

    /// - Throws: `Failure`, also if nobody reads stdout within -m, because a later reader would miss a piece.
    private func writeDeposit(_ bytes: [UInt8]) async throws {
        guard let limit = settings.maxTime else { return try await BodyOutput.standardOutput.write(bytes) }
        let tookTooLong = tookTooLong
        try await TimeLimit.run(limit) { clock -> Result<Void, any Error> in
            do {
                try await BodyOutput.standardOutput.write(bytes)
                return .success(())
            } catch is CancellationError where clock.isOver {
                return .failure(tookTooLong)
            } catch {
                return .failure(error)
            }
        }.get()
    }

    private func describe(_ error: any Error, _ transfer: Transfer) -> Failure {
        var failure: Failure
        switch error {
        case let error as Failure: failure = error
        case let error as H2Error:
            failure = Failure(error, during: transfer.phase)
            failure.message += whyNotAgain(error.retryRefusal)
            if case .timeout(.wholeRequest, _) = error.cause, let limit = settings.maxTime {
                // The client was given only the time that was left.
                failure.message = "it took longer than \(limit.brief); allow more time with -m"
            }
            if error.code == .tlsConfiguration, isOurCertificate(error) { failure.status = .clientCertificate }
            // The printed line begins with the URL already.
            let repeated = "bad URL '\(transfer.url)': "
            if failure.message.hasPrefix(repeated) { failure.message.removeFirst(repeated.count) }
        default: failure = Failure(.stream, "\(error)")
        }
        if !transfer.leftover.isEmpty { failure.message += "; \(transfer.leftover)" }
        return failure
    }

    /// Whether the unusable file is that of --cert or --key, rather than --cacert.
    private func isOurCertificate(_ error: H2Error) -> Bool {
        [settings.tls.certificateFile, settings.tls.privateKeyFile].contains { path in
            path.map { error.message.contains("'\($0)'") } ?? false
        }
    }

    private func note(_ status: ExitReason, at index: Int) {
        if firstFailure.map({ index < $0.index }) ?? true { firstFailure = (index, status) }
    }

    // MARK: - Messages

    /// Shows progress, and reports requests that --polite or --rate holds back.
    private func watch() async {
        var heldBack = HeldBack()
        while !Task.isCancelled {
            do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
            let elapsed = (ContinuousClock.now - start).inSeconds
            let statistics = await statistics()
            let received = statistics.bytesReceived
            if Task.isCancelled { return }
            var waits = ""
            if let options = settings.politeOptions {
                let held = heldBack.update(statistics.origins, now: .now)
                for wait in held where wait.isNews && settings.verbosity > 0 {
                    let what = wait.requests == 1 ? "1 request to" : "\(wait.requests) requests to"
                    console.say("* \(options) holds \(what) \(wait.origin) back")
                }
                let count = held.reduce(0) { $0 + $1.requests }
                if count > 0 { waits = ", \(count) held back (\(options))" }
            }
            let total = list.total.map { "/\($0)" } ?? ""
            console.progress(
                "\(done + failed)\(total) done, \(inFlight) in flight, \(byteCount(received)), "
                    + "\(byteCount(Int(Double(received) / max(elapsed, 0.001))))/s"
                    + (failed > 0 ? ", \(failed) failed" : "") + waits)
        }
    }

    private func summary(_ statistics: HTTPClient.Statistics) -> String {
        Summary(
            requests: done + failed, failed: failed, peakInFlight: peakInFlight, bodyBytes: bodyBytes,
            elapsed: (ContinuousClock.now - start).inSeconds, spoken: spoken, first: firstConnection,
            statistics: statistics
        ).text
    }
}
