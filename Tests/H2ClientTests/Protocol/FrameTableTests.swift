import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Every type of frame, in every state of a stream, with every wrong length and flag, held against RFC 9113.
@Suite(.inTurn) struct FrameTableTests {
    enum Outcome: Sendable, Equatable {
        case connection(H2Error.HTTP2Code)
        /// The stream is reset; the connection goes on. A connection error is allowed as well (section 5.4.2).
        case stream(H2Error.HTTP2Code)
        case fine
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let expected: Outcome
        let frames: @Sendable (Rig) -> [Frame]
        var testDescription: String { name }

        init(_ name: String, _ expected: Outcome, _ frames: @escaping @Sendable (Rig) -> [Frame]) {
            (self.name, self.expected, self.frames) = (name, expected, frames)
        }
    }

    /// A session with a stream in each state.
    struct Rig {
        let rig = SessionRig()
        /// Its request is under way; no response has begun.
        let open: RecordingStream
        /// Its response has begun.
        let answering: RecordingStream
        let ended: RecordingStream
        let cancelled: RecordingStream
        let reset: RecordingStream
        static let idle: Int32 = 1_001

        init() throws {
            open = try rig.request(.post, body: .awaitingChunk)
            answering = try rig.request()
            ended = try rig.request()
            cancelled = try rig.request()
            reset = try rig.request()
            rig.sent()
            rig.receive(rig.head(answering))
            rig.receive(rig.head(ended, endStream: true))
            rig.session.reset(cancelled, .cancel)
            rig.sent()
            rig.receive(.resetStream(reset.id, 8))
        }

        func head(_ id: Int32) -> Frame { .headers(id, rig.encoder.encode([(":status", "200")])) }
    }

    private static let protocolError = Outcome.connection(.protocolError)
    private static let frameSize = Outcome.connection(.frameSizeError)

    static let cases: [Case] =
        [
            // Section 6.1.
            Case("DATA on stream 0", protocolError) { _ in [.data(0, [1])] },
            Case("DATA on an idle stream of ours", protocolError) { _ in [.data(Rig.idle, [1])] },
            Case("DATA on an idle stream of the server's", protocolError) { _ in [.data(2, [1])] },
            Case("DATA before HEADERS", protocolError) { [.data($0.open.id, [1])] },
            Case("DATA", .fine) { [.data($0.answering.id, [1])] },
            Case("DATA on an ended stream", .fine) { [.data($0.ended.id, [1])] },
            Case("DATA on a stream that we have reset", .fine) { [.data($0.cancelled.id, [1])] },
            Case("DATA padded beyond its length", protocolError) {
                [Frame(Frame.Kind.data, flags: Frame.Flag.padded, streamID: $0.answering.id, payload: [5, 1, 0])]
            },
            Case("DATA of padding without its length", protocolError) {
                [Frame(Frame.Kind.data, flags: Frame.Flag.padded, streamID: $0.answering.id)]
            },
            // Section 6.2.
            Case("HEADERS on stream 0", protocolError) { [$0.head(0)] },
            Case("HEADERS on an idle stream of ours", protocolError) { [$0.head(Rig.idle)] },
            Case("HEADERS on an idle stream of the server's", protocolError) { [$0.head(2)] },
            Case("HEADERS", .fine) { [$0.head($0.open.id)] },
            Case("HEADERS on an ended stream", .fine) { [$0.head($0.ended.id)] },
            Case("HEADERS on a stream that we have reset", .fine) { [$0.head($0.cancelled.id)] },
            Case("HEADERS padded beyond its length", protocolError) {
                [Frame(Frame.Kind.headers, flags: 0xc, streamID: $0.open.id, payload: [5, 0x88])]
            },
            Case("HEADERS with half a priority", frameSize) {
                [Frame(Frame.Kind.headers, flags: 0x24, streamID: $0.open.id, payload: [0, 0, 0])]
            },
            Case("HEADERS that depends on itself", protocolError) {
                [
                    Frame(
                        Frame.Kind.headers, flags: 0x24, streamID: $0.open.id,
                        payload: Frame.bytes(UInt32($0.open.id)) + [15, 0x88])
                ]
            },
            Case("HEADERS with a priority", .fine) {
                [Frame(Frame.Kind.headers, flags: 0x24, streamID: $0.open.id, payload: [0, 0, 0, 0, 15, 0x88])]
            },
            Case("HEADERS with a priority and padding", .fine) {
                [
                    Frame(
                        Frame.Kind.headers, flags: 0x2c, streamID: $0.open.id, payload: [2, 0, 0, 0, 0, 15, 0x88, 0, 0])
                ]
            },
            Case("HEADERS with a block that is none", .connection(.compressionError)) {
                [Frame(Frame.Kind.headers, flags: 4, streamID: $0.open.id, payload: [0x80])]
            },
            // Section 6.3.
            Case("PRIORITY on stream 0", protocolError) { _ in [.priority(0)] },
            Case("PRIORITY on stream 0 of a wrong length", protocolError) { _ in
                [Frame(Frame.Kind.priority, payload: [0, 0, 0])]
            },
            Case("PRIORITY on itself", protocolError) { [.priority($0.open.id, dependency: $0.open.id)] },
            Case("PRIORITY on itself, exclusively", protocolError) {
                [.priority($0.open.id, dependency: $0.open.id | Int32.min)]
            },
            Case("PRIORITY on an idle stream", .fine) { _ in [.priority(Rig.idle)] },
            Case("PRIORITY on a closed stream", .fine) { [.priority($0.ended.id)] },
            Case("PRIORITY of 4 bytes", .stream(.frameSizeError)) {
                [Frame(Frame.Kind.priority, streamID: $0.open.id, payload: [0, 0, 0, 0])]
            },
            Case("PRIORITY of 6 bytes", .stream(.frameSizeError)) {
                [Frame(Frame.Kind.priority, streamID: $0.open.id, payload: [0, 0, 0, 0, 0, 0])]
            },
            // Section 6.4.
            Case("RST_STREAM on stream 0", protocolError) { _ in [.resetStream(0, 8)] },
            Case("RST_STREAM on an idle stream", protocolError) { _ in [.resetStream(Rig.idle, 8)] },
            Case("RST_STREAM on an idle stream of the server's", protocolError) { _ in [.resetStream(2, 8)] },
            Case("RST_STREAM on a closed stream", .fine) { [.resetStream($0.ended.id, 8)] },
            Case("RST_STREAM on a reset stream", .fine) { [.resetStream($0.reset.id, 8)] },
            Case("RST_STREAM of 3 bytes", frameSize) {
                [Frame(Frame.Kind.resetStream, streamID: $0.open.id, payload: [0, 0, 8])]
            },
            Case("RST_STREAM of 5 bytes", frameSize) {
                [Frame(Frame.Kind.resetStream, streamID: $0.open.id, payload: [0, 0, 0, 8, 0])]
            },
            // Section 6.5.
            Case("SETTINGS on a stream", protocolError) { [Frame(Frame.Kind.settings, streamID: $0.open.id)] },
            Case("SETTINGS of 5 bytes", frameSize) { _ in [Frame(Frame.Kind.settings, payload: [0, 0, 0, 0, 0])] },
            Case("an acknowledgement of SETTINGS with a payload", frameSize) { _ in
                [Frame(Frame.Kind.settings, flags: 1, payload: [0, 3, 0, 0, 0, 1])]
            },
            Case("SETTINGS that enable push", protocolError) { _ in [.settings([Setting.enablePush: 1])] },
            Case("SETTINGS with push neither on nor off", protocolError) { _ in [.settings([Setting.enablePush: 2])] },
            Case("SETTINGS with too large a window", .connection(.flowControlError)) { _ in
                [.settings([Setting.initialWindowSize: 1 << 31])]
            },
            Case("SETTINGS with too small a frame", protocolError) { _ in [.settings([Setting.maxFrameSize: 16_383])] },
            Case("SETTINGS with too large a frame", protocolError) { _ in
                [.settings([Setting.maxFrameSize: 1 << 24])]
            },
            Case("SETTINGS with an unknown setting", .fine) { _ in [.settings([0x99: 1])] },
            // Section 6.6.
            Case("PUSH_PROMISE", protocolError) { [.pushPromise($0.open.id, promised: 2, [0x82])] },
            Case("PUSH_PROMISE on stream 0", protocolError) { _ in [.pushPromise(0, promised: 2, [0x82])] },
            // Section 6.7.
            Case("PING on a stream", protocolError) {
                [Frame(Frame.Kind.ping, streamID: $0.open.id, payload: [0, 0, 0, 0, 0, 0, 0, 0])]
            },
            Case("PING of 7 bytes", frameSize) { _ in [Frame(Frame.Kind.ping, payload: [0, 0, 0, 0, 0, 0, 0])] },
            Case("PING of 9 bytes", frameSize) { _ in
                [Frame(Frame.Kind.ping, payload: [UInt8](repeating: 0, count: 9))]
            },
            Case("an answer to no PING", .fine) { _ in [.ping(7, ack: true)] },
            // Section 6.8.
            Case("GOAWAY on a stream", protocolError) {
                [Frame(Frame.Kind.goAway, streamID: $0.open.id, payload: [0, 0, 0, 9, 0, 0, 0, 0])]
            },
            Case("GOAWAY of 7 bytes", frameSize) { _ in [Frame(Frame.Kind.goAway, payload: [0, 0, 0, 9, 0, 0, 0])] },
            // Section 6.9.
            Case("WINDOW_UPDATE on an idle stream", protocolError) { _ in [.windowUpdate(Rig.idle, 1)] },
            Case("WINDOW_UPDATE on an idle stream of the server's", protocolError) { _ in [.windowUpdate(2, 1)] },
            Case("WINDOW_UPDATE by 0 on the connection", protocolError) { _ in [.windowUpdate(0, 0)] },
            Case("WINDOW_UPDATE by 0 on a stream", .stream(.protocolError)) { [.windowUpdate($0.open.id, 0)] },
            Case("WINDOW_UPDATE over the limit on the connection", .connection(.flowControlError)) { _ in
                [.windowUpdate(0, 0x7fff_ffff)]
            },
            Case("WINDOW_UPDATE over the limit on a stream", .stream(.flowControlError)) {
                [.windowUpdate($0.open.id, 0x7fff_ffff)]
            },
            Case("WINDOW_UPDATE on a closed stream", .fine) { [.windowUpdate($0.ended.id, 1)] },
            Case("WINDOW_UPDATE of 3 bytes", frameSize) { _ in [Frame(Frame.Kind.windowUpdate, payload: [0, 0, 1])] },
            Case("WINDOW_UPDATE of 5 bytes", frameSize) { _ in
                [Frame(Frame.Kind.windowUpdate, payload: [0, 0, 0, 1, 0])]
            },
            // Section 6.10.
            Case("CONTINUATION on stream 0", protocolError) { _ in [.continuation(0, [0x88], endHeaders: true)] },
            Case("CONTINUATION on an open stream", protocolError) {
                [.continuation($0.open.id, [0x88], endHeaders: true)]
            },
            Case("CONTINUATION after a whole head", protocolError) {
                [$0.head($0.open.id), .continuation($0.open.id, [], endHeaders: true)]
            },
            Case("CONTINUATION of another stream", protocolError) {
                [
                    .headers($0.open.id, [0x88], endHeaders: false),
                    .continuation($0.answering.id, [], endHeaders: true),
                ]
            },
            // RFC 9218 section 7.1, and what is not known (section 4.1).
            Case("PRIORITY_UPDATE", protocolError) { _ in
                [Frame(Frame.Kind.priorityUpdate, payload: [0, 0, 0, 1] + Array("u=1".utf8))]
            },
            Case("an unknown type on stream 0", .fine) { _ in [Frame(0xee, flags: 0xff, payload: [1, 2, 3])] },
            Case("an unknown type on an idle stream", .fine) { _ in [Frame(0xee, streamID: Rig.idle)] },
            Case("an unknown type on a closed stream", .fine) { [Frame(0xee, streamID: $0.ended.id)] },
            Case("an unknown type within a header block", protocolError) {
                [.headers($0.open.id, [0x88], endHeaders: false), Frame(0xee)]
            },
            Case("a frame over the limit", frameSize) {
                [.data($0.answering.id, [UInt8](repeating: 0, count: 16_385))]
            },
            Case("HEADERS over the limit", frameSize) {
                [.headers($0.open.id, [UInt8](repeating: 0x88, count: 16_385), endHeaders: false)]
            },
        ]

    private func check(_ expected: Outcome, _ rig: Rig, _ error: H2Error?, _ what: String) {
        let sent = rig.rig.sent()
        let goAway = sent.first { $0.type == Frame.Kind.goAway }.map { H2Error.HTTP2Code(rawValue: $0.number(at: 4)) }
        let reset = sent.first { $0.type == Frame.Kind.resetStream }.map { H2Error.HTTP2Code(rawValue: $0.number()) }
        switch expected {
        case .connection(let code):
            #expect(goAway == code, "\(what): \(sent)")
            #expect(error?.scope == .connection)
        case .stream(let code): #expect(goAway ?? reset == code, "\(what): \(sent)")
        case .fine:
            #expect(error == nil, "\(what)")
            #expect(goAway == nil && reset == nil, "\(what): \(sent)")
        }
    }

    @Test(arguments: cases) func `A frame comes to what RFC 9113 says`(_ wanted: Case) throws {
        let rig = try Rig()
        let bytes = wanted.frames(rig).flatMap(\.bytes)
        check(wanted.expected, rig, rig.rig.receive(bytes: bytes), "whole")
        // The same in pieces.
        for cut in 1..<min(bytes.count, 24) {
            let rig = try Rig()
            let bytes = wanted.frames(rig).flatMap(\.bytes)
            let first = rig.rig.receive(bytes: Array(bytes[..<cut]))
            check(wanted.expected, rig, first ?? rig.rig.receive(bytes: Array(bytes[cut...])), "cut at \(cut)")
        }
    }

    /// Section 4.1: flags that a type does not define are ignored.
    @Test(arguments: cases.filter { $0.expected == .fine })
    func `Flags that mean nothing change nothing`(_ wanted: Case) throws {
        let defined: [UInt8: UInt8] = [0: 0x9, 1: 0x2d, 4: 1, 6: 1, 9: 4]
        let rig = try Rig()
        var frames = wanted.frames(rig)
        for index in frames.indices { frames[index].flags |= ~(defined[frames[index].type] ?? 0) }
        check(.fine, rig, rig.rig.receive(bytes: frames.flatMap(\.bytes)), "all flags")
    }

    /// Section 4.1: the highest bit of a stream's identifier is reserved, and ignored.
    @Test(arguments: cases.filter { $0.expected == .fine })
    func `The reserved bit changes nothing`(_ wanted: Case) throws {
        let rig = try Rig()
        var frames = wanted.frames(rig)
        for index in frames.indices { frames[index].streamID |= Int32.min }
        check(.fine, rig, rig.rig.receive(bytes: frames.flatMap(\.bytes)), "reserved bit")
    }
}
