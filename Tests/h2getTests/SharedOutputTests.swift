import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct SharedOutputTests {
    private let size = 400_000

    /// Each is dripped, so that they would interleave if nobody kept them apart.
    private func urls(_ served: Served) -> String {
        let drip = served.url("/drip?bytes=2000&chunk=100&interval=5")
        return "'\(drip)' '\(drip)' \(served.url("/bytes/\(size)"))"
    }

    private func isInOrder(_ data: Data) -> Bool {
        data.count == 4000 + size && data.suffix(size) == Served.pattern(size)
            && data.prefix(2000) == data.dropFirst(2000).prefix(2000)
    }

    @Test(arguments: ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
    func `Bodies that h2get writes to one place come one after another on stdout by another name`(
        _ name: String
    ) async throws {
        let served = try Served()
        let script = """
            set -o pipefail
            "\(Program.path)" --cacert ca.pem -o \(name) -o - -o \(name) \(urls(served)) 2> errors | cat > out
            """
        #expect(
            try await Program.runShell(script, in: served.folder.root) == 0,
            "\((try? served.folder.read("errors")) ?? "")")
        #expect(isInOrder(try served.folder.data("out")))
    }

    /// To open a descriptor's name anew would give it a place of its own in the file.
    @Test(arguments: ["/dev/stderr", "/dev/fd/3", "/proc/self/fd/3", "link", "again", "/dev/fd/../fd/3"])
    func `Bodies that h2get writes to one place go where the descriptor is in its file`(_ name: String) async throws {
        let served = try Served()
        let number = name.contains("3") || name.count < 6 ? 3 : 2
        let script = """
            ln -s /dev/fd/3 link; ln -s link again
            exec 3> out; echo before >&3
            "\(Program.path)" --cacert ca.pem -o \(name) -o \(name) \(served.url("/bytes/3")) \(served.url("/bytes/3")) \
                \(number)>&3 || exit 1
            echo after >&3
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        let expected = Data("before\n".utf8) + Served.pattern(3) + Served.pattern(3) + Data("after\n".utf8)
        #expect(try served.folder.data("out") == expected)
    }

    @Test(arguments: ["link", "/dev/./stdout"])
    func `Bodies that h2get writes to one place go to stdout by a link to it`(_ name: String) async throws {
        let served = try Served()
        let script = """
            ln -s /dev/stdout link
            { echo before; "\(Program.path)" --cacert ca.pem -o \(name) \(served.url("/bytes/3")); echo after; } > out
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.data("out") == Data("before\n".utf8) + Served.pattern(3) + Data("after\n".utf8))
        // Nor may results of a measurement be written over the beginning.
        let measured = """
            { echo before; "\(Program.path)" bench -k -s -n 1 --json link \(served.url("/")); echo after; } > out
            """
        #expect(try await Program.runShell(measured, in: served.folder.root) == 0)
        let text = try served.folder.read("out")
        #expect(text.hasPrefix("before\n{") && text.hasSuffix("after\n"), "\(text)")
    }

    @Test func `Bodies that h2get writes to one place do not go to a descriptor that is not open`() async throws {
        let served = try Served()
        let script = """
            for number in 3 7 9 99; do
                "\(Program.path)" --cacert ca.pem -o /dev/fd/$number \(served.url("/bytes/3")) 2> errors
                [ $? = 23 ] || exit 1
                grep -q "/dev/fd/$number: it is not open" errors || exit 2
            done
            """
        #expect(
            try await Program.runShell(script, in: served.folder.root) == 0,
            "\((try? served.folder.read("errors")) ?? "")")
        #expect(served.origin.statistics.requests == 0)
    }

    @Test(arguments: [[], ["--http1.1", "--connections-per-origin", "1"]])
    func `Bodies that h2get writes to one place come one after another in a pipe, which stays open between them`(
        _ options: [String]
    ) async throws {
        let served = try Served()
        let script = """
            mkfifo fifo; ln -s fifo link
            cat fifo > out & reader=$!
            "\(Program.path)" --cacert ca.pem \(options.joined(separator: " ")) -m 100 -o fifo -o ./fifo -o link \
                \(urls(served)) 2> errors || exit 1
            wait $reader
            """
        #expect(
            try await Program.runShell(script, in: served.folder.root) == 0,
            "\((try? served.folder.read("errors")) ?? "")")
        #expect(isInOrder(try served.folder.data("out")))
    }

    @Test(arguments: ["-O", "-O --input-file list", "-O -o fifo"])
    func `Bodies that h2get writes to one place come one after another in a pipe that -O names`(
        _ options: String
    ) async throws {
        let served = try Served()
        // More than a pipe holds: they would interleave.
        let url = served.url("/bytes/\(size)")
        let urls = options.contains("list") ? "" : "'\(url)?a' '\(url)?b' '\(url)?c'"
        let script = """
            mkfifo \(size); ln -s \(size) fifo
            printf '%s\n' '\(url)?a' '\(url)?b' '\(url)?c' > list
            cat \(size) > out & reader=$!
            "\(Program.path)" --cacert ca.pem -m 100 \(options) \(urls) 2> errors || exit 1
            wait $reader
            """
        #expect(
            try await Program.runShell(script, in: served.folder.root) == 0,
            "\((try? served.folder.read("errors")) ?? "")")
        let pattern = Served.pattern(size)
        #expect(try served.folder.data("out") == pattern + pattern + pattern)
    }

    @Test
    func
        `Bodies that h2get writes to one place end where each has a pipe of its own, whose readers wait for one another`()
        async throws
    {
        let served = try Served()
        let script = """
            mkfifo 10 20
            (cat 10; cat 20) > out & reader=$!
            "\(Program.path)" --cacert ca.pem -m 100 -O \(served.url("/bytes/10")) \(served.url("/bytes/20")) 2> errors \
                || exit 1
            wait $reader
            """
        #expect(
            try await Program.runShell(script, in: served.folder.root) == 0,
            "\((try? served.folder.read("errors")) ?? "")")
        #expect(try served.folder.data("out").count == 30)
    }

    @Test func `Bodies that h2get writes to one place leave the place to the next one when one fails`() async throws {
        let served = try Served()
        let script = """
            mkfifo fifo
            cat fifo > out & reader=$!
            "\(Program.path)" --cacert ca.pem -f -m 100 -o fifo -o fifo -o fifo http://127.0.0.1:1/ \
                \(served.url("/status/404")) \(served.url("/bytes/1000")) 2> errors
            [ $? = 7 ] || exit 1
            wait $reader
            """
        #expect(
            try await Program.runShell(script, in: served.folder.root) == 0,
            "\((try? served.folder.read("errors")) ?? "")")
        #expect(try served.folder.data("out") == Served.pattern(1000))
    }

    @Test func `Bodies that h2get writes to one place are kept apart by the bytes of their names`() async throws {
        let served = try Served()
        // Equal as text, and two files.
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}")
        let result = try await served.get(
            "-o", composed, "-o", decomposed, served.url("/bytes/10"), served.url("/bytes/20"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.files.count == 2)
        let measured = try await Program.run(
            [
                "bench", "--cacert", served.folder.path("ca.pem"), "-n", "1", "--json", composed, "--html", decomposed,
                served.url("/bytes/1"),
            ], in: served.folder.root)
        #expect(measured.status == 0, "\(measured.errors)")
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct BrokenStdoutTests {
    @Test func `h2get with a stdout that breaks counts as failed all that was never written`() async throws {
        let served = try Served()
        let urls = (0..<40).map { _ in served.url("/bytes/100") }
        let result = try await served.get(urls, output: "/dev/full")
        #expect(result.status == 23)
        #expect(result.errors.contains("40 of 40 transfers failed"), "\(result.errors)")
        let first = try await served.get(["-o", "a", "--parallel-max", "1"] + urls, output: "/dev/full")
        #expect(first.errors.contains("39 of 40 transfers failed"), "\(first.errors)")
    }
}
