import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct SignalTests {
    private static let signals = [SIGINT, SIGTERM, SIGHUP]

    /// Starts it with a stdin that never says anything, and signals it once it can be.
    /// - Parameter isReady: what besides has to be so.
    private func end(
        by signal: Int32, _ arguments: [String], in folder: TemporaryFolder,
        isReady: @escaping @Sendable (Int32) -> Bool = { _ in true }
    ) async throws -> (status: Int32?, errors: String) {
        let silent = folder.path("silent")
        mkfifo(silent, 0o600)
        let input = open(silent, O_RDWR | O_CLOEXEC)
        defer { close(input) }
        try folder.write("", to: "err")
        let status: Int32? = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let process = try ChildProcess(
                            Program.path, arguments, in: folder.root, input: .descriptor(input),
                            errors: .file(folder.path("err")))
                        // The thread that takes signals is there.
                        _ = Program.waitUntil { Self.threads(of: process.pid) >= 2 && isReady(process.pid) }
                        kill(process.pid, signal)
                        return process.wait(seconds: 60)?.status
                    })
            }
        }
        return (status, try folder.read("err"))
    }

    private static func threads(of process: Int32) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []).count
    }

    @Test(arguments: signals) func `h2get ends by a signal while a pipe for what it has learned has no reader`(
        _ signal: Int32
    ) async throws {
        let served = try Served()
        mkfifo(served.folder.path("fifo"), 0o600)
        let url = served.url("/bytes/3")
        for (option, count) in [("-c", 1), ("--etag-save", 2)] {
            let (status, errors) = try await end(
                by: signal, ["-k", option, "fifo", "-o", "a", url], in: served.folder,
                isReady: { _ in served.origin.statistics.requests == count })
            #expect(status == -signal, "\(option) \(errors)")
        }
    }

    @Test(arguments: signals) func `h2get ends by a signal while it reads what it is to do`(
        _ signal: Int32
    ) async throws {
        let served = try Served()
        mkfifo(served.folder.path("fifo"), 0o600)
        let (url, folder) = (served.url("/echo"), served.folder)
        for arguments in [
            ["-d", "@-", url], ["--data-binary", "@-", "-d", "x", url], ["-d", "@fifo", url], ["-H", "@-", url],
            ["--data-binary", "@-", url], ["--data-binary", "@fifo", url],
            ["-H", "@fifo", url], ["--input-file", "fifo"], ["bench", "-d", "-", url], ["bench", "-i", "fifo"],
            ["bench", "-H", "@-", url], ["bench", "merge", "fifo"], ["compare", "-H", "@-", url],
            ["sweep", "-H", "@-", url], ["serve", "--cert", "fifo", "--key", "fifo"],
            ["bench", "-k", "-n", "1", "--json", "fifo", url],
        ] {
            let (status, errors) = try await end(by: signal, arguments, in: folder)
            #expect(status == -signal, "\(arguments) \(errors)")
        }
        #expect(served.files.allSatisfy { ["fifo", "silent", "err"].contains($0) }, "\(served.files)")
        #expect(served.origin.statistics.requests == 0)
    }

    @Test func `h2get ends by a signal while its log of requests has a reader that does not read`() async throws {
        let served = try Served.cleartext()
        // The bench's own loop writes it, and must hear of the signal all the same.
        let script = """
            mkfifo log
            sleep 200 < log & reader=$!
            "\(Program.path)" bench -s -c 4 -m 10 -D 150s --csv log \(served.url("/bytes/1")) 2> errors & bench=$!
            sleep 3
            kill -TERM $bench
            wait $bench; status=$?
            kill $reader
            [ $status = 143 ]
            """
        let status = try await Program.runShell(script, in: served.folder.root, limit: 60)
        #expect(status == 0, "\(status) \((try? served.folder.read("errors")) ?? "")")
    }

    @Test(arguments: signals) func `h2get ends by a signal while a pipe has no other end`(_ signal: Int32) async throws
    {
        let served = try Served()
        mkfifo(served.folder.path("fifo"), 0o600)
        for arguments in [
            ["-o", "fifo", served.url("/bytes/10")], ["-T", "fifo", served.url("/upload")],
            ["-T", "-", served.url("/upload")],
        ] {
            let before = served.origin.statistics.requests
            let (status, errors) = try await end(by: signal, ["--cacert", "ca.pem"] + arguments, in: served.folder) {
                _ in
                served.origin.statistics.requests > before
            }
            #expect(status == -signal, "\(arguments) \(errors)")
            #expect(errors.contains("interrupted"), "\(arguments) \(errors)")
        }
    }

    @Test(arguments: signals, ["--http1.1", "--http2"])
    func `h2get ends by a signal while thousands of bodies wait for a slow one`(
        _ signal: Int32, _ version: String
    ) async throws {
        let served = try Served()
        let urls = [served.url("/stall")] + (0..<6000).map { _ in served.url("/bytes/5000") }
        try served.folder.write(urls.joined(separator: "\n"), to: "list")
        let arguments = ["--cacert", "ca.pem", version, "--input-file", "list"]
        let (status, errors) = try await end(by: signal, arguments, in: served.folder) { _ in
            served.origin.statistics.requests > 2000
        }
        #expect(status == -signal, "\(errors)")
    }

    @Test func `h2get does not end by signals that it was started to ignore`() async throws {
        let served = try Served()
        let script = """
            trap '' HUP INT
            "\(Program.path)" --cacert ca.pem \(served.url("/delay/1000")) > out & client=$!
            while [ "$(ls /proc/$client/task | wc -l)" -lt 2 ]; do sleep 0.01; done
            kill -HUP $client; kill -INT $client
            wait $client
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.read("out") == "ok\n")
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct PipeTests {
    @Test func `Pipes hold up nothing else, and no longer than -m`() async throws {
        let served = try Served()
        mkfifo(served.folder.path("fifo"), 0o600)
        for first in [["-o", "fifo", served.url("/bytes/10")], ["-T", "fifo", served.url("/upload")]] {
            var arguments = ["-m", "2"] + first
            // A PUT of nothing, if it is the upload that hangs.
            if first[0] == "-T" { arguments += ["-T", "empty"] } else { arguments += ["-o", "file"] }
            try served.folder.write("", to: "empty")
            let result = try await served.get(arguments + [served.url("/echo")])
            #expect(result.status == 28, "\(result.errors)")
            #expect(result.errors.contains("(28)") && result.errors.contains("allow more time with -m"))
            #expect(result.errors.contains("1 of 2 transfers failed"), "\(result.errors)")
        }
    }

    @Test func `Pipes are read and written to their ends`() async throws {
        let served = try Served()
        let script = """
            mkfifo in out
            head -c 300000 /dev/zero > in &
            cat out > copy & reader=$!
            "\(Program.path)" --cacert ca.pem -T in -o out \(served.url("/echo")) || exit 1
            wait $reader
            [ "$(stat -c %s copy)" = 300000 ]
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
    }

    @Test(arguments: [1, 3]) func `Pipes whose reader does not read hold a transfer no longer than -m`(
        _ count: Int
    ) async throws {
        let served = try Served()
        let urls = (0..<count).map { _ in served.url("/bytes/\(count == 1 ? 10_000_000 : 60_000)") }
        let script = """
            mkfifo out; exec 3<> out
            timeout 50 "\(Program.path)" --cacert ca.pem -m 1 \(urls.joined(separator: " ")) > out 2> errors
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 28)
        #expect(try served.folder.read("errors").contains("allow more time with -m"))
    }

    @Test(arguments: ["--http1.1", "--http2"])
    func `Pipes that break end h2get with 23, whatever waits`(_ version: String) async throws {
        let served = try Served()
        let urls = [served.url("/delay/300")] + (0..<6000).map { _ in served.url("/bytes/5000") }
        try served.folder.write(urls.joined(separator: "\n"), to: "list")
        for sink in ["> /dev/full", "| true", "| head -c 1", "| head -c 200000"] {
            let script = """
                timeout 50 "\(Program.path)" --cacert ca.pem \(version) --input-file list 2> errors \(sink) > /dev/null
                exit ${PIPESTATUS[0]}
                """.replacingOccurrences(of: "> /dev/full > /dev/null", with: "> /dev/full")
            let status = try await Program.runShell(script, in: served.folder.root)
            let errors = try served.folder.read("errors")
            #expect(status == 23, "\(sink): \(errors)")
            #expect(errors.split(separator: "\n").count == 2, "\(sink): \(errors)")
        }
    }
}
