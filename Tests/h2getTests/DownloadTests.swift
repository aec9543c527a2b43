import Foundation
import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct DownloadTests {
    private func begin(_ path: String, createsDirectories: Bool = false) throws -> Download {
        try Download(try DownloadTarget(path: path, createsDirectories: createsDirectories))
    }

    private func download(_ text: String, to path: String) throws {
        let download = try begin(path)
        write(text, to: download)
        if let copy = try download.finish() { try copy.run() }
    }

    /// By a rename alone.
    private func finish(_ download: Download) throws {
        let copy = try download.finish()
        #expect(copy.map { _ in true } == nil)
    }

    private func write(_ text: String, to download: Download) {
        var text = text
        #expect(text.withUTF8 { writeFully(download.descriptor, UnsafeRawBufferPointer($0)) } == 0)
    }

    private func attributes(_ path: String) throws -> (mode: Int, number: Int, links: Int) {
        var status = stat()
        try #require(lstat(path, &status) == 0)
        return (Int(status.st_mode & 0o7777), Int(status.st_ino), Int(status.st_nlink))
    }

    @Test func `A file has its name only once it is finished`() throws {
        let folder = try TemporaryFolder()
        let download = try begin(folder.path("f"))
        #expect(folder.names.count == 1)
        #expect(folder.names[0].hasPrefix("f.") && folder.names[0].hasSuffix(".part"))
        try finish(download)
        #expect(folder.names == ["f"])
    }

    @Test func `An unfinished download leaves its part file and the old file`() throws {
        let folder = try TemporaryFolder()
        try folder.write("old", to: "f")
        do {
            let download = try begin(folder.path("f"))
            write("ne", to: download)
            #expect(download.leftover().contains(download.partPath))
        }
        #expect(folder.names.count == 2)
        #expect(try folder.read("f") == "old")
        // Nothing is left where there is nothing in it.
        let empty = try begin(folder.path("g"))
        #expect(empty.leftover() == "")
        #expect(folder.names.count == 2)
    }

    @Test func `A whole one that cannot have its name is kept`() throws {
        let folder = try TemporaryFolder()
        let download = try begin(folder.path("f"))
        write("all of it", to: download)
        try FileManager.default.createDirectory(atPath: folder.path("f"), withIntermediateDirectories: false)
        let failure = #expect(throws: Failure.self) { try download.finish() }
        #expect(failure?.message.contains(download.partPath) == true)
        #expect(download.leftover() == "")
        #expect(try String(contentsOfFile: download.partPath, encoding: .utf8) == "all of it")
    }

    @Test func `Two of one name at once are each whole, and the last one stays`() throws {
        let folder = try TemporaryFolder()
        let (one, two) = (try begin(folder.path("f")), try begin(folder.path("f")))
        write("one", to: one)
        write("two", to: two)
        try finish(two)
        #expect(try folder.read("f") == "two")
        try finish(one)
        #expect(try folder.read("f") == "one")
        #expect(folder.names == ["f"])
    }

    /// Names are bytes: with others in their place a second file would come to be.
    @Test(arguments: [false, true]) func `A link to a name that is not UTF-8 stays one`(_ exists: Bool) throws {
        let folder = try TemporaryFolder()
        let target = FilePath(Array(folder.path("").utf8) + [UInt8(ascii: "x"), 0xff, 0xfe])
        try #require(symlink(target.c, folder.path("link")) == 0)
        if exists { close(open(target.c, O_WRONLY | O_CREAT, 0o600)) }
        try download("all of it", to: folder.path("link"))
        #expect(try String(contentsOfFile: folder.path("link"), encoding: .utf8) == "all of it")
        #expect(linkTarget(FilePath(folder.path("link"))) == target.bytes)
        var names = 0
        let listing = try #require(opendir(folder.root))
        defer { closedir(listing) }
        while readdir(listing) != nil { names += 1 }
        // The two, `.` and `..`.
        #expect(names == 4)
    }

    @Test(arguments: [0o600, 0o640, 0o755, 0o666]) func `The mode of a file that was there stays`(_ mode: Int) throws {
        let folder = try TemporaryFolder()
        try folder.write("old", to: "f")
        chmod(folder.path("f"), mode_t(mode))
        let download = try begin(folder.path("f"))
        // Nor may anybody else read it meanwhile.
        #expect(try attributes(download.partPath).mode & ~mode == 0)
        write("new", to: download)
        try finish(download)
        #expect(try attributes(folder.path("f")).mode == mode)
        #expect(try folder.read("f") == "new")
    }

    @Test func `Hard links go on naming one file`() throws {
        let folder = try TemporaryFolder()
        try folder.write("old and longer", to: "f")
        try #require(link(folder.path("f"), folder.path("g")) == 0)
        try download("new", to: folder.path("f"))
        #expect(try folder.read("g") == "new")
        #expect(try attributes(folder.path("f")).links == 2)
        #expect(folder.names == ["f", "g"])
    }

    @Test func `A symbolic link stays one, and the file behind it gets the bytes`() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path("d"), withIntermediateDirectories: false)
        try folder.write("old", to: "d/target")
        chmod(folder.path("d/target"), 0o600)
        try folder.link("link", to: "d/target")
        try folder.link("again", to: "link")
        try download("new", to: folder.path("again"))
        #expect(try folder.read("d/target") == "new")
        #expect(try attributes(folder.path("d/target")).mode == 0o600)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.path("link")) == "d/target")
        // One that leads to nothing yet.
        try folder.link("dangling", to: "d/later")
        try download("later", to: folder.path("dangling"))
        #expect(try folder.read("d/later") == "later")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("d")).count == 2)
        try folder.link("loop", to: "loop")
        #expect(throws: Failure.self) { try begin(folder.path("loop")) }
    }

    @Test func `Nobody's part file is touched`() throws {
        let folder = try TemporaryFolder()
        try folder.write("mine", to: "f.part")
        try download("new", to: folder.path("f"))
        #expect(try folder.read("f.part") == "mine")
        #expect(folder.names == ["f", "f.part"])
    }

    @Test(arguments: [
        String(repeating: "a", count: 255), String(repeating: "a", count: 250),
        // Two, three and four bytes each.
        String(repeating: "ä", count: 127), String(repeating: "語", count: 85), "a" + String(repeating: "🙂", count: 63),
    ]) func `Names as long as the system allows`(_ name: String) throws {
        let folder = try TemporaryFolder()
        try download("new", to: folder.path(name))
        #expect(folder.names == [name])
        #expect(throws: Failure.self) { try begin(folder.path(name + String(repeating: "a", count: 10))) }
    }

    @Test func `Folders are made only when asked for`() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: Failure.self) { try begin(folder.path("a/b/f")) }
        #expect(error?.status == .writeFailed)
        #expect(error?.message.contains("--create-dirs") == true)
        try finish(try begin(folder.path("a/b/f"), createsDirectories: true))
        #expect(try folder.read("a/b/f") == "")
    }

    @Test func `A folder is no file`() throws {
        let folder = try TemporaryFolder()
        #expect(throws: Failure.self) { try begin(folder.path("")) }
        #expect(throws: Failure.self) { try begin(folder.root) }
    }
}

@Suite(.inTurn) struct ClaimedFileTests {
    private func target(_ path: String) throws -> DownloadTarget {
        try DownloadTarget(path: path, createsDirectories: false)
    }

    @Test func `Claimed files are known by every name they have`() throws {
        let folder = try TemporaryFolder()
        for name in ["d", "d/e"] {
            try FileManager.default.createDirectory(atPath: folder.path(name), withIntermediateDirectories: false)
        }
        try folder.link("same", to: "d")
        try folder.link("link", to: "d/f")
        let files = ClaimedFiles()
        #expect(files.claim(try target(folder.path("d/f"))))
        for name in ["d/f", "d/./f", "d//f", "d/e/../f", "same/f", "link"] {
            #expect(!files.claim(try target(folder.path(name))), "\(name)")
        }
        #expect(files.claim(try target(folder.path("d/g"))))
        // Hard links of one file.
        try folder.write("", to: "one")
        try #require(link(folder.path("one"), folder.path("two")) == 0)
        #expect(files.claim(try target(folder.path("one"))))
        #expect(!files.claim(try target(folder.path("two"))))
    }

    @Test func `Claimed files are free again where nothing was written, and taken for good where something was`() throws
    {
        let folder = try TemporaryFolder()
        let files = ClaimedFiles()
        let target = try target(folder.path("f"))
        #expect(files.claim(target))
        files.release(target, isWritten: false)
        #expect(files.claim(target))
        files.release(target, isWritten: true)
        #expect(!files.claim(target))
    }

    @Test func `Claimed files that are remembered no more are known by their times`() throws {
        let folder = try TemporaryFolder()
        try folder.write("before", to: "old")
        // The clock of files' times has to move on.
        letTimePass(.milliseconds(50))
        let files = ClaimedFiles(remembered: 2)
        letTimePass(.milliseconds(50))
        for number in 0..<10 {
            let place = try target(folder.path("\(number)"))
            #expect(files.claim(place))
            try folder.write("", to: "\(number)")
            files.release(place, isWritten: true)
        }
        for number in 0..<10 { #expect(!files.claim(try target(folder.path("\(number)"))), "\(number)") }
        #expect(files.claim(try target(folder.path("old"))))
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct FileWritingTests {
    @Test(arguments: [["a", "./a"], ["d/a", "same/a"], ["a", "link"]])
    func `h2get refuses one file for two URLs, by whatever names`(_ names: [String]) async throws {
        let served = try Served()
        try FileManager.default.createDirectory(atPath: served.folder.path("d"), withIntermediateDirectories: false)
        try served.folder.link("same", to: "d")
        try served.folder.link("link", to: "a")
        let result = try await served.get(
            "-o", names[0], "-o", names[1], served.url("/bytes/3000000"), served.url("/bytes/2000000?second"))
        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains("-o and -o name the same file"), "\(result.errors)")
        #expect(served.origin.statistics.requests == 0)
        // Names from a list are seen one after the other.
        let lines = zip(["3000000", "2000000"], names).map { "\(served.url("/bytes/\($0)"))\n  out=\($1)\n" }
        try served.folder.write(lines.joined(), to: "list")
        let listed = try await served.get("--input-file", "list")
        #expect(listed.status == 23, "\(listed.errors)")
        #expect(listed.errors.contains("already"), "\(listed.errors)")
        let bytes = try served.folder.data(names[0])
        #expect(bytes == Served.pattern(3_000_000) || bytes == Served.pattern(2_000_000))
    }

    @Test func `h2get writes whole files from two processes at once`() async throws {
        let served = try Served()
        async let one = served.get("-o", "f", served.url("/drip?bytes=300000&chunk=10000&interval=10"))
        async let two = served.get("-o", "f", served.url("/drip?bytes=200000&chunk=10000&interval=10"))
        #expect(try await one.status == 0)
        #expect(try await two.status == 0)
        #expect(try [200_000, 300_000].contains(served.folder.data("f").count))
        #expect(served.files == ["f"])
    }

    @Test func `h2get writes files beside a file of the part's old name, and one whose name is a URL's`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-o", "x", "-o", "x.part", served.url("/bytes/100000"), served.url("/bytes/2"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.data("x") == Served.pattern(100_000))
        #expect(try served.folder.data("x.part") == Served.pattern(2))
    }

    @Test func `h2get writes files in place where the folder takes no others, and leaves none that looks whole`()
        async throws
    {
        let served = try Served()
        let folder = served.folder
        let script = """
            mkdir d && echo old > d/f && chmod 666 d/f && chmod 555 d && chmod 755 . && chmod 644 ca.pem
            as=""; if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=65534 --regid=65534 --clear-groups"; fi
            $as "\(Program.path)" --cacert ca.pem -o d/f \(served.url("/bytes/100000")) 2> errors || exit 1
            [ "$(stat -c %s d/f)" = 100000 ] || exit 2
            $as "\(Program.path)" --cacert ca.pem -o d/f \(served.url("/close?after=50000")) 2> errors && exit 3
            [ "$(stat -c %s d/f)" = 0 ] || exit 4
            grep -q 'd/f was emptied' errors || exit 5
            [ "$(ls d)" = f ] || exit 6
            chmod 755 d
            """
        let status = try await Program.runShell(script, in: folder.root)
        #expect(status == 0, "\((try? folder.read("errors")) ?? "")")
    }

    @Test func `h2get writes files whose mode and owner stay`() async throws {
        let served = try Served()
        let script = """
            echo secret > f && chmod 600 f
            if [ "$(id -u)" = 0 ]; then chown 65534:65534 f; fi
            stat -c '%a %u %g' f > before
            "\(Program.path)" --cacert ca.pem -o f \(served.url("/bytes/10")) || exit 1
            stat -c '%a %u %g' f > after
            cmp before after && [ "$(stat -c %s f)" = 10 ]
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
    }
}
