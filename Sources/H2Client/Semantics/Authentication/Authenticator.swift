/// Authenticates one request to one server: writes its credentials, and answers the server's challenges.
///
/// Create one with `make` for each request and server. Call `credentials` before each attempt and `answer` after it, as
/// long as `answer` returns true.
struct Authenticator: Sendable {
    /// The party that asks for credentials, which determines the fields (RFC 9110 sections 11.6 and 11.7).
    enum Role: Sendable {
        case origin
        case proxy

        var status: Int { self == .origin ? 401 : 407 }
        /// Names of fields, in lower case.
        var challengeField: String { self == .origin ? "www-authenticate" : "proxy-authenticate" }
        var credentialsField: String { self == .origin ? "authorization" : "proxy-authorization" }
        var infoField: String { self == .origin ? "authentication-info" : "proxy-authentication-info" }
    }

    private enum Means: Sendable {
        case password(HTTPAuthentication.PasswordScheme, PasswordSpaces, PasswordSpaces.Key)
        case token(HTTPAuthentication.Token)
        case tokens(BearerTokens)
    }

    /// The credentials of the last attempt.
    private enum Sent: Sendable {
        case nothing
        case basic
        case token(number: Int)
        /// - isAnswer: whether the nonce came from a challenge to this very request.
        case digest(DigestProof, PasswordSpaces.Ticket, isAnswer: Bool)
    }

    /// The maximum number of attempts for one request, including the first. Three are common if a nonce became stale;
    /// the limit stops a server that never accepts.
    private static let attemptLimit = 4

    private let role: Role
    private let means: Means
    private var sent = Sent.nothing
    private var attempts = 0
    /// A nonce for the next attempt, and whether it comes from that attempt's own challenge.
    private var pending: (ticket: PasswordSpaces.Ticket, isAnswer: Bool)?
    /// Whether the server has already refused a token of this request.
    private var hasRefusedToken = false
    /// Whether the request has a body that cannot be hashed before it is sent.
    private var hasStreamedBody = false

    private init(_ role: Role, _ means: Means) {
        self.role = role
        self.means = means
    }

    /// Returns nil if there are no credentials for this server.
    /// - Parameters:
    ///   - isNamedByCaller: whether the caller's own request goes to this server, rather than a redirect. Always true for a
    ///     proxy.
    ///   - present: the request's existing credentials field. It is kept, unless it has the user name of a URL without
    ///     a password and `.netrc` has an entry for that user.
    /// - Throws: `H2Error`: `localIO`, `invalidConfiguration`, `timeout`; `CancellationError`.
    static nonisolated(nonsending) func make(
        _ authentication: HTTPAuthentication, _ role: Role, at server: Origin, isNamedByCaller: Bool,
        present: String? = nil, _ limits: WaitLimits
    ) async throws -> Authenticator? {
        var kind = authentication.kind
        var isNamed = isNamedByCaller
        // A list within a list adds nothing, but it is allowed.
        while case .origins(let credentials) = kind {
            guard let found = credentials[server] else { return nil }
            kind = found.kind
            isNamed = true
        }
        var user: String?
        if let present {
            guard case .netrc = kind, let name = Login.userWithoutPassword(in: present) else { return nil }
            user = name
        }
        switch kind {
        case .off, .origins: return nil
        case .netrc(let file, let scheme, let spaces):
            let entries = try await file.load(limits)
            guard let login = entries.login(for: server.host, user: user, usesDefault: isNamed) else { return nil }
            try login.validate(for: scheme)
            return Authenticator(role, .password(scheme, spaces, PasswordSpaces.Key(server: server, login: login)))
        case .password(let scheme, let login, let spaces):
            guard isNamed else { return nil }
            try login.validate(for: scheme)
            return Authenticator(role, .password(scheme, spaces, PasswordSpaces.Key(server: server, login: login)))
        case .token(let token):
            guard isNamed else { return nil }
            try token.validate()
            return Authenticator(role, .token(token))
        case .tokens(let tokens):
            guard isNamed, !tokens.isFetchingHere else { return nil }
            return Authenticator(role, .tokens(tokens))
        }
    }

    // MARK: - Before an attempt

    /// The value of the credentials field for the next attempt; nil to send none.
    /// - Parameter target: the request's target as it is sent: path and query, or host and port for CONNECT.
    /// - Throws: the errors of the closure that fetches tokens; `H2Error`: `invalidConfiguration`, `localIO`, `timeout`;
    ///   `CancellationError`.
    nonisolated(nonsending) mutating func credentials(
        method: String, target: String, body: HTTPRequestBody, _ limits: WaitLimits
    ) async throws -> [UInt8]? {
        attempts += 1
        if case .stream = body.content { hasStreamedBody = true }
        sent = .nothing
        switch means {
        case .token(let token):
            sent = .token(number: 1)
            return Array("Bearer \(token.value)".utf8)
        case .tokens(let tokens):
            let issue = try await tokens.token(limits)
            sent = .token(number: issue.number)
            return Array("Bearer \(issue.token.value)".utf8)
        case .password(.basic, _, let key):
            sent = .basic
            return Array(key.login.basicCredentials.utf8)
        case .password(.digest, let spaces, let key), .password(.any, let spaces, let key):
            let next = pending
            pending = nil
            if let next { return try await digest(next, key, method: method, target: target, body, limits) }
            switch spaces.choice(for: key) {
            case nil: return nil
            case .basic?:
                sent = .basic
                return Array(key.login.basicCredentials.utf8)
            case .digest(let ticket)?:
                return try await digest((ticket, false), key, method: method, target: target, body, limits)
            }
        }
    }

    private nonisolated(nonsending) mutating func digest(
        _ next: (ticket: PasswordSpaces.Ticket, isAnswer: Bool), _ key: PasswordSpaces.Key, method: String,
        target: String, _ body: HTTPRequestBody, _ limits: WaitLimits
    ) async throws -> [UInt8]? {
        let ticket = next.ticket
        var subject = DigestProof.Subject(method: method, target: target)
        if ticket.challenge.protection == .authInt {
            subject.bodyDigest = try await body.digest(ticket.challenge.function, limits)
        }
        guard
            let proof = DigestProof(
                of: subject, by: key.login, secret: ticket.secret, for: ticket.challenge, count: ticket.count,
                cnonce: DigestProof.newNonce())
        else { return nil }
        sent = .digest(proof, ticket, isAnswer: next.isAnswer)
        return proof.fieldValue
    }

    // MARK: - After an attempt

    /// Whether `answer` would look at a response with this status.
    func cares(about status: Int) -> Bool {
        if status == role.status { return true }
        if case .digest = sent { return true }
        return false
    }

    /// Whether to send the request again, with new `credentials`.
    ///
    /// Also called for a response to a request that cannot be sent again: its nonces help later requests.
    /// - Parameters:
    ///   - fields: the response's fields.
    ///   - canSendAgain: whether the request's body allows it.
    /// - Throws: `H2Error`: `protocolViolation` for a wrong proof of the server, `invalidRequest` if the server wants a digest
    ///   of a streamed body.
    mutating func answer(status: Int, fields: [RawField], canSendAgain: Bool) throws(H2Error) -> Bool {
        guard status == role.status else {
            try learn(from: fields)
            return false
        }
        let challenges = AuthenticationChallenge.parse(Self.values(of: role.challengeField, in: fields))
        let willSend = canSendAgain && attempts < Self.attemptLimit
        switch means {
        case .token, .password(.basic, _, _): return false
        case .tokens(let tokens): return refuseToken(of: tokens, challenges) && willSend
        case .password(let scheme, let spaces, let key):
            return try answer(challenges, scheme, spaces, key, willSend: willSend) && willSend
        }
    }

    /// Whether a newer token might help (RFC 6750 section 3.1).
    private mutating func refuseToken(of tokens: BearerTokens, _ challenges: [AuthenticationChallenge]) -> Bool {
        guard case .token(let number) = sent,
            let challenge = challenges.first(where: { $0.scheme == "bearer" }),
            ["invalid_token", nil].contains(challenge.token("error"))
        else { return false }
        // Only one new token per request: the server may refuse each of them.
        guard !hasRefusedToken else { return false }
        hasRefusedToken = true
        tokens.refuse(number: number)
        return true
    }

    private mutating func answer(
        _ challenges: [AuthenticationChallenge], _ scheme: HTTPAuthentication.PasswordScheme, _ spaces: PasswordSpaces,
        _ key: PasswordSpaces.Key, willSend: Bool
    ) throws(H2Error) -> Bool {
        if let challenge = DigestChallenge.strongest(of: challenges) {
            var generation: UInt64 = 0
            if case .digest(_, let ticket, let isAnswer) = sent {
                guard !isAnswer || challenge.isStale else {
                    // The user name or the password is wrong.
                    spaces.forget(key, ticket)
                    return false
                }
                generation = ticket.generation
            }
            guard challenge.protection != .authInt || !hasStreamedBody else {
                throw H2Error(
                    .invalidRequest, initiator: .user,
                    message: "the server asks for a digest of the body (qop=auth-int), which a streamed body has not",
                    remedy: "send the body from memory or from a file")
            }
            guard let secret = DigestProof.secret(of: key.login, for: challenge) else { return false }
            guard willSend else {
                spaces.remember(challenge, secret: secret, for: key)
                return false
            }
            // Only once: a nonce that other requests share may become stale before the request arrives.
            let (ticket, isShared) = spaces.ticket(
                for: key, challenge, secret: secret, since: generation, mayShare: attempts < 2)
            pending = (ticket, !isShared)
            return true
        }
        if case .digest(_, let ticket, _) = sent {
            spaces.forget(key, ticket)
            return false
        }
        guard scheme == .any, challenges.contains(where: { $0.scheme == "basic" }) else { return false }
        if case .basic = sent {
            spaces.forgetBasic(key)
            return false
        }
        spaces.rememberBasic(key)
        return true
    }

    /// Checks the server's proof and takes its next nonce (RFC 7616 section 3.5).
    private func learn(from fields: [RawField]) throws(H2Error) {
        guard case .digest(let proof, let ticket, _) = sent, case .password(_, let spaces, let key) = means else {
            return
        }
        guard let value = Self.values(of: role.infoField, in: fields).first else { return }
        let info = AuthenticationChallenge.parameters(of: value)
        // With `auth-int` the proof depends on the response's body.
        if let serverProof = info.value("rspauth"), info.token("qop") != "auth-int",
            !proof.accepts(serverProof: serverProof)
        {
            spaces.forget(key, ticket)
            throw H2Error(
                .protocolViolation, initiator: .remote,
                message: "the server's proof that it knows the password (rspauth) is wrong",
                remedy: "does another server, or a proxy, answer in its place?")
        }
        if let next = info.value("nextnonce"), !next.isEmpty, next.count <= DigestChallenge.lengthLimit {
            spaces.renew(key, ticket, nonce: next)
        }
    }

    private static func values(of name: String, in fields: [RawField]) -> [[UInt8]] {
        fields.filter { field in
            field.name.count == name.utf8.count
                && zip(field.name, name.utf8).allSatisfy { TokenBytes.lowerCase[Int($0)] == $1 }
        }.map(\.value)
    }
}
