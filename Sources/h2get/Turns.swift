/// Who may write to stdout: one response at a time, in the order of the URLs.
///
/// A response whose turn it is not is not read; its window fills and holds the server back, so that what waits is
/// bounded. The one whose turn it is was always sent before those that wait for it.
///
/// Belongs to one actor.
final class Turns {
    private var issued = 0
    private var current = 0
    private var ended: Set<Int> = []
    private var waiting: [Int: CheckedContinuation<Void, Never>] = [:]

    /// A place in the order, for the next URL.
    func take() -> Int {
        defer { issued += 1 }
        return issued
    }

    func isCurrent(_ turn: Int) -> Bool { turn == current }

    /// Returns when it is this turn. A cancelled task too waits for those before it, which end at once then.
    /// - Throws: `CancellationError`.
    nonisolated(nonsending) func wait(for turn: Int) async throws {
        if turn != current {
            await withCheckedContinuation { waiting[turn] = $0 }
        }
        try Task.checkCancellation()
    }

    /// Every turn taken must end exactly once, whether it was used or not.
    func end(_ turn: Int) {
        ended.insert(turn)
        while ended.remove(current) != nil { current += 1 }
        waiting.removeValue(forKey: current)?.resume()
    }
}
