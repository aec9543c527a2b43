/// A sweep for people: a table of its points, and the conclusions.
package struct SweepTable {
    package let result: SweepResult
    private let context: ReportContext

    package init(_ result: SweepResult, context: ReportContext = ReportContext()) {
        self.result = result
        self.context = context
    }

    /// The lines of a summary, none longer than `width`, from 20 columns on.
    package func lines(width: Int = 100, color: Bool = false) -> [String] {
        let style = TextStyle(color: color)
        var lines = wrapped(
            printable("\(result.origin), \(timeText(seconds: result.time)) for each setting"), width: width
        ).map(style.bold)
        lines += ReportFact.lines(result.facts(context), width: width)
        lines.append("")
        lines += table.lines(width: width, style: style)
        lines.append("")
        for verdict in result.verdicts {
            lines += wrapped(printable(verdict), width: width, indent: 2).map(style.bold)
        }
        let limits = result.serverLimits
        if !limits.isEmpty {
            lines.append("")
            lines.append("The server's limits")
            for (name, value) in limits {
                lines += wrapped("  \(printable(name)): \(printable(value))", width: width, indent: 4)
            }
        }
        let (warnings, remarks) = (result.warnings, result.remarks)
        if !warnings.isEmpty || !remarks.isEmpty { lines.append("") }
        for warning in warnings {
            lines += wrapped("Warning: \(printable(warning))", width: width, indent: 2).map(style.yellow)
        }
        for remark in remarks { lines += wrapped("Note: \(printable(remark))", width: width, indent: 2) }
        return lines
    }

    private var table: TextTable {
        // Limits on percentiles that already have a column need no other.
        let shown = ["p50", "p90", "p99", "p99.9"]
        let others = result.limits.indices.filter { !shown.contains(result.limits[$0].name) }
        // A column of its own if a part of the responses are refusals or errors.
        let hasBad = result.points.contains { $0.goodput < $0.rate }
        var table = TextTable(
            titles: ["conn × streams", "req/s"] + (hasBad ? ["good/s"] : []) + shown
                + others.map { result.limits[$0].name }
                + ["TTFB", "in flight", "errors", "client"])
        let (knee, kneeName) = (result.knee.marked, result.knee.name)
        let best = result.best?.setting
        for point in result.points {
            var marks: [String] = []
            if point.setting == knee { marks.append(kneeName) }
            if point.setting == best { marks.append("best") }
            if !point.isClean { marks.append("errors") }
            let mark = marks.isEmpty ? "" : "  \(marks.joined(separator: ", "))"
            let times = [point.p50, point.p90, point.p99, point.p999] + others.map { point.atLimits[$0] }
            table.rows.append(
                .cells(
                    ["\(point.setting.connections) × \(point.setting.streams)\(mark)", rateText(point.rate)]
                        + (hasBad ? [rateText(point.goodput)] : []) + times.map(Self.time) + [
                            Self.time(point.firstByte), fixed(point.inFlight, 1), "\(point.bad)",
                            "\(fixed(point.busy * 100, 0))%",
                        ]))
        }
        return table
    }

    private static func time(_ nanoseconds: UInt64) -> String { timeText(nanoseconds).filter { $0 != " " } }
}
