public import HTTPTypes

/// What one request asks for besides its fields and body.
public struct RequestOptions: Sendable {
    /// From the call to the last byte of the response. Past it the stream is reset (CANCEL) and the call throws
    /// `H2Error` (`timeout`). Default: none.
    public var timeout: Duration?
    /// Waiting for a stream slot. Default: none but `timeout`.
    public var queueTimeout: Duration?
    /// From the request's sending to the response's header fields. Default: none but `timeout`.
    public var firstByteTimeout: Duration?
    /// Between two pieces of the response's body, while somebody waits for one. Default: none but `timeout`.
    public var bodyProgressTimeout: Duration?
    /// RFC 9218 priority, sent as the `priority` field.
    public var priority: Priority?
    /// Send `expect: 100-continue` and hold the body back until the server says 100, answers, or this long has passed
    /// (RFC 9110 section 10.1.1). Default nil: send at once.
    public var expectContinue: Duration?
    /// Called on the connection's event loop for each informational response (100, 103, ...). It must not block.
    public var onInformational: (@Sendable (HTTPResponse) -> Void)?

    public init() {}
}

/// An RFC 9218 priority.
public struct Priority: Sendable, Hashable {
    /// 0 (first) to 7 (last). Default 3.
    public var urgency: Int
    /// Whether the response is of use before it is whole. Default false.
    public var isIncremental: Bool

    /// `urgency` is clamped to 0...7.
    public init(urgency: Int = 3, isIncremental: Bool = false) {
        self.urgency = min(max(urgency, 0), 7)
        self.isIncremental = isIncremental
    }

    /// The field value, such as `u=1, i` (RFC 9218 section 4).
    public var fieldValue: String { "u=\(urgency)\(isIncremental ? ", i" : "")" }
}
