import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct FetchingTests {
    @Test func `h2get fetches one URL to stdout, and says nothing else`() async throws {
        let served = try Served()
        let result = try await served.get(served.url("/bytes/100000"))
        #expect(result.status == 0)
        #expect(result.output == Served.pattern(100_000))
        #expect(result.errors == "")
        #expect(served.origin.statistics.connectionsAccepted == 1)
    }

    @Test func `/dev/stdout stays the link that it is, also where stdout is a file`() async throws {
        let served = try Served()
        let result = try await served.get("-o", "/dev/stdout", served.url("/bytes/1000"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == Served.pattern(1000))
        #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: "/dev/stdout")) != nil)
        #expect(!FileManager.default.fileExists(atPath: "/dev/stdout.part"))
    }

    @Test func `h2get fetches two hundred URLs in parallel over one connection`() async throws {
        let served = try Served()
        let urls = (0..<200).map { _ in served.url("/delay/20") }
        let result = try await served.get(["-o", "/dev/null", "--summary"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        let statistics = served.origin.statistics
        #expect(statistics.connectionsAccepted == 1)
        #expect(statistics.requests == 200)
        #expect(statistics.streamsPeak > 50)
        #expect(result.errors.contains("200 requests over 1 connection to 127.0.0.1:\(served.origin.port)"))
        #expect(result.errors.contains("0 failed"))
    }

    @Test func `h2get fetches no more than --parallel-max at once`() async throws {
        let served = try Served()
        let urls = (0..<30).map { _ in served.url("/delay/5") }
        let result = try await served.get(["-o", "/dev/null", "--parallel-max", "3"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.origin.statistics.streamsPeak == 3)
    }

    @Test func `h2get fetches two origins over one connection each`() async throws {
        let (one, two) = (try Served(), try Served())
        let trust = try one.folder.write(one.folder.read("ca.pem") + two.folder.read("ca.pem"), to: "both.pem")
        let urls = (1...20).flatMap { [one.url("/bytes/\($0)"), two.url("/bytes/\($0)")] }
        let result = try await Program.run(["--cacert", trust] + urls, in: one.folder.root)
        #expect(result.status == 0, "\(result.errors)")
        #expect(one.origin.statistics.connectionsAccepted == 1)
        #expect(two.origin.statistics.connectionsAccepted == 1)
        #expect(result.output == (1...20).reduce(into: Data()) { $0 += Served.pattern($1) + Served.pattern($1) })
    }

    @Test func `h2get fetches several bodies on stdout in the order of the URLs, whichever comes first`() async throws {
        let served = try Served()
        let result = try await served.get(
            served.url("/delay/200"), served.url("/bytes/7"), served.url("/delay/100"), served.url("/bytes/300000"),
            served.url("/bytes/1"))
        #expect(result.status == 0, "\(result.errors)")
        let ok = Data("ok\n".utf8)
        #expect(result.output == ok + Served.pattern(7) + ok + Served.pattern(300_000) + Served.pattern(1))
    }

    @Test func `h2get fetches bodies larger than all windows together in order, without a deadlock`() async throws {
        // The first is held up until the others have filled their windows.
        let served = try Served { $0.settings.maxConcurrentStreams = 10 }
        let size = 6_000_000
        let urls =
            [served.url("/drip?bytes=1000&chunk=100&interval=40")] + (0..<20).map { _ in served.url("/bytes/\(size)") }
        let result = try await served.get(urls)
        #expect(result.status == 0, "\(result.errors)")
        try #require(result.output.count == 1000 + 20 * size)
        let expected = Served.pattern(size)
        for index in 0..<20 {
            let start = 1000 + index * size
            #expect(result.output[start..<(start + size)] == expected, "body \(index)")
        }
        #expect(served.origin.statistics.connectionsAccepted == 1)
    }

    @Test func `h2get fetches in cleartext over HTTP/1.1, and over HTTP/2 when told to`() async throws {
        let served = try Served { $0.security = .cleartext }
        #expect(try await served.get(served.url("/bytes/5")).output == Served.pattern(5))
        #expect(served.origin.statistics.http2Requests == 1)
        let plain = try await Program.run(["-i", served.url("/bytes/5")])
        #expect(plain.status == 0, "\(plain.errors)")
        #expect(plain.output.starts(with: Data("HTTP/1.1 200 OK\r\n".utf8)))
        #expect(served.origin.statistics.http1Requests == 1)
    }

    @Test func `h2get fetches a list from stdin, with comments`() async throws {
        let served = try Served()
        let list = "# list\n\(served.url("/bytes/3"))\n\n  \(served.url("/bytes/4"))"
        let result = try await served.get(["--input-file", "-", served.url("/bytes/2")], input: Data(list.utf8))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == Served.pattern(2) + Served.pattern(3) + Served.pattern(4))
    }

    @Test func `h2get fetches a long list from a file over one connection`() async throws {
        let served = try Served()
        let url = served.url("/bytes/10") + "\n"
        try served.folder.write(String(repeating: url, count: 5000), to: "list")
        let result = try await served.get("-o", "/dev/null", "--summary", "--input-file", "list")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("5000 requests over 1 connection"))
        #expect(result.errors.contains("50.0 kB of bodies"))
    }

    @Test func `h2get fetches on through GOAWAY, on new connections`() async throws {
        let served = try Served { $0.faults.goAwayAfterRequests = 10 }
        let urls = (1...95).map { served.url("/bytes/\($0)") }
        let result = try await served.get(["--summary"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == (1...95).reduce(into: Data()) { $0 += Served.pattern($1) })
        #expect(served.origin.statistics.connectionsAccepted >= 10)
    }

    @Test func `h2get fetches what --connect-to names, under the URL's own name`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-k", "--connect-to", "example.test:443:127.0.0.1:\(served.origin.port)", "https://example.test/headers")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.contains(":authority: example.test\n"))
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct WritingTests {
    @Test func `h2get writes -o files in the order of the URLs`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-o", "a", "-o", "sub/b", "--create-dirs", served.url("/bytes/10"), served.url("/bytes/20"),
            served.url("/bytes/30"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.files == ["a", "sub"])
        #expect(try served.folder.data("a") == Served.pattern(10))
        #expect(try served.folder.data("sub/b") == Served.pattern(20))
        #expect(result.output == Served.pattern(30))
    }

    @Test func `h2get writes -O files under --output-dir`() async throws {
        let served = try Served()
        let result = try await served.get(
            "-O", "--output-dir", "out", "--create-dirs", served.url("/bytes/10?x"), served.url("/bytes/20"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try served.folder.data("out/10") == Served.pattern(10))
        #expect(try served.folder.data("out/20") == Served.pattern(20))
        #expect(result.output.isEmpty)
    }

    @Test func `h2get writes only one of two URLs with the same -O name`() async throws {
        let served = try Served()
        let result = try await served.get("-O", served.url("/bytes/10"), served.url("/bytes/10?again"))
        #expect(result.status == 23)
        #expect(served.files == ["10"])
        #expect(result.errors.contains("is saved as 10 already"))
        #expect(result.errors.contains("1 of 2 transfers failed"))
    }

    @Test func `h2get writes nothing into a folder that does not exist`() async throws {
        let served = try Served()
        let result = try await served.get("-O", "--output-dir", "missing", served.url("/bytes/10"))
        #expect(result.status == 23)
        #expect(result.errors.contains("--create-dirs"))
        #expect(served.files.isEmpty)
    }

    @Test func `h2get writes the head before the body with -i, alone with -I`() async throws {
        let served = try Served()
        let include = try await served.get("-i", served.url("/bytes/3"))
        #expect(include.output.starts(with: Data("HTTP/2 200 \r\n".utf8)))
        #expect(include.text.contains("\r\ncontent-length: 3\r\n"))
        #expect(include.output.suffix(7) == Data("\r\n\r\n".utf8) + Served.pattern(3))
        let head = try await served.get("-I", served.url("/bytes/3"))
        #expect(head.status == 0, "\(head.errors)")
        #expect(head.text.contains("content-length: 3\r\n"))
        #expect(head.text.hasSuffix("\r\n\r\n"))
    }

    @Test func `A full device is told`() async throws {
        let served = try Served()
        let toFile = try await served.get("-o", "/dev/full", served.url("/bytes/10"))
        #expect(toFile.status == 23)
        #expect(toFile.errors.contains("No space left on device"))
        let toStandardOutput = try await served.get([served.url("/bytes/10")], output: "/dev/full")
        #expect(toStandardOutput.status == 23)
    }

    @Test func `h2get writes one line and no more once nobody reads stdout`() async throws {
        let served = try Served()
        let script = """
            i=0; while [ $i -lt 3000 ]; do echo \(served.url("/bytes/100000")); i=$((i+1)); done > list
            "\(Program.path)" --cacert ca.pem --input-file list 2> errors | head -c 10 > /dev/null
            exit ${PIPESTATUS[0]}
            """
        let result = try await Program.runShell(script, in: served.folder.root)
        #expect(result == 23)
        let errors = try served.folder.read("errors")
        #expect(errors.contains("Broken pipe"))
        #expect(errors.split(separator: "\n").filter { $0.contains("(23) https://") }.count == 1)
        #expect(served.origin.statistics.requests < 3000)
    }

    @Test func `h2get writes more downloads at once than the shell's limit of open files`() async throws {
        let served = try Served()
        let urls = (300_001...300_150).map { served.url("/bytes/\($0)") }
        try served.folder.write(urls.joined(separator: "\n"), to: "list")
        let script = """
            ulimit -S -n 64
            exec "\(Program.path)" --cacert ca.pem -O --output-dir out --create-dirs --input-file list 2> errors
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        let errors = try served.folder.read("errors")
        #expect(status == 0, "\(errors)")
        #expect(try served.folder.data("out/300150") == Served.pattern(300_150))
    }

    @Test func `A reader slower than the server gets every byte`() async throws {
        let served = try Served()
        let script = """
            set -o pipefail
            "\(Program.path)" --cacert ca.pem \(served.url("/bytes/3000000")) \(served.url("/bytes/10")) \
                | dd bs=1000 iflag=fullblock status=none > copy
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.data("copy") == Served.pattern(3_000_000) + Served.pattern(10))
    }

    @Test func `h2get writes no binary to a terminal`() async throws {
        let served = try Served()
        let binary = try await Program.runOnTerminal([
            "--cacert", served.folder.path("ca.pem"), served.url("/bytes/300"),
        ])
        #expect(binary.status == 23)
        #expect(binary.text.contains("-o FILE"))
        #expect(!binary.output.contains(0))
        let text = try await Program.runOnTerminal(["--cacert", served.folder.path("ca.pem"), served.url("/delay/0")])
        #expect(text.status == 0)
        #expect(text.text == "ok\r\n")
    }
}
