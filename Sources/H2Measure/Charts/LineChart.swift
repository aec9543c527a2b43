/// Lines, or areas, over a common horizontal axis.
package struct LineChart: Sendable {
    package struct Point: Sendable, Equatable {
        package var x: Double
        /// Nil if unknown: the line has a gap there.
        package var y: Double?

        /// A value that is not finite is unknown.
        package init(_ x: Double, _ y: Double?) {
            self.x = x.isFinite ? x : 0
            self.y = x.isFinite && y?.isFinite == true ? y : nil
        }
    }

    package enum Stroke: Sendable {
        case line
        case dashed
        /// Filled down to the axis.
        case area
        /// With a dot at each point; for few points.
        case dotted
    }

    package struct Series: Sendable {
        package var name: String
        package var points: [Point]
        package var stroke: Stroke
        /// 1 to 6; nil to choose by its index in the chart.
        package var colour: Int?

        package init(_ name: String, _ points: [Point], stroke: Stroke = .line, colour: Int? = nil) {
            self.name = name
            self.points = points
            self.stroke = stroke
            self.colour = colour
        }
    }

    /// A named point.
    package struct Note: Sendable {
        package var x: Double
        package var y: Double
        package var label: String

        package init(x: Double, y: Double, label: String) {
            self.x = x
            self.y = y
            self.label = label
        }
    }

    /// A horizontal line across the chart, with its meaning.
    package struct Level: Sendable {
        package var y: Double
        package var label: String

        package init(y: Double, label: String) {
            self.y = y
            self.label = label
        }
    }

    /// A description of the chart for people who cannot see it.
    package var label: String
    package var x: (title: String, unit: ChartUnit, scale: Axis.Scale)
    package var y: (title: String, unit: ChartUnit, scale: Axis.Scale)
    package var series: [Series]
    /// Named vertical lines.
    package var marks: [(value: Double, label: String)] = []
    package var notes: [Note] = []
    package var levels: [Level] = []
    package var isWide = false

    package init(
        _ label: String, x: (title: String, unit: ChartUnit, scale: Axis.Scale),
        y: (title: String, unit: ChartUnit, scale: Axis.Scale), series: [Series]
    ) {
        self.label = label
        self.x = x
        self.y = y
        self.series = series
    }

    /// The chart as inline SVG.
    package func svg() -> String {
        let shown = series.map { Thinning.outline($0.points) }
        let values = shown.joined().compactMap(\.y)
        let size = isWide ? ChartFrame.Size.wide : .half
        let xAxis = Axis(
            x.title, unit: x.unit, scale: x.scale, covering: shown.joined().map(\.x) + marks.map(\.value),
            ticks: isWide ? 10 : 5)
        let yTitle = y.scale == .linear ? y.title : y.title + " (log scale)"
        let yAxis = Axis(yTitle, unit: y.unit, scale: y.scale, covering: values + levels.map(\.y), ticks: 5)
        let frameMarks = marks.map { ChartFrame.Mark(value: $0.value, label: $0.label) }
        let legend =
            series.count < 2
            ? []
            : series.enumerated().map {
                ChartFrame.LegendEntry(
                    name: $0.element.name, colour: colour($0.offset),
                    sign: $0.element.stroke == .dashed ? .dashedLine : $0.element.stroke == .area ? .square : .line)
            }
        let frame = ChartFrame(size, x: xAxis, y: yAxis, legend: legend, marks: frameMarks)
        var content = frame.lines(of: frameMarks)
        for (index, points) in shown.enumerated() {
            content += draw(points, stroke: series[index].stroke, colour: colour(index), in: frame)
        }
        content += hovers(shown, in: frame)
        for level in levels { content += draw(level, in: frame) }
        for note in notes { content += draw(note, in: frame) }
        return frame.drawing(label: label, isEmpty: values.isEmpty, content)
    }

    private func colour(_ index: Int) -> String { "c\(((series[index].colour ?? index + 1) - 1) % 6 + 1)" }

    // MARK: Parts

    private func draw(_ points: [Point], stroke: Stroke, colour: String, in frame: ChartFrame) -> String {
        var result = ""
        for run in runs(points, in: frame) {
            let path = run.map { "\(Markup.coordinate($0.0)) \(Markup.coordinate($0.1))" }
            if run.count == 1 || stroke == .dotted {
                for (x, y) in run {
                    result += "<circle class=\"fill \(colour)\" cx=\"\(Markup.coordinate(x))\" "
                    result += "cy=\"\(Markup.coordinate(y))\" r=\"3\"/>"
                }
            }
            guard run.count > 1 else { continue }
            let line = "M" + path.joined(separator: "L")
            if stroke == .area {
                let ground = Markup.coordinate(frame.bottom)
                result += "<path class=\"area \(colour)\" d=\"\(line)V\(ground)H\(Markup.coordinate(run[0].0))Z\"/>"
            }
            result += "<path class=\"series \(colour)\(stroke == .dashed ? " dash" : "")\" d=\"\(line)\"/>"
        }
        return result
    }

    /// The parts of a line between its gaps, in pixels.
    private func runs(_ points: [Point], in frame: ChartFrame) -> [[(Double, Double)]] {
        var result: [[(Double, Double)]] = []
        var isOpen = false
        for point in points {
            guard let value = point.y, let x = frame.px(point.x), let y = frame.py(value) else {
                isOpen = false
                continue
            }
            if isOpen { result[result.count - 1].append((x, y)) } else { result.append([(x, y)]) }
            isOpen = true
        }
        return result
    }

    private func draw(_ level: Level, in frame: ChartFrame) -> String {
        guard let y = frame.py(level.y) else { return "" }
        // Below its line if there is no room above.
        let text = y - frame.top < 18 ? y + 14 : y - 5
        return ChartFrame.line((frame.left, y), (frame.right, y), "mark")
            + ChartFrame.text(level.label, x: frame.left + 6, y: text, "halo")
    }

    private func draw(_ note: Note, in frame: ChartFrame) -> String {
        guard let x = frame.px(note.x), let y = frame.py(note.y) else { return "" }
        // To the upper left, where a rising line leaves room.
        let isLeft = x - 8 - Markup.width(of: note.label) > frame.left
        let text = y - frame.top < 20 ? y + 22 : y - 9
        return "<circle class=\"ring\" cx=\"\(Markup.coordinate(x))\" cy=\"\(Markup.coordinate(y))\" r=\"6\"/>"
            + ChartFrame.text(note.label, x: isLeft ? x - 8 : x + 9, y: text, isLeft ? "end halo" : "halo")
    }

    /// Invisible columns that show the figures when the pointer rests on them: at most 60, since each adds text.
    private func hovers(_ shown: [[Point]], in frame: ChartFrame) -> String {
        let positions = Set(shown.joined().filter { $0.y != nil }.map(\.x)).sorted()
        let most = 60
        let chosen =
            positions.count <= most ? positions : (0..<most).map { positions[$0 * (positions.count - 1) / (most - 1)] }
        let values = shown.map { Dictionary($0.map { ($0.x, $0.y) }, uniquingKeysWith: { first, _ in first }) }
        let pixels = chosen.map { frame.px($0) ?? frame.left }
        var result = ""
        for (index, position) in chosen.enumerated() {
            let begin = index == 0 ? frame.left : (pixels[index - 1] + pixels[index]) / 2
            let end = index == chosen.count - 1 ? frame.right : (pixels[index] + pixels[index + 1]) / 2
            var lines = [x.unit == .percentile ? "p" + ChartUnit.plain(position) : x.unit.text(position)]
            for (series, values) in zip(series, values) {
                if case .some(.some(let value)) = values[position] {
                    lines.append("\(series.name): \(y.unit.text(value))")
                }
            }
            result += "<rect class=\"hover\" x=\"\(Markup.coordinate(begin))\" y=\"\(Markup.coordinate(frame.top))\" "
            result += "width=\"\(Markup.coordinate(max(end - begin, 1)))\" "
            result += "height=\"\(Markup.coordinate(frame.bottom - frame.top))\">"
            result += "<title>\(Markup.escaped(lines.joined(separator: "\n")))</title></rect>"
        }
        return result
    }
}
