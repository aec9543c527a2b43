import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct OutputOrderTests {
    /// The order in which bodies were written, on one actor as in the tool.
    private actor Stage {
        enum Way { case streams, deposits, fails }

        let order = OutputOrder()
        var written: [UInt8] = []
        var writes = 0

        func perform(_ index: Int, delay: Int, _ way: Way) async {
            for _ in 0..<delay { await Task.yield() }
            switch way {
            case .fails: break
            case .deposits: #expect(order.deposit([UInt8(index)], for: index))
            case .streams:
                guard (try? await order.wait(for: index)) != nil else { break }
                await write([UInt8(index)])
                // Nobody else may come in between.
                await Task.yield()
                await write([UInt8(index)])
            }
            order.end(index)
            try? await order.writeDeposits { await self.write($0) }
        }

        private func write(_ bytes: [UInt8]) async {
            written += bytes
            writes += 1
            await Task.yield()
        }
    }

    private func perform(_ delays: [Int], _ way: @Sendable (Int) -> Stage.Way) async -> (written: [UInt8], writes: Int)
    {
        let stage = Stage()
        await withTaskGroup(of: Void.self) { group in
            for (index, delay) in delays.enumerated() {
                let way = way(index)
                group.addTask { await stage.perform(index, delay: delay, way) }
            }
        }
        return (await stage.written, await stage.writes)
    }

    @Test(arguments: [[3, 1, 2, 0], [0, 0, 0, 0], [0, 5, 1, 9]])
    func `Bodies come in the order of the URLs, however their heads come`(_ delays: [Int]) async {
        #expect(await perform(delays) { _ in .streams }.written == [0, 0, 1, 1, 2, 2, 3, 3])
        #expect(await perform(delays) { _ in .deposits }.written == [0, 1, 2, 3])
        #expect(await perform(delays) { $0 % 2 == 0 ? .streams : .deposits }.written == [0, 0, 1, 2, 2, 3])
        #expect(await perform(delays) { $0 % 2 == 0 ? .deposits : .streams }.written == [0, 1, 1, 2, 3, 3])
    }

    @Test func `Who is cancelled waits no longer, and lets the next one write`() async {
        let stage = Stage()
        let waiting = Task { await stage.perform(2, delay: 0, .streams) }
        let cancelled = Task { await stage.perform(1, delay: 0, .streams) }
        for _ in 0..<1000 { await Task.yield() }
        cancelled.cancel()
        await cancelled.value
        #expect(await stage.written.isEmpty)
        await stage.perform(0, delay: 0, .deposits)
        await waiting.value
        #expect(await stage.written == [0, 2, 2])
    }

    @Test func `A failed transfer lets the next one write`() async {
        let delays = [6, 5, 4, 3, 2, 1]
        #expect(await perform(delays) { $0 % 2 == 0 ? .fails : .streams }.written == [1, 1, 3, 3, 5, 5])
        #expect(await perform(delays) { $0 % 2 == 0 ? .fails : .deposits }.written == [1, 3, 5])
    }

    @Test func `What is there together is written together`() async {
        let result = await perform([9] + Array(repeating: 0, count: 99)) { _ in .deposits }
        #expect(result.written == Array(0..<100))
        #expect(result.writes <= 2)
    }

    @Test func `What was left to be written counts as written or as lost`() async throws {
        let order = OutputOrder()
        for index in 0..<3 { #expect(order.deposit([UInt8(index)], for: index)) }
        try await order.writeDeposits { _ in }
        #expect(order.takeDeposits() == (3, 0))
        for index in 3..<5 { #expect(order.deposit([UInt8(index)], for: index)) }
        await #expect(throws: Failure.self) { try await order.writeDeposits { _ in throw Failure(.writeFailed, "m") } }
        #expect(order.takeDeposits() == (0, 2))
        #expect(order.takeDeposits() == (0, 0))
    }

    @Test func `What is left for later is bounded`() {
        let order = OutputOrder()
        let megabyte = [UInt8](repeating: 0, count: 1 << 20)
        var taken = 0
        while taken < 100, order.deposit(megabyte, for: taken + 1) { taken += 1 }
        #expect(taken == 16)
        let many = OutputOrder()
        taken = 0
        while taken < 10_000, many.deposit([], for: taken + 1) { taken += 1 }
        #expect(taken == 4096)
    }
}
