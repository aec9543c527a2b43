/// Answers for a user to a proxy that wants credentials (RFC 9110 section 11.7). One object serves all connections to a proxy.
///
/// Called on any loop's thread; it must not block.
protocol ProxyAuthenticator: AnyObject, Sendable {
    /// The value of `proxy-authorization` to send before the proxy has asked; nil for none.
    func authorization(method: String, target: String) -> String?
    /// The value to send after 407 (Proxy Authentication Required); nil if none of the challenges can be answered, or if what
    /// was sent is what the proxy has just refused.
    /// - Parameter challenges: the values of its `proxy-authenticate` fields.
    func authorization(answering challenges: [String], method: String, target: String) -> String?
}

/// Basic credentials (RFC 7617), sent at once: a proxy has one protection space.
final class BasicProxyAuthenticator: ProxyAuthenticator {
    private let value: String

    init(user: String, password: String) {
        value = "Basic \(Base64.encode(Array("\(user):\(password)".utf8)))"
    }

    func authorization(method: String, target: String) -> String? { value }
    func authorization(answering challenges: [String], method: String, target: String) -> String? { nil }
}
