import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct ConfigurationCheckTests {
    typealias Change = @Sendable (inout HTTPClient.Configuration) -> Void

    static let refused: [(option: String, change: Change)] = [
        ("eventLoops", { $0.eventLoops = [] }),
        ("eventLoops", { $0.eventLoops = .own(count: 0) }),
        ("eventLoops", { $0.eventLoops = .own(count: -1) }),
        ("windows.stream", { $0.connection.windows.stream = -1 }),
        ("windows.connection", { $0.connection.windows.connection = .min }),
        ("windows.maximum", { $0.connection.windows.maximum = 0 }),
        ("windows.unreadLimit", { $0.connection.windows.unreadLimit = -1 }),
        ("limits.headerListSize", { $0.connection.limits.headerListSize = -1 }),
        ("limits.concurrentStreams", { $0.connection.limits.concurrentStreams = 0 }),
        ("limits.waitingRequests", { $0.connection.limits.waitingRequests = -1 }),
        ("timeouts.tls", { $0.connection.timeouts.tls = .seconds(-1) }),
        ("timeouts.establish", { $0.connection.timeouts.establish = .nanoseconds(-1) }),
        ("connectTo.port", { $0.connection.connectTo = .init(host: "localhost", port: 65_536) }),
        (
            "tls.minimumVersion",
            {
                $0.connection.tls.minimumVersion = .tls13
                $0.connection.tls.maximumVersion = .tls12
            }
        ),
        (
            "tls.minimumVersion",
            {
                $0.proxies.tls = ConnectionConfiguration.TLS(minimumVersion: .tls13, maximumVersion: .tls12)
            }
        ),
        (
            "tls.pinnedKeys",
            {
                $0.connection.proxies.tls = ConnectionConfiguration.TLS(pinnedKeys: ["sha256//short"])
            }
        ),
        ("pool.connections", { $0.pool.connections = 0 }),
        ("pool.http1ConnectionsPerOrigin", { $0.pool.http1ConnectionsPerOrigin = 0 }),
        ("pool.streamsPerConnection", { $0.pool.streamsPerConnection = -5 }),
        ("pool.requestsPerConnection", { $0.pool.requestsPerConnection = 0 }),
        ("pool.whenSaturated", { $0.pool.whenSaturated = .openConnection(upTo: 0) }),
        ("pool.waitingRequests", { $0.pool.waitingRequests = -1 }),
        ("pool.idleTimeout", { $0.pool.idleTimeout = .seconds(-1) }),
        ("pool.maximumAge", { $0.pool.maximumAge = .zero }),
        ("pool.unreadTimeout", { $0.pool.unreadTimeout = .seconds(-1) }),
        ("retry.maximumAttempts", { $0.retry.maximumAttempts = 0 }),
        ("retry.budget", { $0.retry.budget = .nan }),
        ("retry.budget", { $0.retry.budget = .infinity }),
        ("retry.jitter", { $0.retry.jitter = 1.5 }),
        ("retry.jitter", { $0.retry.jitter = .nan }),
        ("loadLimits.requestsPerSecondPerOrigin", { $0.loadLimits.requestsPerSecondPerOrigin = .nan }),
        ("loadLimits.requestsPerSecondPerOrigin", { $0.loadLimits.requestsPerSecondPerOrigin = 0 }),
        ("loadLimits.requestsPerSecondPerOrigin", { $0.loadLimits.requestsPerSecondPerOrigin = -1 }),
        ("loadLimits.burst", { $0.loadLimits.burst = 0 }),
        ("loadLimits.concurrentRequests", { $0.loadLimits.concurrentRequests = 0 }),
        (
            "loadLimits.adaptive.decreaseFactor",
            {
                var adaptive = HTTPClient.LoadLimits.Adaptive()
                adaptive.decreaseFactor = .nan
                $0.loadLimits.adaptive = adaptive
            }
        ),
        (
            "loadLimits.adaptive.maximum",
            {
                var adaptive = HTTPClient.LoadLimits.Adaptive()
                adaptive.minimum = 5
                adaptive.maximum = 4
                $0.loadLimits.adaptive = adaptive
            }
        ),
        ("requestOptions.timeout", { $0.requestOptions.timeout = .seconds(-1) }),
    ]

    @Test func `Events of a client with an invalid configuration end at once`() async {
        var configuration = HTTPClient.Configuration()
        configuration.pool.connections = 0
        for await event in HTTPClient(configuration: configuration).events() { Issue.record("\(event)") }
    }

    @Test(arguments: refused.indices)
    func `A value that an option cannot have fails the check and each request, with the option's name`(
        index: Int
    ) async throws {
        let (option, change) = Self.refused[index]
        var configuration = HTTPClient.Configuration()
        change(&configuration)
        let fixed = configuration
        let checked = try #require(throws: H2Error.self) { try fixed.validate() }
        #expect(checked.code == .invalidConfiguration)
        #expect(checked.message.contains(option), "\(checked)")
        let client = HTTPClient(configuration: fixed)
        let request = try HTTPRequest(url: "http://127.0.0.1:1/")
        for _ in 0..<2 {
            let error = await #expect(throws: H2Error.self) { _ = try await client.send(request) }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.message == checked.message)
        }
        let error = await #expect(throws: H2Error.self) {
            try await client.withConnection(to: Origin("http://127.0.0.1:1")) { _ in }
        }
        #expect(error?.code == .invalidConfiguration)
        _ = await client.statistics()
        await client.shutdown()
    }

    @Test func `A connection of one's own is checked as well`() async throws {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = -1
        let fixed = configuration
        let error = await #expect(throws: H2Error.self) {
            _ = try await HTTP2Connection.connect(to: Origin("http://127.0.0.1:1"), configuration: fixed)
        }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test func `The defaults and the largest values are right`() throws {
        try HTTPClient.Configuration().validate()
        var configuration = HTTPClient.Configuration()
        configuration.connection.windows.stream = .max
        configuration.connection.limits.controlFramesPerSecond = .max
        configuration.pool.connections = .max
        configuration.pool.idleTimeout = .seconds(Int64.max)
        try configuration.validate()
    }

    // MARK: - Loops of a client's own

    /// Threads of this process that are named as loops are.
    private func loopThreads() -> Int {
        let folder = "/proc/self/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return threads.count { (try? String(contentsOfFile: "\(folder)/\($0)/comm", encoding: .utf8)) == "h2-loop\n" }
    }

    private func cleartextOrigin() throws -> OriginServer {
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        return try OriginServer.start(configuration)
    }

    /// Sends over each loop of a client's own, and says what was left of those loops.
    private func useClient(_ url: String, _ change: Change, shutsDown: Bool) async throws -> [() -> H2EventLoop?] {
        var configuration = HTTPClient.Configuration()
        change(&configuration)
        let client = HTTPClient(configuration: configuration)
        for _ in 0..<2 { #expect(try await client.send(HTTPRequest(url: url)).status == .ok) }
        let loops = client.configuration.eventLoops.map { loop in { [weak loop] in loop } }
        if shutsDown { await client.shutdown() }
        return loops
    }

    @Test(arguments: [true, false])
    func `A client's own loops end with it, whether it is shut down or dropped`(shutsDown: Bool) async throws {
        let origin = try cleartextOrigin()
        var loops: [() -> H2EventLoop?] = []
        for _ in 0..<20 {
            loops += try await useClient(origin.url, { $0.eventLoops = .own(count: 2) }, shutsDown: shutsDown)
            loops += try await useClient(origin.url, { $0.eventLoops = [H2EventLoop()] }, shutsDown: shutsDown)
        }
        #expect(loops.count == 60)
        waitUntil { loops.allSatisfy { $0() == nil } }
        await origin.stop()
    }

    @Test func `A client that was shut down has no threads though it is still held`() async throws {
        let origin = try cleartextOrigin()
        var configuration = HTTPClient.Configuration()
        configuration.eventLoops = .own(count: 2)
        var clients: [HTTPClient] = []
        let before = loopThreads()
        for _ in 0..<50 {
            let client = HTTPClient(configuration: configuration)
            _ = try await client.send(HTTPRequest(url: origin.url)).body.discard()
            clients.append(client)
        }
        // Loops that nothing was sent over have no thread yet. Other tests have theirs come and go meanwhile.
        #expect(Set(clients.flatMap(\.configuration.eventLoops).map { ObjectIdentifier($0) }).count == 100)
        for client in clients { await client.shutdown() }
        waitUntil { loopThreads() < before + 40 }
        withExtendedLifetime(clients) {}
        await origin.stop()
    }
}
