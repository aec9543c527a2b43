/// The surroundings of a chart's lines: axes, grid, ticks, legend, and marks.
///
/// Titles of axes are horizontal, the vertical axis' title above it beside the legend: that is easiest to read and takes no
/// width.
struct ChartFrame {
    /// The size of a drawing, in pixels of the page: beside another, or alone in its row.
    enum Size {
        case half
        case wide

        var width: Double { self == .half ? 506 : 1046 }
        var height: Double { self == .half ? 270 : 290 }
    }

    struct LegendEntry {
        enum Sign {
            case line
            case dashedLine
            case square
            case dot
        }
        var name: String
        /// The CSS class with its colour, such as "c1".
        var colour: String
        var sign: Sign
    }

    /// A named position on the horizontal axis.
    struct Mark {
        var value: Double
        var label: String
    }

    let width: Double
    let height: Double
    let x: Axis
    let y: Axis
    let left: Double
    let right: Double
    let top: Double
    let bottom: Double
    private let head: String
    private let markLabels: String

    init(_ size: Size, x: Axis, y: Axis, legend: [LegendEntry] = [], marks: [Mark] = []) {
        self.init(width: size.width, height: size.height, x: x, y: y, legend: legend, marks: marks)
    }

    init(width: Double, height: Double, x: Axis, y: Axis, legend: [LegendEntry], marks: [Mark]) {
        self.width = width
        self.height = height
        self.x = x
        self.y = y
        left = max(30, (y.ticks.map { Markup.width(of: $0.label) }.max() ?? 0) + 10)
        right = width - 18
        bottom = height - (x.title.isEmpty ? 26 : 44)
        let (head, headHeight) = Self.head(title: y.title, legend: legend, width: width)
        self.head = head
        let (labels, rows) = Self.labels(of: marks, on: x, left: left, right: right, top: headHeight)
        markLabels = labels
        top = headHeight + Double(rows) * 15 + 10
    }

    func px(_ value: Double) -> Double? { x.position(value).map { left + $0 * (right - left) } }
    func py(_ value: Double) -> Double? { y.position(value).map { bottom - $0 * (bottom - top) } }

    /// The whole drawing around `content`. `label` describes it for people who cannot see it.
    func drawing(label: String, isEmpty: Bool, _ content: String) -> String {
        var inside = head + grid() + markLabels
        if isEmpty {
            inside += Self.text("no data", x: (left + right) / 2, y: (top + bottom) / 2, "mid")
        } else {
            inside += content
        }
        return Self.svg(width: width, height: height, label: label, inside)
    }

    static func svg(width: Double, height: Double, label: String, _ content: String) -> String {
        Markup.element(
            "svg",
            [
                "viewBox": "0 0 \(Markup.coordinate(width)) \(Markup.coordinate(height))", "role": "img",
                "aria-label": label,
            ], content) + "\n"
    }

    static func text(_ text: String, x: Double, y: Double, _ classes: String = "") -> String {
        let position = "x=\"\(Markup.coordinate(x))\" y=\"\(Markup.coordinate(y))\""
        return "<text \(position)\(classes.isEmpty ? "" : " class=\"\(classes)\"")>\(Markup.escaped(text))</text>"
    }

    static func line(_ from: (Double, Double), _ to: (Double, Double), _ classes: String) -> String {
        let path = [from.0, from.1, to.0, to.1].map(Markup.coordinate)
        return "<path class=\"\(classes)\" d=\"M\(path[0]) \(path[1])L\(path[2]) \(path[3])\"/>"
    }

    // MARK: Parts

    private func grid() -> String {
        var result = ""
        for tick in y.ticks {
            guard let y = py(tick.value) else { continue }
            result += Self.line((left, y), (right, y), "grid")
            result += Self.text(tick.label, x: left - 8, y: y + 4, "end")
        }
        result += Self.line((left, bottom), (right, bottom), "base")
        var free = -Double.infinity
        for tick in x.ticks {
            guard let x = px(tick.value) else { continue }
            result += Self.line((x, bottom), (x, bottom + 4), "base")
            let half = Markup.width(of: tick.label) / 2
            let middle = min(max(x, half), width - half)
            // A label that would touch its neighbour is left out; its tick stays.
            guard middle - half > free else { continue }
            free = middle + half + 8
            result += Self.text(tick.label, x: middle, y: bottom + 18, "mid")
        }
        if !x.title.isEmpty { result += Self.text(x.title, x: right, y: bottom + 37, "end") }
        return result
    }

    /// The title of the vertical axis and the legend, in as many rows as they need, and their height.
    static func head(title: String, legend: [LegendEntry], width: Double) -> (String, Double) {
        var result = title.isEmpty ? "" : text(title, x: 0, y: 12)
        let begin = title.isEmpty ? 0 : Markup.width(of: title) + 20
        let whole = legend.reduce(0) { $0 + 40 + Markup.width(of: $1.name) }
        var x = begin + whole - 18 <= width ? max(begin, width - whole + 18) : 0
        var row = x == 0 && begin > 0 && !legend.isEmpty ? 1.0 : 0.0
        for entry in legend {
            let needed = 22 + Markup.width(of: entry.name)
            if x > 0, x + needed > width + 1 {
                x = 0
                row += 1
            }
            let y = 8 + row * 18
            switch entry.sign {
            case .square:
                result += "<rect class=\"fill \(entry.colour)\" x=\"\(Markup.coordinate(x + 3))\" "
                result += "y=\"\(Markup.coordinate(y - 5))\" width=\"10\" height=\"10\" rx=\"2\"/>"
            case .dot:
                result += "<circle class=\"fill \(entry.colour)\" cx=\"\(Markup.coordinate(x + 8))\" "
                result += "cy=\"\(Markup.coordinate(y))\" r=\"5\"/>"
            case .line, .dashedLine:
                let dash = entry.sign == .dashedLine ? " dash" : ""
                result += line((x, y), (x + 16, y), "series \(entry.colour)\(dash)")
            }
            result += text(entry.name, x: x + 22, y: y + 4, "strong")
            x += needed + 18
        }
        return (result, 18 + row * 18)
    }

    /// The names of the marks, each above its position, in as many rows as keep them apart, and the number of rows.
    private static func labels(
        of marks: [Mark], on axis: Axis, left: Double, right: Double, top: Double
    ) -> (String, Int) {
        var result = ""
        var rows: [Double] = []
        for mark in marks.sorted(by: { $0.value < $1.value }) {
            guard let position = axis.position(mark.value) else { continue }
            let x = left + position * (right - left)
            let half = Markup.width(of: mark.label) / 2
            let middle = min(max(x, half), right + 18 - half)
            let row = rows.firstIndex { $0 < middle - half } ?? rows.count
            if row == rows.count { rows.append(0) }
            rows[row] = middle + half + 10
            result += text(mark.label, x: middle, y: top + Double(row) * 15 + 11, "mid strong")
        }
        return (result, rows.count)
    }

    /// The lines of the marks.
    func lines(of marks: [Mark]) -> String {
        marks.compactMap { px($0.value) }.map { Self.line(($0, top), ($0, bottom), "mark") }.joined()
    }
}
