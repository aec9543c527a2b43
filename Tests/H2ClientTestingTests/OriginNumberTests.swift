import Foundation
import H2TestSupport
import Testing

@testable import H2ClientTesting

/// Texts where a number should be, the same for a seed.
struct Noise {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }

    mutating func next(below bound: Int) -> Int {
        // splitmix64
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ mixed >> 31) % UInt64(bound))
    }

    mutating func oneOf<T>(_ choices: [T]) -> T { choices[next(below: choices.count)] }

    mutating func number() -> String {
        switch next(below: 4) {
        case 0: oneOf(Self.texts)
        case 1: "\(next(below: 20))"
        case 2: "\(next(below: .max))"
        default: oneOf(["", "-", "+", "%20"]) + oneOf(Self.texts) + oneOf(["", "0", "%20", "k", "_"])
        }
    }

    static let texts = [
        "0", "1", "-1", "", "+1", "00", "251", "16384", "65535", "65536", "2147483647", "2147483648", "4294967295",
        "4294967296", "1000000000000", "1000000000001", "999999999999999999", "1000000000000000000",
        "9223372036854775806", "9223372036854775807", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "1000000000000000000000000000000", "-9223372036854775808", "nan", "0x10", "1e9",
    ]
}

/// Every number that a client can send, over both versions: whatever it is, the origin goes on serving others.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct OriginNumberTests {
    private func withOrigin(_ body: (OriginServer) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("numbers-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data((0..<10).map { UInt8($0) }).write(to: folder.appendingPathComponent("f"))
        try Data().write(to: folder.appendingPathComponent("empty"))
        let server = try OriginServer.cleartext { $0.documentRoot = folder.path }
        defer { server.stopNow() }
        try body(server)
    }

    /// A request that may be answered or not, and then one that must be.
    private func survives(_ server: OriginServer, _ path: String, _ fields: [(String, String)] = []) throws {
        let old = try HTTP1Peer(port: server.port)
        old.get(path, fields.map { "\($0): \($1)\r\n" }.joined())
        let new = try RawPeer(port: server.port)
        new.greet()
        new.request(path, fields: fields)
        new.send(RawPeer.frame(6, [1, 2, 3, 4, 5, 6, 7, 8]))
        // PING's answer, or the connection's end.
        while let frame = new.next(), frame.type != 6 {}
        let witness = try HTTP1Peer(port: server.port)
        witness.get("/bytes/3")
        let answer = witness.answer()
        #expect(answer?.body == [0, 1, 2], "\(path) \(fields)")
    }

    private static let templates = [
        "/bytes/N", "/delay/N", "/status/N", "/reset/N", "/reset/N?after=N", "/stall?after=N", "/103?n=N",
        "/drip?bytes=N&chunk=N&interval=N", "/large-headers?n=N&size=N", "/priority?wait=N",
        "/goaway?code=N&last=N&debug=N", "/close?after=N&how=N",
        "/settings?max-concurrent-streams=N&initial-window-size=N&max-frame-size=N&header-table-size=N&delay=N",
    ]

    @Test(arguments: templates) func `The number of a route may be anything`(template: String) throws {
        try withOrigin { server in
            for text in Noise.texts {
                try survives(server, template.replacingOccurrences(of: "N", with: text))
            }
        }
    }

    @Test(arguments: 1...4) func `The numbers of a route may be anything, each of its own`(seed: UInt64) throws {
        var random = Noise(seed: seed)
        try withOrigin { server in
            for _ in 0..<60 {
                var path = ""
                for part in random.oneOf(Self.templates).split(separator: "N", omittingEmptySubsequences: false) {
                    path += (path.isEmpty ? "" : random.number()) + part
                }
                try survives(server, path.replacingOccurrences(of: " ", with: "+"))
            }
        }
    }

    @Test(arguments: [
        "bytes=0-9223372036854775807", "bytes=0-9223372036854775808", "bytes=9223372036854775807-",
        "bytes=-9223372036854775807", "bytes=-9223372036854775808", "bytes=0-0,1-9223372036854775807", "bytes=-0",
        "bytes=5-2", "bytes=-", "bytes=+1-2", "bytes=1- 2", "bytes=1000000000000000000000000000000-",
    ]) func `A range may be anything`(range: String) throws {
        try withOrigin { server in
            for path in ["/f", "/empty"] { try survives(server, path, [("range", range)]) }
        }
    }

    @Test func `A range is what the file has of it`() throws {
        try withOrigin { server in
            let peer = try HTTP1Peer(port: server.port)
            for (range, status, text) in [
                ("bytes=0-9223372036854775807", 206, "bytes 0-9/10"),
                ("bytes=-9223372036854775808", 206, "bytes 0-9/10"),
                ("bytes=9223372036854775807-", 416, "bytes */10"), ("bytes=5-2", 200, nil),
            ] as [(String, Int, String?)] {
                peer.get("/f", "Range: \(range)\r\n")
                let answer = try #require(peer.answer())
                #expect(answer.status == status && answer["content-range"] == text, "\(range)")
            }
        }
    }

    @Test(arguments: Noise.texts) func `A content-length and a chunk's size may be anything`(text: String) throws {
        try withOrigin { server in
            for request in [
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \(text)\r\n\r\n",
                "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: \(text)\r\n\r\nabc",
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\(text)\r\nabc",
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\(text)\r\nabc",
            ] {
                let peer = try HTTP1Peer(port: server.port)
                peer.send(request)
            }
            try survives(server, "/echo", [("content-length", text)])
        }
    }

    @Test(arguments: [
        "/bytes/1000000000001", "/bytes/9223372036854775808", "/delay/86400001", "/status/199", "/status/600",
        "/reset/8?after=1000000000001", "/stall?after=x", "/drip?bytes=-1",
        "/large-headers?n=1000000000000000000&size=1000000000000000000", "/large-headers?n=9223372036854775807&size=0",
        "/103?n=1001", "/goaway?last=-1", "/settings?delay=",
    ]) func `A number that is none, or too large, is answered with 400`(path: String) throws {
        try withOrigin { server in
            let peer = try HTTP1Peer(port: server.port)
            peer.get(path)
            #expect(peer.answer()?.status == 400)
        }
    }

    @Test(arguments: ["initial-window-size=2147483648", "max-frame-size=1", "max-frame-size=16777216"])
    func `A setting that is none is answered with 400`(setting: String) throws {
        try withOrigin { server in
            let peer = try RawPeer(port: server.port)
            peer.greet()
            peer.request("/settings?\(setting)")
            #expect(String(decoding: peer.answer().body, as: UTF8.self).contains("out of its range"))
        }
    }
}
