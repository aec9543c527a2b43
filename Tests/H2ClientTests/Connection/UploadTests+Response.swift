import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// The response before the end of the upload.
extension UploadTests {
    /// Echoes what comes as it comes.
    func echoingRig(_ settings: SimulatedServer.Settings = .init()) -> ConnectionRig {
        let rig = ConnectionRig(settings: settings)
        let (world, server) = (rig.world, rig.server!)
        func echo(_ id: Int32, _ sent: Int) {
            guard let stream = server.streams[id], !stream.isClosed else { return }
            let count = stream.received.count
            if count > sent { stream.write(Array(stream.received[sent...])) }
            if stream.isRequestWhole { return stream.finish() }
            world.after(1_000_000) { echo(id, count) }
        }
        rig.server.onRequest = { stream in
            stream.respond(200)
            let id = server.lastStreamID
            world.after(1_000_000) { echo(id, 0) }
        }
        return rig
    }

    @Test func `send returns with the head, and the upload goes on while the response is read`() {
        let rig = echoingRig()
        let bytes = data(300_000)
        let result = rig.run { connection in
            let (echoes, continuation) = AsyncStream.makeStream(of: Int.self)
            let response = try await connection.send(
                .to("/echo", .post),
                body: .writer { writer in
                    // Each piece is written only after the one before came back.
                    var iterator = echoes.makeAsyncIterator()
                    var back = 0
                    for start in stride(from: 0, to: bytes.count, by: 10_000) {
                        try await writer.write(Array(bytes[start..<start + 10_000]))
                        while back < start + 10_000 { back += await iterator.next() ?? 0 }
                    }
                })
            var all: [UInt8] = []
            for try await piece in response.body {
                all += piece
                continuation.yield(piece.count)
            }
            return all
        }
        #expect(result?.value == bytes, "\(String(describing: result))")
        rig.expectNothingLeft()
    }

    @Test func `An error of the writer after the head reaches the reader of the body`() {
        let rig = ConnectionRig()
        rig.server.onRequest = { $0.respond(200) }
        let world = rig.world
        let result = rig.run { connection in
            let response = try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    try await writer.write([1])
                    await world.sleep(.milliseconds(100))
                    throw WriterGaveUp()
                })
            #expect(response.status == .ok)
            return try await response.body.collect(upTo: 100)
        }
        #expect(result?.error is WriterGaveUp, "\(String(describing: result))")
        rig.expectNothingLeft()
    }

    @Test func `A response that is dropped while the request is sent ends its writer and resets the stream`() {
        let rig = ConnectionRig(isScripted: true)
        let writerError = Noted<any Error>()
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    do { while true { try await writer.write([UInt8](repeating: 0, count: 10_000)) } } catch {
                        writerError.value = error
                        throw error
                    }
                }
            ).status
        }
        rig.settle()
        rig.wire.send(head(rig, "200"))
        rig.finish(pending)
        rig.settle()
        #expect(pending.value == .ok)
        #expect(writerError.value != nil)
        #expect(rig.received(Frame.Kind.resetStream).map { $0.number() } == [H2Error.HTTP2Code.cancel.rawValue])
        rig.expectNothingLeft()
    }

    @Test func `Cancelling the reader of the response ends the upload too`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 0
        let rig = ConnectionRig(settings: settings)
        rig.server.onRequest = { $0.respond(200) }
        let writerError = Noted<any Error>()
        let pending = rig.start { connection in
            let response = try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    do { try await writer.write([1]) } catch {
                        writerError.value = error
                        throw error
                    }
                })
            return try await response.body.collect(upTo: 100)
        }
        rig.advance(1_000)
        #expect(!pending.isOver)
        pending.task?.cancel()
        rig.finish(pending)
        rig.settle()
        #expect(pending.error is CancellationError)
        #expect(writerError.value is CancellationError)
        rig.expectNothingLeft()
    }

    @Test(arguments: [false, true])
    func `A writer that ignores its cancellation holds nobody up`(_ isHeadHere: Bool) {
        let rig = ConnectionRig()
        if isHeadHere { rig.server.onRequest = { $0.respond(200) } }
        let world = rig.world
        var options = RequestOptions()
        options.timeout = .milliseconds(300)
        let began = world.now
        let writerEnded = Noted<Bool>()
        let pending = rig.start { [options] connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { _ in
                    await world.sleep(.seconds(5))
                    writerEnded.value = true
                }, options: options
            ).body.collect(upTo: 100)
        }
        rig.finish(pending)
        #expect(pending.h2Error?.code == .timeout)
        #expect(world.now - began < 400_000_000)
        rig.advance(10_000)
        #expect(writerEnded.value == true)
        rig.expectNothingLeft()
    }

    // MARK: - Writers that outlive their closure

    @Test func `A write that is under way when the closure returns fails the request`() {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = 5
        settings.readDelay = 50_000_000...50_000_000
        let rig = countingRig(settings)
        let world = rig.world
        let writerError = Noted<any Error>()
        let result = rig.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    world.task {
                        do { try await writer.write([UInt8](repeating: 0, count: 100)) } catch {
                            writerError.value = error
                        }
                    }
                    await world.sleep(.milliseconds(50))
                }
            ).status
        }
        #expect(result?.h2Error?.code == .invalidRequest, "\(String(describing: result))")
        rig.settle()
        #expect((writerError.value as? H2Error)?.code == .invalidRequest)
        #expect(rig.server.streams.values.allSatisfy { !$0.isRequestWhole })
        rig.expectNothingLeft()
    }

    @Test(arguments: [true, false])
    func `A write after the closure returned fails with its own error, and so does the request`(_ isEndSent: Bool) {
        var settings = SimulatedServer.Settings()
        settings.initialWindowSize = isEndSent ? 100 : 5
        settings.readDelay = 50_000_000...50_000_000
        let rig = ConnectionRig(settings: settings)
        let escaped = Noted<HTTPRequestBody.Writer>()
        let pending = rig.start { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    escaped.value = writer
                    try await writer.write([UInt8](repeating: 0, count: 5))
                }
            ).status
        }
        rig.settle()
        let writer = escaped.value!
        let late = rig.start { _ in try await writer.write([1]) }
        rig.finish(late)
        #expect(late.h2Error?.code == .invalidRequest, "\(String(describing: late.outcome))")
        rig.finish(pending)
        #expect(pending.h2Error?.code == .invalidRequest)
        rig.expectNothingLeft()
    }

    @Test func `A write after the end of the whole exchange says so`() {
        let rig = countingRig()
        let escaped = Noted<HTTPRequestBody.Writer>()
        let result = rig.run { connection in
            try await connection.send(
                .to("/", .post),
                body: .writer { writer in
                    escaped.value = writer
                    try await writer.write([1])
                }
            ).body.collect(upTo: 10)
        }
        #expect(result?.value == [1])
        let writer = escaped.value!
        let late = rig.run { _ in try await writer.write([2]) }
        #expect(late?.h2Error?.code == .invalidRequest, "\(String(describing: late))")
        rig.expectNothingLeft()
    }

    @Test func `A sequence that its task's cancellation ends makes no whole body of a part`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { connection in
            let chunks = AsyncStream<[UInt8]> { $0.yield([1, 2, 3]) }
            return try await connection.send(.to("/", .post), body: .stream(chunks)) { response in
                try await response.body.collect(upTo: 10)
            }
        }
        rig.settle()
        rig.wire.send(head(rig, "200"))
        rig.advance(500)
        pending.task?.cancel()
        rig.finish(pending)
        rig.settle()
        #expect(rig.received(Frame.Kind.data).filter(\.endsStream).isEmpty)
        rig.expectNothingLeft()
    }
}
