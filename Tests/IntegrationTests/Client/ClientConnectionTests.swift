import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Which connection a request goes over: the remembered version, a shared one, a lent one; and what is told of it.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ClientConnectionTests {
    private static func origin(_ versions: OriginServer.Versions) -> OriginServer.Configuration {
        var origin = OriginServer.Configuration()
        origin.versions = versions
        return origin
    }

    // MARK: - Versions

    @Test
    func `An origin that chose HTTP 1.1 is dialed for each request at once the next time`() async throws {
        try await withOriginAndClient(Self.origin(.http1)) { client, server in
            try await SilentProxy.run(to: server.port) { proxy in
                let url = "https://localhost:\(proxy.port)/bytes/3"
                // Until the version is known there is one dial, since one HTTP/2 connection would do for all.
                for (number, dials) in [1, 8].enumerated() {
                    proxy.goSilent(.holds)
                    let burst = Task { await client.burst(20, url) }
                    try await eventually("all wait, dial \(number)") {
                        let origin = await client.statistics().origins.first
                        return origin?.waitingRequests == 20 && origin?.connecting == dials
                    }
                    proxy.forward()
                    let result = await burst.value
                    expectAllServed(result, 20)
                    #expect(result.versions == [.http1])
                    try await client.closeAllIdle()
                }
                #expect(server.statistics.http2Connections == 0)
            }
        }
    }

    @Test
    func `HTTP 1.1 alone is spoken where that is asked for`() async throws {
        try await withOriginAndClient(.init(), { $0.versions = .http1Only }) { client, server in
            let burst = await client.burst(100, "\(server.url)/delay/2")
            expectAllServed(burst, 100)
            #expect(burst.versions == [.http1])
            #expect(server.statistics.http2Connections == 0)
            #expect(server.statistics.connectionsPeak <= 8)
        }
    }

    @Test
    func `An origin of HTTP 1.1 alone fails where HTTP 2 has to be`() async throws {
        try await withOriginAndClient(Self.origin(.http1), { $0.versions = .http2Only }) { client, server in
            let error = try await h2Error { try await client.get("\(server.url)/bytes/3") }
            #expect(error.code == .http2NotNegotiated, "\(error)")
            #expect(server.statistics.requests == 0)
        }
    }

    // MARK: - Connections that origins share

    /// Two names, both in the certificate, of the same address.
    private func withTwoNames(
        coalesces: Bool, _ body: @Sendable (HTTPClient, OriginServer, String, String) async throws -> Void
    ) async throws {
        var origin = OriginServer.Configuration()
        origin.security = .selfSigned(names: ["one.test", "two.test", "localhost"])
        let port = try LoopbackPort.unused()
        origin.port = port
        try await withOriginAndClient(
            origin,
            {
                $0.pool.coalesces = coalesces
                $0.connectTo = { _ in .init(host: "127.0.0.1", port: port) }
            }
        ) { client, server in
            try await body(client, server, "https://one.test:\(port)", "https://two.test:\(port)")
        }
    }

    @Test(arguments: [false, true])
    func `Two names of one server share a connection where that is asked for`(_ coalesces: Bool) async throws {
        try await withTwoNames(coalesces: coalesces) { client, server, one, two in
            let events = client.events()
            let first = try await client.get("\(one)/bytes/3")
            expectAllServed(await client.burst(20, "\(two)/bytes/3"), 20)
            let second = try await client.get("\(two)/headers")
            #expect(second.text.contains(":authority: two.test:"))
            #expect((first.response.connectionID == second.response.connectionID) == coalesces)
            #expect(server.statistics.http2Requests == 22)
            await client.shutdown()
            var shared: [String] = []
            var requests: [String: [Origin]] = ["sent": [], "finished": []]
            for await event in events {
                switch event.kind {
                case .connectionShared:
                    #expect(event.connectionID == first.response.connectionID)
                    shared.append(try #require(event.origin).description)
                case .requestSent: requests["sent"]?.append(try #require(event.origin))
                case .attemptFinished: requests["finished"]?.append(try #require(event.origin))
                default: break
                }
            }
            // A request's events have its own origin, even if its connection was opened for the other one.
            for origins in requests.values {
                #expect(origins.count { $0.description == one } == 1)
                #expect(origins.count { $0.description == two } == 21)
            }
            #expect(shared == (coalesces ? [two] : []))
            #expect(await client.statistics().connectionsOpened == (coalesces ? 1 : 2))
        }
    }

    @Test
    func `A name that is not in the certificate does not share, and fails`() async throws {
        try await withTwoNames(coalesces: true) { client, _, one, _ in
            _ = try await client.get("\(one)/bytes/3")
            let three = one.replacingOne("one.test", by: "three.test")
            let error = try await h2Error { try await client.get("\(three)/bytes/3") }
            #expect(error.code == .certificateRejected, "\(error)")
        }
    }

    @Test
    func `421 on a shared connection is followed by one attempt on a connection of its own`() async throws {
        try await withTwoNames(coalesces: true) { client, server, one, two in
            let first = try await client.get("\(one)/bytes/3").response.connectionID
            #expect(try await client.get("\(two)/bytes/3").response.connectionID == first)
            let misdirected = try await client.get("\(two)/status/421")
            #expect(misdirected.status == .misdirectedRequest)
            #expect(misdirected.response.failedAttempts.map(\.status) == [.misdirectedRequest])
            #expect(misdirected.response.failedAttempts.map(\.connectionID) == [first])
            let own = misdirected.response.connectionID
            #expect(own != first)
            #expect(try await client.get("\(two)/bytes/3").response.connectionID == own)
            #expect(try await client.get("\(one)/bytes/3").response.connectionID == first)
            #expect(server.statistics.connectionsAccepted == 2)
        }
    }

    @Test(arguments: [false, true])
    func `421 is learned where the request is not sent again, in full duplex too`(_ isFullDuplex: Bool) async throws {
        try await withTwoNames(coalesces: true) { client, _, one, two in
            let first = try await client.get("\(one)/bytes/3").response.connectionID
            #expect(try await client.get("\(two)/bytes/3").response.connectionID == first)
            let request = try HTTPRequest(.get, url: "\(two)/status/421")
            let body = HTTPRequestBody.writer { try await $0.write([1, 2, 3]) }
            let status =
                if isFullDuplex {
                    try await client.send(request, body: body) { response in response.status }
                } else {
                    try await client.collect(request, body: body).status
                }
            #expect(status == .misdirectedRequest)
            let own = try await client.get("\(two)/bytes/3").response.connectionID
            #expect(own != first)
            #expect(try await client.get("\(one)/bytes/3").response.connectionID == first)
        }
    }

    // MARK: - Lent connections

    @Test
    func `A lent HTTP 1.1 connection serves its holder alone, in order`() async throws {
        try await withOriginAndClient(Self.origin(.http1)) { client, server in
            let lent = try await client.withConnection(to: Origin(server.url)) { connection in
                #expect(connection.version == .http1)
                // Sent at once, they wait for each other.
                let ids = try await withThrowingTaskGroup(of: ConnectionID.self) { group in
                    for _ in 0..<5 {
                        group.addTask {
                            let response = try await connection.send(.get("/delay/10"))
                            #expect(try await response.body.collect(upTo: 10).count == 3)
                            return response.connectionID
                        }
                    }
                    return try await group.reduce(into: Set()) { $0.insert($1) }
                }
                #expect(ids == [connection.info.id])
                #expect(server.statistics.streamsPeak == 1)
                // Others do not get it meanwhile.
                let others = await client.burst(50, "\(server.url)/bytes/3")
                expectAllServed(others, 50)
                #expect(others.connections[connection.info.id] == nil)
                #expect(others.connections.count <= 7)
                #expect(await connection.snapshot().requests == 5)
                return connection.info.id
            }
            // Then it goes back.
            let after = await client.burst(50, "\(server.url)/delay/2")
            expectAllServed(after, 50)
            #expect(after.connections[lent, default: 0] > 0)
            #expect(server.statistics.connectionsPeak <= 8)
        }
    }

    @Test
    func `A lent HTTP 2 connection serves others as well, and its holder on it alone`() async throws {
        try await withOriginAndClient(Self.origin(.http2)) { client, server in
            try await client.withConnection(to: Origin(server.url)) { connection in
                async let others = client.burst(50, "\(server.url)/bytes/3")
                for _ in 0..<5 {
                    let response = try await connection.send(.get("/bytes/3"))
                    #expect(response.connectionID == connection.info.id)
                    _ = try await response.body.discard()
                }
                expectAllServed(await others, 50)
            }
            #expect(server.statistics.connectionsAccepted <= 2)
        }
    }

    @Test
    func `A lent connection that ends is not replaced, and the client goes on`() async throws {
        try await withOriginAndClient(Self.origin(.http1)) { client, server in
            try await client.withConnection(to: Origin(server.url)) { connection in
                let error = try await h2Error { try await connection.send(.get("/reset/2")) }
                #expect(error.code == .connectionClosed, "\(error)")
                #expect(connection.isDraining)
                _ = try await h2Error { try await connection.send(.get("/bytes/3")) }
            }
            expectAllServed(await client.burst(20, "\(server.url)/bytes/3"), 20)
        }
    }

    // MARK: - Events and figures

    @Test
    func `Events and figures of an HTTP 1.1 origin add up`() async throws {
        try await withOriginAndClient(
            Self.origin(.http1), { $0.pool.http1ConnectionsPerOrigin = 2 }
        ) { client, server in
            let events = client.events()
            expectAllServed(await client.burst(10, "\(server.url)/delay/5"), 10)
            _ = try await client.get("\(server.url)/status/404")
            // The last of a response comes to its reader before the connection is free again.
            try await eventually("both are free") {
                await client.statistics().origins.allSatisfy { $0.idle == 2 && $0.openStreams == 0 }
            }
            let statistics = await client.statistics()
            #expect(statistics.requests == 11)
            #expect(statistics.connectionsOpened == 2)
            #expect(statistics.connectionsOpen == 2)
            #expect(statistics.requestsOnReusedConnections == 9)
            #expect(statistics.handshakes == 2)
            #expect(statistics.handshakesSaved == 9)
            #expect(statistics.retries == 0)
            #expect(statistics.bytesSent > 11 * 40)
            #expect(statistics.bytesReceived >= server.statistics.bytesSent)
            let origin = try #require(statistics.origins.first)
            #expect(statistics.origins.count == 1)
            #expect(origin.origin.description == server.url)
            #expect(origin.version == .http1)
            #expect(origin.idle == 2)
            #expect([origin.connecting, origin.active, origin.draining] == [0, 0, 0])
            #expect([origin.openStreams, origin.waitingRequests] == [0, 0])
            await client.shutdown()

            var reasons: [HTTPClient.OpenReason] = []
            var opened: [ConnectionID] = []
            var closed: [ConnectionID: Int] = [:]
            var queued: Set<HTTPClient.RequestID> = []
            var sent: [HTTPClient.RequestID: ConnectionID] = [:]
            var reused = 0
            var finished: [HTTPClient.RequestID: HTTPResponse.Status] = [:]
            var last: UInt64 = 0
            for await event in events {
                #expect(event.nanoseconds >= last || last - event.nanoseconds < 1_000_000_000)
                last = max(last, event.nanoseconds)
                #expect(event.origin?.description == server.url)
                switch event.kind {
                case .connecting(let reason): reasons.append(reason)
                case .connectionOpened(let info, let version, _):
                    #expect(version == .http1)
                    #expect(info.id == event.connectionID)
                    opened.append(info.id)
                case .connectionClosed(let reason, let requests):
                    #expect(!reason.isEmpty)
                    closed[try #require(event.connectionID)] = requests
                case .requestQueued: queued.insert(try #require(event.requestID))
                case .requestSent(let isReused):
                    sent[try #require(event.requestID)] = event.connectionID
                    reused += isReused ? 1 : 0
                case .attemptFinished(let result): finished[try #require(event.requestID)] = try result.get()
                case .connectFailed, .connectCancelled, .connectionShared, .connectionDraining, .tunnelOpened,
                    .requestRetried,
                    .requestHedged,
                    .requestRedirected:
                    break
                }
            }
            #expect(reasons == [.first, .allInUse])
            #expect(Set(opened) == Set(closed.keys))
            #expect(closed.values.reduce(0, +) == 11)
            #expect(queued.isSubset(of: sent.keys))
            #expect(sent.count == 11)
            #expect(reused == 9)
            #expect(finished.count == 11)
            #expect(finished.values.count { $0 == 404 } == 1)
            #expect(finished.values.count { $0 == 200 } == 10)
        }
    }

    @Test
    func `Events tell of an attempt that was made again, and of a connection that failed`() async throws {
        let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = {
            $0.connection == 0 && $0.number == 1 ? [.close] : [.respond()]
        }
        let unused = try LoopbackPort.unused()
        try await ScriptedHTTP1Server.run(script: script) { server in
            try await withHTTPClient { client in
                let events = client.events()
                for _ in 0..<2 { _ = try await client.get("\(server.origin)/") }
                let error = try await h2Error { try await client.get("http://127.0.0.1:\(unused)/") }
                #expect(error.code == .connectFailed)
                await client.shutdown()
                var retried: [H2Error.Code?] = []
                var failed: [String] = []
                var results: [Bool] = []
                for await event in events {
                    switch event.kind {
                    case .requestRetried(let attempt):
                        #expect(attempt.status == nil)
                        #expect(attempt.connectionID == event.connectionID)
                        retried.append(attempt.error?.code)
                    case .connectFailed(let error):
                        #expect((error as? H2Error)?.code == .connectFailed)
                        failed.append(try #require(event.origin).description)
                    case .attemptFinished(let result): results.append((try? result.get()) == 200)
                    default: break
                    }
                }
                #expect(retried == [.connectionClosed])
                #expect(failed == ["http://127.0.0.1:\(unused)"])
                // The first; its like on a connection that closed, and again; and one that never got a connection.
                #expect(results == [true, false, true, false])
            }
        }
    }
}

extension String {
    /// With the one place of `old` changed.
    fileprivate func replacingOne(_ old: String, by new: String) -> String {
        let parts = split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
        return parts.joined(separator: new)
    }
}
