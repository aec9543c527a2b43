import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Response bodies and trailers (RFC 9113 section 8.1).
@Suite(.inTurn) struct BodyTests {
    @Test func `Pieces add up, and END_STREAM ends the response`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, text("ab")), .data(stream.id, text("cd")))
        #expect(stream.bodyText == "abcd")
        #expect(!stream.isOver)
        rig.receive(.data(stream.id, text("e"), endStream: true))
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "abcde")
        #expect(stream.bodyReceived == 5)
        #expect(rig.session.openStreamCount == 0)
    }

    @Test func `An empty DATA frame with END_STREAM ends the response`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, endStream: true))
        #expect(stream.hasEnded)
    }

    @Test(arguments: [0, 1, 255]) func `Padding is no part of the body`(_ padding: Int) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(
            rig.head(stream, [("content-length", "3")]),
            .data(stream.id, text("abc"), endStream: true, padding: padding))
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "abc")
    }

    // MARK: - content-length

    @Test(arguments: [(3, true), (2, false), (4, false), (0, false)])
    func `A body must have the length that content-length says`(_ stated: Int, _ isRight: Bool) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        #expect(
            rig.receive(
                rig.head(stream, [("content-length", "\(stated)")]),
                .data(stream.id, text("abc"), endStream: true)) == nil)
        let resets = rig.sent(Frame.Kind.resetStream)
        #expect(stream.hasEnded == isRight)
        guard !isRight else { return }
        #expect(resets.map(\.streamID) == [stream.id])
        #expect(stream.failure?.code == .protocolViolation)
    }

    @Test func `An end at the head with a content-length above 0 is malformed, but for HEAD and 304`() throws {
        let rig = SessionRig()
        let fields = [("content-length", "5")]
        let get = try rig.sentRequest()
        rig.receive(rig.head(get, fields, endStream: true))
        rig.sent()
        #expect(get.failure?.code == .protocolViolation)
        let head = try rig.sentRequest(.head)
        rig.receive(rig.head(head, fields, endStream: true))
        #expect(head.hasEnded)
        #expect(head.head.firstValue(of: "content-length") == "5")
        let cached = try rig.sentRequest()
        rig.receive(rig.head(cached, fields, status: "304", endStream: true))
        #expect(cached.hasEnded)
    }

    @Test(arguments: ["204", "304"]) func `DATA in a response that has no body is malformed`(_ status: String) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream, status: status), .data(stream.id, text("abc"), endStream: true))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
        #expect(stream.failure?.message.contains("body") == true)
    }

    @Test func `DATA in a response to HEAD is malformed, an empty END_STREAM frame is not`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest(.head)
        rig.receive(rig.head(stream), .data(stream.id, text("abc"), endStream: true))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
        let other = try rig.sentRequest(.head)
        rig.receive(rig.head(other, [("content-length", "100")]), .data(other.id, endStream: true))
        #expect(other.hasEnded)
    }

    // MARK: - Out of order

    @Test func `DATA before any head ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        #expect(rig.receive(.data(stream.id, text("abc")))?.code == .protocolViolation)
        #expect(stream.body.isEmpty)
    }

    @Test func `DATA after an informational head but before the final one is malformed`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let error = rig.receive(rig.head(stream, status: "103"), .data(stream.id, text("abc")))
        rig.sent()
        #expect(error != nil || stream.failure?.code == .protocolViolation)
        #expect(stream.body.isEmpty)
    }

    @Test func `DATA after END_STREAM does not change the response`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, text("abc"), endStream: true))
        _ = rig.receive(.data(stream.id, text("more")))
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "abc")
    }

    @Test func `DATA after END_STREAM while the request is still being sent is an error of the stream`() throws {
        let rig = SessionRig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        rig.receive(rig.head(stream), .data(stream.id, text("abc"), endStream: true))
        #expect(rig.sent(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.noError.rawValue])
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "abc")
    }

    @Test func `DATA for a stream that was never opened ends the connection`() {
        let rig = SessionRig()
        #expect(rig.receive(.data(7, [1]))?.code == .protocolViolation)
    }

    @Test func `DATA on stream 0 ends the connection`() {
        let rig = SessionRig()
        #expect(rig.receive(.data(0, [1]))?.code == .protocolViolation)
    }

    @Test func `Padding longer than its DATA frame ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        var frame = Frame.data(stream.id, text("abc"), padding: 2)
        frame.payload[0] = 9
        #expect(rig.receive(frame)?.http2Code == .protocolError)
    }

    // MARK: - Success needs END_STREAM

    @Test func `A reset with NO_ERROR before END_STREAM is a failure`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, text("abc")), .resetStream(stream.id, 0))
        #expect(stream.failure?.code == .streamReset)
        #expect(stream.failure?.initiator == .remote)
        #expect(stream.failure?.isRetryable == false)
    }

    @Test func `A connection that ends before END_STREAM fails the stream with the connection's error`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .data(stream.id, text("abc")))
        let lost = H2Error(.connectionClosed, scope: .connection, message: "gone")
        rig.session.failAll { _, _ in lost }
        #expect(stream.failure?.code == .connectionClosed)
        #expect(rig.session.openStreamCount == 0)
    }

    // MARK: - Trailers

    @Test func `Trailers end the response and are kept apart from the head`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(
            rig.head(stream, [("trailer", "x-sum")]), .data(stream.id, text("abc")),
            .headers(stream.id, rig.encoder.encode([("x-sum", "7")]), endStream: true))
        #expect(stream.hasEnded)
        #expect(stream.hasTrailers)
        #expect(stream.trailers.firstValue(of: "x-sum") == "7")
        #expect(stream.head.firstValue(of: "x-sum") == nil)
    }

    @Test func `Trailers need no body before them`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .headers(stream.id, rig.encoder.encode([("grpc-status", "0")]), endStream: true))
        #expect(stream.hasEnded)
        #expect(stream.trailers.firstValue(of: "grpc-status") == "0")
    }

    @Test func `Trailers without END_STREAM are malformed`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .headers(stream.id, rig.encoder.encode([("x-sum", "7")])))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
    }

    @Test(arguments: [(":status", "200"), (":path", "/"), ("Upper", "x"), ("x", "a\nb"), ("connection", "close")])
    func `Trailers are checked as heads are, and have no pseudo-fields`(_ field: (String, String)) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream), .headers(stream.id, FieldEncoder.literal([field]), endStream: true))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
    }

    @Test func `A body that misses content-length is not saved by trailers`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(
            rig.head(stream, [("content-length", "5")]), .data(stream.id, text("abc")),
            .headers(stream.id, rig.encoder.encode([("x-sum", "7")]), endStream: true))
        rig.sent()
        #expect(stream.failure?.code == .protocolViolation)
    }

    @Test func `Trailers over the header limit reset the stream`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerListSize = 1_000
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        rig.receive(
            rig.head(stream),
            .headers(stream.id, rig.encoder.encode([("x", String(repeating: "v", count: 2_000))]), endStream: true))
        rig.sent()
        #expect(stream.failure?.code == .limitExceeded)
    }

    // MARK: - Sinks

    @Test func `A body that outgrows its collector resets the stream and keeps what is under the limit only`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        stream.sink = .collect(limit: 5)
        rig.receive(rig.head(stream), .data(stream.id, text("abcde")))
        #expect(!stream.isOver)
        rig.receive(.data(stream.id, text("f")))
        #expect(rig.history.last?.type != Frame.Kind.resetStream)
        #expect(rig.sent(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.cancel.rawValue])
        #expect(stream.failure?.code == .bodyTooLarge)
        #expect(try rig.isConnectionWindowWhole())
    }
}
