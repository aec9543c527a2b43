import HTTPTypes

/// Has requests written for a proxy that forwards them: with the whole URL (RFC 9112 section 3.2.2), and with credentials.
final class AbsoluteForm: Sendable {
    typealias Authorization = @Sendable (_ method: String, _ target: String) -> String?

    private let authorization: Authorization?

    /// - Parameter authorization: the value of `proxy-authorization` for a request; nil if the proxy has no user.
    init(_ authorization: Authorization?) { self.authorization = authorization }

    /// The request's target.
    func target(_ authority: String, _ path: String) -> String {
        // RFC 9112 section 3.2.4: the proxy makes the asterisk of OPTIONS from a URL without a path.
        path == "*" ? "http://\(authority)" : "http://\(authority)\(path)"
    }

    /// The value of `proxy-authorization`; nil if there is none to add.
    func authorization(_ request: HTTPRequest, target: String) -> String? {
        guard let authorization, request.headerFields[.proxyAuthorization] == nil else { return nil }
        return authorization(request.method.rawValue, target)
    }
}
