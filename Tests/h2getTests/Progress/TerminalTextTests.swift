import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct TerminalTextTests {
    @Test(
        arguments: [
            ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本語", 6), ("한글", 4), ("\u{1112}\u{1161}\u{11ab}", 2),
            ("ｆｕｌｌ", 8), ("ﾊﾝｶｸ", 4), ("…", 1), ("🙂", 2), ("\u{2764}\u{fe0f}", 2), ("a\u{200b}b", 2), ("—", 1),
            ("\u{20000}", 2), ("עברית", 5), ("Ω≈ç", 3),
        ])
    func `Text takes as many columns as a terminal gives it`(_ text: String, _ columns: Int) {
        #expect(TerminalText.columns(text) == columns)
    }

    @Test(
        arguments: [
            ("data-01.tar.gz", 14, "data-01.tar.gz"), ("data-01.tar.gz", 13, "data-0…tar.gz"),
            ("data-01.tar.gz", 8, "dat…r.gz"), ("data-01.tar.gz", 2, "…z"), ("data-01.tar.gz", 1, "…"),
            ("data-01.tar.gz", 0, ""), ("日本語の名前.txt", 11, "日本…前.txt"), ("日本語の名前.txt", 10, "日本….txt"),
            ("日本語", 4, "…語"), ("e\u{301}e\u{301}e\u{301}e\u{301}", 3, "e\u{301}…e\u{301}"),
        ])
    func `A name is shortened in its middle, by columns`(_ text: String, _ limit: Int, _ expected: String) {
        let short = TerminalText.shortened(text, to: limit)
        #expect(short == expected)
        #expect(TerminalText.columns(short) <= limit)
    }

    @Test func `Spaces fill columns, not characters`() {
        #expect(TerminalText.padded("日本", to: 6) == "日本  ")
        #expect(TerminalText.rightAligned("日本", to: 6) == "  日本")
        #expect(TerminalText.padded("abcdef", to: 3) == "abcdef")
        #expect(TerminalText.cut("日本語", to: 5) == "日本")
    }
}
