import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite(.inTurn) struct StrictTransportTests {
    private static let now = 1_700_000_000

    // MARK: - The field

    @Test(arguments: [
        ("max-age=31536000", 31_536_000, false), ("max-age=0", 0, false),
        ("MAX-AGE=\"15\"; IncludeSubDomains", 15, true),
        ("includeSubDomains; max-age=1", 1, true), ("; ;max-age = 1 ;", 1, false), ("max-age=1; preload", 1, false),
        ("max-age=1; x=\"a;includeSubDomains\\\";\"", 1, false), ("max-age=99999999999999999999", Int.max, false),
        ("max-age=1; x=y; includesubdomains", 1, true),
    ])
    func `A field`(text: String, age: Int, includesSubdomains: Bool) {
        let field = StrictTransportField(Array(text.utf8))
        #expect(field?.maximumAge == age)
        #expect(field?.includesSubdomains == includesSubdomains)
    }

    @Test(arguments: [
        "", ";", "includeSubDomains", "max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=\"1", "max-age=\"",
        "max-age=1 2",
        "max-age=1; max-age=1", "max-age=1; MAX-AGE=2", "max-age=1; includeSubDomains; includeSubDomains",
        "max-age=1; =x",
        "max-age=1; includeSubDomains=yes", "max-age=1, max-age=1", "max-age=\u{661}",
    ])
    func `A field that must be ignored`(text: String) { #expect(StrictTransportField(Array(text.utf8)) == nil) }

    // MARK: - Hosts

    private func learned(_ field: String, from url: String, isVerified: Bool = true) throws -> StrictTransportStore {
        let store = StrictTransportStore()
        store.learn(from: Array(field.utf8), origin: try Origin(url), isVerified: isVerified, now: Self.now)
        return store
    }

    @Test(arguments: [
        ("max-age=10", "https://a.example", "a.example", true), ("max-age=10", "https://a.example", "A.Example", true),
        ("max-age=10", "https://a.example", "a.example.", true),
        ("max-age=10", "https://a.example.", "a.example", true),
        ("max-age=10", "https://a.example:8443", "a.example", true),
        ("max-age=10", "https://a.example", "b.a.example", false),
        ("max-age=10; includeSubDomains", "https://a.example", "b.a.example", true),
        ("max-age=10; includeSubDomains", "https://a.example", "c.b.a.example", true),
        ("max-age=10; includeSubDomains", "https://a.example", "ba.example", false),
        ("max-age=10; includeSubDomains", "https://a.example", "example", false),
        ("max-age=0", "https://a.example", "a.example", false),
        ("max-age=10", "http://a.example", "a.example", false), ("max-age=10", "https://192.0.2.1", "192.0.2.1", false),
        ("max-age=10; includeSubDomains", "https://0.2.1", "192.0.2.1", false),
        ("max-age=10", "https://[::1]", "::1", false),
        ("nonsense", "https://a.example", "a.example", false),
        ("max-age=99999999999999999999", "https://b\u{fc}cher.example", "xn--bcher-kva.example", true),
    ])
    func `Which hosts are known`(field: String, url: String, host: String, isKnown: Bool) throws {
        let store = try learned(field, from: url)
        #expect(store.contains(try Origin(scheme: .http, host: host).host, now: Self.now) == isKnown)
        #expect(
            try !learned(field, from: url, isVerified: false).contains(
                try Origin(scheme: .http, host: host).host, now: Self.now))
    }

    @Test func `A host is known for its time, and withdraws by zero`() throws {
        let store = try learned("max-age=10", from: "https://a.example")
        let origin = try Origin("https://a.example")
        #expect(store.contains("a.example", now: Self.now + 9))
        #expect(!store.contains("a.example", now: Self.now + 10))
        store.learn(from: Array("max-age=20".utf8), origin: origin, isVerified: true, now: Self.now + 5)
        #expect(store.contains("a.example", now: Self.now + 24))
        store.learn(from: Array("max-age=0".utf8), origin: origin, isVerified: true, now: Self.now + 6)
        #expect(!store.contains("a.example", now: Self.now + 6))
        #expect(store.hosts(now: Self.now).isEmpty)
    }

    @Test func `A subdomain of its own does not shorten what its domain says`() throws {
        let store = try learned("max-age=10; includeSubDomains", from: "https://a.example")
        store.learn(
            from: Array("max-age=0".utf8), origin: try Origin("https://b.a.example"), isVerified: true, now: Self.now)
        #expect(store.contains("b.a.example", now: Self.now))
    }

    @Test(arguments: [
        ("http://a.example/x?y", "https", "a.example"), ("http://a.example:80/", "https", "a.example"),
        ("http://a.example:8080/", "https", "a.example:8080"), ("http://a.example:443/", "https", "a.example"),
        ("http://b.example/", "http", "b.example"), ("https://a.example:80/", "https", "a.example:80"),
        ("http://sub.a.example/", "http", "sub.a.example"),
    ])
    func `A request to a known host`(url: String, scheme: String, authority: String) throws {
        let store = try learned("max-age=10", from: "https://a.example")
        let target = try RequestTarget(url)
        var request = try target.request()
        var origin = target.origin
        store.prepare(&request, for: &origin, now: Self.now)
        #expect(request.scheme == scheme && request.authority == authority && request.path == target.path)
        #expect(origin == (try Origin("\(scheme)://\(authority)")))
    }

    @Test func `An explicit port 80 in a request by hand is not kept`() throws {
        let store = try learned("max-age=10", from: "https://a.example")
        var request = HTTPRequest(method: .get, scheme: "http", authority: "a.example:80", path: "/")
        var origin = try Origin("http://a.example:80")
        store.prepare(&request, for: &origin, now: Self.now)
        #expect(request.authority == "a.example" && origin.port == 443)
    }

    @Test func `A full store forgets the hosts that were noted the longest ago`() throws {
        let store = StrictTransportStore(maximumHosts: 100)
        for number in 0..<100 {
            store.insert(try #require(StrictTransportStore.Host("h\(number).example")), now: Self.now)
        }
        store.insert(try #require(StrictTransportStore.Host("h0.example")), now: Self.now)
        store.insert(try #require(StrictTransportStore.Host("new.example")), now: Self.now)
        #expect(store.hosts(now: Self.now).count == 90)
        #expect(store.contains("h0.example", now: Self.now) && store.contains("new.example", now: Self.now))
        #expect(!store.contains("h1.example", now: Self.now))
        let none = StrictTransportStore(maximumHosts: -1)
        none.insert(try #require(StrictTransportStore.Host("a.example")), now: Self.now)
        #expect(none.hosts(now: Self.now).isEmpty)
    }

    @Test(arguments: [
        "", ".", "192.0.2.1", "127.1", "::1", "a b", "a/b", "a\n", "a..", "a..b", String(repeating: "a", count: 256),
    ])
    func `What is no host`(name: String) { #expect(StrictTransportStore.Host(name) == nil) }

    @Test func `A program adds and removes hosts`() throws {
        let store = StrictTransportStore()
        store.insert(try #require(StrictTransportStore.Host("A.example.", includesSubdomains: true)))
        #expect(store.contains("www.a.example") && !store.contains("192.0.2.1") && !store.contains("a b"))
        #expect(store.hosts.map(\.name) == ["a.example"])
        #expect(store.remove("a.EXAMPLE") && !store.remove("a.example"))
        store.insert(try #require(StrictTransportStore.Host("a.example")))
        store.removeAll()
        #expect(store.hosts.isEmpty)
    }

    // MARK: - The file

    @Test(arguments: [
        ("a.example \"20331231 23:59:59\"", "a.example", false, 2_019_686_399),
        (".a.example \"unlimited\"", "a.example", true, Int.max),
        ("A.Example\t \"20331231 23:59:59\"\r", "a.example", false, 2_019_686_399),
        ("a.example. \"99991231 23:59:59\"", "a.example", false, 253_402_300_799),
    ])
    func `A line of a file`(line: String, name: String, includesSubdomains: Bool, expires: Int) {
        let store = StrictTransportStore()
        let report = store.load(Array("# comment\n\n\(line)\n".utf8), now: Self.now)
        #expect(report == StrictTransportStore.LoadReport(hosts: 1))
        let host = StrictTransportStore.Host(name, includesSubdomains: includesSubdomains, expires: expires)
        #expect(store.hosts(now: Self.now) == [host].compactMap { $0 })
    }

    @Test(arguments: [
        "a.example", "a.example 20331231 23:59:59", "a.example \"\"", "a.example \"20331331 23:59:59\"",
        "a.example \"20330230 23:59:59\"",
        "a.example \"20331231 24:59:59\"", "a.example \"2033-12-31 23:59\"", "a.example \"20331231 23:59:59\" x",
        ". \"unlimited\"",
        "192.0.2.1 \"unlimited\"", "a/b \"unlimited\"", "\"unlimited\"", "a.example \"Unlimited",
        "a.example \"2033\u{661}231 23:59:59\"",
        String(repeating: "a", count: 2_000) + " \"unlimited\"",
    ])
    func `A line that cannot be used`(line: String) {
        let store = StrictTransportStore()
        let report = store.load(Array("b.example \"unlimited\"\n\(line)\n".utf8), now: Self.now)
        #expect(report == StrictTransportStore.LoadReport(hosts: 1, skippedLines: 1, firstSkippedLine: 2))
    }

    @Test func `A store comes back from its file as it was`() async throws {
        let path = try TemporaryDirectory.shared.newFolder("hsts") + "/hsts.txt"
        let store = StrictTransportStore()
        store.insert(
            try #require(StrictTransportStore.Host("a.example", includesSubdomains: true, expires: 2_019_686_399)))
        store.insert(try #require(StrictTransportStore.Host("b.example")))
        store.insert(try #require(StrictTransportStore.Host("c.example", expires: 253_402_300_799)))
        try await store.save(to: path)
        let copy = StrictTransportStore()
        #expect(try await copy.load(from: path) == StrictTransportStore.LoadReport(hosts: 3))
        #expect(copy.hosts == store.hosts)
        #expect(
            store.load(Array("old.example \"20200101 00:00:00\"".utf8))
                == StrictTransportStore.LoadReport(expiredHosts: 1))
    }
}
