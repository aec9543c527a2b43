import HTTPTypes

/// Remembers the hosts that want to be used over TLS only, and turns their `http` URLs into `https` (HSTS, RFC 6797).
///
/// A client remembers nothing unless its configuration has a store. Clients may share one; it can be used from any
/// task.
///
/// ```swift
/// let store = StrictTransportStore()
/// try await store.load(from: "hsts.txt")
/// var configuration = HTTPClient.Configuration()
/// configuration.strictTransport = store
/// try await withHTTPClient(configuration: configuration) { client in
///     // Sent to https://example.com if that host is known.
///     _ = try await client.get("http://example.com/")
/// }
/// try await store.save(to: "hsts.txt")
/// ```
///
/// - A host is learned from the `strict-transport-security` field of a response over TLS with a verified certificate.
///   Without verification (``ConnectionConfiguration/TLS/verifiesPeer``) nothing is learned. `max-age=0` removes the
///   host. Addresses are neither learned nor changed.
/// - An `http` URL of a known host becomes `https` before anything is sent, also in redirects. Port 80 becomes 443;
///   other ports stay the same.
///
/// There is no preloaded list of hosts; add your own with ``insert(_:)``.
///
/// Invariant behind `@unchecked Sendable`: `entries` and `clock` are accessed with `lock` held.
public final class StrictTransportStore: LiveObject, @unchecked Sendable {
    /// A host that wants to be used over TLS only.
    public struct Host: Sendable, Hashable {
        /// The name in ASCII form and lower case, without a trailing dot.
        public let name: String
        /// Whether its subdomains are included.
        public let includesSubdomains: Bool
        /// When the entry expires, in seconds since 1970. Int.max: never.
        public let expires: Int

        /// Creates a host.
        /// - Parameters:
        ///   - name: The name, in any case. An internationalised name is converted.
        ///   - includesSubdomains: Whether its subdomains are included. Default false.
        ///   - expires: When the entry expires, in seconds since 1970. Default: never.
        /// - Returns: nil if it is not a name. Addresses are not names.
        public init?(_ name: String, includesSubdomains: Bool = false, expires: Int = Int.max) {
            guard let origin = try? Origin(scheme: .https, host: name), !CookieScope.isAddress(origin.host) else {
                return nil
            }
            let key = StrictTransportStore.key(origin.host)
            guard !key.isEmpty, key.utf8.count <= 255, !CookieScope.hasEmptyLabel(origin.host) else { return nil }
            self.name = String(key)
            self.includesSubdomains = includesSubdomains
            self.expires = expires
        }
    }

    private struct Entry {
        var host: Host
        /// When the host was last noted, as a tick of `clock`.
        var noted: UInt64
    }

    /// The maximum number of hosts. If one more is learned, the hosts noted the longest ago are forgotten until a tenth
    /// is free.
    public let maximumHosts: Int
    private let lock = PthreadLock()
    private var entries: [String: Entry] = [:]
    private var clock: UInt64 = 0

    /// Creates an empty store.
    /// - Parameter maximumHosts: The maximum number of hosts. Values below zero count as zero. Default 10,000, which is about
    ///   2 MB.
    public init(maximumHosts: Int = 10_000) { self.maximumHosts = max(maximumHosts, 0) }

    // MARK: - Contents

    /// The hosts that have not expired, those noted the longest ago first.
    public var hosts: [Host] { hosts(now: ConnectionPool.wallTime) }

    /// Whether an `http` URL of a host is turned into `https`.
    public func contains(_ host: String) -> Bool {
        guard let origin = try? Origin(scheme: .http, host: host) else { return false }
        return contains(origin.host, now: ConnectionPool.wallTime)
    }

    /// Adds a host, or replaces its entry. If it has expired, it is removed.
    public func insert(_ host: Host) { insert(host, now: ConnectionPool.wallTime) }

    /// Removes a host, and returns whether it was known. Its subdomains may still be covered by their own entries or by
    /// that of a domain above.
    @discardableResult
    public func remove(_ host: String) -> Bool {
        guard let origin = try? Origin(scheme: .http, host: host) else { return false }
        let key = String(Self.key(origin.host))
        return lock.withLock { entries.removeValue(forKey: key) } != nil
    }

    /// Removes all hosts.
    public func removeAll() { lock.withLock { entries = [:] } }

    // MARK: - With the time as a parameter

    func hosts(now: Int) -> [Host] {
        let entries = lock.withLock { self.entries }
        return entries.values.filter { $0.host.expires > now }.sorted { $0.noted < $1.noted }.map(\.host)
    }

    func insert(_ host: Host, now: Int) {
        lock.withLock {
            clock += 1
            guard host.expires > now else {
                entries[host.name] = nil
                return
            }
            entries[host.name] = Entry(host: host, noted: clock)
            if entries.count > maximumHosts { makeRoom(now) }
        }
    }

    /// Called with `lock` held.
    private func makeRoom(_ now: Int) {
        entries = entries.filter { $0.value.host.expires > now }
        let excess = entries.count - (maximumHosts - maximumHosts / 10)
        guard entries.count > maximumHosts else { return }
        let oldest = entries.values.sorted { $0.noted < $1.noted }.prefix(excess)
        for entry in oldest { entries[entry.host.name] = nil }
    }

    /// - Parameter host: as in `Origin.host`.
    func contains(_ host: String, now: Int) -> Bool {
        guard !CookieScope.isAddress(host) else { return false }
        return lock.withLock {
            guard !entries.isEmpty else { return false }
            // The host itself, and then each domain above it (RFC 6797 section 8.3).
            var name = Self.key(host)
            var isHost = true
            while true {
                if let entry = entries[String(name)], entry.host.expires > now, isHost || entry.host.includesSubdomains
                {
                    return true
                }
                guard let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")) else { return false }
                name = name[name.utf8.index(after: dot)...]
                isHost = false
            }
        }
    }

    /// `example.com.` and `example.com` are the same host.
    private static func key(_ host: String) -> Substring {
        host.utf8.last == UInt8(ascii: ".") ? host.dropLast() : host[...]
    }

    // MARK: - Requests

    /// The origin to use instead of an `http` origin; nil if it stays the same.
    func upgraded(_ origin: Origin, now: Int) -> Origin? {
        guard origin.scheme == .http, contains(origin.host, now: now) else { return nil }
        let port = origin.port == Origin.Scheme.http.defaultPort ? Origin.Scheme.https.defaultPort : origin.port
        return try? Origin(scheme: .https, host: origin.host, port: port)
    }

    /// The URL to use instead of an `http` URL; nil if it stays the same.
    func upgraded(_ target: RequestTarget, now: Int) -> RequestTarget? {
        guard let origin = upgraded(target.origin, now: now) else { return nil }
        let userInfo = target.userInfo.map { $0 + "@" } ?? ""
        let fragment = target.fragment.map { "#" + $0 } ?? ""
        return try? RequestTarget(
            "\(origin.scheme.rawValue)://\(userInfo)\(origin.urlAuthority)\(target.path)\(fragment)", pathAsIs: true)
    }

    /// Turns a request that is about to be sent to a known host into a request over TLS.
    /// - Parameters:
    ///   - origin: where the request goes; changed with it.
    ///   - now: seconds since 1970.
    func prepare(_ request: inout HTTPRequest, for origin: inout Origin, now: Int) {
        guard let secure = upgraded(origin, now: now) else { return }
        origin = secure
        request.scheme = secure.scheme.rawValue
        request.authority = secure.urlAuthority
    }

    /// Learns from a response.
    /// - Parameters:
    ///   - field: the value of its first `strict-transport-security` field; others do not count (RFC 6797 section 8.1).
    ///   - isVerified: whether the server's certificate was verified.
    ///   - now: seconds since 1970.
    package func learn(from field: [UInt8], origin: Origin, isVerified: Bool, now: Int) {
        guard origin.scheme == .https, isVerified, let field = StrictTransportField(field) else { return }
        let (end, overflow) = now.addingReportingOverflow(field.maximumAge)
        let expires = overflow ? Int.max : end
        guard
            let host = Host(
                origin.host, includesSubdomains: field.includesSubdomains,
                expires: field.maximumAge == 0 ? Int.min : expires)
        else { return }
        insert(host, now: now)
    }
}
