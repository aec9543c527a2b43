public import HTTPTypes

/// What one request asks for besides its fields and body.
///
/// All defaults are one null pointer: a request without options pays nothing for them.
public struct RequestOptions: Sendable {
    private struct Values: Sendable {
        var timeout: Duration?
        var queueTimeout: Duration?
        var firstByteTimeout: Duration?
        var sendTimeout: Duration?
        var bodyProgressTimeout: Duration?
        var origin: Origin?
        var priority: Priority?
        var expectContinue: Duration?
        var onInformational: (@Sendable (HTTPResponse) -> Void)?
    }

    /// Invariant behind `@unchecked Sendable`: changed only while one RequestOptions alone refers to it.
    private final class Storage: @unchecked Sendable {
        var values: Values
        init(_ values: Values) { self.values = values }
    }

    private var storage: Storage?

    private mutating func change(_ body: (inout Values) -> Void) {
        if storage == nil {
            storage = Storage(Values())
        } else if !isKnownUniquelyReferenced(&storage) {
            storage = Storage(storage!.values)
        }
        body(&storage!.values)
    }

    public init() {}

    /// From the call to the last byte of the response, all attempts and the waits between them included. Past it the stream
    /// is reset (CANCEL) and the call throws `H2Error` (`timeout`). A wait before a further attempt that would not end in
    /// time is not begun: the last answer is returned, or the last error thrown, at once. Default: none.
    public var timeout: Duration? {
        get { storage?.values.timeout }
        set { change { $0.timeout = newValue } }
    }

    /// Waiting for a stream, and in a client for a connection as well, the making of one included; of a request that is sent
    /// more than once, these waits together, without the pauses between attempts. Default: none but `timeout`.
    public var queueTimeout: Duration? {
        get { storage?.values.queueTimeout }
        set { change { $0.queueTimeout = newValue } }
    }

    /// From when all of the request, its body included, has gone to the socket, to the response's header fields. Default:
    /// none but `timeout`.
    public var firstByteTimeout: Duration? {
        get { storage?.values.firstByteTimeout }
        set { change { $0.firstByteTimeout = newValue } }
    }

    /// While the request's body is sent: between two pieces of it that the connection takes (its windows are open, the
    /// socket has room). Waiting for the body's writer does not count, nor does a server that waits for the reader of its
    /// response. Default: none but `timeout`.
    public var sendTimeout: Duration? {
        get { storage?.values.sendTimeout }
        set { change { $0.sendTimeout = newValue } }
    }

    /// Between two pieces of the response's body, while somebody waits for one. As long as the request's body is still being
    /// sent, its progress counts too, and waiting for its writer does not. Default: none but `timeout`.
    public var bodyProgressTimeout: Duration? {
        get { storage?.values.bodyProgressTimeout }
        set { change { $0.bodyProgressTimeout = newValue } }
    }

    /// Where an `HTTPClient` connects to, where that is not what the request's scheme and authority say: the authority is sent
    /// as it is, and the certificate is verified for this origin. Default: what they say.
    public var origin: Origin? {
        get { storage?.values.origin }
        set { change { $0.origin = newValue } }
    }

    /// RFC 9218 priority, sent as the `priority` field. Default: none.
    public var priority: Priority? {
        get { storage?.values.priority }
        set { change { $0.priority = newValue } }
    }

    /// Send `expect: 100-continue` and hold the body back until the server says 100, answers, or this long has passed since
    /// the header fields were sent (RFC 9110 section 10.1.1). An `HTTPClient` does not call a body's writer before that, and
    /// answers 417 by sending the request again without the field, where the body was not begun or can be sent again, and the
    /// policy allows a second attempt. Default nil: send at once.
    public var expectContinue: Duration? {
        get { storage?.values.expectContinue }
        set { change { $0.expectContinue = newValue } }
    }

    /// Called on the connection's event loop for each informational response (100, 103, ...). It must not block.
    public var onInformational: (@Sendable (HTTPResponse) -> Void)? {
        get { storage?.values.onInformational }
        set { change { $0.onInformational = newValue } }
    }

    /// These, and where they say nothing, `others`.
    func over(_ others: RequestOptions) -> RequestOptions {
        guard let mine = storage?.values, let theirs = others.storage?.values else {
            return storage == nil ? others : self
        }
        var result = RequestOptions()
        result.change { values in
            values.timeout = mine.timeout ?? theirs.timeout
            values.queueTimeout = mine.queueTimeout ?? theirs.queueTimeout
            values.firstByteTimeout = mine.firstByteTimeout ?? theirs.firstByteTimeout
            values.sendTimeout = mine.sendTimeout ?? theirs.sendTimeout
            values.bodyProgressTimeout = mine.bodyProgressTimeout ?? theirs.bodyProgressTimeout
            values.origin = mine.origin ?? theirs.origin
            values.priority = mine.priority ?? theirs.priority
            values.expectContinue = mine.expectContinue ?? theirs.expectContinue
            values.onInformational = mine.onInformational ?? theirs.onInformational
        }
        return result
    }

    /// True where nothing was set.
    @inline(__always)
    var areDefaults: Bool { storage == nil }
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
