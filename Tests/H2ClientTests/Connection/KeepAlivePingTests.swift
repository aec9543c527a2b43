import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Decisions alone; times in seconds.
@Suite(.inTurn) struct KeepAlivePingTests {
    private struct Case {
        var ping: KeepAlivePing
        var traffic = KeepAlivePing.Traffic()
        var lastByteAt = 0

        init(_ change: (inout ConnectionConfiguration.KeepAlive) -> Void = { _ in }) {
            var configuration = ConnectionConfiguration.KeepAlive()
            change(&configuration)
            ping = KeepAlivePing(configuration)!
        }

        mutating func begin(_ now: Int) -> Int { Int(ping.begin(now: .seconds(now)) / 1_000_000_000) }

        mutating func look(_ now: Int, hasOpenStreams: Bool = true) -> KeepAlivePing.Step {
            ping.look(
                now: .seconds(now), lastByteAt: .seconds(lastByteAt), traffic: traffic, hasOpenStreams: hasOpenStreams)
        }

        mutating func arrived(_ count: Int, at now: Int) {
            traffic.bytes += count
            lastByteAt = now
        }

        mutating func acknowledged(at now: Int) {
            arrived(17, at: now)
            traffic.acknowledgements += 1
        }
    }

    private func at(_ seconds: Int) -> KeepAlivePing.Step { .look(at: .seconds(seconds)) }

    @Test func `Without an interval there is none`() {
        var configuration = ConnectionConfiguration.KeepAlive()
        configuration.interval = nil
        #expect(KeepAlivePing(configuration) == nil)
    }

    @Test func `A quiet connection is asked after the interval, and is gone without an answer`() {
        var test = Case()
        #expect(test.begin(10) == 70)
        #expect(test.look(70) == .ping(answerBy: .seconds(85)))
        #expect(test.look(84) == at(85))
        #expect(test.look(85) == .gone)
    }

    @Test func `Quiet counts from the last byte`() {
        var test = Case()
        _ = test.begin(10)
        test.arrived(100, at: 69)
        #expect(test.look(70) == at(129))
        #expect(test.look(129) == .ping(answerBy: .seconds(144)))
    }

    @Test func `Quiet before the connection was in use does not count`() {
        var test = Case()
        _ = test.begin(10)
        test.arrived(100, at: 11)
        #expect(test.look(70, hasOpenStreams: false) == .rest)
        #expect(test.look(80) == .rest)
        #expect(test.begin(1_000) == 1_060)
        #expect(test.look(1_060) == .ping(answerBy: .seconds(1_075)))
    }

    @Test func `Any byte shows that the peer is there`() {
        var test = Case()
        _ = test.begin(0)
        _ = test.look(60)
        test.arrived(1, at: 74)
        #expect(test.look(75) == at(134))
    }

    @Test func `Without streams nothing is sent, unless it is wished`() {
        var test = Case()
        _ = test.begin(0)
        #expect(test.look(60, hasOpenStreams: false) == .rest)
        var wished = Case { $0.whileIdle = true }
        _ = wished.begin(0)
        #expect(wished.look(60, hasOpenStreams: false) == .ping(answerBy: .seconds(75)))
    }

    /// The times of PINGs until `end`, each acknowledged a second later.
    private func pings(_ test: inout Case, from start: Int, to end: Int) -> [Int] {
        var times: [Int] = []
        var now = test.begin(start)
        while now <= end {
            switch test.look(now) {
            case .ping(let until):
                times.append(now)
                test.acknowledged(at: now + 1)
                now = Int(until / 1_000_000_000)
            case .look(let next): now = Int(next / 1_000_000_000)
            case .rest, .gone:
                Issue.record("the end at \(now)")
                return times
            }
        }
        return times
    }

    @Test func `While only acknowledgements come the interval doubles, up to five minutes`() {
        var test = Case()
        // Each from a second after the one before: 60, 120, 240, 300, 300.
        #expect(pings(&test, from: 0, to: 1_100) == [60, 181, 422, 723, 1_024])
        var steady = Case { $0.backsOff = false }
        #expect(pings(&steady, from: 0, to: 310) == [60, 121, 182, 243, 304])
        var long = Case { $0.interval = .seconds(400) }
        #expect(pings(&long, from: 0, to: 1_300) == [400, 801, 1_202])
    }

    @Test func `Anything else makes the interval short again`() {
        var test = Case()
        _ = pings(&test, from: 0, to: 200)
        test.arrived(9, at: 210)
        #expect(test.look(250) == at(270))
        #expect(test.look(270) == .ping(answerBy: .seconds(285)))
    }

    @Test func `A new request makes the interval short again`() {
        var test = Case()
        _ = pings(&test, from: 0, to: 200)
        test.traffic.requests += 1
        #expect(test.look(241) == at(242))
        #expect(test.look(242) == .ping(answerBy: .seconds(257)))
    }

    @Test func `However long the interval has become, it is looked at in time`() {
        var test = Case()
        _ = pings(&test, from: 0, to: 200)
        guard case .look(let next) = test.look(200) else {
            Issue.record("no look")
            return
        }
        #expect(next <= .seconds(260))
    }
}

/// The same on a connection, with a simulated clock and wire.
@Suite(.inTurn) struct KeepAliveTests {
    private func get(_ rig: ConnectionRig) -> Pending<Int> {
        rig.start { try await $0.send(.to()).body.discard() }
    }

    private func pings(_ rig: ConnectionRig) -> Int { rig.received(Frame.Kind.ping).count }

    /// Acknowledges every PING that has come and was not acknowledged.
    private func acknowledge(_ rig: ConnectionRig, _ seen: inout Int) {
        for frame in rig.received(Frame.Kind.ping).dropFirst(seen) {
            seen += 1
            rig.wire.send(Frame(Frame.Kind.ping, flags: Frame.Flag.ack, payload: frame.payload))
        }
        rig.settle()
    }

    @Test func `A silent server with an open stream is left within interval and timeout`() {
        let rig = ConnectionRig(isScripted: true)
        let request = get(rig)
        rig.advance(59_000)
        #expect(pings(rig) == 0)
        rig.advance(2_000)
        #expect(pings(rig) == 1)
        #expect(!request.isOver)
        rig.advance(15_000)
        #expect(request.h2Error?.code == .timeout)
        #expect(request.h2Error?.cause == .timeout(.ping, after: .seconds(15)))
        #expect(request.h2Error?.scope == .stream(1))
        // The server may have processed it.
        #expect(request.h2Error?.isRetryable == false)
        #expect(rig.snapshot.state == .closed)
        rig.expectNothingLeft()
    }

    @Test func `Requests that never left fail retryable`() {
        var configuration = ConnectionConfiguration()
        configuration.limits.concurrentStreams = 1
        let rig = ConnectionRig(configuration, isScripted: true)
        let (open, waiting) = (get(rig), get(rig))
        rig.advance(80_000)
        #expect(open.h2Error?.isRetryable == false)
        #expect(waiting.h2Error?.code == .timeout)
        #expect(waiting.h2Error?.isRetryable == true)
        rig.expectNothingLeft()
    }

    @Test func `A server that cannot be written to is found out as well`() {
        var configuration = ConnectionConfiguration()
        configuration.timeouts.writeStall = .seconds(3_600)
        let rig = ConnectionRig(configuration, isScripted: true)
        rig.wire.shape.room = 1_000
        rig.wire.isStalled = true
        let upload = rig.start {
            try await $0.send(.to("/", .post), body: .bytes([UInt8](repeating: 1, count: 60_000))).body.discard()
        }
        rig.advance(80_000)
        #expect(upload.h2Error?.cause == .timeout(.ping, after: .seconds(15)))
        rig.expectNothingLeft()
    }

    @Test func `A server that acknowledges is not left`() {
        let rig = ConnectionRig(isScripted: true)
        let request = get(rig)
        var seen = 0
        for _ in 0..<1_200 {
            rig.advance(1_000)
            acknowledge(rig, &seen)
        }
        #expect(!request.isOver)
        // At 60, 181, 422, 723 and 1,024 seconds: only two came sooner than five minutes after the one before.
        #expect(seen == 5)
        rig.wire.send(.headers(1, rig.encoder.encode([(":status", "204")]), endStream: true))
        rig.finish(request)
        #expect(request.value == 0)
        rig.expectNothingLeft()
    }

    @Test func `Traffic spares the PING`() {
        let rig = ConnectionRig(isScripted: true)
        let request = get(rig)
        rig.settle()
        rig.wire.send(.headers(1, rig.encoder.encode([(":status", "200")])))
        for _ in 0..<20 {
            rig.advance(30_000)
            rig.wire.send(.data(1, [1]))
        }
        #expect(pings(rig) == 0)
        rig.wire.send(.data(1, [1], endStream: true))
        rig.finish(request)
        #expect(request.value == 21)
        rig.expectNothingLeft()
    }

    @Test func `Any byte counts as life, even one that is no whole frame`() {
        let rig = ConnectionRig(isScripted: true)
        let request = get(rig)
        rig.advance(70_000)
        #expect(pings(rig) == 1)
        let head = Frame.headers(1, rig.encoder.encode([(":status", "204")]), endStream: true).bytes
        rig.wire.send([head[0]])
        rig.advance(10_000)
        #expect(!request.isOver)
        rig.wire.send(Array(head.dropFirst()))
        rig.finish(request)
        #expect(request.value == 0)
        rig.expectNothingLeft()
    }

    @Test func `An idle connection sends none, and its timer rests`() {
        let rig = ConnectionRig(isScripted: true)
        let request = get(rig)
        rig.settle()
        rig.wire.send(.headers(1, rig.encoder.encode([(":status", "204")]), endStream: true))
        rig.finish(request)
        rig.advance(61_000)
        #expect(rig.world.loop.nextTimer == nil)
        rig.advance(600_000)
        #expect(pings(rig) == 0)
        // The next request is watched from its beginning.
        let late = get(rig)
        rig.advance(59_000)
        #expect(pings(rig) == 0)
        rig.advance(20_000)
        #expect(late.h2Error?.cause == .timeout(.ping, after: .seconds(15)))
        rig.expectNothingLeft()
    }

    @Test func `An idle connection is watched where that is wished`() {
        var configuration = ConnectionConfiguration()
        configuration.keepAlive.whileIdle = true
        configuration.keepAlive.interval = .seconds(20)
        configuration.keepAlive.timeout = .seconds(5)
        let rig = ConnectionRig(configuration, isScripted: true)
        rig.advance(21_000)
        #expect(pings(rig) == 1)
        #expect(rig.snapshot.state == .active)
        rig.advance(5_000)
        #expect(rig.snapshot.state == .closed)
        rig.expectNothingLeft()
    }

    @Test func `It can be turned off`() {
        var configuration = ConnectionConfiguration()
        configuration.keepAlive.interval = nil
        let rig = ConnectionRig(configuration, isScripted: true)
        let request = get(rig)
        rig.advance(3_600_000)
        #expect(!request.isOver)
        #expect(pings(rig) == 0)
        rig.connection.closeNow()
        rig.finish(request)
        rig.expectNothingLeft()
    }

    @Test func `Many requests need no more than one timer`() {
        let rig = ConnectionRig(isScripted: true)
        for id in 0..<200 {
            let request = get(rig)
            rig.settle()
            rig.wire.send(
                .headers(Int32(2 * id + 1), rig.encoder.encode([(":status", "204")]), endStream: true))
            rig.finish(request)
        }
        rig.settleCancellations()
        #expect(rig.world.loop.timerCount == 1)
        rig.expectNothingLeft()
    }
}
