import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2ClientTesting

/// How long clients of an origin may take: each limit, met.
@Suite(.inTurn, .ownThreads, .timeLimit(.minutes(5))) struct OriginTimeLimitTests {
    // MARK: - Heads

    @Test(arguments: [OriginServer.Versions.both, .http1, .http2])
    func `A connection that says nothing is closed`(versions: OriginServer.Versions) throws {
        let server = try OriginServer.cleartext {
            $0.versions = versions
            $0.limits.requestHead = .milliseconds(100)
        }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        _ = peer.rest()
        #expect(becomes { server.statistics.connectionsOpen == 0 })
        #expect(server.statistics.connectionsTimedOut == 1)
    }

    @Test func `A TLS handshake that is never finished is given up`() throws {
        var configuration = OriginServer.Configuration()
        configuration.limits.handshake = .milliseconds(100)
        let server = try OriginServer.start(configuration)
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        // The beginning of a record of 256 bytes.
        peer.send([22, 3, 1, 1, 0, 1])
        _ = peer.rest()
        #expect(becomes { server.statistics.connectionsOpen == 0 })
    }

    @Test func `A head of HTTP/1.1 that takes too long is answered with 408`() throws {
        let server = try OriginServer.cleartext { $0.limits.requestHead = .milliseconds(100) }
        defer { server.stopNow() }
        // On a new connection, and behind a request that was answered.
        for isFirst in [true, false] {
            let peer = try HTTP1Peer(port: server.port)
            if !isFirst {
                peer.get("/bytes/3")
                #expect(peer.answer()?.body == [0, 1, 2])
            }
            for byte in "GET / HTTP/1.1\r\nHost: x\r\nX: ".utf8 { peer.send([byte]) }
            let answer = try #require(peer.answer())
            #expect(answer.status == 408 && answer["connection"] == "close")
            #expect(peer.rest().isEmpty)
        }
        #expect(server.statistics.connectionsTimedOut == 2 && server.statistics.http1Malformed == 0)
    }

    @Test func `A connection of HTTP/1.1 between requests is not late`() throws {
        let server = try OriginServer.cleartext { $0.limits.requestHead = .milliseconds(50) }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/3")
        #expect(peer.answer()?.body == [0, 1, 2])
        letTimePass(.milliseconds(300))
        peer.get("/bytes/4")
        #expect(peer.answer()?.body == [0, 1, 2, 3])
    }

    @Test func `A preface, a head or a frame of HTTP/2 that takes too long ends the connection`() throws {
        let server = try OriginServer.cleartext { $0.limits.requestHead = .milliseconds(100) }
        defer { server.stopNow() }
        let request = RawPeer.field(":method", "GET") + RawPeer.field(":scheme", "http") + RawPeer.field(":path", "/")
        let greeting = RawPeer.preface + RawPeer.frame(settings) + RawPeer.frame(settings, flags: 1)
        for bytes in [
            RawPeer.preface, RawPeer.preface + [0, 0], greeting + [0],
            // HEADERS without END_HEADERS, its CONTINUATION begun; and one of more than its bytes.
            greeting + RawPeer.frame(headers, flags: 1, stream: 1, request) + [0, 0, 9, 9, 4, 0, 0, 0, 1],
            greeting + [0, 1, 0, headers, 5, 0, 0, 0, 1] + request,
            // PING, after others that were whole.
            greeting + RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8]) + [0, 0, 8, ping, 0, 0, 0, 0, 0, 1],
        ] {
            let peer = try RawPeer(port: server.port)
            peer.send(bytes)
            #expect(peer.endCode == calm, "\(bytes.suffix(20))")
        }
        #expect(server.statistics.connectionsTimedOut == 6)
    }

    @Test func `A connection of HTTP/2 between frames is not late, nor is DATA that moves on`() throws {
        let server = try OriginServer.cleartext { $0.limits.requestHead = .milliseconds(100) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/upload", method: "POST", ends: false)
        letTimePass(.milliseconds(300))
        // One frame of DATA, in pieces that take longer than a head might.
        let frame = RawPeer.frame(data, flags: 1, stream: 1, [UInt8](repeating: 1, count: 20))
        peer.send(Array(frame.prefix(9)))
        for byte in frame.dropFirst(9) {
            letTimePass(.milliseconds(20))
            peer.send([byte])
        }
        #expect(peer.answer().ended)
    }

    @Test func `An upload that moves is not late, wherever its frames are cut`() throws {
        let server = try OriginServer.cleartext { $0.limits.requestHead = .seconds(2) }
        defer { server.stopNow() }
        let frame = RawPeer.frame(data, stream: 1, [1, 2, 3])
        let last = RawPeer.frame(data, flags: 1, stream: 1, [4, 5, 6])
        let bytes = frame + last
        // The second piece has the end of the first frame, and some of the next.
        let cuts = (9..<frame.count).flatMap { first in (frame.count...frame.count + 9).map { (first, $0) } }
        let peers = try cuts.map { _ in try RawPeer(port: server.port) }
        for (peer, cut) in zip(peers, cuts) {
            peer.greet()
            peer.request("/upload", method: "POST", ends: false)
            peer.send(Array(bytes[..<cut.0]))
        }
        letTimePass(.milliseconds(2600))
        for (peer, cut) in zip(peers, cuts) { peer.send(Array(bytes[cut.0..<cut.1])) }
        // Longer than it takes for the limits to be looked at.
        letTimePass(.milliseconds(1100))
        for (peer, cut) in zip(peers, cuts) { peer.send(Array(bytes[cut.1...])) }
        for (peer, cut) in zip(peers, cuts) { #expect(peer.answer().ended, "\(cut)") }
        #expect(server.statistics.connectionsTimedOut == 0)
    }

    // MARK: - Bodies

    @Test func `A download that is slow but moves is not late`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .seconds(2) }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/1000000000")
        // 100 kB/s, when the system's buffer has to have a megabyte free before it reports room.
        let end = ContinuousClock.now + .seconds(7)
        while ContinuousClock.now < end {
            #expect(peer.trickle(2_000))
            letTimePass(.milliseconds(20))
        }
        #expect(server.statistics.connectionsTimedOut == 0)
        // And once it no longer moves.
        #expect(becomes { server.statistics.connectionsTimedOut == 1 })
    }

    @Test func `A window that is taken slowly is not late`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .seconds(2) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port, receiveBuffer: 4_096)
        peer.greet()
        peer.request("/bytes/100000")
        // 65,535 bytes and a few, in 6 s or more.
        for _ in 0..<120 {
            #expect(peer.trickle(500))
            letTimePass(.milliseconds(50))
        }
        #expect(server.statistics.requestsTimedOut == 0)
        peer.send(RawPeer.frame(windowUpdate, RawPeer.bytes(100_000)))
        peer.send(RawPeer.frame(windowUpdate, stream: 1, RawPeer.bytes(100_000)))
        let answer = peer.answer()
        #expect(answer.ended && answer.body.count == 100_000)
    }

    @Test(arguments: ["", "Expect: 100-continue\r\n"])
    func `An upload after a pause between requests is not late`(field: String) throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .seconds(2) }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/1")
        #expect(peer.answer()?.status == 200)
        letTimePass(.milliseconds(2500))
        peer.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\(field)\r\n")
        // Longer than it takes for the limits to be looked at.
        letTimePass(.milliseconds(1100))
        peer.send("abcde")
        if !field.isEmpty { #expect(peer.answer()?.status == 100) }
        #expect(peer.answer()?.status == 200)
        #expect(server.statistics.requestsTimedOut == 0)
    }

    @Test(arguments: [true, false]) func `An upload that waits for the origin is not late`(hasWorkers: Bool) throws {
        let server = try OriginServer.cleartext {
            $0.limits.bodyProgress = .milliseconds(800)
            if hasWorkers {
                $0.limits.workers = OriginServer.Workers(count: 1)
                $0.limits.workers?.serviceTime = .seconds(4)
            } else {
                $0.faults.latency = .seconds(4)
            }
        }
        defer { server.stopNow() }
        let old = try HTTP1Peer(port: server.port)
        old.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        letTimePass(.milliseconds(1600))
        #expect(server.statistics.requestsTimedOut == 0)
        old.send("cde")
        #expect(old.answer()?.text.hasPrefix("5 ") == true)
        #expect(server.statistics.requestsTimedOut == 0)
    }

    @Test func `A body of a request that stands still ends it`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .milliseconds(100) }
        defer { server.stopNow() }
        let unanswered = try HTTP1Peer(port: server.port)
        unanswered.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        #expect(unanswered.answer()?.status == 408)
        #expect(unanswered.rest().isEmpty)
        // 405 is answered at once; the body would only be thrown away.
        let answered = try HTTP1Peer(port: server.port)
        answered.send("POST /bytes/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        #expect(answered.answer()?.status == 405)
        #expect(answered.rest().isEmpty)
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for (index, path) in ["/upload", "/echo", "/bytes/1"].enumerated() {
            peer.request(path, stream: UInt32(2 * index + 1), method: "POST", ends: false)
        }
        var ended: Set<UInt32> = []
        while ended.count < 3, let frame = peer.next(reset) {
            #expect(frame.number(at: 0) == cancel)
            ended.insert(frame.stream)
        }
        #expect(ended == [1, 3, 5])
        peer.request("/bytes/3", stream: 7)
        #expect(peer.answer(stream: 7).body == [0, 1, 2])
    }

    @Test func `A frame of DATA that stands still ends its stream, and not the connection`() throws {
        let server = try OriginServer.cleartext {
            $0.limits.requestHead = .milliseconds(50)
            $0.limits.bodyProgress = .milliseconds(300)
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/upload", stream: 1, method: "POST", ends: false)
        let frame = RawPeer.frame(data, flags: 1, stream: 1, [UInt8](repeating: 1, count: 20))
        peer.send(Array(frame.prefix(15)))
        #expect(peer.answer(stream: 1).resetCode == cancel)
        peer.send(Array(frame.dropFirst(15)))
        peer.request("/bytes/3", stream: 3)
        #expect(peer.answer(stream: 3).body == [0, 1, 2])
    }

    @Test func `A request that the origin keeps waiting is not late`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .milliseconds(50) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/delay/500", stream: 1)
        peer.request("/drip?bytes=2&interval=500", stream: 3)
        #expect(peer.answer(stream: 1).ended)
        #expect(peer.answer(stream: 3).ended)
        let old = try HTTP1Peer(port: server.port)
        old.get("/drip?bytes=2&interval=500")
        #expect(old.answer()?.body == [0, 1])
    }

    @Test func `A response that waits for its turn is not late`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .milliseconds(100) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.send(
            RawPeer.preface + RawPeer.frame(settings, [0, 4] + RawPeer.bytes(0x7000_0000))
                + RawPeer.frame(windowUpdate, RawPeer.bytes(0x7000_0000)))
        peer.request("/bytes/1000000000", stream: 1)
        peer.request("/bytes/100000", stream: 3)
        let end = ContinuousClock.now + .seconds(1)
        while ContinuousClock.now < end, let frame = peer.next() {
            #expect(frame.type != reset && (frame.type != data || frame.stream == 1))
            letTimePass(.microseconds(200))
        }
        peer.send(RawPeer.frame(reset, stream: 1, RawPeer.bytes(8)))
        #expect(peer.answer(stream: 3).ended)
    }

    @Test func `A body that waits while another comes is not late, and is once nothing comes`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .seconds(1) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream: UInt32 in [1, 3] { peer.request("/upload", stream: stream, method: "POST", ends: false) }
        for _ in 0..<150 {
            peer.send(RawPeer.frame(data, stream: 1, [1]))
            letTimePass(.milliseconds(20))
        }
        #expect(server.statistics.streamsOpen == 2)
        #expect(peer.next(reset)?.number(at: 0) == cancel)
        #expect(peer.next(reset)?.number(at: 0) == cancel)
    }

    @Test func `A response that is not taken ends, by its stream or with its connection`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .milliseconds(200) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        // More than the window, which is not widened.
        peer.request("/bytes/100000")
        let answer = peer.answer()
        #expect(answer.body.count == 65_535 && answer.resetCode == cancel)
        // More than the sockets take.
        let old = try HTTP1Peer(port: server.port)
        old.get("/bytes/1000000000")
        #expect(becomes { server.statistics.connectionsTimedOut == 1 })
        #expect(becomes { server.statistics.connectionsOpen == 1 })
        #expect(server.statistics.requestsTimedOut == 1)
    }

    @Test func `A connection with a request is not idle`() throws {
        let server = try OriginServer.cleartext { $0.limits.idle = .milliseconds(50) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/delay/500")
        #expect(peer.next(headers) != nil)
        let old = try HTTP1Peer(port: server.port)
        old.get("/delay/500")
        #expect(old.answer()?.status == 200)
    }
}
