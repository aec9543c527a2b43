public import HTTPTypes
import Synchronization

/// The final response to a request. Its header fields have arrived; its body may still be arriving.
///
/// ```swift
/// let response = try await client.send(.get, "https://example.com/large")
/// guard response.status == .ok else { return }
/// for try await chunk in response.body {
///     print(chunk.count)
/// }
/// print(await response.metrics().firstByte ?? .zero)
/// ```
public struct StreamedResponse: Sendable {
    var exchange: Exchange { body.exchange }

    /// The status code.
    public let status: HTTPResponse.Status
    /// The body. Dropping it unread resets the stream (CANCEL), or ends an HTTP/1.1 connection.
    public let body: HTTPResponseBody

    /// The header fields. They are parsed at each access, so keep the result.
    public var headerFields: HTTPFields { exchange.head.fields }
    /// The status and header fields as the type of swift-http-types.
    public var head: HTTPResponse { HTTPResponse(status: status, headerFields: headerFields) }
    /// The header fields as bytes, in the order received, with nothing decoded. Copied at each access.
    public var rawHeaderFields: [RawField] { exchange.head.rawFields }
    /// The first line of an HTTP/1.x response; nil over HTTP/2, which has none.
    public var statusLine: StatusLine? {
        guard version == .http1 else { return nil }
        return StatusLine(
            minorVersion: Int(exchange.head.minorVersion), status: status.code,
            reasonPhrase: exchange.head.reasonPhrase)
    }
    /// Returns the first value of a field, without parsing the others; nil if there is none.
    public func firstValue(of name: HTTPField.Name) -> String? { exchange.head.firstValue(of: name.canonicalName) }

    /// Identifies the request in its client's events, over all attempts; nil if it was sent without
    /// a client, or on a connection that a client lends.
    public var requestID: HTTPClient.RequestID? { exchange.requestID }
    /// The connection that served the request.
    public var connectionID: ConnectionID { exchange.connectionID }
    /// The properties of that connection.
    public var connectionInfo: ConnectionInfo { exchange.connection.knownInfo }
    /// The stream that served the request. Over HTTP/1.1, the number of the request on its connection.
    public var streamID: Int32 { exchange.id }
    /// The version of HTTP.
    public var version: HTTPProtocolVersion { exchange.connection.version }
    /// Whether the connection had started a request before this one.
    public var isConnectionReused: Bool { exchange.isConnectionReused }
    /// Whether this is the response to an additional copy of the request, sent because the first was slow
    /// (``RequestOptions/hedging``).
    public var isHedge: Bool { exchange.history?.isHedge ?? false }
    /// The failed attempts before this response, in order; empty if the first attempt succeeded.
    public var failedAttempts: [FailedAttempt] { exchange.failedAttempts }
    /// The redirects that led to this response, in order; empty if there were none. The ``HTTPClient/Redirect/target``
    /// of the last one is the URL that the response came from.
    public var redirects: [HTTPClient.Redirect] { exchange.redirects }

    /// Why the request was not retried after this status although the client's policy would have allowed it.
    package var retryRefusal: RetryRefusal? { exchange.retryRefusal }

    /// Number of concurrent requests its connection allows, as far as the server has said: 1 over HTTP/1.1.
    package nonisolated(nonsending) func concurrencyLimit() async -> Int {
        let connection = exchange.connection
        return await connection.loop.run { connection.maxConcurrentStreams }
    }

    /// How long the bodies waited for a window of HTTP/2 so far; zero unless `ConnectionConfiguration.Notes` asks for it.
    package nonisolated(nonsending) func windowStall() async -> Duration {
        await exchange.facts { Duration(nanoseconds: $0.stalled) }
    }

    /// The times and byte counts so far; final once the body has ended.
    public nonisolated(nonsending) func metrics() async -> ResponseMetrics {
        await exchange.facts { $0.currentMetrics() }
    }

    /// The trailer fields; nil if there are none, or the body has not ended yet.
    public nonisolated(nonsending) func trailerFields() async -> HTTPFields? {
        await exchange.facts { $0.currentTrailers() }
    }

    /// The trailer fields as bytes, with nothing decoded; nil if there are none, or the body has not ended yet.
    public nonisolated(nonsending) func rawTrailerFields() async -> [RawField]? {
        await exchange.facts { $0.currentRawTrailers() }
    }
}

/// A failed attempt of a request that an ``HTTPClient`` retried.
public struct FailedAttempt: Sendable, Hashable {
    /// The connection that the attempt used.
    public var connectionID: ConnectionID
    /// Why the attempt failed; nil if it was retried because of its status.
    public var error: H2Error?
    /// The status that caused the retry; nil if it was an error.
    public var status: HTTPResponse.Status?
    /// The planned pause before the next attempt, without waiting for a connection after it.
    public var wait: Duration

    /// Creates an attempt, for tests.
    public init(
        connectionID: ConnectionID = ConnectionID(number: 1), error: H2Error? = nil,
        status: HTTPResponse.Status? = nil, wait: Duration = .zero
    ) {
        self.connectionID = connectionID
        self.error = error
        self.status = status
        self.wait = wait
    }

    /// Why the attempt failed, in words.
    package var reason: String { error?.message ?? "the server answered \(status?.code ?? 0)" }
}

/// Identifies a connection within the process.
public struct ConnectionID: Sendable, Hashable, CustomStringConvertible {
    /// The number of the connection, counted from 1.
    public let number: Int

    /// Creates an identifier, for tests.
    public init(number: Int) { self.number = number }

    private static let last = Atomic<Int>(0)

    static func next() -> ConnectionID { ConnectionID(number: last.add(1, ordering: .relaxed).newValue) }

    /// The number after a `#`, such as `#3`.
    public var description: String { "#\(number)" }
}

/// The times and byte counts of one request. Times are monotonic and taken once per turn of the event loop.
public struct ResponseMetrics: Sendable, Hashable {
    /// The time from the call until this attempt, or this additional copy of the request
    /// (``StreamedResponse/isHedge``), started; zero if the first attempt succeeded. See
    /// ``StreamedResponse/failedAttempts``.
    public var attemptStart: Duration
    /// How long this attempt waited for a connection and a stream, from ``attemptStart`` on, including opening the connection.
    /// Waits of earlier attempts, and the pauses between them, are not included.
    public var queued: Duration
    /// How long looking up the host took; nil on a reused connection.
    public var resolve: Duration?
    /// How long connecting by TCP took; nil on a reused connection.
    public var connect: Duration?
    /// How long the TLS handshake took; nil on a reused connection, and in cleartext.
    public var tls: Duration?
    /// From the call until the request's header fields were written to the socket (over HTTP/2, to the buffer of 32 KiB that is
    /// written next).
    public var requestSent: Duration
    /// From the call until the response's header fields arrived.
    public var firstByte: Duration?
    /// From the call until the body's end; nil before that.
    public var lastByte: Duration?
    /// Bytes sent for this request, before TLS: header sections and data with their frame headers.
    public var bytesSent: Int
    /// Bytes received for this request, before TLS: header sections and data with their frame headers.
    public var bytesReceived: Int
    /// Bytes received of the response's body, before its content codings are removed.
    public var bodyBytesReceived: Int

    /// Creates metrics, for tests.
    public init(
        attemptStart: Duration = .zero, queued: Duration = .zero, resolve: Duration? = nil, connect: Duration? = nil,
        tls: Duration? = nil, requestSent: Duration = .zero, firstByte: Duration? = nil, lastByte: Duration? = nil,
        bytesSent: Int = 0, bytesReceived: Int = 0, bodyBytesReceived: Int = 0
    ) {
        self.attemptStart = attemptStart
        self.queued = queued
        self.resolve = resolve
        self.connect = connect
        self.tls = tls
        self.requestSent = requestSent
        self.firstByte = firstByte
        self.lastByte = lastByte
        self.bytesSent = bytesSent
        self.bytesReceived = bytesReceived
        self.bodyBytesReceived = bodyBytesReceived
    }
}
