// The library's cost as a caller sees it: async/await through `HTTP2Connection`, measured beside h2load by Scripts/bench.
import Glibc
import H2Client
import HTTPTypes

/// Where callers run.
enum Place: Sendable {
    /// Isolated to the connection, so on its loop's thread.
    case isolated
    /// Tasks that prefer the connection's loop as their executor.
    case taskExecutor
    /// Tasks on Swift's global pool.
    case global
}

/// What is done with each response's body.
enum BodyUse: Sendable {
    /// Read whole, into an array.
    case collect
    /// Read and thrown away by the library.
    case discard
    /// Pulled chunk by chunk, each dropped.
    case chunks
    /// Written to this descriptor, of /dev/null.
    case write(CInt)
}

struct Options: Sendable {
    var url = ""
    var requests = 1_000
    var callers = 1
    var place = Place.isolated
    var body = BodyUse.collect
    var caFile: String?
    var latencies = false
}

/// To standard error. (Swift 6 takes C's `stderr` for shared mutable state.)
func complain(_ text: String) {
    let line = text + "\n"
    _ = line.utf8.withContiguousStorageIfAvailable { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

func usage() -> Never {
    complain(
        """
        usage: h2bench URL [-n REQUESTS] [-m STREAMS] [--task-executor | --global]
                       [--discard | --chunks | --write-null] [--latency] [--cacert FILE]
        Sends REQUESTS GETs over one connection from STREAMS callers, and prints name=value pairs. Callers run isolated
        to the connection unless told otherwise, and read each body whole. --latency adds percentiles. Without --cacert
        the server's certificate is not verified. Fails unless the server allows STREAMS streams at once and every
        answer is a 200.
        """)
    exit(2)
}

func parse() -> Options {
    var options = Options()
    var arguments = CommandLine.arguments.dropFirst()
    func number(_ text: String?) -> Int {
        guard let text, let value = Int(text), value > 0 else { usage() }
        return value
    }
    while let argument = arguments.popFirst() {
        switch argument {
        case "-n": options.requests = number(arguments.popFirst())
        case "-m": options.callers = number(arguments.popFirst())
        case "--global": options.place = .global
        case "--task-executor": options.place = .taskExecutor
        case "--discard": options.body = .discard
        case "--chunks": options.body = .chunks
        case "--write-null": options.body = .write(open("/dev/null", O_WRONLY | O_CLOEXEC))
        case "--latency": options.latencies = true
        case "--cacert":
            guard let file = arguments.popFirst() else { usage() }
            options.caFile = file
        case _ where argument.hasPrefix("-") || !options.url.isEmpty: usage()
        default: options.url = argument
        }
    }
    if options.url.isEmpty { usage() }
    return options
}

/// What callers have done.
struct Tally: Sendable {
    var good = 0
    var bytes = 0
    /// Of each request, until its body was read, in nanoseconds.
    var latencies: [UInt32] = []

    mutating func add(_ other: Tally) {
        good += other.good
        bytes += other.bytes
        latencies += other.latencies
    }
}

/// One caller: sends its share of the requests one after the other.
nonisolated(nonsending) func call(
    _ connection: HTTP2Connection, _ target: RequestTarget, _ count: Int, _ options: Options
) async throws -> Tally {
    var tally = Tally()
    if options.latencies { tally.latencies.reserveCapacity(count) }
    let scheme = target.origin.scheme.rawValue
    let authority = target.origin.authority
    for _ in 0..<count {
        let start = options.latencies ? nanoseconds() : 0
        let request = HTTPRequest(method: .get, scheme: scheme, authority: authority, path: target.path)
        let response = try await connection.send(request)
        switch options.body {
        case .collect: tally.bytes += try await response.body.collect(upTo: 1 << 30).count
        case .discard: tally.bytes += try await response.body.discard()
        case .chunks:
            for try await chunk in response.body { tally.bytes += chunk.count }
        case .write(let descriptor): tally.bytes += try await response.body.write(to: descriptor)
        }
        if response.status == .ok { tally.good += 1 }
        if options.latencies { tally.latencies.append(UInt32(clamping: nanoseconds() - start)) }
    }
    return tally
}

func nanoseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// False where fewer streams than callers would be open at once, and so something else than asked for be measured.
func allowsAllCallers(_ connection: HTTP2Connection, _ options: Options) async throws -> Bool {
    // The server's SETTINGS are its first frame, so they are known once it has answered anything.
    _ = try await connection.ping()
    guard let limit = await connection.snapshot().remoteSettings.maxConcurrentStreams, limit < options.callers else {
        return true
    }
    complain("h2bench: the server allows only \(limit) streams at once")
    return false
}

@Sendable func run(_ options: Options) async throws -> Bool {
    let target = try RequestTarget(options.url)
    var configuration = Configuration()
    configuration.tls.caFile = options.caFile
    configuration.tls.verifiesPeer = options.caFile != nil
    let connection = try await HTTP2Connection.connect(to: target.origin, configuration: configuration)
    guard try await allowsAllCallers(connection, options) else { return false }
    let executor: (any TaskExecutor)? = options.place == .taskExecutor ? connection.executor : nil
    let start = nanoseconds()
    var total = try await withThrowingTaskGroup(of: Tally.self) { group in
        for index in 0..<options.callers {
            let share = options.requests / options.callers + (index < options.requests % options.callers ? 1 : 0)
            group.addTask(executorPreference: executor) {
                guard options.place == .isolated else {
                    return try await call(connection, target, share, options)
                }
                return try await connection.isolated { try await call($0, target, share, options) }
            }
        }
        return try await group.reduce(into: Tally()) { $0.add($1) }
    }
    let seconds = Double(nanoseconds() - start) / 1e9
    await connection.close()
    print(
        "ok=\(total.good) of=\(options.requests) bytes=\(total.bytes) seconds=\(seconds)",
        "requests_per_second=\(Int(Double(options.requests) / seconds))",
        "mb_per_second=\(Int(Double(total.bytes) / seconds / 1e6))", terminator: "")
    if options.latencies {
        total.latencies.sort()
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)] {
            let index = min(Int(Double(total.latencies.count) * share), total.latencies.count - 1)
            print(" \(name)_us=\(Double(total.latencies[index]) / 1e3)", terminator: "")
        }
    }
    print()
    return total.good == options.requests
}

// A synchronous main, so that nothing but the library is counted.
let options = parse()
let done = DispatchlessSemaphore()
Task.detached { [options, done] in
    do {
        done.signal(try await run(options) ? 0 : 1)
    } catch {
        complain("h2bench: \(error)")
        done.signal(1)
    }
}
exit(done.wait())
