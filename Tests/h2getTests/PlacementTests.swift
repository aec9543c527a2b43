import H2Client
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct PlacementTests {
    private func placement(_ arguments: String...) throws -> Placement {
        try FetchSettings(try parsed(.fetch, arguments)).placement
    }

    @Test func `-o names the URLs in order and the rest goes to stdout`() throws {
        let placement = try placement("-o", "a", "-o", "-", "u1", "u2", "u3")
        #expect(placement.destination(ofURLAt: 0) == .file("a"))
        #expect(placement.destination(ofURLAt: 1) == .standardOutput)
        #expect(placement.destination(ofURLAt: 2) == .standardOutput)
        #expect((0...3).map { placement.standardOutputCount(ofFirst: $0) } == [0, 0, 1, 2])
    }

    @Test func `-O names the URLs that no -o names`() throws {
        let placement = try placement("-o", "a", "-O", "u1", "u2")
        #expect(placement.destination(ofURLAt: 0) == .file("a"))
        #expect(placement.destination(ofURLAt: 1) == .remoteName)
        #expect(!placement.isAllStandardOutput(from: 0))
    }

    @Test func `A single -o to the null device discards every body`() throws {
        let placement = try placement("-o", "/dev/null", "u1", "u2")
        #expect(placement.destination(ofURLAt: 1) == .discard)
        #expect(placement.standardOutputCount(ofFirst: 2) == 0)
    }

    @Test func `--output-dir holds for relative names only`() throws {
        let placement = try placement("--output-dir", "dir", "-o", "a", "-o", "/b", "u1", "u2")
        #expect(placement.destination(ofURLAt: 0) == .file("dir/a"))
        #expect(placement.destination(ofURLAt: 1) == .file("/b"))
    }

    @Test(arguments: [
        ("https://localhost/a/b.txt", "b.txt"), ("https://localhost/a?x=/../y", "a"),
        ("https://localhost/a/..%2fb", "..%2fb"),
        ("https://localhost/.hidden#f", ".hidden"),
    ])
    func `-O takes the last part of the path and nothing else`(_ url: String, _ name: String) throws {
        #expect(try Placement.remoteName(of: try RequestTarget(url)) == name)
    }

    @Test(arguments: [
        "https://localhost", "https://localhost/a/", "https://localhost/..", "https://localhost/a/.",
        "https://localhost/%2e%2e",
    ])
    func `-O refuses a URL without a usable name`(_ url: String) throws {
        let target = try RequestTarget(url)
        #expect(throws: Failure.self) { try Placement.remoteName(of: target) }
    }
}
