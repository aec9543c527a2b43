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
    /// Responses with status 301, 302, 303, 307 or 308 and a `location` are redirects. After 301 and 302, POST becomes
    /// GET; after 303, every method except HEAD becomes GET. The request is then sent without a body, and without the
    /// fields that describe one. After 307 and 308, method and body stay the same; a streamed body that has been
    /// started and is not replayable fails the request (`redirectRefused`). If a redirect leads to another origin,
    /// `authorization`, `cookie` and `proxy-authorization` are removed for the rest of the chain.
    public struct RedirectPolicy: Sendable {
        /// The maximum number of redirects followed for one request; one more fails it (`redirectRefused`). 0:
        /// redirects are returned like other responses. Default 10: more than well-behaved sites need, and quickly
        /// reached if a server never stops.
        public var limit: Int
        /// Whether a redirect may lead from `https` to `http`. If not, such a redirect fails the request
        /// (`redirectRefused`), because everyone on the path could read and change everything that follows. Default
        /// false.
        public var allowsDowngrade: Bool
        /// Whether the same request, with the same cookies, may be sent to the same URL again. If not, a cycle fails at
        /// its first repetition (`redirectRefused`) instead of at the limit. Default false.
        public var allowsCycles: Bool
        /// The statuses among 301, 302 and 303 after which POST stays POST. Default: none, as in browsers.
        public var methodKeepingStatuses: Set<HTTPResponse.Status>
        /// Whether `authorization` and `cookie`, and the credentials of ``HTTPAuthentication``, are sent to other origins as
        /// well. Only for servers that you trust to
        /// redirect to servers that you trust. Default false.
        public var sendsCredentialsElsewhere: Bool
        /// Decides about each redirect that the other settings allow. It may send other requests. Its time counts
        /// toward the request's ``RequestOptions/timeout``, which does not cut it short. Default: none, which follows
        /// all of them.
        public var decide: (@Sendable (Redirect) async throws -> RedirectDecision)?

        /// Creates a policy; settings that are left out have their defaults.
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

        /// Redirects are returned like other responses.
        public static var never: RedirectPolicy { RedirectPolicy(limit: 0) }
    }

    /// The decision about one redirect. See ``RedirectPolicy/decide``.
    @nonexhaustive
    public enum RedirectDecision: Sendable {
        /// Follow it.
        case follow
        /// Follow it with this request, which may go anywhere. Its body is that of ``Redirect/request``.
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
        /// The absolute URL that it leads to, without user name and password. Its fragment comes from `location`, or
        /// else from ``source``.
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
