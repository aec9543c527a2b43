import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// How a response's body is read: as chunks, and as spans that are lent.
@Suite(.inTurn) struct HTTPResponseBodyTests {
    private func rig(_ count: Int) -> ConnectionRig {
        let rig = ConnectionRig()
        rig.server.onRequestEnd = { stream in
            stream.respond(200, [])
            stream.write((0..<count).map { UInt8(truncatingIfNeeded: $0) })
            stream.finish()
        }
        return rig
    }

    @Test(arguments: [0, 1, 100_000]) func `A closure is lent each chunk, until the end`(_ count: Int) throws {
        let rig = rig(count)
        let result = rig.run { connection in
            let body = try await connection.send(.to("/")).body
            var bytes: [UInt8] = []
            while let length = try await body.withNextChunk({ span in
                bytes += span.withUnsafeBytes { Array($0) }
                return span.byteCount
            }) {
                #expect(length > 0)
            }
            #expect(try await body.withNextChunk { _ in true } == nil)
            return bytes
        }
        #expect(result?.value == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
        rig.expectNothingLeft()
    }

    @Test func `An error of the closure is thrown, and the rest of the body is dropped with the response`() throws {
        struct Enough: Error {}
        let rig = rig(3_000_000)
        let result = rig.run { connection in
            try await connection.send(.to("/")).body.withNextChunk { _ in throw Enough() } ?? ()
        }
        #expect(result?.error is Enough)
        rig.expectNothingLeft()
    }

    @Test func `A chunk is a collection of its bytes`() {
        let bytes: [UInt8] = [3, 1, 4, 1, 5]
        let chunk = HTTPResponseBody.Chunk(bytes[1...])
        #expect(Array(chunk) == [1, 4, 1, 5])
        #expect(Data(chunk) == Data([1, 4, 1, 5]))
        #expect(chunk.count == 4 && chunk.first == 1 && chunk[chunk.startIndex + 1] == 4 && chunk.last == 5)
        #expect(Array(chunk[1...2]) == [4, 1])
        #expect(chunk == HTTPResponseBody.Chunk([1, 4, 1, 5]) && chunk != HTTPResponseBody.Chunk([]))
        #expect(chunk.withBytes { $0.byteCount } == 4)
        #expect(chunk.withContiguousStorageIfAvailable { Array($0) } == [1, 4, 1, 5])
        #expect(chunk.lastIndex(of: 1) == 2)
        #expect(HTTPResponseBody.Chunk([]).isEmpty)
    }
}
