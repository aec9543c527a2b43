import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ContentCodingTests {
    private static let report = String(repeating: "the same line\n", count: 1_000)

    /// Answers with a body that is gzipped if the client accepts that.
    private func routes() async throws -> [String: OriginServer.Handler] {
        let encoded = try await HTTPRequestBody.string(Self.report).compressed(with: .gzip).collect()
        let bomb = try await HTTPRequestBody.bytes([UInt8](repeating: 0, count: 20 << 20)).compressed(with: .gzip)
            .collect()
        return [
            "/report": { request in
                guard request.headerFields[.acceptEncoding]?.contains("gzip") == true else {
                    return .init(text: Self.report)
                }
                return .init(headerFields: [.contentEncoding: "gzip"], body: encoded)
            },
            "/bomb": { _ in .init(headerFields: [.contentEncoding: "gzip"], body: bomb) },
            "/logs": { .init(body: $0.body) },
        ]
    }

    @Test func `Bodies are decoded`() async throws {
        try await Guide.run(routes()) { guide in
            let client = guide.client
            // example: coding
            let report = try await client.get("https://example.com/report")
            print(report.response.decodedCodings)
            print(await report.response.metrics().bodyBytesReceived, "→", report.body.count)
            // end
            #expect(report.text == Self.report)
            #expect(guide.printed.first == "[H2Client.ContentCoding.gzip]")
        }
    }

    @Test func `A request asks for no coding, or for the encoded bytes`() async throws {
        try await Guide.run(routes()) { guide in
            let client = guide.client
            // example: coding-off
            // No coding is asked for.
            let plain = try await client.get(
                "https://example.com/report", options: RequestOptions(decodesContent: false))
            // One is asked for by hand, and the bytes stay as they are.
            let archive = try await client.get("https://example.com/report", headerFields: [.acceptEncoding: "gzip"])
            print(plain.body.count, archive.headerFields[.contentEncoding] ?? "-", archive.body.count)
            // end
            #expect(plain.text == Self.report)
            #expect(archive.body.starts(with: [0x1f, 0x8b]))
            #expect(guide.requests[0].headerFields[.acceptEncoding] == nil)
        }
    }

    @Test func `A bomb fails`() async throws {
        try await Guide.run(routes()) { guide in
            var configuration = guide.configuration
            // example: coding-limits
            configuration.contentDecoding.maximumSize = 10 << 20  // decoded bytes of a body
            configuration.contentDecoding.maximumRatio = 100  // decoded bytes for each encoded one
            let client = HTTPClient(configuration: configuration)
            do {
                _ = try await client.get("https://example.com/bomb")
            } catch let error as H2Error where error.code == .contentCodingFailed {
                print(error)
            }
            // end
            #expect(guide.printed.count == 1)
        }
    }

    @Test func `A request's body is compressed`() async throws {
        try await Guide.run(routes()) { guide in
            let (client, folder) = (guide.client, guide.folder)
            try writeText(Self.report, to: "\(folder)/events.log")
            // example: coding-upload
            let log = HTTPRequestBody.file("\(folder)/events.log").compressed(with: .zstd)
            let answer = try await client.post("https://example.com/logs", body: log)
            print(answer.status)
            // end
            #expect(guide.requests[0].headerFields[.contentEncoding] == "zstd")
            #expect((1..<Self.report.utf8.count).contains(guide.requests[0].body.count))
        }
    }
}
