import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// Properties of a part's options that each transfer asks for. Computed once, because to call a method of the options copies all
/// of them: 2.4 kB in the frame of each function that waits.
struct PartFacts {
    let writesInOrder: Bool
    let wantsReports: Bool
    let limitsSpeed: Bool
    let longestHonestWait: Duration

    init(_ settings: FetchSettings) {
        writesInOrder = settings.writesInOrder
        wantsReports = settings.wantsReports
        limitsSpeed = settings.limitsSpeed
        longestHonestWait = settings.longestHonestWait
    }
}

/// One run: the URLs, the workers that take them in order, and the outcome.
///
/// The parts of the command line (--next) run one after the other, since a later one may need what an earlier one did, such as
/// a cookie. What is said of one part here is replaced when the next one begins, with nothing under way.
///
/// Its executor is the connections' event loop, so nothing here switches threads.
actor Fetch {
    let plan: FetchPlan
    /// The part that runs.
    var part = 0
    /// The options of the part that runs.
    private(set) var settings: FetchSettings
    private(set) var facts: PartFacts
    let console: Console
    /// The URLs of each part.
    let lists: [URLList]
    var clients: FetchClients
    /// The client of the first part.
    nonisolated let firstClient: HTTPClient
    var outputOrder = OutputOrder()
    var permits: OrderedSemaphore<Origin>
    var targets: TargetCache
    /// The request for the last origin, if only its path changes.
    var template: (origin: Origin, request: HTTPRequest)?
    let isStandardOutputTerminal = isatty(STDOUT_FILENO) == 1
    let verbose: Verbose
    let trace: Trace?
    let files = ClaimedFiles()
    let sharedOutputs = SharedOutputs()
    /// Set when the first pipe or device is written to.
    var sharedTargets: Set<FileIdentity>?
    let retryNotes: RetryNotes
    /// The credentials in use. Their values learn nonces.
    var authentications: [(credentials: Credentials, authentication: HTTPAuthentication)] = []
    /// Whether stdout did not take the text of -w.
    var isLineOutputBroken = false
    /// The file of -D.
    var headDump: HeadDump?
    /// The names in the file of --checksum-file that transfers had.
    var checkedNames: Set<String> = []
    /// The file of --json-lines, until it cannot be written.
    var jsonLines: LineFile?
    /// For --summary.
    private var slowest = SlowestTransfers()
    /// Files of %output that were reported.
    var toldFiles: Set<String> = []
    private let unreachable: OriginFailures

    // The outcome.
    var done = 0
    var failed = 0
    var bodyBytes = 0
    var inFlight = 0
    var peakInFlight = 0
    /// Without duplicates. (The first set or dictionary of a type costs the runtime 50 us.)
    var spoken: [HTTPProtocolVersion] = []
    /// The connection of the first response.
    var firstConnection: (info: ConnectionInfo, version: HTTPProtocolVersion)?
    private var failures: [ExitReason: Int] = [:]
    private var firstFailure: (index: Int, status: ExitReason)?
    /// Whether stdout is broken and all remaining bodies would go there.
    var isStopped = false
    /// Whether that is because of --fail-early.
    var hasStoppedEarly = false
    var hasListFailed = false
    /// Whether a transfer was cancelled, or a signal kept the rest of the list from being read.
    var isCutOff = false
    /// Whether --max-total-time is over, and ended what was running.
    var isOutOfTime = false
    /// The lines of --json-lines of transfers that --max-total-time ended, if they go to a file.
    private var lateLines: [UInt8] = []
    /// The last transfer that it ended.
    private var lateTransfer: (url: String, index: Int)?
    /// The number of cancelled transfers that left a .part file.
    private var leftParts = 0
    /// Files that cancelled transfers emptied, because no .part file could be created beside them.
    private var emptied: [String] = []
    let start = ContinuousClock.now
    /// The same moment in seconds since 1970.
    let startedAt: Double = {
        var clock = timespec()
        clock_gettime(CLOCK_REALTIME, &clock)
        return Double(clock.tv_sec) + Double(clock.tv_nsec) / 1e9
    }()
    /// Tasks that report the clients' events, with -v or --retry.
    private var narrators: [Task<Void, Never>?] = []

    // Progress.
    /// The transfers under way by their index, if progress is shown.
    var running: [Int: RunningTransfer] = [:]
    var heldBack = HeldBack()
    var overallRate = TransferRate(at: 0)

    nonisolated var unownedExecutor: UnownedSerialExecutor { FetchExecutor.shared.asUnownedSerialExecutor() }

    /// - Throws: `Failure` if the list of URLs cannot be opened.
    init(_ plan: FetchPlan, console: Console) throws {
        self.plan = plan
        let settings = plan.common
        self.settings = settings
        facts = PartFacts(settings)
        self.console = console
        lists = try plan.parts.map { try URLList(urls: $0.urls, inputFile: $0.inputFile) }
        retryNotes = RetryNotes(console)
        unreachable = OriginFailures(console)
        for (_, path) in plan.optionFiles { files.reserve(path) }
        let trace = try settings.trace.map { try Trace($0) }
        self.trace = trace
        verbose = Verbose(
            console: console, level: settings.verbosity, numbersTransfers: !plan.isOneTransfer,
            showsTime: settings.timesVerbose, trace: trace)
        permits = OrderedSemaphore(initialLimit: settings.initialPermits)
        targets = TargetCache(settings.schemes, keepsPath: settings.keepsPath)
        clients = FetchClients(settings, verbose)
        firstClient = clients.current
    }

    /// Fetches all URLs, closes the connections, and reports the outcome.
    /// - Returns: the exit reason of the first failed URL in their order, or `success`.
    func run() async -> ExitReason {
        if let limit = plan.common.maxTotalTime {
            let end = start + limit
            await watched(by: { await self.endAll(at: end) }, work: { await self.fetchAll() })
        } else {
            await fetchAll()
        }
        return await finish()
    }

    /// Runs all parts, and shows their progress.
    private func fetchAll() async {
        do {
            if case .file(let path)? = plan.common.jsonLines { jsonLines = try await LineFile(path) }
        } catch {
            guard let failure = error as? Failure else {
                isCutOff = true
                return
            }
            console.error(failure)
            return note(failure.status, at: 0)
        }
        let tellsOfWaits = settings.politeOptions != nil && (settings.verbosity > 0 || console.wantsProgress)
        if console.wantsProgress || tellsOfWaits {
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await self.runParts(); return true
                }
                group.addTask {
                    await self.watch(); return false
                }
                for await isWork in group where isWork { group.cancelAll() }
            }
        } else {
            await runParts()
        }
    }

    /// Closes the connections, and reports the outcome.
    private func finish() async -> ExitReason {
        await endProgress()
        if isOutOfTime, !Task.isCancelled { await writeLateOutput() }
        unreachable.tell()
        let count = isStopped ? urlsInAll ?? urlsBegun : urlsBegun
        // Whether --max-total-time kept anything from being done.
        let isCutShort =
            isOutOfTime && (isCutOff || done < urlsBegun || urlsInAll.map { urlsBegun < $0 } ?? true)
        if isCutShort { failed = max(failed, urlsBegun - done) }
        // A signal after the last transfer interrupts nothing.
        let isCancelled = Task.isCancelled && (isCutOff || urlsInAll.map { urlsBegun < $0 } ?? true)
        let statistics = await clients.statistics()
        await close(atOnce: isCancelled || isCutShort)
        if isCancelled {
            let status = Interruption.received.flatMap { ExitReason(rawValue: 128 + $0) } ?? .interrupted
            let message = "interrupted: \(counted(done, "transfer")) ended before it\(leftovers)"
            console.error(Failure(status, message))
        } else if isCutShort {
            console.error(outOfTime)
        } else if hasStoppedEarly, count > 1 {
            let status = firstFailure?.status ?? .stream
            let total = urlsInAll.map { " of \($0)" } ?? ""
            console.error(
                Failure(
                    status,
                    "stopped at the first failure (--fail-early), with \(done)\(total) transfers done\(leftovers)"))
        } else if failed > 0, count > 1 {
            let status = firstFailure?.status ?? .stream
            let rest = isStopped && urlsInAll == nil ? "; the rest of the list was not read" : ""
            console.error(Failure(status, "\(failed) of \(count) transfers failed\(rest)"))
        }
        let summary = summary(statistics)
        if settings.wantsSummary {
            console.say(([summary.text] + slowest.lines).joined(separator: "\n"))
        } else if settings.verbosity > 0 || console.wantsProgress, count > 1 || settings.verbosity > 0 {
            console.say(summary.line)
        }
        if let trace { await offLoopToItsEnd { trace.flush() } }
        // Other failures do not hide that the run is incomplete.
        return isCutShort ? .timeout : firstFailure?.status ?? .success
    }

    /// The end of a run by --max-total-time, with what became of its URLs.
    private var outOfTime: Failure {
        var text = "the run took longer than \(plan.common.maxTotalTime?.brief ?? "") (--max-total-time): "
        text += "\(counted(done, "transfer")) done, \(urlsBegun - done) unfinished"
        // A list whose reading was cancelled seems to be at its end.
        if let total = urlsInAll, !isCutOff || plan.parts.allSatisfy({ $0.inputFile == nil }) {
            text += ", \(total - urlsBegun) not begun"
        } else {
            text += ", and the rest of the list was not read"
        }
        return Failure(.timeout, text + leftovers)
    }

    /// A description of the files left by cancelled transfers.
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
    func narrate(_ client: HTTPClient) {
        if let narrator = verbose.narrate(client) { narrators.append(narrator) }
        guard settings.verbosity == 0, plan.parts.contains(where: { $0.retries ?? 0 > 0 }), console.showsErrors else {
            return
        }
        let events = client.events()
        narrators.append(
            Task(executorPreference: H2EventLoop.shared.taskExecutor) {
                for await event in events { await self.tellRetry(event.kind) }
            })
    }

    private func tellRetry(_ event: HTTPClient.Event.Kind) {
        guard settings.retries ?? 0 > 0, case .requestRetried(let failed) = event, failed.wait > .zero else { return }
        retryNotes.tell(failed.reason, wait: failed.wait)
    }

    /// Closes all clients, without waiting if the run was cancelled.
    private func close(atOnce: Bool) async {
        await clients.close(atOnce: atOnce)
        // The last events are reported before the summary.
        for case .some(let narrator) in narrators where !atOnce { await narrator.value }
    }

    /// Takes the options of the part that begins.
    func use(_ settings: FetchSettings) {
        self.settings = settings
        facts = PartFacts(settings)
    }

    // MARK: - Workers

    /// Runs a fixed number of workers rather than a task per URL, so memory does not grow with the number of URLs.
    func work() async {
        let workers = settings.transfersAtOnce
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<workers { group.addTask { await self.workUntilEnd() } }
            for await _ in group where isStopped { group.cancelAll() }
        }
    }

    /// --max-total-time.
    private func endAll(at end: ContinuousClock.Instant) async {
        do { try await Task.sleep(until: end, clock: .continuous) } catch { return }
        isOutOfTime = true
    }

    private func workUntilEnd() async {
        while !isStopped, !isOutOfTime, !Task.isCancelled {
            do {
                guard let (index, entry) = try await list.next() else { return }
                await fetch(entry, index)
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

    /// Whether stdout takes nothing more.
    private var isSilenced: Bool { isStopped && !hasStoppedEarly }

    private func fetch(_ entry: ListedURL, _ index: Int) async {
        let url = entry.url
        let usual = settings.placement.destination(ofURLAt: index)
        let outputIndex = usual == .standardOutput ? settings.placement.standardOutputCount(ofFirst: index) : nil
        let destination = settings.placement.destination(of: entry) ?? usual
        // Its turn on stdout passes if the list names a file for it.
        let number = urlsBefore + index
        let transfer = Transfer(
            url: url, entry: entry, index: index, number: number, destination: destination,
            meter: meter(ofTransfer: number),
            outputIndex: destination == .standardOutput ? outputIndex : nil, checksum: entry.checksum,
            hops: settings.redirects.limit > 0 ? Hops() : nil)
        let outcome: Outcome
        if let meter = transfer.meter {
            outcome = await meter.run { await self.limitedOutcome(of: transfer) }
        } else {
            outcome = await limitedOutcome(of: transfer)
        }
        bodyBytes += outcome.bodyBytes
        switch outcome.end {
        // A deposited body counts as done once it is written.
        case .done: if !outcome.isDeposited { done += 1 }
        // The run reports its cancellation once, at its end.
        case .cancelled: break
        case .failed(let failure):
            fail(
                failure, outcome.standardOutputIsBroken, outcome.url, index,
                unreachable: outcome.isUnreachable ? outcome.origin : nil)
        }
        var line: [UInt8] = []
        if !outcome.isToldOf, !isSilenced, !outcome.isSkipped, settings.writeOut != nil {
            switch outcome.end {
            case .done: line = await writeOutLine(outcome.transfer ?? transfer, nil)
            case .failed(let failure): line = await writeOutLine(outcome.transfer ?? transfer, failure)
            case .cancelled: break
            }
        }
        if settings.jsonLines != nil || settings.wantsSummary {
            let text = await tell(outcome.transfer ?? transfer, outcome.end, isSkipped: outcome.isSkipped)
            // A deposited body has its text with it.
            if !outcome.isToldOf { line += text }
        }
        if isOutOfTime {
            // This task is cancelled. `finish` writes what is left.
            lateTransfer = (url, index)
            if let outputIndex {
                outputOrder.end(outputIndex, line: outcome.head + line)
            } else {
                outputOrder.add(line)
            }
        } else if let outputIndex {
            await end(outputIndex, outcome.head + line, url, index)
        } else if !line.isEmpty {
            await writeBetweenBodies(line, url, index)
        }
    }

    /// Tells --json-lines and --summary of a transfer that has ended.
    /// - Returns: the line for stdout, if it goes there.
    private func tell(_ transfer: Transfer, _ end: Outcome.End, isSkipped: Bool) async -> [UInt8] {
        var failure: Failure?
        switch end {
        case .done: break
        case .failed(let reason): failure = reason
        case .cancelled: return []
        }
        let report = await report(transfer, failure)
        if settings.wantsSummary { slowest.add(report) }
        guard settings.jsonLines != nil else { return [] }
        let line = jsonLine(report, transfer, isSkipped: isSkipped)
        if settings.jsonLines == .standardOutput { return isSilenced ? [] : line }
        if isOutOfTime { lateLines += line } else { await addJSON(line) }
        return []
    }

    private func addJSON(_ lines: [UInt8]) async {
        do { try await jsonLines?.add(lines) } catch {
            guard let failure = error as? Failure, jsonLines != nil else { return }
            // Told once. The file is not whole, so the run has failed.
            jsonLines = nil
            console.error(failure)
            note(failure.status, at: .max)
        }
    }

    /// Writes what is complete on stdout and in lines when --max-total-time is over. A reader that takes nothing holds up the end
    /// for one second each.
    private func writeLateOutput() async {
        guard let (url, index) = lateTransfer else { return }
        await TimeLimit.run(.seconds(1)) { _ in await self.writeOutputs(url, index) }
        let lines = lateLines
        guard !lines.isEmpty else { return }
        await TimeLimit.run(.seconds(1)) { _ in await self.addJSON(lines) }
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
        var isToldOf = false
        var isSkipped = false
        /// For -D -, if it was not written before the body.
        var head: [UInt8] = []
        /// For -w.
        var transfer: Transfer?
        /// The URL, or the last mirror that was tried.
        var url = ""
        var origin: Origin?
        /// Whether no connection to the origin could be established, which concerns all its URLs.
        var isUnreachable = false
    }

    private func limitedOutcome(of transfer: Transfer) async -> Outcome {
        guard let limit = settings.maxTime else { return await outcome(of: transfer, nil) }
        return await TimeLimit.run(limit) { await self.outcome(of: transfer, $0) }
    }

    private func outcome(of transfer: Transfer, _ limit: TimeLimit?) async -> Outcome {
        var transfer = transfer
        var outcome = Outcome()
        do {
            try await runUntilItWorks(&transfer)
        } catch {
            switch error {
            case is CancellationError where transfer.meter?.isOver == true:
                outcome.end = .failed(describe(settings.slowest?.failure ?? error, transfer))
            case is CancellationError where limit?.isOver == true:
                outcome.end = .failed(describe(tookTooLong, transfer))
            case is CancellationError where isOutOfTime:
                outcome.end = .failed(
                    describe(Failure(.timeout, "the time of the whole run is over (--max-total-time)"), transfer))
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
        outcome.isToldOf = transfer.isToldOf
        outcome.isSkipped = transfer.isSkipped
        outcome.head = transfer.head
        if facts.wantsReports { outcome.transfer = transfer }
        outcome.standardOutputIsBroken = transfer.standardOutputIsBroken
        outcome.origin = transfer.origin
        outcome.url = transfer.url
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
        failures[failure.status, default: 0] += 1
        if let origin {
            unreachable.add(failure, url: url, of: origin)
        } else {
            console.error(failure, url: url)
        }
        note(failure.status, at: index)
        if settings.failsEarly { (isStopped, hasStoppedEarly) = (true, true) }
        guard standardOutputIsBroken, settings.placement.isAllStandardOutput(from: index) else { return }
        isStopped = true
    }

    /// Ends an output on stdout, and writes the bodies that waited for it.
    /// - Parameter line: -w's text about it.
    private func end(_ outputIndex: Int, _ line: [UInt8], _ url: String, _ index: Int) async {
        outputOrder.end(outputIndex, line: line)
        await writeOutputs(url, index)
    }

    /// Writes what may be written to stdout now.
    /// - Parameter url: the URL that a failure is told of.
    func writeOutputs(_ url: String, _ index: Int) async {
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
            // Only text of -w was lost.
            guard lost > 0 else { return loseLines(failure) }
            // `fail` below counts one of them.
            failed += max(lost - 1, 0)
            failures[failure.status, default: 0] += max(lost - 1, 0)
            fail(failure, true, url, index)
        }
    }

    /// - Throws: `Failure`, also if nobody reads stdout within -m, because a later reader would miss a piece.
    func writeDeposit(_ bytes: [UInt8]) async throws {
        guard let limit = settings.maxTime else {
            return try await console.withoutProgress(endsLine: bytes.last == 0x0a) {
                try await BodyOutput.standardOutput.write(bytes)
            }
        }
        let (tookTooLong, console) = (tookTooLong, console)
        try await TimeLimit.run(limit) { clock -> Result<Void, any Error> in
            do {
                try await console.withoutProgress(endsLine: bytes.last == 0x0a) {
                    try await BodyOutput.standardOutput.write(bytes)
                }
                return .success(())
            } catch is CancellationError where clock.isOver {
                return .failure(tookTooLong)
            } catch {
                return .failure(error)
            }
        }.get()
    }

    func describe(_ error: any Error, _ transfer: Transfer) -> Failure {
        var failure: Failure
        switch error {
        case let error as Failure: failure = error
        case let error as H2Error:
            failure = Failure(error, during: transfer.phase)
            failure.message += whyNotAgain(error.retryRefusal)
            if case .timeout(.firstByte, let limit) = error.cause, let slowest = settings.slowest,
                limit == .seconds(slowest.seconds)
            {
                failure.message = slowest.failure.message
            }
            if case .timeout(.wholeRequest, _) = error.cause, let limit = settings.maxTime {
                // The client was given only the time that was left.
                failure.message = "it took longer than \(limit.brief); allow more time with -m"
            }
            if error.code == .tlsConfiguration, isOurCertificate(error) { failure.status = .clientCertificate }
            // The printed line begins with the URL already.
            for url in [transfer.url, settings.schemes.completed(transfer.url)] {
                let repeated = "bad URL '\(url)': "
                if failure.message.hasPrefix(repeated) { failure.message.removeFirst(repeated.count) }
            }
        default: failure = Failure(.stream, "\(error)")
        }
        if !transfer.leftover.isEmpty { failure.message += "; \(transfer.leftover)" }
        return failure
    }

    /// Whether the unusable file is that of --cert or --key, rather than --cacert.
    private func isOurCertificate(_ error: H2Error) -> Bool {
        let tls = settings.tls
        let paths = [
            tls.certificateFile, tls.privateKeyFile, tls.identity?.certificates.path, tls.identity?.privateKey?.path,
        ]
        return paths.contains { path in path.map { error.message.firstRange(ofASCII: "'\($0)'") != nil } ?? false }
    }

    /// - Parameter index: counts in this part.
    func note(_ status: ExitReason, at index: Int) {
        let (sum, isTooLarge) = urlsBefore.addingReportingOverflow(index)
        let index = isTooLarge ? Int.max : sum
        if firstFailure.map({ index < $0.index }) ?? true { firstFailure = (index, status) }
    }

    // MARK: - Messages

    private func summary(_ statistics: HTTPClient.Statistics) -> Summary {
        Summary(
            requests: done + failed, failed: failed, failures: failures, peakInFlight: peakInFlight,
            bodyBytes: bodyBytes, elapsed: (ContinuousClock.now - start).inSeconds, spoken: spoken,
            first: firstConnection, statistics: statistics)
    }
}
