import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct FailureTests {
    @Test func `h2get fails with 3 for a bad URL, and fetches the others`() async throws {
        let served = try Served()
        let result = try await served.get("http:/nonsense", served.url("/bytes/4"), "https://u:secret@bad host/")
        #expect(result.status == 3)
        #expect(result.output == Served.pattern(4))
        #expect(result.errors.contains("h2get: (3) http:/nonsense: no scheme"))
        #expect(result.errors.contains("2 of 3 transfers failed"))
        #expect(!result.errors.contains("secret"))
    }

    @Test func `h2get fails with 6 for a name without an address`() async throws {
        // No resolver is asked for a label of more than 63 bytes.
        let result = try await Program.run(["https://\(String(repeating: "a", count: 70)).test/"])
        #expect(result.status == 6, "\(result.errors)")
    }

    @Test func `h2get fails with 6 for a zone that is no interface's, by its name`() async throws {
        let result = try await Program.run(["http://[fe80::1%25h2none]:1/"])
        #expect(result.status == 6, "\(result.errors)")
        #expect(result.errors.contains("there is no interface named 'h2none'"), "\(result.errors)")
    }

    @Test func `h2get does not fail for a zone by its name on any address, in a URL and where to connect`() async throws
    {
        // Some containers have no IPv6.
        guard let served = try? Served({ $0.address = "::1" }) else { return }
        let port = served.origin.port
        for arguments in [
            ["http://[::1%25lo]:\(port)/echo"], ["http://[::1%25lo]:\(port)/echo", "--http1.1"],
            ["--connect-to", "localhost:1:[::1%25lo]:\(port)", "http://localhost:1/echo"],
            ["--connect-to", "localhost:1:[::1%lo]:\(port)", "http://localhost:1/echo"],
            ["--resolve", "nowhere.test:\(port):[::1%25lo]", "http://nowhere.test:\(port)/echo"],
        ] {
            let result = try await served.get(["-k"] + arguments.map { $0.replacing("http://", with: "https://") })
            #expect(result.status == 0, "\(arguments): \(result.errors)")
        }
        let bench = try await Program.run(
            ["bench", "-k", "-n", "1", "--connect-to", "[::1%25lo]:\(port)", "https://localhost:1/"])
        #expect(bench.status == 0, "\(bench.errors)")
    }

    @Test func `h2get fails with the zone of an address that cannot be reached`() async throws {
        // The interface is the loopback one, where no such address is.
        let result = try await Program.run(["--connect-timeout", "20", "http://[fe80::1%25lo]:1/"])
        #expect(result.status != 0)
        #expect(
            result.errors.contains("[fe80::1%lo]:1: ") || result.errors.contains("[fe80::1%25lo]:1 took longer"),
            "\(result.errors)")
    }

    @Test func `h2get fails with 92 for informational responses beyond the limit, which an option sets`() async throws {
        let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = { _ in
            let hints = String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 150)
            return [.send(hints), .respond()]
        }
        try await ScriptedHTTP1Server.run(script: script) { server in
            let url = "\(server.origin)/"
            let refused = try await Program.run(["--http1.1", url])
            #expect(refused.status == 92 || refused.status == 16, "\(refused.errors)")
            #expect(refused.errors.contains("allow more with --informational-max"), "\(refused.errors)")
            let taken = try await Program.run(["--http1.1", "--informational-max", "200", url])
            #expect(taken.text == "abc", "\(taken.errors)")
            let fewer = try await Program.run(
                ["--http1.1", "--informational-max", "10", "--informational-per-second", "0", url])
            #expect(fewer.errors.contains("our limit is 10 at once, and 0 a second"), "\(fewer.errors)")
            let wrong = try await Program.run(["--informational-max", "-1", url])
            #expect(wrong.status == 2, "\(wrong.errors)")
        }
    }

    @Test func `h2get fails with 7 where nobody listens, once for each URL`() async throws {
        let port = try closedPort()
        let result = try await Program.run(["https://127.0.0.1:\(port)/1", "https://127.0.0.1:\(port)/2"])
        #expect(result.status == 7)
        #expect(result.errors.contains("h2get: (7) https://127.0.0.1:\(port)/1: "))
        #expect(result.errors.contains("2 of 2 transfers failed"))
    }

    @Test func `h2get fails with 16 where the server does not speak the HTTP/2 that is asked for`() async throws {
        let served = try Served { $0.versions = .http1 }
        let result = try await served.get("--http2-prior-knowledge", served.url("/bytes/1"))
        #expect(result.status == 16, "\(result.errors)")
        #expect(result.errors.contains("leave out --http2-prior-knowledge"))
    }

    @Test func `h2get fails with 35 where the server does not speak TLS`() async throws {
        let served = try Served { $0.security = .cleartext }
        // TLS to a cleartext server: no handshake.
        let result = try await Program.run(["-k", "https://localhost:\(served.origin.port)/"])
        #expect(result.status == 35, "\(result.errors)")
    }

    @Test func `h2get fails with 22 for a status of 400 or more with -f, and writes nothing`() async throws {
        let served = try Served()
        let result = try await served.get("-f", "-o", "f", served.url("/status/404"))
        #expect(result.status == 22)
        #expect(result.errors.contains("404"))
        #expect(served.files.isEmpty)
        let without = try await served.get(served.url("/status/404"))
        #expect(without.status == 0)
        #expect(without.text == "status 404\n")
    }

    @Test func `h2get fails with 28 for -m, and with --connect-timeout at a server that does not shake hands`()
        async throws
    {
        let served = try Served()
        let slow = try await served.get("-m", "0.3", served.url("/stall"))
        #expect(slow.status == 28)
        #expect(slow.errors.contains("longer than 300.00 ms"))
        let body = try await served.get("-m", "0.3", "-o", "f", served.url("/stall?after=100"))
        #expect(body.status == 28)
        #expect(served.parts == ["f"])
        let mute = try Served { $0.faults.isMute = true }
        let connecting = try await mute.get("--connect-timeout", "0.3", mute.url("/"))
        #expect(connecting.status == 28, "\(connecting.errors)")
        let whole = try await mute.get("-m", "0.3", mute.url("/"))
        #expect(whole.status == 28, "\(whole.errors)")
    }

    @Test func `h2get fails with 60 for a certificate that nobody vouches for, unless -k`() async throws {
        let served = try Served()
        let refused = try await Program.run([served.url("/bytes/1")])
        #expect(refused.status == 60)
        #expect(refused.errors.contains("--cacert FILE"))
        #expect(try await Program.run(["-k", served.url("/bytes/1")]).status == 0)
    }

    @Test func `h2get fails with 77 for an authority file that is not there`() async throws {
        let served = try Served()
        let result = try await Program.run(["--cacert", "/nonexistent.pem", served.url("/bytes/1")])
        #expect(result.status == 77, "\(result.errors)")
    }

    @Test func `h2get fails with 58 for a certificate of ours that is not there`() async throws {
        let served = try Served()
        let result = try await served.get("--cert", "/nonexistent.pem", served.url("/bytes/1"))
        #expect(result.status == 58, "\(result.errors)")
    }

    @Test func `h2get fails with 60 for a certificate of another name, with advice that fits`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--connect-to", "other.test:443:127.0.0.1:\(served.origin.port)", "https://other.test/")
        #expect(result.status == 60)
        #expect(result.errors.contains("another name"), "\(result.errors)")
    }

    @Test func `h2get fails with 92 for a refused stream, with its number, code and what to try`() async throws {
        let served = try Served { $0.faults.refuseEvery = 2 }
        let result = try await served.get(
            "--retry", "0", "-o", "/dev/null", served.url("/bytes/1"), served.url("/bytes/2"))
        #expect(result.status == 92)
        let line = try #require(result.errors.split(separator: "\n").first { $0.hasPrefix("h2get: (92) https://") })
        #expect(line.contains("stream 3"))
        #expect(line.contains("0x7 REFUSED_STREAM"))
        #expect(line.contains(";"))
        #expect(result.errors.contains("1 of 2 transfers failed"))
    }

    @Test func `h2get fails with the code of the first URL that failed, whichever failed first`() async throws {
        let served = try Served()
        let result = try await served.get("-f", "-o", "/dev/null", served.url("/reset/2?after=100000"), "nonsense")
        #expect(result.status == 92)
    }

    @Test func `h2get fails leaving what it has in a part file, and says so`() async throws {
        let served = try Served()
        let reset = try await served.get("-o", "r", served.url("/reset/2?after=5000000"))
        #expect(reset.status == 92)
        #expect(reset.errors.contains(" of it are in "))
        let closed = try await served.get("-o", "c", served.url("/close?after=5000000"))
        #expect(closed.status == 18, "\(closed.errors)")
        #expect(served.parts == ["c", "r"])
        #expect(served.files.count == 2)
        for name in served.files {
            let part = try served.folder.data(name)
            #expect(!part.isEmpty)
            #expect(Served.pattern(5_000_000).starts(with: part))
        }
        let refused = try Served { $0.faults.refuseEvery = 1 }
        _ = try await refused.get("-o", "x", refused.url("/bytes/1"))
        #expect(refused.files.isEmpty)
    }

    @Test func `h2get fails silently with -s, but not with -sS`() async throws {
        let served = try Served()
        let silent = try await served.get("-s", "-f", served.url("/status/500"))
        #expect(silent.status == 22)
        #expect(silent.errors == "")
        let shown = try await served.get("-sSf", served.url("/status/500"))
        #expect(shown.errors.contains("(22)"))
    }

    /// Each of these is refused. "hush" stands for what nobody but the user may see.
    static let wrongArguments: [[String]] = [
        ["-H", "Authorization Bearer hush"], ["-H", "Auth orization: Bearer hush"], ["-H", "a: b", "-H", "hush"],
        ["-H", ":hush"], ["-H", "X-Token: hush\u{1}"], ["-Hhush"], ["--header=Cookie hush"], ["-H", "@fields"],
        ["--trailer", "hush"], ["--trailer", "h ush: hush"], ["--trailer", "hush:"],
        ["--connect-to", "me:hush@h:443"], ["--connect-to", "a:1:hush:hush"], ["--connect-to", "a:1:hu sh:2"],
        ["--connect-to", "a:1:[hush:]:2"], ["--connect-to=https://me:hush@h"],
        ["--resolve", "me:hush@h:443"], ["--resolve", "h:hush:1.2.3.4"], ["--resolve", "+h:1:hush"],
        ["--resolve", "h:1:me@hush,me:hush@h"],
        ["-X", "Bearer hush"], ["-X", "me:hush@h"], ["--priority", "Bearer hush"], ["-m", "Bearer hush"],
        ["-m", "me:hush@h"], ["--retry", "Bearer hush"], ["--rate", "me:hush@h"], ["--rate=me:hush@h"],
        ["--parallel-max", "token: hush"], ["--user", "me:hush"], ["--user=me:hush"], ["-u", "me:hush"],
        ["-x", "http://me:hush@h"], ["--proxy=http://me:hush@h"], ["--cookie=session=hush"], ["-b", "session=hush"],
        ["--oauth2-bearer", "hush"], ["--cert", "absent.pem:hush"],
    ]
    private static let wrongMeasurements: [[String]] = [
        ["-H", "Authorization Bearer hush"], ["-Hhush"], ["-H", "@fields"], ["--connect-to", "https://me:hush@h"],
        ["--connect-to", "me:hush@h:1"], ["--user=me:hush"], ["-u", "me:hush"], ["--proxy", "http://me:hush@h"],
        ["--sni=hush", "http://h/"], ["--cert", "absent.pem:hush", "https://localhost:1/"],
    ]
    static let wrongCommands: [[String]] =
        wrongArguments.map { $0 + ["https://localhost:1/"] }
        + ["bench", "compare", "sweep"].flatMap { command in
            wrongMeasurements.map { [command] + $0 + ["http://localhost:1/"] }
        } + [
            ["http://me:hush@[::/"], ["http://me:hu/sh@h:x/"], ["http://localhost:1/?access_token=hush"],
            ["http://me:hush@localhost:1/"], ["bench", "http://me:hush@h/[1-"],
            ["bench", "http://me:hush@h/[1-10000000]"],
            ["bench", "http://h/", "http://me:hush@other/"], ["bench", "-B", "unix:me:hush@h", "/"],
            ["bench", "--fail-if", "Bearer hush", "http://h/"], ["bench", "-X", "Bearer hush", "http://h/"],
            ["bench", "--source", "me:hush@h", "http://h/"], ["compare", "-n", "me:hush@h", "http://h/"],
            ["compare", "--rtt", "Bearer hush", "http://h/"], ["sweep", "--slo", "Bearer hush", "http://h/"],
            ["sweep", "--streams", "me:hush@h", "http://h/"], ["serve", "--user=me:hush"],
            ["serve", "http://me:hush@h/"],
            ["-Yme:hush", "http://h/"], ["-sYme:hush", "http://h/"],
            ["--cert", "absent.pem:hush", "https://localhost:1/"],
            ["bench", "--cert", "absent.pem:hush", "https://localhost:1/"], ["-K", "config", "http://localhost:1/"],
            ["bench", "merge", "http://me:hush@h/x"], ["bench", "merge", "--user=me:hush", "x"],
        ]

    @Test(arguments: wrongCommands) func `h2get fails without a secret of the command line`(
        _ arguments: [String]
    ) async throws {
        let folder = try TemporaryFolder()
        try folder.write("a: b\nCookie hush\n", to: "fields")
        try folder.write("--user=me:hush extra\n", to: "config")
        let result = try await Program.run(arguments, in: folder.root)
        #expect(result.status != 0 && !result.errors.isEmpty, "\(arguments)")
        #expect(!result.errors.contains("hush") && !result.text.contains("hush"), "\(arguments): \(result.errors)")
    }

    @Test func `h2get fails without bytes that are a secret`() async throws {
        let folder = try TemporaryFolder()
        let script = """
            for option in -X -m --connect-to; do
                "\(Program.path)" $option $'hush\\xff' http://localhost:1/ 2>> errors
                [ $? = 2 ] || exit 1
            done
            "\(Program.path)" -H $'Cookie hush\\xff' http://localhost:1/ 2>> errors; [ $? = 2 ] || exit 2
            "\(Program.path)" -O -H -H $'Cookie: hush\\xff' --retry -H $'hush\\xff' http://localhost:1/ 2>> errors
            "\(Program.path)" $'http://me:hush@h/\\xff' 2>> errors; [ $? = 2 ] || exit 3
            ! grep hush errors
            """
        #expect(try await Program.runShell(script, in: folder.root) == 0, "\((try? folder.read("errors")) ?? "")")
    }

    @Test func `h2get says which of several fields is wrong`() async throws {
        let result = try await Program.run(["-H", "a: b", "-H", "c", "http://localhost:1/"])
        #expect(result.errors.contains("-H number 2: there is no ':'"), "\(result.errors)")
    }

    @Test func `h2get fails with 2 for a wrong option`() async throws {
        let result = try await Program.run(["--nope"])
        #expect(result.status == 2)
        #expect(result.errors.contains("'h2get --help'"))
    }

    @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143)), (SIGHUP, Int32(129))])
    func `h2get ends cleanly when interrupted, without a file that looks whole`(
        _ signal: Int32, _ status: Int32
    ) async throws {
        let served = try Served()
        let result = try await served.get(["-o", "f", served.url("/stall?after=1000"), served.url("/stall")]) {
            number in
            _ = Program.waitUntil {
                (served.files.first.flatMap { try? served.folder.data($0).count } ?? 0) >= 1000
            }
            kill(number, signal)
        }
        // By the signal itself, which a shell counts as 128 and the signal.
        #expect(result.status == -signal)
        #expect(result.errors.contains("(\(status)) interrupted"), "\(result.errors)")
        #expect(served.parts == ["f"])
        #expect(await Program.eventually { served.origin.statistics.connectionsOpen == 0 })
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `h2get fails when interrupted while it writes in place, which leaves no .part`(_ signal: Int32) async throws {
        let served = try Served()
        let script = """
            mkdir d && echo old > d/f && chmod 666 d/f && chmod 555 d && chmod 755 . && chmod 644 ca.pem
            as=""; if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=65534 --regid=65534 --clear-groups"; fi
            exec $as "\(Program.path)" --cacert ca.pem -o d/f '\(served.url("/stall?after=1000"))' 2> errors
            """
        let folder = served.folder
        let status: Int32? = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Swift.Result {
                        let process = try ChildProcess("/bin/bash", ["-c", script], in: folder.root)
                        _ = Program.waitUntil { ((try? folder.data("d/f"))?.count ?? 0) == 1000 }
                        kill(process.pid, signal)
                        return process.wait(seconds: 60)?.status
                    })
            }
        }
        chmod(folder.path("d"), 0o755)
        let errors = try folder.read("errors")
        #expect(status == -signal, "\(errors)")
        #expect(errors.contains("d/f was emptied") && !errors.contains(".part"), "\(errors)")
        #expect(try folder.data("d/f").isEmpty)
    }

    @Test func `h2get fails when interrupted while it connects`() async throws {
        let served = try Served { $0.faults.isMute = true }
        let result = try await served.get([served.url("/")]) { number in
            _ = Program.waitUntil { served.origin.statistics.connectionsAccepted == 1 }
            kill(number, SIGINT)
        }
        #expect(result.status == -SIGINT)
    }
}
