import HTTPTypes

/// Has requests written for a proxy that forwards them: with the whole URL (RFC 9112 section 3.2.2), and with credentials.
final class AbsoluteForm: Sendable {
    private let credentials: ProxyCredentials?

    /// - Parameter credentials: those of the proxy's user; nil if there is none.
    init(_ credentials: ProxyCredentials?) { self.credentials = credentials }

    /// The request's target.
    func target(_ authority: String, _ path: String) -> String {
        // RFC 9112 section 3.2.4: the proxy makes the asterisk of OPTIONS from a URL without a path.
        path == "*" ? "http://\(authority)" : "http://\(authority)\(path)"
    }

    /// The value of `proxy-authorization`; nil if there is none to add.
    func authorization(_ request: HTTPRequest, target: String) -> String? {
        guard let credentials, request.headerFields[.proxyAuthorization] == nil else { return nil }
        return credentials.authorization(method: request.method.rawValue, target: target)
    }
}
