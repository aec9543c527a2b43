import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct ForeignOptionTests {
    @Test(arguments: Command.allCases) func `Each remedy names only options that the command has`(_ command: Command) {
        for option in ForeignOption.all(for: command) {
            #expect(option.unknownOptions(in: command).isEmpty, "\(option.spellings): \(option.remedy)")
        }
    }

    @Test(arguments: Command.allCases) func `No option of another tool is listed twice, or misspelled`(
        _ command: Command
    ) {
        var seen: Set<String> = []
        for option in ForeignOption.all(for: command) {
            for spelling in option.spellings {
                // Tools share names. The first tool's remedy counts.
                #expect(seen.insert("\(option.tool) \(spelling)").inserted, "\(spelling)")
                #expect(spelling.hasPrefix("--") ? spelling.count > 3 : spelling.count == 2, "\(spelling)")
            }
        }
    }

    @Test func `A remedy is a sentence without its full stop`() {
        for option in ForeignOption.all(for: .fetch) + ForeignOption.all(for: .bench) {
            #expect(!option.remedy.hasSuffix(".") && !option.remedy.contains("  "), "\(option.spellings)")
        }
    }

    @Test(
        arguments: [
            (.fetch, "--trace-config", "curl has it; use --trace FILE"),
            (.fetch, "--output-document", "wget2 has it; use -o FILE"),
            (.fetch, "--ftp-pasv", "it is about FTP"), (.fetch, "--multiply", "measure with h2get bench"),
            (.bench, "--qps", "oha has it; use --request-rate N"), (.bench, "--log-file", "h2load has it; use --csv"),
            (.sweep, "--redirect", "oha has it"), (.serve, "--metalink", ""),
        ] as [(Command, String, String)])
    func `An option of another tool is answered with what to use`(
        _ command: Command, _ spelling: String, _ remedy: String
    ) {
        let answer = UnknownOption(spelling, command).remedy
        #expect(remedy.isEmpty ? answer.isEmpty : answer.contains(remedy), "\(answer)")
    }
}
