import H2Client
import H2ClientTesting
import H2Platform
import HTTPTypes
import H2TestSupport
import Testing

/// Responses that no server sent, through the public API, as a user's tests read them.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct TestResponseTests {
    /// Bodies of the same bytes: whole, and in chunks.
    private enum Arrival: CaseIterable {
        case whole, chunks

        func body(_ chunks: [String]) -> TestResponseBody {
            self == .whole ? .string(chunks.joined()) : .chunks(chunks.map(\.utf8))
        }
    }

    private let failure = H2Error(.connectionClosed, scope: .connection, initiator: .remote, message: "gone")

    // MARK: - The head

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `The head is as stated`(version: HTTPProtocolVersion) async throws {
        let response = StreamedResponse(
            status: .notFound, headerFields: [.contentType: "text/plain", .server: "a test", .contentType: "more"],
            version: version, streamID: 7)
        #expect(response.status == .notFound && response.version == version && response.streamID == 7)
        #expect(response.firstValue(of: .contentType) == "text/plain")
        #expect(response.firstValue(of: .retryAfter) == nil)
        #expect(response.headerFields[values: .contentType] == ["text/plain", "more"])
        #expect(response.head == HTTPResponse(status: .notFound, headerFields: response.headerFields))
        let name = version == .http1 ? "Content-Type" : "content-type"
        #expect(response.rawHeaderFields.first == RawField(name: Array(name.utf8), value: Array("text/plain".utf8)))
        #expect(response.rawHeaderFields.count == 3)
        let line = response.statusLine.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(line == (version == .http1 ? "HTTP/1.1 404 Not Found" : nil))
    }

    @Test func `Left out parts have plain values`() async throws {
        let response = StreamedResponse()
        #expect(response.status == .ok && response.headerFields.isEmpty && response.rawHeaderFields.isEmpty)
        #expect(response.version == .http2 && !response.isConnectionReused)
        #expect(response.requestID == nil && response.failedAttempts.isEmpty)
        let origin = try Origin("https://example.com")
        #expect(response.connectionInfo.origin == origin)
        #expect(await response.trailerFields() == nil)
        #expect(await response.rawTrailerFields() == nil)
        #expect(try await response.body.collect(upTo: 0).isEmpty)
        // Each has a connection of its own.
        #expect(StreamedResponse().connectionID != response.connectionID)
    }

    @Test func `Its history is as stated`() async throws {
        let info = ConnectionInfo(
            id: ConnectionID(number: 12), origin: try Origin("http://127.0.0.1:80"), remoteAddress: "127.0.0.1:80")
        let attempt = FailedAttempt(connectionID: ConnectionID(number: 11), error: failure, wait: .seconds(1))
        let response = StreamedResponse(
            connectionInfo: info, isConnectionReused: true, requestID: HTTPClient.RequestID(number: 3),
            failedAttempts: [attempt])
        #expect(response.connectionInfo == info && response.connectionID.number == 12)
        #expect(response.isConnectionReused && response.requestID?.number == 3)
        #expect(response.failedAttempts.map(\.wait) == [.seconds(1)])
        #expect(response.failedAttempts.first?.error?.code == .connectionClosed)
    }

    // MARK: - The body

    @Test(arguments: Arrival.allCases, [HTTPProtocolVersion.http1, .http2])
    private func `Each way of reading gets the body`(arrival: Arrival, version: HTTPProtocolVersion) async throws {
        func response() -> StreamedResponse {
            StreamedResponse(body: arrival.body(["one ", "two"]), version: version)
        }
        let all = Array("one two".utf8)
        #expect(try await response().body.collect(upTo: 7) == all)
        #expect(try await response().body.discard() == 7)
        var iterated: [UInt8] = []
        for try await chunk in response().body { iterated += chunk }
        #expect(iterated == all)
        let body = response().body
        let first = try await body.withNextChunk { Array($0.withUnsafeBytes { Array($0) }) }
        #expect(first == Array((arrival == .whole ? "one two" : "one ").utf8))
        #expect(try await body.discard() == (arrival == .whole ? 0 : 3))
        #expect(try await body.withNextChunk { _ in } == nil)
        var pipes: [CInt] = [0, 0]
        #expect(pipe(&pipes) == 0)
        #expect(try await response().body.write(to: pipes[1]) == 7)
        close(pipes[1])
        var written = [UInt8](repeating: 0, count: 100)
        let count = read(pipes[0], &written, written.count)
        #expect(Array(written.prefix(max(count, 0))) == all)
        close(pipes[0])
    }

    @Test func `Chunks arrive as stated, without empty ones`() async throws {
        let response = StreamedResponse(body: .chunks(["a", "", "bc", "d"].map(\.utf8)))
        var chunks: [String] = []
        for try await chunk in response.body { chunks.append(String(decoding: chunk, as: UTF8.self)) }
        #expect(chunks == ["a", "bc", "d"])
    }

    @Test(arguments: Arrival.allCases)
    private func `An empty body ends at once`(arrival: Arrival) async throws {
        for try await chunk in StreamedResponse(body: arrival.body([])).body { Issue.record("\(chunk)") }
        #expect(try await StreamedResponse(body: arrival.body([])).body.collect(upTo: 0).isEmpty)
        #expect(try await StreamedResponse(body: arrival.body([])).body.discard() == 0)
    }

    @Test(arguments: Arrival.allCases)
    private func `A body over the limit is an error`(arrival: Arrival) async throws {
        let response = StreamedResponse(body: arrival.body(["one ", "two"]))
        let error = await #expect(throws: H2Error.self) { _ = try await response.body.collect(upTo: 6) }
        #expect(error?.code == .bodyTooLarge)
    }

    @Test(arguments: Arrival.allCases)
    private func `A second reader gets the usual error`(arrival: Arrival) async throws {
        let response = StreamedResponse(body: arrival.body(["one ", "two"]))
        _ = try await response.body.collect(upTo: 100)
        let error = await #expect(throws: H2Error.self) { _ = try await response.body.collect(upTo: 100) }
        #expect(error?.code == .invalidRequest && error?.message.contains("read already") == true)
        #expect(try await response.body.withNextChunk { _ in } == nil)
    }

    @Test func `Two readers at once get the usual error`() async throws {
        while true {
            let response = StreamedResponse(body: .chunks(["a".utf8], then: .stall))
            let first = Task { try await response.body.collect(upTo: 100) }
            let second = Task { try await response.body.discard() }
            // Either may come first, and waits; the other is refused.
            let watch = Task {
                try await Task.sleep(for: .milliseconds(200))
                second.cancel()
            }
            defer { watch.cancel() }
            do {
                _ = try await second.value
            } catch let error as H2Error where error.code == .invalidRequest {
                first.cancel()
                await #expect(throws: CancellationError.self) { _ = try await first.value }
                return
            } catch is CancellationError {
                let error = await #expect(throws: H2Error.self) { _ = try await first.value }
                #expect(error?.code == .invalidRequest)
            }
        }
    }

    // MARK: - Failures

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `A failure follows the chunks`(version: HTTPProtocolVersion) async throws {
        func response() -> StreamedResponse {
            StreamedResponse(body: .chunks(["one ".utf8, "two".utf8], then: .failure(failure)), version: version)
        }
        var bytes: [UInt8] = []
        let iterated = await #expect(throws: H2Error.self) {
            for try await chunk in response().body { bytes += chunk }
        }
        #expect(bytes == Array("one two".utf8) && iterated?.code == .connectionClosed)
        let collected = await #expect(throws: H2Error.self) { _ = try await response().body.collect(upTo: 100) }
        #expect(collected?.message == "gone")
        await #expect(throws: H2Error.self) { try await response().body.discard() }
        let null = open("/dev/null", O_WRONLY)
        await #expect(throws: H2Error.self) { try await response().body.write(to: null) }
        close(null)
    }

    @Test func `Any error can be the failure`() async throws {
        let response = StreamedResponse(body: .chunks([[UInt8]](), then: .failure(CancellationError())))
        await #expect(throws: CancellationError.self) { _ = try await response.body.collect(upTo: 1) }
    }

    @Test func `A stalled body waits until its reader is cancelled`() async throws {
        let response = StreamedResponse(body: .chunks(["one".utf8], then: .stall))
        let first = try await response.body.withNextChunk { $0.byteCount }
        #expect(first == 3)
        let reader = Task { try await response.body.collect(upTo: 100) }
        reader.cancel()
        await #expect(throws: CancellationError.self) { _ = try await reader.value }
    }

    // MARK: - Trailers and metrics

    @Test(arguments: Arrival.allCases, [HTTPProtocolVersion.http1, .http2])
    private func `Trailers follow the body`(arrival: Arrival, version: HTTPProtocolVersion) async throws {
        let checksum = try #require(HTTPField.Name("X-Checksum"))
        let response = StreamedResponse(
            body: arrival.body(["one ", "two"]), trailerFields: [checksum: "17"], version: version)
        if arrival == .chunks {
            _ = try await response.body.withNextChunk { _ in }
            #expect(await response.trailerFields() == nil)
        }
        try await response.body.discard()
        #expect(await response.trailerFields() == [checksum: "17"])
        #expect(await response.rawTrailerFields()?.map(\.value) == [Array("17".utf8)])
    }

    @Test func `Metrics are as stated`() async throws {
        let stated = ResponseMetrics(
            attemptStart: .seconds(1), queued: .milliseconds(20), resolve: .milliseconds(1), connect: .milliseconds(2),
            tls: .milliseconds(3), requestSent: .seconds(2), firstByte: .seconds(3), lastByte: .seconds(4),
            bytesSent: 50, bytesReceived: 70, bodyBytesReceived: 3)
        #expect(await StreamedResponse(body: "abc", metrics: stated).metrics() == stated)
        #expect(await CollectedResponse(body: [1, 2, 3], metrics: stated).response.metrics() == stated)
        let reused = await StreamedResponse(isConnectionReused: true, metrics: stated).metrics()
        #expect(reused.resolve == nil && reused.connect == nil && reused.tls == nil)
        #expect(reused.bodyBytesReceived == 0)
        let plain = await StreamedResponse().metrics()
        #expect(plain == ResponseMetrics(resolve: .zero, connect: .zero, firstByte: .zero, lastByte: .zero))
    }

    @Test func `Metrics of chunks follow their arrival`() async throws {
        let stated = ResponseMetrics(firstByte: .seconds(3), lastByte: .seconds(4))
        let response = StreamedResponse(body: .chunks(["one ".utf8, "two".utf8]), metrics: stated)
        _ = try await response.body.withNextChunk { _ in }
        let before = await response.metrics()
        #expect(before.bodyBytesReceived == 4 && before.firstByte == .seconds(3) && before.lastByte == nil)
        try await response.body.discard()
        let after = await response.metrics()
        #expect(after.bodyBytesReceived == 7 && after.lastByte == .seconds(4))
    }

    // MARK: - Collected responses

    @Test func `A collected response has its body and everything else`() async throws {
        let page = CollectedResponse(
            status: .created, headerFields: [.location: "/orders/17"], body: Array("17".utf8), version: .http1)
        #expect(page.status == .created && page.text == "17" && page.body.count == 2 && page.version == .http1)
        #expect(page.headerFields[.location] == "/orders/17")
        #expect(page.response.firstValue(of: .location) == "/orders/17")
        let error = await #expect(throws: H2Error.self) { _ = try await page.response.body.collect(upTo: 100) }
        #expect(error?.message.contains("has been read already") == true)
    }

    @Test func `A collected response can be a text`() {
        let page = CollectedResponse(status: .notFound, text: "none", version: .http1)
        #expect(page.status == .notFound && page.text == "none" && page.version == .http1)
        #expect(page.headerFields == [.contentType: "text/plain; charset=utf-8"])
        #expect(CollectedResponse(text: "").status == .ok)
    }

    // MARK: - Life

    @Test func `Dropping it unread leaves nothing`() async throws {
        weak var object: Object?
        do {
            let kept = Object()
            object = kept
            _ = StreamedResponse(body: .chunks(["a".utf8], then: .failure(Holding(object: kept))))
        }
        // The loop lets go of it in its next turn.
        for _ in 0..<5_000 where object != nil { try await Task.sleep(for: .milliseconds(1)) }
        #expect(object == nil)
    }

    private final class Object: Sendable {}
    private struct Holding: Error { let object: Object }

    @Test func `Values that the library hands out can be made`() throws {
        let origin = try Origin("https://example.com")
        var statistics = HTTPClient.Statistics()
        statistics.origins = [.init(origin: origin)]
        (statistics.requests, statistics.requestsOnReusedConnections) = (4, 3)
        #expect(statistics.reuseRatio == 0.75)
        let event = HTTPClient.Event(.connectionShared, origin: origin, connectionID: ConnectionID(number: 2))
        #expect(event.connectionID?.description == "#2" && event.requestID == nil)
        let snapshot = ConnectionSnapshot(
            state: .draining, goAway: .init(lastStreamID: 7, code: .enhanceYourCalm, debugText: "slow down"))
        #expect(snapshot.goAway?.lastStreamID == 7 && snapshot.localSettings.initialWindowSize == 65_535)
        let frame = FrameRecord(direction: .received, type: "PING")
        #expect(frame.streamID == 0 && frame.receiveWindow.connection == 65_535)
    }
}
