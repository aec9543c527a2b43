import H2TestSupport
import Testing

@testable import H2Client

/// When a connection is doubted on which requests are given up in silence.
@Suite(.inTurn) struct PeerDoubtTests {
    private static let millisecond: UInt64 = 1_000_000
    private static let pingBytes = 17

    /// A connection with a clock that the test moves.
    private struct Rig {
        var doubt: PeerDoubt
        var now: UInt64 = 1_000_000 * PeerDoubtTests.millisecond
        var lastByteAt: UInt64
        var traffic = KeepAlivePing.Traffic()
        var isAsked = false

        init(roundTrip: UInt64 = 0, mayAsk: Bool = true) {
            doubt = PeerDoubt(roundTrip: roundTrip, mayAsk: mayAsk)
            lastByteAt = now
        }

        mutating func pass(_ milliseconds: UInt64) { now += milliseconds * PeerDoubtTests.millisecond }

        mutating func receive(_ bytes: Int, acknowledgements: Int = 0) {
            traffic.bytes += bytes
            traffic.acknowledgements += acknowledgements
            lastByteAt = now
            isAsked = false
        }

        /// A request is sent and, after so long, given up.
        mutating func giveUp(after milliseconds: UInt64) -> PeerDoubt.Step {
            let sentAt = now
            pass(milliseconds)
            let step = doubt.gaveUp(
                sentAt: sentAt, now: now, lastByteAt: lastByteAt, traffic: traffic, isAsked: isAsked)
            if step == .ask { isAsked = true }
            return step
        }
    }

    @Test func `One request given up after a long silence has the peer asked`() {
        var rig = Rig()
        rig.pass(10_000)
        #expect(rig.giveUp(after: 300) == .ask)
        #expect(rig.giveUp(after: 1) == .wait)
    }

    @Test func `Silence is counted across requests that are each given up soon, and pauses between them`() {
        var rig = Rig()
        #expect(rig.giveUp(after: 20) == .trust)
        rig.pass(100)
        #expect(rig.giveUp(after: 20) == .trust)
        rig.pass(200)
        #expect(rig.giveUp(after: 20) == .ask)
    }

    @Test func `A storm of requests given up at once asks nothing of a peer that has had no time to answer`() {
        var rig = Rig()
        for _ in 0..<1_000 { #expect(rig.giveUp(after: 0) == .trust) }
        rig.receive(100)
        rig.pass(249)
        #expect(rig.giveUp(after: 0) == .trust)
    }

    @Test func `Any byte of the peer's begins anew`() {
        var rig = Rig()
        #expect(rig.giveUp(after: 200) == .trust)
        rig.receive(1)
        #expect(rig.giveUp(after: 200) == .trust)
        rig.receive(1)
        #expect(rig.giveUp(after: 300) == .ask)
    }

    @Test func `A body that stalls counts from its last byte, not from its request`() {
        var rig = Rig()
        let sentAt = rig.now
        rig.pass(60_000)
        rig.receive(1_000)
        rig.pass(100)
        #expect(
            rig.doubt.gaveUp(
                sentAt: sentAt, now: rig.now, lastByteAt: rig.lastByteAt, traffic: rig.traffic, isAsked: false)
                == .trust)
        rig.pass(200)
        #expect(
            rig.doubt.gaveUp(
                sentAt: sentAt, now: rig.now, lastByteAt: rig.lastByteAt, traffic: rig.traffic, isAsked: false)
                == .ask)
    }

    @Test func `A peer far away has four round trips`() {
        var rig = Rig(roundTrip: 600 * Self.millisecond)
        #expect(rig.giveUp(after: 2_300) == .trust)
        #expect(rig.giveUp(after: 200) == .ask)
    }

    @Test func `A peer that only acknowledges is asked twice, then left once three more are given up`() {
        var rig = Rig()
        for _ in 0..<2 {
            #expect(rig.giveUp(after: 300) == .ask)
            rig.receive(Self.pingBytes, acknowledgements: 1)
        }
        #expect(rig.giveUp(after: 300) == .trust)
        #expect(rig.giveUp(after: 300) == .trust)
        #expect(rig.giveUp(after: 300) == .leave)
    }

    @Test func `A peer that answers others may be asked again`() {
        var rig = Rig()
        for _ in 0..<10 {
            #expect(rig.giveUp(after: 300) == .ask)
            rig.receive(Self.pingBytes + 40, acknowledgements: 1)
        }
    }

    @Test func `Where PINGs are turned off, three requests given up in silence are enough`() {
        var rig = Rig(mayAsk: false)
        #expect(rig.giveUp(after: 300) == .trust)
        #expect(rig.giveUp(after: 300) == .trust)
        #expect(rig.giveUp(after: 300) == .leave)
    }
}
