import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Peers that go without a word, and connections that end while nobody uses them.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct VanishedPeerTests {
    private func withProxy(
        _ versions: OriginServer.Versions, _ client: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: @Sendable (HTTPClient, OriginServer, SilentProxy, String) async throws -> Void
    ) async throws {
        var origin = OriginServer.Configuration()
        origin.versions = versions
        try await withOriginAndClient(origin, client) { client, server in
            try await SilentProxy.run(to: server.port) { proxy in
                try await body(client, server, proxy, "https://localhost:\(proxy.port)")
            }
        }
    }

    @Test
    func `PING finds out over HTTP 2, all requests fail, and the next one dials anew`() async throws {
        try await withProxy(
            .http2,
            {
                $0.connection.keepAlive.interval = .milliseconds(200)
                $0.connection.keepAlive.timeout = .milliseconds(300)
            }
        ) { client, server, proxy, url in
            let start = try await withThrowingTaskGroup(of: H2Error.self) { group in
                for _ in 0..<10 {
                    group.addTask { try await h2Error { try await client.get("\(url)/delay/60000") } }
                }
                try await eventually("they are under way") { server.statistics.requests == 10 }
                proxy.goSilent()
                let start = ContinuousClock.now
                for try await error in group {
                    #expect(error.code == .timeout, "\(error)")
                    guard case .timeout(.ping, _) = error.cause else {
                        Issue.record("\(error.cause)")
                        continue
                    }
                }
                return start
            }
            // Long before the answer, and before a PING of the default interval.
            #expect(ContinuousClock.now - start < .seconds(55))
            #expect(await client.statistics().retries == 0)
            proxy.forward()
            #expect(try await client.get("\(url)/bytes/3").body.count == 3)
            #expect(await client.statistics().connectionsOpened == 2)
        }
    }

    @Test(arguments: [false, true])
    func `Short limits and cancellations on a dead HTTP 2 connection, with pauses between, lead to another connection`(
        _ isCancelled: Bool
    ) async throws {
        try await withProxy(.http2) { client, server, proxy, url in
            _ = try await client.get("\(url)/bytes/3")
            proxy.goSilent(alsoNew: false)
            var options = RequestOptions()
            if !isCancelled { options.timeout = .milliseconds(600) }
            var failures = 0
            for _ in 0..<6 {
                let options = options
                let task = Task { try await client.get("\(url)/bytes/3", options: options).body.count }
                // Longer than an answer takes on a busy machine, once there is a connection that lives.
                if isCancelled { try await letTimePass(.milliseconds(600)) }
                if isCancelled { task.cancel() }
                if (try? await task.value) != 3 { failures += 1 }
                try await letTimePass(.milliseconds(100))
            }
            #expect(failures <= 3)
            #expect(server.statistics.connectionsAccepted >= 2)
            #expect(try await client.get("\(url)/bytes/3").body.count == 3)
        }
    }

    @Test
    func `A server that is slow with one answer keeps its connection`() async throws {
        try await withProxy(.http2) { client, server, _, url in
            let first = try await client.get("\(url)/bytes/3").response.connectionID
            var options = RequestOptions()
            options.timeout = .milliseconds(400)
            _ = try await h2Error { try await client.get("\(url)/delay/60000", options: options) }
            try await eventually("it serves again", within: .seconds(30)) {
                try await client.get("\(url)/bytes/3").response.connectionID == first
            }
            #expect(await client.open <= 2)
        }
    }

    @Test
    func `A dead connection that was set aside is closed when PING is not answered`() async throws {
        try await withProxy(
            .http2, { $0.connection.keepAlive.timeout = .milliseconds(500) }
        ) { client, _, proxy, url in
            _ = try await client.get("\(url)/bytes/3")
            proxy.goSilent(alsoNew: false)
            var options = RequestOptions()
            options.timeout = .milliseconds(400)
            _ = try await h2Error { try await client.get("\(url)/bytes/3", options: options) }
            try await eventually("it is gone", within: .seconds(30)) { await client.open == 0 }
        }
    }

    @Test
    func `A limit on the first byte finds out over HTTP 1.1, and the next request dials anew`() async throws {
        try await withProxy(.http1) { client, server, proxy, url in
            _ = try await client.get("\(url)/bytes/3")
            proxy.goSilent()
            var options = RequestOptions()
            options.firstByteTimeout = .milliseconds(300)
            let error = try await h2Error { try await client.get("\(url)/bytes/3", options: options) }
            #expect(error.code == .timeout)
            #expect(error.cause == .timeout(.firstByte, after: .milliseconds(300)))
            #expect(server.statistics.requests == 1)
            proxy.forward()
            #expect(try await client.get("\(url)/bytes/3", options: options).body.count == 3)
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 2)
            #expect(statistics.retries == 0)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A limit between two bytes finds out within a body, and the client goes on`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withProxy(versions) { client, _, proxy, url in
            var options = RequestOptions()
            options.bodyProgressTimeout = .milliseconds(300)
            let response = try await client.send(
                HTTPRequest(url: "\(url)/drip?bytes=10000&chunk=1&interval=20"), options: options)
            var chunks = response.body.makeAsyncIterator()
            #expect(try await chunks.next()?.isEmpty == false)
            proxy.goSilent(alsoNew: false)
            let error = try await h2Error { try await response.body.discard() }
            #expect(error.cause == .timeout(.betweenBytes, after: .milliseconds(300)), "\(error)")
            // An HTTP/2 connection may be sound where one stream of it stalls, so it stays; without PINGs until its next use.
            guard versions == .http1 else { return }
            #expect(try await client.get("\(url)/bytes/3").body.count == 3)
            #expect(await client.statistics().connectionsOpened == 2)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2], [false, true])
    func `A connection that its server ends while idle is never given to a request`(
        _ versions: OriginServer.Versions, _ isReset: Bool
    ) async throws {
        try await withProxy(versions) { client, _, proxy, url in
            expectAllServed(await client.burst(50, "\(url)/bytes/3"), 50)
            let before = await client.statistics()
            #expect(before.connectionsOpen >= 1)
            isReset ? proxy.resetAll() : proxy.closeAll()
            try await eventually("the client knows") { await client.open == 0 }
            expectAllServed(await client.burst(50, "\(url)/bytes/3"), 50)
            let after = await client.statistics()
            #expect(after.retries == 0)
            #expect(after.requests == 100)
            #expect(after.connectionsOpened > before.connectionsOpened)
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A request that crosses the end of its connection is sent again`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withProxy(versions) { client, _, proxy, url in
            for _ in 0..<8 {
                let whole = try await client.get("\(url)/bytes/3")
                #expect(whole.body.count == 3)
                proxy.closeAll()
            }
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 8)
            #expect(statistics.requests == 8 + statistics.retries)
        }
    }
}
