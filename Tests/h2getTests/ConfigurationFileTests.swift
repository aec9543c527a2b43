import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct ConfigurationFileTests {
    /// The lines of a text, each as its option and its value; or what is wrong with it.
    private func lines(_ text: String) -> [String] {
        do {
            return try ConfigurationFile.lines(Array(text.utf8)[...], of: "config").map { line in
                "\(line.number) " + String(decoding: line.option, as: UTF8.self)
                    + (line.value.map { "|" + String(decoding: $0, as: UTF8.self) } ?? "")
            }
        } catch {
            return [(error as? Failure).map { "\($0.status.rawValue) \($0.message)" } ?? "\(error)"]
        }
    }

    @Test(
        arguments: [
            ("silent", ["1 --silent"]), ("-s", ["1 -s"]), ("--silent", ["1 --silent"]),
            ("max-time = 5", ["1 --max-time|5"]), ("max-time: 5", ["1 --max-time|5"]),
            ("max-time=5", ["1 --max-time|5"]),
            ("max-time 5", ["1 --max-time|5"]), ("  -m\t5  # comment", ["1 -m|5"]),
            ("--max-time 5", ["1 --max-time|5"]),
            ("-m5", ["1 -m5"]), ("--max-time=5", ["1 --max-time=5"]), ("data = a=b:c", ["1 --data|a=b:c"]),
            ("# one\n\n \r\nsilent\r\n#two\nurl = \"http://h/\"", ["4 --silent", "6 --url|http://h/"]),
            ("header = \"X: \\\"a\\\"\\t\\\\ # b\"", ["1 --header|X: \"a\"\t\\ # b"]), ("data = \"\"", ["1 --data|"]),
            ("data = \"a\\nb\\rc\\vd\\q\"   # x", ["1 --data|a\nb\rc\u{b}dq"]),
            ("url: http://h/", ["1 --url|http://h/"]),
            ("data = a#b", ["1 --data|a#b"]), ("data =", ["1 --data"]),
            (
                "header = X: y",
                ["2 config:1: there is text behind the value; put a value with spaces into double quotes"]
            ),
            (
                "s\ndata = \"a\" b",
                ["2 config:2: there is text behind the value; write \\\" for a quote inside the value"]
            ),
            ("data = \"a\"b", ["2 config:1: there is text behind the value; write \\\" for a quote inside the value"]),
            ("data = \"a", ["2 config:1: the value's second quote is missing"]),
            ("data = \"a\\", ["2 config:1: the value's second quote is missing"]),
            ("= a", ["2 config:1: there is no option before the value"]),
            ("data = a\0b", ["2 config:1: the line has a NUL byte"]),
            (
                "data = 'a b'",
                ["2 config:1: the value begins with a single quote; use double quotes, inside which it means itself"]
            ),
        ] as [(String, [String])])
    func `Lines are curl's, and what curl warns about is an error`(_ text: String, _ expected: [String]) {
        #expect(lines(text) == expected)
    }

    private func arguments(
        _ command: Command = .fetch, in folder: TemporaryFolder, _ words: String...
    ) throws -> Arguments {
        try parsed(command, words.map { $0.replacing("DIR", with: folder.root) })
    }

    @Test func `A file's options count where it is named, and several files are read`() throws {
        let folder = try TemporaryFolder()
        try folder.write("max-time = 1\nurl = \"http://b/\"\n-H \"X: 1\"\nno-silent\n", to: "one")
        try folder.write("config = \"\(folder.path("one"))\"\nmax-time = 2\nurl = http://c/", to: "two")
        let all = try arguments(
            in: folder, "-s", "-m", "5", "http://a/", "-K", "DIR/two", "--url", "http://d/", "-K", "DIR/one", "-v")
        #expect(all.operands == ["http://a/", "http://b/", "http://c/", "http://d/", "http://b/"])
        #expect(try all.texts(.maxTime) == ["5", "1", "2", "1"])
        #expect(!all.isOn(.silent) && all.isOn(.verbose))
        #expect(all.last(.verbose)?.place == "" && all.last(.maxTime)?.place == " (\(folder.path("one")):1)")
    }

    @Test(
        arguments: [
            ("silent\nnope = 1", "config:2: --nope is not an option of h2get"),
            ("silent = yes", "config:1: --silent takes no value"),
            ("-sX", "config:1: -X needs a value"), ("max-time", "config:1: --max-time needs a value"),
            ("help", "config:1: --help has no place in a configuration file"), ("-V", "config:1: -V has no place"),
            ("disable", "config:1: --disable counts as the first option only"), ("-", "config:1: '-' is not an option"),
            ("--", "config:1: '--' is not an option"), ("config = DIR/config", "8 configuration files name each other"),
            ("config = DIR/missing", "config:1: cannot read"), ("\n\nmax-time = soon", "for --max-time (DIR/config:3)"),
            ("header = \"secret\"", "-H (DIR/config:1): there is no ':'"),
            ("form = \"secret\"", "--form (DIR/config:1): there is no '='"),
        ])
    func `An error names the file and the line`(_ text: String, _ message: String) throws {
        let folder = try TemporaryFolder()
        try folder.write(text.replacing("DIR", with: folder.root), to: "config")
        let error = #expect(throws: Failure.self) {
            _ = try FetchSettings(arguments(in: folder, "-K", "DIR/config", "http://h/"))
        }
        let text = error?.message ?? ""
        #expect(text.contains(message.replacing("DIR", with: folder.root)), "\(text)")
        #expect(!text.contains("secret"))
    }

    @Test(arguments: Command.allCases) func `Each command takes -K`(_ command: Command) throws {
        let folder = try TemporaryFolder()
        try folder.write("# nothing\n", to: "config")
        #expect(try arguments(command, in: folder, "-K", "DIR/config", "x").operands == ["x"])
        #expect(throws: Failure.self) { try arguments(command, in: folder, "-K", "DIR/missing", "x") }
        #expect(throws: Failure.self) { try arguments(command, in: folder, "-K", "") }
    }

    @Test func `A report shows what a file's options were`() throws {
        let folder = try TemporaryFolder()
        try folder.write("-n 5\nheader = \"Authorization: hush\"", to: "config")
        let text = ShownCommandLine.text(try arguments(.bench, in: folder, "-K", "DIR/config", "http://h/"))
        #expect(text == "h2get bench -n 5 --header 'Authorization: ***' http://h/")
    }

    @Test func `stdin can be a configuration file, and is read once`() async throws {
        let served = try Served()
        let config = Data("url = \"\(served.url("/bytes/3"))\"\n".utf8)
        let result = try await served.get(["-K", "-"], input: config)
        #expect(result.output == Served.pattern(3), "\(result.errors)")
        let twice = try await served.get(["-K", "-", "-d", "@-"], input: config)
        #expect(twice.status == 2 && twice.errors.contains("-K - and -d @- both read stdin"), "\(twice.errors)")
    }

    // MARK: - The standard file

    private func runWithStandardFile(
        _ text: String, _ words: String, variable: String = "XDG_CONFIG_HOME=$PWD", in served: Served
    ) async throws -> (status: Int32, output: String, errors: String) {
        try FileManager.default.createDirectory(
            atPath: served.folder.path("h2get"), withIntermediateDirectories: true)
        try served.folder.write(text.replacing("URL", with: served.url("")), to: "h2get/config")
        let line = "\(variable) '\(Program.path)' \(words.replacing("URL", with: served.url(""))) > out 2> err"
        let status = try await Program.runShell(line, in: served.folder.root)
        return (status, try served.folder.read("out"), try served.folder.read("err"))
    }

    @Test func `The standard file comes before the command line, and -q leaves it out`() async throws {
        let served = try Served()
        let text = "cacert = ca.pem\nuser-agent = one\nurl = URL/headers?1\n"
        let plain = try await runWithStandardFile(text, "-A two URL/headers?2", in: served)
        #expect(plain.status == 0, "\(plain.errors)")
        #expect(plain.output.contains(":path: /headers?1") && plain.output.contains(":path: /headers?2"))
        #expect(plain.output.contains("user-agent: two") && !plain.output.contains("user-agent: one"))
        for first in ["-q", "--disable", "-qs"] {
            let without = try await runWithStandardFile(text, "\(first) --cacert ca.pem URL/headers?2", in: served)
            #expect(without.status == 0 && without.output.contains("user-agent: h2get/"), "\(without.errors)")
            #expect(!without.output.contains("/headers?1"))
        }
        let late = try await runWithStandardFile(text, "-s -q URL/headers?2", in: served)
        #expect(late.status == 2 && late.errors.contains("-q counts as the first option only"))
    }

    @Test func `The standard file is in ~/.config, and its errors name it`() async throws {
        let served = try Served()
        try FileManager.default.createDirectory(
            atPath: served.folder.path(".config"), withIntermediateDirectories: true)
        try served.folder.link(".config/h2get", to: "../h2get")
        for variable in ["XDG_CONFIG_HOME= HOME=$PWD", "XDG_CONFIG_HOME=relative HOME=$PWD"] {
            let home = try await runWithStandardFile("nope\n", "URL/headers", variable: variable, in: served)
            #expect(
                home.status == 2 && home.errors.contains("/.config/h2get/config:1: --nope is not"), "\(home.errors)")
            #expect(home.output == "")
        }
        // It is about fetching alone, and help does not need it.
        let help = try await runWithStandardFile("nope\n", "--help", in: served)
        #expect(help.status == 0)
        let bench = try await runWithStandardFile("nope\n", "bench --help", in: served)
        #expect(bench.status == 0)
        let none = try await runWithStandardFile(
            "nope\n", "--cacert ca.pem URL/bytes/1", variable: "env -u HOME -u XDG_CONFIG_HOME", in: served)
        #expect(none.status == 0, "\(none.errors)")
    }
}
