public import HTTPTypes
import Synchronization

/// The final response to a request: its header fields are here, its body may still be on its way.
public struct Response: Sendable {
    var exchange: Exchange { body.exchange }

    /// The status code.
    public let status: HTTPResponse.Status
    /// The body. Dropping it unread resets the stream (CANCEL).
    public let body: ResponseBody

    /// The header fields, parsed when asked for: keep the result rather than asking twice.
    public var headerFields: HTTPFields { exchange.head.fields }
    /// Status and header fields as swift-http-types' type.
    public var head: HTTPResponse { HTTPResponse(status: status, headerFields: headerFields) }
    /// The header fields as bytes, in their order: what `headerFields` has, with nothing decoded. Copied when asked for.
    public var rawHeaderFields: [RawField] { exchange.head.rawFields }
    /// The first line of the response as it came over HTTP/1.x; nil over HTTP/2, which has none.
    public var statusLine: StatusLine? {
        guard version == .http1 else { return nil }
        return StatusLine(
            minorVersion: Int(exchange.head.minorVersion), status: status.code,
            reasonPhrase: exchange.head.reasonPhrase)
    }
    /// The first value of a field by its name, in any case, without parsing the others.
    public func firstValue(of name: String) -> String? { exchange.head.firstValue(of: name) }

    /// The connection that served it.
    public var connectionID: ConnectionID { exchange.connectionID }
    /// Facts of that connection.
    public var connectionInfo: ConnectionInfo { exchange.connection.info }
    /// The stream that served it.
    public var streamID: Int32 { exchange.id }
    /// What is spoken on that connection.
    public var version: HTTPVersion { exchange.connection.version }
    /// Whether the connection had begun a request before this one.
    public var isConnectionReused: Bool { exchange.isConnectionReused }
    /// The attempts before the one that this is the response to, the first one first; empty where the request was sent once.
    public var failedAttempts: [FailedAttempt] { exchange.failedAttempts }

    /// Why the request was not sent again after this status, where the client's policy would have.
    package var retryRefusal: RetryRefusal? { exchange.retryRefusal }

    /// How many requests its connection may carry at once, as far as the server has said: 1 over HTTP/1.1.
    package nonisolated(nonsending) func concurrencyLimit() async -> Int {
        let connection = exchange.connection
        return await connection.loop.run { connection.maxConcurrentStreams }
    }

    /// When what happened, and the bytes on the wire, so far; final once the body has ended.
    public nonisolated(nonsending) func metrics() async -> ResponseMetrics {
        await exchange.facts { $0.currentMetrics() }
    }

    /// The trailer fields; nil before the body has ended, or where there are none.
    public nonisolated(nonsending) func trailerFields() async -> HTTPFields? {
        await exchange.facts { $0.currentTrailers() }
    }

    /// The same as bytes.
    public nonisolated(nonsending) func rawTrailerFields() async -> [RawField]? {
        await exchange.facts { $0.currentRawTrailers() }
    }
}

/// An attempt to send a request, after which an `HTTPClient` sent it again.
public struct FailedAttempt: Sendable {
    /// The connection it was sent on.
    public var connectionID: ConnectionID
    /// Why it failed; nil where its response's status was the reason.
    public var error: H2Error?
    /// The status, where that was the reason.
    public var status: HTTPResponse.Status?
    /// How long the pause before the next attempt was to be; waiting for a connection comes after it.
    public var wait: Duration
}

/// Names a connection within the process.
public struct ConnectionID: Sendable, Hashable, CustomStringConvertible {
    /// Counts up from 1.
    public let number: Int

    private static let last = Atomic<Int>(0)

    static func next() -> ConnectionID { ConnectionID(number: last.add(1, ordering: .relaxed).newValue) }

    public var description: String { "#\(number)" }
}

/// Times and bytes of one request. Times are monotonic, and each is taken once a turn of the event loop.
public struct ResponseMetrics: Sendable, Hashable {
    /// From the call until this attempt began; zero where the request was sent once. `Response.failedAttempts` tells what
    /// was before.
    public var attemptStart: Duration
    /// How long this attempt waited for a connection and a stream of it, the making of the connection included: from
    /// `attemptStart` on. What earlier attempts waited, and the pauses between them, are no part of it.
    public var queued: Duration
    /// Looking up the host, connecting and shaking hands; nil where the connection had begun a request before this one.
    public var resolve: Duration?
    public var connect: Duration?
    public var tls: Duration?
    /// From the call until the request's header fields went to the socket (over HTTP/2, until they stood in the 32 KiB that go to
    /// it next).
    public var requestSent: Duration
    /// From the call until the response's header fields arrived.
    public var firstByte: Duration?
    /// From the call until the body's end; nil while it is on its way.
    public var lastByte: Duration?
    /// Bytes of this stream's frames (header blocks and data with their frame headers, before TLS).
    public var bytesSent: Int
    public var bytesReceived: Int
    /// Body bytes received.
    public var bodyBytesReceived: Int
}
