import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// GOAWAY, RST_STREAM, PUSH_PROMISE and PING (RFC 9113 section 6).
@Suite(.inTurn) struct GoAwayTests {
    @Test func `Streams above the last identifier were not processed, those below it finish`() throws {
        let rig = SessionRig()
        let streams = try (0..<4).map { _ in try rig.sentRequest() }
        rig.receive(.goAway(lastStreamID: streams[1].id, 0, debugText: "restarting"))
        for stream in streams[2...] {
            let error = try #require(stream.failure)
            #expect(error.code == .notProcessed)
            #expect(error.isRetryable)
            #expect(error.initiator == .remote)
            #expect(error.scope == .stream(stream.id))
            #expect(error.message.contains("restarting"))
            #expect(error.cause == .http2(.noError, debugText: "restarting"))
        }
        for stream in streams[..<2] {
            #expect(!stream.isOver)
            rig.receive(rig.head(stream, endStream: true))
            #expect(stream.hasEnded)
        }
        #expect(rig.session.openStreamCount == 0)
        #expect(rig.session.events.contains { if case .goAway = $0 { true } else { false } })
    }

    @Test(arguments: [true, false]) func `What was not processed is told in the order in which it was sent`(
        isGoAway: Bool
    ) throws {
        let rig = SessionRig()
        var told: [Int32] = []
        let streams = try (0..<50).map { _ in try rig.sentRequest() }
        // The end of one puts another into its place.
        rig.receive(rig.head(streams[3], endStream: true))
        for stream in streams { stream.onChange = { if stream.isOver { told.append(stream.id) } } }
        if isGoAway {
            rig.receive(.goAway(lastStreamID: streams[9].id, 0, debugText: ""))
        } else {
            rig.session.failAll { _, _ in H2Error(.connectionClosed, message: "gone") }
        }
        #expect(told.count == (isGoAway ? 40 : 49))
        let inOrder = told.sorted()
        #expect(told == inOrder)
    }

    @Test func `With 0 as the last identifier no stream was processed`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(.goAway(lastStreamID: 0, 11, debugText: "too fast"))
        #expect(stream.failure?.code == .notProcessed)
        #expect(stream.failure?.isRetryable == true)
        #expect(stream.failure?.http2Code == .enhanceYourCalm)
        #expect(stream.failure?.message.contains("too fast") == true)
    }

    @Test func `In two steps the first cuts nobody off and the second names the last`() throws {
        let rig = SessionRig()
        let (first, second) = (try rig.sentRequest(), try rig.sentRequest())
        rig.receive(.goAway(lastStreamID: 0x7fff_ffff))
        #expect(!first.isOver && !second.isOver)
        rig.receive(.goAway(lastStreamID: first.id))
        #expect(!first.isOver)
        #expect(second.failure?.code == .notProcessed)
        #expect(rig.session.goAway?.lastStreamID == first.id)
    }

    @Test func `A last identifier that grows is the server's fault`() throws {
        let rig = SessionRig()
        let (first, second) = (try rig.sentRequest(), try rig.sentRequest())
        rig.receive(.goAway(lastStreamID: first.id))
        let error = rig.receive(.goAway(lastStreamID: second.id))
        #expect(error?.http2Code == .protocolError)
    }

    @Test func `After GOAWAY a request that was submitted is not sent, and may be sent elsewhere`() throws {
        let rig = SessionRig()
        rig.receive(.goAway(lastStreamID: 0))
        let stream: RecordingStream
        do {
            stream = try rig.request()
        } catch let error as H2Error {
            #expect(error.isRetryable)
            return
        }
        #expect(rig.sent(Frame.Kind.headers).isEmpty)
        #expect(stream.failure?.code == .notProcessed)
        #expect(stream.failure?.isRetryable == true)
    }

    @Test func `Debug text is made printable and is cut`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(.goAway(lastStreamID: 0, 0, debugText: "a\u{1b}[31m\n" + String(repeating: "x", count: 5_000)))
        let message = try #require(stream.failure?.message)
        #expect(message.contains("a\\x1b[31m\\x0a"))
        #expect(message.utf8.count < 1_000)
    }

    @Test func `Our GOAWAY says the code and no stream of the server's`() {
        let rig = SessionRig()
        rig.session.sayGoAway(.noError, debugText: "bye")
        let frame = rig.sent(Frame.Kind.goAway).first
        #expect(frame?.number() == 0)
        #expect(frame?.number(at: 4) == 0)
        #expect(frame.map { Array($0.payload[8...]) } == text("bye"))
    }

    // MARK: - RST_STREAM

    @Test(arguments: Array(0...13) + [0x7777]) func `A reset names its code and who reset`(_ number: UInt32) throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.receive(.resetStream(stream.id, number))
        let code = H2Error.HTTP2Code(rawValue: number)
        let error = try #require(stream.failure)
        #expect(error.code == .streamReset)
        #expect(error.http2Code == code)
        #expect(error.initiator == .remote)
        #expect(error.scope == .stream(stream.id))
        #expect(error.isRetryable == (code == .refusedStream))
        #expect(error.message.contains("stream \(stream.id)"))
        #expect(error.message.contains("server"))
        #expect(error.message.contains(code.name))
        #expect(!error.remedy.isEmpty)
        #expect(rig.session.openStreamCount == 0)
    }

    @Test func `A reset of one stream leaves its siblings alone`() throws {
        let rig = SessionRig()
        let streams = try (0..<10).map { _ in try rig.sentRequest() }
        rig.receive(.resetStream(streams[3].id, 2), .resetStream(streams[0].id, 2))
        for (index, stream) in streams.enumerated() where index != 3 && index != 0 {
            rig.receive(rig.head(stream, endStream: true))
            #expect(stream.hasEnded)
        }
        #expect(rig.session.openStreamCount == 0)
    }

    @Test func `A reset of a stream that was never opened ends the connection`() {
        let rig = SessionRig()
        #expect(rig.receive(.resetStream(99, 8))?.code == .protocolViolation)
    }

    @Test func `A reset of ours names us where its reason is not known better`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        rig.session.reset(stream, .cancel)
        rig.sent()
        #expect(stream.failure?.initiator == .local)
        #expect(stream.failure?.http2Code == .cancel)
    }

    @Test func `A request that is reset before it was sent leaves nothing behind`() throws {
        let rig = SessionRig()
        let stream = try rig.request()
        rig.session.reset(stream, .cancel)
        let frames = rig.sent()
        #expect(!frames.contains { $0.type == Frame.Kind.resetStream && $0.streamID != stream.id })
        #expect(rig.session.openStreamCount == 0)
        let next = try rig.sentRequest()
        #expect(rig.receive(rig.head(next, endStream: true)) == nil)
        #expect(next.hasEnded)
    }

    // MARK: - PUSH_PROMISE

    @Test func `PUSH_PROMISE ends the connection`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        let block = rig.encoder.encode([
            (":method", "GET"), (":scheme", "https"), (":authority", "example.org"), (":path", "/x"),
        ])
        let error = rig.receive(.pushPromise(stream.id, promised: 2, block))
        #expect(error?.code == .protocolViolation)
        #expect(error?.message.contains("PUSH_PROMISE") == true)
        #expect(rig.sent(Frame.Kind.goAway).first?.number(at: 4) == H2Error.HTTP2Code.protocolError.rawValue)
    }

    // MARK: - PING

    @Test func `PING is answered with its own bytes, an answer is not`() {
        let rig = SessionRig()
        rig.receive(.ping(0x1122_3344_5566_7788))
        #expect(rig.sent(Frame.Kind.ping) == [.ping(0x1122_3344_5566_7788, ack: true)])
        rig.receive(.ping(9, ack: true))
        #expect(rig.sent(Frame.Kind.ping).isEmpty)
    }

    @Test func `The answer to our PING is an event with its mark`() {
        let rig = SessionRig()
        rig.session.ping(77)
        #expect(rig.sent(Frame.Kind.ping) == [.ping(77)])
        rig.receive(.ping(77, ack: true))
        #expect(rig.session.events.contains { if case .pingAcknowledged(77) = $0 { true } else { false } })
    }

    @Test func `PING on a stream ends the connection`() {
        var frame = Frame.ping()
        frame.streamID = 1
        #expect(SessionRig().receive(frame)?.code == .protocolViolation)
    }

    // MARK: - PRIORITY_UPDATE

    @Test func `A server that may still use RFC 7540's priorities is sent no PRIORITY_UPDATE`() throws {
        let rig = SessionRig()
        let stream = try rig.sentRequest()
        #expect(rig.session.updatePriority(HTTPPriority(urgency: 1), of: stream.id))
        #expect(rig.sent().isEmpty)
    }

    @Test func `PRIORITY_UPDATE names its stream and the priority`() throws {
        let rig = SessionRig(settings: [Setting.noRFC7540Priorities: 1])
        let stream = try rig.sentRequest()
        #expect(rig.session.updatePriority(HTTPPriority(urgency: 1, isIncremental: true), of: stream.id))
        let frame = try #require(rig.sent(Frame.Kind.priorityUpdate).first)
        #expect(frame.streamID == 0)
        #expect(frame.number() == UInt32(stream.id))
        #expect(Array(frame.payload[4...]) == text("u=1, i"))
    }
}
