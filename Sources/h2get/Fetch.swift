import H2Client
import H2Measure
import HTTPTypes

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

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
    let places: Places
    let origins: KnownOrigins
    let isStandardOutputTerminal = isatty(STDOUT_FILENO) == 1
    let verbose: Verbose
    /// Names of files that this run writes, hashed: two URLs must not write one file.
    private var claimedFiles: Set<Int> = []

    // What came of it.
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
    private let start = ContinuousClock.now
    /// What tells of the clients' events with -v.
    private var narrators: [Task<Void, Never>?] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { EventLoop.shared.asUnownedSerialExecutor() }

    /// - Throws: `Failure` where the list of URLs cannot be opened.
    init(_ settings: FetchSettings, console: Console) throws {
        self.settings = settings
        self.console = console
        list = try URLList(urls: settings.urls, inputFile: settings.inputFile)
        let isAlone = settings.inputFile == nil && settings.urls.count == 1
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
        narrators.append(verbose.narrate(client))
        return client
    }

    /// Fetches all, closes the connections, and says what there is to say.
    /// - Returns: what the first failed URL, in their order, ended with.
    func run() async -> ExitReason {
        narrators.append(verbose.narrate(client))
        if console.wantsProgress {
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await self.work(); return true
                }
                group.addTask {
                    await self.showProgress(); return false
                }
                for await isWork in group where isWork { group.cancelAll() }
            }
        } else {
            await work()
        }
        console.wipeProgress()
        let isCancelled = Task.isCancelled
        let statistics = await statistics()
        await close(atOnce: isCancelled)
        if isCancelled {
            console.error(
                Failure(
                    .interrupted,
                    "interrupted: \(counted(done, "transfer")) ended before it; unfinished files are named *.part"))
        } else if failed > 0, list.count > 1 {
            let status = firstFailure?.status ?? .stream
            console.error(Failure(status, "\(failed) of \(list.count) transfers failed"))
        }
        if settings.wantsSummary || settings.verbosity > 0 || console.wantsProgress {
            console.say(summary(statistics))
        }
        return firstFailure?.status ?? .success
    }

    /// After a cancelled run nothing is waited for.
    private func close(atOnce: Bool) async {
        for client in [client, spareClient].compactMap({ $0 }) {
            if atOnce { client.shutdownNow() } else { await client.shutdown(deadline: .seconds(1)) }
        }
        // What happened last is told before the summary.
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
                return
            }
        }
    }

    private func fetch(_ url: String, _ index: Int) async {
        let destination = settings.placement.destination(ofURLAt: index)
        let turn = destination == .standardOutput ? settings.placement.standardOutputCount(ofFirst: index) : nil
        var transfer = Transfer(url: url, index: index, destination: destination, turn: turn)
        do {
            try await run(&transfer)
            done += 1
        } catch is CancellationError {
            // The run is cancelled or stopped; that is said once.
        } catch {
            fail(describe(error, transfer), transfer.standardOutputIsBroken, url, index)
        }
        bodyBytes += transfer.bodyBytes
        if let turn { await end(turn, url, index) }
    }

    private func fail(_ failure: Failure, _ standardOutputIsBroken: Bool, _ url: String, _ index: Int) {
        // One closed stdout is one failure, however many bodies were on their way to it.
        if isStopped { return }
        failed += 1
        console.error(failure, url: url)
        note(failure.status, at: index)
        if standardOutputIsBroken, settings.placement.isAllStandardOutput(from: index) { isStopped = true }
    }

    /// Ends a turn on stdout, and writes what waited for it.
    private func end(_ turn: Int, _ url: String, _ index: Int) async {
        turns.end(turn)
        do {
            try await turns.writeDeposits { try await BodyOutput.standardOutput.write($0) }
        } catch let failure as Failure {
            fail(failure, true, url, index)
        } catch {
            // Cancelled: what waits is dropped.
        }
    }

    private func describe(_ error: any Error, _ transfer: Transfer) -> Failure {
        var failure: Failure
        switch error {
        case let error as Failure: failure = error
        case let error as H2Error:
            failure = Failure(error, during: transfer.phase)
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
        if let partPath = transfer.partPath {
            failure.message += "; \(byteCount(transfer.partSize)) of it are in \(partPath)"
        }
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

    /// False where the run already writes `path`, or its `.part` file.
    func claim(_ path: String) -> Bool {
        let hashes = [path.hashValue, "\(path).part".hashValue]
        guard !hashes.contains(where: claimedFiles.contains) else { return false }
        claimedFiles.formUnion(hashes)
        return true
    }

    // MARK: - Messages

    private func showProgress() async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
            let elapsed = (ContinuousClock.now - start).seconds
            let received = await statistics().bytesReceived
            if Task.isCancelled { return }
            let total = list.total.map { "/\($0)" } ?? ""
            console.progress(
                "\(done + failed)\(total) done, \(inFlight) in flight, \(byteCount(received)), "
                    + "\(byteCount(Int(Double(received) / max(elapsed, 0.001))))/s"
                    + (failed > 0 ? ", \(failed) failed" : ""))
        }
    }

    private func summary(_ statistics: HTTPClient.Statistics) -> String {
        Summary(
            requests: done + failed, failed: failed, mostInFlight: mostInFlight, bodyBytes: bodyBytes,
            elapsed: (ContinuousClock.now - start).seconds, spoken: spoken, first: firstConnection,
            statistics: statistics
        ).text
    }
}
