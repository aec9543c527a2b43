import H2Client
import H2ClientJSON
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct RequestBodyTests {
    private static let echo: OriginServer.Handler = { .init(body: $0.body) }

    @Test func `Bodies are made of anything that has bytes`() async throws {
        try await Guide.run(["/notes/": Self.echo]) { guide in
            let client = guide.client
            // example: body-memory
            _ = try await client.put("https://example.com/notes/1", body: .string("text, as UTF-8"))
            _ = try await client.put("https://example.com/notes/2", body: .bytes([1, 2, 3]))  // a slice, Data, …
            _ = try await client.put("https://example.com/notes/3", body: .bytes((0..<100).lazy.map { UInt8($0) }))
            let line: [UInt8] = Array("a line".utf8)
            _ = try await client.put("https://example.com/notes/4", body: .bytes(line.span))  // Span, RawSpan
            // end
            #expect(guide.requests.map(\.body.count) == [14, 3, 100, 6])
        }
    }

    @Test func `An asynchronous sequence is sent as it comes`() async throws {
        try await Guide.run(["/logs": Self.echo]) { guide in
            let client = guide.client
            let pieces = AsyncStream<[UInt8]> { continuation in
                for _ in 0..<3 { continuation.yield(Array("line\n".utf8)) }
                continuation.finish()
            }
            // example: body-stream
            // Of chunks, or of single bytes. With a length there is a content-length.
            let upload = HTTPRequestBody.stream(pieces, length: 15)
            let answer = try await client.post("https://example.com/logs", body: upload)
            print(answer.body.count)
            // end
            #expect(guide.printed == ["15"])
        }
    }

    @Test func `A writer ends a body with trailers`() async throws {
        try await Guide.run(["/logs": Self.echo]) { guide in
            let client = guide.client
            let pieces = AsyncStream<[UInt8]> { continuation in
                for _ in 0..<3 { continuation.yield(Array("line\n".utf8)) }
                continuation.finish()
            }
            // example: body-writer
            let upload = HTTPRequestBody.writer { writer in
                var count = 0
                for await piece in pieces {
                    try await writer.write(piece)  // suspends while the server's window is full
                    count += piece.count
                }
                try await writer.finish(trailers: [HTTPField.Name("x-bytes")!: "\(count)"])
            }
            let answer = try await client.post("https://example.com/logs", body: upload)
            // end
            #expect(answer.body.count == 15)
            #expect(guide.requests[0].trailerFields?[HTTPField.Name("x-bytes")!] == "15")
        }
    }

    @Test func `A file is sent from an offset on`() async throws {
        try await Guide.run(["/videos/": Self.echo]) { guide in
            let (client, folder) = (guide.client, guide.folder)
            try writeText(String(repeating: "v", count: 5_000), to: "\(folder)/video.mp4")
            // example: body-file
            var rest = HTTPRequestBody.file("\(folder)/video.mp4", range: 1_000...)
            rest.contentType = "video/mp4"
            let answer = try await client.put(
                "https://example.com/videos/17", body: rest, headerFields: [.contentRange: "bytes 1000-4999/5000"])
            // end
            #expect(answer.body.count == 4_000)
            #expect(guide.requests[0].headerFields[.contentType] == "video/mp4")
        }
    }

    @Test func `A form has fields, and another one files`() async throws {
        try await Guide.run(["/items": Self.echo]) { guide in
            let (client, folder) = (guide.client, guide.folder)
            try writeText("%PDF", to: "\(folder)/sheet.pdf")
            // example: body-forms
            let fields: FormFields = ["name": "bolt", "size": "M6 × 20"]
            _ = try await client.post("https://example.com/items", body: .form(fields))

            var form = MultipartForm()
            form.append("name", "bolt")
            form.append("sheet", file: "\(folder)/sheet.pdf")  // opened and read as it is sent
            form.append(.init("photo", .bytes([0xff, 0xd8]), fileName: "bolt.jpg"))  // any body, streams too
            _ = try await client.post("https://example.com/items", body: .multipart(form))
            // end
            #expect(String(decoding: guide.requests[0].body, as: UTF8.self) == "name=bolt&size=M6+%C3%97+20")
            let type = guide.requests[1].headerFields[.contentType] ?? ""
            #expect(type.hasPrefix("multipart/form-data; boundary="))
            let text = String(decoding: guide.requests[1].body, as: UTF8.self)
            #expect(text.contains("application/pdf") && text.contains("image/jpeg"))
        }
    }

    @Test func `JSON is sent and received`() async throws {
        try await Guide.run(["/orders": Self.echo]) { guide in
            let client = guide.client
            // example: body-json
            struct Order: Codable { var name: String, count: Int }
            let order = Order(name: "bolt", count: 100)
            // Another status than 2xx throws UnexpectedStatus, which has the response.
            let placed = try await client.post("https://example.com/orders", json: order, as: Order.self)
            let page = try await client.put("https://example.com/orders", body: .json(order))
            print(placed.count, try page.json(Order.self).name)
            // end
            #expect(guide.printed == ["100 bolt"])
            #expect(guide.requests[1].headerFields[.contentType] == "application/json")
        }
    }
}
