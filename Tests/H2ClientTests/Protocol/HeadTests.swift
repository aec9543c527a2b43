import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Response header sections (RFC 9113 sections 8.2 and 8.3).
@Suite(.inTurn) struct HeadTests {
    @Test func `A response's status and fields come as they were sent`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(
            rig.head(
                stream, [("server", "x"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("empty", "")], status: "404"))
        #expect(stream.status == 404)
        #expect(stream.head.count == 4)
        #expect(stream.head.firstValue(of: "server") == "x")
        #expect(stream.head.firstValue(of: "empty") == "")
        #expect(stream.head.firstValue(of: "absent") == nil)
        #expect(stream.head.fields[values: .setCookie] == ["a=1", "b=2"])
        #expect(stream.changes == 1)
        #expect(!stream.isOver)
    }

    @Test func `Values with bytes above 0x7f and inner spaces are legal`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let block = rig.encoder.encode([(":status", "200")]) + FieldEncoder.literal([("x-a", "caf\u{e9} au lait")])
        rig.receive(.headers(stream.id, block))
        #expect(stream.head.firstValue(of: "x-a") == "café au lait")
    }

    struct Malformed: Sendable, CustomTestStringConvertible {
        let what: String
        let fields: [(String, String)]
        var testDescription: String { what }

        init(_ what: String, _ fields: [(String, String)]) {
            self.what = what
            self.fields = fields
        }

        static let ok = (":status", "200")
        static let all = [
            Malformed("no :status", [("server", "x")]),
            Malformed("two :status", [ok, ok]),
            Malformed(":status after a field", [("server", "x"), ok]),
            Malformed("an unknown pseudo-field", [ok, (":unknown", "x")]),
            Malformed("a request's pseudo-field", [ok, (":path", "/")]),
            Malformed("an upper-case name", [ok, ("Server", "x")]),
            Malformed("a space in a name", [ok, ("ser ver", "x")]),
            Malformed("a colon in a name", [ok, ("ser:ver", "x")]),
            Malformed("an empty name", [ok, ("", "x")]),
            Malformed("CR in a value", [ok, ("x", "a\rb")]),
            Malformed("LF in a value", [ok, ("x", "a\nset-cookie: b")]),
            Malformed("NUL in a value", [ok, ("x", "a\0b")]),
            Malformed("NUL in a name", [ok, ("x\0y", "a")]),
            Malformed("CR in a name", [ok, ("x\ry", "a")]),
            Malformed("connection", [ok, ("connection", "close")]),
            Malformed("keep-alive", [ok, ("keep-alive", "5")]),
            Malformed("proxy-connection", [ok, ("proxy-connection", "close")]),
            Malformed("transfer-encoding", [ok, ("transfer-encoding", "chunked")]),
            Malformed("upgrade", [ok, ("upgrade", "h2c")]),
            Malformed("te", [ok, ("te", "gzip")]),
            Malformed("an empty :status", [(":status", "")]),
            Malformed("a :status of two digits", [(":status", "20")]),
            Malformed("a :status of four digits", [(":status", "2000")]),
            Malformed("a :status that is no number", [(":status", "abc")]),
            Malformed("a signed :status", [(":status", "+20")]),
            Malformed(":status 101", [(":status", "101")]),
            Malformed("two content-lengths", [ok, ("content-length", "1"), ("content-length", "1")]),
            Malformed("a content-length that is no number", [ok, ("content-length", "1x")]),
            Malformed("a negative content-length", [ok, ("content-length", "-1")]),
            Malformed("a content-length in a 204", [(":status", "204"), ("content-length", "5")]),
        ]
    }

    @Test(arguments: Malformed.all)
    func `A malformed head resets the stream as a protocol violation and leaves the connection`(
        _ malformed: Malformed
    ) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        #expect(rig.receive(.headers(stream.id, FieldEncoder.literal(malformed.fields))) == nil)
        let reset = rig.sent(Frame.Kind.resetStream)
        #expect(reset.map(\.streamID) == [stream.id])
        let error = try #require(stream.failure)
        #expect(error.code == .protocolViolation)
        #expect(error.scope == .stream(stream.id))
        #expect(!error.isRetryable)
        #expect(!error.remedy.isEmpty)
        rig.receive(rig.head(sibling, endStream: true))
        #expect(sibling.hasEnded)
        #expect(rig.session.openStreamCount == 0)
    }

    @Test func `The error names the offending field, with what cannot be printed escaped`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(.headers(stream.id, FieldEncoder.literal([Malformed.ok, ("x-bad", "a ~\r\nb\u{7f}")])))
        rig.sent()
        #expect(
            stream.failure?.message.contains("x-bad: a ~\\x0d\\x0ab\\x7f") == true,
            "\(String(describing: stream.failure))")
    }

    @Test func `A status outside of 100 to 599 with three digits is kept as it is`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream, status: "999", endStream: true))
        #expect(stream.status == 999)
        #expect(stream.hasEnded)
    }

    // MARK: - Informational responses

    @Test func `Informational responses come before the final one and are kept apart`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream, status: "100"), rig.head(stream, [("link", "</a>")], status: "103"))
        #expect(stream.informational.map(\.status) == [100, 103])
        #expect(stream.informational.last?.block.firstValue(of: "link") == "</a>")
        #expect(stream.isAwaitingHead)
        rig.receive(rig.head(stream, [("x", "y")], endStream: true))
        #expect(stream.status == 200)
        #expect(stream.head.firstValue(of: "link") == nil)
        #expect(!stream.hasTrailers)
    }

    @Test func `An informational response that ends the stream is malformed`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream, status: "103", endStream: true))
        #expect(rig.sent(Frame.Kind.resetStream).count == 1)
        #expect(stream.failure?.code == .protocolViolation)
    }

    @Test func `As many informational responses as the limit are taken, and one more resets the stream`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.informationalResponses = 3
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        for _ in 0..<3 { rig.receive(rig.head(stream, status: "103")) }
        #expect(!stream.isOver)
        rig.receive(rig.head(stream, status: "103"))
        #expect(rig.history.last?.type != Frame.Kind.resetStream)
        #expect(rig.sent(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.enhanceYourCalm.rawValue])
        #expect(stream.failure?.code == .limitExceeded)
    }

    // MARK: - Limits

    @Test func `A header list over the limit resets its stream alone`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerListSize = 2_000
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        let fields = (0..<20).map { ("x-field-\($0)", String(repeating: "v", count: 100)) }
        rig.receive(rig.head(stream, fields))
        rig.sent()
        #expect(stream.failure?.code == .limitExceeded)
        #expect(stream.failure?.message.contains("2000") == true)
        // The compression table has to stay right.
        rig.receive(rig.head(sibling, fields.prefix(3).map(\.self), endStream: true))
        #expect(sibling.hasEnded)
        #expect(sibling.head.firstValue(of: "x-field-2") == String(repeating: "v", count: 100))
    }

    @Test func `A header list just under the limit is taken`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerListSize = 42 + 36 + 100
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream, [("abcd", String(repeating: "v", count: 100))], endStream: true))
        #expect(stream.hasEnded)
    }

    @Test func `A second head that is not the last frame is malformed`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), rig.head(stream))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
    }

    @Test func `A compression error ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        // Index 200 of a table that has no such entry.
        let error = rig.receive(.headers(stream.id, [0xff, 0x49]))
        #expect(error?.http2Code == .compressionError)
    }

    @Test func `HEADERS for a stream that was never opened end the connection`() {
        let rig = SessionRig()
        #expect(rig.receive(.headers(5, rig.encoder.encode([(":status", "200")])))?.code == .protocolViolation)
    }

    @Test func `HEADERS on stream 0 end the connection`() {
        let rig = SessionRig()
        #expect(rig.receive(.headers(0, rig.encoder.encode([(":status", "200")])))?.code == .protocolViolation)
    }

    @Test func `Padded HEADERS are read like others, and padding longer than the frame ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(.headers(stream.id, rig.encoder.encode([(":status", "204")]), endStream: true, padding: 30))
        #expect(stream.status == 204)
        #expect(stream.hasEnded)
        let other = try rig.sentRequest()
        var frame = Frame.headers(other.id, rig.encoder.encode([(":status", "200")]), padding: 0)
        frame.payload[0] = 200
        #expect(rig.receive(frame)?.http2Code == .protocolError)
    }

    // MARK: - CONTINUATION

    @Test func `A header section may be cut into HEADERS and CONTINUATION anywhere`() throws {
        for cut in 0...20 {
            let rig = SessionRig()
            let stream = try rig.sentRequest()
            let block = rig.encoder.encode([(":status", "200"), ("x-long-name", "some value that is long")])
            let at = min(cut, block.count)
            rig.receive(
                .headers(stream.id, Array(block[..<at]), endStream: true, endHeaders: false),
                .continuation(stream.id, Array(block[at...]), endHeaders: true))
            #expect(stream.hasEnded)
            #expect(stream.head.firstValue(of: "x-long-name") == "some value that is long")
        }
    }

    @Test func `More CONTINUATION frames than the limit end the connection`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.continuationFrames = 4
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        rig.receive(.headers(stream.id, rig.encoder.encode([(":status", "200")]), endHeaders: false))
        for _ in 0..<4 { #expect(rig.receive(.continuation(stream.id, [], endHeaders: false)) == nil) }
        let error = rig.receive(.continuation(stream.id, [], endHeaders: false))
        #expect(error?.code == .limitExceeded)
        #expect(error?.http2Code == .enhanceYourCalm)
        #expect(rig.sent(Frame.Kind.goAway).first?.number(at: 4) == H2Error.HTTP2Code.enhanceYourCalm.rawValue)
    }

    @Test func `By default 16 CONTINUATION frames are taken, whatever nghttp2's own limit is`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(.headers(stream.id, rig.encoder.encode([(":status", "200")]), endStream: true, endHeaders: false))
        for number in 1...16 { rig.receive(.continuation(stream.id, [], endHeaders: number == 16)) }
        #expect(stream.hasEnded)
        let other = try rig.sentRequest()
        rig.receive(.headers(other.id, rig.encoder.encode([(":status", "200")]), endHeaders: false))
        for _ in 1...16 { #expect(rig.receive(.continuation(other.id, [], endHeaders: false)) == nil) }
        #expect(rig.receive(.continuation(other.id, [], endHeaders: true))?.code == .limitExceeded)
    }

    @Test func `The limit of CONTINUATION frames is that of one header section`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.continuationFrames = 2
        let rig = SessionRig(configuration)
        for _ in 0..<5 {
            let stream = try rig.sentRequest()
            rig.receive(
                .headers(stream.id, rig.encoder.encode([(":status", "200")]), endStream: true, endHeaders: false),
                .continuation(stream.id, [], endHeaders: false), .continuation(stream.id, [], endHeaders: true))
            #expect(stream.hasEnded)
        }
    }

    @Test(arguments: [
        Frame.ping(), .data(1, [1]), .headers(3, []), .settings(), .continuation(3, [], endHeaders: true),
    ])
    func `Another frame between HEADERS and its CONTINUATION ends the connection`(_ frame: Frame) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        _ = try rig.sentRequest()
        rig.receive(.headers(stream.id, rig.encoder.encode([(":status", "200")]), endHeaders: false))
        #expect(rig.receive(frame)?.http2Code == .protocolError)
    }

    @Test func `Header bytes are counted as they came and as names and values`() throws {
        let rig = SessionRig()
        #expect(rig.session.counts.headers == 0)
        let (stream, other) = (try rig.sentRequest(), try rig.sentRequest())
        let block = rig.encoder.encode([(":status", "200"), ("x-a", "bc")])
        rig.receive(.headers(stream.id, block, endStream: true))
        #expect(rig.session.counts.headers == block.count)
        #expect(rig.session.counts.headersDecoded == 7 + 3 + 3 + 2)
        // In two frames, the second of which is a CONTINUATION.
        let next = rig.encoder.encode([(":status", "200"), ("x-c", "def")])
        rig.receive(
            .headers(other.id, Array(next.prefix(2)), endStream: true, endHeaders: false),
            .continuation(other.id, Array(next.dropFirst(2)), endHeaders: true))
        #expect(rig.session.counts.headers == block.count + next.count)
        #expect(rig.session.counts.headersDecoded == 2 * (7 + 3) + 3 + 2 + 3 + 3)
    }
}
