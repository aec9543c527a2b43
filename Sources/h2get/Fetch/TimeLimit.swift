import Synchronization

/// -m for one transfer: limits everything it does and waits for, including a reader of stdout or a pipe's other end.
///
/// The client has the same limit for the request and a more precise message, so it gets a head start of `grace`.
final class TimeLimit: Sendable {
    private static let grace = Duration.milliseconds(30)
    private let over = Atomic<Bool>(false)

    /// Whether the work was cancelled because the limit expired.
    var isOver: Bool { over.load(ordering: .relaxed) }

    /// Runs `work`, and cancels it after `limit`.
    static func run<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable (TimeLimit) async -> Value
    ) async -> Value {
        let clock = TimeLimit()
        return await watched {
            do { try await Task.sleep(for: limit + grace) } catch { return }
            clock.over.store(true, ordering: .relaxed)
        } work: {
            await work(clock)
        }
    }
}

/// Runs `work` beside `watch`. When one of them ends, the other is cancelled.
/// - Returns: the value of `work`, also if it was cancelled.
func watched<Value: Sendable>(
    by watch: @escaping @Sendable () async -> Void, work: @escaping @Sendable () async -> Value
) async -> Value {
    await withTaskGroup(of: Value?.self) { group in
        group.addTask { await work() }
        group.addTask {
            await watch()
            return nil
        }
        var result: Value?
        while result == nil, let next = await group.next() {
            group.cancelAll()
            result = next
        }
        // The work always returns a value.
        return result!
    }
}
