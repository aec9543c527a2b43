import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct CurlCommandTests {
    private func command(_ words: [String]) throws -> CurlCommand { try CurlCommand(parsed(.fetch, words)) }

    @Test(
        arguments: [
            (["http://h/a?b&c"], "curl 'http://h/a?b&c'"),
            (["-O", "-i", "http://h/"], "curl --remote-name-all --include http://h/"),
            (["-d", "it's", "http://h/", "http://i/"], "curl --parallel --data 'it'\\''s' http://h/ http://i/"),
            (["--no-parallel", "http://h/[1-2]"], "curl 'http://h/[1-2]'"),
            (["-m", "500ms", "--no-keepalive", "http://h/"], "curl --max-time 0.500 --no-keepalive http://h/"),
            (
                ["-o", "/dev/null", "http://h/", "--url", "http://i/"],
                "curl --parallel --output /dev/null --output /dev/null http://h/ http://i/"
            ),
            (["--variable", "v=1", "--expand-data", "{{v}}", "http://h/"], "curl --data 1 http://h/"),
            (
                ["-X", "PUT", "http://h/", "-:", "-F", "a=b", "http://h/"],
                "curl --request PUT http://h/ --next --form a=b http://h/"
            ),
            (["--connections-per-origin", "2", "http://h/"], "curl --parallel-max-host 2 http://h/"),
            (
                ["--stall-timeout", "3", "--priority", "u=1", "http://h/"],
                "curl --speed-limit 1 --speed-time 3 --header 'priority: u=1' http://h/"
            ),
        ] as [([String], String)])
    func `The command is curl's`(_ words: [String], _ line: String) throws {
        let command = try command(words)
        #expect(String(decoding: command.line, as: UTF8.self) == line + "\n")
        #expect(command.remarks.isEmpty)
    }

    @Test func `What curl lacks is said`() throws {
        #expect(try command(["--polite", "--summary", "http://h/"]).remarks.count == 2)
        #expect(try command(["-d", "a", "http://h/", "http://i/", "-:", "http://h/"]).remarks.count == 1)
        #expect(throws: Failure.self) { try command(["-d", "a"]) }
        #expect(throws: Failure.self) { try command(["-m", "soon", "http://h/"]) }
    }

    @Test func `The command does what h2get does, and nothing is fetched for it`() async throws {
        let served = try Served { $0.security = .cleartext }
        let words = ["--http1.1", "-X", "PUT", "-d", "it's $HOME \"quoted\"\n", served.url("/echo")]
        let shown = try await served.get(words + ["--curl", "--polite"])
        #expect(shown.status == 0 && shown.errors.contains("--polite"), "\(shown.errors)")
        #expect(shown.text.hasPrefix("curl ") && shown.text.contains("/echo"))
        guard CurlParity.hasCurl else { return }
        _ = try served.folder.write(shown.text, to: "script")
        #expect(try await Program.runShell("sh script > theirs 2> errors", in: served.folder.root) == 0)
        let ours = try await served.get(words)
        #expect(try served.folder.data("theirs") == ours.output)
    }
}
