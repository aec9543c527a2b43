import H2Platform
import H2Client
import HTTPTypes

/// Counts the work of callers.
struct Tally: Sendable {
    var good = 0
    var refused = 0
    var bytes = 0
    /// Of each request, until its body was read, in nanoseconds.
    var latencies: [UInt32] = []
    /// Of each request, until its header fields were there.
    var heads: [UInt32] = []

    mutating func add(_ other: Tally) {
        good += other.good
        refused += other.refused
        bytes += other.bytes
        latencies += other.latencies
        heads += other.heads
    }
}

/// The connection or client that a caller uses.
enum Sender: Sendable {
    case connection(HTTP2Connection)
    case client(HTTPClient)
}

/// One caller: sends its share of the requests one after the other.
nonisolated(nonsending) func call(
    _ sender: Sender, _ target: RequestTarget, _ count: Int, _ options: Options
) async throws -> Tally {
    var tally = Tally()
    if options.latencies { tally.latencies.reserveCapacity(count) }
    let scheme = target.origin.scheme.rawValue
    let authority = target.origin.authority
    for _ in 0..<count {
        let start = options.latencies ? nanoseconds() : 0
        let request = HTTPRequest(method: .get, scheme: scheme, authority: authority, path: target.path)
        let response: StreamedResponse
        switch sender {
        case .connection(let connection): response = try await connection.send(request)
        case .client(let client): response = try await client.send(request)
        }
        switch options.body {
        case .collect: tally.bytes += try await response.body.collect(upTo: 1 << 30).count
        case .discard: tally.bytes += try await response.body.discard()
        case .chunks:
            for try await chunk in response.body { tally.bytes += chunk.count }
        case .write(let descriptor): tally.bytes += try await response.body.write(to: descriptor)
        }
        if response.status == .ok { tally.good += 1 }
        if response.status == .serviceUnavailable { tally.refused += 1 }
        if options.latencies { tally.latencies.append(UInt32(clamping: nanoseconds() - start)) }
    }
    return tally
}

func nanoseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The share of one caller in `requests`.
func share(of requests: Int, _ index: Int, _ callers: Int) -> Int {
    requests / callers + (index < requests % callers ? 1 : 0)
}

/// False if the limit allows fewer streams than there are callers, so that the wrong thing would be measured.
func allowsAllCallers(_ limit: Int?, _ options: Options) -> Bool {
    guard let limit, limit < options.callers else { return true }
    complain("h2bench: the server allows only \(limit) streams at once")
    return false
}

/// All callers at once, over one connection or client.
func sendAll(
    _ sender: Sender, _ target: RequestTarget, _ options: Options, _ loopExecutor: any TaskExecutor
) async throws -> Tally {
    let executor: (any TaskExecutor)? = options.place == .global ? nil : loopExecutor
    return try await withThrowingTaskGroup(of: Tally.self) { group in
        for index in 0..<options.callers {
            let share = share(of: options.requests, index, options.callers)
            if options.place == .isolated, case .connection(let connection) = sender {
                group.addTask {
                    try await connection.isolated { try await call(.connection($0), target, share, options) }
                }
            } else {
                group.addTask(executorPreference: executor) { try await call(sender, target, share, options) }
            }
        }
        return try await group.reduce(into: Tally()) { $0.add($1) }
    }
}
