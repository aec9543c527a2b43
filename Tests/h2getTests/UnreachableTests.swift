import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct UnreachableTests {
    @Test func `An origin that h2get cannot reach is told in one line for all its URLs, without a rate`() async throws {
        let port = try closedPort()
        let urls = (1...200).map { "http://127.0.0.1:\(port)/\($0)" }
        let result = try await Program.run(["--summary", "-o", "/dev/null"] + urls)
        #expect(result.status == 7)
        let lines = result.errors.split(separator: "\n")
        let told = lines.filter { $0.contains("cannot connect") }
        #expect(told.count == 1, "\(result.errors)")
        #expect(told.first?.contains("the same for 199 more URLs of http://127.0.0.1:\(port)") == true, "\(told)")
        #expect(result.errors.contains("200 of 200 transfers failed"))
        #expect(!result.errors.contains("requests/s"), "\(result.errors)")
    }

    @Test func `An origin that h2get cannot reach is waited for while it restarts, and none of its URLs is lost`()
        async throws
    {
        // One that no client's socket takes while the server is away.
        let port = try LoopbackPort.unused()
        let served = try Served {
            $0.security = .cleartext
            $0.port = port
        }
        // From a list that is still being written when the server is away.
        let script = """
            mkfifo list
            "\(Program.path)" --http2-prior-knowledge -o /dev/null --summary --input-file list 2> errors & client=$!
            exec 3> list
            for i in $(seq 50); do echo http://127.0.0.1:\(port)/bytes/$i >&3; done
            while [ ! -e away ]; do sleep 0.01; done
            for i in $(seq 300); do echo http://127.0.0.1:\(port)/bytes/$i >&3; done
            exec 3>&-
            wait $client
            """
        async let status = Program.runShell(script, in: served.folder.root)
        #expect(await Program.eventually { served.origin.statistics.requests >= 50 })
        // Answers that are under way are not to be lost with the connection.
        await served.origin.stop()
        try served.folder.write("", to: "away")
        // Away for longer than the first pauses between dials.
        try await letTimePass(.milliseconds(1500))
        let back = try Served {
            $0.security = .cleartext
            $0.port = port
        }
        #expect(try await status == 0, "\((try? served.folder.read("errors")) ?? "")")
        #expect(back.origin.statistics.requests == 300)
    }

    @Test func `An origin that h2get cannot reach is reached by --retry, which says what it waits for`() async throws {
        let port = try closedPort()
        let folder = try TemporaryFolder()
        let script = """
            "\(Program.path)" --http2-prior-knowledge --retry 400 --retry-delay 0.5 http://127.0.0.1:\(port)/bytes/5 \
                > out 2> errors
            """
        async let status = Program.runShell(script, in: folder.root)
        #expect(await Program.eventually { (try? folder.read("errors"))?.contains("trying again") == true })
        let served = try Served {
            $0.security = .cleartext
            $0.port = port
        }
        #expect(try await status == 0)
        #expect(try folder.data("out") == Served.pattern(5))
        let errors = try folder.read("errors")
        #expect(errors.contains("cannot connect to http://127.0.0.1:\(port)"), "\(errors)")
        #expect(errors.contains("trying again in 500.00 ms (1 of 400)"), "\(errors)")
        _ = served
    }

    @Test func `An origin that h2get cannot reach was tried as often as --retry says, which is told in the end`()
        async throws
    {
        let result = try await Program.run(
            ["--retry", "2", "--retry-delay", "0.05", "http://127.0.0.1:\(try closedPort())/"])
        #expect(result.status == 7)
        #expect(result.errors.contains("(tried 3 times)"), "\(result.errors)")
        let never = try await Program.run(["--retry", "0", "http://127.0.0.1:\(try closedPort())/"])
        #expect(never.status == 7)
        #expect(!never.errors.contains("tr"), "\(never.errors)")
    }

    @Test func `An origin that h2get cannot reach has answers that --retry repeats, and tells how often`() async throws
    {
        let served = try Served()
        let result = try await served.get("--retry", "2", "--retry-delay", "0.05", served.url("/status/503"))
        #expect(result.status == 0)
        #expect(result.text == "status 503\n")
        #expect(result.errors.contains("the server answered 503; trying again in 50.00 ms"), "\(result.errors)")
        #expect(result.errors.contains("the server answered 503") && result.errors.contains("(tried 3 times)"))
        let failed = try await served.get("-f", "--retry", "1", "--retry-delay", "0.05", served.url("/status/503"))
        #expect(failed.status == 22)
        #expect(failed.errors.contains("(tried 2 times)"), "\(failed.errors)")
        let silent = try await served.get("-s", "--retry", "1", "--retry-delay", "0.05", served.url("/status/503"))
        #expect(silent.errors == "")
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct MessageTests {
    @Test(arguments: ["bnech", "benhc", "sevre", "swep", "compair", "hepl", "Bench"])
    func `h2get tells of a misspelt command`(_ word: String) async throws {
        let result = try await Program.run([word, "https://127.0.0.1:1/"])
        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains("did you mean"), "\(result.errors)")
    }

    @Test(arguments: [("--cacert", Int32(77)), ("--capath", Int32(77)), ("--cert", Int32(58))])
    func `h2get tells of a file that is not there`(_ option: String, _ status: Int32) async throws {
        let served = try Served()
        for command in [[], ["bench", "-n", "1"]] where option != "--capath" || command.isEmpty {
            let result = try await Program.run(command + [option, "/nonexistent", served.url("/bytes/1")])
            #expect(result.status == status, "\(result.errors)")
            #expect(result.errors.contains("/nonexistent (\(option)): No such file or directory"), "\(result.errors)")
            #expect(!result.errors.contains("error 2147"))
        }
    }

    @Test func `h2get tells of CURL_CA_BUNDLE, which it trusts unless an option says what to trust`() async throws {
        let served = try Served()
        let script = """
            get() { "\(Program.path)" "$@" > out 2>> errors; }
            CURL_CA_BUNDLE=ca.pem get \(served.url("/bytes/1")) || exit 1
            CURL_CA_BUNDLE=/nonexistent get \(served.url("/bytes/1")); [ $? = 77 ] || exit 2
            CURL_CA_BUNDLE=/nonexistent get --cacert ca.pem \(served.url("/bytes/1")) || exit 3
            CURL_CA_BUNDLE=/nonexistent get -k \(served.url("/bytes/1")) || exit 4
            CURL_CA_BUNDLE= get --cacert ca.pem \(served.url("/bytes/1")) || exit 5
            CURL_CA_BUNDLE=ca.pem "\(Program.path)" bench -n 1 \(served.url("/bytes/1")) > out || exit 6
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.read("errors").contains("(CURL_CA_BUNDLE): No such file or directory"))
    }

    /// Of many runs some used to crash: OpenSSL cleaned up while another thread made it ready. `H2_EXIT_RUNS` says how many.
    @Test func `What h2get says of a usage error is all that happens, also beside an https URL under load`()
        async throws
    {
        let wanted = ProcessInfo.processInfo.environment["H2_EXIT_RUNS"]
        let runs = wanted ?? "20"
        // The usual run of all tests is load enough, and must not be starved.
        let load = wanted == nil ? "" : "1 2 3 4"
        let folder = try TemporaryFolder()
        let script = """
            (for i in \(load); do (while [ ! -e over ]; do :; done) & done; wait) & load=$!
            status=0
            for i in $(seq \(runs)); do
                "\(Program.path)" https://127.0.0.1:1/ -H bad 2> /dev/null; [ $? = 2 ] || status=1
                "\(Program.path)" https://127.0.0.1:1/ -m abc 2> /dev/null; [ $? = 2 ] || status=2
                "\(Program.path)" https://127.0.0.1:1/ -d @/nonexistent 2> /dev/null; [ $? = 26 ] || status=3
                [ $status = 0 ] || break
            done
            touch over; wait $load; exit $status
            """
        #expect(try await Program.runShell(script, in: folder.root, limit: Double(100 + (Int(runs) ?? 0))) == 0)
    }
}
