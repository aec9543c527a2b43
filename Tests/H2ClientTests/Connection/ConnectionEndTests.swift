import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// How a connection ends, and what that means for what was under way (RFC 9113 sections 6.8 and 9.1).
@Suite(.inTurn) struct ConnectionEndTests {
    private func head(_ rig: ConnectionRig, _ id: Int32, endStream: Bool = false) -> Frame {
        .headers(id, rig.encoder.encode([(":status", "200")]), endStream: endStream)
    }

    private func get(_ rig: ConnectionRig, _ path: String = "/") -> Pending<Int> {
        rig.start { try await $0.send(.to(path)).body.discard() }
    }

    private func goAways(_ rig: ConnectionRig) -> [H2Error.HTTP2Code] {
        rig.received(Frame.Kind.goAway).map { H2Error.HTTP2Code(rawValue: $0.number(at: 4)) }
    }

    private func limited(_ streams: Int) -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.limits.concurrentStreams = streams
        return configuration
    }

    // MARK: - A peer that stops reading

    private func uploading(_ rig: ConnectionRig) -> Pending<Int> {
        rig.start {
            try await $0.send(.to("/", .post), body: .bytes([UInt8](repeating: 1, count: 60_000))).body.discard()
        }
    }

    @Test func `A peer that reads nothing is left when the socket took no byte for the limit`() {
        var configuration = ConnectionConfiguration()
        configuration.timeouts.writeStall = .seconds(5)
        let rig = ConnectionRig(configuration, isScripted: true)
        rig.wire.shape.room = 1_000
        rig.wire.isStalled = true
        let upload = uploading(rig)
        rig.advance(4_900)
        #expect(!upload.isOver)
        rig.advance(300)
        #expect(upload.h2Error?.code == .timeout)
        #expect(upload.h2Error?.cause == .timeout(.writeStall, after: .seconds(5)))
        #expect(rig.snapshot.state == .closed)
        rig.expectNothingLeft()
    }

    @Test func `A peer that reads on in time is not left, however often it stalls`() {
        var configuration = ConnectionConfiguration()
        configuration.timeouts.writeStall = .seconds(5)
        let rig = ConnectionRig(configuration, isScripted: true)
        rig.wire.shape.room = 20_000
        rig.wire.isStalled = true
        let upload = uploading(rig)
        for _ in 0..<5 {
            rig.advance(4_000)
            rig.wire.isStalled = false
            rig.settle()
            rig.wire.isStalled = true
        }
        rig.wire.isStalled = false
        rig.wire.send(head(rig, 1, endStream: true))
        rig.finish(upload)
        #expect(upload.value == 0)
        rig.expectNothingLeft()
    }

    // MARK: - close

    @Test func `close lets what was accepted finish, the waiting too, takes nothing new, and says GOAWAY`() {
        let rig = ConnectionRig(limited(1), isScripted: true)
        let (open, waiting) = (get(rig), get(rig))
        rig.settle()
        let closing = rig.start { await $0.close() }
        rig.settle()
        #expect(rig.connection.isDraining)
        #expect(rig.snapshot.state == .draining)
        let refused = get(rig)
        rig.settle()
        #expect(refused.h2Error?.code == .connectionDraining)
        #expect(refused.h2Error?.isRetryable == true)
        #expect(!closing.isOver)
        rig.wire.send(head(rig, 1, endStream: true))
        rig.settle()
        #expect(open.value == 0)
        #expect(!closing.isOver)
        rig.wire.send(head(rig, 3, endStream: true))
        rig.finish(closing)
        rig.settle()
        #expect(waiting.value == 0)
        #expect(goAways(rig) == [.noError])
        #expect(rig.isClosedByClient)
        #expect(rig.snapshot.state == .closed)
        rig.expectNothingLeft()
    }

    @Test func `close of an idle connection closes at once, and twice is harmless`() {
        let rig = ConnectionRig(isScripted: true)
        let start = rig.world.now
        rig.run { await $0.close() }
        rig.run { await $0.close() }
        #expect(rig.world.now == start)
        rig.expectNothingLeft()
        #expect(goAways(rig) == [.noError])
    }

    @Test func `close waits no longer than the drain limit`() {
        var configuration = ConnectionConfiguration()
        configuration.timeouts.drain = .milliseconds(500)
        let rig = ConnectionRig(configuration, isScripted: true)
        let pending = get(rig)
        rig.settle()
        let start = rig.world.now
        rig.run { await $0.close() }
        #expect(rig.world.now - start >= .milliseconds(500) && rig.world.now - start < .milliseconds(510))
        rig.settle()
        #expect(pending.h2Error?.cause == .timeout(.close, after: .milliseconds(500)))
        #expect(pending.h2Error?.isRetryable == false)
        rig.expectNothingLeft()
    }

    @Test func `closeNow fails what is under way and what waits, once each, and says GOAWAY`() {
        let rig = ConnectionRig(limited(2), isScripted: true)
        let pending = (0..<6).map { _ in get(rig) }
        rig.settle()
        rig.connection.closeNow()
        rig.connection.closeNow()
        for each in pending { rig.finish(each) }
        rig.settle()
        for (index, each) in pending.enumerated() {
            #expect(each.endings == 1)
            #expect(each.h2Error?.initiator == .user)
            // What never got a stream can be sent again.
            #expect(each.h2Error?.isRetryable == (index >= 2))
            #expect(each.h2Error?.code == (index < 2 ? .connectionClosed : .notProcessed))
        }
        #expect(goAways(rig) == [.noError])
        rig.expectNothingLeft()
    }

    @Test func `A request on a closed connection fails at once and may be sent elsewhere`() {
        let rig = ConnectionRig(isScripted: true)
        rig.connection.closeNow()
        rig.settle()
        let pending = get(rig)
        rig.finish(pending)
        #expect(pending.h2Error?.isRetryable == true)
        #expect(rig.run { try await $0.ping() }?.h2Error?.code == .connectionClosed)
        #expect(
            rig.run { try await $0.updatePriority(HTTPPriority(), ofStream: 1) }?.h2Error?.code == .connectionClosed)
        rig.expectNothingLeft()
    }

    @Test func `A closed connection releases whoever waits for its close`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = get(rig)
        let closing = rig.start { await $0.close() }
        rig.settle()
        rig.connection.closeNow()
        rig.finish(closing)
        rig.finish(pending)
        rig.expectNothingLeft()
    }

    // MARK: - The server goes

    @Test(arguments: [true, false]) func `When the server goes, each request is told, once`(_ isAbrupt: Bool) {
        let rig = ConnectionRig(limited(2), isScripted: true)
        let pending = (0..<5).map { _ in get(rig) }
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [1, 2]))
        rig.settle()
        if isAbrupt { rig.world.after(0) { rig.wire.breakOff() } } else { rig.wire.end() }
        for each in pending { rig.finish(each) }
        rig.settle()
        for (index, each) in pending.enumerated() {
            #expect(each.endings == 1)
            #expect(each.h2Error?.initiator == .remote)
            #expect(each.h2Error?.scope == .stream(index == 0 ? 1 : index == 1 ? 3 : 0))
            #expect(each.h2Error?.isRetryable == (index >= 2))
        }
        #expect(rig.connection.isDraining)
        rig.expectNothingLeft()
    }

    @Test func `What arrived before the end is delivered first`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = get(rig)
        rig.settle()
        rig.wire.send(head(rig, 1), .data(1, [1, 2, 3], endStream: true))
        rig.wire.end()
        rig.finish(pending)
        #expect(pending.value == 3)
        rig.expectNothingLeft()
    }

    @Test func `An end after GOAWAY tells GOAWAY's reason`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = get(rig)
        rig.settle()
        rig.wire.send(.goAway(lastStreamID: 1, 0, debugText: "maintenance"))
        rig.wire.end()
        rig.finish(pending)
        #expect(pending.h2Error?.message.contains("maintenance") == true)
        rig.expectNothingLeft()
    }

    // MARK: - GOAWAY

    @Test func `GOAWAY fails the waiting and the unprocessed as retryable, and lets the rest finish`() {
        let rig = ConnectionRig(limited(2), isScripted: true)
        let pending = (0..<4).map { _ in get(rig) }
        rig.settle()
        rig.wire.send(.goAway(lastStreamID: 1, 0, debugText: "restart"))
        rig.settle()
        for each in pending[1...] {
            #expect(each.h2Error?.code == .notProcessed, "\(String(describing: each.error))")
            #expect(each.h2Error?.isRetryable == true)
            #expect(each.h2Error?.message.contains("restart") == true)
        }
        #expect(rig.received(Frame.Kind.headers).count == 2)
        #expect(!pending[0].isOver)
        let refused = get(rig)
        rig.finish(refused)
        #expect(refused.h2Error?.code == .connectionDraining)
        #expect(rig.snapshot.goAway?.debugText == "restart")
        rig.wire.send(head(rig, 1, endStream: true))
        rig.finish(pending[0])
        #expect(pending[0].value == 0)
        rig.settle()
        // The last stream is done: the client closes.
        #expect(rig.isClosedByClient)
        rig.expectNothingLeft()
    }

    @Test func `A request that meets GOAWAY on its way out is told of it`() {
        let rig = ConnectionRig(isScripted: true)
        let open = get(rig)
        rig.settle()
        rig.wire.shape.room = 0
        let held = get(rig)
        rig.settle()
        rig.wire.send(.goAway(lastStreamID: 1, 0, debugText: "restart"))
        rig.settle()
        #expect(!open.isOver)
        rig.world.after(0) {
            rig.wire.shape.room = 1 << 20
            rig.wire.send(self.head(rig, 1, endStream: true))
        }
        rig.finish(held)
        rig.finish(open)
        #expect(held.h2Error?.code == .notProcessed)
        #expect(held.h2Error?.isRetryable == true)
        #expect(held.h2Error?.message.contains("restart") == true)
        rig.expectNothingLeft()
    }

    @Test func `GOAWAY with an error ends everything, with its code and text`() {
        let rig = ConnectionRig(isScripted: true)
        let (first, second) = (get(rig), get(rig))
        rig.settle()
        rig.wire.send(.goAway(lastStreamID: 1, H2Error.HTTP2Code.enhanceYourCalm.rawValue, debugText: "too fast"))
        rig.finish(first)
        rig.finish(second)
        #expect(first.h2Error?.cause == .http2(.enhanceYourCalm, debugText: "too fast"))
        #expect(first.h2Error?.isRetryable == false)
        #expect(second.h2Error?.code == .notProcessed)
        #expect(second.h2Error?.isRetryable == true)
        rig.expectNothingLeft()
    }

    @Test func `GOAWAY on an idle connection closes it`() {
        let rig = ConnectionRig(isScripted: true)
        rig.wire.send(.goAway(lastStreamID: 0))
        rig.settle()
        #expect(rig.connection.isDraining)
        #expect(rig.isClosedByClient)
        rig.expectNothingLeft()
    }

    // MARK: - The server breaks the protocol

    @Test func `A connection error fails everything and says GOAWAY with its code`() {
        let rig = ConnectionRig(limited(1), isScripted: true)
        let (open, waiting) = (get(rig), get(rig))
        rig.settle()
        rig.wire.send(.data(0, [1]))
        rig.finish(open)
        rig.finish(waiting)
        rig.settle()
        #expect(open.h2Error?.code == .protocolViolation)
        #expect(open.h2Error?.isRetryable == false)
        #expect(waiting.h2Error?.isRetryable == true)
        #expect(goAways(rig) == [.protocolError])
        #expect(rig.isClosedByClient)
        rig.expectNothingLeft()
    }

    @Test func `PUSH_PROMISE ends the connection with PROTOCOL_ERROR`() {
        let rig = ConnectionRig(isScripted: true)
        let pending = get(rig)
        rig.settle()
        rig.wire.send(.pushPromise(1, promised: 2, rig.encoder.encode([(":method", "GET"), (":path", "/")])))
        rig.finish(pending)
        rig.settle()
        #expect(pending.h2Error?.code == .protocolViolation)
        #expect(goAways(rig) == [.protocolError])
        rig.expectNothingLeft()
    }

    @Test func `A flood ends the connection with ENHANCE_YOUR_CALM`() {
        var configuration = ConnectionConfiguration()
        configuration.limits.controlFrames = 20
        let rig = ConnectionRig(configuration, isScripted: true)
        let pending = get(rig)
        rig.settle()
        rig.wire.send((0..<100).flatMap { _ in Frame.ping().bytes })
        rig.finish(pending)
        rig.settle()
        #expect(pending.h2Error?.code == .limitExceeded)
        #expect(goAways(rig) == [.enhanceYourCalm])
        rig.expectNothingLeft()
    }

    @Test func `An answer in HTTP-1 is told as that`() {
        let world = SimulatedWorld()
        defer { world.run() }
        let wire = LoopBound(SimulatedWire(world))
        let connection = world.onLoop {
            HTTP2Connection(
                over: wire.value, to: try! Origin(scheme: .http, host: "a"), configuration: ConnectionConfiguration(),
                on: world.loop)
        }
        let error = Noted<H2Error>()
        world.task {
            do { _ = try await connection.send(.to()) } catch let caught { error.noteError(caught) }
        }
        world.advance(.milliseconds(1))
        wire.value.send(text("HTTP/1.1 400 Bad Request\r\n\r\n"))
        world.run { error.value != nil }
        #expect(error.value?.code == .http2NotNegotiated)
        #expect(error.value?.message.contains("HTTP/1.1") == true)
    }

    // MARK: - Time limits

    @Test func `SETTINGS that are not acknowledged in time end the connection with SETTINGS_TIMEOUT`() {
        var configuration = ConnectionConfiguration()
        configuration.timeouts.settings = .seconds(3)
        var settings = SimulatedServer.Settings()
        settings.maxConcurrentStreams = 5
        let rig = ConnectionRig(configuration, isScripted: true)
        // This rig has acknowledged: nothing happens.
        rig.advance(10_000)
        #expect(rig.snapshot.state == .active)
        rig.expectNothingLeft()

        let world = SimulatedWorld()
        defer { world.run() }
        let wire = LoopBound(SimulatedWire(world))
        let reader = FrameReader(expectsPreface: true)
        var frames: [Frame] = []
        wire.value.onReceive = { frames += reader.read($0) }
        let connection = world.onLoop { [configuration] in
            HTTP2Connection(
                over: wire.value, to: try! Origin(scheme: .http, host: "a"), configuration: configuration,
                on: world.loop)
        }
        let error = Noted<H2Error>()
        world.task {
            do { _ = try await connection.send(.to()) } catch let caught { error.noteError(caught) }
        }
        world.run { error.value != nil }
        #expect(error.value?.cause == .timeout(.settings, after: .seconds(3)))
        world.advance(.milliseconds(1))
        #expect(
            frames.filter { $0.type == Frame.Kind.goAway }.map { $0.number(at: 4) } == [
                H2Error.HTTP2Code.settingsTimeout.rawValue
            ])
        #expect(wire.value.isClosed)
    }

    @Test func `PING measures the round trip`() {
        let rig = ConnectionRig(latency: 7_000_000)
        let time = rig.run { try await $0.ping() }?.value
        #expect(time == .milliseconds(14))
        #expect(rig.snapshot.roundTripTime == .milliseconds(14))
        rig.expectNothingLeft()
    }

    @Test func `PINGs under way at once are told apart`() {
        let rig = ConnectionRig(isScripted: true)
        let (first, second) = (rig.start { try await $0.ping() }, rig.start { try await $0.ping() })
        rig.settle()
        let pings = rig.received(Frame.Kind.ping)
        #expect(pings.count == 2)
        var answer = pings[1]
        answer.flags = Frame.Flag.ack
        rig.wire.send(answer)
        rig.settle()
        #expect(!first.isOver)
        #expect(second.value != nil)
        answer.payload = pings[0].payload
        rig.wire.send(answer)
        rig.finish(first)
        #expect(first.value ?? .zero > second.value ?? .seconds(1_000))
        rig.expectNothingLeft()
    }

    @Test func `A PING that is not answered times out, also where nothing can be written`() {
        for isStalled in [false, true] {
            let rig = ConnectionRig(isScripted: true)
            rig.wire.shape.room = isStalled ? 0 : 1_000
            let result = rig.run { try await $0.ping(timeout: .seconds(2)) }
            #expect(result?.h2Error?.cause == .timeout(.ping, after: .seconds(2)))
            // The connection is the caller's to close.
            #expect(rig.snapshot.state == .active)
            rig.wire.shape.room = 1 << 20
            rig.expectNothingLeft()
        }
    }

    @Test func `The server's PING is answered while nothing is under way`() {
        let rig = ConnectionRig(isScripted: true)
        rig.wire.send(.ping(42))
        rig.settle()
        #expect(rig.received(Frame.Kind.ping) == [.ping(42, ack: true)])
        rig.expectNothingLeft()
    }

    @Test func `PRIORITY_UPDATE goes out where the server takes it`() {
        let rig = ConnectionRig(isScripted: true, says: [Setting.noRFC7540Priorities: 1])
        let pending = get(rig)
        rig.settle()
        #expect(rig.run { try await $0.updatePriority(HTTPPriority(urgency: 0), ofStream: 1) }?.error == nil)
        rig.settle()
        #expect(rig.received(Frame.Kind.priorityUpdate).map(\.payload) == [[0, 0, 0, 1] + text("u=0")])
        pending.task?.cancel()
        rig.finish(pending)
        rig.expectNothingLeft()
    }

    // MARK: - Backpressure of the wire

    @Test func `A wire that takes a byte at a time loses nothing`() {
        let rig = ConnectionRig()
        rig.wire.shape.room = 1
        rig.wire.shape.latency = 0...0
        rig.server.onRequestEnd = { stream in
            stream.respond(200)
            stream.write(stream.received)
            stream.finish()
        }
        let body = (0..<2_000).map { UInt8(truncatingIfNeeded: $0) }
        let result = rig.run { try await $0.send(.to("/", .post), body: .bytes(body)).body.collect(upTo: 5_000) }
        #expect(result?.value == body)
        rig.expectNothingLeft()
    }

    @Test func `The snapshot tells what is going on`() {
        let rig = ConnectionRig(limited(2), isScripted: true)
        rig.wire.send(
            .settings([Setting.maxConcurrentStreams: 9, Setting.initialWindowSize: 1_234]), .windowUpdate(0, 1_000))
        let pending = (0..<3).map { _ in get(rig) }
        let unread = rig.start { connection in
            let response = try await connection.send(.to())
            return response
        }
        rig.settle()
        let snapshot = rig.snapshot
        #expect(snapshot.state == .active)
        #expect(snapshot.openStreams == 2)
        #expect(snapshot.waitingRequests == 2)
        #expect(snapshot.requests == 2)
        #expect(snapshot.remoteSettings.maxConcurrentStreams == 9)
        #expect(snapshot.remoteSettings.initialWindowSize == 1_234)
        #expect(snapshot.localSettings.initialWindowSize == 1 << 20)
        #expect(snapshot.sendWindow == 66_535)
        #expect(snapshot.receiveWindow == 4 << 20)
        #expect(snapshot.bytesSent > 24 && snapshot.bytesReceived > 9)
        #expect(snapshot.goAway == nil)
        #expect(snapshot.roundTripTime == nil)
        for each in pending { each.task?.cancel() }
        unread.task?.cancel()
        rig.expectNothingLeft()
    }

    @Test func `A connection that is dropped unclosed closes`() {
        let world = SimulatedWorld()
        defer { world.run() }
        let wire = LoopBound(SimulatedWire(world))
        weak var inner: Connection?
        do {
            let connection = world.onLoop {
                HTTP2Connection(
                    over: wire.value, to: try! Origin(scheme: .http, host: "a"),
                    configuration: ConnectionConfiguration(),
                    on: world.loop)
            }
            inner = connection.connection
        }
        world.run()
        #expect(wire.value.isClosed)
        #expect(inner == nil)
    }
}

extension Noted where Value == H2Error {
    func noteError(_ error: any Error) { value = error as? H2Error }
}
