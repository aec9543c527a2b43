import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Fields of more than 64 KiB, which nghttp2's decompressor does not take.
@Suite(.inTurn, .ownThreads) struct LargeFieldTests {
    private func configuration(limit: Int, frameSize: Int = 16_384) -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerListSize = limit
        configuration.limits.frameSize = frameSize
        return configuration
    }

    /// A header block in frames of up to `piece` bytes.
    private func frames(
        _ id: Int32, _ block: [UInt8], piece: Int = 16_384, endStream: Bool = true, padding: Int? = nil
    ) -> [UInt8] {
        var frames: [Frame] = []
        var at = 0
        repeat {
            let count = min(at == 0 ? piece - (padding.map { $0 + 1 } ?? 0) : piece, block.count - at)
            let bytes = Array(block[at..<at + count])
            let isLast = at + count == block.count
            frames.append(
                at == 0
                    ? .headers(id, bytes, endStream: endStream, endHeaders: isLast, padding: padding)
                    : .continuation(id, bytes, endHeaders: isLast))
            at += count
        } while at < block.count
        return frames.flatMap(\.bytes)
    }

    private static func value(_ count: Int, _ letter: Character = "v") -> String {
        String(repeating: letter, count: count)
    }

    /// Huffman-coded, and with bytes whose code is longer than they are.
    private static let alphabets = ["v", "~", "0a ~!Z", "\u{e9}\u{ff}"]

    @Test(arguments: [65_535, 65_536, 65_537, 70_000, 110_000, 300_000, 1_000_000], alphabets)
    func `A field within the limit is taken whatever its size`(_ count: Int, _ alphabet: String) throws {
        let rig = SessionRig(configuration(limit: 3 << 20))
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        let letters = Array(alphabet)
        let value = "x" + String((0..<count - 2).map { letters[$0 % letters.count] }) + "x"
        let fields = [(":status", "200"), ("x-before", "1"), ("x-large", value), ("x-after", "2")]
        #expect(rig.receive(bytes: frames(stream.id, rig.encoder.encode(fields))) == nil)
        #expect(stream.hasEnded, "\(String(describing: stream.failure))")
        #expect(stream.head.firstValue(of: "x-large") == value)
        #expect(
            stream.head.rawFields.map { String(decoding: $0.name, as: UTF8.self) } == [
                "x-before", "x-large", "x-after",
            ])
        // The compression table is still right: what was indexed before and after it is known.
        let next = [(":status", "200"), ("x-before", "1"), ("x-after", "2")]
        #expect(rig.receive(bytes: frames(sibling.id, rig.encoder.encode(next))) == nil)
        #expect(sibling.head.firstValue(of: "x-before") == "1")
        #expect(sibling.head.firstValue(of: "x-after") == "2")
    }

    @Test(arguments: [65_537, 200_000, 1 << 20, 8 << 20])
    func `A field over the limit fails its stream with that reason, and no sibling`(_ count: Int) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        let block = rig.encoder.encode([(":status", "200"), ("x-large", Self.value(count, "~")), ("x-after", "2")])
        #expect(rig.receive(bytes: frames(stream.id, block)) == nil)
        #expect(rig.sent(Frame.Kind.resetStream).map(\.streamID) == [stream.id])
        #expect(stream.failure?.code == .limitExceeded)
        #expect(stream.failure?.initiator == .local)
        #expect(stream.failure?.remedy.contains("headerListSize") == true)
        rig.receive(bytes: frames(sibling.id, rig.encoder.encode([(":status", "200"), ("x-after", "2")])))
        #expect(sibling.hasEnded)
        #expect(sibling.head.firstValue(of: "x-after") == "2")
    }

    @Test func `Several large fields, large trailers, and a large field in one large frame`() throws {
        let rig = SessionRig(configuration(limit: 2 << 20, frameSize: 1 << 20))
        let stream = try rig.sentRequest()
        let fields = [(":status", "200"), ("a", Self.value(70_000, "a")), ("b", Self.value(80_000, "~")), ("c", "3")]
        #expect(
            rig.receive(bytes: frames(stream.id, rig.encoder.encode(fields), piece: 1 << 20, endStream: false)) == nil)
        #expect(stream.head.rawFields.map(\.value.count) == [70_000, 80_000, 1])
        let trailers = [("t", Self.value(90_000, "t")), ("u", "4")]
        #expect(rig.receive(bytes: frames(stream.id, rig.encoder.encode(trailers))) == nil)
        #expect(stream.hasEnded)
        #expect(stream.trailers.rawFields.map(\.value.count) == [90_000, 1])
    }

    @Test func `A large field in an informational response, then the final one`() throws {
        let rig = SessionRig(configuration(limit: 2 << 20))
        let stream = try rig.sentRequest()
        let early = rig.encoder.encode([(":status", "103"), ("link", Self.value(60_000 + 10_000))])
        #expect(rig.receive(bytes: frames(stream.id, early, endStream: false)) == nil)
        #expect(
            stream.failure?.code == .limitExceeded || stream.informational.first?.block.firstValue(of: "link") != nil)
    }

    @Test(arguments: 1...60)
    func `Wherever the bytes and the block are cut, it comes to the same`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let limit = random.oneIn(3) ? 64 << 10 : 1 << 20
        let rig = SessionRig(configuration(limit: limit, frameSize: random.oneIn(2) ? 16_384 : 1 << 20))
        var expected: [(RecordingStream, [String], Bool)] = []
        var bytes: [UInt8] = []
        for _ in 0..<random.int(1...4) {
            let stream = try rig.sentRequest()
            var fields = [(":status", "200")]
            var size = 42
            for index in 0..<random.int(0...5) {
                let count = random.oneIn(2) ? random.int(65_500...65_600) : random.size(upTo: 120_000)
                let letter = Character(Unicode.Scalar(UInt8(random.int(0x21...0x7e))))
                let name = random.oneIn(3) ? "x-\(index)" : "server"
                fields.append((name, Self.value(count, letter)))
                size += name.utf8.count + count + 32
            }
            let block = rig.encoder.encode(fields)
            bytes += frames(
                stream.id, block, piece: random.int(5_000...16_384),
                padding: random.oneIn(2) ? random.int(0...255) : nil)
            if random.oneIn(2) { bytes += Frame.ping().bytes }
            expected.append((stream, fields.dropFirst().map(\.1), size <= limit))
        }
        var at = 0
        while at < bytes.count {
            let count = min(bytes.count - at, random.oneIn(4) ? random.int(1...20) : random.size(upTo: 65_536) + 1)
            try #require(rig.receive(bytes: Array(bytes[at..<at + count])) == nil, "seed \(seed)")
            at += count
        }
        rig.sent()
        for (stream, values, isGood) in expected {
            #expect(stream.hasEnded == isGood, "seed \(seed)")
            if isGood {
                #expect(
                    stream.head.rawFields.map { String(decoding: $0.value, as: UTF8.self) } == values, "seed \(seed)")
            } else {
                #expect(stream.failure?.code == .limitExceeded, "seed \(seed)")
            }
        }
    }

    @Test func `A large field with a character that no field has is malformed`() throws {
        let rig = SessionRig(configuration(limit: 1 << 20))
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        let value = [UInt8](repeating: 0x61, count: 70_000) + [0] + Array("b".utf8)
        let block = [0x88] + FieldEncoder.literal(name: Array("x".utf8), value: value)
        rig.receive(bytes: frames(stream.id, block))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
        rig.receive(rig.head(sibling, endStream: true))
        #expect(sibling.hasEnded)
    }

    @Test func `A large name fails its stream alone`() throws {
        let rig = SessionRig(configuration(limit: 1 << 20))
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        for value in ["v", Self.value(70_000)] {
            let block = rig.encoder.encode([(":status", "200"), (Self.value(70_000, "~"), value), ("x-after", "2")])
            #expect(rig.receive(bytes: frames(stream.id, block)) == nil)
        }
        rig.sent()
        #expect(stream.failure?.code == .limitExceeded)
        rig.receive(rig.head(sibling, [("x-after", "2")], endStream: true))
        #expect(sibling.head.firstValue(of: "x-after") == "2")
    }

    @Test func `A header block that ends within a large field, or has a bad code, is the server's fault`() throws {
        let long = FieldEncoder.literal(name: Array("x".utf8), value: [UInt8](repeating: 0x61, count: 70_000))
        // A string of ones is the end's code, which must not be in one.
        let bad: [UInt8] = [0, 1, 0x78, 0xff, 0xf1, 0xa2, 0x04] + [UInt8](repeating: 0xff, count: 70_000)
        for block in [Array(long.dropLast()), Array(long[..<5]), Array(long[..<40_000]), bad] {
            let rig = SessionRig(configuration(limit: 1 << 20))
            let stream = try rig.sentRequest()
            let error = rig.receive(bytes: frames(stream.id, [0x88] + block, piece: 16_000))
            #expect(error?.http2Code == .compressionError, "\(String(describing: error))")
        }
    }

    @Test func `A block for a stream that is closed keeps the table right`() throws {
        let rig = SessionRig()
        let closed = try rig.sentRequest()
        rig.session.reset(closed, .cancel)
        rig.sent()
        let stream = try rig.sentRequest()
        let block = rig.encoder.encode([(":status", "200"), ("x-large", Self.value(70_000)), ("x-after", "2")])
        #expect(rig.receive(bytes: frames(closed.id, block)) == nil)
        let next = rig.encoder.encode([(":status", "200"), ("x-large", Self.value(66_000, "~")), ("x-after", "2")])
        #expect(rig.receive(bytes: frames(stream.id, next)) == nil)
        rig.sent()
        #expect(stream.failure?.code == .limitExceeded)
        let last = try rig.sentRequest()
        rig.receive(rig.head(last, [("x-after", "2")], endStream: true))
        #expect(last.head.firstValue(of: "x-after") == "2")
    }

    @Test func `Full CONTINUATION frames are limited too`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let piece = FieldEncoder.literal(name: Array("x".utf8), value: [UInt8](repeating: 0x61, count: 16_378))
        rig.receive(.headers(stream.id, [0x88], endHeaders: false))
        var error: H2Error?
        var count = 0
        while error == nil, count < 2_000 {
            error = rig.receive(.continuation(stream.id, piece, endHeaders: false))
            count += 1
        }
        #expect(error?.http2Code == .enhanceYourCalm)
        // 1,023 of 16 MiB, 16 besides.
        #expect((1_030...1_050).contains(count), "\(count)")
    }

    // MARK: - Requests

    @Test(arguments: [70_000, 1 << 20, 15 << 20])
    func `A request's field may be larger than 64 KiB as well`(_ count: Int) throws {
        let rig = SessionRig()
        let value = Self.value(count, "~")
        let stream = try rig.request(fields: [.init("x-large"): value])
        let block = rig.sent().filter { $0.streamID == stream.id }
        #expect(block.first?.type == Frame.Kind.headers)
        #expect(block.dropFirst().allSatisfy { $0.type == Frame.Kind.continuation })
        #expect(block.reduce(0) { $0 + $1.payload.count } > count)
        rig.receive(rig.head(stream, endStream: true))
        #expect(stream.hasEnded)
    }

    @Test func `A request's field beyond 16 MiB fails its request alone, as our limit`() throws {
        let rig = SessionRig()
        let sibling = try rig.request()
        let stream = try rig.request(fields: [.init("x-large"): Self.value(17 << 20, "~")])
        rig.sent()
        #expect(stream.failure?.code == .invalidRequest)
        #expect(stream.failure?.message.contains("16 MiB") == true)
        rig.receive(rig.head(sibling, endStream: true))
        #expect(sibling.hasEnded)
    }

    @Test(arguments: [70_000, 1 << 20])
    func `HTTP-1 takes and sends large fields too`(_ count: Int) throws {
        let rig = HTTP1Rig(configuration(limit: 2 << 20))
        let stream = try rig.request(fields: [.init("x-large"): Self.value(count)])
        #expect(rig.sent().utf8.count > count)
        rig.receive("HTTP/1.1 200 OK\r\nx-large: \(Self.value(count))\r\ncontent-length: 0\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(stream.field("x-large")?.utf8.count == count)
    }
}
