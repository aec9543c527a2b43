import HTTPTypes

/// Has requests written for a proxy that forwards them: with the whole URL (RFC 9112 section 3.2.2), and with credentials.
final class AbsoluteForm: Sendable {
    private let authorization: String?

    /// - Parameter authorization: the value of `proxy-authorization` for requests that have none of their own: Basic
    ///   credentials, which are the same for each request.
    init(authorization: String?) { self.authorization = authorization }

    /// The request's target.
    func target(_ authority: String, _ path: String) -> String {
        // RFC 9112 section 3.2.4: the proxy makes the asterisk of OPTIONS from a URL without a path.
        path == "*" ? "http://\(authority)" : "http://\(authority)\(path)"
    }

    /// The value of `proxy-authorization`; nil if there is none to add.
    func authorization(for request: HTTPRequest) -> String? {
        request.headerFields[.proxyAuthorization] == nil ? authorization : nil
    }
}
