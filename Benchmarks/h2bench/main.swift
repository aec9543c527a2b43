// The library's cost as a caller sees it: async/await through `HTTP2Connection` or `HTTPClient`, measured beside h2load by
// Scripts/bench.
import H2Platform
import H2Client
import HTTPTypes

func report(_ total: Tally, _ options: Options, seconds: Double, _ statistics: HTTPClient.Statistics?) {
    print(
        "ok=\(total.good) of=\(options.requests) bytes=\(total.bytes) seconds=\(seconds)",
        "requests_per_second=\(Int(Double(options.requests) / seconds))",
        "mb_per_second=\(Int(Double(total.bytes) / seconds / 1e6))", terminator: "")
    if options.countsRefusals { print(" refused=\(total.refused)", terminator: "") }
    if options.latencies {
        let latencies = total.latencies.sorted()
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)] {
            let index = min(Int(Double(latencies.count) * share), latencies.count - 1)
            print(" \(name)_us=\(Double(latencies[index]) / 1e3)", terminator: "")
        }
    }
    if let statistics {
        print(
            " connections=\(statistics.connectionsOpened) handshakes=\(statistics.handshakes)",
            "handshakes_resumed=\(statistics.handshakesResumed)", "client_requests=\(statistics.requests)",
            "on_reused_connections=\(statistics.requestsOnReusedConnections)", "retries=\(statistics.retries)",
            terminator: "")
    }
    print()
}

func runOnConnection(_ options: Options) async throws -> Bool {
    let target = try RequestTarget(options.url)
    let connection = try await HTTP2Connection.connect(to: target.origin, configuration: options.configuration)
    // The server's SETTINGS are its first frame, so they are known once it has answered anything.
    _ = try await connection.ping()
    let limit = await connection.snapshot().remoteSettings.maxConcurrentStreams
    guard allowsAllCallers(limit, options) else { return false }
    let start = nanoseconds()
    let total = try await sendAll(.connection(connection), target, options, connection.executor)
    let seconds = Double(nanoseconds() - start) / 1e9
    await connection.close()
    report(total, options, seconds: seconds, nil)
    return total.good == options.requests
}

func runOnClient(_ options: Options) async throws -> Bool {
    let target = try RequestTarget(options.url)
    let client = HTTPClient(configuration: options.clientConfiguration)
    let limit: Int? = try await client.withConnection(to: target.origin) { connection in
        guard connection.version == .http2 else { return nil }
        let request = HTTPRequest(method: .head, scheme: nil, authority: nil, path: target.path)
        _ = try await connection.send(request).body.discard()
        return await connection.snapshot().remoteSettings.maxConcurrentStreams
    }
    guard allowsAllCallers(limit, options) else { return false }
    let start = nanoseconds()
    let total = try await sendAll(
        .client(client), target, options, client.configuration.eventLoops[0].taskExecutor)
    let seconds = Double(nanoseconds() - start) / 1e9
    let statistics = await client.statistics()
    await client.shutdown()
    report(total, options, seconds: seconds, statistics)
    return total.good + (options.countsRefusals ? total.refused : 0) == options.requests
}

// A synchronous main, so that nothing but the library is counted.
let options = parse()
let done = DispatchlessSemaphore()
Task.detached { [options, done] in
    do {
        let isGood =
            switch options.through {
            case .connection: try await runOnConnection(options)
            case .client, .http1Client: try await runOnClient(options)
            case .allWays: try await compareWays(options)
            case .cookieJar: try measureCookieJar(options)
            }
        done.signal(isGood ? 0 : 1)
    } catch {
        complain("h2bench: \(error)")
        done.signal(1)
    }
}
if let time = options.exitAfter {
    // For Tests/h2getTests/ExitTests.swift: loops are at work, in OpenSSL too, while exit(3) runs what was registered for it.
    usleep(time)
    exit(0)
}
exit(done.wait())
