import Foundation
import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

/// Options and mirrors in the lists of --input-file.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ListOptionTests {
    private static let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    private static let md5 = "900150983cd24fb0d6963f7d28e17f72"

    private func entries(_ text: String) async throws -> [ListedURL] {
        let folder = try TemporaryFolder()
        let list = try URLList(urls: [], inputFile: try folder.write(text, to: "list"))
        var entries: [ListedURL] = []
        while let (index, entry) = try await list.next() {
            #expect(index == entries.count)
            entries.append(entry)
        }
        #expect(list.total == entries.count)
        return entries
    }

    // MARK: - Reading

    @Test func `Indented lines are options of the URL before them`() async throws {
        let entries = try await entries(
            """
            https://a/1
              out=one
            # a comment

            \tdir=sub
              header=X-A: 1
              header=X-B:
            https://b/2?out=no\thttps://c/2
              https://d/3
             checksum=md5=\(Self.md5)
            """)
        #expect(entries.map(\.url) == ["https://a/1", "https://b/2?out=no", "https://d/3"])
        #expect(entries[0].out == "one" && entries[0].folder == "sub")
        #expect(entries[0].fields == [Array("X-A: 1".utf8), Array("X-B:".utf8)])
        #expect(entries[1].mirrors == ["https://c/2"] && entries[1].out == nil)
        #expect(entries[2].checksum?.algorithm == .md5 && entries[2].mirrors.isEmpty)
    }

    @Test func `Options are whole wherever the pieces of the list end`() async throws {
        var text = ""
        for index in 0..<5_000 { text += "https://a/\(index)\t https://b/\(index) \r\n  out=file-\(index)\r\n" }
        let entries = try await entries(text)
        #expect(entries.count == 5_000)
        for (index, entry) in entries.enumerated() {
            #expect(
                entry.out == "file-\(index)" && entry.url == "https://a/\(index)"
                    && entry.mirrors == ["https://b/\(index)"])
        }
    }

    @Test(arguments: [
        ("  out=x\nhttps://a/", "line 1", "no URL"), ("https://a/\n  foo=x", "line 2", "not known"),
        ("https://a/\n  out=", "line 2", "nothing after"), ("https://a/\n out=a\n out=b", "line 3", "second out="),
        ("https://a/\n checksum=md5=0", "line 2", "32 hexadecimal"), ("https://a/\n header=x", "line 2", "':'"),
        ("https://a/\n header=Connection: close", "line 2", "connection's own"),
    ]) func `A line that makes no sense is an error with its number`(
        _ text: String, _ line: String, _ words: String
    ) async throws {
        let error = await #expect(throws: Failure.self) { _ = try await self.entries(text) }
        #expect(error?.status == .readFailed)
        #expect(error?.message.contains(line) == true && error?.message.contains(words) == true, "\(error!)")
    }

    @Test func `A URL in a pipe is fetched although its writer waits, and its options cannot come later`() async throws
    {
        let served = try Served()
        mkfifo(served.folder.path("pipe"), 0o600)
        let folder = served.folder
        let url = served.url("/bytes/3")
        let result = try await served.get(["--input-file", "pipe", "-O"]) { _ in
            let pipe = open(folder.path("pipe"), O_WRONLY)
            defer { close(pipe) }
            _ = url.withCString { write(pipe, $0, strlen($0)) } + write(pipe, "\n", 1)
            #expect(Program.waitUntil { folder.names.contains("3") })
            write(pipe, "  out=late\n", 11)
        }
        #expect(result.status == 26)
        #expect(result.errors.contains("too late"), "\(result.errors)")
        #expect(served.files == ["3", "pipe"])
    }

    // MARK: - Fetching

    @Test func `Options name files, add fields and check them`() async throws {
        let served = try Served {
            $0.routes["/f"] = { .init(text: "\($0.headerFields[HTTPField.Name("x-a")!] ?? "-")\($0.authority ?? "")") }
            $0.routes["/abc"] = { _ in .init(text: "abc") }
        }
        let (f, abc) = (served.url("/f"), served.url("/abc"))
        try served.folder.write(
            """
            \(f)
              out=one
              header=X-A: own
              header=Host: other.example
            \(f)
              dir=d
            \(abc)
              out=right
              dir=d
              checksum=md5=\(Self.md5)
            \(f)
              out=wrong
              checksum=md5=\(Self.md5)
            \(abc)
            """, to: "list")
        let result = try await served.get(
            "-H", "X-A: all", "--create-dirs", "--output-dir", "o", "--input-file", "list", "-w", "[%{urlnum}]")
        #expect(result.status == 32, "\(result.errors)")
        #expect(result.errors.contains("1 of 5 transfers failed"))
        #expect(try served.folder.read("o/one") == "ownother.example")
        #expect(try served.folder.read("d/f") == "alllocalhost:\(served.origin.port)")
        #expect(try served.folder.read("d/right") == "abc")
        #expect(result.text.hasSuffix("abc[4]"), "\(result.text)")
        #expect(!FileManager.default.fileExists(atPath: served.folder.path("o/wrong")))
    }

    @Test func `-R, --skip-existing and --no-clobber hold for files of a list`() async throws {
        let served = try Served()
        try served.folder.write("\(served.url("/bytes/3"))\n out=a\n\(served.url("/bytes/4"))\n out=b\n", to: "list")
        try served.folder.write("old", to: "a")
        let skipped = try await served.get("--skip-existing", "--input-file", "list")
        #expect(skipped.status == 0, "\(skipped.errors)")
        #expect(try served.folder.read("a") == "old")
        let kept = try await served.get("--no-clobber", "-R", "--input-file", "list")
        #expect(kept.status == 0, "\(kept.errors)")
        #expect(served.files == ["a", "a.1", "b", "b.1", "list"])
        #expect(try served.folder.data("b.1") == Served.pattern(4))
    }

    // MARK: - Mirrors

    @Test func `The next mirror is tried if one fails, and the file has the name of the first`() async throws {
        let closed = try closedPort()
        let served = try Served(files: [
            "/gone": FileServer(.init(content: [], status: .notFound)),
            "/f2": FileServer(.init(content: Self.content)),
        ])
        try served.folder.write(
            "http://127.0.0.1:\(closed)/f1\t\(served.url("/gone"))\t\(served.url("/f2"))\n", to: "list")
        let result = try await served.get("-O", "--input-file", "list", "-w", "%{url} %{http_code}")
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.files == ["f1", "list"])
        #expect(try served.bytes("f1") == Self.content)
        #expect(result.errors.contains("refused") && result.errors.contains("404"), "\(result.errors)")
        #expect(result.text == "\(served.url("/f2")) 200")
    }

    @Test func `If all mirrors fail, the last failure is the transfer's`() async throws {
        let served = try Served(files: ["/gone": FileServer(.init(content: [], status: .notFound))])
        try served.folder.write("\(served.url("/reset/2"))\t\(served.url("/gone"))\n", to: "list")
        let result = try await served.get("-O", "--input-file", "list")
        #expect(result.status == 22, "\(result.errors)")
        #expect(served.files == ["list"])
    }

    @Test(arguments: [true, false]) func `A mirror continues what another has begun only if its validator is the same`(
        _ isSame: Bool
    ) async throws {
        let first = FileServer(.init(content: Self.content, fault: .reset(.internalError, afterBytes: 90_000)))
        let other = isSame ? Self.content : Array(Self.content.reversed())
        let second = FileServer(.init(content: other, tag: isSame ? "\"1\"" : "\"2\""))
        let served = try Served(files: ["/a": first, "/b": second])
        try served.folder.write("\(served.url("/a"))\t\(served.url("/b"))\n  out=f\n", to: "list")
        let result = try await served.get("--retry", "0", "--input-file", "list")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == other)
        #expect(second.ranges.count == 1 && second.ranges[0] != "-", "\(second.ranges)")
        #expect(second.requests[0].headerFields[.ifRange] == "\"1\"")
        #expect(served.files == ["f", "list"])
    }

    @Test func `A mirror with other bytes is given up for the next`() async throws {
        let bad = FileServer(.init(content: Array("abd".utf8)))
        let served = try Served(files: ["/a": bad, "/b": FileServer(.init(content: Array("abc".utf8)))])
        try served.folder.write(
            "\(served.url("/a"))\t\(served.url("/b"))\n  out=f\n  checksum=md5=\(Self.md5)\n", to: "list")
        let result = try await served.get("--input-file", "list")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.read("f") == "abc")
        #expect(result.errors.contains("trying the next mirror"))
    }

    @Test func `A mirror's body on stdout is not followed by another's`() async throws {
        let first = FileServer(.init(content: Self.content, fault: .reset(.internalError, afterBytes: 90_000)))
        let second = FileServer(.init(content: Self.content))
        let served = try Served(files: ["/a": first, "/b": second])
        try served.folder.write("\(served.url("/a"))\t\(served.url("/b"))\n", to: "list")
        let result = try await served.get("--retry", "0", "--input-file", "list")
        #expect(result.status == 92)
        #expect(result.output.count < 200_000 && second.requests.isEmpty)
    }
}

/// --max-total-time.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct TotalTimeTests {
    @Test func `The end of the time ends what runs, and what has not begun is told`() async throws {
        let served = try Served()
        let stall = served.url("/stall?after=3")
        let result = try await served.get(
            "--max-total-time", "1", "--parallel-max", "2", "-o", "a", "-o", "b", "-o", "c", "-o", "d",
            served.url("/bytes/3"), stall, stall, served.url("/bytes/4"))
        #expect(result.status == 28)
        #expect(try served.folder.data("a") == Served.pattern(3))
        #expect(served.parts == ["b", "c"])
        #expect(result.errors.contains("1 transfer done, 2 unfinished, 1 not begun"), "\(result.errors)")
        #expect(served.origin.statistics.requests == 3)
    }

    @Test func `It is 28 even if another transfer failed first`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--max-total-time", "0.5", "-f", "-o", "a", "-o", "b", served.url("/status/404"),
            served.url("/stall?after=3"))
        #expect(result.status == 28, "\(result.errors)")
        #expect(result.errors.contains("404"))
    }

    @Test func `A list that is not read to its end, and one whose writer waits`() async throws {
        let served = try Served()
        mkfifo(served.folder.path("pipe"), 0o600)
        let folder = served.folder
        let url = served.url("/bytes/3")
        let result = try await served.get(["--max-total-time", "1", "--input-file", "pipe", "-O"]) { pid in
            let pipe = open(folder.path("pipe"), O_WRONLY)
            _ = url.withCString { write(pipe, $0, strlen($0)) } + write(pipe, "\n", 1)
            _ = Program.waitUntil { kill(pid, 0) != 0 }
            close(pipe)
        }
        #expect(result.status == 28)
        #expect(result.errors.contains("the rest of the list was not read"), "\(result.errors)")
        #expect(try served.folder.data("3") == Served.pattern(3))
    }

    @Test func `A run that ends in time is not touched, and 0 is no limit`() async throws {
        let served = try Served()
        for limit in ["0", "60"] {
            let result = try await served.get("--max-total-time", limit, served.url("/bytes/3"))
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output == Served.pattern(3) && result.errors.isEmpty)
        }
    }

    /// To stdout, to a file and to a pipe.
    @Test(arguments: ["-", "lines", "pipe"])
    func `Transfers that the time ends have their lines`(_ target: String) async throws {
        let served = try Served()
        if target == "pipe" { mkfifo(served.folder.path("pipe"), 0o600) }
        let folder = served.folder
        let reader = Task {
            target == "pipe"
                ? try await Program.run(program: "/bin/cat", [folder.path("pipe")]).output : Data()
        }
        let result = try await served.get(
            "--max-total-time", "1", "-w", "%{exitcode} %{urlnum}\n", "--json-lines", target, "-o", "a", "-o", "b",
            served.url("/bytes/3"), served.url("/stall?after=3"))
        #expect(result.status == 28)
        let piped = try await reader.value
        let lines =
            switch target {
            case "lines": try served.folder.read("lines")
            case "pipe": String(decoding: piped, as: UTF8.self)
            default: result.text
            }
        #expect(lines.split(separator: "\n").count { $0.hasPrefix("{") } == 2, "\(lines)")
        #expect(result.text.contains("0 0\n") && result.text.contains("28 1\n"), "\(result.text)")
    }

    @Test func `Bodies and lines that waited for a body are written when the time ends it`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--max-total-time", "1", "-w", "<%{urlnum} %{exitcode}>", "-o", "a", "-o", "-", "-o", "-", "-o", "-",
            served.url("/bytes/3"), served.url("/stall?after=3"), served.url("/bytes/4"), served.url("/bytes/5"))
        #expect(result.status == 28)
        for line in ["<0 0>", "<1 28>", "<2 0>", "<3 0>"] { #expect(result.text.contains(line), "\(result.text)") }
        #expect(result.output.range(of: Served.pattern(5) + Data("<3 0>".utf8)) != nil)
        #expect(result.errors.contains("3 transfers done, 1 unfinished"), "\(result.errors)")
    }

    @Test(arguments: [["--json-lines", "pipe"], ["-D", "pipe"]])
    func `The time counts for a pipe without another end, too`(_ options: [String]) async throws {
        let served = try Served()
        mkfifo(served.folder.path("pipe"), 0o600)
        let result = try await served.get(["--max-total-time", "0.5"] + options + ["-o", "a", served.url("/bytes/3")])
        #expect(result.status == 28, "\(result.errors)")
        #expect(result.errors.contains("the run took longer than 500.00 ms"), "\(result.errors)")
        #expect(!served.files.contains("a"))
    }

    @Test func `A pipe that nobody reads holds the end of the time up only shortly`() async throws {
        let served = try Served()
        mkfifo(served.folder.path("pipe"), 0o600)
        let pipe = open(served.folder.path("pipe"), O_RDWR)
        defer { close(pipe) }
        let full = Data(repeating: 0x61, count: 1 << 16)
        _ = full.withUnsafeBytes { write(pipe, $0.baseAddress, $0.count) }
        let start = ContinuousClock.now
        let result = try await served.get(
            "--max-total-time", "0.5", "--json-lines", "pipe", "-o", "b", served.url("/stall?after=3"))
        #expect(result.status == 28)
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func `Bodies on stdout stay in order up to the end of the time`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--max-total-time", "1", served.url("/bytes/3"), served.url("/stall?after=3"), served.url("/bytes/5"))
        #expect(result.status == 28)
        #expect(result.output.prefix(3) == Served.pattern(3))
        #expect(!result.text.contains("3 transfers done"))
    }
}
