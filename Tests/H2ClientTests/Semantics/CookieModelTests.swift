import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// Compares a store with a list that is searched for each request.
@Suite(.inTurn) struct CookieModelTests {
    private struct Model {
        var cookies: [(cookie: CookieJar.Cookie, created: Int)] = []
        var clock = 0

        mutating func insert(_ cookie: CookieJar.Cookie, isFromSecureOrigin: Bool, now: Int) {
            let shadows =
                !cookie.isSecure && !isFromSecureOrigin
                && cookies.contains { old in
                    old.cookie.isSecure && old.cookie.rawName == cookie.rawName
                        && !old.cookie.isExpired(at: now)
                        && (isIn(old.cookie.domain, cookie.domain) || isIn(cookie.domain, old.cookie.domain))
                        && isBelow(cookie.path, old.cookie.path)
                }
            if shadows { return }
            clock += 1
            var created = clock
            cookies.removeAll { old in
                let isSame =
                    old.cookie.rawName == cookie.rawName && old.cookie.domain == cookie.domain
                    && old.cookie.path == cookie.path && old.cookie.isHostOnly == cookie.isHostOnly
                if isSame, !old.cookie.isExpired(at: now) { created = old.created }
                return isSame
            }
            if !cookie.isExpired(at: now) { cookies.append((cookie, created)) }
        }

        func field(_ host: String, _ path: String, isSecure: Bool, now: Int) -> String? {
            let found = cookies.filter { entry in
                !entry.cookie.isExpired(at: now) && (isSecure || !entry.cookie.isSecure)
                    && isBelow(path, entry.cookie.path)
                    && (entry.cookie.isHostOnly
                        ? host == entry.cookie.domain : isIn(host, entry.cookie.domain))
            }.sorted {
                $0.cookie.path.utf8.count == $1.cookie.path.utf8.count
                    ? $0.created < $1.created : $0.cookie.path.utf8.count > $1.cookie.path.utf8.count
            }
            return found.isEmpty
                ? nil : found.map { "\($0.cookie.name)=\($0.cookie.value)" }.joined(separator: "; ")
        }

        private func isIn(_ host: String, _ domain: String) -> Bool {
            host == domain || host.hasSuffix("." + domain)
        }

        private func isBelow(_ path: String, _ other: String) -> Bool {
            path == other || path.hasPrefix(other.hasSuffix("/") ? other : other + "/")
        }
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `A store sends what a list would`(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        var store = CookieStore(
            limits: CookieJar.Limits(cookies: 100_000, cookiesPerDomain: 1_000, fieldBytes: 1 << 20))
        var model = Model()
        let hosts = [
            "a.test", "b.a.test", "c.b.a.test", "d.a.test", "a.test.", "intra", "co.uk", "x.co.uk",
            "y.co.uk",
        ]
        let paths = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"]
        var now = 1_000
        for step in 0..<400 {
            now += Int.random(in: 0...2, using: &generator)
            let host = hosts.randomElement(using: &generator)!
            if Bool.random(using: &generator) {
                let cookie = CookieJar.Cookie(
                    ["n", "m", "o"].randomElement(using: &generator)!, "\(step)", domain: host,
                    isHostOnly: !host.contains(".") || Bool.random(using: &generator),
                    path: paths.randomElement(using: &generator)!,
                    expires: Bool.random(using: &generator)
                        ? nil : now + Int.random(in: -5...100, using: &generator),
                    isSecure: Int.random(in: 0..<4, using: &generator) == 0)
                let isSecure = cookie.isSecure || Bool.random(using: &generator)
                _ = store.insert(cookie, isFromSecureOrigin: isSecure, now: now)
                model.insert(cookie, isFromSecureOrigin: isSecure, now: now)
            } else {
                let (path, isSecure) = (
                    paths.randomElement(using: &generator)!, Bool.random(using: &generator)
                )
                let scope = CookieScope(
                    try Origin(scheme: isSecure ? .https : .http, host: host), target: path)
                let field = store.field(for: scope, now: now).map { String(decoding: $0, as: UTF8.self) }
                try #require(
                    field == model.field(host, path, isSecure: isSecure, now: now),
                    "seed \(seed), step \(step)")
            }
            let all = store.all(now: now)
            try #require(
                all
                    == model.cookies.sorted { $0.created < $1.created }.map(\.cookie).filter {
                        !$0.isExpired(at: now)
                    })
            try #require(store.count >= all.count)
        }
        store.removeAll { _ in true }
        #expect(store.count == 0 && store.all(now: 0).isEmpty)
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `A store keeps its limits`(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let limits = CookieJar.Limits(
            cookies: Int.random(in: 1...30, using: &generator),
            cookiesPerDomain: Int.random(in: 1...8, using: &generator),
            fieldBytes: Int.random(in: 0...50, using: &generator))
        var store = CookieStore(limits: limits)
        var now = 1_000
        for step in 0..<300 {
            now += 1
            let host =
                "h\(Int.random(in: 0..<12, using: &generator)).s\(Int.random(in: 0..<4, using: &generator)).test"
            let cookie = CookieJar.Cookie(
                "n\(Int.random(in: 0..<12, using: &generator))", "v", domain: host,
                isHostOnly: Bool.random(using: &generator),
                expires: Bool.random(using: &generator)
                    ? nil : now + Int.random(in: 0...50, using: &generator),
                isSecure: Bool.random(using: &generator))
            let isIn = store.insert(cookie, isFromSecureOrigin: true, now: now)
            let all = store.all(now: now)
            try #require(store.count <= limits.cookies, "seed \(seed), step \(step)")
            // A new cookie is never the one that makes room.
            try #require(all.contains(cookie) == isIn, "seed \(seed), step \(step)")
            let counts = Dictionary(grouping: all, by: \.domain).mapValues(\.count)
            try #require(counts.values.allSatisfy { $0 <= limits.cookiesPerDomain })
            let scope = CookieScope(try Origin(scheme: .https, host: host), target: "/")
            try #require((store.field(for: scope, now: now)?.count ?? 0) <= limits.fieldBytes)
        }
    }
}
