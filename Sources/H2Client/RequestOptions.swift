public import HTTPTypes

/// Time limits and other options of one request.
///
/// ```swift
/// let options = RequestOptions(timeout: .seconds(30), priority: HTTPPriority(urgency: 1))
/// let response = try await client.get("https://example.com/", options: options)
/// ```
///
/// A request of an ``HTTPClient`` that sets no limits has those of ``HTTPClient/Configuration/requestOptions``; a
/// request on a connection of your own has none. A request without options costs nothing extra.
public struct RequestOptions: Sendable {
    private struct Values: Sendable {
        var timeout: Duration?
        var queueTimeout: Duration?
        var firstByteTimeout: Duration?
        var sendTimeout: Duration?
        var bodyProgressTimeout: Duration?
        var origin: Origin?
        var priority: HTTPPriority?
        var expectContinue: Duration?
        var decodesContent: Bool?
        var allowsEarlyData: Bool?
        var onInformational: (@Sendable (HTTPResponse) -> Void)?
        var deadline: ContinuousClock.Instant?
        var redirects: HTTPClient.RedirectPolicy?
        var retry: HTTPClient.RetryPolicy?
        var hedging: HTTPClient.HedgingPolicy?
        var authentication: HTTPAuthentication?
        var interceptors: [HTTPClient.Interceptor] = []
        var fragment: String?

        /// Whether nothing is set.
        var isEmpty: Bool {
            timeout == nil && queueTimeout == nil && firstByteTimeout == nil && sendTimeout == nil
                && bodyProgressTimeout == nil && origin == nil && priority == nil && expectContinue == nil
                && decodesContent == nil && allowsEarlyData == nil && onInformational == nil && deadline == nil
                && redirects == nil && retry == nil && hedging == nil && authentication == nil && interceptors.isEmpty
                && fragment == nil
        }
    }

    /// Invariant behind `@unchecked Sendable`: changed only while referenced by a single RequestOptions.
    private final class Storage: @unchecked Sendable {
        var values: Values
        init(_ values: Values) { self.values = values }
    }

    /// A time limit of 100 years, to switch off a client's default.
    public static let unlimited = Duration.seconds(100 * 365 * 86_400)

    private var storage: Storage?

    private mutating func change(_ body: (inout Values) -> Void) {
        if storage == nil {
            storage = Storage(Values())
        } else if !isKnownUniquelyReferenced(&storage) {
            storage = Storage(storage!.values)
        }
        body(&storage!.values)
    }

    /// Creates options with the defaults. This costs nothing.
    public init() {}

    /// Creates options; those left out, or nil, have their defaults.
    public init(
        timeout: Duration? = nil, queueTimeout: Duration? = nil, firstByteTimeout: Duration? = nil,
        sendTimeout: Duration? = nil, bodyProgressTimeout: Duration? = nil, origin: Origin? = nil,
        priority: HTTPPriority? = nil, expectContinue: Duration? = nil, decodesContent: Bool? = nil,
        allowsEarlyData: Bool? = nil, onInformational: (@Sendable (HTTPResponse) -> Void)? = nil,
        deadline: ContinuousClock.Instant? = nil,
        redirects: HTTPClient.RedirectPolicy? = nil, retry: HTTPClient.RetryPolicy? = nil,
        hedging: HTTPClient.HedgingPolicy? = nil, authentication: HTTPAuthentication? = nil,
        interceptors: [HTTPClient.Interceptor] = []
    ) {
        let values = Values(
            timeout: timeout, queueTimeout: queueTimeout, firstByteTimeout: firstByteTimeout, sendTimeout: sendTimeout,
            bodyProgressTimeout: bodyProgressTimeout, origin: origin, priority: priority,
            expectContinue: expectContinue, decodesContent: decodesContent, allowsEarlyData: allowsEarlyData,
            onInformational: onInformational, deadline: deadline, redirects: redirects, retry: retry, hedging: hedging,
            authentication: authentication,
            interceptors: interceptors)
        if !values.isEmpty { storage = Storage(values) }
    }

    /// The time limit from the call to the last byte of the response, including all attempts and the waits between them.
    ///
    /// When it expires, the stream is reset (CANCEL) and the call throws `H2Error` (`timeout`). If the wait before a retry
    /// would not end in time, the last response is returned, or the last error thrown, at once. Default: none.
    public var timeout: Duration? {
        get { storage?.values.timeout }
        set { change { $0.timeout = newValue } }
    }

    /// The time limit for waiting for a stream, and in a client also for a connection, including opening one. The waits of all
    /// attempts count together, without the pauses between attempts. Default: ``timeout`` alone.
    public var queueTimeout: Duration? {
        get { storage?.values.queueTimeout }
        set { change { $0.queueTimeout = newValue } }
    }

    /// The time limit from when the whole request, including its body, was written to the socket until the response's header
    /// fields arrive. Default: ``timeout`` alone.
    public var firstByteTimeout: Duration? {
        get { storage?.values.firstByteTimeout }
        set { change { $0.firstByteTimeout = newValue } }
    }

    /// The time limit between two pieces of the request's body that the connection accepts. It accepts them while the
    /// flow-control windows and the socket have room. Waiting for the body's writer does not count, nor does a server that
    /// waits for its response to be read. Default: ``timeout`` alone.
    public var sendTimeout: Duration? {
        get { storage?.values.sendTimeout }
        set { change { $0.sendTimeout = newValue } }
    }

    /// The time limit between two pieces of the response's body, while a reader waits. As long as the request's body is being
    /// sent, its progress counts as well, and waiting for its writer does not. Default: ``timeout`` alone.
    public var bodyProgressTimeout: Duration? {
        get { storage?.values.bodyProgressTimeout }
        set { change { $0.bodyProgressTimeout = newValue } }
    }

    /// The origin that an ``HTTPClient`` connects to, if it differs from the request's scheme and authority. The authority is
    /// sent unchanged, and the certificate is verified for this origin. Default: the request's scheme and authority.
    public var origin: Origin? {
        get { storage?.values.origin }
        set { change { $0.origin = newValue } }
    }

    /// The priority (RFC 9218), sent as the `priority` field. Default: none.
    public var priority: HTTPPriority? {
        get { storage?.values.priority }
        set { change { $0.priority = newValue } }
    }

    /// Send `expect: 100-continue`, and hold the body back until the server sends 100 or a final response, or this time has
    /// passed since the header fields were sent (RFC 9110 section 10.1.1).
    ///
    /// An ``HTTPClient`` does not call a body's writer before that. After 417 it retries without the field, if the body was not
    /// started or is replayable, and the policy allows another attempt. Default: nil, send the body at once.
    public var expectContinue: Duration? {
        get { storage?.values.expectContinue }
        set { change { $0.expectContinue = newValue } }
    }

    /// Whether an ``HTTPClient`` offers content codings with this request and decodes the response's body. If false,
    /// `accept-encoding` is left out, and the body is returned as it is sent. Other connections never decode. Default:
    /// nil, which means ``HTTPClient/ContentDecoding/isEnabled``.
    public var decodesContent: Bool? {
        get { storage?.values.decodesContent }
        set { change { $0.decodesContent = newValue } }
    }

    /// Whether an ``HTTPClient`` may send this request in TLS early data, which others can send to the server again, if
    /// ``ConnectionConfiguration/TLS/sendsEarlyData`` is on. With false it waits for the end of the handshake: use this
    /// for a GET that has side effects. true allows any method, and means that the server may process the request more
    /// than once. A request with a body always waits. Default: nil, allowed for safe methods (RFC 8470 section 4).
    public var allowsEarlyData: Bool? {
        get { storage?.values.allowsEarlyData }
        set { change { $0.allowsEarlyData = newValue } }
    }

    /// Called on the connection's event loop for each informational response (100, 103, ...). It must not block. Default: none.
    public var onInformational: (@Sendable (HTTPResponse) -> Void)? {
        get { storage?.values.onInformational }
        set { change { $0.onInformational = newValue } }
    }

    /// The time by which the request must be complete, as another way to set ``timeout``; if both are set, the earlier
    /// one counts. A deadline that has passed fails the request (`timeout`). Default: none.
    public var deadline: ContinuousClock.Instant? {
        get { storage?.values.deadline }
        set { change { $0.deadline = newValue } }
    }

    /// Which redirects an ``HTTPClient`` follows for this request. Default: ``HTTPClient/Configuration/redirects``.
    public var redirects: HTTPClient.RedirectPolicy? {
        get { storage?.values.redirects }
        set { change { $0.redirects = newValue } }
    }

    /// When an ``HTTPClient`` retries this request; ``HTTPClient/RetryPolicy/never`` is allowed. The budget is still
    /// that of the client's own policy. Default: ``HTTPClient/Configuration/retry``.
    public var retry: HTTPClient.RetryPolicy? {
        get { storage?.values.retry }
        set { change { $0.retry = newValue } }
    }

    /// When an ``HTTPClient`` sends another copy of this request on a different connection, because the first is slow.
    ///
    /// Opt-in, since it adds to the load on servers. ``HTTPClient/HedgingPolicy/never`` switches off the client's own
    /// policy. A connection of your own does not hedge. Default: nil, never.
    public var hedging: HTTPClient.HedgingPolicy? {
        get { storage?.values.hedging }
        set { change { $0.hedging = newValue } }
    }

    /// Credentials for the origin that the request names. After a redirect they are not sent to another origin,
    /// unless ``HTTPClient/RedirectPolicy/sendsCredentialsElsewhere`` is true.
    ///
    /// They take precedence over the client's ``HTTPClient/Configuration/authentication``. Use
    /// ``HTTPAuthentication/off`` to send none. An ``HTTPClient`` uses them; a connection of your own does not. Keep
    /// the value for later requests: its copies share nonces and tokens. Default: the client's credentials.
    public var authentication: HTTPAuthentication? {
        get { storage?.values.authentication }
        set { change { $0.authentication = newValue } }
    }

    /// Functions that this request passes through in an ``HTTPClient``, after the client's own. Default: none.
    public var interceptors: [HTTPClient.Interceptor] {
        get { storage?.values.interceptors ?? [] }
        set { change { $0.interceptors = newValue } }
    }

    /// The fragment of the request's URL, which redirects inherit.
    var fragment: String? {
        get { storage?.values.fragment }
        set { change { $0.fragment = newValue } }
    }

    /// Whether anything stands between the request's caller and the pool.
    var needsFlow: Bool { !interceptors.isEmpty || authentication != nil || hedging != nil }

    /// Whether no response status causes a retry.
    var takesAllAnswers: Bool { expectContinue == nil && (retry.map { $0.statuses.isEmpty } ?? true) }

    /// These options with the deadline turned into a time limit from now on.
    @inline(__always)
    var timed: RequestOptions { areDefaults ? self : withDeadline() }

    /// These options with the deadline taken into account by `timeout`.
    ///
    /// Not inlined: the size of an `Instant` is not known before run time, so an async function would allocate each of them for
    /// each small request.
    @inline(never)
    func withDeadline() -> RequestOptions {
        guard let deadline else { return self }
        let left = max(deadline - .now, .zero)
        var options = self
        options.deadline = nil
        options.timeout = timeout.map { min($0, left) } ?? left
        return options
    }

    /// Clears the limits on phases that `DefaultLimits` has taken over.
    mutating func removeLimits() {
        change { ($0.firstByteTimeout, $0.sendTimeout, $0.bodyProgressTimeout) = (nil, nil, nil) }
        if storage?.values.isEmpty == true { storage = nil }
    }

    /// These options, with unset ones taken from `others`.
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
            values.decodesContent = mine.decodesContent ?? theirs.decodesContent
            values.allowsEarlyData = mine.allowsEarlyData ?? theirs.allowsEarlyData
            values.onInformational = mine.onInformational ?? theirs.onInformational
            values.deadline = mine.deadline ?? theirs.deadline
            values.redirects = mine.redirects ?? theirs.redirects
            values.retry = mine.retry ?? theirs.retry
            values.hedging = mine.hedging ?? theirs.hedging
            values.authentication = mine.authentication ?? theirs.authentication
            values.interceptors = theirs.interceptors + mine.interceptors
            values.fragment = mine.fragment ?? theirs.fragment
        }
        return result
    }

    /// True if nothing was set.
    @inline(__always)
    var areDefaults: Bool { storage == nil }
}

/// The priority of a request (RFC 9218).
public struct HTTPPriority: Sendable, Hashable {
    /// The urgency, from 0 (first) to 7 (last). Default 3.
    public var urgency: Int
    /// Whether the response is useful before it is complete. Default false.
    public var isIncremental: Bool

    /// Creates a priority. `urgency` is clamped to 0...7.
    public init(urgency: Int = 3, isIncremental: Bool = false) {
        self.urgency = min(max(urgency, 0), 7)
        self.isIncremental = isIncremental
    }

    /// The value of the `priority` field, such as `u=1, i` (RFC 9218 section 4).
    public var fieldValue: String { "u=\(urgency)\(isIncremental ? ", i" : "")" }
}
