/// Horizontal bars, a row for each label: one bar in it, or one for each series, with the spread as a whisker.
///
/// A logarithmic axis has no zero to measure a length from, and a bar four times as long would not mean four times as much: it
/// shows a dot at the value instead.
///
/// The bars are horizontal because the labels are long ("HTTP/1.1, a new connection each time") and should be readable without
/// turning one's head.
package struct BarChart: Sendable {
    package struct Bar: Sendable, Equatable {
        package var value: Double
        /// The lowest and the highest measured value; nil for none.
        package var spread: ClosedRange<Double>?

        package init(_ value: Double, spread: ClosedRange<Double>? = nil) {
            self.value = value
            self.spread = spread
        }
    }

    package enum Cell: Sendable, Equatable {
        case bar(Bar)
        /// Text shown instead, such as why it could not be measured.
        case missing(String)
    }

    package struct Row: Sendable, Equatable {
        package var label: String
        /// One for each series.
        package var cells: [Cell]

        package init(_ label: String, _ cells: [Cell]) {
            self.label = label
            self.cells = cells
        }

        /// The reason why there is no bar in it at all, if it is the same everywhere.
        fileprivate var missing: String? {
            guard case .missing(let why)? = cells.first, cells.allSatisfy({ $0 == cells[0] }) else { return nil }
            return why
        }
    }

    /// How the series differ, which determines their colours.
    package enum Palette: Sendable {
        /// In kind: clearly distinct colours.
        case kinds
        /// In degree: shades of one colour, from weak to strong.
        case degrees
    }

    /// A description of the chart for people who cannot see it.
    package var label: String
    package var unit: ChartUnit
    package var scale: Axis.Scale
    package var series: [String]
    package var rows: [Row]
    package var palette = Palette.kinds
    package var isWide = false
    /// The title of the horizontal axis.
    package var title = ""

    package init(_ label: String, unit: ChartUnit, scale: Axis.Scale = .linear, series: [String] = [""], rows: [Row]) {
        self.label = label
        self.unit = unit
        self.scale = scale
        self.series = series
        self.rows = rows
    }

    /// The chart as inline SVG.
    package func svg() -> String {
        let (content, width, height) = drawing(width: (isWide ? ChartFrame.Size.wide : .half).width)
        return ChartFrame.svg(width: width, height: height, label: label, content)
    }

    private var bars: [Bar] {
        rows.flatMap(\.cells).compactMap { if case .bar(let bar) = $0, bar.value.isFinite { bar } else { nil } }
    }

    /// The content of the SVG, and its size.
    func drawing(width: Double) -> (content: String, width: Double, height: Double) {
        guard !rows.isEmpty else {
            return (ChartFrame.text("no data", x: width / 2, y: 40, "mid"), width, 80)
        }
        let values = bars.flatMap { bar in
            // Smaller values are included, so that a logarithmic axis begins below the smallest bar.
            [bar.value, scale == .linear ? bar.value : bar.value / 1.6, bar.spread?.lowerBound, bar.spread?.upperBound]
                .compactMap { $0 }
        }
        let axis = Axis(
            scale == .linear ? title : title + " (log scale)", unit: unit, scale: scale, covering: values,
            ticks: width > 600 ? 8 : 4)
        let legend =
            series.count < 2
            ? []
            : series.enumerated().map {
                ChartFrame.LegendEntry(
                    name: $0.element, colour: colour($0.offset), sign: scale == .linear ? .square : .dot)
            }
        let (head, headHeight) = legend.isEmpty ? ("", 0) : ChartFrame.head(title: "", legend: legend, width: width)

        let longest = rows.map { Markup.width(of: $0.label) }.max() ?? 0
        let left = min(longest, width * 0.42) + 12
        let room = (bars.map { Markup.width(of: unit.text($0.value), size: 11) }.max() ?? 0) + 10
        let right = width - max(room, 24)
        let thickness = series.count > 1 ? 11.0 : 16
        let pitch = thickness + (series.count > 1 ? 3 : 0)
        let rowHeight = Double(series.count) * pitch + (series.count > 1 ? 12 : 10)
        let top = headHeight + (legend.isEmpty ? 2 : 10)
        let bottom = top + Double(rows.count) * rowHeight
        func px(_ value: Double) -> Double { left + (axis.position(value) ?? 0) * (right - left) }

        var result = head
        var free = -Double.infinity
        for tick in axis.ticks {
            let x = px(tick.value)
            result += ChartFrame.line((x, top), (x, bottom), tick.value == axis.lower ? "base" : "grid")
            let half = Markup.width(of: tick.label) / 2
            guard x - half > free else { continue }
            free = x + half + 8
            result += ChartFrame.text(tick.label, x: x, y: bottom + 17, "mid")
        }
        for (index, row) in rows.enumerated() {
            let begin = top + Double(index) * rowHeight
            let label = Markup.cut(row.label, toWidth: left - 12)
            result += ChartFrame.text(label, x: left - 10, y: begin + rowHeight / 2 + 4, "end strong")
            if let why = row.missing {
                result += missing(why, from: left, y: begin + rowHeight / 2, room: width - left)
                continue
            }
            for (number, cell) in row.cells.enumerated() where number < series.count {
                let y = begin + (rowHeight - Double(series.count) * pitch) / 2 + Double(number) * pitch
                let name = series[number].isEmpty ? row.label : "\(row.label), \(series[number])"
                result += draw(
                    cell, name: name, colour: colour(number), from: left, y: y, thickness: thickness,
                    room: width - left, px: px)
            }
        }
        if !axis.title.isEmpty {
            result += ChartFrame.text(axis.title, x: right, y: bottom + 35, "end")
        }
        return (result, width, bottom + (axis.title.isEmpty ? 24 : 42))
    }

    private func colour(_ index: Int) -> String {
        palette == .kinds ? "c\(index % 6 + 1)" : "k\(min(index + max(0, 4 - max(series.count, 2)) / 2, 3) + 1)"
    }

    private func missing(_ why: String, from left: Double, y: Double, room: Double) -> String {
        "<g font-size=\"11\" font-style=\"italic\">"
            + ChartFrame.text(Markup.cut(why, toWidth: room - 12, size: 11), x: left + 6, y: y + 4)
            + "<title>\(Markup.escaped(why))</title></g>"
    }

    private func draw(
        _ cell: Cell, name: String, colour: String, from left: Double, y: Double, thickness: Double, room: Double,
        px: (Double) -> Double
    ) -> String {
        let middle = y + thickness / 2
        guard case .bar(let bar) = cell, bar.value.isFinite else {
            var why = "–"
            if case .missing(let text) = cell { why = text }
            return missing(why, from: left, y: middle, room: room)
        }
        var tip = "\(name): \(unit.text(bar.value))"
        let end = px(bar.value)
        var outer = end
        var whisker = ""
        if let spread = bar.spread, spread.upperBound > spread.lowerBound {
            tip += " (\(unit.text(spread.lowerBound)) to \(unit.text(spread.upperBound)))"
            let (low, high) = (px(spread.lowerBound), px(spread.upperBound))
            // A whisker hardly longer than its own ends would look like a drawing error.
            if high - low > 3 {
                outer = max(outer, high)
                // With a border, since it lies half on its bar and half beside it.
                for line in ["under", "whisker"] {
                    whisker += ChartFrame.line((low, middle), (high, middle), line)
                    for edge in [low, high] {
                        whisker += ChartFrame.line((edge, middle - 3), (edge, middle + 3), line)
                    }
                }
            }
        }
        var result = "<g>"
        if scale == .linear {
            let length = max(end - left, bar.value > 0 ? 1 : 0)
            result += "<rect class=\"fill \(colour)\" x=\"\(Markup.coordinate(left))\" y=\"\(Markup.coordinate(y))\" "
            result += "width=\"\(Markup.coordinate(length))\" height=\"\(Markup.coordinate(thickness))\" rx=\"1.5\"/>"
            result += whisker
        } else {
            outer += 4
            result += ChartFrame.line((left, middle), (end, middle), "guide") + whisker
            result +=
                "<circle class=\"fill \(colour)\" cx=\"\(Markup.coordinate(end))\" cy=\"\(Markup.coordinate(middle))\" r=\"5\"/>"
        }
        // At the far end of a long whisker it would look like the value of that end.
        let text = unit.text(bar.value)
        let isInside = scale != .linear && outer - end > Markup.width(of: text, size: 11) + 30
        result += "<g font-size=\"11\">"
        result += ChartFrame.text(text, x: (isInside ? end + 4 : outer) + 6, y: middle + 4, "strong halo") + "</g>"
        return result + "<title>\(Markup.escaped(tip))</title></g>"
    }
}
