import H2Platform
import H2TestSupport
import Testing

@testable import H2Measure

@Suite(.inTurn) struct ScenarioTableTests {
    private func rows(_ text: String) throws -> [[String]] {
        var problems = ScenarioProblems(file: "a.csv")
        let table = try #require(ScenarioTable(Array(text.utf8), pick: .inTurn, file: "a.csv", &problems))
        let rows = (0..<table.rowCount).map { row in
            table.columns.indices.map { String(decoding: table.value(row: row, column: $0), as: UTF8.self) }
        }
        return [table.columns] + rows
    }

    private func problems(_ bytes: [UInt8]) -> [String] {
        var problems = ScenarioProblems(file: "a.csv")
        #expect(ScenarioTable(bytes, pick: .inTurn, file: "a.csv", &problems) == nil)
        return problems.found.map(\.description)
    }

    @Test(arguments: [
        ("a,b\n1,2\n3,4\n", [["a", "b"], ["1", "2"], ["3", "4"]]),
        ("a,b\r\n1,2\r\n3,4", [["a", "b"], ["1", "2"], ["3", "4"]]),
        ("\u{feff}a\n1\n", [["a"], ["1"]]),
        ("\"a\",\"b c\"\n\"x,y\",\"say \"\"hi\"\"\"\n", [["a", "b c"], ["x,y", "say \"hi\""]]),
        ("a,b\n\"two\r\nlines\",\"\"\n", [["a", "b"], ["two\r\nlines", ""]]),
        ("a,b\n,\n", [["a", "b"], ["", ""]]),
        ("a,b\n\n1,2\n\r\n\n3,4\n\n", [["a", "b"], ["1", "2"], ["3", "4"]]),
        ("a,b\n 1 ,2\r3\n", [["a", "b"], [" 1 ", "2\r3"]]),
        ("\"\"\"\"\n1\n", [["\""], ["1"]]),
    ])
    func `Fields are read as RFC 4180 has them`(_ text: String, _ expected: [[String]]) throws {
        #expect(try rows(text) == expected)
    }

    @Test(arguments: [
        ("", "a.csv: the file is empty; its first line has the names of the columns"),
        ("\n\n", "a.csv: the file is empty; its first line has the names of the columns"),
        ("a,b\n", "a.csv: there are no rows after the first line, which has the names"),
        ("a,b\n1,2\n1\n", "a.csv:3: this row has 1 field, but the first line 2 names"),
        ("a\n\"1\n2\"\n1,2\n", "a.csv:4: this row has 2 fields, but the first line 1 name"),
        ("a,,c\n1,2,3\n", "a.csv:1: the column 2 has no name"),
        ("a,b,a\n1,2,3\n", "a.csv:1: the columns 1 and 3 have the same name"),
        ("a\nx\"y\n", "a.csv:2: there is a quote within a field; put the field into quotes, and write \"\" for it"),
        ("a\n\"x\"y\n", "a.csv:2: there is text after a quoted field; write \"\" for a quote within it"),
        ("a\n1\n\"x\n\n", "a.csv:3: the quote that begins a field here has no end"),
        ("a\n1\nx\u{0}y\n", "a.csv:3: there is a control character"),
    ])
    func `A file that is wrong is refused with its line`(_ text: String, _ expected: String) {
        #expect(problems(Array(text.utf8)) == [expected])
    }

    @Test func `Every ragged row is a problem, up to the limit`() {
        #expect(problems(Array("a,b\n1\n1,2\n1,2,3\n".utf8)).count == 2)
        let many = "a,b\n" + String(repeating: "1,2,3,4,5\n", count: 1_000)
        #expect(problems(Array(many.utf8)).count == 20)
    }

    @Test func `A file that is not UTF-8 is refused`() {
        #expect(problems(Array("a\n1\n".utf8) + [0x78, 0xff, 0x0a]) == ["a.csv:3: this is not UTF-8"])
    }

    @Test func `A message has no value of the file`() {
        let secret = "hunter2"
        let texts = [
            "a,b\n\(secret)\n", "a\n\(secret)\"\n", "a\n\"\(secret)\"x\n", "a\n\"\(secret)\n",
            "\(secret),\(secret)\n1,2\n",
            "a\n\(secret)\u{1}\n",
        ]
        for text in texts {
            let found = problems(Array(text.utf8))
            #expect(!found.isEmpty && found.allSatisfy { !$0.containsBytes(of: secret) }, "\(found)")
        }
    }
}
