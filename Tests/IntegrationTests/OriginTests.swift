import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

/// The client against H2ClientTesting: both sides in this process, so that what the server saw can be asked as well.
@Suite(.inTurn, .timeLimit(.minutes(5)))
enum OriginTests {
    /// Runs an origin, on a loop of its own, and a connection to it. The origin ends on every exit.
    static func withOrigin<R>(
        _ origin: OriginServer.Configuration = OriginServer.Configuration(),
        _ client: @Sendable (inout ConnectionConfiguration) -> Void = { _ in },
        _ body: nonisolated(nonsending) (HTTP2Connection, OriginServer) async throws -> R
    ) async throws -> R {
        let server = try OriginServer.start(origin)
        defer { server.stopNow() }
        var configuration = ConnectionConfiguration()
        if let pem = server.caPEM {
            let file = try TemporaryDirectory.shared.newPath("origin-ca.pem")
            try writeText(pem, to: file)
            configuration.tls.caFile = file
        }
        client(&configuration)
        return try await HTTP2Connection.withConnection(to: Origin(server.url), configuration: configuration) {
            try await body($0, server)
        }
    }

    static func cleartext() -> OriginServer.Configuration {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        return configuration
    }

    @Suite
    struct ExchangeTests {
        @Test(arguments: [true, false])
        func `100 requests in parallel use one connection, as the server counts`(_ isEncrypted: Bool) async throws {
            try await withOrigin(isEncrypted ? OriginServer.Configuration() : cleartext()) { connection, server in
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<100 {
                        group.addTask { try await connection.send(.get("/bytes/100000")).body.discard() }
                    }
                    for try await size in group { #expect(size == 100_000) }
                }
                #expect(server.statistics.requests == 100)
                #expect(server.statistics.connectionsAccepted == 1)
            }
        }

        @Test
        func `1,000 streams are open at the same moment`() async throws {
            try await withOrigin { connection, server in
                _ = try await connection.ping()
                try await withThrowingTaskGroup(of: HTTPResponse.Status.self) { group in
                    for _ in 0..<1_000 {
                        group.addTask {
                            let response = try await connection.send(.get("/delay/1000"))
                            try await response.body.discard()
                            return response.status
                        }
                    }
                    for try await status in group { #expect(status == .ok) }
                }
                #expect(server.statistics.streamsPeak == 1_000)
            }
        }

        @Test
        func `Tasks on the connection's executor and tasks elsewhere get the same`() async throws {
            try await withOrigin { connection, _ in
                for executor in [connection.executor, nil] as [(any TaskExecutor)?] {
                    let sizes = try await withTaskExecutorPreference(executor) {
                        try await withThrowingTaskGroup(of: Int.self) { group in
                            for index in 1...50 {
                                group.addTask { try await connection.send(.get("/bytes/\(index)")).body.discard() }
                            }
                            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
                        }
                    }
                    #expect(sizes == Set(1...50))
                }
            }
        }

        @Test
        func `No more streams are open than the server allows, and the rest waits in order`() async throws {
            var configuration = OriginServer.Configuration()
            configuration.settings.maxConcurrentStreams = 5
            try await withOrigin(configuration) { connection, server in
                _ = try await connection.ping()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<100 {
                        group.addTask { try await connection.send(.get("/delay/5")).body.discard() }
                    }
                    try await group.waitForAll()
                }
                #expect(server.statistics.requests == 100)
                #expect(server.statistics.streamsPeak == 5)
            }
        }

        @Test
        func `A limit of 0 holds requests back until it is raised`() async throws {
            try await withOrigin { connection, _ in
                try await connection.send(.get("/settings?max-concurrent-streams=0")).body.discard()
                try await eventually("the limit is 0") {
                    await connection.snapshot().remoteSettings.maxConcurrentStreams == 0
                }
                var hurried = RequestOptions()
                hurried.queueTimeout = .milliseconds(50)
                let error = try await h2Error { try await connection.send(.get("/bytes/1"), options: hurried) }
                #expect(error.code == .timeout, "\(error)")
                #expect(error.cause == .timeout(.queued, after: .milliseconds(50)))
                #expect(error.isRetryable)
                #expect(await connection.snapshot().waitingRequests == 0)
            }
        }

        @Test
        func `Trailers go both ways`() async throws {
            try await withOrigin { connection, _ in
                let name = try #require(HTTPField.Name("x-checksum"))
                let body = HTTPRequestBody.bytes(Array("hello".utf8), trailers: [name: "5d41"])
                let echoed = try await connection.send(.make(.post, "/echo"), body: body)
                #expect(try await echoed.text() == "hello")
                #expect(await echoed.trailerFields()?[name] == "5d41")

                let response = try await connection.send(.get("/trailers"))
                #expect(try await response.text() == "two trailer fields follow\n")
                #expect(await response.trailerFields()?[name] == "sum of nothing")
            }
        }

        @Test
        func `Informational responses reach who asks`() async throws {
            try await withOrigin { connection, _ in
                let hints = Counter()
                var options = RequestOptions()
                options.onInformational = { if $0.status.code == 103 { hints.increment() } }
                let response = try await connection.send(.get("/103?n=3"), options: options)
                #expect(response.status == .ok)
                #expect(try await response.text() == "hinted\n")
                #expect(hints.value == 3)
            }
        }

        @Test
        func `More informational responses than the limit end the stream, not the connection`() async throws {
            try await withOrigin { connection, _ in
                let error = try await h2Error { try await connection.send(.get("/103?n=140")) }
                #expect(error.code == .limitExceeded, "\(error)")
                #expect(try await connection.send(.get("/bytes/1")).body.discard() == 1)
            }
        }

        @Test
        func `The body waits for 100 (Continue) where that is asked for`() async throws {
            try await withOrigin { connection, _ in
                let continued = Counter()
                var options = RequestOptions()
                options.expectContinue = .seconds(30)
                options.onInformational = { if $0.status.code == 100 { continued.increment() } }
                let response = try await connection.send(
                    .make(.post, "/upload"), body: .string("hello"), options: options)
                #expect(
                    try await response.text()
                        == "5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n")
                #expect(continued.value == 1)
            }
        }

        @Test
        func `An answer before the end of the upload is kept, and the upload stops`() async throws {
            try await withOrigin { connection, _ in
                let written = Counter()
                let body = HTTPRequestBody.writer { writer in
                    while true {
                        try await writer.write([UInt8](repeating: 0, count: 100_000))
                        written.increment(by: 100_000)
                    }
                }
                let response = try await connection.send(.make(.post, "/early"), body: body)
                #expect(response.status == .ok)
                let text = try await response.text()
                #expect(text == "answered before the request body was read\n")
                // The windows bound what was sent.
                #expect(written.value < 20_000_000)
                #expect(try await connection.send(.get("/bytes/1")).body.discard() == 1)
            }
        }

        @Test
        func `Priority is sent with the request, and updated while it runs`() async throws {
            try await withOrigin { connection, _ in
                var options = RequestOptions()
                options.priority = HTTPPriority(urgency: 1, isIncremental: true)
                let response = try await connection.send(.get("/priority"), options: options)
                #expect(try await response.text() == "field: u=1, i\nupdate: none\n")
            }
        }
    }
}
