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
/// **Where they are sent.** To the origin that the request names, and not to another origin after a redirect, unless
/// ``HTTPClient/RedirectPolicy/sendsCredentialsElsewhere`` is true. Entries of a `.netrc` file belong to hosts. With
/// ``origins(_:)`` they are sent to the listed origins, even after a redirect. If a request already has an
/// `authorization` field, the field is sent unchanged and none of this applies.
///
/// **When they are sent.** Basic and bearer credentials are sent with the first request: the server is trusted with
/// them anyway, and this saves a request. Digest needs a challenge first, in a 401 response; later requests to the same
/// server carry credentials from the start. The client answers a challenge by sending the request again, so the body
/// must be replayable (``HTTPRequestBody/isReplayable``). If it is not, the 401 response is returned as it is, and the
/// next request has the server's nonce. Before a streamed upload, therefore, send a GET, or set
/// ``RequestOptions/expectContinue``: a body that nobody has begun to read can be sent after the challenge.
///
/// **Refusals.** If the server refuses the credentials, its 401 response is returned as it is.
///
/// Copies of a value share learned state: nonces, their counts, and tokens. Create a value once, not for each request.
/// User names, passwords and tokens never appear in a description, an error or an event.
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

    /// No credentials, for a request that must not use those of the client's configuration.
    public static let off = HTTPAuthentication(kind: .off)

    /// Basic credentials (RFC 7617), in UTF-8. Without TLS, everybody on the path can read them.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) if the user name contains a `:`, or if the user name or
    /// the password contains a control character.
    public static func basic(user: String, password: String) -> HTTPAuthentication {
        HTTPAuthentication(user, password, .basic)
    }

    /// Digest credentials (RFC 7616), with SHA-256, SHA-512-256 or MD5. The password is not sent.
    ///
    /// If there are several challenges, the one with the best hash function is answered, in that order. `qop=auth` is
    /// used if the server offers it. `auth-int`, which covers the body, is used only if the server offers nothing else;
    /// a streamed body then fails the request with `H2Error` (`invalidRequest`). If the response contains a proof that
    /// the server knows the password (`rspauth`), a wrong proof fails the request with `H2Error` (`protocolViolation`),
    /// except with `auth-int`, where it is not checked.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) if the user name or password contains a control character.
    public static func digest(user: String, password: String) -> HTTPAuthentication {
        HTTPAuthentication(user, password, .digest)
    }

    /// Digest if the server offers it, otherwise Basic.
    ///
    /// The first request to a server is sent without credentials. An attacker who can change the server's challenge can
    /// have the password sent as Basic, so use this only with TLS; without TLS, use ``digest(user:password:)``.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) as with ``basic(user:password:)``.
    public static func any(user: String, password: String) -> HTTPAuthentication {
        HTTPAuthentication(user, password, .any)
    }

    /// A bearer token (RFC 6750) that stays the same.
    ///
    /// Requests fail with `H2Error` (`invalidConfiguration`) if the token is empty or contains a space, a control
    /// character or a non-ASCII character.
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
    /// The closure is called by the first request, when the token has expired, and after a 401 response with a Bearer
    /// challenge whose `error` is `invalid_token` or missing. The request is then sent once more with the new token.
    ///
    /// One call is in progress at a time. All requests that need a token wait for it, each within its own
    /// ``RequestOptions/timeout``. If the closure throws, all of them get the error, and the next request calls the
    /// closure again. The closure runs in its own task, which is cancelled when no request waits for it any more.
    /// Requests that the closure itself makes with this value are sent without a token.
    public static func bearer(
        _ fetch: @escaping @Sendable () async throws -> HTTPAuthentication.Token
    ) -> HTTPAuthentication {
        HTTPAuthentication(kind: .tokens(BearerTokens(fetch)))
    }

    /// User names and passwords by host, from a file that ftp, curl and wget also use.
    ///
    /// The file's `machine` entries apply to any origin with that host, whatever its scheme and port, even after a
    /// redirect. The `default` entry applies only to the origin that the request names. If the URL has a user name
    /// without a password, the entry with that `login` is used. Write an internationalised host in its ASCII form
    /// (`xn--…`). As with curl, the file may be readable by others.
    ///
    /// The file is read once, when the first request needs it, and not on an event loop. Requests fail with `H2Error`:
    /// `localIO` if the named file cannot be read; `invalidConfiguration` if a quote does not end, if the file is
    /// larger than 1 MiB, has more than 10,000 entries or a word of more than 4 KiB, and as with
    /// ``basic(user:password:)``.
    /// - Parameters:
    ///   - path: The file. Default, nil: the file named by the environment variable `NETRC`, or `.netrc` in the folder
    ///     named by `HOME`. If that file cannot be read, there are no credentials.
    ///   - scheme: How to send the password. Default: Basic, since it saves a request.
    public static func netrc(_ path: String? = nil, scheme: PasswordScheme = .basic) -> HTTPAuthentication {
        HTTPAuthentication(kind: .netrc(NetrcFile(path), scheme, PasswordSpaces()))
    }

    /// Credentials by origin, also for requests that are redirected there. Other origins get none.
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
    /// - Throws: `H2Error` (`invalidConfiguration`) if credentials that are already known cannot be sent.
    func validate() throws(H2Error) {
        switch kind {
        case .off, .tokens, .netrc: break
        case .password(let scheme, let login, _): try login.validate(for: scheme)
        case .token(let token): try token.validate()
        case .origins(let credentials): for one in credentials.values { try one.validate() }
        }
    }

    /// A bearer token fetched by a closure, and its expiry.
    public struct Token: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        let value: String
        private let expiry: ContinuousClock.Instant?

        /// Creates a token.
        /// - Parameters:
        ///   - value: The token as it is sent: visible ASCII characters.
        ///   - expiresIn: How long the token can be used, counted from now. Later requests fetch another one first.
        ///     Give less than the server states, since requests take time to arrive. Default, nil: until the server
        ///     refuses it.
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
