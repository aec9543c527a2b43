import H2TestSupport
import Testing

/// Which suites run at once.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct SuiteTurnsTests {
    /// Who got a turn, in that order.
    private actor Log {
        private(set) var names: [String] = []
        func add(_ name: String) { names.append(name) }
    }

    @Test func `So many run at once, and the next one when one is over`() async throws {
        let turns = SuiteTurns(light: 2, measuring: 1)
        try await turns.take(.light)
        try await turns.take(.light)
        let third = Task { try await turns.take(.light) }
        try await eventually("the third waits") { turns.waiting == 1 }
        turns.giveBack(.light)
        try await third.value
        #expect(turns.waiting == 0)
    }

    @Test func `Who measures runs beside nobody else`() async throws {
        let turns = SuiteTurns(light: 2, measuring: 2)
        let log = Log()
        try await turns.take(.light)
        let measuring = Task {
            try await turns.take(.measuring)
            await log.add("measuring")
        }
        try await eventually("the one that measures waits") { turns.waiting == 1 }
        try await turns.take(.light)
        await log.add("light")
        turns.giveBack(.light)
        #expect(turns.waiting == 1)
        turns.giveBack(.light)
        try await measuring.value
        #expect(await log.names == ["light", "measuring"])
        let light = Task { try await turns.take(.light) }
        try await eventually("the light one waits") { turns.waiting == 1 }
        turns.giveBack(.measuring)
        try await light.value
    }

    @Test func `Who is cancelled waits no longer, and takes no turn`() async throws {
        let turns = SuiteTurns(light: 1, measuring: 1)
        try await turns.take(.light)
        let cancelled = Task { try await turns.take(.light) }
        try await eventually("it waits") { turns.waiting == 1 }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        let before = Task {
            while !Task.isCancelled { await Task.yield() }
            try await turns.take(.light)
        }
        before.cancel()
        await #expect(throws: CancellationError.self) { try await before.value }
        turns.giveBack(.light)
        try await turns.take(.light)
        #expect(turns.waiting == 0)
    }
}
