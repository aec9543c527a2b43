/// The cookies of a jar, by domain. It decides what is kept and what is sent; time comes in as a parameter.
///
/// Domains with the same last two labels form a family. All cookies that a host may be sent are in one family, and so
/// are all that a cookie may shadow. (Cookies of single-label domains are for one host only.) So no request looks at
/// all cookies.
struct CookieStore {
    /// A cookie with its creation and last use, as ticks of the store's clock. A class, because requests visit many
    /// entries and update their last use. Copies of a store share the entries, and read only the immutable parts.
    private final class Entry {
        let cookie: CookieJar.Cookie
        let created: UInt64
        var used: UInt64
        let pathLength: Int
        let expires: Int

        init(_ cookie: CookieJar.Cookie, created: UInt64, used: UInt64) {
            self.cookie = cookie
            self.created = created
            self.used = used
            pathLength = cookie.path.utf8.count
            expires = cookie.expires ?? Int.max
        }

        func isExpired(at now: Int) -> Bool { expires <= now }

        func precedes(_ other: Entry) -> Bool {
            pathLength == other.pathLength ? created < other.created : pathLength > other.pathLength
        }
    }

    private struct Family {
        var domains: [String: [Entry]] = [:]
        var count = 0
    }

    let limits: CookieJar.Limits
    private var families: [String: Family] = [:]
    private var clock: UInt64 = 0
    /// Number of cookies, including expired ones that have not been noticed yet.
    private(set) var count = 0

    init(limits: CookieJar.Limits) { self.limits = limits }

    /// The last two labels of a host or domain; an address stays whole.
    private static func family(of domain: String) -> String {
        guard !CookieScope.isAddress(domain) else { return domain }
        let bytes = domain.utf8
        guard let last = bytes.lastIndex(of: UInt8(ascii: ".")),
            let dot = bytes[..<last].lastIndex(of: UInt8(ascii: "."))
        else { return domain }
        return String(domain[bytes.index(after: dot)...])
    }

    // MARK: - Setting

    /// Stores a cookie, replacing the one with the same name, domain and path. If the new cookie has expired, only
    /// removes the old one (RFC 6265bis section 5.7).
    /// - Parameter isFromSecureOrigin: whether the cookie may replace or shadow a secure one.
    /// - Returns: whether the cookie is now in the store.
    mutating func insert(_ cookie: CookieJar.Cookie, isFromSecureOrigin: Bool, now: Int) -> Bool {
        let key = Self.family(of: cookie.domain)
        if !cookie.isSecure, !isFromSecureOrigin, shadowsSecureCookie(cookie, key, now) { return false }
        clock += 1
        let position = families[key]?.domains[cookie.domain]?.firstIndex { old in
            old.cookie.rawName == cookie.rawName && old.cookie.path == cookie.path
                && old.cookie.isHostOnly == cookie.isHostOnly
        }
        if let position {
            let old = families[key]!.domains[cookie.domain]![position]
            if cookie.isExpired(at: now) || old.isExpired(at: now) {
                change(key, cookie.domain) { $0.remove(at: position) }
            } else {
                families[key]!.domains[cookie.domain]![position] = Entry(cookie, created: old.created, used: clock)
                return true
            }
        }
        guard !cookie.isExpired(at: now), limits.cookiesPerDomain > 0, limits.cookies > 0 else { return false }
        let entry = Entry(cookie, created: clock, used: clock)
        guard makeRoom(in: key, cookie.domain, forSecureOrigin: isFromSecureOrigin, now) else { return false }
        change(key, cookie.domain) { entries in
            entries.insert(entry, at: entries.firstIndex { entry.precedes($0) } ?? entries.endIndex)
        }
        if count > limits.cookies { evict(now, sparing: entry) }
        return true
    }

    /// Makes room for one more cookie of a domain. Cookies that are not secure go first, and cleartext never evicts a
    /// cookie set over TLS.
    /// - Returns: whether there is now room.
    private mutating func makeRoom(in key: String, _ domain: String, forSecureOrigin: Bool, _ now: Int) -> Bool {
        let most = limits.cookiesPerDomain
        guard let count = families[key]?.domains[domain]?.count, count >= most else { return true }
        var hasRoom = true
        change(key, domain) { entries in
            entries.removeAll { $0.isExpired(at: now) }
            while hasRoom, entries.count >= most {
                let victim = entries.indices.min {
                    let (one, other) = (entries[$0], entries[$1])
                    return one.cookie.isSecure == other.cookie.isSecure
                        ? one.used < other.used : other.cookie.isSecure
                }!
                hasRoom = forSecureOrigin || !entries[victim].cookie.isSecure
                if hasRoom { entries.remove(at: victim) }
            }
        }
        return hasRoom
    }

    /// Whether a cookie from an insecure origin would be sent along with a secure one of the same name ("leave secure
    /// cookies alone", RFC 6265bis section 5.7).
    private func shadowsSecureCookie(_ cookie: CookieJar.Cookie, _ key: String, _ now: Int) -> Bool {
        guard let family = families[key] else { return false }
        for (domain, entries) in family.domains {
            guard
                CookieScope.matches(host: domain[...], domain: cookie.domain[...])
                    || CookieScope.matches(host: cookie.domain[...], domain: domain[...])
            else { continue }
            for entry in entries where entry.cookie.isSecure && entry.cookie.rawName == cookie.rawName {
                if CookieScope.matches(path: cookie.path.utf8, cookiePath: entry.cookie.path.utf8),
                    !entry.isExpired(at: now)
                {
                    return true
                }
            }
        }
        return false
    }

    /// Changes the cookies of a domain and updates the count.
    private mutating func change(_ key: String, _ domain: String, _ body: (inout [Entry]) -> Void) {
        let before = families[key]?.domains[domain]?.count ?? 0
        body(&families[key, default: Family()].domains[domain, default: []])
        let after = families[key]?.domains[domain]?.count ?? 0
        families[key]?.count += after - before
        count += after - before
        if after == 0 { families[key]?.domains[domain] = nil }
        if families[key]?.domains.isEmpty == true { families[key] = nil }
    }

    /// Makes room: removes expired cookies, and then a tenth of the limit, so that a full store does not repeat this
    /// for each cookie. Families with more than their share come first, and within them cookies that are not secure;
    /// then the least recently used ones.
    private mutating func evict(_ now: Int, sparing new: Entry) {
        removeAll { cookie in cookie.isExpired(at: now) }
        guard count > limits.cookies else { return }
        let excess = count - (limits.cookies - limits.cookies / 10)
        var candidates: [(rank: Int, used: UInt64, created: UInt64)] = []
        candidates.reserveCapacity(count)
        for family in families.values {
            let isGreedy = family.count > limits.cookiesPerDomain
            for entry in family.domains.values.joined() where entry !== new {
                candidates.append((!isGreedy ? 2 : entry.cookie.isSecure ? 1 : 0, entry.used, entry.created))
            }
        }
        candidates.sort { $0.rank == $1.rank ? $0.used < $1.used : $0.rank < $1.rank }
        let doomed = Set(candidates.prefix(excess).map(\.created))
        removeEntries { doomed.contains($0.created) }
    }

    // MARK: - Sending

    /// The value of the field `cookie` for a request, or nil if there is none (RFC 6265bis section 5.8.3).
    ///
    /// Cookies with longer paths come first, then older ones. What exceeds `limits.fieldBytes` is left out.
    mutating func field(for scope: CookieScope, now: Int) -> [UInt8]? {
        let found = matches(for: scope, now: now)
        guard !found.isEmpty else { return nil }
        var field: [UInt8] = []
        field.reserveCapacity(found.reduce(0) { $0 + $1.cookie.rawName.count + $1.cookie.rawValue.count + 3 })
        for entry in found {
            let start = field.count
            if start > 0 { field += [UInt8(ascii: ";"), UInt8(ascii: " ")] }
            if !entry.cookie.rawName.isEmpty {
                field += entry.cookie.rawName
                field.append(UInt8(ascii: "="))
            }
            field += entry.cookie.rawValue
            if field.count > limits.fieldBytes {
                field.removeSubrange(start...)
                break
            }
        }
        return field.isEmpty ? nil : field
    }

    /// The cookies for a request, in the order in which they are sent.
    mutating func cookies(for scope: CookieScope, now: Int) -> [CookieJar.Cookie] {
        matches(for: scope, now: now).map(\.cookie)
    }

    private mutating func matches(for scope: CookieScope, now: Int) -> [Entry] {
        let key = scope.isAddress ? scope.host : Self.family(of: scope.host)
        guard let family = families[key] else { return [] }
        clock += 1
        var found: [Entry] = []
        var haveExpired: [String] = []
        var sources = 0
        // The host itself, and each domain above it down to the family's.
        var domain = scope.host
        while true {
            if let entries = family.domains[domain] {
                let before = found.count
                let hasExpired = collect(entries, scope, isHost: domain == scope.host, now: now, into: &found)
                if hasExpired { haveExpired.append(domain) }
                if found.count > before { sources += 1 }
            }
            guard domain.utf8.count > key.utf8.count, let dot = domain.utf8.firstIndex(of: UInt8(ascii: ".")) else {
                break
            }
            domain = String(domain[domain.utf8.index(after: dot)...])
        }
        for domain in haveExpired { change(key, domain) { $0.removeAll { $0.isExpired(at: now) } } }
        // One domain's are in order.
        if sources > 1 { found.sort { $0.precedes($1) } }
        return found
    }

    /// Appends the matching cookies. Returns true if some have expired.
    private func collect(
        _ entries: [Entry], _ scope: CookieScope, isHost: Bool, now: Int, into found: inout [Entry]
    ) -> Bool {
        var hasExpired = false
        for entry in entries {
            if entry.isExpired(at: now) {
                hasExpired = true
            } else if isHost || !entry.cookie.isHostOnly, scope.isSecure || !entry.cookie.isSecure,
                CookieScope.matches(path: scope.path, cookiePath: entry.cookie.path.utf8)
            {
                entry.used = clock
                found.append(entry)
            }
        }
        return hasExpired
    }

    // MARK: - All

    /// All cookies that have not expired, the oldest first.
    func all(now: Int) -> [CookieJar.Cookie] {
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for family in families.values { for domain in family.domains.values { entries += domain } }
        entries.sort { $0.created < $1.created }
        return entries.lazy.filter { !$0.isExpired(at: now) }.map(\.cookie)
    }

    /// Removes cookies and returns their number.
    @discardableResult
    mutating func removeAll(where isUnwanted: (CookieJar.Cookie) -> Bool) -> Int {
        removeEntries { isUnwanted($0.cookie) }
    }

    @discardableResult
    private mutating func removeEntries(where isUnwanted: (Entry) -> Bool) -> Int {
        let before = count
        for key in Array(families.keys) {
            for (domain, entries) in families[key]!.domains where entries.contains(where: isUnwanted) {
                change(key, domain) { $0.removeAll(where: isUnwanted) }
            }
        }
        return before - count
    }
}
