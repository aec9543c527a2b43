/// The lines of a file that could not be used and were left out.
struct BadLines: Equatable {
    var count = 0
    /// The number of the first one, counted from 1.
    var first: Int?

    init(count: Int = 0, first: Int? = nil) {
        self.count = count
        self.first = first
    }

    /// Reads a file line by line. Lines end with LF or CRLF. A byte-order mark, which Windows editors write, is
    /// skipped.
    /// - Parameter use: called with each line, in order; returns false if it cannot be used.
    init(of bytes: [UInt8], _ use: (ArraySlice<UInt8>) -> Bool) {
        var number = 0
        var rest = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
        // One line at a time: an array of the lines of a file of empty lines would take 30 times the file's size.
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            var line = rest[..<end]
            rest = rest[min(end + 1, rest.endIndex)...]
            number += 1
            if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
            if use(line) { continue }
            count += 1
            if first == nil { first = number }
        }
    }
}
