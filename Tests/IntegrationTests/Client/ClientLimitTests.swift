import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// The limits on connections and requests, and the life of connections.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ClientLimitTests {
    static let versions = [OriginServer.Versions.http1, .http2]

    private static func origin(
        _ versions: OriginServer.Versions, streams: UInt32 = 1_000
    ) -> OriginServer.Configuration {
        var origin = OriginServer.Configuration()
        origin.versions = versions
        origin.settings.maxConcurrentStreams = streams
        return origin
    }

    // MARK: - LoadLimits

    @Test(arguments: versions)
    func `No more requests at once than an origin may have`(_ versions: OriginServer.Versions) async throws {
        try await withOriginAndClient(
            Self.origin(versions), { $0.loadLimits.concurrentRequestsPerOrigin = 5 }
        ) { client, server in
            expectAllServed(await client.burst(100, "\(server.url)/delay/3"), 100)
            #expect(server.statistics.streamsPeak == 5)
            #expect(server.statistics.connectionsPeak <= 5)
        }
    }

    @Test(arguments: versions)
    func `No more requests at once than the client may have`(_ versions: OriginServer.Versions) async throws {
        try await withOriginAndClient(
            Self.origin(versions), { $0.loadLimits.concurrentRequests = 3 }
        ) { client, server in
            let other = try Origin(server.url).port
            async let named = client.burst(30, "https://localhost:\(other)/delay/3")
            async let numbered = client.burst(30, "https://127.0.0.1:\(other)/delay/3")
            let (first, second) = await (named, numbered)
            expectAllServed(first, 30)
            expectAllServed(second, 30)
            #expect(server.statistics.streamsPeak <= 3)
        }
    }

    @Test(arguments: versions)
    func `No more requests a second than an origin may have`(_ versions: OriginServer.Versions) async throws {
        try await withOriginAndClient(
            Self.origin(versions),
            {
                $0.loadLimits.requestsPerSecondPerOrigin = 50
                $0.loadLimits.burst = 5
            }
        ) { client, server in
            let start = ContinuousClock.now
            expectAllServed(await client.burst(35, "\(server.url)/bytes/3"), 35)
            // The first five at once.
            let time = ContinuousClock.now - start
            #expect(time >= .milliseconds(595), "\(time)")
        }
    }

    // MARK: - How many connections

    @Test
    func `No more connections than the client may have, and all origins are served`() async throws {
        var origin = Self.origin(.http1)
        origin.security = .cleartext
        let servers = try (0..<3).map { _ in try OriginServer.start(origin) }
        defer { for server in servers { server.stopNow() } }
        var configuration = HTTPClient.Configuration()
        configuration.pool.connections = 2
        try await withHTTPClient(configuration: configuration) { client in
            let events = client.events()
            await withTaskGroup(of: Void.self) { group in
                for server in servers {
                    group.addTask { expectAllServed(await client.burst(20, "\(server.url)/delay/2"), 20) }
                }
            }
            for server in servers {
                let whole = try await client.get("\(server.url)/bytes/3")
                #expect(whole.body.count == 3)
            }
            #expect(await client.open <= 2)
            await client.shutdown()
            var (open, peak) = (0, 0)
            for await event in events {
                switch event.kind {
                case .connectionOpened: open += 1
                case .connectionClosed: open -= 1
                default: break
                }
                peak = max(peak, open)
            }
            #expect(peak <= 2)
            #expect(open == 0)
        }
    }

    @Test
    func `An origin that has no stream left fails at once where that is asked for`() async throws {
        try await withOriginAndClient(
            Self.origin(.http2, streams: 2), { $0.pool.whenSaturated = .fail }
        ) { client, server in
            _ = try await client.get("\(server.url)/bytes/3")
            let slow = Task { await client.burst(2, "\(server.url)/delay/10000") }
            try await eventually("both are under way") { server.statistics.streamsOpen == 2 }
            let start = ContinuousClock.now
            let error = try await h2Error { try await client.get("\(server.url)/bytes/3") }
            #expect(ContinuousClock.now - start < .milliseconds(9_000))
            #expect(error.code == .limitExceeded, "\(error)")
            #expect(error.isRetryable)
            expectAllServed(await slow.value, 2)
            #expect(try await client.get("\(server.url)/bytes/3").body.count == 3)
        }
    }

    @Test
    func `An origin whose streams are taken gets more connections, as many as are asked for`() async throws {
        try await withOriginAndClient(
            Self.origin(.http2, streams: 2), { $0.pool.whenSaturated = .openConnection(upTo: 3) }
        ) { client, server in
            _ = try await client.get("\(server.url)/bytes/3")
            // What waits goes to a new connection before that has told its limit, so it may take a second burst to see that
            // two are not enough.
            for _ in 0..<2 { expectAllServed(await client.burst(30, "\(server.url)/delay/30"), 30) }
            #expect(server.statistics.http2Connections == 3)
            #expect(server.statistics.streamsPeak <= 6)
            #expect(server.statistics.streamsPeak > 2)
            #expect(server.statistics.requestsRefused == 0)
        }
    }

    @Test
    func `A burst before the server has told its stream limit loses nothing`() async throws {
        try await withOriginAndClient(
            Self.origin(.http2, streams: 5), { $0.retry.budget = 0 }
        ) { client, server in
            expectAllServed(await client.burst(300, "\(server.url)/delay/2"), 300)
            #expect(server.statistics.streamsPeak <= 5)
        }
    }

    @Test(arguments: versions)
    func `Connections are spread over several event loops`(_ versions: OriginServer.Versions) async throws {
        let loops = (0..<3).map { _ in H2EventLoop() }
        defer { for loop in loops { loop.shutdown() } }
        try await withOriginAndClient(
            Self.origin(versions, streams: 100),
            {
                $0.eventLoops = loops
                $0.pool.whenSaturated = .openConnection(upTo: 6)
                $0.pool.http1ConnectionsPerOrigin = 6
            }
        ) { client, server in
            for _ in 0..<2 { expectAllServed(await client.burst(1_000, "\(server.url)/delay/50"), 1_000) }
            #expect(server.statistics.requests == 2_000)
            // How many are needed depends on how quickly answers come.
            #expect((2...6).contains(server.statistics.connectionsPeak))
            await client.shutdown()
            #expect(await client.open == 0)
        }
    }

    // MARK: - How long connections live

    @Test(arguments: versions)
    func `Connections that serve nothing are closed after the idle time`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withOriginAndClient(
            Self.origin(versions), { $0.pool.idleTimeout = .milliseconds(200) }
        ) { client, server in
            expectAllServed(await client.burst(20, "\(server.url)/bytes/3"), 20)
            // One that is at work is not idle.
            #expect(try await client.get("\(server.url)/delay/600").body.count == 3)
            try await eventually("none is open") { await client.open == 0 }
            try await eventually("the origin sees it") { server.statistics.connectionsOpen == 0 }
            #expect(await client.statistics().retries == 0)
        }
    }

    @Test(arguments: versions)
    func `A connection that is old enough takes no new requests`(_ versions: OriginServer.Versions) async throws {
        try await withOriginAndClient(
            Self.origin(versions), { $0.pool.maximumAge = .milliseconds(200) }
        ) { client, server in
            let first = try await client.get("\(server.url)/delay/400").response.connectionID
            #expect(try await client.get("\(server.url)/bytes/3").response.connectionID != first)
            try await eventually("they are closed") { await client.open == 0 }
            #expect(await client.statistics().retries == 0)
        }
    }

    @Test(arguments: versions)
    func `A connection serves as many requests as it may, and is followed by another`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withOriginAndClient(
            Self.origin(versions), { $0.pool.requestsPerConnection = 10 }
        ) { client, server in
            for _ in 0..<30 { _ = try await client.get("\(server.url)/bytes/3") }
            #expect(server.statistics.connectionsAccepted == 3)
            let burst = await client.burst(200, "\(server.url)/bytes/3")
            expectAllServed(burst, 200)
            #expect(burst.connections.values.allSatisfy { $0 <= 10 })
            #expect(burst.connections.count >= 20)
            #expect(await client.statistics().retries == 0)
        }
    }

    @Test
    func `What is idle is closed when that is asked for, and what is at work goes on`() async throws {
        try await withOriginAndClient(Self.origin(.http1)) { client, server in
            expectAllServed(await client.burst(40, "\(server.url)/delay/5"), 40)
            let slow = Task { try await client.get("\(server.url)/delay/3000") }
            try await eventually("it is under way") { server.statistics.streamsOpen == 1 }
            #expect(await client.open > 1)
            client.closeIdle()
            try await eventually("one is left") { await client.open == 1 }
            #expect(try await slow.value.body.count == 3)
            try await client.closeAllIdle()
            try await eventually("the origin sees it") { server.statistics.connectionsOpen == 0 }
            #expect(try await client.get("\(server.url)/bytes/3").response.failedAttempts.isEmpty)
        }
    }

    // MARK: - Waiting

    @Test(arguments: versions)
    func `Waiting for a connection or stream ends with its time, and with that of the whole request`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withOriginAndClient(
            Self.origin(versions),
            {
                $0.pool.http1ConnectionsPerOrigin = 1
                $0.pool.streamsPerConnection = 1
            }
        ) { client, server in
            let slow = Task { try await client.get("\(server.url)/delay/60000") }
            try await eventually("it is under way") { server.statistics.streamsOpen == 1 }
            var options = RequestOptions()
            options.queueTimeout = .milliseconds(150)
            let start = ContinuousClock.now
            let queued = try await h2Error { try await client.get("\(server.url)/bytes/3", options: options) }
            #expect(queued.code == .timeout)
            #expect(queued.cause == .timeout(.queued, after: .milliseconds(150)))
            #expect(ContinuousClock.now - start >= .milliseconds(150))
            options = RequestOptions()
            options.timeout = .milliseconds(150)
            let whole = try await h2Error { try await client.get("\(server.url)/bytes/3", options: options) }
            #expect(whole.code == .timeout)
            #expect(whole.cause == .timeout(.wholeRequest, after: .milliseconds(150)))
            // Whoever waits without a limit gets the place.
            let patient = Task { try await client.get("\(server.url)/bytes/3") }
            try await eventually("it waits") {
                await client.statistics().origins.contains { $0.waitingRequests == 1 }
            }
            slow.cancel()
            #expect(try await patient.value.body.count == 3)
            #expect(server.statistics.requests == 2)
        }
    }

    @Test
    func `What a request asks for goes before what the client asks for`() async throws {
        try await withOriginAndClient(
            .init(), { $0.requestOptions.firstByteTimeout = .milliseconds(100) }
        ) { client, server in
            let error = try await h2Error { try await client.get("\(server.url)/delay/5000") }
            #expect(error.cause == .timeout(.firstByte, after: .milliseconds(100)))
            var options = RequestOptions()
            options.firstByteTimeout = .seconds(20)
            #expect(try await client.get("\(server.url)/delay/300", options: options).body.count == 3)
        }
    }
}
