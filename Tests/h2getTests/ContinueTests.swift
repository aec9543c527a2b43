import Foundation
import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

/// -C: downloads that continue.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ContinueTests {
    private static let first = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    private static let second = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }

    private static let broken = FileServer.Reply(
        content: first, fault: .reset(.internalError, afterBytes: 90_000))

    // MARK: - What an interrupted run left

    @Test(arguments: ["--http2-prior-knowledge", "--http1.1"])
    func `An interrupted download is continued by the next run`(_ version: String) async throws {
        let file = FileServer(Self.broken, .init(content: Self.first))
        let served = try Served(files: ["/f": file])
        let begun = try await served.get(version, "-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        #expect(begun.status == (version == "--http1.1" ? 18 : 92), "\(begun.errors)")
        #expect(begun.errors.contains("f.part"), "\(begun.errors)")
        #expect(served.files == ["f.part", "f.part.info"])
        let had = try served.bytes("f.part").count
        let done = try await served.get(
            version, "-C", "-", "-o", "f", "-w", "%{http_code} %{size_download}", served.url("/f"))
        #expect(done.status == 0, "\(done.errors)")
        #expect(done.text == "206 \(200_000 - had)")
        #expect(try served.bytes("f") == Self.first)
        #expect(served.files == ["f"])
        #expect(file.ranges == ["-", "bytes=\(had)-"])
        #expect(file.requests[1].headerFields[.ifRange] == "\"1\"")
    }

    @Test func `A connection that breaks is replaced within a run`() async throws {
        let file = FileServer(Self.broken, .init(content: Self.first))
        let served = try Served(files: ["/f": file])
        let result = try await served.get(
            "-C", "-", "-o", "f", "--retry", "3", "--retry-delay", "0.01", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(result.errors.contains("trying again"))
        #expect(file.requests.count == 2)
        #expect(served.files == ["f"])
    }

    @Test func `A file that has changed is fetched from its beginning`() async throws {
        let file = FileServer(
            Self.broken, .init(content: Self.second, tag: "\"2\""))
        let served = try Served(files: ["/f": file])
        _ = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.second)
        #expect(served.files == ["f"])
    }

    /// Partial responses that do not continue the part.
    private static let lies: [FileServer.Reply] = [
        .init(content: first, contentRange: "bytes 0-199999/200000"),
        .init(content: first, contentRange: "bytes 90001-199999/200000"),
        .init(content: first, contentRange: "bytes 90000-199999/300000"),
        .init(content: first, contentRange: "rubbish"),
        .init(content: first, fields: [.contentEncoding: "gzip"]),
    ]

    @Test(arguments: 0..<5) func `A partial response that does not fit starts over`(_ index: Int) async throws {
        let file = FileServer(Self.broken, Self.lies[index], .init(content: Self.second, tag: "\"2\""))
        let served = try Served(files: ["/f": file])
        _ = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.second)
        #expect(file.ranges.count == 3 && file.ranges[2] == "-", "\(file.ranges)")
    }

    @Test(arguments: [10, -10]) func `More or fewer bytes than the range says make no file`(_ extra: Int) async throws {
        let file = FileServer(Self.broken, .init(content: Self.first, extra: extra), .init(content: Self.first))
        let served = try Served(files: ["/f": file])
        _ = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        if extra > 0 {
            #expect(result.status == 22, "\(result.errors)")
            #expect(result.errors.contains("do not fit"))
            #expect(served.files.isEmpty, "\(served.files)")
        } else {
            // Fewer are allowed (RFC 9110 section 15.3.7), and the rest is requested.
            #expect(result.status == 0, "\(result.errors)")
            #expect(try served.bytes("f") == Self.first)
        }
    }

    @Test func `A signal in the middle keeps what is there, and the next run continues it`() async throws {
        let file = FileServer(
            .init(content: Self.first, fault: .stall(afterBytes: 90_000)), .init(content: Self.first))
        let served = try Served(files: ["/f": file])
        let folder = served.folder
        let cut = try await served.get(["-C", "-", "-o", "f", served.url("/f")]) { pid in
            _ = Program.waitUntil { ((try? folder.data("f.part").count) ?? 0) >= 80_000 }
            kill(pid, SIGINT)
        }
        #expect(cut.status == -SIGINT || cut.status == 130)
        #expect(cut.errors.contains(".part"), "\(cut.errors)")
        #expect(served.files == ["f.part", "f.part.info"])
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.ranges[1] != "-")
    }

    @Test func `Bytes without a strong validator are not continued`() async throws {
        let file = FileServer(
            .init(content: Self.first, tag: "W/\"1\"", fault: .reset(.internalError, afterBytes: 90_000)),
            .init(content: Self.first, tag: nil))
        let served = try Served(files: ["/f": file])
        let begun = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        #expect(begun.status == 92)
        #expect(served.files.isEmpty, "\(served.files)")
        _ = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(file.ranges == ["-", "-"])
        #expect(try served.bytes("f") == Self.first)
    }

    @Test func `Another status leaves the bytes here as they are`() async throws {
        let file = FileServer(Self.broken, .init(content: [], status: .notFound), .init(content: Self.first))
        let served = try Served(files: ["/f": file])
        _ = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        let missing = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(missing.status == 22)
        #expect(missing.errors.contains("404"))
        #expect(served.files == ["f.part", "f.part.info"])
        let done = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(done.status == 0)
        #expect(try served.bytes("f") == Self.first)
        #expect(file.ranges[2] != "-")
    }

    @Test func `Two runs do not write to one part`() async throws {
        let file = FileServer(.init(content: Self.first, fault: .stall(afterBytes: 90_000)))
        let served = try Served(files: ["/f": file])
        let folder = served.folder
        let url = served.url("/f")
        _ = try await served.get(["-C", "-", "-o", "f", url]) { pid in
            _ = Program.waitUntil { ((try? folder.data("f.part").count) ?? 0) >= 80_000 }
            let other = try? ChildProcess(
                Program.path, ["--http2-prior-knowledge", "-C", "-", "-o", "f", url], in: folder.root,
                errors: .file(folder.path("other")))
            #expect(other?.wait(seconds: 30)?.status == 23)
            kill(pid, SIGTERM)
        }
        #expect(try folder.read("other").contains("is being written by another download"))
        #expect(try served.bytes("f.part").count >= 80_000)
    }

    // MARK: - What another program left

    @Test func `A file of another program is continued, as with curl`() async throws {
        let file = FileServer(.init(content: Self.first))
        let served = try Served(files: ["/f": file])
        try served.put(Self.first[..<70_000], "f")
        chmod(served.folder.path("f"), 0o600)
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.ranges == ["bytes=70000-"])
        #expect(served.files == ["f"])
        var status = stat()
        #expect(stat(served.folder.path("f"), &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test(arguments: [true, false]) func `A complete file is left alone`(_ takesRanges: Bool) async throws {
        let file = FileServer(.init(content: Self.first, takesRanges: takesRanges))
        let served = try Served(files: ["/f": file])
        try served.put(Self.first, "f")
        let result = try await served.get("-f", "-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(served.files == ["f"])
        #expect(file.requests.count == 1)
    }

    @Test func `A file older than the server's is fetched again, and no bytes mix`() async throws {
        let later = "Fri, 01 Jan 2100 00:00:00 GMT"
        let file = FileServer(.init(content: Self.second, modified: later))
        let served = try Served(files: ["/f": file])
        try served.put(Self.first[..<70_000], "f")
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.second)
        #expect(file.ranges == ["bytes=70000-", "-"])
    }

    @Test func `A file longer than the server's is fetched again`() async throws {
        let file = FileServer(.init(content: Self.second))
        let served = try Served(files: ["/f": file])
        try served.put(Self.first, "f")
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.second)
    }

    @Test(arguments: ["\"1\"", nil]) func `A continued file whose connection breaks keeps all its bytes`(
        _ tag: String?
    ) async throws {
        let file = FileServer(
            .init(content: Self.first, tag: tag, fault: .reset(.internalError, afterBytes: 50_000)),
            .init(content: Self.first, tag: tag))
        let served = try Served(files: ["/f": file])
        try served.put(Self.first[..<70_000], "f")
        let begun = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        #expect(begun.status == 92)
        // Without a validator it is as curl leaves it.
        #expect(served.files == (tag == nil ? ["f"] : ["f.part", "f.part.info"]))
        let had = try served.bytes(tag == nil ? "f" : "f.part")
        #expect(had.count > 70_000 && had[...] == Self.first[..<had.count])
        let done = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(done.status == 0, "\(done.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.ranges[1] == "bytes=\(had.count)-")
    }

    @Test func `A file with another name is not continued, since both names would change`() async throws {
        let served = try Served(files: ["/f": FileServer(.init(content: Self.first))])
        try served.put(Self.first[..<70_000], "f")
        link(served.folder.path("f"), served.folder.path("g"))
        let result = try await served.get("-C", "-", "-o", "f", served.url("/f"))
        #expect(result.status == 23)
        #expect(result.errors.contains("under one name"), "\(result.errors)")
        #expect(try served.bytes("f") == Array(Self.first[..<70_000]))
        #expect(served.files == ["f", "g"])
    }

    // MARK: - Offsets

    @Test func `An offset skips bytes, on stdout and in a new file`() async throws {
        let served = try Served(files: ["/f": FileServer(.init(content: Self.first))])
        let shown = try await served.get("-C", "199990", served.url("/f"))
        #expect(shown.status == 0, "\(shown.errors)")
        #expect(Array(shown.output) == Array(Self.first[199_990...]))
        let saved = try await served.get("-C", "199990", "-o", "f", served.url("/f"))
        #expect(saved.status == 0, "\(saved.errors)")
        #expect(try served.bytes("f") == Array(Self.first[199_990...]))
    }

    @Test func `An offset has to be the end of the file here`() async throws {
        let file = FileServer(.init(content: Self.first))
        let served = try Served(files: ["/f": file])
        try served.put(Self.first[..<100], "f")
        let wrong = try await served.get("-C", "50", "-o", "f", served.url("/f"))
        #expect(wrong.status == 36)
        #expect(wrong.errors.contains("has 100 bytes"), "\(wrong.errors)")
        #expect(file.requests.isEmpty)
        let right = try await served.get("-C", "100", "-o", "f", served.url("/f"))
        #expect(right.status == 0, "\(right.errors)")
        #expect(try served.bytes("f") == Self.first)
    }

    @Test func `An offset beyond the server's file is an error`() async throws {
        let served = try Served(files: ["/f": FileServer(.init(content: Self.first))])
        let result = try await served.get("-C", "300000", "-o", "f", served.url("/f"))
        #expect(result.status == 36)
        #expect(result.errors.contains("only 200,000 bytes") || result.errors.contains("only 200000 bytes"))
        #expect(served.files.isEmpty)
    }

    @Test func `A server that refuses the rest of a longer file leaves nothing that looks whole`() async throws {
        let served = try Served { configuration in
            configuration.routes["/f"] = { _ in
                .init(status: .rangeNotSatisfiable, headerFields: [.contentRange: "bytes */5"])
            }
        }
        try served.put(Array("one".utf8)[...], "f")
        let result = try await served.get("-C", "3", "-o", "f", served.url("/f"))
        #expect(result.status == 33, "\(result.errors)")
        #expect(result.errors.contains("its file has 5"), "\(result.errors)")
        try served.put(Array("three".utf8)[...], "f")
        let whole = try await served.get("-C", "5", "-o", "f", served.url("/f"))
        #expect(whole.status == 0, "\(whole.errors)")
    }

    @Test func `A part has the mode of --create-file-mode before it has bytes`() async throws {
        let served = try Served(files: ["/f": FileServer(Self.broken)])
        _ = try await served.get("-C", "-", "--create-file-mode", "600", "--retry", "0", "-o", "f", served.url("/f"))
        var status = stat()
        #expect(stat(served.folder.path("f.part"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `A server without ranges cannot continue at an offset`() async throws {
        let served = try Served(files: ["/f": FileServer(.init(content: Self.first, takesRanges: false))])
        for arguments in [[], ["-o", "f"]] {
            try served.put(Self.first[..<100], "f")
            let result = try await served.get(["-C", "100"] + arguments + [served.url("/f")])
            #expect(result.status == 33, "\(result.errors)")
            #expect(result.output.isEmpty)
            #expect(try served.bytes("f") == Array(Self.first[..<100]))
            #expect(served.files == ["f"])
        }
    }

    // MARK: - With other options

    @Test func `--skip-existing leaves complete files out, and continues others`() async throws {
        let file = FileServer(Self.broken, .init(content: Self.first))
        let served = try Served(files: ["/f": file])
        _ = try await served.get("-C", "-", "--retry", "0", "-O", served.url("/f"))
        for _ in 0..<2 {
            let result = try await served.get("-C", "-", "--skip-existing", "-O", served.url("/f"))
            #expect(result.status == 0, "\(result.errors)")
            #expect(try served.bytes("f") == Self.first)
        }
        #expect(file.requests.count == 2)
    }

    @Test func `-R, --create-file-mode and --output-dir work as with other downloads`() async throws {
        let dated = FileServer.Reply(content: Self.first, modified: "Thu, 02 Jan 2020 03:04:05 GMT")
        var cut = dated
        cut.fault = .reset(.internalError, afterBytes: 90_000)
        let served = try Served(files: ["/f": FileServer(cut, dated)])
        let result = try await served.get(
            "-C", "-", "-R", "--create-file-mode", "640", "--output-dir", "d", "--create-dirs", "-O", "--retry", "3",
            "--retry-delay", "0.01", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("d/f") == Self.first)
        var status = stat()
        #expect(stat(served.folder.path("d/f"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o640)
        #expect(status.modificationTime.seconds == 1_577_934_245)
    }

    @Test func `--max-filesize counts the bytes that are here`() async throws {
        let served = try Served(files: ["/f": FileServer(Self.broken, .init(content: Self.first))])
        _ = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        let result = try await served.get("-C", "-", "--max-filesize", "199999", "-o", "f", served.url("/f"))
        #expect(result.status == 63, "\(result.errors)")
        #expect(served.files.isEmpty, "\(served.files)")
    }

    @Test(arguments: [
        ["-C", "x", "-o", "f"], ["-C", "-1", "-o", "f"], ["-C", "-", "-r", "0-5", "-o", "f"],
        ["-C", "-", "-H", "Range: bytes=0-5", "-o", "f"], ["-C", "-", "--remove-on-error", "-o", "f"],
        ["-C", "-", "--no-clobber", "-o", "f"], ["-C", "-", "-O", "-J"], ["-C", "-", "-i", "-o", "f"],
        ["-C", "-", "--compressed", "-o", "f"], ["-C", "-", "-d", "x", "-o", "f"], ["-C", "-", "-T", "ca.pem"],
        ["-C", "-", "-I"], ["-C", "5", "--input-file", "list"],
    ]) func `A combination without sense is refused with what to do instead`(_ arguments: [String]) async throws {
        let served = try Served(files: ["/f": FileServer(.init(content: Self.first))])
        let result = try await served.get(arguments + [served.url("/f")])
        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains("-C"), "\(result.errors)")
        #expect(served.files.isEmpty)
    }
}
