import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// HTTP/1.1 through the whole connection.
@Suite(.inTurn) struct HTTP1ConnectionTests {
    private func ok(_ body: String, _ fields: String = "") -> String { HTTP1ConnectionRig.ok(body, fields) }

    // MARK: - Order

    @Test func `Requests that are sent at once wait for each other, in order, on one connection`() {
        let rig = HTTP1ConnectionRig()
        let requests = (0..<5).map { _ in rig.get() }
        rig.settle()
        for count in 1...5 {
            #expect(rig.requests == count)
            #expect(rig.snapshot.waitingRequests == 5 - count)
            rig.say(ok("\(count)"))
            rig.settle()
        }
        #expect(requests.map { $0.value } == ["1", "2", "3", "4", "5"])
        rig.expectNothingLeft()
    }

    @Test func `The response names its request, and says whether the connection had served before`() throws {
        let rig = HTTP1ConnectionRig(counting: ConnectionConfiguration())
        for number in 1...3 {
            let result = rig.run { connection in
                let response = try await connection.send(.to("/x"))
                return (response.streamID, response.isConnectionReused, response.connectionID, response.head)
            }
            let (id, isReused, connectionID, head) = try #require(result?.value)
            #expect(id == Int32(number))
            #expect(isReused == (number > 1))
            #expect(connectionID == rig.connection.info.id)
            #expect(head.headerFields[.contentLength] == "1")
        }
        rig.expectNothingLeft()
    }

    @Test(arguments: [1, 7]) func `Chunks and trailers arrive however they are cut`(_ piece: Int) throws {
        let rig = HTTP1ConnectionRig(piece: piece)
        rig.answer = { _ in
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nx-sum: 1\r\n\r\n"
        }
        for _ in 0..<2 {
            let result = rig.run { connection in
                let response = try await connection.send(.to("/"))
                return (try await response.body.collect(upTo: 100), await response.trailerFields())
            }
            let (body, trailers) = try #require(result?.value)
            #expect(body == text("hello world"))
            #expect(trailers?[.init("x-sum")] == "1")
        }
        rig.expectNothingLeft()
    }

    // MARK: - Uploads

    @Test(arguments: [0, 1, 70_000]) func `Every kind of body arrives as it is`(_ count: Int) throws {
        let bytes = [UInt8](repeating: 0x61, count: count)
        let path = NSTemporaryDirectory() + "h1-body-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let bodies: [HTTPRequestBody] = [
            .bytes(bytes), .file(path), .writer(length: count) { try await $0.write(bytes) },
            .writer {
                for at in stride(from: 0, to: count, by: 999) {
                    try await $0.write(Array(bytes[at..<min(count, at + 999)]))
                }
            },
            .bytes(bytes, trailers: [.init("x-up"): "t"]),
        ]
        for (index, body) in bodies.enumerated() {
            let rig = HTTP1ConnectionRig(piece: 5_000, room: 20_000)
            let pending = rig.start { connection in
                try await connection.send(.to("/", .post), body: body).status.code
            }
            rig.settle()
            rig.world.advance(.seconds(1))
            #expect(!pending.isOver)
            let end = try #require(rig.received.range(of: "\r\n\r\n"))
            let sent = String(rig.received[end.upperBound...])
            if index < 3 {
                #expect(sent == String(repeating: "a", count: count), "body \(index)")
                #expect(rig.received.contains("Content-Length: \(count)\r\n"))
            } else {
                #expect(sent.filter { $0 == "a" }.count >= count, "body \(index)")
                #expect(sent.hasSuffix(index == 3 ? "0\r\n\r\n" : "0\r\nx-up: t\r\n\r\n"), "body \(index)")
            }
            rig.say(ok(""))
            rig.finish(pending)
            #expect(pending.value == 200)
            #expect(!rig.connection.isDraining)
            rig.expectNothingLeft()
        }
    }

    @Test func `A response that comes before its request is sent is whole, and ends the connection`() {
        let rig = HTTP1ConnectionRig(room: 10_000)
        rig.wire.isStalled = true
        let pending = rig.start { connection in
            let response = try await connection.send(
                .to("/", .post), body: .bytes([UInt8](repeating: 0, count: 1 << 20)))
            return response.status.code
        }
        rig.settle()
        rig.say("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        rig.finish(pending)
        #expect(pending.value == 413)
        #expect(rig.connection.isDraining)
        rig.settle()
        #expect(rig.wire.isClosed)
        rig.expectNothingLeft()
    }

    @Test func `A body is held back until the server says 100`() {
        let rig = HTTP1ConnectionRig()
        var options = RequestOptions()
        options.expectContinue = .seconds(60)
        let pending = rig.start { [options] connection in
            try await connection.send(.to("/", .put), body: .string("abc"), options: options).status.code
        }
        rig.settle()
        #expect(rig.received.hasSuffix("Expect: 100-continue\r\n\r\n"))
        rig.say("HTTP/1.1 100 Continue\r\n\r\n")
        rig.settle()
        #expect(rig.received.hasSuffix("\r\n\r\nabc"))
        rig.say(ok(""))
        rig.finish(pending)
        #expect(pending.value == 200)
        rig.expectNothingLeft()
    }

    // MARK: - The end

    @Test func `After connection-close those that wait are told to go elsewhere, and the response stays whole`() {
        let rig = HTTP1ConnectionRig()
        let first = rig.get()
        let second = rig.get()
        rig.settle()
        rig.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n")
        rig.settle()
        #expect(rig.connection.isDraining)
        #expect(second.h2Error?.code == .connectionDraining)
        #expect(second.h2Error?.isRetryable == true)
        #expect(!first.isOver)
        rig.say("ok")
        rig.settle()
        #expect(first.value == "ok")
        #expect(rig.wire.isClosed)
        rig.expectNothingLeft()
    }

    @Test func `A body that ends with the connection is whole`() {
        let rig = HTTP1ConnectionRig()
        let pending = rig.get()
        rig.settle()
        rig.say("HTTP/1.0 200 OK\r\n\r\nall of it")
        rig.settle()
        rig.wire.end()
        rig.finish(pending)
        #expect(pending.value == "all of it")
        rig.expectNothingLeft()
    }

    @Test func `An idle connection that the server ends, or writes to, is over at once`() {
        for isEnd in [true, false] {
            let rig = HTTP1ConnectionRig(counting: ConnectionConfiguration())
            let first = rig.get()
            rig.finish(first)
            #expect(!rig.connection.isDraining)
            if isEnd { rig.wire.end() } else { rig.say("HTTP/1.1 408 Request Timeout\r\n\r\n") }
            rig.settle()
            #expect(rig.connection.isDraining)
            #expect(rig.wire.isClosed)
            let late = rig.get()
            rig.finish(late)
            #expect(late.h2Error?.isRetryable == true)
            rig.expectNothingLeft()
        }
    }

    @Test func `A connection that ends before the first byte may have served the request, one before the send not`() {
        let rig = HTTP1ConnectionRig()
        let sent = rig.get()
        let waiting = rig.get()
        rig.settle()
        rig.wire.end()
        rig.finish(sent)
        rig.finish(waiting)
        #expect(sent.h2Error?.code == .connectionClosed)
        #expect(sent.h2Error?.isRetryable == false)
        #expect(sent.h2Error?.message.contains("before its response began") == true)
        #expect(waiting.h2Error?.isRetryable == true)
        rig.expectNothingLeft()
    }

    @Test func `A server that breaks the protocol is left, and its words are in the error`() {
        let rig = HTTP1ConnectionRig()
        rig.answer = { _ in "SSH-2.0-OpenSSH\r\n" }
        let pending = rig.get()
        rig.finish(pending)
        #expect(pending.h2Error?.code == .protocolViolation)
        #expect(pending.h2Error?.description.contains("SSH-2.0") == true)
        rig.settle()
        #expect(rig.wire.isClosed)
        rig.expectNothingLeft()
    }

    @Test func `close waits for what was accepted, closeNow does not`() {
        let rig = HTTP1ConnectionRig()
        let requests = [rig.get(), rig.get()]
        rig.settle()
        let closing = rig.start { await $0.close() }
        rig.settle()
        #expect(!closing.isOver)
        rig.say(ok("a"))
        rig.settle()
        rig.say(ok("b"))
        rig.finish(closing)
        #expect(requests.map(\.value) == ["a", "b"])
        #expect(rig.wire.isClosed)

        let other = HTTP1ConnectionRig()
        let cut = other.get()
        other.settle()
        other.connection.closeNow()
        other.finish(cut)
        #expect(cut.h2Error?.code == .connectionClosed)
        other.expectNothingLeft()
    }

    // MARK: - Giving up

    @Test func `Cancelling a sent request ends the connection, a waiting one leaves it`() {
        let rig = HTTP1ConnectionRig()
        let sent = rig.get()
        let waiting = rig.get()
        rig.world.advance(2 * Connection.watchAfter)
        waiting.task?.cancel()
        rig.settle()
        #expect(waiting.error is CancellationError)
        #expect(!rig.connection.isDraining)
        sent.task?.cancel()
        rig.finish(sent)
        #expect(sent.error is CancellationError)
        rig.settle()
        #expect(rig.wire.isClosed)
        rig.expectNothingLeft()
    }

    @Test func `A body that is dropped before its end ends the connection, a whole one does not`() {
        let rig = HTTP1ConnectionRig()
        let pending = rig.start { try await $0.send(.to("/")).status.code }
        rig.settle()
        rig.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        rig.finish(pending)
        rig.settle()
        #expect(rig.wire.isClosed)
        rig.expectNothingLeft()

        let whole = HTTP1ConnectionRig(counting: ConnectionConfiguration())
        for _ in 0..<3 {
            let pending = whole.start { try await $0.send(.to("/")).status.code }
            whole.finish(pending)
            #expect(pending.value == 200)
        }
        whole.settle()
        #expect(!whole.connection.isDraining)
        whole.expectNothingLeft()
    }

    @Test(arguments: [H2Error.Phase.firstByte, .wholeRequest, .betweenBytes, .queued])
    func `Every time limit of a request holds`(_ phase: H2Error.Phase) {
        let rig = HTTP1ConnectionRig()
        var options = RequestOptions()
        switch phase {
        case .firstByte: options.firstByteTimeout = .seconds(1)
        case .wholeRequest: options.timeout = .seconds(1)
        case .betweenBytes: options.bodyProgressTimeout = .seconds(1)
        default: options.queueTimeout = .seconds(1)
        }
        let first = phase == .queued ? rig.get() : nil
        let pending = rig.get(options)
        rig.settle()
        if phase == .betweenBytes { rig.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345") }
        rig.finish(pending)
        #expect(pending.h2Error?.cause == .timeout(phase, after: .seconds(1)))
        rig.settle()
        #expect(rig.wire.isClosed == (phase != .queued))
        if let first {
            rig.say(ok("x"))
            rig.finish(first)
            #expect(first.value == "x")
        }
        rig.expectNothingLeft()
    }

    @Test func `A server that takes no byte is left`() {
        var configuration = ConnectionConfiguration()
        configuration.timeouts.writeStall = .seconds(5)
        let rig = HTTP1ConnectionRig(configuration, room: 10_000)
        rig.wire.isStalled = true
        let pending = rig.start { connection in
            try await connection.send(.to("/", .post), body: .bytes([UInt8](repeating: 0, count: 1 << 20))).status.code
        }
        rig.finish(pending)
        #expect(pending.h2Error?.cause == .timeout(.writeStall, after: .seconds(5)))
        #expect(pending.h2Error?.message.hasPrefix("request 1 was cut off") == true)
        rig.expectNothingLeft()
    }

    // MARK: - Backpressure

    @Test func `A reader that is behind holds the server back, and gets all of it`() {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = 100_000
        let rig = HTTP1ConnectionRig(configuration, piece: 10_000)
        let count = 2_000_000
        rig.answer = { _ in "HTTP/1.1 200 OK\r\ncontent-length: \(count)\r\n\r\n" + String(repeating: "x", count: count)
        }
        let held = Noted<StreamedResponse>()
        let pending = rig.start { connection in held.value = try await connection.send(.to("/")) }
        rig.finish(pending)
        rig.world.advance(.seconds(5))
        let snapshot = rig.snapshot
        #expect(snapshot.unreadBytes >= 100_000)
        #expect(snapshot.bytesReceived <= 200_000)
        let reading = rig.start { _ in
            var total = 0
            for try await chunk in held.value!.body { total += chunk.count }
            return total
        }
        rig.finish(reading)
        #expect(reading.value == count)
        held.value = nil
        rig.expectNothingLeft()
    }

    @Test func `A reader that is behind gets all of it although the server takes no more of the upload`() {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = 100_000
        let rig = HTTP1ConnectionRig(configuration, piece: 10_000, room: 10_000)
        let count = 500_000
        rig.answer = { _ in "HTTP/1.1 200 OK\r\ncontent-length: \(count)\r\n\r\n" + String(repeating: "x", count: count)
        }
        let held = Noted<StreamedResponse>()
        let pending = rig.start { connection in
            held.value = try await connection.send(.to("/", .post), body: .bytes([UInt8](repeating: 0, count: 1 << 20)))
        }
        rig.finish(pending)
        rig.wire.isStalled = true
        // The window is full, and the upload waits for room.
        rig.world.advance(.seconds(1))
        #expect(rig.snapshot.unreadBytes >= 100_000)
        rig.wire.refuseBytes()
        rig.wire.isStalled = false
        rig.world.advance(.seconds(1))
        let reading = rig.start { _ in
            var total = 0
            for try await chunk in held.value!.body { total += chunk.count }
            return total
        }
        rig.finish(reading)
        #expect(reading.value == count)
    }

    // MARK: - Sockets

    @Test func `Requests follow each other over a real socket until the server says close`() async throws {
        let server = try PuppetServer()
        server.playHTTP1 { server in
            for number in 1...3 {
                guard server.nextHead() != nil else { return }
                let close = number == 3 ? "connection: close\r\n" : ""
                server.send(text("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\(close)\r\n\(number)"))
            }
            _ = server.nextHead()
        }
        let origin = try Origin(scheme: .http, host: "127.0.0.1", port: server.port)
        let result = await ending {
            try await HTTP1Connection.withConnection(to: origin) { connection in
                var bodies = ""
                for _ in 0..<3 {
                    let response = try await connection.send(.to("/"))
                    bodies += String(decoding: try await response.body.collect(upTo: 10), as: UTF8.self)
                }
                return (bodies, connection.isDraining)
            }
        }
        let (bodies, isDraining) = try #require(result?.value)
        #expect(bodies == "123")
        #expect(isDraining)
    }

    @Test func `A large body both ways over a real socket`() async throws {
        let server = try PuppetServer()
        let count = 5_000_000
        server.playHTTP1 { server in
            guard server.nextHead() != nil, let body = server.take(count) else { return }
            server.send(text("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\(String(count, radix: 16))\r\n"))
            server.send(body)
            server.send(text("\r\n0\r\n\r\n"))
            _ = server.nextHead()
        }
        let origin = try Origin(scheme: .http, host: "127.0.0.1", port: server.port)
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let result = await ending {
            try await HTTP1Connection.withConnection(to: origin) { connection in
                let response = try await connection.send(.to("/", .put), body: .bytes(bytes))
                return try await response.body.collect(upTo: count) == bytes
            }
        }
        #expect(result?.value == true, "\(String(describing: result))")
    }
}
