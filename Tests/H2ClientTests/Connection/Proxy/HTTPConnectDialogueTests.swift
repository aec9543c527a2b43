import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn)
struct HTTPConnectDialogueTests {
    private func rig(
        _ host: String = "origin.example", port: Int = 443, authorization: String? = nil,
        proxy: String = "http://user:top-secret@proxy.example:3128"
    ) throws -> DialogueRig {
        DialogueRig(
            try HTTPConnectDialogue(
                to: TunnelTarget(host: host, port: port), through: HTTPClient.Proxy(proxy),
                authorization: authorization,
                configuration: ConnectionConfiguration(), now: 1))
    }

    @Test(arguments: [
        ("origin.example", 443, "origin.example:443"), ("origin.example.", 80, "origin.example:80"),
        ("10.0.0.1", 8443, "10.0.0.1:8443"), ("::1", 443, "[::1]:443"), ("fe80::1%eth0", 1, "[fe80::1]:1"),
    ])
    func `The request names host and port, and nothing else`(_ host: String, _ port: Int, _ name: String) throws {
        #expect(try rig(host, port: port).sentText == "CONNECT \(name) HTTP/1.1\r\nHost: \(name)\r\n\r\n")
    }

    @Test func `Credentials are sent to the proxy`() throws {
        let rig = try rig(authorization: "Basic abc=")
        #expect(rig.sentText.contains("\r\nProxy-Authorization: Basic abc=\r\n"))
    }

    @Test(
        arguments: [
            "HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
            "HTTP/1.1 299\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\nX: y\n\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
        ], [1, 7, .max])
    func `Any 2xx opens the tunnel, and not a byte behind its head is taken`(_ head: String, _ piece: Int) throws {
        var rig = try rig()
        try rig.receive(head + "HTTP/1.1 400 tunnelled\r\n\r\n\u{0}", atATime: piece)
        #expect(rig.dialogue.isOpen)
        #expect(String(decoding: rig.left, as: UTF8.self) == "HTTP/1.1 400 tunnelled\r\n\r\n\u{0}")
    }

    @Test(arguments: [
        (403, "allow"), (407, "credentials"), (502, "reach"), (504, "reach"), (405, "CONNECT"), (301, "log"),
        (400, "HTTP proxy"),
    ])
    func `A refusal tells status and remedy, and no password`(_ status: Int, _ advice: String) throws {
        var rig = try rig()
        let error = #expect(throws: H2Error.self) {
            try rig.receive("HTTP/1.1 \(status) Why Not\r\nContent-Length: 4\r\n\r\nbody")
        }
        #expect(error?.code == .proxyFailed)
        #expect(error?.message.contains("\(status) Why") == true)
        #expect(error?.message.contains("http://proxy.example:3128") == true)
        #expect(error?.message.contains("origin.example:443") == true)
        #expect(error?.remedy.contains(advice) == true)
        #expect("\(error as Any)".contains("secret") == false)
    }

    @Test func `A 407 without credentials asks for them`() throws {
        var rig = try rig(proxy: "http://proxy.example:3128")
        let error = #expect(throws: H2Error.self) {
            try rig.receive(
                "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"a\"\r\nProxy-Authenticate: Digest x\r\n\r\n")
        }
        #expect(error?.remedy.contains("name a user and a password") == true)
        #expect(error?.isRetryable == false)
        #expect((rig.dialogue as? HTTPConnectDialogue)?.challenges == ["Basic realm=\"a\"", "Digest x"])
    }

    @Test(
        arguments: [
            "SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "HTTP/1.1 403 Bell\u{7}\r\n\r\n", "<html>\r\n\r\n",
        ], [1, .max])
    func `Garbage is refused`(_ answer: String, _ piece: Int) throws {
        var rig = try rig()
        let error = #expect(throws: H2Error.self) { try rig.receive(answer, atATime: piece) }
        #expect(error?.code == .proxyFailed)
        #expect(!rig.dialogue.isOpen)
    }

    @Test func `A huge head and a flood of informational responses are refused`() throws {
        var rig = try rig()
        let long = "HTTP/1.1 200 OK\r\nX: " + String(repeating: "y", count: 1 << 20)
        #expect(throws: H2Error.self) { try rig.receive(long, atATime: 4_096) }
        var flooded = try self.rig()
        let flood = String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 1_000)
        #expect(throws: H2Error.self) { try flooded.receive(flood, atATime: 4_096) }
        var many = try self.rig()
        let fields = (0..<20_000).map { "X\($0): y\r\n" }.joined()
        #expect(throws: H2Error.self) { try many.receive("HTTP/1.1 200 OK\r\n\(fields)\r\n", atATime: 4_096) }
    }

    @Test func `Every proper prefix of an answer leaves the tunnel closed`() throws {
        let answer = Array("HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n".utf8)
        for count in 0..<answer.count {
            var rig = try rig()
            try rig.receive(Array(answer[..<count]))
            #expect(!rig.dialogue.isOpen)
        }
    }
}
