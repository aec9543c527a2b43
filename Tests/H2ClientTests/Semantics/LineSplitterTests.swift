import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct LineSplitterTests {
    private func lines(_ chunks: [[UInt8]], limit: Int = 1_000) throws -> [String] {
        var splitter = LineSplitter(limit: limit)
        var lines: [[UInt8]] = []
        for chunk in chunks {
            splitter.add(chunk)
            while let line = try splitter.next() { lines.append(line) }
        }
        if let last = splitter.last() { lines.append(last) }
        return lines.map { String(decoding: $0, as: UTF8.self) }
    }

    private static let table: [(String, [String])] = [
        ("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\nb", ["a", "b"]), ("\n", [""]), ("\n\n", ["", ""]),
        ("a\r\nb\r\n", ["a", "b"]), ("a\rb\r", ["a", "b"]), ("\r\r\n\n", ["", "", ""]), ("a\n\rb", ["a", "", "b"]),
        ("\u{feff}a\n\u{feff}b", ["a", "\u{feff}b"]), ("\u{feff}", []), ("\u{feff}\nx", ["", "x"]),
        ("ä€😀\r\n\0\n", ["ä€😀", "\0"]), ("a\u{85}b\u{2028}c\u{0b}d", ["a\u{85}b\u{2028}c\u{0b}d"]),
    ]

    @Test(arguments: table)
    func `Lines end with CR, LF or CRLF, however the bytes are cut`(_ text: String, _ expected: [String]) throws {
        let bytes = Array(text.utf8)
        #expect(try lines([bytes]) == expected)
        #expect(try lines(bytes.map { [$0] }) == expected)
        for cut in 0...bytes.count {
            #expect(try lines([Array(bytes[..<cut]), [], Array(bytes[cut...])]) == expected, "cut at \(cut)")
        }
    }

    @Test func `Bytes that are not UTF-8 become U+FFFD, also at the end`() throws {
        #expect(try lines([[0x61, 0xff, 0x62, 0x0a, 0xe2, 0x82]]) == ["a\u{fffd}b", "\u{fffd}"])
    }

    @Test func `A CR ends its line before the next byte arrives`() throws {
        var splitter = LineSplitter(limit: 10)
        splitter.add(Array("a\r".utf8))
        #expect(try splitter.next() == Array("a".utf8))
        #expect(try splitter.next() == nil)
        splitter.add(Array("\n".utf8))
        #expect(try splitter.next() == nil)
        #expect(splitter.last() == nil)
    }

    @Test(arguments: ["12345", "1234\n56", "1\n2345\n"])
    func `A line of the limit's length is allowed, and one byte more is not`(_ text: String) throws {
        let longest = text.utf8.split(separator: UInt8(ascii: "\n")).map(\.count).max()!
        for chunks in [[Array(text.utf8)], text.utf8.map { [$0] }] {
            #expect(try lines(chunks, limit: longest).joined() == text.filter { $0 != "\n" })
            #expect(throws: LineSplitter.TooLong.self) { try lines(chunks, limit: longest - 1) }
        }
    }
}
