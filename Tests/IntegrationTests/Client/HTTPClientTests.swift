import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5)))
struct HTTPClientTests {
    @Test
    func `A thousand first requests at once open one HTTP/2 connection`() async throws {
        try await withOriginAndClient { client, server in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<1_000 {
                    group.addTask { try await client.get("\(server.url)/bytes/\(number)").body.count }
                }
                let total = try await group.reduce(0, +)
                #expect(total == (0..<1_000).reduce(0, +))
            }
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened == 1)
            #expect(statistics.requests == 1_000)
            #expect(statistics.requestsOnReusedConnections == 999)
            #expect(statistics.handshakesSaved == 999)
            #expect(server.statistics.connectionsAccepted == 1)
        }
    }

    @Test
    func `A client that was shut down refuses, and its connections are gone`() async throws {
        try await withOriginAndClient { client, server in
            _ = try await client.get("\(server.url)/bytes/1")
            await client.shutdown()
            let error = try await h2Error { try await client.get("\(server.url)/bytes/1") }
            #expect(error.code == .clientShutDown)
            try await eventually("the origin sees the end") { server.statistics.connectionsOpen == 0 }
        }
    }

    @Test
    func `A cancelled request leaves the client whole`() async throws {
        try await withOriginAndClient { client, server in
            let slow = Task { try await client.get("\(server.url)/delay/20000") }
            try await eventually("it is under way") { server.statistics.requests == 1 }
            slow.cancel()
            await #expect(throws: CancellationError.self) { try await slow.value }
            #expect(try await client.get("\(server.url)/bytes/3").body.count == 3)
            try await eventually("nothing is open") {
                await client.statistics().origins.allSatisfy { $0.openStreams == 0 }
            }
        }
    }

    @Test
    func `What GOAWAY left unprocessed is sent again on a new connection`() async throws {
        var origin = OriginServer.Configuration()
        origin.faults.goAwayAfterRequests = 20
        try await withOriginAndClient(origin) { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<500 {
                    group.addTask { _ = try await client.get("\(server.url)/bytes/10") }
                }
                try await group.waitForAll()
            }
            let statistics = await client.statistics()
            #expect(statistics.connectionsOpened >= 25)
            #expect(statistics.retries > 0)
        }
    }

    @Test
    func `A lent connection is the same for all that is sent on it`() async throws {
        try await withOriginAndClient { client, server in
            let numbers = try await client.withConnection(to: Origin(server.url)) { connection in
                #expect(connection.version == .http2)
                var numbers: Set<Int> = []
                for _ in 0..<3 {
                    let response = try await connection.send(.get("/bytes/5"))
                    #expect(try await response.body.collect(upTo: 10).count == 5)
                    numbers.insert(response.connectionID.number)
                }
                return numbers
            }
            #expect(numbers.count == 1)
            #expect(try await client.get("\(server.url)/bytes/1").response.connectionID.number == numbers.first)
        }
    }

    @Test
    func `A response has the ID that events give its request, also if nobody listens`() async throws {
        try await withOriginAndClient { client, server in
            let unobserved = try await client.get("\(server.url)/bytes/1").response.requestID
            let events = client.events()
            var ids: [HTTPClient.RequestID?] = []
            for _ in 0..<3 { ids.append(try await client.get("\(server.url)/bytes/1").response.requestID) }
            await client.shutdown()
            var sent: [HTTPClient.RequestID?] = []
            var finished: [HTTPClient.RequestID?] = []
            for await event in events {
                #expect(event.origin?.description == server.url)
                switch event.kind {
                case .requestSent: sent.append(event.requestID)
                case .attemptFinished: finished.append(event.requestID)
                default: break
                }
            }
            #expect(sent == ids && finished == ids)
            #expect(Set(ids + [unobserved]).count == 4 && !ids.contains(nil) && unobserved != nil)
        }
    }

    @Test
    func `A request sent on a connection of one's own has no ID`() async throws {
        try await withOriginAndClient { client, server in
            try await HTTP2Connection.withConnection(
                to: Origin(server.url), configuration: client.configuration.connection
            ) { connection in
                let response = try await connection.send(.get("/bytes/1"))
                #expect(response.requestID == nil)
                try await response.body.discard()
            }
        }
    }

    @Test
    func `A method and a URL make a request, with a streamed response`() async throws {
        try await withOriginAndClient { client, server in
            let sent = try await client.send(.patch, "\(server.url)/echo", body: .string("change"))
            #expect(try await sent.body.collect(upTo: 10) == Array("change".utf8))
            #expect(sent.firstValue(of: .contentType) == sent.headerFields[.contentType])
            let patched = try await client.patch("\(server.url)/echo", body: .string("again"))
            #expect(patched.text == "again")
            let error = try await h2Error { try await client.send(.get, "ftp://example.com/") }
            #expect(error.code == .invalidURL)
        }
    }

    @Test
    func `Events tell why a connection was opened and closed`() async throws {
        try await withOriginAndClient { client, server in
            let events = client.events()
            _ = try await client.get("\(server.url)/bytes/1")
            await client.shutdown()
            var told: [String] = []
            for await event in events {
                switch event.kind {
                case .connecting(let reason): told.append("connecting: \(reason.sentence)")
                case .connectionOpened(_, let version, _): told.append("opened \(version.rawValue)")
                case .requestQueued: told.append("queued")
                case .requestSent(let isReused): told.append("sent \(isReused)")
                case .attemptFinished(let result): told.append("finished \((try? result.get().code) ?? 0)")
                case .connectionClosed(let reason, let requests): told.append("closed after \(requests): \(reason)")
                default: break
                }
            }
            #expect(told.contains("connecting: the origin had none"))
            #expect(told.contains("opened HTTP/2"))
            #expect(told.contains("queued"))
            #expect(told.contains("sent false"))
            #expect(told.contains("finished 200"))
            #expect(told.contains { $0.hasPrefix("closed after 1") })
        }
    }
}
