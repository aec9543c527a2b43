import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Request bodies through the whole connection.
@Suite(.inTurn) struct UploadTests {
    struct WriterGaveUp: Error {}

    /// A server that takes all of a request and answers with its length.
    func countingRig(_ settings: SimulatedServer.Settings = .init()) -> ConnectionRig {
        let rig = ConnectionRig(settings: settings)
        rig.server.onRequestEnd = { stream in
            stream.respond(
                200, [("x-count", "\(stream.received.count)"), ("x-trailer", stream.trailers.first?.value ?? "")])
            stream.write(stream.received)
            stream.finish()
        }
        return rig
    }

    func data(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13) } }

    @Test(arguments: [0, 1, 70_000]) func `Every kind of body arrives as it is`(_ count: Int) throws {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 10_000
        let rig = countingRig(settings)
        let bytes = data(count)
        let path = NSTemporaryDirectory() + "h2-body-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let pieces = stride(from: 0, to: count, by: 999).map { Array(bytes[$0..<min(count, $0 + 999)]) }
        let trailers: HTTPFields = [HTTPField.Name("x-up")!: "t"]
        let bodies: [HTTPRequestBody] = [
            .bytes(bytes), .bytes(bytes, trailers: trailers), .file(path), .file(path, trailers: trailers),
            .writer { for piece in pieces { try await $0.write(piece) } },
            .writer(length: count, trailers: trailers) { for piece in pieces { try await $0.write(piece) } },
            .stream(
                AsyncStream { continuation in
                    for piece in pieces { continuation.yield(piece) }
                    continuation.finish()
                }),
        ]
        for (index, body) in bodies.enumerated() {
            let result = rig.run { connection in
                let response = try await connection.send(.to("/", .post), body: body)
                return (
                    try await response.body.collect(upTo: 1 << 20), response.firstValue(of: HTTPField.Name("x-count")!),
                    response.firstValue(of: HTTPField.Name("x-trailer")!)
                )
            }
            let (echo, counted, trailer) = try #require(result?.value, "body \(index): \(String(describing: result))")
            #expect(echo == bytes)
            #expect(counted == "\(count)")
            #expect(trailer == ([1, 3, 5].contains(index) ? "t" : ""))
        }
        rig.expectNothingLeft()
    }

    @Test func `A writer is held back by the server's window`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 1_000
        settings.readDelay = 50_000_000...50_000_000
        let rig = countingRig(settings)
        let written = Noted<Int>()
        written.value = 0
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    for _ in 0..<10 {
                        try await writer.write([UInt8](repeating: 1, count: 500))
                        written.value! += 500
                    }
                }
            ).body.discard()
        }
        rig.settle()
        #expect(written.value == 1_000)
        rig.finish(pending)
        #expect(pending.value == 5_000)
        rig.expectNothingLeft()
    }

    @Test func `A write beside another is refused, and the first goes on`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 0
        let rig = countingRig(settings)
        let second = Noted<any Error>()
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<2 {
                            group.addTask {
                                do { try await writer.write([1]) } catch { second.value = error }
                            }
                        }
                        try await group.waitForAll()
                    }
                })
        }
        rig.settle()
        #expect((second.value as? H2Error)?.code == .invalidRequest)
        #expect(!pending.isOver)
        pending.task?.cancel()
        rig.finish(pending)
        rig.expectNothingLeft()
    }

    @Test func `An error of the writer resets the stream with CANCEL and reaches the caller`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    try await writer.write([1, 2, 3])
                    throw WriterGaveUp()
                }
            ).status
        }
        rig.finish(pending)
        rig.settle()
        #expect(pending.error is WriterGaveUp)
        #expect(rig.received(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.cancel.rawValue])
        rig.expectNothingLeft()
    }

    @Test(arguments: [(5, 3), (5, 7), (0, 1)])
    func `A body of another length than stated fails, and the fault is the caller's`(_ stated: Int, _ real: Int) {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer(length: stated) { try await $0.write([UInt8](repeating: 0, count: real)) }
            ).status
        }
        rig.finish(pending)
        #expect(pending.h2Error?.code == .invalidRequest)
        #expect(pending.h2Error?.initiator == .user)
        rig.settle()
        // One that fails in the turn that made it is not sent at all.
        #expect(rig.received(Frame.Kind.resetStream).count == rig.received(Frame.Kind.headers).count)
        #expect(rig.received(Frame.Kind.data).filter(\.endsStream).isEmpty)
        rig.expectNothingLeft()
    }

    /// The length is a field's, which is looked at when the request's turn comes.
    @Test(arguments: [2, 3, 4])
    func `A writer may supply all of the stated length before its turn, no less and no more`(_ real: Int) {
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 1
        let rig = ConnectionRig(settings: settings)
        var held: SimulatedStream?
        rig.server.onRequest = { stream in
            if stream.path == "/hold" { held = stream } else { stream.respond(200, [], hasBody: false) }
        }
        let first = rig.start { try await $0.send(.to("/hold")).status.code }
        rig.settle()
        let second = rig.start { connection in
            var request = HTTPRequest.to("/", .post)
            request.headerFields[.contentLength] = "3"
            let body = HTTPRequestBody.writer { try await $0.write([UInt8](repeating: 7, count: real)) }
            return try await connection.send(request, body: body).status.code
        }
        rig.settle()
        #expect(rig.snapshot.waitingRequests == 1)
        rig.world.after(0) { held?.respond(200, [], hasBody: false) }
        rig.finish(first)
        rig.finish(second)
        if real == 3 {
            #expect(second.value == 200, "\(String(describing: second.error))")
        } else {
            #expect(second.h2Error?.code == .invalidRequest, "\(String(describing: second.outcome))")
        }
        rig.expectNothingLeft()
    }

    @Test func `Cancelling while a write waits for the window ends the request`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 0
        let rig = ConnectionRig(settings: settings)
        let writerError = Noted<any Error>()
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    do { try await writer.write([1]) } catch {
                        writerError.value = error
                        throw error
                    }
                }
            ).status
        }
        rig.settle()
        #expect(!pending.isOver)
        pending.task?.cancel()
        rig.finish(pending)
        #expect(pending.error is CancellationError)
        #expect(writerError.value is CancellationError)
        rig.expectNothingLeft()
    }

    @Test func `A deadline ends a writer that waits, with the deadline's error`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 0
        let rig = ConnectionRig(settings: settings)
        var options = RequestOptions()
        options.timeout = .milliseconds(100)
        let pending = rig.start { [options] connection in
            try await connection.send(.to("/", .post), body: .writer { try await $0.write([1]) }, options: options)
                .status
        }
        rig.finish(pending)
        #expect(pending.h2Error?.code == .timeout)
        rig.expectNothingLeft()
    }

    @Test func `An early whole answer stops the upload and is kept`() {
        let rig = ConnectionRig()
        rig.server.onRequest = { stream in
            stream.respond(413, [])
            stream.write(text("too large"))
            stream.finish()
        }
        let writerError = Noted<any Error>()
        let result = rig.run { connection in
            let response = try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    do {
                        for _ in 0..<1_000 { try await writer.write([UInt8](repeating: 0, count: 1_000)) }
                    } catch {
                        writerError.value = error
                        throw error
                    }
                })
            return (response.status.code, try await response.body.collect(upTo: 100))
        }
        #expect(result?.value?.0 == 413)
        #expect(result?.value?.1 == text("too large"))
        #expect(writerError.value is CancellationError)
        rig.expectNothingLeft()
    }

    @Test func `A body that outgrows collect during an upload is told as that`() {
        let rig = ConnectionRig()
        let world = rig.world
        rig.server.onRequest = { stream in
            stream.respond(200)
            world.after(5_000_000) { stream.write([1, 2, 3, 4]) }
        }
        let result = rig.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    for _ in 0..<1_000 { try await writer.write([UInt8](repeating: 0, count: 100_000)) }
                }
            ) { response in try await response.body.collect(upTo: 3) }
        }
        #expect(result?.h2Error?.code == .bodyTooLarge, "\(String(describing: result))")
        rig.expectNothingLeft()
    }

    @Test func `In full duplex the response is read while the request is written`() {
        let rig = ConnectionRig()
        rig.server.onRequest = { stream in stream.respond(200) }
        let world = rig.world
        let server = rig.server!
        // Echo what has come, every two milliseconds.
        func echo(_ sent: Int, _ rounds: Int) {
            guard rounds > 0, let stream = server.streams[1] else { return }
            if stream.received.count > sent { stream.write(Array(stream.received[sent...])) }
            if stream.isRequestWhole { return stream.finish() }
            let count = stream.received.count
            world.after(2_000_000) { echo(count, rounds - 1) }
        }
        world.after(5_000_000) { echo(0, 1_000) }
        let result = rig.run { connection in
            let (echoes, continuation) = AsyncStream.makeStream(of: [UInt8].self)
            return try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    // Each piece is written only after the one before came back.
                    var iterator = echoes.makeAsyncIterator()
                    for number in 0..<10 {
                        try await writer.write([UInt8(number)])
                        _ = await iterator.next()
                    }
                }
            ) { response in
                var all: [UInt8] = []
                for try await piece in response.body {
                    all += piece
                    continuation.yield(piece.bytes)
                }
                return all
            }
        }
        #expect(result?.value == Array(0..<10))
        rig.expectNothingLeft()
    }

    @Test func `A handler that returns early gives the rest of the upload up`() {
        let rig = ConnectionRig()
        rig.server.onRequest = { stream in stream.respond(200) }
        let result = rig.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    while true { try await writer.write([UInt8](repeating: 0, count: 10_000)) }
                }
            ) { $0.status.code }
        }
        #expect(result?.value == 200)
        rig.expectNothingLeft()
    }

    @Test func `A writer that begins to write only after it was given up is not left waiting`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 0
        let rig = ConnectionRig(settings: settings)
        let world = rig.world
        rig.server.onRequest = { stream in stream.respond(200) }
        // The response outlives the handler, so that nothing else ends the stream.
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    await world.sleep(.milliseconds(100))
                    try await writer.write([1, 2, 3])
                }
            ) { $0 }
        }
        rig.advance(1_000)
        #expect(pending.isOver)
        pending.task?.cancel()
        rig.connection.closeNow()
        rig.finish(pending)
        rig.expectNothingLeft()
    }

    // MARK: - Time limits

    /// A server that opens its window a little every 100 ms: 3 s for the whole body.
    func slowRig() -> ConnectionRig {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 1_000
        settings.readDelay = 100_000_000...100_000_000
        return ConnectionRig(settings: settings)
    }

    @Test(arguments: [0, 1, 2])
    func `The time for the first byte begins when the request is sent whole`(_ kind: Int) throws {
        let path = NSTemporaryDirectory() + "h2-body-\(UUID().uuidString)"
        try Data(data(30_000)).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let bytes = data(30_000)
        let bodies: [HTTPRequestBody] = [.bytes(bytes), .file(path), .writer { try await $0.write(bytes) }]
        let rig = slowRig()
        let world = rig.world
        let ended = Noted<UInt64>()
        rig.server.onRequestEnd = { _ in ended.value = world.now }
        var options = RequestOptions()
        options.firstByteTimeout = .seconds(1)
        let pending = rig.start { [options] in
            try await $0.send(.to("/", .post), body: bodies[kind], options: options).status
        }
        rig.finish(pending)
        guard case .timeout(.firstByte, _)? = pending.h2Error?.cause else {
            Issue.record("\(String(describing: pending.outcome))")
            return
        }
        let whole = try #require(ended.value, "the request never arrived whole")
        #expect(world.now - whole > 850_000_000)
        #expect(world.now - whole < 1_200_000_000)
        rig.expectNothingLeft()
    }

    @Test func `The time between bytes does not run out while the request makes progress`() {
        let rig = slowRig()
        let world = rig.world
        rig.server.onRequest = { $0.respond(200) }
        rig.server.onRequestEnd = { stream in
            world.after(300_000_000) {
                stream.write([7])
                stream.finish()
            }
        }
        var options = RequestOptions()
        options.bodyProgressTimeout = .milliseconds(500)
        let bytes = data(30_000)
        let result = rig.run { [options] in
            try await $0.send(.to("/", .post), body: .writer { try await $0.write(bytes) }, options: options)
                .body.collect(upTo: 10)
        }
        #expect(result?.value == [7], "\(String(describing: result))")
        rig.expectNothingLeft()
    }

    // MARK: - Files

    @Test func `A file that cannot be opened fails before anything is sent`() {
        let rig = ConnectionRig(isScripted: true)
        let result = rig.run { try await $0.send(.to("/", .put), body: .file("/no/such/file")).status }
        #expect(result?.h2Error?.code == .localIO)
        rig.settle()
        #expect(rig.received(Frame.Kind.headers).isEmpty)
        rig.expectNothingLeft()
    }

    @Test func `A file that shrinks while it is sent fails its request alone`() throws {
        let path = NSTemporaryDirectory() + "h2-body-\(UUID().uuidString)"
        try Data(data(3_000)).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 1_000
        settings.readDelay = 50_000_000...50_000_000
        let rig = countingRig(settings)
        let pending = rig.start { try await $0.send(.to("/", .put), body: .file(path)).status }
        rig.settle()
        truncate(path, 1_200)
        rig.finish(pending)
        #expect(pending.h2Error?.code == .localIO)
        #expect(rig.run { try await $0.send(.to("/", .post), body: .bytes([1])).status.code }?.value == 200)
        rig.expectNothingLeft()
    }
}
