/// The lines of progress that stand on the terminal, and the bytes that replace them.
///
/// The cursor stays behind the last of them. Nothing clears the screen: lines are written over the old ones, and the rest of each
/// is erased, so that nothing flickers.
struct ProgressBlock {
    private var lines: [ProgressLine] = []
    /// While above 0, nothing is drawn: something else writes to the terminal.
    private var suspensions = 0
    /// Whether other text ended in the middle of a line, which must not be written over.
    private var isMidLine = false

    var isEmpty: Bool { lines.isEmpty }
    var isSuspended: Bool { suspensions > 0 }

    private static let eraseRight = "\u{1b}[K"

    private static func up(_ rows: Int) -> String { rows > 0 ? "\u{1b}[\(rows)A" : "" }

    /// The terminal's rows that the lines take. A terminal that was made narrower has wrapped them.
    private func rows(_ width: Int) -> Int {
        lines.reduce(0) { $0 + max(1, ($1.columns + width - 1) / width) }
    }

    /// Erases the lines, and leaves the cursor where the first one began.
    private func erasure(_ width: Int) -> String {
        guard !lines.isEmpty else { return "" }
        let rows = rows(width)
        var text = Self.up(rows - 1) + "\r" + Self.eraseRight
        for _ in 1..<max(rows, 1) { text += "\r\n" + Self.eraseRight }
        return text + Self.up(rows - 1)
    }

    private var drawing: String { lines.map(\.text).joined(separator: "\r\n") }

    /// Replaces the lines by others.
    /// - Returns: the bytes to write; empty while suspended.
    mutating func draw(_ new: [ProgressLine], width: Int) -> String {
        guard !isSuspended else { return "" }
        let (old, room) = (lines.isEmpty ? 0 : rows(width), new.count)
        lines = new
        guard room > 0 else { return "" }
        var text = (isMidLine ? "\r\n" : Self.up(old - 1)) + "\r"
        isMidLine = false
        for (index, line) in new.enumerated() {
            text += (index > 0 ? "\r\n" : "") + line.text + Self.eraseRight
        }
        for _ in 0..<max(0, old - room) { text += "\r\n" + Self.eraseRight }
        if old > room {
            text += Self.up(old - room)
            // The cursor belongs behind the last line, where the next line would begin.
            text += "\r" + (new.last?.columns ?? 0 > 0 ? "\u{1b}[\(new.last?.columns ?? 0)C" : "")
        }
        return text
    }

    /// Puts whole lines of other text above the lines.
    mutating func writing(_ text: String, width: Int) -> String {
        isMidLine = false
        guard !lines.isEmpty, !isSuspended else { return text }
        return erasure(width) + text + drawing
    }

    /// Removes the lines.
    /// - Parameter endsLine: whether the text that is written then ends its line.
    mutating func erase(width: Int, endsLine: Bool = true) -> String {
        defer { (lines, isMidLine) = ([], !endsLine) }
        return isSuspended ? "" : erasure(width)
    }

    /// Leaves the lines where they are, and the cursor below them.
    mutating func keep() -> String {
        defer { lines = [] }
        return lines.isEmpty || isSuspended ? "" : "\r\n"
    }

    /// Removes the lines until `resume`.
    mutating func suspend(width: Int) -> String {
        defer { suspensions += 1 }
        guard !isSuspended else { return "" }
        defer { lines = [] }
        return erasure(width)
    }

    /// - Parameter endsLine: whether the text that was written meanwhile ends its line.
    mutating func resume(endsLine: Bool) {
        suspensions -= 1
        isMidLine = !endsLine
    }
}
