import Testing

@testable import h2get

@Suite struct `URL list` {
    private func all(_ list: URLList) async throws -> [String] {
        var urls: [String] = []
        while let (index, url) = try await list.next() {
            #expect(index == urls.count)
            urls.append(url)
        }
        return urls
    }

    @Test func `the command line comes first, comments and blank lines are passed over`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("# comment\n\n  https://b/ \r\nhttps://c/", to: "list")
        let list = try URLList(urls: ["https://a/"], inputFile: file)
        #expect(list.total == nil)
        #expect(try await all(list) == ["https://a/", "https://b/", "https://c/"])
        #expect(list.total == 3)
    }

    @Test func `a list longer than the read buffer is whole`() async throws {
        let folder = try TemporaryFolder()
        let urls = (0..<20_000).map { "https://host/\($0)" }
        let file = try folder.write(urls.joined(separator: "\n"), to: "list")
        #expect(try await all(try URLList(urls: [], inputFile: file)) == urls)
    }

    @Test func `a file that is no list is an error, not a heap`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(String(repeating: "x", count: 3 << 20), to: "list")
        let list = try URLList(urls: [], inputFile: file)
        let error = await #expect(throws: Failure.self) { try await list.next() }
        #expect(error?.status == .readFailed)
    }

    @Test func `a list that is not there is an error`() {
        #expect(throws: Failure.self) { try URLList(urls: [], inputFile: "/nonexistent/list") }
    }
}

@Suite struct `Turns on stdout` {
    /// The order in which bodies were written, on one actor as in the tool.
    private actor Stage {
        let turns = Turns()
        var written: [Int] = []

        func perform(_ turn: Int, delay: Int, fails: Bool) async {
            defer { turns.end(turn) }
            for _ in 0..<delay { await Task.yield() }
            if fails { return }
            try? await turns.wait(for: turn)
            written.append(turn)
        }
    }

    @Test(arguments: [[3, 1, 2, 0], [0, 0, 0, 0], [0, 5, 1, 9]])
    func `bodies come in the order of the URLs, however their heads come`(_ delays: [Int]) async {
        let stage = Stage()
        await withTaskGroup(of: Void.self) { group in
            for (turn, delay) in delays.enumerated() {
                group.addTask { await stage.perform(turn, delay: delay, fails: false) }
            }
        }
        #expect(await stage.written == [0, 1, 2, 3])
    }

    @Test func `a failed transfer gives its turn away`() async {
        let stage = Stage()
        await withTaskGroup(of: Void.self) { group in
            for turn in 0..<6 {
                group.addTask { await stage.perform(turn, delay: 6 - turn, fails: turn % 2 == 0) }
            }
        }
        #expect(await stage.written == [1, 3, 5])
    }
}
