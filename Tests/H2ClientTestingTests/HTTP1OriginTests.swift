import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import H2ClientTesting

@Suite(.inTurn, .ownThreads, .timeLimit(.minutes(5))) struct HTTP1OriginTests {
    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

    // MARK: - Which version

    @Test func `Both versions work on one port in cleartext`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let old = try HTTP1Peer(port: server.port)
        let new = try RawPeer(port: server.port)
        old.get("/bytes/3")
        new.greet()
        new.request("/bytes/3")
        #expect(old.answer()?.body == [0, 1, 2])
        #expect(new.answer().body == [0, 1, 2])
        let statistics = server.statistics
        #expect(statistics.http1Connections == 1 && statistics.http2Connections == 1)
        #expect(statistics.http1Requests == 1 && statistics.http2Requests == 1 && statistics.requests == 2)
        #expect(statistics.connectionsPeak == 2)
    }

    @Test func `HTTP/2's preface is known in whatever pieces it comes`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        for cut in 1..<RawPeer.preface.count {
            let peer = try RawPeer(port: server.port)
            peer.send(Array(RawPeer.preface[..<cut]))
            // The origin is seen to have taken the first piece, which it cannot answer.
            let seen = server.statistics.bytesReceived
            _ = becomes { server.statistics.bytesReceived > seen || seen >= cut }
            peer.send(RawPeer.preface[cut...] + RawPeer.frame(4) + RawPeer.frame(4, flags: 1))
            peer.request("/bytes/3")
            #expect(peer.answer().body == [0, 1, 2], "cut at \(cut)")
        }
    }

    @Test func `An origin of one version alone refuses the other`() throws {
        let old = try OriginServer.cleartext { $0.versions = .http1 }
        let new = try OriginServer.cleartext { $0.versions = .http2 }
        defer {
            old.stopNow()
            new.stopNow()
        }
        let first = try HTTP1Peer(port: old.port)
        first.send(RawPeer.preface)
        #expect(first.answer()?.status == 505)
        let second = try HTTP1Peer(port: new.port)
        second.get("/bytes/3")
        #expect(second.answer() == nil)
    }

    // MARK: - Messages

    @Test func `A connection persists, and HEAD, 204 and 304 have no body`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("text".utf8).write(to: folder.appendingPathComponent("f.txt"))
        let server = try OriginServer.cleartext { $0.documentRoot = folder.path }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        for count in [0, 1, 16_384, 100_000] {
            peer.get("/bytes/\(count)")
            let answer = try #require(peer.answer())
            #expect(answer.body == pattern(count) && answer["content-length"] == "\(count)")
            #expect(answer["connection"] == nil)
        }
        peer.send("HEAD /bytes/77 HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(peer.answer(toHead: true)?["content-length"] == "77")
        peer.get("/status/204")
        let none = try #require(peer.answer())
        #expect(none.status == 204 && none["content-length"] == nil)
        peer.get("/f.txt")
        let file = try #require(peer.answer())
        #expect(file.text == "text")
        peer.get("/f.txt", "If-None-Match: \(file["etag"] ?? "")\r\n")
        #expect(peer.answer()?.status == 304)
        peer.get("/f.txt", "Range: bytes=1-2\r\n")
        #expect(peer.answer()?.text == "ex")
        #expect(server.statistics.connectionsAccepted == 1 && server.statistics.http1Requests == 9)
    }

    @Test func `Pipelined requests are answered in order, bodies and all`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        var text = ""
        for index in 0..<500 {
            text += "GET /bytes/\(index) HTTP/1.1\r\nHost: x\r\n\r\n"
            text += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            text += "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
            text += "POST /bytes/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /"
        }
        peer.send(text)
        for index in 0..<500 {
            #expect(peer.answer()?.body == pattern(index))
            #expect(peer.answer()?.text == "abc")
            #expect(peer.answer()?.text == "de")
            #expect(peer.answer()?.status == 405)
        }
        #expect(server.statistics.streamsPeak == 1)
    }

    @Test func `A request may come in any two pieces`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        let request = Array(
            (chunked
                + "4;a=b\r\nbody\r\nA\r\n0123456789\r\n0\r\nX-Sum: 42\r\n\r\nGET /bytes/2 HTTP/1.1\r\nHost: x\r\n\r\n")
                .utf8)
        for cut in 1..<request.count {
            let seen = server.statistics.bytesReceived
            peer.send(Array(request[..<cut]))
            #expect(becomes { server.statistics.bytesReceived >= seen + cut })
            peer.send(Array(request[cut...]))
            let answer = try #require(peer.answer())
            #expect(answer.text == "body0123456789" && answer.isWhole, "cut at \(cut)")
            #expect(answer.trailers.map(\.name) == ["x-sum"] && answer.trailers.map(\.value) == ["42"])
            #expect(peer.answer()?.body == [0, 1])
        }
        // And byte by byte.
        for byte in request { peer.send([byte]) }
        #expect(peer.answer()?.text == "body0123456789")
        #expect(peer.answer()?.body == [0, 1])
        #expect(server.statistics.http1Malformed == 0)
    }

    @Test func `/echo sends a body larger than its buffer back while it arrives`() throws {
        let server = try OriginServer.cleartext { $0.settings.initialWindowSize = 65_535 }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n")
        let body = pattern(4_000_000)
        Thread.detachNewThread { [peer = Sent(peer)] in peer.value.send(body) }
        #expect(peer.answer()?.body == body)
    }

    /// A peer whose sending half another thread uses.
    private struct Sent: @unchecked Sendable {
        // Sending and receiving touch nothing in common but the descriptor.
        let value: HTTP1Peer
        init(_ value: HTTP1Peer) { self.value = value }
    }

    @Test func `A client that reads nothing does not make the origin hold all it asks for`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/100000000")
        for _ in 0..<100 { peer.get("/bytes/1") }
        #expect(becomes { server.statistics.streamsOpen == 1 })
        #expect(server.statistics.requests == 1)
        let answer = try #require(peer.answer())
        #expect(answer.isWhole && answer.body.count == 100_000_000)
        for _ in 0..<100 { #expect(peer.answer()?.body == [0]) }
    }

    @Test func `100 (Continue) is sent where the body is wanted, and a final status ends the connection else`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        #expect(peer.answer()?.status == 100)
        peer.send("abc")
        #expect(peer.answer()?.text.hasPrefix("3 ba7816bf") == true)
        peer.send("PUT /bytes/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        let refused = try #require(peer.answer())
        #expect(refused.status == 405 && refused["connection"] == "close")
        #expect(peer.rest().isEmpty)
    }

    @Test func `/early answers before the body was read, and says that it closes`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.send("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        let answer = try #require(peer.answer())
        #expect(answer.status == 200 && answer["connection"] == "close" && answer.isWhole)
        #expect(peer.rest().isEmpty)
    }

    @Test func `Trailers, informational responses and fields go as on HTTP/2`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/trailers")
        let trailed = try #require(peer.answer())
        #expect(trailed.trailers.map(\.name) == ["x-checksum", "x-body-length"])
        peer.get("/103?n=2")
        #expect([peer.answer()?.status, peer.answer()?.status, peer.answer()?.status] == [103, 103, 200])
        peer.get("/headers", "X-Mixed-Case:  a b\t\r\n")
        #expect(peer.answer()?.text == ":method: GET\n:path: /headers\nhost: localhost\nx-mixed-case: a b\n")
        peer.get("/large-headers?n=100&size=1000")
        #expect(peer.answer()?.fields.filter { $0.value.utf8.count == 1_000 }.count == 100)
        peer.get("/drip?bytes=5&chunk=2&interval=1")
        #expect(peer.answer()?.body == pattern(5))
        peer.get("/settings?max-concurrent-streams=1")
        #expect(peer.answer()?.status == 200)
        peer.get("/stats")
        #expect(peer.answer()?.text.contains("\"http1Requests\": 7,") == true)
    }

    @Test(arguments: [
        ("http://other.test/bytes/2", 200), ("HTTP://other.test:80/bytes/2?x", 200), ("http://other.test", 200),
        ("http://other.test?q", 200), ("http:///bytes/2", 400), ("bytes/2", 400), ("*", 400), ("ftp://x/", 400),
        ("/by#tes", 400), ("/\u{e9}", 400),
    ]) func `Targets may be absolute`(target: String, status: Int) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get(target)
        #expect(peer.answer()?.status == status)
    }

    @Test func `HTTP/1.0 gets no chunks, and keeps its connection only where it asks`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let kept = try HTTP1Peer(port: server.port)
        kept.send("GET /bytes/3 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        let first = try #require(kept.answer())
        #expect(first["connection"] == "keep-alive" && first.body == [0, 1, 2])
        kept.send("GET /trailers HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        let second = try #require(kept.answer())
        #expect(second["connection"] == "close" && second["transfer-encoding"] == nil)
        #expect(second.text == "two trailer fields follow\n" && kept.hasEnded)
        let closed = try HTTP1Peer(port: server.port)
        closed.send("GET /103 HTTP/1.0\r\n\r\n")
        let only = try #require(closed.answer())
        #expect(only.status == 200 && only["connection"] == "close")
        #expect(closed.rest().isEmpty)
    }

    @Test func `Connection: close is obeyed, and what comes after is not looked at`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/3", "Connection: foo , Close\r\n")
        peer.get("/bytes/4")
        let answer = try #require(peer.answer())
        #expect(answer["connection"] == "close" && answer.body == [0, 1, 2])
        #expect(peer.rest().isEmpty)
        #expect(server.statistics.requests == 1)
    }

    // MARK: - Bad clients

    private static let malformed: [(String, Int)] = [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400), ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n", 400), ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{7f}\r\n\r\n", 400),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400
        ),
        ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501),
    ]

    @Test func `What is no request is refused, and its connection ends`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        for (text, status) in Self.malformed {
            let peer = try HTTP1Peer(port: server.port)
            peer.send(text + "GET /bytes/3 HTTP/1.1\r\nHost: smuggled\r\n\r\n")
            let answer = try #require(peer.answer())
            #expect(answer.status == status && answer["connection"] == "close", "\(text.debugDescription)")
            #expect(peer.rest().isEmpty, "\(text.debugDescription)")
        }
        #expect(server.statistics.http1Malformed == Self.malformed.count)
        #expect(server.statistics.requests == 0)
        #expect(becomes { server.statistics.streamsOpen == 0 })
    }

    @Test func `A chunk's size may be padded with blanks`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.send(
            "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n1 \t;x=y\r\nd\r\n0 \r\n\r\n"
        )
        #expect(peer.answer()?.text.hasPrefix("4 ") == true)
    }

    @Test(arguments: [
        "x\r\n", "\r\n", "-1\r\n", "0x3\r\nabc\r\n", "3 x\r\nabc\r\n", "3 \nabc\r\n", "3\r\nabcd\r\n", "3\nabc\r\n",
        "ffffffffffffffffff\r\n",
        "3;\u{1}\r\nabc\r\n", "0\r\nContent-Length: 1\r\n\r\n", "0\r\n x\r\n\r\n",
    ]) func `A chunk that is none is refused with 400`(chunk: String) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        // This route answers when the body is complete.
        peer.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
        let answer = try #require(peer.answer())
        #expect(answer.status == 400 && answer["connection"] == "close")
        #expect(peer.rest().isEmpty)
        #expect(server.statistics.http1Malformed == 1)
    }

    @Test func `Heads over the limit are answered with 414 and 431, whether their lines end or not`() throws {
        let server = try OriginServer.cleartext { $0.limits.headerListSize = 1_000 }
        defer { server.stopNow() }
        let long = String(repeating: "v", count: 2_000)
        let many = (0..<30).map { "x-\($0): v\r\n" }.joined()
        for (text, status) in [
            ("GET /\(long) HTTP/1.1\r\n", 414), ("GET /\(long)", 414),
            ("GET / HTTP/1.1\r\nHost: x\r\nX: \(long)\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: x\r\nX: \(long)", 431), ("GET / HTTP/1.1\r\nHost: x\r\n\(many)", 431),
        ] {
            let peer = try HTTP1Peer(port: server.port)
            peer.send(text)
            let answer = try #require(peer.answer())
            #expect(answer.status == status && answer["connection"] == "close")
            #expect(peer.rest().isEmpty)
        }
    }

    @Test(arguments: 1...40) func `Random changes of a request end its connection alone`(seed: UInt64) throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<10 {
            var bytes = Array(
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n".utf8
            )
            for _ in 0...random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
            let peer = try HTTP1Peer(port: server.port)
            peer.send(bytes)
            peer.finishWriting()
            _ = peer.rest()
            #expect(peer.hasEnded, "seed \(seed)")
        }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/3")
        #expect(peer.answer()?.body == [0, 1, 2], "seed \(seed)")
        #expect(
            becomes { server.statistics.streamsOpen == 0 && server.statistics.connectionsOpen == 1 }, "seed \(seed)")
    }

    @Test func `A client that has ended its side gets what needs no waiting, and the rest goes with it`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/1000000")
        peer.get("/bytes/3")
        peer.get("/stall")
        peer.finishWriting()
        #expect(peer.answer()?.body.count == 1_000_000)
        #expect(peer.answer()?.body == [0, 1, 2])
        #expect(peer.answer() == nil)
        #expect(becomes { server.statistics.connectionsOpen == 0 && server.statistics.streamsOpen == 0 })
    }

    // MARK: - Ends

    @Test func `Resets are closes without a word`() throws {
        let server = try OriginServer.cleartext()
        defer { server.stopNow() }
        for path in ["/reset/2?after=5", "/close?after=5"] {
            let peer = try HTTP1Peer(port: server.port)
            peer.get(path)
            let answer = try #require(peer.answer())
            #expect(!answer.isWhole && answer.body == pattern(5) && peer.hasEnded && !peer.wasReset)
        }
        let none = try HTTP1Peer(port: server.port)
        none.get("/reset/2")
        #expect(none.answer() == nil)
        let hard = try HTTP1Peer(port: server.port)
        hard.get("/close?after=5&how=reset")
        _ = hard.rest()
        #expect(hard.wasReset)
    }

    @Test func `Faults that close announce it or not, as they say`() throws {
        let announced = try OriginServer.cleartext { $0.faults.goAwayAfterRequests = 2 }
        let silent = try OriginServer.cleartext { $0.faults.closeAfterResponses = 2 }
        let unanswered = try OriginServer.cleartext { $0.faults.closeAfterRequests = 3 }
        defer { for server in [announced, silent, unanswered] { server.stopNow() } }
        for (server, last) in [(announced, "close"), (silent, nil), (unanswered, nil)] {
            let peer = try HTTP1Peer(port: server.port)
            peer.get("/bytes/3")
            let first = try #require(peer.answer())
            #expect(first["connection"] == nil)
            peer.get("/bytes/3")
            let second = try #require(peer.answer())
            #expect(second["connection"] == last && second.body == [0, 1, 2])
            if server === unanswered { peer.get("/bytes/3") }
            #expect(peer.rest().isEmpty)
            #expect(!peer.wasReset)
        }
    }

    @Test func `On HTTP/2 the connection closes after N responses without GOAWAY`() throws {
        let server = try OriginServer.cleartext { $0.faults.closeAfterResponses = 2 }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for stream: UInt32 in [1, 3] {
            peer.request("/bytes/3", stream: stream)
            #expect(peer.answer(stream: stream).ended)
        }
        #expect(!peer.rest().contains { $0.type == 7 })
    }

    @Test func `Every Nth request is refused with 503, and every Nth is never answered`() throws {
        let server = try OriginServer.cleartext {
            $0.faults.refuseEvery = 2
            $0.faults.stallEvery = 3
            $0.faults.latency = .milliseconds(1)
        }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        for _ in 0..<3 { peer.get("/bytes/3") }
        #expect([peer.answer()?.status, peer.answer()?.status] == [200, 503])
        #expect(becomes { server.statistics.requests == 3 })
        #expect(server.statistics.streamsOpen == 1)
        peer.finishWriting()
        #expect(peer.rest().isEmpty)
    }

    @Test func `A body is cut after so many bytes`() throws {
        let server = try OriginServer.cleartext { $0.faults.resetAfterBodyBytes = 10 }
        defer { server.stopNow() }
        let peer = try HTTP1Peer(port: server.port)
        peer.get("/bytes/100")
        let answer = try #require(peer.answer())
        #expect(answer.body == pattern(10) && !answer.isWhole)
    }

    @Test func `An idle connection is closed, one in the middle of a request a second later`() throws {
        let server = try OriginServer.cleartext { $0.limits.idle = .milliseconds(50) }
        defer { server.stopNow() }
        let idle = try HTTP1Peer(port: server.port)
        idle.get("/bytes/3")
        #expect(idle.answer()?.body == [0, 1, 2])
        let partial = try HTTP1Peer(port: server.port)
        partial.send("GET / HT")
        let silent = try HTTP1Peer(port: server.port)
        #expect(idle.rest().isEmpty && partial.rest().isEmpty && silent.rest().isEmpty)
    }

    @Test func `stop says Connection: close in the response under way, and closes idle connections`() async throws {
        let server = try OriginServer.cleartext()
        let idle = try HTTP1Peer(port: server.port)
        idle.get("/bytes/3")
        #expect(idle.answer()?.body == [0, 1, 2])
        let busy = try HTTP1Peer(port: server.port)
        busy.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        #expect(becomes { server.statistics.requests == 2 })
        // Not on the global pool, whose threads tests may hold that wait for a socket.
        let stopping = Task(executorPreference: H2EventLoop.shared.taskExecutor) { await server.stop() }
        #expect(idle.rest().isEmpty)
        busy.send("abc")
        let answer = try #require(busy.answer())
        #expect(answer["connection"] == "close" && answer.text.hasPrefix("3 "))
        #expect(busy.rest().isEmpty)
        await stopping.value
        #expect(server.statistics.connectionsOpen == 0)
    }

    // MARK: - Workers

    @Test func `So many requests are worked on, so many wait, and the rest gets 503`() throws {
        let server = try OriginServer.cleartext {
            var workers = OriginServer.Workers(count: 1)
            workers.queue = 1
            workers.refusal = .unavailable(retryAfter: 7)
            $0.limits.workers = workers
        }
        defer { server.stopNow() }
        let peers = try (0..<3).map { _ in try HTTP1Peer(port: server.port) }
        // Busy until its body is complete.
        peers[0].send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        #expect(becomes { server.statistics.workersBusy == 1 })
        peers[1].get("/bytes/3")
        #expect(becomes { server.statistics.requestsWaiting == 1 })
        peers[2].get("/bytes/3")
        let refused = try #require(peers[2].answer())
        #expect(refused.status == 503 && refused["retry-after"] == "7" && refused["connection"] == nil)
        peers[0].send("abc")
        #expect(peers[0].answer()?.status == 200)
        #expect(peers[1].answer()?.body == [0, 1, 2])
        peers[2].get("/bytes/4")
        #expect(peers[2].answer()?.status == 200)
        #expect(becomes { server.statistics.workersBusy == 0 })
        #expect(server.statistics.requestsWaiting == 0 && server.statistics.requestsRefused == 1)
    }

    @Test func `One that gives up while it waits is passed over`() throws {
        let server = try OriginServer.cleartext {
            $0.limits.workers = OriginServer.Workers(count: 1)
            $0.limits.workers?.queue = 2
        }
        defer { server.stopNow() }
        let busy = try HTTP1Peer(port: server.port)
        busy.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        #expect(becomes { server.statistics.workersBusy == 1 })
        let waits = try HTTP1Peer(port: server.port)
        do {
            let leaves = try HTTP1Peer(port: server.port)
            leaves.get("/stall")
            #expect(becomes { server.statistics.requestsWaiting == 1 })
            waits.get("/bytes/3")
            #expect(becomes { server.statistics.requestsWaiting == 2 })
        }
        #expect(becomes { server.statistics.requestsWaiting == 1 })
        busy.send("abc")
        #expect(busy.answer()?.status == 200)
        #expect(waits.answer()?.body == [0, 1, 2])
    }

    @Test(arguments: [true, false]) func `On HTTP/2 the rest is reset with REFUSED_STREAM or gets 503`(
        resets: Bool
    ) throws {
        let server = try OriginServer.cleartext {
            $0.limits.workers = OriginServer.Workers(count: 2)
            $0.limits.workers?.queue = 3
            // Long enough for all to be there before the first is done.
            $0.limits.workers?.serviceTime = .seconds(2)
            if resets { $0.limits.workers?.refusal = .refusedStream }
        }
        defer { server.stopNow() }
        let peer = try RawPeer(port: server.port)
        peer.greet()
        for index: UInt32 in 0..<8 { peer.request("/bytes/3", stream: 2 * index + 1) }
        var ended: Set<UInt32> = []
        var reset: Set<UInt32> = []
        while ended.count + reset.count < 8, let frame = peer.next() {
            if frame.type == 3 {
                #expect(frame.number(at: 0) == 7)
                reset.insert(frame.stream)
            } else if frame.type == 0, frame.flags & 1 != 0 {
                ended.insert(frame.stream)
            }
        }
        #expect(reset == (resets ? [11, 13, 15] : []))
        #expect(ended.isSuperset(of: [1, 3, 5, 7, 9]))
        #expect(server.statistics.requestsRefused == 3)
        #expect(becomes { server.statistics.workersBusy == 0 })
    }
}
