import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

/// Redirects, interceptors and the options of a request, over connections.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct RequestFlowClientTests {
    private static let versions: [OriginServer.Versions] = [.http2, .http1]

    /// A server that redirects `/to/STATUS` to `/end`, which reports the method, the body and some fields.
    private func with(
        _ versions: OriginServer.Versions, _ change: (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: (HTTPClient, OriginServer) async throws -> Void
    ) async throws {
        var configuration = OriginServer.Configuration()
        configuration.versions = versions
        for status in [301, 302, 303, 307, 308] {
            configuration.routes["/to/\(status)"] = { _ in
                .init(status: HTTPResponse.Status(code: status), headerFields: [.location: "/end"], body: [1, 2, 3])
            }
        }
        configuration.routes["/end"] = { request in
            .init(text: "\(request.method) \(String(decoding: request.body, as: UTF8.self))")
        }
        try await OriginServer.withServer(configuration) { server in
            var client = server.clientConfiguration()
            change(&client)
            try await withHTTPClient(configuration: client) { try await body($0, server) }
        }
    }

    @Test(arguments: versions) func `A redirect uses the same connection, and is one request`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await with(versions) { client, server in
            let events = client.events()
            let whole = try await client.post("\(server.url)/to/303", body: .string("body"))
            #expect(whole.text == "GET ")
            #expect(whole.response.redirects.map(\.target) == ["\(server.url)/end"])
            #expect(whole.response.isConnectionReused)
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 1 && statistics.retries == 0)
            await client.shutdown()
            var numbers: [Int] = []
            var redirected = 0
            for await event in events {
                if let number = event.requestID?.number { numbers.append(number) }
                if case .requestRedirected = event.kind { redirected += 1 }
            }
            #expect(Set(numbers).count == 1)
            #expect(redirected == 1)
        }
    }

    @Test(arguments: versions) func `A body that can be sent again is`(_ versions: OriginServer.Versions) async throws {
        try await with(versions) { client, server in
            for body in [
                HTTPRequestBody.string("body"), .writer(isReplayable: true) { try await $0.write("body".utf8) },
            ] {
                let whole = try await client.post("\(server.url)/to/307", body: body)
                #expect(whole.text == "POST body")
            }
        }
    }

    @Test(arguments: versions) func `A body that cannot be is an error that says so`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await with(versions) { client, server in
            let error = await #expect(throws: H2Error.self) {
                let body = HTTPRequestBody.writer { try await $0.write("body".utf8) }
                _ = try await client.post("\(server.url)/to/308", body: body)
            }
            #expect(error?.code == .redirectRefused)
            #expect(error?.message.contains("which needs the body again") == true)
            let next = try await client.get("\(server.url)/end")
            #expect(next.status == .ok)
        }
    }

    @Test func `An origin given by the options stays for the same URL's origin`() async throws {
        try await with(.both) { client, server in
            let request = HTTPRequest(method: .get, scheme: "https", authority: "other.test", path: "/to/302")
            let options = RequestOptions(origin: server.origin)
            let response = try await client.send(request, options: options)
            #expect(response.redirects.last?.target == "https://other.test/end")
            #expect(try await response.body.collect(upTo: 100) == Array("GET ".utf8))
        }
    }

    @Test(arguments: versions) func `A handler of a response sees the last one, and its writer has returned by then`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await with(versions) { client, server in
            let returned = Mutex(0)
            let body = HTTPRequestBody.writer(isReplayable: true) { writer in
                defer { returned.withLock { $0 += 1 } }
                try await writer.write("body".utf8)
            }
            let request = try RequestTarget("\(server.url)/to/307").request(.post)
            let text = try await client.send(request, body: body) { response in
                #expect(response.redirects.count == 1)
                return String(decoding: try await response.body.collect(upTo: 100), as: UTF8.self)
            }
            #expect(text == "POST body")
            #expect(returned.withLock { $0 } == 2)
        }
    }

    // MARK: - Interceptors

    @Test(arguments: versions) func `Each attempt passes the interceptors of attempts`(
        _ versions: OriginServer.Versions
    ) async throws {
        let seen = Mutex<[String]>([])
        let interceptor = HTTPClient.Interceptor(.attempt) { request, body, next in
            var request = request
            request.headerFields[.userAgent] = "attempt \(next.attempt)"
            let response = try await next(request, body)
            seen.withLock { $0.append("\(next.attempt) \(next.failedAttempts.count) \(response.status.code)") }
            return response
        }
        try await with(
            versions,
            {
                $0.interceptors = [interceptor]
                $0.retry = .withStatuses
                $0.retry.backoff = .milliseconds(1)
            }
        ) { client, server in
            let whole = try await client.get("\(server.url)/status/503")
            #expect(whole.status == .serviceUnavailable)
            #expect(whole.response.failedAttempts.count == 3)
            #expect(seen.withLock { $0 } == ["1 0 503", "2 1 503", "3 2 503", "4 3 503"])
        }
    }

    @Test func `An interceptor of attempts cannot send twice, and its own error is final`() async throws {
        struct Own: Error {}
        let twice = RequestOptions(interceptors: [
            HTTPClient.Interceptor(.attempt) { request, body, next in
                _ = try await next(request, body)
                return try await next(request, body)
            }
        ])
        let own = RequestOptions(interceptors: [
            HTTPClient.Interceptor(.attempt) { request, body, next in
                _ = try await next(request, body)
                throw Own()
            }
        ])
        try await with(.both) { client, server in
            let error = await #expect(throws: H2Error.self) {
                _ = try await client.get("\(server.url)/end", options: twice)
            }
            #expect(error?.code == .invalidRequest)
            await #expect(throws: Own.self) { _ = try await client.get("\(server.url)/end", options: own) }
            let next = try await client.get("\(server.url)/end")
            #expect(next.status == .ok)
        }
    }

    @Test func `A cancelled request is cancelled within interceptors too`() async throws {
        try await with(
            .both, { $0.interceptors = [.init { try await $2($0, $1) }, .init(.attempt) { try await $2($0, $1) }] }
        ) {
            client, server in
            let url = "\(server.url)/stall"
            let task = Task { try await client.get(url) }
            while await client.statistics().requests == 0 { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
        }
    }

    // MARK: - Options

    @Test func `A request has its own retry policy`() async throws {
        try await with(.both, { $0.retry.backoff = .milliseconds(1) }) { client, server in
            var own = HTTPClient.RetryPolicy.withStatuses
            own.maximumAttempts = 2
            own.backoff = .milliseconds(1)
            let options = RequestOptions(retry: own)
            let twice = try await client.get("\(server.url)/status/503", options: options)
            #expect(twice.response.failedAttempts.count == 1)
            #expect(try await client.get("\(server.url)/status/503").response.failedAttempts.isEmpty)
        }
        try await with(
            .both,
            {
                $0.retry = .withStatuses; $0.retry.backoff = .milliseconds(1)
            }
        ) { client, server in
            let never = RequestOptions(retry: .never)
            let once = try await client.get("\(server.url)/status/503", options: never)
            #expect(once.response.failedAttempts.isEmpty)
        }
    }

    @Test func `A policy or limit that cannot be is an error that names it`() async throws {
        try await with(.both) { client, server in
            for (options, name) in [
                (RequestOptions(retry: HTTPClient.RetryPolicy(jitter: 2)), "RequestOptions.retry.jitter"),
                (RequestOptions(timeout: .seconds(-1)), "RequestOptions.timeout"),
                (RequestOptions(redirects: HTTPClient.RedirectPolicy(limit: -1)), "RequestOptions.redirects.limit"),
            ] {
                let error = await #expect(throws: H2Error.self) {
                    _ = try await client.get(server.url, options: options)
                }
                #expect(error?.code == .invalidConfiguration)
                #expect(error?.message.contains(name) == true, "\(error?.message ?? "")")
            }
        }
    }

    @Test(arguments: versions) func `A deadline that has passed is a time-out, and one ahead is kept`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await with(versions) { client, server in
            let past = RequestOptions(deadline: .now - .seconds(1))
            let ahead = RequestOptions(timeout: .seconds(60), deadline: .now + .milliseconds(200))
            for (path, options) in [("/end", past), ("/stall", ahead)] {
                let error = await #expect(throws: H2Error.self) {
                    _ = try await client.get("\(server.url)\(path)", options: options)
                }
                #expect(error?.code == .timeout)
            }
            try await client.withConnection(to: server.origin) { connection in
                let error = await #expect(throws: H2Error.self) {
                    _ = try await connection.send(
                        HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/stall"), options: ahead)
                }
                #expect(error?.code == .timeout)
            }
        }
    }
}
