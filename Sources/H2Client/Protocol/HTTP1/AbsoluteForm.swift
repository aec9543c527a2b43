import HTTPTypes

/// Writes requests for a proxy that forwards them: over HTTP/1.1 with the whole URL (RFC 9112 section 3.2.2), and with
/// credentials.
final class AbsoluteForm: Sendable {
    private let authorization: String?
    /// The user's fields for the proxy, added to each request.
    let fields: HTTPFields

    /// - Parameters:
    ///   - authorization: the value of `proxy-authorization` for requests that do not have their own: Basic credentials,
    ///     which are the same for each request.
    ///   - fields: the user's fields for the proxy.
    init(authorization: String?, fields: HTTPFields = [:]) {
        self.authorization = fields[.proxyAuthorization] == nil ? authorization : nil
        self.fields = fields
    }

    /// Whether it adds fields to requests.
    var hasFields: Bool { authorization != nil || !fields.isEmpty }

    /// The request's target.
    func target(_ authority: String, _ path: String) -> String {
        // RFC 9112 section 3.2.4: the proxy turns a URL without a path into the asterisk of OPTIONS.
        path == "*" ? "http://\(authority)" : "http://\(authority)\(path)"
    }

    /// The value of `proxy-authorization`; nil if there is none to add.
    func authorization(for request: HTTPRequest) -> String? {
        request.headerFields[.proxyAuthorization] == nil ? authorization : nil
    }
}
