import Foundation
import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

/// --range-split: one file in several ranges at once.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct SplitTests {
    private static let size = 5_000_000
    private static let first = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 12) }
    private static let second = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 11 &+ $0 >> 9) }

    private static func reply(_ change: (inout FileServer.Reply) -> Void = { _ in }) -> FileServer.Reply {
        var reply = FileServer.Reply(content: first)
        change(&reply)
        return reply
    }

    @Test(arguments: ["--http2-prior-knowledge", "--http1.1"])
    func `A file comes in ranges that cover it, each once`(_ version: String) async throws {
        let file = FileServer(Self.reply())
        let served = try Served(files: ["/f": file])
        let result = try await served.get(
            version, "--range-split", "3", "-o", "f", "--summary", "-w", "%{size_download}", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(served.files == ["f"])
        #expect(result.text == "\(Self.size)")
        let ranges = file.ranges.map { $0.dropFirst(6).split(separator: "-").map { Int($0)! } }.sorted { $0[0] < $1[0] }
        #expect(ranges.count == 4 && ranges[0] == [0, (1 << 20) - 1], "\(file.ranges)")
        for (range, next) in zip(ranges, ranges.dropFirst()) { #expect(range[1] + 1 == next[0]) }
        #expect(ranges.last?[1] == Self.size - 1)
        #expect(file.requests.dropFirst().allSatisfy { $0.headerFields[.ifRange] == "\"1\"" })
        if version != "--http1.1" { #expect(result.errors.contains("over 1 connection"), "\(result.errors)") }
    }

    @Test func `A small file takes one request, and an empty one none too many`() async throws {
        let small = FileServer(.init(content: Array("abc".utf8)))
        let empty = FileServer(.init(content: []))
        let served = try Served(files: ["/small": small, "/empty": empty])
        let result = try await served.get(
            "--range-split", "8", "-f", "-O", served.url("/small"), served.url("/empty"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.read("small") == "abc")
        #expect(try served.folder.read("empty") == "")
        #expect(small.requests.count == 1 && empty.ranges == ["bytes=0-1048575", "-"])
        #expect(served.files == ["empty", "small"])
    }

    @Test func `A server without ranges sends the file once, as a whole`() async throws {
        let file = FileServer(Self.reply { $0.takesRanges = false })
        let served = try Served(files: ["/f": file])
        let result = try await served.get("--range-split", "4", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.requests.count == 1)
    }

    @Test func `Without a strong validator the file comes as a whole`() async throws {
        let file = FileServer(Self.reply { $0.tag = "W/\"1\"" })
        let served = try Served(files: ["/f": file])
        let result = try await served.get("--range-split", "4", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.ranges == ["bytes=0-1048575", "-"])
    }

    /// What the second and all later requests with a range get.
    private static let lies: [FileServer.Reply] = [
        .init(content: second, tag: "\"2\""),
        reply { $0.contentRange = "bytes 0-1048575/5000000" },
        reply { $0.contentRange = "bytes 1048576-2000000/6000000" },
        reply { $0.contentRange = "bytes 1048576-1048600/5000000" },
        reply { $0.contentRange = "rubbish" },
        reply { $0.extra = 100 },
        reply { $0.fields = [.contentEncoding: "gzip"] },
        .init(content: second, status: .preconditionFailed, statusIsForRanges: true),
        .init(content: second, status: .rangeNotSatisfiable, statusIsForRanges: true),
    ]

    @Test(arguments: 0..<9) func `Ranges of another file, or other ranges, are never mixed`(_ index: Int) async throws {
        let lie = Self.lies[index]
        let changed = FileServer.Reply(content: Self.second, tag: "\"2\"", takesRanges: false)
        // Three further ranges are requested, and then the whole.
        let file = FileServer([Self.reply()] + [lie, lie, lie, changed])
        let served = try Served(files: ["/f": file])
        let result = try await served.get(
            ["--range-split", "3", "-o", "f", served.url("/f")])
        #expect(result.status == 0, "\(result.errors)")
        let bytes = try served.bytes("f")
        #expect(bytes == Self.second || bytes == Self.first, "a mix")
        #expect(result.errors.contains("as a whole"), "\(result.errors)")
        #expect(served.files == ["f"])
    }

    @Test func `A shorter range is continued`() async throws {
        let file = FileServer(Self.reply(), Self.reply { $0.extra = -1000 }, Self.reply())
        let served = try Served(files: ["/f": file])
        let result = try await served.get(
            "--range-split", "2", "--retry", "3", "--retry-delay", "0.01", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
    }

    @Test func `A range whose connection breaks is continued, and the others go on`() async throws {
        let broken = Self.reply { $0.fault = .reset(.internalError, afterBytes: 300_000) }
        let file = FileServer(Self.reply(), broken, broken, Self.reply())
        let served = try Served(files: ["/f": file])
        let result = try await served.get(
            "--range-split", "3", "--retry", "3", "--retry-delay", "0.01", "-o", "f", served.url("/f"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.requests.count == 6)
    }

    @Test func `A connection that is cut leaves a part, which -C continues in ranges or as one`() async throws {
        for arguments in [["--range-split", "3"], []] {
            let cut = Self.reply { $0.fault = .close(afterBytes: 400_000) }
            let file = FileServer(Self.reply(), cut, cut, cut, Self.reply())
            let served = try Served(files: ["/f": file])
            let begun = try await served.get(
                "-C", "-", "--retry", "0", "--range-split", "3", "-o", "f", served.url("/f"))
            #expect(begun.status != 0)
            #expect(begun.errors.contains("f.part"), "\(begun.errors)")
            #expect(served.files == ["f.part", "f.part.info"])
            let asked = file.requests.count
            let done = try await served.get(
                ["-C", "-", "-w", "%{size_download}", "-o", "f", served.url("/f")] + arguments)
            #expect(done.status == 0, "\(done.errors)")
            #expect(try served.bytes("f") == Self.first)
            #expect(served.files == ["f"])
            guard !arguments.isEmpty else { continue }
            #expect(file.ranges[asked...].allSatisfy { $0 != "-" }, "\(file.ranges)")
            #expect(try #require(Int(done.text)) < Self.size)
        }
    }

    @Test func `A download that was begun as one is continued in ranges`() async throws {
        let file = FileServer(Self.reply { $0.fault = .reset(.internalError, afterBytes: 1_500_000) }, Self.reply())
        let served = try Served(files: ["/f": file])
        _ = try await served.get("-C", "-", "--retry", "0", "-o", "f", served.url("/f"))
        let done = try await served.get("-C", "-", "--range-split", "3", "-o", "f", served.url("/f"))
        #expect(done.status == 0, "\(done.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(file.ranges.count == 4, "\(file.ranges)")
    }

    @Test func `A signal in the middle keeps the ranges, and the file has no name`() async throws {
        let stalled = Self.reply { $0.fault = .stall(afterBytes: 200_000) }
        let file = FileServer(Self.reply(), stalled, stalled, Self.reply())
        let served = try Served(files: ["/f": file])
        let cut = try await served.get(["-C", "-", "--range-split", "3", "-o", "f", served.url("/f")]) { pid in
            _ = Program.waitUntil { file.requests.count == 4 }
            usleep(500_000)
            kill(pid, SIGINT)
        }
        #expect(cut.status == -SIGINT || cut.status == 130)
        #expect(served.files == ["f.part", "f.part.info"])
        #expect(try served.folder.read("f.part.info").contains("range 0-"))
        let asked = file.requests.count
        let done = try await served.get("-C", "-", "--range-split", "3", "-o", "f", served.url("/f"))
        #expect(done.status == 0, "\(done.errors)")
        #expect(try served.bytes("f") == Self.first)
        #expect(!file.ranges[asked...].contains("bytes=0-1048575"))
    }

    @Test func `Checksums, digests, times and modes are those of the whole file`() async throws {
        let file = FileServer(Self.reply { $0.modified = "Thu, 02 Jan 2020 03:04:05 GMT" })
        let served = try Served(files: ["/f": file])
        try served.put(Self.first, "plain")
        let sum = try await Program.run(program: "/usr/bin/sha256sum", ["plain"], in: served.folder.root)
        let hex = String(sum.text.prefix(64))
        let right = try await served.get(
            "--range-split", "3", "-R", "--create-file-mode", "600", "--checksum", "sha-256:\(hex)", "-o", "f",
            served.url("/f"))
        #expect(right.status == 0, "\(right.errors)")
        var status = stat()
        #expect(stat(served.folder.path("f"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600 && status.modificationTime.seconds == 1_577_934_245)
        let wrong = try await served.get(
            "--range-split", "3", "--checksum", "sha-256:" + String(repeating: "0", count: 64), "-o", "g",
            served.url("/f"))
        #expect(wrong.status == 32)
        let none = try await served.get("--range-split", "3", "--verify-digest", "-o", "g", served.url("/f"))
        #expect(none.status == 32)
        #expect(served.files == ["f", "plain"], "\(served.files)")
    }

    @Test func `--max-filesize and --remove-on-error keep nothing`() async throws {
        let file = FileServer(Self.reply(), Self.reply { $0.fault = .reset(.internalError, afterBytes: 9) })
        let served = try Served(files: ["/f": file, "/g": FileServer(Self.reply())])
        let failed = try await served.get(
            "--range-split", "3", "--retry", "0", "--remove-on-error", "-o", "f", served.url("/f"))
        #expect(failed.status == 92)
        let long = try await served.get("--range-split", "3", "--max-filesize", "4M", "-o", "f", served.url("/g"))
        #expect(long.status == 63)
        #expect(served.files.isEmpty, "\(served.files)")
    }

    @Test(arguments: [
        ["--range-split", "0", "-o", "f"], ["--range-split", "x", "-o", "f"], ["--range-split", "3"],
        ["--range-split", "3", "-r", "0-5", "-o", "f"], ["--range-split", "3", "-C", "5", "-o", "f"],
        ["--range-split", "3", "-i", "-o", "f"], ["--range-split", "3", "--compressed", "-o", "f"],
        ["--range-split", "3", "-d", "x", "-o", "f"], ["--range-split", "3", "-J", "-O"],
    ]) func `A combination without sense is refused with what to do instead`(_ arguments: [String]) async throws {
        let served = try Served(files: ["/f": FileServer(Self.reply())])
        let result = try await served.get(arguments + [served.url("/f")])
        #expect(result.status == 2, "\(result.errors)")
        #expect(served.files.isEmpty)
    }
}
