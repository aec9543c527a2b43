import H2Client
import H2Platform
import HTTPTypes

/// Prints the CPU time of a request's cookies. Of the five of a host, two are for its whole domain.
func measureCookieJar(_ options: Options) throws -> Bool {
    let jar = CookieJar(limits: CookieJar.Limits(cookies: options.cookies))
    let hosts = (options.cookies + 4) / 5
    for number in 0..<options.cookies {
        let host = "site\(number / 5).example.com"
        let isHostOnly = number % 5 < 3
        try jar.insert(
            CookieJar.Cookie(
                "cookie\(number % 5)", "0123456789abcdef0123456789abcdef", domain: isHostOnly ? "www.\(host)" : host,
                isHostOnly: isHostOnly))
    }
    let targets = try (0..<hosts).map { try RequestTarget("https://www.site\($0).example.com/account/orders?page=2") }
    let requests = try targets.map { try $0.request() }
    var bytes = 0
    var medians: [(name: String, nanoseconds: Int)] = []
    for (name, hasCookies) in [("with_cookies", true), ("other_host", false)] {
        let other = try Origin("https://www.example.org")
        let times = (0..<options.rounds).map { _ in
            let start = processorNanoseconds()
            for index in 0..<options.requests {
                var request = requests[index % hosts]
                jar.prepare(&request, for: hasCookies ? targets[index % hosts].origin : other, now: 1_700_000_000)
                bytes += request.headerFields.count
            }
            return (processorNanoseconds() - start) / options.requests
        }
        medians.append((name, times.sorted()[times.count / 2]))
    }
    let figures = medians.map { "\($0.name)_ns=\($0.nanoseconds)" }.joined(separator: " ")
    print("cookies=\(jar.cookies.count) requests=\(options.requests) \(figures)")
    // So that the work is not left out.
    return bytes >= 0
}

private func processorNanoseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
}
