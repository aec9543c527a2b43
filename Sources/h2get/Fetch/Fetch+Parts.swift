import H2Client
import H2Platform
import HTTPTypes

/// The parts of the command line, and the state that each has of its own.
extension Fetch {
    /// The URLs of this part.
    var list: URLList { lists[part] }
    var client: HTTPClient { clients.current }
    var origins: KnownOrigins { clients.origins }
    /// The number of URLs of the parts before this one.
    var urlsBefore: Int { lists[..<part].reduce(0) { $0 + $1.count } }
    /// The number of URLs that were begun, in all parts.
    var urlsBegun: Int { lists.reduce(0) { $0 + $1.count } }
    /// The number of all URLs; nil until all lists have been read to their end.
    var urlsInAll: Int? {
        let totals = lists.map(\.total)
        return totals.contains(nil) ? nil : totals.reduce(0) { $0 + ($1 ?? 0) }
    }
    var hasSeveralParts: Bool { plan.parts.count > 1 }

    /// - Throws: `Failure` if the part's files cannot be used, `CancellationError`.
    func begin(_ index: Int) async throws {
        part = index
        var settings = plan.parts[index]
        outputOrder = OutputOrder()
        permits = OrderedSemaphore(initialLimit: settings.initialPermits)
        (sharedTargets, headDump, hasListFailed, checkedNames, template) = (nil, nil, false, [], nil)
        targets = TargetCache(settings.schemes, keepsPath: settings.keepsPath)
        try await shareCookies(&settings)
        let isNew = clients.choose(for: &settings, verbose)
        use(settings)
        if isNew || index == 0 { narrate(client) }
        for remark in settings.remarks where console.showsErrors { console.say("h2get: \(remark)") }
        warnOfUnknownVariables()
        if case .file(let path)? = settings.headDump { headDump = try await HeadDump(path) }
    }

    /// All parts with cookies have them in common, as in curl. The files of a later one are read when it begins.
    private func shareCookies(_ settings: inout FetchSettings) async throws {
        guard part > 0, settings.cookies != nil else { return }
        let given = settings
        let stored = try await offLoop { Result { try given.storedCookies() } }.get()
        if let shared = clients.cookies {
            shared.load(stored.netscapeFile())
            settings.cookies = shared
        } else {
            settings.cookies = stored
        }
    }

    /// Runs all parts, up to one that cannot be begun.
    func runParts() async {
        for index in plan.parts.indices {
            guard !Task.isCancelled, !hasStoppedEarly, !isOutOfTime else { return }
            let isUseless = isStopped && plan.parts[index].placement.isAllStandardOutput(from: 0)
            guard !isUseless else {
                failed += lists[index].total ?? 0
                continue
            }
            isStopped = false
            do { try await begin(index) } catch {
                guard let failure = error as? Failure else {
                    isCutOff = true
                    return
                }
                console.error(failure)
                note(failure.status, at: 0)
                return
            }
            let (doneBefore, failedBefore) = (done, failed)
            await work()
            tellOfMissingNames()
            // With stdout broken, everything not done has failed, even if it was not started.
            if isStopped, !hasStoppedEarly {
                failed = max(failed, failedBefore + (list.total ?? list.count) - (done - doneBefore))
            }
            do { try await settings.saveMemory() } catch {
                guard let failure = error as? Failure else { continue }
                console.error(failure)
                note(failure.status, at: list.count)
            }
        }
    }

    /// The second client, which has its own connection limits.
    func clientForCurrentOutput() -> HTTPClient {
        let (client, isNew) = clients.spare()
        if isNew { narrate(client) }
        return client
    }

    /// How many URLs are looked at to find out whether several of them name one output.
    private static let mostURLsToCompare = 100_000

    /// Whether more than one body may go to a pipe, device or descriptor. For a list with -O this is not known in advance.
    func isShared(_ identity: FileIdentity) -> Bool {
        // A later part may write there, too.
        if part < plan.parts.count - 1 { return true }
        if settings.inputFile != nil, settings.placement.usesRemoteName || settings.namesListedFiles { return true }
        // To find out would take too long. An output that stays open too long is closed at the end of the run.
        if settings.urls.count > Self.mostURLsToCompare { return true }
        if let sharedTargets { return sharedTargets.contains(identity) }
        let (schemes, keepsPath) = (settings.schemes, settings.keepsPath)
        let targets = settings.placement.sharedTargets { try schemes.target(of: $0, pathAsIs: keepsPath) }
        sharedTargets = targets
        return targets.contains(identity)
    }
}
