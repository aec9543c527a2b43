import H2Client
public import Testing

/// Lets few suites of the process run at once, each with its tests one after another.
///
/// Swift Testing starts all tests at once. A thousand that run together hold one another up: their time limits mean nothing,
/// and each reports a time that is mostly that of others. With this trait a suite waits for its turn before its first test
/// starts, so neither a test's time nor its time limit includes the wait. A waiting suite holds no thread.
///
/// Each suite that no other one contains has this trait. In a suite within a suite that has it, it does nothing.
public struct SuiteTurn: SuiteTrait, TestScoping {
    let load: SuiteTurns.Load
    /// Whether it goes before those that wait already: a suite that takes long and starts last would run alone at the end.
    var isLong = false

    /// Whether this task runs in a suite that has its turn.
    @TaskLocal private static var isTaken = false

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        if Self.isTaken { return try await function() }
        try await SuiteTurns.shared.take(load, isLong: isLong)
        defer { SuiteTurns.shared.giveBack(load) }
        try await Self.$isTaken.withValue(true) {
            try await ParallelizationTrait.serialized.provideScope(for: test, testCase: testCase, performing: function)
        }
    }
}

extension Trait where Self == SuiteTurn {
    /// Eight suites run at once.
    public static var inTurn: SuiteTurn { SuiteTurn(load: .light) }

    /// The same for suites of a minute or more, which go first.
    public static var inTurnFirst: SuiteTurn { SuiteTurn(load: .light, isLong: true) }

    /// For tests that measure, or keep a core busy: four such suites run at once, after all others.
    public static var measuring: SuiteTurn { SuiteTurn(load: .measuring) }
}

/// Who may run, and who waits: long ones first, otherwise in the order of asking.
///
/// Invariant behind `@unchecked Sendable`: what changes is touched with `lock` held.
package final class SuiteTurns: @unchecked Sendable {
    package enum Load: Sendable {
        case light
        case measuring
    }

    private struct Waiter {
        let id: Int
        let load: Load
        let isLong: Bool
        let continuation: CheckedContinuation<Void, any Error>
    }

    package static let shared = SuiteTurns(light: 8, measuring: 4)

    private let limits: [Load: Int]
    private let lock = PthreadLock()
    private var running: [Load: Int] = [.light: 0, .measuring: 0]
    private var waiters: [Waiter] = []
    private var lastID = 0

    package init(light: Int, measuring: Int) { limits = [.light: light, .measuring: measuring] }

    /// Returns when it is the caller's turn, which ends with `giveBack`.
    /// - Throws: `CancellationError`, and then there is nothing to give back.
    package func take(_ load: Load, isLong: Bool = false) async throws {
        let id = lock.withLock {
            lastID += 1
            return lastID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let ready = lock.withLock {
                    waiters.append(Waiter(id: id, load: load, isLong: isLong, continuation: continuation))
                    return admit()
                }
                for waiter in ready { waiter.continuation.resume() }
                // Cancelled before it waited: the handler found nobody.
                if Task.isCancelled { cancel(id) }
            }
        } onCancel: {
            cancel(id)
        }
    }

    package func giveBack(_ load: Load) {
        let ready = lock.withLock {
            running[load]! -= 1
            return admit()
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    /// How many wait.
    package var waiting: Int { lock.withLock { waiters.count } }

    private func cancel(_ id: Int) {
        let (cancelled, ready) = lock.withLock { () -> (Waiter?, [Waiter]) in
            guard let index = waiters.firstIndex(where: { $0.id == id }) else { return (nil, []) }
            let waiter = waiters.remove(at: index)
            return (waiter, admit())
        }
        cancelled?.continuation.resume(throwing: CancellationError())
        for waiter in ready { waiter.continuation.resume() }
    }

    /// Takes those out of the queue whose turn it is. With `lock` held.
    private func admit() -> [Waiter] {
        var ready: [Waiter] = []
        for load in [Load.light, .measuring] {
            let other: Load = load == .light ? .measuring : .light
            while running[other] == 0, running[load]! < limits[load]!,
                let index = waiters.firstIndex(where: { $0.load == load && $0.isLong })
                    ?? waiters.firstIndex(where: { $0.load == load })
            {
                ready.append(waiters.remove(at: index))
                running[load]! += 1
            }
        }
        return ready
    }
}
