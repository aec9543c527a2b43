import Foundation
import H2Client
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2ClientTesting

/// What clients may not send, held against RFC 9113, over a socket.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct OriginConformanceTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        /// Of GOAWAY or RST_STREAM: a stream error may be treated as one of the connection (section 5.4.2).
        let code: H2Error.HTTP2Code?
        let frames: [Frame]
        var testDescription: String { name }

        init(_ name: String, _ code: H2Error.HTTP2Code?, _ frames: Frame...) {
            (self.name, self.code, self.frames) = (name, code, frames)
        }
    }

    private static func block(
        _ fields: [(String, String)] = [], method: String = "GET", path: String = "/bytes/1"
    ) -> [UInt8] {
        FieldEncoder.literal(
            [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")] + fields)
    }

    private static func request(_ id: Int32, ends: Bool = true, path: String = "/bytes/1") -> Frame {
        .headers(id, block(method: ends ? "GET" : "POST", path: path), endStream: ends)
    }

    static let cases: [Case] =
        [
            // Streams that are idle, half-closed or closed (section 5.1).
            Case("DATA on an idle stream", .protocolError, .data(1, [1])),
            Case("RST_STREAM on an idle stream", .protocolError, .resetStream(1, 8)),
            Case("WINDOW_UPDATE on an idle stream", .protocolError, .windowUpdate(1, 1)),
            Case("CONTINUATION on an idle stream", .protocolError, .continuation(1, [], endHeaders: true)),
            Case("DATA on a half-closed stream", .streamClosed, request(1, path: "/stall"), .data(1, [1])),
            Case("HEADERS on a half-closed stream", .streamClosed, request(1, path: "/stall"), request(1)),
            Case(
                "CONTINUATION on a half-closed stream", .protocolError, request(1, path: "/stall"),
                .continuation(1, block(), endHeaders: true)),
            Case(
                "DATA on a stream that the client reset", .streamClosed, request(1, ends: false), .resetStream(1, 8),
                .data(1, [1])
            ),
            Case(
                "empty DATA on a stream that the client reset", .streamClosed, request(1, path: "/stall"),
                .resetStream(1, 8), .data(1, [], endStream: true)
            ),
            Case(
                "HEADERS on a stream that the client reset", .streamClosed, request(1, ends: false), .resetStream(1, 8),
                request(1)
            ),
            Case(
                "CONTINUATION on a stream that the client reset", .protocolError, request(1, ends: false),
                .resetStream(1, 8), .continuation(1, block(), endHeaders: true)
            ),
            Case("a stream below one that was open", .protocolError, request(5), request(3)),
            Case(
                "a stream below the first", .protocolError, request(7, path: "/stall"),
                .headers(1, block(), endStream: true, padding: 4)),
            Case("DATA on a stream that was passed over", .streamClosed, request(5, path: "/stall"), .data(3, [1])),
            Case("streams with others left out", nil, request(5), request(11), request(101)),
            // What may have crossed a RST_STREAM of the origin's.
            Case(
                "DATA on a stream that the origin reset", .noError,
                .headers(1, block(method: "POST", path: "/early")), .data(1, [1]), .data(1, [2], endStream: true)),
            Case("a stream of an even number", .protocolError, request(2)),
            Case("RST_STREAM twice", nil, request(1, ends: false), .resetStream(1, 8), .resetStream(1, 8)),
            Case(
                "WINDOW_UPDATE on a closed stream", nil, request(1, ends: false), .resetStream(1, 8),
                .windowUpdate(1, 1)),
            Case("PRIORITY on a closed stream", nil, request(1, ends: false), .resetStream(1, 8), .priority(1)),
            // Stream 0 and others that a frame has no business on (section 6).
            Case("DATA on stream 0", .protocolError, .data(0, [1])),
            Case("HEADERS on stream 0", .protocolError, request(0)),
            Case("WINDOW_UPDATE on an even stream", .protocolError, .windowUpdate(2, 1)),
            Case(
                "DATA padded as long as it is", .protocolError, request(1, ends: false),
                Frame(Frame.Kind.data, flags: 8, streamID: 1, payload: [1])),
            Case(
                "HEADERS padded beyond their length", .protocolError,
                Frame(Frame.Kind.headers, flags: 0xd, streamID: 1, payload: [200] + block())),
            Case("PRIORITY on stream 0", .protocolError, .priority(0)),
            Case("PRIORITY on itself", .protocolError, .priority(1, dependency: 1)),
            Case("PRIORITY on an idle stream", nil, .priority(9, dependency: 7)),
            Case(
                "HEADERS that depends on itself", .protocolError,
                Frame(Frame.Kind.headers, flags: 0x25, streamID: 1, payload: Frame.bytes(1) + [15] + block())),
            Case("RST_STREAM on stream 0", .protocolError, .resetStream(0, 8)),
            Case("SETTINGS on a stream", .protocolError, Frame(Frame.Kind.settings, streamID: 1)),
            Case(
                "PING on a stream", .protocolError,
                Frame(Frame.Kind.ping, streamID: 1, payload: [UInt8](repeating: 0, count: 8))),
            Case(
                "GOAWAY on a stream", .protocolError,
                Frame(Frame.Kind.goAway, streamID: 1, payload: [UInt8](repeating: 0, count: 8))),
            Case("CONTINUATION on stream 0", .protocolError, .continuation(0, [], endHeaders: true)),
            Case("PUSH_PROMISE", .protocolError, request(1), .pushPromise(1, promised: 2, block())),
            // Lengths.
            Case(
                "PRIORITY of 4 bytes", .frameSizeError, Frame(Frame.Kind.priority, streamID: 1, payload: [0, 0, 0, 0])),
            Case(
                "RST_STREAM of 3 bytes", .frameSizeError, request(1),
                Frame(Frame.Kind.resetStream, streamID: 1, payload: [0, 0, 8])),
            Case("SETTINGS of 5 bytes", .frameSizeError, Frame(Frame.Kind.settings, payload: [0, 0, 0, 0, 0])),
            Case(
                "SETTINGS acknowledged with a payload", .frameSizeError,
                Frame(Frame.Kind.settings, flags: 1, payload: [0, 3, 0, 0, 0, 1])),
            Case("PING of 6 bytes", .frameSizeError, Frame(Frame.Kind.ping, payload: [0, 0, 0, 0, 0, 0])),
            Case(
                "GOAWAY of 7 bytes", .frameSizeError, Frame(Frame.Kind.goAway, payload: [UInt8](repeating: 0, count: 7))
            ),
            Case("WINDOW_UPDATE of 3 bytes", .frameSizeError, Frame(Frame.Kind.windowUpdate, payload: [0, 0, 1])),
            Case(
                "DATA over the limit", .frameSizeError, request(1, ends: false),
                .data(1, [UInt8](repeating: 0, count: 16_385))),
            Case(
                "HEADERS over the limit", .frameSizeError,
                .headers(1, [UInt8](repeating: 0x82, count: 16_385), endHeaders: false)),
            // Values.
            Case("WINDOW_UPDATE by 0", .protocolError, .windowUpdate(0, 0)),
            Case("WINDOW_UPDATE by 0 on a stream", .protocolError, request(1, path: "/stall"), .windowUpdate(1, 0)),
            Case(
                "WINDOW_UPDATE over the limit on a stream", .flowControlError, request(1, path: "/stall"),
                .windowUpdate(1, 0x7fff_ffff)),
            Case(
                "SETTINGS that move a stream's window over the limit", .flowControlError, request(1, path: "/stall"),
                .windowUpdate(1, 0x7fff_0000), .settings([Setting.initialWindowSize: 0x7fff_ffff])),
            Case("SETTINGS with an unknown one", nil, .settings([0xee: 1])),
            Case(
                "SETTINGS with one twice", nil,
                .settings([Setting.initialWindowSize: 100, Setting.initialWindowSize: 1])),
            Case("SETTINGS with too large a frame", .protocolError, .settings([Setting.maxFrameSize: 1 << 24])),
            Case("SETTINGS of 1 byte that acknowledge", .frameSizeError, Frame(4, flags: 1, payload: [0])),
            Case("PING that acknowledges nothing", nil, .ping(7, ack: true)),
            // A request is open, since a connection that has none may end with GOAWAY, and before the PING is answered.
            Case("GOAWAY with an unknown code", nil, request(1, path: "/stall"), .goAway(lastStreamID: 0, 0xff)),
            Case("RST_STREAM with an unknown code", nil, request(1, path: "/stall"), .resetStream(1, 0xff)),
            Case("WINDOW_UPDATE over the limit", .flowControlError, .windowUpdate(0, 0x7fff_ffff)),
            Case("SETTINGS with a bad push", .protocolError, .settings([Setting.enablePush: 2])),
            Case(
                "SETTINGS with too large a window", .flowControlError, .settings([Setting.initialWindowSize: 1 << 31])),
            Case("SETTINGS with too small a frame", .protocolError, .settings([Setting.maxFrameSize: 16_383])),
            Case(
                "DATA padded beyond its length", .protocolError, request(1, ends: false),
                Frame(Frame.Kind.data, flags: 8, streamID: 1, payload: [9, 1])),
            // Header blocks.
            Case("another frame within a block", .protocolError, .headers(1, block(), endHeaders: false), .ping()),
            Case(
                "another stream's CONTINUATION", .protocolError, .headers(1, block(), endHeaders: false),
                .continuation(3, [], endHeaders: true)),
            Case(
                "an unknown type within a block", .protocolError, .headers(1, block(), endHeaders: false), Frame(0xee)),
            Case("a block that is none", .compressionError, .headers(1, [0x80], endStream: true)),
            Case("an upper-case name", .protocolError, .headers(1, block([("X", "y")]), endStream: true)),
            Case("an unknown pseudo-field", .protocolError, .headers(1, block([(":x", "y")]), endStream: true)),
            Case(
                "CONTINUATION behind a block's end", .protocolError, request(1, path: "/stall"),
                .continuation(1, block(), endHeaders: true)),
            Case(
                "CONTINUATION behind DATA", .protocolError, request(1, ends: false), .data(1, [1]),
                .continuation(1, block(), endHeaders: true)),
            Case(
                "trailers that do not end the stream", .protocolError, request(1, ends: false, path: "/upload"),
                .headers(1, FieldEncoder.literal([("x", "y")]))),
            Case(
                "trailers with a pseudo-field", .protocolError, request(1, ends: false, path: "/upload"),
                .headers(1, FieldEncoder.literal([(":path", "/")]), endStream: true)),
            Case(
                "a pseudo-field of responses", .protocolError, .headers(1, block([(":status", "200")]), endStream: true)
            ),
            Case("a pseudo-field twice", .protocolError, .headers(1, block([(":path", "/")]), endStream: true)),
            Case(
                "a pseudo-field behind another", .protocolError,
                .headers(1, block([("x", "y"), (":protocol", "x")]), endStream: true)),
            Case(
                "no method", .protocolError,
                .headers(1, FieldEncoder.literal([(":scheme", "http"), (":path", "/")]), endStream: true)),
            Case(
                "no scheme", .protocolError,
                .headers(1, FieldEncoder.literal([(":method", "GET"), (":path", "/")]), endStream: true)),
            Case(
                "a body in two frames that is not as long as stated", .protocolError,
                .headers(1, block([("content-length", "1")], method: "POST", path: "/upload")), .data(1, [1]),
                .data(1, [1], endStream: true)),
            Case(
                "no body where one is stated", .protocolError,
                .headers(1, block([("content-length", "1")], method: "POST", path: "/upload"), endStream: true)),
            Case("connection", .protocolError, .headers(1, block([("connection", "keep-alive")]), endStream: true)),
            Case("te that is not trailers", .protocolError, .headers(1, block([("te", "gzip")]), endStream: true)),
            Case("an empty path", .protocolError, request(1, path: "")),
            Case(
                "a body that is not as long as stated", .protocolError,
                .headers(1, block([("content-length", "2")], method: "POST", path: "/upload")),
                .data(1, [1], endStream: true)),
            // What is not known.
            Case("an unknown type", nil, Frame(0xee, flags: 0xff, payload: [1, 2, 3])),
            Case("an unknown type on an idle stream", nil, Frame(0xee, streamID: 9)),
        ]

    @Test(arguments: cases) func `A frame comes to what RFC 9113 says`(_ wanted: Case) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        let mark: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        peer.send(wanted.frames.flatMap(\.bytes) + Frame(Frame.Kind.ping, payload: mark).bytes)
        var codes: [UInt32] = []
        var hasAnsweredPing = false
        while !hasAnsweredPing, let frame = peer.next() {
            switch frame.type {
            case Frame.Kind.resetStream: codes.append(frame.number(at: 0))
            case Frame.Kind.goAway: codes.append(frame.number(at: 4))
            case Frame.Kind.ping: hasAnsweredPing = frame.flags & 1 != 0 && frame.payload == mark
            default: break
            }
        }
        // PING overtakes what else there is to send.
        if hasAnsweredPing, wanted.code != nil, codes.isEmpty {
            while let frame = peer.next() {
                if frame.type == Frame.Kind.resetStream { codes.append(frame.number(at: 0)) }
                if frame.type == Frame.Kind.goAway { codes.append(frame.number(at: 4)) }
                if !codes.isEmpty { break }
            }
        }
        #expect(codes.first == wanted.code?.rawValue)
        if wanted.code == nil { #expect(hasAnsweredPing) }
    }

    @Test(arguments: [70_000, 900_000]) func `A field of more than 64 KiB is taken where its limit allows`(
        _ count: Int
    ) async throws {
        let server = try OriginServer.cleartext { $0.limits.headerListSize = 2 << 20 }
        defer { server.stopNow() }
        var client = ConnectionConfiguration()
        client.limits.headerListSize = 2 << 20
        let connection = try await HTTP2Connection.connect(
            to: Origin("http://127.0.0.1:\(server.port)"), configuration: client)
        defer { connection.closeNow() }
        let value = String(repeating: "~", count: count)
        let response = try await connection.send(
            HTTPRequest(
                method: .get, scheme: "http", authority: "127.0.0.1:\(server.port)", path: "/headers",
                headerFields: [.userAgent: value]))
        #expect(response.status == .ok)
        let body = try await response.body.collect(upTo: 4 << 20)
        #expect(body.count > count)
        let sibling = try await connection.send(
            HTTPRequest(method: .get, scheme: "http", authority: nil, path: "/bytes/1"))
        #expect(sibling.status == .ok)
    }
}
