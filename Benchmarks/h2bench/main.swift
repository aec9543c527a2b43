// The library's cost as a caller sees it: async/await through `HTTP2Connection`, measured beside h2load by Scripts/bench.
import Glibc
import H2Client
import HTTPTypes

struct Options: Sendable {
    var url = ""
    var requests = 1_000
    var streams = 1
    /// Where callers run: isolated to the connection (on its loop), preferring the loop as task executor, or on Swift's
    /// global pool.
    var place = "isolated"
    /// What is done with bodies: collect (read whole), discard, chunks (pulled one by one).
    var body = "collect"
    var caFile: String?
}

func usage() -> Never {
    print(
        "usage: h2bench URL [-n requests] [-m streams] [--task-executor | --global] [--discard | --chunks] [--cacert FILE]"
    )
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
        case "-m": options.streams = number(arguments.popFirst())
        case "--global": options.place = "global"
        case "--task-executor": options.place = "executor"
        case "--discard": options.body = "discard"
        case "--chunks": options.body = "chunks"
        case "--cacert": options.caFile = arguments.popFirst()
        default: options.url = argument
        }
    }
    if options.url.isEmpty { usage() }
    return options
}

/// One caller: sends its share of the requests one after the other.
nonisolated(nonsending) func caller(
    _ connection: HTTP2Connection, _ target: RequestTarget, _ count: Int, _ body: String
) async throws -> (bytes: Int, good: Int) {
    var bytes = 0
    var good = 0
    let scheme = target.origin.scheme.rawValue
    let authority = target.origin.authority
    for _ in 0..<count {
        let request = HTTPRequest(
            method: .get, scheme: scheme, authority: authority, path: target.path)
        let response = try await connection.send(request)
        switch body {
        case "discard": bytes += try await response.body.discard()
        case "chunks":
            for try await chunk in response.body { bytes += chunk.count }
        default: bytes += try await response.body.collect(upTo: 1 << 30).count
        }
        if response.status == .ok { good += 1 }
    }
    return (bytes, good)
}

@Sendable func run(_ options: Options) async throws {
    let target = try RequestTarget(options.url)
    var configuration = Configuration()
    configuration.tls.caFile = options.caFile
    configuration.tls.verifiesPeer = options.caFile != nil
    let connection = try await HTTP2Connection.connect(to: target.origin, configuration: configuration)
    let start = ContinuousClock.now
    let executor: (any TaskExecutor)? = options.place == "executor" ? connection.executor : nil
    let total = try await withThrowingTaskGroup(of: (bytes: Int, good: Int).self) { group in
        for index in 0..<options.streams {
            let share = options.requests / options.streams + (index < options.requests % options.streams ? 1 : 0)
            group.addTask(executorPreference: executor) {
                guard options.place == "isolated" else {
                    return try await caller(connection, target, share, options.body)
                }
                return try await connection.isolated { try await caller($0, target, share, options.body) }
            }
        }
        return try await group.reduce((bytes: 0, good: 0)) { ($0.bytes + $1.bytes, $0.good + $1.good) }
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    await connection.close()
    print(
        "\(total.good) of \(options.requests) ok, \(total.bytes) bytes, "
            + "\(Int(Double(options.requests) / seconds)) req/s, \(Int(Double(total.bytes) / seconds / 1e6)) MB/s")
}

// A synchronous main, so that nothing but the library is counted.
let options = parse()
let done = DispatchlessSemaphore()
Task.detached { [options, done] in
    do {
        try await run(options)
        done.signal(0)
    } catch {
        print("failed: \(error)")
        done.signal(1)
    }
}
exit(done.wait())
