import Foundation
import H2ClientTesting
import Synchronization
import H2TestSupport
import Testing

/// Files whose size says nothing, and texts with what editors put at their start.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct OddFileTests {
    @Test func `h2get reads files to their ends, whatever size the system tells`() async throws {
        let served = try Served()
        // 0 and 4096, and neither is true.
        for path in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"]
        where FileManager.default.fileExists(atPath: path) {
            let content = try Data(contentsOf: URL(fileURLWithPath: path))
            try #require(!content.isEmpty)
            for arguments in [["--data-binary", "@\(path)"], ["-T", path]] {
                let result = try await served.get(arguments + [served.url("/echo")])
                #expect(result.status == 0, "\(result.errors)")
                #expect(result.output == content, "\(arguments)")
            }
        }
    }

    @Test(arguments: [
        "--data-binary @<(printf hello)", "-d @<(printf hello)", "-T <(printf hello)", "-T /dev/stdin < five",
    ])
    func `h2get reads files that are pipes`(_ body: String) async throws {
        let served = try Served()
        try served.folder.write("hello", to: "five")
        let script = """
            "\(Program.path)" --cacert ca.pem \(served.url("/echo")) -X POST \(body) > out || exit 1
            [ "$(cat out)" = hello ]
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
    }

    /// More of them than there are threads for what may block: none of those is held by one that is silent.
    @Test func `h2get reads files from silent pipes without a thread for each`() async throws {
        let served = try Served { $0.settings.maxConcurrentStreams = 1_000 }
        let count = 270
        var holders: [Int32] = []
        defer { for holder in holders { close(holder) } }
        var arguments = ["--parallel-max", "1000", "-o", "/dev/null"]
        for number in 0..<count {
            let name = "p\(number)"
            try #require(mkfifo(served.folder.path(name), 0o600) == 0)
            holders.append(open(served.folder.path(name), O_RDWR | O_CLOEXEC))
            arguments += ["-T", name]
        }
        try #require(holders.allSatisfy { $0 >= 0 })
        let (pipes, folder) = (holders, served.folder)
        let urls = (0..<count).map { _ in served.url("/upload") }
        let threads = Mutex(Int.max)
        let result = try await served.get(arguments + urls) { pid in
            // All are read: their heads have come, and the bodies have not.
            _ = Program.waitUntil { served.origin.statistics.requests == count }
            _ = Program.waitUntil {
                let now = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task"))?.count ?? 0
                threads.withLock { $0 = now }
                return now < 50
            }
            for (number, pipe) in pipes.enumerated() {
                // Its end is told when the last writer goes, which the holder is, too.
                let writer = open(folder.path("p\(number)"), O_WRONLY | O_CLOEXEC)
                _ = write(writer, "hello", 5)
                close(writer)
                close(pipe)
            }
        }
        holders = []
        #expect(result.status == 0, "\(result.errors)")
        #expect(threads.withLock { $0 } < 50)
    }

    @Test func `h2get reads files that are pipes once, and never sends nothing in their place`() async throws {
        let served = try Served { $0.limits.workers = Served.workers(1, serviceTime: .seconds(60)) }
        let script = """
            get() { "\(Program.path)" --cacert ca.pem "$@"; }
            get -T <(printf hello) \(served.url("/1")) \(served.url("/2")) 2> errors && exit 1
            grep -q 'once only' errors || exit 2
            # The worker is busy: 503, which --retry would repeat.
            "\(Program.path)" --cacert ca.pem -v \(served.url("/delay/0")) > /dev/null 2> began & busy=$!
            until grep -q '^> GET' began; do sleep 0.05; done
            sleep 0.5
            get -f --retry 2 --retry-delay 0.1 -T <(printf hello) \(served.url("/echo")) 2> errors > out
            [ $? = 22 ] || exit 4
            kill $busy
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        #expect(status == 0, "\((try? served.folder.read("errors")) ?? "")")
        #expect(served.origin.statistics.requests <= 2)
    }

    @Test(arguments: [
        "--data-binary @<(printf 'one\ntwo')", "--data-binary @fifo", "--data-binary @-", "--data-binary @/dev/stdin",
    ]) func `h2get reads files that are pipes into memory, so that each URL gets all of the body`(
        _ body: String
    ) async throws {
        let served = try Served()
        let script = """
            mkfifo fifo
            (printf 'one\ntwo' > fifo) & writer=$!
            printf 'one\ntwo' | "\(Program.path)" --cacert ca.pem \(body) \(served.url("/echo")) \
                \(served.url("/echo")) > out 2> errors || exit 1
            kill $writer 2> /dev/null
            printf 'one\ntwoone\ntwo' | cmp - out
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        #expect(status == 0, "\((try? served.folder.read("errors")) ?? "")")
    }

    @Test func `h2get reads files of fields and of URLs without a byte-order mark`() async throws {
        let served = try Served()
        try served.folder.write("\u{FEFF}X-First: 1\r\nX-Second: 2\n", to: "fields")
        try served.folder.write("\u{FEFF}\(served.url("/headers"))\n", to: "list")
        let result = try await served.get("-H", "@fields", "--input-file", "list")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.contains("x-first: 1\n") && result.text.contains("x-second: 2\n"), "\(result.text)")
        let measured = try await Program.run(
            ["bench", "--cacert", served.folder.path("ca.pem"), "-H", "@fields", "-i", "list", "-n", "1"],
            in: served.folder.root)
        #expect(measured.status == 0, "\(measured.errors)")
    }
}
