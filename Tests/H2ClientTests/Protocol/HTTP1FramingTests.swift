import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// How long a response's body is (RFC 9112 section 6.3), and whether the connection goes on behind it (section 9.3).
@Suite(.inTurn) struct HTTP1FramingTests {
    private static let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    private let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"

    // MARK: - Bodies

    @Test func `Chunks are put together, extensions passed over, and trailers kept`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered(
            Self.chunked
                + "5\r\nhello\r\n00a;ext=\"q\" ;x\r\n, chunked \r\n1 ;y\r\n!\r\n0;last\r\nX-Sum: 9\r\nb:c\r\n\r\n")
        #expect(stream.bodyText == "hello, chunked !")
        #expect(stream.hasEnded)
        #expect(stream.hasTrailers)
        #expect(stream.trailers.fields[.init("x-sum")] == "9")
        #expect(stream.trailers.count == 2)
        #expect(rig.session.hasFreeSlot)
    }

    @Test func `A chunked body without trailers has none`() throws {
        let stream = try HTTP1Rig().answered(Self.chunked + "0\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(!stream.hasTrailers)
        #expect(stream.bodyReceived == 0)
    }

    @Test(arguments: [200, 204, 304, 404]) func `What cannot have a body has none, whatever its fields say`(
        _ status: Int
    ) throws {
        for fields in ["content-length: 10\r\n", "transfer-encoding: chunked\r\n", ""] {
            let rig = HTTP1Rig()
            let method: HTTPRequest.Method = status == 204 || status == 304 ? .get : .head
            let stream = try rig.answered("HTTP/1.1 \(status) X\r\n\(fields)\r\n", to: method)
            #expect(stream.hasEnded, "\(fields)")
            #expect(rig.session.hasFreeSlot)
        }
    }

    @Test func `After 2xx to CONNECT there is a tunnel, after another status a body`() throws {
        let rig = HTTP1Rig()
        let connect = HTTPRequest(method: .connect, scheme: nil, authority: "a:1", path: nil)
        let stream = try rig.submit(connect)
        rig.sent()
        rig.receive("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc")
        #expect(stream.bodyText == "abc")
        #expect(!stream.hasEnded)
        rig.end()
        #expect(stream.hasEnded)
        #expect(!rig.session.hasFreeSlot)

        let other = HTTP1Rig()
        let refused = try other.submit(connect)
        other.sent()
        other.receive("HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno")
        #expect(refused.hasEnded)
        #expect(other.session.hasFreeSlot)
    }

    @Test func `A body without a length ends with the connection, where that ends well`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 200 OK\r\n\r\nabc")
        #expect(!stream.hasEnded)
        #expect(rig.closing != nil)
        rig.end()
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "abc")
        #expect(rig.session.isOver)
    }

    @Test func `A body without a length is not whole where the connection was cut`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 200 OK\r\n\r\nabc")
        rig.end(
            H2Error(.connectionClosed, scope: .connection, initiator: .remote, message: "ended without close_notify"))
        #expect(stream.failure?.code == .connectionClosed)
        #expect(stream.failure?.message.contains("close_notify") == true)
        #expect(stream.failure?.isRetryable == false)
        #expect(stream.bodyText == "abc")
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234", "5 of the 10 bytes"),
        (chunked + "5\r\n01234\r\n", "not at its end"),
        (chunked + "5\r\n012", "not at its end"),
        (chunked + "0\r\n", "not at its end"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "head"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "head"),
    ]) func `What ends too early is an error and never a whole body`(_ text: String, _ where: String) throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered(text)
        rig.end()
        let failure = try #require(stream.failure)
        #expect(failure.code == .connectionClosed)
        #expect(failure.message.contains(`where`), "\(failure)")
        #expect(!failure.isRetryable)
        #expect(stream.hasResponseBytes)
        #expect(rig.session.isOver)
    }

    @Test func `An end before the first byte of a response is told from one after it`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.sentRequest()
        rig.end()
        #expect(stream.failure?.code == .connectionClosed)
        #expect(stream.failure?.isRetryable == false)
        #expect(!stream.hasResponseBytes)
    }

    @Test func `A request of which nothing has left when the connection ends may be sent again`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.request()
        rig.end()
        #expect(stream.failure?.code == .notProcessed)
        #expect(stream.failure?.isRetryable == true)
        #expect(stream.failure?.scope == .stream(1))
    }

    // MARK: - Sinks

    @Test func `A body that is longer than its collector takes ends the connection`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.sentRequest()
        stream.sink = .collect(limit: 4)
        rig.receive("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n01234")
        #expect(stream.failure?.code == .bodyTooLarge)
        #expect(!rig.session.hasFreeSlot)
        rig.receive("567")
        #expect(rig.violation == nil, "what still comes of it is passed over")
    }

    @Test func `A body that nobody wants is counted and not kept`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.sentRequest()
        stream.sink = .nowhere
        rig.receive(Self.chunked + "5\r\n01234\r\n0\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(stream.bodyReceived == 5)
        #expect(stream.body.isEmpty)
    }

    @Test func `No more is wanted while a reader is a window behind`() throws {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = 10
        let rig = HTTP1Rig(configuration)
        let stream = try rig.answered("HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n0123456789")
        #expect(!rig.session.wantsInput)
        stream.body = []
        rig.session.consumed(stream)
        #expect(rig.session.wantsInput)
    }

    // MARK: - Keeping the connection

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "close", false), ("HTTP/1.1", "keep-alive", true),
        ("HTTP/1.1", "x , Close", false), ("HTTP/1.0", "", false), ("HTTP/1.0", "Keep-Alive", true),
        ("HTTP/1.0", "keep-alive, close", false), ("HTTP/1.1", "closed", true),
    ]) func `The server decides whether the connection is kept`(
        _ version: String, _ option: String, _ isKept: Bool
    ) throws {
        let rig = HTTP1Rig()
        let line = option.isEmpty ? "" : "Connection: \(option)\r\n"
        let stream = try rig.answered("\(version) 200 OK\r\ncontent-length: 0\r\n\(line)\r\n")
        #expect(stream.hasEnded)
        #expect(rig.session.hasFreeSlot == isKept)
        #expect((rig.closing == nil) == isKept)
        #expect(rig.violation == nil)
    }

    @Test func `The end is known with the head, while the body is on its way`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n")
        #expect(rig.closing?.contains("connection: close") == true)
        #expect(!rig.session.isOver)
        rig.receive("12345")
        #expect(stream.hasEnded)
        #expect(rig.session.isOver)
    }

    @Test func `Keep-Alive tells for how long, and how many requests more`() throws {
        let rig = HTTP1Rig()
        _ = try rig.answered(ok + "Keep-Alive: timeout=5, max=99\r\n\r\n")
        #expect(rig.session.keepAliveTimeout == 5)
        #expect(rig.session.keepAliveRemaining == 99)
        _ = try rig.answered(ok + "keep-alive: MAX=1;, Timeout = x\r\n\r\n")
        #expect(rig.session.keepAliveTimeout == nil)
        #expect(rig.session.keepAliveRemaining == nil)
        #expect(rig.session.hasFreeSlot)
        _ = try rig.answered(ok + "keep-alive: max=0\r\n\r\n")
        #expect(!rig.session.hasFreeSlot)
    }

    @Test func `A request that says connection-close is the last one`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.request(fields: [.connection: "close"])
        #expect(rig.sent().contains("Connection: close\r\n"))
        rig.receive(ok + "\r\n")
        #expect(stream.hasEnded)
        #expect(rig.session.isOver)
        let error = #expect(throws: H2Error.self) { try rig.request() }
        #expect(error?.code == .connectionDraining)
        #expect(error?.isRetryable == true)
    }

    @Test func `A response that is whole before its request ends the upload and the connection`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.request(.post, body: .awaitingChunk)
        rig.sent()
        rig.receive("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        #expect(stream.hasEnded)
        #expect(stream.isOutgoingDone)
        #expect(stream.bodyRequests == 1)
        #expect(rig.session.isOver)
        #expect(rig.sent() == "")
    }

    @Test func `A request that is given up ends the connection, unless nothing of it has left`() throws {
        let rig = HTTP1Rig()
        let unsent = try rig.request()
        rig.session.giveUp(unsent, isWriteUnderWay: false)
        #expect(!rig.session.hasOutput)
        #expect(rig.session.hasFreeSlot)
        let sent = try rig.sentRequest()
        rig.session.giveUp(sent, isWriteUnderWay: false)
        #expect(rig.session.isOver)
        #expect(sent.slot == -1)
    }

    @Test func `What nobody will read is let go of`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabcde")
        #expect(stream.bodyText == "abcde")
        #expect(stream.unread == 5)
        rig.session.dropUnread(stream)
        #expect(stream.body.isEmpty)
        #expect(stream.unread == 0)
    }
}
