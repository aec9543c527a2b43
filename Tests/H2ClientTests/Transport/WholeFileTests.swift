import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct WholeFileTests {
    private func folder() throws -> String { try TemporaryDirectory.shared.newFolder("whole-file") }

    private func entries(of path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    @Test func `A file is created, replaced and read, and nothing is left beside it`() throws {
        let folder = try folder()
        let path = folder + "/file"
        for size in [0, 1, 65_536, 65_537, 300_000] {
            let bytes = [UInt8](repeating: UInt8(size & 0xff), count: size)
            try WholeFile.replace(path, with: bytes)
            #expect(try WholeFile.read(path, upTo: 300_000) == bytes)
        }
        #expect(entries(of: folder) == ["file"])
    }

    @Test func `A file that is too long is refused`() throws {
        let path = try folder() + "/file"
        try WholeFile.replace(path, with: [UInt8](repeating: 1, count: 1_001))
        #expect(throws: H2Error.self) { try WholeFile.read(path, upTo: 1_000) }
        do throws(H2Error) {
            _ = try WholeFile.read("/proc/self/maps", upTo: 10)
            Issue.record("it is longer than it says")
        } catch { #expect(error.code == .limitExceeded) }
        #expect(try !WholeFile.read("/proc/self/status", upTo: 1 << 20).isEmpty)
    }

    @Test func `A symbolic link stays, and the file behind it is replaced`() throws {
        let folder = try folder()
        try WholeFile.replace(folder + "/file", with: [1])
        #expect(symlink("file", folder + "/link") == 0)
        try WholeFile.replace(folder + "/link", with: [2])
        #expect(try WholeFile.read(folder + "/file", upTo: 10) == [2])
        var status = stat()
        #expect(lstat(folder + "/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    }

    @Test func `What is no regular file is neither read nor replaced`() throws {
        let folder = try folder()
        #expect(mkfifo(folder + "/pipe", 0o600) == 0)
        for path in [
            folder, folder + "/pipe", "/dev/null", "/dev/full", "", folder + "/none/file", folder + "/file\0x",
        ] {
            let read = #expect(throws: H2Error.self) { try WholeFile.read(path, upTo: 10) }
            let replaced = #expect(throws: H2Error.self) { try WholeFile.replace(path, with: [1]) }
            #expect(read?.code == .localIO && replaced?.code == .localIO)
            #expect(replaced?.remedy.isEmpty == false)
        }
        #expect(entries(of: folder) == ["pipe"])
    }

    @Test func `A name of the greatest length is replaced too`() throws {
        let path = try folder() + "/" + String(repeating: "n", count: 255)
        try WholeFile.replace(path, with: [1])
        #expect(try WholeFile.read(path, upTo: 10) == [1])
    }

    @Test func `Work off the loop comes back, with its error`() async throws {
        #expect(try await BlockingThreads.shared.result { () throws(H2Error) in 7 } == 7)
        let error = await #expect(throws: H2Error.self) {
            try await BlockingThreads.shared.result { () throws(H2Error) in throw H2Error(.localIO, message: "no") }
        }
        #expect(error?.message == "no")
    }
}
