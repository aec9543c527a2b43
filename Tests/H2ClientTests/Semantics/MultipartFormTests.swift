import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite(.inTurn) struct MultipartFormTests {
    /// The body with its boundary replaced, as text.
    private func text(_ form: MultipartForm) async throws -> String {
        let body = HTTPRequestBody.multipart(form)
        let type = try #require(body.contentType)
        let prefix = "multipart/form-data; boundary="
        #expect(type.hasPrefix(prefix))
        let boundary = String(type.dropFirst(prefix.count))
        #expect(boundary.utf8.count <= 70, "RFC 2046 section 5.1.1")
        let bytes = try await body.collect()
        if let length = body.knownLength { #expect(length == bytes.count) }
        return String(decoding: bytes, as: UTF8.self).replacing(boundary, with: "B")
    }

    @Test func `Parts are written in order, with their types`() async throws {
        var form = MultipartForm()
        form.append("title", "Grüße")
        form.append("title", "again")
        form.append(MultipartForm.Part("data", .bytes([0x78]), fileName: "x.PNG"))
        form.append(MultipartForm.Part("odd", .bytes([]), fileName: "x.unknown"))
        form.append(MultipartForm.Part("json", .string("{}"), contentType: "application/json"))
        #expect(
            try await text(form) == """
                --B\r
                Content-Disposition: form-data; name="title"\r
                \r
                Grüße\r
                --B\r
                Content-Disposition: form-data; name="title"\r
                \r
                again\r
                --B\r
                Content-Disposition: form-data; name="data"; filename="x.PNG"\r
                Content-Type: image/png\r
                \r
                x\r
                --B\r
                Content-Disposition: form-data; name="odd"; filename="x.unknown"\r
                Content-Type: application/octet-stream\r
                \r
                \r
                --B\r
                Content-Disposition: form-data; name="json"\r
                Content-Type: application/json\r
                \r
                {}\r
                --B--\r

                """)
    }

    @Test func `A form without parts is its end alone`() async throws {
        #expect(try await text(MultipartForm()) == "--B--\r\n")
    }

    @Test(arguments: [
        ("a\"b", "a%22b"), ("a\r\nb: c", "a%0D%0Ab: c"), ("a\0b", "a%00b"), ("100%", "100%"), ("a\\b", "a\\b"),
        ("naïve", "naïve"), ("a;b", "a;b"), ("", ""),
    ])
    func `No name can end its field`(_ name: String, _ written: String) async throws {
        let form = MultipartForm([MultipartForm.Part(name, .string("x"), fileName: name, contentType: "a/b")])
        let lines = try await text(form).split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines[1] == "Content-Disposition: form-data; name=\"\(written)\"; filename=\"\(written)\"")
        #expect(lines.count == 7)
    }

    @Test func `No content type can add a field`() async throws {
        let form = MultipartForm([MultipartForm.Part("a", .string("x"), contentType: "a/b\r\nX: y")])
        let lines = try await text(form).split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines.count == 7)
        #expect(lines[2].hasPrefix("Content-Type: a/b"))
    }

    @Test func `A boundary that a part contains is not used`() {
        struct Numbers: RandomNumberGenerator {
            var calls = 0
            mutating func next() -> UInt64 {
                calls += 1
                // Two different boundaries. (With 0 the standard library would ask forever.)
                return calls <= 43 ? 1 : .max
            }
        }
        var numbers = Numbers()
        let first = MultipartForm().newBoundary(using: &numbers)
        for text in [first, "x\(first)", "\(first)x", "\r\n--\(first)--"] {
            numbers = Numbers()
            let form = MultipartForm([MultipartForm.Part("a", .string("")), MultipartForm.Part("b", .string(text))])
            let boundary = form.newBoundary(using: &numbers)
            #expect(boundary != first)
            #expect(boundary.utf8.count == first.utf8.count)
        }
        numbers = Numbers()
        let harmless = MultipartForm([MultipartForm.Part("a", .string(String(first.dropLast())))])
        #expect(harmless.newBoundary(using: &numbers) == first)
    }

    @Test func `A form can be sent again if all of its parts can`() {
        let stream = HTTPRequestBody.writer { _ in }
        let again = HTTPRequestBody.writer(length: 0, isReplayable: true) { _ in }
        let table: [([HTTPRequestBody], Bool)] = [
            ([], true), ([.string("a"), .file("/nowhere")], true), ([.string("a"), stream], false), ([again], true),
            ([.file("/nowhere"), stream], false),
        ]
        for (bodies, isReplayable) in table {
            let form = MultipartForm(bodies.map { MultipartForm.Part("a", $0) })
            #expect(HTTPRequestBody.multipart(form).isReplayable == isReplayable)
        }
    }

    @Test func `The length is known if those of all parts are`() {
        let unknown = MultipartForm([MultipartForm.Part("a", .writer { _ in })])
        #expect(HTTPRequestBody.multipart(unknown).knownLength == nil)
        let known = MultipartForm([MultipartForm.Part("a", .writer(length: 7) { _ in })])
        #expect((HTTPRequestBody.multipart(known).knownLength ?? 0) > 7)
        let huge = MultipartForm([MultipartForm.Part("a", .writer(length: .max) { _ in })])
        #expect(HTTPRequestBody.multipart(huge).knownLength == nil)
    }

    @Test(arguments: [0, 2, 3, 5])
    func `A part of another length than it was said to have is an error`(_ length: Int) async throws {
        let form = MultipartForm([
            MultipartForm.Part("a", .writer(length: 4) { try await $0.write(Array(repeating: 1, count: length)) }),
            MultipartForm.Part("b", .string("x")),
        ])
        let error = await #expect(throws: H2Error.self) { try await HTTPRequestBody.multipart(form).collect() }
        #expect(error?.code == .invalidRequest)
    }

    @Test func `A part that ends early does not end the form, and takes no more bytes`() async throws {
        let ending = HTTPRequestBody.writer { writer in
            try await writer.write([0x61])
            try await writer.finish()
        }
        let form = MultipartForm([MultipartForm.Part("a", ending), MultipartForm.Part("b", .string("last"))])
        #expect(try await text(form).contains("\r\n\r\na\r\n--B\r\n"))
        #expect(try await text(form).contains("\r\n\r\nlast\r\n--B--\r\n"))
        let rude = HTTPRequestBody.writer { writer in
            try await writer.finish()
            try await writer.write([0x61])
        }
        await #expect(throws: H2Error.self) {
            try await HTTPRequestBody.multipart(MultipartForm([MultipartForm.Part("a", rude)])).collect()
        }
    }

    @Test func `A file is named by the end of its path`() async throws {
        let path = try TemporaryDirectory.shared.newPath("form part.txt")
        try writeText("contents", to: path)
        var form = MultipartForm()
        form.append("file", file: path)
        form.append("other", file: path, fileName: "b.css", contentType: "text/x")
        let text = try await text(form)
        let name = String(path.split(separator: "/").last!)
        #expect(
            text.contains(
                "name=\"file\"; filename=\"\(name)\"\r\nContent-Type: application/octet-stream\r\n\r\ncontents\r\n--B"))
        #expect(text.contains("name=\"other\"; filename=\"b.css\"\r\nContent-Type: text/x\r\n\r\ncontents\r\n--B--"))
    }
}
