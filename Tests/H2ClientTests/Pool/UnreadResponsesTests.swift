import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Requests that wait behind responses which nobody reads.
@Suite(.inTurn, .ownThreads, .timeLimit(.minutes(5)))
struct UnreadResponsesTests {
    /// A client with room for two requests at once.
    private static func withTwoPlaces(
        _ versions: OriginServer.Versions, patience: Duration?,
        _ body: (HTTPClient, String) async throws -> Void
    ) async throws {
        let twoPlaces: (inout HTTPClient.Configuration) -> Void = {
            $0.pool.http1ConnectionsPerOrigin = 2
            $0.pool.streamsPerConnection = 2
            $0.pool.unreadTimeout = patience
        }
        try await withOriginAndClient(versions, twoPlaces) { client, server in try await body(client, server.url) }
    }

    /// On this thread: a task that sleeps wakes up on Swift's pool, which others may hold.
    private static func pause() { letTimePass(.milliseconds(50)) }

    /// Larger than any window, so that it is not whole before it is read.
    private static func large(_ client: HTTPClient, _ url: String) async throws -> StreamedResponse {
        try await client.send(HTTPRequest(url: "\(url)/bytes/2000000000"))
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A request fails in time and says why, and once one is dropped the next is served`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await Self.withTwoPlaces(versions, patience: .milliseconds(300)) { client, url in
            var held = [try await Self.large(client, url), try await Self.large(client, url)]
            do {
                _ = try await client.get("\(url)/bytes/3")
                Issue.record("it was served")
            } catch let error as H2Error {
                #expect(error.code == .limitExceeded)
                #expect(error.isRetryable)
                #expect(error.message.contains("2 responses of this origin have not been read"))
                #expect(error.remedy.contains("http1ConnectionsPerOrigin") && error.remedy.contains("queueTimeout"))
            }
            held.removeLast()
            #expect(try await client.get("\(url)/bytes/3").body.count == 3)
            held = []
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A time limit that ends the wait tells the cause as well`(_ versions: OriginServer.Versions) async throws {
        try await Self.withTwoPlaces(versions, patience: nil) { client, url in
            let held = [try await Self.large(client, url), try await Self.large(client, url)]
            for isQueueLimit in [true, false] {
                var options = RequestOptions()
                if isQueueLimit { options.queueTimeout = .seconds(2) } else { options.timeout = .seconds(2) }
                do {
                    _ = try await client.send(HTTPRequest(url: "\(url)/bytes/3"), options: options)
                    Issue.record("it was served")
                } catch let error as H2Error {
                    #expect(error.code == .timeout)
                    #expect(error.message.contains("2 responses of this origin have not been read"))
                }
            }
            withExtendedLifetime(held) {}
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `One that is read now and then, or has not begun, fails nobody`(_ versions: OriginServer.Versions) async throws
    {
        try await Self.withTwoPlaces(versions, patience: .seconds(4)) { client, url in
            let unread = try await Self.large(client, url)
            var slow: HTTPResponseBody.Iterator? = try await Self.large(client, url).body.makeAsyncIterator()
            let waiting = Task { try await client.get("\(url)/bytes/3").body.count }
            // For longer than the patience, which a reader kept from the processor for a moment must not exceed.
            let end = ContinuousClock.now + .seconds(6)
            while ContinuousClock.now < end {
                #expect(try await slow?.next() != nil)
                Self.pause()
            }
            slow = nil
            #expect(try await waiting.value == 3)

            // A server that takes its time for an answer.
            async let late = client.get("\(url)/delay/6000").body.count
            async let next = client.get("\(url)/bytes/4").body.count
            #expect(try await late > 0)
            #expect(try await next == 4)
            withExtendedLifetime(unread) {}
        }
    }

    @Test func `On a connection of one's own a time limit tells the cause`() async throws {
        var served = OriginServer.Configuration()
        served.versions = .http1
        served.security = .cleartext
        let server = try OriginServer.start(served)
        defer { server.stopNow() }
        let connection = try await HTTP1Connection.connect(
            to: Origin(scheme: .http, host: "127.0.0.1", port: server.port))
        let held = try await connection.send(.to("/bytes/100000000"))
        var options = RequestOptions()
        options.queueTimeout = .milliseconds(500)
        do {
            _ = try await connection.send(.to("/bytes/3"), options: options)
            Issue.record("it was served")
        } catch let error as H2Error {
            #expect(error.code == .timeout)
            #expect(error.message.contains("1 response of this connection has not been read"))
        }
        withExtendedLifetime(held) {}
        connection.closeNow()
    }
}
