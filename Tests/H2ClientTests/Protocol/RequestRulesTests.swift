import CNghttp2
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// What a request is refused for, which is the same in both versions.
@Suite(.inTurn) struct RequestRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var request: HTTPRequest
        var contentLength: Int?
        var testDescription: String { name }
    }

    private static func request(
        _ method: HTTPRequest.Method = .get, scheme: String? = nil, authority: String? = nil, path: String? = "/",
        host: [String] = [], protocol extended: String? = nil
    ) -> HTTPRequest {
        var request = HTTPRequest(method: method, scheme: scheme, authority: authority, path: path)
        request.extendedConnectProtocol = extended
        for value in host { request.headerFields.append(HTTPField(name: .init("Host"), value: value)) }
        return request
    }

    private static let badAuthorities = [
        "", ":80", "a b", "a b/admin?x@y#z,q", "user@example.org", "user:password@example.org", "@example.org",
        "example.org/", "example.org/admin", "example.org?x", "example.org#x", "a,b", "a;b", "a\\b", "\"a\"", "<a>",
        "a\tb", "a\u{e9}", "example.org:http", "example.org:80:80", "example.org:0", "example.org:65536",
        "example.org:-1", "example.org:+80", "example.org:999999", "[::1", "[::1]x", "::1", "[a]", "[]",
        "[::1]:x", "a%", "a%2", "a%zz", "a^b", "a`b", "a|b", "a{b}", "https://example.org", "[::1%25a/b]",
        "example.org\u{301}", "a@", "a#\u{301}", "a/\u{301}",
    ]

    private static func cases(_ what: String, _ values: [String], _ make: (String) -> HTTPRequest) -> [Case] {
        values.map { Case(name: "\(what) '\($0)'", request: make($0)) }
    }

    private static let refused: [Case] =
        cases("authority", badAuthorities) { request(authority: $0) }
        + cases("Host", badAuthorities.filter { !$0.isEmpty }) { request(host: [$0]) }
        + cases("CONNECT to", badAuthorities + ["example.org", "example.org:", "[::1]", "[::1]:"]) {
            request(.connect, authority: $0, path: nil)
        }
        + cases("scheme", ["http", "ftp", "", "HTTPS:", "https\u{301}", "http\u{17f}", "wss"]) {
            request(scheme: $0)
        }
        + cases(
            "path",
            [
                "", "a", "a/b", "/a b", "/a\tb", "/a\u{e9}", "*", "https://user:password@example.org/", "/a#b", "#",
                "/#\u{301}", "?a",
            ]
        ) { request(path: $0) }
        + cases("protocol", ["", "a b", "web socket", "a/b/c", "a/", "/a", "a,b", "a\u{e9}", ":a"]) {
            request(.connect, authority: "a:1", protocol: $0)
        }
        + [
            Case(name: ":protocol with GET", request: request(protocol: "websocket")),
            Case(name: "two hosts", request: request(host: ["a", "b"])),
            Case(name: "a negative length", request: request(.post), contentLength: -1),
            Case(name: "the least length", request: request(.post), contentLength: .min),
        ]

    @Test(arguments: refused)
    func `It is refused in both versions, before any of it is written`(_ bad: Case) throws {
        let rig = SessionRig()
        let stream = RecordingStream()
        if bad.contentLength != nil { stream.outgoing = .awaitingChunk }
        stream.contentLength = bad.contentLength
        let error = #expect(throws: H2Error.self) {
            try rig.session.submit(
                stream, bad.request, expectsContinue: false, priority: nil)
        }
        #expect(error?.code == .invalidRequest)
        #expect(error?.initiator == .user)
        #expect(error?.message.contains("password") != true)
        #expect(rig.sent().isEmpty)

        let old = HTTP1Rig()
        let oldError = #expect(throws: H2Error.self) {
            try old.submit(
                bad.request, body: bad.contentLength == nil ? .done : .awaitingChunk, contentLength: bad.contentLength)
        }
        #expect(oldError?.code == .invalidRequest)
        #expect(old.sent().isEmpty)
        if bad.request.extendedConnectProtocol == nil || bad.request.method != .connect {
            #expect(oldError?.message == error?.message)
        }
    }

    @Test(arguments: [
        ("example.org", "example.org"), ("other", "other"), ("Other.Example:8080", "Other.Example:8080"),
        ("127.0.0.1:1", "127.0.0.1:1"), ("[::1]", "[::1]"), ("[::1]:65535", "[::1]:65535"), ("a_b", "a_b"),
        ("a%20b", "a%20b"), ("example.org:", "example.org:"), ("[fe80::1%25eth0]:81", "[fe80::1]:81"),
        ("[fe80::1%eth0]", "[fe80::1]"), ("a!$&'()*+=~", "a!$&'()*+=~"),
    ])
    func `A host and a port are sent as they are, in both versions, an address without its zone`(
        _ authority: String, _ sent: String
    ) throws {
        for request in [Self.request(authority: authority), Self.request(host: [authority, authority])] {
            var head = RequestHead()
            let known = RequestHead.Known(scheme: "https", authority: "example.org")
            try head.fill(request, known: known, contentLength: nil, expectsContinue: false, priority: nil)
            let values = head.withPairs { pairs, count in
                (0..<count).map {
                    String(
                        decoding: UnsafeBufferPointer(start: pairs[$0].value, count: pairs[$0].valuelen), as: UTF8.self)
                }
            }
            #expect(values == ["GET", "https", sent, "/"])
            let old = HTTP1Rig()
            _ = try old.submit(request)
            #expect(old.sent() == "GET / HTTP/1.1\r\nHost: \(sent)\r\n\r\n")
        }
    }

    @Test(arguments: ["https", "HTTPS", "HttpS"])
    func `A scheme may be written in letters of either case`(_ scheme: String) throws {
        let rig = SessionRig()
        try rig.session.submit(
            RecordingStream(), Self.request(scheme: scheme), expectsContinue: false, priority: nil)
        let frame = try #require(rig.sent(Frame.Kind.headers).first)
        #expect(rig.decoder.decode(frame.payload)?.contains(Field(":scheme", "https")) == true)
        #expect(throws: Never.self) { try HTTP1Rig().submit(Self.request(scheme: scheme)) }
    }

    @Test func `CONNECT goes to a host and a port`() throws {
        let request = Self.request(.connect, authority: "db.example:5432", path: nil)
        let rig = SessionRig()
        try rig.session.submit(
            RecordingStream(), request, expectsContinue: false, priority: nil)
        let frame = try #require(rig.sent(Frame.Kind.headers).first)
        #expect(
            rig.decoder.decode(frame.payload) == [Field(":method", "CONNECT"), Field(":authority", "db.example:5432")])
        let old = HTTP1Rig()
        _ = try old.submit(request)
        #expect(old.sent().hasPrefix("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n"))
    }

    @Test func `So many fields as swift-http-types holds are sent`() throws {
        var request = Self.request()
        request.headerFields.reserveCapacity(65_000)
        for _ in 0..<65_000 { request.headerFields.append(HTTPField(name: .accept, value: "*")) }
        let rig = SessionRig()
        try rig.session.submit(
            RecordingStream(), request, expectsContinue: true, priority: HTTPPriority(urgency: 1))
        let block = rig.sent().filter { $0.type == Frame.Kind.headers || $0.type == Frame.Kind.continuation }
        #expect(block.last?.has(Frame.Flag.endHeaders) == true)
        #expect(rig.decoder.decode(block.flatMap(\.payload))?.count == 65_006)
        let old = HTTP1Rig()
        _ = try old.submit(request, expectsContinue: true)
        #expect(old.sent().utf8.count > 65_000 * 11)
    }
}
