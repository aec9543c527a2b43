import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct URLListTests {
    private func all(_ list: URLList) async throws -> [String] {
        var urls: [String] = []
        while let (index, entry) = try await list.next() {
            #expect(index == urls.count)
            urls.append(entry.url)
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
        #expect(try await list.next()?.entry.url == "https://a/")
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
