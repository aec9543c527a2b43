import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Servers that accept a connection and say nothing more, and such as stop reading.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct SlowPeerTests {
    private func withProxy(
        _ versions: OriginServer.Versions, _ client: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
        _ body: @Sendable (HTTPClient, OriginServer, SilentProxy, String) async throws -> Void
    ) async throws {
        var origin = OriginServer.Configuration()
        origin.versions = versions
        origin.settings.maxConcurrentStreams = 1_000
        try await withOriginAndClient(origin, client) { client, server in
            try await SilentProxy.run(to: server.port) { proxy in
                try await body(client, server, proxy, "https://localhost:\(proxy.port)")
            }
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `One hung dial is no outage`(_ versions: OriginServer.Versions) async throws {
        try await withProxy(versions) { client, server, proxy, url in
            proxy.goSilent()
            async let burst = client.burst(200, "\(url)/bytes/3")
            try await eventually("the dial hangs") { proxy.counts.bytesDropped > 0 }
            proxy.forward()
            expectAllServed(await burst, 200)
        }
    }

    @Test func `Requests that joined a dial before its time limit have a dial of their own time`() async throws {
        try await withProxy(.http2, { $0.connection.timeouts.establish = .milliseconds(800) }) {
            client, server, proxy, url in
            // A busy machine may end the first dial before the late requests are there; then it is all done again.
            for _ in 0..<20 {
                proxy.goSilent()
                let (dropped, ended) = (proxy.counts.bytesDropped, Counter())
                let first = Task {
                    defer { ended.increment() }
                    return try await h2Error { try await client.get("\(url)/bytes/3") }
                }
                try await eventually("the dial hangs") { proxy.counts.bytesDropped > dropped }
                // Requests that come sooner after a dial's start share its time limit.
                try await letTimePass(.milliseconds(200))
                async let late = client.burst(2, "\(url)/bytes/3")
                var haveJoined = false
                try await eventually("they wait") {
                    haveJoined = await client.statistics().origins.first?.waitingRequests == 3
                    return haveJoined || ended.value > 0
                }
                proxy.forward()
                let (error, served) = try await (first.value, late)
                if haveJoined {
                    #expect(error.code == .timeout, "\(error)")
                    return expectAllServed(served, 2)
                }
                try await client.closeAllIdle()
            }
            Issue.record("the late requests never came in time")
        }
    }

    @Test func `A dial that nobody waits for any more is dropped`() async throws {
        try await withProxy(.http2) { client, server, proxy, url in
            proxy.goSilent()
            var options = RequestOptions()
            options.timeout = .milliseconds(300)
            let error = try await h2Error { try await client.get("\(url)/bytes/3", options: options) }
            #expect(error.code == .timeout)
            #expect(await client.statistics().origins.first?.connecting == 1)
            // Long before the dial's own limit.
            let start = ContinuousClock.now
            try await eventually("it is gone") { (await client.statistics().origins.first?.connecting ?? 0) == 0 }
            #expect(ContinuousClock.now - start < .seconds(10))
            proxy.forward()
            #expect(try await client.get("\(url)/bytes/3").body.count == 3)
        }
    }

    @Test func `A peer that stops reading gets no new requests, which go by another connection`() async throws {
        try await withProxy(.http2) { client, server, proxy, url in
            _ = try await client.get("\(url)/bytes/3")
            proxy.goSilent(.holds, alsoNew: false)
            // More than the system's buffers take, in fields, which no window holds back.
            let many = Task {
                await withTaskGroup(of: String?.self) { group in
                    for _ in 0..<400 {
                        group.addTask {
                            let fields: HTTPFields = [.userAgent: String(repeating: "x", count: 50_000)]
                            do { _ = try await client.get("\(url)/bytes/3", headerFields: fields) } catch {
                                return "\(error)"
                            }
                            return nil
                        }
                    }
                    return await group.reduce(into: []) { failures, failure in failure.map { failures.append($0) } }
                }
            }
            // Whatever comes before the peer is known to be stalled waits for it.
            try await eventually("a request is answered by another connection") {
                var options = RequestOptions()
                options.timeout = .milliseconds(500)
                return (try? await client.get("\(url)/bytes/3", options: options)) != nil
            }
            #expect(await client.statistics().connectionsOpened >= 2)
            expectAllServed(await client.burst(50, "\(url)/bytes/3"), 50)
            proxy.forward()
            #expect(await many.value == [])
        }
    }

    // MARK: - connectTo

    @Test func `connectTo is asked once for each connection`() async throws {
        let asked = Counter()
        for coalesces in [false, true] {
            let port = try LoopbackPort.unused()
            var origin = OriginServer.Configuration()
            origin.security = .selfSigned(names: ["one.test"])
            origin.port = port
            let before = asked.value
            try await withOriginAndClient(
                origin,
                {
                    $0.pool.coalesces = coalesces
                    $0.connectTo = { _ in
                        asked.increment()
                        return .init(host: "127.0.0.1", port: port)
                    }
                }
            ) { client, server in
                for count in 1...3 {
                    expectAllServed(await client.burst(10, "https://one.test:\(port)/bytes/3"), 10)
                    #expect(asked.value - before == count)
                    try await client.closeAllIdle()
                }
            }
        }
    }
}
