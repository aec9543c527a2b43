import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Endless things end (RFC 9113 section 10.5).
@Suite(.inTurn) struct FloodTests {
    private static func small() -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.limits.controlFrames = 50
        configuration.limits.controlFramesPerSecond = 10
        return configuration
    }

    struct Flood: Sendable, CustomTestStringConvertible {
        let name: String
        let frame: @Sendable (Int32) -> Frame
        var testDescription: String { name }

        init(_ name: String, _ frame: @escaping @Sendable (Int32) -> Frame) {
            self.name = name
            self.frame = frame
        }

        static let all = [
            Flood("SETTINGS") { _ in .settings() },
            Flood("PING") { _ in .ping() },
            Flood("PING with ACK") { _ in .ping(5, ack: true) },
            Flood("PRIORITY") { .priority($0) },
            Flood("PRIORITY of an idle stream") { _ in .priority(1_001) },
            Flood("WINDOW_UPDATE of the connection") { _ in .windowUpdate(0, 1) },
            Flood("WINDOW_UPDATE of a stream") { .windowUpdate($0, 1) },
            Flood("RST_STREAM of a closed stream") { _ in .resetStream(1, 8) },
            Flood("empty DATA") { .data($0) },
            Flood("empty DATA with padding of its own") { .data($0, padding: 0) },
            Flood("an unknown type") { _ in Frame(0xee, payload: [1, 2, 3]) },
        ]
    }

    @Test(arguments: Flood.all) func `A flood of frames that bring nothing ends the connection`(_ flood: Flood) throws {
        let rig = SessionRig(Self.small())
        let closed = try rig.sentRequest()
        rig.receive(rig.head(closed, endStream: true))
        let stream = try rig.sentRequest()
        rig.receive(rig.head(stream))
        var error: H2Error?
        var count = 0
        while error == nil && count < 200 {
            error = rig.receive(flood.frame(stream.id))
            // As an unacknowledged answer to each would be a flood of our own.
            rig.sent()
            count += 1
        }
        #expect(error?.code == .limitExceeded, "\(String(describing: error)) after \(count)")
        #expect(error?.http2Code == .enhanceYourCalm)
        #expect(error?.scope == .connection)
        #expect(count > 40)
        #expect(count < 70)
    }

    @Test func `The flood's GOAWAY says ENHANCE_YOUR_CALM`() throws {
        let rig = SessionRig(Self.small())
        for _ in 0..<60 { rig.receive(.ping()) }
        #expect(rig.history.isEmpty == false)
        #expect(rig.sent(Frame.Kind.goAway).last?.number(at: 4) == H2Error.HTTP2Code.enhanceYourCalm.rawValue)
    }

    @Test func `GOAWAY again and again is a flood as well`() throws {
        let rig = SessionRig(Self.small())
        let stream = try rig.sentRequest()
        var error: H2Error?
        for _ in 0..<100 where error == nil { error = rig.receive(.goAway(lastStreamID: stream.id)) }
        #expect(error?.code == .limitExceeded)
    }

    @Test func `CONTINUATION without end is a flood also where its stream is closed`() throws {
        let rig = SessionRig(Self.small())
        let stream = try rig.sentRequest()
        rig.session.reset(stream, .cancel)
        rig.sent()
        #expect(rig.receive(.headers(stream.id, rig.encoder.encode([(":status", "200")]), endHeaders: false)) == nil)
        var error: H2Error?
        var count = 0
        while error == nil && count < 100 {
            error = rig.receive(.continuation(stream.id, [], endHeaders: false))
            count += 1
        }
        // nghttp2 tells nobody of these frames: its own limit, one above ours, ends it.
        #expect(error?.message.contains("CONTINUATION") == true, "\(String(describing: error)) after \(count)")
    }

    @Test func `An acknowledgement of SETTINGS that were not sent ends the connection`() {
        #expect(SessionRig().receive(.settingsAck)?.http2Code == .protocolError)
    }

    // MARK: - What is no flood

    @Test func `A PING every ten seconds for thirty days is none`() {
        let rig = SessionRig(Self.small())
        for _ in 0..<(30 * 24 * 360) {
            rig.now += 10_000_000_000
            #expect(rig.receive(.ping(1)) == nil)
        }
        #expect(rig.sent(Frame.Kind.ping).count == 30 * 24 * 360)
    }

    @Test func `PINGs at just under the rate are none, and just over it they are`() {
        let slow = SessionRig(Self.small())
        for _ in 0..<5_000 {
            slow.now += 105_000_000
            #expect(slow.receive(.ping()) == nil)
        }
        let fast = SessionRig(Self.small())
        var count = 0
        while count < 5_000 {
            fast.now += 80_000_000
            if fast.receive(.ping()) != nil { break }
            count += 1
        }
        #expect(count > 50)
        #expect(count < 1_000)
    }

    @Test func `A server that acknowledges every KiB of an upload on both levels floods nobody`() throws {
        let rig = SessionRig(Self.small(), settings: [Setting.initialWindowSize: 1 << 20])
        let stream = try rig.request(.post, body: .bytes([UInt8](repeating: 0, count: 4 << 20), offset: 0))
        var sent = rig.sent(Frame.Kind.data).reduce(0) { $0 + $1.payload.count }
        var total = 0
        while sent > 0 {
            total += sent
            for _ in 0..<(sent / 1_024 + 1) {
                #expect(rig.receive(.windowUpdate(stream.id, 1_024), .windowUpdate(0, 1_024)) == nil)
            }
            sent = rig.sent(Frame.Kind.data).reduce(0) { $0 + $1.payload.count }
        }
        #expect(total == 4 << 20)
    }

    @Test func `A server that sends a WINDOW_UPDATE and a PRIORITY for each of many requests floods nobody`() throws {
        let rig = SessionRig(Self.small())
        for _ in 0..<2_000 {
            let stream = try rig.sentRequest()
            #expect(
                rig.receive(
                    rig.head(stream), .data(stream.id, [1]), .data(stream.id, endStream: true)) == nil)
            #expect(rig.receive(.ping()) == nil)
            rig.sent()
        }
    }

    @Test func `DATA with END_STREAM and no bytes is never counted`() throws {
        let rig = SessionRig(Self.small())
        let before = rig.session.controlFrameBudget.level
        for _ in 0..<100 {
            let stream = try rig.sentRequest()
            rig.receive(rig.head(stream), .data(stream.id, endStream: true))
            #expect(stream.hasEnded)
        }
        #expect(rig.session.controlFrameBudget.level <= before)
    }

    // MARK: - The bucket

    /// How many of so many frames are let through.
    private func taken(_ bucket: inout ControlFrameBudget, _ count: Int, at now: UInt64) -> Int {
        (0..<count).count { _ in bucket.add(now: now) }
    }

    @Test func `The bucket takes its limit at once, and as many more as time has drained`() {
        var limits = ConnectionConfiguration.Limits()
        limits.controlFrames = 10
        limits.controlFramesPerSecond = 5
        var bucket = ControlFrameBudget(limits)
        let taken1 = taken(&bucket, 10, at: 0)
        #expect(taken1 == 10)
        let taken2 = taken(&bucket, 1, at: 0)
        #expect(taken2 == 0)
        // One over the limit, so two seconds drain ten: nine are free.
        let taken3 = taken(&bucket, 9, at: 2_000_000_000)
        #expect(taken3 == 9)
        let taken4 = taken(&bucket, 1, at: 2_000_000_000)
        #expect(taken4 == 0)
    }

    @Test func `What is forgiven in advance counts`() {
        var limits = ConnectionConfiguration.Limits()
        limits.controlFrames = 10
        limits.controlFramesPerSecond = 5
        var bucket = ControlFrameBudget(limits)
        bucket.forgive(100)
        let taken5 = taken(&bucket, 110, at: 0)
        #expect(taken5 == 110)
        let taken6 = taken(&bucket, 1, at: 0)
        #expect(taken6 == 0)
    }

    @Test func `Advance has a bound`() {
        var bucket = ControlFrameBudget(ConnectionConfiguration.Limits())
        bucket.forgive(Int.max / 2)
        #expect(bucket.level == -(1 << 18))
    }

    @Test func `Slow drains add up: fractions of a frame are not lost for ever`() {
        var limits = ConnectionConfiguration.Limits()
        limits.controlFrames = 5
        limits.controlFramesPerSecond = 100
        var bucket = ControlFrameBudget(limits)
        var now: UInt64 = 0
        // 90 a second, in steps that each drain less than one frame.
        for _ in 0..<2_000 {
            now += 11_111_111
            guard bucket.add(now: now) else {
                Issue.record("a legitimate rate was taken for a flood")
                return
            }
        }
    }
}
