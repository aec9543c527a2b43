import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2ClientTesting

private let cancel: UInt32 = 8
private let refusedStream: UInt32 = 7
private let calm: UInt32 = 11

/// What clients may make an origin hold and do, and how long they may take: each limit, met.
@Suite(.ownThreads, .timeLimit(.minutes(5))) struct OriginLimitTests {
    /// The error code of GOAWAY, on which the connection ends.
    private func ending(_ peer: RawPeer) -> UInt32? { peer.rest().last { $0.type == goAway }?.number(at: 4) }

    // MARK: - Time: heads

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
        usleep(300_000)
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
            #expect(ending(peer) == calm, "\(bytes.suffix(20))")
        }
        #expect(server.statistics.connectionsTimedOut == 6)
    }

    @Test func `A connection of HTTP/2 between frames is not late, nor is DATA that moves on`() throws {
        let server = try OriginServer.cleartext { $0.limits.requestHead = .milliseconds(100) }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/upload", method: "POST", ends: false)
        usleep(300_000)
        // One frame of DATA, in pieces that take longer than a head might.
        let frame = RawPeer.frame(data, flags: 1, stream: 1, [UInt8](repeating: 1, count: 20))
        peer.send(Array(frame.prefix(9)))
        for byte in frame.dropFirst(9) {
            usleep(20_000)
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
        usleep(2_600_000)
        for (peer, cut) in zip(peers, cuts) { peer.send(Array(bytes[cut.0..<cut.1])) }
        // Longer than it takes for the limits to be looked at.
        usleep(1_100_000)
        for (peer, cut) in zip(peers, cuts) { peer.send(Array(bytes[cut.1...])) }
        for (peer, cut) in zip(peers, cuts) { #expect(peer.answer().ended, "\(cut)") }
        #expect(server.statistics.connectionsTimedOut == 0)
    }

    // MARK: - Time: bodies

    @Test func `A download that is slow but moves is not late`() throws {
        let server = try OriginServer.cleartext { $0.limits.bodyProgress = .seconds(2) }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/1000000000")
        // 100 kB/s, when the system's buffer has to have a megabyte free before it reports room.
        let end = ContinuousClock.now + .seconds(7)
        while ContinuousClock.now < end {
            #expect(peer.trickle(2_000))
            usleep(20_000)
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
            usleep(50_000)
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
        usleep(2_500_000)
        peer.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\(field)\r\n")
        // Longer than it takes for the limits to be looked at.
        usleep(1_100_000)
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
        usleep(1_600_000)
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
            usleep(200)
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
            usleep(20_000)
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

    // MARK: - Counts

    @Test func `More requests than the limit are refused, over all connections`() throws {
        let server = try OriginServer.cleartext { $0.limits.requests = 2 }
        defer { server.stopNow() }
        let first = try RawPeer(port: server.port)
        first.greet()
        for stream: UInt32 in [1, 3, 5] { first.request("/stall?after=1", stream: stream) }
        let refused = try #require(first.next(reset))
        #expect(refused.stream == 5 && refused.number(at: 0) == refusedStream)
        let second = try HTTP1Peer(port: server.port)
        second.get("/bytes/1")
        #expect(second.answer()?.status == 503)
        first.send(RawPeer.frame(reset, stream: 1, RawPeer.bytes(8)))
        #expect(becomes { server.statistics.streamsOpen == 1 })
        second.get("/bytes/1")
        #expect(second.answer()?.status == 200)
        #expect(server.statistics.requestsOverLimit == 2)
    }

    @Test func `Bodies that wait are held up to the limit, and what is held is given back`() throws {
        let server = try OriginServer.cleartext { $0.limits.heldBytes = 200_000 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        // What is sent back fills the client's windows, and waits.
        var stream: UInt32 = 1
        var code: UInt32?
        let piece = [UInt8](repeating: 7, count: 16_000)
        while code == nil, stream < 100 {
            peer.request("/echo", stream: stream, method: "POST", ends: false)
            for _ in 0..<4 { peer.send(RawPeer.frame(data, stream: stream, piece)) }
            peer.send(RawPeer.frame(ping, RawPeer.bytes(stream) + RawPeer.bytes(0)))
            while let frame = peer.next() {
                if frame.type == reset { code = frame.number(at: 0) }
                if frame.type == ping { break }
            }
            stream += 2
        }
        #expect(code == calm)
        #expect(server.statistics.bytesHeld <= 200_000)
        for open in stride(from: 1, to: stream, by: 2) {
            peer.send(RawPeer.frame(reset, stream: open, RawPeer.bytes(8)))
        }
        #expect(becomes { server.statistics.bytesHeld == 0 && server.statistics.streamsOpen == 0 })
        let old = try HTTP1Peer(port: server.port)
        old.get("/headers", "X: \(String(repeating: "x", count: 60_000))\r\n")
        #expect(old.answer()?.status == 200)
        #expect(becomes { server.statistics.bytesHeld == 0 })
    }

    /// A trailer block that makes a field of 4,000 bytes, and refers to it 14 times: 14 kB here for every kilobyte sent.
    private static let trailers: [UInt8] =
        [0x40, 1] + Array("x".utf8) + [127, 0xa1, 0x1e] + [UInt8](repeating: 118, count: 4_000)
        + [UInt8](repeating: 0xbe, count: 14)

    @Test func `Trailers that nobody reads are not held`() throws {
        let server = try OriginServer.cleartext { $0.limits.heldBytes = 1 << 20 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream in stride(from: UInt32(1), to: 101, by: 2) {
            peer.request("/stall", stream: stream, ends: false)
            peer.send(RawPeer.frame(headers, flags: 5, stream: stream, Self.trailers))
        }
        peer.request("/bytes/3", stream: 101)
        #expect(peer.answer(stream: 101).body == [0, 1, 2])
        #expect(server.statistics.streamsOpen == 50 && server.statistics.requestsOverLimit == 0)
        #expect(server.statistics.bytesHeld < 50_000)
    }

    @Test func `Trailers that wait are held up to the limit, and given back once nobody will read them`() throws {
        let server = try OriginServer.cleartext {
            $0.limits.heldBytes = 1 << 20
            $0.faults.latency = .seconds(3)
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream in stride(from: UInt32(1), to: 101, by: 2) {
            peer.request("/upload", stream: stream, method: "POST", ends: false)
            peer.send(RawPeer.frame(headers, flags: 5, stream: stream, Self.trailers))
        }
        let refused = try #require(peer.next(reset))
        #expect(refused.number(at: 0) == calm)
        #expect(server.statistics.requestsOverLimit > 0 && server.statistics.bytesHeld <= 1 << 20)
        #expect(becomes { server.statistics.bytesHeld == 0 && server.statistics.streamsOpen == 0 })
        let old = try HTTP1Peer(port: server.port)
        old.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-sum: 3\r\n\r\n")
        let answer = try #require(old.answer())
        #expect(answer.body == Array("ab".utf8) && answer.trailers.map(\.value) == ["3"])
    }

    @Test func `Trailers of HTTP/1.1 over what may be held end the connection`() throws {
        let server = try OriginServer.cleartext { $0.limits.heldBytes = 30_000 }
        defer { server.stopNow() }
        let trailers = (0..<40).map { "x-\($0): \(String(repeating: "v", count: 1_000))\r\n" }.joined()
        for (path, isKept) in [("/echo", false), ("/upload", true)] {
            let peer = try HTTP1Peer(port: server.port)
            peer.send("POST \(path) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\(trailers)\r\n")
            #expect((peer.answer()?.isWhole ?? false) == isKept, "\(path)")
            #expect(becomes { server.statistics.bytesHeld == 0 })
        }
        #expect(server.statistics.requestsOverLimit == 1)
    }

    @Test func `The text of /headers is held up to the limit`() throws {
        let server = try OriginServer.cleartext { $0.limits.heldBytes = 100_000 }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        let field = "X: \(String(repeating: "x", count: 60_000))\r\n"
        peer.get("/headers", field)
        #expect(peer.answer()?.status == 503)
        peer.get("/bytes/1", field)
        #expect(peer.answer()?.status == 200)
        #expect(server.statistics.requestsOverLimit == 1)
        #expect(becomes { server.statistics.bytesHeld == 0 })
    }

    @Test func `Early hints over what may be held are answered with 503`() throws {
        let server = try OriginServer.cleartext { $0.limits.heldBytes = 100_000 }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        for (count, status) in [(500, 503), (1_001, 400), (0, 200)] {
            peer.get("/103?n=\(count)")
            #expect(peer.answer()?.status == status, "\(count)")
        }
        #expect(server.statistics.requestsOverLimit == 1)
    }

    @Test(arguments: [Int.max, Int.max - 1, 1 << 62, Int.min]) func `Limits may be of any size`(value: Int) throws {
        let server = try OriginServer.cleartext {
            if value > 0 {
                $0.limits.connections = value
                $0.limits.requests = value
                $0.limits.headerListSize = value
                $0.limits.heldBytes = value
            }
            $0.limits.responseBytes = value
            $0.limits.responseFieldBytes = value
            $0.limits.controlFrames = value
            $0.limits.controlFramesPerSecond = value
            $0.limits.streamResets = value
            $0.limits.streamResetsPerSecond = value
            $0.limits.workers = OriginServer.Workers(count: max(value, 1))
            $0.limits.workers?.count = value
            $0.limits.workers?.queue = value
            $0.limits.handshake = .seconds(Int64.max)
            $0.limits.requestHead = .seconds(Int64.max)
            $0.limits.bodyProgress = .seconds(Int64.max)
            $0.limits.idle = .seconds(Int64.max)
        }
        defer { server.stopNow() }
        let status = value > 0 ? 200 : 400
        let old = try HTTP1Peer(port: server.port)
        for path in ["/bytes/10", "/large-headers?n=1&size=10", "/drip?bytes=2&interval=0"] {
            old.get(path)
            #expect(old.answer()?.status == status, "\(path)")
        }
        // More than is allowed, or than there is.
        old.get("/large-headers?n=\(Int.max)&size=\(Int.max)")
        #expect(old.answer()?.status == 400)
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.request("/bytes/10")
        // The greeting is one frame too many where the limit is zero.
        #expect((peer.answer().body.count == 10) == (value > 0))
        for stream in stride(from: UInt32(3), to: 2_403, by: 2) where value > 0 {
            peer.request("/stall", stream: stream)
            peer.send(RawPeer.frame(reset, stream: stream, RawPeer.bytes(8)))
        }
        peer.send(RawPeer.frame(ping, [1, 2, 3, 4, 5, 6, 7, 8]))
        #expect((peer.next(ping) != nil) == (value > 0))
    }

    @Test func `More resets are allowed than nghttp2 does by itself`() throws {
        let server = try OriginServer.cleartext { $0.limits.streamResets = 5_000 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream in stride(from: UInt32(1), to: 6_001, by: 2) {
            peer.request("/stall", stream: stream)
            peer.send(RawPeer.frame(reset, stream: stream, RawPeer.bytes(8)))
        }
        peer.request("/bytes/3", stream: 6_001)
        #expect(peer.answer(stream: 6_001).body == [0, 1, 2])
        #expect(server.statistics.connectionsFlooding == 0)
    }

    @Test func `Large fields are held up to the limit`() throws {
        let server = try OriginServer.cleartext { $0.limits.heldBytes = 1 << 20 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        let requests = (0..<20).map { UInt32(2 * $0 + 1) }
        var bytes: [UInt8] = []
        for stream in requests {
            let block = [
                (":method", "GET"), (":scheme", "http"), (":authority", "x"),
                (":path", "/large-headers?n=100&size=1000"),
            ].flatMap { RawPeer.field($0.0, $0.1) }
            bytes += RawPeer.frame(headers, flags: 5, stream: stream, block)
        }
        peer.send(bytes)
        #expect(becomes { server.statistics.requests == 20 })
        #expect(becomes { server.statistics.requestsOverLimit > 0 })
        #expect(becomes { server.statistics.bytesHeld == 0 })
        let old = try HTTP1Peer(port: server.port)
        old.get("/large-headers?n=600&size=1000")
        #expect(old.answer()?.status == 503)
        old.get("/large-headers?n=1100&size=1000")
        #expect(old.answer()?.status == 400)
    }

    @Test func `A body of a response is as large as the limit at most`() throws {
        let server = try OriginServer.cleartext { $0.limits.responseBytes = 10 }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        for (path, status) in [
            ("/bytes/10", 200), ("/bytes/11", 400), ("/drip?bytes=10&interval=0", 200), ("/drip?bytes=11", 400),
            ("/stall?after=11", 400), ("/reset/1?after=11", 400), ("/close?after=11", 400),
        ] {
            peer.get(path)
            #expect(peer.answer()?.status == status, "\(path)")
        }
    }

    @Test func `A body that drips is not made ahead of its reader`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        // SETTINGS_INITIAL_WINDOW_SIZE of 3.
        peer.send(RawPeer.preface + RawPeer.frame(settings, [0, 4] + RawPeer.bytes(3)))
        peer.request("/drip?bytes=10&interval=0")
        var body: [UInt8] = []
        while body.count < 3, let frame = peer.next(data) { body += frame.payload }
        peer.send(RawPeer.frame(windowUpdate, stream: 1, RawPeer.bytes(100)))
        #expect(body + peer.answer().body == (0..<10).map { UInt8($0) })
    }

    // MARK: - Floods

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
        #expect(ending(peer) == calm)
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
        #expect(ending(peer) == calm)
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
        #expect(ending(peer) == calm)
    }

    @Test func `A header block in very many pieces ends the connection`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        peer.send(RawPeer.frame(headers, flags: 1, stream: 1, RawPeer.field(":method", "GET")))
        for _ in 0..<100 { peer.send(RawPeer.frame(9, stream: 1)) }
        #expect(ending(peer) == calm)
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
            usleep(5_000)
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
