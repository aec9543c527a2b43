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
        /// A body, and whether its transfer succeeded.
        case deposit([UInt8], counts: Bool)
        /// Text about a transfer, whose body is written or will not be.
        case line([UInt8])
    }

    /// The index of the output that may be written now.
    private var current = 0
    private var outcomes: [Int: Outcome] = [:]
    private var depositBytes = 0
    private var waiting: [Int: Waiter] = [:]
    private var isWriting = false
    /// Whether the current output is written piece by piece.
    private var isBodyUnderWay = false
    /// Text that waits for the end of a body.
    private var lines: [UInt8] = []
    private var linesWaiting: [Waiter] = []
    /// Above this, those who add text wait.
    private static let linesLimit = 1 << 20
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
        isBodyUnderWay = true
    }

    /// Ends an output that was written, deposited, or failed. Every output must end, followed by `writeDeposits`.
    /// - Parameter line: text that follows it.
    func end(_ index: Int, line: [UInt8] = []) {
        if index == current { isBodyUnderWay = false }
        if index >= current, outcomes[index] == nil { outcomes[index] = line.isEmpty ? .ended : .line(line) }
    }

    /// Adds text that belongs to no output here. It is written by `writeDeposits`, between two outputs.
    func add(_ line: [UInt8]) { lines += line }

    /// Returns when little text waits, so that it stays bounded while a long body is written.
    /// - Throws: `CancellationError`.
    nonisolated(nonsending) func waitForRoom() async throws {
        guard isBodyUnderWay, lines.count > Self.linesLimit else { return }
        let waiter = Waiter()
        linesWaiting.append(waiter)
        try await waiter.wait()
    }

    /// Takes a complete response; false if there is no room for it.
    /// - Parameter counts: whether `takeDeposits` counts it.
    func deposit(_ bytes: [UInt8], for index: Int, counts: Bool = true) -> Bool {
        guard outcomes.count < Self.depositLimit, depositBytes + bytes.count <= Self.depositBytesLimit else {
            return false
        }
        depositBytes += bytes.count
        outcomes[index] = .deposit(bytes, counts: counts)
        return true
    }

    /// Returns the number of deposits written, and of those that could not be, since the last call.
    func takeDeposits() -> (written: Int, lost: Int) {
        defer { deposits = (0, 0) }
        return deposits
    }

    /// Whether something may be written now.
    private var hasWork: Bool { outcomes[current] != nil || (!lines.isEmpty && !isBodyUnderWay) }

    /// Writes the deposits that are next in order, then lets the next waiting output be written.
    ///
    /// If there are several callers, one writes for all.
    /// - Throws: what `write` throws.
    nonisolated(nonsending) func writeDeposits(
        _ write: nonisolated(nonsending) ([UInt8]) async throws -> Void
    ) async throws {
        guard !isWriting, hasWork else { return }
        isWriting = true
        defer {
            isWriting = false
            waiting.removeValue(forKey: current)?.resume()
        }
        // Responses that arrived together are deposited one after the other: let all of them in, and write them at once.
        await Task.yield()
        while hasWork {
            var bytes = lines
            lines = []
            for waiter in linesWaiting { waiter.resume() }
            linesWaiting = []
            let textBytes = bytes.count
            var count = 0
            var lineBytes = 0
            while bytes.count < 1 << 20, let outcome = outcomes.removeValue(forKey: current) {
                current += 1
                switch outcome {
                case .ended: break
                case .deposit(let more, let counts):
                    count += counts ? 1 : 0
                    if bytes.isEmpty { bytes = more } else { bytes += more }
                case .line(let more):
                    lineBytes += more.count
                    bytes += more
                }
            }
            depositBytes -= bytes.count - textBytes - lineBytes
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
