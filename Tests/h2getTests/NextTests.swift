import Foundation
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct NextTests {
    private func parts(_ words: String...) throws -> [FetchSettings] {
        try FetchPlan(parsed(.fetch, words)).parts
    }

    @Test func `Each part has its own options, and all have those about the run`() throws {
        let parts = try parts(
            "-d", "a", "http://h/1", "-:", "-v", "-X", "PUT", "http://h/2", "--next", "--fail-early", "http://h/3")
        #expect(parts.map(\.method.rawValue) == ["POST", "PUT", "GET"])
        #expect(parts.map { Array($0.urls) } == [["http://h/1"], ["http://h/2"], ["http://h/3"]])
        #expect(parts.allSatisfy { $0.verbosity == 1 && $0.failsEarly })
    }

    @Test func `Parts share connections if the options about connections are the same`() throws {
        let same = try parts("-m", "3", "http://h/", "-:", "-d", "x", "-L", "--retry", "2", "http://h/")
        #expect(same[0].sharesConnections(with: same[1]))
        for words in [["-k"], ["--http1.1"], ["-b", ""], ["--compressed"], ["-x", "p:1"], ["--limit-rate", "1K"]] {
            let parts = try FetchPlan(parsed(.fetch, ["http://h/", "-:"] + words + ["http://h/"])).parts
            #expect(!parts[0].sharesConnections(with: parts[1]), "\(words)")
        }
    }

    @Test(
        arguments: [
            (["--next", "http://h/"], "before --next"), (["http://h/", "--next"], "behind the last --next"),
            (["-o", "x", "http://h/", "-:", "-o", "x", "http://h/"], "-o and -o name the same file"),
            (["-D", "x", "http://h/", "-:", "-o", "x", "http://h/"], "-D and -o name the same file"),
            (["--trace", "x", "-o", "x", "http://h/"], "--trace and -o name the same file"),
            (["-c", "x", "-D", "x", "http://h/"], "-c and -D name the same file"),
            (["-d", "@-", "http://h/", "-:", "-T", "-", "http://h/"], "both read stdin"),
            (["--input-file", "a", "--input-file", "b"], "one list of URLs"),
            (["http://h/", "-:", "--max-redirs", "2", "http://h/"], "give -L"),
        ] as [([String], String)])
    func `Parts that make no sense are refused`(_ words: [String], _ message: String) throws {
        let failure = #expect(throws: Failure.self) { _ = try FetchPlan(parsed(.fetch, words)) }
        #expect(failure?.status == .usage && failure?.message.contains(message) == true, "\(failure?.message ?? "")")
    }

    /// The server has not answered anything when the time is over, and its connection is closed with the request.
    @Test(arguments: [
        ["-m", "1", "URL/stall", "--next", "URL/bytes/3"],
        ["-m", "1", "URL/stall", "--next", "-m", "20", "URL/bytes/3"],
        ["--no-parallel", "-m", "1", "URL/stall", "URL/bytes/3"],
    ])
    func `A transfer that takes too long costs no other`(_ words: [String]) async throws {
        let served = try Served { $0.security = .cleartext }
        let result = try await Program.run(
            words.map { $0.replacing("URL", with: served.url("")) }, in: served.folder.root)
        #expect(result.status == 28)
        #expect(result.output == Served.pattern(3), "\(result.errors)")
        #expect(result.errors.contains("it took longer than 1.00 s"), "\(result.errors)")
    }

    @Test func `Parts run in order over one connection, and their failures are counted together`() async throws {
        let served = try Served { $0.security = .cleartext }
        let result = try await Program.run(
            [
                "--summary", served.url("/bytes/3"), "--next", "-f", served.url("/status/404"), "--next", "-d", "x",
                "-o",
                "echo", served.url("/echo"),
            ], in: served.folder.root)
        #expect(result.status == 22)
        #expect(result.output == Served.pattern(3))
        #expect(try served.folder.read("echo") == "x")
        #expect(result.errors.contains("1 of 3 transfers failed"), "\(result.errors)")
        #expect(result.errors.contains("3 requests over 1 connection"), "\(result.errors)")
    }

    @Test func `An origin that one part cannot verify is asked again by a part that does not verify`() async throws {
        let served = try Served()
        let result = try await Program.run([
            "--cacert", served.folder.path("ca.pem"), "--sigalgs", "rsa_pkcs1_sha1", served.url("/bytes/1"), "--next",
            "-k", "-o", "-", served.url("/bytes/2"),
        ])
        #expect(result.status != 0)
        #expect(result.output == Served.pattern(2), "\(result.errors)")
    }

    @Test func `Two parts write one pipe one after the other`() async throws {
        let served = try Served { $0.security = .cleartext }
        let script = """
            mkfifo pipe && cat pipe > all &
            sleep 0.2
            '\(Program.path)' -sS -o pipe \(served.url("/bytes/3")) -: -o pipe \(served.url("/bytes/4")) && wait
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.data("all") == Served.pattern(3) + Served.pattern(4))
    }
}
