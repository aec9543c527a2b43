import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

private let data: UInt8 = 0
private let headers: UInt8 = 1
private let reset: UInt8 = 3

/// Uploads that are cancelled, refused or held up, against a server that provokes it.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct HeldUploadTests {
    @Test func `A streamed upload from a task that is cancelled already ends`() async throws {
        let server = try PuppetServer()
        server.play { server in _ = server.next(7) }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        let result = await ending {
            let task = Task.detached {
                while !Task.isCancelled { await Task.yield() }
                return try await connection.send(
                    .to("/", .post), body: .writer { writer in try await writer.write([1, 2, 3]) }
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
        let connection = try await server.connect(window: 10)
        defer { connection.closeNow() }
        let result = await ending {
            try await connection.send(
                .to("/", .post),
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
        let hasChunk = Mailbox<Bool>()
        // The chunk fills the window, and the empty DATA frame that ends the body waits for more.
        server.play(settings: PuppetServer.setting(4, 10)) { server in
            guard let head = server.next(headers), server.next(data) != nil else { return }
            server.head(head.stream)
            hasChunk.put(true)
            _ = server.next(7)
        }
        let connection = try await server.connect(window: 10)
        defer { connection.closeNow() }
        let result = await ending {
            let task = Task.detached {
                let response = try await connection.send(
                    .to("/", .post),
                    body: .writer { writer in try await writer.write([UInt8](repeating: 7, count: 10)) })
                return try await response.body.collect(upTo: 10)
            }
            _ = await hasChunk.take()
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
            waitUntil { mayEnd.isFull }
        }
        let connection = try await server.connect(window: 0x7fff_ffff)
        defer {
            connection.closeNow()
            mayEnd.put(true)
        }
        let request = Task.detached {
            _ = try await connection.send(.to("/", .post), body: .bytes([UInt8](repeating: 7, count: 256 << 20)))
        }
        var sent = -1
        for _ in 0..<200 {
            let now = await connection.snapshot().bytesSent
            if now > 1 << 20 && now == sent { break }
            sent = now
            try await letTimePass(.milliseconds(50))
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
            letTimePass(.milliseconds(500))
            server.send(RawPeer.frame(data, stream: 0, [1]))
            waitUntil { mayEnd.isFull }
        }
        let connection = try await server.connect(window: 0x7fff_ffff)
        defer {
            connection.closeNow()
            mayEnd.put(true)
        }
        let result = await ending {
            try await connection.send(.to("/", .post), body: .bytes([UInt8](repeating: 7, count: 64 << 20))).status
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
        let connection = try await server.connect()
        defer { connection.closeNow() }
        var options = RequestOptions()
        options.expectContinue = .seconds(60)
        for _ in 0..<20 {
            let response = try await connection.send(.to("/", .post), body: .file(path), options: options)
            #expect(response.status.code == 417)
        }
        let held = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
        }
        #expect(held.isEmpty)
    }
}
