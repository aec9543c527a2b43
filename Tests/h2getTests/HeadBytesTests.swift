import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct HeadBytesTests {
    @Test(arguments: [
        "HTTP/1.1 200 Alles bestens\r\nX-MiXed: a\r\nLatin: \u{E4}\u{F6}\u{FC}\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 299 \r\ncontent-length: 3\r\nX-A: 1\r\nx-a: 2\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
    ]) func `h2get keeps the head of an HTTP/1.x response byte for byte with -i`(_ head: String) async throws {
        // Each character is one byte.
        let bytes = head.unicodeScalars.map { UInt8($0.value) }
        try await ScriptedHTTP1Server.run(script: { _ in [.send(bytes + Array("abc".utf8))] }) { server in
            let folder = try TemporaryFolder()
            let url = "http://127.0.0.1:\(server.port)/"
            let result = try await Program.run(["-i", url])
            #expect(result.output == Data(bytes) + Data("abc".utf8), "\(result.errors)")
            let file = try await Program.run(["-i", "-o", "f", url], in: folder.root)
            #expect(file.status == 0)
            #expect(try folder.data("f") == Data(bytes) + Data("abc".utf8))
            let two = try await Program.run(["-i", url, url])
            #expect(two.output == Data(bytes) + Data("abc".utf8) + Data(bytes) + Data("abc".utf8))
        }
    }

    @Test func `h2get keeps dot segments with --path-as-is alone`() async throws {
        try await ScriptedHTTP1Server.run(script: { [.respond(body: $0.target)] }) { server in
            let url = "http://127.0.0.1:\(server.port)/a/../b/./c"
            let (plain, asIs) = (try await Program.run([url]), try await Program.run(["--path-as-is", url]))
            #expect(plain.text == "/b/c")
            #expect(asIs.text == "/a/../b/./c")
        }
    }

    @Test func `h2get keeps to the addresses of --resolve, and tries all of them`() async throws {
        let served = try Served.cleartext()
        let port = served.origin.port
        // Nobody listens at the first two.
        let result = try await Program.run([
            "--resolve", "a.test:\(port):127.0.0.77,[::1],127.0.0.1", "http://a.test:\(port)/bytes/5",
        ])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == Served.pattern(5))
        let wrong = try await Program.run(["--resolve", "a.test:\(port):127.0.0.1,nonsense", "http://a.test:\(port)/"])
        #expect(wrong.status == 2)
        #expect(wrong.errors.contains("'nonsense' is not an address"))
    }
}
