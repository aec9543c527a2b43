import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Servers that answer while they read: `send` returns with the response's head, and the upload goes on as it is read.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct FullDuplexTests {
    /// Larger than all windows and socket buffers together.
    private static let size = 60 << 20

    private nonisolated(nonsending) func withEcho(
        _ version: HTTPProtocolVersion, _ body: nonisolated(nonsending) (HTTPClient, String) async throws -> Void
    ) async throws {
        try await withOriginAndClient(
            OriginServer.Configuration(), { $0.versions = version == .http1 ? .http1Only : .http2Only }
        ) { client, server in
            try await body(client, "https://localhost:\(server.port)/echo")
        }
    }

    private static func pieces(_ count: Int) -> HTTPRequestBody {
        .writer { writer in
            for number in 0..<count / 65_536 {
                try await writer.write([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 65_536))
            }
        }
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `60 MB come back from an echo`(_ version: HTTPProtocolVersion) async throws {
        try await withEcho(version) { client, url in
            let response = try await client.send(HTTPRequest(.post, url: url), body: Self.pieces(Self.size))
            #expect(response.version == version)
            var (count, isRight) = (0, true)
            for try await chunk in response.body {
                // The first byte of each piece.
                for offset in stride(from: (65_536 - count % 65_536) % 65_536, to: chunk.count, by: 65_536) {
                    let byte = chunk[chunk.startIndex + offset]
                    if byte != UInt8(truncatingIfNeeded: (count + offset) / 65_536) { isRight = false }
                }
                count += chunk.count
            }
            #expect(count == Self.size)
            #expect(isRight)
        }
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `A reader that begins late finds the echo waiting for it`(_ version: HTTPProtocolVersion) async throws {
        try await withOriginAndClient(
            OriginServer.Configuration(),
            {
                $0.versions = version == .http1 ? .http1Only : .http2Only
                $0.connection.timeouts.writeStall = .seconds(1)
                $0.requestOptions.sendTimeout = .seconds(1)
            }
        ) { client, server in
            let response = try await client.send(
                HTTPRequest(.post, url: "https://localhost:\(server.port)/echo"), body: Self.pieces(Self.size))
            // The reader's pause is the point: longer than what a server may take no byte for.
            try await letTimePass(.milliseconds(2500))
            #expect(try await response.body.discard() == Self.size)
        }
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `A dropped echo ends its writer, and the client goes on`(_ version: HTTPProtocolVersion) async throws {
        try await withEcho(version) { client, url in
            let ended = Counter()
            for _ in 0..<5 {
                _ = try await client.send(
                    HTTPRequest(.post, url: url),
                    body: .writer { writer in
                        defer { ended.increment() }
                        while true { try await writer.write([UInt8](repeating: 0, count: 65_536)) }
                    }
                ).status
            }
            try await eventually("the writers have ended") { ended.value == 5 }
            #expect(try await client.get(url.replacing("/echo", with: "/small")).status.code >= 200)
        }
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `Cancelling while the echo is read ends reader and writer`(_ version: HTTPProtocolVersion) async throws {
        try await withEcho(version) { client, url in
            let (ended, read) = (Counter(), Counter())
            let task = Task {
                let response = try await client.send(
                    HTTPRequest(.post, url: url),
                    body: .writer { writer in
                        defer { ended.increment() }
                        while true { try await writer.write([UInt8](repeating: 0, count: 65_536)) }
                    })
                for try await _ in response.body { read.increment() }
            }
            try await eventually("some was read") { read.value > 10 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await eventually("the writer has ended") { ended.value == 1 }
        }
    }
}
