import Foundation
import H2TestSupport
import Testing

@testable import h2get

/// The table of options, and what is made from it.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct OptionTableTests {
    /// The project's folder.
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func file(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test(arguments: Command.allCases) func `No two options of a command share a name, a letter or a meaning`(
        _ command: Command
    ) {
        let options = OptionTable.options(of: command)
        #expect(Set(options.map(\.name)).count == options.count)
        #expect(Set(options.map(\.key)).count == options.count)
        let letters = options.compactMap(\.letter)
        #expect(Set(letters).count == letters.count)
    }

    @Test func `Each meaning stands in the table, and each is used outside it`() throws {
        #expect(Set(OptionTable.all.map(\.key)) == Set(OptionKey.allCases))
        let sources = Self.root.appending(path: "Sources/h2get")
        let names = try #require(FileManager.default.enumerator(atPath: sources.path)).compactMap { $0 as? String }
        let files = names.filter {
            $0.hasSuffix(".swift") && !$0.contains("OptionTable") && !$0.hasSuffix("OptionKey.swift")
        }
        let text = try files.map { try Self.file("Sources/h2get/\($0)") }.joined()
        for key in OptionKey.allCases { #expect(text.contains(".\(key)"), "\(key) is parsed and ignored") }
    }

    @Test func `Each text is an imperative sentence with its default in the usual form`() {
        for option in OptionTable.all {
            #expect(option.help.hasSuffix("."), "\(option.name)")
            #expect(option.help.first?.isUppercase == true || option.help.hasPrefix("POST"), "\(option.name)")
            let first = option.help.prefix { $0 != " " }
            #expect(!first.hasSuffix("s") || first == "Pass", "\(option.name): \(first)")
            #expect(!option.help.lowercased().contains("by default is"), "\(option.name)")
            // A default in parentheses is easily missed, and grep does not find it.
            #expect(option.help.firstMatch(of: /\([0-9.]+[a-zA-Z]*\)\.$/) == nil, "\(option.name)")
        }
    }

    @Test(arguments: Command.allCases, [60, 80, 120])
    func `Help fits the terminal, and names each option beside its text`(_ command: Command, _ width: Int) throws {
        for topic in [nil, "all"] {
            let text = try Help(command, width: width).text(topic: topic)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            // Usage and examples are lines to copy.
            for line in lines where !line.contains("h2get") && line.contains(" ") && !line.contains("--") {
                #expect(line.count <= width, "\(line)")
            }
        }
        let all = try Help(command, width: width).text(topic: "all")
        for option in OptionTable.options(of: command) {
            let line = all.split(separator: "\n").first { $0.contains(option.signature) }
            #expect(line != nil, "\(option.signature)")
            if width == 120 { #expect(line.map { $0.count > option.signature.count + 12 } == true, "\(line ?? "")") }
        }
        #expect(try Help(command, width: width).text(topic: nil).count < all.count || command == .merge)
    }

    @Test func `Help knows categories and options, and says which there are`() throws {
        func help(_ topic: String) throws -> String { try Help(.fetch, width: 80).text(topic: topic) }
        #expect(try help("tls").contains("--cacert FILE"))
        #expect(try !help("tls").contains("--output"))
        #expect(try help("-o").hasPrefix("-o, --output FILE\n\nWrite the body to FILE"))
        #expect(try help("--cacert").contains("CURL_CA_BUNDLE"))
        #expect(try help("--fail").contains("--no-fail turns it off"))
        #expect(try help("https://localhost/").contains("Usage:"))
        let refusal = #expect(throws: Failure.self) { _ = try help("nonsense") }
        #expect(refusal?.message.contains("one of: request, credentials") == true)
        let foreign = #expect(throws: Failure.self) { _ = try help("--http3") }
        #expect(foreign?.message.contains("leave it out for HTTP/2") == true)
    }

    @Test func `docs/options.md is what the table says`() throws {
        #expect(
            try Self.file("docs/options.md") == Generated.markdown.text(for: .fetch),
            "h2get --generate markdown > docs/options.md")
    }

    @Test(arguments: ["README.md", "docs/benchmarks.md", "docs/architecture.md"])
    func `Each option in a command line of the documents exists`(_ path: String) throws {
        for line in try Self.file(path).split(separator: "\n") {
            for call in line.matches(of: /h2get (?:(bench merge|bench|compare|sweep|serve) )?([^`|]*)/) {
                let words = "\(call.output.1.map { "\($0) " } ?? "")".split(separator: " ").map { Array($0.utf8) }
                let command = Command.named(by: words[...]).command
                let known = Set(OptionTable.options(of: command).flatMap { ["--\($0.name)", "--no-\($0.name)"] })
                let text = call.output.2.prefix { $0 != "#" }
                for option in text.matches(of: /(?:^| )(--[a-z][a-z0-9.-]*)/) {
                    #expect(known.contains(String(option.output.1)), "\(path): \(line)")
                }
            }
        }
    }

    // MARK: - Other tools' options

    @Test(arguments: Command.allCases) func `No option that exists is named as another tool's`(_ command: Command) {
        for option in OptionTable.options(of: command) {
            for spelling in ["--\(option.name)"] + (option.letter.map { ["-\($0)"] } ?? []) {
                #expect(ForeignOption.named(spelling, in: command) == nil, "\(spelling)")
            }
        }
    }

    // MARK: - Man pages and completions

    @Test(arguments: Command.allCases) func `The man page names each option, and roff reads it without a warning`(
        _ command: Command
    ) async throws {
        let page = ManualPage(command).text
        for option in OptionTable.options(of: command) {
            #expect(page.contains("\\-\\-\(option.name.replacing("-", with: "\\-"))\\fR"), "\(option.name)")
        }
        let folder = try TemporaryFolder()
        _ = try folder.write(page, to: "page.1")
        // Without man-db there is nothing to ask.
        let status = try await Program.runShell(
            "command -v groff > /dev/null || exit 0; groff -man -ww -Tutf8 page.1 > out 2> errors && [ ! -s errors ]",
            in: folder.root)
        #expect(status == 0, "\((try? folder.read("errors")) ?? "")")
    }

    @Test func `bash completes commands, options, files and choices`() async throws {
        let folder = try TemporaryFolder()
        _ = try folder.write(Completions.bash, to: "h2get.bash")
        _ = try folder.write("", to: "answer.txt")
        let script = """
            mkdir folder
            . ./h2get.bash
            complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _h2get; echo "${COMPREPLY[*]}"; }
            { complete_line h2get co; complete_line h2get --http2; complete_line h2get -o answ
              complete_line h2get bench --api ''; complete_line h2get bench --warm; complete_line h2get bench merge --h
              complete_line h2get --capath fol; } > out
            """
        #expect(try await Program.runShell(script, in: folder.root) == 0)
        let lines = try folder.read("out").split(separator: "\n").map(String.init)
        #expect(
            lines == [
                "compare", "--http2 --http2-prior-knowledge", "answer.txt", "direct async", "--warm-up-time",
                "--hgrm --help", "folder",
            ])
    }

    @Test(arguments: [("zsh", "-n"), ("fish", "-n")]) func `Other shells read their completions`(
        _ shell: String, _ option: String
    ) async throws {
        let folder = try TemporaryFolder()
        _ = try folder.write(shell == "zsh" ? Completions.zsh : Completions.fish, to: "script")
        let status = try await Program.runShell(
            "command -v \(shell) > /dev/null || exit 0; \(shell) \(option) script", in: folder.root)
        #expect(status == 0)
    }

    @Test(arguments: Generated.allCases) func `--generate prints it`(_ kind: Generated) async throws {
        let result = try await Program.run(["bench", "--generate", kind.rawValue])
        #expect(result.status == 0)
        #expect(result.text == kind.text(for: .bench))
    }
}
