import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ResponseTests {
    @Test func `A body is collected up to a limit, or read in chunks`() async throws {
        try await Guide.run(["/small": { _ in .init(text: "small") }]) { guide in
            let client = guide.client
            // example: response-body
            let small = try await client.get("https://example.com/small", upTo: 1 << 20)  // else bodyTooLarge
            print(small.text)
            let large = try await client.send(.get, "https://example.com/bytes/1000000")
            var count = 0
            for try await chunk in large.body { count += chunk.count }  // the server waits for a slow reader
            print(large.status.code, count)
            // end
            #expect(guide.printed == ["small", "200 1000000"])
        }
    }

    @Test func `A body is read by lines`() async throws {
        try await Guide.run(["/log": { _ in .init(text: "one\r\ntwo\nthree") }]) { guide in
            let client = guide.client
            // example: response-lines
            let log = try await client.send(.get, "https://example.com/log")
            for try await line in log.body.lines(upTo: 4_096) {  // a longer line is limitExceeded
                print(line)
            }
            // end
            #expect(guide.printed == ["one", "two", "three"])
        }
    }

    @Test func `Server-sent events go on over another connection`() async throws {
        let routes: [String: OriginServer.Handler] = [
            "/prices": { request in
                let text: String
                switch request.headerFields[HTTPField.Name("last-event-id")!] {
                case nil: text = "retry: 1\n\nid: 1\ndata: 17\n\nid: 2\nevent: end\ndata: 18\n\n"
                case "2": text = "id: 3\ndata: 19\n\n"
                default: return .init(status: .noContent)
                }
                return .init(headerFields: [.contentType: "text/event-stream"], body: Array(text.utf8))
            }
        ]
        try await Guide.run(routes) { guide in
            let client = guide.client
            // example: response-events
            // Connects again with last-event-id whenever the connection ends, until the server answers 204.
            for try await event in try client.serverSentEvents("https://example.com/prices") {
                print(event.id, event.type, event.data)
            }
            // end
            #expect(guide.printed == ["1 message 17", "2 end 18", "3 message 19"])
        }
    }

    @Test func `A body is written to a file, whole or not at all`() async throws {
        let routes: [String: OriginServer.Handler] = [
            "/report": { _ in
                .init(
                    headerFields: [.contentDisposition: "attachment; filename=\"../report 2.pdf\""],
                    body: Array("%PDF".utf8))
            }
        ]
        try await Guide.run(routes) { guide in
            let (client, folder) = (guide.client, guide.folder)
            // example: response-file
            let report = try await client.send(.get, "https://example.com/report")
            let name = report.contentDisposition?.safeFileName ?? "report.pdf"  // without folders
            if report.status == .ok {
                try await report.body.write(to: "\(folder)/\(name)", options: .init(existingFile: .refuse))
            }
            // end
            #expect(!name.contains("/") && access("\(folder)/\(name)", F_OK) == 0)
        }
    }

    @Test func `A download continues, and its digest is verified`() async throws {
        let image = [UInt8](repeating: UInt8(ascii: "i"), count: 40_000)
        try await Guide.run { outer in
            let digest = try digestField(of: image, in: outer.folder)
            let isCut = Atomic<Bool>(true)
            let routes: [String: OriginServer.Handler] = [
                "/image.iso": { request in
                    var fields: HTTPFields = [.eTag: "\"1\"", HTTPField.Name("repr-digest")!: digest]
                    guard let range = request.headerFields[.range], let start = Int(range.dropFirst(6).dropLast())
                    else {
                        let fault: OriginServer.Fault? =
                            isCut.load(ordering: .relaxed) ? .stall(afterBytes: 20_000) : nil
                        return .init(headerFields: fields, body: image, fault: fault)
                    }
                    if isCut.load(ordering: .relaxed) { return .init(status: .notFound) }
                    fields[.contentRange] = "bytes \(start)-39999/40000"
                    return .init(status: .partialContent, headerFields: fields, body: Array(image[start...]))
                }
            ]
            try await Guide.run(routes) { guide in
                let (client, folder) = (guide.client, guide.folder)
                // An earlier run was interrupted.
                let impatient = RequestOptions(bodyProgressTimeout: .milliseconds(300))
                await #expect(throws: H2Error.self) {
                    try await client.download(
                        "https://example.com/image.iso", to: "\(folder)/image.iso", options: impatient,
                        settings: .init(maximumFailures: 0))
                }
                isCut.store(false, ordering: .relaxed)
                // example: response-download
                let file = try await client.download(
                    "https://example.com/image.iso", to: "\(folder)/image.iso",
                    settings: DownloadSettings(requiresDigest: true))
                print(file.byteCount, "bytes,", file.resumedByteCount, "of them by an earlier run")
                // end
                #expect(guide.printed.count == 1 && guide.printed[0].hasPrefix("40000 bytes, "))
                #expect(file.resumedByteCount > 0)
            }
        }
    }

    @Test func `A body is verified against its digest`() async throws {
        let image = Array("firmware".utf8)
        try await Guide.run { outer in
            let digest = try digestField(of: image, in: outer.folder)
            let routes: [String: OriginServer.Handler] = [
                "/firmware": { _ in .init(headerFields: [HTTPField.Name("content-digest")!: digest], body: image) }
            ]
            try await Guide.run(routes) { guide in
                let client = guide.client
                // example: response-digest
                let response = try await client.send(.get, "https://example.com/firmware")
                let firmware = try await response.verifiedBody().collect(upTo: 64 << 20)  // else digestMismatch
                // end
                #expect(firmware == image)
            }
        }
    }
}
