import CNghttp2
import H2TestSupport
import Testing

@testable import H2ClientTesting

@Suite(.inTurn) struct FrameHeadsTests {
    @Test(arguments: 1...60) func `Headers of frames are found however the bytes are cut`(size: Int) {
        let frames = [
            Frame.settings(), .headers(1, [1, 2, 3], endHeaders: false), .continuation(1, [], endHeaders: true),
            .data(0x7fff_ffff, [UInt8](repeating: 9, count: 70_000), endStream: true), .ping(), .windowUpdate(-1, 1),
        ]
        let bytes = [UInt8](repeating: 0, count: 24) + frames.flatMap(\.bytes)
        var heads = FrameHeads(skipping: 24)
        var found: [FrameHeads.Head] = []
        var start = 0
        while start < bytes.count {
            // The large frame's payload need not be cut as often.
            let end = min(bytes.count, start + (start > 1_000 && start < 69_000 ? 1_000 : size))
            bytes[start..<end].withUnsafeBytes {
                var at = 0
                while let head = heads.next($0, &at) { found.append(head) }
                #expect(at == $0.count)
            }
            start = end
        }
        #expect(found.map(\.type) == frames.map(\.type))
        #expect(found.map(\.flags) == frames.map(\.flags))
        #expect(found.map(\.length) == frames.map(\.payload.count))
        #expect(found.map(\.stream) == frames.map { $0.streamID & .max })
        #expect(heads.isBetweenFrames)
    }

    @Test func `The end of a frame or a header block is told wherever the bytes are cut`() {
        let units: [[UInt8]] = [
            RawPeer.frame(0, stream: 1, [1, 2, 3, 4, 5]), RawPeer.frame(4),
            RawPeer.frame(1, stream: 3, [1, 2]) + RawPeer.frame(9, stream: 3, [3])
                + RawPeer.frame(9, flags: 4, stream: 3),
            RawPeer.frame(6, [1, 2, 3, 4, 5, 6, 7, 8]),
            RawPeer.frame(1, stream: 5, [1, 2]) + RawPeer.frame(9, flags: 4, stream: 5, [3]),
        ]
        let bytes = Array(units.joined())
        var ends: [Int] = []
        for unit in units { ends.append((ends.last ?? 0) + unit.count) }
        func pass(_ piece: ArraySlice<UInt8>, _ heads: inout FrameHeads) -> Bool {
            var at = 0
            Array(piece).withUnsafeBytes { while heads.next($0, &at) != nil {} }
            return heads.takeEnded()
        }
        for first in bytes.indices {
            for second in first...bytes.count {
                var heads = FrameHeads(skipping: 0)
                _ = pass(bytes[..<first], &heads)
                let wanted = ends.contains { $0 > first && $0 <= second }
                #expect(pass(bytes[first..<second], &heads) == wanted, "\(first) \(second)")
            }
        }
    }

    @Test func `A frame or a header block that has begun is told from the gap between`() {
        var heads = FrameHeads(skipping: 0)
        func take(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes {
                var at = 0
                while heads.next($0, &at) != nil {}
            }
        }
        #expect(heads.isBetweenFrames)
        let head = Frame.headers(1, [1, 2], endHeaders: false).bytes
        take(Array(head.prefix(3)))
        #expect(!heads.isBetweenFrames && !heads.isWithinPayload)
        take(Array(head[3..<10]))
        #expect(!heads.isBetweenFrames && heads.isWithinPayload)
        take(Array(head[10...]))
        #expect(!heads.isBetweenFrames && !heads.isWithinPayload)
        take(Frame.continuation(1, [1], endHeaders: true).bytes)
        #expect(heads.isBetweenFrames)
    }
}

@Suite(.inTurn) struct StreamHistoryTests {
    @Test func `Streams that the client reset or passed over are closed, and no others`() {
        var history = StreamHistory()
        for id: Int32 in [3, 5, 11] { #expect(history.headers(on: id) == nil) }
        history.wasReset(5)
        #expect(history.headers(on: 1) == NGHTTP2_PROTOCOL_ERROR && history.headers(on: 7) == NGHTTP2_PROTOCOL_ERROR)
        #expect(
            history.headers(on: 5) == NGHTTP2_STREAM_CLOSED && history.data(on: 5) == NGHTTP2_STREAM_CLOSED
                && history.data(on: 9) == NGHTTP2_STREAM_CLOSED)
        for id: Int32 in [0, 2, 3, 4, 11] { #expect(history.headers(on: id) == nil && history.data(on: id) == nil) }
        // One that was never opened is not closed by it.
        history.wasReset(13)
        #expect(history.headers(on: 13) == nil)
    }

    @Test func `It forgets the oldest, and never more than a few are kept`() {
        var history = StreamHistory()
        for id in stride(from: Int32(1), to: 100_001, by: 4) {
            #expect(history.headers(on: id) == nil)
            history.wasReset(id)
        }
        #expect(history.data(on: 1) == nil && history.headers(on: 3) == nil)
        #expect(
            history.data(on: 99_997) == NGHTTP2_STREAM_CLOSED && history.headers(on: 99_995) == NGHTTP2_PROTOCOL_ERROR)
    }
}
