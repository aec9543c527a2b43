import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct ShownCommandLineTests {
    private func shown(_ arguments: String...) -> String {
        ShownCommandLine.text("h2get bench", arguments, lettersWithValue: BenchCommand.lettersWithValue)
    }

    @Test func `Command lines in reports are what a shell takes`() {
        #expect(
            shown("-n100", "--fail-if", "p99>5ms", "https://h/a?b=[1-2]")
                == "h2get bench -n 100 --fail-if 'p99>5ms' 'https://h/a?b=[1-2]'")
        #expect(shown("--json", "it's", "") == "h2get bench --json 'it'\\''s' ''")
    }

    @Test func `Command lines in reports have no secrets`() {
        let all = [
            shown("-H", "Authorization: Bearer hush", "https://h/"), shown("-HX-Api-Key: hush", "https://h/"),
            shown("--header=Cookie: hush", "https://h/"), shown("-ksH", "hush", "https://h/"),
            shown("--header", "x-token:hush", "https://h/"), shown("https://me:hush@h/"),
            shown("https://me:hush@h/[1-3]"), shown("-B", "https://hush@h", "/"), shown("-H", "-H", "-H", "a: hush"),
        ]
        for text in all { #expect(!text.contains("hush"), "\(text)") }
        #expect(all[0] == "h2get bench -H 'Authorization: ***' https://h/")
        #expect(all[5].contains("https://***@h/"))
    }

    @Test func `Command lines in reports keep what a measurement depends on`() {
        #expect(
            shown("-H", "Accept-Encoding: br", "-H", "@fields", "-H", "X-A;").contains(
                "-H 'Accept-Encoding: br' -H @fields -H 'X-A;'"))
    }

    @Test func `Command lines in reports end somewhere`() {
        let urls = (0..<10_000).map { "https://h/\($0)" }
        let text = ShownCommandLine.text("h2get bench", urls, lettersWithValue: BenchCommand.lettersWithValue)
        #expect(text.count < 3_000 && text.hasSuffix("…"))
    }
}
