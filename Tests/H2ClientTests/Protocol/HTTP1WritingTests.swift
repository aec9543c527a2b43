import Foundation
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// Requests as HTTP/1.1 writes them (RFC 9112 sections 3, 6 and 7.1).
@Suite(.inTurn) struct HTTP1WritingTests {
    private func written(
        _ method: HTTPRequest.Method = .get, path: String? = "/", authority: String? = nil, fields: HTTPFields = [:],
        body: StreamState.Outgoing = .done, trailers: HTTPFields? = nil, contentLength: Int? = nil,
        expectsContinue: Bool = false, priority: HTTPPriority? = nil
    ) throws -> String {
        let rig = HTTP1Rig()
        _ = try rig.request(
            method, path: path, authority: authority, fields: fields, body: body, trailers: trailers,
            contentLength: contentLength, expectsContinue: expectsContinue, priority: priority)
        return rig.sent()
    }

    private let host = "Host: example.org\r\n"

    // MARK: - HTTP/1.0

    /// A session that sends HTTP/1.0.
    private var oldRig: HTTP1Rig {
        var configuration = ConnectionConfiguration()
        configuration.sendsHTTP10 = true
        return HTTP1Rig(configuration)
    }

    @Test func `HTTP 1_0 has its own request line, and lengths`() throws {
        let rig = oldRig
        _ = try rig.request(.post, path: "/a", body: .bytes([97, 98], offset: 0), contentLength: 2)
        #expect(rig.sent() == "POST /a HTTP/1.0\r\n\(host)Content-Length: 2\r\n\r\nab")
        let other = oldRig
        _ = try other.request(authority: "b:80")
        #expect(other.sent() == "GET / HTTP/1.0\r\nHost: b:80\r\n\r\n")
    }

    @Test func `HTTP 1_0 has no chunks, no trailers and no expectation`() {
        for (trailers, length, expects) in [(nil, nil, false), ([.eTag: "x"], 1, false), (nil, 1, true)]
            as [(HTTPFields?, Int?, Bool)]
        {
            let error = #expect(throws: H2Error.self) {
                try oldRig.request(
                    .post, body: .bytes([97], offset: 0), trailers: trailers, contentLength: length,
                    expectsContinue: expects)
            }
            #expect(error?.code == .invalidRequest)
            #expect(error?.message.contains("HTTP/1.0") == true, "\(error as Any)")
        }
    }

    @Test(arguments: [("", false), ("Connection: keep-alive\r\n", true)])
    func `After HTTP 1_0 a connection is kept only if the server says so`(_ field: String, _ isKept: Bool) throws {
        let rig = oldRig
        _ = try rig.sentRequest()
        rig.receive("HTTP/1.1 200 OK\r\n\(field)Content-Length: 1\r\n\r\nx")
        #expect(rig.session.hasFreeSlot == isKept)
    }

    // MARK: - Heads

    @Test func `A GET is a line, Host, its fields and nothing else`() throws {
        #expect(
            try written(path: "/a?b=c", fields: [.accept: "*/*", .init("X-Y"): ""])
                == "GET /a?b=c HTTP/1.1\r\n\(host)Accept: */*\r\nX-Y: \r\n\r\n")
        #expect(try written(path: nil) == "GET / HTTP/1.1\r\n\(host)\r\n")
    }

    @Test func `A named authority or host is Host, first and once`() throws {
        #expect(try written(authority: "b:8080").hasPrefix("GET / HTTP/1.1\r\nHost: b:8080\r\n"))
        let fields: HTTPFields = [.accept: "x", .init("host"): "c.example"]
        #expect(try written(fields: fields) == "GET / HTTP/1.1\r\nHost: c.example\r\nAccept: x\r\n\r\n")
        #expect(try written(authority: "b", fields: fields).hasPrefix("GET / HTTP/1.1\r\nHost: b\r\nAccept"))
        #expect(try written(authority: "[::1]:80").contains("Host: [::1]:80\r\n"))
    }

    @Test func `CONNECT names host and port, OPTIONS may ask for the server itself`() throws {
        #expect(
            try written(.connect, path: nil, authority: "a:443") == "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
        #expect(try written(.options, path: "*") == "OPTIONS * HTTP/1.1\r\n\(host)\r\n")
        #expect(throws: H2Error.self) { try written(.connect, path: nil) }
        #expect(throws: H2Error.self) {
            try written(.connect, path: nil, authority: "a:443", body: .bytes([1], offset: 0), contentLength: 1)
        }
    }

    @Test func `The priority and what is expected are fields`() throws {
        let text = try written(
            .put, fields: [.expect: "100-continue"], body: .awaitingChunk, contentLength: 3, expectsContinue: true,
            priority: HTTPPriority(urgency: 1))
        #expect(
            text == "PUT / HTTP/1.1\r\n\(host)Content-Length: 3\r\nExpect: 100-continue\r\nPriority: u=1\r\n\r\n")
    }

    @Test func `Cookies are one field`() throws {
        let cookie = HTTPField.Name.cookie
        var fields: HTTPFields = [.accept: "x"]
        fields.append(HTTPField(name: cookie, value: "a=1"))
        fields.append(HTTPField(name: cookie, value: "b=2; c=3"))
        #expect(try written(fields: fields) == "GET / HTTP/1.1\r\n\(host)Accept: x\r\nCookie: a=1; b=2; c=3\r\n\r\n")
        fields = [:]
        // swift-http-types divides it.
        fields[cookie] = "a=1; b=2"
        #expect(try written(fields: fields) == "GET / HTTP/1.1\r\n\(host)Cookie: a=1; b=2\r\n\r\n")
    }

    @Test func `TE is named in Connection`() throws {
        let te = HTTPField.Name("te")!
        #expect(
            try written(fields: [te: "trailers"]) == "GET / HTTP/1.1\r\n\(host)te: trailers\r\nConnection: TE\r\n\r\n")
        #expect(try written(fields: [te: "trailers", .connection: "close"]).hasSuffix("Connection: close, TE\r\n\r\n"))
        #expect(try !written(fields: [.connection: "Keep-Alive"]).contains("onnection"))
    }

    @Test(arguments: [
        ("te", "gzip"), ("upgrade", "h2c"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"),
        ("connection", "upgrade"), ("transfer-encoding", "gzip"), ("transfer-encoding", "chunked"),
        ("content-length", "-1"), ("content-length", "5"), ("content-length", "0x5"), ("content-length", "1, 1"),
    ]) func `A field that would break the message or the connection is refused`(_ name: String, _ value: String) {
        let error = #expect(throws: H2Error.self) { try written(fields: [HTTPField.Name(name)!: value]) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.initiator == .user)
    }

    @Test(arguments: ["", "a", "/a b", "/a\r\nx: y", "/\u{e9}", "*", "http://example.org/", "/\0a"])
    func `A path that is none is refused`(_ path: String) {
        #expect(throws: H2Error.self) { try written(path: path) }
    }

    @Test(arguments: ["", "a b", "a/b", "u@a", "a\r\nx: y", "a?b", "a,b"])
    func `An authority that is none is refused`(_ authority: String) {
        #expect(throws: H2Error.self) { try written(authority: authority) }
        #expect(throws: H2Error.self) { try written(.connect, path: nil, authority: authority) }
    }

    @Test func `A request for another scheme, or for another protocol, is refused`() throws {
        #expect(throws: H2Error.self) {
            try HTTP1Rig().submit(HTTPRequest(method: .get, scheme: "http", authority: nil, path: "/"))
        }
        _ = try HTTP1Rig().submit(HTTPRequest(method: .get, scheme: "HTTPS", authority: nil, path: "/"))
        var extended = HTTPRequest(method: .connect, scheme: nil, authority: "a:1", path: "/")
        extended.extendedConnectProtocol = "websocket"
        #expect(throws: H2Error.self) { try HTTP1Rig().submit(extended) }
    }

    @Test(arguments: ["a\r\nx: y", "a\nx: y", "a\0b", "\r\n\r\nGET / HTTP/1.1"])
    func `No value can end its line`(_ value: String) throws {
        for field in [
            HTTPField(name: .init("x-a"), value: value), HTTPField(name: .init("x-a"), lenientValue: Array(value.utf8)),
        ] {
            var fields = HTTPFields()
            fields.append(field)
            let text = try written(fields: fields)
            #expect(text.components(separatedBy: "\r\n").count == 5, "\(text)")
            #expect(!text.replacingOccurrences(of: "\r\n", with: "").contains { "\r\n\0".contains($0) })
        }
    }

    @Test func `A refused request leaves nothing behind, and the connection takes another`() throws {
        let rig = HTTP1Rig()
        #expect(throws: H2Error.self) { try rig.request(fields: [.accept: "x", .init("upgrade"): "x"]) }
        #expect(!rig.session.hasOutput)
        #expect(rig.session.requests == 0)
        #expect(try rig.request().id == 1)
        #expect(rig.sent() == "GET / HTTP/1.1\r\n\(host)\r\n")
    }

    // MARK: - Bodies

    @Test(arguments: [HTTPRequest.Method.post, .put, .patch])
    func `A method that expects a body says that it has none`(_ method: HTTPRequest.Method) throws {
        #expect(try written(method) == "\(method) / HTTP/1.1\r\n\(host)Content-Length: 0\r\n\r\n")
        #expect(try written(method, contentLength: 0) == "\(method) / HTTP/1.1\r\n\(host)Content-Length: 0\r\n\r\n")
    }

    @Test func `Other methods without a body say nothing, unless their caller does`() throws {
        #expect(try written(.delete, contentLength: 0) == "DELETE / HTTP/1.1\r\n\(host)\r\n")
        #expect(
            try written(.delete, fields: [.contentLength: "0"])
                == "DELETE / HTTP/1.1\r\n\(host)Content-Length: 0\r\n\r\n")
        let report = HTTPRequest.Method("REPORT")!
        #expect(try written(report) == "REPORT / HTTP/1.1\r\n\(host)\r\n")
        #expect(try written(report, contentLength: 0).contains("Content-Length: 0"))
    }

    @Test func `A body in memory goes out whole, by pieces, and is not followed by anything`() throws {
        let rig = HTTP1Rig()
        let body = (0..<100_000).map { UInt8(0x61 + $0 % 26) }
        let stream = try rig.request(.post, body: .bytes(body, offset: 0), contentLength: body.count)
        var text = ""
        while case let piece = rig.sent(limit: 32 << 10), !piece.isEmpty {
            #expect(piece.utf8.count <= 33 << 10)
            text += piece
        }
        #expect(
            text == "POST / HTTP/1.1\r\n\(host)Content-Length: 100000\r\n\r\n" + String(decoding: body, as: UTF8.self))
        #expect(stream.isOutgoingDone)
        #expect(stream.bytesSent == text.utf8.count)
        #expect(!rig.session.hasOutput)
    }

    @Test(arguments: [0, 5, 70_000]) func `A file goes out by pieces`(_ count: Int) throws {
        let path = NSTemporaryDirectory() + "h1-body-\(UUID().uuidString)"
        try Data(repeating: 0x61, count: count).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try BodyFile(path)
        let rig = HTTP1Rig()
        let stream = try rig.request(
            .put, body: .file(FileBody(file)), contentLength: file.length)
        #expect(rig.sent().hasSuffix("\r\n\r\n" + String(repeating: "a", count: count)))
        #expect(stream.isOutgoingDone)
        rig.receive("HTTP/1.1 204 No\r\n\r\n")
        #expect(rig.session.hasFreeSlot)
    }

    @Test func `A file that became shorter fails the request and ends the connection`() throws {
        let path = NSTemporaryDirectory() + "h1-body-\(UUID().uuidString)"
        try Data(repeating: 0x61, count: 10).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try BodyFile(path)
        let rig = HTTP1Rig()
        let stream = try rig.request(
            .put, body: .file(FileBody(file, length: 20)), contentLength: 20)
        rig.sent()
        #expect(stream.failure?.code == .localIO)
        #expect(rig.session.isOver)
    }

    @Test func `Chunks of unknown number go out as they come, and trailers behind the last`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.request(.post, body: .awaitingChunk, trailers: [.init("X-Sum"): "9"])
        #expect(rig.sent() == "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n")
        stream.outgoing = .chunk(text("hello"), offset: 0)
        #expect(rig.sent() == "5\r\nhello\r\n")
        #expect(stream.bodyRequests == 1)
        #expect(rig.sent() == "")
        stream.outgoing = .chunk([], offset: 0)
        #expect(rig.sent() == "", "an empty chunk would be the last")
        stream.outgoing = .chunk([UInt8](repeating: 0x61, count: 40_000), offset: 0)
        let large = rig.sent()
        #expect(large.hasPrefix("8000\r\na"))
        #expect(large.contains("\r\n1c40\r\na"))
        stream.outgoing = .finished
        #expect(rig.sent() == "0\r\nX-Sum: 9\r\n\r\n")
        #expect(stream.isOutgoingDone)
        rig.receive("HTTP/1.1 204 No\r\n\r\n")
        #expect(rig.session.hasFreeSlot)
    }

    @Test func `A body with trailers is sent in chunks though its length is known`() throws {
        let text = try written(
            .post, fields: [.contentLength: "3"], body: .bytes(text("abc"), offset: 0), trailers: [.init("x"): "y"],
            contentLength: 3)
        #expect(
            text == "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n")
        #expect(
            try written(.post, trailers: [.init("x"): "y"], contentLength: 0).hasSuffix("\r\n\r\n0\r\nx: y\r\n\r\n"))
        #expect(throws: H2Error.self) { try written(.post, trailers: [.contentLength: "3"]) }
    }

    @Test func `A caller may ask for chunks, but not beside a length`() throws {
        let body = StreamState.Outgoing.bytes(text("abc"), offset: 0)
        let asked: HTTPFields = [.transferEncoding: "chunked"]
        #expect(
            try written(.post, fields: asked, body: body, contentLength: 3).hasSuffix(
                "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
        var both = asked
        both[.contentLength] = "3"
        #expect(throws: H2Error.self) { try written(.post, fields: both, body: body, contentLength: 3) }
        #expect(throws: H2Error.self) {
            try written(.post, fields: [.contentLength: "4"], body: body, contentLength: 3)
        }
    }

    @Test(arguments: [2, 4]) func `A body of another length than was stated fails the request`(_ count: Int) throws {
        let rig = HTTP1Rig()
        let stream = try rig.request(.post, fields: [.contentLength: "3"], body: .awaitingChunk)
        #expect(stream.statedLength == 3)
        #expect(rig.sent().contains("Content-Length: 3\r\n"))
        stream.outgoing = .chunk([UInt8](repeating: 0x61, count: count), offset: 0)
        rig.sent()
        stream.outgoing = .finished
        rig.sent()
        #expect(stream.failure?.code == .invalidRequest)
        #expect(stream.failure?.message.contains("\(count)") == true)
        #expect(rig.session.isOver)
    }

    @Test func `A body that waits for 100 waits`() throws {
        let rig = HTTP1Rig()
        let stream = try rig.request(.put, body: .awaitingChunk, contentLength: 3, expectsContinue: true)
        #expect(rig.sent().hasSuffix("Expect: 100-continue\r\n\r\n"))
        rig.receive("HTTP/1.1 100 Continue\r\n\r\n")
        #expect(stream.informational.count == 1)
        stream.outgoing = .bytes(text("abc"), offset: 0)
        #expect(rig.sent() == "abc")
        rig.receive("HTTP/1.1 204 No\r\n\r\n")
        #expect(rig.session.hasFreeSlot)
    }
}
