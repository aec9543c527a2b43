import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ReceiveWindowTests {
    /// #expect wants no mutating calls.
    private final class Window {
        private var it: ReceiveWindow
        init(_ it: ReceiveWindow) { self.it = it }
        var stream: Int { it.stream }
        var connection: Int { it.connection }
        var maximum: Int { it.maximum }
        var unread: Int { it.unread }
        var debt: Int { it.debt }
        func arrived(_ count: Int, buffered: Bool) -> Int { it.arrived(count, buffered: buffered) }
        func taken(_ count: Int) -> Int { it.taken(count) }
        func shouldProbe(now: UInt64) -> Bool { it.shouldProbe(now: now) }
        func probed(now: UInt64) -> Bool { it.probed(now: now) }
    }

    private func window(
        stream: Int = 100_000, connection: Int = 200_000, maximum: Int = 1 << 20, unreadLimit: Int = 1_000
    ) -> Window {
        var windows = ConnectionConfiguration.Windows()
        windows.stream = stream
        windows.connection = connection
        windows.maximum = maximum
        windows.unreadLimit = unreadLimit
        return Window(ReceiveWindow(windows))
    }

    @Test func `Sizes are kept within what the protocol allows`() {
        let small = window(stream: 1, connection: 1, maximum: 1)
        #expect(small.stream == 65_535)
        #expect(small.connection == 65_535)
        #expect(small.maximum == 65_535)
        let large = window(stream: .max, connection: .max, maximum: .max)
        #expect(large.stream == Int(Int32.max))
        #expect(large.connection == Int(Int32.max))
        #expect(large.maximum == Int(Int32.max))
    }

    @Test func `What arrives is credited at once up to the unread limit, and owed past it`() {
        let window = window()
        #expect(window.arrived(600, buffered: true) == 600)
        #expect(window.arrived(400, buffered: true) == 400)
        #expect(window.arrived(1, buffered: true) == 0)
        #expect(window.arrived(99, buffered: true) == 0)
        #expect(window.unread == 1_100)
        #expect(window.debt == 100)
        #expect(window.taken(50) == 0)
        #expect(window.taken(50) == 100)
        #expect(window.debt == 0)
        #expect(window.taken(1_000) == 0)
        #expect(window.unread == 0)
    }

    @Test func `What nobody buffers is credited whatever is unread`() {
        let window = window()
        _ = window.arrived(5_000, buffered: true)
        #expect(window.arrived(300, buffered: false) == 300)
        #expect(window.unread == 5_000)
    }

    @Test func `Over any sequence what was credited is what arrived, once all is read`() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            let window = window(unreadLimit: random.int(0...5_000))
            var (arrived, credited, unread) = (0, 0, 0)
            for _ in 0..<100 {
                if random.oneIn(2) {
                    let count = random.int(1...2_000)
                    let isBuffered = !random.oneIn(4)
                    arrived += count
                    if isBuffered { unread += count }
                    credited += window.arrived(count, buffered: isBuffered)
                } else if unread > 0 {
                    let count = random.int(1...unread)
                    unread -= count
                    credited += window.taken(count)
                }
                #expect(window.unread == unread)
                #expect(credited + window.debt == arrived)
            }
            if unread > 0 { credited += window.taken(unread) }
            #expect(credited == arrived)
        }
    }

    // MARK: - Growth

    @Test func `A window that filled by more than half within a round trip doubles, up to the maximum`() {
        let window = window(stream: 100_000, maximum: 350_000)
        #expect(!window.shouldProbe(now: 0))
        _ = window.arrived(50_000, buffered: false)
        #expect(window.shouldProbe(now: 1))
        #expect(!window.shouldProbe(now: 2))
        _ = window.arrived(60_000, buffered: false)
        #expect(window.probed(now: 3))
        #expect(window.stream == 200_000)
        #expect(window.connection == 400_000)
        _ = window.arrived(200_000, buffered: false)
        #expect(window.shouldProbe(now: 4))
        _ = window.arrived(190_000, buffered: false)
        #expect(window.probed(now: 5))
        #expect(window.stream == 350_000)
        #expect(window.connection == 700_000)
        _ = window.arrived(10_000_000, buffered: false)
        #expect(!window.shouldProbe(now: 6))
    }

    @Test func `A window that is wide enough stays, and is probed ever more seldom`() {
        let window = window()
        var probes = 0
        for _ in 0..<10_000 {
            _ = window.arrived(1_000, buffered: false)
            if window.shouldProbe(now: 0) {
                probes += 1
                #expect(!window.probed(now: 1))
            }
        }
        #expect(window.stream == 100_000)
        // 200 at one a half window; at most 3 + 6 + what comes at 64 half windows each.
        #expect(probes < 15)
        #expect(probes > 5)
    }

    @Test func `A window is probed each time that half of it has arrived, to the byte`() {
        let window = window(stream: 100_000, maximum: 1 << 20, unreadLimit: 1 << 20)
        for time in 1...3 as ClosedRange<UInt64> {
            #expect(window.arrived(49_999, buffered: false) == 49_999)
            #expect(!window.shouldProbe(now: time))
            _ = window.arrived(1, buffered: false)
            #expect(window.shouldProbe(now: time))
            #expect(!window.probed(now: time))
        }
        // Just half a window within the round trip was not held back by it; a byte more was.
        for (count, grows) in [(50_000, false), (50_001, true)] {
            let window = self.window(stream: 100_000)
            _ = window.arrived(50_000, buffered: false)
            #expect(window.shouldProbe(now: 1))
            _ = window.arrived(count, buffered: false)
            #expect(window.probed(now: 2) == grows)
            #expect(window.stream == (grows ? 200_000 : 100_000))
        }
    }

    @Test func `An answer to no probe changes nothing`() {
        let window = window()
        #expect(!window.probed(now: 5))
    }

    @Test func `A maximum that is the stream's size turns probing off`() {
        let window = window(stream: 100_000, maximum: 100_000)
        _ = window.arrived(10_000_000, buffered: false)
        #expect(!window.shouldProbe(now: 1))
    }

    @Test func `A session probes by PING, and says its grown windows in SETTINGS and WINDOW_UPDATE`() throws {
        var configuration = ConnectionConfiguration()
        configuration.windows.stream = 65_535
        configuration.windows.connection = 65_535
        configuration.windows.maximum = 1 << 20
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        stream.sink = .nowhere
        rig.receive(rig.head(stream))
        rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 16_384)))
        rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 16_384)))
        let ping = try #require(rig.sent(Frame.Kind.ping).first)
        rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 16_384)))
        rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 16_384)))
        rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 100)))
        rig.sent()
        var answer = ping
        answer.flags = Frame.Flag.ack
        rig.receive(answer)
        #expect(
            rig.session.events.contains {
                if case .pingAcknowledged(let mark) = $0 {
                    mark & HTTP2Session.probeMark == HTTP2Session.probeMark
                } else {
                    false
                }
            })
        rig.session.probeReturned()
        let frames = rig.sent()
        #expect(frames.first { $0.type == Frame.Kind.settings }?.settings[Setting.initialWindowSize] == 131_070)
        #expect(
            frames.contains {
                $0.type == Frame.Kind.windowUpdate && $0.streamID == 0 && $0.number() == 262_140 - 65_535
            })
        #expect(rig.receive(.settingsAck) == nil)
        #expect(try rig.isConnectionWindowWhole())
    }
}
