import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// Heads of HTTP/1.1 responses (RFC 9112 sections 4 and 5) and what bounds them.
@Suite(.inTurn) struct HTTP1HeadTests {
    @Test func `A response is recorded as one of HTTP-2 is, field names in lower case`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.sentRequest()
        rig.now += 5
        rig.receive("HTTP/1.1 203 Fine\r\nX-One: a b\r\nX-ONE:\t c \r\nempty:\r\nContent-Length: 3\r\n\r\nabc")
        #expect(stream.status == 203)
        #expect(stream.head.count == 4)
        let fields = stream.head.fields
        #expect(fields[values: .init("x-one")] == ["a b", "c"])
        #expect(stream.field("empty") == "")
        #expect(stream.bodyText == "abc")
        #expect(stream.unread == 3)
        #expect(stream.bodyReceived == 3)
        #expect(stream.hasEnded)
        #expect(stream.slot == -1)
        #expect(stream.sentAt == 1_000_000_000)
        #expect(stream.firstByteAt == rig.now)
        #expect(stream.lastByteAt == rig.now)
        #expect(stream.bytesReceived == rig.session.counts.bytesReceived)
        #expect(stream.bytesSent == rig.session.counts.bytesSent)
        #expect(rig.session.hasFreeSlot)
    }

    @Test func `Requests are numbered in their order on the connection, and errors call them so`() throws {
        let rig = HTTP1Rig()
        #expect(try rig.answered("HTTP/1.1 204 \r\n\r\n").id == 1)
        let second = try rig.answered("HTTP/1.1 2000\r\n\r\n")
        #expect(second.id == 2)
        #expect(second.failure?.scope == .stream(2))
        #expect(second.failure?.message.hasPrefix("request 2: the server broke HTTP/1.1: ") == true)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 200 OK", "HTTP/1.1 200 a\tb \u{e9}",
        "HTTP/1.1 999 x",
    ]) func `A status line may have any reason, or none`(_ line: String) throws {
        let stream = try HTTP1Rig().answered(line + "\r\ncontent-length: 0\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(stream.status == (line.contains("999") ? 999 : 200))
    }

    @Test func `Informational responses come before the final one`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nConnection: close\r\n\r\n")
        #expect(stream.informational.map(\.status) == [100, 103])
        #expect(stream.informational.last?.block.firstValue(of: "link") == "</a>")
        #expect(stream.isAwaitingHead)
        rig.receive("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(stream.status == 200)
        #expect(stream.field("link") == nil)
        #expect(rig.session.hasFreeSlot)
    }

    @Test func `A folded value is one, with a space for each fold`() throws {
        let stream = try HTTP1Rig().answered(
            "HTTP/1.1 200 OK\r\nA: one\r\n two\r\n\t three \r\nB:\r\n four\r\nC: five\r\n \r\nContent-Length:\r\n 2\r\n\r\nhi"
        )
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "hi")
        #expect(
            stream.head.rawFields.map { String(decoding: $0.value, as: UTF8.self) } == [
                "one two three", "four", "five", "2",
            ])
    }

    @Test func `A folded trailer is one too`() throws {
        let stream = try HTTP1Rig().answered(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nT: u\r\n v\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(stream.trailers.firstValue(of: "t") == "u v")
    }

    @Test func `A head is kept byte for byte: version, reason, the case of names, Latin-1`() throws {
        let bytes: [UInt8] =
            Array("HTTP/1.0 200 R\u{0}".utf8.dropLast()) + [0xe9] + Array("ason\tx\r\nX-MiXeD: caf".utf8) + [0xe9]
            + Array("\r\nX-Utf8: \u{e9}\r\nx-empty:\r\n\r\n".utf8)
        let rig = HTTP1Rig()
        let stream = try rig.sentRequest()
        for byte in bytes { rig.receive([byte]) }
        rig.end()
        #expect(stream.hasEnded)
        #expect(stream.head.minorVersion == 0)
        #expect(stream.head.reasonPhrase == [0x52, 0xe9] + Array("ason\tx".utf8))
        #expect(
            stream.head.rawFields == [
                RawField(name: Array("X-MiXeD".utf8), value: Array("caf".utf8) + [0xe9]),
                RawField(name: Array("X-Utf8".utf8), value: Array("\u{e9}".utf8)),
                RawField(name: Array("x-empty".utf8), value: []),
            ])
        #expect(stream.head.firstValue(of: "x-mixed") != nil)
        #expect(stream.head.fields[.init("x-utf8")] == "\u{e9}")
        stream.head.fields[fields: .init("x-mixed")].first?.withUnsafeBytesOfValue {
            #expect(Array($0) == Array("caf".utf8) + [0xe9])
        }
    }

    @Test func `101 is refused, since nobody asked for another protocol`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n")
        #expect(stream.failure?.code == .protocolViolation)
        #expect(rig.violation?.message.contains("101") == true)
    }

    // MARK: - Limits

    private func limited(_ change: (inout ConnectionConfiguration.Limits) -> Void) -> HTTP1Rig {
        var configuration = ConnectionConfiguration()
        change(&configuration.limits)
        return HTTP1Rig(configuration)
    }

    /// name + value + 32 for each, as RFC 9113 section 6.5.2 counts.
    @Test(arguments: [(99, true), (100, false)])
    func `A head may have just as many bytes as the limit says`(_ limit: Int, _ isOver: Bool) throws {
        let rig = limited { $0.headerListSize = limit }
        let stream = try rig.answered("HTTP/1.1 204 No\r\na: 12345678901234567\r\nb: 6789012345678901\r\n\r\n")
        // 1 + 17 + 32 and 1 + 16 + 32 are 99.
        #expect(stream.hasEnded)
        let other = limited { $0.headerListSize = limit }
        let second = try other.answered("HTTP/1.1 204 No\r\na: 12345678901234567\r\nb: 67890123456789012\r\n\r\n")
        #expect(second.hasEnded == !isOver)
        if isOver {
            #expect(second.failure?.code == .limitExceeded)
            #expect(second.failure?.remedy.contains("headerListSize") == true)
            #expect(!other.session.hasFreeSlot)
        }
    }

    @Test func `A line that never ends is not held without bound`() throws {
        for beginning in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nname: "] {
            let rig = HTTP1Rig()
            let stream = try rig.answered(beginning)
            var count = 0
            while stream.failure == nil, count < 1 << 20 {
                rig.receive([UInt8](repeating: 0x61, count: 1_000))
                count += 1_000
            }
            #expect(stream.failure?.code == .limitExceeded)
            #expect(count <= rig.session.limits.headerListSize + 2_000)
        }
    }

    @Test func `Fields without end are not held without bound`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 200 OK\r\n")
        for index in 0..<10_000 where stream.failure == nil { rig.receive("x-\(index): y\r\n") }
        #expect(stream.failure?.code == .limitExceeded)
        let held = rig.session.scratch.bytes.count
        #expect(held <= 2 * rig.session.limits.headerListSize)
    }

    @Test func `Informational responses have a limit`() throws {
        let rig = limited { $0.informationalResponses = 2 }
        let stream = try rig.sentRequest()
        for _ in 0..<2 { rig.receive("HTTP/1.1 102 Processing\r\n\r\n") }
        #expect(stream.failure == nil)
        rig.receive("HTTP/1.1 102 Processing\r\n\r\n")
        #expect(stream.failure?.code == .limitExceeded)
        #expect(rig.violation?.code == .limitExceeded)
    }

    @Test func `A head that comes byte by byte costs linear time`() throws {
        // A parser that looks at all it holds for each byte that comes would look at two thousand million bytes here.
        let rig = HTTP1Rig()
        let stream = try rig.sentRequest()
        let head = "HTTP/1.1 200 OK\r\nlong: " + String(repeating: "v", count: 60_000) + "\r\ncontent-length: 0\r\n\r\n"
        let clock = ContinuousClock()
        let time = clock.measure { for byte in head.utf8 { rig.receive([byte]) } }
        #expect(stream.hasEnded)
        #expect(time < .seconds(20))
    }

    // MARK: - What answers nothing

    @Test func `Bytes before anything was asked break the connection`() {
        let rig = HTTP1Rig()
        rig.receive("HTTP/1.1 408 Request Timeout\r\n\r\n")
        #expect(rig.violation?.message.contains("408") == true)
        #expect(!rig.session.hasFreeSlot)
    }

    @Test func `A response to a request that has not left is not its response, and the request may be sent again`()
        throws
    {
        let rig = HTTP1Rig()
        let stream = try rig.request()
        rig.receive("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        #expect(stream.failure?.isRetryable == true)
        #expect(stream.failure?.code == .protocolViolation)
        #expect(stream.failure?.message.hasPrefix("the request was not sent") == true)
        #expect(!stream.hasResponseBytes)
    }

    @Test func `Bytes behind a whole response leave it whole, and the connection is not used again`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")
        #expect(stream.hasEnded)
        #expect(stream.bodyText == "ok")
        #expect(rig.violation?.code == .protocolViolation)
        #expect(stream.bytesReceived == 40)
        #expect(throws: H2Error.self) { try rig.request() }
    }

    @Test func `Header bytes are counted as names and values`() throws {
        let rig = HTTP1Rig()
        _ = try rig.answered("HTTP/1.1 200 OK\r\nx-a: bc\r\ncontent-length: 0\r\n\r\n")
        let once = rig.session.counts
        #expect(once.headers == 3 + 2 + 14 + 1)
        #expect(once.headersDecoded == once.headers)
        _ = try rig.answered("HTTP/1.1 200 OK\r\nx-a: bc\r\ncontent-length: 0\r\n\r\n")
        #expect(rig.session.counts.headers == 2 * once.headers)
    }
}
