import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// The kinds of bytes that a request's body takes, and how its writer ends it.
@Suite(.inTurn) struct HTTPRequestBodyTests {
    private static let checksum = HTTPField.Name("x-checksum")!

    /// A server that answers with the body and the trailer field that it got.
    private func echoingRig() -> ConnectionRig {
        let rig = ConnectionRig()
        rig.server.onRequestEnd = { stream in
            stream.respond(
                200, [("x-trailers", stream.trailers.map { "\($0.name)=\($0.value)" }.joined(separator: ","))])
            stream.write(stream.received)
            stream.finish()
        }
        return rig
    }

    private func echo(
        _ connection: HTTP2Connection, _ body: HTTPRequestBody
    ) async throws -> (bytes: [UInt8], trailers: String?) {
        let response = try await connection.send(.to("/", .post), body: body)
        let trailers = response.firstValue(of: HTTPField.Name("x-trailers")!)
        return (try await response.body.collect(upTo: 1 << 20), trailers)
    }

    @Test func `Collections and spans arrive as their bytes, whole and as chunks of a writer`() throws {
        let rig = echoingRig()
        let bytes = [UInt8](0..<200)
        let chunk = HTTPResponseBody.Chunk(bytes)
        let bodies: [HTTPRequestBody] = [
            .bytes(bytes), .bytes(bytes[...]), .bytes(Data(bytes)), .bytes(chunk), .bytes(bytes.span),
            .bytes(bytes.span.bytes),
            .writer { writer in
                try await writer.write(bytes[..<40])
                try await writer.write(Data(bytes[40..<80]))
                try await writer.write(Array(bytes[80..<90]).span)
                try await writer.write(Array(bytes[90..<100]).span.bytes)
                try await writer.write(HTTPResponseBody.Chunk(bytes[100..<150]))
                try await writer.write(Array(bytes[150...]))
            },
            .stream(
                AsyncStream<ArraySlice<UInt8>> { continuation in
                    continuation.yield(bytes[..<100])
                    continuation.yield(bytes[100...])
                    continuation.finish()
                }),
        ]
        for (index, body) in bodies.enumerated() {
            let result = rig.run { try await self.echo($0, body) }
            #expect(result?.value?.bytes == bytes, "body \(index): \(String(describing: result))")
        }
        rig.expectNothingLeft()
    }

    @Test func `A writer ends its body with a checksum that it knows only then`() throws {
        let rig = echoingRig()
        for given in [nil, [Self.checksum: "too early"]] as [HTTPFields?] {
            let result = rig.run { connection in
                try await self.echo(
                    connection,
                    .writer(trailers: given) { writer in
                        try await writer.write([1, 2, 3])
                        try await writer.finish(trailers: [Self.checksum: "6"])
                    })
            }
            #expect(result?.value?.bytes == [1, 2, 3])
            #expect(result?.value?.trailers == "x-checksum=6")
        }
        rig.expectNothingLeft()
    }

    @Test func `A writer that ends its body without fields sends those that it was created with`() throws {
        let rig = echoingRig()
        let result = rig.run { connection in
            try await self.echo(connection, .writer(trailers: [Self.checksum: "0"]) { try await $0.finish() })
        }
        #expect(result?.value?.bytes == [])
        #expect(result?.value?.trailers == "x-checksum=0")
        rig.expectNothingLeft()
    }

    @Test(arguments: [false, true])
    func `A closure may go on after the end, however late the response is`(_ throwsAtLast: Bool) throws {
        let rig = ConnectionRig()
        rig.server.onRequestEnd = { stream in
            rig.world.after(2_000_000_000) {
                stream.respond(200, [])
                stream.write(stream.received)
                stream.finish()
            }
        }
        let result = rig.run { connection in
            try await self.echo(
                connection,
                .writer { writer in
                    try await writer.write([7])
                    try await writer.finish()
                    // The task is cancelled by now or soon, since nothing is left to send.
                    do {
                        try await Task.sleep(for: .seconds(60))
                    } catch  where !throwsAtLast {}
                })
        }
        #expect(result?.value?.bytes == [7], "\(String(describing: result))")
        rig.expectNothingLeft()
    }

    @Test func `Nothing can be written after the end`() throws {
        for ends in [false, true] {
            // A server that never answers, so that only the writer can end the request.
            let rig = ConnectionRig()
            let error = Noted<H2Error>()
            let result = rig.run { connection in
                try await self.echo(
                    connection,
                    .writer { writer in
                        try await writer.write([7])
                        try await writer.finish()
                        do {
                            if ends { try await writer.finish() } else { try await writer.write([8]) }
                        } catch let found as H2Error {
                            error.value = found
                            throw found
                        }
                    })
            }
            #expect(error.value?.code == .invalidRequest)
            #expect(result?.h2Error?.code == .invalidRequest)
            rig.expectNothingLeft()
        }
    }

    @Test func `An empty list of trailer fields is none, also after a body of known length`() throws {
        let rig = echoingRig()
        let result = rig.run { connection in
            try await self.echo(
                connection,
                .writer(length: 1) { writer in
                    try await writer.write([7])
                    try await writer.finish(trailers: [:])
                })
        }
        #expect(result?.value?.bytes == [7] && result?.value?.trailers == "")
        rig.expectNothingLeft()

        let http1 = HTTP1ConnectionRig()
        http1.answer = { _ in HTTP1ConnectionRig.ok("") }
        let plain = http1.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer(length: 1) { writer in
                    try await writer.write([0x61])
                    try await writer.finish(trailers: [:])
                }
            ).status.code
        }
        #expect(plain?.value == 200)
    }

    @Test func `A field that cannot be a trailer field, or a wrong length, fails the request`() throws {
        let rig = echoingRig()
        let unsuited = rig.run { connection in
            try await self.echo(connection, .writer { try await $0.finish(trailers: [.connection: "close"]) })
        }
        #expect(unsuited?.h2Error?.code == .invalidRequest)
        #expect(unsuited?.h2Error?.message.contains("trailer") == true)
        let short = rig.run { connection in
            try await self.echo(
                connection,
                .writer(length: 3) { writer in
                    try await writer.write([1])
                    try await writer.finish()
                })
        }
        #expect(short?.h2Error?.code == .invalidRequest)
        rig.expectNothingLeft()
    }

    @Test func `A cancelled writer cannot make its body look complete`() throws {
        let rig = echoingRig()
        let result = rig.run { connection in
            try await self.echo(
                connection,
                .writer { writer in
                    try await writer.write([1])
                    withUnsafeCurrentTask { $0?.cancel() }
                    try await writer.finish(trailers: [Self.checksum: "1"])
                })
        }
        #expect(result?.error is CancellationError)
        rig.expectNothingLeft()
    }

    // MARK: - HTTP/1.1

    @Test func `Over HTTP/1.1 late trailer fields follow the last chunk`() throws {
        let rig = HTTP1ConnectionRig()
        rig.answer = { $0.contains("x-checksum") ? HTTP1ConnectionRig.ok("1") : nil }
        let result = rig.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    try await writer.write([0x61])
                    try await writer.finish(trailers: [Self.checksum: "97"])
                }
            ).body.discard()
        }
        #expect(result?.value == 1)
        #expect(rig.received.hasSuffix("1\r\na\r\n0\r\nx-checksum: 97\r\n\r\n"), "\(rig.received)")
        rig.expectNothingLeft()
    }

    @Test func `Over HTTP/1.1 a body of known length can have no late trailer fields`() throws {
        let rig = HTTP1ConnectionRig()
        let result = rig.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer(length: 1) { writer in
                    try await writer.write([0x61])
                    try await writer.finish(trailers: [Self.checksum: "97"])
                }
            ).body.discard()
        }
        #expect(result?.h2Error?.code == .invalidRequest)
        #expect(result?.h2Error?.remedy.contains("leave out the length") == true)
    }
}
