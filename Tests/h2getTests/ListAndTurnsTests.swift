import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct URLListTests {
    private func all(_ list: URLList) async throws -> [String] {
        var urls: [String] = []
        while let (index, url) = try await list.next() {
            #expect(index == urls.count)
            urls.append(url)
        }
        return urls
    }

    @Test func `The command line comes first, comments and blank lines are passed over`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("# comment\n\n  https://b/ \r\nhttps://c/", to: "list")
        let list = try URLList(urls: ["https://a/"], inputFile: file)
        #expect(list.total == nil)
        #expect(try await all(list) == ["https://a/", "https://b/", "https://c/"])
        #expect(list.total == 3)
    }

    @Test func `A list longer than the read buffer is whole`() async throws {
        let folder = try TemporaryFolder()
        let urls = (0..<20_000).map { "https://host/\($0)" }
        let file = try folder.write(urls.joined(separator: "\n"), to: "list")
        #expect(try await all(try URLList(urls: [], inputFile: file)) == urls)
    }

    @Test func `A file that is no list is an error, not a heap`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(String(repeating: "x", count: 3 << 20), to: "list")
        let list = try URLList(urls: [], inputFile: file)
        let error = await #expect(throws: Failure.self) { try await list.next() }
        #expect(error?.status == .readFailed)
    }

    @Test(arguments: [false, true])
    func `A line over 1 MiB is refused by its number, and no part of it is taken for a URL`(
        _ isWhole: Bool
    ) async throws {
        let folder = try TemporaryFolder()
        let long = "https://host/" + String(repeating: "x", count: (1 << 20) + (isWhole ? 10 : 3 << 20))
        let file = try folder.write("https://a/\n\(long)\nhttps://b/\n", to: "list")
        let list = try URLList(urls: [], inputFile: file)
        #expect(try await list.next()?.url == "https://a/")
        for _ in 0..<3 {
            let error = await #expect(throws: Failure.self) { try await list.next() }
            #expect(error?.status == .readFailed)
            #expect(error?.message.contains("line 2 ") == true, "\(error?.message.prefix(300) ?? "")")
            #expect(error?.message.contains("https://host/xxx") == true)
            #expect((error?.message.count ?? .max) < 300)
        }
    }

    @Test(arguments: ["", "\n"]) func `A byte-order mark is no part of the first line`(_ end: String) async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("\u{FEFF}https://a/\(end)", to: "list")
        #expect(try await all(try URLList(urls: [], inputFile: file)) == ["https://a/"])
        let short = try folder.write("ab", to: "short")
        #expect(try await all(try URLList(urls: [], inputFile: short)) == ["ab"])
        let empty = try folder.write("", to: "empty")
        #expect(try await all(try URLList(urls: [], inputFile: empty)) == [])
    }

    @Test func `A list that is not there is an error`() {
        #expect(throws: Failure.self) { try URLList(urls: [], inputFile: "/nonexistent/list") }
    }
}

@Suite(.inTurn) struct TurnTests {
    /// The order in which bodies were written, on one actor as in the tool.
    private actor Stage {
        enum Way { case streams, deposits, fails }

        let turns = Turns()
        var written: [UInt8] = []
        var writes = 0

        func perform(_ turn: Int, delay: Int, _ way: Way) async {
            for _ in 0..<delay { await Task.yield() }
            switch way {
            case .fails: break
            case .deposits: #expect(turns.deposit([UInt8(turn)], for: turn))
            case .streams:
                guard (try? await turns.wait(for: turn)) != nil else { break }
                await write([UInt8(turn)])
                // Nobody else may come in between.
                await Task.yield()
                await write([UInt8(turn)])
            }
            turns.end(turn)
            try? await turns.writeDeposits { await self.write($0) }
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
            for (turn, delay) in delays.enumerated() {
                let way = way(turn)
                group.addTask { await stage.perform(turn, delay: delay, way) }
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

    @Test func `Who is cancelled waits no longer, and gives its turn away`() async {
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

    @Test func `A failed transfer gives its turn away`() async {
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
        let turns = Turns()
        for turn in 0..<3 { #expect(turns.deposit([UInt8(turn)], for: turn)) }
        try await turns.writeDeposits { _ in }
        #expect(turns.takeDeposits() == (3, 0))
        for turn in 3..<5 { #expect(turns.deposit([UInt8(turn)], for: turn)) }
        await #expect(throws: Failure.self) { try await turns.writeDeposits { _ in throw Failure(.writeFailed, "m") } }
        #expect(turns.takeDeposits() == (0, 2))
        #expect(turns.takeDeposits() == (0, 0))
    }

    @Test func `What is left for later is bounded`() {
        let turns = Turns()
        let megabyte = [UInt8](repeating: 0, count: 1 << 20)
        var taken = 0
        while taken < 100, turns.deposit(megabyte, for: taken + 1) { taken += 1 }
        #expect(taken == 16)
        let many = Turns()
        taken = 0
        while taken < 10_000, many.deposit([], for: taken + 1) { taken += 1 }
        #expect(taken == 4096)
    }
}
