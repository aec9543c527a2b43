import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2ClientTesting

/// Floods: frames and requests that cost a client little and an origin much.
@Suite(.inTurn, .ownThreads, .timeLimit(.minutes(5))) struct OriginFloodTests {
    @Test(arguments: ["PING", "SETTINGS", "PRIORITY", "WINDOW_UPDATE", "empty DATA", "padding", "unknown"])
    func `A flood of frames that bring nothing ends the connection`(_ kind: String) throws {
        let server = try OriginServer.cleartext {
            $0.limits.controlFrames = 1_000
            $0.limits.controlFramesPerSecond = 1
        }
        defer { server.stopNow() }
        let frame =
            switch kind {
            case "PING": RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8])
            case "SETTINGS": RawPeer.frame(settings)
            case "PRIORITY": RawPeer.frame(2, stream: 9, [0, 0, 0, 0, 15])
            case "WINDOW_UPDATE": RawPeer.frame(windowUpdate, RawPeer.bytes(1))
            case "empty DATA": RawPeer.frame(data, stream: 1)
            case "padding": RawPeer.frame(data, flags: 8, stream: 1, [3, 0, 0, 0])
            default: RawPeer.frame(0xee)
            }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/upload", method: "POST", ends: false)
        for _ in 0..<30 { peer.send((0..<100).flatMap { _ in frame }) }
        #expect(peer.endCode == calm)
        #expect(server.statistics.connectionsFlooding == 1)
    }

    @Test func `A flood of resets ends the connection`() throws {
        let server = try OriginServer.cleartext { $0.limits.streamResets = 50 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream in stride(from: UInt32(1), to: 2_001, by: 2) {
            peer.request("/stall", stream: stream)
            peer.send(RawPeer.frame(reset, stream: stream, RawPeer.bytes(8)))
        }
        #expect(peer.endCode == calm)
        #expect(server.statistics.requests < 200)
    }

    @Test func `A flood of requests that are refused ends the connection`() throws {
        let server = try OriginServer.cleartext {
            $0.limits.controlFrames = 500
            $0.limits.controlFramesPerSecond = 1
            $0.settings.maxConcurrentStreams = 1
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        // Without an acknowledgement of the origin's SETTINGS each is refused by itself.
        peer.send(RawPeer.preface + RawPeer.frame(settings))
        for stream in stride(from: UInt32(1), to: 4_001, by: 2) { peer.request("/stall", stream: stream) }
        #expect(peer.endCode == calm)
    }

    @Test func `A header block in very many pieces ends the connection`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.send(RawPeer.frame(headers, flags: 1, stream: 1, RawPeer.field(":method", "GET")))
        for _ in 0..<100 { peer.send(RawPeer.frame(9, stream: 1)) }
        #expect(peer.endCode == calm)
    }

    @Test func `Answers that nobody reads pile up to a limit`() throws {
        let server = try OriginServer.cleartext {
            $0.limits.controlFrames = 10_000_000
            $0.limits.bodyProgress = .seconds(600)
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.send(RawPeer.frame(windowUpdate, RawPeer.bytes(0x7000_0000)))
        peer.request("/bytes/1000000000")
        peer.send(RawPeer.frame(windowUpdate, stream: 1, RawPeer.bytes(0x7000_0000)))
        // The sockets are full by then, as nothing was read.
        #expect(becomes { server.statistics.bytesSent > 100_000 })
        let pings = [UInt8]((0..<1_000).flatMap { _ in RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8]) })
        for _ in 0..<100 where server.statistics.connectionsOpen > 0 {
            peer.send(pings)
            letTimePass(.milliseconds(5))
        }
        #expect(becomes { server.statistics.connectionsFlooding == 1 && server.statistics.connectionsOpen == 0 })
    }

    @Test func `A busy client is no flood`() throws {
        let server = try OriginServer.cleartext {
            $0.limits.controlFrames = 100
            $0.limits.controlFramesPerSecond = 1
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream in stride(from: UInt32(1), to: 1_001, by: 2) {
            peer.request("/bytes/10", stream: stream)
            #expect(peer.answer(stream: stream).ended)
            peer.send(RawPeer.frame(windowUpdate, RawPeer.bytes(10)))
            peer.send(RawPeer.frame(ping, flags: 1, [1, 2, 3, 4, 5, 6, 7, 8]))
        }
        #expect(server.statistics.connectionsFlooding == 0)
    }

    @Test func `SETTINGS that nobody acknowledges do not pile up`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        var refused = 0
        for stream in stride(from: UInt32(1), to: 301, by: 2) {
            peer.request("/settings?max-concurrent-streams=100&delay=60000", stream: stream)
            if String(decoding: peer.answer(stream: stream).body, as: UTF8.self).contains("not acknowledged") {
                refused += 1
            }
        }
        #expect(refused == 50)
    }

    @Test func `HEAD of /echo keeps nothing of its body`() throws {
        let server = try OriginServer.cleartext { $0.settings.initialWindowSize = 65_535 }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.send("HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        peer.send([UInt8](repeating: 1, count: 200_000))
        #expect(peer.answer(toHead: true)?.status == 200)
        peer.get("/bytes/1")
        #expect(peer.answer()?.status == 200)
    }
}
