/// A sentence of a report at the top of a page.
package struct PageSentence: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// A conclusion from the figures.
        case finding
        /// A remark about them.
        case note
        /// A reason why they are misleading.
        case problem
    }

    package var kind: Kind
    package var text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}

/// Common elements of the pages: the document and its blocks.
///
/// A page is one file that loads nothing from the network; its content security policy prevents any attempt.
enum Page {
    static func document(
        title: String, subtitle: [String], facts: [ReportFact], verdict: [PageSentence], body: String, footer: String
    ) -> String {
        let policy = "default-src 'none'; style-src 'unsafe-inline'"
        var result = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        result += "<meta http-equiv=\"Content-Security-Policy\" content=\"\(policy)\">\n"
        result += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        result += "<meta name=\"color-scheme\" content=\"light dark\">\n"
        result += "<title>\(Markup.escaped(title))</title>\n"
        result +=
            "<style>\n\(ChartStyle.colours)\(ChartStyle.page)\(ChartStyle.charts)</style>\n</head>\n<body>\n<header>\n"
        result += "<h1>\(Markup.escaped(title))</h1>\n"
        for line in subtitle { result += "<p class=\"sub\">\(Markup.escaped(line))</p>\n" }
        if !facts.isEmpty {
            let items = facts.map { "<dt>\(Markup.escaped($0.name))</dt><dd>\(Markup.escaped($0.value))</dd>\n" }
            result += "<dl class=\"facts\">\n\(items.joined())</dl>\n"
        }
        result += sentences(verdict)
        result += "</header>\n<main>\n\(body)</main>\n<footer>\(Markup.escaped(footer))</footer>\n</body>\n</html>\n"
        return result
    }

    private static func sentences(_ sentences: [PageSentence]) -> String {
        guard !sentences.isEmpty else { return "" }
        let items = sentences.map { sentence in
            let (name, word) =
                switch sentence.kind {
                case .finding: ("fine", "Result:")
                case .note: ("quiet", "Note:")
                case .problem: ("bad", "Problem:")
                }
            return "<li class=\"\(name)\"><b>\(word)</b> \(unbrokenOptions(sentence.text))</li>\n"
        }
        return "<ul class=\"verdict\">\n\(items.joined())</ul>\n"
    }

    /// Browsers break lines after hyphens, and options begin with two.
    private static func unbrokenOptions(_ text: String) -> String {
        text.split(separator: " ", omittingEmptySubsequences: false).map { word in
            let isOption = (word.hasPrefix("-") || word.hasPrefix("(-")) && word.count < 40
            let escaped = Markup.escaped(String(word))
            return isOption ? "<span class=\"option\">\(escaped)</span>" : escaped
        }.joined(separator: " ")
    }

    // MARK: Blocks

    /// The headline figures: each with its name and an explanation.
    static func tiles(_ tiles: [(name: String, figure: String, remark: String)]) -> String {
        let items = tiles.map { tile in
            "<div class=\"tile\"><dt>\(Markup.escaped(tile.name))</dt><dd>\(Markup.escaped(tile.figure))</dd>"
                + "<dd class=\"small\">\(Markup.escaped(tile.remark))</dd></div>\n"
        }
        return "<dl class=\"tiles\">\n\(items.joined())</dl>\n"
    }

    static func section(_ title: String, _ cards: [String]) -> String {
        "<section>\n<h2>\(Markup.escaped(title))</h2>\n<div class=\"cards\">\n\(cards.joined())</div>\n</section>\n"
    }

    /// A framed part of a section. `content` is markup.
    static func card(_ title: String, note: String = "", isWide: Bool = false, _ content: String) -> String {
        var result = "<figure class=\"card\(isWide ? " wide" : "")\">"
        if !title.isEmpty { result += "<h3>\(Markup.escaped(title))</h3>" }
        if !note.isEmpty { result += "<p class=\"note\">\(Markup.escaped(note))</p>" }
        return result + "\n\(content)</figure>\n"
    }

    /// A cell of a table.
    enum Cell {
        case text(String)
        case number(String)
        /// A number with a smaller line below it.
        case figure(String, String)
        /// A reason, in place of all cells to the row's end.
        case why(String)
    }

    struct Row {
        var cells: [Cell]
        var isBest = false
        /// The sort keys of the columns after the labels; nil sorts last.
        var keys: [Double?] = []

        init(_ cells: [Cell], isBest: Bool = false, keys: [Double?] = []) {
            self.cells = cells
            self.isBest = isBest
            self.keys = keys
        }
    }

    /// The sort order of a column when its head is chosen: the best first.
    enum Order {
        case rising
        case falling
        case none
    }

    /// A table whose rows are sorted by the chosen column. There is no script: each row has its position in each order, and the
    /// choice in the head selects one of them by CSS.
    /// - Parameters:
    ///   - name: of this table, unique in the page: letters and digits.
    ///   - orders: one for each column.
    static func sortableTable(
        _ name: String, head: [String], orders: [Order], labels: Int = 1, _ rows: [Row]
    ) -> String {
        guard rows.count > 1 else { return table(head: head, labels: labels, rows) }
        let id = "sort-\(name)"
        var rules = "#\(id){grid-template-columns:repeat(\(head.count),auto)}\n"
        var ranks = [String](repeating: "", count: rows.count)
        for (column, order) in orders.enumerated() where order != .none {
            func key(_ row: Int) -> Double {
                let value = column < rows[row].keys.count ? rows[row].keys[column] : nil
                guard let value, value.isFinite else { return .infinity }
                return order == .rising ? value : -value
            }
            let sorted = rows.indices.sorted { (key($0), $0) < (key($1), $1) }
            for (rank, row) in sorted.enumerated() { ranks[row] += "--o\(column):\(rank + 1);" }
            rules += "#\(id):has(#\(id)-\(column):checked) tbody tr{order:var(--o\(column))}\n"
        }
        let cells = head.enumerated().map { column, title in
            let kind = column >= labels ? " class=\"n\"" : ""
            guard orders[column] != .none else { return "<th scope=\"col\"\(kind)>\(Markup.escaped(title))</th>" }
            return "<th scope=\"col\"\(kind)><label><input type=\"radio\" name=\"\(id)\" id=\"\(id)-\(column)\"/>"
                + "\(Markup.escaped(title))</label></th>"
        }
        // Back to the order of the measurement.
        let first =
            "<label class=\"unsort\"><input type=\"radio\" name=\"\(id)\" checked=\"checked\"/>as measured</label>"
        return "<style>\(rules)</style>\n<p class=\"note\">Choose a column to sort by it. \(first)</p>\n"
            + "<table class=\"many sorted\" id=\"\(id)\">\n<thead><tr>\(cells.joined())</tr></thead>\n"
            + body(rows, columns: head.count, labels: labels, styles: ranks) + "</table>\n"
    }

    /// A table. The first `labels` columns are text and head their rows; the others are numbers, if they have a head.
    static func table(head: [String] = [], labels: Int = 1, _ rows: [Row]) -> String {
        var result = head.count > 3 ? "<table class=\"many\">\n" : "<table>\n"
        if !head.isEmpty {
            let cells = head.enumerated().map {
                "<th scope=\"col\"\($0.offset >= labels ? " class=\"n\"" : "")>\(Markup.escaped($0.element))</th>"
            }
            result += "<thead><tr>\(cells.joined())</tr></thead>\n"
        }
        return result + body(rows, columns: head.count, labels: labels) + "</table>\n"
    }

    /// - Parameter styles: a declaration for each row, or none at all.
    private static func body(_ rows: [Row], columns: Int, labels: Int, styles: [String] = []) -> String {
        var result = "<tbody>\n"
        for (number, row) in rows.enumerated() {
            let style = styles.isEmpty ? "" : " style=\"\(styles[number])\""
            result += row.isBest ? "<tr class=\"best\"\(style)>" : "<tr\(style)>"
            for (index, cell) in row.cells.enumerated() {
                switch cell {
                case .text(let text) where index < labels:
                    result += "<th scope=\"row\">\(Markup.escaped(text))</th>"
                case .text(let text): result += "<td>\(Markup.escaped(text))</td>"
                case .number(let text): result += "<td class=\"n\">\(Markup.escaped(text))</td>"
                case .figure(let text, let below):
                    let small = below.isEmpty ? "" : "<small>\(Markup.escaped(below))</small>"
                    result += "<td class=\"n\">\(Markup.escaped(text))\(small)</td>"
                case .why(let text):
                    let span = max(columns - index, 1)
                    // In a sortable table rows are grids, which have no colspan.
                    let wide = styles.isEmpty ? "" : " style=\"grid-column:span \(span)\""
                    result += "<td class=\"why\" colspan=\"\(span)\"\(wide)>\(Markup.escaped(text))</td>"
                }
            }
            result += "</tr>\n"
        }
        return result + "</tbody>\n"
    }

    /// A table of names and numbers.
    static func list(_ rows: [(String, String)]) -> String {
        table(rows.map { Row([.text($0.0), .number($0.1)]) })
    }

    // MARK: Words

    static func date(_ secondsSince1970: Double) -> String {
        guard secondsSince1970.isFinite, secondsSince1970 > 0, secondsSince1970 < 253_402_300_800 else { return "" }
        let seconds = Int(secondsSince1970)
        // Days are counted from 1 March of the year 0, so that a leap day is the last day of its year.
        let days = seconds / 86400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = era * 400 + yearOfEra + (month >= 10 ? 1 : 0)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(year)-\(two(month < 10 ? month + 3 : month - 9))-\(two(day))"
        return "\(date) \(two(seconds / 3600 % 24)):\(two(seconds / 60 % 60)):\(two(seconds % 60)) UTC"
    }

    /// "1.2 – 1.4 ms", with a single unit if both have the same.
    static func range(_ low: String, _ high: String) -> String {
        guard let space = low.lastIndex(of: " "), let other = high.lastIndex(of: " "), low[space...] == high[other...]
        else { return "\(low) – \(high)" }
        return "\(low[..<space]) – \(high)"
    }

    static func many(_ number: Int, _ one: String, _ several: String? = nil) -> String {
        "\(grouped(number)) \(number == 1 ? one : several ?? one + "s")"
    }
}
