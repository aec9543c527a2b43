/// Who may write to stdout: one response at a time, in the order of the URLs.
///
/// 1. A small response whose turn it is not leaves its bytes here, and its worker goes on to the next URL.
/// 2. A large one waits for its turn, and is not read meanwhile: its window fills and holds the server back.
/// 3. So what waits is bounded: by `depositLimit` and `depositBytesLimit`, and by the windows of the streams at once.
/// 4. The one whose turn it is was always sent before those that wait for it, so that it can always come to its end.
///
/// Belongs to one actor.
final class Turns {
    /// How many small responses may be left here, and how many bytes in all.
    private static let depositLimit = 4096
    private static let depositBytesLimit = 16 << 20

    private enum Outcome {
        /// Nothing (more) is to be written.
        case ended
        case deposit([UInt8])
    }

    /// The turn that may write now.
    private var current = 0
    private var outcomes: [Int: Outcome] = [:]
    private var depositBytes = 0
    private var waiting: [Int: Waiter] = [:]
    private var isWriting = false
    private var deposits = (written: 0, lost: 0)

    func isCurrent(_ turn: Int) -> Bool { turn == current && !isWriting }

    /// Returns when it is this turn; until its `end`, nobody else writes.
    /// - Throws: `CancellationError`, at once when the task is cancelled. The turn must be ended all the same.
    nonisolated(nonsending) func wait(for turn: Int) async throws {
        while !isCurrent(turn) {
            let waiter = Waiter()
            waiting[turn] = waiter
            do { try await waiter.wait() } catch {
                waiting[turn] = nil
                throw error
            }
        }
        try Task.checkCancellation()
    }

    /// The turn has written all that it had to, left its bytes here, or failed. Every turn must end, and `writeDeposits`
    /// follow.
    func end(_ turn: Int) {
        if turn >= current, outcomes[turn] == nil { outcomes[turn] = .ended }
    }

    /// Takes over a whole response; false where no more is taken.
    func deposit(_ bytes: [UInt8], for turn: Int) -> Bool {
        guard outcomes.count < Self.depositLimit, depositBytes + bytes.count <= Self.depositBytesLimit else {
            return false
        }
        depositBytes += bytes.count
        outcomes[turn] = .deposit(bytes)
        return true
    }

    /// How many of the responses that were left here have been written, and how many could not be, since this was asked last.
    func takeDeposits() -> (written: Int, lost: Int) {
        defer { deposits = (0, 0) }
        return deposits
    }

    /// Writes what was left here and is next in the order, then lets the next that waits write.
    ///
    /// One of the callers writes for all.
    /// - Throws: what `write` throws.
    nonisolated(nonsending) func writeDeposits(
        _ write: nonisolated(nonsending) ([UInt8]) async throws -> Void
    ) async throws {
        guard !isWriting, outcomes[current] != nil else { return }
        isWriting = true
        defer {
            isWriting = false
            waiting.removeValue(forKey: current)?.resume()
        }
        // Responses that arrived together are left here one after the other: wait for all of them, and write them at once.
        await Task.yield()
        while outcomes[current] != nil {
            var bytes: [UInt8] = []
            var count = 0
            while bytes.count < 1 << 20, let outcome = outcomes.removeValue(forKey: current) {
                current += 1
                if case .deposit(let more) = outcome {
                    count += 1
                    if bytes.isEmpty { bytes = more } else { bytes += more }
                }
            }
            depositBytes -= bytes.count
            do {
                if !bytes.isEmpty { try await write(bytes) }
                deposits.written += count
            } catch {
                deposits.lost += count
                throw error
            }
        }
    }
}
