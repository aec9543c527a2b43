import HTTPTypes

/// Has requests written for a proxy that forwards them: with the whole URL (RFC 9112 section 3.2.2), and with credentials.
final class AbsoluteForm: Sendable {
    private let authenticator: (any ProxyAuthenticator)?

    /// - Parameter authenticator: answers for the proxy's user; nil if there is none.
    init(_ authenticator: (any ProxyAuthenticator)?) { self.authenticator = authenticator }

    /// The request's target.
    func target(_ authority: String, _ path: String) -> String {
        // RFC 9112 section 3.2.4: the proxy makes the asterisk of OPTIONS from a URL without a path.
        path == "*" ? "http://\(authority)" : "http://\(authority)\(path)"
    }

    /// The value of `proxy-authorization`; nil if there is none to add.
    func authorization(_ request: HTTPRequest, target: String) -> String? {
        guard let authenticator, request.headerFields[.proxyAuthorization] == nil else { return nil }
        return authenticator.authorization(method: request.method.rawValue, target: target)
    }
}
