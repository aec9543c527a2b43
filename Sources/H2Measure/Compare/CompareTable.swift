/// A comparison for people: a table for the terminal, and one in Markdown.
package struct CompareTable {
    package let result: CompareResult
    private let context: ReportContext

    package init(_ result: CompareResult, context: ReportContext = ReportContext()) {
        self.result = result
        self.context = context
    }

    /// The lines of a summary, none longer than `width`, from 20 columns on.
    package func lines(width: Int = 100, color: Bool = false) -> [String] {
        let style = TextStyle(color: color)
        var lines = wrapped(printable(work), width: width).map(style.bold)
        lines += ReportFact.lines(result.facts(context), width: width)
        lines.append("")
        lines += table(isWide: false).lines(width: width, style: style)
        lines.append("")
        for line in wrapped(Self.legend, width: width, indent: 2) { lines.append(style.dim(line)) }
        lines.append("")
        for verdict in result.verdicts {
            lines += wrapped(printable(verdict), width: width, indent: 2).map(style.bold)
        }
        for warning in result.warnings {
            lines += wrapped("Warning: \(printable(warning))", width: width, indent: 2).map(style.yellow)
        }
        for remark in result.remarks {
            lines += wrapped("Note: \(printable(remark))", width: width, indent: 2)
        }
        return lines
    }

    package func markdown() -> String {
        var lines = [TextTable.escaped(work), ""]
        lines += result.facts(context).map { "- \($0.name): \(TextTable.escaped($0.value))" }
        lines.append("")
        lines += table(isWide: true).markdown()
        lines.append("")
        lines += result.verdicts.map { "**\(TextTable.escaped($0))**" }
        if !result.warnings.isEmpty {
            lines.append("")
            lines += result.warnings.map { "- **Warning**: \(TextTable.escaped($0))" }
        }
        if !result.remarks.isEmpty {
            lines.append("")
            lines += result.remarks.map { "- \(TextTable.escaped($0))" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A description of the work.
    package var work: String {
        var work = "\(counted(result.requests, "request")) each way, \(counted(result.rounds, "round"))"
        work += ", \(result.origins.joined(separator: " and "))"
        if !result.conditions.isDirect { work += "; \(Self.distance(result.conditions))" }
        return work
    }

    /// For example `30.0 ms round trip, 1.0 % loss`.
    package static func distance(_ conditions: LinkConditions) -> String {
        var parts: [String] = []
        if conditions.roundTrip > 0 { parts.append("\(timeText(conditions.roundTrip)) round trip") }
        if conditions.loss > 0 { parts.append("\(percent(conditions.loss)) loss") }
        return parts.isEmpty ? "no simulated distance" : parts.joined(separator: ", ")
    }

    private static let legend =
        "Medians; ± is how far a round was from it. p50 and p99 count from when a request was to begin. TTFB: time to the "
        + "first byte, with connecting where each request connects. TLS: handshakes, r those resumed. RT: round trips one "
        + "after another. open: connections the server held at once."

    private func table(isWide: Bool) -> TextTable {
        var table = TextTable(
            titles: isWide
                ? [
                    "way", "time", "spread", "requests/s", "p50", "p99", "first byte", "connections", "TLS handshakes",
                    "resumed", "round trips", "received", "sent", "client CPU", "open at once",
                ]
                : ["way", "time", "±", "req/s", "p50", "p99", "TTFB", "conn", "TLS", "RT", "in", "out", "CPU", "open"])
        for security in result.securities {
            if result.securities.count > 1 { table.rows.append(.heading(security == .tls ? "over TLS" : "cleartext")) }
            for cell in result.cells where cell.security == security {
                table.rows.append(row(cell, isWide: isWide))
            }
        }
        return table
    }

    private func row(_ cell: CompareResult.Cell, isWide: Bool) -> TextTable.Row {
        guard let seconds = cell.spread(\.seconds) else {
            return .remark(cell.way.name, printable(cell.reason ?? "it was not measured"))
        }
        func median(_ figure: KeyPath<CompareFigures, Double>) -> Double { cell.spread(figure)?.median ?? 0 }
        func time(_ nanoseconds: Double) -> String {
            let text = timeText(nanoseconds: nanoseconds)
            return isWide ? text : text.filter { $0 != " " }
        }
        func bytes(_ count: Double) -> String {
            isWide ? byteCount(Int(count)) : byteCount(Int(count)).filter { $0 != " " }
        }
        func count(_ value: Double) -> String { fixed(value, value == value.rounded() ? 0 : 1) }
        let spread = "\(fixed(seconds.part * 100, 0))%"
        let (handshakes, resumed) = (median(\.handshakes), median(\.resumed))
        let tls =
            isWide
            ? [count(handshakes), count(resumed)] : [count(handshakes) + (resumed > 0 ? "/\(count(resumed))r" : "")]
        return .cells(
            [
                cell.way.name, time(seconds.median * 1e9), spread, rateText(median(\.rate)), time(median(\.p50)),
                time(median(\.p99)), time(median(\.firstByte)), count(median(\.connections)),
            ] + tls + [
                count(median(\.roundTrips)), bytes(median(\.bytesReceived)), bytes(median(\.bytesSent)),
                time(median(\.cpuSeconds) * 1e9), count(median(\.held)),
            ])
    }
}
