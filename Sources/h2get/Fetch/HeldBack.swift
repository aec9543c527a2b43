import H2Client
import H2Measure

/// Notices origins to which nothing is sent although requests wait: --polite and --rate hold them back, and the run would
/// seem to hang.
struct HeldBack {
    private struct Wait {
        let start: ContinuousClock.Instant
        var isTold = false
    }

    /// Shorter ones are not worth a word.
    private static let shortest = Duration.seconds(1)
    private var waits: [Origin: Wait] = [:]

    /// - Parameter origins: their figures at this moment.
    /// - Returns: origins whose requests have waited for a second, and how many do; `isNews` where that was not so before.
    mutating func update(
        _ origins: [HTTPClient.Statistics.OriginStatistics], now: ContinuousClock.Instant
    ) -> [(origin: Origin, requests: Int, isNews: Bool)] {
        var held: [(origin: Origin, requests: Int, isNews: Bool)] = []
        var present: [Origin: Wait] = [:]
        for figures in origins
        where figures.waitingRequests > 0 && figures.openStreams == 0 && figures.connecting == 0 {
            var wait = waits[figures.origin] ?? Wait(start: now)
            if now - wait.start >= Self.shortest {
                held.append((figures.origin, figures.waitingRequests, !wait.isTold))
                wait.isTold = true
            }
            present[figures.origin] = wait
        }
        waits = present
        return held
    }
}
