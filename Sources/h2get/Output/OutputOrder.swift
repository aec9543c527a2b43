/// Orders responses on stdout: one writes at a time, in the order of the URLs.
///
/// 1. A small response that arrives early is deposited here, and its worker goes on to the next URL.
/// 2. A large one waits until it is next and is not read meanwhile: its window fills and holds the server back.
/// 3. So the waiting bytes are bounded by `depositLimit` and `depositBytesLimit`, and by the concurrent streams' windows.
/// 4. The response that may be written was always sent before those that wait for it, so it can always finish.
///
/// Confined to one actor.
final class OutputOrder {
    /// The maximum number of deposited responses.
    private static let depositLimit = 4096
    private static let depositBytesLimit = 16 << 20

    private enum Outcome {
        /// Nothing is left to write.
        case ended
        case deposit([UInt8])
    }

    /// The index of the output that may be written now.
    private var current = 0
    private var outcomes: [Int: Outcome] = [:]
    private var depositBytes = 0
    private var waiting: [Int: Waiter] = [:]
    private var isWriting = false
    private var deposits = (written: 0, lost: 0)

    func isCurrent(_ index: Int) -> Bool { index == current && !isWriting }

    /// Returns when this output may be written. No other is written until its `end`.
    /// - Throws: `CancellationError`, as soon as the task is cancelled. The output must still be ended.
    nonisolated(nonsending) func wait(for index: Int) async throws {
        while !isCurrent(index) {
            let waiter = Waiter()
            waiting[index] = waiter
            do { try await waiter.wait() } catch {
                waiting[index] = nil
                throw error
            }
        }
        try Task.checkCancellation()
    }

    /// Ends an output that was written, deposited, or failed. Every output must end, followed by `writeDeposits`.
    func end(_ index: Int) {
        if index >= current, outcomes[index] == nil { outcomes[index] = .ended }
    }

    /// Takes a complete response; false if there is no room for it.
    func deposit(_ bytes: [UInt8], for index: Int) -> Bool {
        guard outcomes.count < Self.depositLimit, depositBytes + bytes.count <= Self.depositBytesLimit else {
            return false
        }
        depositBytes += bytes.count
        outcomes[index] = .deposit(bytes)
        return true
    }

    /// Returns the number of deposits written, and of those that could not be, since the last call.
    func takeDeposits() -> (written: Int, lost: Int) {
        defer { deposits = (0, 0) }
        return deposits
    }

    /// Writes the deposits that are next in order, then lets the next waiting output be written.
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
