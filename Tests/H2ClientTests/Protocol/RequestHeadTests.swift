import CNghttp2
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Requests as header fields (RFC 9113 section 8.3.1).
@Suite(.inTurn) struct RequestHeadTests {
    private func fields(
        _ request: HTTPRequest, scheme: String = "https", authority: String = "example.org", contentLength: Int? = nil,
        expectsContinue: Bool = false, priority: HTTPPriority? = nil
    ) throws -> [Field] {
        // Its memory is what some of the pairs refer to.
        let known = RequestHead.Known(scheme: scheme, authority: authority)
        var head = RequestHead()
        try head.fill(
            request, known: known, contentLength: contentLength, expectsContinue: expectsContinue, priority: priority)
        let fields = read(&head)
        extendLifetime(known)
        return fields
    }

    private func read(_ head: inout RequestHead) -> [Field] {
        head.withPairs { pairs, count in
            UnsafeBufferPointer(start: pairs, count: count).map { pair in
                func text(_ start: UnsafeMutablePointer<UInt8>?, _ count: Int) -> String {
                    String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
                }
                var field = Field(text(pair.name, pair.namelen), text(pair.value, pair.valuelen))
                field.isNeverIndexed = pair.flags & UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) != 0
                return field
            }
        }
    }

    private func get(_ fields: HTTPFields = [:], path: String? = "/") -> HTTPRequest {
        HTTPRequest(method: .get, scheme: nil, authority: nil, path: path, headerFields: fields)
    }

    @Test func `What a request does not name comes from its connection`() throws {
        #expect(
            try fields(get(path: nil)) == [
                Field(":method", "GET"), Field(":scheme", "https"), Field(":authority", "example.org"),
                Field(":path", "/"),
            ])
    }

    @Test func `What a request names is kept`() throws {
        let request = HTTPRequest(
            method: .post, scheme: "HTTPS", authority: "other:8080", path: "/a?b=c", headerFields: [.accept: "*/*"])
        #expect(
            try fields(request) == [
                Field(":method", "POST"), Field(":scheme", "https"), Field(":authority", "other:8080"),
                Field(":path", "/a?b=c"), Field("accept", "*/*"),
            ])
    }

    @Test func `host becomes the authority, which a named one overrides`() throws {
        let host = HTTPField.Name("Host")!
        var request = get([host: "virtual.example", .accept: "x"])
        #expect(try fields(request)[2] == Field(":authority", "virtual.example"))
        #expect(try !fields(request).contains { $0.name == "host" })
        request.authority = "named.example"
        #expect(try fields(request)[2] == Field(":authority", "named.example"))
    }

    @Test func `Names become lower case and fields keep their order, doubles too`() throws {
        var list = HTTPFields()
        list.append(HTTPField(name: HTTPField.Name("X-B")!, value: "1"))
        list.append(HTTPField(name: HTTPField.Name("X-A")!, value: "2"))
        list.append(HTTPField(name: HTTPField.Name("X-B")!, value: ""))
        #expect(try fields(get(list)).suffix(3) == [Field("x-b", "1"), Field("x-a", "2"), Field("x-b", "")])
    }

    @Test(arguments: ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"])
    func `A field of HTTP-1's connections is refused`(_ name: String) {
        let error = #expect(throws: H2Error.self) { try fields(get([HTTPField.Name(name)!: "x"])) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.initiator == .user)
        #expect(error?.message.contains(name) == true)
    }

    @Test func `te may say trailers`() throws {
        #expect(try fields(get([.te: "trailers"])).last == Field("te", "trailers"))
    }

    @Test(arguments: ["", "x", "http://a/", "/a b", "/a\tb", "/caf\u{e9}", "/a\r\nb", "*"])
    func `A path that is none is refused`(_ path: String) {
        let error = #expect(throws: H2Error.self) { try fields(get(path: path)) }
        #expect(error?.code == .invalidRequest)
    }

    @Test(arguments: ["/", "/a/b?c=d&e=%20", "/~x;y,z=@:!$'()", "//double"])
    func `A path of visible ASCII is taken as it is`(_ path: String) throws {
        #expect(try fields(get(path: path))[3] == Field(":path", path))
    }

    @Test func `OPTIONS may ask about the server as a whole`() throws {
        let request = HTTPRequest(method: .options, scheme: nil, authority: nil, path: "*")
        #expect(try fields(request)[3] == Field(":path", "*"))
    }

    @Test func `CONNECT has an authority and neither scheme nor path`() throws {
        let request = HTTPRequest(method: .connect, scheme: nil, authority: "target:443", path: nil)
        #expect(try fields(request) == [Field(":method", "CONNECT"), Field(":authority", "target:443")])
        let error = #expect(throws: H2Error.self) {
            try fields(HTTPRequest(method: .connect, scheme: nil, authority: nil, path: nil))
        }
        #expect(error?.code == .invalidRequest)
    }

    @Test func `content-length is added, and one that is stated has to be right`() throws {
        #expect(try fields(get(), contentLength: 5).last == Field("content-length", "5"))
        #expect(try fields(get([.contentLength: "5"]), contentLength: 5).count { $0.name == "content-length" } == 1)
        for stated in ["4", "05", "5,5", "-5", ""] {
            let error = #expect(throws: H2Error.self) {
                try fields(get([.contentLength: stated]), contentLength: 5)
            }
            #expect(error?.code == .invalidRequest)
        }
        #expect(try fields(get([.contentLength: "9"]), contentLength: nil).last == Field("content-length", "9"))
    }

    @Test func `expect and priority are added where asked for`() throws {
        let result = try fields(get(), expectsContinue: true, priority: HTTPPriority(urgency: 0, isIncremental: true))
        #expect(result.suffix(2) == [Field("expect", "100-continue"), Field("priority", "u=0, i")])
    }

    @Test func `Secrets are never put into a compression table`() throws {
        var marked = HTTPField(name: HTTPField.Name("x-token")!, value: "long enough to be guessed at some time")
        marked.indexingStrategy = .disallow
        var list: HTTPFields = [
            .authorization: "Bearer x", .proxyAuthorization: "y", .cookie: "short=1",
            .userAgent: "test",
        ]
        list.append(HTTPField(name: .cookie, value: String(repeating: "long", count: 10)))
        list.append(marked)
        let result = try fields(get(list))
        let secret = Set(result.filter(\.isNeverIndexed).map { "\($0.name)=\($0.value.prefix(5))" })
        #expect(secret == ["authorization=Beare", "proxy-authorization=y", "cookie=short", "x-token=long "])
    }

    @Test func `On the wire, secrets are literals that are never indexed`() throws {
        let rig = SessionRig()
        _ = try rig.request(fields: [.authorization: "Bearer x", .userAgent: "test"])
        let decoded = try #require(rig.decoder.decode(rig.sent(Frame.Kind.headers)[0].payload))
        #expect(decoded.first { $0.name == "authorization" }?.isNeverIndexed == true)
        #expect(decoded.first { $0.name == "user-agent" }?.isNeverIndexed == false)
    }

    @Test func `Trailers have neither pseudo-fields nor those of connections`() throws {
        var head = RequestHead()
        try head.fill(trailers: [HTTPField.Name("X-Sum")!: "5"])
        let result = read(&head)
        #expect(result == [Field("x-sum", "5")])
        for name in ["transfer-encoding", "host", "te"] {
            do {
                try head.fill(trailers: [HTTPField.Name(name)!: "x"])
                Issue.record("\(name) was taken")
            } catch {
                #expect(error.code == .invalidRequest)
            }
        }
    }

    @Test func `The scratch is right when it is used again, also after it has grown`() throws {
        var head = RequestHead()
        var large = HTTPFields()
        for number in 0..<100 {
            large.append(
                HTTPField(name: HTTPField.Name("x-\(number)")!, value: String(repeating: "v", count: number * 3)))
        }
        let known = RequestHead.Known(scheme: "https", authority: "a")
        for list in [large, [.accept: "a"], large, [:]] {
            try head.fill(
                get(list), known: known, contentLength: nil, expectsContinue: false, priority: nil)
            let result = read(&head)
            #expect(result.count == list.count + 4)
            for (field, expected) in zip(result.dropFirst(4), list) {
                #expect(field.name == expected.name.canonicalName && field.value == expected.value)
            }
        }
    }
}
