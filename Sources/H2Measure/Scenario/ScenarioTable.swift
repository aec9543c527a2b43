/// The rows of a CSV file (RFC 4180) that users take their data from.
struct ScenarioTable: Sendable {
    static let mostBytes = 64 << 20
    static let mostColumns = 1_000

    /// The row that a user has.
    enum Pick: String, CaseIterable, Sendable {
        /// One row for the user's whole life.
        case eachUser = "each-user"
        /// The next row for each task.
        case inTurn = "in-turn"
        /// Any row for each task.
        case random
    }

    let pick: Pick
    let columns: [String]
    let rowCount: Int
    /// The fields of all rows one after another, and where each ends.
    private let bytes: [UInt8]
    private let ends: [Int]

    /// Reads a file.
    ///
    /// No value of the file gets into a message: it may hold passwords.
    /// - Parameter file: its name, for problems.
    /// - Returns: nil if something is wrong.
    init?(_ text: [UInt8], pick: Pick, file: String, _ problems: inout ScenarioProblems) {
        var reader = CSVReader(text: text, file: file)
        guard reader.read(&problems) else { return nil }
        self.pick = pick
        columns = reader.columns
        rowCount = reader.rowCount
        bytes = reader.bytes
        ends = reader.ends
    }

    func value(row: Int, column: Int) -> ArraySlice<UInt8> {
        let field = row * columns.count + column
        return bytes[(field == 0 ? 0 : ends[field - 1])..<ends[field]]
    }
}

/// Reads a CSV file record by record. Empty lines are skipped.
private struct CSVReader {
    let text: [UInt8]
    let file: String
    private(set) var columns: [String] = []
    private(set) var rowCount = 0
    private(set) var bytes: [UInt8] = []
    private(set) var ends: [Int] = []
    private var at = 0
    private var line = 1

    private struct BadRecord: Error {
        let line: Int?
        let message: String
    }

    init(text: [UInt8], file: String) {
        self.text = text
        self.file = file
        if text.starts(with: [0xef, 0xbb, 0xbf]) { at = 3 }
    }

    /// Returns false if something is wrong. After an error of quoting, which makes the rest mean something else, reading ends.
    mutating func read(_ problems: inout ScenarioProblems) -> Bool {
        do throws(BadRecord) {
            try checkText()
            try readColumns()
        } catch {
            problems.add(.init(file: file, line: error.line, message: error.message))
            return false
        }
        var isGood = true
        while !problems.isFull {
            do throws(BadRecord) {
                guard let record = try record() else { break }
                guard record.fields == columns.count else {
                    let (has, first) = (counted(record.fields, "field"), counted(columns.count, "name"))
                    problems.add(
                        .init(
                            file: file, line: record.line, message: "this row has \(has), but the first line \(first)"))
                    isGood = false
                    continue
                }
                rowCount += 1
            } catch {
                problems.add(.init(file: file, line: error.line, message: error.message))
                return false
            }
        }
        if isGood, rowCount == 0 {
            problems.add(.init(file: file, message: "there are no rows after the first line, which has the names"))
        }
        return isGood && rowCount > 0
    }

    private func checkText() throws(BadRecord) {
        guard text.count <= ScenarioTable.mostBytes else {
            throw BadRecord(line: nil, message: "the file is larger than \(ScenarioTable.mostBytes >> 20) MB")
        }
        guard let bad = YAMLReader.firstBadByte(in: text) else { return }
        let line = text[..<bad].count { $0 == UInt8(ascii: "\n") } + 1
        throw BadRecord(
            line: line, message: text[bad] < 0x80 ? "there is a control character" : "this is not UTF-8")
    }

    private mutating func readColumns() throws(BadRecord) {
        guard let first = try record() else {
            throw BadRecord(line: nil, message: "the file is empty; its first line has the names of the columns")
        }
        guard first.fields <= ScenarioTable.mostColumns else {
            throw BadRecord(
                line: first.line, message: "there are more than \(grouped(ScenarioTable.mostColumns)) columns")
        }
        var start = 0
        for (index, end) in ends.enumerated() {
            let name = String(decoding: bytes[start..<end], as: UTF8.self)
            start = end
            guard !name.isEmpty else {
                throw BadRecord(line: first.line, message: "the column \(index + 1) has no name")
            }
            // Without names, the first line may be somebody's data: it is not shown.
            if let other = columns.firstIndex(of: name) {
                throw BadRecord(
                    line: first.line, message: "the columns \(other + 1) and \(index + 1) have the same name")
            }
            columns.append(name)
        }
        bytes = []
        ends = []
    }

    /// Appends the fields of the next record.
    /// - Returns: their number and the record's first line; nil at the end of the file.
    private mutating func record() throws(BadRecord) -> (fields: Int, line: Int)? {
        while at < text.count, takesLineEnd() {}
        guard at < text.count else { return nil }
        let (first, start) = (line, ends.count)
        let isWanted = columns.isEmpty ? ScenarioTable.mostColumns + 1 : columns.count
        var fields = 0
        while true {
            let begin = bytes.count
            try field()
            fields += 1
            // Fields beyond the last column are counted, but not kept.
            if fields <= isWanted { ends.append(bytes.count) } else { bytes.removeSubrange(begin...) }
            if at < text.count, text[at] == UInt8(ascii: ",") {
                at += 1
                continue
            }
            if at == text.count || takesLineEnd() { break }
        }
        if !columns.isEmpty, fields != columns.count {
            bytes.removeSubrange((start == 0 ? 0 : ends[start - 1])...)
            ends.removeSubrange(start...)
        }
        return (fields, first)
    }

    private mutating func takesLineEnd() -> Bool {
        if text[at] == UInt8(ascii: "\r"), at + 1 < text.count, text[at + 1] == UInt8(ascii: "\n") { at += 1 }
        guard text[at] == UInt8(ascii: "\n") else { return false }
        at += 1
        line += 1
        return true
    }

    /// Appends the bytes of a field, up to a comma, a line end, or the end of the file.
    private mutating func field() throws(BadRecord) {
        if at < text.count, text[at] == UInt8(ascii: "\"") { return try quotedField() }
        while at < text.count, text[at] != UInt8(ascii: ","), !isAtLineEnd {
            guard text[at] != UInt8(ascii: "\"") else {
                throw BadRecord(
                    line: line,
                    message: "there is a quote within a field; put the field into quotes, and write \"\" for it")
            }
            bytes.append(text[at])
            at += 1
        }
    }

    private mutating func quotedField() throws(BadRecord) {
        let first = line
        at += 1
        while at < text.count {
            let byte = text[at]
            at += 1
            if byte == UInt8(ascii: "\"") {
                guard at < text.count, text[at] == byte else {
                    guard at == text.count || text[at] == UInt8(ascii: ",") || isAtLineEnd else {
                        throw BadRecord(
                            line: line, message: "there is text after a quoted field; write \"\" for a quote within it")
                    }
                    return
                }
                at += 1
            }
            if byte == UInt8(ascii: "\n") { line += 1 }
            bytes.append(byte)
        }
        throw BadRecord(line: first, message: "the quote that begins a field here has no end")
    }

    private var isAtLineEnd: Bool {
        text[at] == UInt8(ascii: "\n")
            || text[at] == UInt8(ascii: "\r") && at + 1 < text.count && text[at + 1] == UInt8(ascii: "\n")
    }
}
