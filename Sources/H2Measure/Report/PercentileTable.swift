import Histogram

/// Percentiles of several histograms side by side, with a row each, from the smallest value to the largest.
struct PercentileTable {
    private static let labelWidth = 9
    /// Just wide enough for "samples", for terminals of 20 columns.
    private static let narrowLabelWidth = 8
    private static let cellWidth = 12

    private let columns: [(title: String, distribution: Distribution)]

    /// Empty histograms have no column.
    init(_ columns: [(title: String, histogram: TimeHistogram)]) {
        self.columns = columns.filter { $0.histogram.totalCount > 0 }.map { ($0.title, Distribution($0.histogram)) }
    }

    /// Columns that do not fit into `width` follow below.
    func lines(width: Int, style: TextStyle) -> [String] {
        let labelWidth = width < Self.labelWidth + Self.cellWidth ? Self.narrowLabelWidth : Self.labelWidth
        let fitting = max((width - labelWidth) / Self.cellWidth, 1)
        var lines: [String] = []
        var isUncertain = false
        for start in stride(from: 0, to: columns.count, by: fitting) {
            let part = Array(columns[start..<min(start + fitting, columns.count)])
            if start > 0 { lines.append("") }
            lines += block(part, labelWidth: labelWidth, style: style, isUncertain: &isUncertain)
        }
        if isUncertain {
            lines += wrapped("* fewer than \(Percentile.fewest) samples lie above it", width: width).map(style.dim)
        }
        return lines
    }

    private func block(
        _ columns: [(title: String, distribution: Distribution)], labelWidth: Int, style: TextStyle,
        isUncertain: inout Bool
    ) -> [String] {
        func row(_ label: String, _ cell: (Distribution) -> String) -> String {
            padded(label, labelWidth)
                + columns.map { rightAligned(cell($0.distribution), Self.cellWidth) }.joined()
        }
        let titles = columns.map { rightAligned(shortened($0.title, Self.cellWidth - 2), Self.cellWidth - 1) + " " }
        var lines = [style.bold(padded("", labelWidth) + titles.joined())]
        // Room for the mark after each number, so that the numbers align.
        func time(_ nanoseconds: Double) -> String { timeText(nanoseconds: nanoseconds) + " " }
        lines.append(row("min") { time(Double($0.min)) })
        for percentile in Percentile.shown {
            lines.append(
                row(percentile.name) { distribution in
                    let isFew = percentile.above(of: distribution.count) < Percentile.fewest
                    if isFew { isUncertain = true }
                    return timeText(distribution.value(percentile)) + (isFew ? "*" : " ")
                })
        }
        lines.append(row("max") { time(Double($0.max)) })
        lines.append(row("mean") { time($0.mean) })
        lines.append(row("± sd") { time($0.deviation) })
        lines.append(row("samples") { grouped($0.count) + " " })
        return lines
    }
}
