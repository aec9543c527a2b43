public import HTTPTypes

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
    /// The first value of a field by its lower-case name, without parsing the others.
    public func firstValue(of name: String) -> String? { exchange.head.firstValue(of: name) }

    /// The connection that served it.
    public var connectionID: ConnectionID { exchange.connectionID }
    /// The stream that served it.
    public var streamID: Int32 { exchange.id }
    /// Whether the connection had served a request before.
    public var isConnectionReused: Bool { exchange.isConnectionReused }

    /// When what happened, and the bytes on the wire, so far; final once the body has ended.
    public nonisolated(nonsending) func metrics() async -> ResponseMetrics { await exchange.metrics() }

    /// The trailer fields; nil before the body has ended, or where there are none.
    public nonisolated(nonsending) func trailerFields() async -> HTTPFields? { await exchange.trailerFields() }
}

/// Names a connection within the process.
public struct ConnectionID: Sendable, Hashable, CustomStringConvertible {
    /// Counts up from 1.
    public let number: Int
    public var description: String { "#\(number)" }
}

/// Times and bytes of one request. Times are monotonic, and each is taken once a turn of the event loop.
public struct ResponseMetrics: Sendable, Hashable {
    /// How long the request waited for a stream slot.
    public var queued: Duration
    /// Looking up the host, connecting and shaking hands; nil where the connection had served a request before.
    public var resolve: Duration?
    public var connect: Duration?
    public var tls: Duration?
    /// From the call until the request's header fields went to the socket.
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
