import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2ClientTesting

@Suite(.inTurn, .timeLimit(.minutes(5))) struct OriginServerTests {
    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

    // MARK: - Start and stop

    @Test func `A port that is taken is an error that says so`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let error = try #require(throws: H2Error.self) { _ = try OriginServer.cleartext { $0.port = server.port } }
        #expect(error.code == .localIO)
        #expect(error.cause == .errno(EADDRINUSE))
        #expect(error.message.contains("\(server.port)"))
    }

    @Test(arguments: ["localhost", "1.2.3", "", "192.0.2.1"]) func `An address that is not this machine's is an error`(
        address: String
    ) throws {
        let error = try #require(throws: H2Error.self) { _ = try OriginServer.cleartext { $0.address = address } }
        #expect(error.code == .localIO)
    }

    @Test(arguments: [-1, 65_536]) func `A port out of range is an error`(port: Int) throws {
        #expect(throws: H2Error.self) { _ = try OriginServer.cleartext { $0.port = port } }
    }

    @Test func `A document root that is no folder is an error`() throws {
        for path in ["/nowhere/at/all", "/dev/null"] {
            let error = try #require(throws: H2Error.self) { _ = try OriginServer.cleartext { $0.documentRoot = path } }
            #expect(error.message.contains(path))
        }
    }

    @Test func `An origin with TLS tells its fingerprint and authority, one without none`() throws {
        let server = try OriginServer.start()
        let plain = try OriginServer.cleartext()
        defer {
            server.stopNow()
            plain.stopNow()
        }
        #expect(server.fingerprint?.count == 64)
        #expect(server.caPEM?.contains("BEGIN CERTIFICATE") == true)
        #expect(server.url == "https://127.0.0.1:\(server.port)")
        #expect(plain.fingerprint == nil && plain.caPEM == nil)
        #expect(plain.url == "http://127.0.0.1:\(plain.port)")
    }

    /// Runs what blocks on a thread of its own, so that the tasks it waits for find a thread of the pool.
    private func blocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
        }
    }

    @Test func `stop says GOAWAY in two steps and lets the stream under way finish`() async throws {
        let server = try OriginServer.cleartext()
        async let talk: Void = blocking {
            let peer = try RawPeer(port: server.port)
            peer.greet()
            peer.request("/echo", method: "POST", ends: false)
            // The second SETTINGS frame is the acknowledgement, so the origin has the connection and its request.
            _ = peer.next(settings)
            _ = peer.next(settings)
            // Not on the global pool, whose threads tests may hold that wait for a socket.
            Task(executorPreference: H2EventLoop.shared.taskExecutor) { await server.stop() }
            let notice = try #require(peer.next(goAway))
            #expect(notice.number(at: 0) == 0x7fff_ffff)
            #expect(notice.number(at: 4) == 0)
            let asked = try #require(peer.next(ping))
            peer.send(RawPeer.frame(ping, flags: 1, asked.payload))
            let final = try #require(peer.next(goAway))
            #expect(final.number(at: 0) == 1)
            peer.send(RawPeer.frame(data, flags: 1, stream: 1, Array("late".utf8)))
            let answer = peer.answer()
            #expect(answer.body == Array("late".utf8))
            #expect(answer.ended)
            #expect(peer.next() == nil)
        }
        try await talk
        // Another stop returns when the first one's work is done.
        await server.stop()
        #expect(server.statistics.connectionsOpen == 0)
        let refusal = #expect(throws: ProcessFailure.self) { _ = try RawPeer(port: server.port) }
        #expect(refusal?.description.contains("refused") == true)
    }

    @Test func `stop closes what is left after its grace`() async throws {
        let server = try OriginServer.cleartext()
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/stall?after=3")
        #expect(peer.next(data)?.payload == [0, 1, 2])
        let start = ContinuousClock.now
        await server.stop(grace: .milliseconds(50))
        #expect(ContinuousClock.now - start < .seconds(100))
        #expect(server.statistics.connectionsOpen == 0)
        #expect(server.statistics.streamsOpen == 0)
        #expect(peer.rest().last?.type == goAway || peer.next() == nil)
    }

    @Test func `stop and stopNow may come twice, in any order`() async throws {
        let server = try OriginServer.cleartext()
        server.stopNow()
        server.stopNow()
        await server.stop()
        await server.stop()
        server.stopNow()
    }

    @Test func `Two origins share a loop, and one stops without the other`() async throws {
        let loop = H2EventLoop()
        var configuration = OriginServer.Configuration()
        configuration.security = .cleartext
        let first = try OriginServer.start(configuration, on: loop)
        let second = try OriginServer.start(configuration, on: loop)
        await first.stop()
        let peer = try RawPeer(port: second.port)
        peer.greet()
        peer.request("/bytes/3")
        #expect(peer.answer().body == [0, 1, 2])
        await second.stop(grace: .zero)
        loop.shutdown()
    }

    // MARK: - Routes

    @Test(arguments: [0, 1, 250, 251, 252, 16_384, 65_535]) func `/bytes/N answers N bytes of the pattern`(
        count: Int
    ) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/bytes/\(count)")
        let answer = peer.answer()
        #expect(answer.ended)
        #expect(answer.body == pattern(count))
    }

    @Test func `A client's window bounds what is sent, and widening it brings the rest`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        // SETTINGS_INITIAL_WINDOW_SIZE of 1,000.
        peer.send(RawPeer.preface + RawPeer.frame(settings, [0, 4] + RawPeer.bytes(1_000)))
        peer.request("/bytes/1500")
        let first = try #require(peer.next(data))
        #expect(first.payload.count == 1_000)
        // A PING's answer comes after everything that could be sent before.
        peer.send(RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8]))
        let frame = try #require(peer.next())
        #expect(frame.type == ping)
        peer.send(RawPeer.frame(8, stream: 1, RawPeer.bytes(500)))
        #expect(first.payload + peer.answer().body == pattern(1_500))
    }

    @Test func `/echo sends a body larger than its window back while it arrives, then its trailers`() throws {
        let server = try OriginServer.cleartext { $0.settings.initialWindowSize = 65_535 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.send(RawPeer.frame(8, RawPeer.bytes(1 << 24)))
        peer.request("/echo", method: "POST", fields: [("content-type", "x/y")], ends: false)
        peer.send(RawPeer.frame(8, stream: 1, RawPeer.bytes(1 << 24)))
        let chunk = pattern(16_000)
        var echoed: [UInt8] = []
        for round in 1...20 {
            peer.send(RawPeer.frame(data, stream: 1, chunk))
            while echoed.count < round * chunk.count, let frame = peer.next(data) { echoed += frame.payload }
        }
        #expect(echoed == (1...20).flatMap { _ in chunk })
        peer.send(RawPeer.frame(headers, flags: 5, stream: 1, RawPeer.field("x-sum", "42")))
        let answer = peer.answer()
        #expect(answer.ended)
        #expect(answer.body.isEmpty)
        #expect(answer.headers.count == 1)
    }

    @Test func `/upload tells the number of bytes and their SHA-256`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/upload", method: "POST", ends: false)
        peer.send(RawPeer.frame(data, stream: 1, Array("a".utf8)))
        peer.send(RawPeer.frame(data, flags: 1, stream: 1, Array("bc".utf8)))
        let text = String(decoding: peer.answer().body, as: UTF8.self)
        #expect(text == "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n")
    }

    @Test func `/early answers before the request body is read, then resets with NO_ERROR`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/early", method: "POST", ends: false)
        #expect(peer.answer().ended)
        let frame = try #require(peer.next(reset))
        #expect(frame.number(at: 0) == 0)
    }

    @Test func `/reset/CODE resets with that code after so many bytes`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/reset/8?after=5", stream: 1)
        let late = peer.answer(stream: 1)
        #expect(late.body == pattern(5))
        #expect(late.resetCode == 8)
        peer.request("/reset/11", stream: 3)
        let early = peer.answer(stream: 3)
        #expect(early.headers.isEmpty)
        #expect(early.resetCode == 11)
    }

    @Test(arguments: ["fin", "reset", "notify"]) func `/close ends the connection after so many bytes`(
        how: String
    ) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/close?after=7&how=\(how)")
        let answer = peer.answer()
        #expect(!answer.ended)
        #expect(answer.resetCode == nil)
        // A TCP reset may overtake the bytes.
        if how != "reset" { #expect(answer.body == pattern(7)) }
    }

    @Test func `/goaway says its code and debug text, and answers`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/goaway?code=11&debug=calm%20down")
        let frame = try #require(peer.next(goAway))
        #expect(frame.number(at: 0) == 1)
        #expect(frame.number(at: 4) == 11)
        #expect(Array(frame.payload[8...]) == Array("calm down".utf8))
        #expect(peer.answer().ended)
    }

    @Test func `/settings changes a setting in mid-flight`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/settings?max-concurrent-streams=0&delay=20")
        while let frame = peer.next(settings) {
            if frame.payload == [0, 3, 0, 0, 0, 0] { return }
        }
        Issue.record("the setting never came")
    }

    @Test func `/priority tells a PRIORITY_UPDATE that came before its request`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.send(RawPeer.frame(16, RawPeer.bytes(1) + Array("u=0".utf8)))
        peer.request("/priority", fields: [("priority", "u=5, i")])
        #expect(String(decoding: peer.answer().body, as: UTF8.self) == "field: u=5, i\nupdate: u=0\n")
    }

    // MARK: - Faults

    @Test func `Every Nth stream is refused`() throws {
        let server = try OriginServer.cleartext { $0.faults.refuseEvery = 2 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream: UInt32 in [1, 3, 5, 7] {
            peer.request("/bytes/3", stream: stream)
            let answer = peer.answer(stream: stream)
            #expect(answer.resetCode == (stream % 4 == 3 ? 7 : nil))
            #expect(answer.ended == (stream % 4 == 1))
        }
    }

    @Test func `GOAWAY after N requests lets those finish, ignores later ones, and then closes`() throws {
        let server = try OriginServer.cleartext { $0.faults.goAwayAfterRequests = 2 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream: UInt32 in [1, 3, 5] { peer.request("/delay/50", stream: stream) }
        let frames = peer.rest()
        let away = try #require(frames.first { $0.type == goAway })
        #expect(away.number(at: 0) == 3)
        #expect(frames.filter { $0.type == data && $0.flags & 1 != 0 }.map(\.stream) == [1, 3])
        #expect(server.statistics.requests <= 3)
    }

    @Test func `Responses are reset after so many bytes of body`() throws {
        let server = try OriginServer.cleartext {
            $0.faults.resetAfterBodyBytes = 10
            $0.faults.resetCode = .compressionError
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/bytes/100")
        let answer = peer.answer()
        #expect(answer.body == pattern(10))
        #expect(answer.resetCode == 9)
    }

    @Test func `The connection closes when N requests have arrived`() throws {
        let server = try OriginServer.cleartext { $0.faults.closeAfterRequests = 2 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/bytes/3", stream: 1)
        #expect(peer.answer(stream: 1).ended)
        peer.request("/bytes/3", stream: 3)
        #expect(peer.rest().filter { $0.stream == 3 }.isEmpty)
    }

    @Test func `Every Nth stream is never answered, and the others are`() throws {
        let server = try OriginServer.cleartext { $0.faults.stallEvery = 2 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream: UInt32 in [1, 3, 5] { peer.request("/bytes/3", stream: stream) }
        let frames = (0..<2).compactMap { _ in peer.next(data) }
        #expect(frames.map(\.stream) == [1, 5])
        #expect(server.statistics.streamsOpen == 1)
    }

    @Test func `Acknowledgements of SETTINGS and PING are left out where asked`() throws {
        let server = try OriginServer.cleartext {
            $0.faults.omitsSettingsAcknowledgement = true
            $0.faults.omitsPingAcknowledgement = true
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.send(RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8]))
        peer.request("/goaway")
        let frames = peer.rest()
        #expect(frames.contains { $0.type == data })
        #expect(!frames.contains { ($0.type == settings || $0.type == ping) && $0.flags & 1 != 0 })
    }

    @Test func `The first SETTINGS tell what was configured`() throws {
        let server = try OriginServer.cleartext {
            $0.settings.maxConcurrentStreams = 7
            $0.settings.initialWindowSize = 100_000
            $0.settings.maxFrameSize = 20_000
            $0.settings.headerTableSize = 0
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        let frame = try #require(peer.next(settings))
        var values: [UInt8: UInt32] = [:]
        for offset in stride(from: 0, to: frame.payload.count, by: 6) {
            values[frame.payload[offset + 1]] = frame.number(at: offset + 2)
        }
        #expect(values[3] == 7 && values[4] == 100_000 && values[5] == 20_000 && values[1] == 0)
    }

    // MARK: - Bad clients

    @Test(arguments: 1...30) func `Bytes that are not HTTP/2 end their connection alone`(seed: Int) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let bystander = try RawPeer(port: server.port)
        bystander.greet()
        bystander.request("/bytes/3", stream: 1)
        #expect(bystander.answer(stream: 1).ended)
        let peer = try RawPeer(port: server.port)
        let noise = (0..<200).map { UInt8(truncatingIfNeeded: ($0 &* 7919 &+ seed &* 104_729) >> 3) }
        // By turns from the first byte on, within the preface, and after it.
        let prefix: [UInt8] =
            switch seed % 3 {
            case 0: []
            case 1: Array(RawPeer.preface.prefix(seed))
            default: RawPeer.preface + RawPeer.frame(settings) + RawPeer.frame(0, stream: 1, [1])
            }
        peer.send(prefix + [0xff] + noise)
        _ = peer.rest()
        bystander.request("/bytes/3", stream: 3)
        #expect(bystander.answer(stream: 3).body == [0, 1, 2])
    }

    @Test func `A flood of PINGs ends the connection`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        let one = RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8])
        // Not one is read meanwhile, so their answers pile up.
        for _ in 0..<200 { peer.send((0..<1_000).flatMap { _ in one }) }
        let frames = peer.rest()
        #expect(frames.count < 200_000)
    }

    @Test func `Header fields over the limit are answered with 431`() throws {
        let server = try OriginServer.cleartext { $0.limits.headerListSize = 1_000 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request(
            "/headers", fields: (0..<20).map { ("x-\($0)", String(repeating: "v", count: 50)) })
        let answer = peer.answer()
        #expect(answer.ended)
        #expect(String(decoding: answer.body, as: UTF8.self).contains("too large"))
    }

    @Test func `Connections over the limit are closed, and room is made when one leaves`() throws {
        let server = try OriginServer.cleartext { $0.limits.connections = 1 }
        defer { server.stopNow() }
        do {
            let first = try RawPeer(port: server.port)
            first.greet()
            #expect(first.next(settings) != nil)
            let second = try RawPeer(port: server.port)
            second.greet()
            #expect(second.next() == nil)
        }
        // The origin sees the first one's end in its next turns.
        waitUntil { server.statistics.connectionsOpen == 0 }
        let third = try RawPeer(port: server.port)
        third.greet()
        #expect(third.next(settings) != nil)
    }

    @Test func `An idle connection is told GOAWAY and closed`() throws {
        let server = try OriginServer.cleartext { $0.limits.idle = .milliseconds(50) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        #expect(peer.next(goAway) != nil)
        let asked = try #require(peer.next(ping))
        peer.send(RawPeer.frame(ping, flags: 1, asked.payload))
        #expect(peer.next(goAway) != nil)
        #expect(peer.next() == nil)
    }

    @Test func `Statistics count connections, requests, streams and bytes`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream: UInt32 in [1, 3, 5] { peer.request("/stall?after=1", stream: stream) }
        for _ in 0..<3 { #expect(peer.next(data) != nil) }
        let statistics = server.statistics
        #expect(statistics.connectionsAccepted == 1)
        #expect(statistics.connectionsOpen == 1)
        #expect(statistics.requests == 3)
        #expect(statistics.streamsOpen == 3)
        #expect(statistics.streamsPeak == 3)
        #expect(statistics.bytesReceived > 100)
        // Counted once they are written, which is before they are read here.
        #expect(becomes { server.statistics.bytesSent > 30 })
        for stream: UInt32 in [1, 3, 5] { peer.send(RawPeer.frame(reset, stream: stream, RawPeer.bytes(8))) }
        peer.request("/bytes/1", stream: 7)
        #expect(peer.answer(stream: 7).ended)
        // Its stream closes when its last frame is written, which is before it is read here.
        #expect(server.statistics.streamsOpen == 0)
    }
}
