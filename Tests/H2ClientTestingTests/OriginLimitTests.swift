import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2ClientTesting

/// Limits on the memory and work that clients can cause: each one reached.
@Suite(.inTurn, .ownThreads, .timeLimit(.minutes(5))) struct OriginLimitTests {
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
        // The response fills the client's windows, and waits.
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
}
