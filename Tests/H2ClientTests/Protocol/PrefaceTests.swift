import H2TestSupport
import Testing

@testable import H2Client

/// RFC 9113 section 3.4, and what our SETTINGS say.
@Suite(.inTurn) struct PrefaceTests {
    @Test func `The preface comes first, then SETTINGS, then room for the connection`() {
        let rig = SessionRig(greets: false)
        let frames = rig.sent()
        #expect(rig.sawPreface)
        #expect(frames.first?.type == Frame.Kind.settings)
        #expect(frames.first?.has(Frame.Flag.ack) == false)
        #expect(frames.dropFirst().first?.type == Frame.Kind.windowUpdate)
        #expect(frames.dropFirst().first?.number() == UInt32(4 << 20) - 65_535)
    }

    @Test func `SETTINGS turn push off and say the window, the header limit and that RFC 7540 priorities are not used`()
    {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = 123_456
        configuration.limits.headerListSize = 7_777
        let settings = SessionRig(configuration, greets: false).sent()[0].settings
        #expect(settings[Setting.enablePush] == 0)
        #expect(settings[Setting.initialWindowSize] == 123_456)
        #expect(settings[Setting.maxHeaderListSize] == 7_777)
        #expect(settings[Setting.noRFC7540Priorities] == 1)
    }

    @Test func `The server's SETTINGS are acknowledged once each`() {
        let rig = SessionRig(greets: false)
        rig.sent()
        rig.receive(.settings([Setting.maxConcurrentStreams: 5]), .settings())
        #expect(rig.sent(Frame.Kind.settings) == [.settingsAck, .settingsAck])
        #expect(rig.session.maxConcurrentStreams == 5)
    }

    @Test func `The acknowledgement of our SETTINGS is an event`() {
        let rig = SessionRig(greets: false)
        rig.sent()
        rig.receive(.settings(), .settingsAck)
        #expect(
            rig.session.events.contains { if case .localSettingsAcknowledged = $0 { true } else { false } })
    }

    @Test(arguments: [Frame.ping(), .windowUpdate(0, 1), .goAway(lastStreamID: 0), .settingsAck])
    func `Anything but SETTINGS as the first frame ends the connection`(_ first: Frame) {
        let rig = SessionRig(greets: false)
        rig.sent()
        let error = rig.receive(first)
        #expect(error?.code == .protocolViolation)
        #expect(error?.scope == .connection)
        let goAway = rig.sent(Frame.Kind.goAway).first
        #expect(goAway?.number(at: 4) == H2Error.HTTP2Code.protocolError.rawValue)
    }

    @Test(
        arguments: [
            (Setting.enablePush, 2, H2Error.HTTP2Code.protocolError),
            (Setting.enablePush, 1, H2Error.HTTP2Code.protocolError),
            (Setting.initialWindowSize, 1 << 31, H2Error.HTTP2Code.flowControlError),
            (Setting.maxFrameSize, 16_383, H2Error.HTTP2Code.protocolError),
            (Setting.maxFrameSize, 1 << 24, H2Error.HTTP2Code.protocolError),
        ] as [(UInt16, UInt32, H2Error.HTTP2Code)])
    func `A setting out of its range ends the connection with the RFC's code`(
        _ id: UInt16, _ value: UInt32, _ code: H2Error.HTTP2Code
    ) {
        let rig = SessionRig()
        let error = rig.receive(.settings([id: value]))
        #expect(error?.code == .protocolViolation)
        #expect(error?.http2Code == code)
        #expect(rig.sent(Frame.Kind.goAway).first?.number(at: 4) == code.rawValue)
    }

    @Test func `A setting that nobody knows is ignored`() {
        let rig = SessionRig()
        #expect(rig.receive(.settings([0x7777: 5, Setting.maxConcurrentStreams: 3])) == nil)
        #expect(rig.session.maxConcurrentStreams == 3)
    }

    @Test(
        arguments: [
            Frame(Frame.Kind.settings, payload: [1, 2, 3]),
            Frame(Frame.Kind.settings, flags: Frame.Flag.ack, payload: [0, 1, 0, 0, 0, 0]),
            Frame(Frame.Kind.ping, payload: [1, 2, 3]),
            Frame(Frame.Kind.windowUpdate, payload: [0, 0, 1]),
        ])
    func `A frame of the wrong length ends the connection with FRAME_SIZE_ERROR`(_ frame: Frame) {
        let rig = SessionRig()
        #expect(rig.receive(frame)?.http2Code == .frameSizeError)
    }

    @Test func `A frame longer than SETTINGS_MAX_FRAME_SIZE ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        let error = rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 16_385)))
        #expect(error?.http2Code == .frameSizeError)
    }

    @Test func `HTTP-1 in the place of frames ends the connection`() {
        let rig = SessionRig(greets: false)
        rig.sent()
        let error = rig.receive(bytes: text("HTTP/1.1 400 Bad Request\r\n\r\n"))
        #expect(error?.scope == .connection)
    }

    @Test func `Bytes may come one at a time`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let frames = [rig.head(stream), .data(stream.id, text("hello"), endStream: true)]
        for byte in frames.flatMap(\.bytes) { #expect(rig.receive(bytes: [byte]) == nil) }
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "hello")
    }
}
