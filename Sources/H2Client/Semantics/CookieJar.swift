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
/// What a server may set, and what it gets, follows RFC 6265bis and the browsers:
///
/// - A cookie goes to the host that set it, and with the attribute Domain to that domain's other hosts. Domains whose hosts
///   have different owners (`co.uk`) are refused by the public suffix list. The list comes with libpsl, which is loaded at run
///   time for the first cookie with a Domain. Without libpsl, or without the package trait `PublicSuffixes`, only domains
///   with one label are refused, so any host below `co.uk` could set a cookie for all of them.
/// - Secure cookies are set by and sent to `https` URLs only, and to this machine (`localhost`, 127.0.0.0/8, `::1`), where
///   nobody can listen. Other `http` URLs cannot overwrite them either.
/// - The prefixes `__Secure-` and `__Host-` are enforced, and `SameSite=None` requires Secure. HttpOnly and SameSite are
///   recorded, and otherwise have no effect in a client that runs no scripts.
/// - Of one response up to 180 cookies are taken.
/// - No cookie lives longer than 400 days after it was set. Cookies without Max-Age and Expires live as long as the jar.
///
/// A request that has a `cookie` field keeps it: its own cookies come first, the jar's follow. Each hop of a redirect asks the
/// jar anew, and a cookie that a redirect sets replaces one of the same name that the caller wrote. Cookies of responses that
/// the client retries (``HTTPClient/RetryPolicy/statuses``) are not kept, and requests on a connection of
/// ``HTTPClient/withConnection(to:_:)`` have no cookies.
///
/// Invariant behind `@unchecked Sendable`: `store` is accessed with `lock` held.
public final class CookieJar: @unchecked Sendable {
    /// Limits on what servers can make a jar keep and send. Values below zero count as zero.
    public struct Limits: Sendable, Hashable {
        /// The maximum number of cookies. When one more is set, expired cookies are removed, and then those that were used
        /// the longest ago, until a tenth is free; domains with more than ``cookiesPerDomain`` cookies below them lose theirs
        /// first. Default 3,000 (the least that RFC 6265bis asks for), which is 16 MB at worst.
        public var cookies: Int
        /// The maximum number of cookies of one domain. The one that was used the longest ago makes room, and one that is not
        /// secure before one that is. Default 180, as in Chromium.
        public var cookiesPerDomain: Int
        /// The maximum length in bytes of what is sent with a request. Cookies beyond it, those with the shortest paths, are
        /// left out. Default 8,190, as in curl: most servers refuse a larger field.
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

    /// With another list of public suffixes, for tests.
    init(limits: Limits = Limits(), isPublicSuffix: @escaping @Sendable (String) -> Bool) {
        self.limits = limits
        self.isPublicSuffix = isPublicSuffix
        store = CookieStore(limits: limits)
    }

    // MARK: - Contents

    /// All cookies that have not expired, the oldest first.
    public var cookies: [Cookie] { cookies(now: ConnectionPool.wallTime) }

    /// The cookies that a request to a URL would be sent with, in order.
    /// - Throws: `H2Error` (`invalidURL`).
    public func cookies(for url: String) throws(H2Error) -> [Cookie] {
        let target = try RequestTarget(url)
        let scope = CookieScope(target.origin, target: target.path)
        return lock.withLock { store.cookies(for: scope, now: ConnectionPool.wallTime) }
    }

    /// Puts a cookie into the jar, in the place of the one with the same name, domain and path. A cookie that has expired
    /// only removes that one.
    /// - Throws: `H2Error` (`invalidConfiguration`) if no server could have set it: a control character, too long, a public
    ///   suffix, or a prefix of its name that promises something else. The message has neither its name nor its value.
    public func insert(_ cookie: Cookie) throws(H2Error) {
        if let problem = cookie.problem(isPublicSuffix: isPublicSuffix) {
            throw H2Error(
                .invalidConfiguration, initiator: .user,
                message: "a cookie for the jar is not valid: \(problem)", remedy: "see RFC 6265bis section 4.1")
        }
        _ = insert(cookie, now: ConnectionPool.wallTime)
    }

    /// Sets a cookie as if a response to a request to `url` had the field `set-cookie`.
    /// - Returns: Whether the cookie is in the jar now. It is not if the server may not set it, or if it has expired.
    /// - Throws: `H2Error` (`invalidURL`).
    @discardableResult
    public func set(_ field: String, from url: String) throws(H2Error) -> Bool {
        let target = try RequestTarget(url)
        let now = ConnectionPool.wallTime
        return set(Array(field.utf8), from: CookieScope(target.origin, target: target.path), now: now)
    }

    /// Removes the cookies that `isUnwanted` returns true for, and returns their number. Cookies that are set meanwhile stay.
    @discardableResult
    public func removeAll(where isUnwanted: (Cookie) throws -> Bool) rethrows -> Int {
        // No code of others runs with the lock held.
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
    /// - Returns: whether it is in the jar now. It is not if it has expired.
    func insert(_ cookie: Cookie, now: Int) -> Bool {
        lock.withLock { store.insert(cookie, isFromSecureOrigin: true, now: now) }
    }

    /// Whether a program or file may put a cookie into the jar.
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

    /// Adds the jar's cookies to a request that is about to be sent. Its own come first.
    /// - Parameters:
    ///   - origin: where the request goes.
    ///   - now: seconds since 1970.
    package func prepare(_ request: inout HTTPRequest, for origin: Origin, now: Int) {
        let scope = CookieScope(origin, target: request.path ?? "/")
        guard let field = lock.withLock({ store.field(for: scope, now: now) }) else { return }
        // One field in all: HTTP/1.1 allows no second one (RFC 6265bis section 5.8.1).
        var value: [UInt8] = []
        for own in request.headerFields[fields: .cookie] {
            own.withUnsafeBytesOfValue { value += $0 }
            if !value.isEmpty { value += [UInt8(ascii: ";"), UInt8(ascii: " ")] }
        }
        value += field
        request.headerFields[fields: .cookie] = [HTTPField(name: .cookie, lenientValue: value)]
    }

    /// The number of fields `set-cookie` of one response that are read; curl reads 50.
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

    /// Removes the cookies from a request that have the names of those that a response sets or removes.
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
                // Without a '=' it is the value of a cookie without a name.
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
