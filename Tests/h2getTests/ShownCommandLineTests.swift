import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct ShownCommandLineTests {
    private func shown(_ arguments: String...) throws -> String {
        ShownCommandLine.text(try parsed(.bench, arguments))
    }

    @Test func `Command lines in reports are what a shell takes`() throws {
        #expect(
            try shown("-n100", "--fail-if", "p99>5ms", "https://h/a?b=[1-2]")
                == "h2get bench -n 100 --fail-if 'p99>5ms' 'https://h/a?b=[1-2]'")
        #expect(try shown("--json", "it's", "") == "h2get bench --json 'it'\\''s' ''")
    }

    @Test func `Command lines in reports have no secrets`() throws {
        let all = [
            try shown("-H", "Authorization: Bearer hush", "https://h/"), try shown("-HX-Api-Key: hush", "https://h/"),
            try shown("--header=Cookie: hush", "https://h/"), try shown("-kH", "hush", "https://h/"),
            try shown("--header", "x-token:hush", "https://h/"), try shown("https://me:hush@h/"),
            try shown("--cert", "absent.pem:hush", "https://h/"), try shown("https://me:hush@h/[1-3]"),
            try shown("-B", "https://hush@h", "/"),
            try shown("-H", "-H", "-H", "a: hush"),
        ]
        for text in all { #expect(!text.contains("hush"), "\(text)") }
        #expect(all[0] == "h2get bench -H 'Authorization: ***' https://h/")
        #expect(all[5].contains("https://***@h/"))
    }

    @Test func `Command lines in reports keep what a measurement depends on`() throws {
        #expect(
            try shown("-H", "Accept-Encoding: br", "-H", "@fields", "-H", "X-A;").contains(
                "-H 'Accept-Encoding: br' -H @fields -H 'X-A;'"))
    }

    @Test func `Command lines in reports end somewhere`() throws {
        let urls = (0..<10_000).map { "https://h/\($0)" }
        let text = ShownCommandLine.text(try parsed(.bench, urls))
        #expect(text.count < 3_000 && text.hasSuffix("…"))
    }
}
