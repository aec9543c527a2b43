import HTTPTypes

@testable import H2Client

// State that lasts between requests: cookies, hosts that want TLS, credentials.

/// 2026-01-01.
private let now = 1_767_225_600

/// Each line is a field of a response: its cookies belong to that host, within the limits, and are sent back in one valid field.
@Sendable func cookies(_ input: [UInt8]) {
    guard let origin = try? Origin("https://shop.example.co.uk") else { preconditionFailure("a valid origin") }
    let limits = CookieJar.Limits(cookies: 20, cookiesPerDomain: 8, fieldBytes: 600)
    let jar = CookieJar(limits: limits)
    var request = HTTPRequest(method: .get, scheme: "https", authority: "shop.example.co.uk", path: "/a/b?c")
    let fields = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    jar.learn(from: fields, request: request, origin: origin, now: now)
    let cookies = jar.cookies(now: now)
    precondition(cookies.count <= limits.cookies, "more cookies than allowed")
    for cookie in cookies {
        precondition(["shop.example.co.uk", "example.co.uk"].contains(cookie.domain), "a cookie for \(cookie.domain)")
        precondition(!cookie.isHostOnly || cookie.domain == "shop.example.co.uk")
        precondition(jar.accepts(cookie), "a file could not hold it")
    }
    jar.prepare(&request, for: origin, now: now)
    precondition(request.headerFields[fields: .cookie].count <= 1, "more than one field")
    for field in request.headerFields[fields: .cookie] {
        field.withUnsafeBytesOfValue { value in
            precondition(value.count <= limits.fieldBytes, "a longer field than allowed")
            precondition(value.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }, "a field that is not valid")
        }
    }
    CookieJar.removeCookies(replacedBy: fields, from: &request, now: now)
    precondition(request.headerFields[fields: .cookie].allSatisfy { !$0.value.isEmpty })
    checkFile(of: jar)
}

/// A file of cookies is read like what is written of it.
@Sendable func netscape(_ input: [UInt8]) {
    let jar = CookieJar(limits: CookieJar.Limits(cookies: 20, cookiesPerDomain: 8))
    let report = jar.load(input, now: now)
    precondition((report.skippedLines == 0) == (report.firstSkippedLine == nil))
    precondition(jar.cookies(now: now).count <= min(report.cookies, 20))
    checkFile(of: jar)
}

private func checkFile(of jar: CookieJar) {
    let file = jar.netscapeFile(includingSessionCookies: true, now: now)
    let again = CookieJar()
    let report = again.load(file.bytes, now: now)
    precondition(report.skippedLines == 0 && report.cookies == file.count, "its own file is not read")
    precondition(again.netscapeFile(includingSessionCookies: true, now: now).bytes == file.bytes, "its file changes")
}

/// The input is a field and a file; what is written of either is read again.
@Sendable func strictTransport(_ input: [UInt8]) {
    guard let origin = try? Origin("https://shop.example.com") else { preconditionFailure("a valid origin") }
    let store = StrictTransportStore(maximumHosts: 50)
    let report = store.load(input, now: now)
    store.learn(from: input, origin: origin, isVerified: true, now: now)
    let hosts = store.hosts(now: now)
    precondition(hosts.count <= min(report.hosts + 1, 50))
    let again = StrictTransportStore()
    let second = again.load(StrictTransportFile.text(hosts), now: now)
    precondition(second.skippedLines == 0 && second.hosts == hosts.count, "its own file is not read")
    precondition(again.hosts(now: now).map(\.name) == hosts.map(\.name), "its file changes")
    for host in hosts { precondition(again.contains(host.name, now: now) == store.contains(host.name, now: now)) }
}

/// Each line is a challenge: the answer is one line.
@Sendable func challenges(_ input: [UInt8]) {
    // No version of HTTP has them in a field.
    guard !input.contains(0x0d), !input.contains(0) else { return }
    guard let answer = AuthenticationInput.answer(challenges: input) else { return }
    precondition(answer.starts(with: "Digest ".utf8) && answer.count <= 3 * DigestChallenge.lengthLimit + 1_000)
    precondition(answer.allSatisfy { $0 != 0x0a && $0 != 0x0d && $0 != 0 }, "the answer is not one line")
}

/// A `.netrc` file has no more entries than words.
@Sendable func netrc(_ input: [UInt8]) {
    guard let entries = AuthenticationInput.entries(netrc: input) else { return }
    precondition(entries <= input.count / 7, "more entries than words")
}

/// Pieces and limits; the first bytes choose them.
@Sendable func contentCoding(_ input: [UInt8]) {
    let seed = input.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    ContentCodingFuzzing.run(Array(input.dropFirst(8)), seed: seed)
}
