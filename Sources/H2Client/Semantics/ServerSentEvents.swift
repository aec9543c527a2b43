public import HTTPTypes

extension HTTPClient {
    /// Receives server-sent events from a URL, and connects again whenever the connection ends
    /// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
    ///
    /// ```swift
    /// for try await event in try client.serverSentEvents("https://example.com/prices") {
    ///     print(event.type, event.data)
    /// }
    /// ```
    ///
    /// The same as ``serverSentEvents(_:body:options:settings:)`` with a GET request.
    /// - Throws: `H2Error` (`invalidURL`).
    public func serverSentEvents(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        settings: ServerSentEvents.Settings = ServerSentEvents.Settings()
    ) throws -> ServerSentEvents {
        serverSentEvents(
            try HTTPRequest(.get, url: url, headerFields: headerFields), options: options, settings: settings)
    }

    /// Receives server-sent events in response to a request, and connects again whenever the connection ends.
    ///
    /// Nothing is sent until the first event is requested. Each iteration opens its own connection. `accept` and
    /// `cache-control` are set unless the request has them, and `last-event-id` once the server has set an ID.
    ///
    /// The sequence ends when the server answers 204. It ends with an error if the server answers with any other status
    /// except 200, or with a type other than `text/event-stream`; if an event is too large; or if connecting again
    /// cannot help or has failed too often. Cancelling the task ends it with `CancellationError`.
    /// - Parameters:
    ///   - request: The request.
    ///   - body: The body. A stream that is not replayable can be sent only once, so there is no second connection.
    ///   - options: The options of each request. `timeout` limits each connection as a whole, and ends the sequence.
    ///     `bodyProgressTimeout` counts only if the settings have no `idleTimeout`.
    ///   - settings: The settings for reconnecting, and the limits.
    public func serverSentEvents(
        _ request: HTTPRequest, body: HTTPRequestBody = .empty, options: RequestOptions = RequestOptions(),
        settings: ServerSentEvents.Settings = ServerSentEvents.Settings()
    ) -> ServerSentEvents {
        ServerSentEvents(client: self, request: request, body: body, options: options, settings: settings)
    }
}

/// Server-sent events over as many connections as needed. See
/// ``HTTPClient/serverSentEvents(_:body:options:settings:)``.
public struct ServerSentEvents: AsyncSequence, Sendable {
    /// An event.
    public typealias Element = ServerSentEvent

    /// The settings and limits of ``ServerSentEvents``.
    public struct Settings: Sendable, Hashable {
        /// The ID after which to start, from an earlier run; empty for none. Default: none.
        public var lastEventID: String
        /// The wait before connecting again, unless the server sets another with `retry`. Up to a quarter is added at
        /// random, so that clients do not all return at the same time. Default 3 s, as in browsers.
        public var reconnectionTime: Duration
        /// The longest wait after repeated failures: the wait doubles with each connection in a row that failed, or
        /// ended soon without an event. Default 60 s. A longer `retry` from the server is respected.
        public var maximumReconnectionTime: Duration
        /// The number of connections in a row that may fail before the sequence ends with the last error; nil for no
        /// limit. A connection that got a response is not a failure. Default 10, which with the other defaults takes
        /// about 6 minutes.
        public var maximumFailures: Int?
        /// How long a connection may be silent, without even a comment, before it counts as lost. Default 60 s: servers
        /// are advised to send a comment every 15 s. nil: the `bodyProgressTimeout` of the request's options.
        public var idleTimeout: Duration?
        /// The size of the largest event in bytes. Default 1 MiB, so that a server cannot exhaust the memory.
        public var eventLimit: Int

        /// Creates settings.
        public init(
            lastEventID: String = "", reconnectionTime: Duration = .seconds(3),
            maximumReconnectionTime: Duration = .seconds(60), maximumFailures: Int? = 10,
            idleTimeout: Duration? = .seconds(60), eventLimit: Int = 1 << 20
        ) {
            self.lastEventID = lastEventID
            self.reconnectionTime = reconnectionTime
            self.maximumReconnectionTime = maximumReconnectionTime
            self.maximumFailures = maximumFailures
            self.idleTimeout = idleTimeout
            self.eventLimit = eventLimit
        }
    }

    let client: HTTPClient
    let request: HTTPRequest
    let body: HTTPRequestBody
    let options: RequestOptions
    let settings: Settings

    /// Creates an iterator, which opens its own connections.
    public func makeAsyncIterator() -> Iterator { Iterator(self) }

    /// Iterates over events.
    public struct Iterator: AsyncIteratorProtocol {
        /// The connection's state.
        private enum State {
            /// Next: open or ended. Nanoseconds to wait before the next connection.
            case closed(wait: UInt64)
            /// Next: closed or ended.
            case open(HTTPResponseBody.Iterator, since: UInt64)
            case ended
        }

        private let events: ServerSentEvents
        private var state = State.closed(wait: 0)
        private var parser: ServerSentEventParser
        private var reconnection: Reconnection
        private var hasConnected = false

        init(_ events: ServerSentEvents) {
            self.events = events
            parser = ServerSentEventParser(
                limit: events.settings.eventLimit, lastEventID: events.settings.lastEventID)
            reconnection = Reconnection(events.settings)
        }

        /// The next event; nil once the server has answered 204.
        /// - Throws: `H2Error`: `unexpectedResponse`, `limitExceeded`, or why the last connection failed; `CancellationError`.
        ///   After an error there are no more events.
        public mutating func next() async throws -> ServerSentEvent? { try await next(isolation: #isolation) }

        /// The next event, keeping the isolation of `actor`. nil once the server has answered 204.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(any Error) -> ServerSentEvent? {
            do {
                while true {
                    switch state {
                    case .ended: return nil
                    case .closed(let wait): try await connect(after: wait)
                    case .open(var chunks, let since):
                        if let event = try parser.next() {
                            reconnection.received()
                            return event
                        }
                        do {
                            guard let chunk = try await chunks.next(isolation: actor) else {
                                try lost(nil, since: since)
                                continue
                            }
                            parser.add(chunk.bytes)
                            state = .open(chunks, since: since)
                        } catch {
                            try lost(error, since: since)
                        }
                    }
                }
            } catch {
                state = .ended
                throw error
            }
        }

        private nonisolated(nonsending) mutating func connect(after wait: UInt64) async throws {
            let client = events.client
            if hasConnected, !events.body.isReplayable {
                throw H2Error(
                    .invalidRequest, initiator: .user,
                    message: "the event stream ended, and the body of its request cannot be sent again",
                    remedy: "use a body in memory, a file, or a stream that is replayable")
            }
            hasConnected = true
            try await client.pool.pause(Duration(nanoseconds: wait))
            let response: StreamedResponse
            do {
                response = try await client.send(request, body: events.body, options: options)
            } catch {
                return try failed(error)
            }
            reconnection.answered()
            guard response.status != .noContent else {
                state = .ended
                return
            }
            try Self.check(response)
            let beginning = ServerSentEventParser(
                limit: events.settings.eventLimit, lastEventID: parser.lastEventID)
            if let time = parser.reconnectionTime { reconnection.time = time }
            parser = beginning
            state = .open(response.body.makeAsyncIterator(), since: client.pool.now)
        }

        private var request: HTTPRequest {
            var request = events.request
            if request.headerFields[.accept] == nil { request.headerFields[.accept] = "text/event-stream" }
            if request.headerFields[.cacheControl] == nil { request.headerFields[.cacheControl] = "no-store" }
            if !parser.lastEventID.isEmpty { request.headerFields[.lastEventID] = parser.lastEventID }
            return request
        }

        private var options: RequestOptions {
            var options = events.options
            if let idle = events.settings.idleTimeout { options.bodyProgressTimeout = idle }
            return options
        }

        private static func check(_ response: StreamedResponse) throws(H2Error) {
            guard response.status == .ok else {
                throw H2Error(
                    .unexpectedResponse, initiator: .remote,
                    message: "the server answered \(response.status.code) instead of an event stream",
                    remedy: "check the URL and what it needs")
            }
            let type = response.firstValue(of: .contentType) ?? ""
            let essence = type.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
            guard essence == "text/event-stream" else {
                throw H2Error(
                    .unexpectedResponse, initiator: .remote,
                    message: type.isEmpty
                        ? "the response has no content-type, and so is no event stream"
                        : "the response is '\(essence.utf8.prefix(100).printable)', not text/event-stream",
                    remedy: "check the URL")
            }
        }

        /// Handles the end of the connection.
        private mutating func lost(_ error: (any Error)?, since: UInt64) throws {
            if let error, !Reconnection.mayHelp(error) { throw error }
            if let time = parser.reconnectionTime { reconnection.time = time }
            let now = events.client.pool.now
            state = .closed(wait: reconnection.waitAfterEnd(lasted: now > since ? now - since : 0))
        }

        /// Handles a connection without a response.
        private mutating func failed(_ error: any Error) throws {
            guard Reconnection.mayHelp(error), let wait = reconnection.waitAfterFailure() else { throw error }
            state = .closed(wait: wait)
        }
    }
}

extension HTTPField.Name {
    static let lastEventID = HTTPField.Name("last-event-id")!
}
