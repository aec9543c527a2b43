/// A table of text whose columns are as wide as their content.
struct TextTable {
    enum Row {
        case cells([String])
        /// A first cell, and a text in place of the others.
        case remark(String, String)
        /// A heading over all columns.
        case heading(String)
    }

    /// The first column is left-aligned, the others are right-aligned.
    var titles: [String]
    var rows: [Row] = []

    private var widths: [Int] {
        var widths = titles.map(\.count)
        for row in rows {
            switch row {
            case .cells(let cells):
                for (index, cell) in cells.enumerated() where index < widths.count {
                    widths[index] = max(widths[index], cell.count)
                }
            case .remark(let first, _): widths[0] = max(widths[0], first.count)
            case .heading: break
            }
        }
        return widths
    }

    /// Columns that do not fit into `width` follow below, with the first column repeated.
    func lines(width: Int, style: TextStyle) -> [String] {
        let widths = widths
        if let widest = widths.dropFirst().max(), widths[0] + 1 + widest > width {
            return stacked(width: width, style: style)
        }
        var lines: [String] = []
        var next = 1
        repeat {
            var columns: [Int] = []
            var used = widths[0]
            while next < widths.count, columns.isEmpty || used + 1 + widths[next] <= width {
                columns.append(next)
                used += 1 + widths[next]
                next += 1
            }
            let isFirst = columns.first == 1 || columns.isEmpty
            if !isFirst { lines.append("") }
            lines += block(columns, widths, width: width, isFirst: isFirst, style: style)
        } while next < widths.count
        return lines
    }

    /// For terminals too narrow for two columns: the cells of each row one below the other.
    private func stacked(width: Int, style: TextStyle) -> [String] {
        let labelWidth = titles.dropFirst().map(\.count).max() ?? 0
        var lines: [String] = []
        for row in rows {
            switch row {
            case .heading(let text): lines += wrapped(text, width: width).map(style.bold)
            case .remark(let first, let text):
                lines += wrapped(first, width: width)
                lines += wrapped(text, width: width - 2).map { "  " + style.yellow($0) }
            case .cells(let cells):
                lines += wrapped(cells[0], width: width)
                for (title, cell) in zip(titles, cells).dropFirst() {
                    lines.append("  " + style.dim(padded(title, labelWidth)) + " " + cell)
                }
            }
        }
        return lines
    }

    private func block(_ columns: [Int], _ widths: [Int], width: Int, isFirst: Bool, style: TextStyle) -> [String] {
        func line(_ cells: [String]) -> String {
            var line = padded(cells[0], widths[0])
            for column in columns {
                line += " " + rightAligned(column < cells.count ? cells[column] : "", widths[column])
            }
            return line.trimmedEnd
        }
        var lines = [style.dim(line(titles))]
        for row in rows {
            switch row {
            case .cells(let cells): lines.append(line(cells))
            case .heading(let text): lines.append(style.bold(text))
            case .remark(let first, let text):
                // Shown only once.
                guard isFirst else { continue }
                let margin = widths[0] + 1
                let wrapped = wrapped(text, width: width - margin)
                for (index, part) in wrapped.enumerated() {
                    lines.append(padded(index == 0 ? first : "", margin) + style.yellow(part))
                }
            }
        }
        return lines
    }

    /// GitHub's Markdown.
    func markdown() -> [String] {
        var lines = ["| \(titles.map(Self.escaped).joined(separator: " | ")) |"]
        lines.append("|---|" + String(repeating: "---:|", count: titles.count - 1))
        for row in rows {
            switch row {
            case .cells(let cells):
                let all = cells + [String](repeating: "", count: max(0, titles.count - cells.count))
                lines.append("| \(all.map(Self.escaped).joined(separator: " | ")) |")
            case .heading(let text):
                lines.append("| **\(Self.escaped(text))** |" + String(repeating: " |", count: titles.count - 1))
            case .remark(let first, let text):
                lines.append(
                    "| \(Self.escaped(first)) | \(Self.escaped(text)) |"
                        + String(repeating: " |", count: max(0, titles.count - 2)))
            }
        }
        return lines
    }

    /// Escapes text from a server, so that it cannot add markup.
    static func escaped(_ text: String) -> String {
        var out = ""
        for character in printable(text) {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "|", "\\", "`", "*", "_", "[", "]", "!", "#", "~", "@": out += "\\\(character)"
            default: out.append(character)
            }
        }
        return out
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        guard let last = lastIndex(where: { $0 != " " }) else { return "" }
        return String(self[...last])
    }
}
