/// The user name and password for one proxy, shared by all connections to it: the credentials to send with CONNECT, and
/// in answer to 407 (RFC 9110 section 11.7).
///
/// Can be called on any thread. Does not block; hashes a few hundred bytes.
final class ProxyCredentials: Sendable {
    private let scheme: HTTPAuthentication.PasswordScheme
    private let key: PasswordSpaces.Key
    private let spaces = PasswordSpaces()

    /// - Parameters:
    ///   - login: valid for the scheme; see `Login.validate(for:)`.
    ///   - proxy: where the proxy is.
    init(_ login: Login, _ scheme: HTTPAuthentication.PasswordScheme, proxy: Origin) {
        self.scheme = scheme
        key = PasswordSpaces.Key(server: proxy, login: login)
    }

    /// The value of `proxy-authorization` to send before the proxy has asked; nil for none.
    /// - Parameter target: the request's target as it is sent; host and port for CONNECT.
    func authorization(method: String, target: String) -> String? {
        if scheme == .basic { return key.login.basicCredentials }
        switch spaces.choice(for: key) {
        case nil: return nil
        case .basic?: return key.login.basicCredentials
        case .digest(let ticket)?: return value(ticket, method, target)
        }
    }

    /// The value to send after 407; nil if none of the challenges can be answered. Basic credentials that the proxy has
    /// refused are not sent again. Call it once per request: a proxy that refuses the answer refuses the password.
    /// - Parameter challenges: the values of its `proxy-authenticate` fields.
    func authorization(answering challenges: [String], method: String, target: String) -> String? {
        guard scheme != .basic else { return nil }
        let challenges = AuthenticationChallenge.parse(challenges.map { Array($0.utf8) })
        if let challenge = DigestChallenge.strongest(of: challenges) {
            // CONNECT has no body.
            guard let secret = DigestProof.secret(of: key.login, for: challenge) else { return nil }
            let ticket = spaces.ticket(for: key, challenge, secret: secret, since: .max, mayShare: false).ticket
            return value(ticket, method, target)
        }
        guard scheme == .any, challenges.contains(where: { $0.scheme == "basic" }) else { return nil }
        if case .basic? = spaces.choice(for: key) { return nil }
        spaces.rememberBasic(key)
        return key.login.basicCredentials
    }

    private func value(_ ticket: PasswordSpaces.Ticket, _ method: String, _ target: String) -> String? {
        let body = ticket.challenge.protection == .authInt ? MessageDigest.hex(ticket.challenge.function, []) : nil
        return DigestProof(
            of: DigestProof.Subject(method: method, target: target, bodyDigest: body), by: key.login,
            secret: ticket.secret, for: ticket.challenge, count: ticket.count, cnonce: DigestProof.newNonce()
        ).map { String(decoding: $0.fieldValue, as: UTF8.self) }
    }
}
