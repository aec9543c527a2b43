import Foundation
import Synchronization
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct WaitingTests {
    private final class Progress: Sendable {
        let hasBegun = Atomic(false)
        let isUnwanted = Atomic(false)
        let isOver = Atomic(false)
        var wasOver: Bool { isOver.load(ordering: .relaxed) }

        func work() {
            hasBegun.store(true, ordering: .relaxed)
            waitUntil { isUnwanted.load(ordering: .relaxed) }
            // For longer than the cancelled wait would take if it did not wait for the work.
            letTimePass(.milliseconds(100))
            isOver.store(true, ordering: .relaxed)
        }
    }

    @Test func `Work off the loop that must not be left behind is over when a cancelled wait for it ends`() async {
        let progress = Progress()
        let task = Task {
            try await offLoopUntilOver(cancelled: { progress.isUnwanted.store(true, ordering: .relaxed) }) {
                progress.work()
            }
        }
        while !progress.hasBegun.load(ordering: .relaxed) { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(progress.wasOver)
    }
}
