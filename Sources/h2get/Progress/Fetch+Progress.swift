import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// A transfer under way, as far as progress shows it. There are none unless progress is shown.
///
/// Nothing tells it of each piece: a timer asks the response how much has come.
struct RunningTransfer {
    let index: Int
    /// Printable.
    let name: String
    /// Several with --range-split, and of a download that was continued.
    private(set) var responses: [StreamedResponse] = []
    private var isLengthKnown = false
    private(set) var expected: Int?
    private(set) var rate = TransferRate(at: 0)
    private(set) var received = 0

    init(_ transfer: Transfer, _ settings: FetchSettings) {
        index = transfer.index
        // A file is known by its name, anything else by its URL.
        let file = transfer.fileName.map { splitPath($0).name }
        name = printable(file.flatMap { $0 == "null" || $0.isEmpty ? nil : $0 } ?? Self.name(of: transfer.url))
    }

    /// A URL without its scheme and secrets.
    private static func name(of url: String) -> String {
        let url = withoutSecrets(url)
        return url.firstRange(ofASCII: "://").map { String(url[$0.upperBound...]) } ?? url
    }

    /// The number of bytes that all its responses will have.
    mutating func expects(_ bytes: Int) { (expected, isLengthKnown) = (bytes, true) }

    mutating func begins(_ response: StreamedResponse, isHead: Bool) {
        responses.append(response)
        guard !isHead, !isLengthKnown else { return }
        expected = response.firstValue(of: .contentLength).flatMap { Int($0) }.map { $0 + received }
    }

    mutating func note(_ received: Int, at seconds: Double) {
        self.received = received
        rate.note(received, at: seconds)
    }

    var snapshot: ProgressSnapshot.Running {
        ProgressSnapshot.Running(
            index: index, name: name, state: responses.isEmpty ? .waiting : .receiving, received: received,
            expected: expected, rate: rate.perSecond)
    }
}

extension Fetch {
    /// How often progress is drawn.
    private static let interval = Duration.milliseconds(100)

    /// Shows progress, and reports requests that --polite or --rate holds back.
    func watch() async {
        // A run that is over at once needs no progress.
        var pause = Duration.milliseconds(200)
        while !Task.isCancelled {
            do { try await Task.sleep(for: pause) } catch { return }
            pause = console.wantsProgress ? Self.interval : .milliseconds(200)
            let waits = settings.politeOptions == nil ? "" : await heldBackRequests()
            guard console.wantsProgress else { continue }
            let snapshot = await progressSnapshot(heldBack: waits)
            if Task.isCancelled { return }
            show(snapshot)
        }
    }

    private func heldBackRequests() async -> String {
        guard let options = settings.politeOptions else { return "" }
        let held = heldBack.update(await clients.statistics().origins, now: .now)
        for wait in held where wait.isNews && settings.verbosity > 0 {
            let what = wait.requests == 1 ? "1 request to" : "\(wait.requests) requests to"
            console.say("* \(options) holds \(what) \(wait.origin) back")
        }
        let count = held.reduce(0) { $0 + $1.requests }
        return count > 0 ? "\(count) held back (\(options))" : ""
    }

    private func progressSnapshot(heldBack: String) async -> ProgressSnapshot {
        let now = (ContinuousClock.now - start).inSeconds
        for (index, transfer) in running {
            var received = 0
            for response in transfer.responses { received += await response.metrics().bodyBytesReceived }
            // It may have ended meanwhile.
            running[index]?.note(received, at: now)
        }
        var snapshot = ProgressSnapshot()
        snapshot.running = running.values.map(\.snapshot)
        (snapshot.done, snapshot.failed, snapshot.total) = (done, failed, urlsInAll)
        // The end of the list may not be known yet.
        if let total = snapshot.total { snapshot.total = max(total, done + failed) }
        snapshot.bytes = snapshot.running.reduce(bodyBytes) { $0 + $1.received }
        overallRate.note(snapshot.bytes, at: now)
        (snapshot.rate, snapshot.elapsed, snapshot.heldBack) = (overallRate.perSecond, now, heldBack)
        return snapshot
    }

    private func show(_ snapshot: ProgressSnapshot) {
        let (isBar, style) = (settings.progressIsBar, console.style)
        console.progress { width, height in
            isBar
                ? [ProgressText.bar(snapshot, width: width, style: style)]
                : ProgressText.lines(snapshot, width: width, height: height, style: style)
        }
    }

    /// Removes progress; with -# the finished bar stays, as in curl.
    func endProgress() async {
        guard console.wantsProgress else { return }
        guard settings.progressIsBar, !Task.isCancelled else { return console.wipeProgress() }
        show(await progressSnapshot(heldBack: ""))
        console.keepProgress()
    }
}
