import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Reading lines and digests from responses that no server sent.
@Suite(.inTurn) struct ResponseReadingTests {
    private func lines(_ chunks: [String], upTo limit: Int = 1_000) async throws -> [String] {
        let response = StreamedResponse(body: .chunks(chunks.map { Array($0.utf8) }))
        var lines: [String] = []
        for try await line in response.body.lines(upTo: limit) { lines.append(line) }
        return lines
    }

    @Test func `A body is read as lines across its chunks`() async throws {
        #expect(try await lines(["a\r", "\nb", "c\n\nd"]) == ["a", "bc", "", "d"])
        #expect(try await lines(["a\n"]) == ["a"])
        #expect(try await lines([]) == [])
    }

    @Test func `A line over the limit is an error, and nothing follows it`() async throws {
        let response = StreamedResponse(body: .chunks([Array("a\nlong line".utf8), Array("\nb\n".utf8)]))
        var lines = response.body.lines(upTo: 5).makeAsyncIterator()
        #expect(try await lines.next() == "a")
        let error = await #expect(throws: H2Error.self) { try await lines.next() }
        #expect(error?.code == .limitExceeded)
        #expect(try await lines.next() == nil)
    }

    // printf hello | openssl dgst -sha256 -binary | base64
    private static let sha256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    private static let sha512 =
        "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="
    private static let wrong = "AAAAul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="

    struct Case: Sendable {
        var fields: HTTPFields = [:]
        var trailers: HTTPFields?
        var status = HTTPResponse.Status.ok
        var isRequired = true
        var isRight: Bool
    }

    private static let content = HTTPField.Name("content-digest")!
    private static let representation = HTTPField.Name("repr-digest")!

    private static let cases = [
        Case(fields: [content: "sha-256=:\(sha256):"], isRight: true),
        Case(fields: [content: "sha-512=:\(sha512):"], isRight: true),
        Case(fields: [content: "sha-512=:\(sha512):, sha-256=:\(sha256):"], isRight: true),
        // The longer one decides.
        Case(fields: [content: "sha-512=:\(sha512):, sha-256=:\(wrong):"], isRight: true),
        Case(fields: [content: "sha-512=:\(wrong):, sha-256=:\(sha256):"], isRight: false),
        Case(fields: [content: "sha-256=:\(wrong):"], isRight: false),
        Case(fields: [content: "sha-256=:AAAA:"], isRequired: false, isRight: false),
        Case(fields: [representation: "sha-256=:\(sha256):"], isRight: true),
        Case(fields: [representation: "sha-256=:\(wrong):"], isRight: false),
        Case(fields: [content: "sha-256=:\(sha256):", representation: "sha-512=:\(wrong):"], isRight: false),
        // Part of a representation.
        Case(fields: [representation: "sha-256=:\(wrong):"], status: .partialContent, isRequired: false, isRight: true),
        Case(fields: [representation: "sha-256=:\(sha256):"], status: .partialContent, isRight: false),
        Case(fields: [content: "sha-256=:\(sha256):"], status: .partialContent, isRight: true),
        // Nothing that can be verified.
        Case(isRight: false), Case(isRequired: false, isRight: true),
        Case(fields: [content: "md5=:AAAA:"], isRight: false),
        Case(fields: [content: "sha-256=\(sha256)"], isRight: false),
        Case(fields: [content: "sha-256=\(wrong)"], isRequired: false, isRight: true),
        // In the trailer fields.
        Case(trailers: [content: "sha-256=:\(sha256):"], isRight: true),
        Case(trailers: [content: "sha-512=:\(sha512):"], isRight: true),
        Case(trailers: [content: "sha-256=:\(wrong):"], isRequired: false, isRight: false),
    ]

    @Test(arguments: cases)
    func `A body is compared with the digests that were stated`(_ given: Case) async throws {
        for collects in [true, false] {
            let response = StreamedResponse(
                status: given.status, headerFields: given.fields,
                body: .chunks([Array("he".utf8), Array("llo".utf8)]), trailerFields: given.trailers)
            let body = response.verifiedBody(requiresDigest: given.isRequired)
            func read() async throws -> [UInt8] {
                if collects { return try await body.collect(upTo: 100) }
                var bytes: [UInt8] = []
                for try await chunk in body { bytes += chunk }
                return bytes
            }
            if given.isRight {
                #expect(try await read() == Array("hello".utf8))
            } else {
                let error = await #expect(throws: H2Error.self) { try await read() }
                #expect(error?.code == .digestMismatch)
            }
        }
    }

    @Test func `The name that a response suggests is read from its bytes`() {
        let name = HTTPField.Name("Content-Disposition")!
        for version in [HTTPProtocolVersion.http1, .http2] {
            let response = StreamedResponse(
                headerFields: [name: "attachment; filename=\"../a b.txt\""], version: version)
            #expect(response.contentDisposition?.fileName == "../a b.txt")
            #expect(response.contentDisposition?.safeFileName == "a b.txt")
        }
        #expect(StreamedResponse().contentDisposition == nil)
    }
}
