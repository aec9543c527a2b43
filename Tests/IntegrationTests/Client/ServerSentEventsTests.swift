import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ServerSentEventsTests {
    /// Answers each request with the next of its responses, and records the requests.
    private final class Script: Sendable {
        private let requests = Mutex<[OriginServer.Request]>([])
        private let responses: [OriginServer.Response]

        init(_ responses: [OriginServer.Response]) { self.responses = responses }

        var seen: [OriginServer.Request] { requests.withLock { $0 } }

        func answer(_ request: OriginServer.Request) -> OriginServer.Response {
            let count = requests.withLock { requests in
                requests.append(request)
                return requests.count
            }
            return count <= responses.count ? responses[count - 1] : OriginServer.Response(status: .noContent)
        }
    }

    private static func events(_ text: String, fault: OriginServer.Fault? = nil) -> OriginServer.Response {
        OriginServer.Response(
            headerFields: [.contentType: "text/event-stream; charset=utf-8"], body: Array(text.utf8), fault: fault)
    }

    private static let quick = ServerSentEvents.Settings(
        reconnectionTime: .milliseconds(1), maximumReconnectionTime: .milliseconds(20))

    /// The events in the responses, the error that ended them, and the requests.
    private func run(
        _ responses: [OriginServer.Response], _ settings: ServerSentEvents.Settings = quick,
        body: HTTPRequestBody = .empty, versions: OriginServer.Versions = .both
    ) async throws -> (events: [ServerSentEvent], error: (any Error)?, requests: [OriginServer.Request]) {
        let script = Script(responses)
        var configuration = OriginServer.Configuration()
        configuration.routes["/events"] = { script.answer($0) }
        configuration.versions = versions
        return try await withOriginAndClient(configuration) { client, server in
            var events: [ServerSentEvent] = []
            do {
                let request = try RequestTarget("\(server.url)/events").request(body.isReplayable ? .get : .post)
                for try await event in client.serverSentEvents(request, body: body, settings: settings) {
                    events.append(event)
                }
                return (events, nil, script.seen)
            } catch {
                return (events, error, script.seen)
            }
        }
    }

    private static let lastEventID = HTTPField.Name("last-event-id")!

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `It connects again with the last ID, until the server answers 204`(
        _ versions: OriginServer.Versions
    ) async throws {
        let (events, error, requests) = try await run(
            [
                Self.events("id: 1\ndata: a\n\nid: 2\nevent: x\ndata: b\n\ndata: lost"),
                Self.events(": nothing\n\n"), Self.events("data: c\n\n"),
            ], versions: versions)
        #expect(error == nil)
        #expect(
            events == [
                ServerSentEvent(data: "a", id: "1"), ServerSentEvent(type: "x", data: "b", id: "2"),
                ServerSentEvent(data: "c", id: "2"),
            ])
        #expect(requests.map { $0.headerFields[Self.lastEventID] } == [nil, "2", "2", "2"])
        #expect(requests.allSatisfy { $0.headerFields[.accept] == "text/event-stream" })
    }

    @Test func `A connection that breaks is replaced`() async throws {
        let text = "id: 1\ndata: a\n\ndata: half"
        let (events, error, requests) = try await run([
            Self.events(text, fault: .reset(.internalError, afterBytes: text.utf8.count - 3)),
            Self.events(text, fault: .close(afterBytes: text.utf8.count - 3)), Self.events("data: b\n\n"),
        ])
        #expect(error == nil)
        // A closed connection can lose bytes that the kernel had not delivered.
        #expect(events.first?.data == "a" && events.last?.data == "b")
        #expect(events.allSatisfy { ["a", "b"].contains($0.data) })
        #expect(requests.count == 4)
    }

    @Test func `A connection that falls silent is replaced`() async throws {
        var settings = Self.quick
        settings.idleTimeout = .milliseconds(200)
        let text = "id: 1\ndata: a\n\n:more"
        let (events, error, requests) = try await run(
            [Self.events(text, fault: .stall(afterBytes: text.utf8.count - 2)), Self.events("data: b\n\n")], settings)
        #expect(error == nil)
        #expect(events.map(\.data) == ["a", "b"])
        #expect(requests.count == 3)
    }

    @Test(arguments: [
        (OriginServer.Response(status: .notFound), "404"), (OriginServer.Response(status: .partialContent), "206"),
        (OriginServer.Response(text: "data: x\n\n"), "text/plain"),
        (OriginServer.Response(body: Array("data: x\n\n".utf8)), "no content-type"),
        (OriginServer.Response(headerFields: [.contentType: "text/event-streams"]), "text/event-streams"),
    ])
    func `Another status or type ends it with an error`(_ response: OriginServer.Response, _ words: String) async throws
    {
        let (events, error, requests) = try await run([Self.events("data: a\n\n"), response])
        #expect(events.count == 1)
        #expect((error as? H2Error)?.code == .unexpectedResponse)
        #expect((error as? H2Error)?.message.contains(words) == true)
        #expect(requests.count == 2)
    }

    @Test func `An event that is too large ends it with an error`() async throws {
        var settings = Self.quick
        settings.eventLimit = 10
        let (events, error, requests) = try await run([Self.events("data: a\n\ndata: 12345678901\n\n")], settings)
        #expect(events.count == 1)
        #expect((error as? H2Error)?.code == .limitExceeded)
        #expect(requests.count == 1)
    }

    @Test func `A body that cannot be sent again ends it after the first connection`() async throws {
        let (events, error, requests) = try await run(
            [Self.events("data: a\n\n")], body: .writer { try await $0.write([1]) })
        #expect(events.count == 1)
        #expect((error as? H2Error)?.code == .invalidRequest)
        #expect(requests.count == 1)
    }

    @Test func `A host without a server is tried as often as allowed`() async throws {
        var settings = Self.quick
        settings.maximumFailures = 3
        let client = HTTPClient()
        defer { client.shutdownNow() }
        // Nothing listens on port 9 of this address.
        var events = try client.serverSentEvents("http://127.99.99.99:9/", settings: settings).makeAsyncIterator()
        let error = await #expect(throws: H2Error.self) { try await events.next() }
        #expect(error?.code == .connectFailed)
        #expect(try await events.next() == nil)
    }

    @Test func `It begins after an ID of an earlier run, and ends when its task is cancelled`() async throws {
        let script = Script([Self.events("data: a\n\n"), Self.events("retry: 86400000\n\n")])
        var configuration = OriginServer.Configuration()
        configuration.routes["/events"] = { script.answer($0) }
        try await withOriginAndClient(configuration) { client, server in
            let events = try client.serverSentEvents(
                "\(server.url)/events",
                settings: ServerSentEvents.Settings(lastEventID: "7", reconnectionTime: .milliseconds(1)))
            let reading = Task { for try await _ in events {} }
            try await eventually("a second connection") { script.seen.count == 2 }
            reading.cancel()
            await #expect(throws: CancellationError.self) { try await reading.value }
            #expect(script.seen.map { $0.headerFields[Self.lastEventID] } == ["7", "7"])
        }
    }
}
