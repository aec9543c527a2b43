import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// One run: the URLs, the workers that take them in order, and what came of it.
///
/// Its executor is the event loop on which the connections live, so that nothing here changes threads.
actor Fetch {
    let settings: FetchSettings
    let console: Console
    let list: URLList
    let client: HTTPClient
    /// For the transfer whose turn it is, where those that wait for it hold all that the first one may open.
    private var spareClient: HTTPClient?
    let turns = Turns()
    let places: Places<Origin>
    let origins: KnownOrigins
    let isStandardOutputTerminal = isatty(STDOUT_FILENO) == 1
    let verbose: Verbose
    let files = ClaimedFiles()
    let sharedOutputs = SharedOutputs()
    /// Known once the first pipe or device was written to.
    private var sharedPlaces: Set<FileIdentity>?
    let retryNotes: RetryNotes
    private let unreachable: OriginFailures

    // The outcome.
    var done = 0
    var failed = 0
    var bodyBytes = 0
    var inFlight = 0
    var mostInFlight = 0
    var spoken: Set<HTTPVersion> = []
    /// The connection that brought the first response.
    var firstConnection: (info: ConnectionInfo, version: HTTPVersion)?
    private var firstFailure: (index: Int, status: ExitReason)?
    /// stdout has no reader any more, and nothing that is left to do goes elsewhere.
    private var isStopped = false
    private var hasListFailed = false
    /// A transfer was cancelled, or the rest of the list was not read for a signal.
    private var isCutOff = false
    /// Of transfers that were cancelled: how many left a .part file, and which files they emptied that had no room for one
    /// beside them.
    private var leftParts = 0
    private var emptied: [String] = []
    private let start = ContinuousClock.now
    /// Tasks that tell of the clients' events with -v.
    private var narrators: [Task<Void, Never>?] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { EventLoop.shared.asUnownedSerialExecutor() }

    /// - Throws: `Failure` where the list of URLs cannot be opened.
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
        places = Places(limitAtFirst: settings.placesAtFirst)
        origins = KnownOrigins(atOnce: settings.parallelMaximum)
    }

    /// The second client, whose connections count by themselves.
    func clientForTurn() -> HTTPClient {
        if let spareClient { return spareClient }
        let client = HTTPClient(configuration: client.configuration)
        spareClient = client
        narrate(client)
        return client
    }

    /// Whether more than one body goes to a pipe, device or descriptor. What a list with -O leads to is not known beforehand.
    func isShared(_ identity: FileIdentity) -> Bool {
        if settings.inputFile != nil, settings.placement.usesRemoteName { return true }
        if let sharedPlaces { return sharedPlaces.contains(identity) }
        let places = settings.placement.sharedPlaces(settings.urls, pathAsIs: settings.keepsPath)
        sharedPlaces = places
        return places.contains(identity)
    }

    /// Fetches all, closes the connections, and says what there is to say.
    /// - Returns: what the first failed URL, in their order, ended with.
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
        // With stdout broken, what was not done failed, also where it was not begun.
        if isStopped { failed = max(failed, count - done) }
        // After the last transfer there is nothing left that a signal could interrupt.
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

    /// What is left of the files of transfers that were cancelled, in words.
    private var leftovers: String {
        var text = leftParts == 0 ? "" : "; unfinished downloads are in *.part files"
        if emptied.count == 1 {
            text += "; \(emptied[0]) was emptied, because no temporary file could be created in its folder"
        } else if emptied.count > 1 {
            text += "; \(emptied.count) files are empty now, since their folders take no file beside them"
        }
        return text
    }

    /// Tells of the client's events: with -v of all, with --retry of what is waited for.
    private func narrate(_ client: HTTPClient) {
        if settings.verbosity > 0 { return narrators.append(verbose.narrate(client)) }
        guard settings.retries ?? 0 > 0, console.showsErrors else { return }
        let events = client.events()
        narrators.append(
            Task(executorPreference: EventLoop.shared.taskExecutor) {
                for await event in events { await self.tellRetry(event.kind) }
            })
    }

    private func tellRetry(_ event: HTTPClient.Event.Kind) {
        guard case .requestRetried(_, let error, let status, let wait) = event, wait > .zero else { return }
        retryNotes.tell(error?.message ?? "the server answered \(status ?? 0)", wait: wait)
    }

    /// After a cancelled run nothing is waited for.
    private func close(atOnce: Bool) async {
        for client in [client, spareClient].compactMap({ $0 }) {
            if atOnce { client.shutdownNow() } else { await client.shutdown(gracePeriod: .seconds(1)) }
        }
        // The last events are told before the summary.
        for case .some(let narrator) in narrators where !atOnce { await narrator.value }
    }

    /// Of both clients.
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

    /// A fixed number of workers, not a task a URL: memory stays flat however many URLs there are.
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
                // The list broke off; each worker may meet that, one says so. What is under way goes on.
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
        let turn = destination == .standardOutput ? settings.placement.standardOutputCount(ofFirst: index) : nil
        let transfer = Transfer(url: url, index: index, destination: destination, turn: turn)
        let outcome: Outcome
        if let limit = settings.maxTime {
            outcome = await TimeLimit.run(limit) { await self.outcome(of: transfer, $0) }
        } else {
            outcome = await self.outcome(of: transfer, nil)
        }
        bodyBytes += outcome.bodyBytes
        switch outcome.end {
        // A body that waits to be written is done once it is.
        case .done: if !outcome.isDeposited { done += 1 }
        // The run is cancelled or stopped; that is said once.
        case .cancelled: break
        case .failed(let failure):
            fail(
                failure, outcome.standardOutputIsBroken, url, index,
                unreachable: outcome.isUnreachable ? outcome.origin : nil)
        }
        if let turn { await end(turn, url, index) }
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
        /// No connection to the origin could be had, which is nothing special about this URL.
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
        // One closed stdout is one failure, however many bodies were on their way to it.
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

    /// Ends a turn on stdout, and writes what waited for it.
    private func end(_ turn: Int, _ url: String, _ index: Int) async {
        turns.end(turn)
        do {
            try await turns.writeDeposits { try await self.writeDeposit($0) }
            done += turns.takeDeposits().written
        } catch {
            let (written, lost) = turns.takeDeposits()
            done += written
            // Cancelled: what waits is dropped.
            guard let failure = error as? Failure else {
                isCutOff = true
                return
            }
            guard !isStopped else { return }
            // One of them is counted with what is said.
            failed += max(lost - 1, 0)
            fail(failure, true, url, index)
        }
    }

    /// - Throws: `Failure`, also where nobody reads stdout within -m: who would read the rest would miss a piece.
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
                // The library was given what was left of the time.
                failure.message = "it took longer than \(limit.brief); allow more time with -m"
            }
            if error.code == .tlsConfiguration, isOurCertificate(error) { failure.status = .clientCertificate }
            // The line begins with the URL as it is.
            let repeated = "bad URL '\(transfer.url)': "
            if failure.message.hasPrefix(repeated) { failure.message.removeFirst(repeated.count) }
        default: failure = Failure(.stream, "\(error)")
        }
        if !transfer.leftover.isEmpty { failure.message += "; \(transfer.leftover)" }
        return failure
    }

    /// Whether the file that cannot be used is --cert's or --key's, rather than --cacert's.
    private func isOurCertificate(_ error: H2Error) -> Bool {
        [settings.tls.certificateFile, settings.tls.privateKeyFile].contains { path in
            path.map { error.message.contains("'\($0)'") } ?? false
        }
    }

    private func note(_ status: ExitReason, at index: Int) {
        if firstFailure.map({ index < $0.index }) ?? true { firstFailure = (index, status) }
    }

    // MARK: - Messages

    /// Shows progress, and tells of requests that --polite or --rate holds back.
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
            requests: done + failed, failed: failed, mostInFlight: mostInFlight, bodyBytes: bodyBytes,
            elapsed: (ContinuousClock.now - start).inSeconds, spoken: spoken, first: firstConnection,
            statistics: statistics
        ).text
    }
}
