import Synchronization

/// -m for one transfer: everything that it does and waits for, a reader of stdout and the other end of a pipe included.
///
/// The library has the same limit for the request, and says more about what took so long: it goes first.
final class TimeLimit: Sendable {
    private static let grace = Duration.milliseconds(30)
    private let over = Atomic<Bool>(false)

    /// Whether what was cancelled took too long, rather than being unwanted.
    var isOver: Bool { over.load(ordering: .relaxed) }

    /// Runs `work`, and cancels it after `limit`.
    static func run<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable (TimeLimit) async -> Value
    ) async -> Value {
        let clock = TimeLimit()
        return await withTaskGroup(of: Value?.self) { group in
            group.addTask { await work(clock) }
            group.addTask {
                do { try await Task.sleep(for: limit + grace) } catch { return nil }
                clock.over.store(true, ordering: .relaxed)
                return nil
            }
            var result: Value?
            while result == nil, let next = await group.next() {
                group.cancelAll()
                result = next
            }
            // The work always has a value.
            return result!
        }
    }
}
