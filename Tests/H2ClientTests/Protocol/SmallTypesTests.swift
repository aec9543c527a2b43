import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite struct HeaderBlockTests {
    private func scratch(_ fields: [(String, String)]) -> HeaderScratch {
        var scratch = HeaderScratch()
        for (name, value) in fields {
            Array(name.utf8).withUnsafeBufferPointer { name in
                Array(value.utf8).withUnsafeBufferPointer { value in
                    scratch.append(
                        name: name.baseAddress!, nameLength: name.count, value: value.baseAddress,
                        valueLength: value.count)
                }
            }
        }
        return scratch
    }

    @Test func `An empty block has nothing`() {
        let block = HeaderBlock()
        #expect(block.count == 0)
        #expect(block.firstValue(of: "a") == nil)
        #expect(block.fields.isEmpty)
        let copied = HeaderBlock(copying: scratch([]))
        #expect(copied.count == 0)
        #expect(copied.fields.isEmpty)
    }

    @Test func `A copy stays what it was when the scratch is used again`() {
        var scratch = scratch([("a", "1"), ("bb", ""), ("a", "3")])
        let block = HeaderBlock(copying: scratch)
        scratch.removeAll()
        #expect(scratch.count == 0)
        #expect(block.count == 3)
        #expect(block.firstValue(of: "a") == "1")
        #expect(block.firstValue(of: "bb") == "")
        #expect(block.firstValue(of: "b") == nil)
        #expect(block.fields.map { "\($0.name.canonicalName)=\($0.value)" } == ["a=1", "bb=", "a=3"])
    }

    @Test func `forEach stops when it is told to`() {
        let block = HeaderBlock(copying: scratch([("a", "1"), ("b", "2"), ("c", "3")]))
        var seen = 0
        block.forEach { _, _ in
            seen += 1
            return seen < 2
        }
        #expect(seen == 2)
    }

    @Test func `A field counts 32 bytes besides its own`() {
        var scratch = HeaderScratch()
        scratch.account(3, 4)
        scratch.account(0, 0)
        #expect(scratch.listSize == 71)
        scratch.removeAll()
        #expect(scratch.listSize == 0)
    }
}

@Suite struct OutputBufferTests {
    @Test func `Bytes leave in the order they came, through growth and wrap`() {
        var random = SeededGenerator(seed: 9)
        var buffer = OutputBuffer(capacity: 16)
        var model: [UInt8] = []
        var next: UInt8 = 0
        for _ in 0..<5_000 {
            if random.oneIn(2) {
                let count = random.int(0...40)
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: Int(next) + $0) }
                next &+= UInt8(count)
                bytes.withUnsafeBytes { if let base = $0.baseAddress { buffer.append(base, count: count) } }
                model += bytes
            } else if random.oneIn(10) {
                let count = random.int(0...min(5, model.count))
                buffer.removeLast(count)
                model.removeLast(count)
            } else {
                let count = random.int(0...model.count)
                buffer.removeFirst(count)
                model.removeFirst(count)
            }
            #expect(buffer.count == model.count)
            #expect(buffer.isEmpty == model.isEmpty)
            #expect(buffer.bytes.elementsEqual(model))
        }
    }
}

@Suite struct PriorityTests {
    @Test(
        arguments: [
            (Priority(), "u=3"), (Priority(urgency: 0, isIncremental: true), "u=0, i"), (Priority(urgency: 7), "u=7"),
            (Priority(urgency: -5), "u=0"), (Priority(urgency: 99), "u=7"),
        ])
    func `A priority is a structured field, its urgency within 0 and 7`(_ priority: Priority, _ text: String) {
        #expect(priority.fieldValue == text)
    }
}

@Suite struct ErrorCodeTests {
    @Test func `Codes have the RFC's names`() {
        #expect(ErrorCode.refusedStream.description == "0x7 REFUSED_STREAM")
        #expect(ErrorCode.http11Required.description == "0xd HTTP_1_1_REQUIRED")
        #expect(ErrorCode(rawValue: 0xe).description == "0xe UNKNOWN")
        #expect(ErrorCode(rawValue: .max).name == "UNKNOWN")
        #expect((0..<14).map { ErrorCode(rawValue: $0).name }.allSatisfy { $0 != "UNKNOWN" })
    }
}

@Suite struct H2ErrorTests {
    @Test func `An error reads as what happened and what to try`() {
        let error = H2Error(.timeout, message: "it took too long", remedy: "allow more time")
        #expect("\(error)" == "it took too long; allow more time")
        #expect("\(H2Error(.timeout, message: "it took too long"))" == "it took too long")
    }

    @Test func `Only HTTP-2 causes have an HTTP-2 code`() {
        #expect(H2Error(.streamReset, cause: .http2(.cancel, debugText: "x"), message: "").http2Code == .cancel)
        #expect(H2Error(.localIO, cause: .errno(5), message: "").http2Code == nil)
    }

    @Test func `A refused stream may be sent again, unless we refused it, and ENHANCE_YOUR_CALM never`() {
        func reset(_ code: ErrorCode, by initiator: H2Error.Initiator, hasAnswered: Bool = false) -> H2Error {
            .reset(stream: 1, code: code, by: initiator, hasAnswered: hasAnswered)
        }
        #expect(reset(.refusedStream, by: .remote).isRetryable)
        #expect(!reset(.refusedStream, by: .remote, hasAnswered: true).isRetryable)
        #expect(!reset(.refusedStream, by: .local).isRetryable)
        #expect(!reset(.enhanceYourCalm, by: .remote).isRetryable)
    }

    @Test(arguments: [H2Error.Phase.queued, .firstByte, .betweenBytes, .wholeRequest])
    func `A timeout names its limit, and only one in the queue is surely not processed`(_ phase: H2Error.Phase) {
        let error = H2Error.timeout(phase, .milliseconds(250), stream: 5)
        #expect(error.cause == .timeout(phase, after: .milliseconds(250)))
        #expect(error.message.contains("0.25"))
        #expect(!error.remedy.isEmpty)
        #expect(error.isRetryable == (phase == .queued))
    }

    @Test func `An errno is given with its words`() {
        #expect(describeErrno(2).contains("No such file"))
        #expect(describeErrno(2).contains("errno 2"))
    }
}

@Suite struct RequestTargetTests {
    struct Good: Sendable, CustomTestStringConvertible {
        let url: String
        let origin: String
        let path: String
        var userInfo: String?
        var testDescription: String { url }

        init(_ url: String, _ origin: String, _ path: String, userInfo: String? = nil) {
            self.url = url
            self.origin = origin
            self.path = path
            self.userInfo = userInfo
        }
    }

    @Test(
        arguments: [
            Good("https://example.org", "https://example.org", "/"),
            Good("https://example.org/", "https://example.org", "/"),
            Good("HTTPS://Example.ORG/A", "https://example.org", "/A"),
            Good("http://example.org:8080/a/b?c=d#e", "http://example.org:8080", "/a/b?c=d"),
            Good("https://example.org:443/", "https://example.org", "/"),
            Good("http://example.org:443/", "http://example.org:443", "/"),
            Good("https://example.org:/x", "https://example.org", "/x"),
            Good("https://example.org?q=1", "https://example.org", "/?q=1"),
            Good("https://example.org#f", "https://example.org", "/"),
            Good("https://example.org/a?b?c", "https://example.org", "/a?b?c"),
            Good("https://[::1]:8443/x", "https://[::1]:8443", "/x"),
            Good("https://[2001:db8::1]", "https://[2001:db8::1]", "/"),
            Good("https://127.0.0.1:1/", "https://127.0.0.1:1", "/"),
            Good("https://user:pa%40ss@example.org/x", "https://example.org", "/x", userInfo: "user:pa%40ss"),
            Good("https://a@b@example.org/", "https://example.org", "/", userInfo: "a@b"),
            Good("https://example.org/caf\u{e9}", "https://example.org", "/caf%C3%A9"),
            Good("https://example.org/%20", "https://example.org", "/%20"),
            Good("https://example.org/a://b", "https://example.org", "/a://b"),
        ]) func `A URL is split into what a request needs`(_ good: Good) throws
    {
        let target = try RequestTarget(good.url)
        #expect(target.origin.description == good.origin)
        #expect(target.path == good.path)
        #expect(target.userInfo == good.userInfo)
        #expect(try Origin(good.url) == target.origin)
    }

    @Test(
        arguments: [
            "", "example.org", "/path", "ftp://example.org", "://example.org", "https://", "https:///path",
            "https://:443/", "https://example.org:0/", "https://example.org:65536/", "https://example.org:abc/",
            "https://example.org:-1/", "https://example.org:+5/", "https://exa mple.org/", "https://example.org/a b",
            "https://example.org/a\nb", "https://example.org/\u{7f}", "https://[::1/", "https://[::1]x/",
            "https://::1/",
            "https://b\u{fc}cher.example/", "https://example.org\\@evil/", "https://exa\0mple.org/",
            "https://example.org:99999999999999999999/",
        ]) func `A bad URL is refused with what to write instead`(_ url: String)
    {
        let error = #expect(throws: H2Error.self) { try RequestTarget(url) }
        #expect(error?.code == .invalidURL)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func `Origins are equal by scheme, host without case, and port`() throws {
        #expect(try Origin(scheme: .https, host: "A.example") == Origin(scheme: .https, host: "a.EXAMPLE", port: 443))
        #expect(try Origin(scheme: .https, host: "a") != Origin(scheme: .http, host: "a", port: 443))
        #expect(try Origin(scheme: .http, host: "::1", port: 81).authority == "[::1]:81")
        #expect(throws: H2Error.self) { try Origin(scheme: .http, host: "a", port: 0) }
        #expect(throws: H2Error.self) { try Origin(scheme: .http, host: "a/b") }
    }
}

@Suite struct RequestOptionsTests {
    @Test func `Options are values: a copy that is changed leaves the other alone`() {
        var first = RequestOptions()
        #expect(first.areDefaults)
        first.timeout = .seconds(1)
        var second = first
        second.timeout = .seconds(2)
        second.priority = Priority(urgency: 1)
        #expect(first.timeout == .seconds(1))
        #expect(first.priority == nil)
        #expect(second.timeout == .seconds(2))
        #expect(!first.areDefaults)
    }
}
