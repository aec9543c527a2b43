/// Credentials for HTTP authentication (RFC 9110 section 11), and where they may be sent.
///
/// ```swift
/// let api = try Origin("https://api.example.com")
/// var configuration = HTTPClient.Configuration()
/// configuration.authentication = .origins([api: .bearer("token")])
/// let client = HTTPClient(configuration: configuration)
///
/// let options = RequestOptions(authentication: .digest(user: "ada", password: "secret"))
/// let page = try await client.get("https://files.example.com/list", options: options)
/// print(page.status)
/// ```
///
/// **Where they are sent.** To the origin that the request names, and never to another one after a redirect. With
/// ``origins(_:)`` they are sent to the origins listed, also after a redirect. An `authorization` field that the request has
/// already is sent unchanged, without any of this.
///
/// **When they are sent.** Basic and bearer credentials go with the first request: the server is trusted with them anyway, and a
/// request is saved. Digest needs a challenge first, which is the response 401. After that, requests to the same server are
/// sent with credentials at once. The server's challenge is answered by sending the request again, which needs a body that is
/// replayable (``HTTPRequestBody/isReplayable``). If it is not, the response 401 is returned as it is, and the next request
/// has the server's nonce; so before a streamed upload send a GET, or set
/// ``RequestOptions/expectContinue``: a body that nobody began to read can be sent after the challenge.
///
/// **Refusals.** If the server refuses the credentials, its response 401 is returned as it is.
///
/// Copies of a value share what they have learnt: nonces, their counts, and tokens. So create it once, rather than for each
/// request. User names, passwords and tokens are never part of a description, an error or an event.
public struct HTTPAuthentication: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    enum Kind: Sendable {
        case off
        case password(PasswordScheme, Login, PasswordSpaces)
        case token(Token)
        case tokens(BearerTokens)
        case netrc(NetrcFile, PasswordScheme, PasswordSpaces)
        case origins([Origin: HTTPAuthentication])
    }

    let kind: Kind

    /// No credentials, for a request that must not have those of the client's configuration.
    public static let off = HTTPAuthentication(kind: .off)

    /// Basic credentials (RFC 7617), as UTF-8. Without TLS, everybody on the way can read them.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) if the user name has a `:`, or one of both a control character.
    public static func basic(user: String, password: String) -> HTTPAuthentication {
        HTTPAuthentication(user, password, .basic)
    }

    /// Digest credentials (RFC 7616), with SHA-256, SHA-512-256 or MD5. The password is not sent.
    ///
    /// Of several challenges the one with the best hash function is answered, in that order. `qop=auth` is used where the server offers
    /// it, and `auth-int`, which covers the body, where it offers nothing else; then a streamed body fails the request with
    /// `H2Error` (`invalidRequest`). If the response has a proof that the server knows the password (`rspauth`), a wrong one
    /// fails the request with `H2Error` (`protocolViolation`), except with `auth-int`, where it is not checked.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) if the user name or password has a control character.
    public static func digest(user: String, password: String) -> HTTPAuthentication {
        HTTPAuthentication(user, password, .digest)
    }

    /// Digest if the server offers it, otherwise Basic.
    ///
    /// The first request to a server is sent without credentials. Where somebody could change the server's challenge, they can
    /// have the password sent as Basic: use this only with TLS, or ``digest(user:password:)``.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) as with ``basic(user:password:)``.
    public static func any(user: String, password: String) -> HTTPAuthentication {
        HTTPAuthentication(user, password, .any)
    }

    /// A bearer token (RFC 6750), which stays the same.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) if the token is empty or has a space, a control character or one
    /// outside ASCII.
    public static func bearer(_ token: String) -> HTTPAuthentication {
        HTTPAuthentication(kind: .token(Token(token)))
    }

    /// Bearer tokens (RFC 6750) that a closure fetches.
    ///
    /// ```swift
    /// let tokens = HTTPAuthentication.bearer {
    ///     let answer = try await HTTPClient.shared.post(
    ///         "https://login.example.com/token", body: .string("grant_type=client_credentials"))
    ///     return HTTPAuthentication.Token(answer.text, expiresIn: .seconds(3_500))
    /// }
    /// let page = try await client.get("https://api.example.com/", options: RequestOptions(authentication: tokens))
    /// print(page.text)
    /// ```
    ///
    /// The closure is called by the first request; when the token has expired; and after a response 401 with a Bearer challenge
    /// whose `error` is `invalid_token` or missing. The request is then sent once more with the new token.
    ///
    /// One call is in progress at a time, and all requests that need a token wait for it, each within its own
    /// ``RequestOptions/timeout``. An error of the closure is thrown to all of them; the next request calls again. The closure
    /// runs in a task of its own, which is cancelled when no request waits for it any more. Requests that the closure itself
    /// makes with this value are sent without a token.
    public static func bearer(
        _ fetch: @escaping @Sendable () async throws -> HTTPAuthentication.Token
    ) -> HTTPAuthentication {
        HTTPAuthentication(kind: .tokens(BearerTokens(fetch)))
    }

    /// User names and passwords by host from a file that ftp, curl and wget use too.
    ///
    /// The file's `machine` entries are used for any origin with that host, whatever its scheme and port, also after a
    /// redirect; `default` only for the origin that the request names. If the URL has a user name without a password, the
    /// entry with that `login` is used. An internationalised host is written in its ASCII form (`xn--…`). The file may be readable by others, as for curl.
    ///
    /// It is read once, when the first request needs it, and not on an event loop. Requests fail with `H2Error`: `localIO` if
    /// the named file cannot be read, `invalidConfiguration` if a quote does not end, the file is larger than 1 MiB, has
    /// more than 10,000 entries or a word of more than 4 KiB, and as with ``basic(user:password:)``.
    /// - Parameters:
    ///   - path: The file. Default, nil: the one that the environment variable `NETRC` names, or `.netrc` in the folder that
    ///     `HOME` names. If that cannot be read, there are no credentials.
    ///   - scheme: How to send the password. Default: Basic, since it saves a request.
    public static func netrc(_ path: String? = nil, scheme: PasswordScheme = .basic) -> HTTPAuthentication {
        HTTPAuthentication(kind: .netrc(NetrcFile(path), scheme, PasswordSpaces()))
    }

    /// Credentials by origin, also for requests that were redirected there. Other origins get none.
    public static func origins(_ credentials: [Origin: HTTPAuthentication]) -> HTTPAuthentication {
        HTTPAuthentication(kind: .origins(credentials))
    }

    /// How a password is sent.
    @nonexhaustive
    public enum PasswordScheme: Sendable, Hashable {
        /// As in ``HTTPAuthentication/basic(user:password:)``.
        case basic
        /// As in ``HTTPAuthentication/digest(user:password:)``.
        case digest
        /// As in ``HTTPAuthentication/any(user:password:)``.
        case any
    }

    private init(_ user: String, _ password: String, _ scheme: PasswordScheme) {
        self.init(kind: .password(scheme, Login(user: user, password: password), PasswordSpaces()))
    }

    private init(kind: Kind) { self.kind = kind }

    /// The kind of credentials, without any secret.
    public var description: String {
        switch kind {
        case .off: "no credentials"
        case .password(.basic, _, _): "Basic credentials"
        case .password(.digest, _, _): "Digest credentials"
        case .password(.any, _, _): "Digest or Basic credentials"
        case .token, .tokens: "bearer token"
        case .netrc: "credentials of .netrc"
        case .origins(let credentials): "credentials for \(credentials.count) origins"
        }
    }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// A mirror without children, so that `dump` shows no secret.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension HTTPAuthentication {
    /// - Throws: `H2Error` (`invalidConfiguration`) if credentials that are known already cannot be sent.
    func validate() throws(H2Error) {
        switch kind {
        case .off, .tokens, .netrc: break
        case .password(let scheme, let login, _): try login.validate(for: scheme)
        case .token(let token): try token.validate()
        case .origins(let credentials): for one in credentials.values { try one.validate() }
        }
    }

    /// A bearer token that a closure has fetched, and when it expires.
    public struct Token: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        let value: String
        private let expiry: ContinuousClock.Instant?

        /// Creates a token.
        /// - Parameters:
        ///   - value: The token as it is sent: visible ASCII characters.
        ///   - expiresIn: How long the token can be used, counted from now. Requests after that fetch another one first. Give
        ///     less than the server states, since requests take time to arrive. Default, nil: until the server refuses it.
        public init(_ value: String, expiresIn: Duration? = nil) {
            self.value = value
            expiry = expiresIn.map { ContinuousClock.now + min($0, .seconds(1 << 40)) }
        }

        var isExpired: Bool { expiry.map { ContinuousClock.now >= $0 } ?? false }

        /// - Throws: `H2Error` (`invalidConfiguration`) if it cannot be sent in a field.
        func validate() throws(H2Error) {
            guard !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw H2Error(
                    .invalidConfiguration, initiator: .user,
                    message: value.isEmpty
                        ? "the bearer token is empty" : "the bearer token has a character that a token cannot have",
                    remedy: "was it read with the line break at its end?")
            }
        }

        /// Text without the token.
        public var description: String { "bearer token" }

        /// The same as ``description``.
        public var debugDescription: String { description }

        /// A mirror without children, so that `dump` shows no secret.
        public var customMirror: Mirror { Mirror(self, children: []) }
    }
}
