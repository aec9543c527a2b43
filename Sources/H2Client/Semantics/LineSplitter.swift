/// Splits bytes that arrive in chunks into lines, each ended by CR, LF or CRLF.
///
/// A CR ends its line at once, so that no line waits for the next chunk. A byte-order mark at the very beginning is left out.
struct LineSplitter: Sendable {
    /// A line is longer than the limit.
    struct TooLong: Error {}

    /// The longest line in bytes, without its end.
    let limit: Int
    private var chunk: [UInt8] = []
    /// Where the next line begins in `chunk`.
    private var position = 0
    /// The beginning of a line whose end has not arrived.
    private var partial: [UInt8] = []
    /// Whether the last byte was a CR: an LF after it belongs to the same line end.
    private var followsCR = false
    private var isFirst = true

    init(limit: Int) { self.limit = max(limit, 0) }

    /// Whether `next` has returned every line that has arrived.
    var needsMore: Bool { position == chunk.count }

    /// Adds bytes. Every line that was added before must have been taken.
    mutating func add(_ bytes: [UInt8]) {
        precondition(needsMore, "lines are left")
        chunk = bytes
        position = 0
    }

    /// The next line without its end; nil if the line is not complete yet.
    mutating func next() throws(TooLong) -> [UInt8]? {
        if followsCR, position < chunk.count {
            followsCR = false
            if chunk[position] == UInt8(ascii: "\n") { position += 1 }
        }
        guard position < chunk.count else { return nil }
        let start = position
        let end = endOfLine(from: start)
        guard partial.count + (end - start) <= limit else {
            // Nothing after it can be trusted to be a line.
            position = chunk.count
            throw TooLong()
        }
        guard end < chunk.count else {
            partial += chunk[start...]
            position = end
            return nil
        }
        followsCR = chunk[end] == UInt8(ascii: "\r")
        position = end + 1
        return take(chunk[start..<end])
    }

    /// The last line, at the end of the input; nil if the input ended with a line end or was empty.
    mutating func last() -> [UInt8]? {
        guard !partial.isEmpty else { return nil }
        let line = take([])
        return line.isEmpty ? nil : line
    }

    private func endOfLine(from start: Int) -> Int {
        chunk.withUnsafeBufferPointer { bytes in
            var index = start
            while index < bytes.count, bytes[index] != UInt8(ascii: "\n"), bytes[index] != UInt8(ascii: "\r") {
                index += 1
            }
            return index
        }
    }

    private mutating func take(_ end: ArraySlice<UInt8>) -> [UInt8] {
        var line: [UInt8]
        if partial.isEmpty {
            line = Array(end)
        } else {
            line = partial
            line += end
            partial = []
        }
        if isFirst {
            isFirst = false
            if line.starts(with: [0xef, 0xbb, 0xbf]) { line.removeFirst(3) }
        }
        return line
    }
}
