package import HTTPTypes

/// Keeps the cookies that servers set, and sends them back (RFC 6265bis).
///
/// A client has no cookies unless its configuration has a jar. Clients may share one; it can be used from any task.
///
/// ```swift
/// var configuration = HTTPClient.Configuration()
/// configuration.cookies = CookieJar()
/// try await withHTTPClient(configuration: configuration) { client in
///     _ = try await client.post("https://example.com/login", body: .string("user=me"))
///     _ = try await client.get("https://example.com/account")
/// }
/// ```
///
/// RFC 6265bis and the practice of browsers determine which cookies a server may set, and which ones it gets:
///
/// - A cookie is sent to the host that set it and, with the Domain attribute, to that domain's other hosts. Domains
///   whose hosts have different owners (`co.uk`) are refused, by the public suffix list. The list comes with libpsl,
///   which is loaded at run time for the first cookie with a Domain. Without libpsl, or without the package trait
///   `PublicSuffixes`, only single-label domains are refused, so any host below `co.uk` could set a cookie for all of
///   them.
/// - Only `https` URLs and this machine (`localhost`, 127.0.0.0/8, `::1`), where nobody can listen, may set and get
///   secure cookies. Other `http` URLs cannot overwrite them either.
/// - The prefixes `__Secure-` and `__Host-` are enforced, and `SameSite=None` requires Secure. HttpOnly and SameSite
///   are recorded, but otherwise have no effect in a client that runs no scripts.
/// - Up to 180 cookies are taken from one response.
/// - No cookie lives longer than 400 days after it was set. Cookies without Max-Age and Expires live as long as the jar.
///
/// If a request already has a `cookie` field, its own cookies come first, and the jar's follow. Each hop of a redirect
/// asks the jar again, and a cookie set by a redirect replaces the caller's cookie of the same name. Cookies in
/// responses that the client retries (``HTTPClient/RetryPolicy/statuses``) are kept for later requests; the retry itself
/// is sent with the cookies of before. Requests on a connection from ``HTTPClient/withConnection(to:_:)`` have no cookies.
///
/// Invariant behind `@unchecked Sendable`: `store` is accessed with `lock` held.
public final class CookieJar: LiveObject, @unchecked Sendable {
    /// Limits on what servers can make a jar keep and send. Values below zero count as zero.
    public struct Limits: Sendable, Hashable {
        /// The maximum number of cookies. If one more is set, expired cookies are removed first, then the least
        /// recently used ones, until a tenth is free; domains with more than ``cookiesPerDomain`` cookies below them
        /// lose theirs first. Default 3,000 (the minimum that RFC 6265bis asks for), which takes at most 16 MB.
        public var cookies: Int
        /// The maximum number of cookies per domain. The least recently used cookie makes room, and cookies that are
        /// not secure go before secure ones. Default 180, as in Chromium.
        public var cookiesPerDomain: Int
        /// The maximum length in bytes of the cookies sent with a request. Cookies beyond it, those with the shortest
        /// paths, are left out. Default 8,190, as in curl: most servers refuse a larger field.
        public var fieldBytes: Int

        /// Creates limits; those left out have their defaults.
        public init(cookies: Int = 3_000, cookiesPerDomain: Int = 180, fieldBytes: Int = 8_190) {
            self.cookies = cookies
            self.cookiesPerDomain = cookiesPerDomain
            self.fieldBytes = fieldBytes
        }
    }

    /// The limits.
    public let limits: Limits
    private let lock = PthreadLock()
    private var store: CookieStore
    private let isPublicSuffix: @Sendable (String) -> Bool

    /// Creates an empty jar.
    public convenience init(limits: Limits = Limits()) {
        self.init(limits: limits, isPublicSuffix: PublicSuffix.contains)
    }

    /// Creates a jar with another list of public suffixes, for tests.
    init(limits: Limits = Limits(), isPublicSuffix: @escaping @Sendable (String) -> Bool) {
        self.limits = limits
        self.isPublicSuffix = isPublicSuffix
        store = CookieStore(limits: limits)
    }

    // MARK: - Contents

    /// All cookies that have not expired, the oldest first.
    public var cookies: [Cookie] { cookies(now: ConnectionPool.wallTime) }

    /// The cookies that would be sent with a request to a URL, in order.
    /// - Throws: `H2Error` (`invalidURL`).
    public func cookies(for url: String) throws(H2Error) -> [Cookie] {
        let target = try RequestTarget(url)
        let scope = CookieScope(target.origin, target: target.path)
        return lock.withLock { store.cookies(for: scope, now: ConnectionPool.wallTime) }
    }

    /// Adds a cookie to the jar, replacing the one with the same name, domain and path. An expired cookie only removes
    /// that one.
    /// - Throws: `H2Error` (`invalidConfiguration`) if no server could have set the cookie: it has a control character,
    ///   a public suffix, or a name prefix whose promise it does not keep, or it is too long. The message contains
    ///   neither its name nor its value.
    public func insert(_ cookie: Cookie) throws(H2Error) {
        if let problem = cookie.problem(isPublicSuffix: isPublicSuffix) {
            throw H2Error(
                .invalidConfiguration, initiator: .user,
                message: "a cookie for the jar is not valid: \(problem)", remedy: "see RFC 6265bis section 4.1")
        }
        _ = insert(cookie, now: ConnectionPool.wallTime)
    }

    /// Sets a cookie as if a response to a request to `url` had the field `set-cookie`.
    /// - Returns: Whether the cookie is now in the jar. It is not if the server may not set it, or if it has expired.
    /// - Throws: `H2Error` (`invalidURL`).
    @discardableResult
    public func set(_ field: String, from url: String) throws(H2Error) -> Bool {
        let target = try RequestTarget(url)
        let now = ConnectionPool.wallTime
        return set(Array(field.utf8), from: CookieScope(target.origin, target: target.path), now: now)
    }

    /// Removes the cookies for which `isUnwanted` returns true, and returns their number. Cookies set in the meantime
    /// stay.
    @discardableResult
    public func removeAll(where isUnwanted: (Cookie) throws -> Bool) rethrows -> Int {
        // The caller's closure must not run with the lock held.
        let unwanted = Set(try cookies.filter(isUnwanted))
        return lock.withLock { store.removeAll { unwanted.contains($0) } }
    }

    /// Removes all cookies.
    public func removeAll() {
        let empty = CookieStore(limits: limits)
        lock.withLock { store = empty }
    }

    func cookies(now: Int) -> [Cookie] {
        let snapshot = lock.withLock { store }
        return snapshot.all(now: now)
    }

    /// Puts a valid cookie into the jar.
    /// - Returns: whether the cookie is now in the jar. It is not if it has expired.
    func insert(_ cookie: Cookie, now: Int) -> Bool {
        lock.withLock { store.insert(cookie, isFromSecureOrigin: true, now: now) }
    }

    /// Whether a program or a file may add a cookie to the jar.
    func accepts(_ cookie: Cookie) -> Bool { cookie.problem(isPublicSuffix: isPublicSuffix) == nil }

    // MARK: - Requests

    /// Sets a cookie that a server sent.
    @discardableResult
    func set(_ field: [UInt8], from scope: CookieScope, now: Int) -> Bool {
        // Without the lock: looking up a public suffix may load a library.
        guard let field = SetCookie(field, now: now),
            let cookie = Cookie(field, from: scope, isPublicSuffix: isPublicSuffix)
        else { return false }
        return lock.withLock { store.insert(cookie, isFromSecureOrigin: scope.isSecure, now: now) }
    }

    /// Adds the jar's cookies to a request that is about to be sent. The request's own cookies come first.
    /// - Parameters:
    ///   - origin: where the request goes.
    ///   - now: seconds since 1970.
    package func prepare(_ request: inout HTTPRequest, for origin: Origin, now: Int) {
        let scope = CookieScope(origin, target: request.path ?? "/")
        guard let field = lock.withLock({ store.field(for: scope, now: now) }) else { return }
        // A single field in all: HTTP/1.1 does not allow a second one (RFC 6265bis section 5.8.1).
        var value: [UInt8] = []
        for own in request.headerFields[fields: .cookie] {
            own.withUnsafeBytesOfValue { value += $0 }
            if !value.isEmpty { value += [UInt8(ascii: ";"), UInt8(ascii: " ")] }
        }
        value += field
        request.headerFields[fields: .cookie] = [HTTPField(name: .cookie, lenientValue: value)]
    }

    /// The maximum number of `set-cookie` fields that are read from one response; curl reads 50.
    static let maximumFields = 180

    /// Keeps the cookies that a response sets.
    /// - Parameters:
    ///   - fields: the values of its fields `set-cookie`.
    ///   - request: the request, as it was sent.
    ///   - now: seconds since 1970.
    package func learn(from fields: [[UInt8]], request: HTTPRequest, origin: Origin, now: Int) {
        guard !fields.isEmpty else { return }
        let scope = CookieScope(origin, target: request.path ?? "/")
        for field in fields.prefix(Self.maximumFields) { set(field, from: scope, now: now) }
    }

    /// Removes cookies from a request if a response sets or removes cookies of the same names.
    /// - Parameters:
    ///   - fields: the values of the response's fields `set-cookie`.
    ///   - now: seconds since 1970.
    static func removeCookies(replacedBy fields: [[UInt8]], from request: inout HTTPRequest, now: Int) {
        let names = Set(fields.compactMap { SetCookie($0, now: now)?.name })
        guard !names.isEmpty else { return }
        var kept: [ArraySlice<UInt8>] = []
        for field in request.headerFields[fields: .cookie] {
            let value = field.withUnsafeBytesOfValue { Array($0) }
            for pair in value.split(separator: UInt8(ascii: ";")).map(SetCookie.trimmed) where !pair.isEmpty {
                // Without a '=', the text is the value of a cookie without a name.
                let name: ArraySlice<UInt8> =
                    pair.contains(UInt8(ascii: "=")) ? pair.prefix { $0 != UInt8(ascii: "=") } : []
                if !names.contains(Array(SetCookie.trimmed(name))) { kept.append(pair) }
            }
        }
        let value = kept.joined(separator: [UInt8(ascii: ";"), UInt8(ascii: " ")])
        request.headerFields[fields: .cookie] =
            kept.isEmpty ? [] : [HTTPField(name: .cookie, lenientValue: Array(value))]
    }
}
