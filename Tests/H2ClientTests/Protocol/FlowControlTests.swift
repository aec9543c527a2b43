import CNghttp2
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// RFC 9113 section 5.2, both ways.
@Suite(.inTurn) struct FlowControlTests {
    private func credits(_ frames: [Frame], _ id: Int32) -> [UInt32] {
        frames.filter { $0.type == Frame.Kind.windowUpdate && $0.streamID == id }.map { $0.number() }
    }

    private func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 7, count: count) }

    // MARK: - Receiving

    @Test func `The connection is credited on arrival, the stream only when its reader takes the bytes`() throws {
        let rig = SessionRig(windows: 65_535)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        for _ in 0..<3 { rig.receive(.data(stream.id, bytes(16_000))) }
        var frames = rig.sent()
        #expect(credits(frames, 0) == [48_000])
        #expect(credits(frames, stream.id) == [])
        #expect(rig.session.window.unread == 48_000)
        #expect(rig.read(stream).count == 48_000)
        frames = rig.sent()
        #expect(credits(frames, stream.id) == [48_000])
        #expect(credits(frames, 0) == [])
        #expect(rig.session.window.unread == 0)
    }

    @Test func `A body that nobody buffers is credited to both at once`() throws {
        for sink in [StreamState.Sink.nowhere, .collect(limit: 1 << 20)] {
            let rig = SessionRig(windows: 65_535)
            let stream = try rig.sentRequest()
            stream.sink = sink
            rig.receive(rig.head(stream))
            for _ in 0..<3 { rig.receive(.data(stream.id, bytes(16_000))) }
            let frames = rig.sent()
            #expect(credits(frames, 0) == [48_000])
            #expect(credits(frames, stream.id) == [48_000])
            #expect(rig.session.window.unread == 0)
        }
    }

    private func announcedWindows(_ frames: [Frame]) -> [UInt32] {
        frames.filter { $0.type == Frame.Kind.settings && $0.payload.count == 6 && $0.payload[1] == 4 }
            .map { $0.number(at: 2) }
    }

    @Test func `Past the unread limit streams' windows shrink, and the connection is credited all the same`() throws {
        let rig = SessionRig(windows: 200_000, connection: 200_000, unreadLimit: 100_000)
        let (first, second) = (try rig.sentRequest(), try rig.sentRequest())
        rig.receive(rig.head(first), rig.head(second))
        for _ in 0..<7 { rig.receive(.data(first.id, bytes(16_000))) }
        #expect(rig.session.window.debt == 16_000)
        #expect(announcedWindows(rig.sent()) == [65_535])
        // What comes before the server knows is owed.
        rig.receive(.data(first.id, bytes(16_000)))
        #expect(rig.session.window.debt == 32_000)
        #expect(credits(rig.sent(), 0) == [])
        rig.receive(.settingsAck)
        #expect(rig.session.window.debt == 0)
        #expect(credits(rig.sent(), 0) == [128_000])
        // The other stream goes on, for as long as its own window lasts.
        for _ in 0..<4 { rig.receive(.data(second.id, bytes(16_000))) }
        #expect(rig.session.window.debt == 0)
        #expect(rig.session.window.unread == 192_000)
        #expect(rig.read(second).count == 64_000)
        #expect(credits(rig.sent(), second.id) == [64_000])
        // Read up, and after some more has come, windows are wide again.
        #expect(rig.read(first).count == 128_000)
        rig.receive(.data(second.id, bytes(16_000)))
        rig.receive(.data(second.id, bytes(16_000)))
        rig.receive(.data(second.id, bytes(8_000)))
        #expect(announcedWindows(rig.sent()) == [200_000])
        _ = rig.read(second)
        #expect(rig.session.window.unread == 0)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `Windows of the least size are never withheld`() throws {
        let rig = SessionRig(windows: 65_535, unreadLimit: 20_000)
        let (first, second) = (try rig.sentRequest(), try rig.sentRequest())
        rig.receive(rig.head(first), rig.head(second))
        rig.receive(.data(first.id, bytes(16_000)), .data(second.id, bytes(16_000)), .data(first.id, bytes(16_000)))
        #expect(rig.session.window.debt == 0)
        #expect(credits(rig.sent(), 0) == [48_000])
        _ = rig.read(first)
        _ = rig.read(second)
        #expect(rig.session.window.unread == 0)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test(arguments: [0, 10_000, 1 << 20])
    func `A reset gives the connection its window back, whatever was unread`(_ unreadLimit: Int) throws {
        let rig = SessionRig(windows: 65_535, unreadLimit: unreadLimit)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, bytes(12_345)), .data(stream.id, bytes(9_876)))
        rig.session.reset(stream, .cancel)
        #expect(rig.sent(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.cancel.rawValue])
        #expect(rig.session.window.unread == 0)
        #expect(rig.session.window.debt == 0)
        #expect(stream.body.isEmpty)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `A reset by the server leaves what came before it to the reader`() throws {
        let rig = SessionRig(windows: 65_535, unreadLimit: 10_000)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, bytes(12_345)), .resetStream(stream.id, 2))
        #expect(rig.session.window.unread == 12_345)
        #expect(rig.read(stream).count == 12_345)
        #expect(rig.session.window.debt == 0)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `DATA that arrives after our reset is credited to the connection and to nobody`() throws {
        let rig = SessionRig(windows: 65_535)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        rig.session.reset(stream, .cancel)
        // Once before RST_STREAM has left, once after.
        rig.receive(.data(stream.id, bytes(5_000)))
        rig.sent()
        rig.receive(.data(stream.id, bytes(5_001)))
        #expect(stream.body.isEmpty)
        #expect(rig.session.window.unread == 0)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test(arguments: [0, 1, 100, 255]) func `Padding is credited by itself`(_ padding: Int) throws {
        let rig = SessionRig(windows: 65_535)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        for _ in 0..<20 { rig.receive(.data(stream.id, bytes(10), padding: padding)) }
        #expect(rig.read(stream).count == 200)
        rig.receive(.data(stream.id, bytes(1), endStream: true, padding: padding))
        _ = rig.read(stream)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `Padded DATA after our reset is credited whole`() throws {
        let rig = SessionRig(windows: 65_535)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        rig.session.reset(stream, .cancel)
        rig.receive(.data(stream.id, bytes(100), padding: 77))
        rig.sent()
        rig.receive(.data(stream.id, bytes(100), padding: 78))
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `The check of the window finds a single missing byte`() throws {
        let rig = SessionRig(windows: 65_535)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, [1], endStream: true))
        rig.session.window = ReceiveWindow(ConnectionConfiguration().windows)
        #expect(try rig.isConnectionWindowWhole())
        let other = SessionRig(windows: 100_000, unreadLimit: 0)
        let unread = try other.sentRequest()
        other.receive(other.head(unread), .data(unread.id, [1], endStream: true))
        #expect(try !other.isConnectionWindowWhole())
    }

    @Test func `A malformed response's body is credited`() throws {
        let rig = SessionRig(windows: 65_535)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream, [("content-length", "10")]), .data(stream.id, bytes(500)))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
        rig.receive(.data(stream.id, bytes(300)))
        #expect(rig.session.window.unread == 0)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `After a thousand streams of every ending the window is whole`() throws {
        var random = SeededGenerator(seed: 5)
        let rig = SessionRig(windows: 65_535, unreadLimit: 3_000)
        for _ in 0..<1_000 {
            let stream = try rig.sentRequest()
            rig.receive(rig.head(stream))
            for _ in 0..<random.int(0...3) {
                rig.receive(
                    .data(stream.id, bytes(random.int(0...2_000)), padding: random.oneIn(2) ? random.int(0...255) : nil)
                )
                if random.oneIn(2) { _ = rig.read(stream) }
            }
            switch random.int(0...4) {
            case 0: rig.receive(.data(stream.id, bytes(10), endStream: true))
            case 1: rig.receive(.resetStream(stream.id, 2))
            case 2:
                rig.session.reset(stream, .cancel)
                rig.receive(.data(stream.id, bytes(100), padding: 3))
            case 3: rig.receive(.headers(stream.id, FieldEncoder.literal([("Bad", "x")]), endStream: true))
            default: rig.receive(.headers(stream.id, rig.encoder.encode([("x", "y")]), endStream: true))
            }
            rig.sent()
            rig.session.dropUnread(stream)
        }
        #expect(rig.session.openStreamCount == 0)
        #expect(rig.session.window.unread == 0)
        #expect(rig.session.window.debt == 0)
        #expect(try rig.isConnectionWindowWhole())
    }

    @Test func `More DATA than the stream's window resets the stream or ends the connection with FLOW_CONTROL_ERROR`()
        throws
    {
        let rig = SessionRig(windows: 65_535, connection: 1 << 20)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        var error: H2Error?
        for _ in 0..<5 where error == nil { error = rig.receive(.data(stream.id, bytes(16_000))) }
        let frames = rig.sent()
        let codes =
            frames.filter { $0.type == Frame.Kind.resetStream }.map { $0.number() }
            + frames.filter { $0.type == Frame.Kind.goAway }.map { $0.number(at: 4) }
        #expect(codes == [H2Error.HTTP2Code.flowControlError.rawValue])
    }

    @Test func `More DATA than the connection's window ends the connection with FLOW_CONTROL_ERROR`() throws {
        let rig = SessionRig(windows: 1 << 20, connection: 65_535, unreadLimit: 0)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        var error: H2Error?
        for _ in 0..<5 where error == nil { error = rig.receive(.data(stream.id, bytes(16_000))) }
        #expect(error?.http2Code == .flowControlError)
    }

    // MARK: - Sending

    private func sentBody(_ frames: [Frame], _ id: Int32) -> Int {
        frames.filter { $0.type == Frame.Kind.data && $0.streamID == id }.reduce(0) { $0 + $1.payload.count }
    }

    @Test func `An upload stops where its window ends and goes on when there is more`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 1_000])
        let stream = try rig.request(.post, body: .bytes(bytes(2_500), offset: 0))
        #expect(sentBody(rig.sent(), stream.id) == 1_000)
        #expect(sentBody(rig.sent(), stream.id) == 0)
        rig.receive(.windowUpdate(stream.id, 1_200))
        #expect(sentBody(rig.sent(), stream.id) == 1_200)
        rig.receive(.windowUpdate(stream.id, 5_000))
        let frames = rig.sent()
        #expect(sentBody(frames, stream.id) == 300)
        #expect(frames.last?.endsStream == true)
        #expect(stream.isOutgoingDone)
    }

    @Test func `An upload stops at the connection's window too`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 1 << 20])
        let stream = try rig.request(.post, body: .bytes(bytes(100_000), offset: 0))
        #expect(sentBody(rig.sent(), stream.id) == 65_535)
        rig.receive(.windowUpdate(0, 100_000))
        #expect(sentBody(rig.sent(), stream.id) == 100_000 - 65_535)
    }

    @Test func `A window of 0 lets the head go and holds the body`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 0])
        let stream = try rig.request(.post, body: .bytes(bytes(5), offset: 0))
        #expect(rig.sent().map(\.type) == [Frame.Kind.headers])
        rig.receive(.windowUpdate(stream.id, 5))
        let frames = rig.sent()
        #expect(sentBody(frames, stream.id) == 5)
        #expect(frames.last?.endsStream == true)
    }

    @Test func `A raised INITIAL_WINDOW_SIZE lets open streams go on`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 100])
        let stream = try rig.request(.post, body: .bytes(bytes(1_000), offset: 0))
        #expect(sentBody(rig.sent(), stream.id) == 100)
        rig.receive(.settings([Setting.initialWindowSize: 400]))
        #expect(sentBody(rig.sent(), stream.id) == 300)
    }

    @Test func `A lowered INITIAL_WINDOW_SIZE may make a window negative, which has to be filled up first`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 1_000])
        let stream = try rig.request(.post, body: .bytes(bytes(3_000), offset: 0))
        #expect(sentBody(rig.sent(), stream.id) == 1_000)
        rig.receive(.settings([Setting.initialWindowSize: 200]))
        #expect(sentBody(rig.sent(), stream.id) == 0)
        rig.receive(.windowUpdate(stream.id, 800))
        #expect(sentBody(rig.sent(), stream.id) == 0)
        rig.receive(.windowUpdate(stream.id, 1))
        #expect(sentBody(rig.sent(), stream.id) == 1)
        rig.receive(.windowUpdate(stream.id, 5_000))
        #expect(sentBody(rig.sent(), stream.id) == 1_999)
    }

    @Test func `A stream window over 2^31-1 resets the stream, the connection's ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        #expect(rig.receive(.windowUpdate(stream.id, 0x7fff_ffff)) == nil)
        #expect(rig.sent(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.flowControlError.rawValue])
        let failure = stream.failure
        #expect(
            failure?.message.contains("raised the window for the request's body beyond") == true, "\(failure as Any)")
        #expect(failure?.description.contains("malformed") == false)
        #expect(rig.receive(.windowUpdate(0, 0x7fff_ffff))?.http2Code == .flowControlError)
    }

    @Test func `INITIAL_WINDOW_SIZE that would overflow an open stream's window is a flow-control error`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        rig.receive(.windowUpdate(stream.id, 0x7fff_ffff - 65_535))
        let error = rig.receive(.settings([Setting.initialWindowSize: 65_536]))
        let reset = rig.sent(Frame.Kind.resetStream).first
        #expect(
            error?.http2Code == .flowControlError || reset?.number() == H2Error.HTTP2Code.flowControlError.rawValue)
    }

    @Test func `WINDOW_UPDATE of 0 is an error`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        rig.receive(.windowUpdate(stream.id, 0))
        rig.sent()
        #expect(stream.failure?.http2Code == .protocolError || rig.session.violation?.http2Code == .protocolError)
        #expect(SessionRig().receive(.windowUpdate(0, 0))?.http2Code == .protocolError)
    }

    @Test func `DATA frames are at most as long as the server's SETTINGS_MAX_FRAME_SIZE`() throws {
        for size in [16_384, 40_000] {
            let rig = SessionRig(settings: [Setting.initialWindowSize: 1 << 20, Setting.maxFrameSize: UInt32(size)])
            let stream = try rig.request(.post, body: .bytes(bytes(60_000), offset: 0))
            let lengths = rig.sent(Frame.Kind.data).map(\.payload.count)
            #expect(lengths.max()! <= size)
            #expect(lengths.reduce(0, +) == 60_000)
            #expect(stream.isOutgoingDone)
        }
    }

    @Test func `A stream that waits for its window does not hold up others`() throws {
        let rig = SessionRig(settings: [Setting.initialWindowSize: 100])
        let stuck = try rig.request(.post, body: .bytes(bytes(1_000), offset: 0))
        #expect(sentBody(rig.sent(), stuck.id) == 100)
        let other = try rig.request(.post, body: .bytes(bytes(50), offset: 0))
        let frames = rig.sent()
        #expect(sentBody(frames, other.id) == 50)
        #expect(other.isOutgoingDone)
    }
}
