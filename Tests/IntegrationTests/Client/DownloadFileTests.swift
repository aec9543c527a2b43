import Foundation
import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5)))
struct DownloadFileTests {
    /// A server for one file, with ranges, that follows a script for each request.
    private final class FileServer: Sendable {
        struct Reply: Sendable {
            var content: [UInt8]
            var tag: String? = "\"1\""
            var fault: OriginServer.Fault?
            var takesRanges = true
            var status: HTTPResponse.Status?
            var fields: HTTPFields = [:]
        }

        private let replies: Mutex<[Reply]>
        private let log = Mutex<[OriginServer.Request]>([])

        /// The last reply is repeated.
        init(_ replies: [Reply]) { self.replies = Mutex(replies) }

        var ranges: [String?] { log.withLock { $0.map { $0.headerFields[.range] } } }
        var conditions: [String?] { log.withLock { $0.map { $0.headerFields[.ifRange] } } }

        func answer(_ request: OriginServer.Request) -> OriginServer.Response {
            log.withLock { $0.append(request) }
            let reply = replies.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
            var fields = reply.fields
            fields[.eTag] = reply.tag
            if let status = reply.status {
                return OriginServer.Response(status: status, headerFields: fields, body: reply.content)
            }
            guard reply.takesRanges, let range = request.headerFields[.range], range.hasPrefix("bytes="),
                let start = Int(range.dropFirst(6).dropLast()),
                request.headerFields[.ifRange].map({ $0 == reply.tag }) ?? true
            else {
                return OriginServer.Response(headerFields: fields, body: reply.content, fault: reply.fault)
            }
            guard start < reply.content.count else {
                fields[.contentRange] = "bytes */\(reply.content.count)"
                return OriginServer.Response(status: .rangeNotSatisfiable, headerFields: fields)
            }
            if fields[.contentRange] == nil {
                fields[.contentRange] = "bytes \(start)-\(reply.content.count - 1)/\(reply.content.count)"
            }
            return OriginServer.Response(
                status: .partialContent, headerFields: fields, body: Array(reply.content[start...]), fault: reply.fault)
        }
    }

    private static let first = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    private static let second = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }

    /// A separate folder.
    private struct Folder {
        let path: String
        init() throws {
            path = try TemporaryDirectory.shared.newPath("download")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        }
        var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
        func bytes(_ name: String) -> [UInt8]? {
            FileManager.default.contents(atPath: "\(path)/\(name)").map { Array($0) }
        }
        func put(_ name: String, _ bytes: [UInt8]) {
            #expect(FileManager.default.createFile(atPath: "\(path)/\(name)", contents: Data(bytes)))
        }
    }

    private func withServer<R>(
        _ replies: [FileServer.Reply], _ versions: OriginServer.Versions = .both,
        _ body: nonisolated(nonsending) (HTTPClient, String, FileServer) async throws -> R
    ) async throws -> R {
        let files = FileServer(replies)
        var configuration = OriginServer.Configuration()
        configuration.routes["/file"] = { files.answer($0) }
        configuration.versions = versions
        return try await withOriginAndClient(configuration, { $0.retry.backoff = .milliseconds(1) }) { client, server in
            try await body(client, "\(server.url)/file", files)
        }
    }

    private static let once = DownloadSettings(maximumFailures: 1)

    // MARK: - Writing a body

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A body is written whole, and replaces a file that keeps its mode`(
        _ versions: OriginServer.Versions
    ) async throws {
        let folder = try Folder()
        try await withServer([.init(content: Self.first)], versions) { client, url, _ in
            let path = "\(folder.path)/a"
            #expect(try await client.send(.get, url).body.write(to: path) == Self.first.count)
            #expect(folder.bytes("a") == Self.first)
            folder.put("b", [1, 2, 3])
            chmod("\(folder.path)/b", 0o640)
            try await client.send(.get, url).body.write(
                to: "\(folder.path)/b", options: FileWritingOptions(synchronizes: true))
            #expect(folder.bytes("b") == Self.first)
            var status = stat()
            #expect(stat("\(folder.path)/b", &status) == 0 && status.st_mode & 0o777 == 0o640)
            #expect(folder.names == ["a", "b"])
        }
    }

    @Test(arguments: [OriginServer.Fault.reset(.internalError, afterBytes: 100_000), .close(afterBytes: 100_000)])
    func `A body that breaks off leaves nothing, or the old file`(_ fault: OriginServer.Fault) async throws {
        let folder = try Folder()
        folder.put("old", [1])
        try await withServer([.init(content: Self.first, fault: fault)]) { client, url, _ in
            for name in ["new", "old"] {
                await #expect(throws: H2Error.self) {
                    try await client.send(.get, url).body.write(to: "\(folder.path)/\(name)")
                }
            }
            #expect(folder.names == ["old"])
            #expect(folder.bytes("old") == [1])
        }
    }

    @Test func `What must not be written is an error`() async throws {
        let folder = try Folder()
        folder.put("old", [1])
        mkfifo("\(folder.path)/fifo", 0o600)
        let refusing = FileWritingOptions(existingFile: .refuse)
        try await withServer([.init(content: [7])]) { client, url, _ in
            for (path, options) in [
                ("\(folder.path)/old", refusing), ("\(folder.path)/fifo", FileWritingOptions()),
                (folder.path, FileWritingOptions()), ("\(folder.path)/", FileWritingOptions()),
                ("\(folder.path)/no/such", FileWritingOptions()), ("/dev/null", FileWritingOptions()),
            ] {
                let error = await #expect(throws: H2Error.self, "\(path)") {
                    try await client.send(.get, url).body.write(to: path, options: options)
                }
                #expect(error?.code == .localIO, "\(path)")
            }
            #expect(folder.bytes("old") == [1])
            #expect(folder.names == ["fifo", "old"])
            try await client.send(.get, url).body.write(to: "\(folder.path)/new", options: refusing)
            #expect(folder.bytes("new") == [7])
            try await client.send(.get, url).body.write(
                to: "\(folder.path)/x/y/z", options: FileWritingOptions(createsFolders: true))
            #expect(folder.bytes("x/y/z") == [7])
        }
    }

    @Test func `A file that appears meanwhile is not replaced if it must not be`() async throws {
        let folder = try Folder()
        try await withServer([.init(content: Self.first)]) { client, url, _ in
            let response = try await client.send(.get, url.replacing("/file", with: "/drip?bytes=20&interval=50"))
            #expect(response.status == .ok)
            let writing = Task {
                try await response.body.write(
                    to: "\(folder.path)/a", options: FileWritingOptions(existingFile: .refuse))
            }
            try await eventually("a part") { !folder.names.isEmpty }
            folder.put("a", [9])
            let error = await #expect(throws: H2Error.self) { try await writing.value }
            #expect(error?.code == .localIO)
            #expect(folder.bytes("a") == [9])
        }
    }

    @Test func `A body with a wrong digest does not become a file`() async throws {
        let folder = try Folder()
        let digest = HTTPField.Name("content-digest")!
        try await withServer([.init(content: Array("hello".utf8), fields: [digest: "sha-256=:AAAA:"])]) {
            client, url, _ in
            let response = try await client.send(.get, url)
            let error = await #expect(throws: H2Error.self) {
                try await response.verifiedBody().write(to: "\(folder.path)/a")
            }
            #expect(error?.code == .digestMismatch)
            #expect(folder.names == [])
        }
        let right = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
        try await withServer([.init(content: Array("hello".utf8), fields: [digest: right])]) { client, url, _ in
            try await client.send(.get, url).verifiedBody().write(to: "\(folder.path)/a")
            #expect(folder.bytes("a") == Array("hello".utf8))
        }
    }

    // MARK: - Downloads that continue

    /// Gives up on a server that stalls. Bytes that arrived before are kept; if a connection breaks, some may be lost.
    private static let impatient = RequestOptions(bodyProgressTimeout: .milliseconds(300))

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A download is continued by the next call`(_ versions: OriginServer.Versions) async throws {
        let folder = try Folder()
        let path = "\(folder.path)/a"
        try await withServer(
            [.init(content: Self.first, fault: .stall(afterBytes: 120_000)), .init(content: Self.first)], versions
        ) { client, url, files in
            await #expect(throws: H2Error.self) {
                try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            }
            #expect(folder.names == ["a.part", "a.part.info"])
            let have = folder.bytes("a.part")?.count ?? 0
            #expect(have > 0 && have <= 120_000)
            #expect(
                folder.bytes("a.part.info").map { !String(decoding: $0, as: UTF8.self).contains("127.0.0.1") } == true)
            let file = try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            #expect(folder.bytes("a") == Self.first)
            #expect(folder.names == ["a"])
            #expect(file.byteCount == Self.first.count)
            #expect(file.resumedByteCount == have)
            #expect(file.response.status == .partialContent)
            #expect(files.ranges == [nil, "bytes=\(have)-"])
            #expect(files.conditions == [nil, "\"1\""])
        }
    }

    @Test func `A connection that breaks is replaced within a call`() async throws {
        let folder = try Folder()
        try await withServer([
            .init(content: Self.first, fault: .close(afterBytes: 70_000)),
            .init(content: Self.first, fault: .reset(.internalError, afterBytes: 70_000)), .init(content: Self.first),
        ]) { client, url, files in
            let file = try await client.download(url, to: "\(folder.path)/a")
            #expect(folder.bytes("a") == Self.first)
            #expect(file.resumedByteCount == 0)
            #expect(files.ranges.count == 3)
        }
    }

    @Test func `A file that has changed is downloaded from its beginning`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/a"
        try await withServer([
            .init(content: Self.first, fault: .stall(afterBytes: 120_000)), .init(content: Self.second, tag: "\"2\""),
        ]) { client, url, files in
            await #expect(throws: H2Error.self) {
                try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            }
            let file = try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            #expect(folder.bytes("a") == Self.second)
            #expect(file.resumedByteCount == 0)
            #expect(files.conditions == [nil, "\"1\""])
        }
    }

    /// Responses to the request for the rest that do not fit.
    private static let misfits: [FileServer.Reply] = [
        .init(
            content: second, tag: "\"2\"", status: .partialContent,
            fields: [.contentRange: "bytes 100000-149999/150000"]),
        .init(content: second, status: .partialContent, fields: [.contentRange: "bytes 0-149999/150000"]),
        .init(content: second, status: .partialContent),
        .init(content: [], status: .rangeNotSatisfiable, fields: [.contentRange: "bytes */150000"]),
    ]

    @Test(arguments: 0..<4)
    func `An answer that does not fit starts over`(_ index: Int) async throws {
        let folder = try Folder()
        let path = "\(folder.path)/a"
        try await withServer([
            .init(content: Self.first, fault: .stall(afterBytes: 120_000)), Self.misfits[index],
            .init(content: Self.second, tag: "\"2\""),
        ]) { client, url, files in
            await #expect(throws: H2Error.self) {
                try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            }
            try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            #expect(folder.bytes("a") == Self.second)
            #expect(folder.names == ["a"])
            #expect(files.ranges.count == 3 && files.ranges[2] == nil)
        }
    }

    @Test func `A part that is whole asks for its last byte, and is not taken on trust`() async throws {
        for (tag, content) in [("\"1\"", Self.first), ("\"2\"", Self.second)] {
            let folder = try Folder()
            let path = "\(folder.path)/a"
            try await withServer([
                .init(content: Self.first, fault: .stall(afterBytes: 120_000)), .init(content: content, tag: tag),
            ]) { client, url, files in
                await #expect(throws: H2Error.self) {
                    try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
                }
                folder.put("a.part", Self.first)
                try await client.download(url, to: path)
                #expect(folder.bytes("a") == content)
                #expect(files.ranges == [nil, "bytes=199999-"])
            }
        }
    }

    @Test func `A part without a strong validator, of another URL or not ours is not continued`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/a"
        try await withServer([
            .init(content: Self.first, tag: "W/\"1\"", fault: .stall(afterBytes: 120_000)),
            .init(content: Self.first, fault: .stall(afterBytes: 120_000)),
            .init(content: Self.first),
        ]) { client, url, files in
            await #expect(throws: H2Error.self) {
                try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            }
            #expect(folder.names == [])
            await #expect(throws: H2Error.self) {
                try await client.download(url, to: path, options: Self.impatient, settings: Self.once)
            }
            #expect(folder.names == ["a.part", "a.part.info"])
            try await client.download("\(url)?x", to: path)
            #expect(files.ranges == [nil, nil, nil])
            #expect(folder.bytes("a") == Self.first)
            // A link in place of the part leads elsewhere.
            folder.put("victim", [1])
            symlink("\(folder.path)/victim", "\(folder.path)/b.part")
            let error = await #expect(throws: H2Error.self) { try await client.download(url, to: "\(folder.path)/b") }
            #expect(error?.code == .localIO)
            #expect(folder.bytes("victim") == [1])
        }
    }

    @Test func `Two downloads to one path do not mix`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/a"
        try await withServer([
            .init(content: Self.first, fault: .stall(afterBytes: 120_000)), .init(content: Self.second),
        ]) { client, url, files in
            let stalled = Task { try await client.download(url, to: path) }
            try await eventually("the first bytes") { (folder.bytes("a.part") ?? []).count > 0 }
            let error = await #expect(throws: H2Error.self) { try await client.download(url, to: path) }
            #expect(error?.message.contains("another download") == true)
            stalled.cancel()
            await #expect(throws: CancellationError.self) { try await stalled.value }
            #expect(folder.names == ["a.part", "a.part.info"])
        }
    }

    @Test(arguments: [HTTPResponse.Status.notFound, .noContent, .notModified, .partialContent, .multipleChoices])
    func `Another status is an error, and leaves nothing`(_ status: HTTPResponse.Status) async throws {
        let folder = try Folder()
        try await withServer([.init(content: [1, 2], status: status)]) { client, url, _ in
            let error = await #expect(throws: H2Error.self) { try await client.download(url, to: "\(folder.path)/a") }
            #expect(error?.code == .unexpectedResponse)
            #expect(folder.names == [])
        }
    }

    @Test func `A continued file is verified as a whole, and one that is wrong is not kept`() async throws {
        let digest = HTTPField.Name("repr-digest")!
        let settings = DownloadSettings(maximumFailures: 1, requiresDigest: true)
        let right = try sha256(Self.first)
        for (fields, isRight) in [
            ([digest: "sha-256=:\(right):"], true), ([digest: "sha-256=:AAAA:"], false), ([:], false),
        ]
            as [(HTTPFields, Bool)]
        {
            let folder = try Folder()
            let path = "\(folder.path)/a"
            try await withServer([
                .init(content: Self.first, fault: .stall(afterBytes: 120_000)),
                .init(content: Self.first, fields: fields),
            ]) { client, url, _ in
                await #expect(throws: H2Error.self) {
                    try await client.download(url, to: path, options: Self.impatient, settings: settings)
                }
                #expect(folder.names == ["a.part", "a.part.info"])
                if isRight {
                    try await client.download(url, to: path, options: Self.impatient, settings: settings)
                    #expect(folder.bytes("a") == Self.first)
                } else {
                    let error = await #expect(throws: H2Error.self) {
                        try await client.download(url, to: path, options: Self.impatient, settings: settings)
                    }
                    #expect(error?.code == .digestMismatch)
                    #expect(folder.names == [])
                }
            }
        }
    }

    private func sha256(_ bytes: [UInt8]) throws -> String {
        let digest = BodyDigest()
        digest.add(bytes)
        return Base64.encode(try #require(digest.finish()))
    }

    @Test func `A time limit holds for the whole call`() async throws {
        let folder = try Folder()
        try await withServer([.init(content: Self.first, fault: .stall(afterBytes: 10))]) { client, url, _ in
            let start = ContinuousClock.now
            let error = await #expect(throws: H2Error.self) {
                try await client.download(
                    url, to: "\(folder.path)/a", options: RequestOptions(timeout: .milliseconds(300)))
            }
            #expect(error?.code == .timeout)
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }
}
