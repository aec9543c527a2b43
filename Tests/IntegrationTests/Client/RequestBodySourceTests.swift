import H2Client
import H2ClientJSON
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// The bytes that a server gets of bodies from different sources.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct RequestBodySourceTests {
    private struct Got: Equatable {
        var body: [UInt8]
        var type: String?
        var length: String?
    }

    private static let type = HTTPField.Name("x-type")!
    private static let length = HTTPField.Name("x-length")!

    private static var configuration: OriginServer.Configuration {
        var configuration = OriginServer.Configuration()
        configuration.routes["/body"] = { request in
            var fields = HTTPFields()
            if let type = request.headerFields[.contentType] { fields[Self.type] = type }
            if let length = request.headerFields[.contentLength] { fields[Self.length] = length }
            return OriginServer.Response(headerFields: fields, body: request.body)
        }
        return configuration
    }

    private func send(
        _ body: HTTPRequestBody, fields: HTTPFields = [:], _ versions: OriginServer.Versions = .both
    ) async throws -> Got {
        var configuration = Self.configuration
        configuration.versions = versions
        return try await withOriginAndClient(configuration) { client, server in
            let response = try await client.post("\(server.url)/body", body: body, headerFields: fields)
            #expect(response.status == .ok)
            return Got(
                body: response.body, type: response.headerFields[Self.type], length: response.headerFields[Self.length])
        }
    }

    private static let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * 7) }

    /// A sequence that is not a collection.
    private struct Counting: Sequence, Sendable {
        func makeIterator() -> AnyIterator<UInt8> {
            var index = 0
            return AnyIterator {
                defer { index += 1 }
                return index < bytes.count ? bytes[index] : nil
            }
        }
    }

    private static func stream<Element: Sendable>(_ elements: some Sequence<Element>) -> AsyncStream<Element> {
        AsyncStream { continuation in
            for element in elements { continuation.yield(element) }
            continuation.finish()
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `Sequences of every kind arrive as their bytes`(_ versions: OriginServer.Versions) async throws {
        let bytes = Self.bytes
        let bodies: [(HTTPRequestBody, isLengthKnown: Bool)] = [
            (.bytes(Counting()), true), (.bytes(Counting().lazy.map { $0 }), true), (.bytes(bytes[...]), true),
            (.bytes(bytes.span.bytes), true), (.stream(Self.stream(bytes)), false),
            (.stream(Self.stream(bytes), length: bytes.count), true),
            (.stream(Self.stream([bytes[..<10], bytes[10...]])), false),
            (.stream(Self.stream([Counting()])), false), (.stream(Self.stream([bytes])), false),
        ]
        for (index, (body, isLengthKnown)) in bodies.enumerated() {
            let got = try await send(body, versions)
            #expect(got.body == bytes, "body \(index)")
            #expect(got.length == (isLengthKnown ? String(bytes.count) : nil), "body \(index)")
            #expect(got.type == nil)
        }
    }

    @Test func `A form is sent with its type, which a field of the request replaces`() async throws {
        let form = HTTPRequestBody.form(["a": "1 2", "a": "&"])
        #expect(
            try await send(form)
                == Got(body: Array("a=1+2&a=%26".utf8), type: "application/x-www-form-urlencoded", length: "11"))
        #expect(try await send(form, fields: [.contentType: "x/y"]).type == "x/y")
        var plain = HTTPRequestBody.string("x")
        #expect(try await send(plain).type == nil)
        plain.contentType = "text/plain"
        #expect(try await send(plain).type == "text/plain")
        plain.contentType = nil
        #expect(try await send(plain).type == nil)
        #expect(
            try await send(.json(["a": 1])) == Got(body: Array("{\"a\":1}".utf8), type: "application/json", length: "7")
        )
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A part of a file is sent, with its length`(_ versions: OriginServer.Versions) async throws {
        let path = try TemporaryDirectory.shared.newPath("part.txt")
        try writeText(String(repeating: "0123456789", count: 100_000), to: path)
        let table: [(HTTPRequestBody, String)] = [
            (.file(path, range: 3..<7), "3456"), (.file(path, range: 999_995...), "56789"),
            (.file(path, range: 1_000_000...), ""), (.file(path, range: ...2), "012"),
        ]
        for (body, text) in table {
            let got = try await send(body, versions)
            #expect(String(decoding: got.body, as: UTF8.self) == text)
            #expect(got.length ?? "0" == String(text.utf8.count))
        }
        let most = try await send(.file(path, range: 1..<999_999), versions)
        #expect(most.body.count == 999_998 && most.body.first == 0x31 && most.body.last == 0x38)
        let error = await #expect(throws: H2Error.self) { try await send(.file(path, range: 0..<1_000_001), versions) }
        #expect(error?.code == .localIO)
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A form with files and streams arrives whole, with its length if it is known`(
        _ versions: OriginServer.Versions
    ) async throws {
        let path = try TemporaryDirectory.shared.newPath("upload.bin")
        try writeText(String(repeating: "file ", count: 200_000), to: path)
        for length in [nil, 5] {
            var form = MultipartForm()
            form.append("text", "value")
            form.append("file", file: path, contentType: "text/plain")
            form.append("part", file: path)
            form.parts[2].body = .file(path, range: 5..<9)
            form.append(
                MultipartForm.Part(
                    "stream",
                    .stream(Self.stream(["str", "eam"].map { Array($0.utf8) }), length: length.map { _ in 6 })))
            let body = HTTPRequestBody.multipart(form)
            let expected = try await send(body, versions)
            let text = String(decoding: expected.body, as: UTF8.self)
            #expect(text.hasSuffix("\r\n\r\nstream\r\n--\(try #require(boundary(expected.type)))--\r\n"))
            #expect(text.contains("\r\n\r\nvalue\r\n--"))
            #expect(
                text.contains(
                    "filename=\"\(path.split(separator: "/").last!)\"\r\nContent-Type: application/octet-stream\r\n\r\nfile\r\n--"
                ))
            #expect(expected.body.count > 1_000_000)
            #expect(expected.length == (length == nil ? nil : String(expected.body.count)))
        }
    }

    private func boundary(_ type: String?) -> String? {
        type.flatMap { $0.hasPrefix("multipart/form-data; boundary=") ? String($0.dropFirst(30)) : nil }
    }

    @Test func `A form's file that does not exist fails the request before it is sent`() async throws {
        var form = MultipartForm()
        form.append("file", file: "/nowhere/at/all")
        let error = await #expect(throws: H2Error.self) { try await send(.multipart(form)) }
        #expect(error?.code == .localIO)
        #expect(error?.message.contains("/nowhere/at/all") == true)
    }

    @Test func `A form is sent on a lent connection, in full duplex, and as a part of a form`() async throws {
        let path = try TemporaryDirectory.shared.newPath("small.txt")
        try writeText("small", to: path)
        var inner = MultipartForm()
        inner.append("file", file: path)
        let form = MultipartForm([MultipartForm.Part("inner", .multipart(inner))])
        try await withOriginAndClient(Self.configuration) { client, server in
            let request = try RequestTarget("\(server.url)/body").request(.post)
            let lent = try await client.withConnection(to: server.origin) { connection in
                let response = try await connection.send(request, body: .multipart(form))
                return (response.firstValue(of: Self.type), try await response.body.collect(upTo: 10_000))
            }
            let duplex = try await client.send(request, body: .multipart(form)) { response in
                (response.firstValue(of: Self.type), try await response.body.collect(upTo: 10_000))
            }
            for (type, bytes) in [lent, duplex] {
                let boundary = try #require(self.boundary(type))
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(text.hasSuffix("--\(boundary)--\r\n"))
                #expect(text.contains("Content-Type: multipart/form-data; boundary=H2Client-Boundary"))
                #expect(text.contains("\r\n\r\nsmall\r\n--H2Client-Boundary"))
            }
        }
    }
}
