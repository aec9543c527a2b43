import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// Limits of any value are safe.
@Suite(.inTurn) struct LimitClampingTests {
    struct Extreme: Sendable, CustomTestStringConvertible {
        let name: String
        let path: any WritableKeyPath<ConnectionConfiguration, Int> & Sendable
        var testDescription: String { name }

        static let all = [
            Extreme(name: "headerListSize", path: \.limits.headerListSize),
            Extreme(name: "headerFields", path: \.limits.headerFields),
            Extreme(name: "frameSize", path: \.limits.frameSize),
            Extreme(name: "continuationFrames", path: \.limits.continuationFrames),
            Extreme(name: "informationalResponses", path: \.limits.informationalResponses),
            Extreme(name: "informationalResponsesPerSecond", path: \.limits.informationalResponsesPerSecond),
            Extreme(name: "controlFrames", path: \.limits.controlFrames),
            Extreme(name: "controlFramesPerSecond", path: \.limits.controlFramesPerSecond),
            Extreme(name: "waitingRequests", path: \.limits.waitingRequests),
            Extreme(name: "concurrentStreams", path: \.limits.concurrentStreams),
            Extreme(name: "windows.stream", path: \.windows.stream),
            Extreme(name: "windows.connection", path: \.windows.connection),
            Extreme(name: "windows.maximum", path: \.windows.maximum),
            Extreme(name: "windows.unreadLimit", path: \.windows.unreadLimit),
        ]
    }

    /// Brings a session over everything that its limits are used for. What it comes to is up to the limit: it must not trap.
    private func exercise(_ configuration: ConnectionConfiguration) throws {
        let rig = SessionRig(configuration)
        func step() { rig.now += 40_000_000_000_000_000 }
        let stream = try rig.sentRequest()
        for _ in 0..<2_000 { rig.receive(.ping()); rig.sent() }
        step()
        for _ in 0..<50 { rig.receive(rig.head(stream, [("link", "x")], status: "103")) }
        step()
        rig.receive(.headers(stream.id, rig.encoder.encode([(":status", "200"), ("a", "b")]), endHeaders: false))
        for number in 1...20 { rig.receive(.continuation(stream.id, [], endHeaders: number == 20)) }
        rig.receive(.data(stream.id, [1, 2, 3]))
        for _ in 0..<8 { rig.receive(.data(stream.id, [UInt8](repeating: 0, count: 16_384))) }
        step()
        rig.sent()
        _ = rig.read(stream)
        rig.receive(.ping(HTTP2Session.probeMark | 1, ack: true))
        if !rig.session.events.isEmpty { rig.session.probeReturned() }
        rig.sent()

        let old = HTTP1Rig(configuration)
        let request = try old.sentRequest()
        for _ in 0..<50 { old.receive("HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n"); old.now += 40_000_000_000_000_000 }
        old.receive("HTTP/1.1 200 OK\r\nname: value\r\n folded\r\ntransfer-encoding: chunked\r\n\r\n5;a\r\nhe")
        _ = old.session.wantsInput
        old.receive("llo\r\n0\r\na: b\r\n\r\n")
        _ = request
    }

    @Test(arguments: Extreme.all, [Int.min, -1, 0, 1, Int(UInt32.max), Int.max - 1, Int.max])
    func `No limit makes a session trap, whatever it is`(_ extreme: Extreme, _ value: Int) throws {
        var configuration = ConnectionConfiguration()
        configuration[keyPath: extreme.path] = value
        try exercise(configuration)
    }

    @Test(arguments: [Int.min, -1, 0, 1, Int.max])
    func `All of them together neither`(_ value: Int) throws {
        var configuration = ConnectionConfiguration()
        for extreme in Extreme.all { configuration[keyPath: extreme.path] = value }
        try exercise(configuration)
    }

    @Test func `Limits without end are limits that can be had`() {
        var limits = ConnectionConfiguration.Limits()
        limits.headerListSize = .max
        limits.headerFields = .max
        limits.continuationFrames = .max
        limits.frameSize = -5
        limits.controlFrames = -1
        #expect(limits.clamped.headerListSize == 1 << 30)
        #expect(limits.clamped.headerFields == 60_000)
        #expect(limits.clamped.continuationFrames == 1 << 24)
        #expect(limits.clamped.frameSize == 16_384)
        #expect(limits.clamped.controlFrames == 0)
    }

    // MARK: - The number of fields

    @Test func `Of 70,000 fields no more are taken than swift-http-types holds, in both versions`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerListSize = .max
        configuration.limits.continuationFrames = .max
        configuration.limits.headerFields = .max
        let rig = SessionRig(configuration)
        let stream = try rig.sentRequest()
        let sibling = try rig.sentRequest()
        // An index of the static table: accept-encoding: gzip, deflate.
        let block = rig.encoder.encode([(":status", "200")]) + [UInt8](repeating: 0x90, count: 70_000)
        var frames: [Frame] = []
        for at in stride(from: 0, to: block.count, by: 16_384) {
            let piece = Array(block[at..<min(at + 16_384, block.count)])
            let isLast = at + 16_384 >= block.count
            frames.append(
                at == 0
                    ? .headers(stream.id, piece, endStream: true, endHeaders: isLast)
                    : .continuation(stream.id, piece, endHeaders: isLast))
        }
        #expect(rig.receive(bytes: frames.flatMap(\.bytes)) == nil)
        rig.sent()
        #expect(stream.failure?.code == .limitExceeded)
        #expect(stream.failure?.remedy.contains("headerFields") == true)
        rig.receive(rig.head(sibling, endStream: true))
        #expect(sibling.hasEnded)

        let old = HTTP1Rig(configuration)
        let request = try old.answered("HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: 70_000) + "\r\n")
        #expect(request.failure?.code == .limitExceeded)
        #expect(request.failure?.remedy.contains("headerFields") == true)
    }

    @Test func `As many fields as the limit are taken, in both versions`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerFields = 3
        let fields = [("a", "1"), ("b", "2"), ("c", "3")]
        for (list, isGood) in [(fields, true), (fields + [("d", "4")], false)] {
            let rig = SessionRig(configuration)
            let stream = try rig.sentRequest()
            rig.receive(rig.head(stream, list, endStream: true))
            rig.sent()
            #expect(stream.hasEnded == isGood)
            let lines = list.map { "\($0.0): \($0.1)\r\n" }.joined()
            #expect(try HTTP1Rig(configuration).answered("HTTP/1.1 204 No\r\n\(lines)\r\n").hasEnded == isGood)
        }
    }

    @Test func `60,000 fields, where that many are allowed, become HTTPFields`() throws {
        var configuration = ConnectionConfiguration()
        configuration.limits.headerListSize = .max
        configuration.limits.headerFields = .max
        let stream = try HTTP1Rig(configuration).answered(
            "HTTP/1.1 204 No\r\n" + String(repeating: "a: b\r\n", count: 60_000) + "\r\n")
        #expect(stream.hasEnded)
        #expect(stream.head.fields.count == 60_000)
    }
}
