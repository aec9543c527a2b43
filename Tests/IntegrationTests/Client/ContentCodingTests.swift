import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ContentCodingTests {
    /// 20,000 lines of text, which become much shorter.
    private static let text = Array((0..<20_000).map { "line \($0) of the body\n" }.joined().utf8)
    /// 1.5 MB that cannot be compressed, so that they need many windows.
    private static let noise: [UInt8] = {
        var random = SplitMix64(seed: 12)
        return (0..<1_500_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }()

    private static let versions: [HTTPProtocolVersion] = [.http2, .http1]

    /// The response of a route: `bytes` encoded with `codings`, which `content-encoding` names unless `stated` differs.
    private static func response(
        _ bytes: [UInt8], _ codings: [ContentCoding], stated: String? = nil,
        _ change: ([UInt8]) -> [UInt8] = { $0 }
    ) async throws -> OriginServer.Response {
        var body = bytes
        for coding in codings { body = try await HTTPRequestBody.bytes(body).compressed(with: coding).collect() }
        let fields: HTTPFields = [.contentEncoding: stated ?? codings.map(\.rawValue).joined(separator: ", ")]
        return OriginServer.Response(headerFields: fields, body: change(body))
    }

    /// An origin with these responses at `/NAME`, and a client in that version.
    private static func run(
        _ responses: [String: OriginServer.Response], _ version: HTTPProtocolVersion = .http2,
        _ change: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: nonisolated(nonsending) (HTTPClient, String) async throws -> Void
    ) async throws {
        var origin = OriginServer.Configuration()
        for (name, response) in responses { origin.routes["/\(name)"] = { _ in response } }
        origin.routes["/offered"] = { .init(text: $0.headerFields[.acceptEncoding] ?? "nothing") }
        // A client's body comes back as it was sent.
        origin.routes["/mirror"] = { request in
            var fields = HTTPFields()
            fields[.contentEncoding] = request.headerFields[.contentEncoding]
            fields[HTTPField.Name("x-length")!] = request.headerFields[.contentLength] ?? "unknown"
            return .init(headerFields: fields, body: request.body, trailerFields: request.trailerFields)
        }
        try await withOriginAndClient(origin) {
            if version == .http1 { $0.versions = .http1Only }
            change(&$0)
        } _: { client, server in
            try await body(client, server.url)
            let statistics = await client.statistics()
            if version == .http2 { #expect(statistics.connectionsOpened == 1, "no fault of a body ends HTTP/2") }
        }
    }

    // MARK: - What is offered

    @Test(arguments: versions)
    func `A client offers what it can decode, unless the request says otherwise`(
        _ version: HTTPProtocolVersion
    ) async throws {
        try await Self.run([:], version) { client, url in
            let all = ContentCoding.available.map(\.rawValue).joined(separator: ", ")
            #expect(try await client.get("\(url)/offered").text == all)
            // Over HTTP/2 the second one is an entry in the table.
            #expect(try await client.get("\(url)/offered").text == all)
            let off = RequestOptions(decodesContent: false)
            #expect(try await client.get("\(url)/offered", options: off).text == "nothing")
            #expect(try await client.get("\(url)/offered", headerFields: [.range: "bytes=0-"]).text == "nothing")
            let own = try await client.get("\(url)/offered", headerFields: [.acceptEncoding: "br;q=0.5"])
            #expect(own.text == "br;q=0.5")
            let lent = try await client.withConnection(to: Origin(url)) { connection in
                try await connection.send(.get("/offered")).text()
            }
            #expect(lent == "nothing")
        }
        try await Self.run([:], version) {
            $0.contentDecoding = .off
        } _: { client, url async throws in
            #expect(try await client.get("\(url)/offered").text == "nothing")
            let on = RequestOptions(decodesContent: true)
            #expect(try await client.get("\(url)/offered", options: on).text.hasPrefix("gzip"))
        }
        try await Self.run([:], version) {
            $0.requestOptions.decodesContent = false
        } _: { client, url async throws in
            #expect(try await client.get("\(url)/offered").text == "nothing")
            #expect(
                try await client.get("\(url)/offered", options: RequestOptions(timeout: .seconds(9))).text == "nothing")
        }
    }

    // MARK: - What is decoded

    @Test(arguments: ContentCoding.available, versions)
    func `Every way of reading gives the decoded body`(
        _ coding: ContentCoding, _ version: HTTPProtocolVersion
    ) async throws {
        let bodies = ["small": Array("abc".utf8), "text": Self.text, "noise": Self.noise]
        var responses: [String: OriginServer.Response] = [:]
        for (name, body) in bodies { responses[name] = try await Self.response(body, [coding]) }
        try await Self.run(responses, version) { client, url in
            for (name, body) in bodies {
                let collected = try await client.get("\(url)/\(name)")
                #expect(collected.body == body)
                #expect(collected.response.decodedCodings == [coding])
                #expect(collected.headerFields[.contentEncoding] == coding.rawValue)
                let encoded = try #require(responses[name]).body.count
                #expect(collected.headerFields[.contentLength] == "\(encoded)")
                #expect(await collected.response.metrics().bodyBytesReceived == encoded)

                var read: [UInt8] = []
                for try await chunk in try await client.send(.get, "\(url)/\(name)").body {
                    #expect((1...(64 << 10)).contains(chunk.count))
                    read += chunk
                }
                #expect(read == body)

                read = []
                let pulled = try await client.send(.get, "\(url)/\(name)").body
                while try await pulled.withNextChunk({ read += $0.withUnsafeBytes { Array($0) } }) != nil {}
                #expect(read == body)

                let path = try TemporaryDirectory.shared.newPath("decoded")
                let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
                defer { close(file) }
                #expect(try await client.send(.get, "\(url)/\(name)").body.write(to: file) == body.count)
                #expect(try readBytes(path) == body)

                #expect(try await client.send(.get, "\(url)/\(name)").body.discard() == body.count)
            }
        }
    }

    @Test func `Codings in a row, other names of them, and empty bodies are decoded`() async throws {
        let text = Array("some text".utf8)
        try await Self.run([
            "two": Self.response(text, [.gzip, .brotli]),
            "names": Self.response(text, [.gzip, .zstd], stated: "X-GZip ,identity,, ZSTD"),
            "empty": OriginServer.Response(headerFields: [.contentEncoding: "gzip"]),
            "unknown": Self.response(text, [], stated: "gzip, unheard-of"),
            "identity": Self.response(text, [], stated: "identity"),
        ]) { client, url in
            let two = try await client.get("\(url)/two")
            #expect(two.body == text && two.response.decodedCodings == [.gzip, .brotli])
            #expect(try await client.get("\(url)/names").body == text)
            #expect(try await client.get("\(url)/empty").body == [])
            for name in ["unknown", "identity"] {
                let plain = try await client.get("\(url)/\(name)")
                #expect(plain.body == text && plain.response.decodedCodings == [])
            }
        }
    }

    @Test(arguments: versions)
    func `Nothing is decoded of responses without content, of parts, or where nothing was offered`(
        _ version: HTTPProtocolVersion
    ) async throws {
        let coded = try await Self.response(Self.text, [.gzip])
        var part = coded
        part.status = .partialContent
        var none = coded
        none.status = .noContent
        none.body = []
        try await Self.run(["text": coded, "part": part, "none": none], version) { client, url in
            let head = try await client.head("\(url)/text")
            #expect(head.body == [] && head.response.decodedCodings == [])
            let nothing = try await client.get("\(url)/none")
            #expect(nothing.body == [] && nothing.response.decodedCodings == [])
            #expect(try await client.get("\(url)/part").body == coded.body)
            let own = try await client.get("\(url)/text", headerFields: [.acceptEncoding: "gzip"])
            #expect(own.body == coded.body && own.response.decodedCodings == [])
            #expect(try await client.get("\(url)/text", headerFields: [.range: "bytes=0-"]).body == coded.body)
            #expect(
                try await client.get("\(url)/text", options: RequestOptions(decodesContent: false)).body == coded.body)
            let lent = try await client.withConnection(to: Origin(url)) { connection in
                try await connection.send(.get("/text")).body.collect(upTo: 1 << 20)
            }
            #expect(lent == coded.body)
        }
    }

    @Test(arguments: versions)
    func `A response that is handled in full duplex is decoded`(_ version: HTTPProtocolVersion) async throws {
        try await Self.run(["text": Self.response(Self.text, [.gzip])], version) { client, url in
            let request = try RequestTarget("\(url)/text").request(.post)
            let writer = HTTPRequestBody.writer { try await $0.write(Array("x".utf8)) }
            let body = try await client.send(request, body: writer) { try await $0.body.collect(upTo: 1 << 20) }
            #expect(body == Self.text)
        }
    }

    // MARK: - What is refused

    @Test(arguments: ContentCoding.available, versions)
    func `A body that is damaged, cut or goes on is an error, and of HTTP 2 the stream alone`(
        _ coding: ContentCoding, _ version: HTTPProtocolVersion
    ) async throws {
        let responses = [
            "cut": try await Self.response(Self.noise, [coding]) { $0.dropLast() },
            "short": try await Self.response(Self.text, [coding]) { $0.dropLast() },
            "longer": try await Self.response(Self.noise, [coding]) { $0 + [0xff, 0, 0xff, 0] },
            "other": try await Self.response(Self.text, [], stated: coding.rawValue),
            "fine": try await Self.response(Self.text, [coding]),
        ]
        try await Self.run(responses, version) { client, url in
            for name in ["cut", "short", "longer", "other"] {
                let response = try await client.send(.get, "\(url)/\(name)")
                let error = try await h2Error { try await response.body.collect(upTo: 10 << 20) }
                #expect(error.code == .contentCodingFailed && error.message.contains(coding.rawValue), "\(error)")
                #expect(error.remedy.contains("decodesContent"))
                // It stays an error.
                let again = try await h2Error { for try await _ in response.body {} }
                #expect(again.code == .contentCodingFailed)
                let discarded = try await h2Error { try await response.body.discard() }
                #expect(discarded.code == .contentCodingFailed)
            }
            #expect(try await client.get("\(url)/fine").body == Self.text)
        }
    }

    @Test func `A server's failure in the middle is that of the stream`() async throws {
        var response = try await Self.response(Self.noise, [.gzip])
        response.fault = .reset(.internalError, afterBytes: 100_000)
        try await Self.run(["reset": response]) { client, url in
            let error = try await h2Error { try await client.get("\(url)/reset") }
            #expect(error.code == .streamReset && error.initiator == .remote)
        }
    }

    @Test(arguments: versions)
    func `The limit of collecting is one of decoded bytes`(_ version: HTTPProtocolVersion) async throws {
        try await Self.run(["text": Self.response(Self.text, [.zstd])], version) { client, url in
            #expect(try await client.get("\(url)/text", upTo: Self.text.count).body == Self.text)
            for limit in [0, 1, 70_000, Self.text.count - 1] {
                let error = try await h2Error { try await client.get("\(url)/text", upTo: limit) }
                #expect(error.code == .bodyTooLarge)
            }
        }
    }

    @Test(arguments: versions) func `A bomb is refused by default, and can be allowed`(
        _ version: HTTPProtocolVersion
    ) async throws {
        let zeros = [UInt8](repeating: 0, count: 10 << 20)
        let responses = [
            "gzip": try await Self.response(zeros, [.gzip]), "nested": try await Self.response(zeros, [.gzip, .gzip]),
            "br": try await Self.response(zeros, [.brotli]), "zstd": try await Self.response(zeros, [.zstd]),
        ]
        try await Self.run(responses, version) { client, url in
            for name in responses.keys {
                let error = try await h2Error { try await client.get("\(url)/\(name)") }
                #expect(error.code == .contentCodingFailed && error.remedy.contains("maximumRatio"), "\(error)")
            }
        }
        try await Self.run(responses, version) {
            $0.contentDecoding.maximumRatio = Int.max
        } _: { client, url async throws in
            for name in responses.keys { #expect(try await client.get("\(url)/\(name)").body == zeros) }
        }
        try await Self.run(responses, version) {
            $0.contentDecoding = .init(maximumSize: 1 << 20, maximumRatio: Int.max)
        } _: { client, url async throws in
            let error = try await h2Error { try await client.get("\(url)/nested") }
            #expect(error.code == .contentCodingFailed && error.remedy.contains("maximumSize"), "\(error)")
        }
    }

    @Test func `More than five codings are refused when the body is read`() async throws {
        let five = [ContentCoding](repeating: .gzip, count: 5)
        try await Self.run([
            "five": Self.response(Self.text, five), "six": Self.response(Self.text, five + [.gzip]),
        ]) { client, url in
            #expect(try await client.get("\(url)/five").body == Self.text)
            let response = try await client.send(.get, "\(url)/six")
            #expect(response.status == .ok)
            #expect(try await h2Error { try await response.body.collect(upTo: 1 << 20) }.code == .contentCodingFailed)
        }
    }

    // MARK: - Readers

    @Test func `A body is read once, and by one reader at a time`() async throws {
        try await Self.run(["text": Self.response(Self.text, [.gzip])]) { client, url in
            let response = try await client.send(.get, "\(url)/text")
            var iterator = response.body.makeAsyncIterator()
            let first = try #require(try await iterator.next())
            let rest = try await response.body.collect(upTo: 1 << 20)
            #expect(Array(first) + rest == Self.text)
            #expect(try await iterator.next() == nil)
            #expect(try await h2Error { try await response.body.collect(upTo: 1 << 20) }.code == .invalidRequest)
            #expect(try await response.body.discard() == 0)
        }
    }

    @Test(arguments: [[ContentCoding.gzip], [.brotli], [.gzip, .zstd]])
    func `Digests are those of the encoded bytes, which are verified while they are decoded`(
        _ codings: [ContentCoding]
    ) async throws {
        let name = HTTPField.Name("content-digest")!
        var right = try await Self.response(Self.text, codings)
        let digest = BodyDigest()
        digest.add(right.body)
        right.headerFields[name] = "sha-256=:\(Base64.encode(try #require(digest.finish()))):"
        var wrong = right
        wrong.headerFields[name] = "sha-256=:AAAA:"
        try await Self.run(["right": right, "wrong": wrong]) { client, url in
            let verified = try await client.send(.get, "\(url)/right")
            #expect(verified.decodedCodings == codings)
            let bytes = try await verified.verifiedBody().collect(upTo: 1 << 20)
            #expect(bytes == Self.text)
            var chunks: [UInt8] = []
            for try await chunk in try await client.send(.get, "\(url)/right").verifiedBody() { chunks += chunk }
            #expect(chunks == Self.text)
            let refused = try await client.send(.get, "\(url)/wrong").verifiedBody()
            #expect(try await h2Error { try await refused.collect(upTo: 1 << 20) }.code == .digestMismatch)
            // Part of the encoded bytes has already been taken.
            let late = try await client.send(.get, "\(url)/right")
            _ = try await late.body.withNextChunk { $0.byteCount }
            #expect(try await h2Error { try await late.verifiedBody().collect(upTo: 1 << 20) }.code == .invalidRequest)
        }
    }

    @Test func `Of two readers at once, the second is refused`() async throws {
        var response = try await Self.response(Self.noise, [.gzip])
        response.fault = .stall(afterBytes: 20_000)
        try await Self.run(["stall": response]) { client, url in
            let body = try await client.send(.get, "\(url)/stall").body
            await withTaskGroup(of: (any Error)?.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        do {
                            try await body.discard()
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                let refused = await group.next() ?? nil
                #expect((refused as? H2Error)?.code == .invalidRequest)
                group.cancelAll()
                let other = await group.next() ?? nil
                #expect(other is CancellationError)
            }
        }
    }

    @Test func `Cancelling a reader ends it while it decodes, and while it waits`() async throws {
        var stalled = try await Self.response(Self.noise, [.gzip])
        stalled.fault = .stall(afterBytes: 20_000)
        try await Self.run(["stall": stalled, "text": Self.response(Self.text, [.gzip])]) { client, url in
            let waits = Task { try await client.get("\(url)/stall") }
            try await eventually("it waits") {
                await client.statistics().origins.contains { $0.openStreams == 1 }
            }
            waits.cancel()
            await #expect(throws: CancellationError.self) { try await waits.value }
            let response = try await client.send(.get, "\(url)/text")
            let reads = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await response.body.collect(upTo: 1 << 20)
            }
            await #expect(throws: CancellationError.self) { try await reads.value }
        }
    }

    @Test func `A server is held back while nobody reads what it encoded`() async throws {
        var body: [UInt8] = []
        for _ in 0..<20 { body += Self.noise }
        let response = try await Self.response(body, [.zstd])
        try await Self.run(["large": response]) {
            $0.connection.windows.maximum = $0.connection.windows.stream
        } _: { client, url async throws in
            let response = try await client.send(.get, "\(url)/large")
            var iterator = response.body.makeAsyncIterator()
            #expect(try await iterator.next() != nil)
            var last = -1
            // It stops after one window that was read and one that is full, long before the end.
            try await eventually("nothing more comes") {
                try await Task.sleep(for: .milliseconds(100))
                let now = await response.metrics().bodyBytesReceived
                defer { last = now }
                return now == last
            }
            #expect(last <= 4 << 20)
            var count = 64 << 10
            while let chunk = try await iterator.next() { count += chunk.count }
            #expect(count >= body.count)
        }
    }

    // MARK: - Request bodies

    @Test(arguments: ContentCoding.available, versions)
    func `A compressed request body says so, and arrives`(
        _ coding: ContentCoding, _ version: HTTPProtocolVersion
    ) async throws {
        let path = try TemporaryDirectory.shared.newPath("to-compress")
        try writeText(String(decoding: Self.text, as: UTF8.self), to: path)
        let long = Self.text + Self.text + Self.text + Self.text
        let bodies: [(body: HTTPRequestBody, bytes: [UInt8], hasLength: Bool)] = [
            (.bytes(Self.text), Self.text, true),
            (.bytes(long), long, false),
            (.file(path), Self.text, false),
            (
                .writer { writer in for piece in Self.text.chunks(of: 999) { try await writer.write(piece) } },
                Self.text, false
            ),
            (
                .writer { writer in
                    try await writer.write(Self.text)
                    try await writer.finish(trailers: [HTTPField.Name("x-sum")!: "17"])
                }, Self.text, false
            ),
        ]
        try await Self.run([:], version) { client, url in
            for (body, bytes, hasLength) in bodies {
                let compressed = body.compressed(with: coding)
                #expect(compressed.isReplayable == body.isReplayable)
                let answer = try await client.post("\(url)/mirror", body: compressed)
                #expect(answer.headerFields[.contentEncoding] == coding.rawValue)
                #expect((answer.headerFields[HTTPField.Name("x-length")!] != "unknown") == hasLength)
                #expect(answer.response.decodedCodings == [coding])
                #expect(answer.body == bytes)
            }
            // A body is compressed only once, and an empty one stays empty.
            let twice = HTTPRequestBody.bytes(Self.text).compressed(with: coding).compressed(with: .gzip)
            #expect(try await client.post("\(url)/mirror", body: twice).body == Self.text)
            let nothing = try await client.post("\(url)/mirror", body: HTTPRequestBody.empty.compressed(with: coding))
            #expect(nothing.headerFields[.contentEncoding] == nil)
            for level in [-5, 1, 9, 100] {
                let body = HTTPRequestBody.bytes(Self.text).compressed(with: coding, level: level)
                #expect(try await client.post("\(url)/mirror", body: body).body == Self.text)
            }
        }
    }

    @Test(arguments: versions)
    func `A compressed body refuses fields that contradict it, and passes its source's error on`(
        _ version: HTTPProtocolVersion
    ) async throws {
        struct Broken: Error {}
        try await Self.run([:], version) { client, url in
            let body = HTTPRequestBody.string("text").compressed(with: .gzip)
            for fields in [[.contentEncoding: "gzip"], [.contentLength: "4"]] as [HTTPFields] {
                let error = try await h2Error {
                    try await client.post("\(url)/mirror", body: body, headerFields: fields)
                }
                #expect(error.code == .invalidRequest, "\(error)")
            }
            // A body that the caller has encoded is left alone.
            let own = try await client.post(
                "\(url)/mirror", body: .bytes(body.collect()), headerFields: [.contentEncoding: "gzip"])
            #expect(own.text == "text")
            let missing = try await h2Error {
                try await client.post("\(url)/mirror", body: .file("/nonexistent/file").compressed(with: .gzip))
            }
            #expect(missing.code == .localIO)
        }
        try await Self.run([:], .http2) { client, url in
            let broken = HTTPRequestBody.writer { writer in
                try await writer.write(Self.text)
                throw Broken()
            }
            await #expect(throws: Broken.self) {
                try await client.post("\(url)/mirror", body: broken.compressed(with: .zstd))
            }
        }
    }
}

extension RealServers {
    /// The client against servers that compress, compared with curl.
    @Suite(.timeLimit(.minutes(5)))
    struct ContentCodingServerTests {
        static let servers = [RealServer.nginx, .h2o, .caddy]

        @Test(arguments: servers, [HTTPProtocolVersion.http2, .http1])
        func `What a server compresses is decoded to what curl makes of it`(
            _ server: RealServer, _ version: HTTPProtocolVersion
        ) async throws {
            try await server.run { running in
                let (text, url) = (try StaticSite.shared.text, "\(try running.origin)/coded/text.txt")
                try await withClient(of: running) {
                    if version == .http1 { $0.versions = .http1Only }
                } _: { client async throws in
                    let response = try await client.send(.get, url)
                    #expect(response.version == version && response.status == .ok)
                    let coding = try #require(response.decodedCodings.first)
                    let decoded = try await response.hashed()
                    #expect(decoded.size == text.size && decoded.sha256 == text.sha256)
                    #expect(await response.metrics().bodyBytesReceived < text.size / 2)

                    let path = try TemporaryDirectory.shared.newPath("curl")
                    let offer = ContentCoding.available.map(\.rawValue).joined(separator: ", ")
                    let head = try await curl(
                        [
                            version == .http2 ? "--http2" : "--http1.1", "--compressed", "-H",
                            "accept-encoding: \(offer)",
                        ]
                            + ["-D", "-", "-o", path, url])
                    #expect(try sha256(ofFile: path) == decoded.sha256)
                    #expect(head.output.lowercased().contains("content-encoding: \(coding.rawValue)"))

                    // Nothing is offered, so nothing is compressed.
                    let raw = try await client.get(url, options: RequestOptions(decodesContent: false))
                    #expect(raw.body.count == text.size && raw.response.decodedCodings == [])
                    let part = try await client.get(url, headerFields: [.range: "bytes=10-19"])
                    if part.status == .partialContent { #expect(part.body.count == 10) }
                    let headless = try await client.head(url)
                    #expect(headless.body == [])
                }
            }
        }
    }
}

extension [UInt8] {
    fileprivate func chunks(of count: Int) -> [[UInt8]] {
        stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
    }
}

private func readBytes(_ path: String) throws -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ProcessFailure("cannot open \(path)") }
    defer { close(file) }
    var bytes: [UInt8] = []
    while true {
        let piece = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
            count = max(read(file, buffer.baseAddress, buffer.count), 0)
        }
        if piece.isEmpty { return bytes }
        bytes += piece
    }
}
