/// A line chart made of characters: lines of Braille dots, two by four in each character, with a symbol of its series at each
/// point, so that they can be told apart without colour.
package struct TerminalChart: Sendable {
    package struct Series: Sendable {
        package var name: String
        package var points: [LineChart.Point]

        package init(_ name: String, _ points: [LineChart.Point]) {
            self.name = name
            self.points = points
        }
    }

    package var x: (title: String, unit: ChartUnit, scale: Axis.Scale)
    package var y: (title: String, unit: ChartUnit, scale: Axis.Scale)
    package var series: [Series]
    /// The width of the whole chart, in characters.
    package var width: Int
    package var height: Int
    /// Whether to use escape sequences for colours.
    package var hasColour: Bool
    /// A point drawn as `◉`, such as the knee.
    package var highlight: LineChart.Point?

    package init(
        x: (title: String, unit: ChartUnit, scale: Axis.Scale), y: (title: String, unit: ChartUnit, scale: Axis.Scale),
        series: [Series], width: Int = 80, height: Int = 16, hasColour: Bool = false
    ) {
        self.x = x
        self.y = y
        self.series = series
        self.width = width
        self.height = height
        self.hasColour = hasColour
    }

    private static let signs: [Character] = ["●", "▲", "■", "◆", "○", "△", "□", "◇"]
    private static let colours = [34, 33, 32, 35, 36, 90]

    private func coloured(_ text: String, _ index: Int) -> String {
        hasColour ? "\u{1B}[\(Self.colours[index % Self.colours.count])m\(text)\u{1B}[0m" : text
    }

    /// The lines, none longer than `width` if that is at least 30. There are `height` of them, or a few more if it is below 6.
    package func lines() -> [String] {
        let values = series.flatMap { $0.points }.filter { $0.y != nil }
        let room = max(height, 6) - 4
        let yAxis = Axis(
            y.title, unit: y.unit, scale: y.scale, covering: values.compactMap(\.y), ticks: max(3, room / 3))
        let margin = (yAxis.ticks.map(\.label.count).max() ?? 0) + 2
        let columns = max(width, 30) - margin
        let xAxis = Axis(
            x.title, unit: x.unit, scale: x.scale, covering: values.map(\.x), ticks: max(2, columns / 9))
        guard !values.isEmpty else {
            return [Self.cut(y.title, width), Self.cut("  no data", width)]
        }
        var canvas = Canvas(columns: columns, rows: room)
        for (index, line) in series.enumerated() { draw(line.points, index, on: &canvas, xAxis, yAxis) }
        if let highlight, let value = highlight.y, let position = cell(highlight.x, value, canvas, xAxis, yAxis) {
            canvas.signs[position.row * columns + position.column] = ("◉", nil)
        }
        return head(yAxis) + body(canvas, yAxis, margin: margin) + foot(xAxis, columns: columns, margin: margin)
    }

    // MARK: Drawing

    private func draw(_ points: [LineChart.Point], _ index: Int, on canvas: inout Canvas, _ xAxis: Axis, _ yAxis: Axis)
    {
        var last: (x: Int, y: Int)?
        for point in points {
            guard let value = point.y, let across = xAxis.position(point.x), let up = yAxis.position(value) else {
                last = nil
                continue
            }
            let dot = (
                x: Int((across * Double(canvas.columns * 2 - 1)).rounded()),
                y: Int(((1 - up) * Double(canvas.rows * 4 - 1)).rounded())
            )
            if let last { canvas.line(from: last, to: dot, series: index) }
            canvas.dot(dot.x, dot.y, series: index)
            last = dot
            // Symbols for many points would cover the line.
            if points.count <= 40 {
                canvas.signs[dot.y / 4 * canvas.columns + dot.x / 2] = (Self.signs[index % Self.signs.count], index)
            }
        }
    }

    private func cell(
        _ x: Double, _ y: Double, _ canvas: Canvas, _ xAxis: Axis, _ yAxis: Axis
    ) -> (column: Int, row: Int)? {
        guard let across = xAxis.position(x), let up = yAxis.position(y) else { return nil }
        return (
            Int((across * Double(canvas.columns * 2 - 1)).rounded()) / 2,
            Int(((1 - up) * Double(canvas.rows * 4 - 1)).rounded()) / 4
        )
    }

    // MARK: Lines of text

    /// The axis' title and the legend, in as many lines as they take.
    private func head(_ axis: Axis) -> [String] {
        let title = y.scale == .linear ? axis.title : axis.title + " (log scale)"
        var lines: [String] = []
        var line = Self.cut(title, width)
        var length = line.count
        for (index, series) in series.enumerated() where !series.name.isEmpty {
            let name = Self.cut(series.name, max(width - 4, 8))
            if length > 0, length + 5 + name.count > width {
                lines.append(line)
                (line, length) = ("", 0)
            }
            line += length > 0 ? "   " : ""
            line += coloured(String(Self.signs[index % Self.signs.count]), index) + " " + name
            length += (length > 0 ? 3 : 0) + 2 + name.count
        }
        return lines + [line]
    }

    private func body(_ canvas: Canvas, _ axis: Axis, margin: Int) -> [String] {
        var labels = [String](repeating: "", count: canvas.rows)
        for tick in axis.ticks {
            guard let up = axis.position(tick.value) else { continue }
            let row = Int(((1 - up) * Double(canvas.rows * 4 - 1)).rounded()) / 4
            if labels[row].isEmpty { labels[row] = tick.label }
        }
        return (0..<canvas.rows).map { row in
            let label = String(repeating: " ", count: margin - 2 - labels[row].count) + labels[row]
            var line = label + (labels[row].isEmpty ? " │" : " ┤")
            var end = canvas.columns
            while end > 0, canvas.isBlank(row: row, column: end - 1) { end -= 1 }
            for column in 0..<end {
                let (character, series) = canvas.character(row: row, column: column)
                line += series.map { coloured(String(character), $0) } ?? String(character)
            }
            return line
        }
    }

    private func foot(_ axis: Axis, columns: Int, margin: Int) -> [String] {
        var rule = [Character](repeating: "─", count: columns)
        var labels = [Character](repeating: " ", count: columns + margin)
        var free = 0
        for tick in axis.ticks {
            guard let across = axis.position(tick.value) else { continue }
            let column = Int((across * Double(columns * 2 - 1)).rounded()) / 2
            let text = Array(tick.label)
            let begin = min(max(margin + column - text.count / 2, 0), labels.count - text.count)
            guard begin >= free, text.count <= labels.count else { continue }
            rule[column] = "┬"
            for (offset, character) in text.enumerated() { labels[begin + offset] = character }
            free = begin + text.count + 2
        }
        let title = Self.cut(axis.title, width)
        return [
            String(repeating: " ", count: margin - 1) + "└" + String(rule), Self.trimmed(String(labels)),
            String(repeating: " ", count: max(0, margin + columns - title.count)) + title,
        ]
    }

    private static func trimmed(_ text: String) -> String {
        var text = text
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }

    private static func cut(_ text: String, _ width: Int) -> String {
        text.count <= width ? text : String(text.prefix(max(width - 1, 1))) + "…"
    }
}

/// Dots, two by four in each character, and symbols over them.
private struct Canvas {
    let columns: Int
    let rows: Int
    private var dots: [UInt8]
    /// The series that last drew in each character.
    private var owners: [Int?]
    var signs: [(character: Character, series: Int?)?]

    init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
        dots = [UInt8](repeating: 0, count: columns * rows)
        owners = [Int?](repeating: nil, count: columns * rows)
        signs = [(Character, Int?)?](repeating: nil, count: columns * rows)
    }

    mutating func dot(_ x: Int, _ y: Int, series: Int) {
        guard x >= 0, y >= 0, x < columns * 2, y < rows * 4 else { return }
        // The bits of U+2800: three in the left column, three in the right one, then the row that was added below.
        let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]
        let index = y / 4 * columns + x / 2
        dots[index] |= bits[y % 4][x % 2]
        owners[index] = series
    }

    mutating func line(from begin: (x: Int, y: Int), to end: (x: Int, y: Int), series: Int) {
        let steps = max(abs(end.x - begin.x), abs(end.y - begin.y), 1)
        for step in 0...steps {
            let part = Double(step) / Double(steps)
            dot(
                begin.x + Int((Double(end.x - begin.x) * part).rounded()),
                begin.y + Int((Double(end.y - begin.y) * part).rounded()), series: series)
        }
    }

    func isBlank(row: Int, column: Int) -> Bool {
        dots[row * columns + column] == 0 && signs[row * columns + column] == nil
    }

    /// The character at a position, and its series.
    func character(row: Int, column: Int) -> (Character, Int?) {
        let index = row * columns + column
        if let sign = signs[index] { return (sign.character, sign.series) }
        guard dots[index] != 0, let scalar = Unicode.Scalar(0x2800 + UInt32(dots[index])) else { return (" ", nil) }
        return (Character(scalar), owners[index])
    }
}
