import Foundation
import H2TestSupport
import Testing

/// Files that options name: no two outputs share one, and none replaces what a run reads.
@Suite(.inTurn, .timeLimit(.minutes(3))) struct OptionFilesTests {
    @Test(arguments: [
        ["-c", "./same"], ["--hsts", "./same"], ["-D", "./same"], ["--etag-save", "./same"],
        ["--json-lines", "./same"], ["--trace", "./same"], ["--trace-ascii", "link"], ["--stderr", "./same"],
    ])
    func `An option's file is not that of -o, by whichever name`(_ option: [String]) async throws {
        let served = try Served()
        try served.folder.write("precious", to: "same")
        try FileManager.default.createSymbolicLink(
            atPath: served.folder.path("link"), withDestinationPath: served.folder.path("same"))
        let result = try await served.get(option + ["-o", "same", served.url("/bytes/5")])
        #expect(result.status == 2, "\(result.errors)")
        // --stderr is opened first of all, and what goes wrong is told there.
        guard option[0] != "--stderr" else { return }
        #expect(result.errors.contains("use another name"), "\(result.errors)")
        #expect(try served.folder.read("same") == "precious")
    }

    @Test(arguments: ["--json-lines", "--trace-ascii", "-D"])
    func `A list of URLs is not emptied before it is read`(_ option: String) async throws {
        let served = try Served()
        let list = "\(served.url("/bytes/5"))\n"
        try served.folder.write(list, to: "list")
        let result = try await served.get([option, "list", "--input-file", "list", "-o", "/dev/null"])
        #expect(result.status == 2, "\(result.errors)")
        #expect(try served.folder.read("list") == list)
    }

    @Test func `A body of -O does not replace the file of an option`() async throws {
        let served = try Served()
        let result = try await served.get(["--json-lines", "5", "-O", served.url("/bytes/5")])
        #expect(result.status == 23, "\(result.errors)")
        #expect(try served.folder.read("5").contains("\"exit_code\":23"))
    }

    @Test(arguments: [["--range-split", "2"], ["-C", "-"]])
    func `The hidden file of a download is not another one's`(_ options: [String]) async throws {
        let served = try Served()
        let result = try await served.get(
            options + ["-o", "a", "-o", "a.part", served.url("/bytes/3000000"), served.url("/bytes/1000")])
        #expect(result.status == 23, "\(result.errors)")
        #expect(result.errors.contains("1 of 2 transfers failed"), "\(result.errors)")
    }

    // MARK: - What an earlier run left

    @Test(arguments: [["-C", "-"], ["--range-split", "3"]])
    func `A part that no response replaces stays`(_ options: [String]) async throws {
        let served = try Served()
        try served.folder.write("theirs", to: "a.part")
        let refused = try await served.get(
            options + ["--retry", "0", "-o", "a", "https://localhost:\(try closedPort())/x"])
        #expect(refused.status == 7, "\(refused.errors)")
        #expect(try served.folder.read("a.part") == "theirs")
        let missing = try await served.get(options + ["-f", "-o", "a", served.url("/status/404")])
        #expect(missing.status == 22, "\(missing.errors)")
        #expect(try served.folder.read("a.part") == "theirs")
        #expect(!served.folder.names.contains("a"))
    }

    // MARK: - JSON lines of a run in parts

    @Test func `A reader of JSON lines that goes away in the second part is an error, and no crash`() async throws {
        let served = try Served()
        let script = """
            mkfifo lines
            head -n 1 lines > first &
            "\(Program.path)" --cacert ca.pem --json-lines lines -o /dev/null \(served.url("/bytes/1")) --next \
                --cacert ca.pem -o /dev/null \(served.url("/delay/500")) --next \
                --cacert ca.pem -o /dev/null \(served.url("/bytes/1")) 2> errors
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        #expect(status == 23, "\((try? served.folder.read("errors")) ?? "")")
    }

    @Test func `A body that stdout did not take is not done in the lines`() async throws {
        let served = try Served()
        let script = """
            "\(Program.path)" --cacert ca.pem --json-lines lines \(served.url("/bytes/10")) \(served.url("/bytes/11")) \
                > /dev/full 2> errors
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 23)
        #expect(try !served.folder.read("lines").contains("\"outcome\":\"done\""))
    }

    @Test func `-Y ends a slow download in ranges`() async throws {
        let served = try Served()
        let result = try await served.get([
            "--range-split", "4", "--limit-rate", "200k", "-Y", "5M", "-y", "2", "-o", "s", "-m", "20",
            served.url("/bytes/20000000"),
        ])
        #expect(result.status == 28, "\(result.errors)")
        #expect(result.errors.contains("Operation too slow"), "\(result.errors)")
    }
}
