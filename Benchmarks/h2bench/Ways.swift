import H2Platform
import H2Client
import HTTPTypes

// The same requests in each way of reusing connections: docs/reuse.md.

/// One way of reusing connections, or of not doing so.
struct Way: Sendable {
    var name: String
    var callers = 100
    /// The connection is closed after each request.
    var closesAfterEach = false
    /// All requests on one connection that the client lends.
    var isByHand = false
    /// Every second request goes to the same server by its other name.
    var hasTwoHosts = false
    var configuration: HTTPClient.Configuration

    init(_ name: String, _ connection: ConnectionConfiguration, _ change: (inout HTTPClient.Configuration) -> Void) {
        self.name = name
        configuration = HTTPClient.Configuration()
        configuration.connection = connection
        change(&configuration)
    }

    func with(callers: Int = 100, closing: Bool = false, byHand: Bool = false, twoHosts: Bool = false) -> Way {
        var way = self
        (way.callers, way.closesAfterEach, way.isByHand, way.hasTwoHosts) = (callers, closing, byHand, twoHosts)
        return way
    }

    /// In the order of docs/reuse.md.
    static func all(_ connection: ConnectionConfiguration) -> [Way] {
        var withoutSessions = connection
        withoutSessions.tls.resumesSessions = false
        return [
            Way("a new connection for each request, no TLS resumption", withoutSessions) {
                $0.versions = .http1Only
            }.with(callers: 1, closing: true),
            Way("a new connection for each request, TLS resumed", connection) {
                $0.versions = .http1Only
            }.with(callers: 1, closing: true),
            Way("HTTP/1.1, one connection by hand", connection) { $0.versions = .http1Only }
                .with(callers: 1, byHand: true),
            Way("HTTP/1.1, a pool of 8", connection) { $0.versions = .http1Only },
            Way("HTTP/1.1, a pool of 100", connection) {
                $0.versions = .http1Only
                $0.pool.http1ConnectionsPerOrigin = 100
            },
            Way("HTTP/2, one connection by hand, one request at a time", connection) { $0.versions = .http2Only }
                .with(callers: 1, byHand: true),
            Way("HTTP/2, one connection by hand", connection) { $0.versions = .http2Only }.with(byHand: true),
            Way("HTTP/2, multiplexed by the client", connection) { _ in },
            Way("HTTP/2, four connections", connection) {
                $0.pool.streamsPerConnection = 25
                $0.pool.whenSaturated = .openConnection(upTo: 4)
            },
            Way("HTTP/2, two host names, a connection each", connection) { _ in }.with(twoHosts: true),
            Way("HTTP/2, two host names, coalesced", connection) { $0.pool.coalesces = true }.with(twoHosts: true),
        ]
    }
}

/// The costs of one way.
struct Cost: Sendable {
    var connections = 0
    var handshakes = 0
    var resumed = 0
    /// Microseconds from the call to the header fields, the median.
    var firstByte = 0.0
    /// Milliseconds from making the client until all its connections are closed.
    var total = 0.0
    /// Microseconds of CPU a request.
    var cpu = 0.0
}

/// User and system time of the process in nanoseconds.
private func cpuTime() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func nanoseconds(_ time: timeval) -> Int { time.tv_sec * 1_000_000_000 + Int(time.tv_usec) * 1_000 }
    return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)
}

/// Sends, and notes how long the header fields took.
private nonisolated(nonsending) func fetch(
    _ origin: Origin, _ path: String, _ tally: inout Tally,
    _ send: nonisolated(nonsending) (HTTPRequest) async throws -> StreamedResponse
) async throws {
    let request = HTTPRequest(
        method: .get, scheme: origin.scheme.rawValue, authority: origin.authority, path: path)
    let start = nanoseconds()
    let response = try await send(request)
    tally.heads.append(UInt32(clamping: nanoseconds() - start))
    tally.bytes += try await response.body.collect(upTo: 1 << 30).count
    if response.status == .ok { tally.good += 1 }
}

private nonisolated(nonsending) func requests(
    _ way: Way, _ target: RequestTarget, _ count: Int, _ client: HTTPClient
) async throws -> Tally {
    let hosts = [
        try Origin(scheme: target.origin.scheme, host: "localhost", port: target.origin.port),
        try Origin(scheme: target.origin.scheme, host: "127.0.0.1", port: target.origin.port),
    ]
    /// As many callers as the way has, each on the loop.
    nonisolated(nonsending) func all(
        _ count: Int, _ send: @escaping @Sendable (Int, inout Tally) async throws -> Void
    ) async throws -> Tally {
        try await withThrowingTaskGroup(of: Tally.self) { group in
            for caller in 0..<way.callers {
                let own = share(of: count, caller, way.callers)
                group.addTask(executorPreference: client.configuration.eventLoops[0].taskExecutor) {
                    var tally = Tally()
                    for number in 0..<own { try await send(caller + number, &tally) }
                    return tally
                }
            }
            return try await group.reduce(into: Tally()) { $0.add($1) }
        }
    }
    if way.isByHand {
        return try await client.withConnection(to: hosts[0]) { connection in
            try await all(count) { _, tally in
                try await fetch(hosts[0], target.path, &tally) { try await connection.send($0) }
            }
        }
    }
    guard way.hasTwoHosts else {
        return try await all(count) { _, tally in
            try await fetch(hosts[0], target.path, &tally) { try await client.send($0) }
            if way.closesAfterEach { client.closeIdle() }
        }
    }
    // One before the others: the connection to share must exist.
    var first = Tally()
    try await fetch(hosts[0], target.path, &first) { try await client.send($0) }
    var rest = try await all(count - 1) { number, tally in
        try await fetch(hosts[number % 2], target.path, &tally) { try await client.send($0) }
    }
    rest.add(first)
    return rest
}

private func measure(_ way: Way, _ target: RequestTarget, _ count: Int) async throws -> Cost {
    let (start, startCPU) = (nanoseconds(), cpuTime())
    let client = HTTPClient(configuration: way.configuration)
    let tally = try await requests(way, target, count, client)
    let statistics = await client.statistics()
    await client.shutdown()
    guard tally.good == count else {
        throw UnexpectedAnswers(way: way.name, good: tally.good, of: count)
    }
    var cost = Cost()
    cost.total = Double(nanoseconds() - start) / 1e6
    cost.cpu = Double(cpuTime() - startCPU) / 1e3 / Double(count)
    cost.firstByte = Double(tally.heads.sorted()[tally.heads.count / 2]) / 1e3
    cost.connections = statistics.connectionsOpened
    cost.handshakes = statistics.handshakes
    cost.resumed = statistics.handshakesResumed
    return cost
}

struct UnexpectedAnswers: Error, CustomStringConvertible {
    var way: String
    var good: Int
    var of: Int
    var description: String { "\(way): \(good) of \(of) requests were answered with 200" }
}

private func median<T: Comparable>(_ values: [T]) -> T { values.sorted()[values.count / 2] }

/// Three significant digits, more only before the point.
private func shown(_ value: Double) -> String {
    let decimals = value >= 100 ? 1 : value >= 10 ? 10 : 100
    let scaled = Int((value * Double(decimals)).rounded())
    if decimals == 1 { return "\(scaled)" }
    let fraction = "\(scaled % decimals)"
    let zeros = String(repeating: "0", count: (decimals == 10 ? 1 : 2) - fraction.count)
    return "\(scaled / decimals).\(zeros)\(fraction)"
}

/// Prints the table. The rounds are interleaved: a machine is not the same from minute to minute.
func compareWays(_ options: Options) async throws -> Bool {
    let target = try RequestTarget(options.url)
    let ways = Way.all(options.configuration)
    // Work that a process does once (OpenSSL's start, the resolver's thread) must not count for the first way.
    _ = try await measure(ways[0], target, 1)
    var costs = [[Cost]](repeating: [], count: ways.count)
    for _ in 0..<options.rounds {
        for (index, way) in ways.enumerated() {
            costs[index].append(try await measure(way, target, options.requests))
        }
    }
    print("| \(options.requests) requests | callers | connections | handshakes | of these resumed", terminator: "")
    print(" | first byte, p50 | all done | CPU a request |")
    print("|---|---|---|---|---|---|---|---|")
    for (way, costs) in zip(ways, costs) {
        print(
            "| \(way.name) | \(way.callers) | \(median(costs.map(\.connections))) | \(median(costs.map(\.handshakes)))",
            "| \(median(costs.map(\.resumed))) | \(shown(median(costs.map(\.firstByte)))) us",
            "| \(shown(median(costs.map(\.total)))) ms | \(shown(median(costs.map(\.cpu)))) us |")
    }
    return true
}
