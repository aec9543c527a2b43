import H2ClientTesting
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

/// What runs the pool's decisions: its lock, its names and its events.
@Suite(.inTurn, .timeLimit(.minutes(5)))
struct ConnectionPoolTests {
    // MARK: - The lock

    /// Runs each job at once, on whatever thread resumes it.
    private final class InPlace: TaskExecutor {
        func enqueue(_ job: consuming ExecutorJob) {
            UnownedJob(job).runSynchronously(on: asUnownedTaskExecutor())
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A caller's executor may run its task where that is resumed`(_ versions: OriginServer.Versions) async throws {
        try await withOriginAndClient(
            versions,
            {
                $0.pool.http1ConnectionsPerOrigin = 1
                $0.pool.streamsPerConnection = 1
            }
        ) { client, server in
            let url = "\(server.url)/bytes/3"
            let executor = InPlace()
            let counts = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask(executorPreference: executor) {
                        var bytes = 0
                        for _ in 0..<20 { bytes += (try? await client.get(url).body.count) ?? 0 }
                        return bytes
                    }
                }
                var counts: [Int] = []
                for await count in group { counts.append(count) }
                return counts
            }
            #expect(counts == Array(repeating: 60, count: 20))
        }
    }

    // MARK: - A task that was cancelled

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A task that was cancelled before its call dials nothing and is told as nothing`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withOriginAndClient(versions) { client, server in
            let events = client.events()
            let request = try HTTPRequest(url: "\(server.url)/bytes/3")
            let attempts: [@Sendable () async throws -> Void] = [
                { _ = try await client.send(request) },
                { _ = try await client.get("\(server.url)/bytes/3") },
                { _ = try await client.send(request, body: .writer { try await $0.write([1]) }) },
                { try await client.send(request, body: .writer { try await $0.write([1]) }) { _ in } },
                { try await client.withConnection(to: Origin(server.url)) { _ = try await $0.send(request) } },
            ]
            for attempt in attempts {
                let task = Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    try await attempt()
                }
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            let statistics = await client.statistics()
            #expect(statistics.requests == 0)
            #expect(statistics.connectionsOpened == 0)
            await client.shutdown()
            var told: [HTTPClient.Event] = []
            for await event in events { told.append(event) }
            #expect(told.isEmpty, "\(told)")
            #expect(server.statistics.connectionsPeak == 0)
        }
    }

    // MARK: - Loans

    @Test func `A loan of a busy HTTP/2 connection ends with its own requests, and they alone are counted`()
        async throws
    {
        try await withOriginAndClient(.http2) { client, server in
            _ = try await client.get("\(server.url)/bytes/3")
            let busy = Task { try await client.get("\(server.url)/delay/60000") }
            while server.statistics.requests < 2 { await Task.yield() }
            let origin = try Origin(server.url)
            let request = try HTTPRequest(url: "\(server.url)/bytes/3")
            for _ in 0..<5 {
                try await client.withConnection(to: origin) { connection in
                    for _ in 0..<2 { _ = try await connection.send(request).body.collect(upTo: 10) }
                }
            }
            let pool = client.pool
            func record() -> ConnectionRecord? {
                pool.lock.withLock { pool.state.connections.isTaken(0) ? pool.state.connections[0] : nil }
            }
            while record()?.holders != 0 { await Task.yield() }
            #expect(record()?.served == 12)
            #expect(record()?.streams == 1)
            busy.cancel()
            _ = try? await busy.value
        }
    }

    @Test(arguments: [OriginServer.Versions.http1, .http2])
    func `A loan goes on until the responses that it was used for are over`(
        _ versions: OriginServer.Versions
    ) async throws {
        try await withOriginAndClient(versions, { $0.pool.http1ConnectionsPerOrigin = 1 }) { client, server in
            let size = 10_000_000
            let request = try HTTPRequest(url: "\(server.url)/bytes/\(size)")
            var late: StreamedResponse? = try await client.withConnection(to: Origin(server.url)) { connection in
                try await connection.send(request)
            }
            let pool = client.pool
            func holders() -> Int32 { pool.lock.withLock { pool.state.connections[0].holders } }
            // The loop has been told that it was given back.
            await H2EventLoop.shared.run {}
            #expect(holders() == 1)
            let read = try await late?.body.collect(upTo: size).count
            #expect(read == size)
            late = nil
            while holders() > 0 { await Task.yield() }
            #expect(try await client.get("\(server.url)/bytes/3").body.count == 3)
            #expect(await client.statistics().connectionsOpened == 1)
        }
    }

    @Test func `A loan whose request was cancelled before it began ends all the same`() async throws {
        try await withOriginAndClient(.http2) { client, server in
            let request = try HTTPRequest(url: "\(server.url)/bytes/3")
            let origin = try Origin(server.url)
            let task = Task {
                try await client.withConnection(to: origin) { connection in
                    withUnsafeCurrentTask { $0?.cancel() }
                    _ = try await connection.send(request)
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            let pool = client.pool
            while pool.lock.withLock({ pool.state.connections[0].holders }) > 0 { await Task.yield() }
        }
    }

    // MARK: - Events

    @Test func `Events that are asked for after the client has ended end at once`() async throws {
        try await withOriginAndClient { client, server in
            _ = try await client.get("\(server.url)/bytes/3")
            let before = client.events()
            await client.shutdown()
            for await _ in before {}
            for await event in client.events() { Issue.record("\(event)") }
            #expect(!client.pool.isObserved)
        }
    }

    @Test func `An observer whose task is cancelled is let go of`() async throws {
        try await withOriginAndClient { client, server in
            let reader = Task { for await _ in client.events() {} }
            while !client.pool.isObserved { await Task.yield() }
            reader.cancel()
            await reader.value
            while client.pool.isObserved { await Task.yield() }
            #expect(client.pool.lock.withLock { client.pool.observers.isEmpty })
        }
    }

    // MARK: - Names

    @Test func `An origin's names are remembered to a limit, however it is written`() async throws {
        try await withOriginAndClient { client, server in
            let port = try Origin(server.url).port
            _ = try await client.get("\(server.url)/bytes/3")
            let name = Array("localhost")
            var statuses: Set<Int> = []
            for spelling in 0..<3 * ConnectionPool.rememberedSpellings {
                // Upper and lower case, and more spellings by zeros before the port's number.
                let host = String(name.enumerated().map { spelling >> $0 & 1 == 1 ? Character($1.uppercased()) : $1 })
                let zeros = String(repeating: "0", count: spelling >> name.count)
                var request = HTTPRequest(method: .get, scheme: "http", authority: "\(host):\(zeros)\(port)", path: "/")
                request.headerFields = [:]
                statuses.insert(try await client.collect(request).status.code)
            }
            #expect(statuses == [200])
            let pool = client.pool
            let (names, spellings, origins) = pool.lock.withLock {
                (pool.originsByName.count, pool.spellings.count, pool.originsBySlot.count)
            }
            #expect(origins == 2)
            #expect(names == 2)
            #expect(spellings <= ConnectionPool.rememberedSpellings)
        }
    }

    @Test func `An origin that is forgotten leaves no name behind`() async throws {
        let pool = ConnectionPool(HTTPClient.Configuration())
        pool.lock.withLock {
            for number in 0..<PoolState.rememberedOrigins + 100 {
                if let origin = try? Origin("http://host\(number).example") { _ = pool.entry(for: origin) }
            }
            #expect(pool.originsByName.count == PoolState.rememberedOrigins)
        }
    }

    @Test func `An origin is found by its name, and made once`() throws {
        let pool = ConnectionPool(HTTPClient.Configuration())
        let origins = try (0..<3).map { try Origin("http://host\($0).example") }
        pool.lock.withLock {
            let keys = origins.map { pool.entry(for: $0).key }
            #expect(Set(keys.map(\.slot)).count == 3)
            #expect(origins.map { pool.entry(for: $0).key } == keys)
            #expect(pool.originsByName.count == 3)
            #expect(pool.originsBySlot.compactMap(\.self).count == 3)
        }
    }

    // MARK: - Dials

    @Test func `A trust source that cannot be read fails all requests that wait for the dial`() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.connection.tls.caFile = "/absent/ca.pem"
        try await withHTTPClient(configuration: configuration) { client in
            await withTaskGroup(of: H2Error?.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        do { _ = try await client.get("https://127.0.0.1:1/") } catch { return error as? H2Error }
                        return nil
                    }
                }
                for await error in group { #expect(error?.code == .tlsConfiguration) }
            }
        }
    }
}
