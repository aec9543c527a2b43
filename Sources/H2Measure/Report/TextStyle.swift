/// Colours for a terminal, or none.
package struct TextStyle: Sendable, Equatable {
    package let color: Bool

    package init(color: Bool) { self.color = color }

    package func bold(_ text: String) -> String { sgr("1", text) }
    package func dim(_ text: String) -> String { sgr("2", text) }
    package func red(_ text: String) -> String { sgr("31", text) }
    package func green(_ text: String) -> String { sgr("32", text) }
    package func yellow(_ text: String) -> String { sgr("33", text) }
    package func cyan(_ text: String) -> String { sgr("36", text) }

    private func sgr(_ code: String, _ text: String) -> String { color ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }
}

/// `text` in lines of at most `width` characters, broken at spaces if there are any; lines after the first are indented by
/// `indent` spaces.
package func wrapped(_ text: String, width: Int, indent: Int = 0) -> [String] {
    let width = max(width, indent + 10)
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = ""
    var length = 0
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
        var word = word
        if length > 0, length + 1 + word.count > width {
            lines.append(line)
            (line, length) = (margin, indent)
        } else if length > 0 {
            line += " "
            length += 1
        }
        while length + word.count > width {
            lines.append(line + word.prefix(width - length))
            word = word.dropFirst(width - length)
            (line, length) = (margin, indent)
        }
        line += word
        length += word.count
    }
    lines.append(line)
    return lines
}

func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

func rightAligned(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

/// At most `width` characters, with a mark if cut.
func shortened(_ text: String, _ width: Int) -> String {
    text.count <= width ? text : text.prefix(max(0, width - 1)) + "…"
}
