import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

extension Served {
    /// Runs a measuring command in the folder, trusting the origin.
    fileprivate func measure(
        _ command: [String], _ arguments: [String], input: Data? = nil, whileRunning: (@Sendable (Int32) -> Void)? = nil
    ) async throws -> Program.Result {
        let trust = origin.caPEM == nil ? [] : ["--cacert", folder.path("ca.pem")]
        return try await Program.run(
            command + trust + arguments, input: input, in: folder.root, whileRunning: whileRunning)
    }

    fileprivate func bench(_ arguments: String...) async throws -> Program.Result {
        try await measure(["bench"], arguments)
    }

    static func cleartext() throws -> Served { try Served { $0.security = .cleartext } }
}

/// Why a JSON document has no such member.
private struct NoMember: Error {
    let path: String
    let found: String
}

/// A member of a JSON document by its path, such as `requests.done`.
private func member<Value>(_ path: String, of data: Data, as: Value.Type = Value.self) throws -> Value {
    var value = try JSONSerialization.jsonObject(with: data)
    for name in path.split(separator: ".") {
        guard let next = (value as? [String: Any])?[String(name)] else {
            throw NoMember(path: path, found: "no \(name)")
        }
        value = next
    }
    guard let value = value as? Value else { throw NoMember(path: path, found: "\(value)") }
    return value
}

private func number(_ path: String, of data: Data) throws -> Int { try member(path, of: data) }

@Suite(.measuring) struct MeasuringTests {
    @Test func `bench measures what it is told, and its files hold it`() async throws {
        let served = try Served()
        let result = try await served.bench(
            "-n360", "-c3", "-m", "10", "-t", "2", "--json", "r.json", "--hdr", "r.hlog", "--html", "r.html", "--csv",
            "r.csv",
            served.url("/bytes/[1-3]"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors == "")
        #expect(result.text.contains("360 sent = 360 done + 0 failed + 0 aborted"))
        #expect(!result.text.contains("\u{1b}"))
        #expect(served.files == ["r.csv", "r.hlog", "r.html", "r.json"])
        let json = try served.folder.data("r.json")
        #expect(try number("requests.done", of: json) == 360 && number("connections.opened", of: json) == 3)
        #expect(try number("connections.http2", of: json) == 3 && number("plan.streams", of: json) == 10)
        // Each third of the requests of each thread, which has one connection or two, is of another length.
        #expect(try number("traffic.body_received_bytes", of: json) == 720)
        #expect(served.origin.statistics.requests == 360 && served.origin.statistics.http2Connections == 3)
        #expect(try served.folder.read("r.html").lowercased().hasPrefix("<!doctype html>"))

        let lines = try served.folder.read("r.csv").split(separator: "\n")
        #expect(lines.count == 361 && lines[0].hasPrefix("start_seconds,"))
        #expect(lines.dropFirst().allSatisfy { $0.split(separator: ",").count == 11 && $0.contains(",200,") })

        let twice = try await Program.run(["bench", "merge", "r.hlog", "r.hlog"], in: served.folder.root)
        #expect(twice.status == 2 && twice.errors.contains("r.hlog is named twice"), "\(twice.errors)")
        try FileManager.default.copyItem(
            atPath: served.folder.root + "/r.hlog", toPath: served.folder.root + "/s.hlog")
        let merged = try await Program.run(
            ["bench", "merge", "r.hlog", "s.hlog", "-o", "all.hlog", "--hgrm", "all.hgrm"], in: served.folder.root)
        #expect(merged.status == 0 && merged.text.contains("latency: 720 values"), "\(merged.errors)\(merged.text)")
        let again = try await Program.run(["bench", "merge", "all.hlog"], in: served.folder.root)
        #expect(again.text.contains("latency: 720 values"))
        #expect(try served.folder.read("all.hgrm").contains("TotalCount"))
    }

    @Test func `--json - is all that stdout gets, and -s leaves it empty`() async throws {
        let served = try Served.cleartext()
        let json = try await served.bench("-n", "5", "--json", "-", served.url("/"))
        #expect(json.status == 0)
        #expect(try number("requests.done", of: json.output) == 5)
        let silent = try await served.bench("-n", "5", "-s", served.url("/"))
        #expect(silent.status == 0 && silent.text == "" && silent.errors == "")
    }

    @Test func `What is spoken is what was asked for`() async throws {
        let cleartext = try Served.cleartext()
        _ = try await cleartext.bench("-n", "4", cleartext.url("/"))
        #expect(cleartext.origin.statistics.http2Requests == 4)
        _ = try await cleartext.bench("-n", "4", "-p", "http/1.1", "-c", "2", cleartext.url("/"))
        #expect(cleartext.origin.statistics.http1Requests == 4)
        let tls = try Served()
        _ = try await tls.bench("-n", "4", "--h1", tls.url("/"))
        #expect(tls.origin.statistics.http1Requests == 4 && tls.origin.statistics.http2Requests == 0)
    }

    @Test func `Bodies are sent and fields are sent, HEAD brings none`() async throws {
        let served = try Served.cleartext()
        let body = try served.folder.write(String(repeating: "b", count: 1_000), to: "body")
        let post = try await served.bench("-n", "7", "-m", "3", "-d", body, "--json", "-", served.url("/echo"))
        #expect(try number("traffic.body_received_bytes", of: post.output) == 7_000)
        #expect(try number("traffic.body_sent_bytes", of: post.output) == 7_000)
        let head = try await served.bench("-n", "7", "-I", "--json", "-", served.url("/bytes/1000"))
        #expect(try number("traffic.body_received_bytes", of: head.output) == 0)
        #expect(try number("requests.done", of: head.output) == 7)
        let input = try await served.measure(
            ["bench"], ["-d", "-", "-n", "2", "--json", "-", served.url("/echo")], input: Data("abc".utf8))
        #expect(try number("traffic.body_received_bytes", of: input.output) == 6)
        let list = try await served.measure(
            ["bench"], ["-i", "-", "--json", "-"],
            input: Data("\(served.url("/bytes/1"))\n\(served.url("/bytes/2"))".utf8))
        #expect(try number("traffic.body_received_bytes", of: list.output) == 3)
    }

    @Test func `Connections are exchanged after so many requests`() async throws {
        let served = try Served.cleartext()
        let result = try await served.bench(
            "-n", "40", "--requests-per-connection", "10", "--json", "-", served.url("/"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try number("requests.done", of: result.output) == 40)
        #expect(try number("connections.rotated", of: result.output) >= 3)
        #expect(served.origin.statistics.connectionsAccepted >= 4)
    }

    @Test func `A rate holds requests back`() async throws {
        let served = try Served.cleartext()
        let result = try await served.bench("-n", "41", "--request-rate", "100", "--json", "-", served.url("/"))
        #expect(try member("plan.pace.kind", of: result.output) == "arrivals")
        // The last of them is due after 0.4 s.
        #expect(try member("elapsed_seconds", of: result.output, as: Double.self) >= 0.39)
        #expect(try number("requests.done", of: result.output) == 41)
    }

    @Test func `A measurement that cannot be made has curl's exit code and leaves no file`() async throws {
        let tls = try Served()
        let cleartext = try Served.cleartext()
        let port = try closedPort()
        let folder = tls.folder
        func status(_ arguments: String...) async throws -> Int32 {
            let result = try await Program.run(["bench", "--json", "r.json"] + arguments, in: folder.root)
            #expect(result.text == "" && result.errors.hasPrefix("h2get: ("), "\(result.errors)")
            return result.status
        }
        #expect(try await status("http://127.0.0.1:\(port)/") == 7)
        #expect(try await status(tls.url("/")) == 60)
        #expect(try await status("-k", "https://localhost:\(cleartext.origin.port)/") == 35)
        #expect(try await status("--cacert", "absent", tls.url("/")) == 77)
        #expect(try await status("--html", "absent/r.html", cleartext.url("/")) == 23)
        #expect(try await status("--html", ".", cleartext.url("/")) == 23)
        #expect(try await status("--html", "./r.json", cleartext.url("/")) == 2)
        #expect(try await status("-n", "1M", "-c", "1M", cleartext.url("/")) == 2)
        #expect(try await status("--nope", cleartext.url("/")) == 2)
        #expect(tls.files == [])
        #expect(cleartext.origin.statistics.requests == 0)
    }

    @Test func `Failed requests are 92 and unanswered ones 28, with their results`() async throws {
        let served = try Served.cleartext()
        let reset = try await served.bench("-n", "20", "--json", "r.json", served.url("/reset/2"))
        #expect(reset.status == 92)
        #expect(reset.errors.contains("20 of 20 requests failed: stream reset by the server: INTERNAL_ERROR"))
        #expect(try number("requests.failed", of: served.folder.data("r.json")) == 20)
        let late = try await served.bench("-D", "100ms", "--drain", "0", served.url("/delay/60000"))
        #expect(late.status == 28 && late.text.contains("1 sent = 0 done + 0 failed + 1 aborted"), "\(late.text)")
    }

    @Test func `Ctrl-C ends it with what was measured`() async throws {
        let served = try Served.cleartext()
        let result = try await served.measure(
            ["bench"], ["-D", "50s", "-m", "4", "--json", "r.json", served.url("/")],
            whileRunning: { pid in
                _ = Program.waitUntil { served.origin.statistics.requests > 100 }
                kill(pid, SIGINT)
            })
        #expect(result.status == -SIGINT && result.errors == "", "\(result.errors)")
        #expect(result.text.contains("stopped early"), "\(result.text)")
        let json = try served.folder.data("r.json")
        #expect(try member("end.kind", of: json) == "interrupted")
        #expect(try number("requests.done", of: json) >= 90)
        #expect(try member("elapsed_seconds", of: json, as: Double.self) < 50)
    }

    /// The measurement is over and cannot be had again: what stdout is worth must not decide.
    @Test(arguments: ["bench", "compare", "sweep"], ["| touch gone", "> /dev/full", ">&-"])
    func `A broken stdout costs no file`(_ command: String, _ sink: String) async throws {
        let served = try Served.cleartext()
        let options =
            switch command {
            case "bench": "-n 50 --json r.json --html r.html --hdr r.hlog --csv r.csv"
            case "compare": "-n 4 --rounds 1 -c 2 --json r.json --html r.html --svg r.svg --markdown r.md"
            default: "--streams 1,2,4 -D 30ms --warm-up-time 0 --json r.json --html r.html"
            }
        // The summary is shorter than what a pipe holds, so the reader has to be gone before it comes.
        let wait = sink.hasPrefix("|") ? "while [ ! -e gone ]; do sleep 0.01; done" : ":"
        let script = """
            { \(wait); "\(Program.path)" \(command) \(options) \(served.url("/")) 2> errors; } \(sink)
            exit ${PIPESTATUS[0]}
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        let errors = try served.folder.read("errors")
        #expect(status == 23 && errors.contains("stdout"), "\(status) \(errors)")
        let files = served.files.filter { $0 != "errors" && $0 != "gone" }
        #expect(files.count == options.split(separator: " ").count { $0.hasPrefix("r.") }, "\(served.files)")
        #expect(try member("schema", of: served.folder.data("r.json"), as: String.self) == "h2get-\(command)")
    }

    @Test func `A merge keeps its file too`() async throws {
        let served = try Served.cleartext()
        _ = try await served.bench("-n", "50", "--hdr", "r.hlog", served.url("/"))
        let script = """
            "\(Program.path)" bench merge -o all.hlog --hgrm all.hgrm r.hlog 2> errors > /dev/full
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 23)
        #expect(try served.folder.read("all.hlog").contains("HISTFAAA"))
        #expect(try served.folder.read("all.hgrm").contains("#[Max"))
    }

    @Test func `One file that cannot be written takes no other with it, nor the summary`() async throws {
        let served = try Served.cleartext()
        let result = try await served.bench("-n", "50", "--json", "r.json", "--html", "/dev/full", served.url("/"))
        #expect(result.status == 23 && result.errors.contains("/dev/full"), "\(result.errors)")
        #expect(result.text.contains("Result: "))
        #expect(try number("requests.done", of: served.folder.data("r.json")) == 50)
    }

    @Test func `A log of requests that is not whole does not get its name`() async throws {
        let served = try Served.cleartext()
        // 64 blocks of 512 or 1,024 bytes, which the lines of 2,000 requests do not fit into.
        let script = """
            trap '' XFSZ
            ulimit -f 64
            "\(Program.path)" bench -n 2000 --csv r.csv --json r.json \(served.url("/")) > out 2> errors
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        let errors = try served.folder.read("errors")
        #expect(
            status == 23 && errors.contains("missing from the request log"),
            "\(status) \(errors)")
        #expect(!served.files.contains("r.csv"), "\(served.files)")
        #expect(served.files.contains { $0.hasPrefix("r.csv.") && $0.hasSuffix(".part") }, "\(served.files)")
        #expect(errors.contains(".part"))
    }

    @Test func `A slow reader of the log is told of, and waited for`() async throws {
        let served = try Served.cleartext()
        // The lines of 5,000 requests do not fit into the pipe, and nobody reads it before that is said.
        let script = """
            mkfifo log
            : > errors
            (until grep -q 'slow reader' errors; do sleep 0.1; done; exec cat) < log > lines &
            "\(Program.path)" bench -n 5000 -m 10 --csv log \(served.url("/")) > out 2> errors
            status=$?
            wait
            exit $status
            """
        let status = try await Program.runShell(script, in: served.folder.root, limit: 100)
        let errors = try served.folder.read("errors")
        #expect(status == 0 && errors.contains("Ctrl-C ends that"), "\(status) \(errors)")
        #expect(try served.folder.read("lines").split(separator: "\n").count == 5_001)
    }

    /// The shell says that the terminal went away, and then the kernel does.
    @Test(arguments: ["bench", "compare", "sweep"])
    func `A terminal that goes away leaves what was measured`(_ command: String) async throws {
        let served = try Served.cleartext()
        let options =
            switch command {
            case "bench": ["-D", "50s", "-m", "4"]
            case "compare": ["-n", "20", "-c", "2", "--rounds", "1000", "--rtt", "0,1ms"]
            default: ["--streams", "1..1024", "-D", "100ms", "--connections", "1..64"]
            }
        let least = command == "bench" ? 100 : 400
        let result = try await served.measure(
            [command], options + ["--json", "r.json", "--html", "r.html", served.url("/")],
            whileRunning: { pid in
                _ = Program.waitUntil { served.origin.statistics.requests > least }
                kill(pid, SIGHUP)
                kill(pid, SIGHUP)
                letTimePass(.milliseconds(50))
                kill(pid, SIGHUP)
            })
        #expect(result.status == -SIGHUP && result.errors == "", "\(result.status) \(result.errors)")
        #expect(served.files.filter { $0.hasPrefix("r.") } == ["r.html", "r.json"])
        #expect(try member("schema", of: served.folder.data("r.json"), as: String.self) == "h2get-\(command)")
    }

    /// Runs a command whose last result goes into a pipe that is full, and signals it when it has come to that.
    /// - Parameter signals: the second comes when the first has been taken.
    private func signalled(
        _ signals: [Int32], _ command: [String], in folder: TemporaryFolder
    ) async throws -> Program.Result {
        mkfifo(folder.path("slow"), 0o600)
        let pipe = open(folder.path("slow"), O_RDWR | O_CLOEXEC)
        // Full, so that the first byte waits for a reader.
        _ = fcntl(pipe, 1031 /* F_SETPIPE_SZ */, 4096)
        let filler = [UInt8](repeating: 0x20, count: 4096)
        _ = write(pipe, filler, filler.count)
        defer { close(pipe) }
        // The thread that reads may outlive this call.
        let reader = dup(pipe)
        return try await Program.run(command, in: folder.root) { pid in
            defer { close(reader) }
            // The result before that one is written, so that the measurement is over.
            _ = Program.waitUntil {
                folder.names.contains { name in
                    name.hasPrefix("r.json.") || name.hasPrefix("all.")
                        ? (try? folder.data(name).isEmpty) == false : false
                }
            }
            for signal in signals {
                kill(pid, signal)
                // It is blocked in all threads, and pending until one takes it.
                _ = Program.waitUntil { !Self.isPending(signal, pid) }
            }
            guard signals.count == 1 else { return }
            var piece = [UInt8](repeating: 0, count: 65_536)
            while kill(pid, 0) == 0 {
                var entry = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
                if poll(&entry, 1, 10) > 0 { _ = read(reader, &piece, piece.count) }
            }
        }
    }

    private static func isPending(_ signal: Int32, _ pid: Int32) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("ShdPnd:") }),
            let mask = UInt64(line.split(separator: "\t").last ?? "", radix: 16)
        else { return false }
        return mask & (1 << UInt64(signal - 1)) != 0
    }

    private static let measurements: [[String]] = [
        ["bench", "-n", "50", "--json", "r.json", "--csv", "r.csv", "--html", "slow"],
        ["compare", "-n", "4", "--rounds", "1", "-c", "2", "--json", "r.json", "--html", "slow"],
        ["sweep", "--streams", "1,2", "-D", "30ms", "--warm-up-time", "0", "--json", "r.json", "--html", "slow"],
    ]

    @Test(arguments: measurements, [SIGINT, SIGTERM, SIGHUP])
    func `The first signal while results are written costs none of them`(
        _ command: [String], _ signal: Int32
    ) async throws {
        let served = try Served.cleartext()
        let result = try await signalled([signal], command + [served.url("/")], in: served.folder)
        #expect(result.status == -signal, "\(result.status) \(result.errors)")
        let expected = command.filter { $0.hasPrefix("r.") }.sorted() + ["slow"]
        #expect(served.files == expected, "\(served.files)")
        let schema: String = try member("schema", of: served.folder.data("r.json"))
        #expect(schema == "h2get-\(command[0])")
        #expect(result.text.contains("Result: ") || command[0] != "bench", "\(result.text)")
    }

    @Test(arguments: measurements) func `The second signal ends it at once`(_ command: [String]) async throws {
        let served = try Served.cleartext()
        let result = try await signalled([SIGINT, SIGTERM], command + [served.url("/")], in: served.folder)
        #expect(result.status == -SIGTERM, "\(result.status) \(result.errors)")
        #expect(served.files == ["slow"], "\(served.files)")
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func `The first signal while a merge is written costs nothing of it`(_ signal: Int32) async throws {
        let served = try Served.cleartext()
        _ = try await served.bench("-n", "200", "--hdr", "r.hlog", served.url("/"))
        let result = try await signalled(
            [signal], ["bench", "merge", "-o", "all.hlog", "--hgrm", "slow", "r.hlog"], in: served.folder)
        #expect(result.status == -signal, "\(result.status) \(result.errors)")
        #expect(try served.folder.read("all.hlog").contains("HISTFAAA"))
    }

    @Test func `A result that cannot be written is 23, suites and groups that nobody knows are 59`() async throws {
        let served = try Served()
        let folder = served.folder
        func run(_ arguments: String...) async throws -> Program.Result {
            try await Program.run(["bench", "-k", "-n", "3000"] + arguments + [served.url("/")], in: folder.root)
        }
        for option in ["--csv", "--json", "--html", "--hdr"] {
            for path in ["/dev/full", "absent/r", "."] {
                let result = try await run(option, path)
                #expect(result.status == 23, "\(option) \(path): \(result.status) \(result.errors)")
            }
        }
        for (option, value) in [("--ciphers", "NOPE"), ("--tls13-ciphers", "NOPE"), ("--groups", "NOPE")] {
            let result = try await run(option, value, "--json", "r.json")
            #expect(result.status == 59 && result.errors.contains("NOPE"), "\(result.errors)")
        }
        #expect(served.files == [], "\(served.files)")
        let help = try await Program.run(["bench", "--help"])
        #expect(help.text.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains("59 a cipher suite"))
    }

    @Test func `An address or socket that cannot be connected from or to is told as that`() async throws {
        let served = try Served.cleartext()
        let source = try await served.bench("-n", "1", "--source", "192.0.2.1", served.url("/"))
        #expect(
            source.status == 7 && source.errors.contains("192.0.2.1: this machine does not have it"), "\(source.errors)"
        )
        let family = try await served.bench(
            "-n", "1", "--source", "::1", "http://127.0.0.1:\(served.origin.port)/")
        #expect(family.status == 7 && family.errors.contains("no address of its family"), "\(family.errors)")
        try served.folder.write("", to: "file")
        for (path, remedy) in [("nope", "is the path right"), ("file", "stream socket")] {
            let socket = try await served.bench("-n", "1", "--unix-socket", path, served.url("/"))
            #expect(socket.status == 7 && !socket.errors.contains("reachable"), "\(socket.errors)")
            #expect(path == "file" || socket.errors.contains(remedy), "\(socket.errors)")
        }
    }

    /// Rounds of it were measured, which cannot be had again.
    @Test func `A server that goes away between two distances costs no figure of the first`() async throws {
        let served = try Served.cleartext()
        _ = try await served.measure(
            ["compare"],
            ["-n", "4", "-c", "2", "--rounds", "1", "--rtt", "0,1ms", "--json", "r.json", served.url("/")],
            whileRunning: { _ in
                // Six to find out what it can do, and 2 × 4 for each of 5 ways.
                _ = Program.waitUntil { served.origin.statistics.requests > 46 }
                served.origin.stopNow()
            })
        let all: [[String: Any]] = try member("comparisons", of: served.folder.data("r.json"))
        let ways = try #require(all.first?["ways"] as? [[String: Any]])
        #expect(ways.count == 5 && ways.allSatisfy { $0["state"] as? String == "ran" }, "\(ways)")
    }

    @Test func `A narrow terminal breaks no words`() async throws {
        let served = try Served.cleartext()
        let result = try await Program.runOnTerminal(
            ["bench", "-n", "3", "--fail-if", "errors>0", served.url("/reset/2")], columns: 44)
        let lines = result.text.replacingOccurrences(of: "\r\u{1b}[K", with: "").split(whereSeparator: \.isNewline)
            .map { String($0).replacing(/\u{1b}\[[0-9]*m/, with: "") }
        let start = try #require(lines.firstIndex { $0.hasPrefix("h2get: (99)") }, "\(result.text)")
        #expect(lines[start] == "h2get: (99) errors: 3 of 3 requests", "\(lines[start])")
        #expect(lines[start + 1] == "  (--fail-if errors>0)")
        for line in lines where line.hasPrefix("warning: ") || line.hasPrefix("Result: ") || line.hasPrefix("Errors ") {
            #expect(line.count <= 44, "\(line)")
        }
    }

    @Test func `Conditions have an exit code of their own, and a sentence each`() async throws {
        let served = try Served.cleartext()
        let result = try await served.bench(
            "-n", "40", "--fail-if", "p50<100s", "--fail-if", "404>0", "--fail-if", "2xx<1%", "--json", "r.json",
            served.url("/status/404"))
        #expect(result.status == 99)
        #expect(result.errors.split(separator: "\n").count == 3, "\(result.errors)")
        #expect(result.errors.contains("h2get: (99) 404: 40 of 40 requests (--fail-if 404>0)"), "\(result.errors)")
        let judged: [[String: Any]] = try member("fail_if", of: served.folder.data("r.json"))
        #expect(judged.map { $0["failed"] as? Bool } == [true, true, true])
        let good = try await served.bench("-n", "40", "--fail-if", "errors>0", "--fail-if", "max>100s", served.url("/"))
        #expect(good.status == 0 && good.text.contains("ok: errors: 0 of 40 requests"), "\(good.text)")
        // As many failures as are allowed are no failure.
        let reset = try await served.bench("-n", "4", "--fail-if", "errors>99%", served.url("/reset/2"))
        #expect(reset.status == 99, "\(reset.errors)")
    }

    @Test func `Reports name what was measured, and no secret`() async throws {
        let served = try Served.cleartext()
        let url = served.url("/bytes/10").replacingOccurrences(of: "http://", with: "http://me:hush@")
        for (command, options) in [
            ("bench", ["-n", "5"]), ("compare", ["-n", "4", "--rounds", "1", "-c", "2", "--rtt", "1ms"]),
            ("sweep", ["--streams", "1,2,4", "-D", "30ms", "--warm-up-time", "0"]),
        ] {
            let result = try await served.measure(
                [command], options + ["-H", "X-Key: hush", "--json", "r.json", "--html", "r.html", url])
            #expect(result.status == 0, "\(result.errors)")
            let (json, page) = (try served.folder.read("r.json"), try served.folder.read("r.html"))
            for text in [json, page, result.text] {
                #expect(text.contains("GET") && text.contains("/bytes/10"), "\(command): \(text)")
                #expect(text.contains("h2get \(version)"), "\(command): \(text)")
                #expect(!text.contains("hush"), "\(command): \(text)")
            }
            for text in [json, page] { #expect(text.contains("h2get \(command) "), "\(command)") }
            if command == "compare" {
                for text in [json, page, result.text] { #expect(text.contains("1.00 ms round trip, simulated")) }
            }
        }
    }

    @Test func `A server without HTTP/2 is met with --h1`() async throws {
        let served = try Served {
            $0.security = .cleartext
            $0.versions = .http1
        }
        let result = try await served.bench("-n", "3", served.url("/"))
        #expect(result.status != 0 && result.errors.contains("use --h1"), "\(result.errors)")
        let cut = try await Served.cleartext().bench("-n", "3", "http://127.0.0.1:\(try closedPort())/")
        #expect(cut.status == 7 && !cut.errors.contains("--h1"), "\(cut.errors)")
    }

    @Test func `How it goes is told on a terminal, and with -v anywhere`() async throws {
        let served = try Served.cleartext()
        let terminal = try await Program.runOnTerminal(
            ["bench", "-D", "1s", "-m", "5", served.url("/")])
        #expect(terminal.status == 0)
        #expect(terminal.text.contains(" req/s  p50 ") && terminal.text.contains("\r\u{1b}[K"))
        let compared = try await Program.runOnTerminal(
            ["compare", "-n", "5", "-c", "2", "--rounds", "2", "--rtt", "1ms,2ms", served.url("/")])
        #expect(compared.text.contains("h2get: will take about "), "\(compared.text)")
        #expect(compared.text.contains(" %)  ETA "), "\(compared.text)")
        let swept = try await Program.runOnTerminal(
            ["sweep", "--streams", "1,2,4", "-D", "50ms", "--warm-up-time", "0", served.url("/")])
        #expect(swept.text.contains("2 of at most 3 (33 %)  ETA "), "\(swept.text)")
        let verbose = try await served.bench("-v", "-D", "3s", served.url("/"))
        let lines = verbose.errors.split(separator: "\n")
        #expect(
            lines.first?.hasPrefix("h2get: measures \(served.url("")): for 3.00 s, 1 connection with 1 request") == true
        )
        #expect(lines.contains { $0.contains(" s of 3 s (") && $0.contains("errors") }, "\(verbose.errors)")
    }

    @Test func `compare measures each way, with TLS and without`() async throws {
        let tls = try Served()
        let cleartext = try Served.cleartext()
        let result = try await tls.measure(
            ["compare"],
            [
                "-n", "10", "--rounds", "1", "-c", "2", "--seed", "5", "--json", "c.json", "--html", "c.html", "--svg",
                "c.svg",
                "--markdown", "c.md", tls.url("/bytes/10"), cleartext.url("/bytes/10"),
            ])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.contains("HTTP/2 on one connection") && result.errors == "")
        #expect(tls.files == ["c.html", "c.json", "c.md", "c.svg"])
        let all: [[String: Any]] = try member("comparisons", of: tls.folder.data("c.json"))
        let ways = try #require(all.first?["ways"] as? [[String: Any]])
        #expect(ways.count == 11 && ways.allSatisfy { $0["state"] as? String == "ran" })
        #expect(try tls.folder.read("c.svg").hasPrefix("<svg"))
        #expect(try tls.folder.read("c.md").contains("| keep-alive |"))
        #expect(tls.origin.statistics.http1Requests >= 40 && cleartext.origin.statistics.http2Requests >= 20)
        let refused = try await Program.run(["compare", "http://127.0.0.1:\(try closedPort())/"])
        #expect(refused.status == 7 && refused.text == "")
    }

    @Test func `sweep measures each setting and draws the curves`() async throws {
        let served = try Served()
        let result = try await served.measure(
            ["sweep"],
            [
                "--streams", "1,2,4", "--connections", "1,2", "-D", "60ms", "--warm-up-time", "0", "--slo", "p50=10s",
                "--json", "s.json", "--html", "s.html", served.url("/"),
            ])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.contains("requests/s   ● 1 connection   ▲ 2 connections"), "\(result.text)")
        #expect(served.files == ["s.html", "s.json"])
        let curves: [[String: Any]] = try member("curves", of: served.folder.data("s.json"))
        #expect(curves.count == 2)
        #expect(((curves.first?["points"] as? [Any])?.count ?? 0) >= 1)
    }
}
