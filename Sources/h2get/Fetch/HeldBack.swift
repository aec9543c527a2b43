import H2Client
import H2Measure

/// Finds origins whose requests all wait because --polite or --rate holds them back.
///
/// Without a message the run would seem to hang.
struct HeldBack {
    private struct Wait {
        let start: ContinuousClock.Instant
        var isTold = false
    }

    /// Shorter waits are not reported.
    private static let shortest = Duration.seconds(1)
    private var waits: [Origin: Wait] = [:]

    /// - Parameter origins: the origins' current figures.
    /// - Returns: the origins whose requests have waited for a second, and how many wait; `isNews` is true the first time.
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
