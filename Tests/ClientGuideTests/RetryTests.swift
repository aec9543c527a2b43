import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct RetryTests {
    @Test func `A request has its own retry policy`() async throws {
        let count = Mutex(0)
        let routes: [String: OriginServer.Handler] = [
            "/busy": { _ in
                let isFirst = count.withLock { count in
                    count += 1
                    return count <= 2
                }
                return isFirst ? .init(status: .serviceUnavailable) : .init(text: "done")
            }
        ]
        try await Guide.run(routes) { guide in
            let client = guide.client
            // example: retry
            let patient = HTTPClient.RetryPolicy(
                maximumAttempts: 6, backoff: .milliseconds(20), statuses: [.tooManyRequests, .serviceUnavailable])
            let page = try await client.get("https://example.com/busy", options: RequestOptions(retry: patient))
            for attempt in page.response.failedAttempts {
                print("status", attempt.status?.code ?? 0, "then a pause of", attempt.wait)
            }
            // end
            #expect(page.text == "done")
            #expect(guide.printed.count == 2)
        }
    }

    @Test func `A request is never sent again`() async throws {
        try await Guide.run(faults: .init(refuseEvery: 1)) { guide in
            let client = guide.client
            // example: retry-never
            let once = RequestOptions(retry: .never)
            do {
                _ = try await client.post("https://example.com/payments", body: .string("12.50"), options: once)
            } catch let error as H2Error {
                // True only if the server cannot have processed it; a payment may then be offered again.
                print(error.isRetryable)
            }
            // end
            #expect(guide.printed == ["true"])
        }
    }

    @Test func `A slow request is hedged`() async throws {
        let count = Mutex(0)
        let routes: [String: OriginServer.Handler] = [
            "/search": { _ in
                let isFirst = count.withLock { count in
                    count += 1
                    return count == 1
                }
                return .init(body: Array("bolts".utf8), delay: isFirst ? .seconds(20) : .zero)
            }
        ]
        try await Guide.run(routes) { guide in
            var configuration = guide.configuration
            // example: retry-hedged
            configuration.requestOptions.hedging = .init(delay: .milliseconds(80))  // about the 95th percentile
            let client = HTTPClient(configuration: configuration)
            let results = try await client.get("https://example.com/search?q=bolts")
            print(results.text, results.response.isHedge, await client.statistics().hedgesWon)
            // end
            #expect(guide.printed == ["bolts true 1"])
        }
    }

    @Test func `Early data is sent to servers that take it`() async throws {
        try await Guide.run(["/news": { _ in .init(text: "news") }]) { guide in
            var configuration = guide.configuration
            let file = "\(guide.folder)/sessions"
            // example: retry-early
            configuration.connection.tls.sendsEarlyData = true
            configuration.connection.tls.sessionFile = file  // what earlier runs know of servers
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/news")
            print(page.response.connectionInfo.earlyData, page.response.connectionInfo.isTLSResumed)
            // end
            #expect(page.text == "news")
            // This server accepts no early data; EarlyDataServerTests has one that does.
            #expect(guide.printed == ["notSent false"])
        }
    }
}
