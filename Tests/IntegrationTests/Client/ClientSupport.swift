import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

/// Runs an origin on a loop of its own, and a client that trusts it. Both end on every exit.
nonisolated(nonsending) func withOriginAndClient<R>(
    _ origin: OriginServer.Configuration = OriginServer.Configuration(),
    _ client: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (HTTPClient, OriginServer) async throws -> R
) async throws -> R {
    let server = try OriginServer.start(origin)
    defer { server.stopNow() }
    var configuration = HTTPClient.Configuration()
    if let pem = server.caPEM {
        let file = try TemporaryDirectory.shared.newPath("origin-ca.pem")
        try writeText(pem, to: file)
        configuration.connection.tls.caFile = file
    }
    client(&configuration)
    return try await withHTTPClient(configuration: configuration) { try await body($0, server) }
}

/// A client that trusts the CA of the real servers' certificates.
nonisolated(nonsending) func withClient<R>(
    of server: RunningServer, _ change: @Sendable (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (HTTPClient) async throws -> R
) async throws -> R {
    var configuration = HTTPClient.Configuration()
    configuration.connection = try server.configuration
    change(&configuration)
    return try await withHTTPClient(configuration: configuration, body)
}

/// What became of many requests.
struct Burst: Sendable {
    var served = 0
    var failures: [String] = []
    /// How many requests each connection served.
    var connections: [ConnectionID: Int] = [:]
    var versions: Set<HTTPProtocolVersion> = []
    /// Attempts that failed before the one that was answered.
    var failedAttempts = 0

    mutating func add(_ result: Result<CollectedResponse, any Error>, bytes: Int) {
        switch result {
        case .success(let whole) where whole.status == .ok && whole.body.count == bytes:
            served += 1
            connections[whole.response.connectionID, default: 0] += 1
            versions.insert(whole.response.version)
            failedAttempts += whole.response.failedAttempts.count
        case .success(let whole): failures.append("\(whole.status), \(whole.body.count) bytes")
        case .failure(let error): failures.append("\(error)")
        }
    }
}

extension HTTPClient {
    /// Sends so many GET requests at once, each of which is to be answered with so many bytes.
    nonisolated(nonsending) func burst(_ count: Int, _ url: String, bytes: Int = 3) async -> Burst {
        await withTaskGroup(of: Result<CollectedResponse, any Error>.self) { group in
            for _ in 0..<count {
                group.addTask {
                    do {
                        return .success(try await self.get(url))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            var burst = Burst()
            for await result in group { burst.add(result, bytes: bytes) }
            return burst
        }
    }

    /// Closes all connections. The last of a response comes to its reader before the connection is free again.
    nonisolated(nonsending) func closeAllIdle() async throws {
        try await eventually("all are closed") {
            closeIdle()
            return await open == 0
        }
    }

    /// How many of its connections there are at this moment.
    var open: Int {
        get async { await statistics().connectionsOpen }
    }
}

/// Expects that each of so many requests was answered.
func expectAllServed(_ burst: Burst, _ count: Int, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(burst.served == count, sourceLocation: sourceLocation)
    #expect(burst.failures.isEmpty, "\(burst.failures.prefix(3))", sourceLocation: sourceLocation)
}

/// Requests that go on, so many at a time, while something happens to their server.
///
/// Invariant behind `@unchecked Sendable`: `errors` is touched with `lock` held.
final class Load: @unchecked Sendable {
    let served = Counter()
    private let isOver = Counter()
    private let lock = PthreadLock()
    private var errors: [H2Error] = []

    var failures: [H2Error] { lock.withLock { errors } }

    /// Has `workers` tasks send GET requests, one after another, until `body` returns; what is under way then finishes.
    /// - Throws: what `body` throws, and what is no `H2Error`.
    nonisolated(nonsending) static func run(
        _ client: HTTPClient, _ url: String, workers: Int,
        during body: nonisolated(nonsending) (Load) async throws -> Void
    ) async throws -> Load {
        let load = Load()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<workers { group.addTask { try await load.work(client, url) } }
            defer { load.isOver.increment() }
            try await body(load)
        }
        return load
    }

    private func work(_ client: HTTPClient, _ url: String) async throws {
        while isOver.value == 0 {
            do {
                let whole = try await client.get(url)
                #expect(whole.status == .ok)
                served.increment()
            } catch let error as H2Error {
                lock.withLock { errors.append(error) }
                // A server that is down is asked again a little later.
                try await letTimePass(.milliseconds(5))
            }
        }
    }

    /// Waits for so many more answers than there are now.
    func goesOn(_ count: Int) async throws {
        let before = served.value
        try await eventually("\(count) more answers", within: .seconds(30)) { self.served.value >= before + count }
    }
}
