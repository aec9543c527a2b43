import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct SendingTests {
    private let content = Served.pattern(300_000)

    /// What `/upload` answers for `content`: the number of bytes and their SHA-256.
    private func digest(in served: Served, _ file: String) async throws -> String {
        let script = "sha256sum \(file) | cut -d' ' -f1 > sum"
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        return "\(content.count) \(try served.folder.read("sum"))"
    }

    @Test func `h2get sends -d as a form`() async throws {
        let served = try Served()
        let result = try await served.get("-i", "-d", "a=1", "-d", "b=2", served.url("/echo"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.hasSuffix("\r\n\r\na=1&b=2"))
        #expect(result.text.contains("content-type: application/x-www-form-urlencoded\r\n"))
    }

    @Test func `h2get sends a file with -T and --data-binary, and stdin as a stream`() async throws {
        let served = try Served()
        try content.write(to: URL(fileURLWithPath: served.folder.path("file")))
        let expected = try await digest(in: served, "file")
        let put = try await served.get("-T", "file", served.url("/upload"))
        #expect(put.text == expected, "\(put.errors)")
        let post = try await served.get("--data-binary", "@file", served.url("/upload"))
        #expect(post.text == expected, "\(post.errors)")
        let stream = try await served.get(["-T", "-", served.url("/upload")], input: content)
        #expect(stream.text == expected, "\(stream.errors)")
        let pipe = """
            set -o pipefail; cat file | "\(Program.path)" --cacert ca.pem --data-binary @- \(served.url("/upload")) > answer
            """
        #expect(try await Program.runShell(pipe, in: served.folder.root) == 0)
        #expect(try served.folder.read("answer") == expected)
    }

    @Test func `h2get sends one file a URL, and the same to all`() async throws {
        let served = try Served()
        try served.folder.write("one", to: "1")
        try served.folder.write("two", to: "2")
        let each = try await served.get("-T", "1", "-T", "2", served.url("/echo"), served.url("/echo"))
        #expect(each.text == "onetwo", "\(each.errors)")
        let all = try await served.get("-T", "1", served.url("/echo"), served.url("/echo"))
        #expect(all.text == "oneone", "\(all.errors)")
    }

    @Test func `h2get ends with 26 where the file to send is not there`() async throws {
        let served = try Served()
        let result = try await served.get("-T", "missing", served.url("/upload"))
        #expect(result.status == 26)
        #expect(result.errors.contains("missing"))
    }

    @Test func `h2get sends header fields as asked`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-H", "X-One: 1", "-H", "Accept:", "-A", "agent/1", "--priority", "u=1,i", served.url("/headers"))
        #expect(result.text.contains("x-one: 1\n"), "\(result.errors)")
        #expect(!result.text.contains("accept:"))
        #expect(result.text.contains("user-agent: agent/1\n"))
        #expect(result.text.contains("priority: u=1, i\n"))
        #expect(result.text.contains(":method: GET\n"))
    }

    @Test func `h2get sends credentials of the URL, which -v does not show`() async throws {
        let served = try Served()
        let url = served.url("/headers").replacing("https://", with: "https://user:pass@")
        let result = try await served.get("-v", url)
        #expect(result.text.contains("authorization: Basic dXNlcjpwYXNz\n"), "\(result.errors)")
        #expect(!result.errors.contains("dXNlcjpwYXNz"))
        #expect(!result.errors.contains("user:pass"))
    }

    @Test func `h2get sends trailers after the body`() async throws {
        let served = try Served()
        let result = try await served.get("-v", "-d", "x", "--trailer", "X-Sum: 7", served.url("/echo"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("< x-sum: 7 (trailer)"))
    }

    @Test func `h2get sends the body only when the server asks for it with --expect-continue`() async throws {
        let served = try Served()
        let result = try await served.get("-v", "--expect-continue", "-d", "x", served.url("/echo"))
        #expect(result.text == "x", "\(result.errors)")
        #expect(result.errors.contains("< HTTP 100"))
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct VerboseTests {
    @Test func `h2get tells the connection's facts and both heads with -v`() async throws {
        let served = try Served()
        let result = try await served.get("-v", served.url("/103"))
        for part in [
            "* connection #1 to https://localhost:\(served.origin.port): 127.0.0.1:\(served.origin.port) from 127.0.0.1:",
            "TLSv1.3", "ALPN chose h2", "certificate of ", "verified", "resolve ",
            "> GET https://localhost:\(served.origin.port)/103\n",
            "> user-agent: h2get/", "< HTTP 103", "< link: ", "< HTTP/2 200", "< content-length: ",
            "* stream 1 on connection #1 (new), HTTP/2", "first byte at",
        ] {
            #expect(result.errors.contains(part), "\(part) is not in:\n\(result.errors)")
        }
        #expect(result.text == "hinted\n")
    }

    @Test func `h2get tells whose line it is where there are several URLs`() async throws {
        let served = try Served()
        let result = try await served.get("-v", "-o", "/dev/null", served.url("/bytes/1"), served.url("/bytes/2"))
        #expect(result.errors.contains("[1] > GET \(served.url("/bytes/1"))\n"))
        #expect(result.errors.contains("[2] > GET \(served.url("/bytes/2"))\n"))
        #expect(result.errors.contains("(reused)"))
    }

    @Test func `h2get tells each frame with its windows with -vv`() async throws {
        let served = try Served()
        let result = try await served.get("-vv", "-o", "/dev/null", served.url("/bytes/100000"))
        let lines = result.errors.split(separator: "\n")
        for frame in [
            "> SETTINGS stream 0", "< SETTINGS stream 0", "> HEADERS stream 1", "< HEADERS stream 1", "< DATA stream 1",
        ] {
            let line = lines.first { $0.contains(" ms #1 \(frame)") }
            #expect(line?.hasSuffix("]") == true, "\(frame) is not in:\n\(result.errors)")
        }
    }

    @Test func `h2get tells its version and its options, in short`() async throws {
        let version = try await Program.run(["--version"])
        #expect(version.status == 0)
        #expect(version.text.hasPrefix("h2get "))
        let help = try await Program.run(["--help"])
        #expect(help.status == 0)
        for part in ["Examples:", "Request:", "Where bodies go:", "Connection:", "Messages:", "h2get serve"] {
            #expect(help.text.contains(part))
        }
        #expect(try await Program.run(["serve", "--help"]).text.contains("--port"))
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct ServeTests {
    /// Runs `h2get serve`, then `body` with its port, then ends it.
    private func serve(
        _ arguments: [String], in folder: TemporaryFolder, _ body: @Sendable (Int) async throws -> Void
    ) async throws -> Program.Result {
        let portFile = folder.path("port")
        try? FileManager.default.removeItem(atPath: folder.path("stop"))
        async let server = Program.run(
            ["serve", "--port", "0", "--port-file", portFile] + arguments, in: folder.root
        ) { number in
            _ = Program.waitUntil { FileManager.default.fileExists(atPath: folder.path("stop")) }
            kill(number, SIGTERM)
        }
        try #require(await Program.eventually { FileManager.default.fileExists(atPath: portFile) })
        let port = try #require(Int(try folder.read("port").trimmingCharacters(in: .whitespacesAndNewlines)))
        do { try await body(port) } catch { Issue.record(error) }
        try folder.write("", to: "stop")
        return try await server
    }

    @Test func `h2get serve serves a folder, tells where, and ends cleanly`() async throws {
        let folder = try TemporaryFolder()
        try folder.write("hello\n", to: "hello.txt")
        let result = try await serve(["--ca-file", "ca.pem", "."], in: folder) { port in
            let fetched = try await Program.run(
                ["--cacert", folder.path("ca.pem"), "https://127.0.0.1:\(port)/hello.txt"])
            #expect(fetched.text == "hello\n", "\(fetched.errors)")
        }
        #expect(result.status == 0)
        #expect(result.text.contains("https://127.0.0.1:"))
        #expect(result.text.contains("certificate SHA-256 "))
        #expect(result.text.contains("routes: "))
        #expect(!folder.names.contains("port"))
    }

    @Test func `h2get serve works in cleartext and with faults`() async throws {
        let folder = try TemporaryFolder()
        let result = try await serve(["--cleartext", "--refuse-every", "2", "--max-streams", "1"], in: folder) { port in
            let url = "http://127.0.0.1:\(port)/bytes/1"
            let fetched = try await Program.run([
                "--http2-prior-knowledge", "--retry", "0", "-o", "/dev/null", url, url,
            ])
            #expect(fetched.status == 92, "\(fetched.errors)")
        }
        #expect(result.status == 0)
        let reset = try await serve(["--cleartext", "--reset-after-bytes", "100", "--latency", "300"], in: folder) {
            port in
            let start = ContinuousClock.now
            let fetched = try await Program.run(["--http2-prior-knowledge", "http://127.0.0.1:\(port)/bytes/1000"])
            #expect(fetched.status == 92, "\(fetched.errors)")
            #expect(ContinuousClock.now - start >= .milliseconds(300))
        }
        #expect(reset.status == 0)
        let goAway = try await serve(["--cleartext", "--goaway-after", "1"], in: folder) { port in
            let url = "http://127.0.0.1:\(port)/bytes/1"
            let fetched = try await Program.run(["--http2-prior-knowledge", "--summary", "-o", "/dev/null", url, url])
            #expect(fetched.status == 0, "\(fetched.errors)")
            #expect(fetched.errors.contains("2 connections"), "\(fetched.errors)")
        }
        #expect(goAway.status == 0)
    }

    @Test func `h2get serve says why it cannot listen`() async throws {
        let served = try Served()
        let result = try await Program.run(["serve", "--port", "\(served.origin.port)"])
        #expect(result.status == 2)
        #expect(result.errors.contains("cannot listen"))
    }
}
