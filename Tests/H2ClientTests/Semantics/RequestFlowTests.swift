import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@testable import H2Client

/// The flow of a request around the pool, with a handler in place of servers.
@Suite(.inTurn, .timeLimit(.minutes(2))) struct RequestFlowTests {
    /// The requests that the handler got.
    private final class Log: Sendable {
        private let storage = Mutex<[(HTTPRequest, [UInt8])]>([])
        func add(_ request: HTTPRequest, _ body: [UInt8]) { storage.withLock { $0.append((request, body)) } }
        var paths: [String] { storage.withLock { $0.map { $0.0.path ?? "" } } }
        var methods: [String] { storage.withLock { $0.map { $0.0.method.rawValue } } }
        var bodies: [[UInt8]] { storage.withLock { $0.map { $0.1 } } }
        var requests: [HTTPRequest] { storage.withLock { $0.map { $0.0 } } }
    }

    /// A client whose servers redirect `/N` to `/N-1`, and `/to/STATUS/LOCATION` with that status.
    private func client(
        _ log: Log, _ change: (inout HTTPClient.Configuration) -> Void = { _ in }
    ) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        change(&configuration)
        return HTTPClient(configuration: configuration) { request, body in
            log.add(request, try await body.collect())
            let parts = (request.path ?? "/").split(separator: "/", maxSplits: 2).map(String.init)
            if let number = parts.first.flatMap({ Int($0) }), number > 0 {
                return StreamedResponse(status: .found, headerFields: [.location: "/\(number - 1)"], body: "moved")
            }
            if parts.count == 3, parts[0] == "to", let status = Int(parts[1]) {
                return StreamedResponse(
                    status: HTTPResponse.Status(code: status), headerFields: [.location: parts[2]])
            }
            return StreamedResponse(status: .ok, body: "here")
        }
    }

    // MARK: - Redirects

    @Test func `Redirects are followed, and the response has them`() async throws {
        let log = Log()
        let whole = try await client(log).get("https://a.test/3#part")
        #expect(whole.text == "here")
        #expect(log.paths == ["/3", "/2", "/1", "/0"])
        #expect(whole.response.redirects.map(\.source) == ["https://a.test/3", "https://a.test/2", "https://a.test/1"])
        #expect(whole.response.redirects.last?.target == "https://a.test/0#part")
        #expect(whole.response.redirects.map(\.status) == [.found, .found, .found])
    }

    @Test func `Ten are followed by default, and no more`() async throws {
        let log = Log()
        #expect(try await client(log).get("https://a.test/10").status == .ok)
        let error = await #expect(throws: H2Error.self) { _ = try await client(log).get("https://a.test/11") }
        #expect(error?.code == .redirectRefused)
        #expect(log.paths.count == 11 + 11)
    }

    @Test func `They can be turned off for a client and for a request, and on again`() async throws {
        let log = Log()
        let off = client(log) { $0.redirects = .never }
        #expect(try await off.get("https://a.test/1").status == .found)
        let on = RequestOptions(redirects: HTTPClient.RedirectPolicy(limit: 1))
        #expect(try await off.get("https://a.test/1", options: on).status == .ok)
        let never = RequestOptions(redirects: .never)
        let kept = try await client(log).get("https://a.test/1", options: never)
        #expect(kept.status == .found && kept.text == "moved" && kept.response.redirects.isEmpty)
    }

    @Test(arguments: [301, 302, 303]) func `POST becomes GET without its body`(_ status: Int) async throws {
        let log = Log()
        _ = try await client(log).post("https://a.test/to/\(status)//end", body: .string("body"))
        #expect(log.methods == ["POST", "GET"])
        #expect(log.bodies == [Array("body".utf8), []])
    }

    @Test(arguments: [307, 308]) func `A body is sent again if it can be`(_ status: Int) async throws {
        let log = Log()
        _ = try await client(log).post("https://a.test/to/\(status)//end", body: .string("body"))
        #expect(log.methods == ["POST", "POST"])
        #expect(log.bodies == [Array("body".utf8), Array("body".utf8)])
        let replayable = HTTPRequestBody.writer(isReplayable: true) { try await $0.write(Array("part".utf8)) }
        _ = try await client(log).post("https://a.test/to/\(status)//end", body: replayable)
        #expect(log.bodies.suffix(2) == [Array("part".utf8), Array("part".utf8)])
    }

    @Test(arguments: [307, 401]) func `A stream that the handler has read is not sent again`(_ status: Int) async {
        let reads = Atomic<Int>(0)
        let body = HTTPRequestBody.writer { writer in
            reads.add(1, ordering: .relaxed)
            try await writer.write(Array("part".utf8))
        }
        var configuration = HTTPClient.Configuration()
        configuration.authentication = .digest(user: "u", password: "p")
        let client = HTTPClient(configuration: configuration) { _, body in
            _ = try await body.collect()
            return StreamedResponse(
                status: HTTPResponse.Status(code: status),
                headerFields: [.location: "/", .wwwAuthenticate: "Digest realm=\"r\", nonce=\"n\", qop=\"auth\""])
        }
        do {
            #expect(try await client.post("https://a.test/", body: body).status == .unauthorized)
        } catch {
            #expect(status == 307 && (error as? H2Error)?.code == .redirectRefused)
        }
        #expect(reads.load(ordering: .relaxed) == 1)
    }

    @Test func `A closure decides`() async throws {
        let log = Log()
        let seen = Mutex<[String]>([])
        var policy = HTTPClient.RedirectPolicy()
        policy.decide = { redirect in
            seen.withLock { $0.append(redirect.target) }
            if redirect.target.hasSuffix("/1") { return .stop }
            var request = redirect.request
            request.headerFields[.userAgent] = "decided"
            return .followWith(request)
        }
        let options = RequestOptions(redirects: policy)
        let whole = try await client(log).get("https://a.test/3", options: options)
        #expect(whole.status == .found)
        #expect(seen.withLock { $0 } == ["https://a.test/2", "https://a.test/1"])
        #expect(log.requests.last?.headerFields[.userAgent] == "decided")
    }

    @Test func `An error of that closure is the request's`() async {
        struct Refused: Error {}
        var policy = HTTPClient.RedirectPolicy()
        policy.decide = { _ in throw Refused() }
        let options = RequestOptions(redirects: policy)
        await #expect(throws: Refused.self) { _ = try await client(Log()).get("https://a.test/3", options: options) }
    }

    @Test func `A circle is found at its first repetition`() async {
        let log = Log()
        let error = await #expect(throws: H2Error.self) {
            _ = try await client(log).get("https://a.test/to/302/https://a.test/to/302/x/../../../../to/302/x")
        }
        _ = error
        let own = HTTPClient { request, _ in
            log.add(request, [])
            return StreamedResponse(status: .found, headerFields: [.location: "/"])
        }
        let circle = await #expect(throws: H2Error.self) { _ = try await own.get("https://b.test/") }
        #expect(circle?.code == .redirectRefused)
        #expect(log.requests.filter { $0.authority == "b.test" }.count == 1)
    }

    // MARK: - Interceptors

    @Test func `Interceptors see the time limits that hold`() async throws {
        let seen = Mutex<[RequestOptions]>([])
        let client = client(Log()) { configuration in
            configuration.requestOptions.timeout = .seconds(90)
            for scope in [HTTPClient.Interceptor.Scope.request, .attempt] {
                configuration.interceptors.append(
                    .init(scope) { request, body, next in
                        seen.withLock { $0.append(next.options) }
                        return try await next(request, body)
                    })
            }
        }
        _ = try await client.get("https://a.test/", options: RequestOptions(firstByteTimeout: .seconds(20)))
        let options = seen.withLock { $0 }
        #expect(options.count == 2)
        for options in options {
            #expect(options.timeout == .seconds(90) && options.firstByteTimeout == .seconds(20))
            #expect(options.bodyProgressTimeout == .seconds(60) && options.sendTimeout == .seconds(60))
        }
    }

    @Test func `Interceptors see requests in order and responses in reverse order`() async throws {
        let order = Mutex<[String]>([])
        func interceptor(_ name: String, _ scope: HTTPClient.Interceptor.Scope = .request) -> HTTPClient.Interceptor {
            HTTPClient.Interceptor(scope) { request, body, next in
                order.withLock { $0.append("\(name) \(request.path ?? "")") }
                let response = try await next(request, body)
                order.withLock { $0.append("\(name) \(response.status.code)") }
                return response
            }
        }
        let client = client(Log()) {
            $0.interceptors = [interceptor("attempt", .attempt), interceptor("first"), interceptor("second")]
        }
        let options = RequestOptions(interceptors: [interceptor("own")])
        _ = try await client.get("https://a.test/1", options: options)
        #expect(
            order.withLock { $0 } == [
                "first /1", "second /1", "own /1", "attempt /1", "attempt 302", "attempt /0", "attempt 200",
                "own 200", "second 200", "first 200",
            ])
    }

    @Test func `An interceptor may change the request, its body and the response, or answer itself`() async throws {
        let log = Log()
        let client = client(log) {
            $0.interceptors = [
                HTTPClient.Interceptor { request, body, next in
                    if request.path == "/cached" { return StreamedResponse(status: .ok, body: "from here") }
                    var request = request
                    request.path = "/changed"
                    _ = try await next(request, .string("other"))
                    return StreamedResponse(status: HTTPResponse.Status(code: 418))
                }
            ]
        }
        #expect(try await client.get("https://a.test/cached").text == "from here")
        #expect(log.paths.isEmpty)
        #expect(try await client.post("https://a.test/x", body: .string("body")).status.code == 418)
        #expect(log.paths == ["/changed"] && log.bodies == [Array("other".utf8)])
    }

    @Test func `An interceptor of requests may send more than once, and its errors are the request's`() async throws {
        struct Own: Error {}
        let log = Log()
        let client = client(log) {
            $0.interceptors = [
                HTTPClient.Interceptor { request, body, next in
                    _ = try await next(request, body)
                    _ = try await next(request, body)
                    if request.path == "/fail" { throw Own() }
                    return try await next(request, body)
                }
            ]
        }
        _ = try await client.get("https://a.test/0")
        #expect(log.paths.count == 3)
        await #expect(throws: Own.self) { _ = try await client.get("https://a.test/fail") }
    }

    @Test func `Attempts know their number and the redirects before them`() async throws {
        let seen = Mutex<[String]>([])
        let options = RequestOptions(interceptors: [
            HTTPClient.Interceptor(.attempt) { request, body, next in
                seen.withLock { $0.append("\(next.attempt) \(next.redirects.count) \(next.failedAttempts.count)") }
                return try await next(request, body)
            }
        ])
        _ = try await client(Log()).get("https://a.test/2", options: options)
        #expect(seen.withLock { $0 } == ["1 0 0", "2 1 0", "3 2 0"])
    }

    // MARK: - The handler

    @Test func `A handler reads every kind of body`() async throws {
        let log = Log()
        let client = client(log)
        let bodies: [HTTPRequestBody] = [
            .string("text"), .empty,
            .writer {
                try await $0.write("pie".utf8); try await $0.write("ce".utf8)
            },
            .stream(
                AsyncStream<[UInt8]> {
                    $0.yield([1, 2]); $0.yield([3]); $0.finish()
                }),
        ]
        for body in bodies { _ = try await client.post("https://a.test/", body: body) }
        #expect(log.bodies == [Array("text".utf8), [], Array("piece".utf8), [1, 2, 3]])
    }

    @Test func `A handler's error is thrown, and cancellation is seen`() async {
        struct Own: Error {}
        let client = HTTPClient { _, _ in throw Own() }
        await #expect(throws: Own.self) { _ = try await client.get("https://a.test/") }
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await client.get("https://a.test/")
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
