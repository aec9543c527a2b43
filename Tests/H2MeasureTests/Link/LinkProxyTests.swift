import H2Client
import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.measuring, .timeLimit(.minutes(5))) struct LinkProxyTests {
    private func pattern(_ count: Int, _ salt: Int = 0) -> [UInt8] { (0..<count).map { UInt8(($0 + salt) % 251) } }

    private func link(_ milliseconds: UInt64, loss: Double = 0) -> LinkConditions {
        LinkConditions(roundTrip: milliseconds * 1_000_000, loss: loss)
    }

    /// Sends back what it gets, at once.
    private func echo() throws -> RawServer {
        try RawServer { socket in
            while case .bytes(let bytes) = socket.read() {
                guard (try? socket.send(bytes)) != nil else { return }
            }
            socket.finish()
        }
    }

    @Test func `A first answer takes two round trips and the next one`() async throws {
        let server = try echo()
        try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(50)) { proxy in
            let port = proxy.port
            let (first, second) = try await RawThread.run {
                let start = ContinuousClock.now
                let client = try RawSocket.connect(to: port)
                try client.send([1])
                _ = try client.read(exactly: 1)
                let middle = ContinuousClock.now
                try client.send([2])
                _ = try client.read(exactly: 1)
                return (middle - start, ContinuousClock.now - middle)
            }
            #expect(first >= .milliseconds(100))
            #expect(second >= .milliseconds(50))
            #expect(second < first)
            #expect(proxy.counts.bytesToServer == 2)
            // They are counted after they were written.
            try await eventually("the last byte is counted") { proxy.counts.bytesToClient == 2 }
            #expect(await proxy.cpuSeconds() > 0)
        }
    }

    @Test func `A server that speaks first is heard after two round trips`() async throws {
        let server = try RawServer { socket in
            try? socket.send([42])
            _ = socket.read()
        }
        try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(40)) { proxy in
            let port = proxy.port
            let time = try await RawThread.run {
                let start = ContinuousClock.now
                _ = try RawSocket.connect(to: port).read(exactly: 1)
                return ContinuousClock.now - start
            }
            #expect(time >= .milliseconds(80))
        }
    }

    @Test(arguments: [(0 as UInt64, 0.0), (4, 0), (4, 0.01), (0, 0.02)])
    func `Bytes arrive intact both ways and a half close is passed on`(roundTrip: UInt64, loss: Double) async throws {
        // It answers only when the client has ended its side.
        let server = try RawServer { socket in
            guard let all = try? socket.readToEnd() else { return }
            try? socket.send(all)
            socket.finish()
        }
        let bytes = pattern(700_000)
        try await LinkProxy.run(
            to: "127.0.0.1", port: server.port, conditions: link(roundTrip, loss: loss), seed: 7
        ) { proxy in
            let port = proxy.port
            let answer = try await RawThread.run {
                let client = try RawSocket.connect(to: port)
                try client.send(bytes)
                client.finish()
                return try client.readToEnd()
            }
            #expect(answer == bytes)
            #expect((proxy.counts.lost > 0) == (loss > 0))
            try await eventually("it closes what both sides closed") { proxy.counts.open == 0 }
            #expect(proxy.counts.bytesToServer == bytes.count)
            try await eventually("all bytes are counted") { proxy.counts.bytesToClient == bytes.count }
        }
    }

    @Test func `Many connections are open at once and counted`() async throws {
        let server = try echo()
        try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(10, loss: 0.001)) { proxy in
            let port = proxy.port
            try await RawThread.run {
                let clients = try (0..<150).map { _ in try RawSocket.connect(to: port) }
                for (index, client) in clients.enumerated() {
                    try client.send((0..<5000).map { UInt8(($0 + index) % 251) })
                }
                for (index, client) in clients.enumerated() {
                    let answer = try client.read(exactly: 5000)
                    #expect(answer == (0..<5000).map { UInt8(($0 + index) % 251) })
                }
            }
            #expect(proxy.counts.accepted == 150)
            #expect(proxy.counts.peakOpen == 150)
            try await eventually("it closes them") { proxy.counts.open == 0 }
        }
    }

    @Test func `A reset of the server reaches the client`() async throws {
        let server = try RawServer { socket in
            _ = socket.read()
            socket.reset()
        }
        try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(10)) { proxy in
            let port = proxy.port
            let read = try await RawThread.run {
                let client = try RawSocket.connect(to: port)
                try client.send([1])
                return client.read()
            }
            #expect(read == .failed(ECONNRESET))
            try await eventually("it closes both sides") { proxy.counts.open == 0 }
        }
    }

    @Test func `A reset of the client reaches the server`() async throws {
        let (reads, continuation) = AsyncStream<RawSocket.Read>.makeStream()
        let server = try RawServer { socket in
            continuation.yield(socket.read())
            continuation.yield(socket.read())
            continuation.finish()
        }
        try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(10)) { proxy in
            let port = proxy.port
            var iterator = reads.makeAsyncIterator()
            let client = try await RawThread.run { try RawSocket.connect(to: port) }
            try client.send([1])
            #expect(await iterator.next() == .bytes([1]))
            client.reset()
            #expect(await iterator.next() == .failed(ECONNRESET))
            try await eventually("it closes both sides") { proxy.counts.open == 0 }
        }
    }

    @Test func `A server that is not there resets the client`() async throws {
        let server = try echo()
        let port = server.port
        server.stop()
        try await LinkProxy.run(to: "127.0.0.1", port: port, conditions: link(10)) { proxy in
            let proxyPort = proxy.port
            let read = try await RawThread.run { try RawSocket.connect(to: proxyPort).read() }
            #expect(read == .failed(ECONNRESET))
            try await eventually("it closes it") { proxy.counts.open == 0 }
            #expect(proxy.counts.refused == 1)
        }
    }

    @Test func `A receiver that does not read stops the sender`() async throws {
        let (goes, continuation) = AsyncStream<Int>.makeStream()
        let mayRead = AsyncStream<Void>.makeStream()
        let server = try RawServer { socket in
            let done = RawSemaphore()
            Task {
                for await _ in mayRead.stream {}
                done.signal()
            }
            done.wait()
            continuation.yield((try? socket.readToEnd().count) ?? -1)
            continuation.finish()
        }
        let bytes = [UInt8](repeating: 7, count: 64 << 20)
        try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(2)) { proxy in
            let port = proxy.port
            let sent = try await RawThread.run {
                let client = try RawSocket.connect(to: port)
                let sent = client.sendWhatFits(bytes, waiting: 300)
                mayRead.continuation.finish()
                client.finish()
                return sent
            }
            // The link's queue, and what the systems of both ends buffer, 6 MiB each way at the most.
            #expect(sent < 40 << 20)
            var iterator = goes.makeAsyncIterator()
            #expect(await iterator.next() == sent)
        }
    }

    @Test func `The end of the link ends its connections`() async throws {
        let server = try echo()
        let client = try await LinkProxy.run(to: "127.0.0.1", port: server.port, conditions: link(1)) { proxy in
            let port = proxy.port
            return try await RawThread.run {
                let client = try RawSocket.connect(to: port)
                try client.send([1])
                _ = try client.read(exactly: 1)
                return client
            }
        }
        #expect(try await RawThread.run { client.read() } == .failed(ECONNRESET))
    }

    @Test func `Of a name's addresses the one that answers is taken`() async throws {
        // It has one for each version of IP, on most systems, and the server listens on one alone.
        let server = try echo()
        try await LinkProxy.run(to: "localhost", port: server.port, conditions: link(1)) { proxy in
            let port = proxy.port
            for _ in 0..<3 {
                let answer = try await RawThread.run {
                    let client = try RawSocket.connect(to: port)
                    try client.send([1, 2, 3])
                    return try client.read(exactly: 3)
                }
                #expect(answer == [1, 2, 3])
            }
            #expect(proxy.counts.refused == 0)
        }
    }

    @Test func `A name that has no address is an error`() async throws {
        await #expect(throws: H2Error.self) {
            try await LinkProxy.run(to: "no-such-name.invalid", port: 80, conditions: link(1)) { _ in }
        }
    }
}

/// A thread waits for a task with it.
private final class RawSemaphore: @unchecked Sendable {
    // sem_t is touched by its functions alone, which any thread may call.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }
    func signal() { sem_post(semaphore) }
    func wait() { sem_wait(semaphore) }
}
