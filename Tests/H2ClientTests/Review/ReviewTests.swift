import Foundation
import HTTPTypes
import Testing

@testable import H2Client

private let data: UInt8 = 0
private let headers: UInt8 = 1
private let reset: UInt8 = 3

/// What a review found: hangs, leaks and misreports, each by a server that provokes it.
@Suite(.timeLimit(.minutes(5))) struct ReviewTests {
    /// - Parameter window: the server's stream window, to be known before anything is sent.
    private func connect(
        _ server: PuppetServer, window: Int? = nil, _ change: (inout Configuration) -> Void = { _ in }
    ) async throws -> HTTP2Connection {
        var configuration = Configuration()
        change(&configuration)
        let connection = try await HTTP2Connection.connect(
            to: Origin(scheme: .http, host: "127.0.0.1", port: server.port), configuration: configuration)
        while let window, await connection.snapshot().remoteSettings.initialWindowSize != window { await Task.yield() }
        return connection
    }

    private func get(_ path: String = "/") -> HTTPRequest {
        HTTPRequest(method: .get, scheme: nil, authority: nil, path: path)
    }

    private func post() -> HTTPRequest { HTTPRequest(method: .post, scheme: nil, authority: nil, path: "/") }

    // MARK: - Waiting for a slot

    @Test func `Requests that wait for a slot fail when the connection ends`() async throws {
        let server = try PuppetServer()
        server.play(settings: PuppetServer.setting(3, 1)) { server in
            _ = server.next(headers)
            server.hangUp()
        }
        let connection = try await connect(server)
        let requests = (0..<3).map { _ in
            Task.detached { [self] in try await connection.send(get()).status }
        }
        for request in requests {
            let result = await ending { try await request.value }
            guard case .failure(let error as H2Error)? = result else {
                Issue.record("\(String(describing: result))")
                continue
            }
            #expect(error.code == .connectionClosed || error.code == .notProcessed)
        }
    }

    /// Counts itself.
    private final class Token: Sendable {
        static let live = Counted()
        init() { Self.live.add(1) }
        deinit { Self.live.add(-1) }
    }

    private final class Counted: @unchecked Sendable {
        // Invariant behind `@unchecked Sendable`: touched under the lock alone.
        private let lock = NSLock()
        private var number = 0
        func add(_ change: Int) { lock.withLock { number += change } }
        var count: Int { lock.withLock { number } }
    }

    @Test func `Requests that gave up waiting are not kept while no slot comes free`() async throws {
        let server = try PuppetServer()
        server.play(settings: PuppetServer.setting(3, 0)) { server in _ = server.next(7) }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        // The server's SETTINGS have to be here.
        for _ in 0..<500 {
            if await connection.snapshot().remoteSettings.maxConcurrentStreams == 0 { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        for _ in 0..<20 {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask { [self] in
                        let token = Token()
                        var options = RequestOptions()
                        options.queueTimeout = .milliseconds(1)
                        options.onInformational = { _ in _ = token }
                        _ = try? await connection.send(get(), options: options)
                    }
                }
            }
        }
        #expect(await connection.snapshot().waitingRequests == 0)
        #expect(Token.live.count < 500)
    }

    // MARK: - Uploads

    @Test func `A streamed upload from a task that is cancelled already ends`() async throws {
        let server = try PuppetServer()
        server.play { server in _ = server.next(7) }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        let result = await ending { [self] in
            let task = Task.detached {
                while !Task.isCancelled { await Task.yield() }
                return try await connection.send(
                    post(), body: .writer { writer in try await writer.write([1, 2, 3]) }
                ).status
            }
            task.cancel()
            return try await task.value
        }
        guard case .failure(is CancellationError)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
    }

    @Test func `A body whose writer was cancelled is never sent as if it were whole`() async throws {
        let server = try PuppetServer()
        let seen = Mailbox<String>()
        // 10 bytes of window: the rest of the chunk waits.
        server.play(settings: PuppetServer.setting(4, 10)) { server in
            guard let head = server.next(headers), server.next(data) != nil else { return seen.put("nothing") }
            server.head(head.stream)
            while let frame = server.next() {
                if frame.type == 8 { continue }
                if frame.type == reset { return seen.put("reset") }
                if frame.type == data && frame.flags & 1 != 0 { return seen.put("whole") }
                if frame.type == 7 { return seen.put("closed") }
            }
            seen.put("closed")
        }
        let connection = try await connect(server, window: 10)
        defer { connection.closeNow() }
        let result = await ending { [self] in
            try await connection.send(
                post(),
                body: .writer { writer in
                    try? await writer.write([UInt8](repeating: 7, count: 1_000))
                    try? await writer.write([UInt8](repeating: 8, count: 1_000))
                }
            ) { response in response }
        }
        #expect(result != nil)
        let what = await seen.take()
        #expect(what == "reset", "\(String(describing: result))")
    }

    @Test func `A caller that is cancelled while the upload waits for a window is told so`() async throws {
        let server = try PuppetServer()
        // The chunk fills the window, and the empty DATA frame that ends the body waits for more.
        server.play(settings: PuppetServer.setting(4, 10)) { server in
            guard let head = server.next(headers), server.next(data) != nil else { return }
            server.head(head.stream)
            _ = server.next(7)
        }
        let connection = try await connect(server, window: 10)
        defer { connection.closeNow() }
        let result = await ending { [self] in
            let task = Task.detached {
                let response = try await connection.send(
                    post(), body: .writer { writer in try await writer.write([UInt8](repeating: 7, count: 10)) })
                return try await response.body.collect(upTo: 10)
            }
            try await Task.sleep(for: .milliseconds(200))
            task.cancel()
            return try await task.value
        }
        guard case .failure(is CancellationError)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
    }

    @Test func `A large window does not make an upload pile up in memory`() async throws {
        let server = try PuppetServer()
        let mayEnd = Mailbox<Bool>()
        server.play(settings: PuppetServer.setting(4, 0x7fff_ffff)) { server in
            server.send(RawPeer.frame(8, stream: 0, RawPeer.bytes(0x7fff_ffff - 65_535)))
            // Reads nothing.
            for _ in 0..<6_000 where !mayEnd.isFull { usleep(10_000) }
        }
        let connection = try await connect(server, window: 0x7fff_ffff)
        defer {
            connection.closeNow()
            mayEnd.put(true)
        }
        let request = Task.detached { [self] in
            _ = try await connection.send(post(), body: .bytes([UInt8](repeating: 7, count: 256 << 20)))
        }
        var sent = -1
        for _ in 0..<200 {
            let now = await connection.snapshot().bytesSent
            if now > 1 << 20 && now == sent { break }
            sent = now
            try await Task.sleep(for: .milliseconds(50))
        }
        request.cancel()
        #expect(sent > 1 << 20)
        // The kernel's socket buffers hold some MiB.
        #expect(sent < 64 << 20)
    }

    @Test func `A server that neither reads nor keeps to the protocol is left`() async throws {
        let server = try PuppetServer()
        let mayEnd = Mailbox<Bool>()
        server.play(settings: PuppetServer.setting(4, 0x7fff_ffff)) { server in
            server.send(RawPeer.frame(8, stream: 0, RawPeer.bytes(0x7fff_ffff - 65_535)))
            // By now the client has sent what the sockets hold, and waits.
            usleep(500_000)
            server.send(RawPeer.frame(data, stream: 0, [1]))
            for _ in 0..<6_000 where !mayEnd.isFull { usleep(10_000) }
        }
        let connection = try await connect(server, window: 0x7fff_ffff)
        defer {
            connection.closeNow()
            mayEnd.put(true)
        }
        let result = await ending { [self] in
            try await connection.send(post(), body: .bytes([UInt8](repeating: 7, count: 64 << 20))).status
        }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .protocolViolation)
    }

    @Test func `A file that 100-continue held back is closed when its request is refused`() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("held-\(UUID().uuidString)").path
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let server = try PuppetServer()
        server.play { server in
            while let head = server.next(headers) { server.head(head.stream, "417", ends: true) }
        }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        var options = RequestOptions()
        options.expectContinue = .seconds(60)
        for _ in 0..<20 {
            let response = try await connection.send(post(), body: .file(path), options: options)
            #expect(response.status.code == 417)
        }
        let held = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
        }
        #expect(held.isEmpty)
    }

    @Test func `A pipe is no body file, and does not hold the caller up`() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("pipe-\(UUID().uuidString)").path
        #expect(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        let result = await ending { try BodyFile(path).length }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            // Lets the thread go that waits for a writer.
            close(open(path, O_WRONLY | O_NONBLOCK))
            return
        }
        #expect(error.code == .localIO)
    }

    // MARK: - Misreports

    @Test func `Header fields too long to be sent are the caller's fault and not retryable`() async throws {
        let server = try PuppetServer()
        server.play { server in _ = server.next(7) }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        var request = get()
        request.headerFields[.userAgent] = String(repeating: "~", count: 17 << 20)
        let result = await ending { [request] in try await connection.send(request).status }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .invalidRequest)
        #expect(!error.isRetryable)
    }

    @Test func `Trailer fields too long to be sent fail the request`() async throws {
        let server = try PuppetServer()
        server.play { server in
            while let frame = server.next() { if frame.type == 7 { return } }
        }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        let trailers: HTTPFields = [.userAgent: String(repeating: "~", count: 17 << 20)]
        let result = await ending { [self] in
            try await connection.send(post(), body: .bytes([1], trailers: trailers)).status
        }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .invalidRequest)
        #expect(!error.isRetryable)
    }

    @Test(arguments: [0, 3, 9]) func `A content-length that the body does not have is refused`(sent: Int) async throws {
        let server = try PuppetServer()
        server.play { server in _ = server.next(7) }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        var request = post()
        request.headerFields[.contentLength] = "5"
        let body: RequestBody =
            sent == 0 ? .none : .writer { writer in try await writer.write([UInt8](repeating: 1, count: sent)) }
        let result = await ending { [request] in try await connection.send(request, body: body).status }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .invalidRequest)
    }

    @Test(arguments: ["099", "000"]) func `A status below 100 is malformed`(status: String) async throws {
        let server = try PuppetServer()
        server.play { server in
            guard let head = server.next(headers) else { return }
            server.head(head.stream, status, ends: true)
            _ = server.next(7)
        }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        let result = await ending { [self] in try await connection.send(get()).status }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .protocolViolation)
    }

    @Test func `REFUSED_STREAM after the head came is not retryable`() async throws {
        let server = try PuppetServer()
        server.play { server in
            guard let head = server.next(headers) else { return }
            server.head(head.stream)
            server.send(RawPeer.frame(3, stream: head.stream, RawPeer.bytes(7)))
            _ = server.next(7)
        }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        let result = await ending { [self] in try await connection.send(get()).body.collect(upTo: 10) }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .streamReset)
        #expect(!error.isRetryable)
    }

    @Test func `A second reader of a body is refused and the first goes on`() async throws {
        let server = try PuppetServer()
        let maySend = Mailbox<Bool>()
        server.play { server in
            guard let head = server.next(headers) else { return }
            server.head(head.stream)
            for _ in 0..<6_000 where !maySend.isFull { usleep(10_000) }
            server.send(RawPeer.frame(data, flags: 1, stream: head.stream, [1, 2]))
            _ = server.next(7)
        }
        let connection = try await connect(server)
        defer { connection.closeNow() }
        let body = try await connection.send(get()).body
        // Whichever comes second is refused; the other reads on.
        let readers = (0..<2).map { _ in
            Task.detached {
                defer { maySend.put(true) }
                return try await body.collect(upTo: 10)
            }
        }
        var refused = 0
        for reader in readers {
            switch await ending({ try await reader.value }) {
            case .success(let bytes)?: #expect(bytes == [1, 2])
            case .failure(let error as H2Error)?:
                #expect(error.code == .invalidRequest)
                refused += 1
            case let other: Issue.record("\(String(describing: other))")
            }
        }
        #expect(refused == 1)
    }

    @Test func `Certificates are asked for without a final dot and without a zone`() {
        #expect(Dialer.certificateName("example.com.") == "example.com")
        #expect(Dialer.certificateName("example.com") == "example.com")
        #expect(Dialer.certificateName("fe80::1%eth0") == "fe80::1")
        #expect(Dialer.certificateName("127.0.0.1") == "127.0.0.1")
    }

    @Test(arguments: ["", ".example.com"]) func `A server name that would match any is refused`(name: String) throws {
        let context = try TLSContext(client: Configuration.TLS())
        #expect(
            context.makeConnection(descriptor: -1, serverName: name, isAddress: false, protocols: ["h2"]) == nil)
    }
}
