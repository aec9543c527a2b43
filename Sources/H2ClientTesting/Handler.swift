public import H2Client
public import HTTPTypes

extension OriginServer {
    /// Answers a request of a route of your own. See ``Configuration/routes``.
    ///
    /// It runs on the server's event loop, so it must not block: a response that takes time has a ``Response/delay``.
    public typealias Handler = @Sendable (Request) -> Response

    /// A request that arrived for a ``Handler``, with its whole body.
    public struct Request: Sendable, Hashable {
        /// The method.
        public var method: HTTPRequest.Method
        /// The path, percent-encoded as it was sent, without the query.
        public var path: String
        /// The part of the URL after the `?`, percent-encoded as it was sent; nil if it is empty or missing.
        public var query: String?
        /// The header fields. The host is in ``authority``.
        public var headerFields: HTTPFields
        /// The host and port that the client asked for; nil if it sent none, which only HTTP/1.0 allows.
        public var authority: String?
        /// The body.
        public var body: [UInt8]
        /// The trailer fields, which follow the body; nil if there are none.
        public var trailerFields: HTTPFields?
        /// The version of HTTP.
        public var version: HTTPProtocolVersion

        /// Creates a request, for tests of a handler.
        public init(
            method: HTTPRequest.Method = .get, path: String, query: String? = nil, headerFields: HTTPFields = [:],
            authority: String? = nil, body: [UInt8] = [], trailerFields: HTTPFields? = nil,
            version: HTTPProtocolVersion = .http2
        ) {
            self.method = method
            self.path = path
            self.query = query
            self.headerFields = headerFields
            self.authority = authority
            self.body = body
            self.trailerFields = trailerFields
            self.version = version
        }
    }

    /// The response of a ``Handler``.
    public struct Response: Sendable, Hashable {
        /// The status, 200 to 999. Others are answered with 500, since a response must be final.
        public var status: HTTPResponse.Status
        /// The header fields. Without trailer fields, `content-length` is added if it is missing. Names are sent in lower case.
        public var headerFields: HTTPFields
        /// The body. It is not sent in response to HEAD, nor with 204 or 304.
        public var body: [UInt8]
        /// The fields that follow the body; nil or empty for none.
        public var trailerFields: HTTPFields?
        /// How long after the end of the request the response is sent. Default zero.
        public var delay: Duration
        /// A fault within the body. Default, nil: none.
        public var fault: Fault?

        /// Creates a response.
        public init(
            status: HTTPResponse.Status = .ok, headerFields: HTTPFields = [:], body: [UInt8] = [],
            trailerFields: HTTPFields? = nil, delay: Duration = .zero, fault: Fault? = nil
        ) {
            self.status = status
            self.headerFields = headerFields
            self.body = body
            self.trailerFields = trailerFields
            self.delay = delay
            self.fault = fault
        }

        /// Creates a response whose body is a text, as `text/plain` in UTF-8.
        public init(status: HTTPResponse.Status = .ok, text: String) {
            self.init(
                status: status, headerFields: [.contentType: "text/plain; charset=utf-8"], body: Array(text.utf8))
        }
    }

    /// A fault within the body of a ``Response``.
    ///
    /// Its `content-length` is that of the whole body. If the fault follows the last byte, none is added, so that clients notice
    /// it.
    @nonexhaustive
    public enum Fault: Sendable, Hashable {
        /// The stream is reset with this code after this number of bytes, at most the whole body. On HTTP/1.1 the connection is
        /// closed.
        case reset(H2Error.HTTP2Code, afterBytes: Int)
        /// Nothing follows this number of bytes, at most the whole body.
        case stall(afterBytes: Int)
        /// The connection is closed without notice after this number of bytes, at most the whole body.
        case close(afterBytes: Int)
    }
}
