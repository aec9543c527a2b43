/// Orders responses on stdout: one writes at a time, in the order of the URLs.
///
/// 1. A small response that arrives before its turn is deposited here, and its worker goes on to the next URL.
/// 2. A large one waits for its turn and is not read meanwhile: its window fills and holds the server back.
/// 3. So the waiting bytes are bounded by `depositLimit` and `depositBytesLimit`, and by the concurrent streams' windows.
/// 4. The response whose turn it is was always sent before those that wait for it, so it can always finish.
///
/// Confined to one actor.
final class Turns {
    /// The maximum number of deposited responses.
    private static let depositLimit = 4096
    private static let depositBytesLimit = 16 << 20

    private enum Outcome {
        /// Nothing is left to write.
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

    /// Returns when it is this turn. No other turn writes until its `end`.
    /// - Throws: `CancellationError`, as soon as the task is cancelled. The turn must still be ended.
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

    /// Ends a turn that was written, deposited, or failed. Every turn must end, followed by `writeDeposits`.
    func end(_ turn: Int) {
        if turn >= current, outcomes[turn] == nil { outcomes[turn] = .ended }
    }

    /// Takes a complete response; false if there is no room for it.
    func deposit(_ bytes: [UInt8], for turn: Int) -> Bool {
        guard outcomes.count < Self.depositLimit, depositBytes + bytes.count <= Self.depositBytesLimit else {
            return false
        }
        depositBytes += bytes.count
        outcomes[turn] = .deposit(bytes)
        return true
    }

    /// Returns the number of deposits written, and of those that could not be, since the last call.
    func takeDeposits() -> (written: Int, lost: Int) {
        defer { deposits = (0, 0) }
        return deposits
    }

    /// Writes the deposits that are next in order, then lets the next waiting turn write.
    ///
    /// If there are several callers, one writes for all.
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
        // Responses that arrived together are deposited one after the other: let all of them in, and write them at once.
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
