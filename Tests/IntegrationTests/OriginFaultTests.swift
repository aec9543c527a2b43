import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

extension OriginTests {
    @Suite
    struct FaultTests {
        @Test
        func `A refused stream says so, may be sent again, and leaves its siblings alone`() async throws {
            var configuration = OriginServer.Configuration()
            configuration.faults.refuseEvery = 4
            try await withOrigin(configuration) { connection, _ in
                let (served, refused) = (Counter(), Counter())
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<100 {
                        group.addTask {
                            do {
                                try await connection.send(.get("/bytes/1000")).body.discard()
                                served.increment()
                            } catch let error as H2Error {
                                #expect(error.code == .streamReset, "\(error)")
                                #expect(error.http2Code == .refusedStream)
                                #expect(error.initiator == .remote)
                                #expect(error.isRetryable)
                                refused.increment()
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(served.value == 75)
                #expect(refused.value == 25)
            }
        }

        @Test(arguments: [true, false])
        func `After GOAWAY what the server took is answered, and the rest is told that it was not processed`(
            _ isTwoStep: Bool
        ) async throws {
            var configuration = OriginServer.Configuration()
            configuration.faults.goAwayAfterRequests = 20
            configuration.faults.goAwayIsTwoStep = isTwoStep
            try await withOrigin(configuration) { connection, _ in
                let (served, unprocessed) = (Counter(), Counter())
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<100 {
                        group.addTask {
                            do {
                                let text = try await connection.send(.get("/delay/20")).text()
                                #expect(text == "ok\n")
                                served.increment()
                            } catch let error as H2Error {
                                #expect([.notProcessed, .connectionDraining].contains(error.code), "\(error)")
                                #expect(error.isRetryable)
                                unprocessed.increment()
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(served.value + unprocessed.value == 100)
                #expect(isTwoStep ? served.value >= 20 : served.value == 20)
                #expect(connection.isDraining)
            }
        }

        @Test
        func `A reader gets all that arrived before a reset, and then the error`() async throws {
            var configuration = OriginServer.Configuration()
            configuration.routes["/part"] = { _ in
                .init(body: [UInt8](repeating: 7, count: 30_000), fault: .reset(.internalError, afterBytes: 20_000))
            }
            try await withOrigin(configuration) { connection, _ in
                for _ in 0..<100 {
                    let body = try await connection.send(.get("/part")).body
                    var count = 0
                    let error = try await h2Error { for try await chunk in body { count += chunk.count } }
                    #expect(error.code == .streamReset && error.initiator == .remote)
                    #expect(count == 20_000)
                }
            }
        }

        @Test
        func `The code and text of GOAWAY reach each stream that it ends`() async throws {
            try await withOrigin { connection, _ in
                let waiting = (0..<3).map { _ in
                    Task { try await h2Error { try await connection.send(.get("/stall")) } }
                }
                try await eventually("three streams are open") { await connection.snapshot().openStreams == 3 }
                // 11 is ENHANCE_YOUR_CALM; stream 0: none of them was processed.
                _ = try? await connection.send(.get("/goaway?code=11&last=0&debug=slow+down"))
                for task in waiting {
                    let error = try await task.value
                    #expect(error.code == .notProcessed, "\(error)")
                    #expect(error.http2Code == .enhanceYourCalm)
                    #expect(error.description.contains("slow"), "\(error)")
                }
            }
        }

        @Test
        func `A reset in the middle of a body names its code, and siblings go on`() async throws {
            try await withOrigin { connection, _ in
                async let sibling = connection.send(.get("/bytes/5000000")).body.discard()
                let response = try await connection.send(.get("/reset/2?after=1000"))
                #expect(response.status == .ok)
                let error = try await h2Error { try await response.body.discard() }
                #expect(error.code == .streamReset, "\(error)")
                #expect(error.http2Code == .internalError)
                #expect(error.scope == .stream(response.streamID))
                #expect(!error.isRetryable)
                #expect(try await sibling == 5_000_000)
            }
        }

        @Test(arguments: ["fin", "reset", "notify"])
        func `A connection that ends in the middle of a body is an error, however it ends`(_ how: String) async throws {
            try await withOrigin { connection, _ in
                let response = try await connection.send(.get("/close?after=1000&how=\(how)"))
                let error = try await h2Error { try await response.body.discard() }
                #expect(error.code == .connectionClosed, "\(error)")
                #expect(!error.isRetryable)
                #expect(connection.isDraining)
            }
        }

        @Test
        func `Each time limit of a request ends it alone and names its phase`() async throws {
            try await withOrigin { connection, _ in
                func phase(_ path: String, _ set: (inout RequestOptions) -> Void) async throws -> H2Error.Phase? {
                    var options = RequestOptions()
                    set(&options)
                    let error = try await h2Error(path) {
                        try await connection.send(.get(path), options: options).body.discard()
                    }
                    #expect(error.code == .timeout, "\(error)")
                    if case .timeout(let phase, after: .milliseconds(100)) = error.cause { return phase }
                    return nil
                }
                #expect(try await phase("/stall") { $0.timeout = .milliseconds(100) } == .wholeRequest)
                #expect(try await phase("/stall") { $0.firstByteTimeout = .milliseconds(100) } == .firstByte)
                let between = try await phase("/stall?after=1000") { $0.bodyProgressTimeout = .milliseconds(100) }
                #expect(between == .betweenBytes)
                #expect(try await connection.send(.get("/bytes/1")).body.discard() == 1)
                try await eventually("every stream is closed") { await connection.snapshot().openStreams == 0 }
            }
        }

        @Test
        func `A request from another thread in the middle of a loop's turn has all of its time`() async throws {
            try await withOrigin { connection, _ in
                let loop = H2EventLoop.shared
                let holder = try LoopHolder()
                loop.execute { loop.register(holder.input, handler: holder) }
                holder.begin()
                try await eventually("the loop is held up") { holder.hasBegun.value > 0 }
                var options = RequestOptions()
                options.timeout = .seconds(30)
                let size = try await connection.send(.get("/bytes/3"), options: options).body.discard()
                #expect(size == 3)
                await withCheckedContinuation { continuation in
                    loop.execute {
                        loop.deregister(holder.input)
                        continuation.resume()
                    }
                }
            }
        }

        @Test
        func `A PING that is not answered ends with a timeout`() async throws {
            var configuration = OriginServer.Configuration()
            configuration.faults.omitsPingAcknowledgement = true
            try await withOrigin(configuration) { connection, _ in
                let error = try await h2Error { try await connection.ping(timeout: .milliseconds(100)) }
                #expect(error.code == .timeout, "\(error)")
                #expect(error.cause == .timeout(.ping, after: .milliseconds(100)))
            }
        }

        @Test
        func `SETTINGS that are never acknowledged end the connection`() async throws {
            var configuration = OriginServer.Configuration()
            configuration.faults.omitsSettingsAcknowledgement = true
            let error = try await h2Error {
                try await withOrigin(configuration, { $0.timeouts.settings = .milliseconds(200) }) { connection, _ in
                    try await connection.send(.get("/stall")).body.discard()
                }
            }
            #expect(error.code == .timeout, "\(error)")
            #expect(error.cause == .timeout(.settings, after: .milliseconds(200)))
        }

        @Test
        func `A server that accepts and says nothing is not waited for longer than the handshake may take`()
            async throws
        {
            var configuration = OriginServer.Configuration()
            configuration.faults.isMute = true
            let error = try await h2Error {
                try await withOrigin(configuration, { $0.timeouts.tls = .milliseconds(200) }) { _, _ in }
            }
            #expect(error.code == .timeout, "\(error)")
            #expect(error.cause == .timeout(.tls, after: .milliseconds(200)))
        }

        @Test
        func `Header fields over the limit end the stream with an error that names it`() async throws {
            try await withOrigin { connection, _ in
                let error = try await h2Error { try await connection.send(.get("/large-headers?n=100&size=1000")) }
                #expect(error.code == .limitExceeded, "\(error)")
                #expect(try await connection.send(.get("/bytes/1")).body.discard() == 1)
            }
        }

        @Test
        func `A request whose header fields are too large is the caller's error, and siblings go on`() async throws {
            try await withOrigin { connection, _ in
                let fields: HTTPFields = [.userAgent: String(repeating: "a", count: 17 << 20)]
                let error = try await h2Error {
                    try await connection.send(.make(.get, "/bytes/3", fields)).body.discard()
                }
                #expect(error.code == .invalidRequest, "\(error)")
                #expect(!error.isRetryable)
                #expect(try await connection.send(.get("/bytes/3")).body.discard() == 3)
            }
        }

        @Test
        func `A body longer than the caller takes is an error and resets its stream`() async throws {
            try await withOrigin { connection, server in
                let error = try await h2Error {
                    try await connection.send(.get("/bytes/100000000")).body.collect(upTo: 1_000)
                }
                #expect(error.code == .bodyTooLarge, "\(error)")
                try await eventually("the server sees the reset") { server.statistics.streamsOpen == 0 }
                #expect(try await connection.send(.get("/bytes/1000")).body.collect(upTo: 1_000).count == 1_000)
            }
        }

        @Test
        func `A slow reader does not hold its siblings up`() async throws {
            try await withOrigin { connection, _ in
                let slow = try await connection.send(.get("/bytes/50000000"))
                let more = try await connection.send(.get("/bytes/50000000"))
                #expect(try await connection.send(.get("/bytes/20000000")).body.discard() == 20_000_000)
                #expect(try await slow.body.discard() == 50_000_000)
                #expect(try await more.body.discard() == 50_000_000)
                #expect(await connection.snapshot().unreadBytes == 0)
            }
        }

        @Test
        func `The server's own shutdown lets streams finish and closes the connection`() async throws {
            try await withOrigin { connection, server in
                let response = try await connection.send(.get("/bytes/30000000"))
                async let stopped: Void = server.stop(grace: .seconds(20))
                try await eventually("the connection drains") { connection.isDraining }
                let error = try await h2Error { try await connection.send(.get("/bytes/1")) }
                #expect(error.code == .connectionDraining, "\(error)")
                #expect(error.isRetryable)
                #expect(try await response.body.discard() == 30_000_000)
                await stopped
                try await eventually("the connection is closed") { await connection.snapshot().state == .closed }
            }
        }
    }
}

/// Holds a loop up for a while after it has read its clock and before it takes what other threads posted.
private final class LoopHolder: ReadinessHandler, Sendable {
    let input: CInt
    private let output: CInt
    let hasBegun = Counter()

    init() throws {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ProcessFailure("no pipe") }
        (input, output) = (ends[0], ends[1])
    }

    deinit {
        close(input)
        close(output)
    }

    func begin() { _ = write(output, "x", 1) }

    func ready(readable: Bool, writable: Bool) {
        var byte: UInt8 = 0
        _ = read(input, &byte, 1)
        hasBegun.increment()
        letTimePass(.milliseconds(200))
    }
}
