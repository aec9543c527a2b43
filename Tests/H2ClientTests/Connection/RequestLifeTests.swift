import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// One request from its call to its end: answers, cancellation, deadlines, bodies.
@Suite(.inTurn) struct RequestLifeTests {
    private func resets(_ rig: ConnectionRig) -> [(Int32, H2Error.HTTP2Code)] {
        rig.received(Frame.Kind.resetStream).map { ($0.streamID, H2Error.HTTP2Code(rawValue: $0.number())) }
    }

    private func head(_ rig: ConnectionRig, _ id: Int32, status: String = "200", endStream: Bool = false) -> Frame {
        .headers(id, rig.encoder.encode([(":status", status)]), endStream: endStream)
    }

    @Test func `A response is delivered with its head, body, trailers and figures`() throws {
        let rig = ConnectionRig()
        rig.server.onRequest = { stream in
            stream.respond(201, [("x-a", "b")])
            stream.write(text("hello"))
            stream.finish(trailers: [("x-sum", "5")])
        }
        let result = rig.run { connection in
            let response = try await connection.send(.to("/x"))
            let body = try await response.body.collect(upTo: 100)
            return (
                response.status.code, response.headerFields[HTTPField.Name("x-a")!], body,
                await response.trailerFields(),
                await response.metrics(), response.isConnectionReused, response.streamID
            )
        }
        let (status, field, body, trailers, metrics, isReused, id) = try #require(result?.value)
        #expect(status == 201)
        #expect(field == "b")
        #expect(body == text("hello"))
        #expect(trailers == [HTTPField.Name("x-sum")!: "5"])
        #expect(!isReused)
        #expect(id == 1)
        #expect(metrics.bodyBytesReceived == 5)
        #expect(metrics.bytesSent > 9)
        #expect(metrics.bytesReceived > 5 + 3 * 9)
        #expect(metrics.queued == .zero)
        #expect(metrics.requestSent <= .milliseconds(1))
        #expect(try #require(metrics.firstByte) >= .milliseconds(2))
        #expect(try #require(metrics.lastByte) >= metrics.firstByte!)
        #expect(metrics.connect != nil)
        let second = rig.run { connection in
            let response = try await connection.send(.to("/x"))
            try await response.body.discard()
            return (response.isConnectionReused, await response.metrics().connect)
        }
        #expect(second?.value?.0 == true)
        #expect(second?.value?.1 == nil)
        rig.expectNothingLeft()
    }

    // MARK: - Cancellation

    @Test func `A request that is cancelled before it is sent leaves nothing on the wire`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { try await $0.send(.to()).status }
        pending.task?.cancel()
        rig.finish(pending)
        rig.settle()
        #expect(pending.error is CancellationError)
        #expect(pending.endings == 1)
        #expect(!rig.received.contains { $0.type == Frame.Kind.headers && !rig.received.contains { $0.type == 3 } })
        rig.expectNothingLeft()
    }

    @Test func `Cancelling while the head is awaited resets the stream with CANCEL, its siblings go on`() {
        let rig = ConnectionRig(isScripted: true)
        let first = rig.start { try await $0.send(.to("/1")).status.code }
        let second = rig.start { try await $0.send(.to("/2")).status.code }
        rig.settle()
        first.task?.cancel()
        rig.settleCancellations()
        #expect(first.error is CancellationError)
        #expect(resets(rig).map(\.0) == [1])
        #expect(resets(rig).map(\.1) == [.cancel])
        rig.wire.send(head(rig, 3, endStream: true))
        rig.finish(second)
        #expect(second.value == 200)
        rig.expectNothingLeft()
    }

    @Test func `Cancelling while the body is read resets the stream and gives the window back`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { connection in
            var count = 0
            for try await piece in try await connection.send(.to()).body { count += piece.count }
            return count
        }
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [1, 2, 3]))
        rig.settle()
        #expect(!pending.isOver)
        pending.task?.cancel()
        rig.settle()
        #expect(pending.error is CancellationError)
        #expect(resets(rig).map(\.1) == [.cancel])
        rig.wire.send(.data(1, [4, 5, 6]))
        rig.expectNothingLeft()
    }

    @Test(arguments: [0, 1, 2]) func `Cancelling any way of draining a body ends it`(_ way: Int) {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { connection in
            let body = try await connection.send(.to()).body
            switch way {
            case 0: return try await body.collect(upTo: 100).count
            case 1: return try await body.discard()
            default: return try await body.write(to: 1)
            }
        }
        rig.settle()
        rig.wire.send(head(rig, 1))
        rig.settle()
        pending.task?.cancel()
        rig.settle()
        #expect(pending.error is CancellationError)
        rig.expectNothingLeft()
    }

    @Test func `Cancelling a request that waits for a stream takes it out of the queue`() {
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 1
        let rig = ConnectionRig(settings: settings)
        var held: SimulatedStream?
        rig.server.onRequest = { stream in
            if stream.path == "/hold" { held = stream } else { stream.respond(200, [], hasBody: false) }
        }
        let first = rig.start { try await $0.send(.to("/hold")).status.code }
        rig.settle()
        let second = rig.start { try await $0.send(.to("/2")).status.code }
        let third = rig.start { try await $0.send(.to("/3")).status.code }
        rig.settle()
        #expect(rig.snapshot.waitingRequests == 2)
        second.task?.cancel()
        rig.settle()
        #expect(second.error is CancellationError)
        #expect(rig.snapshot.waitingRequests == 1)
        rig.world.after(0) { held?.respond(200, [], hasBody: false) }
        rig.finish(first)
        rig.finish(third)
        #expect(third.value == 200)
        rig.expectNothingLeft()
    }

    // MARK: - Dropping

    @Test func `A body that is dropped unread resets the stream with CANCEL and gives the window back`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { try await $0.send(.to()).status.code }
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [UInt8](repeating: 0, count: 5_000)))
        rig.finish(pending)
        rig.settle()
        #expect(pending.value == 200)
        #expect(resets(rig).map(\.1) == [.cancel])
        rig.expectNothingLeft()
    }

    @Test func `A whole body that is dropped unread resets nothing`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { try await $0.send(.to()).status.code }
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [1, 2, 3], endStream: true))
        rig.finish(pending)
        rig.settle()
        #expect(resets(rig).isEmpty)
        rig.expectNothingLeft()
    }

    @Test func `A body that ended after its head and is dropped gives the window back`() {
        let rig = ConnectionRig(isScripted: true)
        let world = rig.world
        let pending = rig.start { connection in
            let response = try await connection.send(.to())
            await world.sleep(.milliseconds(100))
            return response.status.code
        }
        rig.settle()
        rig.wire.send(head(rig, 1))
        rig.settle()
        rig.wire.send(.data(1, [1, 2, 3], endStream: true))
        rig.settle()
        #expect(rig.snapshot.unreadBytes == 3)
        rig.finish(pending)
        rig.expectNothingLeft()
        #expect(resets(rig).isEmpty)
    }

    // MARK: - Deadlines

    private func timed(
        _ rig: ConnectionRig, _ change: (inout RequestOptions) -> Void, path: String = "/"
    ) -> Pending<Int> {
        var options = RequestOptions()
        change(&options)
        return rig.start { [options] connection in
            try await connection.send(.to(path), options: options).body.discard()
        }
    }

    @Test func `timeout counts from the call to the last byte`() {
        let rig = ConnectionRig(isScripted: true)
        let start = rig.world.now
        let pending = timed(rig) { $0.timeout = .milliseconds(300) }
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [1]))
        rig.finish(pending)
        #expect(pending.h2Error?.cause == .timeout(.wholeRequest, after: .milliseconds(300)))
        #expect(rig.world.now - start >= .milliseconds(300) && rig.world.now - start < .milliseconds(305))
        rig.settle()
        #expect(resets(rig).map(\.1) == [.cancel])
        rig.expectNothingLeft()
    }

    @Test func `A timeout of zero ends the request at once`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = timed(rig) { $0.timeout = .zero }
        rig.finish(pending)
        #expect(pending.h2Error?.code == .timeout)
        rig.expectNothingLeft()
    }

    @Test func `firstByteTimeout counts until the head and no further`() {
        let rig = ConnectionRig(isScripted: true)
        let late = timed(rig) { $0.firstByteTimeout = .milliseconds(100) }
        let inTime = timed(rig) { $0.firstByteTimeout = .milliseconds(100) }
        rig.settle()
        rig.wire.send(head(rig, 3))
        rig.advance(500)
        #expect(late.h2Error?.cause == .timeout(.firstByte, after: .milliseconds(100)))
        #expect(!inTime.isOver)
        rig.wire.send(.data(3, [1, 2], endStream: true))
        rig.finish(inTime)
        #expect(inTime.value == 2)
        rig.expectNothingLeft()
    }

    @Test func `bodyProgressTimeout counts from piece to piece`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = timed(rig) { $0.bodyProgressTimeout = .milliseconds(100) }
        rig.settle()
        rig.wire.send(head(rig, 1))
        for _ in 0..<5 {
            rig.advance(70)
            rig.wire.send(.data(1, [1]))
        }
        rig.advance(50)
        #expect(!pending.isOver)
        rig.advance(100)
        #expect(pending.h2Error?.cause == .timeout(.betweenBytes, after: .milliseconds(100)))
        rig.expectNothingLeft()
    }

    @Test func `queueTimeout counts while a request waits for a stream, and it may be sent again`() {
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 0
        let rig = ConnectionRig(settings: settings)
        let start = rig.world.now
        let pending = timed(rig) { $0.queueTimeout = .milliseconds(200) }
        rig.finish(pending)
        #expect(pending.h2Error?.cause == .timeout(.queued, after: .milliseconds(200)))
        #expect(pending.h2Error?.isRetryable == true)
        #expect(rig.world.now - start >= .milliseconds(200))
        rig.expectNothingLeft()
    }

    @Test func `A deadline in the queue is the whole request's too`() {
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 0
        let rig = ConnectionRig(settings: settings)
        let pending = timed(rig) {
            $0.timeout = .milliseconds(100)
            $0.queueTimeout = .milliseconds(200)
        }
        rig.finish(pending)
        #expect(pending.h2Error?.cause == .timeout(.wholeRequest, after: .milliseconds(100)))
        rig.expectNothingLeft()
    }

    // MARK: - The queue

    @Test func `Waiting requests get streams in the order they came`() {
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 2
        let rig = ConnectionRig(settings: settings)
        var order: [String] = []
        let world = rig.world
        rig.server.onRequest = { stream in
            order.append(stream.path)
            world.after(3_000_000) { stream.respond(200, [], hasBody: false) }
        }
        let pending = (0..<50).map { number in rig.start { try await $0.send(.to("/\(number)")).status.code } }
        for each in pending { rig.finish(each) }
        #expect(order == (0..<50).map { "/\($0)" })
        #expect(pending.allSatisfy { $0.value == 200 })
        rig.expectNothingLeft()
    }

    @Test func `A server that allows no stream yet and then some gets the requests then`() {
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 0
        let rig = ConnectionRig(settings: settings)
        rig.server.onRequest = { $0.respond(200, [], hasBody: false) }
        let pending = (0..<5).map { _ in rig.start { try await $0.send(.to()).status.code } }
        rig.advance(1_000)
        #expect(rig.snapshot.waitingRequests == 5)
        #expect(rig.snapshot.openStreams == 0)
        settings.maxConcurrentStreams = 2
        rig.world.after(0) { rig.server.announce(settings) }
        for each in pending { rig.finish(each) }
        #expect(pending.allSatisfy { $0.value == 200 })
        rig.expectNothingLeft()
    }

    @Test func `The queue has a limit, past which requests fail and may be sent again`() {
        var configuration = ConnectionConfiguration()
        configuration.limits.waitingRequests = 2
        configuration.limits.concurrentStreams = 1
        let rig = ConnectionRig(configuration, isScripted: true)
        let pending = (0..<4).map { _ in rig.start { try await $0.send(.to()).status.code } }
        rig.settle()
        #expect(pending[3].h2Error?.code == .limitExceeded)
        #expect(pending[3].h2Error?.isRetryable == true)
        #expect(pending[3].h2Error?.remedy.contains("waitingRequests") == true)
        for each in pending[..<3] {
            #expect(!each.isOver)
            each.task?.cancel()
        }
        rig.expectNothingLeft()
    }

    // MARK: - Fields

    @Test func `The priority goes out as a field`() {
        let rig = ConnectionRig()
        var priority: String?
        rig.server.onRequest = { stream in
            priority = stream.value("priority")
            stream.respond(200, [], hasBody: false)
        }
        var options = RequestOptions()
        options.priority = HTTPPriority(urgency: 1, isIncremental: true)
        rig.run { [options] in try await $0.send(.to(), options: options).status }
        #expect(priority == "u=1, i")
        rig.expectNothingLeft()
    }

    @Test func `A request that cannot be sent fails by itself and leaves the connection`() {
        let rig = ConnectionRig()
        rig.server.onRequest = { $0.respond(200, [], hasBody: false) }
        let result = rig.run { try await $0.send(.to("no slash")).status }
        #expect(result?.h2Error?.code == .invalidRequest)
        #expect(rig.run { try await $0.send(.to()).status.code }?.value == 200)
        rig.expectNothingLeft()
    }

    @Test func `Informational responses reach who asked for them, in order`() {
        let rig = ConnectionRig()
        rig.server.onRequest = { stream in
            stream.inform(103, [("link", "</a>")])
            stream.inform(103, [("link", "</b>")])
            stream.respond(200, [], hasBody: false)
        }
        let seen = Noted<[String]>()
        seen.value = []
        var options = RequestOptions()
        options.onInformational = {
            seen.value?.append("\($0.status.code) \($0.headerFields[HTTPField.Name("link")!] ?? "")")
        }
        rig.run { [options] in try await $0.send(.to(), options: options).status }
        #expect(seen.value == ["103 </a>", "103 </b>"])
        rig.expectNothingLeft()
    }

    @Test func `collect stops past its limit and resets the stream`() {
        for isSlow in [false, true] {
            let rig = ConnectionRig(isScripted: true)
            let pending = rig.start { try await $0.send(.to()).body.collect(upTo: 3) }
            rig.settle()
            rig.wire.send(head(rig, 1))
            if isSlow { rig.settle() }
            rig.wire.send(.data(1, [1, 2, 3, 4]))
            rig.settle()
            #expect(pending.h2Error?.code == .bodyTooLarge)
            #expect(resets(rig).map(\.1) == [.cancel])
            rig.expectNothingLeft()
        }
    }

    @Test func `A whole body over the limit of collect is refused as well`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = rig.start { try await $0.send(.to()).body.collect(upTo: 3) }
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [1, 2, 3, 4], endStream: true))
        rig.finish(pending)
        #expect(pending.h2Error?.code == .bodyTooLarge)
        rig.expectNothingLeft()
    }

    @Test(arguments: [true, false])
    func `A body that was whole before its reader came is held to the reader's limits`(_ collects: Bool) {
        let rig = ConnectionRig(isScripted: true)
        let world = rig.world
        let pending = rig.start { connection in
            let response = try await connection.send(.to())
            await world.sleep(.milliseconds(200))
            return collects
                ? try await response.body.collect(upTo: 3).count : try await response.body.write(to: -1)
        }
        rig.settle()
        rig.wire.send(head(rig, 1))
        rig.settle()
        rig.wire.send(.data(1, [1, 2, 3, 4], endStream: true))
        rig.finish(pending)
        #expect(pending.h2Error?.code == (collects ? .bodyTooLarge : .localIO))
        rig.expectNothingLeft()
    }

    @Test func `A descriptor that cannot be written fails the request and resets the stream`() {
        for isWhole in [false, true] {
            let rig = ConnectionRig(isScripted: true)
            let pending = rig.start { try await $0.send(.to()).body.write(to: -1) }
            rig.settle()
            rig.wire.send(head(rig, 1), .data(1, [1, 2, 3, 4], endStream: isWhole))
            rig.finish(pending)
            #expect(pending.h2Error?.code == .localIO)
            #expect(pending.h2Error?.cause == .errno(9))
            rig.expectNothingLeft()
        }
    }

    @Test func `A request that cannot be begun starts no timer`() {
        let rig = ConnectionRig()
        rig.settleCancellations()
        let before = rig.world.loop.nextTimer
        let result = rig.run { connection in try await connection.send(.to("/a b")).status }
        #expect(result?.h2Error?.code == .invalidRequest, "\(String(describing: result))")
        #expect(rig.world.loop.nextTimer == before)
        rig.expectNothingLeft()
    }
}
