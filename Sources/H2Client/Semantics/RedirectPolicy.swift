public import HTTPTypes

extension HTTPClient {
    /// Which redirects a client follows (RFC 9110 section 15.4).
    ///
    /// ```swift
    /// var options = RequestOptions()
    /// options.redirects = .never
    /// let response = try await client.get("https://example.com/old", options: options)
    /// print(response.status, response.headerFields[.location] ?? "-")
    /// ```
    ///
    /// The statuses 301, 302, 303, 307 and 308 with a `location` are redirects. After 301 and 302, POST becomes GET; after 303,
    /// every method but HEAD does. The request is then sent without a body, and without the fields that describe one. After 307
    /// and 308, method and body stay; a streamed body that was begun and is not replayable fails the request
    /// (`redirectRefused`). At another origin `authorization`, `cookie` and `proxy-authorization` are left out, for good.
    public struct RedirectPolicy: Sendable {
        /// How many redirects of one request may be followed; one more fails it (`redirectRefused`). 0: redirects are responses
        /// like others. Default 10: more than well-behaved sites need, and soon over where a server never stops.
        public var limit: Int
        /// Whether a redirect may lead from `https` to `http`. Without it such a redirect fails the request
        /// (`redirectRefused`), because everyone on the path could read and change what follows. Default false.
        public var allowsDowngrade: Bool
        /// Whether the same request, with the same cookies, may be sent to the same URL again. Without it a circle fails at its
        /// first repetition (`redirectRefused`) instead of at the limit. Default false.
        public var allowsCycles: Bool
        /// Statuses of 301, 302 and 303 after which POST stays POST. Default: none, as browsers do.
        public var methodKeepingStatuses: Set<HTTPResponse.Status>
        /// Whether other origins get `authorization` and `cookie` as well. Only for servers that you trust to redirect to
        /// servers that you trust. Default false.
        public var sendsCredentialsElsewhere: Bool
        /// Decides about each redirect that the other settings allow. It may send other requests; the time it takes counts
        /// toward the request's ``RequestOptions/timeout``, but is not cut short by it. Default: none, follow.
        public var decide: (@Sendable (Redirect) async throws -> RedirectDecision)?

        /// Creates a policy; what is left out has its default.
        public init(
            limit: Int = 10, allowsDowngrade: Bool = false, allowsCycles: Bool = false,
            methodKeepingStatuses: Set<HTTPResponse.Status> = [], sendsCredentialsElsewhere: Bool = false,
            decide: (@Sendable (Redirect) async throws -> RedirectDecision)? = nil
        ) {
            self.limit = limit
            self.allowsDowngrade = allowsDowngrade
            self.allowsCycles = allowsCycles
            self.methodKeepingStatuses = methodKeepingStatuses
            self.sendsCredentialsElsewhere = sendsCredentialsElsewhere
            self.decide = decide
        }

        /// Redirects are responses like others.
        public static var never: RedirectPolicy { RedirectPolicy(limit: 0) }
    }

    /// What becomes of one redirect. See ``RedirectPolicy/decide``.
    @nonexhaustive
    public enum RedirectDecision: Sendable {
        /// Follow it.
        case follow
        /// Follow it with this request, which goes wherever it says. Its body is that of ``Redirect/request``.
        case followWith(HTTPRequest)
        /// Return the redirect's response.
        case stop
    }

    /// A redirect: the response to one request, and the request that follows from it.
    public struct Redirect: Sendable, Hashable {
        /// The status: 301, 302, 303, 307 or 308.
        public var status: HTTPResponse.Status
        /// The header fields of the redirect's response.
        public var headerFields: HTTPFields
        /// The URL that redirects, without user name and password.
        public var source: String
        /// The URL it leads to, absolute, without user name and password. Its fragment is that of `location`, or else that of
        /// ``source``.
        public var target: String
        /// The request that follows.
        public var request: HTTPRequest
        /// Whether the body is sent again.
        public var keepsBody: Bool

        /// Creates a redirect, for tests.
        public init(
            status: HTTPResponse.Status, headerFields: HTTPFields = [:], source: String, target: String,
            request: HTTPRequest, keepsBody: Bool = false
        ) {
            self.status = status
            self.headerFields = headerFields
            self.source = source
            self.target = target
            self.request = request
            self.keepsBody = keepsBody
        }
    }
}
